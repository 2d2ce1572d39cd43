//! How a list is read, page by page: one rule for discovery and for status checks.

use std::collections::HashSet;
use std::time::Duration;

use crate::aws::{CallError, Page};

/// The pauses before a list is restarted; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause if a token repeats, which is unlikely to be transient.
const LONGEST_PAUSE_OF_REPEATS: Duration = Duration::from_secs(30);

/// How far a list has been read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    token: Option<String>,
    earlier_tokens: HashSet<String>,
    restarts: u32,
}

/// How to continue after a page.
#[derive(Debug)]
pub(super) enum Continuation {
    /// That was the last page.
    End,
    /// The next page.
    NextPage,
    /// The first page again, after a pause.
    Restart {
        pause: Duration,
        error: CallError,
        /// Whether it is because a token repeats.
        repeats: bool,
    },
    /// The list cannot be read.
    Failed(CallError),
}

impl Pages {
    /// The token of the page to read next.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Handles the response for a page. Returns its items, and how to continue.
    ///
    /// The list is restarted if its token has expired, if a page cannot be read, and if a token
    /// repeats, which would otherwise never end. An empty token is the end of the list.
    pub(super) fn take<T>(&mut self, page: Result<Page<T>, CallError>) -> (Vec<T>, Continuation) {
        let page = match page {
            Ok(page) => page,
            Err(error) if error.calls_for_list_restart() => {
                return (Vec::new(), self.restart(error, false));
            }
            // This is the error of Organizations for an expired token, among other things.
            Err(error) if self.token.is_some() && error.has_code("InvalidInputException") => {
                return (Vec::new(), self.restart(error, false));
            }
            Err(error) => return (Vec::new(), Continuation::Failed(error)),
        };
        let then = match page.next_token.filter(|token| !token.is_empty()) {
            None => Continuation::End,
            Some(token) if self.earlier_tokens.insert(token.clone()) => {
                self.token = Some(token);
                Continuation::NextPage
            }
            Some(_) => {
                let message = "the token of the next page repeats".to_owned();
                self.restart(CallError::Unclear { message }, true)
            }
        };
        (page.items, then)
    }

    /// Restarts the list, after a growing pause.
    fn restart(&mut self, error: CallError, repeats: bool) -> Continuation {
        let longest = match repeats {
            true => LONGEST_PAUSE_OF_REPEATS,
            false => LONGEST_PAUSE,
        };
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.restarts.min(5));
        *self = Self {
            restarts: self.restarts + 1,
            ..Self::default()
        };
        Continuation::Restart {
            pause: pause.min(longest),
            error,
            repeats,
        }
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
            code: code.to_owned(),
            message: String::new(),
        })
    }

    fn unclear() -> Result<Page<u8>, CallError> {
        Err(CallError::Unclear {
            message: "garbage".to_owned(),
        })
    }

    #[test]
    fn a_list_ends_with_no_token_or_an_empty_one() {
        for token in [None, Some("")] {
            let mut pages = Pages::default();
            assert!(
                matches!(pages.take(page(Some("2"))), (items, Continuation::NextPage) if items == [1])
            );
            assert_eq!(pages.token(), Some("2"));
            assert!(matches!(pages.take(page(token)), (items, Continuation::End) if items == [1]));
        }
    }

    #[test]
    fn an_expired_token_and_an_unreadable_page_restart_the_list_after_growing_pauses() {
        let mut pages = Pages::default();
        let expired = || refused("InvalidPaginationTokenException");
        for (broken, seconds) in [
            (unclear(), 1),
            (expired(), 2),
            (unclear(), 2),
            (expired(), 2),
        ] {
            pages.take(page(Some("2")));
            let (_, then) = pages.take(broken);
            let expected = Duration::from_secs(seconds);
            assert!(
                matches!(then, Continuation::Restart { pause, repeats: false, .. } if pause == expected)
            );
            assert_eq!(pages.token(), None);
        }
    }

    #[test]
    fn a_token_that_repeats_restarts_the_list_less_and_less_often() {
        let mut pages = Pages::default();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            pages.take(page(Some("2")));
            pages.take(page(Some("3")));
            let (items, then) = pages.take(page(Some("2")));
            assert_eq!(items, [1]);
            let expected = Duration::from_secs(seconds);
            assert!(
                matches!(then, Continuation::Restart { pause, repeats: true, .. } if pause == expected)
            );
        }
    }

    #[test]
    fn an_invalid_input_restarts_the_list_only_if_it_had_a_token_that_may_have_expired() {
        let invalid = || refused("InvalidInputException");
        let mut pages = Pages::default();
        assert!(matches!(
            pages.take(invalid()),
            (_, Continuation::Failed(_))
        ));
        pages.take(page(Some("2")));
        assert!(matches!(
            pages.take(invalid()),
            (_, Continuation::Restart { .. })
        ));
        assert!(matches!(
            pages.take(invalid()),
            (_, Continuation::Failed(_))
        ));
    }

    #[test]
    fn any_other_error_fails_the_list() {
        let (items, then) = Pages::default().take(refused("AccessDeniedException"));
        assert!(items.is_empty() && matches!(then, Continuation::Failed(_)));
    }
}
