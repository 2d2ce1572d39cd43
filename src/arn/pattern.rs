//! Patterns: ARNs with wildcards, each of which matches many models.

use std::fmt;
use std::iter::once;
use std::str::FromStr;
use std::sync::Arc;

use super::model::{Fields, InvalidModelArn, ModelArn, WILDCARDS, Wildcards, is_of_name};

/// A model's ARN with `*` or `?` in the region, the account or anywhere in the resource.
///
/// It is matched as IAM matches the `Resource` of a policy, so that one list serves both: field by
/// field, each as a whole. `*` matches any run of characters, including none, and `?` any single
/// one; a slash is a character like any other. The partition is always literal.
///
/// ```
/// use rekognition_stopper::arn::ModelPattern;
///
/// let pattern: ModelPattern = "arn:aws:rekognition:eu-*:123456789012:project/shelf-*".parse()?;
/// assert_eq!(pattern.account(), Some("123456789012"));
/// assert_eq!(pattern.region(), None);
/// assert!(pattern.matches_region("eu-west-1"));
/// assert!(pattern.matches_project("shelf-audit"));
/// # Ok::<(), rekognition_stopper::arn::InvalidModelArn>(())
/// ```
#[derive(Clone)]
pub struct ModelPattern {
    text: Arc<str>,
    partition: Box<str>,
    region: Wild,
    account: Wild,
    resource: Wild,
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

    /// The account as it is written, wildcards and all.
    pub(crate) fn account_text(&self) -> &str {
        &self.account.0
    }

    /// Whether its models can belong to this account.
    pub fn matches_account(&self, account: &str) -> bool {
        self.account.matches(account)
    }

    /// The name of the only project whose versions it matches, if it has one: there is no wildcard
    /// up to the slash after the name.
    pub fn project_name(&self) -> Option<&str> {
        let names = self.resource.beginning().strip_prefix("project/")?;
        names.split_once('/').map(|(project, _)| project)
    }

    /// Whether it can match a version of the project with this name.
    pub fn matches_project(&self, name: &str) -> bool {
        if self.project_name().is_some_and(|project| project != name) {
            return false;
        }
        let project = ["project/", name, "/version/"].into_iter();
        let versions = project
            .flat_map(str::bytes)
            .map(Piece::Byte)
            .chain(once(Piece::Run(is_of_name)))
            .chain(once(Piece::Byte(b'/')))
            .chain(once(Piece::Run(|byte| byte.is_ascii_digit())));
        can_match(&self.resource.0, versions)
    }

    /// Whether it matches this model.
    pub fn matches(&self, model_arn: &ModelArn) -> bool {
        *self.partition == *model_arn.partition()
            && self.region.matches(model_arn.region())
            && self.account.matches(model_arn.account())
            && self.resource.matches(model_arn.resource())
    }

    /// Its text with this account in place of the account's wildcard, if it has one.
    pub fn with_account(&self, account: &str) -> String {
        self.with_location(account, &self.region.0)
    }

    /// Its text with this account and region in place of their wildcards. Literal parts stay as
    /// they are.
    pub fn with_location(&self, account: &str, region: &str) -> String {
        format!(
            "arn:{}:rekognition:{}:{}:{}",
            self.partition,
            self.region().unwrap_or(region),
            self.account().unwrap_or(account),
            self.resource.0,
        )
    }
}

impl FromStr for ModelPattern {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let fields = Fields::read(text, Wildcards::Allowed)?;
        Ok(Self {
            text: text.into(),
            partition: fields.partition.into(),
            region: Wild(fields.region.into()),
            account: Wild(fields.account.into()),
            resource: Wild(fields.resource.into()),
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

/// A field of a pattern.
#[derive(Clone)]
struct Wild(Box<str>);

impl Wild {
    /// What comes before the first wildcard.
    fn beginning(&self) -> &str {
        let parts = self.0.split_once(WILDCARDS);
        parts.map_or(&self.0, |(beginning, _)| beginning)
    }

    fn literal(&self) -> Option<&str> {
        (self.beginning().len() == self.0.len()).then_some(&self.0)
    }

    fn matches(&self, text: &str) -> bool {
        // Most texts differ here already, and most patterns of a long list have a literal name.
        let (beginning, wild) = self.0.split_at(self.beginning().len());
        let rest = text.strip_prefix(beginning);
        rest.is_some_and(|rest| can_match(wild, rest.bytes().map(Piece::Byte)))
    }
}

/// A piece of the text that a pattern is held against.
#[derive(Clone, Copy)]
enum Piece {
    Byte(u8),
    /// One byte or more of a kind, whichever they are.
    Run(fn(u8) -> bool),
}

/// Whether a pattern can match a text, as a whole.
///
/// It reads the text once, and for each beginning of the pattern notes whether that matches what
/// has been read. At worst that takes time proportional to the lengths of both multiplied: half a
/// millisecond for the longest pattern and the longest names.
fn can_match(pattern: &str, text: impl Iterator<Item = Piece>) -> bool {
    // Before anything is read, beginnings match that are empty or stars alone. The empty one stands
    // by itself.
    let stars = pattern.bytes().take_while(|wildcard| *wildcard == b'*');
    let mut longest = stars.count();
    let mut matches_empty = true;
    let mut beginnings: Vec<bool> = (0..pattern.len()).map(|at| at < longest).collect();
    for piece in text {
        if longest == pattern.len() && pattern.ends_with('*') {
            // The last star takes the rest.
            return true;
        }
        // Of the beginning that is shorter by one: whether it matched before this piece, and
        // whether it does with it.
        let (mut before, mut with) = (matches_empty, false);
        matches_empty = false;
        let earlier = std::mem::take(&mut longest);
        let wildcards = (1..).zip(pattern.bytes());
        for (matches, (length, wildcard)) in beginnings.iter_mut().zip(wildcards) {
            if length > earlier + 1 && !with {
                // No longer one matched before, or can match now.
                break;
            }
            let matched = *matches;
            *matches = match (wildcard, piece) {
                (b'*', _) => matched || with,
                (b'?', Piece::Byte(_)) => before,
                (b'?', Piece::Run(_)) => before || with,
                (literal, Piece::Byte(byte)) => before && literal == byte,
                (literal, Piece::Run(is_of_kind)) => (before || with) && is_of_kind(literal),
            };
            if *matches {
                longest = length;
            }
            (before, with) = (matched, *matches);
        }
    }
    longest == pattern.len() && (longest > 0 || matches_empty)
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
        for (place, resource, matches) in [
            (
                "us-east-1:123456789012",
                "project/shelf.audit/version/v_1-a/1700000000000",
                true,
            ),
            ("us-east-1:123456789012", "project/*/version/*/*", true),
            ("*:*", "*", true),
            ("*:*", "project/*", true),
            ("*:*", "project/shelf.audit/*", true),
            ("*:*", "project/shelf.audit/version/*", true),
            ("*:*", "project/shelf*", true),
            ("*:*", "*/1700000000000", true),
            ("us-*-?:*", "project/shelf*/version/v_?-a/17*", true),
            (
                "us-east-1:12345678901?",
                "project/shelf.audit/version/*/17*",
                true,
            ),
            // A slash is a character like any other.
            (
                "*:*",
                "project?shelf.audit?version?v_1-a?1700000000000",
                true,
            ),
            ("*:*", "project/*-a/*", true),
            ("*:*", "pro*0", true),
            ("*:*", "project/**/version/**/**", true),
            ("eu-*:*", "*", false),
            ("*:2*", "*", false),
            ("us-east-1:210987654321", "*", false),
            ("us-east-1?:*", "*", false),
            ("*:*", "project/shelf/*", false),
            ("*:*", "project/shelf/version/*", false),
            ("*:*", "project/shelf*/version/v?-a/*", false),
            ("*:*", "project/*/version/*/18*", false),
            ("*:*", "project/shelf.audit?/version/*/*", false),
            ("*:*", "project/*/version/*/*/*", false),
            // A dot is a dot.
            ("*:*", "project/shelf?audit/*", true),
            ("*:*", "project/*.version/*", false),
        ] {
            let text = format!("arn:aws:rekognition:{place}:{resource}");
            assert_eq!(pattern(&text).matches(&arn), matches, "{text}");
        }
        let elsewhere = "arn:aws-cn:rekognition:*:*:project/*/version/*/*";
        assert!(!pattern(elsewhere).matches(&arn));
        assert!(pattern(MODEL).matches(&arn));
    }

    #[test]
    fn a_pattern_knows_its_project_only_if_no_other_can_match() {
        for (resource, name) in [
            ("project/shelf/*", Some("shelf")),
            ("project/shelf/version/*", Some("shelf")),
            ("project/shelf/v*", Some("shelf")),
            ("project/shelf/version/v1/17", Some("shelf")),
            ("project/shelf*", None),
            ("project/shelf*/version/*/*", None),
            ("project/*", None),
            ("proj*", None),
            ("*", None),
        ] {
            let pattern = pattern(&format!("arn:aws:rekognition:*:*:{resource}"));
            assert_eq!(pattern.project_name(), name, "{resource}");
        }
    }

    #[test]
    fn a_pattern_matches_a_project_if_it_can_match_a_version_of_it() {
        for (resource, right, wrong) in [
            ("*", &["shelf", "dock"][..], &[][..]),
            ("project/*", &["shelf", "dock"], &[]),
            ("project/shelf/*", &["shelf"], &["dock", "shelf2", "shel"]),
            ("project/shelf*", &["shelf", "shelf2"], &["dock", "a-shelf"]),
            (
                "project/shelf*/version/*/*",
                &["shelf", "shelf2"],
                &["dock"],
            ),
            (
                "project/*-test/version/*/*",
                &["a-test", "-test"],
                &["dock", "test"],
            ),
            ("project/*-test/*", &["a-test", "dock"], &[]),
            ("project/?/version/*", &["a"], &["ab"]),
            ("project/*/version/v1/*", &["shelf"], &[]),
            ("project/shelf/version/a?c/1??", &["shelf"], &["dock"]),
            ("project/shelf/version/??????", &["shelf"], &[]),
            ("*/version/v1/17", &["shelf"], &[]),
            ("project/*v1*", &["shelf"], &[]),
            // A version may be called so.
            ("project/*/model/*", &["shelf"], &[]),
            // These match no model: a slash too few or too many, or the number is none.
            ("project/shelf/version/v*1/x", &[], &["shelf"]),
            ("project/*x", &[], &["shelf", "x"]),
            ("project/*/model/x*/*", &[], &["shelf", "model"]),
            ("project/shelf/*/*/*/*", &[], &["shelf"]),
            ("project/shel?", &[], &["shelf"]),
        ] {
            let pattern = pattern(&format!("arn:aws:rekognition:*:*:{resource}"));
            for name in right {
                assert!(pattern.matches_project(name), "{resource} {name}");
            }
            for name in wrong {
                assert!(!pattern.matches_project(name), "{resource} {name}");
            }
        }
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
