//! What holds for every input: ARNs and patterns against the service's own rules, and any event and environment.

use std::env::VarError;

use proptest::prelude::*;
use regex::Regex;
use rekognition_stopper::arn::{ModelArn, ModelPattern, Target};
use rekognition_stopper::request::{Payload, Request};
use rekognition_stopper::settings::Settings;
use serde::Deserialize;
use serde_json::Value;

/// The `ProjectVersionArn` of StopProjectVersion. Its `\d` is ASCII.
const SERVICE_PATTERN: &str = r"(^arn:[a-z0-9-]+:rekognition:[a-z0-9-]+:[0-9]{12}:project/[a-zA-Z0-9_.\-]{1,255}/version/[a-zA-Z0-9_.\-]{1,255}/[0-9]+$)";

fn service_accepts(text: &str) -> bool {
    let form = Regex::new(SERVICE_PATTERN).unwrap();
    (20..=2048).contains(&text.chars().count()) && form.is_match(text)
}

/// Texts that are ARNs, nearly ARNs, and nothing of the kind.
fn near_arns() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        4 => "[a-zA-Z0-9_.-]{1,20}",
        1 => "[a-z0-9-]{0,3}",
        1 => "[a-zA-Z0-9_.-]{250,260}",
        1 => "\\PC{0,4}",
    ];
    let built = (
        prop_oneof![8 => Just("arn".to_owned()), 1 => "[a-z]{0,4}"],
        prop_oneof![8 => "[a-z0-9-]{1,10}", 1 => field.clone()],
        prop_oneof![8 => Just("rekognition".to_owned()), 1 => field.clone()],
        prop_oneof![8 => "[a-z]{2}-[a-z]{4,9}-[0-9]", 1 => field.clone()],
        prop_oneof![8 => "[0-9]{12}", 1 => "[0-9]{10,14}", 1 => "[0-9٠-٩]{12}"],
        prop_oneof![8 => Just("project".to_owned()), 1 => field.clone()],
        field.clone(),
        prop_oneof![8 => Just("version".to_owned()), 1 => field.clone()],
        field,
        prop_oneof![8 => "[0-9]{1,13}", 1 => "[0-9a٣]{0,13}"],
    )
        .prop_map(|(arn, partition, service, region, account, p, project, v, version, number)| {
            format!("{arn}:{partition}:{service}:{region}:{account}:{p}/{project}/{v}/{version}/{number}")
        });
    prop_oneof![12 => built, 1 => "\\PC{0,80}"]
}

/// The names and numbers of a few models that resemble each other, so that patterns come near to them.
fn resource() -> impl Strategy<Value = (String, String, String)> {
    ("[ab.-]{1,8}", "[ab_]{1,8}", "[01]{1,6}")
}

fn arn(project: &str, version: &str, number: &str) -> String {
    format!(
        "arn:aws:rekognition:us-east-1:123456789012:project/{project}/version/{version}/{number}"
    )
}

/// IAM's wildcards over the whole text, by a regular expression: `*` is any run of characters, `?` any one.
fn iam_matches(pattern: &str, text: &str) -> bool {
    let translated = regex::escape(pattern)
        .replace(r"\*", ".*")
        .replace(r"\?", ".");
    Regex::new(&format!("^{translated}$"))
        .unwrap()
        .is_match(text)
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("model_arns".to_owned()),
        Just("dry_run".to_owned()),
        Just("detail".to_owned()),
        Just("detail-type".to_owned()),
        Just("source".to_owned()),
        Just("aws.events".to_owned()),
        "\\PC{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn a_model_arn_is_valid_exactly_where_the_service_says_so(text in near_arns()) {
        let parsed = text.parse::<ModelArn>();
        prop_assert_eq!(parsed.is_ok(), service_accepts(&text), "{}: {:?}", text, parsed);
        if let Ok(parsed) = parsed {
            let rebuilt = format!(
                "arn:{}:rekognition:{}:{}:project/{}/version/{}/{}",
                parsed.partition(), parsed.region(), parsed.account(), parsed.project(), parsed.version(),
                parsed.number(),
            );
            prop_assert_eq!(rebuilt, text);
        }
    }

    #[test]
    fn a_pattern_matches_exactly_what_iam_matches(
        (project, version, number) in resource(),
        (like_project, like_version, like_number) in ("[ab.*?-]{1,8}", "[ab_*?]{1,8}", "[01*?]{1,6}"),
    ) {
        let model_arn: ModelArn = arn(&project, &version, &number).parse().unwrap();
        let text = arn(&like_project, &like_version, &like_number);
        let pattern: ModelPattern = text.parse().unwrap();
        prop_assert_eq!(pattern.matches(&model_arn), iam_matches(&text, model_arn.as_str()), "{} {}", text, model_arn);
    }

    #[test]
    fn an_entry_is_a_model_a_pattern_or_an_error_in_words(text in "\\PC{0,60}") {
        match text.parse::<Target>() {
            Ok(Target::Model(model_arn)) => prop_assert_eq!(model_arn.as_str(), text),
            Ok(Target::Pattern(pattern)) => prop_assert_eq!(pattern.as_str(), text),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_json_is_a_request_or_a_clear_error(event in any_json()) {
        match Request::read(&event.into()) {
            Ok(_) => {}
            Err(error) => prop_assert!(error.to_string().contains('`'), "{}", error),
        }
    }

    #[test]
    fn any_bytes_are_a_payload(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut text = serde_json::Deserializer::from_slice(&bytes);
        let payload = Payload::deserialize(&mut text).unwrap();
        if let Payload::NotJson(_) = payload {
            let error = Request::read(&payload).unwrap_err();
            prop_assert!(error.to_string().contains("is not JSON"), "{}", error);
        }
    }

    #[test]
    fn any_environment_gives_settings_or_names_the_bad_variable(
        values in prop::collection::vec(prop::option::of("\\PC{0,20}|[0-9.,-]{0,4}|true|false"), 5)
    ) {
        let names = ["MODEL_ARNS", "MAX_CONCURRENCY", "CONFIRM_STOPPED", "KEEP_RUNNING_TAG", "INFERENCE_UNIT_HOUR_PRICE"];
        let settings = Settings::read(|name| {
            let position = names.iter().position(|known| *known == name).unwrap();
            values[position].clone().ok_or(VarError::NotPresent)
        });
        match settings {
            Ok(settings) => prop_assert!((1..=64).contains(&settings.max_concurrency.get())),
            Err(error) => {
                let error = error.to_string();
                prop_assert!(names[1..].iter().any(|name| error.contains(name)), "{}", error);
            }
        }
    }
}

/// With a matcher that tries every way to spread the stars this would take longer than the universe has lasted.
#[test]
fn a_hostile_pattern_is_matched_without_trying_every_way() {
    let pattern: ModelPattern = arn(&format!("{}b", "*a".repeat(127)), "*", "*")
        .parse()
        .unwrap();
    let model_arn: ModelArn = arn(&"a".repeat(255), "v", "1").parse().unwrap();
    assert!(!pattern.matches(&model_arn));
}
