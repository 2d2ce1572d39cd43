//! What a program is asked to do, and the service that it does it at.

use std::env::VarError;

use rekognition_emulator::{Account, Builder, Emulator, Quota, Role};
use rekognition_stopper::settings::Settings;
use serde_json::{Value, json};

use crate::quotas::LATENCY;
use crate::support::{arns, pattern, running};

const EVERY_MODEL: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
const MANAGEMENT_ACCOUNT: &str = "123456789012";
/// The accounts of one run of a plan.
const ACCOUNTS_PER_RUN: usize = 25;

/// What a program is asked to do.
#[derive(Clone, Copy)]
pub enum Work {
    /// To stop this many running models, each of which is named.
    Named(usize),
    /// To stop this many running models, which one pattern finds.
    Found(usize),
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
            Self::Named(models) | Self::Found(models) => arns(models),
            Self::Organization { with_models: 0, .. } | Self::Plan(_) | Self::PlannedRun(_) => {
                vec![]
            }
            Self::Organization {
                accounts,
                with_models,
            } => {
                let regions = Settings::read(|_| Err(VarError::NotPresent))
                    .unwrap()
                    .regions;
                // Spread over the accounts, and over the regions.
                let with_models = members(accounts)
                    .step_by((accounts - 1) / with_models)
                    .take(with_models);
                let models = with_models.enumerate().flat_map(|(number, account)| {
                    let region = &regions[number % regions.len()];
                    ["v1", "v2"].map(|version| {
                        format!(
                            "arn:aws:rekognition:{region}:{account}:project/shelf/version/\
                             {version}/1700000000000"
                        )
                    })
                });
                models.collect()
            }
        }
    }

    /// The service, in which each operation of each account and region has this quota of calls a
    /// second. Every call takes its time, but the one for a single model, where what the program
    /// itself takes is to be seen.
    pub async fn service(self, calls_a_second: Option<f64>) -> Emulator {
        let models = self.models();
        let emulator = Emulator::builder().models(models.iter().map(|arn| running(arn)));
        let emulator = match self {
            Self::Named(1) => emulator,
            _ => emulator.latency(LATENCY),
        };
        let emulator = match calls_a_second {
            Some(rate) => {
                let quota = Quota::per_second(rate).burst(rate as u32);
                emulator.quota(quota.for_each_operation())
            }
            None => emulator,
        };
        let emulator = match self {
            Self::Named(_) | Self::Found(_) => emulator,
            Self::Organization { accounts, .. }
            | Self::Plan(accounts)
            | Self::PlannedRun(accounts) => with_organization(emulator, accounts),
        };
        emulator.start().await.unwrap()
    }

    pub fn variables(self) -> Vec<(&'static str, &'static str)> {
        let mut variables = vec![
            ("CONFIRM_STOPPED", "false"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ];
        if !matches!(self, Self::Named(_) | Self::Found(_)) {
            variables.push(("MEMBER_ROLE", "member"));
        }
        variables
    }

    pub fn event(self) -> Value {
        match self {
            Self::Named(models) => json!({ "model_arns": arns(models) }),
            Self::Found(_) => json!({ "model_arns": [pattern("shelf", "*")] }),
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

    /// Fails if the report of a good run is not what has to come of this.
    pub fn check(self, report: &Value) {
        let summary = &report["summary"];
        match self {
            Self::Named(models) | Self::Found(models) => assert_eq!(summary["stopping"], models),
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

/// The accounts of an organization of this many, but the one that the function is in.
fn members(accounts: usize) -> impl Iterator<Item = String> {
    (1..accounts).map(|number| format!("{:012}", 200_000_000_000 + number))
}

fn with_organization(emulator: Builder, accounts: usize) -> Builder {
    let emulator = emulator.management_account(MANAGEMENT_ACCOUNT);
    let trusted = format!("arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/stopper");
    members(accounts).fold(emulator, |emulator, account| {
        let role = Role::new(&format!("arn:aws:iam::{account}:role/member")).unwrap();
        emulator
            .organization_account(Account::new(&account))
            .role(role.trusts(&trusted))
    })
}
