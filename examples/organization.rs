//! A night over an organization in a few seconds: the real function against an emulator of the
//! services, in this process.
//!
//! Run it with `cargo run --example organization`. It needs no AWS account, no Docker and no
//! network. It shows the function's progress, and then what happened in each account.

#[path = "../cli/src/table.rs"]
mod table;

use std::env::VarError;
use std::error::Error;
use std::io;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use rekognition_emulator::{Account, Emulator, Model, Operation, Quota, Role};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler;
use rekognition_stopper::report::Report;
use rekognition_stopper::request::Payload;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, Invocation, log};
use tokio::time::{Instant, sleep};

use table::{ModelName, Table};

/// The event of an EventBridge schedule. It names no models, so `MODEL_ARNS` does.
const EVENT: &str = include_str!("../events/schedule-scheduler.json");

/// The function's own account and the others, each with its name and the models that someone left
/// running.
const OWN: &str = "123456789012";
const ACCOUNTS: [(&str, &str, &[&str]); 12] = [
    (OWN, "security", &[]),
    (
        "200000000001",
        "shop",
        &["us-east-1/shelf-audit", "us-east-1/bottle-caps"],
    ),
    (
        "200000000002",
        "warehouse",
        &["eu-west-1/pallets", "us-east-1/pallets"],
    ),
    (
        "200000000003",
        "vision-lab",
        &["ap-northeast-1/fruit", "us-west-2/fruit", "eu-west-1/fruit"],
    ),
    ("200000000004", "payments", &[]),
    ("200000000005", "trial", &["eu-central-1/weld-seams"]),
    ("200000000006", "old-factory", &["us-east-1/conveyor"]),
    ("200000000007", "analytics", &[]),
    ("200000000008", "marketing", &["us-east-2/logos"]),
    (
        "200000000009",
        "press",
        &["eu-west-2/prints", "eu-west-2/covers"],
    ),
    ("200000000010", "closed", &["us-east-1/forgotten"]),
    (
        "200000000011",
        "sandbox",
        &["ap-southeast-2/cats", "ap-southeast-2/dogs"],
    ),
];
/// The account in which no one has created the role, and the one that is no longer in use.
const WITHOUT_ROLE: &str = "200000000006";
const SUSPENDED: &str = "200000000010";

/// What the operator has configured, as environment variables: every model of every account and
/// region.
fn variable(name: &str) -> Result<String, VarError> {
    match name {
        "MODEL_ARNS" => Ok("arn:aws:rekognition:*:*:project/*/version/*/*".to_owned()),
        "MEMBER_ROLE" => Ok("rekognition-stopper-member".to_owned()),
        "INFERENCE_UNIT_HOUR_PRICE" => Ok("4.00".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

/// The services with those accounts, each with its own quotas, and faster than the real ones.
async fn services() -> Result<Emulator, Box<dyn Error>> {
    let mut builder = Emulator::builder()
        .stop_takes(Duration::from_millis(800))
        .latency(Duration::from_millis(20))
        .quota(Quota::per_second(5.0).burst(5).for_each_operation());
    for (account, name, models) in ACCOUNTS {
        let state = if account == SUSPENDED {
            "SUSPENDED"
        } else {
            "ACTIVE"
        };
        builder = builder.organization_account(Account::new(account).name(name).state(state));
        if ![OWN, WITHOUT_ROLE].contains(&account) {
            let role_arn = format!("arn:aws:iam::{account}:role/rekognition-stopper-member");
            let function = format!("arn:aws:iam::{OWN}:role/stopper");
            builder = builder.role(Role::new(&role_arn)?.trusts(&function));
        }
        for model in models {
            let (region, project) = model.split_once('/').unwrap_or_default();
            let arn = format!(
                "arn:aws:rekognition:{region}:{account}:project/{project}/version/v1/1759309953000"
            );
            builder = builder.model(Model::new(&arn)?.status("RUNNING"));
        }
    }
    Ok(builder.start().await?)
}

/// The function, as Lambda would set it up, but with the emulator as its services and with made-up
/// credentials.
fn function(emulator: &Emulator) -> Handler {
    let credentials = Credentials::from_keys("AKIDEXAMPLE", "a-secret-key", None);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(emulator.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    Handler::new(Settings::read(variable), Aws::new(config), |line| {
        println!("{line}")
    })
}

/// Prints the function's progress every now and then.
async fn report_progress(emulator: &Emulator) {
    loop {
        sleep(Duration::from_millis(300)).await;
        let reached = ACCOUNTS
            .iter()
            .filter(|(id, ..)| emulator.assume_role_count(id) > 0);
        let stops = emulator.count(Operation::StopProjectVersion);
        println!(
            "     ... {} accounts reached, {} calls made, {stops} of them stops",
            reached.count(),
            emulator.calls().len()
        );
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing::subscriber::set_global_default(log::subscriber(variable, io::stdout))?;
    let emulator = services().await?;
    println!(
        "It is night, and the schedule invokes the function for an organization of {} accounts.\n",
        ACCOUNTS.len()
    );
    let event: Payload = serde_json::from_str(EVENT)?;
    let invocation = Invocation {
        request_id: "tonight".to_owned(),
        function_name: "nightly".to_owned(),
        function_arn: format!("arn:aws:lambda:us-east-1:{OWN}:function:nightly"),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    let function = function(&emulator);
    let response = tokio::select! {
        response = function.invoke(event, invocation) => response,
        () = report_progress(&emulator) => return Ok(()),
    };
    let report = match response {
        Err(handler::Error::NotAllStopped(report)) | Ok(handler::Response::Report(report)) => {
            report
        }
        Ok(handler::Response::Plan(_)) => return Err("a run has a report".into()),
        Err(error) => return Err(error.into()),
    };
    print_table(&emulator, &report);
    println!(
        "\nThe function's error, which is sent by email:\n{}",
        report.message
    );
    Ok(())
}

/// Prints what happened in each account.
fn print_table(emulator: &Emulator, report: &Report) {
    let is_in = |arn: &str, account: &str| ModelName::new(arn).account == account;
    let mut table = Table::new([
        "account",
        "name",
        "stopped",
        "failed",
        "still running",
        "note",
    ]);
    let statuses = emulator.statuses();
    for (account, name, _) in ACCOUNTS {
        let models = report.models.iter();
        let models = models.filter(|model| is_in(&model.model_arn, account));
        let outcomes: Vec<&str> = models.map(|model| model.outcome.name()).collect();
        let count = |name| outcomes.iter().filter(|outcome| **outcome == name).count();
        let lookups = report.lookups.iter();
        let lookups = lookups.filter(|lookup| is_in(&lookup.pattern, account));
        let running = statuses.iter();
        let running = running.filter(|(arn, status)| is_in(arn, account) && *status == "RUNNING");
        let note = match account {
            WITHOUT_ROLE => "its role cannot be assumed",
            SUSPENDED => "suspended, so it is skipped",
            _ => "",
        };
        table.add([
            account.to_owned(),
            name.to_owned(),
            count("stopped").to_string(),
            (count("failed") + lookups.count()).to_string(),
            running.count().to_string(),
            note.to_owned(),
        ]);
    }
    println!("\n{}", table.lines().join("\n"));
    let summary = &report.summary;
    println!(
        "\n{} models with {} inference units were stopped in {} accounts, which saves {:.2} an hour.",
        summary.stopped,
        summary.inference_units_stopped,
        summary.accounts,
        summary.estimated_savings_per_hour.unwrap_or_default()
    );
}
