//! What is asked of a service: one value for each operation.

use std::borrow::Cow;

use super::operation::Operation;
use crate::arn::ModelArn;

/// How many names one DescribeProjects or DescribeProjectVersions takes at most, according to
/// their API reference.
pub(crate) const NAMES_PER_CALL: usize = 10;

/// The account and region that a call is made in. Numbers are given by the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeId(pub(crate) u32);

impl ScopeId {
    /// The function's own account and region, where Organizations and STS are called.
    pub(crate) const FUNCTION: Self = Self(0);
}

/// One call, without the account and region that it is made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    StopProjectVersion {
        model_arn: ModelArn,
    },
    ListTagsForResource {
        model_arn: ModelArn,
    },
    /// The Custom Labels projects with these names, at most ten, or all of them without a name.
    DescribeProjects {
        names: Vec<String>,
        token: Option<String>,
    },
    /// The versions with these names, at most ten, or all of them without a name.
    DescribeProjectVersions {
        project_arn: String,
        names: Vec<String>,
        token: Option<String>,
    },
    AssumeRole {
        role_arn: String,
        external_id: Option<String>,
    },
    ListAccounts {
        token: Option<String>,
    },
    ListAccountsForParent {
        parent: String,
        token: Option<String>,
    },
    ListOrganizationalUnitsForParent {
        parent: String,
        token: Option<String>,
    },
}

impl Request {
    /// The operation that is called.
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::StopProjectVersion { .. } => Operation::StopProjectVersion,
            Self::ListTagsForResource { .. } => Operation::ListTagsForResource,
            Self::DescribeProjects { .. } => Operation::DescribeProjects,
            Self::DescribeProjectVersions { .. } => Operation::DescribeProjectVersions,
            Self::AssumeRole { .. } => Operation::AssumeRole,
            Self::ListAccounts { .. } => Operation::ListAccounts,
            Self::ListAccountsForParent { .. } => Operation::ListAccountsForParent,
            Self::ListOrganizationalUnitsForParent { .. } => {
                Operation::ListOrganizationalUnitsForParent
            }
        }
    }

    /// The same request for the page of a list that has this token, or for the first page.
    pub(crate) fn with_token(mut self, next: Option<String>) -> Self {
        match &mut self {
            Self::DescribeProjects { token, .. }
            | Self::DescribeProjectVersions { token, .. }
            | Self::ListAccounts { token }
            | Self::ListAccountsForParent { token, .. }
            | Self::ListOrganizationalUnitsForParent { token, .. } => *token = next,
            Self::StopProjectVersion { .. }
            | Self::ListTagsForResource { .. }
            | Self::AssumeRole { .. } => {}
        }
        self
    }

    /// What the call concerns, for the log: a model, a project, a role or a unit.
    pub(crate) fn subject(&self) -> Cow<'_, str> {
        match self {
            Self::StopProjectVersion { model_arn } | Self::ListTagsForResource { model_arn } => {
                model_arn.as_str().into()
            }
            Self::DescribeProjects { names, .. } if names.is_empty() => "all projects".into(),
            Self::DescribeProjects { names, .. } => names.join(",").into(),
            Self::DescribeProjectVersions { project_arn, .. } => project_arn.into(),
            Self::AssumeRole { role_arn, .. } => role_arn.into(),
            Self::ListAccounts { .. } => "the organization".into(),
            Self::ListAccountsForParent { parent, .. }
            | Self::ListOrganizationalUnitsForParent { parent, .. } => parent.into(),
        }
    }

    /// Whether it asks about several things by name, each of which can be asked about alone.
    pub(crate) fn is_batch(&self) -> bool {
        match self {
            Self::DescribeProjects { names, .. } | Self::DescribeProjectVersions { names, .. } => {
                names.len() > 1
            }
            _ => false,
        }
    }
    /// Whether it asks how models are that are known already.
    pub(crate) fn is_status_check(&self) -> bool {
        matches!(self, Self::DescribeProjectVersions { names, .. } if !names.is_empty())
    }
}
