//! What the weather means for one model: whether it can be stopped at all, and how long that takes.

use std::time::Duration;

use rekognition_emulator::{FaultKind, Operation};

use super::night::{Model, Night};
use super::weather::{Denial, LISTS, Limit, NO_LIST, Trouble, Weather};

/// What a fault means for a program that does its best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// The call should be retried.
    Passing,
    /// The call should be retried, less and less often.
    Throttling,
    /// After a stop, only a status check can tell what it has done; other calls should be retried.
    Doubtful,
    /// The service's refusal is final.
    Refusal,
    /// The response can be read, but is not true.
    Lie,
}

impl Trouble {
    pub fn nature(&self) -> Nature {
        let is_stop = self.operation == Some(Operation::StopProjectVersion);
        match &self.kind {
            FaultKind::Error {
                http_status: Some(500..),
                ..
            } => Nature::Passing,
            FaultKind::Error { code, .. } => match &**code {
                "InternalServerError" => Nature::Passing,
                "ThrottlingException" | "ProvisionedThroughputExceededException" => {
                    Nature::Throttling
                }
                "ResourceInUseException" if is_stop => Nature::Doubtful,
                _ => Nature::Refusal,
            },
            FaultKind::HttpStatus(429 | 503, _) => Nature::Throttling,
            FaultKind::HttpStatus(500.., _) => Nature::Passing,
            FaultKind::Garbage(body) if body == NO_LIST => Nature::Refusal,
            FaultKind::HttpStatus(..) | FaultKind::Garbage(_) | FaultKind::EmptyBody => {
                Nature::Doubtful
            }
            FaultKind::Reset | FaultKind::Hang | FaultKind::Delay(_) | FaultKind::Truncated => {
                Nature::Passing
            }
            FaultKind::StatusOverride(_) => Nature::Lie,
        }
    }

    /// Whether calls for this model may be among those that it affects.
    pub fn befalls(&self, model: &Model) -> bool {
        let on = |resource: &String| *resource == model.arn || *resource == model.project;
        self.resource.as_ref().is_none_or(on)
    }

    /// How long it may delay one call in the worst case.
    fn holds(&self) -> Duration {
        match self.kind {
            FaultKind::Hang | FaultKind::Delay(_) => Duration::from_secs(10),
            _ => Duration::ZERO,
        }
    }

    /// What it costs in total, if it ends: each call that it affects, and the pause after that.
    pub fn costs(&self) -> Duration {
        let (first, last) = self.attempts;
        let stop = Operation::StopProjectVersion;
        let seconds = match self.nature() {
            Nature::Throttling => 12,
            Nature::Doubtful if self.operation.is_none_or(|it| it == stop) => 30,
            _ => 2,
        };
        (self.holds() + Duration::from_secs(seconds)) * (last - first + 1)
    }
}

impl Denial {
    fn concerns(&self, model: &Model) -> bool {
        let resource = self.resource.as_deref().unwrap_or_default();
        model.arn.starts_with(resource)
    }
}

impl Weather {
    /// Whether this model may be out of reach, whatever the program does.
    pub fn bars(&self, model: &Model) -> bool {
        self.denials.iter().any(|denial| denial.concerns(model))
            || self.bars_calls(|trouble| trouble.befalls(model))
    }

    /// Whether lists may be out of reach.
    pub fn bars_lists(&self) -> bool {
        let denied = self.denials.iter();
        denied
            .map(|denial| denial.operation)
            .any(|operation| LISTS.contains(&operation))
            || self.bars_calls(|trouble| trouble.operation.is_none_or(|it| LISTS.contains(&it)))
    }

    fn bars_calls(&self, befalls: impl Fn(&Trouble) -> bool) -> bool {
        // Others of its operation wait with a throttled call, and every attempt uses part of a
        // quota.
        let spreads = |trouble: &Trouble| {
            trouble.is_permanent()
                && (self.quota.is_some()
                    || !self.own_quotas.is_empty()
                    || trouble.nature() == Nature::Throttling)
        };
        let ends = |trouble: &Trouble| {
            let nature = trouble.nature();
            !trouble.is_permanent() && !matches!(nature, Nature::Refusal | Nature::Lie)
        };
        (self.faults.iter()).any(|trouble| spreads(trouble) || (befalls(trouble) && !ends(trouble)))
    }

    /// The time after which every call for the models of a region has been answered, not counting
    /// the time that the models themselves take. Far more than a good program needs.
    pub fn calls_take(&self, night: &Night, region: &str) -> Option<Duration> {
        let models = night.models.iter().filter(|model| model.region == region);
        let (models, entries) = (models.count() as u32, night.list.items.len() as u32);
        let pages = models.div_ceil(self.page_size);
        let calls = 4 * (models + entries + pages) + 10;
        let turns = night.settings.max_concurrency.get();

        let ends = |trouble: &&Trouble| !trouble.is_permanent();
        let troubles: Duration = self.faults.iter().filter(ends).map(Trouble::costs).sum();
        let throttled = |trouble: &Trouble| trouble.nature() == Nature::Throttling;
        let quotas = self.own_quotas.iter().map(|(_, quota)| quota);
        let rates = quotas.chain(&self.quota).map(Limit::left);
        let rate = rates.fold(f64::INFINITY, f64::min);
        let rate = match self.faults.iter().any(throttled) {
            true => rate.min(0.5),
            false => rate,
        };
        let for_ever = self.faults.iter().filter(|trouble| trouble.is_permanent());
        // Its stop, its status check and its list.
        let held = 3 * for_ever.filter(|it| !it.holds().is_zero()).count() as u32;
        let wait = self.latency + Duration::from_secs(10) * held.div_ceil(turns);
        let quota = 2.0 * f64::from(calls) / rate;
        (rate >= 0.5).then(|| {
            troubles
                + self.latency * (calls / turns)
                + wait * (12 + 2 * pages)
                + Duration::from_secs_f64(quota)
        })
    }
}
