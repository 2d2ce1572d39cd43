//! Where credentials come from: Lambda's environment, or the SDK's default chain on somebody's own machine.

mod support;

use std::path::{Path, PathBuf};

use axum::Router;
use axum::routing::post;
use rekognition_emulator::Emulator;
use serde_json::json;
use support::runtime_api::{Answer, Function};
use support::{ACCESS_KEY, PLENTY, arns, running};
use tokio::net::TcpListener;

const NOT_IN_THE_ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", ""),
    ("AWS_SECRET_ACCESS_KEY", ""),
    ("AWS_SESSION_TOKEN", ""),
];

/// Writes the AWS configuration of somebody's own machine, and tells its path.
fn configuration(test: &str, text: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file: PathBuf = directory.join(format!("credentials-{test}"));
    std::fs::write(&file, text).unwrap();
    file.into_os_string().into_string().unwrap()
}

/// Stops one model with these variables; the answer, and the access keys of the calls.
async fn stop(variables: &[(&str, &str)]) -> (Answer, Vec<String>) {
    let arns = arns(1);
    let emulator = Emulator::builder().model(running(&arns[0])).start().await;
    let emulator = emulator.unwrap();
    let url = emulator.url();
    let mut environment = vec![
        ("AWS_ENDPOINT_URL_REKOGNITION", &*url),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("CONFIRM_STOPPED", "false"),
    ];
    environment.extend(variables);
    let mut function = Function::start(&environment).await;
    let event = json!({ "model_arns": arns }).to_string();
    let answer = function.invoke(event, PLENTY).await;
    function.end().await;
    let calls = emulator.calls().into_iter();
    (answer, calls.map(|call| call.access_key).collect())
}

#[tokio::test]
async fn those_of_the_environment_come_first() {
    let file = configuration(
        "environment",
        "[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = any\n",
    );
    let (answer, access_keys) = stop(&[("AWS_CONFIG_FILE", &file)]).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(access_keys, [ACCESS_KEY]);
}

#[tokio::test]
async fn without_them_a_profile_is_asked() {
    let file = configuration(
        "profile",
        "[profile work]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = any\n",
    );
    let mut variables = vec![("AWS_CONFIG_FILE", &*file), ("AWS_PROFILE", "work")];
    variables.extend(NOT_IN_THE_ENVIRONMENT);
    let (answer, access_keys) = stop(&variables).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(access_keys, ["AKIDPROFILE"]);
}

#[tokio::test]
async fn a_profile_may_name_a_role() {
    const ASSUMED: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
        <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>any</SecretAccessKey><SessionToken>any</SessionToken>\
        <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let file = configuration(
        "role",
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/stops-models\nsource_profile = mine\n\
         [profile mine]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = any\n",
    );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let sts = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(async || ASSUMED));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let mut variables = vec![("AWS_CONFIG_FILE", &*file), ("AWS_ENDPOINT_URL_STS", &*sts)];
    variables.extend(NOT_IN_THE_ENVIRONMENT);
    let (answer, access_keys) = stop(&variables).await;
    server.abort();
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(access_keys, ["ASIAROLE"]);
}

#[tokio::test]
async fn where_there_are_none_the_error_says_so() {
    let (answer, access_keys) = stop(&NOT_IN_THE_ENVIRONMENT).await;
    assert!(!answer.is_ok, "{answer:?}");
    let message = answer.body["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("no credentials found in chain"),
        "{message}"
    );
    assert_eq!(access_keys, [""; 0]);
}
