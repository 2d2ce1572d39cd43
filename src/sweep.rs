//! All models of a run: region by region, found and stopped at the same time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::{FusedFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use time::Date;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::arn::{ModelArn, ModelPattern, Target};
use crate::exemption::Exemption;
use crate::rekognition::{Discovery, Found, LookedUp, Poller, Region, Rekognition};
use crate::report::{Failure, ModelReport, Outcome};
use crate::request;
use crate::settings::Settings;
use crate::stop::Stopper;

/// The most time for finding out which models that are named an earlier pattern matches as well. Thousands of long patterns
/// can take minutes. It only decides where a model stands in the report, so that it comes last, and is given up.
const TIME_TO_ORDER: Duration = Duration::from_millis(250);

/// One run over a list of entries.
pub(crate) struct Sweep<'a> {
    /// The service.
    pub(crate) rekognition: &'a Rekognition,
    /// What the operator set.
    pub(crate) settings: &'a Settings,
    /// Whether to look only.
    pub(crate) dry_run: bool,
    /// The day in UTC, for exemptions that end.
    pub(crate) today: Date,
    /// When every model has to have its outcome.
    pub(crate) deadline: Instant,
    /// The invocation, for the log.
    pub(crate) request_id: &'a str,
}

/// What is asked of one region: targets, each with its entry's position in the list.
#[derive(Default)]
struct Asked {
    models: Vec<(usize, ModelArn)>,
    patterns: Vec<(usize, ModelPattern)>,
}

impl Asked {
    /// The models that are named after a pattern that matches them too, and the position of the first such pattern.
    /// What is not found out until the time is up is left out.
    fn matched_earlier(&self, is_over: impl Fn() -> bool) -> HashMap<&str, usize> {
        let mut matched = HashMap::new();
        for (position, model_arn) in &self.models {
            for (earlier, pattern) in &self.patterns {
                if is_over() {
                    return matched;
                }
                if earlier > position {
                    break;
                }
                if pattern.matches(model_arn) {
                    matched.insert(model_arn.as_str(), *earlier);
                    break;
                }
            }
        }
        matched
    }
}

/// A report, and where it stands among the others.
type Positioned = (usize, ModelReport);

impl Sweep<'_> {
    /// Stops the models of all entries and reports on each, in the order of the entries and, within a pattern's,
    /// by ARN. Each report is logged as soon as it is known.
    pub(crate) async fn run(&self, entries: &[request::Entry]) -> Vec<ModelReport> {
        let mut reports: Vec<Positioned> = Vec::new();
        let mut regions: BTreeMap<&str, Asked> = BTreeMap::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (position, entry) in entries.iter().enumerate() {
            if *seen.entry(&entry.text).or_insert(position) != position {
                continue;
            }
            match &entry.target {
                Ok(Target::Model(model_arn)) => {
                    let asked = regions.entry(model_arn.region()).or_default();
                    asked.models.push((position, model_arn.clone()));
                }
                Ok(Target::Pattern(pattern)) => {
                    let asked = regions.entry(pattern.region()).or_default();
                    asked.patterns.push((position, pattern.clone()));
                }
                Err(invalid) => {
                    let failure = Failure::new("InvalidModelArn", invalid.to_string());
                    let report = ModelReport::failed(&entry.text, failure);
                    report.log(self.request_id);
                    reports.push((position, report));
                }
            }
        }

        let sweeps = regions
            .iter()
            .map(|(region, asked)| self.sweep_region(region, asked));
        reports.extend(join_all(sweeps).await.into_iter().flatten());
        let ordering = Instant::now();
        let is_over = || ordering.elapsed() > TIME_TO_ORDER;
        let matched = regions.values().map(|asked| asked.matched_earlier(is_over));
        let matched: HashMap<&str, usize> = matched.flatten().collect();
        for (position, report) in &mut reports {
            if let Some(earlier) = matched.get(&*report.model_arn) {
                *position = *earlier;
            }
        }
        reports.sort_by(|(one, first), (other, second)| {
            one.cmp(other)
                .then_with(|| first.model_arn.cmp(&second.model_arn))
        });
        reports.into_iter().map(|(_, report)| report).collect()
    }

    async fn sweep_region(&self, name: &str, asked: &Asked) -> Vec<Positioned> {
        let region = Region::new(
            self.rekognition,
            name,
            self.settings.max_concurrency.get(),
            self.deadline,
        );
        let (poller, poller_task) = Poller::new(&region);
        let stopper = Stopper {
            region: &region,
            poller,
            confirm_stopped: self.settings.confirm_stopped,
            dry_run: self.dry_run,
        };
        tokio::select! {
            biased;
            reports = self.stop_all(&stopper, asked) => reports,
            // Ends only when nobody can ask it any more, and until then the branch above can.
            () = poller_task.run() => Vec::new(),
        }
    }

    /// Stops the models that are named, and those that patterns stand for as soon as they are found.
    async fn stop_all(&self, stopper: &Stopper<'_>, asked: &Asked) -> Vec<Positioned> {
        let mut known: HashSet<ModelArn> = HashSet::new();
        let mut models = FuturesUnordered::new();
        for (position, model_arn) in &asked.models {
            known.insert(model_arn.clone());
            let stopping = stopper.stop(model_arn.clone(), None);
            models.push(caught(*position, model_arn.clone(), stopping).boxed());
        }

        let (sender, mut found) = mpsc::unbounded_channel();
        let discovery = Discovery::run(stopper.region, &asked.patterns, sender).fuse();
        tokio::pin!(discovery);
        let mut looked_up = Vec::new();
        let mut reports = Vec::new();
        loop {
            tokio::select! {
                biased;
                Some(found) = found.recv() => {
                    let (position, model_arn) = (found.position, found.model_arn.clone());
                    if known.insert(model_arn.clone()) {
                        let stopping = self.stop_found(stopper, found);
                        models.push(caught(position, model_arn, stopping).boxed());
                    }
                }
                Some((position, report)) = models.next() => {
                    report.log(self.request_id);
                    reports.push((position, report));
                }
                results = &mut discovery, if !discovery.is_terminated() => looked_up = results,
                else => break,
            }
        }

        for ((position, pattern), result) in asked.patterns.iter().zip(looked_up) {
            if let Some(report) = self.pattern_report(pattern, result) {
                reports.push((*position, report));
            }
        }
        reports
    }

    /// Stops a model that a pattern found, unless its tag exempts it.
    async fn stop_found(&self, stopper: &Stopper<'_>, found: Found) -> ModelReport {
        match self.exemption(stopper, &found).await {
            None => stopper.stop(found.model_arn, Some(found.observed)).await,
            Some(outcome) => ModelReport {
                model_arn: found.model_arn.as_str().into(),
                outcome,
                status: Some(found.observed.status),
                inference_units: found.observed.inference_units,
            },
        }
    }

    /// The outcome of a model that is left alone: its tag exempts it, or nobody can say whether it does.
    async fn exemption(&self, stopper: &Stopper<'_>, found: &Found) -> Option<Outcome> {
        let key = self.settings.keep_running_tag.as_deref()?;
        let value = match stopper.region.tag(&found.model_arn, key).await {
            Ok(value) => value?,
            Err(error) => {
                let failure = Failure::from(error)
                    .explain("its tags could not be read, so that it was left alone");
                return Some(Outcome::Failed(failure));
            }
        };
        let exemption = Exemption::read(&value, self.today);
        let reason = format!("tag {key}={value}");
        match exemption {
            Exemption::None => return None,
            Exemption::Keep => {}
            Exemption::KeepUnclear => tracing::warn!(
                requestId = self.request_id,
                model_arn = found.model_arn.as_str(),
                reason,
                "the tag's value should be empty, true, false or a date such as 2026-12-24; the model is kept running"
            ),
        }
        Some(Outcome::Kept { reason })
    }

    /// The report of a pattern that could not be looked up. One that matches nothing is only warned of.
    fn pattern_report(&self, pattern: &ModelPattern, result: LookedUp) -> Option<ModelReport> {
        if let Some(error) = result.error {
            let failure = Failure::from(error).explain("the pattern could not be looked up");
            let report = ModelReport::failed(pattern.as_str(), failure);
            report.log(self.request_id);
            return Some(report);
        }
        if result.matches == 0 {
            let other_account = result.other_account.as_deref();
            tracing::warn!(
                requestId = self.request_id,
                pattern = pattern.as_str(),
                other_account,
                "the pattern matches no model version"
            );
        }
        None
    }
}

/// What comes of a model, also where finding out panics: the log tells of that, and no other model is left running for it.
async fn caught(
    position: usize,
    model_arn: ModelArn,
    stopping: impl Future<Output = ModelReport>,
) -> Positioned {
    let report = AssertUnwindSafe(stopping).catch_unwind().await;
    let report = report.unwrap_or_else(|_| {
        let failure = Failure::new(
            "Panicked",
            "a fault in this program, of which the line `panic` in the log tells more",
        );
        ModelReport::failed(model_arn.as_str(), failure)
    });
    (position, report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_model_stands_where_an_earlier_pattern_does_if_there_is_time_to_find_out() {
        let arn = |version: &str| {
            format!("arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/{version}/1")
        };
        let model = |version: &str| arn(version).parse::<ModelArn>().unwrap();
        let pattern = |version: &str| match arn(version).parse() {
            Ok(Target::Pattern(pattern)) => pattern,
            other => panic!("{other:?}"),
        };
        let asked = Asked {
            models: vec![(0, model("a1")), (2, model("a2")), (5, model("b1"))],
            patterns: vec![(1, pattern("a*")), (3, pattern("*2")), (6, pattern("b*"))],
        };
        let matched = asked.matched_earlier(|| false);
        assert_eq!(matched, HashMap::from([(&*arn("a2"), 1)]));
        assert!(asked.matched_earlier(|| true).is_empty());
    }
}
