//! Who started the models that run, and when: what CloudTrail's event history says of them.

mod support;

use std::time::Duration;

use rekognition_emulator::{
    Account, Emulator, Fault, Model, Operation, Quota, Role, Service, StartEvent, Starter,
};
use rekognition_stopper::report::Report;
use serde_json::{Map, Value, json};
use support::log::Log;
use support::runs::Run;
use support::{
    PLENTY, arn, arn_in, arns, emulator_in_process, handler, handler_in_process, invoke, model,
    outcomes, pattern, report, running,
};

const ON: (&str, &str) = ("FIND_STARTS", "true");
const PRICE: (&str, &str) = ("INFERENCE_UNIT_HOUR_PRICE", "4.00");
const HOUR: Duration = Duration::from_secs(3600);
const LOOKUP: Operation = Operation::LookupEvents;

/// Makes a start of the model with this ARN, and several.
type Start = dyn FnOnce(&str) -> StartEvent;
type Starts = dyn Fn(&str) -> Vec<StartEvent>;

fn start(arn: &str, by: Starter, ago: Duration) -> StartEvent {
    StartEvent::new(arn, by, ago).unwrap()
}

fn user(path: &str) -> Starter {
    Starter::User(path.to_owned())
}

/// A start by alice, this many tenths of an hour ago.
fn by_alice(arn: &str, tenths: u32) -> StartEvent {
    start(arn, user("alice"), HOUR * tenths / 10)
}

fn alice() -> Option<String> {
    Some("alice".to_owned())
}

/// What a row or a line says of a start.
fn fields(row: &Value) -> Map<String, Value> {
    let names = ["started_at", "started_by", "hours_running", "cost_so_far"];
    let fields = names.into_iter().filter_map(|name| {
        let value = row.get(name)?;
        Some((name.to_owned(), value.clone()))
    });
    fields.collect()
}

/// The rows of the response.
fn rows(report: &Report) -> Vec<Value> {
    let report = serde_json::to_value(report).unwrap();
    report["models"].as_array().unwrap().clone()
}

/// Who started each model, in the order of the report.
fn starters(report: &Report) -> Vec<Option<String>> {
    let models = report.models.iter();
    models
        .map(|model| model.started.started_by.clone())
        .collect()
}

/// A running model with two inference units, and these starts of models.
async fn with(starts: impl FnOnce(&str) -> Vec<StartEvent>) -> (Emulator, String) {
    let arn = arn("shelf", "v1");
    let model = running(&arn).inference_units(2);
    let builder = Emulator::builder().model(model).starts(starts(&arn));
    (builder.start().await.unwrap(), arn)
}

/// An emulator of running models, with a start by alice of each, five hours ago.
async fn with_all(models: impl IntoIterator<Item = Model>) -> Emulator {
    let models: Vec<Model> = models.into_iter().collect();
    let starts: Vec<StartEvent> = models.iter().map(|it| by_alice(it.arn(), 50)).collect();
    let builder = Emulator::builder().models(models).starts(starts);
    builder.start().await.unwrap()
}

/// A run over all models of the account in `us-east-1`, a dry one or not.
async fn run(emulator: &Emulator, variables: &[(&str, &str)], dry_run: bool) -> Report {
    let handler = handler(emulator, &[&[ON], variables].concat());
    let event = json!({"model_arns": [pattern("*", "*")], "dry_run": dry_run});
    report(invoke(&handler, event, PLENTY).await)
}

#[tokio::test(start_paused = true)]
async fn a_row_its_line_and_the_text_say_who_started_it_when_and_what_it_has_cost() {
    let (emulator, arn) = with(|arn| vec![by_alice(arn, 613)]).await;
    let log = Log::new("JSON", "INFO");
    let report = run(&emulator, &[PRICE], false).await;
    assert_eq!(outcomes(&report), ["stopped"]);
    let row = fields(&rows(&report)[0]);
    let at = row["started_at"].as_str().unwrap();
    let form = regex::Regex::new(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$").unwrap();
    assert!(form.is_match(at), "{at}");
    let right = json!({
        "started_at": at, "started_by": "alice", "hours_running": 61.3, "cost_so_far": 490.4
    });
    assert_eq!(Value::Object(row.clone()), right);
    assert_eq!(fields(&log.of_message("model")[0]), row);
    assert_eq!(
        report.message,
        format!(
            "1 model was stopped: {arn} (running for 61.3 hours, started by alice, about 490.40 so \
             far). That is 2 inference units, or 8.00 an hour."
        )
    );
    assert_eq!(emulator.count(LOOKUP), 1);
}

#[tokio::test(start_paused = true)]
async fn a_starter_is_a_persons_name_or_else_that_of_a_role_or_a_service() {
    const ARN: &str = "/CloudTrailEvent/userIdentity/arn";
    const SSO: &str = "AWSReservedSSO_Developers_0123456789abcdef";
    let codepipeline = "codepipeline.amazonaws.com";
    const FEDERATED: &str = "arn:aws:sts::123456789012:federated-user/carol";
    let by = |starter: Starter| move |arn: &str| start(arn, starter, HOUR);
    let nobody = |arn: &str| {
        let event = start(arn, user("x"), HOUR).without("/CloudTrailEvent/userIdentity");
        event.without("/Username")
    };
    let table: [(Box<Start>, _); 10] = [
        (Box::new(by(user("alice"))), Some("alice")),
        (Box::new(by(user("ops/night/alice"))), Some("alice")),
        (
            Box::new(by(Starter::session("deploy", "build-17"))),
            Some("deploy/build-17"),
        ),
        (
            Box::new(by(Starter::session(SSO, "bob@example.com"))),
            Some("bob@example.com"),
        ),
        (Box::new(by(Starter::Root)), Some("root")),
        (
            Box::new(by(Starter::Service(codepipeline.to_owned()))),
            Some(codepipeline),
        ),
        // Without an ARN, or with one of another form, `Username` has to do.
        (
            Box::new(|arn| start(arn, Starter::session(SSO, "bob"), HOUR).without(ARN)),
            Some("bob"),
        ),
        (
            Box::new(|arn| {
                let text = json!({
                    "userIdentity": {"arn": FEDERATED},
                    "requestParameters": {"projectVersionArn": arn},
                });
                start(arn, user("carol@example.com"), HOUR).text(&text.to_string())
            }),
            Some("carol@example.com"),
        ),
        (
            Box::new(|arn| {
                start(arn, user("x"), HOUR)
                    .without(ARN)
                    .without("/Username")
            }),
            None,
        ),
        (Box::new(nobody), None),
    ];
    for (event, starter) in table {
        let (emulator, _) = with(|arn| vec![event(arn)]).await;
        let report = run(&emulator, &[], true).await;
        assert_eq!(starters(&report), [starter.map(str::to_owned)]);
        assert_eq!(rows(&report)[0]["hours_running"], 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_has_no_field() {
    // Without a price there is no cost, and without a time nothing but the name.
    let (emulator, _) = with(|arn| vec![by_alice(arn, 613)]).await;
    let row = fields(&rows(&run(&emulator, &[], true).await)[0]);
    assert_eq!((&row["hours_running"], row.len()), (&json!(61.3), 3));

    let (emulator, arn) = with(|arn| vec![by_alice(arn, 613).without("/EventTime")]).await;
    let report = run(&emulator, &[PRICE], true).await;
    let row = fields(&rows(&report)[0]);
    assert_eq!(Value::Object(row), json!({"started_by": "alice"}));
    let text = format!("{arn} (started by alice)");
    assert!(report.message.contains(&text), "{}", report.message);

    // The response to a stop has no inference units.
    let (emulator, arn) = with(|arn| vec![by_alice(arn, 613)]).await;
    let handler = handler(&emulator, &[ON, PRICE, ("CONFIRM_STOPPED", "false")]);
    let report = invoke(&handler, json!({"model_arns": [arn]}), PLENTY).await;
    let report = report.unwrap();
    assert_eq!(outcomes(&report), ["stopping"]);
    let row = fields(&rows(&report)[0]);
    assert_eq!((&row["hours_running"], row.len()), (&json!(61.3), 3));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_not_in_the_history_is_not_made_up() {
    let of_others = |_: &str| {
        let elsewhere = arn_in("eu-west-1", "shelf", "v1");
        vec![by_alice(&arn("shelf", "v2"), 10), by_alice(&elsewhere, 10)]
    };
    let parameters = "/CloudTrailEvent/requestParameters";
    let table: [&Starts; 7] = [
        &|_| Vec::new(),
        &of_others,
        &|arn| vec![by_alice(arn, 10).text("{\"userIdentity\": {")],
        &|arn| vec![by_alice(arn, 10).without("/CloudTrailEvent")],
        &|arn| vec![by_alice(arn, 10).without(parameters)],
        &|arn| vec![by_alice(arn, 10).error_code("ResourceInUseException")],
        &|arn| vec![start(arn, user("alice"), 91 * 24 * HOUR)],
    ];
    for events in table {
        let (emulator, arn) = with(events).await;
        let log = Log::new("JSON", "INFO");
        let report = run(&emulator, &[PRICE], true).await;
        assert_eq!(emulator.count(LOOKUP), 1);
        assert_eq!(fields(&rows(&report)[0]), Map::new());
        let text = format!("stopped: {arn}. ");
        assert!(report.message.contains(&text), "{}", report.message);
        assert_eq!(log.of_level("WARN"), Vec::<Value>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_there_yet_is_not_waited_for() {
    let (emulator, _) = with(|arn| vec![by_alice(arn, 1)]).await;
    emulator.set_event_delay(HOUR);
    let report = run(&emulator, &[], true).await;
    assert_eq!(starters(&report), [None]);
    assert_eq!(emulator.count(LOOKUP), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_start_that_succeeded_counts() {
    let (emulator, _) = with(|arn| {
        let bob = |tenths| start(arn, user("bob"), HOUR * tenths / 10);
        vec![
            bob(900),
            by_alice(arn, 400),
            bob(300).error_code("ResourceInUseException"),
            bob(20).error_code("AccessDenied"),
        ]
    })
    .await;
    let row = &rows(&run(&emulator, &[], true).await)[0];
    assert_eq!(row["started_by"], "alice");
    assert_eq!(row["hours_running"], 40.0);
}

#[tokio::test(start_paused = true)]
async fn models_that_are_kept_or_would_be_stopped_or_fail_are_explained_as_well() {
    let arns = arns(4);
    let emulator = with_all([
        running(&arns[0]).tag("keep-running", "true"),
        running(&arns[1]),
        model(&arns[2], "STARTING").start_takes(Duration::MAX),
        model(&arns[3], "STOPPED"),
    ])
    .await;
    emulator.deny("rekognition:StopProjectVersion", None);
    let dry = run(&emulator, &[], true).await;
    assert_eq!(outcomes(&dry), ["kept", "would_stop", "would_stop"]);
    assert_eq!(starters(&dry), [alice(), alice(), alice()]);
    let kept = "(tag keep-running=true; running for 5.0 hours, started by alice)";
    assert!(dry.message.contains(kept), "{}", dry.message);

    let wet = run(&emulator, &[], false).await;
    let failed = ["AccessDeniedException", "StillStarting"];
    assert_eq!(outcomes(&wet), [&["kept"], &failed[..]].concat());
    assert_eq!(starters(&wet), [alice(), alice(), alice()]);
    let end = "; running for 5.0 hours, started by alice)";
    assert_eq!(wet.message.matches(end).count(), 2, "{}", wet.message);
}

#[tokio::test(start_paused = true)]
async fn a_named_model_is_explained_once_its_stop_is_accepted_or_it_is_seen_running() {
    let arns = arns(2);
    let emulator = with_all([running(&arns[0]), model(&arns[1], "STOPPED")]).await;
    let handler = handler(&emulator, &[ON]);
    for dry_run in [true, false] {
        let event = json!({"model_arns": arns, "dry_run": dry_run});
        let report = invoke(&handler, event, PLENTY).await.unwrap();
        assert_eq!(starters(&report), [alice(), None]);
    }
    // By now there is nothing to explain.
    let lookups = emulator.count(LOOKUP);
    let event = json!({"model_arns": [arns[0], arns[1], pattern("*", "*")]});
    let report = invoke(&handler, event, PLENTY).await.unwrap();
    assert_eq!(outcomes(&report), ["already_stopped"; 2]);
    assert_eq!(starters(&report), [None, None]);
    assert_eq!(emulator.count(LOOKUP), lookups);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_up_unless_that_is_set() {
    for setting in [None, Some("false"), Some("")] {
        let emulator = with_all(arns(2).iter().map(|arn| running(arn))).await;
        let variables = setting.map(|value| ("FIND_STARTS", value));
        let handler = handler(&emulator, variables.as_slice());
        let event = json!({"model_arns": [pattern("*", "*")]});
        let report = invoke(&handler, event, PLENTY).await.unwrap();
        assert_eq!(starters(&report), [None, None]);
        assert_eq!(emulator.count(LOOKUP), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_are_read_until_each_model_is_explained_and_four_at_most() {
    let arns = arns(2);
    let others = |count: usize, tenths: u32| {
        let other = arn("pallet", "v9");
        (0..count).map(move |_| by_alice(&other, tenths))
    };
    for (newer, between, pages, explained) in [
        (0, 0, 1, 2),
        (49, 0, 2, 2),
        (49, 80, 3, 2),
        (40, 158, 4, 2),
        (40, 159, 4, 1),
        (250, 0, 4, 0),
    ] {
        let emulator = Emulator::builder()
            .models(arns.iter().map(|arn| running(arn)))
            .starts(others(newer, 10))
            .starts([by_alice(&arns[0], 20)])
            .starts(others(between, 30))
            .starts([by_alice(&arns[1], 40)])
            .starts(others(300, 50));
        let emulator = emulator.start().await.unwrap();
        let report = run(&emulator, &[], true).await;
        let found = starters(&report).into_iter().flatten().count();
        let case = format!("{newer} newer, and {between} between them");
        assert_eq!(
            (emulator.count(LOOKUP), found),
            (pages, explained),
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_found_later_is_explained_by_what_was_read_before() {
    let arns: Vec<String> = (0..6).map(|it| arn(&format!("p{it}"), "v1")).collect();
    let emulator = with_all(arns.iter().map(|arn| running(arn))).await;
    let late = Fault::delay(Duration::from_secs(8)).resource("p5");
    emulator.add_fault(late.operation(Operation::DescribeProjectVersions));
    let report = run(&emulator, &[], true).await;
    assert_eq!(starters(&report), vec![alice(); 6]);
    assert_eq!(emulator.count(LOOKUP), 1);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_retried() {
    for fault in [
        Fault::error("ThrottlingException"),
        Fault::http_status(503, ""),
        Fault::reset(),
        Fault::garbage("<html>"),
        Fault::error("InvalidSignatureException").attempts(..=1),
    ] {
        let (emulator, _) = with(|arn| vec![by_alice(arn, 50)]).await;
        emulator.add_fault(fault.operation(LOOKUP).attempts(..=1));
        let log = Log::new("JSON", "INFO");
        assert_eq!(starters(&run(&emulator, &[], false).await), [alice()]);
        assert_eq!(log.of_level("WARN"), Vec::<Value>::new());
    }
}

/// A night of three models against an emulator whose lookups fail so.
async fn night(fault: Option<&Fault>, variables: &[(&str, &str)], dry_run: bool) -> Run {
    let arns = arns(3);
    let emulator = emulator_in_process([
        running(&arns[0]).tag("keep-running", ""),
        running(&arns[1]).stop_takes(Duration::from_secs(20)),
        model(&arns[2], "STARTING").start_takes(Duration::from_secs(30)),
    ]);
    if let Some(fault) = fault {
        emulator.add_fault(fault.clone().operation(LOOKUP));
    }
    let handler = handler_in_process(&emulator, variables);
    let event = json!({"model_arns": [pattern("*", "*")], "dry_run": dry_run});
    Run::new(&handler, &emulator, &event, 5 * PLENTY).await
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_lookups_no_outcome_changes_and_one_warning_is_enough() {
    let lasting = [
        (Fault::error("AccessDeniedException"), 1),
        (Fault::error("ThrottlingException"), 1),
        (Fault::error("InternalFailure"), 1),
        (Fault::error("InvalidNextTokenException"), 1),
        (Fault::http_status(503, ""), 1),
        (Fault::hang(), 1),
        (Fault::reset(), 1),
        (Fault::truncated(), 1),
        (Fault::garbage("<html>"), 1),
        // Of these nothing can be said, which is no failure.
        (Fault::garbage("{}"), 0),
        (Fault::garbage("{\"Events\": null}"), 0),
        (Fault::garbage("{\"Events\": [{}, {}]}"), 0),
    ];
    for dry_run in [true, false] {
        let without = night(None, &[], dry_run).await;
        for (fault, warnings) in &lasting {
            let log = Log::new("JSON", "INFO");
            let with = night(Some(fault), &[ON], dry_run).await;
            let case = format!("{fault:?}");
            assert_eq!(outcomes(&with.report), outcomes(&without.report), "{case}");
            assert_eq!(starters(&with.report), [None, None, None], "{case}");
            assert_eq!(with.report.message, without.report.message, "{case}");
            assert_eq!(with.stops, without.stops, "{case}");
            let most = without.took + 5.0;
            assert!(with.took <= most, "{case}: {} of {most}", with.took);
            assert_eq!(log.of_message("model").len(), 3, "{case}");
            let lines = log.of_level("WARN");
            assert_eq!(lines.len(), *warnings, "{case}: {lines:?}");
            for line in lines {
                let place = [&line["account"], &line["region"]];
                assert_eq!(place, ["123456789012", "us-east-1"], "{line}");
                assert_eq!(line["requestId"], support::REQUEST_ID);
                assert_ne!(line["error"].as_str(), None, "{line}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_response_waits_five_seconds_for_a_slow_lookup_and_no_longer() {
    for (seconds, explained) in [(4, true), (6, false)] {
        let (emulator, _) = with(|arn| vec![by_alice(arn, 50)]).await;
        let slow = Fault::delay(Duration::from_secs(seconds));
        emulator.add_fault(slow.operation(LOOKUP));
        let handler = handler_in_process(&emulator, &[ON]);
        let event = json!({"model_arns": [pattern("*", "*")], "dry_run": true});
        let run = Run::new(&handler, &emulator, &event, PLENTY).await;
        assert_eq!(starters(&run.report) == [alice()], explained);
        assert!(run.took <= 5.1, "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn stops_of_many_models_come_when_they_would_without_lookups() {
    let arns = arns(300);
    let calls = |operation, calls| (operation, Quota::per_second(calls));
    let night = async |fault: Option<Fault>, variables: &[(&str, &str)]| {
        let emulator = emulator_in_process(arns.iter().map(|arn| running(arn)));
        for (operation, quota) in [
            calls(Operation::StopProjectVersion, 10.0),
            calls(Operation::ListTagsForResource, 10.0),
            calls(LOOKUP, 2.0),
        ] {
            emulator.set_operation_quota(operation, Some(quota));
        }
        for arn in &arns {
            emulator.add_start(&by_alice(arn, 50));
        }
        fault.into_iter().for_each(|it| emulator.add_fault(it));
        // The same chance in the pace of each.
        fastrand::seed(7);
        let handler = handler_in_process(&emulator, variables);
        let event = json!({"model_arns": [pattern("*", "*")]});
        Run::new(&handler, &emulator, &event, 15 * PLENTY).await
    };
    let without = night(None, &[]).await;
    let with = night(None, &[ON]).await;
    let hanging = night(Some(Fault::hang().operation(LOOKUP)), &[ON]).await;
    let found = starters(&with.report).into_iter().flatten().count();
    assert_eq!(found, 200);
    for run in [&with, &hanging] {
        assert_eq!(outcomes(&run.report), ["stopped"; 300]);
        let late = run.last_stop() - without.last_stop();
        assert!(late <= 0.1, "the last stop is {late} s later: {run}");
        assert!(run.took <= without.took + 5.0, "{run}");
    }
}

/// An organization of accounts, each with a running model in two regions.
fn organization(accounts: usize) -> (Emulator, Vec<String>) {
    let own = "123456789012".to_owned();
    let members = (1..accounts).map(|number| format!("{number:012}"));
    let accounts: Vec<String> = [own].into_iter().chain(members).collect();
    let mut builder = Emulator::builder();
    for account in &accounts {
        let role = Role::new(&format!("arn:aws:iam::{account}:role/member")).unwrap();
        let role = role.trusts("arn:aws:iam::123456789012:role/stopper");
        builder = builder.organization_account(Account::new(account));
        builder = builder.role(role);
        for region in ["us-east-1", "eu-west-1"] {
            let arn = arn_in(region, "shelf", "v1").replace("123456789012", account);
            let starter = Starter::session("deploy", &format!("{account}-{region}"));
            builder = builder.model(running(&arn));
            builder = builder.starts([start(&arn, starter, HOUR)]);
        }
    }
    (builder.in_process(), accounts)
}

const EVERYWHERE: [(&str, &str); 3] = [
    ON,
    ("MEMBER_ROLE", "member"),
    ("REGIONS", "us-east-1, eu-west-1"),
];

async fn everywhere(emulator: &Emulator) -> Run {
    let handler = handler_in_process(emulator, &EVERYWHERE);
    let event = json!({"model_arns": ["arn:aws:rekognition:*:*:project/*"], "dry_run": true});
    Run::new(&handler, emulator, &event, PLENTY).await
}

#[tokio::test(start_paused = true)]
async fn each_account_and_region_is_asked_in_its_own_session_and_at_most_sixteen_at_once() {
    let (emulator, accounts) = organization(20);
    emulator.set_latency(Duration::from_millis(200));
    let run = everywhere(&emulator).await;
    let starters: Vec<String> = starters(&run.report).into_iter().flatten().collect();
    assert_eq!(starters.len(), 2 * accounts.len());
    for (row, starter) in run.report.models.iter().zip(starters) {
        let fields: Vec<&str> = row.model_arn.split(':').collect();
        assert_eq!(starter, format!("deploy/{}-{}", fields[4], fields[3]));
    }
    for call in emulator.calls() {
        let role = match &*call.account {
            "123456789012" => "stopper/stopper",
            _ => "member/rekognition-stopper",
        };
        if call.operation == LOOKUP {
            assert!(call.identity.ends_with(role), "{call:?}");
        }
    }
    assert_eq!(emulator.max_in_flight_to(Service::CloudTrail), 16);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_refuses_lookups_is_one_warning_for_each_region() {
    let (emulator, accounts) = organization(4);
    let denied = &accounts[2];
    let denial = Fault::error("AccessDeniedException").account(denied);
    emulator.add_fault(denial.operation(LOOKUP));
    let log = Log::new("JSON", "INFO");
    let run = everywhere(&emulator).await;
    assert_eq!(outcomes(&run.report), ["would_stop"; 8]);
    let unknown = run.report.models.iter().zip(starters(&run.report));
    let unknown = unknown.filter(|(_, starter)| starter.is_none());
    let unknown: Vec<&str> = unknown.map(|(row, _)| &*row.model_arn).collect();
    assert_eq!(unknown.len(), 2);
    assert!(unknown.iter().all(|arn| arn.contains(&**denied)));
    let lines = log.of_level("WARN");
    let mut places: Vec<[&str; 2]> = lines
        .iter()
        .map(|line| ["account", "region"].map(|field| line[field].as_str().unwrap()))
        .collect();
    places.sort();
    assert_eq!(places, [[&**denied, "eu-west-1"], [denied, "us-east-1"]]);
    let error = lines[0]["error"].as_str().unwrap();
    assert!(error.contains("cloudtrail:LookupEvents"), "{error}");
}
