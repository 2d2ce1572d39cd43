//! Properties that hold for every input: ARNs and patterns follow the rules of the service and of
//! IAM, and any event or environment leads to a response or a clear error, and never to a panic.

mod support;

use std::collections::BTreeSet;
use std::env::VarError;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use rekognition_stopper::arn::{ModelArn, ModelPattern, Target};
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::log;
use rekognition_stopper::request::Payload;
use rekognition_stopper::settings::Settings;
use serde::Deserialize;
use serde_json::json;
use support::runs::wildcards;
use support::{PLENTY, emulator_in_process, handler_in_process, invocation, model};

/// The `ProjectVersionArn` of StopProjectVersion. Its `\d` is ASCII.
const SERVICE_PATTERN: &str = r"(^arn:[a-z0-9-]+:rekognition:[a-z0-9-]+:[0-9]{12}:project/[a-zA-Z0-9_.\-]{1,255}/version/[a-zA-Z0-9_.\-]{1,255}/[0-9]+$)";

/// The fields before the resource, with wildcards in the region and the account.
const WILD_PLACE: &str =
    r"(^arn:[a-z0-9-]+:rekognition:[a-z0-9*?-]+:([0-9?]{12}|[0-9*?]*\*[0-9*?]*)$)";

/// The models that exist.
const RUNNING: &str = "arn:aws:rekognition:us-east-1:123456789012:project/a/version/b/0";
const STARTING: &str = "arn:aws:rekognition:us-east-1:123456789012:project/a/version/a/1";

fn accepts(form: &str, text: &str) -> bool {
    text.len() <= 2048 && Regex::new(form).unwrap().is_match(text)
}

/// Whether a text is a pattern: it has six fields, and what comes before the first wildcard of the
/// resource can be completed to a model's ARN.
fn is_pattern(text: &str) -> bool {
    const END: &str = "project/a/version/b/1";
    let Some((place, resource)) = text.rsplit_once(':') else {
        return false;
    };
    // A pattern with more characters than an account ID matches none.
    let account = place.split(':').nth(4).unwrap_or_default();
    let fits_account = account.replace('*', "").len() <= 12;
    let (beginning, ends) = match resource.split_once(['*', '?']) {
        Some((beginning, _)) => (beginning, 0..=END.len()),
        None => (resource, END.len()..=END.len()),
    };
    let prefix = "arn:aws:rekognition:us-east-1:123456789012:";
    let form = Regex::new(SERVICE_PATTERN).unwrap();
    let mut completed = ends.map(|at| format!("{prefix}{beginning}{}", &END[at..]));
    accepts(WILD_PLACE, place)
        && text.len() <= 2048
        && fits_account
        && completed.any(|whole| form.is_match(&whole))
}

/// The `AllowedPattern` of the parameter `ModelArns` in template.yaml, for a single entry.
static TEMPLATE_PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let template = include_str!("../template.yaml");
    let parameter = template.split_once("\n  ModelArns:\n    Description:");
    let (_, pattern) = (parameter.unwrap().1)
        .split_once("AllowedPattern: \"^all$|")
        .unwrap();
    let (pattern, _) = pattern.split_once('"').unwrap();
    // A backslash at the end of a line joins it with the next.
    let joined = Regex::new(r"\\\n +").unwrap().replace_all(pattern, "");
    let single = joined.replace(r"\\", r"\").replace("(,(?!$)|$)", "");
    // Its `\d` is ASCII.
    Regex::new(&format!("(?-u){single}")).unwrap()
});

/// Texts with some of their characters replaced by wildcards or other characters.
fn edited(texts: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let length = prop_oneof![Just(1_usize), 0..12_usize];
    let replacement = "[*]|[*]|[?]|[ab/01]|[ab/01]||[A-Z: é٣]";
    let edit = (any::<prop::sample::Index>(), length, replacement);
    (texts, prop::collection::vec(edit, 0..4)).prop_map(|(text, edits)| {
        let mut text = Vec::from_iter(text.chars());
        for (at, length, replacement) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, replacement.chars());
        }
        String::from_iter(text)
    })
}

/// Texts that are ARNs or patterns, nearly so, or nothing of the kind.
fn near_arns() -> impl Strategy<Value = String> {
    let resource = prop_oneof![
        8 => resource(),
        1 => "project/[ab]{250,260}/version/[ab]{1,3}/[0-9]",
        1 => "project/[ab]{1,3}/version/[ab]{250,260}/[0-9]",
        1 => "project/a/version/b/[0-9]{1900,2000}",
    ];
    let arn = (place(), resource).prop_map(|(place, resource)| format!("{place}:{resource}"));
    prop_oneof![12 => edited(arn), 1 => "\\PC{0,80}"]
}

/// The fields before the resource, in this account and region, or with wildcards that match them or
/// not.
fn place() -> impl Strategy<Value = String> {
    let region = "us-east-[12]|us-east-[?]|[*]|us-[*]|[*]-[?]|eu-[*]";
    let account = "[01]23456789012|[?]23456789012|[*]|1[*]2|[*]23[*]|0[*]";
    (region, account)
        .prop_map(|(region, account)| format!("arn:aws:rekognition:{region}:{account}"))
}

/// The resources of models that resemble each other, so that patterns come close to them.
fn resource() -> impl Strategy<Value = String> {
    "project/[ab.-]{1,8}/version/[ab_]{1,8}/[01]{1,6}"
}

/// A model's ARN, and a resource that comes close to a pattern of it: its own or that of another,
/// edited.
fn model_and_wild_resource() -> impl Strategy<Value = (ModelArn, String)> {
    let pair = resource().prop_flat_map(|model| {
        let text = prop_oneof![Just(model.clone()), resource()];
        (Just(model), edited(text))
    });
    pair.prop_map(|(model, text)| {
        let arn = format!("arn:aws:rekognition:us-east-1:123456789012:{model}");
        (arn.parse().unwrap(), text)
    })
}

/// Whether each of the six fields matches, as IAM matches.
fn iam_matches(pattern: &str, text: &str) -> bool {
    let [patterns, texts] = [pattern, text].map(|it| Vec::from_iter(it.splitn(6, ':')));
    let mut pairs = patterns.iter().zip(&texts);
    patterns.len() == texts.len() && pairs.all(|(it, text)| wildcards(it).is_match(text))
}

/// Whether a pattern's resource matches any version of a project. The names and numbers to try are
/// made of the pattern's own characters: of some part of it and of its end.
fn matches_any_version(resource: &str, project: &str) -> bool {
    let fill = |part: &str, filler: &str| {
        let filled = part.replace('*', "").replace('?', filler);
        Some(filled)
            .filter(|it| !it.is_empty())
            .unwrap_or(filler.to_owned())
    };
    let length = resource.len();
    let parts = (0..length).flat_map(|from| (from..=length).map(move |to| &resource[from..to]));
    let mut names = BTreeSet::from_iter(parts.map(|part| fill(part, "a")));
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    names.retain(|name| name.bytes().all(is_of_name));
    let ends = (0..=length).map(|from| fill(&resource[from..], "1"));
    let mut numbers = BTreeSet::from_iter(ends);
    numbers.retain(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let pattern = wildcards(resource);
    names.iter().any(|name| {
        let version = |number| format!("project/{project}/version/{name}/{number}");
        numbers
            .iter()
            .any(|number| pattern.is_match(&version(number)))
    })
}

/// Events of every kind, with some of their tokens replaced by others, and some of them cut off.
fn near_events() -> impl Strategy<Value = String> {
    let events = prop::sample::select(vec![
        format!(r#"{{"model_arns":["{RUNNING}","{STARTING}",null,"x"],"dry_run":true}}"#),
        r#"{"model_arns":["arn:aws:rekognition:us-east-1:123456789012:project/*"]}"#.to_owned(),
        r#"{"model_arns":[],"accounts":["123456789012"],"accounts_per_run":2}"#.to_owned(),
        r#"{"detail-type":"x","source":"shop","detail":{"model_arns":["x"]}}"#.to_owned(),
        r#"{"detail-type":"x","source":"aws.events","detail":[{"x":0.5}]}"#.to_owned(),
        r#"{"Records":[{"EventSource":"aws:sns"}]}"#.to_owned(),
        r#"{"source":"aws.cloudwatch","alarmArn":"x"}"#.to_owned(),
    ]);
    let text = prop_oneof![
        near_arns(),
        any::<String>(),
        "é{1000,1500}".prop_map(String::from)
    ];
    let token = prop_oneof![
        1 => r#"null|true|[{]"x":1[}]|[{][}]|\[\]|-?[0-9]{1,30}([.]5)?|[]\[{}:,]"#,
        2 => text.prop_map(|text| json!(text).to_string()),
        2 => r#""(model_arns|dry_run|accounts|accounts_per_run|source|detail|aws.events|Records)""#,
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), token), 0..3);
    let end = prop_oneof![9 => Just(1.0), 1 => 0.0..1.0];
    (events, edits, end).prop_map(|(event, edits, end)| {
        let token = Regex::new(r#""[^"]*"|[\w.]+|."#).unwrap();
        let mut tokens = Vec::from_iter(token.find_iter(&event).map(|it| it.as_str()));
        let is_value = |at: &usize| tokens[*at].starts_with(['"', 'n', 't', '0', '2']);
        let values = Vec::from_iter((0..tokens.len()).filter(is_value));
        for (at, token) in &edits {
            tokens[values[at.index(values.len())]] = token;
        }
        let kept = tokens.len() as f64 * end;
        tokens[..kept as usize].concat()
    })
}

/// Whether an error's message has nothing that could break the template of an email.
fn is_plain(error: &Error) -> bool {
    let spoils = |character: char| character.is_control() || matches!(character, '"' | '\\');
    !error.to_string().contains(spoils)
}

proptest! {
    #[test]
    fn an_entry_is_a_model_if_the_service_accepts_it_a_pattern_or_a_readable_error(
        text in near_arns(),
    ) {
        let is_model = accepts(SERVICE_PATTERN, &text);
        let is_pattern = !is_model && is_pattern(&text);
        let is_in_template = TEMPLATE_PATTERN.is_match(&text);
        let of_a_policy = |it: char| it.is_ascii_alphanumeric() || "_./*?:-".contains(it);
        match text.parse::<Target>() {
            Ok(Target::Model(model)) => {
                prop_assert!(is_model && is_in_template, "{}", text);
                prop_assert_eq!(model.as_str(), &text);
                let rebuilt = format!(
                    "arn:{}:rekognition:{}:{}:project/{}/version/{}/",
                    model.partition(), model.region(), model.account(), model.project(),
                    model.version(),
                );
                let number = text.strip_prefix(&rebuilt);
                prop_assert!(number.is_some_and(|it| !it.contains('/')), "{} {}", rebuilt, text);
            }
            Ok(Target::Pattern(pattern)) => {
                prop_assert!(is_pattern, "{}", text);
                prop_assert!(is_in_template || !text.chars().all(of_a_policy), "{}", text);
                prop_assert_eq!(pattern.as_str(), &text);
                let [region, account] = [3, 4].map(|field| text.split(':').nth(field).unwrap());
                let literal = |part| Some(part).filter(|it: &&str| !it.contains(['*', '?']));
                prop_assert_eq!(pattern.region(), literal(region));
                prop_assert_eq!(pattern.account(), literal(account));
            }
            Err(error) => {
                prop_assert!(!is_model && !is_pattern, "{}: {}", text, error);
                let error = error.to_string();
                prop_assert!(error.contains("should ") && error.len() < 600, "{}", error);
                // The template does not count.
                let counts = ["should be 12 digits", "at most 2048"];
                let is_counted = counts.iter().any(|it| error.contains(it));
                prop_assert!(!is_in_template || is_counted, "{}: {}", text, error);
            }
        }
    }

    #[test]
    fn a_pattern_matches_what_iam_matches_and_projects_that_can_have_such_a_version(
        (model, resource) in model_and_wild_resource(),
        place in place(),
    ) {
        prop_assume!(resource.is_ascii());
        let text = format!("{place}:{resource}");
        let Ok(pattern) = text.parse::<ModelPattern>() else {
            prop_assert!(!is_pattern(&text), "{}", text);
            return Ok(());
        };
        let (arn, fields) = (model.as_str(), Vec::from_iter(place.split(':')));
        let [in_region, in_account] = [(3, "us-east-1"), (4, "123456789012")]
            .map(|(field, own)| iam_matches(fields[field], own));
        prop_assert_eq!(pattern.matches(&model), iam_matches(&text, arn), "{} {}", text, arn);
        prop_assert_eq!(pattern.matches_region("us-east-1"), in_region, "{}", text);
        prop_assert_eq!(pattern.matches_account("123456789012"), in_account, "{}", text);
        let placed = pattern.with_location("123456789012", "us-east-1");
        let placed: ModelPattern = placed.parse().unwrap();
        prop_assert!(placed.region().is_some() && placed.account().is_some());
        if in_region && in_account {
            prop_assert!(iam_matches(&text, placed.as_str()), "{} {}", text, placed.as_str());
            prop_assert_eq!(placed.matches(&model), pattern.matches(&model), "{}", text);
        }

        let project = model.project();
        let matches = pattern.matches_project(project);
        prop_assert_eq!(matches, matches_any_version(&resource, project), "{} {}", text, project);
        let is_other = pattern.project_name().is_some_and(|name| name != project);
        prop_assert!(!(is_other && matches), "{} {}", text, project);
    }

    #[test]
    fn any_environment_gives_settings_or_names_the_invalid_variable(
        values in prop::collection::vec(prop::option::of(prop_oneof![
            "\\PC{0,20}|[0-9.,e-]{0,4}|true|[0-9]{30,400}|é{120,140}".prop_map(OsString::from),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(OsString::from_vec),
        ]), 14)
    ) {
        let names = [
            "MODEL_ARNS", "MAX_CONCURRENCY", "CONFIRM_STOPPED", "KEEP_RUNNING_TAG",
            "INFERENCE_UNIT_HOUR_PRICE", "DRY_RUN", "MEMBER_ROLE", "MEMBER_EXTERNAL_ID", "REGIONS",
            "ORGANIZATIONAL_UNITS", "EXCLUDED_ACCOUNTS", "FIND_STARTS", "AWS_LAMBDA_LOG_FORMAT",
            "AWS_LAMBDA_LOG_LEVEL",
        ];
        let variable = |name: &str| {
            let position = names.iter().position(|known| *known == name).unwrap();
            let value = values[position].clone().ok_or(VarError::NotPresent)?;
            value.into_string().map_err(VarError::NotUnicode)
        };
        match Settings::read(variable) {
            Ok(settings) => {
                prop_assert!((1..=64).contains(&settings.max_concurrency));
                let price = settings.inference_unit_hour_price;
                prop_assert!(price.is_none_or(|price| (0.0..=1e6).contains(&price)));
                prop_assert!(settings.keep_running_tag != Some(String::new()));
                // The rules by which the SDK makes a host name.
                let label = Regex::new("^[a-z0-9][a-z0-9-]{0,62}$").unwrap();
                let mut regions = settings.regions.iter();
                prop_assert!(regions.all(|it| label.is_match(it)), "{:?}", settings.regions);
                let texts = settings.organizational_units.iter();
                let texts = texts.chain(&settings.member_role);
                let mut texts = texts.chain(&settings.member_external_id);
                let printable = Regex::new("^[!-~]+$").unwrap();
                prop_assert!(texts.all(|it| printable.is_match(it)), "{:?}", settings);
            }
            Err(error) => {
                prop_assert!(is_plain(&error), "{}", error);
                let error = error.to_string();
                let first = error.split("; it should be").next().unwrap();
                prop_assert!(names[..12].iter().any(|name| first.contains(name)), "{}", first);
                let is_clear = error.contains("; it should be ") || error.contains("not UTF-8");
                prop_assert!(is_clear, "{}", error);
            }
        }
        drop(log::subscriber(variable, std::io::sink));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_event_gets_a_response_or_a_clear_error(event in near_events()) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        // Parsed as the runtime does.
        let mut parser = serde_json::Deserializer::from_str(&event);
        let payload = Payload::deserialize(&mut parser).unwrap();
        let is_json = payload.0.is_ok();
        let (response, calls) = runtime.block_on(async {
            let models = [(RUNNING, "RUNNING"), (STARTING, "STARTING")];
            let emulator = emulator_in_process(models.map(|(arn, status)| model(arn, status)));
            let handler = handler_in_process(&emulator, &[]);
            let time = PLENTY / 12;
            let response = handler.invoke(payload, invocation(time));
            let response = tokio::time::timeout(time, response).await.unwrap();
            (response, emulator.calls().len())
        });
        if let Err(error) = &response {
            prop_assert!(is_plain(error), "{}", error);
            let error = error.to_string();
            prop_assert_eq!(!is_json, error.contains("is not JSON"), "{}", error);
        }
        match response {
            // Only by chance does anything here request a plan, and then there is one.
            Ok(Response::Plan(plan)) => prop_assert!(plan.runs.len() <= 1),
            Ok(Response::Report(report)) => {
                prop_assert!(report.is_successful());
                prop_assert_eq!(report.summary.models, report.models.len());
            }
            Err(Error::NotAllStopped(report)) => {
                let message = &report.message;
                prop_assert!(message.len() <= 8 * 1024);
                let kinds = [" not stopped: ", " could not be looked up: ", " failed: "];
                prop_assert!(kinds.iter().any(|it| message.contains(it)), "{}", message);
                prop_assert!(report.summary.failed + report.summary.failed_lookups > 0);
            }
            Err(Error::InvalidRequest(error)) => {
                prop_assert!(error.contains('`'), "{}", error);
                prop_assert_eq!(calls, 0);
            }
            Err(error) => prop_assert!(false, "{:?}", error),
        }
    }
}
