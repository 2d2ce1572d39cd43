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
    /// Every operation.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        // A new operation cannot be left out: the match would not compile.
        std::iter::successors(Some(Self::StopProjectVersion), |operation| {
            Some(match operation {
                Self::StopProjectVersion => Self::ListTagsForResource,
                Self::ListTagsForResource => Self::DescribeProjects,
                Self::DescribeProjects => Self::DescribeProjectVersions,
                Self::DescribeProjectVersions => Self::AssumeRole,
                Self::AssumeRole => Self::ListAccounts,
                Self::ListAccounts => Self::ListAccountsForParent,
                Self::ListAccountsForParent => Self::ListOrganizationalUnitsForParent,
                Self::ListOrganizationalUnitsForParent => return None,
            })
        })
    }

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
