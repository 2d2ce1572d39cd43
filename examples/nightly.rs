//! A whole night in a few seconds: the real function against an emulator of the service, in this
//! process.
//!
//! Run it with `cargo run --example nightly`. It needs no AWS account, no Docker and no network. It
//! prints the function's log as it is written, and then what happened to each model.

#[path = "../cli/src/table.rs"]
mod table;

use std::env::VarError;
use std::error::Error;
use std::io;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use rekognition_emulator::{Emulator, Model, Quota};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::Response;
use rekognition_stopper::request::Payload;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, Invocation, log};
use tokio::time::Instant;

use table::{ModelName, Table};

/// The event of an EventBridge schedule. It names no models, so `MODEL_ARNS` does.
const EVENT: &str = include_str!("../events/schedule-scheduler.json");

/// The models of the account. Someone left most of them running.
const V1: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v1/1759309953000";
const V2: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v2/1759396353000";
const V3: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v3/1759482753000";
const CAPS: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/v1/1789404005000";
const PALLETS: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/pallets/version/v1/1789490405000";
const SEAMS: &str =
    "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/v1/1787209319000";

/// What the operator has configured, as environment variables: three models by their own ARNs, and
/// a pattern for every version of a project.
fn variable(name: &str) -> Result<String, VarError> {
    let shelf_audit = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/*/*";
    match name {
        "MODEL_ARNS" => Ok([CAPS, PALLETS, SEAMS, shelf_audit].join(", ")),
        "INFERENCE_UNIT_HOUR_PRICE" => Ok("4.00".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

/// The service with those models, faster than the real one, and with a quota that makes the
/// function slow down.
async fn service() -> Result<Emulator, Box<dyn Error>> {
    let emulator = Emulator::builder()
        .model(Model::new(V1)?.status("RUNNING"))
        .model(
            Model::new(V2)?
                .status("RUNNING")
                .tag("keep-running", "2999-12-24"),
        )
        .model(Model::new(V3)?.status("STOPPED"))
        .model(Model::new(CAPS)?.status("RUNNING").inference_units(2))
        .model(Model::new(PALLETS)?.status("STOPPED"))
        .model(Model::new(SEAMS)?.status("STARTING"))
        .start_takes(Duration::from_millis(1500))
        .stop_takes(Duration::from_millis(800))
        .quota(Quota::per_second(10.0).burst(3))
        .start()
        .await?;
    Ok(emulator)
}

/// The function, as Lambda would set it up, but with the emulator as its service and with made-up
/// credentials.
fn function(emulator: &Emulator) -> Handler {
    let credentials = Credentials::from_keys("AKIDEXAMPLE", "a-secret-key", None);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(emulator.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let rekognition = Aws::new(config);
    Handler::new(Settings::read(variable), rekognition, |line| {
        println!("{line}")
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing::subscriber::set_global_default(log::subscriber(variable, io::stdout))?;
    let emulator = service().await?;
    let before = emulator.statuses();

    println!(
        "It is night, and the schedule invokes the function. Its log, and its metrics in the last line:\n"
    );
    let event: Payload = serde_json::from_str(EVENT)?;
    let invocation = Invocation {
        request_id: "tonight".to_owned(),
        function_name: "nightly".to_owned(),
        function_arn: "arn:aws:lambda:us-east-1:123456789012:function:nightly".to_owned(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    let response = function(&emulator).invoke(event, invocation).await?;
    let Response::Report(report) = response else {
        return Err("a run has a report".into());
    };

    let after = emulator.statuses();
    let mut table = Table::new(["region", "model", "before", "outcome", "after"]);
    for ((arn, before), after) in before.iter().zip(after.values()) {
        let ModelName { region, name, .. } = ModelName::new(arn);
        let reported = report.models.iter().find(|model| *model.model_arn == **arn);
        // A pattern does not find a version that is not running.
        let outcome = reported.map(|model| model.outcome.name());
        let outcome = outcome.unwrap_or_default().to_owned();
        table.add([region, name, before.clone(), outcome, after.clone()]);
    }
    println!("\n{}", table.lines().join("\n"));
    let summary = &report.summary;
    println!(
        "\n{} models with {} inference units were stopped, which saves {:.2} an hour.",
        summary.stopped,
        summary.inference_units_stopped,
        summary.estimated_savings_per_hour.unwrap_or_default()
    );
    Ok(())
}
