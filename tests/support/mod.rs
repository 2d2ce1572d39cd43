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
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::HttpClient;
use lambda_runtime::{Context, LambdaEvent};
use rekognition_emulator::{Emulator, Model};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::{ModelReport, Outcome, Report};
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

/// The request ID of every invocation, except those by a runtime.
pub const REQUEST_ID: &str = "request-1";

/// The function, in the same account as all models.
pub const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:nightly";

/// More time than any test takes.
pub const PLENTY: Duration = Duration::from_secs(60);

/// The ARN of a version of a project in `us-east-1`.
pub fn arn(project: &str, version: &str) -> String {
    arn_in("us-east-1", project, version)
}

pub fn arn_in(region: &str, project: &str, version: &str) -> String {
    format!(
        "arn:aws:rekognition:{region}:123456789012:project/{project}/version/{version}/1700000000000"
    )
}

/// A pattern for versions of a project, or of several.
pub fn pattern(project: &str, version: &str) -> String {
    format!("arn:aws:rekognition:us-east-1:123456789012:project/{project}/version/{version}/*")
}

/// A model that is running.
pub fn running(arn: &str) -> Model {
    Model::new(arn).unwrap().status("RUNNING")
}

/// An emulator of these models, all of them running.
pub async fn running_emulator(arns: &[String]) -> Emulator {
    emulator(arns.iter().map(|arn| running(arn))).await
}

/// An emulator of these models.
pub async fn emulator(models: impl IntoIterator<Item = Model>) -> Emulator {
    Emulator::builder().models(models).start().await.unwrap()
}

/// An emulator of these models without a server, for [`handler_in_process`].
pub fn emulator_in_process(models: impl IntoIterator<Item = Model>) -> Emulator {
    Emulator::builder().models(models).in_process()
}

/// A model with this status.
pub fn model(arn: &str, status: &str) -> Model {
    Model::new(arn).unwrap().status(status)
}

/// The ARNs of this many models, with names that sort like their numbers.
pub fn arns(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| arn("shelf", &format!("v{number:04}")))
        .collect()
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

/// The handler as the function creates it, against an emulator and with these environment
/// variables.
pub fn handler(emulator: &Emulator, variables: &[(&str, &str)]) -> Handler {
    handler_with(emulator, variables, sdk_config(&emulator.url()))
}

/// The handler against an emulator in the same task, without a socket: a paused clock only advances
/// when something waits for it, so the duration of a run can be measured.
pub fn handler_in_process(emulator: &Emulator, variables: &[(&str, &str)]) -> Handler {
    handler_with(emulator, variables, in_process(Wire::new(emulator)))
}

/// The SDK's configuration for a service that this HTTP client stands in for.
pub fn in_process(http_client: impl HttpClient + 'static) -> SdkConfig {
    sdk_config("http://in-process.invalid")
        .into_builder()
        .http_client(http_client)
        .build()
}

/// The handler with this configuration of the SDK.
pub fn handler_with(emulator: &Emulator, variables: &[(&str, &str)], config: SdkConfig) -> Handler {
    record(emulator);
    let settings = Settings::read(|name| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found
            .map(|(_, value)| (*value).to_owned())
            .ok_or(VarError::NotPresent)
    });
    Handler::new(settings, Aws::new(config), |_| ())
}

/// Writes the function's calls to a new file in the directory `REKOGNITION_CALLS`, if that is set:
/// the function's permissions have to allow whatever the tests call.
pub fn record(emulator: &Emulator) {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let Some(directory) = std::env::var_os("REKOGNITION_CALLS") else {
        return;
    };
    std::fs::create_dir_all(&directory).unwrap();
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}.jsonl", std::process::id());
    emulator.record_to(File::create(Path::new(&directory).join(name)).unwrap());
}

/// One invocation by the Lambda runtime, which gives the deadline in milliseconds since 1970.
pub async fn invoke(
    handler: &Handler,
    event: Value,
    time_limit: Duration,
) -> Result<Report, Error> {
    let mut context = Context::default();
    context.request_id = REQUEST_ID.to_owned();
    let deadline = SystemTime::now() + time_limit;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    context.deadline = u64::try_from(deadline.as_millis()).unwrap();
    context.invoked_function_arn = FUNCTION_ARN.to_owned();
    let event = LambdaEvent::new(payload(&event), context);
    match handler.handle(event).await? {
        Response::Report(report) => Ok(report),
        Response::Plan(plan) => panic!("{plan:?}"),
    }
}

/// An invocation as the handler sees it, with this much time from now on by the runtime's clock.
pub fn invocation(time: Duration) -> Invocation {
    Invocation {
        request_id: REQUEST_ID.to_owned(),
        function_name: "nightly".to_owned(),
        function_arn: FUNCTION_ARN.to_owned(),
        deadline: Instant::now() + time,
    }
}

/// An event as the runtime passes it on.
pub fn payload(event: &Value) -> Payload {
    Payload(Ok(to_raw_value(event).unwrap()))
}

/// One invocation for these entries, with default settings and plenty of time.
pub async fn stop(emulator: &Emulator, entries: &[&str]) -> Result<Report, Error> {
    let handler = handler(emulator, &[]);
    invoke(&handler, json!({ "model_arns": entries }), PLENTY).await
}

/// The report of a run, successful or not.
pub fn report(result: Result<Report, Error>) -> Report {
    match result {
        Ok(report) | Err(Error::NotAllStopped(report)) => report,
        Err(error) => panic!("{error:?}"),
    }
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
    let mut summary = json!({
        "accounts": 0, "models": 0, "stopped": 0, "stopping": 0, "already_stopped": 0, "kept": 0,
        "would_stop": 0, "failed": 0, "failed_lookups": 0, "inference_units_stopped": 0,
    });
    let Value::Object(counts) = counts else {
        panic!("{counts}");
    };
    summary.as_object_mut().unwrap().extend(counts);
    summary
}
