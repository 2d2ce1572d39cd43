//! What is asked of a service: one value for each operation.

use std::borrow::Cow;

use super::operation::Operation;
use super::response::Project;
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

/// What a call asks, without the account and region that it is made in, and without the page of a
/// list.
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
    },
    /// The versions of a project that are these models, at most ten, or all of them.
    DescribeProjectVersions {
        project: Project,
        models: Vec<ModelArn>,
    },
    AssumeRole {
        role_arn: String,
        external_id: Option<String>,
    },
    ListAccounts,
    ListAccountsForParent {
        parent: String,
    },
    ListOrganizationalUnitsForParent {
        parent: String,
    },
    /// The starts of models, newest first: one page.
    LookupEvents {
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
            Self::ListAccounts => Operation::ListAccounts,
            Self::ListAccountsForParent { .. } => Operation::ListAccountsForParent,
            Self::ListOrganizationalUnitsForParent { .. } => {
                Operation::ListOrganizationalUnitsForParent
            }
            Self::LookupEvents { .. } => Operation::LookupEvents,
        }
    }

    /// What the call concerns, for the log: a model, a project, a role or a unit.
    pub(crate) fn subject(&self) -> Cow<'_, str> {
        match self {
            Self::StopProjectVersion { model_arn } | Self::ListTagsForResource { model_arn } => {
                model_arn.as_str().into()
            }
            Self::DescribeProjects { names } if names.is_empty() => "all projects".into(),
            Self::DescribeProjects { names } => names.join(",").into(),
            Self::DescribeProjectVersions { project, .. } => (&project.arn).into(),
            Self::AssumeRole { role_arn, .. } => role_arn.into(),
            Self::ListAccounts => "the organization".into(),
            Self::LookupEvents { .. } => "the starts of models".into(),
            Self::ListAccountsForParent { parent }
            | Self::ListOrganizationalUnitsForParent { parent } => parent.into(),
        }
    }

    /// Whether it asks about several things by name, each of which can be asked about alone.
    pub(crate) fn is_batch(&self) -> bool {
        match self {
            Self::DescribeProjects { names } => names.len() > 1,
            Self::DescribeProjectVersions { models, .. } => models.len() > 1,
            _ => false,
        }
    }

    /// Whether it asks how models are that are known already.
    pub(crate) fn is_status_check(&self) -> bool {
        matches!(self, Self::DescribeProjectVersions { models, .. } if !models.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::response::ProjectState;

    fn model(version: &str) -> ModelArn {
        let text =
            format!("arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/{version}/1");
        text.parse().unwrap()
    }

    #[test]
    fn a_call_says_what_it_concerns_and_whether_it_can_be_taken_apart() {
        let project = Project {
            name: "shelf".to_owned(),
            arn: "arn:aws:rekognition:us-east-1:123456789012:project/shelf/2".to_owned(),
            state: ProjectState::Created,
        };
        let projects = |names: &[&str]| Request::DescribeProjects {
            names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        let versions = |models: &[&str]| Request::DescribeProjectVersions {
            project: project.clone(),
            models: models.iter().map(|version| model(version)).collect(),
        };
        let stop = Request::StopProjectVersion {
            model_arn: model("v1"),
        };
        let (batch, single) = (true, false);
        let (check, other) = (true, false);
        for (request, subject, is_batch, is_check) in [
            (projects(&[]), "all projects", single, other),
            (projects(&["shelf"]), "shelf", single, other),
            (projects(&["shelf", "caps"]), "shelf,caps", batch, other),
            (versions(&[]), &*project.arn, single, other),
            (versions(&["v1"]), &*project.arn, single, check),
            (versions(&["v1", "v2"]), &*project.arn, batch, check),
            (stop, model("v1").as_str(), single, other),
        ] {
            assert_eq!(request.subject(), subject);
            assert_eq!(request.is_batch(), is_batch, "{request:?}");
            assert_eq!(request.is_status_check(), is_check, "{request:?}");
        }
    }
}
