//! The calls that are under way. Lists are read here, page by page, so
//! that nothing else has to know of pages.

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
            Continuation::Restart(pause) => (Some(now + pause), None),
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
        let id = match at {
            Some(at) => self.queue.push_at(at, scope, request),
            None => self.queue.push(scope, request),
        };
        self.tasks.insert(id, task);
    }
}
