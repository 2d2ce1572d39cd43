//! What a program is asked to do, and the service that it does it at.

use std::env::VarError;
use std::time::Duration;

use rekognition_emulator::{Account, Builder, Emulator, Model, Quota, Role};
use rekognition_stopper::settings::Settings;
use serde_json::{Value, json};

use crate::quotas::LATENCY;
use crate::support::{arn_in, arns, pattern, running};

pub const EVERY_MODEL: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
pub const MEMBER_ROLE: &str = "member";
const MANAGEMENT_ACCOUNT: &str = "123456789012";
/// The accounts of one run of a plan.
const ACCOUNTS_PER_RUN: usize = 25;

/// Rekognition's default quotas: calls of each operation a second in each account and region,
/// projects, and models of a project.
pub const DEFAULT_QUOTA: f64 = 5.0;
pub const MOST_PROJECTS: usize = 100;
const MOST_MODELS: usize = 100;
/// What a trained model's description has, in bytes.
const DESCRIPTION: usize = 2700;
/// The time that a stop takes where it is waited for.
const STOP_TAKES: Duration = Duration::from_secs(60);

/// What a program is asked to do.
#[derive(Clone, Copy)]
pub enum Work {
    /// To stop this many running models, each of which is named.
    Named(usize),
    /// To stop this many running models, which one pattern finds.
    Found(usize),
    /// The same, and to see them stopped.
    Confirmed(usize),
    /// To find two running models in each of 11 regions, among as many projects and models as AWS's
    /// default quotas allow one account, at as many calls a second as they allow.
    Full,
    /// To sweep every account in 11 regions, where some have two running models each.
    Organization { accounts: usize, with_models: usize },
    /// To plan the sweep of this many accounts.
    Plan(usize),
    /// To do one run of that plan.
    PlannedRun(usize),
}

impl Work {
    pub fn name(self) -> String {
        match self {
            Self::Named(1) => "1 model".to_owned(),
            Self::Named(models) => format!("{models} models, named"),
            Self::Found(models) => format!("{models} models, found by a pattern"),
            Self::Confirmed(models) => {
                format!("{models} models, found by a pattern and seen stopped a minute later")
            }
            Self::Full => format!(
                "11 regions × {MOST_PROJECTS} projects × {MOST_MODELS} models, 2 running in each \
                 region, {DEFAULT_QUOTA}/s"
            ),
            Self::Organization {
                accounts,
                with_models: 0,
            } => format!("{accounts} accounts × 11 regions, no models"),
            Self::Organization {
                accounts,
                with_models,
            } => {
                format!("{accounts} accounts × 11 regions, 2 models in each of {with_models}")
            }
            Self::Plan(accounts) => {
                format!("the plan for {accounts} accounts, {ACCOUNTS_PER_RUN} a run")
            }
            Self::PlannedRun(accounts) => {
                format!("one run of that plan: {ACCOUNTS_PER_RUN} of {accounts} accounts")
            }
        }
    }

    /// The models that are running, and are to be stopped.
    pub fn models(self) -> Vec<String> {
        match self {
            Self::Named(models) | Self::Found(models) | Self::Confirmed(models) => arns(models),
            Self::Full => {
                // At the beginning of what is listed, and at its end.
                let running = [(0, 0), (MOST_PROJECTS - 1, MOST_MODELS - 1)];
                let of_region = |region: String| {
                    running.map(|(project, version)| numbered_arn(&region, project, version))
                };
                regions().into_iter().flat_map(of_region).collect()
            }
            Self::Organization { with_models: 0, .. } | Self::Plan(_) | Self::PlannedRun(_) => {
                vec![]
            }
            Self::Organization {
                accounts,
                with_models,
            } => {
                let regions = regions();
                // Spread over the accounts, and over the regions.
                let with_models = members(accounts)
                    .step_by((accounts - 1) / with_models)
                    .take(with_models);
                let models = with_models.enumerate().flat_map(|(number, account)| {
                    let region = &regions[number % regions.len()];
                    ["v1", "v2"].map(|version| member_arn(region, &account, version))
                });
                models.collect()
            }
        }
    }

    /// The service, in which each operation of each account and region has this quota of calls a
    /// second, or that of the work. Every call takes its time, but the one for a single model,
    /// where what the program itself takes is to be seen.
    pub async fn service(self, calls_a_second: Option<f64>) -> Emulator {
        let models = self.models();
        let emulator = Emulator::builder();
        let emulator = match self {
            Self::Full => with_trained_models(emulator, &models),
            _ => emulator.models(models.iter().map(|arn| running(arn))),
        };
        let emulator = match self {
            Self::Confirmed(_) => emulator.stop_takes(STOP_TAKES),
            _ => emulator,
        };
        let emulator = match self {
            Self::Named(1) => emulator,
            _ => emulator.latency(LATENCY),
        };
        let emulator = match calls_a_second.or(self.quota()) {
            Some(rate) => {
                let quota = Quota::per_second(rate).burst(rate as u32);
                emulator.quota(quota.for_each_operation())
            }
            None => emulator,
        };
        let emulator = match self {
            Self::Named(_) | Self::Found(_) | Self::Confirmed(_) | Self::Full => emulator,
            Self::Organization { accounts, .. }
            | Self::Plan(accounts)
            | Self::PlannedRun(accounts) => with_organization(emulator, accounts),
        };
        emulator.start().await.unwrap()
    }

    /// The calls a second that the work itself says.
    fn quota(self) -> Option<f64> {
        match self {
            Self::Full => Some(DEFAULT_QUOTA),
            _ => None,
        }
    }

    pub fn variables(self) -> Vec<(&'static str, &'static str)> {
        let mut variables = vec![("AWS_LAMBDA_LOG_FORMAT", "JSON")];
        if !matches!(self, Self::Confirmed(_)) {
            variables.push(("CONFIRM_STOPPED", "false"));
        }
        if let Self::Organization { .. } | Self::Plan(_) | Self::PlannedRun(_) = self {
            variables.push(("MEMBER_ROLE", MEMBER_ROLE));
        }
        variables
    }

    pub fn event(self) -> Value {
        match self {
            Self::Named(models) => json!({ "model_arns": arns(models) }),
            Self::Found(_) | Self::Confirmed(_) => {
                json!({ "model_arns": [pattern("shelf", "*")] })
            }
            Self::Full => {
                let every_region = EVERY_MODEL.replacen("*:*", "*:123456789012", 1);
                json!({ "model_arns": [every_region] })
            }
            Self::Organization { .. } => json!({ "model_arns": [EVERY_MODEL] }),
            Self::Plan(_) => {
                json!({ "model_arns": [EVERY_MODEL], "accounts_per_run": ACCOUNTS_PER_RUN })
            }
            Self::PlannedRun(accounts) => {
                // Those that are listed last, which is the slowest.
                let skipped = accounts - 1 - ACCOUNTS_PER_RUN;
                let accounts: Vec<String> = members(accounts).skip(skipped).collect();
                json!({ "model_arns": [EVERY_MODEL], "accounts": accounts })
            }
        }
    }

    /// Fails if the report of a successful run is not what has to come of this.
    pub fn check(self, report: &Value) {
        let summary = &report["summary"];
        match self {
            Self::Named(models) | Self::Found(models) => assert_eq!(summary["stopping"], models),
            Self::Confirmed(models) => assert_eq!(summary["stopped"], models),
            Self::Full => assert_eq!(summary["stopping"], self.models().len()),
            Self::Organization {
                accounts,
                with_models,
            } => {
                assert_eq!(summary["accounts"], accounts);
                assert_eq!(summary["stopping"], 2 * with_models);
            }
            Self::Plan(accounts) => {
                let runs = report["runs"].as_array().unwrap();
                assert_eq!(runs.len(), accounts.div_ceil(ACCOUNTS_PER_RUN));
            }
            Self::PlannedRun(_) => assert_eq!(summary["accounts"], ACCOUNTS_PER_RUN),
        }
    }
}

/// How many models are still running.
pub fn left(emulator: &Emulator) -> usize {
    let statuses = emulator.statuses();
    statuses.values().filter(|it| *it == "RUNNING").count()
}

/// The regions of Custom Labels, in their order.
pub fn regions() -> Vec<String> {
    let settings = Settings::read(|_| Err(VarError::NotPresent));
    settings.unwrap().regions
}

/// A model of a member account.
pub fn member_arn(region: &str, account: &str, version: &str) -> String {
    format!("arn:aws:rekognition:{region}:{account}:project/shelf/version/{version}/1700000000000")
}

/// A model of one of many projects.
fn numbered_arn(region: &str, project: usize, version: usize) -> String {
    arn_in(
        region,
        &format!("shelf{project:02}"),
        &format!("v{version:02}"),
    )
}

/// With as many projects and models as the default quotas allow, each with a whole description.
fn with_trained_models(emulator: Builder, running: &[String]) -> Builder {
    let of_region = |region: String| {
        (0..MOST_PROJECTS * MOST_MODELS)
            .map(move |number| numbered_arn(&region, number / MOST_MODELS, number % MOST_MODELS))
    };
    let arns = regions().into_iter().flat_map(of_region);
    emulator.models(arns.map(|arn| {
        let status = if running.contains(&arn) {
            "RUNNING"
        } else {
            "STOPPED"
        };
        let model = Model::new(&arn).unwrap().status(status);
        model.description_bytes(DESCRIPTION)
    }))
}

/// The role that is assumed in a member account.
pub fn member_role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/{MEMBER_ROLE}")
}

/// The accounts of an organization of this many, but the one that the function is in.
pub fn members(accounts: usize) -> impl Iterator<Item = String> {
    (1..accounts).map(|number| format!("{:012}", 200_000_000_000 + number))
}

pub fn with_organization(emulator: Builder, accounts: usize) -> Builder {
    let emulator = emulator.management_account(MANAGEMENT_ACCOUNT);
    let trusted = format!("arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/stopper");
    members(accounts).fold(emulator, |emulator, account| {
        let role = Role::new(&member_role(&account)).unwrap();
        emulator
            .organization_account(Account::new(&account))
            .role(role.trusts(&trusted))
    })
}
