//! The status of many models, asked project by project.
//!
//! DescribeProjectVersions answers for ten named models of one project, or for a whole project a hundred at a
//! time, so asking model by model would cost ten to a hundred times the calls. Each model's own task only says
//! what it wants to know, and [`Poller::run`] finds the calls that answer for all of them:
//!
//! 1. a question about a model nobody knows anything of is asked at once, together with those that came meanwhile;
//! 2. a question about a model that is known to be changing is asked after about a second, then with growing
//!    pauses up to half a minute, and again after about a second when any of them has changed.
//!
//! A project's ARN is looked up by its name the first time, ten projects a call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::call::CallError;
use super::region::{NAMES_A_CALL, Project, Region};
use super::status::{Observed, Status};
use crate::arn::ModelArn;

/// The pause before the first look at a model whose stop was accepted.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long after the deadline the answers of the last calls are waited for.
const LAST_ANSWER: Duration = Duration::from_millis(10);
/// How long before the deadline everybody who still waits is looked at once more.
const LAST_LOOK: Duration = Duration::from_secs(5);
/// What a call of the last round adds to the pause, so that looking takes no more than a small share of a quota.
const PAUSE_A_CALL: Duration = Duration::from_millis(200);

/// Asks a [`PollerTask`] of one region. A clone asks the same one.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    questions: mpsc::UnboundedSender<Question>,
    deadline: Instant,
}

impl Poller {
    /// A poller of this region, and the task that has to run for it.
    pub(crate) fn new(region: &Region) -> (Self, PollerTask<'_>) {
        let (questions, asked) = mpsc::unbounded_channel();
        let poller = Self {
            questions,
            deadline: region.deadline(),
        };
        (poller, PollerTask::new(region, asked))
    }

    /// What the service says of a model now.
    pub(crate) async fn look(&self, model_arn: &ModelArn) -> Result<Observed, CallError> {
        self.ask(model_arn, None).await
    }

    /// What the service says of a model once that is no longer `known`.
    pub(crate) async fn wait_for_change(
        &self,
        model_arn: &ModelArn,
        known: &Status,
    ) -> Result<Observed, CallError> {
        self.ask(model_arn, Some(known.clone())).await
    }

    async fn ask(
        &self,
        model_arn: &ModelArn,
        known: Option<Status>,
    ) -> Result<Observed, CallError> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            model_arn: model_arn.clone(),
            due: if known.is_some() {
                Due::NextRound
            } else {
                Due::Now
            },
            known,
            answer,
        };
        // Sending and receiving fail only where the task has ended, which it does after everybody who asks.
        let _ = self.questions.send(question);
        // The calls end at the deadline, and what the last one failed with is to be told.
        match timeout_at(self.deadline + LAST_ANSWER, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(CallError::OutOfTime { last_failure: None }),
        }
    }
}

#[derive(Debug)]
struct Question {
    model_arn: ModelArn,
    /// What is known already, and no news.
    known: Option<Status>,
    due: Due,
    answer: oneshot::Sender<Result<Observed, CallError>>,
}

/// When a question is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// With the next call for its project.
    Now,
    /// The same, but with a call of its own: a call for several has failed, maybe for another of them.
    Alone,
    /// Together with all others that wait for a change.
    NextRound,
    /// It has been, and its answer is on the way.
    Asked,
}

/// A project of which somebody wants to know something.
#[derive(Debug, Default)]
struct Watched {
    /// The project's ARN, once it has been looked up.
    arn: Option<String>,
    questions: Vec<Question>,
    /// Calls for it that are on the way. The next are made when all of these are answered.
    calls: usize,
    /// What the last look failed with, if it failed and that may pass.
    failure: Option<CallError>,
    /// Whether listing the whole project has turned out to take more calls than asking by name.
    large: bool,
}

impl Watched {
    /// The models to ask for now, in this way.
    fn take_due(&mut self, due: Due) -> Vec<ModelArn> {
        let taken = self
            .questions
            .iter_mut()
            .filter(|question| question.due == due);
        taken
            .map(|question| {
                question.due = Due::Asked;
                question.model_arn.clone()
            })
            .collect()
    }

    fn is_due(&self) -> bool {
        let mut due = self.questions.iter().map(|question| question.due);
        self.calls == 0 && due.any(|due| matches!(due, Due::Now | Due::Alone))
    }
}

/// What a call has found out.
enum Answer {
    Projects {
        names: Vec<String>,
        found: Result<Vec<Project>, CallError>,
    },
    Versions {
        project: String,
        asked: Vec<ModelArn>,
        found: Result<Listed, CallError>,
    },
}

/// Versions of a project, by their ARNs.
struct Listed {
    versions: HashMap<String, Observed>,
    /// Whether the list is all that was asked for, so that a model that is not in it does not exist.
    whole: bool,
}

/// The looking itself: what has been asked, and the calls that will answer it.
pub(crate) struct PollerTask<'a> {
    region: &'a Region,
    questions: mpsc::UnboundedReceiver<Question>,
    projects: BTreeMap<String, Watched>,
    calls: FuturesUnordered<BoxFuture<'a, Answer>>,
    /// When those who wait for a change are asked for, and the pause after that.
    next_round: Instant,
    pause: Duration,
    calls_in_round: u32,
    /// Whether the deadline has come.
    is_over: bool,
}

impl<'a> PollerTask<'a> {
    fn new(region: &'a Region, questions: mpsc::UnboundedReceiver<Question>) -> Self {
        Self {
            region,
            questions,
            projects: BTreeMap::new(),
            calls: FuturesUnordered::new(),
            next_round: Instant::now() + LONGEST_PAUSE,
            pause: FIRST_PAUSE,
            calls_in_round: 0,
            is_over: false,
        }
    }

    /// Answers questions until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                question = self.questions.recv() => {
                    let Some(question) = question else { return };
                    self.note(question);
                    while let Ok(question) = self.questions.try_recv() {
                        self.note(question);
                    }
                }
                Some(answer) = self.calls.next(), if !self.calls.is_empty() => self.deliver(answer),
                () = sleep_until(self.region.deadline()), if !self.is_over => self.end(),
                () = sleep_until(self.next_round) => self.begin_round(),
            }
            self.make_calls();
        }
    }

    fn note(&mut self, question: Question) {
        if question.due == Due::NextRound {
            self.look_soon();
        }
        let project = self.projects.entry(question.model_arn.project().to_owned());
        project.or_default().questions.push(question);
    }

    /// Something is new, so that more may be soon.
    fn look_soon(&mut self) {
        self.pause = FIRST_PAUSE;
        let soon = FIRST_PAUSE.max(PAUSE_A_CALL * self.calls_in_round);
        self.next_round = self.next_round.min(Instant::now() + soon);
    }

    fn begin_round(&mut self) {
        let questions = self
            .projects
            .values_mut()
            .flat_map(|project| &mut project.questions);
        for question in questions.filter(|question| question.due == Due::NextRound) {
            question.due = Due::Now;
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let now = Instant::now();
        let next = now
            + self
                .pause
                .max(PAUSE_A_CALL * self.calls_in_round)
                .min(LONGEST_PAUSE);
        // Shortly before the deadline there is a last look: what it finds can still be stopped, or is seen stopped.
        let last = self
            .region
            .deadline()
            .checked_sub(LAST_LOOK)
            .filter(|last| *last > now);
        self.next_round = last.map_or(next, |last| next.min(last));
        self.calls_in_round = 0;
    }

    /// Tells those who wait for another look that there is none. The calls on the way end by themselves.
    fn end(&mut self) {
        self.is_over = true;
        for project in self.projects.values_mut() {
            let waiting = project
                .questions
                .extract_if(.., |question| question.due == Due::NextRound);
            let last_failure = project.failure.as_ref().map(CallError::to_string);
            for question in waiting {
                let last_failure = last_failure.clone();
                let _ = question
                    .answer
                    .send(Err(CallError::OutOfTime { last_failure }));
            }
        }
    }

    /// Makes the calls for all that is to be asked now.
    fn make_calls(&mut self) {
        let mut unknown = Vec::new();
        for (name, project) in &mut self.projects {
            if !project.is_due() {
                continue;
            }
            let Some(project_arn) = &project.arn else {
                project.calls += 1;
                unknown.push(name.clone());
                continue;
            };
            let project_arn = project_arn.clone();
            let asked = project.take_due(Due::Now);
            let mut calls: Vec<Vec<ModelArn>> = if asked.len() > NAMES_A_CALL && !project.large {
                vec![asked]
            } else {
                asked
                    .chunks(NAMES_A_CALL)
                    .map(<[ModelArn]>::to_vec)
                    .collect()
            };
            let alone = project.take_due(Due::Alone);
            calls.extend(alone.into_iter().map(|model_arn| vec![model_arn]));
            project.calls += calls.len();
            for asked in calls {
                self.calls_in_round += 1;
                let look = look(self.region, name.clone(), project_arn.clone(), asked);
                self.calls.push(look.boxed());
            }
        }
        for names in unknown.chunks(NAMES_A_CALL) {
            self.calls
                .push(look_up(self.region, names.to_vec()).boxed());
        }
    }

    fn deliver(&mut self, answer: Answer) {
        match answer {
            Answer::Projects { names, found } => {
                for name in names {
                    self.deliver_project(&name, &found);
                }
            }
            Answer::Versions {
                project,
                asked,
                found,
            } => self.deliver_versions(&project, &asked, found),
        }
    }

    fn deliver_project(&mut self, name: &str, found: &Result<Vec<Project>, CallError>) {
        let Some(project) = self.projects.get_mut(name) else {
            return;
        };
        project.calls -= 1;
        let error = match found {
            Ok(found) => match found.iter().find(|found| found.name == name) {
                Some(found) => {
                    project.arn = Some(found.arn.clone());
                    return;
                }
                None => CallError::not_found(format!(
                    "DescribeProjects knows no Custom Labels project `{name}` in this account and region"
                )),
            },
            Err(error) if error.may_pass() => {
                for question in &mut project.questions {
                    question.due = Due::NextRound;
                }
                project.failure = Some(error.clone());
                self.look_soon();
                return;
            }
            Err(error) => error.clone(),
        };
        for question in project.questions.drain(..) {
            let _ = question.answer.send(Err(error.clone()));
        }
    }

    fn deliver_versions(
        &mut self,
        name: &str,
        asked: &[ModelArn],
        found: Result<Listed, CallError>,
    ) {
        let Some(project) = self.projects.get_mut(name) else {
            return;
        };
        project.calls -= 1;
        match &found {
            Ok(listed) => {
                project.failure = None;
                project.large |= !listed.whole;
            }
            Err(error) => project.failure = error.may_pass().then(|| error.clone()),
        }
        let several_by_name = (2..=NAMES_A_CALL).contains(&asked.len());
        let asked: HashSet<&ModelArn> = asked.iter().collect();
        // Something has changed, or has to be asked again.
        let mut again = false;
        for mut question in std::mem::take(&mut project.questions) {
            if question.due != Due::Asked || !asked.contains(&question.model_arn) {
                project.questions.push(question);
                continue;
            }
            let answer = match &found {
                Err(error) if error.may_pass() => {
                    question.due = Due::NextRound;
                    again = true;
                    project.questions.push(question);
                    continue;
                }
                Err(error) if several_by_name && error.may_be_of_one() => {
                    question.due = Due::Alone;
                    project.questions.push(question);
                    continue;
                }
                Err(error) => Err(error.clone()),
                Ok(listed) => match listed.versions.get(question.model_arn.as_str()) {
                    Some(observed) if question.known.as_ref() == Some(&observed.status) => {
                        question.due = Due::NextRound;
                        project.questions.push(question);
                        continue;
                    }
                    Some(observed) => Ok(observed.clone()),
                    None if listed.whole => Err(CallError::not_found(format!(
                        "DescribeProjectVersions does not list this model in project `{name}`"
                    ))),
                    None => {
                        question.due = Due::Now;
                        project.questions.push(question);
                        continue;
                    }
                },
            };
            again |= question.known.is_some();
            let _ = question.answer.send(answer);
        }
        if again {
            self.look_soon();
        }
    }
}

/// Looks up projects by their names, at most ten.
async fn look_up(region: &Region, names: Vec<String>) -> Answer {
    let mut projects = Vec::new();
    let mut next_token = None;
    loop {
        match region.projects(&names, next_token).await {
            Ok(page) => {
                projects.extend(page.items);
                next_token = page.next_token;
            }
            Err(error) => {
                return Answer::Projects {
                    names,
                    found: Err(error),
                };
            }
        }
        if next_token.is_none() {
            return Answer::Projects {
                names,
                found: Ok(projects),
            };
        }
    }
}

/// Looks at models of one project: at most ten by name, more by listing the project, for as many calls as asking
/// by name would take.
async fn look(
    region: &Region,
    project: String,
    project_arn: String,
    asked: Vec<ModelArn>,
) -> Answer {
    let names: Vec<String> = if asked.len() > NAMES_A_CALL {
        Vec::new()
    } else {
        asked
            .iter()
            .map(|model_arn| model_arn.version().to_owned())
            .collect()
    };
    let most_calls = asked.len().div_ceil(NAMES_A_CALL);
    let wanted: HashSet<&str> = asked.iter().map(ModelArn::as_str).collect();
    let mut versions = HashMap::new();
    let mut next_token = None;
    let mut calls = 0;
    let found = loop {
        match region
            .project_versions(&project_arn, &names, next_token)
            .await
        {
            Ok(page) => {
                let items = page.items.into_iter();
                let items = items.filter(|version| wanted.contains(&*version.model_arn));
                versions.extend(items.map(|version| (version.model_arn, version.observed)));
                next_token = page.next_token;
                calls += 1;
            }
            Err(error) => break Err(error),
        }
        let whole = next_token.is_none() || versions.len() == wanted.len();
        if whole || (names.is_empty() && calls >= most_calls) {
            break Ok(Listed { versions, whole });
        }
    };
    drop(wanted);
    Answer::Versions {
        project,
        asked,
        found,
    }
}
