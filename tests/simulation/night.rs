//! A night: the models that exist, what a run is asked to do, and how much time it has. Everything
//! follows from a seed.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::chance::Chance;
use super::entries::{self, List};
use super::organization::night::Organization;
use super::starts::History;
use super::weather::{Trouble, Weather};

/// The account of all models but a stranger's.
pub const ACCOUNT: &str = "123456789012";

/// One night.
#[derive(Debug)]
pub struct Night {
    pub seed: u64,
    pub models: Vec<Model>,
    pub list: List,
    pub settings: Settings,
    /// The other accounts, if it is a night over an organization.
    pub organization: Option<Organization>,
    pub dry_run: bool,
    pub weather: Weather,
    /// How long the invocation may take.
    pub time: Duration,
    /// What CloudTrail has, if the function looks for who started the models.
    pub history: Option<History>,
    /// Whether there is a second invocation, warm and in a service that has recovered.
    pub again: bool,
}

/// A model, and what it will do on its own.
#[derive(Debug)]
pub struct Model {
    pub arn: String,
    pub region: &'static str,
    pub project: String,
    pub status: &'static str,
    pub inference_units: u32,
    pub start_takes: Duration,
    pub stop_takes: Duration,
    /// The value of the tag that the settings name, and whether it exempts the model.
    pub tag: Option<(&'static str, bool)>,
    /// The statuses that it changes to on its own, each after this time.
    pub becomes: Vec<(Duration, &'static str)>,
    pub is_deleted_once_stopped: bool,
}

/// The environment variables.
#[derive(Debug)]
pub struct Settings {
    pub max_concurrency: NonZeroU32,
    pub confirm_stopped: bool,
    /// Empty turns exemptions off.
    pub keep_running_tag: &'static str,
    pub price: Option<f64>,
}

const REGIONS: [(&str, &str); 4] = [
    ("us-east-1", "aws"),
    ("eu-west-1", "aws"),
    ("ap-southeast-2", "aws"),
    ("cn-north-1", "aws-cn"),
];
const PROJECTS: [&str; 5] = ["shelf", "shell", "pallet", "label.reader", "belt_7"];
const STATUSES: [(u32, &str); 14] = [
    (48, "RUNNING"),
    (15, "STARTING"),
    (8, "STOPPING"),
    (12, "STOPPED"),
    (6, "TRAINING_COMPLETED"),
    (1, "TRAINING_IN_PROGRESS"),
    (1, "TRAINING_FAILED"),
    (2, "FAILED"),
    (1, "DELETING"),
    (1, "COPYING_IN_PROGRESS"),
    (1, "COPYING_COMPLETED"),
    (1, "EXPIRED"),
    (1, "DEPRECATED"),
    (2, "PAUSED"),
];
const CHANGES: [&str; 5] = ["RUNNING", "STARTING", "STOPPING", "STOPPED", "FAILED"];
/// Values of the tag, and whether they exempt a model on any day from 2026 to 2998.
const TAGS: [(&str, bool); 9] = [
    ("", true),
    ("true", true),
    ("TRUE", true),
    ("2999-12-31", true),
    ("until the fair is over", true),
    ("2999-02-30", true),
    ("false", false),
    ("False", false),
    ("2025-06-30", false),
];

impl Night {
    /// The night of this seed.
    pub fn new(seed: u64) -> Self {
        let chance = &mut Chance::new(seed);
        let time = match chance.weighed(&[(8, 0), (12, 1), (20, 2), (30, 3), (30, 4)]) {
            0 => chance.duration(1..=3),
            1 => chance.duration(3..=15),
            2 => chance.duration(15..=60),
            3 => chance.duration(60..=300),
            _ => chance.duration(300..=900),
        };
        let count = model_count(chance);
        let models = models(chance, count, time);
        let weather = Weather::new(chance, &models);
        let list = entries::list(chance, &models);
        // A service that fails forever is retried forever: without this, a few nights would take
        // most of the time.
        let affordable = Duration::from_secs_f64(150.0 / weather.storm(models.len()).max(0.3));
        let mut night = Self {
            seed,
            list,
            settings: Settings::new(chance),
            organization: None,
            dry_run: chance.percent(8),
            time: time.min(affordable.max(Duration::from_secs(5))),
            weather,
            models,
            history: None,
            again: chance.percent(20),
        };
        // Drawn last, so that all other nights stay the same.
        if chance.percent(4) && night.models.len() > 4 {
            night.befall_many(chance);
        } else if chance.percent(6) {
            night.weather.faults.push(Trouble::of_a_server(chance));
        } else if chance.percent(10) {
            night.set_operations_apart(chance);
        } else if chance.percent(35) {
            night.scatter_trouble(chance);
        }
        let may_go = !night.again && chance.percent(20);
        for model in night.models.iter_mut().filter(|_| may_go) {
            let is_up = ["RUNNING", "STARTING"].contains(&model.status);
            let may_go = is_up && model.becomes.is_empty();
            model.is_deleted_once_stopped = may_go && chance.percent(40);
        }
        night.history = History::new(seed, &night.models);
        night
    }

    /// Makes the stops of many models fail forever, more than calls may be in flight, and the
    /// others succeed.
    fn befall_many(&mut self, chance: &mut Chance) {
        self.settings.max_concurrency = NonZeroU32::new(chance.number(1..=2)).unwrap();
        self.time = chance.duration(30..=60);
        let most = self.models.len().min(12);
        let befallen = chance.number(4..=most as u32 - 1);
        self.weather = Weather::for_ever(chance, &self.models[..befallen as usize]);
    }

    /// Gives operations quotas of their own, and enough models for these to determine how long it
    /// takes.
    fn set_operations_apart(&mut self, chance: &mut Chance) {
        self.time = chance.duration(40..=90);
        let count = chance.number(20..=60);
        self.models = models(chance, count, self.time);
        self.list = entries::patterns_and_some_models(chance, &self.models);
        // Few, or slots that are kept would not be missed.
        let places = chance.weighed(&[(1, 1), (1, 2), (1, 4)]);
        self.settings.max_concurrency = NonZeroU32::new(places).unwrap();
        self.weather = Weather::of_operations(chance);
    }

    /// Spreads one kind of trouble over the calls, of which there are many.
    fn scatter_trouble(&mut self, chance: &mut Chance) {
        self.time = chance.duration(60..=300);
        let count = chance.number(4..=60);
        self.models = models(chance, count, self.time);
        self.list = entries::patterns_and_some_models(chance, &self.models);
        let places = chance.weighed(&[(1, 1), (2, 4), (4, 8), (2, 32)]);
        self.settings.max_concurrency = NonZeroU32::new(places).unwrap();
        let regions: Vec<&str> = self.models.iter().map(|model| model.region).collect();
        self.weather = Weather::scattered(chance, &regions);
    }

    /// The environment variables of the function.
    pub fn variable(&self, name: &str) -> Option<String> {
        match name {
            "MODEL_ARNS" => self.list.in_environment(),
            "MAX_CONCURRENCY" => Some(self.settings.max_concurrency.to_string()),
            "CONFIRM_STOPPED" => Some(self.settings.confirm_stopped.to_string()),
            "KEEP_RUNNING_TAG" => Some(self.settings.keep_running_tag.to_owned()),
            "INFERENCE_UNIT_HOUR_PRICE" => self.settings.price.map(|price| price.to_string()),
            "FIND_STARTS" => self.history.is_some().then(|| "true".to_owned()),
            _ => self.organization.as_ref()?.variable(name),
        }
    }

    /// The event of the invocation.
    pub fn event(&self) -> Value {
        self.list.event(self.dry_run, self.accounts())
    }

    /// The accounts that the request narrows the run to, if it does.
    pub fn accounts(&self) -> Option<&[String]> {
        self.organization.as_ref()?.accounts_of_request.as_deref()
    }

    pub fn model(&self, arn: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.arn == arn)
    }

    /// Whether the model must be left alone if only patterns match it.
    pub fn is_exempt(&self, model: &Model) -> bool {
        !self.settings.keep_running_tag.is_empty() && model.tag.is_some_and(|(_, exempts)| exempts)
    }
}

impl Settings {
    pub fn new(chance: &mut Chance) -> Self {
        let max_concurrency = match chance.percent(50) {
            true => chance.number(1..=4),
            false => chance.number(1..=64),
        };
        Self {
            max_concurrency: NonZeroU32::new(max_concurrency).unwrap(),
            confirm_stopped: !chance.percent(25),
            keep_running_tag: chance.weighed(&[(80, "keep-running"), (10, "stay"), (10, "")]),
            price: chance.percent(30).then_some(4.0),
        }
    }

    /// The key of the models' tags, even if the settings do not use it.
    pub fn key_on_models(&self) -> &'static str {
        match self.keep_running_tag {
            "" => "keep-running",
            key => key,
        }
    }
}

impl Model {
    /// The model with this ARN, and everything else drawn at random.
    pub fn new(chance: &mut Chance, region: &'static str, arn: String, time: Duration) -> Self {
        let changes = chance.weighed(&[(92, 0), (6, 1), (2, 2)]);
        Self {
            region,
            project: arn.split('/').nth(1).unwrap().to_owned(),
            arn,
            status: chance.weighed(&STATUSES),
            inference_units: chance.number(1..=5),
            start_takes: takes(chance),
            stop_takes: takes(chance),
            tag: chance.percent(25).then(|| *chance.one_of(&TAGS)),
            becomes: (0..changes)
                .map(|_| {
                    (
                        chance.duration(0..=time.as_secs()),
                        *chance.one_of(&CHANGES),
                    )
                })
                .collect(),
            is_deleted_once_stopped: false,
        }
    }

    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap()
    }

    /// What the ARNs of its project and of the project's models begin with.
    pub fn project_arn_prefix(&self) -> String {
        let end = self.arn.find("/version/").unwrap() + 1;
        self.arn[..end].to_owned()
    }
}

/// The ARN of a model in one of the regions.
pub fn arn(region: &str, account: &str, project: &str, version: &str, number: &str) -> String {
    let partition = REGIONS
        .iter()
        .find(|(name, _)| *name == region)
        .map_or("aws", |(_, partition)| partition);
    format!(
        "arn:{partition}:rekognition:{region}:{account}:project/{project}/version/{version}/{number}"
    )
}

fn model_count(chance: &mut Chance) -> u32 {
    match chance.weighed(&[(150, 0), (660, 1), (185, 2), (5, 3)]) {
        0 => chance.number(0..=2),
        1 => chance.number(1..=12),
        2 => chance.number(10..=40),
        _ => 300,
    }
}

fn models(chance: &mut Chance, count: u32, time: Duration) -> Vec<Model> {
    let regions: Vec<&str> = (0..chance.weighed(&[(60, 1), (25, 2), (15, 3)]))
        .map(|_| chance.one_of(&REGIONS).0)
        .collect();
    let most_projects = chance.weighed(&[(30, 1), (35, 2), (30, 5), (5, 15)]);
    let models = (0..count).map(|number| {
        let region = *chance.one_of(&regions);
        let project = chance.number(0..=most_projects - 1) as usize;
        let project = match PROJECTS.get(project) {
            Some(name) => (*name).to_owned(),
            None => format!("line-{project}"),
        };
        let version = format!("v{number}");
        let number = (1_700_000_000_000_u64 + u64::from(number)).to_string();
        let arn = arn(region, ACCOUNT, &project, &version, &number);
        Model::new(chance, region, arn, time)
    });
    models.collect()
}

/// How long a start or a stop takes.
fn takes(chance: &mut Chance) -> Duration {
    match chance.weighed(&[(25, 0), (30, 1), (30, 2), (10, 3), (5, 4)]) {
        0 => Duration::ZERO,
        1 => chance.duration(1..=20),
        2 => chance.duration(20..=180),
        3 => chance.duration(180..=600),
        _ => chance.duration(600..=2400),
    }
}
