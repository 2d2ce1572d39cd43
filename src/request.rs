//! The event of an invocation, parsed into the request for this run.

use std::fmt;
use std::sync::Arc;

use lambda_runtime::LambdaInvocation;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::arn::{AccountId, InvalidModelArn, Target};
use crate::error::Error;
use crate::excerpt::{cut, quoted};

/// The maximum length of a list: far above any account's quota of models, and low enough that such
/// a run fits in the function's smallest memory.
const MOST_ENTRIES: usize = 10_000;
/// What some editors and shells put in front of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How many accounts each run of a plan may have at most.
pub(crate) const MOST_ACCOUNTS_PER_RUN: usize = 1000;
/// The maximum length, in bytes, of a field's path, and of what was found there, in an error.
const LONGEST_PART: usize = 150;

/// An invocation's payload as received: the text of a JSON value, or why it is none. It stays text
/// because the values in six megabytes of JSON can take more than a hundred megabytes.
///
/// Deserializing it never fails, so that a payload that is not JSON gets an error from this
/// function rather than from the runtime.
#[derive(Clone, Debug)]
pub struct Payload(pub Result<Box<RawValue>, String>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer);
        Ok(Self(json.map_err(|error| error.to_string())))
    }
}

/// An invocation without the byte order mark in front of its event, if it has one. JSON allows none,
/// so it has to go before the runtime parses the event.
pub fn skip_byte_order_mark(mut invocation: LambdaInvocation) -> LambdaInvocation {
    if invocation.body.starts_with(BYTE_ORDER_MARK) {
        invocation.body = invocation.body.split_off(BYTE_ORDER_MARK.len());
    }
    invocation
}

/// The request for one run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The models to stop, in order; without a list, those of `MODEL_ARNS`.
    #[serde(default, rename = "model_arns", deserialize_with = "entries")]
    pub entries: Option<Vec<Entry>>,
    /// Check, decide and report, but stop nothing; if absent, `DRY_RUN` applies.
    #[serde(default, deserialize_with = "present")]
    pub dry_run: Option<bool>,
    /// Narrows the run to these of the accounts that a wildcard matches. Never empty.
    #[serde(default, deserialize_with = "accounts")]
    pub accounts: Option<Vec<AccountId>>,
    /// Only plan runs of at most this many accounts each: 1 to 1,000.
    #[serde(default, deserialize_with = "accounts_per_run")]
    pub accounts_per_run: Option<usize>,
}

/// The fields that show that an event is not a direct request. Their contents stay text, and may be
/// nested to any depth.
#[derive(Deserialize)]
struct Envelope<'event> {
    #[serde(default, rename = "detail-type", deserialize_with = "present")]
    detail_type: Option<IgnoredAny>,
    source: Option<String>,
    #[serde(borrow)]
    detail: Option<&'event RawValue>,
    #[serde(default, rename = "alarmArn", deserialize_with = "present")]
    alarm_arn: Option<IgnoredAny>,
    #[serde(borrow, rename = "Records")]
    records: Option<&'event RawValue>,
}

/// The field that shows that a record is a message of SNS.
#[derive(Deserialize)]
struct Record {
    #[serde(rename = "EventSource")]
    source: String,
}

impl Envelope<'_> {
    /// Whether AWS itself sent this, as a schedule, a budget and an alarm do.
    fn is_from_aws(&self) -> bool {
        let source = self.source.as_deref().unwrap_or_default();
        let is_event = self.detail_type.is_some() && source.starts_with("aws.");
        let is_alarm_action = self.alarm_arn.is_some() && source == "aws.cloudwatch";
        is_event || is_alarm_action || self.records.is_some_and(is_from_sns)
    }
}

fn is_from_sns(records: &RawValue) -> bool {
    let records = serde_json::from_str(records.get());
    records.is_ok_and(|records: Vec<Record>| {
        !records.is_empty() && records.iter().all(|it| it.source == "aws:sns")
    })
}

impl Request {
    /// Reads a direct request, or the request in the `detail` of an EventBridge envelope.
    ///
    /// What AWS itself sends (an envelope whose `source` begins with `aws.`, messages of SNS, the
    /// action of an alarm) is an empty request whatever it holds: "budget exceeded" is a reason to
    /// stop what is configured, and a message from outside never says what to stop.
    ///
    /// # Errors
    /// A payload that is not an object, an unknown field, a wrong type or a value out of range.
    pub fn read(payload: &Payload) -> Result<Self, Error> {
        let event = payload.0.as_ref().map_err(|why| {
            Error::InvalidRequest(format!(
                "the payload is not JSON ({why}); it should be an object such as `{{}}`, in UTF-8"
            ))
        })?;
        let envelope: Envelope = read_object(event, "the payload", "")?;
        if envelope.is_from_aws() {
            return Ok(Self::default());
        }
        match (envelope.detail_type, envelope.source) {
            (Some(_), Some(source)) => {
                let what = format!("`detail` of the event from {}", quoted(&source));
                read_object(envelope.detail.unwrap_or(RawValue::NULL), &what, "detail.")
            }
            _ => read_object(event, "the payload", ""),
        }
    }

    /// Validates what can only be validated together with the list of the run, which comes from the
    /// request or from the settings.
    ///
    /// # Errors
    /// `accounts` that have nothing to narrow.
    pub(crate) fn check(&self, entries: &[Entry]) -> Result<(), Error> {
        if self.accounts.is_some() && !entries.iter().any(Entry::has_account_wildcard) {
            return Err(Error::InvalidRequest(
                "`accounts` is given, but no entry of the list has a wildcard in its account; leave \
                 it out, or add such a pattern to the list"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Reads an object. Errors call it `what`, and the paths of its fields begin with `path`.
fn read_object<'event, T: Deserialize<'event>>(
    value: &'event RawValue,
    what: &str,
    path: &str,
) -> Result<T, Error> {
    // Serde would take an array for the fields in their order.
    if !value.get().starts_with('{') {
        return Err(Error::InvalidRequest(format!(
            "{what} is not an object; it should be one, such as `{{}}`"
        )));
    }
    let mut json = serde_json::Deserializer::from_str(value.get());
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = format!("{path}{}", error.path());
        let field = cut(&field, LONGEST_PART);
        Error::InvalidRequest(format!("`{field}`: {}", reason(error.inner())))
    })
}

/// Serde's reason without two things: the line and the column, because the field's path is better;
/// and a string that was found in place of something else, because it could be anything, and the
/// message is logged.
fn reason(error: &serde_json::Error) -> String {
    const STRING: &str = "invalid type: string";
    let reason = error.to_string();
    let place = reason.rfind(" at line ").unwrap_or(reason.len());
    let (reason, _) = reason.split_at(place);
    match reason.rsplit_once(", expected ") {
        Some((found, right)) if found.starts_with(STRING) => format!("{STRING}, expected {right}"),
        Some((found, right)) => format!("{}, expected {right}", cut(found, LONGEST_PART)),
        None => cut(reason, LONGEST_PART).into_owned(),
    }
}

/// A field that is present. `null` is a value like any other, and usually a wrong one.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<T>, D::Error> {
    T::deserialize(json).map(Some)
}

fn accounts<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Vec<AccountId>>, D::Error> {
    let accounts = Vec::deserialize(json)?;
    match accounts.len() {
        1..=MOST_ENTRIES => Ok(Some(accounts)),
        length => Err(D::Error::custom(format_args!(
            "a list of {length} accounts; it should have 1 to {MOST_ENTRIES}, or be left out"
        ))),
    }
}

fn accounts_per_run<'de, D: Deserializer<'de>>(json: D) -> Result<Option<usize>, D::Error> {
    let number = Number::deserialize(json)?;
    let accounts = number.as_u64().and_then(|it| usize::try_from(it).ok());
    match accounts {
        Some(1..=MOST_ACCOUNTS_PER_RUN) => Ok(accounts),
        _ => Err(D::Error::custom(format_args!(
            "{number} should be a whole number from 1 to {MOST_ACCOUNTS_PER_RUN}"
        ))),
    }
}

/// The entries of a list. One that is too long is never held in memory.
fn entries<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Vec<Entry>>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<Entry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of strings")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Entry>, A::Error> {
            let mut entries = Vec::new();
            while let Some(text) = items.next_element::<Option<String>>()? {
                if entries.len() == MOST_ENTRIES {
                    return Err(A::Error::custom(format_args!(
                        "a list of more than {MOST_ENTRIES} entries; it should have no more, each \
                         of which may be a pattern"
                    )));
                }
                // `null` is an invalid entry like any other.
                entries.push(Entry::new(text.as_deref().unwrap_or("null")));
            }
            Ok(entries)
        }
    }

    json.deserialize_seq(Entries).map(Some)
}

/// One entry of a list of models: what was written, and what it is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The entry as it was written, without surrounding white space.
    pub text: Arc<str>,
    /// The model or the pattern, or why it is neither.
    pub target: Result<Target, InvalidModelArn>,
}

impl Entry {
    /// Creates an entry from this text.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let target = text.parse::<Target>();
        Self {
            text: target.as_ref().map_or_else(|_| text.into(), Target::text),
            target,
        }
    }

    /// Whether this is a pattern with a wildcard in its account.
    pub(crate) fn has_account_wildcard(&self) -> bool {
        matches!(&self.target, Ok(Target::Pattern(pattern)) if pattern.account().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    const ARN: &str =
        "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/1700000000000";

    fn read(event: Value) -> Result<Request, Error> {
        Request::read(&Payload(Ok(to_raw_value(&event).unwrap())))
    }

    fn read_text(text: &str) -> Result<Request, Error> {
        Request::read(&serde_json::from_str(text).unwrap())
    }

    fn refused(event: Value) -> String {
        read(event).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_object_is_an_empty_request() {
        let request = read(json!({})).unwrap();
        assert!(request.entries.is_none());
        assert_eq!(request.dry_run, None);
        assert_eq!(request.accounts, None);
        assert_eq!(request.accounts_per_run, None);
    }

    #[test]
    fn a_direct_request_has_every_field() {
        let request = read(json!({
            "model_arns": [ARN, " "], "dry_run": false, "accounts": ["111111111111"],
            "accounts_per_run": 1000
        }))
        .unwrap();
        let entries = request.entries.unwrap();
        assert!(matches!(&entries[0].target, Ok(Target::Model(arn)) if arn.as_str() == ARN));
        assert!(entries[1].target.is_err());
        assert_eq!(request.dry_run, Some(false));
        assert_eq!(request.accounts.unwrap()[0].as_str(), "111111111111");
        assert_eq!(request.accounts_per_run, Some(1000));
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
                for detail_type in [json!("x"), json!(null)] {
                    let event =
                        json!({"detail-type": detail_type, "source": source, "detail": detail});
                    assert!(read(event).unwrap().entries.is_none());
                }
            }
        }
        let without_detail = json!({"detail-type": "x", "source": "aws.budgets"});
        assert!(read(without_detail).unwrap().entries.is_none());
    }

    #[test]
    fn messages_of_sns_and_the_action_of_an_alarm_are_empty_requests_whatever_they_hold() {
        let message = |text: &str| json!({"EventSource": "aws:sns", "Sns": {"Message": text}});
        let request = json!({"model_arns": [ARN]}).to_string();
        for event in [
            json!({"Records": [message("over budget")]}),
            json!({"Records": [message(&request), message("")], "model_arns": [ARN], "x": 1}),
            json!({"source": "aws.cloudwatch", "alarmArn": "arn:aws:cloudwatch", "alarmData": {}}),
            json!({"source": "aws.cloudwatch", "alarmArn": null, "model_arns": [ARN]}),
        ] {
            let request = read(event).unwrap();
            assert!(request.entries.is_none());
        }
        for (event, field) in [
            (json!({"Records": []}), "Records"),
            (json!({"Records": null}), "Records"),
            (json!({"Records": "aws:sns"}), "Records"),
            (json!({"Records": [{"eventSource": "aws:s3"}]}), "Records"),
            (json!({"Records": [{"EventSource": "aws:sqs"}]}), "Records"),
            (json!({"Records": [message(""), {}]}), "Records"),
            (json!({"Records": [message(""), null]}), "Records"),
            (json!({"source": "aws.cloudwatch"}), "source"),
            (json!({"alarmArn": "arn:aws:cloudwatch"}), "alarmArn"),
            (json!({"alarmArn": "x", "source": "aws.events"}), "alarmArn"),
            (
                json!({"alarmArn": "x", "source": "aws.cloudwatch2"}),
                "alarmArn",
            ),
        ] {
            let message = refused(event);
            let beginning = format!("`{field}`: unknown field `{field}`, expected one of");
            assert!(message.starts_with(&beginning), "{message}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        for (body, rest) in [
            ("\u{feff}{}", "{}"),
            ("{}", "{}"),
            ("\u{feff}", ""),
            ("\u{feff}\u{feff}{}", "\u{feff}{}"),
            ("{\u{feff}}", "{\u{feff}}"),
            ("", ""),
        ] {
            let (parts, ()) = axum::http::Response::new(()).into_parts();
            let invocation = skip_byte_order_mark(LambdaInvocation {
                parts,
                body: body.into(),
                context: lambda_runtime::Context::default(),
            });
            assert_eq!(invocation.body, rest);
        }
    }

    #[test]
    fn an_envelope_from_elsewhere_carries_the_request_in_its_detail() {
        let envelope = |detail| json!({"detail-type": "x", "source": "shop", "detail": detail});
        let request = read(envelope(json!({"model_arns": [ARN]}))).unwrap();
        assert_eq!(request.entries.unwrap().len(), 1);

        for (event, part) in [
            (
                envelope(json!({"model_arn": [ARN]})),
                "`detail.model_arn`: unknown field `model_arn`, expected one of `model_arns`",
            ),
            (
                envelope(json!({"dry_run": 1})),
                "`detail.dry_run`: invalid type: integer `1`, expected a boolean",
            ),
            (
                envelope(json!("{}")),
                "`detail` of the event from `shop` is not an object; it should be one",
            ),
            (
                envelope(json!(null)),
                "`detail` of the event from `shop` is not an object; it should be one",
            ),
            (
                json!({"detail-type": "x", "source": "shop"}),
                "`detail` of the event from `shop` is not an object; it should be one",
            ),
            (
                json!({"detail-type": "x", "source": 1}),
                "`source`: invalid type: integer `1`, expected a string",
            ),
        ] {
            let message = refused(event);
            assert!(message.starts_with(part), "{message}");
        }
    }

    #[test]
    fn half_an_envelope_is_a_direct_request_with_an_unknown_field() {
        for half in [json!({"source": "aws.events"}), json!({"detail-type": "x"})] {
            let message = refused(half);
            assert!(message.contains("unknown field"), "{message}");
        }
    }

    #[test]
    fn an_invalid_field_is_refused_with_its_name_what_it_is_and_what_was_expected() {
        for (event, right) in [
            (
                json!({"modelArns": []}),
                "`modelArns`: unknown field `modelArns`, expected one of `model_arns`, `dry_run`, \
                 `accounts`, `accounts_per_run`",
            ),
            (
                json!({"model_arns": "all"}),
                "`model_arns`: invalid type: string, expected an array of strings",
            ),
            (
                json!({"model_arns": null}),
                "`model_arns`: invalid type: null, expected an array of strings",
            ),
            (
                json!({"model_arns": [ARN, 5]}),
                "`model_arns[1]`: invalid type: integer `5`, expected a string",
            ),
            (
                json!({"model_arns": [ARN, ["a"]]}),
                "`model_arns[1]`: invalid type: sequence, expected a string",
            ),
            (
                json!({"dry_run": "yes"}),
                "`dry_run`: invalid type: string, expected a boolean",
            ),
            (
                json!({"dry_run": null}),
                "`dry_run`: invalid type: null, expected a boolean",
            ),
            (
                json!({"accounts": null}),
                "`accounts`: invalid type: null, expected a sequence",
            ),
            (
                json!({"accounts": []}),
                "`accounts`: a list of 0 accounts; it should have 1 to 10000, or be left out",
            ),
            (
                json!({"accounts": ["111111111111", "1111"]}),
                "`accounts[1]`: `1111` should be a 12-digit account ID",
            ),
            (
                json!({"accounts": [111_111_111_111_u64]}),
                "`accounts[0]`: invalid type: integer `111111111111`, expected a string",
            ),
            (
                json!({"accounts_per_run": 0}),
                "`accounts_per_run`: 0 should be a whole number from 1 to 1000",
            ),
            (
                json!({"accounts_per_run": 1001}),
                "`accounts_per_run`: 1001 should be a whole number from 1 to 1000",
            ),
            (
                json!({"accounts_per_run": 1.5}),
                "`accounts_per_run`: 1.5 should be a whole number from 1 to 1000",
            ),
            (
                json!({"accounts_per_run": "5"}),
                "`accounts_per_run`: invalid type: string, expected a JSON number",
            ),
            (
                json!([ARN]),
                "the payload is not an object; it should be one, such as `{}`",
            ),
            (
                json!("{}"),
                "the payload is not an object; it should be one, such as `{}`",
            ),
        ] {
            assert_eq!(refused(event), format!("{right}."));
        }
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused() {
        let message = read_text(r#"{"dry_run": false, "dry_run": true}"#).unwrap_err();
        assert!(
            message.to_string().contains("duplicate field `dry_run`"),
            "{message}"
        );
    }

    #[test]
    fn an_error_cuts_what_was_found_and_not_what_was_expected() {
        let long = "x".repeat(1_000_000);
        for (event, part) in [
            (
                json!({"detail-type": "x", "source": long}),
                "is not an object",
            ),
            (
                json!({"detail-type": "x", "source": long, "detail": []}),
                "it should be one",
            ),
            (
                json!({long.clone(): 1}),
                "expected one of `model_arns`, `dry_run`, `accounts`, `accounts_per_run`",
            ),
            (
                json!({"detail-type": "x", "source": "shop", "detail": {long.clone(): 1}}),
                "expected one of `model_arns`",
            ),
            (json!({ "accounts": [long] }), "a 12-digit account ID"),
        ] {
            let message = refused(event);
            assert!(message.len() < 450, "{message}");
            assert!(message.contains("xxx..."), "{message}");
            assert!(message.contains(part), "{message}");
        }
        let number = "1".repeat(1_000_000);
        let message = read_text(&format!(r#"{{"accounts_per_run": {number}}}"#)).unwrap_err();
        assert!(message.to_string().len() < 450, "{message}");
    }

    #[test]
    fn a_string_in_place_of_something_else_is_not_repeated() {
        for field in ["model_arns", "dry_run", "accounts", "accounts_per_run"] {
            let message = refused(json!({field: "a secret\", expected b"}));
            assert!(
                message.starts_with(&format!("`{field}`: invalid type: string, expected ")),
                "{message}"
            );
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn half_a_character_is_refused() {
        for text in [
            r#"{"\ud800": 1}"#,
            r#"{"model_arns": ["\ud800"]}"#,
            r#"{"detail-type": "x", "source": "\ud800"}"#,
        ] {
            let message = read_text(text).unwrap_err().to_string();
            assert!(
                message.contains("surrogate") || message.contains("hex escape"),
                "{message}"
            );
        }
    }

    #[test]
    fn an_envelope_of_aws_may_be_nested_to_any_depth() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"detail": {deep}, "detail-type": "x", "source": "aws.events"}}"#);
        assert!(read_text(&text).unwrap().entries.is_none());
        let text = format!(r#"{{"x": {deep}, "detail-type": "x", "source": "aws.events"}}"#);
        assert!(read_text(&text).unwrap().entries.is_none());

        for field in ["model_arns", "accounts", "dry_run", "accounts_per_run", "x"] {
            let message = read_text(&format!(r#"{{"{field}": {deep}}}"#)).unwrap_err();
            let message = message.to_string();
            assert!(message.starts_with(&format!("`{field}")), "{message}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_as_a_whole() {
        let event = json!({"model_arns": vec![ARN; MOST_ENTRIES + 1]});
        let message = refused(event);
        assert!(
            message.starts_with(
                "`model_arns`: a list of more than 10000 entries; it should have no more"
            ),
            "{message}"
        );
        assert!(read(json!({"model_arns": vec![ARN; MOST_ENTRIES]})).is_ok());
    }

    #[test]
    fn null_and_blank_items_are_entries_that_fail_on_their_own() {
        let entries = read(json!({"model_arns": [null, " ", ARN]}))
            .unwrap()
            .entries
            .unwrap();
        let why = |entry: &Entry| entry.target.as_ref().unwrap_err().to_string();
        assert!(why(&entries[0]).starts_with("`null` should be one ARN"));
        assert!(why(&entries[1]).starts_with("`` should be one ARN"));
        assert_eq!([&*entries[0].text, &*entries[1].text], ["null", ""]);
        assert!(entries[2].target.is_ok());
    }

    #[test]
    fn accounts_need_a_list_with_a_wildcard_in_an_account() {
        let wild = "arn:aws:rekognition:us-east-1:*:project/*/version/*/*";
        let of_an_account = wild.replace(":*:", ":123456789012:");
        for (accounts, entries, is_right) in [
            (true, vec![ARN, wild], true),
            (true, vec![ARN, &of_an_account, "oops"], false),
            (true, vec![], false),
            (false, vec![ARN], true),
        ] {
            let accounts = accounts.then(|| json!(["111111111111"]));
            let event = json!({"accounts": accounts});
            let request = match accounts {
                Some(_) => read(event).unwrap(),
                None => Request::default(),
            };
            let entries: Vec<Entry> = entries.into_iter().map(Entry::new).collect();
            let checked = request.check(&entries);
            assert_eq!(checked.is_ok(), is_right, "{entries:?}");
            if let Err(error) = checked {
                assert!(error.to_string().starts_with("`accounts` "), "{error}");
            }
        }
    }

    #[test]
    fn a_payload_that_is_not_json_is_an_error_of_the_request() {
        let utf_16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [&[0xff, 0xfe], &*utf_16].concat();
        for bytes in [
            b"{oops",
            &b"{\"x\": \"\xe9\"}"[..],
            &with_mark,
            &utf_16,
            b"",
        ] {
            let mut text = serde_json::Deserializer::from_slice(bytes);
            let payload = Payload::deserialize(&mut text).unwrap();
            let message = Request::read(&payload).unwrap_err().to_string();
            assert!(
                message.starts_with("the payload is not JSON ("),
                "{message}"
            );
            let right = "; it should be an object such as `{}`, in UTF-8.";
            assert!(message.ends_with(right), "{message}");
        }
    }
}
