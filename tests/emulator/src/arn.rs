//! ARNs: a project's, a model version's and a role's, by the patterns that the services document.

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

    /// Reads up to and including the project's name, and returns what comes after it.
    fn read(text: &str) -> Option<(Self, &str)> {
        let [_, partition, service, region, account, resource] = six_fields(text)?;
        let (project, rest) = resource.strip_prefix("project/")?.split_once('/')?;
        let valid = service == "rekognition"
            && (20..=2048).contains(&text.len())
            && is_label(partition)
            && is_label(region)
            && is_account(account)
            && is_name(project);
        let home = Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            project: project.to_owned(),
        };
        valid.then_some((home, rest))
    }
}

/// The ARN of a model version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionArn {
    pub(crate) text: String,
    pub(crate) home: Home,
    /// The last part: in the service, the milliseconds at which the version was created.
    pub(crate) number: u64,
}

impl VersionArn {
    /// The ARN of a model that is added, or what is wrong with it.
    pub(crate) fn of_model(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            format!(
                "'{text}' does not have the form arn:PARTITION:rekognition:REGION:ACCOUNT:\
                 project/PROJECT/version/VERSION/NUMBER"
            )
        })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (home, rest) = Home::read(text)?;
        let (version, number) = rest.strip_prefix("version/")?.split_once('/')?;
        (is_name(version) && is_number(number)).then(|| Self {
            text: text.to_owned(),
            home,
            number: number.parse().unwrap_or(u64::MAX),
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
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (home, number) = Home::read(text)?;
        let text = text.to_owned();
        is_number(number).then_some(Self { text, home })
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
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [_, partition, service, region, account, resource] = six_fields(text)?;
        let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        let valid = service == "iam" && region.is_empty() && !name.is_empty();
        (valid && is_account(account)).then(|| Self {
            text: text.to_owned(),
            partition: partition.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }
}

fn six_fields(text: &str) -> Option<[&str; 6]> {
    let fields: Vec<&str> = text.splitn(6, ':').collect();
    let fields: [&str; 6] = fields.try_into().ok()?;
    (fields[0] == "arn").then_some(fields)
}

/// `[a-z\d-]+`
fn is_label(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(known)
}

/// `[0-9]+`
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[0-9]{12}`
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && is_number(text)
}

/// `[a-zA-Z0-9_.\-]{1,255}`, the rule for the names of projects and versions.
pub(crate) fn is_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=255).contains(&text.len()) && text.bytes().all(known)
}
