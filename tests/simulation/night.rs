//! A night: the models that exist, what a run is asked to do, and how much time it has. Everything
//! follows from a seed.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::chance::Chance;
use super::list::List;
use super::organization::{Organization, STRANGER};
use super::starts::History;
use super::weather::Weather;

/// The function's account, and that of all models in a night over one account.
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

const REGIONS: [&str; 4] = ["us-east-1", "eu-west-1", "ap-southeast-2", "cn-north-1"];
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
    /// The night over one account with this seed. In some, nearly everything may go wrong at once;
    /// in others, one kind of trouble is spread over the calls, of which there are many.
    pub fn new(seed: u64) -> Self {
        let chance = &mut Chance::new(seed);
        let settings = Settings::new(chance);
        let is_focused = chance.percent(40);
        let (time, count) = match is_focused {
            true => (chance.duration(40..=300), chance.number(4..=60)),
            false => (time(chance), model_count(chance)),
        };
        let regions = chance.weighed(&[(60, 1), (25, 2), (15, 3)]);
        let regions: Vec<&str> = (0..regions).map(|_| *chance.one_of(&REGIONS)).collect();
        let place = |chance: &mut Chance| (ACCOUNT.to_owned(), *chance.one_of(&regions));
        let mut models = models(chance, count, time, place);
        let again = chance.percent(20);
        // Each of these is gone as soon as somebody has stopped it.
        let may_go = !again && chance.percent(15);
        for model in models.iter_mut().filter(|it| may_go && it.may_go()) {
            model.is_deleted_once_stopped = chance.percent(40);
        }
        let (list, weather) = match is_focused {
            true => (
                List::of_all(chance, &models),
                Weather::of_one_kind(chance, &regions),
            ),
            false => (
                List::new(chance, &models, None),
                Weather::new(chance, &models),
            ),
        };
        Self {
            seed,
            history: History::new(seed, &models),
            list,
            settings,
            organization: None,
            dry_run: chance.percent(8),
            time: match is_focused {
                true => time,
                false => time.min(weather.affordable(models.len(), 75.0)),
            },
            weather,
            models,
            again,
        }
    }

    /// The night over an organization with this seed.
    pub fn over_an_organization(seed: u64) -> Self {
        let chance = &mut Chance::new(seed);
        let time = time(chance);
        let mut organization = Organization::new(chance);
        let count = chance.weighed(&[(10, 0), (60, 8), (30, 24)]);
        let count = chance.number(0..=count);
        // In most nights anywhere, in some mostly in one account.
        let home = chance.one_of(&organization.accounts).id.clone();
        let at_home = chance.weighed(&[(80, 0), (20, 80)]);
        let place = |chance: &mut Chance| {
            let account = match chance.weighed(&[(80, 0), (16, 1), (4, 2)]) {
                _ if chance.percent(at_home) => home.clone(),
                0 => chance.one_of(&organization.accounts).id.clone(),
                1 => ACCOUNT.to_owned(),
                _ => STRANGER.to_owned(),
            };
            (account, organization.some_region(chance))
        };
        let models = models(chance, count, time, place);
        let list = List::new(chance, &models, Some(&organization));
        organization.draw_accounts_of_request(chance, &list);
        let weather = Weather::over(chance, &organization);
        let subjects = models.len().max(organization.accounts.len());
        Self {
            seed,
            history: History::new(seed, &models),
            models,
            list,
            settings: Settings::new(chance),
            organization: Some(organization),
            dry_run: chance.percent(10),
            time: time.min(weather.affordable(subjects, 2000.0)),
            weather,
            again: chance.percent(30),
        }
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

    /// Whether calls in other accounts are made as a role there.
    pub fn has_roles(&self) -> bool {
        let organization = self.organization.as_ref();
        organization.is_some_and(|it| it.member_role.is_some())
    }

    /// The account that the calls for another act as.
    pub fn caller<'a>(&self, account: &'a str) -> &'a str {
        if self.has_roles() { account } else { ACCOUNT }
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
    fn new(chance: &mut Chance) -> Self {
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
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap()
    }

    /// What the ARNs of its project and of the project's models begin with.
    pub fn project_arn_prefix(&self) -> String {
        let end = self.arn.find("/version/").unwrap() + 1;
        self.arn[..end].to_owned()
    }

    fn may_go(&self) -> bool {
        ["RUNNING", "STARTING"].contains(&self.status) && self.becomes.is_empty()
    }
}

/// The ARN of a model in one of the regions.
pub fn arn(region: &str, account: &str, project: &str, version: &str, number: &str) -> String {
    let partition = match region.starts_with("cn-") {
        true => "aws-cn",
        false => "aws",
    };
    let resource = format!("project/{project}/version/{version}/{number}");
    format!("arn:{partition}:rekognition:{region}:{account}:{resource}")
}

fn time(chance: &mut Chance) -> Duration {
    match chance.weighed(&[(6, 0), (12, 1), (20, 2), (32, 3), (30, 4)]) {
        0 => chance.duration(1..=3),
        1 => chance.duration(3..=15),
        2 => chance.duration(15..=60),
        3 => chance.duration(60..=300),
        _ => chance.duration(300..=900),
    }
}

fn model_count(chance: &mut Chance) -> u32 {
    match chance.weighed(&[(150, 0), (660, 1), (185, 2), (5, 3)]) {
        0 => chance.number(0..=2),
        1 => chance.number(1..=12),
        2 => chance.number(10..=40),
        _ => 300,
    }
}

/// Models, each in an account and a region that `place` draws.
fn models(
    chance: &mut Chance,
    count: u32,
    time: Duration,
    place: impl Fn(&mut Chance) -> (String, &'static str),
) -> Vec<Model> {
    let most_projects = chance.weighed(&[(30, 1), (35, 2), (30, 5), (5, 15)]);
    let models = (0..count).map(|number| {
        let (account, region) = place(chance);
        let project = chance.number(0..=most_projects - 1);
        let project = match PROJECTS.get(project as usize) {
            Some(name) => (*name).to_owned(),
            None => format!("line-{project}"),
        };
        let version = format!("v{number}");
        let number = (1_700_000_000_000_u64 + u64::from(number)).to_string();
        let changes = chance.weighed(&[(92, 0), (6, 1), (2, 2)]);
        let changes = (0..changes).map(|_| {
            let after = chance.duration(0..=time.as_secs());
            (after, *chance.one_of(&CHANGES))
        });
        let becomes = changes.collect();
        Model {
            region,
            arn: arn(region, &account, &project, &version, &number),
            project,
            status: chance.weighed(&STATUSES),
            inference_units: chance.number(1..=5),
            start_takes: takes(chance),
            stop_takes: takes(chance),
            tag: chance.percent(25).then(|| *chance.one_of(&TAGS)),
            becomes,
            is_deleted_once_stopped: false,
        }
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
