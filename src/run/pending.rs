//! The calls that are under way, each with what it is for.

use std::collections::HashMap;

use tokio::time::Instant;

use super::accounts::AccountsCall;
use super::checks::CheckCall;
use super::discovery::DiscoveryCall;
use crate::arn::ModelArn;
use crate::calls::queue::{CallId, Queue};
use crate::calls::request::{Request, ScopeId};

/// What a call is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The session of an account, by its index.
    Session(usize),
    /// The accounts that wildcards match.
    Accounts(AccountsCall),
    /// The models of a scope.
    Scope(ScopeId, ScopePurpose),
}

/// What a call of a scope is for.
#[derive(Debug)]
pub(super) enum ScopePurpose {
    Stop(ModelArn),
    Tag(ModelArn),
    Discovery(DiscoveryCall),
    Check(CheckCall),
}

/// The queue, and what its calls are for.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) queue: Queue,
    purposes: HashMap<CallId, Purpose>,
}

impl Pending {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            purposes: HashMap::new(),
        }
    }

    /// Adds a call of the function itself.
    pub(super) fn push(&mut self, request: Request, purpose: Purpose) {
        let id = self.queue.push(ScopeId::FUNCTION, request);
        self.purposes.insert(id, purpose);
    }

    /// Adds a call of the function itself that is not to be made before this time.
    pub(super) fn push_at(&mut self, at: Instant, request: Request, purpose: Purpose) {
        let id = self.queue.push_at(at, ScopeId::FUNCTION, request);
        self.purposes.insert(id, purpose);
    }

    /// Adds a call of a scope that is not to be made before this time, if there is one.
    pub(super) fn push_in(&mut self, scope: ScopeId, at: Option<Instant>, purpose: ScopePurpose) {
        let request = purpose.request();
        let id = match at {
            Some(at) => self.queue.push_at(at, scope, request),
            None => self.queue.push(scope, request),
        };
        self.purposes.insert(id, Purpose::Scope(scope, purpose));
    }

    /// What a call was for that is over.
    pub(super) fn take(&mut self, id: CallId) -> Option<Purpose> {
        self.purposes.remove(&id)
    }
}

impl ScopePurpose {
    fn request(&self) -> Request {
        match self {
            Self::Stop(model_arn) => Request::StopProjectVersion {
                model_arn: model_arn.clone(),
            },
            Self::Tag(model_arn) => Request::ListTagsForResource {
                model_arn: model_arn.clone(),
            },
            Self::Discovery(call) => call.request(),
            Self::Check(call) => call.request(),
        }
    }
}
