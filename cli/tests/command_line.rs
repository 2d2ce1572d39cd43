//! The command line as a user runs it, against the emulator, with the credentials of a profile.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Model, Operation, StartEvent, Starter};
use serde_json::Value;
use tokio::process::Command;

const CAPS: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/v1/1789404005000";
const SHELF: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v2/1759396353000";
const SEAMS: &str =
    "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/v1/1787209319000";
const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/Developer/alice";

/// What is printed about them, except for the time of a start.
const TABLE: &str = include_str!("table.txt");

const HOUR: Duration = Duration::from_secs(3600);

/// Two models that would be stopped, and one that its tag keeps running.
async fn emulator() -> Emulator {
    let alice = Starter::session("AWSReservedSSO_Developer_0123456789abcdef", "alice");
    let seams = Model::new(SEAMS).unwrap().status("STARTING");
    let caps = Model::new(CAPS).unwrap().status("RUNNING");
    let shelf = Model::new(SHELF).unwrap().status("RUNNING");
    Emulator::builder()
        .model(caps.inference_units(2).max_inference_units(5))
        .model(shelf.tag("keep-running", "2999-12-24"))
        .model(seams.start_takes(HOUR))
        .starts([StartEvent::new(CAPS, alice, 62 * HOUR).unwrap()])
        .start()
        .await
        .unwrap()
}

/// An STS that tells every caller that it is [`CALLER`], which the emulator does not do. Returns
/// its address.
fn sts() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{CALLER}</Arn>\
         <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    let length = body.len();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("Action=GetCallerIdentity") {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                assert_ne!(read, 0, "it is asked for something else");
                request.extend(&part[..read]);
            }
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
            write!(stream, "{head} {length}\r\n\r\n{body}").unwrap();
        }
    });
    url
}

/// A home directory with the files of the AWS CLI: a profile with keys, and one of an SSO session
/// that nobody has logged in to.
fn home(test: &str) -> PathBuf {
    // The whole workspace shares this directory.
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command-line");
    let home = home.join(test);
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    let config = "\
        [profile vision]\naws_access_key_id = AKIDVISION\naws_secret_access_key = any\n\
        [profile staff]\nsso_session = staff\nsso_account_id = 123456789012\n\
        sso_role_name = Developer\nregion = eu-west-1\n\
        [sso-session staff]\nsso_region = eu-west-1\n\
        sso_start_url = https://example.awsapps.com/start\n";
    std::fs::write(home.join(".aws/config"), config).unwrap();
    home
}

/// Runs the command line, without a terminal, in an environment with nothing but these variables.
async fn run(
    test: &str,
    emulator: &Emulator,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rekognition-stopper-cli"))
        .args(arguments)
        .env_clear()
        .env("HOME", home(test))
        .env("AWS_ENDPOINT_URL", emulator.url())
        .env("AWS_ENDPOINT_URL_STS", sts())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_what_is_running_and_stops_nothing() {
    let emulator = emulator().await;
    let price = [("INFERENCE_UNIT_HOUR_PRICE", "4.00")];
    let json = run("look", &emulator, &["--profile=vision", "--json"], &price).await;
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["summary"]["would_stop"], 2);
    let mut models = report["models"].as_array().unwrap().iter();
    let caps = models.find(|it| it["model_arn"] == CAPS).unwrap();
    let since = caps["started_at"].as_str().unwrap().replace('T', " ");
    let since = &since[..16];

    let looked = run("look", &emulator, &["--profile", "vision"], &price).await;
    assert_eq!(stdout(&looked), TABLE.replace("2026-11-27 18:54", since));
    assert_eq!(stderr(&looked), format!("Calling AWS as {CALLER}\n"));
    assert_eq!(looked.status.code(), Some(0));
    assert_eq!(emulator.count(Operation::StopProjectVersion), 0);
    assert_eq!(emulator.status(CAPS).as_deref(), Some("RUNNING"));
    let keys = emulator.calls().into_iter().map(|call| call.access_key);
    assert!(keys.into_iter().all(|key| key == "AKIDVISION"));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_about_which_nothing_is_known_are_left_out() {
    let emulator = emulator().await;
    let arguments = ["--profile=vision", "--region=eu-west-1"];
    let looked = run(
        "columns",
        &emulator,
        &arguments,
        &[("FIND_STARTS", "false")],
    )
    .await;
    assert_eq!(
        stdout(&looked),
        "region     model          status    units  outcome\n\
         eu-west-1  weld-seams v1  STARTING  1      would stop\n\
         \n\
         1 would stop. That would save 1 inference unit.\n"
    );
    let calls = emulator.calls().into_iter();
    let regions = calls
        .map(|call| call.region)
        .filter(|region| region == "us-east-2");
    assert_eq!(regions.count(), 0);
    assert_eq!(emulator.count(Operation::LookupEvents), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_stops_what_a_dry_run_shows() {
    let emulator = emulator().await;
    emulator.set_status(SEAMS, "RUNNING");
    let arguments = ["--profile=vision", "--stop", "--yes"];
    let stopped = run("stop", &emulator, &arguments, &[]).await;
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    let table = stdout(&stopped);
    assert!(
        table.ends_with("\n\n2 stopped, 1 kept. That saves at least 3 inference units.\n"),
        "{table}"
    );
    let statuses = emulator.statuses();
    assert_eq!(statuses[CAPS], "STOPPED");
    assert_eq!(statuses[SEAMS], "STOPPED");
    assert_eq!(statuses[SHELF], "RUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_valid_ends_with_2_before_anything_is_called() {
    let emulator = emulator().await;
    for (arguments, variables, error) in [
        (
            &["--stop"][..],
            &[][..],
            "error: --stop asks before it stops anything",
        ),
        (&["--yes"], &[], "--stop"),
        (&["--all"], &[], "error: unexpected argument '--all' found"),
        (
            &["--region", "US"],
            &[],
            "error: REGIONS contains `US`; it should be names of regions",
        ),
        (
            &["arn:aws:s3:::models"],
            &[],
            "error: arn:aws:s3:::models: ",
        ),
        (
            &[],
            &[("INFERENCE_UNIT_HOUR_PRICE", "free")],
            "error: INFERENCE_UNIT_HOUR_PRICE is",
        ),
    ] {
        let refused = run("not-valid", &emulator, arguments, variables).await;
        assert!(
            stderr(&refused).contains(error),
            "{arguments:?}: {}",
            stderr(&refused)
        );
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stdout(&refused), "");
    }
    assert!(emulator.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_or_expired_credentials_have_a_plain_error() {
    let emulator = emulator().await;
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDOTHER"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
    ];
    for (arguments, variables, error) in [
        // Credentials in the environment do not stand in for a profile that was named.
        (
            &["--profile=lab"][..],
            &keys[..],
            "error: profile lab is not in ~/.aws/config, or has no credentials",
        ),
        (
            &["--profile=staff"],
            &keys,
            "log in with `aws sso login --profile staff`",
        ),
        (
            &[],
            &[("AWS_PROFILE", "staff")],
            "log in with `aws sso login --profile staff`",
        ),
        (
            &[],
            &[],
            "error: no AWS credentials were found: name a profile with --profile",
        ),
    ] {
        let failed = run("credentials", &emulator, arguments, variables).await;
        assert!(
            stderr(&failed).contains(error),
            "{arguments:?}: {}",
            stderr(&failed)
        );
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}");
    }
    assert!(emulator.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_lookup_fails_and_hides_nothing_of_the_others() {
    let emulator = emulator().await;
    emulator.deny("cloudtrail:LookupEvents", None);
    let refusal = Fault::error("AccessDeniedException").region("eu-west-1");
    emulator.add_fault(refusal.operation(Operation::DescribeProjects));
    let failed = run("denied", &emulator, &["--profile=vision"], &[]).await;
    let table = stdout(&failed);
    assert!(table.contains("bottle-caps v1  RUNNING"), "{table}");
    assert!(
        table.contains("\n1 would stop, 1 kept, 1 lookup failed. That would save"),
        "{table}"
    );
    let warnings = stderr(&failed);
    let warning = "warning: who started the models could not be looked up: account 123456789012, \
                   region us-east-1, error AccessDeniedException: ";
    assert!(warnings.contains(warning), "{warnings}");
    let error = "error: No model failed. 1 lookup failed: ";
    assert!(warnings.contains(error), "{warnings}");
    assert_eq!(failed.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn help_fits_a_screen_of_80_columns() {
    let emulator = emulator().await;
    let help = run("help", &emulator, &["--help"], &[]).await;
    assert_eq!(help.status.code(), Some(0));
    for line in stdout(&help).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
