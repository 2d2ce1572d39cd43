//! How a list is read, page by page: one rule for patterns and for looks.

use std::collections::HashSet;
use std::time::Duration;

use crate::aws::{CallError, Page};

/// The pauses before a list is begun anew; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest where its token repeats, which is not likely to pass.
const LONGEST_PAUSE_OF_REPEATS: Duration = Duration::from_secs(30);

/// Where the reading of a list stands.
#[derive(Debug, Default)]
pub(super) struct Pages {
    token: Option<String>,
    earlier_tokens: HashSet<String>,
    restarts: u32,
}

/// What comes after a page.
#[derive(Debug)]
pub(super) enum Then {
    /// That was the last page.
    End,
    /// The next page.
    More,
    /// The first page again, after a pause.
    Anew {
        pause: Duration,
        error: CallError,
        /// Whether it is because a token repeats.
        repeats: bool,
    },
    /// The list cannot be read.
    Failed(CallError),
}

impl Pages {
    /// The token of the page that is read next.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Takes the response for a page: its items, and what comes after it.
    ///
    /// The list is begun anew where its token has expired, where a page cannot be read, and where a
    /// token repeats, which would go round for ever. An empty token is the end of the list.
    pub(super) fn take<T>(&mut self, page: Result<Page<T>, CallError>) -> (Vec<T>, Then) {
        let page = match page {
            Ok(page) => page,
            Err(error) if error.is_of_a_broken_list() => {
                return (Vec::new(), self.anew(error, false));
            }
            // The word of Organizations for a token that has expired, among other things.
            Err(error) if self.token.is_some() && error.is_refused_as("InvalidInputException") => {
                return (Vec::new(), self.anew(error, false));
            }
            Err(error) => return (Vec::new(), Then::Failed(error)),
        };
        let then = match page.next_token.filter(|token| !token.is_empty()) {
            None => Then::End,
            Some(token) if self.earlier_tokens.insert(token.clone()) => {
                self.token = Some(token);
                Then::More
            }
            Some(_) => {
                let message = "the token of the next page repeats".to_owned();
                self.anew(CallError::Unclear { message }, true)
            }
        };
        (page.items, then)
    }

    /// Begins the list anew, after a pause that grows.
    fn anew(&mut self, error: CallError, repeats: bool) -> Then {
        let longest = match repeats {
            true => LONGEST_PAUSE_OF_REPEATS,
            false => LONGEST_PAUSE,
        };
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.restarts.min(5));
        *self = Self {
            restarts: self.restarts + 1,
            ..Self::default()
        };
        Then::Anew {
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
    fn a_list_ends_where_there_is_no_token_or_an_empty_one() {
        for token in [None, Some("")] {
            let mut pages = Pages::default();
            assert!(matches!(pages.take(page(Some("2"))), (items, Then::More) if items == [1]));
            assert_eq!(pages.token(), Some("2"));
            assert!(matches!(pages.take(page(token)), (items, Then::End) if items == [1]));
        }
    }

    #[test]
    fn an_expired_token_and_an_unreadable_page_begin_the_list_anew_after_growing_pauses() {
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
            assert!(matches!(then, Then::Anew { pause, repeats: false, .. } if pause == expected));
            assert_eq!(pages.token(), None);
        }
    }

    #[test]
    fn a_token_that_repeats_begins_the_list_anew_later_and_later() {
        let mut pages = Pages::default();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            pages.take(page(Some("2")));
            pages.take(page(Some("3")));
            let (items, then) = pages.take(page(Some("2")));
            assert_eq!(items, [1]);
            let expected = Duration::from_secs(seconds);
            assert!(matches!(then, Then::Anew { pause, repeats: true, .. } if pause == expected));
        }
    }

    #[test]
    fn an_input_is_invalid_only_where_it_has_a_token_that_may_have_expired() {
        let invalid = || refused("InvalidInputException");
        let mut pages = Pages::default();
        assert!(matches!(pages.take(invalid()), (_, Then::Failed(_))));
        pages.take(page(Some("2")));
        assert!(matches!(pages.take(invalid()), (_, Then::Anew { .. })));
        assert!(matches!(pages.take(invalid()), (_, Then::Failed(_))));
    }

    #[test]
    fn any_other_error_fails_the_list() {
        let (items, then) = Pages::default().take(refused("AccessDeniedException"));
        assert!(items.is_empty() && matches!(then, Then::Failed(_)));
    }
}
