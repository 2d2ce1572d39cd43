//! The function's environment variables.

use std::env::VarError;

use crate::arn::AccountId;
use crate::error::Error;
use crate::excerpt::quoted;
use crate::request::Entry;

/// The highest price of an inference unit hour, in any currency. With a higher one, the savings
/// could be a number that JSON cannot express.
const HIGHEST_PRICE: f64 = 1e6;

/// The regions of [Custom Labels].
///
/// [Custom Labels]: https://docs.aws.amazon.com/general/latest/gr/rekognition.html
const CUSTOM_LABELS_REGIONS: [&str; 11] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
];

/// What the operator has configured for every run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `MODEL_ARNS`: the models of a run whose event names none. Empty if the variable is not set.
    pub model_arns: Vec<Entry>,
    /// `MAX_CONCURRENCY`: calls of each operation of Rekognition in flight at once in each account
    /// and region; 1 to 64.
    pub max_concurrency: usize,
    /// `CONFIRM_STOPPED`: whether to wait until the service confirms that a model has stopped.
    pub confirm_stopped: bool,
    /// `DRY_RUN`: whether a request without `dry_run` is a dry run.
    pub dry_run: bool,
    /// `KEEP_RUNNING_TAG`: the key of the tag that exempts a model from patterns, unless exemptions
    /// are off.
    pub keep_running_tag: Option<String>,
    /// `INFERENCE_UNIT_HOUR_PRICE`: the price of one inference unit hour, in any currency.
    pub inference_unit_hour_price: Option<f64>,
    /// `FIND_STARTS`: whether to look up who started the models that run, and when.
    pub find_starts: bool,
    /// `MEMBER_ROLE`: the name, with its path, of the role to assume in other accounts, if any.
    pub member_role: Option<String>,
    /// `MEMBER_EXTERNAL_ID`: the external ID that goes with it.
    pub member_external_id: Option<String>,
    /// `REGIONS`: what a wildcard in the region can match, without duplicates.
    pub regions: Vec<String>,
    /// `ORGANIZATIONAL_UNITS`: the roots and units whose accounts, at any depth, a wildcard can
    /// match; empty for the whole organization.
    pub organizational_units: Vec<String>,
    /// `EXCLUDED_ACCOUNTS`: the accounts that a wildcard never matches.
    pub excluded_accounts: Vec<AccountId>,
}

impl Settings {
    /// Reads the settings with `variable`, which is [`std::env::var`] in the function.
    ///
    /// A blank variable counts as not set, except for `KEEP_RUNNING_TAG`, where it turns exemptions
    /// off.
    ///
    /// # Errors
    /// Names every variable with an invalid value at once.
    pub fn read(variable: impl Fn(&str) -> Result<String, VarError>) -> Result<Self, Error> {
        let mut variables = Variables {
            variable,
            errors: Vec::new(),
        };
        let settings = Self {
            model_arns: variables
                .read(
                    "MODEL_ARNS",
                    "ARNs and patterns separated by commas or white space, not JSON",
                    |text| {
                        let is_json = text.starts_with('[');
                        (!is_json).then(|| split_list(text).map(Entry::new).collect())
                    },
                )
                .unwrap_or_default(),
            max_concurrency: variables
                .read("MAX_CONCURRENCY", "a whole number from 1 to 64", |text| {
                    let number = text.parse().ok();
                    number.filter(|number| (1..=64).contains(number))
                })
                .unwrap_or(8),
            confirm_stopped: variables.read_bool("CONFIRM_STOPPED").unwrap_or(true),
            dry_run: variables.read_bool("DRY_RUN").unwrap_or(false),
            keep_running_tag: match variables.value("KEEP_RUNNING_TAG") {
                Some(key) => Some(key).filter(|key| !key.is_empty()),
                None => Some("keep-running".to_owned()),
            },
            inference_unit_hour_price: variables.read(
                "INFERENCE_UNIT_HOUR_PRICE",
                "a price from 0 to 1000000, such as `4.00`",
                |text| {
                    let price = text.parse().ok();
                    price.filter(|price: &f64| (0.0..=HIGHEST_PRICE).contains(price))
                },
            ),
            find_starts: variables.read_bool("FIND_STARTS").unwrap_or(false),
            member_role: variables.read(
                "MEMBER_ROLE",
                "the name of a role, with its path if it has one, such as `ops/stopper`: not an \
                 ARN, no leading slash, and ASCII without white space",
                role,
            ),
            member_external_id: variables.read(
                "MEMBER_EXTERNAL_ID",
                "ASCII without white space",
                printable,
            ),
            regions: variables
                .read_list(
                    "REGIONS",
                    "names of regions such as `us-east-1`: lower-case letters, digits and hyphens",
                    region,
                )
                .unwrap_or_else(|| CUSTOM_LABELS_REGIONS.map(str::to_owned).into()),
            organizational_units: variables
                .read_list(
                    "ORGANIZATIONAL_UNITS",
                    "IDs of organizational units such as `ou-a1b2-c3d4e5f6`, or of roots such as \
                     `r-a1b2`",
                    printable,
                )
                .unwrap_or_default(),
            excluded_accounts: variables
                .read_list("EXCLUDED_ACCOUNTS", "12-digit account IDs", |text| {
                    AccountId::try_from(text.to_owned()).ok()
                })
                .unwrap_or_default(),
        };
        match variables.errors.is_empty() {
            true => Ok(settings),
            false => Err(Error::InvalidSettings(variables.errors.join("; "))),
        }
    }
}

/// The environment while it is being read, and the errors found so far.
struct Variables<V> {
    variable: V,
    errors: Vec<String>,
}

impl<V: Fn(&str) -> Result<String, VarError>> Variables<V> {
    /// The value of a variable that is set, blank or not.
    fn value(&mut self, name: &str) -> Option<String> {
        match (self.variable)(name) {
            Ok(value) => Some(value.trim().to_owned()),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                self.errors.push(format!("{name} is not UTF-8 text"));
                None
            }
        }
    }

    /// The parsed value of a variable that is not blank.
    fn read<T>(&mut self, name: &str, right: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.value(name).filter(|value| !value.is_empty())?;
        let parsed = parse(&value);
        if parsed.is_none() {
            let found = quoted(&value);
            self.errors
                .push(format!("{name} is {found}; it should be {right}"));
        }
        parsed
    }

    fn read_bool(&mut self, name: &str) -> Option<bool> {
        self.read(name, "`true` or `false`", |text| {
            text.to_ascii_lowercase().parse().ok()
        })
    }

    /// The items of a list, without duplicates. A list of nothing but separators counts as not set.
    fn read_list<T: PartialEq>(
        &mut self,
        name: &str,
        right: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(name)?;
        let mut items = Vec::new();
        let mut wrong = Vec::new();
        for text in split_list(&value) {
            match parse(text) {
                Some(item) if items.contains(&item) => {}
                Some(item) => items.push(item),
                None => wrong.push(quoted(text)),
            }
        }
        if !wrong.is_empty() {
            let wrong = wrong.join(", ");
            self.errors
                .push(format!("{name} contains {wrong}; it should be {right}"));
        }
        (!items.is_empty()).then_some(items)
    }
}

/// The items of a list that is separated by commas and/or white space.
fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| character == ',' || character.is_whitespace())
        .filter(|item| !item.is_empty())
}

/// A text that can be written into a request as it is. Whether it means anything there, only AWS
/// can tell, and its error message names the value.
fn printable(text: &str) -> Option<String> {
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    is_printable.then(|| text.to_owned())
}

/// A text that can follow `:role/` in an ARN.
fn role(text: &str) -> Option<String> {
    printable(text).filter(|text| !text.starts_with('/') && !text.starts_with("arn:"))
}

/// A region's name, which can be a label of a host name. Anything else in its place could send a
/// call, with its signature, to another host.
fn region(text: &str) -> Option<String> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = text.len() <= 63 && !text.starts_with('-') && text.bytes().all(valid);
    is_label.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::read(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
                .ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn an_empty_environment_gives_the_documented_defaults() {
        let settings = read(&[]).unwrap();
        assert!(settings.model_arns.is_empty());
        assert!(!settings.dry_run && !settings.find_starts);
        assert_eq!(settings.member_role, None);
        assert_eq!(settings.member_external_id, None);
        assert_eq!(settings.regions, CUSTOM_LABELS_REGIONS);
        assert!(settings.organizational_units.is_empty());
        assert!(settings.excluded_accounts.is_empty());
        assert_eq!(settings.max_concurrency, 8);
        assert!(settings.confirm_stopped);
        assert_eq!(settings.keep_running_tag.as_deref(), Some("keep-running"));
        assert_eq!(settings.inference_unit_hour_price, None);
    }

    #[test]
    fn every_variable_is_read() {
        let settings = read(&[
            ("MODEL_ARNS", "a, b\n\tc,,d"),
            ("MAX_CONCURRENCY", "64"),
            ("CONFIRM_STOPPED", "False"),
            ("KEEP_RUNNING_TAG", ""),
            ("INFERENCE_UNIT_HOUR_PRICE", " 4.00 "),
            ("DRY_RUN", "TRUE"),
            ("FIND_STARTS", "true"),
            ("MEMBER_ROLE", " ops/rekognition-stopper "),
            ("MEMBER_EXTERNAL_ID", "a:b/c"),
            ("REGIONS", "eu-west-1, us-gov-west-1\n eu-west-1,"),
            ("ORGANIZATIONAL_UNITS", "r-a1b2 ou-a1b2-c3d4e5f6"),
            ("EXCLUDED_ACCOUNTS", "111111111111,222222222222"),
        ])
        .unwrap();
        assert!(settings.dry_run && settings.find_starts);
        assert_eq!(
            settings.member_role.as_deref(),
            Some("ops/rekognition-stopper")
        );
        assert_eq!(settings.member_external_id.as_deref(), Some("a:b/c"));
        assert_eq!(settings.regions, ["eu-west-1", "us-gov-west-1"]);
        assert_eq!(
            settings.organizational_units,
            ["r-a1b2", "ou-a1b2-c3d4e5f6"]
        );
        let excluded = settings.excluded_accounts.iter().map(AccountId::as_str);
        assert!(excluded.eq(["111111111111", "222222222222"]));
        let texts: Vec<_> = settings
            .model_arns
            .iter()
            .map(|entry| &*entry.text)
            .collect();
        assert_eq!(texts, ["a", "b", "c", "d"]);
        assert_eq!(settings.max_concurrency, 64);
        assert!(!settings.confirm_stopped);
        assert_eq!(settings.keep_running_tag, None);
        assert_eq!(settings.inference_unit_hour_price, Some(4.0));
        assert!(
            read(&[("CONFIRM_STOPPED", "True")])
                .unwrap()
                .confirm_stopped
        );
    }

    #[test]
    fn every_invalid_variable_is_named_at_once_with_what_was_expected() {
        let message = read(&[
            ("MAX_CONCURRENCY", "0"),
            ("CONFIRM_STOPPED", "yes"),
            ("INFERENCE_UNIT_HOUR_PRICE", "4,00"),
            ("DRY_RUN", "1"),
            ("MODEL_ARNS", r#"["arn:aws:rekognition"]"#),
            ("MEMBER_ROLE", "/stopper"),
            ("MEMBER_EXTERNAL_ID", "a b"),
            ("REGIONS", "us-east-*, eu-west-1, EU"),
            ("ORGANIZATIONAL_UNITS", "r-a1b2, é"),
            ("EXCLUDED_ACCOUNTS", "1234"),
        ])
        .unwrap_err()
        .to_string();
        for part in [
            "MAX_CONCURRENCY is `0`; it should be a whole number from 1 to 64",
            "CONFIRM_STOPPED is `yes`; it should be `true` or `false`",
            "INFERENCE_UNIT_HOUR_PRICE is `4,00`; it should be a price from 0 to 1000000",
            "DRY_RUN is `1`; it should be `true` or `false`",
            "separated by commas or white space, not JSON",
            "MEMBER_ROLE is `/stopper`; it should be the name of a role",
            "MEMBER_EXTERNAL_ID is `a b`; it should be ASCII without white space",
            "REGIONS contains `us-east-*`, `EU`; it should be names of regions",
            "ORGANIZATIONAL_UNITS contains `é`; it should be IDs of organizational units",
            "EXCLUDED_ACCOUNTS contains `1234`; it should be 12-digit account IDs",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_named() {
        let error = Settings::read(|name| match name {
            "REGIONS" | "DRY_RUN" => Err(VarError::NotUnicode("\u{1}".into())),
            _ => Err(VarError::NotPresent),
        });
        let message = error.unwrap_err().to_string();
        assert_eq!(
            message,
            "DRY_RUN is not UTF-8 text; REGIONS is not UTF-8 text."
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for value in ["65", "-1", "8.0", "eight"] {
            assert!(read(&[("MAX_CONCURRENCY", value)]).is_err(), "{value}");
        }
        for value in ["-1", "NaN", "inf", "free", "1e308", "1000001"] {
            assert!(
                read(&[("INFERENCE_UNIT_HOUR_PRICE", value)]).is_err(),
                "{value}"
            );
        }
        assert!(read(&[("INFERENCE_UNIT_HOUR_PRICE", "1e6")]).is_ok());
    }

    #[test]
    fn a_blank_variable_is_not_set_except_for_the_tag_key() {
        let names = [
            "MODEL_ARNS",
            "MAX_CONCURRENCY",
            "CONFIRM_STOPPED",
            "DRY_RUN",
            "FIND_STARTS",
            "INFERENCE_UNIT_HOUR_PRICE",
            "MEMBER_ROLE",
            "MEMBER_EXTERNAL_ID",
            "REGIONS",
            "ORGANIZATIONAL_UNITS",
            "EXCLUDED_ACCOUNTS",
        ];
        let blank = read(&names.map(|name| (name, " "))).unwrap();
        assert_eq!(format!("{blank:?}"), format!("{:?}", read(&[]).unwrap()));
        let settings = read(&[("KEEP_RUNNING_TAG", " "), ("REGIONS", " ,")]).unwrap();
        assert_eq!(settings.keep_running_tag, None);
        assert_eq!(settings.regions, CUSTOM_LABELS_REGIONS);
    }

    #[test]
    fn what_only_aws_can_judge_is_refused_only_if_it_would_break_a_request() {
        for (name, right, wrong) in [
            (
                "MEMBER_ROLE",
                &["r", "a_+=,.@-Z9", "ops/night/stopper", "a:b"][..],
                &[
                    "/r",
                    "/",
                    "a b",
                    "ops\u{7f}/r",
                    "é",
                    "arn:aws:iam::1:role/r",
                ][..],
            ),
            (
                "MEMBER_EXTERNAL_ID",
                &["a", "a:b/c_+=,.@-", "*"],
                &["a b", "a\tb", "é"],
            ),
            (
                "ORGANIZATIONAL_UNITS",
                &["r-a1b2", "ou-a1b2-c3d4e5f6", "another-form"],
                &["a\u{1b}b", "é"],
            ),
            (
                "REGIONS",
                &["us-east-1", "eusc-de-east-1", "moon1"],
                &[
                    "US-EAST-1",
                    "us_east_1",
                    "us-east-*",
                    "-east-1",
                    "evil.example/",
                    "x@evil.example",
                    "a#b",
                    "a:1",
                    "é",
                ],
            ),
        ] {
            for value in right {
                assert!(read(&[(name, value)]).is_ok(), "{name}={value}");
            }
            for value in wrong {
                let message = read(&[(name, value)]).unwrap_err().to_string();
                assert!(message.starts_with(name), "{message}");
                assert!(message.contains("; it should be "), "{message}");
            }
        }
        for (length, is_right) in [(63, true), (64, false)] {
            let region = "r".repeat(length);
            assert_eq!(read(&[("REGIONS", &region)]).is_ok(), is_right, "{region}");
        }
    }
}
