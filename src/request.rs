//! The event of an invocation, read into what is asked of this run.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::arn::{InvalidModelArn, Target};
use crate::excerpt::quoted;

mod json;

use json::{Fields, List, describe};

/// The most entries of one list. Far above any account's quota of models, and few enough that a run of
/// them fits in the function's smallest memory.
const MOST_ENTRIES: usize = 10_000;

const MODEL_ARNS: &str = "model_arns";
const DRY_RUN: &str = "dry_run";

/// An invocation's payload as it came: any JSON value, or text that is none.
///
/// Reading it never fails, so that a payload that is no JSON gets the answer of this function and not one
/// of the runtime's.
#[derive(Clone, Debug)]
pub enum Payload {
    /// The text of the value. It stays text, since the values of six megabytes of JSON can take more than a hundred.
    Json(Box<RawValue>),
    /// Why the text is not JSON.
    NotJson(String),
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Box::<RawValue>::deserialize(deserializer) {
            Ok(value) => Self::Json(value),
            Err(error) => Self::NotJson(error.to_string()),
        })
    }
}

/// What an event asks of one run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The models to stop, in order; without a list those of `MODEL_ARNS` are meant.
    pub entries: Option<Vec<Entry>>,
    /// Look, decide and report, but stop nothing.
    pub dry_run: bool,
}

impl Request {
    /// Reads a direct request, or the one in the `detail` of an EventBridge envelope.
    ///
    /// An envelope of AWS's own (its `source` begins with `aws.`) is an empty request whatever its
    /// `detail` holds: a schedule and an alarm have nothing to say about models.
    ///
    /// # Errors
    /// A payload that is no object, an unknown field or a wrong type.
    pub fn read(payload: &Payload) -> Result<Self, InvalidRequest> {
        let event = match payload {
            Payload::Json(event) => event,
            Payload::NotJson(why) => {
                return Err(InvalidRequest(format!(
                    "the payload is not JSON ({why}); it should be an object such as `{{}}`"
                )));
            }
        };
        if !event.get().starts_with('{') {
            return Err(InvalidRequest(format!(
                "the payload is {}; it should be an object such as `{{}}`",
                describe(event)
            )));
        }
        let event = read::<Fields>(event)?;
        let (true, Some(source)) = (event.has_detail_type, event.source) else {
            return Self::read_fields(event, "");
        };

        if !source.get().starts_with('"') {
            return Err(InvalidRequest(format!(
                "`source` of the event is {}; it should be a string",
                describe(source)
            )));
        }
        let source: String = read(source)?;
        if source.starts_with("aws.") {
            return Ok(Self::default());
        }
        match event.detail {
            Some(detail) if detail.get().starts_with('{') => {
                Self::read_fields(read(detail)?, "detail.")
            }
            Some(other) => Err(InvalidRequest(format!(
                "`detail` of the event from {} is {}; it should be an object such as `{{}}`",
                quoted(&source),
                describe(other)
            ))),
            None => Err(InvalidRequest(format!(
                "the event from {} has no `detail`; it should be an object such as `{{}}`",
                quoted(&source)
            ))),
        }
    }

    fn read_fields(fields: Fields<'_>, path: &str) -> Result<Self, InvalidRequest> {
        if let Some(unknown) = &fields.unknown {
            return Err(unknown_field(path, unknown));
        }
        let entries = match fields.model_arns {
            Some(list) if list.get().starts_with('[') => Some(read_entries(list, path)?),
            Some(other) => {
                return Err(wrong_type(path, MODEL_ARNS, other, "an array of strings"));
            }
            None => None,
        };
        let dry_run = match fields.dry_run {
            Some(dry_run) => read(dry_run)
                .map_err(|_| wrong_type(path, DRY_RUN, dry_run, "`true` or `false`"))?,
            None => false,
        };
        Ok(Self { entries, dry_run })
    }
}

/// Reads a text that is known to be JSON of this form. Its strings may still be none: `"\ud800"` is half a character.
fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, InvalidRequest> {
    serde_json::from_str(value.get()).map_err(|error| {
        InvalidRequest(format!(
            "the payload cannot be read ({error}); it should be an object such as `{{}}`"
        ))
    })
}

/// One entry of a list of models: what was written, and what it stands for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The entry as it was written, without white space around it.
    pub text: Arc<str>,
    /// The model or the pattern that it stands for, or why it stands for none.
    pub target: Result<Target, InvalidModelArn>,
}

impl Entry {
    /// The entry of this text.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        Self {
            text: text.into(),
            target: if text.is_empty() {
                Err(InvalidModelArn::new(
                    "the entry is blank; it should be the ARN of a model version, or a pattern",
                ))
            } else {
                text.parse()
            },
        }
    }

    fn null() -> Self {
        Self {
            text: "null".into(),
            target: Err(InvalidModelArn::new(
                "the entry is null; it should be the ARN of a model version, or a pattern",
            )),
        }
    }
}

/// Why an event is no request: the field, what was found and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest(String);

impl InvalidRequest {
    /// The error of a run without a list in either place.
    pub(crate) fn no_list() -> Self {
        Self(format!(
            "no models are named: the event has no `{MODEL_ARNS}` and the environment variable MODEL_ARNS is \
             not set; give a list of ARNs or patterns in one of them"
        ))
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRequest {}

/// The entries of a list. One that is too long is counted to its end, and never held in memory.
fn read_entries(list: &RawValue, path: &str) -> Result<Vec<Entry>, InvalidRequest> {
    let list: List = read(list)?;
    if list.length > MOST_ENTRIES {
        return Err(InvalidRequest(format!(
            "`{path}{MODEL_ARNS}` has {} entries; it should have at most {MOST_ENTRIES}, of which each may be a \
             pattern",
            list.length
        )));
    }
    match list.wrong {
        Some((index, found)) => Err(InvalidRequest(format!(
            "`{path}{MODEL_ARNS}[{index}]` is {found}; it should be a string"
        ))),
        None => Ok(list.entries),
    }
}

fn wrong_type(path: &str, field: &str, found: &RawValue, right: &str) -> InvalidRequest {
    InvalidRequest(format!(
        "`{path}{field}` is {}; it should be {right}",
        describe(found)
    ))
}

fn unknown_field(path: &str, unknown: &str) -> InvalidRequest {
    let beginning: String = unknown.chars().take(80).collect();
    let distance = |known: &str| strsim::damerau_levenshtein(&beginning.to_lowercase(), known);
    let nearest = if distance(DRY_RUN) < distance(MODEL_ARNS) {
        DRY_RUN
    } else {
        MODEL_ARNS
    };
    InvalidRequest(format!(
        "{} is not a known field; did you mean `{nearest}`? The known fields are `{MODEL_ARNS}` and `{DRY_RUN}`",
        quoted(&format!("{path}{unknown}"))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    const ARN: &str =
        "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/1700000000000";

    fn read(event: Value) -> Result<Request, InvalidRequest> {
        Request::read(&Payload::Json(to_raw_value(&event).unwrap()))
    }

    fn refused(event: Value) -> String {
        read(event).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_object_is_an_empty_request() {
        let request = read(json!({})).unwrap();
        assert!(request.entries.is_none());
        assert!(!request.dry_run);
    }

    #[test]
    fn a_direct_request_gives_models_and_dry_run() {
        let request = read(json!({"model_arns": [ARN, " "], "dry_run": true})).unwrap();
        let entries = request.entries.unwrap();
        assert!(matches!(&entries[0].target, Ok(Target::Model(arn)) if arn.as_str() == ARN));
        assert!(entries[1].target.is_err());
        assert!(request.dry_run);
    }

    #[test]
    fn an_envelope_of_aws_is_an_empty_request_whatever_its_detail_holds() {
        for detail in [
            json!({}),
            json!("{}"),
            json!(null),
            json!({"model_arns": "all"}),
        ] {
            for source in ["aws.events", "aws.scheduler", "aws.cloudwatch"] {
                let event = json!({"detail-type": "x", "source": source, "detail": detail});
                assert!(read(event).unwrap().entries.is_none());
            }
        }
        let without_detail = json!({"detail-type": "x", "source": "aws.budgets"});
        assert!(read(without_detail).unwrap().entries.is_none());
    }

    #[test]
    fn an_envelope_from_elsewhere_carries_the_request_in_its_detail() {
        let event = json!({"detail-type": "x", "source": "shop", "detail": {"model_arns": [ARN]}});
        assert_eq!(read(event).unwrap().entries.unwrap().len(), 1);

        let wrong = json!({"detail-type": "x", "source": "shop", "detail": {"model_arn": [ARN]}});
        let message = refused(wrong);
        assert!(
            message.contains("`detail.model_arn` is not a known field; did you mean `model_arns`?"),
            "{message}"
        );
        assert!(
            refused(json!({"detail-type": "x", "source": "shop", "detail": "{}"}))
                .contains("`detail` of the event from `shop` is a string")
        );
        assert!(refused(json!({"detail-type": "x", "source": "shop"})).contains("has no `detail`"));
        assert!(
            refused(json!({"detail-type": "x", "source": 1}))
                .contains("`source` of the event is the number `1`")
        );
    }

    #[test]
    fn half_an_envelope_is_a_direct_request_with_an_unknown_field() {
        assert!(refused(json!({"source": "aws.events"})).contains("`source` is not a known field"));
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_known_one() {
        assert!(refused(json!({"modelArns": []})).contains("did you mean `model_arns`?"));
        assert!(refused(json!({"DryRun": true})).contains("did you mean `dry_run`?"));
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_field() {
        assert!(
            refused(json!({"model_arns": ARN}))
                .contains("`model_arns` is a string; it should be an array of strings")
        );
        assert!(refused(json!({"model_arns": null})).contains("`model_arns` is null"));
        assert!(
            refused(json!({"model_arns": [ARN, 5]})).contains("`model_arns[1]` is the number `5`")
        );
        assert!(
            refused(json!({"dry_run": "yes"}))
                .contains("`dry_run` is a string; it should be `true` or `false`")
        );
        assert!(refused(json!([])).contains("the payload is an array"));
    }

    #[test]
    fn what_an_error_repeats_is_cut() {
        let long = "x".repeat(1_000_000);
        for event in [
            json!({"detail-type": "x", "source": long}),
            json!({"detail-type": "x", "source": long, "detail": []}),
            json!({long.clone(): 1}),
            json!({"detail-type": "x", "source": "shop", "detail": {long: 1}}),
        ] {
            let message = refused(event);
            assert!(message.len() < 300, "{message}");
            assert!(message.contains("xxx..."), "{message}");
        }
        let number = Payload::Json(RawValue::from_string("1".repeat(1_000_000)).unwrap());
        let message = Request::read(&number).unwrap_err().to_string();
        assert!(message.len() < 200, "{message}");
        assert!(message.contains("the number `111"), "{message}");
    }

    #[test]
    fn half_a_character_is_refused() {
        for text in [
            r#"{"\ud800": 1}"#,
            r#"{"model_arns": ["\ud800"]}"#,
            r#"{"detail-type": "x", "source": "\ud800"}"#,
        ] {
            let event = Payload::Json(RawValue::from_string(text.to_owned()).unwrap());
            let message = Request::read(&event).unwrap_err().to_string();
            assert!(
                message.starts_with("the payload cannot be read ("),
                "{message}"
            );
            assert!(
                message.contains("surrogate") || message.contains("hex escape"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_field_that_is_given_twice_counts_as_it_was_given_last() {
        let text = r#"{"dry_run": 1, "dry_run": true}"#;
        let event = Payload::Json(RawValue::from_string(text.to_owned()).unwrap());
        assert!(Request::read(&event).unwrap().dry_run);
    }

    #[test]
    fn an_envelope_of_aws_may_nest_as_deeply_as_it_likes() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"detail": {deep}, "detail-type": "x", "source": "aws.events"}}"#);
        let event = serde_json::from_str(&text).unwrap();
        assert!(matches!(&event, Payload::Json(_)));
        assert!(Request::read(&event).unwrap().entries.is_none());
        let event = serde_json::from_str(&format!(r#"{{"model_arns": [{deep}]}}"#)).unwrap();
        let message = Request::read(&event).unwrap_err().to_string();
        assert!(message.contains("`model_arns[0]` is an array"), "{message}");
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_whole() {
        let event = json!({"model_arns": vec![ARN; MOST_ENTRIES + 1]});
        assert!(refused(event).contains("has 10001 entries; it should have at most 10000"));
        assert!(read(json!({"model_arns": vec![ARN; MOST_ENTRIES]})).is_ok());
    }

    #[test]
    fn null_and_blank_items_are_entries_that_fail_alone() {
        let entries = read(json!({"model_arns": [null, "", ARN]}))
            .unwrap()
            .entries
            .unwrap();
        assert!(
            entries[0]
                .target
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("null")
        );
        assert!(
            entries[1]
                .target
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("blank")
        );
        assert!(entries[2].target.is_ok());
    }

    #[test]
    fn a_payload_that_is_no_json_is_read_all_the_same() {
        let mut text = serde_json::Deserializer::from_str("{oops");
        let payload = Payload::deserialize(&mut text).unwrap();
        let message = Request::read(&payload).unwrap_err().to_string();
        assert!(message.contains("the payload is not JSON"), "{message}");
    }
}
