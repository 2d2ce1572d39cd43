//! The services that the emulator is, and their operations.

use std::fmt;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Amazon Rekognition.
    Rekognition,
    /// AWS Security Token Service.
    Sts,
    /// AWS Organizations.
    Organizations,
    /// AWS CloudTrail.
    CloudTrail,
}

impl Service {
    const ALL: [Service; 4] = [
        Service::Rekognition,
        Service::Sts,
        Service::Organizations,
        Service::CloudTrail,
    ];

    /// The service's name in a signature's scope and before an action.
    pub fn name(self) -> &'static str {
        match self {
            Service::Rekognition => "rekognition",
            Service::Sts => "sts",
            Service::Organizations => "organizations",
            Service::CloudTrail => "cloudtrail",
        }
    }

    /// The service of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// What stands before the operation's name in `X-Amz-Target`; none where the operation is the
    /// form's `Action`.
    pub(crate) fn target_prefix(self) -> Option<&'static str> {
        match self {
            Service::Rekognition => Some("RekognitionService."),
            Service::Organizations => Some("AWSOrganizationsV20161128."),
            Service::CloudTrail => Some("CloudTrail_20131101."),
            Service::Sts => None,
        }
    }

    /// Items on a page when the request does not say, and the most that it may ask for.
    pub(crate) fn page_size(self) -> u32 {
        match self {
            Service::Organizations => 20,
            Service::CloudTrail => 50,
            Service::Rekognition | Service::Sts => 100,
        }
    }
}

/// An operation, under the service's own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Stops a running model.
    StopProjectVersion,
    /// Starts a model.
    StartProjectVersion,
    /// Lists projects, page by page.
    DescribeProjects,
    /// Lists a project's model versions, page by page.
    DescribeProjectVersions,
    /// The tags of a model version.
    ListTagsForResource,
    /// Gives a session of a role.
    AssumeRole,
    /// Who calls.
    GetCallerIdentity,
    /// Lists the organization's accounts, page by page.
    ListAccounts,
    /// Lists the accounts directly under a root or an organizational unit, page by page.
    ListAccountsForParent,
    /// Lists the organizational units directly under a root or another, page by page.
    ListOrganizationalUnitsForParent,
    /// Lists the organization's one root.
    ListRoots,
    /// Lists the events of an account in a region, page by page.
    LookupEvents,
    /// Anything else that was asked for; answered with `UnknownOperationException`.
    Unknown,
}

impl Operation {
    /// Every operation that is answered.
    pub const ALL: [Operation; 12] = [
        Operation::StopProjectVersion,
        Operation::StartProjectVersion,
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
        Operation::ListTagsForResource,
        Operation::AssumeRole,
        Operation::GetCallerIdentity,
        Operation::ListAccounts,
        Operation::ListAccountsForParent,
        Operation::ListOrganizationalUnitsForParent,
        Operation::ListRoots,
        Operation::LookupEvents,
    ];

    /// The operation's service; Rekognition for an unknown one.
    pub fn service(self) -> Service {
        match self {
            Operation::AssumeRole | Operation::GetCallerIdentity => Service::Sts,
            Operation::ListAccounts
            | Operation::ListAccountsForParent
            | Operation::ListOrganizationalUnitsForParent
            | Operation::ListRoots => Service::Organizations,
            Operation::LookupEvents => Service::CloudTrail,
            _ => Service::Rekognition,
        }
    }

    /// Whether it is a list that comes page by page.
    pub(crate) fn is_list(self) -> bool {
        matches!(
            self,
            Operation::DescribeProjects
                | Operation::DescribeProjectVersions
                | Operation::LookupEvents
        ) || self.service() == Service::Organizations
    }

    /// The operation's name, as in `X-Amz-Target: RekognitionService.NAME` and `Action=NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::StopProjectVersion => "StopProjectVersion",
            Operation::StartProjectVersion => "StartProjectVersion",
            Operation::DescribeProjects => "DescribeProjects",
            Operation::DescribeProjectVersions => "DescribeProjectVersions",
            Operation::ListTagsForResource => "ListTagsForResource",
            Operation::AssumeRole => "AssumeRole",
            Operation::GetCallerIdentity => "GetCallerIdentity",
            Operation::ListAccounts => "ListAccounts",
            Operation::ListAccountsForParent => "ListAccountsForParent",
            Operation::ListOrganizationalUnitsForParent => "ListOrganizationalUnitsForParent",
            Operation::ListRoots => "ListRoots",
            Operation::LookupEvents => "LookupEvents",
            Operation::Unknown => "Unknown",
        }
    }

    /// The action that a policy has to allow, such as `rekognition:StopProjectVersion`.
    pub fn action(self) -> String {
        format!("{}:{}", self.service().name(), self.name())
    }

    /// The operation of this name, or [`Operation::Unknown`].
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
            .unwrap_or(Operation::Unknown)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
