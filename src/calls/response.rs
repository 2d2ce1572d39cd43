//! What a service says: one value for each kind of response.

use std::collections::HashMap;
use std::fmt;

use super::error::CallError;
use super::operation::Operation;
use super::status::Status;
use crate::arn::AccountId;

/// The response to a call.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    /// The status of the model after the call, if the response has one.
    Stop(Option<Status>),
    Tags(HashMap<String, String>),
    Projects(Page<Project>),
    Versions(Page<Version>),
    Session(Session),
    Accounts(Page<Account>),
    /// The IDs of units.
    Units(Page<String>),
}

impl Response {
    /// Takes the token of the list's next page, if it is a page of a list that has one.
    pub(crate) fn take_next_token(&mut self) -> Option<String> {
        match self {
            Self::Projects(page) => page.next_token.take(),
            Self::Versions(page) => page.next_token.take(),
            Self::Accounts(page) => page.next_token.take(),
            Self::Units(page) => page.next_token.take(),
            Self::Stop(_) | Self::Tags(_) | Self::Session(_) => None,
        }
    }

    pub(crate) fn into_stop(self) -> Result<Option<Status>, CallError> {
        match self {
            Self::Stop(stop) => Ok(stop),
            _ => Err(CallError::unreadable(Operation::StopProjectVersion)),
        }
    }

    pub(crate) fn into_tags(self) -> Result<HashMap<String, String>, CallError> {
        match self {
            Self::Tags(tags) => Ok(tags),
            _ => Err(CallError::unreadable(Operation::ListTagsForResource)),
        }
    }

    pub(crate) fn into_projects(self) -> Result<Vec<Project>, CallError> {
        match self {
            Self::Projects(page) => Ok(page.items),
            _ => Err(CallError::unreadable(Operation::DescribeProjects)),
        }
    }

    pub(crate) fn into_versions(self) -> Result<Vec<Version>, CallError> {
        match self {
            Self::Versions(page) => Ok(page.items),
            _ => Err(CallError::unreadable(Operation::DescribeProjectVersions)),
        }
    }

    pub(crate) fn into_session(self) -> Result<Session, CallError> {
        match self {
            Self::Session(session) => Ok(session),
            _ => Err(CallError::unreadable(Operation::AssumeRole)),
        }
    }

    pub(crate) fn into_accounts(self) -> Result<Vec<Account>, CallError> {
        match self {
            Self::Accounts(page) => Ok(page.items),
            _ => Err(CallError::unreadable(Operation::ListAccounts)),
        }
    }

    pub(crate) fn into_units(self) -> Result<Vec<String>, CallError> {
        match self {
            Self::Units(page) => Ok(page.items),
            _ => Err(CallError::unreadable(
                Operation::ListOrganizationalUnitsForParent,
            )),
        }
    }
}

/// One page of a list, and the token of the next page if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_token: Option<String>,
}

/// A Custom Labels project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) name: String,
    /// Its ARN, which ends in a number that only DescribeProjects returns.
    pub(crate) arn: String,
    pub(crate) state: ProjectState,
}

/// Whether a project can have models that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProjectState {
    Created,
    /// It is being created or deleted.
    Changing,
}

/// A model as DescribeProjectVersions describes it.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) model_arn: String,
    pub(crate) description: Description,
}

/// What a response says about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) status: Status,
    /// What the service says about the status.
    pub(crate) status_message: Option<String>,
    /// Absent if the model was never started, and in the response to a stop.
    pub(crate) inference_units: Option<InferenceUnits>,
}

/// How many inference units a model has while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InferenceUnits {
    /// `MinInferenceUnits`, the least that is billed.
    pub min: u32,
    /// `MaxInferenceUnits`: with auto scaling, there may be this many.
    pub max: Option<u32>,
}

/// An account of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    /// Its state, such as `ACTIVE` or `SUSPENDED`.
    pub(crate) state: String,
}

/// The credentials of a session in a role. Its `Debug` form says nothing about them.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}
