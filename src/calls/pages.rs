//! How a list is read, page by page: one rule for all lists.

use std::collections::HashSet;
use std::time::Duration;

use super::error::CallError;
use super::retry;

/// How far a list has been read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// The token of the page that is asked for; none for the first.
    pub(super) token: Option<String>,
    earlier_tokens: HashSet<String>,
    restarts: u32,
    /// Why it was last restarted.
    pub(super) reason: Option<String>,
}

/// How to continue after a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The list has ended, or cannot be read.
    End,
    /// With the next page.
    Next,
    /// With the first page again, after a pause.
    Restart(Duration),
}

impl Pages {
    /// How to continue after a page with this token for the next one. An empty token is the end of
    /// the list. If a token repeats, the list would never end.
    pub(super) fn after(&mut self, next_token: Option<String>) -> Continuation {
        match next_token.filter(|token| !token.is_empty()) {
            None => Continuation::End,
            Some(token) if self.earlier_tokens.insert(token.clone()) => {
                self.token = Some(token);
                Continuation::Next
            }
            Some(_) => self.restart("the token of the next page repeats".to_owned()),
        }
    }

    /// How to continue after this error. A token can expire, which Organizations reports with a
    /// code that has other meanings for a first page; and what is listed can be deleted half way.
    pub(super) fn after_error(&mut self, error: &CallError) -> Continuation {
        match error.code() {
            Some("InvalidPaginationTokenException") => self.restart(error.to_string()),
            Some("InvalidInputException" | "ResourceNotFoundException")
                if !self.earlier_tokens.is_empty() =>
            {
                self.restart(error.to_string())
            }
            _ => Continuation::End,
        }
    }

    fn restart(&mut self, reason: String) -> Continuation {
        self.token = None;
        self.earlier_tokens.clear();
        self.restarts += 1;
        self.reason = Some(reason);
        Continuation::Restart(retry::pause(self.restarts, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> CallError {
        CallError::Refused {
            status: 400,
            code: Some(code.to_owned()),
            message: String::new(),
        }
    }

    fn token(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_list_ends_with_no_token_or_an_empty_one() {
        let mut pages = Pages::default();
        for next in ["a", "b"] {
            assert_eq!(pages.after(token(next)), Continuation::Next);
            assert_eq!(pages.token.as_deref(), Some(next));
        }
        for last in [None, token("")] {
            assert_eq!(pages.after(last), Continuation::End);
        }
        assert_eq!(pages.reason, None);
    }

    #[test]
    fn an_expired_token_and_one_that_repeats_restart_the_list_after_growing_pauses() {
        let mut pages = Pages::default();
        let mut pauses = Vec::new();
        for round in 0..6 {
            pages.after(token("a"));
            let then = match round % 2 {
                0 => pages.after(token("a")),
                _ => pages.after_error(&refused("InvalidPaginationTokenException")),
            };
            let Continuation::Restart(pause) = then else {
                panic!("{then:?}");
            };
            assert!(pages.reason.is_some() && pages.token.is_none());
            pauses.push(pause);
        }
        assert!(pauses.is_sorted() && pauses[0] < pauses[5], "{pauses:?}");
    }

    #[test]
    fn an_invalid_input_or_nothing_found_restarts_a_list_half_way_and_ends_it_at_its_first_page() {
        for code in ["InvalidInputException", "ResourceNotFoundException"] {
            let mut pages = Pages::default();
            let error = refused(code);
            assert_eq!(pages.after_error(&error), Continuation::End);
            pages.after(token("a"));
            let then = pages.after_error(&error);
            assert!(matches!(then, Continuation::Restart(_)), "{then:?}");
        }
    }

    #[test]
    fn any_other_error_ends_the_list() {
        let error = refused("AccessDeniedException");
        assert_eq!(Pages::default().after_error(&error), Continuation::End);
    }
}
