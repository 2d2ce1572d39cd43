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
    /// The models whose start the next page may have.
    missing: HashSet<ModelArn>,
    /// The token of the next page, unless that is the first.
    token: Option<String>,
    pages_left: usize,
    is_reading: bool,
}

impl Starts {
    pub(super) fn new(find_starts: bool) -> Self {
        Self {
            last: HashMap::new(),
            missing: HashSet::new(),
            token: None,
            pages_left: if find_starts { MOST_PAGES } else { 0 },
            is_reading: false,
        }
    }

    /// Looks for the start of a model.
    pub(super) fn seek(&mut self, model_arn: &ModelArn) {
        let is_over = self.pages_left == 0 && !self.is_reading;
        if !is_over && !self.last.contains_key(model_arn) {
            self.missing.insert(model_arn.clone());
        }
    }

    /// Whether a start is missing that the next page may have.
    pub(super) fn are_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// The call for the next page, if that is to be read now.
    pub(super) fn call(&mut self) -> Option<Request> {
        if self.is_reading || self.missing.is_empty() {
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
            self.missing.remove(&start.model_arn);
            let last = self.last.entry(start.model_arn.clone());
            last.or_insert(start);
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
        self.missing.clear();
    }

    /// The last start of a model, if it has been found.
    pub(super) fn of(&self, model_arn: &ModelArn) -> Option<&Start> {
        self.last.get(model_arn)
    }
}
