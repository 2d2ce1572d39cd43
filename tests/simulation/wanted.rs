//! What a list asks for, worked out without the program's own code: patterns have IAM's wildcards
//! over the whole text.

use std::collections::BTreeSet;

use super::list::INVALID;
use super::night::Night;
use super::organization::{DEFAULT_REGIONS, Organization};

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
    /// What a wildcard in the account may match; none if such a pattern is invalid.
    pub accounts: Option<BTreeSet<String>>,
    /// What a wildcard in the region may match.
    regions: Vec<&'static str>,
}

impl Wanted {
    pub fn read(night: &Night) -> Self {
        let organization = night.organization.as_ref();
        let regions = organization.map(|it| it.regions.clone());
        let with_roles = organization.filter(|_| night.has_roles());
        let accounts = with_roles.map(Organization::listed_accounts);
        let mut entries: Vec<(String, Kind)> = Vec::new();
        for item in &night.list.items {
            let text = item.as_deref().unwrap_or("null").trim();
            let kind = match kind(text) {
                Kind::Pattern if accounts.is_none() && is_wild(account_of(text)) => Kind::Invalid,
                kind => kind,
            };
            // A run of some accounts leaves out the entries without an account wildcard.
            let is_left_out =
                night.accounts().is_some() && !(kind == Kind::Pattern && is_wild(account_of(text)));
            if !is_left_out && !entries.iter().any(|(known, _)| known == text) {
                entries.push((text.to_owned(), kind));
            }
        }
        Self {
            entries,
            accounts,
            regions: regions.unwrap_or(DEFAULT_REGIONS.to_vec()),
        }
    }

    /// The patterns, each with its position in the list.
    pub fn patterns(&self) -> impl Iterator<Item = (usize, &str)> {
        let entries = self.entries.iter().enumerate();
        let patterns = entries.filter(|(_, (_, kind))| *kind == Kind::Pattern);
        patterns.map(|(position, (text, _))| (position, text.as_str()))
    }

    /// The patterns with a wildcard in the account.
    pub fn account_patterns(&self) -> impl Iterator<Item = &str> {
        let patterns = self.patterns().map(|(_, text)| text);
        patterns.filter(|text| is_wild(account_of(text)))
    }

    /// The accounts and the regions that a valid entry leads to.
    pub fn scopes<'a>(&'a self, text: &'a str) -> Vec<(&'a str, &'a str)> {
        let (account, region) = (account_of(text), region_of(text));
        let accounts: Vec<&str> = match is_wild(account) {
            false => vec![account],
            true => (self.accounts.iter().flatten().map(String::as_str))
                .filter(|it| matches(account, it))
                .collect(),
        };
        let regions: Vec<&str> = match is_wild(region) {
            false => vec![region],
            true => (self.regions.iter().copied())
                .filter(|it| matches(region, it))
                .collect(),
        };
        let scopes = accounts.into_iter();
        let scopes = scopes.flat_map(|account| regions.iter().map(move |it| (account, *it)));
        scopes.collect()
    }

    /// All of these, of all valid entries.
    pub fn all_scopes(&self) -> BTreeSet<(&str, &str)> {
        let valid = self.entries.iter().filter(|it| it.1 != Kind::Invalid);
        valid.flat_map(|(text, _)| self.scopes(text)).collect()
    }

    /// Whether the list has the model's own ARN.
    pub fn names(&self, arn: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|(text, kind)| *kind == Kind::Model && text == arn)
    }

    /// The patterns that match a model, each with its position in the list.
    pub fn patterns_of<'a>(&'a self, arn: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        let leads_there = |text: &str| {
            let place = (account_of(arn), region_of(arn));
            matches(text, arn) && self.scopes(text).contains(&place)
        };
        self.patterns().filter(move |(_, text)| leads_there(text))
    }

    /// Whether the list asks for the model in one way or the other.
    pub fn asks_for(&self, arn: &str) -> bool {
        self.names(arn) || self.patterns_of(arn).next().is_some()
    }

    /// Whether a text is that of a pattern, or of its failure in an account or in a region.
    pub fn is_part(&self, pattern: &str, text: &str) -> bool {
        let leads_to = |(account, region): (&str, &str)| {
            account_of(text) == account && [region, region_of(pattern)].contains(&region_of(text))
        };
        let rest = |text: &str| text.splitn(6, ':').nth(5).map(str::to_owned);
        pattern == text
            || rest(pattern) == rest(text) && self.scopes(pattern).into_iter().any(leads_to)
    }
}

fn kind(text: &str) -> Kind {
    let mut invalid = INVALID.iter().map(|item| item.unwrap_or("null").trim());
    match is_wild(text) {
        _ if invalid.any(|it| it == text) => Kind::Invalid,
        true => Kind::Pattern,
        false => Kind::Model,
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
pub fn matches(pattern: &str, text: &str) -> bool {
    bytes_match(pattern.as_bytes(), text.as_bytes())
}

fn bytes_match(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if bytes_match(rest, text) => true,
        (Some((b'*', _)), Some((_, left))) => bytes_match(pattern, left),
        (Some((one, rest)), Some((other, left))) if *one == b'?' || one == other => {
            bytes_match(rest, left)
        }
        _ => false,
    }
}
