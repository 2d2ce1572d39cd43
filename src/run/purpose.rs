//! What calls are for.

use std::ops::Range;

use crate::arn::ModelArn;
use crate::calls::request::{Request, ScopeId};
use crate::calls::response::Project;

/// What a call is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The session of an account, by its index.
    Session(usize),
    /// The accounts that wildcards match: those of a list, or the units of one.
    Accounts(List),
    /// The models of a scope.
    Scope(ScopeId, ScopePurpose),
}

/// A list of the organization.
#[derive(Clone, Debug)]
pub(super) enum List {
    /// All accounts of the organization.
    Accounts,
    /// The accounts directly under a root or a unit.
    AccountsOf(String),
    /// The units directly under a root or a unit.
    UnitsOf(String),
}

/// What a call of a scope is for.
#[derive(Clone, Debug)]
pub(super) enum ScopePurpose {
    Stop(ModelArn),
    Tag(ModelArn),
    /// The projects with these names, or all of them, for patterns.
    FindProjects(ProjectList),
    /// The versions of a project, for patterns.
    FindVersions(VersionList),
    /// The projects of models that are to be checked, by their names.
    LookUpProjects(Vec<String>),
    CheckVersions(StatusCheck),
}

/// A list of projects that is read for patterns.
#[derive(Clone, Debug)]
pub(super) struct ProjectList {
    /// The projects' names; none for all projects.
    pub(super) names: Vec<String>,
    /// The indices of the searches for which it is read.
    pub(super) searches: Range<usize>,
}

/// A list of a project's versions that is read for patterns.
#[derive(Clone, Debug)]
pub(super) struct VersionList {
    pub(super) project: Project,
    /// The indices of the searches for which it is read.
    pub(super) searches: Range<usize>,
}

/// A check of models of one project, at most ten.
#[derive(Clone, Debug)]
pub(super) struct StatusCheck {
    pub(super) project_arn: String,
    pub(super) models: Vec<ModelArn>,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    /// Further pages of the list.
    Pages,
}

impl List {
    /// The request for its first page.
    pub(super) fn request(&self) -> Request {
        let token = None;
        match self.clone() {
            Self::Accounts => Request::ListAccounts { token },
            Self::AccountsOf(parent) => Request::ListAccountsForParent { parent, token },
            Self::UnitsOf(parent) => Request::ListOrganizationalUnitsForParent { parent, token },
        }
    }
}

impl ScopePurpose {
    /// The request, for the first page if it is that of a list.
    pub(super) fn request(&self) -> Request {
        let token = None;
        match self {
            Self::Stop(model_arn) => Request::StopProjectVersion {
                model_arn: model_arn.clone(),
            },
            Self::Tag(model_arn) => Request::ListTagsForResource {
                model_arn: model_arn.clone(),
            },
            Self::FindProjects(ProjectList { names, .. }) | Self::LookUpProjects(names) => {
                let names = names.clone();
                Request::DescribeProjects { names, token }
            }
            Self::FindVersions(list) => Request::DescribeProjectVersions {
                project_arn: list.project.arn.clone(),
                names: Vec::new(),
                token,
            },
            Self::CheckVersions(check) => {
                let models = check.models.iter();
                Request::DescribeProjectVersions {
                    project_arn: check.project_arn.clone(),
                    names: models.map(|it| it.version().to_owned()).collect(),
                    token,
                }
            }
        }
    }
}
