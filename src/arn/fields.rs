//! The six fields of an ARN or a pattern, and what is wrong with a text that has none.

use std::fmt;
use std::sync::Arc;

use crate::excerpt::quoted;

/// The maximum length of a model's ARN, in bytes.
const LONGEST: usize = 2048;
/// The maximum length of a project's and of a version's name.
pub(super) const LONGEST_NAME: usize = 255;
pub(super) const WILDCARDS: [char; 2] = ['*', '?'];

/// The text of an ARN or a pattern, and where its fields are in it.
// The text comes first, so the derived order is the order of the texts, and the parts follow from
// these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fields {
    pub(super) text: Arc<str>,
    partition: Part,
    region: Part,
    pub(super) account: Part,
    resource: Part,
}

/// Where a part of a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Part {
    start: u16,
    end: u16,
}

impl Fields {
    /// Reads a text whose fields can match those of a model's ARN.
    pub(super) fn read(text: &str) -> Result<Self, InvalidModelArn> {
        if text.len() > LONGEST {
            let length = text.len();
            let message = format!("it has {length} characters; it should have at most {LONGEST}");
            return Err(InvalidModelArn(message));
        }
        let fields: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account, resource] = fields[..] else {
            return Err(InvalidModelArn(format!(
                "{} should be one ARN, with six fields between colons: for one model \
                 `arn:aws:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER`, for \
                 all versions of a project `arn:aws:rekognition:REGION:ACCOUNT:project/PROJECT/*`",
                quoted(text)
            )));
        };
        if arn != "arn" {
            return Err(InvalidModelArn::of("beginning", arn, "`arn`"));
        }
        if !is_made_of(partition, is_of_region) {
            let right = "literal, such as `aws`: lower-case letters, digits and hyphens";
            return Err(InvalidModelArn::of("partition", partition, right));
        }
        if service != "rekognition" {
            return Err(InvalidModelArn::of("service", service, "`rekognition`"));
        }
        if !is_made_of(&region.replace(WILDCARDS, "0"), is_of_region) {
            let right = "lower-case letters, digits and hyphens";
            return Err(InvalidModelArn::of("region", region, right));
        }
        if !can_be_account(account) {
            return Err(InvalidModelArn::of("account", account, "12 digits"));
        }
        let partition = Part::default().then("arn:", partition);
        let region = partition.then(":rekognition:", region);
        let account = region.then(":", account);
        Ok(Self {
            text: text.into(),
            partition,
            region,
            account,
            resource: account.then(":", resource),
        })
    }

    pub(super) fn partition(&self) -> &str {
        self.part(self.partition)
    }

    pub(super) fn region(&self) -> &str {
        self.part(self.region)
    }

    pub(super) fn account(&self) -> &str {
        self.part(self.account)
    }

    pub(super) fn resource(&self) -> &str {
        self.part(self.resource)
    }

    /// What is in this place.
    pub(super) fn part(&self, part: Part) -> &str {
        let (text, _) = self.text.split_at(part.end.into());
        text.split_at(part.start.into()).1
    }
}

impl Part {
    /// The part that follows this one, after a separator.
    pub(super) fn then(self, separator: &str, part: &str) -> Self {
        // No text is longer than an ARN may be.
        let start = self.end + separator.len() as u16;
        let end = start + part.len() as u16;
        Self { start, end }
    }
}

/// Why a text is neither a model's ARN nor a usable pattern: the part that is wrong, what was found
/// and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidModelArn(String);

impl InvalidModelArn {
    pub(super) fn of(what: &str, found: &str, right: &str) -> Self {
        Self(format!("the {what} {} should be {right}", quoted(found)))
    }

    /// The error of a resource; if it is a project's, with the pattern that was meant.
    pub(super) fn of_resource(found: &str) -> Self {
        let project = found.split('/').nth(1).filter(|name| is_name(name));
        let right = format!(
            "`project/PROJECT/version/VERSION/NUMBER` or, for all versions of a project, \
             `project/{}/*`; a name has 1 to {LONGEST_NAME} letters, digits, `_`, `.` and `-`",
            project.unwrap_or("PROJECT")
        );
        Self::of("resource", found, &right)
    }
}

impl fmt::Display for InvalidModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidModelArn {}

/// Whether this can match the ID of an account: twelve digits.
pub(super) fn can_be_account(text: &str) -> bool {
    let stars = text.matches('*').count();
    let others = text.len() - stars;
    let is_of_its_length = match stars {
        0 => others == 12,
        _ => others <= 12,
    };
    is_of_its_length && is_made_of(&text.replace(WILDCARDS, "0"), u8::is_ascii_digit)
}

/// Whether this can be the name of a project or a version.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && is_made_of(text, is_of_name)
}

pub(super) fn is_of_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Whether this may be in the name of a region or a partition.
fn is_of_region(byte: &u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-'
}

pub(super) fn is_made_of(text: &str, is_of_kind: fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(is_of_kind)
}
