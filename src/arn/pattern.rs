//! Patterns: ARNs with wildcards, each of which matches many models.

use std::iter::once;
use std::str::FromStr;

use super::fields::{Fields, InvalidModelArn, LONGEST_NAME, WILDCARDS, is_of_name};
use super::matcher::{Piece, can_match};
use super::model::ModelArn;

/// A model's ARN with `*` or `?` in the region, the account or anywhere in the resource.
///
/// It is matched as IAM matches the `Resource` of a policy, so that one list serves both: field by
/// field, each as a whole. `*` matches any run of characters, including none, and `?` any single
/// one; a slash is a character like any other. The partition is always literal.
#[derive(Clone, Debug)]
pub struct ModelPattern(pub(super) Fields);

impl ModelPattern {
    /// The whole pattern.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The partition that its models are in.
    pub fn partition(&self) -> &str {
        self.0.partition()
    }

    /// The region that its models are in, unless it has a wildcard.
    pub fn region(&self) -> Option<&str> {
        literal(self.0.region())
    }

    /// Whether its models can be in this region.
    pub fn matches_region(&self, region: &str) -> bool {
        matches(self.0.region(), region)
    }

    /// The account that its models belong to, unless it has a wildcard.
    pub fn account(&self) -> Option<&str> {
        literal(self.0.account())
    }

    /// The error of this pattern in a function that has no member role.
    pub(crate) fn needs_member_role(&self) -> InvalidModelArn {
        let right = "12 digits: a wildcard there needs the variable MEMBER_ROLE, which is not set";
        InvalidModelArn::of("account", self.0.account(), right)
    }

    /// Whether its models can belong to this account.
    pub fn matches_account(&self, account: &str) -> bool {
        matches(self.0.account(), account)
    }

    /// The name of the only project whose versions it matches, if it has one: there is no wildcard
    /// up to the slash after the name.
    pub fn project_name(&self) -> Option<&str> {
        let names = self.0.resource().strip_prefix("project/")?;
        let (name, _) = names.split_once('/')?;
        literal(name)
    }

    /// Whether it can match a version of the project with this name.
    pub fn matches_project(&self, name: &str) -> bool {
        match self.project_name() {
            Some(project) if project != name => false,
            _ => can_match(
                self.0.resource(),
                versions_of(name.bytes().map(Piece::Byte)),
            ),
        }
    }

    /// Whether it matches this model.
    pub fn matches(&self, model_arn: &ModelArn) -> bool {
        self.partition() == model_arn.partition()
            && self.matches_region(model_arn.region())
            && self.matches_account(model_arn.account())
            && matches(self.0.resource(), model_arn.fields.resource())
    }

    /// Its text with this account in place of the account's wildcard, if it has one.
    pub fn with_account(&self, account: &str) -> String {
        self.with_location(account, self.0.region())
    }

    /// Its text with this account and region in place of their wildcards. Literal parts stay as
    /// they are.
    pub fn with_location(&self, account: &str, region: &str) -> String {
        format!(
            "arn:{}:rekognition:{}:{}:{}",
            self.partition(),
            self.region().unwrap_or(region),
            self.account().unwrap_or(account),
            self.0.resource(),
        )
    }
}

impl FromStr for ModelPattern {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let fields = Fields::read(text)?;
        match can_be_of_model(fields.resource()) {
            true => Ok(Self(fields)),
            false => Err(InvalidModelArn::of_resource(fields.resource())),
        }
    }
}

/// Whether this matches the resource of a model, if everything after its first wildcard is ignored.
/// That part is at worst unmatched.
fn can_be_of_model(resource: &str) -> bool {
    let (beginning, wild) = split(resource);
    let kept = if wild.is_empty() { "" } else { "*" };
    let has_long_name = beginning
        .split('/')
        .take(4)
        .any(|it| it.len() > LONGEST_NAME);
    let any_project = once(Piece::Run(is_of_name));
    !has_long_name && can_match(&format!("{beginning}{kept}"), versions_of(any_project))
}

/// The resource of the versions of a project with this name.
fn versions_of(project: impl Iterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    let bytes = |text: &'static str| text.bytes().map(Piece::Byte);
    let number = Piece::Run(u8::is_ascii_digit);
    let version = [Piece::Run(is_of_name), Piece::Byte(b'/'), number];
    let project = bytes("project/").chain(project);
    project.chain(bytes("/version/")).chain(version)
}

/// What comes before the first wildcard, and the rest.
fn split(part: &str) -> (&str, &str) {
    part.split_at(part.find(WILDCARDS).unwrap_or(part.len()))
}

/// This part of a pattern, if it has no wildcard.
fn literal(part: &str) -> Option<&str> {
    Some(part).filter(|part| !part.contains(WILDCARDS))
}

/// Whether a part of a pattern matches a text, as a whole.
fn matches(part: &str, text: &str) -> bool {
    // Most texts differ here already, and most patterns of a long list have a literal name.
    let (beginning, wild) = split(part);
    let rest = text.strip_prefix(beginning);
    rest.is_some_and(|rest| can_match(wild, rest.bytes().map(Piece::Byte)))
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
