//! The operations of the service that the emulator answers.

use std::fmt;

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
    /// Anything else that was asked for; answered with `UnknownOperationException`.
    Unknown,
}

impl Operation {
    /// Every operation that is answered.
    pub const ALL: [Operation; 5] = [
        Operation::StopProjectVersion,
        Operation::StartProjectVersion,
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
        Operation::ListTagsForResource,
    ];

    /// The operation's name, as in `X-Amz-Target: RekognitionService.NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::StopProjectVersion => "StopProjectVersion",
            Operation::StartProjectVersion => "StartProjectVersion",
            Operation::DescribeProjects => "DescribeProjects",
            Operation::DescribeProjectVersions => "DescribeProjectVersions",
            Operation::ListTagsForResource => "ListTagsForResource",
            Operation::Unknown => "Unknown",
        }
    }

    /// The action that a policy has to allow, such as `rekognition:StopProjectVersion`.
    pub fn action(self) -> String {
        format!("rekognition:{}", self.name())
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
