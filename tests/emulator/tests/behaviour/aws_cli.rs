//! The AWS CLI against the program: a client that is nobody's test double.

use std::io::{self, Write};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::binary::Program;
use crate::client::arn;

/// The AWS CLI, where it is installed: `AWS_CLI`, or `aws` on the path.
async fn installed() -> Option<String> {
    let name = std::env::var("AWS_CLI").unwrap_or_else(|_| "aws".to_owned());
    let version = Command::new(&name).arg("--version").output().await;
    version.ok()?.status.success().then_some(name)
}

/// Calls `aws rekognition`; gives its JSON answer, or the error that it prints.
async fn rekognition(cli: &str, url: &str, arguments: &[&str]) -> Result<Value, String> {
    let output = Command::new(cli)
        .args([
            "--endpoint-url",
            url,
            "--region",
            "us-east-1",
            "--output",
            "json",
            "rekognition",
        ])
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("AWS_PAGER", "")
        .env_remove("AWS_PROFILE")
        .output()
        .await
        .unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[tokio::test]
async fn the_aws_cli_lists_starts_and_stops_models() {
    let Some(cli) = installed().await else {
        // Past the test harness, which keeps what a good test prints to itself.
        let reason =
            "skipped: the AWS CLI is not installed (pip package awscli) and AWS_CLI names none";
        writeln!(
            io::stderr(),
            "the_aws_cli_lists_starts_and_stops_models {reason}"
        )
        .unwrap();
        return;
    };
    let arn = arn("cats", "v1");
    let model = format!("{arn}=STOPPED,units=1,tag:team=vision");
    let program = Program::start(&["--model", &model]).await;
    let aws = async |arguments: &[&str]| rekognition(&cli, &program.url, arguments).await;

    let list = aws(&["describe-projects", "--project-names", "cats"])
        .await
        .unwrap();
    let project = list["ProjectDescriptions"][0]["ProjectArn"]
        .as_str()
        .unwrap();

    let units = ["--min-inference-units", "2"];
    let start = [
        &["start-project-version", "--project-version-arn", &arn],
        &units[..],
    ]
    .concat();
    assert_eq!(aws(&start).await.unwrap(), json!({ "Status": "STARTING" }));

    let list = aws(&["describe-project-versions", "--project-arn", project])
        .await
        .unwrap();
    let description = &list["ProjectVersionDescriptions"][0];
    assert_eq!(description["ProjectVersionArn"], arn);
    assert_eq!(description["Status"], "RUNNING");
    assert_eq!(description["MinInferenceUnits"], 2);

    let tags = aws(&["list-tags-for-resource", "--resource-arn", &arn])
        .await
        .unwrap();
    assert_eq!(tags, json!({ "Tags": { "team": "vision" } }));

    let stop = ["stop-project-version", "--project-version-arn", &arn];
    assert_eq!(aws(&stop).await.unwrap(), json!({ "Status": "STOPPING" }));
    let error = aws(&stop).await.unwrap_err();
    assert!(error.contains("ResourceInUseException"), "{error}");
    assert!(error.contains("STOPPED"), "{error}");
}
