//! The projects and models, and how a model's status changes as time goes by.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::arn::{Home, VersionArn};
use crate::model::Model;
use crate::record::Change;

/// The feature of a project for which none is named.
pub(crate) const CUSTOM_LABELS: &str = "CUSTOM_LABELS";

/// Number of the first project, and what each later one adds. Milliseconds, as in the service.
const FIRST_PROJECT_NUMBER: u64 = 1_546_300_800_000;
const PROJECT_NUMBER_STEP: u64 = 1_000_003;

/// The projects and model versions of all accounts and regions, and how long a start and a stop
/// take.
#[derive(Debug)]
pub(crate) struct CustomLabels {
    pub(crate) start_takes: Duration,
    pub(crate) stop_takes: Duration,
    /// In the order of their creation.
    projects: Vec<Project>,
    /// Position in `projects` by [`Home::project_key`], of those that have models or may have.
    project_positions: HashMap<String, usize>,
    models: HashMap<String, LiveModel>,
    changes: Vec<Change>,
}

/// A project, whose ARN ends in a number of its own.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) arn: String,
    pub(crate) home: Home,
    pub(crate) number: u64,
    pub(crate) feature: String,
    pub(crate) status: String,
    /// Number and ARN of each version, newest first.
    versions: Vec<(u64, String)>,
}

impl Project {
    /// The ARNs of the project's model versions, newest first.
    pub(crate) fn version_arns(&self) -> impl Iterator<Item = &str> {
        self.versions.iter().map(|(_, arn)| arn.as_str())
    }
}

/// A model version that exists.
#[derive(Debug)]
pub(crate) struct LiveModel {
    pub(crate) arn: VersionArn,
    pub(crate) status: String,
    pub(crate) inference_units: u32,
    pub(crate) max_inference_units: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) feature: String,
    pub(crate) description_bytes: usize,
    /// When it entered its status.
    since: Instant,
    start_takes: Option<Duration>,
    stop_takes: Option<Duration>,
    is_deleted_once_stopped: bool,
    /// The changes that it will make by itself, earliest first.
    script: VecDeque<(Instant, String)>,
}

impl CustomLabels {
    pub(crate) fn new() -> Self {
        Self {
            start_takes: Duration::ZERO,
            stop_takes: Duration::ZERO,
            projects: Vec::new(),
            project_positions: HashMap::new(),
            models: HashMap::new(),
            changes: Vec::new(),
        }
    }

    /// Adds a model, and its project where that does not exist. A model of the same ARN is
    /// replaced.
    pub(crate) fn add_model(&mut self, model: Model) {
        let now = Instant::now();
        let is_new = !self.models.contains_key(&model.arn.text);
        let feature = model.feature.as_deref().unwrap_or(CUSTOM_LABELS);
        let Some(project) = self.project_entry(&model.arn.home, feature) else {
            return;
        };
        if is_new {
            let (number, arn) = (model.arn.number, model.arn.text.clone());
            let position = project.versions.partition_point(|(n, _)| *n > number);
            project.versions.insert(position, (number, arn));
        }
        let feature = project.feature.clone();
        let live = LiveModel::new(model, feature, now);
        self.models.insert(live.arn.text.clone(), live);
    }

    /// Adds a project without models, unless it exists.
    pub(crate) fn add_project(&mut self, account: &str, name: &str, region: &str, feature: &str) {
        let home = Home {
            partition: partition_of(region).to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            project: name.to_owned(),
        };
        self.project_entry(&home, feature);
    }

    fn project_entry(&mut self, home: &Home, feature: &str) -> Option<&mut Project> {
        let next = self.projects.len();
        let position = self.project_positions.entry(home.project_key());
        let position = *position.or_insert(next);
        if position == next {
            self.push_project(home.clone(), feature, "CREATED");
        }
        self.projects.get_mut(position)
    }

    /// Adds a project that has the name of another, and never a model. Gives its ARN.
    pub(crate) fn add_namesake_project(&mut self, home: Home, status: &str) -> String {
        self.push_project(home, CUSTOM_LABELS, status)
    }

    fn push_project(&mut self, home: Home, feature: &str, status: &str) -> String {
        let number = FIRST_PROJECT_NUMBER + PROJECT_NUMBER_STEP * self.projects.len() as u64;
        let arn = format!("{}/{number}", home.project_key());
        self.projects.push(Project {
            arn: arn.clone(),
            home,
            number,
            feature: feature.to_owned(),
            status: status.to_owned(),
            versions: Vec::new(),
        });
        arn
    }

    /// All projects of an account in a region, in the order of their creation.
    pub(crate) fn projects_in(
        &self,
        account: &str,
        region: &str,
    ) -> impl Iterator<Item = &Project> {
        self.projects
            .iter()
            .filter(move |project| project.home.region == region && project.home.account == account)
    }

    /// The project of that ARN, whatever its region and account.
    pub(crate) fn project(&self, arn: &str) -> Option<&Project> {
        let (key, _) = arn.rsplit_once('/')?;
        let position = self.project_positions.get(key);
        position
            .and_then(|position| self.projects.get(*position))
            .filter(|project| project.arn == arn)
            .or_else(|| self.projects.iter().find(|project| project.arn == arn))
    }

    /// The project of a model, by the home of the model's ARN.
    pub(crate) fn project_of(&self, home: &Home) -> Option<&Project> {
        let position = *self.project_positions.get(&home.project_key())?;
        self.projects.get(position)
    }

    /// The model as it is now, unless it has been deleted.
    pub(crate) fn model(&mut self, arn: &str) -> Option<&mut LiveModel> {
        let now = Instant::now();
        let takes = (self.start_takes, self.stop_takes);
        let model = self.models.get_mut(arn)?;
        model.advance(now, takes, &mut self.changes);
        Some(model).filter(|model| !model.is_deleted())
    }

    /// Puts the model into a status now. `false` when there is no such model.
    pub(crate) fn set_status(&mut self, arn: &str, status: &str) -> bool {
        if self.model(arn).is_none() {
            return false;
        }
        if let Some(model) = self.models.get_mut(arn) {
            model.enter(status.to_owned(), Instant::now(), &mut self.changes);
        }
        true
    }

    /// Every model's status now; of one that has been deleted, the last.
    pub(crate) fn statuses(&mut self) -> BTreeMap<String, String> {
        self.advance_all();
        self.models
            .values()
            .map(|model| (model.arn.text.clone(), model.status.clone()))
            .collect()
    }

    /// Every change of a status up to now, by time.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        self.advance_all();
        self.changes.sort_by_key(|change| change.at);
        self.changes.clone()
    }

    fn advance_all(&mut self) {
        let now = Instant::now();
        let takes = (self.start_takes, self.stop_takes);
        for model in self.models.values_mut() {
            model.advance(now, takes, &mut self.changes);
        }
    }
}

impl LiveModel {
    fn new(model: Model, project_feature: String, now: Instant) -> Self {
        let mut script: Vec<_> = model
            .becomes
            .into_iter()
            .filter_map(|(after, status)| Some((now.checked_add(after)?, status)))
            .collect();
        script.sort_by_key(|(at, _)| *at);
        Self {
            arn: model.arn,
            status: model.status,
            inference_units: model.inference_units,
            max_inference_units: model.max_inference_units,
            tags: model.tags,
            feature: model.feature.unwrap_or(project_feature),
            description_bytes: model.description_bytes,
            since: now,
            start_takes: model.start_takes,
            stop_takes: model.stop_takes,
            is_deleted_once_stopped: model.is_deleted_once_stopped,
            script: script.into(),
        }
    }

    fn is_deleted(&self) -> bool {
        self.is_deleted_once_stopped && self.status == "STOPPED"
    }

    /// Makes every change that is due, each at its own time.
    fn advance(&mut self, now: Instant, takes: (Duration, Duration), changes: &mut Vec<Change>) {
        loop {
            let scripted = self.script.front().map(|(at, _)| *at);
            let scripted = scripted.filter(|at| *at <= now);
            let timed = self.timed_change(takes).filter(|(at, _)| *at <= now);
            match (scripted, timed) {
                (Some(at), timed) if timed.is_none_or(|(end, _)| at <= end) => {
                    if let Some((at, status)) = self.script.pop_front() {
                        self.enter(status, at, changes);
                    }
                }
                (_, Some((end, status))) => self.enter(status.to_owned(), end, changes),
                _ => return,
            }
        }
    }

    /// The end of a start or of a stop that is under way.
    fn timed_change(&self, takes: (Duration, Duration)) -> Option<(Instant, &'static str)> {
        let (duration, status) = match self.status.as_str() {
            "STARTING" => (self.start_takes.unwrap_or(takes.0), "RUNNING"),
            "STOPPING" => (self.stop_takes.unwrap_or(takes.1), "STOPPED"),
            _ => return None,
        };
        Some((self.since.checked_add(duration)?, status))
    }

    fn enter(&mut self, status: String, at: Instant, changes: &mut Vec<Change>) {
        changes.push(Change {
            at,
            arn: self.arn.text.clone(),
            status: status.clone(),
        });
        self.status = status;
        self.since = at;
    }
}

/// The partition in which a region lies.
fn partition_of(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
