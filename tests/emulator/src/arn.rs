//! ARNs: a project's, a model version's and a role's.

use std::fmt;

/// The form of a model version's ARN, for messages.
const VERSION_SHAPE: &str = "arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER, \
     with an account of 12 digits and names of 1 to 255 letters, digits, '_', '.' or '-'";

/// The form of a project's ARN, for messages.
const PROJECT_SHAPE: &str = "arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/NUMBER, \
     with an account of 12 digits and a name of 1 to 255 letters, digits, '_', '.' or '-'";

/// The form of a role's ARN, for messages.
const ROLE_SHAPE: &str = "arn:PARTITION:iam::ACCOUNT:role/NAME or \
     arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, \
     with an account of 12 digits";

/// A text that was to be an ARN, and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidArn {
    text: String,
    shape: &'static str,
}

impl fmt::Display for InvalidArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is not an ARN of the service; it should have the form {}",
            self.text, self.shape
        )
    }
}

impl std::error::Error for InvalidArn {}

/// The parts that both kinds of ARN share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
    /// The project's name.
    pub(crate) project: String,
}

impl Home {
    /// The project's ARN without its number: one text for each project of all regions and accounts.
    pub(crate) fn project_key(&self) -> String {
        format!(
            "arn:{}:rekognition:{}:{}:project/{}",
            self.partition, self.region, self.account, self.project
        )
    }
}

/// The ARN of a model version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionArn {
    pub(crate) text: String,
    pub(crate) home: Home,
    pub(crate) version: String,
    /// The last part: in the service, the milliseconds at which the version was created.
    pub(crate) number: u64,
}

impl VersionArn {
    /// Reads the ARN by the pattern that the service documents for `ProjectVersionArn`.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidArn> {
        read_version(text).ok_or_else(|| InvalidArn {
            text: text.to_owned(),
            shape: VERSION_SHAPE,
        })
    }
}

/// The ARN of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectArn {
    pub(crate) text: String,
    pub(crate) home: Home,
}

impl ProjectArn {
    /// Reads the ARN by the pattern that the service documents for `ProjectArn`.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidArn> {
        read_project(text).ok_or_else(|| InvalidArn {
            text: text.to_owned(),
            shape: PROJECT_SHAPE,
        })
    }
}

/// The ARN of an IAM role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleArn {
    pub(crate) text: String,
    pub(crate) partition: String,
    pub(crate) account: String,
    /// Without the path.
    pub(crate) name: String,
}

impl RoleArn {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidArn> {
        read_role(text).ok_or_else(|| InvalidArn {
            text: text.to_owned(),
            shape: ROLE_SHAPE,
        })
    }
}

fn read_role(text: &str) -> Option<RoleArn> {
    let (partition, rest) = text.strip_prefix("arn:")?.split_once(":iam::")?;
    let (account, path_and_name) = rest.split_once(":role/")?;
    let name = path_and_name.rsplit('/').next()?;
    let valid = is_label(partition) && account.len() == 12 && is_number(account);
    (valid && is_role_name(name)).then(|| RoleArn {
        text: text.to_owned(),
        partition: partition.to_owned(),
        account: account.to_owned(),
        name: name.to_owned(),
    })
}

/// `[\w+=,.@-]{1,64}`
fn is_role_name(text: &str) -> bool {
    let sign = |b| matches!(b, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || sign(b))
}

fn read_version(text: &str) -> Option<VersionArn> {
    let (home, rest) = read_home(text)?;
    let [version, number] = rest
        .strip_prefix("version/")?
        .split('/')
        .collect::<Vec<_>>()[..]
    else {
        return None;
    };
    (is_name(version) && is_number(number)).then(|| VersionArn {
        text: text.to_owned(),
        home,
        version: version.to_owned(),
        number: number.parse().unwrap_or(u64::MAX),
    })
}

fn read_project(text: &str) -> Option<ProjectArn> {
    let (home, number) = read_home(text)?;
    is_number(number).then(|| ProjectArn {
        text: text.to_owned(),
        home,
    })
}

/// Reads up to and including the project's name, and returns what comes after it.
fn read_home(text: &str) -> Option<(Home, &str)> {
    if !(20..=2048).contains(&text.len()) {
        return None;
    }
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    let (partition, service) = (parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (project, rest) = resource.strip_prefix("project/")?.split_once('/')?;
    let valid = is_label(partition)
        && service == "rekognition"
        && is_label(region)
        && account.len() == 12
        && is_number(account)
        && is_name(project);
    valid.then(|| {
        let home = Home {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            project: project.to_owned(),
        };
        (home, rest)
    })
}

/// `[a-z\d-]+`
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// `[0-9]+`
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[a-zA-Z0-9_.\-]{1,255}`, the rule for the names of projects and versions.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}
