//! The ARN of a model, and the patterns that stand for many of them.
//!
//! The form is the service's own, from the `ProjectVersionArn` of [StopProjectVersion]:
//! `arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER`. It is read by
//! splitting it, which is all that a form this regular needs.
//!
//! [StopProjectVersion]: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_StopProjectVersion.html

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use wildmatch::WildMatch;

use crate::excerpt::quoted;

/// The fewest and the most characters of a model's ARN.
const LENGTH: std::ops::RangeInclusive<usize> = 20..=2048;
/// The most characters of a project's and of a version's name.
const NAME_LENGTH: usize = 255;
/// The form of a model's ARN, for messages.
const FORM: &str =
    "arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER";

/// What an entry of a list of models stands for.
#[derive(Clone, Debug)]
pub enum Target {
    /// One model, by its own ARN.
    Model(ModelArn),
    /// Every model that a pattern matches.
    Pattern(ModelPattern),
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
/// A value of this type is always valid: 20 to 2048 characters in the service's pattern. Its order
/// is that of its text. A clone shares the text.
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

    /// The region that the model lives in, and must be called in.
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

    /// The number that the service ends the ARN with: when the version was made.
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

// The hash is that of the text, as this demands.
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

/// A model's ARN with `*` or `?` in its project's name, its version's name or its number.
///
/// The wildcards are those of IAM: `*` is any run of characters, also an empty one, and `?` is any one.
/// Partition, region and account are always literal, so that a pattern is of one region.
#[derive(Clone, Debug)]
pub struct ModelPattern {
    text: Arc<str>,
    /// The ARN up to the project, which is literal.
    prefix: Box<str>,
    partition: Box<str>,
    region: Box<str>,
    account: Box<str>,
    project: WildMatch,
    version: WildMatch,
    number: WildMatch,
    project_name: Option<Box<str>>,
}

impl ModelPattern {
    /// The whole pattern.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition that its models live in.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The region that its models live in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that its models belong to.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The project's name where the pattern has no wildcard in it.
    pub fn project_name(&self) -> Option<&str> {
        self.project_name.as_deref()
    }

    /// Whether models of the project of this name can match.
    pub fn matches_project(&self, name: &str) -> bool {
        self.project.matches(name)
    }

    /// Whether it stands for this model.
    ///
    /// Stars alone, as in `*a*a*a*b`, take time in proportion to the name; the worst there is, `*aaaa...b`, in proportion
    /// to the pattern times the name: 8 microseconds for the longest name, half a millisecond for 2,048 characters.
    pub fn matches(&self, model_arn: &ModelArn) -> bool {
        model_arn.as_str().starts_with(&*self.prefix)
            && self.project.matches(model_arn.project())
            && self.version.matches(model_arn.version())
            && self.number.matches(model_arn.number())
    }
}

impl FromStr for ModelPattern {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let parts = Parts::read(text, Wildcards::Allowed)?;
        let literal = !parts.project.contains(WILDCARDS);
        Ok(Self {
            text: text.into(),
            prefix: format!(
                "arn:{}:rekognition:{}:{}:",
                parts.partition, parts.region, parts.account
            )
            .into(),
            partition: parts.partition.into(),
            region: parts.region.into(),
            account: parts.account.into(),
            project: WildMatch::new(parts.project),
            version: WildMatch::new(parts.version),
            number: WildMatch::new(parts.number),
            project_name: literal.then(|| parts.project.into()),
        })
    }
}

/// Why a text is neither a model's ARN nor a pattern: the part that is wrong, what it is and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidModelArn(String);

impl InvalidModelArn {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
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

/// The parts of an ARN or pattern, each checked.
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
        name_of_place("the partition", partition)?;
        if service != "rekognition" {
            return Err(InvalidModelArn::part(
                "the service",
                service,
                "`rekognition`",
            ));
        }
        name_of_place("the region", region)?;
        if !is_account(account) {
            return Err(literal("the account", account)
                .unwrap_or_else(|| InvalidModelArn::part("the account", account, "12 digits")));
        }

        let [project_word, project, version_word, version, number] =
            exactly(resource, '/').ok_or_else(|| not_a_model(text))?;
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

/// Whether a text is the ID of an account.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A partition's or region's name. Both are literal also in a pattern.
fn name_of_place(what: &str, found: &str) -> Result<(), InvalidModelArn> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !found.is_empty() && found.bytes().all(valid) {
        return Ok(());
    }
    Err(literal(what, found).unwrap_or_else(|| {
        InvalidModelArn::part(what, found, "lower-case letters, digits and hyphens")
    }))
}

/// The error of a wildcard where a pattern must be literal, if there is one.
fn literal(what: &str, found: &str) -> Option<InvalidModelArn> {
    found.contains(WILDCARDS).then(|| {
        InvalidModelArn::part(
            what,
            found,
            "literal: a pattern is of one partition, region and account, so give one entry a region",
        )
    })
}

/// A project's or version's name.
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

/// The `N` pieces of `text` between separators, if there are exactly that many.
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
    fn an_error_says_which_part_is_wrong_and_what_would_be_right() {
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
                "is not the ARN of a model version",
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
    fn a_wildcard_in_partition_region_or_account_asks_for_one_entry_a_region() {
        for wrong in [
            MODEL.replace("arn:aws:", "arn:aws*:"),
            MODEL.replace("us-east-1", "us-*"),
            MODEL.replace("123456789012", "*"),
            MODEL.replace("123456789012", "12345678901?"),
        ] {
            let message = refused(&wrong);
            assert!(message.contains("give one entry a region"), "{message}");
        }
    }

    #[test]
    fn a_pattern_matches_as_iam_does() {
        let arn: ModelArn = MODEL.parse().unwrap();
        for (project, version, number, matches) in [
            ("*", "*", "*", true),
            ("shelf*", "v_?-a", "17*", true),
            ("shelf.audit", "*", "1700000000000", true),
            ("shelf", "*", "*", false),
            ("shelf*", "v?-a", "*", false),
            ("*", "*", "18*", false),
            ("shelf.audit?", "*", "*", false),
        ] {
            let text = format!(
                "arn:aws:rekognition:us-east-1:123456789012:project/{project}/version/{version}/{number}"
            );
            let pattern: ModelPattern = text.parse().unwrap();
            assert_eq!(pattern.matches(&arn), matches, "{text}");
        }
        let elsewhere: ModelPattern =
            "arn:aws:rekognition:us-east-1:210987654321:project/*/version/*/*"
                .parse()
                .unwrap();
        assert!(!elsewhere.matches(&arn));
    }

    #[test]
    fn a_pattern_knows_its_project_only_where_it_is_literal() {
        let literal: ModelPattern = MODEL.replace("v_1-a", "*").parse().unwrap();
        assert_eq!(literal.project_name(), Some("shelf.audit"));
        let open: ModelPattern = MODEL.replace("shelf.audit", "shelf*").parse().unwrap();
        assert_eq!(open.project_name(), None);
        assert!(open.matches_project("shelf.count"));
        assert!(!open.matches_project("dock"));
    }
}
