//! The work of a program, and the services that it calls.

use std::env::VarError;
use std::time::Duration;

use rekognition_emulator::{
    Account, Builder, Emulator, Fault, Model, Operation, Quota, Role, StartEvent, Starter,
};
use rekognition_stopper::settings::Settings;
use serde_json::{Value, json};

use crate::output::number;
use crate::support::{arn_in, arns, pattern, running};

const EVERY_MODEL: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
const MEMBER_ROLE: &str = "member";
const MANAGEMENT_ACCOUNT: &str = "123456789012";
/// The accounts of one run of a plan.
const ACCOUNTS_PER_RUN: usize = 25;

/// The latency that the emulator is set to. With its timers and its own work, a call takes about 20
/// ms.
const LATENCY: Duration = Duration::from_millis(18);
/// Rekognition's default quotas: calls of each operation a second in each account and region,
/// projects, and models of a project.
const DEFAULT_QUOTA: f64 = 5.0;
const MOST_PROJECTS: usize = 100;
const MOST_MODELS: usize = 100;
/// CloudTrail's quota, in each account and region.
const LOOKUPS_A_SECOND: f64 = 2.0;
/// What a trained model's description has, in bytes.
const DESCRIPTION: usize = 2700;
/// The time that a stop takes where it is waited for.
const STOP_TAKES: Duration = Duration::from_secs(60);
/// How long ago models were started.
const AGO: Duration = Duration::from_secs(61 * 3600);

/// What a program is asked to do.
pub struct Work {
    pub name: String,
    /// The models that are running.
    pub models: Vec<String>,
    pub emulator: Builder,
    pub variables: Vec<(&'static str, String)>,
    pub event: Value,
    /// What the response has, by its place.
    expected: Vec<(&'static str, Value)>,
}

impl Work {
    fn new(name: String, models: Vec<String>, event: Value) -> Self {
        let emulator = Emulator::builder().models(models.iter().map(|arn| running(arn)));
        let own = |name, value: &str| (name, value.to_owned());
        Self {
            name,
            emulator: emulator.latency(LATENCY),
            variables: vec![
                own("AWS_LAMBDA_LOG_FORMAT", "JSON"),
                own("CONFIRM_STOPPED", "false"),
            ],
            event,
            expected: vec![("/summary/stopping", json!(models.len()))],
            models,
        }
    }

    /// This many running models, each of which is named.
    pub fn named(models: usize) -> Self {
        let arns = arns(models);
        let event = json!({ "model_arns": arns });
        Self::new(format!("{} models, named", number(models)), arns, event)
    }

    /// A single model. Calls take no time, which shows the time of the program itself.
    pub fn one() -> Self {
        let mut work = Self::named(1);
        work.name = "1 model".to_owned();
        work.emulator = work.emulator.latency(Duration::ZERO);
        work
    }

    /// This many running models, which one pattern finds.
    pub fn found(models: usize) -> Self {
        let name = format!("{} models, found by a pattern", number(models));
        let event = json!({ "model_arns": [pattern("shelf", "*")] });
        Self::new(name, arns(models), event)
    }

    /// The same, until they are seen stopped.
    pub fn confirmed(models: usize) -> Self {
        let mut work = Self::found(models);
        work.name.push_str(" and seen stopped a minute later");
        work.emulator = work.emulator.stop_takes(STOP_TAKES);
        work.variables.push(("CONFIRM_STOPPED", "true".to_owned()));
        work.expected = vec![("/summary/stopped", json!(models))];
        work
    }

    /// Two running models in each of 11 regions, among as many projects and models as AWS's default
    /// quotas allow one account, at as many calls a second as they allow.
    pub fn full() -> Self {
        let name = format!(
            "11 regions × {MOST_PROJECTS} projects × {MOST_MODELS} models, 2 running in each \
             region, {DEFAULT_QUOTA}/s"
        );
        let (mut running, mut stopped) = (vec![], vec![]);
        for region in regions() {
            for number in 0..MOST_PROJECTS * MOST_MODELS {
                let project = format!("shelf{:02}", number / MOST_MODELS);
                let version = format!("v{:02}", number % MOST_MODELS);
                let arn = arn_in(&region, &project, &version);
                // At the beginning of what is listed, and at its end.
                if [0, MOST_PROJECTS * MOST_MODELS - 1].contains(&number) {
                    running.push(arn);
                } else {
                    let model = Model::new(&arn).unwrap().status("STOPPED");
                    stopped.push(model.description_bytes(DESCRIPTION));
                }
            }
        }
        let every_region = EVERY_MODEL.replacen("*:*", "*:123456789012", 1);
        let mut work = Self::new(name, running, json!({ "model_arns": [every_region] }));
        work.emulator = work.emulator.models(stopped);
        work.with_quota(DEFAULT_QUOTA)
    }

    /// A sweep of every account in 11 regions, where some accounts have two running models.
    pub fn organization(accounts: usize, with_models: usize) -> Self {
        let models = match with_models {
            0 => "no models".to_owned(),
            _ => format!("2 models in each of {with_models}"),
        };
        let name = format!("{} accounts × 11 regions, {models}", number(accounts));
        // Spread over the accounts, and over the regions.
        let step = (accounts - 1) / with_models.max(1);
        let places = members(accounts).step_by(step).take(with_models);
        let models = places.zip(regions().into_iter().cycle());
        let models = models.flat_map(|(account, region)| {
            ["v1", "v2"].map(|version| member_arn(&region, &account, version))
        });
        Self::of_accounts(name, accounts, models.collect())
    }

    /// The same with a model of each account in the last region. All other regions hang.
    pub fn with_one_good_region(accounts: usize) -> Self {
        let name = format!("{accounts} accounts × 11 regions, 1 model in each account");
        let mut bad = regions();
        let good = bad.pop().unwrap();
        let models = members(accounts).map(|account| member_arn(&good, &account, "v1"));
        let work = Self::of_accounts(name, accounts, models.collect());
        bad.iter().fold(work, |work, region| {
            // STS is in one of them.
            let hang = Fault::hang().operation(Operation::DescribeProjects);
            work.with_fault(hang.region(region))
        })
    }

    fn of_accounts(name: String, accounts: usize, models: Vec<String>) -> Self {
        let mut work = Self::new(name, models, json!({ "model_arns": [EVERY_MODEL] }));
        work.variables.push(("MEMBER_ROLE", MEMBER_ROLE.to_owned()));
        work.expected.push(("/summary/accounts", json!(accounts)));
        let trusted = format!("arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/stopper");
        work.emulator = work.emulator.management_account(MANAGEMENT_ACCOUNT);
        for account in members(accounts) {
            let role = format!("arn:aws:iam::{account}:role/{MEMBER_ROLE}");
            let role = Role::new(&role).unwrap().trusts(&trusted);
            let account = Account::new(&account);
            work.emulator = work.emulator.organization_account(account).role(role);
        }
        work
    }

    /// To plan the runs of this many accounts.
    pub fn plan(accounts: usize) -> Self {
        let name = format!(
            "the plan for {} accounts, {ACCOUNTS_PER_RUN} a run",
            number(accounts)
        );
        let mut work = Self::of_accounts(name, accounts, vec![]);
        work.event["accounts_per_run"] = json!(ACCOUNTS_PER_RUN);
        // The last account of the last run.
        work.expected = vec![("/runs/399/accounts/24", json!(members(accounts).last()))];
        work
    }

    /// To do one run of that plan.
    pub fn planned_run(accounts: usize) -> Self {
        let name = format!("one run of that plan: {ACCOUNTS_PER_RUN} accounts");
        let mut work = Self::of_accounts(name, accounts, vec![]);
        // Those that are listed last, which is the slowest.
        let last = members(accounts).skip(accounts - 1 - ACCOUNTS_PER_RUN);
        work.event["accounts"] = json!(last.collect::<Vec<_>>());
        work.expected = vec![("/summary/accounts", json!(ACCOUNTS_PER_RUN))];
        work
    }

    /// With lookups of who started the models.
    pub fn with_starts(mut self) -> Self {
        let by = Starter::session("deploy", "build-17");
        let starts = self.models.iter();
        let starts = starts.map(|arn| StartEvent::new(arn, by.clone(), AGO).unwrap());
        let quota = Quota::per_second(LOOKUPS_A_SECOND);
        self.emulator = self.emulator.starts(starts.collect::<Vec<_>>());
        self.emulator = self
            .emulator
            .operation_quota(Operation::LookupEvents, quota);
        self.variables.push(("FIND_STARTS", "true".to_owned()));
        self.expected
            .push(("/models/0/started_by", json!("deploy/build-17")));
        self.called("with `FIND_STARTS`")
    }

    /// With a quota of this many calls of each operation a second.
    pub fn with_quota(mut self, calls_a_second: f64) -> Self {
        self.emulator = self
            .emulator
            .quota(quota(calls_a_second).for_each_operation());
        self
    }

    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.emulator = self.emulator.fault(fault);
        self
    }

    /// With this at the end of its name.
    pub fn called(mut self, name: &str) -> Self {
        self.name = format!("{}, {name}", self.name);
        self
    }

    /// Fails if the response of a successful run is not what has to come of this.
    pub fn check(&self, response: &Value) {
        for (place, expected) in &self.expected {
            let found = response.pointer(place);
            let (name, error) = (&self.name, &response["errorMessage"]);
            assert_eq!(found, Some(expected), "{name}, {place}: {error}");
        }
    }
}

/// This many calls a second, and as many at once after a pause.
pub fn quota(calls_a_second: f64) -> Quota {
    Quota::per_second(calls_a_second).burst(calls_a_second as u32)
}

/// How many models are still running.
pub fn left(emulator: &Emulator) -> usize {
    let statuses = emulator.statuses();
    statuses.values().filter(|it| *it == "RUNNING").count()
}

/// The regions of Custom Labels, in their order.
fn regions() -> Vec<String> {
    let settings = Settings::read(|_| Err(VarError::NotPresent));
    settings.unwrap().regions
}

/// A model of a member account.
fn member_arn(region: &str, account: &str, version: &str) -> String {
    format!("arn:aws:rekognition:{region}:{account}:project/shelf/version/{version}/1700000000000")
}

/// The accounts of an organization of this many, except the one that the function is in.
fn members(accounts: usize) -> impl Iterator<Item = String> {
    (1..accounts).map(|number| format!("{:012}", 200_000_000_000 + number))
}
