//! What a service says: one value for each kind of response.

use std::collections::HashMap;
use std::fmt;

use time::OffsetDateTime;

use super::status::Status;
use crate::arn::{AccountId, ModelArn};

/// The response to a call: of a list, one page.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) content: Content,
    /// The token of the next page, if there is one.
    pub(crate) next_token: Option<String>,
}

/// What a response says.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The status of the model after the call, if the response has one.
    Stop(Option<Status>),
    Tags(HashMap<String, String>),
    Projects(Vec<Project>),
    Versions(Vec<Version>),
    Session(Session),
    Accounts(Vec<Account>),
    /// The IDs of units.
    Units(Vec<String>),
    /// The starts on a page that succeeded, and the token of the next page.
    Starts(Vec<Start>, Option<String>),
}

impl From<Content> for Response {
    /// The response to a call that is no list.
    fn from(content: Content) -> Self {
        Self {
            content,
            next_token: None,
        }
    }
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

impl InferenceUnits {
    /// The least that an hour costs, given the price of an inference unit hour.
    pub fn cost_per_hour(self, price: f64) -> f64 {
        f64::from(self.min) * price
    }
}

/// An account of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    /// Its state, such as `ACTIVE` or `SUSPENDED`.
    pub(crate) state: String,
}

/// A start of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) model_arn: ModelArn,
    pub(crate) at: Option<OffsetDateTime>,
    pub(crate) by: Option<String>,
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
