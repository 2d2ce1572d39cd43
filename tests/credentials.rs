//! Where credentials come from: Lambda's environment, or the SDK's default chain on a developer's
//! machine.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use axum::Router;
use axum::routing::post;
use rekognition_emulator::Emulator;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::Report;
use serde_json::json;
use support::runtime_api::{Answer, Function};
use support::wire::Wire;
use support::{
    ACCESS_KEY, PLENTY, arns, emulator_in_process, handler_with, in_process, invocation, outcomes,
    payload, running,
};
use tokio::net::TcpListener;
use tokio::time::Instant;

const NOT_IN_THE_ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", ""),
    ("AWS_SECRET_ACCESS_KEY", ""),
    ("AWS_SESSION_TOKEN", ""),
];

/// Writes the AWS configuration of a developer's machine, and returns its path.
fn configuration(test: &str, text: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file: PathBuf = directory.join(format!("credentials-{test}"));
    std::fs::write(&file, text).unwrap();
    file.into_os_string().into_string().unwrap()
}

/// Stops one model with these variables. Returns the answer, and the access keys of the calls.
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
async fn credentials_of_the_environment_come_first() {
    let file = configuration(
        "environment",
        "[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = any\n",
    );
    let (answer, access_keys) = stop(&[("AWS_CONFIG_FILE", &file)]).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(access_keys, [ACCESS_KEY]);
}

#[tokio::test]
async fn a_profile_is_used_if_the_environment_has_none() {
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
async fn the_error_says_that_there_are_no_credentials() {
    let (answer, access_keys) = stop(&NOT_IN_THE_ENVIRONMENT).await;
    assert!(!answer.is_ok, "{answer:?}");
    let message = answer.body["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("no credentials found in chain"),
        "{message}"
    );
    assert_eq!(access_keys, [""; 0]);
}

/// A provider that has no credentials for some time, and then has them.
#[derive(Debug)]
struct FailsAtFirst {
    until: Instant,
    error: fn() -> CredentialsError,
}

impl ProvideCredentials for FailsAtFirst {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(if Instant::now() < self.until {
            Err((self.error)())
        } else {
            Ok(Credentials::from_keys(ACCESS_KEY, "any", None))
        })
    }
}

/// The report of a run in which this provider fails for this many seconds, and the seconds that the
/// run took.
async fn stop_ten(error: fn() -> CredentialsError, seconds: u64) -> (Report, f64) {
    let arns = arns(10);
    let emulator = emulator_in_process(arns.iter().map(|arn| running(arn)));
    let start = Instant::now();
    let provider = FailsAtFirst {
        until: start + Duration::from_secs(seconds),
        error,
    };
    let config = in_process(Wire::new(&emulator)).into_builder();
    let provider = SharedCredentialsProvider::new(provider);
    let config = config.credentials_provider(provider).build();
    let handler = handler_with(&emulator, &[("CONFIRM_STOPPED", "false")], config);
    let event = payload(&json!({ "model_arns": arns }));
    let report = match handler.invoke(event, invocation(PLENTY)).await {
        Ok(Response::Report(report)) | Err(Error::NotAllStopped(report)) => report,
        other => panic!("{other:?}"),
    };
    (report, start.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_loaded_for_a_few_seconds_fail_no_model() {
    let errors: [fn() -> CredentialsError; 3] = [
        || CredentialsError::provider_error("HTTP 500"),
        || CredentialsError::provider_timed_out(Duration::from_secs(1)),
        || CredentialsError::unhandled("what"),
    ];
    for error in errors {
        let (report, seconds) = stop_ten(error, 5).await;
        assert_eq!(report.summary.stopping, 10, "{:?}", error());
        assert!((5.0..8.0).contains(&seconds), "{:?}: {seconds} s", error());
    }
}

#[tokio::test(start_paused = true)]
async fn missing_credentials_fail_every_model_at_once() {
    let errors: [fn() -> CredentialsError; 2] = [
        || CredentialsError::not_loaded("no one has any"),
        || CredentialsError::invalid_configuration("no one has any"),
    ];
    for error in errors {
        let (report, seconds) = stop_ten(error, 5).await;
        assert_eq!(outcomes(&report), ["DispatchFailure"; 10]);
        assert!(report.to_string().contains("no one has any"), "{report}");
        assert!(seconds < 1.0, "{seconds} s");
    }
}
