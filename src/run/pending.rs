//! The calls that are under way. Lists are read here, page by page, so that nothing else has to know
//! of tokens.

use std::collections::HashMap;

use tokio::time::Instant;

use super::pages::{Continuation, Pages};
use super::purpose::{Purpose, Rest, ScopePurpose};
use crate::calls::error::CallError;
use crate::calls::queue::{CallId, Ended, Queue};
use crate::calls::request::{Request, ScopeId};
use crate::calls::response::Response;

/// What has come of a call, or of one page of a list.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) purpose: Purpose,
    pub(super) result: Result<Response, CallError>,
    pub(super) rest: Rest,
}

/// A call that was not over at the deadline.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) purpose: Purpose,
    /// Why it had not succeeded before, if it had been attempted.
    pub(super) last_failure: Option<String>,
}

/// A call, until it is over; a list, until its last page has been read.
#[derive(Debug)]
struct Task {
    purpose: Purpose,
    pages: Pages,
}

/// The queue, and what its calls are for.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    pub(super) queue: Queue,
    tasks: HashMap<CallId, Task>,
    /// Lambda's request ID, for the log.
    request_id: &'a str,
}

impl<'a> Pending<'a> {
    pub(super) fn new(queue: Queue, request_id: &'a str) -> Self {
        Self {
            queue,
            tasks: HashMap::new(),
            request_id,
        }
    }

    /// Adds a call of the function itself.
    pub(super) fn push(&mut self, request: Request, purpose: Purpose) {
        let pages = Pages::default();
        self.add(None, ScopeId::FUNCTION, request, Task { purpose, pages });
    }

    /// Adds a call of a scope that is not to be made before this time, if there is one.
    pub(super) fn push_in(&mut self, scope: ScopeId, at: Option<Instant>, purpose: ScopePurpose) {
        let request = purpose.request();
        let task = Task {
            purpose: Purpose::Scope(scope, purpose),
            pages: Pages::default(),
        };
        self.add(at, scope, request, task);
    }

    /// Handles the end of an attempt, and has the next page of a list read. Returns what has come
    /// of the call, unless it is retried.
    pub(super) fn ended(
        &mut self,
        id: CallId,
        mut result: Result<Response, CallError>,
        now: Instant,
    ) -> Option<Step> {
        let error = result.as_ref().err();
        let call = match self.queue.ended(id, error, now)? {
            Ended::Over(call) => call,
            Ended::Retried(retried) => {
                tracing::debug!(
                    requestId = self.request_id,
                    operation = retried.operation.name(),
                    subject = retried.subject,
                    attempt = retried.attempts,
                    reason = error.map(tracing::field::display),
                    "retry"
                );
                return None;
            }
        };
        let mut task = self.tasks.remove(&id)?;
        let then = match &mut result {
            Ok(response) => task.pages.after(response.take_next_token()),
            Err(error) => task.pages.after_error(error),
        };
        let (at, token) = match then {
            Continuation::End => {
                return Some(Step {
                    purpose: task.purpose,
                    result,
                    rest: Rest::Nothing,
                });
            }
            Continuation::Next(token) => (None, Some(token)),
            Continuation::Restart(pause) => {
                tracing::debug!(
                    requestId = self.request_id,
                    operation = call.request.operation().name(),
                    subject = &*call.request.subject(),
                    reason = task.pages.reason(),
                    "retry"
                );
                (Some(now + pause), None)
            }
        };
        let purpose = task.purpose.clone();
        self.add(at, call.scope, call.request.with_token(token), task);
        result.is_ok().then_some(Step {
            purpose,
            result,
            rest: Rest::Pages,
        })
    }

    /// Gives up all calls that are not over.
    pub(super) fn give_up(&mut self) -> Vec<Unfinished> {
        let mut unfinished = Vec::new();
        for call in self.queue.drain() {
            if let Some(task) = self.tasks.remove(&call.id) {
                let last_error = call.last_error.map(|error| error.to_string());
                unfinished.push(Unfinished {
                    purpose: task.purpose,
                    last_failure: last_error.or(task.pages.reason().map(str::to_owned)),
                });
            }
        }
        unfinished
    }

    fn add(&mut self, at: Option<Instant>, scope: ScopeId, request: Request, task: Task) {
        let id = self.queue.push(scope, request, at);
        self.tasks.insert(id, task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::purpose::List;
    use crate::calls::response::Page;
    use crate::calls::retry::ATTEMPT_LIMIT;

    fn begin() -> Pending<'static> {
        let queue = Queue::new(8, fastrand::Rng::with_seed(7));
        let mut pending = Pending::new(queue, "request-1");
        pending.push(List::Accounts.request(), Purpose::Accounts(List::Accounts));
        pending
    }

    /// The token of the page that is asked for next.
    fn next(pending: &mut Pending, now: Instant) -> Option<(CallId, Option<String>)> {
        assert!(pending.queue.fire(now).is_empty());
        let attempt = pending.queue.next(now, now + ATTEMPT_LIMIT)?;
        match attempt.request {
            Request::ListAccounts { token } => Some((attempt.id, token.clone())),
            request => panic!("{request:?}"),
        }
    }

    fn page(next_token: Option<&str>) -> Result<Response, CallError> {
        Ok(Response::Accounts(Page {
            items: Vec::new(),
            next_token: next_token.map(str::to_owned),
        }))
    }

    fn refused(code: &str) -> CallError {
        CallError::Refused {
            status: 400,
            code: Some(code.to_owned()),
            message: String::new(),
        }
    }

    #[test]
    fn a_list_is_read_page_by_page_and_begun_again_when_its_token_has_expired() {
        let mut now = Instant::now();
        let mut pending = begin();
        let expired = || Err(refused("InvalidPaginationTokenException"));
        let denied = || Err(refused("AccessDeniedException"));
        for (token, response, rest) in [
            (None, page(Some("2")), Some(Rest::Pages)),
            (Some("2"), page(Some("3")), Some(Rest::Pages)),
            (Some("3"), Err(CallError::NoResponse), None),
            (Some("3"), expired(), None),
            (None, page(Some("2")), Some(Rest::Pages)),
            // A token that repeats.
            (Some("2"), page(Some("2")), Some(Rest::Pages)),
            (None, denied(), Some(Rest::Nothing)),
        ] {
            if let Some(due) = pending.queue.due() {
                assert!(next(&mut pending, now).is_none());
                now = due;
            }
            let (id, asked) = next(&mut pending, now).unwrap();
            assert_eq!(asked.as_deref(), token);
            let is_ok = response.is_ok();
            let step = pending.ended(id, response, now);
            assert_eq!(step.as_ref().map(|step| step.rest), rest, "{token:?}");
            assert!(step.is_none_or(|step| step.result.is_ok() == is_ok));
        }
        assert!(pending.give_up().is_empty());
    }

    #[test]
    fn what_is_given_up_says_why_it_had_not_succeeded() {
        let now = Instant::now();
        let expired = "InvalidPaginationTokenException";
        for (errors, last_failure) in [
            (vec![], None),
            (vec![CallError::NoResponse], Some("no response in time")),
            (vec![refused(expired)], Some(expired)),
            (
                vec![refused(expired), refused("ThrottlingException")],
                Some("ThrottlingException"),
            ),
        ] {
            let mut pending = begin();
            for error in errors {
                let now = pending.queue.due().unwrap_or(now);
                let (id, _) = next(&mut pending, now).unwrap();
                assert!(pending.ended(id, Err(error), now).is_none());
            }
            let unfinished = pending.give_up();
            let [unfinished] = &unfinished[..] else {
                panic!("{unfinished:?}");
            };
            assert_eq!(unfinished.last_failure.as_deref(), last_failure);
        }
    }
}
