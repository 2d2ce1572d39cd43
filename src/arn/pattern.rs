//! Patterns: ARNs with wildcards, each of which stands for many models.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use wildmatch::WildMatch;

use super::{InvalidModelArn, ModelArn, Parts, WILDCARDS, Wildcards};

/// A model's ARN with `*` or `?` in the region, the account, the project's name, the version's name
/// or the number.
///
/// The wildcards are those of IAM: `*` matches any run of characters, including none, and `?` any
/// single one. The partition is always literal.
///
/// ```
/// use rekognition_stopper::arn::ModelPattern;
///
/// let pattern: ModelPattern =
///     "arn:aws:rekognition:eu-*:123456789012:project/shelf-*/version/*/*".parse()?;
/// assert_eq!(pattern.account(), Some("123456789012"));
/// assert_eq!(pattern.region(), None);
/// assert!(pattern.matches_region("eu-west-1"));
/// # Ok::<(), rekognition_stopper::arn::InvalidModelArn>(())
/// ```
#[derive(Clone)]
pub struct ModelPattern {
    text: Arc<str>,
    partition: Box<str>,
    region: Part,
    account: Part,
    project: Part,
    version: Part,
    number: Part,
}

impl ModelPattern {
    /// The whole pattern.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole pattern, shared.
    pub(super) fn text(&self) -> Arc<str> {
        self.text.clone()
    }

    /// The partition that its models are in.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The region that its models are in, unless it has a wildcard.
    pub fn region(&self) -> Option<&str> {
        self.region.literal()
    }

    /// Whether its models can be in this region.
    pub fn matches_region(&self, region: &str) -> bool {
        self.region.matches(region)
    }

    /// The account that its models belong to, unless it has a wildcard.
    pub fn account(&self) -> Option<&str> {
        self.account.literal()
    }

    /// Whether its models can belong to this account.
    pub fn matches_account(&self, account: &str) -> bool {
        self.account.matches(account)
    }

    /// The project's name, unless it has a wildcard.
    pub fn project_name(&self) -> Option<&str> {
        self.project.literal()
    }

    /// Whether models of the project with this name can match.
    pub fn matches_project(&self, name: &str) -> bool {
        self.project.matches(name)
    }

    /// Whether it stands for this model.
    ///
    /// A pattern of many stars, such as `*a*a*a*b`, takes time proportional to the length of the
    /// name. The worst case, `*aaaa...b`, takes time proportional to the lengths of pattern and
    /// name multiplied: 8 microseconds for the longest name, half a millisecond for 2,048
    /// characters.
    pub fn matches(&self, model_arn: &ModelArn) -> bool {
        *self.partition == *model_arn.partition()
            && self.region.matches(model_arn.region())
            && self.account.matches(model_arn.account())
            && self.project.matches(model_arn.project())
            && self.version.matches(model_arn.version())
            && self.number.matches(model_arn.number())
    }

    /// Its text with this account in place of the account's wildcard, if it has one.
    pub fn with_account(&self, account: &str) -> String {
        self.with_location(account, &self.region.text)
    }

    /// Its text with this account and region in place of their wildcards. Literal parts stay as
    /// they are.
    pub fn with_location(&self, account: &str, region: &str) -> String {
        format!(
            "arn:{}:rekognition:{}:{}:project/{}/version/{}/{}",
            self.partition,
            self.region().unwrap_or(region),
            self.account().unwrap_or(account),
            self.project.text,
            self.version.text,
            self.number.text,
        )
    }
}

impl FromStr for ModelPattern {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let parts = Parts::read(text, Wildcards::Allowed)?;
        Ok(Self {
            text: text.into(),
            partition: parts.partition.into(),
            region: Part::new(parts.region),
            account: Part::new(parts.account),
            project: Part::new(parts.project),
            version: Part::new(parts.version),
            number: Part::new(parts.number),
        })
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// A part of a pattern.
#[derive(Clone)]
struct Part {
    text: Box<str>,
    /// The matcher, if the part has wildcards.
    wild: Option<Box<WildMatch>>,
}

impl Part {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            wild: text
                .contains(WILDCARDS)
                .then(|| Box::new(WildMatch::new(text))),
        }
    }

    fn literal(&self) -> Option<&str> {
        self.wild.is_none().then_some(&self.text)
    }

    fn matches(&self, text: &str) -> bool {
        match &self.wild {
            Some(wild) => wild.matches(text),
            None => *self.text == *text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf.audit/version/v_1-a/1700000000000";

    fn pattern(text: &str) -> ModelPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_as_iam_does() {
        let arn: ModelArn = MODEL.parse().unwrap();
        for (place, project, version, number, matches) in [
            ("us-east-1:123456789012", "*", "*", "*", true),
            ("*:*", "*", "*", "*", true),
            ("us-*-?:*", "shelf*", "v_?-a", "17*", true),
            ("us-east-1:12345678901?", "shelf.audit", "*", "17*", true),
            ("eu-*:*", "*", "*", "*", false),
            ("*:2*", "*", "*", "*", false),
            ("us-east-1:210987654321", "*", "*", "*", false),
            ("us-east-1:123456789012", "shelf", "*", "*", false),
            ("us-east-1:123456789012", "shelf*", "v?-a", "*", false),
            ("us-east-1:123456789012", "*", "*", "18*", false),
            ("us-east-1:123456789012", "shelf.audit?", "*", "*", false),
        ] {
            let text =
                format!("arn:aws:rekognition:{place}:project/{project}/version/{version}/{number}");
            assert_eq!(pattern(&text).matches(&arn), matches, "{text}");
        }
        let elsewhere = "arn:aws-cn:rekognition:*:*:project/*/version/*/*";
        assert!(!pattern(elsewhere).matches(&arn));
    }

    #[test]
    fn a_pattern_knows_its_project_only_if_it_is_literal() {
        let literal = pattern(&MODEL.replace("v_1-a", "*"));
        assert_eq!(literal.project_name(), Some("shelf.audit"));
        let open = pattern(&MODEL.replace("shelf.audit", "shelf*"));
        assert_eq!(open.project_name(), None);
        assert!(open.matches_project("shelf.count"));
        assert!(!open.matches_project("dock"));
    }

    #[test]
    fn a_location_replaces_the_wildcards_and_nothing_else() {
        let text = "arn:aws:rekognition:eu-*:*:project/a*/version/*/17?";
        let both = pattern(text);
        assert_eq!((both.region(), both.account()), (None, None));
        assert!(both.matches_region("eu-west-1") && !both.matches_region("us-east-1"));
        assert!(both.matches_account("222222222222"));
        assert_eq!(
            both.with_location("222222222222", "eu-west-1"),
            "arn:aws:rekognition:eu-west-1:222222222222:project/a*/version/*/17?"
        );
        assert_eq!(
            pattern(&text.replace("eu-*", "us-east-1")).with_location("222222222222", "eu-west-1"),
            "arn:aws:rekognition:us-east-1:222222222222:project/a*/version/*/17?"
        );
        let of_an_account = pattern(&text.replace(":*:", ":123456789012:"));
        assert_eq!(of_an_account.account(), Some("123456789012"));
        assert!(!of_an_account.matches_account("222222222222"));
        assert_eq!(
            of_an_account.with_location("222222222222", "eu-*"),
            "arn:aws:rekognition:eu-*:123456789012:project/a*/version/*/17?"
        );
    }
}
