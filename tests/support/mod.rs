//! What the tests share: an emulator with models, and the real handler against it.

// Each test binary uses only part of this.
#![allow(dead_code)]

pub mod enums;
pub mod log;
pub mod process;
pub mod runs;
pub mod runtime_api;
pub mod wire;

use std::env::VarError;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::HttpClient;
use rekognition_emulator::{Emulator, Model};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::{ModelReport, Outcome, Report, Summary};
use rekognition_stopper::request::Payload;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, Invocation};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::time::Instant;
use wire::Wire;

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI-secret-key-of-a-test";
pub const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2Vj/session+token/of+a+test==";

/// The account of the function, and of every model that is in no other.
pub const OWN: &str = "123456789012";

/// More time than any test takes.
pub const PLENTY: Duration = Duration::from_secs(60);

/// The ARN of a version of a project in `us-east-1`.
pub fn arn(project: &str, version: &str) -> String {
    arn_in("us-east-1", project, version)
}

pub fn arn_in(region: &str, project: &str, version: &str) -> String {
    format!("arn:aws:rekognition:{region}:{OWN}:project/{project}/version/{version}/1700000000000")
}

/// The ARNs of this many models, with names that sort like their numbers.
pub fn arns(count: usize) -> Vec<String> {
    let names = (0..count).map(|number| format!("v{number:04}"));
    names.map(|name| arn("shelf", &name)).collect()
}

/// A pattern for versions of a project, or of several.
pub fn pattern(project: &str, version: &str) -> String {
    format!("arn:aws:rekognition:us-east-1:{OWN}:project/{project}/version/{version}/*")
}

/// A model with this status.
pub fn model(arn: &str, status: &str) -> Model {
    Model::new(arn).unwrap().status(status)
}

/// A model that is running.
pub fn running(arn: &str) -> Model {
    model(arn, "RUNNING")
}

/// An emulator of these models.
pub async fn emulator(models: impl IntoIterator<Item = Model>) -> Emulator {
    Emulator::builder().models(models).start().await.unwrap()
}

/// An emulator of models that are all running.
pub async fn running_emulator(arns: &[String]) -> Emulator {
    emulator(arns.iter().map(|arn| running(arn))).await
}

/// An emulator of these models without a server, for [`handler_in_process`].
pub fn emulator_in_process(models: impl IntoIterator<Item = Model>) -> Emulator {
    Emulator::builder().models(models).in_process()
}

/// The function's own credentials.
pub fn credentials() -> Credentials {
    Credentials::from_keys(ACCESS_KEY, SECRET_KEY, Some(SESSION_TOKEN.to_owned()))
}

/// The SDK's configuration for a service at this address.
pub fn sdk_config(endpoint_url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint_url)
        .credentials_provider(SharedCredentialsProvider::new(credentials()))
        .build()
}

/// The SDK's configuration for a service that this HTTP client stands in for.
pub fn in_process(http_client: impl HttpClient + 'static) -> SdkConfig {
    let config = sdk_config("http://in-process.invalid").into_builder();
    config.http_client(http_client).build()
}

/// The handler against an emulator in the same task, without a socket: a paused clock only advances
/// when something waits for it, so the duration of a run can be measured.
pub fn handler_in_process(emulator: &Emulator, variables: &[(&str, &str)]) -> Handler {
    handler_with(emulator, variables, in_process(Wire::new(emulator)))
}

/// The handler as the function creates it, with this configuration of the SDK.
pub fn handler_with(emulator: &Emulator, variables: &[(&str, &str)], config: SdkConfig) -> Handler {
    record(emulator);
    Handler::new(settings(variables), Aws::new(config), |_| ())
}

/// The settings of these environment variables.
pub fn settings(variables: &[(&str, &str)]) -> Result<Settings, Error> {
    Settings::read(|name| {
        let variable = variables.iter().find(|(key, _)| *key == name);
        let value = variable.map(|(_, value)| (*value).to_owned());
        value.ok_or(VarError::NotPresent)
    })
}

/// Writes the function's calls to a new file in the directory `REKOGNITION_CALLS`, if that is set:
/// the function's permissions have to allow whatever the tests call.
pub fn record(emulator: &Emulator) {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    if let Some(directory) = std::env::var_os("REKOGNITION_CALLS") {
        std::fs::create_dir_all(&directory).unwrap();
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.jsonl", std::process::id());
        emulator.record_to(File::create(Path::new(&directory).join(name)).unwrap());
    }
}

/// An event as the runtime passes it on.
pub fn payload(event: &Value) -> Payload {
    Payload(Ok(to_raw_value(event).unwrap()))
}

/// An invocation with this much time from now on by the runtime's clock.
pub fn invocation(time: Duration) -> Invocation {
    Invocation {
        request_id: "request-1".to_owned(),
        function_name: "nightly".to_owned(),
        function_arn: format!("arn:aws:lambda:us-east-1:{OWN}:function:nightly"),
        deadline: Instant::now() + time,
    }
}

/// One invocation, for a report.
pub async fn invoke(handler: &Handler, event: Value, time: Duration) -> Result<Report, Error> {
    match handler.invoke(payload(&event), invocation(time)).await? {
        Response::Report(report) => Ok(report),
        Response::Plan(plan) => panic!("{plan:?}"),
    }
}

/// One invocation over a socket for these entries, with default settings and plenty of time.
pub async fn stop(emulator: &Emulator, entries: &[&str]) -> Result<Report, Error> {
    let handler = handler_with(emulator, &[], sdk_config(&emulator.url()));
    invoke(&handler, json!({ "model_arns": entries }), PLENTY).await
}

/// The report of an invocation in the emulator's own task, with these variables and plenty of time.
pub async fn run(emulator: &Emulator, variables: &[(&str, &str)], event: Value) -> Report {
    let handler = handler_in_process(emulator, variables);
    report(invoke(&handler, event, PLENTY).await)
}

/// The report of a run, successful or not.
pub fn report(result: Result<Report, Error>) -> Report {
    match result {
        Ok(report) | Err(Error::NotAllStopped(report)) => report,
        Err(error) => panic!("{error:?}"),
    }
}

/// The ARNs and entries of a report, in order.
pub fn reported(report: &Report) -> Vec<&str> {
    report.models.iter().map(|it| &*it.model_arn).collect()
}

/// The outcome's name, and the failure's code if it failed.
pub fn outcome(model: &ModelReport) -> &str {
    match &model.outcome {
        Outcome::Failed(failure) => failure.code.as_str(),
        outcome => outcome.name(),
    }
}

/// Outcomes, or codes of failures, in the order of the report.
pub fn outcomes(report: &Report) -> Vec<&str> {
    report.models.iter().map(outcome).collect()
}

/// The error of the one model or lookup that failed.
pub fn failure(report: &Report) -> &str {
    let models = report.models.iter();
    let models = models.filter_map(|model| match &model.outcome {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    });
    let mut failed = models.chain(report.lookups.iter().map(|lookup| &lookup.failure));
    let failure = failed.next().unwrap();
    assert_eq!(failed.next(), None);
    &failure.message
}

/// The lookups that failed, in order: the pattern of each, and the code.
pub fn lookups(report: &Report) -> Vec<(&str, &str)> {
    let lookups = report.lookups.iter();
    lookups
        .map(|lookup| (&*lookup.pattern, lookup.failure.code.as_str()))
        .collect()
}

/// A summary that has these counts, and 0 for all others.
pub fn summary(counts: Value) -> Value {
    let mut summary = serde_json::to_value(Summary::default()).unwrap();
    let counts = counts.as_object().unwrap().clone();
    summary.as_object_mut().unwrap().extend(counts);
    summary
}
