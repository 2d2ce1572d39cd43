//! The ARN of a model, and the patterns that stand for many models.
//!
//! The form is the service's own, from the `ProjectVersionArn` of [StopProjectVersion]:
//! `arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER`. It is parsed
//! by splitting it, which is all that such a regular form needs.
//!
//! [StopProjectVersion]: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_StopProjectVersion.html

mod pattern;

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::excerpt::quoted;
pub use pattern::ModelPattern;

/// The length of a model's ARN, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 20..=2048;
/// The maximum length of a project's and of a version's name.
const NAME_LENGTH: usize = 255;
/// The form of a model's ARN, for messages.
const FORM: &str =
    "arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER";

/// What an entry in a list of models stands for.
#[derive(Clone, Debug)]
pub enum Target {
    /// One model, by its own ARN.
    Model(ModelArn),
    /// Every model that a pattern matches.
    Pattern(ModelPattern),
}

impl Target {
    /// The text that it was parsed from, shared.
    pub(crate) fn text(&self) -> Arc<str> {
        match self {
            Self::Model(model_arn) => model_arn.0.clone(),
            Self::Pattern(pattern) => pattern.text(),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        if text.contains(WILDCARDS) {
            text.parse().map(Target::Pattern)
        } else {
            text.parse().map(Target::Model)
        }
    }
}

/// The ARN of a model version, which is what Rekognition Custom Labels runs and bills.
///
/// A value of this type is always valid: 20 to 2048 characters in the service's form. It is ordered
/// by its text. A clone shares the text.
///
/// ```
/// use rekognition_stopper::arn::ModelArn;
///
/// let model_arn: ModelArn =
///     "arn:aws:rekognition:eu-west-1:123456789012:project/shelf/version/v1/1759309953000".parse()?;
/// assert_eq!(model_arn.region(), "eu-west-1");
/// assert_eq!(model_arn.project(), "shelf");
/// # Ok::<(), rekognition_stopper::arn::InvalidModelArn>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelArn(Arc<str>);

impl ModelArn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition, such as `aws` or `aws-cn`.
    pub fn partition(&self) -> &str {
        self.field(1)
    }

    /// The region that the model is in, and must be called in.
    pub fn region(&self) -> &str {
        self.field(3)
    }

    /// The twelve digits of the account.
    pub fn account(&self) -> &str {
        self.field(4)
    }

    /// The project's name.
    pub fn project(&self) -> &str {
        self.segment(1)
    }

    /// The version's name.
    pub fn version(&self) -> &str {
        self.segment(3)
    }

    /// The number at the end, which the service adds: when the version was created.
    pub fn number(&self) -> &str {
        self.segment(4)
    }

    fn field(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }

    fn segment(&self, index: usize) -> &str {
        self.field(5).split('/').nth(index).unwrap_or_default()
    }
}

// The derived hash is that of the text, as `Borrow` requires.
impl Borrow<str> for ModelArn {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelArn {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        Parts::read(text, Wildcards::Refused)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The ID of an account: twelve digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AccountId(String);

impl AccountId {
    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_account(&text) {
            return Ok(Self(text));
        }
        let found = quoted(&text);
        Err(format!("{found} should be a 12-digit account ID"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is neither a model's ARN nor a usable pattern: the part that is wrong, what was found
/// and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidModelArn(String);

impl InvalidModelArn {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The error of a pattern with an account wildcard in a function that has no member role.
    pub(crate) fn needs_member_role(pattern: &ModelPattern) -> Self {
        let account = pattern.as_str().split(':').nth(4).unwrap_or_default();
        Self::part(
            "the account",
            account,
            "12 digits: a wildcard there needs the variable MEMBER_ROLE, which is not set",
        )
    }

    fn part(name: &str, found: &str, right: impl fmt::Display) -> Self {
        Self(format!("{name} {} should be {right}", quoted(found)))
    }
}

impl fmt::Display for InvalidModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidModelArn {}

const WILDCARDS: [char; 2] = ['*', '?'];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcards {
    Allowed,
    Refused,
}

/// The parts of an ARN or pattern, each validated.
struct Parts<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
    project: &'a str,
    version: &'a str,
    number: &'a str,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str, wildcards: Wildcards) -> Result<Self, InvalidModelArn> {
        let length = text.chars().count();
        if !LENGTH.contains(&length) {
            return Err(InvalidModelArn(format!(
                "the ARN has {length} characters; it should have {} to {}, in the form {FORM}",
                LENGTH.start(),
                LENGTH.end(),
            )));
        }

        let [arn, partition, service, region, account, resource] =
            exactly(text, ':').ok_or_else(|| not_a_model(text))?;
        if arn != "arn" {
            return Err(InvalidModelArn::part("the beginning", arn, "`arn`"));
        }
        if partition.contains(WILDCARDS) {
            return Err(InvalidModelArn::part(
                "the partition",
                partition,
                "literal, such as `aws`, even in a pattern",
            ));
        }
        partition_or_region("the partition", partition, Wildcards::Refused)?;
        if service != "rekognition" {
            return Err(InvalidModelArn::part(
                "the service",
                service,
                "`rekognition`",
            ));
        }
        partition_or_region("the region", region, wildcards)?;
        let is_like_account = wildcards == Wildcards::Allowed && can_match_account(account);
        if !is_account(account) && !is_like_account {
            return Err(InvalidModelArn::part("the account", account, "12 digits"));
        }

        let Some([project_word, project, version_word, version, number]) = exactly(resource, '/')
        else {
            return Err(match project_of(resource) {
                Some(project) => InvalidModelArn(format!(
                    "{} is the ARN of a project; for all of its versions it should be \
                     `arn:{partition}:rekognition:{region}:{account}:project/{project}/version/*/*`",
                    quoted(text)
                )),
                None => not_a_model(text),
            });
        };
        if project_word != "project" || version_word != "version" {
            return Err(not_a_model(text));
        }
        name("the project's name", project, wildcards)?;
        name("the version's name", version, wildcards)?;
        let digit = |byte: u8| byte.is_ascii_digit() || wildcards.allow(byte);
        if number.is_empty() || !number.bytes().all(digit) {
            return Err(InvalidModelArn::part(
                "the number at the end",
                number,
                "digits only",
            ));
        }

        Ok(Self {
            partition,
            region,
            account,
            project,
            version,
            number,
        })
    }
}

impl Wildcards {
    fn allow(self, byte: u8) -> bool {
        self == Wildcards::Allowed && matches!(byte, b'*' | b'?')
    }
}

/// Whether a text is an account ID.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text with wildcards can match an account ID.
fn can_match_account(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_digit() || Wildcards::Allowed.allow(byte);
    let stars = text.matches('*').count();
    let others = text.len() - stars;
    text.bytes().all(valid) && (others == 12 || (stars > 0 && others < 12))
}

/// The project's name, if this resource is that of a project's ARN.
fn project_of(resource: &str) -> Option<&str> {
    let project = match resource.split('/').collect::<Vec<_>>()[..] {
        ["project", project] | ["project", project, _] => project,
        _ => return None,
    };
    let is_name = name("the project's name", project, Wildcards::Allowed).is_ok();
    is_name.then_some(project)
}

/// Validates the name of a partition or region.
fn partition_or_region(
    what: &str,
    found: &str,
    wildcards: Wildcards,
) -> Result<(), InvalidModelArn> {
    let valid = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || wildcards.allow(byte)
    };
    if !found.is_empty() && found.bytes().all(valid) {
        return Ok(());
    }
    Err(InvalidModelArn::part(
        what,
        found,
        "lower-case letters, digits and hyphens",
    ))
}

/// Validates the name of a project or version.
fn name(what: &str, found: &str, wildcards: Wildcards) -> Result<(), InvalidModelArn> {
    let valid = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-') || wildcards.allow(byte)
    };
    if (1..=NAME_LENGTH).contains(&found.len()) && found.bytes().all(valid) {
        return Ok(());
    }
    Err(InvalidModelArn::part(
        what,
        found,
        format_args!("1 to {NAME_LENGTH} letters, digits, `_`, `.` or `-`"),
    ))
}

/// The `N` pieces of `text` between separators, if there are exactly `N`.
fn exactly<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut pieces = text.split(separator);
    let mut found = [""; N];
    for piece in &mut found {
        *piece = pieces.next()?;
    }
    pieces.next().is_none().then_some(found)
}

fn not_a_model(text: &str) -> InvalidModelArn {
    InvalidModelArn(format!(
        "{} is not the ARN of a model version, which has the form {FORM}",
        quoted(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf.audit/version/v_1-a/1700000000000";

    fn refused(text: &str) -> String {
        match text.parse::<Target>() {
            Ok(target) => panic!("{text} was taken for {target:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_parts_of_a_valid_arn_can_be_read() {
        let arn: ModelArn = MODEL.parse().unwrap();
        assert_eq!(arn.as_str(), MODEL);
        assert_eq!(arn.to_string(), MODEL);
        assert_eq!(arn.partition(), "aws");
        assert_eq!(arn.region(), "us-east-1");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.project(), "shelf.audit");
        assert_eq!(arn.version(), "v_1-a");
        assert_eq!(arn.number(), "1700000000000");
    }

    #[test]
    fn an_error_says_which_part_is_wrong_and_what_was_expected() {
        for (text, part) in [
            ("", "0 characters"),
            (
                &MODEL.replace("arn:", "urn:"),
                "the beginning `urn` should be `arn`",
            ),
            (
                &MODEL.replace("arn:aws:", "arn:AWS:"),
                "the partition `AWS`",
            ),
            (&MODEL.replace("arn:aws:", "arn::"), "the partition ``"),
            (
                &MODEL.replace("rekognition", "lambda"),
                "the service `lambda` should be `rekognition`",
            ),
            (
                &MODEL.replace("us-east-1", "US_EAST"),
                "the region `US_EAST`",
            ),
            (
                &MODEL.replace("123456789012", "12345678901"),
                "the account `12345678901` should be 12 digits",
            ),
            (
                &MODEL.replace("123456789012", "12345678901x"),
                "the account `12345678901x`",
            ),
            (
                &MODEL.replace("shelf.audit", "shelf audit"),
                "the project's name `shelf audit`",
            ),
            (&MODEL.replace("shelf.audit", ""), "the project's name ``"),
            (
                &MODEL.replace("v_1-a", &"v".repeat(256)),
                "the version's name `vvv",
            ),
            (&MODEL.replace("v_1-a", "vé"), "the version's name `vé`"),
            (
                &MODEL.replace("1700000000000", "17x"),
                "the number at the end `17x` should be digits only",
            ),
            (
                &MODEL.replace("1700000000000", ""),
                "the number at the end ``",
            ),
            (
                &MODEL.replace("/version/", "/model/"),
                "is not the ARN of a model version",
            ),
            (
                "arn:aws:rekognition:us-east-1:123456789012:project/shelf/1700000000000",
                "is the ARN of a project",
            ),
            (&format!("{MODEL}:x"), "is not the ARN of a model version"),
            (&format!("{MODEL}/x"), "is not the ARN of a model version"),
            (
                &MODEL.replace("v_1-a", &"v".repeat(2100)),
                "characters; it should have 20 to 2048",
            ),
        ] {
            let message = refused(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn a_name_may_have_255_characters_and_no_more() {
        let longest = MODEL.replace("v_1-a", &"v".repeat(255));
        assert!(longest.parse::<ModelArn>().is_ok());
        assert!(
            MODEL
                .replace("v_1-a", &"v".repeat(256))
                .parse::<ModelArn>()
                .is_err()
        );
    }

    #[test]
    fn the_partition_is_literal_and_an_accounts_wildcards_can_match_12_digits() {
        let message = refused(&MODEL.replace("arn:aws:", "arn:aws*:"));
        assert!(
            message.contains("the partition `aws*` should be literal"),
            "{message}"
        );
        for account in ["*", "12*", "12345678901?", "????????????", "*123456789012*"] {
            let pattern = MODEL.replace("123456789012", account);
            assert!(pattern.parse::<ModelPattern>().is_ok(), "{account}");
        }
        for account in ["1234?", "*1234567890123", "1?3x*", "?????????????", ""] {
            let message = refused(&MODEL.replace("123456789012", account).replace("v_1-a", "*"));
            assert!(message.contains("should be 12 digits"), "{message}");
        }
    }

    #[test]
    fn the_error_for_a_projects_arn_suggests_the_pattern_for_its_versions() {
        let project = "arn:aws:rekognition:us-east-1:123456789012:project/shelf";
        for end in ["", "/1700000000000", "/*"] {
            let message = refused(&format!("{project}{end}"));
            let meant = format!("it should be `{project}/version/*/*`");
            assert!(message.contains(&meant), "{message}");
        }
    }

    #[test]
    fn an_account_wildcard_without_a_role_says_which_variable_is_missing() {
        let pattern = "arn:aws:rekognition:us-east-1:12*:project/a/version/*/*";
        let message = InvalidModelArn::needs_member_role(&pattern.parse().unwrap()).to_string();
        assert!(
            message.contains("`12*`") && message.contains("MEMBER_ROLE"),
            "{message}"
        );
    }
}
