//! The operations that this program calls, and the services they belong to.
//!
//! A new operation is a variant here, with its request and its response, an attempt in `aws/`, and
//! what a run does with the response.

use std::time::Duration;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operation {
    StopProjectVersion,
    ListTagsForResource,
    DescribeProjects,
    DescribeProjectVersions,
    AssumeRole,
    ListAccounts,
    ListAccountsForParent,
    ListOrganizationalUnitsForParent,
    LookupEvents,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Rekognition,
    Sts,
    Organizations,
    CloudTrail,
}

impl Operation {
    /// Every operation.
    pub(crate) const ALL: [Self; 9] = [
        Self::StopProjectVersion,
        Self::ListTagsForResource,
        Self::DescribeProjects,
        Self::DescribeProjectVersions,
        Self::AssumeRole,
        Self::ListAccounts,
        Self::ListAccountsForParent,
        Self::ListOrganizationalUnitsForParent,
        Self::LookupEvents,
    ];

    /// The operation's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StopProjectVersion => "StopProjectVersion",
            Self::ListTagsForResource => "ListTagsForResource",
            Self::DescribeProjects => "DescribeProjects",
            Self::DescribeProjectVersions => "DescribeProjectVersions",
            Self::AssumeRole => "AssumeRole",
            Self::ListAccounts => "ListAccounts",
            Self::ListAccountsForParent => "ListAccountsForParent",
            Self::ListOrganizationalUnitsForParent => "ListOrganizationalUnitsForParent",
            Self::LookupEvents => "LookupEvents",
        }
    }

    /// The service that it belongs to.
    pub(crate) fn service(self) -> Service {
        match self {
            Self::StopProjectVersion
            | Self::ListTagsForResource
            | Self::DescribeProjects
            | Self::DescribeProjectVersions => Service::Rekognition,
            Self::AssumeRole => Service::Sts,
            Self::ListAccounts
            | Self::ListAccountsForParent
            | Self::ListOrganizationalUnitsForParent => Service::Organizations,
            Self::LookupEvents => Service::CloudTrail,
        }
    }

    /// The action that permits it, as IAM policies write it.
    pub(crate) fn action(self) -> String {
        let service = match self.service() {
            Service::Rekognition => "rekognition",
            Service::Sts => "sts",
            Service::Organizations => "organizations",
            Service::CloudTrail => "cloudtrail",
        };
        format!("{service}:{}", self.name())
    }
}

impl Service {
    /// Every service.
    pub(crate) const ALL: [Self; 4] = [
        Self::Rekognition,
        Self::Sts,
        Self::Organizations,
        Self::CloudTrail,
    ];

    /// How many calls to it the process has in flight at most.
    pub(crate) fn most_in_flight(self) -> usize {
        match self {
            Self::Rekognition => 128,
            Self::Sts | Self::Organizations | Self::CloudTrail => 16,
        }
    }

    /// The widest gap that throttling puts between the calls of one operation. Rekognition's
    /// default quotas are 5 calls a second and more, and CloudTrail's is 2. Those of the others are
    /// far larger, so that a wider gap would only keep accounts waiting.
    pub(crate) fn widest_gap(self) -> Duration {
        match self {
            Self::Rekognition | Self::CloudTrail => Duration::from_millis(500),
            Self::Sts | Self::Organizations => Duration::from_millis(50),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_permitted_by_its_services_action() {
        for (operation, action) in [
            (
                Operation::StopProjectVersion,
                "rekognition:StopProjectVersion",
            ),
            (Operation::AssumeRole, "sts:AssumeRole"),
            (Operation::ListAccounts, "organizations:ListAccounts"),
            (Operation::LookupEvents, "cloudtrail:LookupEvents"),
        ] {
            assert_eq!(operation.action(), action);
        }
    }
}
