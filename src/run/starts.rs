//! Who started the models of an account and region that run: a courtesy, on which no outcome
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
