//! Where credentials come from: Lambda's environment, and nowhere else.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use rekognition_emulator::Emulator;
use serde_json::json;
use support::runs::Run;
use support::runtime_api::{Answer, Function};
use support::wire::Wire;
use support::{
    ACCESS_KEY, PLENTY, arns, emulator_in_process, handler_with, in_process, outcomes, running,
};

const NOT_IN_THE_ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", ""),
    ("AWS_SECRET_ACCESS_KEY", ""),
    ("AWS_SESSION_TOKEN", ""),
];

/// Writes the AWS configuration of a developer's machine, and returns its path.
fn configuration(test: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file: PathBuf = directory.join(format!("credentials-{test}"));
    let text = "[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = any\n";
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
async fn credentials_are_those_of_the_environment_whatever_a_profile_says() {
    let file = configuration("environment");
    let (answer, access_keys) = stop(&[("AWS_CONFIG_FILE", &file)]).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(access_keys, [ACCESS_KEY]);
}

#[tokio::test]
async fn a_session_token_is_not_needed() {
    let (answer, access_keys) = stop(&[("AWS_SESSION_TOKEN", "")]).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(access_keys, [ACCESS_KEY]);
}

#[tokio::test]
async fn without_credentials_in_the_environment_nothing_is_called_and_the_error_says_so() {
    let file = configuration("missing");
    for missing in [
        &NOT_IN_THE_ENVIRONMENT[..],
        &NOT_IN_THE_ENVIRONMENT[..1],
        &NOT_IN_THE_ENVIRONMENT[1..2],
    ] {
        let mut variables = vec![("AWS_CONFIG_FILE", &*file)];
        variables.extend(missing);
        let (answer, access_keys) = stop(&variables).await;
        assert!(!answer.is_ok, "{missing:?}: {answer:?}");
        assert_eq!(answer.body["errorType"], "NotAllStopped");
        let message = answer.body["errorMessage"].as_str().unwrap();
        assert!(message.contains("(DispatchFailure: "), "{message}");
        assert!(message.contains("credential"), "{message}");
        assert_eq!(access_keys, [""; 0], "{missing:?}");
    }
}

/// A provider that has no credentials.
#[derive(Debug)]
struct HasNone;

impl ProvideCredentials for HasNone {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no one has any")))
    }
}

#[tokio::test(start_paused = true)]
async fn missing_credentials_fail_every_model_at_once() {
    let arns = arns(10);
    let emulator = emulator_in_process(arns.iter().map(|arn| running(arn)));
    let config = in_process(Wire::new(&emulator)).into_builder();
    let provider = SharedCredentialsProvider::new(HasNone);
    let config = config.credentials_provider(provider).build();
    let handler = handler_with(&emulator, &[], config);
    let event = json!({ "model_arns": arns });
    let run = Run::new(&handler, &emulator, &event, Duration::from_secs(60)).await;
    assert_eq!(outcomes(&run.report), ["DispatchFailure"; 10]);
    assert!(run.took < 1.0, "{run}");
    assert!(emulator.calls().is_empty());
}
