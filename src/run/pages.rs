//! How a list is read, page by page: one rule for all lists.

use std::collections::HashSet;
use std::time::Duration;

use crate::calls::error::CallError;
use crate::calls::response::Page;
use crate::calls::retry;

/// How far a list has been read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    token: Option<String>,
    earlier_tokens: HashSet<String>,
    restarts: u32,
    /// Why it was last restarted.
    reason: Option<String>,
}

/// How to continue after a page.
#[derive(Debug)]
pub(super) enum Continuation {
    /// That was the last page.
    End,
    /// The next page.
    NextPage,
    /// The first page again, after a pause.
    Restart(Duration),
    /// The list cannot be read.
    Failed(CallError),
}

impl Pages {
    /// The token of the page to read next.
    pub(super) fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Why the list was last restarted, if it was.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Handles the response for a page. Returns its items, and how to continue.
    ///
    /// The list is restarted if its token has expired, and if a token repeats, which would
    /// otherwise never end. An empty token is the end of the list.
    pub(super) fn take<T>(&mut self, page: Result<Page<T>, CallError>) -> (Vec<T>, Continuation) {
        let page = match page {
            Ok(page) => page,
            Err(error) if self.has_expired(&error) => {
                return (Vec::new(), self.restart(error.to_string()));
            }
            Err(error) => return (Vec::new(), Continuation::Failed(error)),
        };
        let then = match page.next_token.filter(|token| !token.is_empty()) {
            None => Continuation::End,
            Some(token) if self.earlier_tokens.insert(token.clone()) => {
                self.token = Some(token);
                Continuation::NextPage
            }
            Some(_) => self.restart("the token of the next page repeats".to_owned()),
        };
        (page.items, then)
    }

    /// Whether the error is that of a token that has expired. That of Organizations is also the
    /// error for other things, which a list without a token can have.
    fn has_expired(&self, error: &CallError) -> bool {
        match error.code() {
            Some("InvalidPaginationTokenException") => true,
            Some("InvalidInputException") => self.token.is_some(),
            _ => false,
        }
    }

    fn restart(&mut self, reason: String) -> Continuation {
        let restarts = self.restarts + 1;
        *self = Self {
            restarts,
            reason: Some(reason),
            ..Self::default()
        };
        Continuation::Restart(retry::pause(restarts, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next_token: Option<&str>) -> Result<Page<u8>, CallError> {
        Ok(Page {
            items: vec![1],
            next_token: next_token.map(str::to_owned),
        })
    }

    fn refused(code: &str) -> Result<Page<u8>, CallError> {
        Err(CallError::Refused {
            status: 400,
            code: Some(code.to_owned()),
            message: String::new(),
        })
    }

    #[test]
    fn a_list_ends_with_no_token_or_an_empty_one() {
        for last in [None, Some("")] {
            let mut pages = Pages::default();
            let (items, then) = pages.take(page(Some("a")));
            assert!(matches!(then, Continuation::NextPage), "{then:?}");
            assert_eq!((items, pages.token()), (vec![1], Some("a".to_owned())));
            let (items, then) = pages.take(page(last));
            assert!(matches!(then, Continuation::End), "{then:?}");
            assert_eq!(items, [1]);
        }
    }

    #[test]
    fn an_expired_token_and_one_that_repeats_restart_the_list_after_growing_pauses() {
        let mut pages = Pages::default();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            for end in [refused("InvalidPaginationTokenException"), page(Some("a"))] {
                let (_, then) = pages.take(page(Some("a")));
                assert!(matches!(then, Continuation::NextPage), "{then:?}");
                let (_, then) = pages.take(end);
                let Continuation::Restart(pause) = then else {
                    panic!("{then:?}");
                };
                assert_eq!(pages.token(), None);
                assert!(pages.reason().is_some());
                pauses.push(pause);
            }
        }
        assert!(pauses.is_sorted() && pauses[0] < pauses[5], "{pauses:?}");
    }

    #[test]
    fn an_invalid_input_restarts_the_list_only_if_it_had_a_token_that_may_have_expired() {
        let mut pages = Pages::default();
        let (_, then) = pages.take(refused("InvalidInputException"));
        assert!(matches!(then, Continuation::Failed(_)), "{then:?}");
        let _ = pages.take(page(Some("a")));
        let (_, then) = pages.take(refused("InvalidInputException"));
        assert!(matches!(then, Continuation::Restart(_)), "{then:?}");
    }

    #[test]
    fn any_other_error_fails_the_list() {
        let (_, then) = Pages::default().take(refused("AccessDeniedException"));
        assert!(matches!(then, Continuation::Failed(_)), "{then:?}");
    }
}
