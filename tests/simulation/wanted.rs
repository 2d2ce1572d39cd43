//! What a list asks for, parsed without the program's own code: ARNs with the service's regular
//! expression, and patterns with IAM's wildcards over the whole text.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

/// The `ProjectVersionArn` of StopProjectVersion. Its `\d` is ASCII.
static ARN: LazyLock<Regex> = LazyLock::new(|| form(""));
/// The same with wildcards.
static PATTERN: LazyLock<Regex> = LazyLock::new(|| form("*?"));

/// An item of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Model,
    Pattern,
    Invalid,
}

/// The items of a list, without duplicates.
#[derive(Debug)]
pub struct Wanted {
    /// The text, and what it is. The position is that in this list.
    pub entries: Vec<(String, Kind)>,
    places: Places,
}

/// What wildcards in the account and in the region stand for.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// None if such a pattern is invalid.
    pub accounts: Option<BTreeSet<String>>,
    /// None if they stand for every one.
    pub regions: Option<Vec<&'static str>>,
}

impl Wanted {
    pub fn read(items: &[Option<String>], places: Places) -> Self {
        let mut entries: Vec<(String, Kind)> = Vec::new();
        for item in items {
            let text = item.as_deref().unwrap_or("null").trim();
            if !entries.iter().any(|(known, _)| known == text) {
                let kind = match kind(text) {
                    Kind::Pattern if places.accounts.is_none() && is_wild(account_of(text)) => {
                        Kind::Invalid
                    }
                    kind => kind,
                };
                entries.push((text.to_owned(), kind));
            }
        }
        Self { entries, places }
    }

    /// Leaves out the entries without an account wildcard.
    pub fn narrow(mut self) -> Self {
        self.entries
            .retain(|(text, kind)| *kind == Kind::Pattern && is_wild(account_of(text)));
        self
    }

    /// The accounts and the regions that a valid entry leads to.
    pub fn scopes<'a>(&'a self, text: &'a str) -> Vec<(&'a str, &'a str)> {
        let (account, region) = (account_of(text), region_of(text));
        let accounts = match is_wild(account) {
            false => vec![account],
            true => (self.places.accounts.iter().flatten().map(String::as_str))
                .filter(|it| matches(account.as_bytes(), it.as_bytes()))
                .collect(),
        };
        let regions = match is_wild(region) {
            false => vec![region],
            true => (self.places.regions.iter().flatten().copied())
                .filter(|it| matches(region.as_bytes(), it.as_bytes()))
                .collect(),
        };
        let scopes = accounts.into_iter();
        let scopes = scopes.flat_map(|account| regions.iter().map(move |it| (account, *it)));
        scopes.collect()
    }

    /// Whether the list has the model's own ARN.
    pub fn names(&self, arn: &str) -> bool {
        self.entries
            .iter()
            .any(|(text, kind)| *kind == Kind::Model && text == arn)
    }

    /// The patterns that match the model.
    pub fn patterns_of<'a>(&'a self, arn: &'a str) -> impl Iterator<Item = &'a str> {
        let patterns = self.entries.iter();
        patterns
            .filter(move |(text, kind)| *kind == Kind::Pattern && self.stands_for(text, arn))
            .map(|(text, _)| text.as_str())
    }

    /// Whether a pattern stands for this ARN.
    pub fn stands_for(&self, pattern: &str, arn: &str) -> bool {
        matches(pattern.as_bytes(), arn.as_bytes())
            && self.leads_to_account(pattern, account_of(arn))
            && self.leads_to_region(pattern, region_of(arn))
    }

    fn leads_to_account(&self, entry: &str, account: &str) -> bool {
        let (of_entry, accounts) = (account_of(entry), &self.places.accounts);
        matches(of_entry.as_bytes(), account.as_bytes())
            && (!is_wild(of_entry) || accounts.as_ref().is_some_and(|it| it.contains(account)))
    }

    fn leads_to_region(&self, entry: &str, region: &str) -> bool {
        let (of_entry, regions) = (region_of(entry), &self.places.regions);
        matches(of_entry.as_bytes(), region.as_bytes())
            && (!is_wild(of_entry) || regions.as_ref().is_none_or(|it| it.contains(&region)))
    }

    /// Whether the list asks for the model in one way or the other.
    pub fn asks_for(&self, arn: &str) -> bool {
        self.names(arn) || self.patterns_of(arn).next().is_some()
    }

    /// The accounts of the entries, with their partitions.
    pub fn accounts(&self) -> BTreeSet<(&str, &str)> {
        let valid = self
            .entries
            .iter()
            .filter(|(_, kind)| *kind != Kind::Invalid);
        let fields = valid.map(|(text, _)| text.split(':').collect::<Vec<_>>());
        fields.map(|it| (it[1], it[4])).collect()
    }

    /// The accounts of the entries of a region.
    pub fn accounts_in(&self, region: &str) -> BTreeSet<&str> {
        let valid = self
            .entries
            .iter()
            .filter(|(_, kind)| *kind != Kind::Invalid);
        let fields = valid.map(|(text, _)| text.split(':').collect::<Vec<_>>());
        fields
            .filter(|it| it[3] == region || it[3].contains(['*', '?']))
            .map(|it| it[4])
            .collect()
    }

    /// The pattern of which this is the failure in an account, in a region or as a whole.
    pub fn part_of(&self, text: &str) -> Option<usize> {
        let mut entries = self.entries.iter();
        entries.position(|(entry, kind)| *kind == Kind::Pattern && self.is_part(entry, text))
    }

    /// Whether a text is that of an entry, or of its failure in an account or in a region.
    pub fn is_part(&self, entry: &str, text: &str) -> bool {
        let rest = |text: &str| text.splitn(6, ':').nth(5).map(str::to_owned);
        let is_same_region = region_of(entry) == region_of(text);
        entry == text
            || rest(entry) == rest(text)
                && self.leads_to_account(entry, account_of(text))
                && (is_same_region || self.leads_to_region(entry, region_of(text)))
    }

    /// The position of a row: that of a model at its own ARN, or else at the first pattern that
    /// matches it; that of an entry that failed at its text.
    pub fn place_of(&self, text: &str) -> Option<usize> {
        let position = |is_it: &dyn Fn(&str, Kind) -> bool| {
            let mut entries = self.entries.iter();
            entries.position(|(entry, kind)| is_it(entry, *kind))
        };
        let found_by =
            |entry: &str, kind| kind == Kind::Pattern && matches(entry.as_bytes(), text.as_bytes());
        let own = position(&|entry, _| entry == text).or_else(|| self.part_of(text));
        own.or_else(|| position(&found_by))
    }
}

fn form(wild: &str) -> Regex {
    let name = format!(r"[a-zA-Z0-9_.\-{wild}]{{1,255}}");
    let account = match wild {
        "" => "[0-9]{12}".to_owned(),
        // Twelve digits, or fewer and wildcards.
        _ => format!("([0-9]{{12}}|[0-9]*[{wild}][0-9{wild}]*)"),
    };
    Regex::new(&format!(
        "^arn:[a-z0-9-]+:rekognition:[a-z0-9{wild}-]+:{account}:project/{name}/version/{name}/[0-9{wild}]+$"
    ))
    .unwrap()
}

fn kind(text: &str) -> Kind {
    if !(20..=2048).contains(&text.chars().count()) {
        Kind::Invalid
    } else if ARN.is_match(text) {
        Kind::Model
    } else if PATTERN.is_match(text) {
        Kind::Pattern
    } else {
        Kind::Invalid
    }
}

pub fn account_of(text: &str) -> &str {
    text.split(':').nth(4).unwrap_or_default()
}

pub fn region_of(text: &str) -> &str {
    text.split(':').nth(3).unwrap_or_default()
}

pub fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// `*` is any run of characters, including none, and `?` any single one.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, text) => true,
        (Some((b'*', _)), Some((_, left))) => matches(pattern, left),
        (Some((one, rest)), Some((other, left))) if *one == b'?' || one == other => {
            matches(rest, left)
        }
        _ => false,
    }
}
