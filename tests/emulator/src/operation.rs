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

    /// What precedes the operation's name in `X-Amz-Target`; none if the operation is the form's
    /// `Action`.
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

/// The operations by service, each under the service's own name.
macro_rules! operations {
    ($($(#[$meta:meta])* $name:ident: $service:ident,)*) => {
        /// An operation, under the service's own name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $($(#[$meta])* $name,)*
            /// Anything else that was asked for; the response is `UnknownOperationException`.
            Unknown,
        }

        impl Operation {
            /// Every operation that is served.
            pub const ALL: [Operation; 9] = [$(Operation::$name),*];

            /// The operation's service; Rekognition for an unknown one.
            pub fn service(self) -> Service {
                match self {
                    $(Operation::$name => Service::$service,)*
                    Operation::Unknown => Service::Rekognition,
                }
            }

            /// The operation's name, as in `X-Amz-Target: RekognitionService.NAME` and
            /// `Action=NAME`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name),)*
                    Operation::Unknown => "Unknown",
                }
            }
        }
    };
}

operations! {
    /// Stops a running model.
    StopProjectVersion: Rekognition,
    /// Lists projects, page by page.
    DescribeProjects: Rekognition,
    /// Lists a project's model versions, page by page.
    DescribeProjectVersions: Rekognition,
    /// The tags of a model version.
    ListTagsForResource: Rekognition,
    /// Returns a session of a role.
    AssumeRole: Sts,
    /// Lists the organization's accounts, page by page.
    ListAccounts: Organizations,
    /// Lists the accounts directly under a root or an organizational unit, page by page.
    ListAccountsForParent: Organizations,
    /// Lists the organizational units directly under a root or another, page by page.
    ListOrganizationalUnitsForParent: Organizations,
    /// Lists the events of an account in a region, page by page.
    LookupEvents: CloudTrail,
}

impl Operation {
    /// Whether it is a list that comes page by page.
    pub(crate) fn is_list(self) -> bool {
        match self.service() {
            Service::Rekognition => {
                matches!(self, Self::DescribeProjects | Self::DescribeProjectVersions)
            }
            Service::Sts => false,
            Service::Organizations | Service::CloudTrail => true,
        }
    }

    /// The action that a policy has to allow, such as `rekognition:StopProjectVersion`.
    pub fn action(self) -> String {
        format!("{}:{}", self.service().name(), self.name())
    }

    /// The operation of this name, or [`Operation::Unknown`].
    pub fn from_name(name: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        let known = all.find(|operation| operation.name() == name);
        known.unwrap_or(Operation::Unknown)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
