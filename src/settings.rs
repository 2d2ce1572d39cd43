//! The function's environment variables.

use std::env::VarError;
use std::fmt;
use std::num::NonZeroUsize;

use crate::excerpt::quoted;
use crate::request::Entry;

/// The most characters of a tag's key, from the tagging API.
const TAG_KEY_LENGTH: usize = 128;

/// What the operator set for every run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `MODEL_ARNS`: the models of a run whose event names none. Empty where the variable is not set.
    pub model_arns: Vec<Entry>,
    /// `MAX_CONCURRENCY`: calls to Rekognition in flight at once, in each region; 1 to 64.
    pub max_concurrency: NonZeroUsize,
    /// `CONFIRM_STOPPED`: whether to wait until a model is seen stopped.
    pub confirm_stopped: bool,
    /// `KEEP_RUNNING_TAG`: the key of the tag that exempts a model from patterns, if there is one.
    pub keep_running_tag: Option<String>,
    /// `INFERENCE_UNIT_HOUR_PRICE`: the price of one inference unit hour, in any currency.
    pub inference_unit_hour_price: Option<f64>,
}

impl Settings {
    /// Reads the settings by `variable`, which is [`std::env::var`] in the function.
    ///
    /// A variable that is blank counts as not set, but for `KEEP_RUNNING_TAG`, where that turns exemptions off.
    ///
    /// # Errors
    /// Names every variable with a bad value at once.
    pub fn read(
        variable: impl Fn(&str) -> Result<String, VarError>,
    ) -> Result<Self, InvalidSettings> {
        let mut wrong = Vec::new();
        let mut read = |name: &'static str| match variable(name) {
            Ok(value) => Some(value.trim().to_owned()),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                wrong.push(format!("{name} is not UTF-8 text"));
                None
            }
        };
        let model_arns = read("MODEL_ARNS").unwrap_or_default();
        let max_concurrency = read("MAX_CONCURRENCY").filter(|value| !value.is_empty());
        let confirm_stopped = read("CONFIRM_STOPPED").filter(|value| !value.is_empty());
        let keep_running_tag =
            read("KEEP_RUNNING_TAG").unwrap_or_else(|| "keep-running".to_owned());
        let price = read("INFERENCE_UNIT_HOUR_PRICE").filter(|value| !value.is_empty());

        let mut bad = |name: &str, found: &str, right: &str| {
            wrong.push(format!("{name} is {}; it should be {right}", quoted(found)));
        };
        let max_concurrency = match max_concurrency.as_deref() {
            None => NonZeroUsize::new(8),
            Some(found) => {
                let number = found
                    .parse()
                    .ok()
                    .filter(|number: &NonZeroUsize| number.get() <= 64);
                if number.is_none() {
                    bad("MAX_CONCURRENCY", found, "a whole number from 1 to 64");
                }
                number
            }
        };
        let confirm_stopped = match confirm_stopped.as_deref() {
            None => true,
            Some(found) if found.eq_ignore_ascii_case("true") => true,
            Some(found) => {
                if !found.eq_ignore_ascii_case("false") {
                    bad("CONFIRM_STOPPED", found, "`true` or `false`");
                }
                false
            }
        };
        if keep_running_tag.chars().count() > TAG_KEY_LENGTH {
            bad(
                "KEEP_RUNNING_TAG",
                &keep_running_tag,
                "a tag key of at most 128 characters, or empty",
            );
        }
        let inference_unit_hour_price = price.as_deref().and_then(|found| {
            let number = found
                .parse()
                .ok()
                .filter(|price: &f64| price.is_finite() && *price >= 0.0);
            if number.is_none() {
                bad("INFERENCE_UNIT_HOUR_PRICE", found, "a price such as `4.00`");
            }
            number
        });

        match max_concurrency {
            Some(max_concurrency) if wrong.is_empty() => Ok(Self {
                model_arns: Entry::list(&model_arns),
                max_concurrency,
                confirm_stopped,
                keep_running_tag: Some(keep_running_tag).filter(|key| !key.is_empty()),
                inference_unit_hour_price,
            }),
            _ => Err(InvalidSettings(wrong)),
        }
    }
}

/// Variables with bad values: for each its name, what was found and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSettings(Vec<String>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for InvalidSettings {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
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
        assert_eq!(settings.max_concurrency.get(), 8);
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
        ])
        .unwrap();
        let texts: Vec<_> = settings
            .model_arns
            .iter()
            .map(|entry| &*entry.text)
            .collect();
        assert_eq!(texts, ["a", "b", "c", "d"]);
        assert_eq!(settings.max_concurrency.get(), 64);
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
    fn every_bad_variable_is_named_at_once_with_what_would_be_right() {
        let message = read(&[
            ("MAX_CONCURRENCY", "0"),
            ("CONFIRM_STOPPED", "yes"),
            ("KEEP_RUNNING_TAG", &"k".repeat(129)),
            ("INFERENCE_UNIT_HOUR_PRICE", "4,00"),
        ])
        .unwrap_err()
        .to_string();
        for part in [
            "MAX_CONCURRENCY is `0`; it should be a whole number from 1 to 64",
            "CONFIRM_STOPPED is `yes`; it should be `true` or `false`",
            "KEEP_RUNNING_TAG",
            "INFERENCE_UNIT_HOUR_PRICE is `4,00`",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_tags_key_may_have_128_characters() {
        assert!(read(&[("KEEP_RUNNING_TAG", &"é".repeat(128))]).is_ok());
    }

    #[test]
    fn numbers_outside_their_bounds_are_bad() {
        for value in ["65", "-1", "8.0", "eight"] {
            assert!(read(&[("MAX_CONCURRENCY", value)]).is_err(), "{value}");
        }
        for value in ["-1", "NaN", "inf", "free"] {
            assert!(
                read(&[("INFERENCE_UNIT_HOUR_PRICE", value)]).is_err(),
                "{value}"
            );
        }
    }
}
