//! The ARN of a model, and the ID of an account.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fields::{
    Fields, InvalidModelArn, Part, WILDCARDS, can_be_account, is_made_of, is_name,
};
use crate::excerpt::quoted;

/// The ARN of a model version, which is what Rekognition Custom Labels runs and bills.
///
/// A value of this type is always valid, and ordered by its text. A clone shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelArn {
    pub(super) fields: Fields,
    project: Part,
    version: Part,
}

impl ModelArn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.fields.text
    }

    /// The partition, such as `aws` or `aws-cn`.
    pub fn partition(&self) -> &str {
        self.fields.partition()
    }

    /// The region that the model is in, and must be called in.
    pub fn region(&self) -> &str {
        self.fields.region()
    }

    /// The twelve digits of the account.
    pub fn account(&self) -> &str {
        self.fields.account()
    }

    /// The project's name.
    pub fn project(&self) -> &str {
        self.fields.part(self.project)
    }

    /// The version's name.
    pub fn version(&self) -> &str {
        self.fields.part(self.version)
    }
}

impl FromStr for ModelArn {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let fields = Fields::read(text)?;
        let parts: Vec<&str> = fields.resource().split('/').collect();
        match parts[..] {
            ["project", project, "version", version, number]
                if is_name(project)
                    && is_name(version)
                    && is_made_of(number, u8::is_ascii_digit)
                    && !text.contains(WILDCARDS) =>
            {
                let project = fields.account.then(":project/", project);
                let version = project.then("/version/", version);
                Ok(Self {
                    fields,
                    project,
                    version,
                })
            }
            _ => Err(InvalidModelArn::of_resource(fields.resource())),
        }
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
        if can_be_account(&text) && !text.contains(WILDCARDS) {
            return Ok(Self(text));
        }
        let found = quoted(&text);
        Err(format!("{found} should be a 12-digit account ID"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        assert_eq!(arn.partition(), "aws");
        assert_eq!(arn.region(), "us-east-1");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.project(), "shelf.audit");
        assert_eq!(arn.version(), "v_1-a");
    }

    #[test]
    fn an_error_says_which_part_is_wrong_and_what_was_expected() {
        for (text, part) in [
            ("", "`` should be one ARN, with six fields between colons"),
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
                "the resource `project/shelf audit/version/v_1-a/1700000000000` should be \
                 `project/PROJECT/version/VERSION/NUMBER` or, for all versions of a project, \
                 `project/PROJECT/*`; a name has 1 to 255 letters, digits, `_`, `.` and `-`",
            ),
            (&MODEL.replace("shelf.audit", ""), "the resource `project//"),
            (
                &MODEL.replace("v_1-a", &"v".repeat(256)),
                "the resource `project/shelf.audit/version/vvv",
            ),
            (&MODEL.replace("v_1-a", "vé"), "version/vé/"),
            (&MODEL.replace("1700000000000", "17x"), "/17x` should be"),
            (&MODEL.replace("1700000000000", ""), "/v_1-a/` should be"),
            (&MODEL.replace("/version/", "/model/"), "/model/"),
            (&format!("{MODEL}:x"), "should be one ARN, with six fields"),
            (&format!("{MODEL};{MODEL}"), "should be one ARN, with six"),
            ("shelf-audit", "`shelf-audit` should be one ARN, with six"),
            (
                &format!("\"{MODEL}\""),
                "the beginning `\"arn` should be `arn`",
            ),
            (&format!("{MODEL};"), "1700000000000;` should be"),
            (&format!("{MODEL}/x"), "1700000000000/x` should be"),
            (
                &MODEL.replace("v_1-a", &"v".repeat(2100)),
                "characters; it should have at most 2048",
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
        for wrong in [
            "",
            "p/*",
            "Project/*",
            "projects/*",
            "collection/*",
            "project//*",
            "project/shelf audit/*",
            "project/shelf audit*",
            "project/shelf/model/*",
            "project/shelf/w*",
            "project/shelf/version",
            "project/shelf/version/v1",
            "project/shelf/version//*",
            "project/shelf/version/é*",
            "project/shelf/version/v1/x*",
            "project/shelf/version/v1/17/*",
            &format!("project/{}*", "p".repeat(256)),
        ] {
            let message = refused(&of(wrong));
            assert!(message.starts_with("the resource `"), "{wrong}: {message}");
        }
        let message = refused(&of(&"*".repeat(2049 - longest)));
        assert!(message.starts_with("it has 2049 characters"), "{message}");
    }

    #[test]
    fn the_error_of_a_projects_arn_has_the_pattern_of_its_versions() {
        let project = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit";
        for text in [
            project,
            &format!("{project}/"),
            &format!("{project}/1700000000000"),
            &format!("{project}/17*"),
        ] {
            let message = refused(text);
            let right = "for all versions of a project, `project/shelf-audit/*`";
            assert!(message.contains(right), "{text}: {message}");
        }
    }

    #[test]
    fn a_model_arn_is_small_and_ordered_by_its_text() {
        assert!(size_of::<ModelArn>() <= 40);
        let model_arn: ModelArn = MODEL.parse().unwrap();
        assert!(Arc::ptr_eq(
            &model_arn.fields.text,
            &model_arn.clone().fields.text
        ));
        let after: ModelArn = MODEL.replace("shelf.audit", "shelf.a").parse().unwrap();
        assert_eq!(MODEL.cmp(after.as_str()), model_arn.cmp(&after));
    }

    #[test]
    fn an_account_wildcard_without_a_role_says_which_variable_is_missing() {
        let pattern: ModelPattern = MODEL.replace("123456789012", "12*").parse().unwrap();
        let message = pattern.needs_member_role().to_string();
        assert!(
            message.contains("`12*`") && message.contains("MEMBER_ROLE"),
            "{message}"
        );
    }
}
