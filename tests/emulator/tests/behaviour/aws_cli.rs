//! The AWS CLI against the program: a client that is not a test double.

use std::io::{self, Write};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::binary::Program;
use crate::client::arn;

/// The AWS CLI, if it is installed: `AWS_CLI`, or `aws` on the path.
async fn installed() -> Option<String> {
    let name = std::env::var("AWS_CLI").unwrap_or_else(|_| "aws".to_owned());
    let version = Command::new(&name).arg("--version").output().await;
    version.ok()?.status.success().then_some(name)
}

/// The AWS CLI for this test, which says so if it is skipped.
async fn installed_for(test: &str) -> Option<String> {
    let cli = installed().await;
    if cli.is_none() {
        // Past the test harness, which keeps what a good test prints to itself.
        let reason =
            "skipped: the AWS CLI is not installed (pip package awscli) and AWS_CLI names none";
        let line = format!("{test} {reason}\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    cli
}

/// The credentials of a caller without a session.
const OWN: [&str; 3] = ["AKIDEXAMPLE", "secret", ""];

/// Calls `aws` with an access key, its secret and its token; gives its JSON answer, or the error
/// that it prints.
async fn aws(
    cli: &str,
    url: &str,
    [access_key, secret, token]: [&str; 3],
    arguments: &[&str],
) -> Result<Value, String> {
    let output = Command::new(cli)
        .args([
            "--endpoint-url",
            url,
            "--region",
            "us-east-1",
            "--output",
            "json",
        ])
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", access_key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_SESSION_TOKEN", token)
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
    let Some(cli) = installed_for("the_aws_cli_lists_starts_and_stops_models").await else {
        return;
    };
    let arn = arn("cats", "v1");
    let model = format!("{arn}=STOPPED,units=1,tag:team=vision");
    let program = Program::start(&["--model", &model]).await;
    let aws = async |arguments: &[&str]| {
        let arguments = [&["rekognition"], arguments].concat();
        aws(&cli, &program.url, OWN, &arguments).await
    };

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

    let events = ["cloudtrail", "lookup-events", "--lookup-attributes"];
    let starts = "AttributeKey=EventName,AttributeValue=StartProjectVersion";
    let events = [&events[..], &[starts]].concat();
    let events = self::aws(&cli, &program.url, OWN, &events).await.unwrap();
    assert_eq!(events["Events"][0]["Username"], "stopper", "{events}");

    let stop = ["stop-project-version", "--project-version-arn", &arn];
    assert_eq!(aws(&stop).await.unwrap(), json!({ "Status": "STOPPING" }));
    let error = aws(&stop).await.unwrap_err();
    assert!(error.contains("ResourceInUseException"), "{error}");
    assert!(error.contains("STOPPED"), "{error}");
}

#[tokio::test]
async fn the_aws_cli_lists_accounts_and_acts_as_one_of_them() {
    let Some(cli) = installed_for("the_aws_cli_lists_accounts_and_acts_as_one_of_them").await
    else {
        return;
    };
    let arn = "arn:aws:rekognition:us-east-1:222222222222:project/dogs/version/v1/1700000000000";
    let role = "arn:aws:iam::222222222222:role/stopper-member";
    let program = Program::start(&[
        &format!("--model={arn}=RUNNING"),
        "--organizational-unit=ou-emul-11111111,name=vision",
        "--organization-account=222222222222,parent=ou-emul-11111111,name=dogs",
        "--organization-account=333333333333=SUSPENDED",
        "--empty-pages",
        &format!("--role={role},trusts=arn:aws:iam::123456789012:role/nightly,external-id=e1"),
        "--caller-role=nightly",
        "--operation-quota=ListRoots=0.001,burst=1",
        "--fault=DescribeProjects=error:InternalServerError,account=222222222222",
    ])
    .await;
    let aws = async |credentials, words: &str| {
        let arguments: Vec<_> = words.split(' ').collect();
        aws(&cli, &program.url, credentials, &arguments).await
    };

    // Through empty pages, since the CLI reads on until there is no token.
    let list = aws(OWN, "organizations list-accounts").await.unwrap();
    let accounts = list["Accounts"].as_array().unwrap().iter();
    let accounts: Vec<_> = accounts.map(|it| json!([it["Id"], it["Status"]])).collect();
    let expected = [
        json!(["123456789012", "ACTIVE"]),
        json!(["222222222222", "ACTIVE"]),
        json!(["333333333333", "SUSPENDED"]),
    ];
    assert_eq!(accounts, expected);
    let under = "organizations list-accounts-for-parent --parent-id ou-emul-11111111";
    let list = aws(OWN, under).await.unwrap();
    assert_eq!(list["Accounts"][0]["Name"], "dogs");

    let assume = format!("sts assume-role --role-arn {role} --role-session-name cli");
    let error = aws(OWN, &assume).await.unwrap_err();
    let refusal = format!(
        "(AccessDenied) when calling the AssumeRole operation: User: \
         arn:aws:sts::123456789012:assumed-role/nightly/stopper is not authorized to perform: \
         sts:AssumeRole on resource: {role}"
    );
    assert!(error.contains(&refusal), "{error}");
    let session = aws(OWN, &format!("{assume} --external-id e1"))
        .await
        .unwrap();
    let part = |name: &str| session["Credentials"][name].as_str().unwrap();
    let session = [
        part("AccessKeyId"),
        part("SecretAccessKey"),
        part("SessionToken"),
    ];
    let identity = aws(session, "sts get-caller-identity").await.unwrap();
    assert_eq!(identity["Account"], "222222222222");
    let stop = format!("rekognition stop-project-version --project-version-arn {arn}");
    let error = aws(OWN, &stop).await.unwrap_err();
    assert!(error.contains("AccessDeniedException"), "{error}");
    assert_eq!(
        aws(session, &stop).await.unwrap(),
        json!({ "Status": "STOPPING" })
    );
    let error = aws(session, "rekognition describe-projects")
        .await
        .unwrap_err();
    assert!(error.contains("InternalServerError"), "{error}");
    assert!(aws(OWN, "rekognition describe-projects").await.is_ok());
    let error = aws(OWN, "organizations list-roots").await.unwrap_err();
    assert!(error.contains("TooManyRequestsException"), "{error}");
}
