//! The projects and models, and how a model's status changes as time goes by.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::arn::{Home, VersionArn};
use crate::record::Change;

/// A model version to add to the emulator: its ARN, its status, and what it will do by itself.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) arn: VersionArn,
    pub(crate) status: String,
    pub(crate) inference_units: u32,
    pub(crate) max_inference_units: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) start_takes: Option<Duration>,
    pub(crate) stop_takes: Option<Duration>,
    pub(crate) becomes: Vec<(Duration, String)>,
    pub(crate) is_deleted_once_stopped: bool,
    pub(crate) feature: Option<String>,
    pub(crate) description_bytes: usize,
}

impl Model {
    /// A model version with status `TRAINING_COMPLETED` and one inference unit.
    ///
    /// # Errors
    /// What is wrong with `arn` by the service's pattern for `ProjectVersionArn`.
    pub fn new(arn: &str) -> Result<Self, String> {
        Ok(Self {
            arn: VersionArn::of_model(arn)?,
            status: "TRAINING_COMPLETED".to_owned(),
            inference_units: 1,
            max_inference_units: None,
            tags: BTreeMap::new(),
            start_takes: None,
            stop_takes: None,
            becomes: Vec::new(),
            is_deleted_once_stopped: false,
            feature: None,
            description_bytes: 0,
        })
    }

    /// The model's ARN.
    pub fn arn(&self) -> &str {
        &self.arn.text
    }
}

setters!(Model {
    /// The status at first: one of the service's, or any other text.
    status(model, status: &str) => model.status = status.to_owned();
    /// `MinInferenceUnits` of the description.
    inference_units(model, units: u32) => model.inference_units = units;
    /// `MaxInferenceUnits` of the description, which has none otherwise.
    max_inference_units(model, units: u32) => model.max_inference_units = Some(units);
    /// Adds a tag.
    tag(model, key: &str, value: &str) => model.tags.insert(key.to_owned(), value.to_owned());
    /// How long this model stays STARTING before it is RUNNING; `Duration::MAX` means forever.
    start_takes(model, duration: Duration) => model.start_takes = Some(duration);
    /// How long this model stays STOPPING before it is STOPPED; `Duration::MAX` means forever.
    stop_takes(model, duration: Duration) => model.stop_takes = Some(duration);
    /// Changes to `status` by itself, `after` this time since it was added. May be used several
    /// times.
    becomes(model, after: Duration, status: &str) => model.becomes.push((after, status.to_owned()));
    /// It is deleted as soon as it has stopped.
    deleted_once_stopped(model) => model.is_deleted_once_stopped = true;
    /// `CUSTOM_LABELS`, which is the default for a new project, or `CONTENT_MODERATION`. The model
    /// that brings its project into being decides the project's feature.
    feature(model, feature: &str) => model.feature = Some(feature.to_owned());
    /// Gives the description what training leaves in it, results and manifests, with enough
    /// manifests for about this many bytes of JSON. Real ones have about 2,500.
    description_bytes(model, bytes: usize) => model.description_bytes = bytes;
});

/// The feature of a project for which none is named.
pub(crate) const CUSTOM_LABELS: &str = "CUSTOM_LABELS";

/// Number of the first project, and what each later one adds. Milliseconds, as in the service.
const FIRST_PROJECT_NUMBER: u64 = 1_546_300_800_000;
const PROJECT_NUMBER_STEP: u64 = 1_000_003;

/// The projects and model versions of all accounts and regions.
#[derive(Debug, Default)]
pub(crate) struct CustomLabels {
    pub(crate) takes: Takes,
    /// In the order of their creation.
    pub(crate) projects: Vec<Project>,
    /// Position in `projects` by [`Home::project_key`], of those that have models or may have.
    project_positions: HashMap<String, usize>,
    models: HashMap<String, LiveModel>,
    changes: Vec<Change>,
}

/// A project, whose ARN ends in another number than those of its models.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) arn: String,
    pub(crate) home: Home,
    pub(crate) number: u64,
    pub(crate) feature: String,
    pub(crate) status: String,
    /// Number and ARN of each version, newest first.
    pub(crate) versions: Vec<(u64, String)>,
}

/// A model version that exists: as it was described, except for what has changed since.
#[derive(Debug)]
pub(crate) struct LiveModel {
    pub(crate) model: Model,
    /// When it entered its status.
    since: Instant,
    /// The changes that it will make by itself, earliest first.
    script: VecDeque<(Instant, String)>,
}

/// How long a start and a stop take, unless the model says so itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Takes {
    pub(crate) start: Duration,
    pub(crate) stop: Duration,
}

impl CustomLabels {
    /// Adds a model, and its project where that does not exist. A model of the same ARN is
    /// replaced.
    pub(crate) fn add_model(&mut self, mut model: Model) {
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
        model.feature.get_or_insert(project.feature.clone());
        let live = LiveModel::new(model);
        self.models.insert(live.model.arn.text.clone(), live);
    }

    /// The model's project, which is added if it does not exist.
    pub(crate) fn project_entry(&mut self, home: &Home, feature: &str) -> Option<&mut Project> {
        let next = self.projects.len();
        let position = self.project_positions.entry(home.project_key());
        let position = *position.or_insert(next);
        if position == next {
            self.push_project(home.clone(), feature, "CREATED");
        }
        self.projects.get_mut(position)
    }

    /// Adds a project, even one that has the name of another and never a model. Returns its ARN.
    pub(crate) fn push_project(&mut self, home: Home, feature: &str, status: &str) -> String {
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
        let live = self.models.get_mut(arn)?;
        live.advance(Instant::now(), self.takes, &mut self.changes);
        let is_gone = live.model.is_deleted_once_stopped && live.model.status == "STOPPED";
        (!is_gone).then_some(live)
    }

    /// Puts the model into a status now. `false` when there is no such model.
    pub(crate) fn set_status(&mut self, arn: &str, status: &str) -> bool {
        let is_there = self.model(arn).is_some();
        if let Some(live) = self.models.get_mut(arn).filter(|_| is_there) {
            live.enter(status.to_owned(), Instant::now(), &mut self.changes);
        }
        is_there
    }

    /// Every model's status now; of one that has been deleted, the last.
    pub(crate) fn statuses(&mut self) -> BTreeMap<String, String> {
        self.advance_all();
        let models = self.models.values().map(|it| &it.model);
        models
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
        for model in self.models.values_mut() {
            model.advance(now, self.takes, &mut self.changes);
        }
    }
}

impl LiveModel {
    fn new(mut model: Model) -> Self {
        let now = Instant::now();
        let mut script: Vec<_> = std::mem::take(&mut model.becomes)
            .into_iter()
            .filter_map(|(after, status)| Some((now.checked_add(after)?, status)))
            .collect();
        script.sort_by_key(|(at, _)| *at);
        Self {
            model,
            since: now,
            script: script.into(),
        }
    }

    /// Makes every change that is due, each at its own time.
    fn advance(&mut self, now: Instant, takes: Takes, changes: &mut Vec<Change>) {
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
    fn timed_change(&self, takes: Takes) -> Option<(Instant, &'static str)> {
        let (duration, status) = match self.model.status.as_str() {
            "STARTING" => (self.model.start_takes.unwrap_or(takes.start), "RUNNING"),
            "STOPPING" => (self.model.stop_takes.unwrap_or(takes.stop), "STOPPED"),
            _ => return None,
        };
        Some((self.since.checked_add(duration)?, status))
    }

    fn enter(&mut self, status: String, at: Instant, changes: &mut Vec<Change>) {
        changes.push(Change {
            at,
            arn: self.model.arn.text.clone(),
            status: status.clone(),
        });
        self.model.status = status;
        self.since = at;
    }
}
