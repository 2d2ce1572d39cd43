//! The operations that this program calls. A new operation is a variant here and a method in its
//! service's file.

use super::judge::Verdict;

/// The operations that this program calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    StopProjectVersion,
    ListTagsForResource,
    DescribeProjects,
    DescribeProjectVersions,
    AssumeRole,
    ListAccounts,
    ListAccountsForParent,
    ListOrganizationalUnitsForParent,
}

impl Operation {
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
        }
    }

    /// The action that permits it, as IAM policies write it.
    pub(super) fn action(self) -> String {
        let service = match self {
            Self::StopProjectVersion
            | Self::ListTagsForResource
            | Self::DescribeProjects
            | Self::DescribeProjectVersions => "rekognition",
            Self::AssumeRole => "sts",
            Self::ListAccounts
            | Self::ListAccountsForParent
            | Self::ListOrganizationalUnitsForParent => "organizations",
        };
        format!("{service}:{}", self.name())
    }

    /// What a response that cannot be read means. A stop may have had its effect, which only a
    /// status check can tell; the reader of a list restarts it.
    pub(super) fn verdict_if_unreadable(self) -> Verdict {
        match self {
            Self::ListTagsForResource | Self::AssumeRole => Verdict::Retry,
            Self::StopProjectVersion
            | Self::DescribeProjects
            | Self::DescribeProjectVersions
            | Self::ListAccounts
            | Self::ListAccountsForParent
            | Self::ListOrganizationalUnitsForParent => Verdict::Final,
        }
    }
}
