//! What a list asks for, read without the program's own code: ARNs by the service's regular
//! expression, and patterns by IAM's wildcards over the whole text.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

/// The `ProjectVersionArn` of StopProjectVersion. Its `\d` is ASCII.
static ARN: LazyLock<Regex> = LazyLock::new(|| form(""));
/// The same with wildcards in the region, in the names and in the number. Those in the account need
/// a role.
static PATTERN: LazyLock<Regex> = LazyLock::new(|| form("*?"));

/// An item of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Model,
    Pattern,
    Invalid,
}

/// The items of a list, each only the first time that it stands there.
#[derive(Debug)]
pub struct Wanted {
    /// The text, and what it is. The position is that in this list.
    pub entries: Vec<(String, Kind)>,
}

impl Wanted {
    pub fn read(items: &[Option<String>]) -> Self {
        let mut entries: Vec<(String, Kind)> = Vec::new();
        for item in items {
            let text = item.as_deref().unwrap_or("null").trim();
            if !entries.iter().any(|(known, _)| known == text) {
                entries.push((text.to_owned(), kind(text)));
            }
        }
        Self { entries }
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
            .filter(move |(text, kind)| {
                *kind == Kind::Pattern && matches(text.as_bytes(), arn.as_bytes())
            })
            .map(|(text, _)| text.as_str())
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
            .filter(|it| it[3] == region)
            .map(|it| it[4])
            .collect()
    }

    /// The pattern of which this is what failed in one region.
    pub fn part_of(&self, text: &str) -> Option<usize> {
        let parts: Vec<&str> = text.split(':').collect();
        self.entries.iter().position(|(entry, kind)| {
            let of_entry: Vec<&str> = entry.split(':').collect();
            *kind == Kind::Pattern
                && of_entry[3].contains(['*', '?'])
                && parts.len() == of_entry.len()
                && matches(of_entry[3].as_bytes(), parts[3].as_bytes())
                && parts[4..] == of_entry[4..]
                && parts[..3] == of_entry[..3]
        })
    }

    /// Where a row stands: a model at its own ARN, or else at the first pattern that matches it; an
    /// entry that failed at its text, after the models that it found.
    pub fn place_of(&self, text: &str) -> (Option<usize>, bool) {
        let position = |is_it: &dyn Fn(&str, Kind) -> bool| {
            let mut entries = self.entries.iter();
            entries.position(|(entry, kind)| is_it(entry, *kind))
        };
        if let Some(entry) = position(&|entry, _| entry == text) {
            return (Some(entry), kind(text) != Kind::Model);
        }
        if let Some(entry) = self.part_of(text) {
            return (Some(entry), true);
        }
        let found_by =
            |entry: &str, kind| kind == Kind::Pattern && matches(entry.as_bytes(), text.as_bytes());
        (position(&found_by), false)
    }
}

fn form(wild: &str) -> Regex {
    let name = format!(r"[a-zA-Z0-9_.\-{wild}]{{1,255}}");
    Regex::new(&format!(
        "^arn:[a-z0-9-]+:rekognition:[a-z0-9{wild}-]+:[0-9]{{12}}:project/{name}/version/{name}/[0-9{wild}]+$"
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

/// `*` is any run of characters, also an empty one, and `?` is any one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
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
