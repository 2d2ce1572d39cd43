//! Properties that hold for every input: ARNs and patterns follow the service's own rules, and any
//! event, bytes, environment or tag leads to an answer or a clear error, and never to a panic.

mod support;

use std::collections::BTreeSet;
use std::env::VarError;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use regex::Regex;
use rekognition_emulator::{Account, Emulator, Operation};
use rekognition_stopper::arn::{ModelArn, ModelPattern, Target};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::exemption::Exemption;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::request::{Payload, Request};
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, log};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use support::wire::Wire;
use time::{Date, Month, Time};

/// The `ProjectVersionArn` of StopProjectVersion. Its `\d` is ASCII.
const SERVICE_PATTERN: &str = r"(^arn:[a-z0-9-]+:rekognition:[a-z0-9-]+:[0-9]{12}:project/[a-zA-Z0-9_.\-]{1,255}/version/[a-zA-Z0-9_.\-]{1,255}/[0-9]+$)";

/// The fields before the resource, with wildcards in the region and the account.
const WILD_PLACE: &str =
    r"(^arn:[a-z0-9-]+:rekognition:[a-z0-9*?-]+:([0-9?]{12}|[0-9*?]*\*[0-9*?]*)$)";

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
    text.len() <= 2048
        && Regex::new(WILD_PLACE).unwrap().is_match(place)
        && fits_account
        && completed.any(|whole| form.is_match(&whole))
}

/// The `AllowedPattern` of the parameter `ModelArns` in template.yaml, for a single entry.
static TEMPLATE_PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let template = include_str!("../template.yaml");
    let (_, parameter) = template
        .split_once("\n  ModelArns:\n    Description:")
        .unwrap();
    let (_, pattern) = parameter.split_once("AllowedPattern: \"^all$|").unwrap();
    let (pattern, _) = pattern.split_once('"').unwrap();
    // A backslash at the end of a line joins it with the next.
    let joined = Regex::new(r"\\\n +").unwrap().replace_all(pattern, "");
    let single = joined.replace(r"\\", r"\").replace("(,(?!$)|$)", "");
    // Its `\d` is ASCII.
    Regex::new(&format!("(?-u){single}")).unwrap()
});

/// Whether the rules by which the SDK makes a host name take a region, in lower case.
fn accepts_region(text: &str) -> bool {
    Regex::new("^[a-z0-9][a-z0-9-]{0,62}$")
        .unwrap()
        .is_match(text)
}

/// Texts that are ARNs or patterns, nearly so, or nothing of the kind.
fn near_arns() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        4 => "[a-zA-Z0-9_.-]{1,20}",
        2 => "[a-zA-Z0-9_.*?-]{1,20}",
        1 => "[a-z0-9-]{0,3}",
        1 => "[a-zA-Z0-9_.-]{250,260}",
        1 => "\\PC{0,4}",
    ];
    let built = (
        prop_oneof![8 => Just("arn".to_owned()), 1 => "[a-z]{0,4}"],
        prop_oneof![8 => "[a-z0-9-]{1,10}", 1 => field.clone()],
        prop_oneof![8 => Just("rekognition".to_owned()), 1 => field.clone()],
        prop_oneof![8 => "[a-z]{2}-[a-z]{4,9}-[0-9]", 2 => "[a-z*?-]{0,9}", 1 => field.clone()],
        prop_oneof![8 => "[0-9]{12}", 2 => "[0-9*?]{1,13}", 1 => "[0-9]{10,14}", 1 => "[0-9٠-٩]{12}"],
        prop_oneof![8 => Just("project".to_owned()), 1 => field.clone()],
        field.clone(),
        prop_oneof![8 => Just("version".to_owned()), 1 => field.clone()],
        field,
        prop_oneof![6 => "[0-9]{1,13}", 2 => "[0-9*?]{1,13}", 1 => "[0-9a٣]{0,13}", 1 => "[0-9*]{1700,2048}"],
    )
        .prop_map(|(arn, partition, service, region, account, p, project, v, version, number)| {
            format!("{arn}:{partition}:{service}:{region}:{account}:{p}/{project}/{v}/{version}/{number}")
        });
    let wild = (place(), model_and_wild_resource())
        .prop_map(|(place, (_, resource))| format!("{place}:{resource}"));
    prop_oneof![8 => built, 4 => wild, 1 => "\\PC{0,80}"]
}

/// The fields before the resource, in this account and region, or with wildcards that match them or
/// not.
fn place() -> impl Strategy<Value = String> {
    let region = "us-east-[12]|us-east-[?]|[*]|us-[*]|[*]-[?]|eu-[*]";
    let account = "[01]23456789012|[?]23456789012|[*]|1[*]2|[*]23[*]|0[*]";
    (region, account)
        .prop_map(|(region, account)| format!("arn:aws:rekognition:{region}:{account}"))
}

/// A model, and its resource or that of another with parts replaced by wildcards or other
/// characters, so that it comes close to a pattern of the first.
fn model_and_wild_resource() -> impl Strategy<Value = (Resource, String)> {
    let length = prop_oneof![Just(1_usize), 0..12_usize];
    let edit = (any::<prop::sample::Index>(), length, "[*]|[*]|[?]|[ab/01]|");
    let other = prop::option::of(resource());
    (resource(), other, prop::collection::vec(edit, 0..4)).prop_map(|(model, other, edits)| {
        let (project, version, number) = other.as_ref().unwrap_or(&model);
        let mut text = format!("project/{project}/version/{version}/{number}");
        for (at, length, replacement) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.replace_range(at..end, &replacement);
        }
        (model, text)
    })
}

/// The names of a project and a version, and the number.
type Resource = (String, String, String);

/// The names and numbers of a few models that resemble each other, so that patterns come close to
/// them.
fn resource() -> impl Strategy<Value = Resource> {
    ("[ab.-]{1,8}", "[ab_]{1,8}", "[01]{1,6}")
}

fn arn(project: &str, version: &str, number: &str) -> String {
    format!(
        "arn:aws:rekognition:us-east-1:123456789012:project/{project}/version/{version}/{number}"
    )
}

/// IAM's wildcards, as a regular expression for each of six fields: `*` is any run of characters,
/// `?` any single one.
fn iam_matches(pattern: &str, text: &str) -> bool {
    let [patterns, texts] = [pattern, text].map(|it| Vec::from_iter(it.splitn(6, ':')));
    let matches = |(pattern, text): (&&str, &&str)| {
        let translated = regex::escape(pattern)
            .replace(r"\*", ".*")
            .replace(r"\?", ".");
        let whole = Regex::new(&format!("^{translated}$")).unwrap();
        whole.is_match(text)
    };
    patterns.len() == texts.len() && patterns.iter().zip(&texts).all(matches)
}

/// Tries every way in which a pattern can match a text.
fn naively_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) if naively_matches(rest, text) => true,
        ([b'*', ..], [_, left @ ..]) => naively_matches(pattern, left),
        ([one, rest @ ..], [other, left @ ..]) if *one == b'?' || one == other => {
            naively_matches(rest, left)
        }
        _ => false,
    }
}

/// Whether a pattern's resource matches any version of a project. The names and numbers to try are
/// made of the pattern's own characters: of some part of it and of its end.
fn matches_any_version(resource: &str, project: &str) -> bool {
    let fill = |part: &str, filler: &str| {
        let filled = part.replace('*', "").replace('?', filler);
        if filled.is_empty() {
            filler.to_owned()
        } else {
            filled
        }
    };
    let length = resource.len();
    let parts = (0..length).flat_map(|from| (from..=length).map(move |to| &resource[from..to]));
    let names: BTreeSet<String> = parts
        .map(|part| fill(part, "a"))
        .filter(|name| !name.contains('/'))
        .collect();
    let numbers: BTreeSet<String> = (0..=length)
        .map(|from| fill(&resource[from..], "1"))
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    names.iter().any(|name| {
        numbers.iter().any(|number| {
            let version = format!("project/{project}/version/{name}/{number}");
            naively_matches(resource.as_bytes(), version.as_bytes())
        })
    })
}

/// The models that exist.
const MODELS: [(&str, &str); 2] = [
    (
        "arn:aws:rekognition:us-east-1:123456789012:project/a/version/b/0",
        "RUNNING",
    ),
    (
        "arn:aws:rekognition:us-east-1:123456789012:project/a/version/a/1",
        "STARTING",
    ),
];

fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        Just("model_arns".to_owned()),
        Just("dry_run".to_owned()),
        Just("accounts".to_owned()),
        Just("accounts_per_run".to_owned()),
        Just("detail".to_owned()),
        Just("detail-type".to_owned()),
        Just("source".to_owned()),
        Just("aws.events".to_owned()),
        Just("aws.cloudwatch".to_owned()),
        Just("alarmArn".to_owned()),
        Just("Records".to_owned()),
        "\\PC{0,12}",
        any::<String>(),
    ]
    .boxed()
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = any_text();
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

/// Events, and values that are nearly events.
fn near_events() -> impl Strategy<Value = Value> {
    let entry = prop_oneof![
        4 => prop::sample::select(MODELS.as_slice()).prop_map(|(arn, _)| Value::from(arn)),
        2 => near_arns().prop_map(Value::from),
        1 => "[a-z ]{0,9}|é{1000,1500}".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any_json(),
    ];
    let entries = prop::collection::vec(entry, 0..6).prop_map(Value::from);
    let fields = (
        prop::option::weighted(0.9, prop_oneof![9 => entries, 1 => any_json()]),
        prop::option::weighted(
            0.4,
            prop_oneof![9 => any::<bool>().prop_map(Value::from), 1 => any_json()],
        ),
        prop::option::weighted(0.1, (any_text(), any_json())),
    );
    let request = fields.prop_map(|(model_arns, dry_run, other)| {
        let model_arns = model_arns.map(|it| ("model_arns".to_owned(), it));
        let dry_run = dry_run.map(|it| ("dry_run".to_owned(), it));
        let fields: Map<_, _> = model_arns.into_iter().chain(dry_run).chain(other).collect();
        Value::from(fields)
    });
    let request = request.boxed();
    let source = prop_oneof![Just(json!("aws.events")), Just(json!("shop")), any_json()];
    let envelope = (any_json(), source, request.clone()).prop_map(
        |(kind, source, detail)| json!({"detail-type": kind, "source": source, "detail": detail}),
    );
    prop_oneof![4 => request, 2 => envelope, 2 => any_json()]
}

/// The answer of the function to an event, and how often it called the service.
fn answer(payload: Payload) -> (Result<Response, Error>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let emulator = Emulator::in_process();
        for (arn, status) in MODELS {
            emulator.add_model(support::model(arn, status));
        }
        let config = support::sdk_config(&emulator.url()).into_builder();
        let config = config.http_client(Wire::new(&emulator)).build();
        let settings = Settings::read(|_| Err(VarError::NotPresent));
        let rekognition = Aws::new(config);
        let handler = Handler::new(settings, rekognition, |_| ());
        let time = Duration::from_secs(5);
        let answer = handler.invoke(payload, support::invocation(time));
        let answer = tokio::time::timeout(time, answer).await;
        (answer.unwrap(), emulator.calls().len())
    })
}

/// Whether an error's message has nothing that could break the template of an email.
fn is_plain(error: &Error) -> bool {
    let spoils = |character: char| character.is_control() || matches!(character, '"' | '\\');
    !error.to_string().contains(spoils)
}

/// A payload, parsed as the runtime does.
fn payload(bytes: &[u8]) -> Payload {
    Payload::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).unwrap()
}

/// The last day of a tag value that is a date, worked out without a calendar library.
fn last_day(value: &str) -> Option<Date> {
    let form = Regex::new("^([0-9]{4})-([0-9]{2})-([0-9]{2})$").unwrap();
    let parts = form.captures(value)?;
    let number = |index: usize| parts[index].parse::<i32>().unwrap();
    let (year, month, day) = (number(1), number(2), number(3));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let month = Month::try_from(u8::try_from(month).unwrap()).ok()?;
    (1..=days)
        .contains(&day)
        .then(|| Date::from_calendar_date(year, month, u8::try_from(day).unwrap()).unwrap())
}

/// The function's own account.
const OWN: &str = "123456789012";

/// What a plan is made of.
#[derive(Debug)]
struct PlanCase {
    /// The numbers of the organization's accounts, and whether each is ACTIVE.
    accounts: Vec<(u64, bool)>,
    /// The accounts in the request, if there are any.
    named: Option<Vec<u64>>,
    entries: Vec<String>,
    accounts_per_run: usize,
}

fn plan_cases() -> impl Strategy<Value = PlanCase> {
    let accounts = prop::collection::btree_map(1..60_u64, prop::bool::weighted(0.8), 0..45);
    let named = prop::option::of(prop::collection::vec(1..60_u64, 1..8));
    let entry = prop_oneof![
        3 => Just(in_accounts("*")),
        2 => Just(in_accounts("00000000000?")),
        1 => Just(in_accounts("000000000012")),
        1 => Just("nonsense".to_owned()),
    ];
    let entries = prop::collection::vec(entry, 1..5);
    (accounts, named, entries, 1..20_usize).prop_map(
        |(accounts, named, entries, accounts_per_run)| PlanCase {
            accounts: accounts.into_iter().collect(),
            named,
            entries,
            accounts_per_run,
        },
    )
}

fn in_accounts(account: &str) -> String {
    format!("arn:aws:rekognition:us-east-1:{account}:project/*/version/*/*")
}

fn account_id(number: u64) -> String {
    format!("{number:012}")
}

/// The response to a request in an organization of these accounts, and the number of calls other
/// than lists of accounts.
fn plan(accounts: &[(u64, bool)], request: &Value) -> (Result<Response, Error>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let emulator = Emulator::in_process();
        emulator.add_account(Account::new(OWN));
        for (number, is_active) in accounts {
            let state = if *is_active { "ACTIVE" } else { "SUSPENDED" };
            emulator.add_account(Account::new(&account_id(*number)).state(state));
        }
        let variables = [
            ("MEMBER_ROLE", "stopper-member"),
            ("EXCLUDED_ACCOUNTS", "000000000007"),
        ];
        let handler = support::handler_in_process(&emulator, &variables);
        let invocation = support::invocation(support::PLENTY);
        let answer = handler.invoke(support::payload(request), invocation).await;
        let calls = emulator.calls();
        let others = calls
            .iter()
            .filter(|call| call.operation != Operation::ListAccounts);
        (answer, others.count())
    })
}

/// Each entry with each account that its wildcard stands for, and each entry without a wildcard on
/// its own.
fn pairs(runs: &[Value], accounts: &[String]) -> Vec<(String, Option<String>)> {
    let mut pairs = Vec::new();
    for run in runs {
        let of_run = run.get("accounts").map(|accounts| {
            let accounts = accounts.as_array().unwrap().iter();
            Vec::from_iter(accounts.map(|it| it.as_str().unwrap().to_owned()))
        });
        for entry in run["model_arns"].as_array().unwrap() {
            let entry = entry.as_str().unwrap();
            let wildcard = entry.split(':').nth(4).filter(|it| it.contains(['*', '?']));
            match wildcard {
                None => pairs.push((entry.to_owned(), None)),
                Some(wildcard) => pairs.extend(
                    of_run
                        .as_deref()
                        .unwrap_or(accounts)
                        .iter()
                        .filter(|account| iam_matches(wildcard, account))
                        .map(|account| (entry.to_owned(), Some(account.clone()))),
                ),
            }
        }
    }
    pairs.sort();
    pairs
}

proptest! {
    #[test]
    fn a_model_arn_is_valid_exactly_if_the_service_accepts_it(text in near_arns()) {
        let parsed = text.parse::<ModelArn>();
        prop_assert_eq!(parsed.is_ok(), accepts(SERVICE_PATTERN, &text), "{}: {:?}", text, parsed);
        if let Ok(parsed) = parsed {
            let rebuilt = format!(
                "arn:{}:rekognition:{}:{}:project/{}/version/{}/",
                parsed.partition(), parsed.region(), parsed.account(), parsed.project(), parsed.version(),
            );
            let number = text.strip_prefix(&rebuilt);
            prop_assert!(number.is_some_and(|it| !it.contains('/')), "{} {}", rebuilt, text);
        }
    }

    #[test]
    fn an_entry_is_a_model_a_pattern_or_a_readable_error(text in near_arns()) {
        let is_model = accepts(SERVICE_PATTERN, &text);
        let is_pattern = !is_model && is_pattern(&text);
        match text.parse::<Target>() {
            Ok(Target::Model(model_arn)) => {
                prop_assert!(is_model, "{}", text);
                prop_assert_eq!(model_arn.as_str(), text);
            }
            Ok(Target::Pattern(pattern)) => {
                prop_assert!(is_pattern, "{}", text);
                prop_assert_eq!(pattern.as_str(), &text);
                let [region, account] = [3, 4].map(|field| text.split(':').nth(field).unwrap());
                let literal = |part| Some(part).filter(|part: &&str| !part.contains(['*', '?']));
                prop_assert_eq!((pattern.region(), pattern.account()), (literal(region), literal(account)));
            }
            Err(error) => {
                prop_assert!(!is_model && !is_pattern, "{}: {}", text, error);
                let error = error.to_string();
                prop_assert!(error.contains("should "), "{}", error);
                prop_assert!(error.len() < 600, "{}", error);
            }
        }
    }

    #[test]
    fn the_template_takes_an_entry_exactly_if_the_function_does(text in near_arns()) {
        let is_taken = TEMPLATE_PATTERN.is_match(&text);
        match text.parse::<Target>() {
            Ok(_) => {
                let of_a_policy = |it: char| it.is_ascii_alphanumeric() || "_./*?:-".contains(it);
                prop_assert!(is_taken || text.contains(|it| !of_a_policy(it)), "{}", text);
            }
            // The template does not count.
            Err(error) => {
                let error = error.to_string();
                let is_counted =
                    error.contains("should be 12 digits") || error.contains("at most 2048");
                prop_assert!(!is_taken || is_counted, "{}: {}", text, error);
            }
        }
    }

    #[test]
    fn a_pattern_matches_exactly_what_iam_matches(
        ((project, version, number), resource) in model_and_wild_resource(),
        place in place(),
    ) {
        let model_arn: ModelArn = arn(&project, &version, &number).parse().unwrap();
        let text = format!("{place}:{resource}");
        let Ok(pattern) = text.parse::<ModelPattern>() else {
            prop_assert!(!is_pattern(&text), "{}", text);
            return Ok(());
        };
        let arn = model_arn.as_str();
        prop_assert_eq!(pattern.matches(&model_arn), iam_matches(&text, arn), "{} {}", text, arn);
        let fields = Vec::from_iter(place.split(':'));
        prop_assert_eq!(pattern.matches_region("us-east-1"), iam_matches(fields[3], "us-east-1"), "{}", text);
        prop_assert_eq!(pattern.matches_account("123456789012"), iam_matches(fields[4], "123456789012"), "{}", text);
        let placed: ModelPattern = pattern.with_location("123456789012", "us-east-1").parse().unwrap();
        prop_assert!(placed.region().is_some() && placed.account().is_some());
        if pattern.matches_region("us-east-1") && pattern.matches_account("123456789012") {
            prop_assert!(iam_matches(&text, placed.as_str()), "{} {}", text, placed.as_str());
            let found = placed.matches(&model_arn);
            prop_assert_eq!(found, pattern.matches(&model_arn), "{} {}", text, arn);
        }
    }

    #[test]
    fn a_pattern_matches_a_project_exactly_if_it_can_match_a_version_of_it(
        ((project, version, number), resource) in model_and_wild_resource(),
    ) {
        let text = format!("arn:aws:rekognition:us-east-1:123456789012:{resource}");
        let Ok(pattern) = text.parse::<ModelPattern>() else {
            return Ok(());
        };
        let matches = pattern.matches_project(&project);
        prop_assert_eq!(matches, matches_any_version(&resource, &project), "{} {}", text, project);
        if let Some(name) = pattern.project_name() {
            let is_that = project == name;
            prop_assert!(is_that || !matches, "{} {}", text, project);
        }
        let model_arn: ModelArn = arn(&project, &version, &number).parse().unwrap();
        prop_assert!(matches || !pattern.matches(&model_arn), "{} {}", text, model_arn.as_str());
    }

    #[test]
    fn a_tag_exempts_a_model_as_its_value_says(
        value in prop_oneof![
            4 => "[0-9]{4}-[01][0-9]-[0-3][0-9]",
            2 => "20(00|2[46])-02-(28|29|30)",
            1 => "[tT]rue|FALSE|false| *",
            1 => any::<String>(),
        ],
        day in 0..400_i64,
    ) {
        let today = Date::from_calendar_date(2026, Month::January, 1).unwrap() + time::Duration::days(day);
        let right = match value.trim().to_lowercase().as_str() {
            "" | "true" => Exemption::Keep,
            "false" => Exemption::None,
            text => match last_day(text) {
                Some(last_day) if last_day < today => Exemption::None,
                Some(_) => Exemption::Keep,
                None => Exemption::KeepUnclear,
            }
        };
        let noon = today.with_time(Time::from_hms(12, 0, 0).unwrap()).assume_utc();
        prop_assert_eq!(Exemption::read(&value, noon), right, "{}", value);
    }

    #[test]
    fn any_environment_gives_settings_or_names_the_invalid_variable(
        values in prop::collection::vec(prop::option::of(prop_oneof![
            "\\PC{0,20}|[0-9.,e-]{0,4}|true|false|[0-9]{30,400}|é{120,140}".prop_map(OsString::from),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(OsString::from_vec),
        ]), 14)
    ) {
        let names = [
            "MODEL_ARNS", "MAX_CONCURRENCY", "CONFIRM_STOPPED", "KEEP_RUNNING_TAG", "INFERENCE_UNIT_HOUR_PRICE",
            "DRY_RUN", "MEMBER_ROLE", "MEMBER_EXTERNAL_ID", "REGIONS", "ORGANIZATIONAL_UNITS", "EXCLUDED_ACCOUNTS",
            "FIND_STARTS", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL",
        ];
        let variable = |name: &str| {
            let position = names.iter().position(|known| *known == name).unwrap();
            let value = values[position].clone().ok_or(VarError::NotPresent)?;
            value.into_string().map_err(VarError::NotUnicode)
        };
        match Settings::read(variable) {
            Ok(settings) => {
                prop_assert!((1..=64).contains(&settings.max_concurrency));
                prop_assert!(settings.inference_unit_hour_price.is_none_or(|price| (0.0..=1e6).contains(&price)));
                prop_assert!(settings.keep_running_tag.is_none_or(|key| !key.is_empty()));
                let mut regions = settings.regions.iter();
                prop_assert!(regions.all(|region| accepts_region(region)), "{:?}", settings.regions);
                let texts = settings.organizational_units.iter().chain(&settings.member_role).chain(&settings.member_external_id);
                let mut broken = texts.filter(|text| text.is_empty() || text.contains(|it: char| !it.is_ascii_graphic()));
                prop_assert_eq!(broken.next(), None);
            }
            Err(error) => {
                prop_assert!(is_plain(&error), "{}", error);
                let error = error.to_string();
                let first = error.split("; it should be").next().unwrap();
                prop_assert!(names[..12].iter().any(|name| first.contains(name)), "{}", first);
                prop_assert!(error.contains("; it should be ") || error.contains("is not UTF-8 text"), "{}", error);
            }
        }
        drop(log::subscriber(variable, std::io::sink));
    }

    #[test]
    fn any_bytes_are_a_payload(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        event in near_events(),
        (at, byte, end) in (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>()),
    ) {
        // Anything, and an event with one wrong byte and a missing end.
        let mut torn = event.to_string().into_bytes();
        let at = at.index(torn.len());
        torn[at] = byte;
        torn.truncate(end.index(2 * torn.len() + 1));
        for bytes in [bytes, torn] {
            let payload = payload(&bytes);
            let is_json = payload.0.is_ok();
            if let Err(error) = Request::read(&payload) {
                let error = error.to_string();
                prop_assert!(error.contains('`'), "{}", error);
                prop_assert_eq!(is_json, !error.contains("is not JSON"), "{}", error);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_event_gets_an_answer_or_a_clear_error(event in near_events()) {
        let (answer, calls) = answer(support::payload(&event));
        if let Err(error) = &answer {
            prop_assert!(is_plain(error), "{}", error);
        }
        match answer {
            // Only by chance does anything here request a plan, and then there is one.
            Ok(Response::Plan(plan)) => prop_assert!(plan.runs.len() <= 1),
            Ok(Response::Report(report)) => {
                prop_assert!(report.is_successful());
                prop_assert_eq!(report.summary.models, report.models.len());
            }
            Err(Error::NotAllStopped(report)) => {
                let message = report.message.clone();
                prop_assert!(message.len() <= 8 * 1024);
                let kinds = [" not stopped: ", " could not be looked up: ", " failed: "];
                prop_assert!(kinds.iter().any(|it| message.contains(it)), "{}", message);
                prop_assert!(report.summary.failed + report.summary.failed_lookups > 0);
            }
            Err(Error::InvalidRequest(error)) => {
                prop_assert!(error.to_string().contains('`'), "{}", error);
                prop_assert_eq!(calls, 0);
            }
            Err(error) => prop_assert!(false, "{:?}", error),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_runs_of_a_plan_are_valid_requests_that_together_make_up_the_whole(
        PlanCase { accounts, named, entries, accounts_per_run } in plan_cases(),
        dry_run in any::<bool>(),
    ) {
        let has_wildcard = entries.iter().any(|it| it.contains('*') && it.contains(":*:") || it.contains('?'));
        prop_assume!(has_wildcard || named.is_none());
        let mut request = json!({
            "model_arns": entries,
            "dry_run": dry_run,
            "accounts_per_run": accounts_per_run,
        });
        let named = named.map(|named| Vec::from_iter(named.into_iter().map(account_id)));
        if let Some(named) = &named {
            request["accounts"] = json!(named);
        }
        let (answer, other_calls) = plan(&accounts, &request);
        prop_assert_eq!(other_calls, 0);

        // The accounts that a wildcard can stand for.
        let there = accounts.iter().filter(|(number, is_active)| *is_active && *number != 7);
        let mut there: Vec<String> = there.map(|(number, _)| account_id(*number)).collect();
        there.push(OWN.to_owned());
        there.retain(|account| named.as_ref().is_none_or(|named| named.contains(account)));
        let is_meant = |account: &String| entries.iter().any(|entry| {
            let wildcard = entry.split(':').nth(4).unwrap_or_default();
            wildcard.contains(['*', '?']) && iam_matches(wildcard, account)
        });
        there.retain(is_meant);
        there.sort();

        let has_account_wildcard =
            |entry: &String| entry.split(':').nth(4).unwrap_or_default().contains(['*', '?']);
        if there.is_empty() && entries.iter().any(has_account_wildcard) {
            prop_assert!(matches!(answer, Err(Error::NotPlanned(_))), "{:?}", answer);
            return Ok(());
        }
        let Ok(Response::Plan(plan)) = answer else {
            return Err(TestCaseError::fail(format!("{answer:?}")));
        };
        let runs = serde_json::to_value(&plan).unwrap()["runs"].as_array().unwrap().clone();

        // Each of them once, in runs that are all full except the last.
        let of_accounts: Vec<&Value> = runs.iter().filter_map(|run| run.get("accounts")).collect();
        let planned: Vec<&str> =
            of_accounts.iter().flat_map(|it| it.as_array().unwrap()).map(|it| it.as_str().unwrap()).collect();
        prop_assert_eq!(&planned, &there);
        prop_assert_eq!(of_accounts.len(), there.len().div_ceil(accounts_per_run));
        for run in &of_accounts {
            prop_assert!((1..=accounts_per_run).contains(&run.as_array().unwrap().len()));
        }
        prop_assert!(runs.len() - of_accounts.len() <= 1);

        // Together they make up the whole.
        let whole = json!({"model_arns": entries});
        let mut of_whole = pairs(&[whole], &there);
        of_whole.dedup();
        // A run that `accounts` narrows has only entries with wildcards.
        of_whole.retain(|(_, account)| named.is_none() || account.is_some());
        let mut of_runs = pairs(&runs, &[]);
        let before = of_runs.len();
        of_runs.dedup();
        prop_assert_eq!(&of_runs, &of_whole);
        prop_assert_eq!(before, of_runs.len(), "an entry is made twice in an account");

        // Each is a valid request as is.
        for run in runs {
            let request = Request::read(&support::payload(&run)).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(request.dry_run, Some(dry_run));
            prop_assert_eq!(request.accounts_per_run, None);
            prop_assert_eq!(request.accounts.is_some(), run.get("accounts").is_some());
        }
    }
}

#[test]
fn a_payload_of_any_depth_is_an_error_and_not_a_panic() {
    for open in ["[", r#"{"detail":"#] {
        let payload = payload(open.repeat(100_000).as_bytes());
        let error = Request::read(&payload).unwrap_err().to_string();
        assert!(error.contains("is not JSON (EOF while parsing"), "{error}");
    }
}

/// A matcher that tried every way to distribute the stars would take longer on these than the age
/// of the universe. This one takes as many steps as the pattern has characters times the ARN's.
#[test]
fn a_hostile_pattern_is_matched_without_trying_every_way() {
    let cut = |text: String, most: usize| text[text.len().saturating_sub(most)..].to_owned();
    // As long as a name may be, and as long as a number may be in an ARN of 2,048 characters.
    for (one, other, most) in [("a", "b", 255), ("1", "2", 1950)] {
        let whole = |part: &str| match most {
            255 => arn(part, "v", "1"),
            _ => arn("a", "v", part),
        };
        let model_arn: ModelArn = whole(&one.repeat(most)).parse().unwrap();
        for (like, matches) in [
            (format!("{}{other}", format!("*{one}").repeat(most)), false),
            (format!("*{}{other}", one.repeat(most)), false),
            (format!("{}{other}", "?*".repeat(most)), false),
            (format!("{}{other}", format!("*{one}?").repeat(most)), false),
            (format!("{}*", format!("*{one}").repeat(most)), true),
        ] {
            let pattern: ModelPattern = whole(&cut(like, most)).parse().unwrap();
            assert_eq!(pattern.matches(&model_arn), matches, "{pattern:?}");
            let matches_project = pattern.matches_project(model_arn.project());
            assert!(matches_project || !matches, "{pattern:?}");
        }
    }
}
