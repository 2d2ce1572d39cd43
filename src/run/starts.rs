//! Who started the running models of an account and region: a courtesy, on which no outcome
//! depends.

use std::collections::{HashMap, HashSet};

use crate::arn::ModelArn;
use crate::calls::request::Request;
use crate::calls::response::Start;

/// How many pages of starts are read at most.
const MOST_PAGES: usize = 4;

/// The starts in an account and region, newest first, as far as they have been read.
#[derive(Debug)]
pub(super) struct Starts {
    /// The last start of each model.
    last: HashMap<ModelArn, Start>,
    /// The models whose start is looked for, and how many of them the next page may have.
    sought: HashSet<ModelArn>,
    missing: usize,
    /// The token of the next page, unless that is the first.
    token: Option<String>,
    pages_left: usize,
    is_reading: bool,
}

impl Starts {
    pub(super) fn new(find_starts: bool) -> Self {
        Self {
            last: HashMap::new(),
            sought: HashSet::new(),
            missing: 0,
            token: None,
            pages_left: if find_starts { MOST_PAGES } else { 0 },
            is_reading: false,
        }
    }

    /// Looks for the start of a model.
    pub(super) fn seek(&mut self, model_arn: &ModelArn) {
        let is_over = self.pages_left == 0 && !self.is_reading;
        if self.last.contains_key(model_arn) {
            self.sought.insert(model_arn.clone());
        } else if !is_over && self.sought.insert(model_arn.clone()) {
            self.missing += 1;
        }
    }

    /// Whether a start is missing that the next page may have.
    pub(super) fn are_missing(&self) -> bool {
        self.missing > 0
    }

    /// The call for the next page, if that is to be read now.
    pub(super) fn call(&mut self) -> Option<Request> {
        if self.is_reading || self.missing == 0 {
            return None;
        }
        self.is_reading = true;
        self.pages_left -= 1;
        let token = self.token.take();
        Some(Request::LookupEvents { token })
    }

    /// Handles a page.
    pub(super) fn take(&mut self, starts: Vec<Start>, next_token: Option<String>) {
        self.is_reading = false;
        for start in starts {
            if !self.last.contains_key(&start.model_arn) {
                self.missing -= usize::from(self.sought.contains(&start.model_arn));
                self.last.insert(start.model_arn.clone(), start);
            }
        }
        self.token = next_token.filter(|token| !token.is_empty());
        if self.token.is_none() || self.pages_left == 0 {
            self.give_up();
        }
    }

    /// Reads no more.
    pub(super) fn give_up(&mut self) {
        self.is_reading = false;
        self.pages_left = 0;
        self.missing = 0;
    }

    /// The last start of a model, if it was looked for and found.
    pub(super) fn of(&self, model_arn: &ModelArn) -> Option<&Start> {
        self.last.get(self.sought.get(model_arn)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(version: &str) -> ModelArn {
        let text =
            format!("arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/{version}/1");
        text.parse().unwrap()
    }

    fn start(version: &str, by: &str) -> Start {
        Start {
            model_arn: arn(version),
            at: None,
            by: Some(by.to_owned()),
        }
    }

    /// Who started a model, as far as that has been looked for.
    fn starter<'a>(starts: &'a Starts, version: &str) -> Option<&'a str> {
        starts.of(&arn(version))?.by.as_deref()
    }

    #[test]
    fn pages_are_read_until_each_model_is_explained_and_four_at_most() {
        for (pages, is_last, calls) in [
            (vec!["v1 v2"], false, 1),
            (vec!["v1", "v9", "v2"], false, 3),
            (vec!["v1", "v9", "v9", "v2"], false, 4),
            (vec!["v1", "v9", "v9", "v9", "v2"], false, 4),
            (vec!["v1"], true, 1),
        ] {
            let mut starts = Starts::new(true);
            starts.seek(&arn("v1"));
            starts.seek(&arn("v2"));
            let mut made = 0;
            for page in &pages {
                let Some(Request::LookupEvents { token }) = starts.call() else {
                    break;
                };
                assert_eq!(token.is_some(), made > 0);
                assert!(starts.call().is_none(), "two pages at once");
                let page = page.split(' ').map(|version| start(version, "alice"));
                let token = if is_last { "" } else { "next" };
                starts.take(page.collect(), Some(token.to_owned()));
                made += 1;
            }
            assert_eq!(made, calls, "{pages:?}");
            assert!(
                !starts.are_missing() && starts.call().is_none(),
                "{pages:?}"
            );
            assert_eq!(starter(&starts, "v1"), Some("alice"));
            let is_found = pages.iter().take(4).any(|page| page.contains("v2"));
            assert_eq!(starter(&starts, "v2").is_some(), is_found, "{pages:?}");
            assert_eq!(starter(&starts, "v9"), None);
        }
    }

    #[test]
    fn the_newest_start_counts_and_a_later_model_is_explained_by_what_was_read_before() {
        let mut starts = Starts::new(true);
        starts.seek(&arn("v1"));
        assert!(starts.call().is_some());
        let page = [
            start("v1", "alice"),
            start("v2", "bob"),
            start("v1", "carol"),
        ];
        starts.take(page.to_vec(), Some("next".to_owned()));
        starts.seek(&arn("v2"));
        assert!(starts.call().is_none());
        assert_eq!(starter(&starts, "v1"), Some("alice"));
        assert_eq!(starter(&starts, "v2"), Some("bob"));
    }

    #[test]
    fn nothing_is_read_after_it_was_given_up_or_unless_it_is_set() {
        let mut given_up = Starts::new(true);
        given_up.give_up();
        for mut starts in [given_up, Starts::new(false)] {
            starts.seek(&arn("v1"));
            assert!(!starts.are_missing() && starts.call().is_none());
        }
    }
}
