//! The program.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::{Caller, arn};

/// The built program, running; killed when dropped.
pub struct Program {
    pub url: String,
    child: Child,
}

impl Program {
    /// Starts the program, and waits for the line that says where it listens.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { url, child }
    }

    /// Sends a signal, and returns the exit code.
    async fn end_with(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().unwrap().to_string();
        let kill = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(kill.await.unwrap().success());
        self.child.wait().await.unwrap().code()
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekognition-emulator"));
    command.args(arguments).kill_on_drop(true);
    command
}

/// Runs the program with arguments that make it exit. Returns the exit code and what it prints.
async fn failure(arguments: &[&str]) -> (i32, String) {
    let output = command(arguments).output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

/// A file of this test's own, which does not exist yet.
fn fresh_file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

#[tokio::test]
async fn the_program_serves_the_models_of_its_arguments() {
    let arn = arn("cats", "v1");
    let model = format!("{arn}=RUNNING,units=2,tag:team=vision");
    let record = fresh_file("record.jsonl");
    let record_argument = record.to_str().unwrap();
    let stop_takes = ["--stop-takes", "2m", "--record", record_argument];
    let program = Program::start(&[&["--model", &model], &stop_takes[..]].concat()).await;
    assert!(program.url.starts_with("http://127.0.0.1:"));
    let caller = Caller::of_url(&program.url);
    let list = caller.call("DescribeProjects", json!({})).await.json();
    let project = list["ProjectDescriptions"][0]["ProjectArn"].clone();
    let body = json!({ "ProjectArn": project });
    assert_eq!(caller.stop(&arn).await.http_status, 200);
    let list = caller.call("DescribeProjectVersions", body).await.json();
    let description = &list["ProjectVersionDescriptions"][0];
    assert_eq!(description["MinInferenceUnits"], 2);
    assert_eq!(description["Status"], "STOPPING");
    let tags = caller
        .call("ListTagsForResource", json!({ "ResourceArn": arn }))
        .await;
    assert_eq!(tags.json(), json!({ "Tags": { "team": "vision" } }));

    let text = std::fs::read_to_string(record).unwrap();
    let resources: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["resources"][0].clone())
        .collect();
    assert_eq!(resources, [json!("*"), json!(arn), project, json!(arn)]);
}

#[tokio::test]
async fn the_program_takes_faults_denials_and_a_quota() {
    let arn = arn("cats", "v1");
    let model = format!("{arn}=RUNNING");
    let fault =
        format!("StopProjectVersion@{arn}=error:InternalServerError,attempts=1,after-effect");
    let program = Program::start(&[
        "--model",
        &model,
        "--fault",
        &fault,
        "--deny",
        "rekognition:DescribeProjects",
        "--quota",
        "0.001",
        "--burst",
        "3",
        "--throttle-with",
        "ProvisionedThroughputExceededException",
    ])
    .await;
    let caller = Caller::of_url(&program.url);
    assert_eq!(caller.stop(&arn).await.error_code(), "InternalServerError");
    assert_eq!(
        caller.stop(&arn).await.error_code(),
        "ResourceInUseException"
    );
    let denied = caller.call("DescribeProjects", json!({})).await;
    assert_eq!(denied.error_code(), "AccessDeniedException");
    let throttled = caller.stop(&arn).await;
    assert_eq!(
        throttled.error_code(),
        "ProvisionedThroughputExceededException"
    );
}

#[tokio::test]
async fn the_program_ends_in_good_order_on_either_signal() {
    for signal in ["TERM", "INT"] {
        let program = Program::start(&[]).await;
        assert_eq!(program.end_with(signal).await, Some(0));
    }
}

#[tokio::test]
async fn a_busy_port_is_said_in_one_line() {
    let program = Program::start(&[]).await;
    let port = program.url.rsplit(':').next().unwrap();
    let (code, text) = failure(&["--port", port]).await;
    assert_eq!(code, 1);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(&format!("port {port} on 127.0.0.1 is busy")),
        "{text}"
    );
}

#[tokio::test]
async fn a_bad_argument_is_named_with_what_is_right() {
    let arn = arn("cats", "v1");
    let (no_status, bad_part) = (arn.clone(), format!("{arn}=RUNNING,unit=2"));
    for (option, value, right) in [
        (
            "--model",
            "cats=RUNNING",
            "project/PROJECT/version/VERSION/NUMBER",
        ),
        ("--model", no_status.as_str(), "ARN=STATUS"),
        ("--model", bad_part.as_str(), "units=N"),
        ("--stop-takes", "6", "500ms, 6s or 2m"),
        ("--latency", "-1s", "500ms, 6s or 2m"),
        ("--quota", "0", "above 0"),
        ("--account", "12", "12 digits"),
        ("--organization-account", "12=ACTIVE", "12 digits"),
        ("--organization-account", "222222222222,ou=x", "parent=ID"),
        ("--organizational-unit", "r-emul", "ou-emul-11111111"),
        ("--role", "stopper", "arn:PARTITION:iam::ACCOUNT:role/NAME"),
        (
            "--role",
            "arn:aws:iam::222222222222:role/x,trust=y",
            "trusts=PRINCIPAL",
        ),
        ("--operation-quota", "AssumeRole", "CALLS_PER_SECOND"),
        ("--operation-quota", "AssumeRole=5,burst=0", "1 or more"),
        ("--fault", "*=reset,account=12", "12 digits"),
        (
            "--deny",
            "rekognition:Stop",
            "rekognition:StopProjectVersion",
        ),
        ("--fault", "StopProjectVersion", "OPERATION[@RESOURCE]=KIND"),
        ("--fault", "Stop=reset", "StopProjectVersion"),
        ("--fault", "StopProjectVersion=explode", "garbage"),
        ("--fault", "StopProjectVersion=http:999", "200 to 599"),
        ("--fault", "*=reset,attempts=0", "1 or more"),
    ] {
        let (code, text) = failure(&[&format!("{option}={value}")]).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(value), "{text}");
        assert!(text.contains(right), "{text}");
    }
}
