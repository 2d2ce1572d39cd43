//! The ARN of a model, and what is wrong with a text that is none.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::excerpt::quoted;

/// The length of a model's ARN, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 20..=2048;
/// The maximum length of a project's and of a version's name.
const NAME_LENGTH: usize = 255;
/// The form of a model's ARN, for messages.
const FORM: &str =
    "arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER";
/// The parts of a model's resource, which a slash separates.
const RESOURCE: [ResourcePart; 5] = [
    ResourcePart::Word("project"),
    ResourcePart::Name("the project's name"),
    ResourcePart::Word("version"),
    ResourcePart::Name("the version's name"),
    ResourcePart::Number,
];
pub(super) const WILDCARDS: [char; 2] = ['*', '?'];
/// What people put around an entry.
const QUOTATION_MARKS: [char; 7] = [
    '"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
];

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
// The text comes first, so the derived order is that of the text, which the ends follow from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelArn {
    pub(super) text: Arc<str>,
    ends: Ends,
}

/// Where the parts of a model's ARN end in its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ends {
    partition: u16,
    region: u16,
    account: u16,
    project: u16,
    version: u16,
}

impl ModelArn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition, such as `aws` or `aws-cn`.
    pub fn partition(&self) -> &str {
        self.part(0, "arn:", self.ends.partition)
    }

    /// The region that the model is in, and must be called in.
    pub fn region(&self) -> &str {
        self.part(self.ends.partition, ":rekognition:", self.ends.region)
    }

    /// The twelve digits of the account.
    pub fn account(&self) -> &str {
        self.part(self.ends.region, ":", self.ends.account)
    }

    /// The project's name.
    pub fn project(&self) -> &str {
        self.part(self.ends.account, ":project/", self.ends.project)
    }

    /// The version's name.
    pub fn version(&self) -> &str {
        self.part(self.ends.project, "/version/", self.ends.version)
    }

    /// The number at the end, which the service adds: when the version was created.
    pub fn number(&self) -> &str {
        self.rest(self.ends.version, "/")
    }

    /// What follows the account: `project/PROJECT/version/VERSION/NUMBER`.
    pub(super) fn resource(&self) -> &str {
        self.rest(self.ends.account, ":")
    }

    /// The part that ends here, and begins after a separator at the end of the part before it.
    fn part(&self, before: u16, separator: &str, end: u16) -> &str {
        let (text, _) = self.text.split_at(usize::from(end));
        text.split_at(usize::from(before) + separator.len()).1
    }

    /// All that follows a separator at the end of a part.
    fn rest(&self, before: u16, separator: &str) -> &str {
        self.text.split_at(usize::from(before) + separator.len()).1
    }
}

impl Ends {
    /// The ends of the parts of a valid ARN, each its separator and its length after the one before.
    fn of(fields: &Fields) -> Option<Self> {
        let [_, project, _, version, _] = exactly(fields.resource, '/')?;
        let mut at = 0;
        let mut end = |separator: &str, part: &str| {
            at += separator.len() + part.len();
            u16::try_from(at).ok()
        };
        Some(Self {
            partition: end("arn:", fields.partition)?,
            region: end(":rekognition:", fields.region)?,
            account: end(":", fields.account)?,
            project: end(":project/", project)?,
            version: end("/version/", version)?,
        })
    }
}

impl Hash for ModelArn {
    /// The hash of the text, as `Borrow` requires.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for ModelArn {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl FromStr for ModelArn {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let fields = Fields::read(text, Wildcards::Refused)?;
        let ends = Ends::of(&fields).ok_or_else(|| InvalidModelArn::not_a_model(text))?;
        Ok(Self {
            text: text.into(),
            ends,
        })
    }
}

impl fmt::Display for ModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
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

    /// The error of a pattern with this account wildcard in a function that has no member role.
    pub(crate) fn needs_member_role(account: &str) -> Self {
        Self::part(
            "the account",
            account,
            "12 digits: a wildcard there needs the variable MEMBER_ROLE, which is not set",
        )
    }

    fn part(name: &str, found: &str, right: impl fmt::Display) -> Self {
        Self(format!("{name} {} should be {right}", quoted(found)))
    }

    fn not_a_model(text: &str) -> Self {
        Self(format!(
            "{} is not the ARN of a model version, which has the form {FORM}",
            quoted(text)
        ))
    }

    /// The error of a usual mistake in an entry, with the form that would be right.
    pub(super) fn near_miss(text: &str) -> Option<Self> {
        let found = quoted(text);
        if text.contains(';') || text.matches("arn:").count() > 1 {
            return Some(Self(format!(
                "{found} should be one entry: MODEL_ARNS separates entries by commas or white \
                 space, and in `model_arns` each is a string of its own"
            )));
        }
        if text.starts_with(QUOTATION_MARKS) || text.ends_with(QUOTATION_MARKS) {
            let message = format!("{found} should be without the quotation marks around it");
            return Some(Self(message));
        }
        let is_like_name = |byte: u8| is_of_name(byte) || Wildcards::Allowed.allow(byte);
        if text.is_empty() || text.len() > NAME_LENGTH || !text.bytes().all(is_like_name) {
            return None;
        }
        Some(Self(format!(
            "{found} is not an ARN; for all versions of the project of that name it should be \
             `arn:aws:rekognition:REGION:ACCOUNT:project/{text}/*`"
        )))
    }
}

impl fmt::Display for InvalidModelArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidModelArn {}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    Allowed,
    Refused,
}

impl Wildcards {
    fn allow(self, byte: u8) -> bool {
        self == Wildcards::Allowed && matches!(byte, b'*' | b'?')
    }
}

/// The fields of an ARN or a pattern, each validated.
pub(super) struct Fields<'a> {
    pub(super) partition: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn read(text: &'a str, wildcards: Wildcards) -> Result<Self, InvalidModelArn> {
        let length = text.chars().count();
        if !LENGTH.contains(&length) {
            return Err(InvalidModelArn(format!(
                "the ARN has {length} characters; it should have {} to {}, in the form {FORM}",
                LENGTH.start(),
                LENGTH.end(),
            )));
        }

        let [arn, partition, service, region, account, resource] =
            exactly(text, ':').ok_or_else(|| InvalidModelArn::not_a_model(text))?;
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
        check_resource(text, resource, wildcards).map_err(|error| match project_of(resource) {
            None => error,
            Some(project) => InvalidModelArn(format!(
                "{} is the ARN of a project; for all of its versions it should be \
                 `arn:{partition}:rekognition:{region}:{account}:project/{project}/*`",
                quoted(text)
            )),
        })?;
        Ok(Self {
            partition,
            region,
            account,
            resource,
        })
    }
}

/// A part of a model's resource.
#[derive(Clone, Copy)]
enum ResourcePart {
    /// A word that is always the same.
    Word(&'static str),
    /// A name, and what it is the name of.
    Name(&'static str),
    Number,
}

/// How much of a part there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// What comes before a wildcard.
    Beginning,
}

impl ResourcePart {
    fn fits(self, text: &str, extent: Extent) -> bool {
        let is_there = !text.is_empty() || extent == Extent::Beginning;
        match self {
            Self::Word(word) if extent == Extent::Beginning => word.starts_with(text),
            Self::Word(word) => word == text,
            Self::Name(_) => is_there && text.len() <= NAME_LENGTH && text.bytes().all(is_of_name),
            Self::Number => is_there && text.bytes().all(|byte| byte.is_ascii_digit()),
        }
    }

    /// The error for what was found in the place of this part.
    fn error(self, text: &str, found: &str) -> InvalidModelArn {
        match self {
            Self::Word(_) => InvalidModelArn::not_a_model(text),
            Self::Name(what) => InvalidModelArn::part(
                what,
                found,
                format_args!("1 to {NAME_LENGTH} letters, digits, `_`, `.` or `-`"),
            ),
            Self::Number => InvalidModelArn::part("the number at the end", found, "digits only"),
        }
    }
}

/// Validates the resource of a model or, up to its first wildcard, that of a pattern. What follows
/// a wildcard is at worst unmatched.
fn check_resource(text: &str, resource: &str, wildcards: Wildcards) -> Result<(), InvalidModelArn> {
    let wildcard = match wildcards {
        Wildcards::Allowed => resource.split_once(WILDCARDS),
        Wildcards::Refused => None,
    };
    let (literal, end) = match wildcard {
        Some((literal, _)) => (literal, Extent::Beginning),
        None => (resource, Extent::Whole),
    };
    let mut segments = literal.split('/').peekable();
    for part in RESOURCE {
        let Some(segment) = segments.next() else {
            return Err(InvalidModelArn::not_a_model(text));
        };
        let is_last = segments.peek().is_none();
        let extent = if is_last { end } else { Extent::Whole };
        if !part.fits(segment, extent) {
            return Err(part.error(text, segment));
        }
        if extent == Extent::Beginning {
            return Ok(());
        }
    }
    match segments.next() {
        None => Ok(()),
        Some(_) => Err(InvalidModelArn::not_a_model(text)),
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
    let (project, number) = match resource.split('/').collect::<Vec<_>>()[..] {
        ["project", project] => (project, ""),
        ["project", project, number] => (project, number),
        _ => return None,
    };
    let is_name = ResourcePart::Name("").fits(project, Extent::Whole);
    let is_of_number = |byte: u8| byte.is_ascii_digit() || Wildcards::Allowed.allow(byte);
    let is_number = number.bytes().all(is_of_number);
    (is_name && is_number).then_some(project)
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

/// Whether this may be in the name of a project or version.
pub(super) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::arn::{ModelPattern, Target};

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
    fn a_patterns_resource_fits_a_model_up_to_its_first_wildcard() {
        let of = |resource: &str| format!("arn:aws:rekognition:*:*:{resource}");
        for right in [
            "*",
            "?roject/shelf/version/v1/17",
            "proj*",
            "project*",
            "project/*",
            "project/?",
            "project/shelf*",
            "project/shelf/*",
            "project/shelf/v*",
            "project/shelf/version/*",
            "project/shelf/version/v*",
            "project/shelf/version/v1/*",
            "project/shelf/version/v1/17*",
            "project/shelf/version/v1/17",
            // What follows a wildcard is at worst unmatched.
            "project/*/model/é /x",
            "project/*/version/*/*/*/*",
            &format!("project/{}*", "p".repeat(255)),
        ] {
            let target = of(right).parse::<Target>();
            assert!(
                matches!(target, Ok(Target::Pattern(_))),
                "{right}: {target:?}"
            );
        }
        let longest = of("*").len() - 1;
        assert!(of(&"*".repeat(2048 - longest)).parse::<Target>().is_ok());
        for (wrong, part) in [
            ("", "is not the ARN of a model version"),
            ("p/*", "is not the ARN of a model version"),
            ("Project/*", "is not the ARN of a model version"),
            ("projects/*", "is not the ARN of a model version"),
            ("collection/*", "is not the ARN of a model version"),
            ("project//*", "the project's name ``"),
            ("project/shelf audit/*", "the project's name `shelf audit`"),
            ("project/shelf audit*", "the project's name `shelf audit`"),
            ("project/shelf/model/*", "is not the ARN of a model version"),
            ("project/shelf/w*", "is not the ARN of a model version"),
            ("project/shelf/version", "is not the ARN of a model version"),
            (
                "project/shelf/version/v1",
                "is not the ARN of a model version",
            ),
            ("project/shelf/version//*", "the version's name ``"),
            ("project/shelf/version/é*", "the version's name `é`"),
            ("project/shelf/version/v1/x*", "the number at the end `x`"),
            (
                "project/shelf/version/v1/17/*",
                "is not the ARN of a model version",
            ),
            (
                &format!("project/{}*", "p".repeat(256)),
                "the project's name `ppp",
            ),
            (&"*".repeat(2049 - longest), "the ARN has 2049 characters"),
        ] {
            let message = refused(&of(wrong));
            assert!(message.contains(part), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_near_miss_is_told_the_form_that_would_be_right() {
        let project = "arn:aws:rekognition:us-east-1:123456789012:project/shelf";
        let of_a_project =
            format!("is the ARN of a project; for all of its versions it should be `{project}/*`");
        let of_a_name = "is not an ARN; for all versions of the project of that name it should be \
             `arn:aws:rekognition:REGION:ACCOUNT:project/";
        let two = format!("{project}/*;{project}/version/v1/17");
        for (text, right) in [
            (project, &*of_a_project),
            (&format!("{project}/"), &of_a_project),
            (&format!("{project}/1700000000000"), &of_a_project),
            (&format!("{project}/17*"), &of_a_project),
            ("shelf-audit", &format!("{of_a_name}shelf-audit/*`")),
            ("shelf-*", &format!("{of_a_name}shelf-*/*`")),
            ("*", &format!("{of_a_name}*/*`")),
            (
                &format!("\"{MODEL}\""),
                "` should be without the quotation marks around it",
            ),
            (
                &format!("'{project}/*'"),
                "` should be without the quotation marks around it",
            ),
            (
                &format!("\u{201c}{MODEL}\u{201d}"),
                "` should be without the quotation marks around it",
            ),
            (
                &two,
                "should be one entry: MODEL_ARNS separates entries by commas or white space",
            ),
            (&format!("{MODEL};"), "should be one entry"),
            (
                &format!("{MODEL},{MODEL}"),
                "in `model_arns` each is a string of its own",
            ),
            (&format!("\"{MODEL}\";\"{MODEL}\""), "should be one entry"),
        ] {
            let message = refused(text);
            assert!(message.contains(right), "{text}: {message}");
        }
        let is_right = |text: &str| text.parse::<Target>().is_ok();
        assert!(is_right(&format!("{project}/*")));
        assert!(is_right(
            "arn:aws:rekognition:us-east-1:123456789012:project/shelf-*/*"
        ));
    }

    #[test]
    fn a_model_arn_is_small_and_known_by_its_text() {
        assert!(size_of::<ModelArn>() <= 32);
        let model_arn: ModelArn = MODEL.parse().unwrap();
        let known = HashSet::from([model_arn.clone()]);
        assert!(known.contains(MODEL));
        assert!(Arc::ptr_eq(&model_arn.text, &model_arn.clone().text));
        let after: ModelArn = MODEL.replace("shelf.audit", "shelf.a").parse().unwrap();
        assert_eq!(MODEL.cmp(after.as_str()), model_arn.cmp(&after));
    }

    #[test]
    fn an_account_wildcard_without_a_role_says_which_variable_is_missing() {
        let message = InvalidModelArn::needs_member_role("12*").to_string();
        assert!(
            message.contains("`12*`") && message.contains("MEMBER_ROLE"),
            "{message}"
        );
    }
}
