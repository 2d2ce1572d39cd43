//! What the weather means for one model: whether its end depends on more than the time there is.

use std::time::Duration;

use rekognition_emulator::{FaultKind, Operation, Service};

use super::night::{Model, Night};
use super::weather::{LISTS, Limit, NO_LIST, SIGNATURE, Struck, THROTTLING, Trouble, Weather};

/// The gaps between two calls of an operation that is throttled, of Rekognition or of another
/// service.
const GAP: Duration = Duration::from_millis(500);
const OTHER_GAP: Duration = Duration::from_millis(50);
/// How long a call without a response is waited for, and the pause after one that fails.
const ATTEMPT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(3);

impl Trouble {
    /// Whether the call that it strikes ends with it, in a refusal or in something untrue.
    fn is_final(&self) -> bool {
        match &self.kind {
            FaultKind::Error {
                http_status: Some(500..),
                ..
            } => false,
            FaultKind::Error { code, .. } => match &**code {
                // What a stop has done can be seen.
                "ResourceInUseException" => self.operation != Some(Operation::StopProjectVersion),
                "InternalServerError" => false,
                code if SIGNATURE.contains(&code) => self.struck != Struck::FirstOfEach(1),
                code => !THROTTLING.contains(&code),
            },
            FaultKind::Garbage(body) => body == NO_LIST,
            FaultKind::StatusOverride(_) => true,
            _ => false,
        }
    }

    /// Whether it depends on the order of the calls which of them it strikes for ever.
    fn is_late(&self) -> bool {
        matches!(self.struck, Struck::Arrivals(2.., u32::MAX))
    }

    /// Whether calls for this model may be among those that it affects.
    fn befalls(&self, model: &Model) -> bool {
        let on = |resource: &String| *resource == model.arn || *resource == model.project;
        self.is_in(model.account(), model.region) && self.resource.as_ref().is_none_or(on)
    }

    /// Whether calls to Rekognition in a region of an account may be among those that it affects.
    fn is_in(&self, account: &str, region: &str) -> bool {
        let service = self.operation.map(Operation::service);
        service.is_none_or(|service| service == Service::Rekognition)
            && self.account.as_ref().is_none_or(|it| it == account)
            && self.region.is_none_or(|it| it == region)
    }

    fn is_throttling(&self) -> bool {
        matches!(&self.kind, FaultKind::Error { code, .. } if THROTTLING.contains(&&**code))
    }

    /// The most that it can take longer than for a plain client: the calls may arrive in another
    /// order, so that one of them is struck more often, or has to wait longer; and whoever is
    /// throttled may leave a gap between two calls until it has learned that there is no quota.
    fn margin(&self, night: &Night) -> Duration {
        let accounts = night
            .organization
            .as_ref()
            .map(|it| it.accounts.len() as u32);
        let accounts = accounts.unwrap_or_default();
        let models = night.models.len() as u32;
        let (calls, gap) = match self.operation.map(Operation::service) {
            Some(Service::Sts | Service::Organizations) => (accounts, OTHER_GAP),
            // What CloudTrail says stops no model.
            Some(Service::CloudTrail) => (0, GAP),
            Some(Service::Rekognition) => (models, GAP),
            None => (2 * models, GAP),
        };
        let turns = night.settings.max_concurrency.get();
        let hangs = matches!(self.kind, FaultKind::Hang | FaultKind::Delay(_));
        let hold = ATTEMPT * u32::from(hangs);
        match self.struck {
            _ if self.is_throttling_by_chance() => Duration::ZERO,
            Struck::Arrivals(_, u32::MAX) => {
                // Eight at a time are asked in a region that does not respond.
                let is_region = self.region.is_some() && self.account.is_none();
                let is_first = self.operation == Some(Operation::DescribeProjects);
                ATTEMPT * (u32::from(is_region && is_first) * accounts / 8)
            }
            // The gap that they have taught narrows with each call after them.
            Struck::Arrivals(first, last) if self.is_throttling() => gap * (last - first + 11),
            Struck::Arrivals(first, last) => {
                let is_list = self.operation.is_none_or(|it| LISTS.contains(&it));
                match self.resource.is_none() || is_list || first > 1 {
                    true => (hold + PAUSE) * (last - first + 1),
                    // The others come after it.
                    false => hold * (1 / turns),
                }
            }
            Struck::FirstOfEach(each) if self.is_throttling() => gap * (calls * (each + 1)),
            Struck::FirstOfEach(_) => Duration::ZERO,
            Struck::Attempts(percent, _) | Struck::Calls(percent, _) => {
                // The lists of an account that two kinds of entries lead to may be read twice.
                let again = u32::from(night.organization.is_some());
                hold * (again + models * percent / 100 / turns)
            }
            Struck::Connections(..) => 5 * ATTEMPT,
        }
    }

    fn is_throttling_by_chance(&self) -> bool {
        self.is_throttling() && matches!(self.struck, Struck::Attempts(..))
    }

    /// How many attempts come to nothing, for each that does not.
    fn wasted(&self) -> f64 {
        match self.struck {
            Struck::FirstOfEach(each) => f64::from(each),
            Struck::Attempts(percent, _) => f64::from(percent) / f64::from(100 - percent),
            _ => 0.0,
        }
    }
}

impl Weather {
    /// Whether this model may be out of reach, whatever the program does.
    pub fn bars(&self, model: &Model) -> bool {
        let mut troubles = self.faults.iter().filter(|trouble| trouble.befalls(model));
        troubles.any(|trouble| trouble.is_final() || trouble.is_late())
    }

    /// Whether lists in a region of an account may be out of reach.
    pub fn bars_lists(&self, account: &str, region: &str) -> bool {
        let mut troubles = self.list_troubles();
        troubles.any(|trouble| {
            trouble.is_in(account, region) && (trouble.is_final() || trouble.is_late())
        })
    }

    /// Whether models may never be checked, so that one that is starting may never be stopped.
    pub fn bars_looks(&self) -> bool {
        let is_endless = |struck| matches!(struck, Struck::Calls(..));
        let mut troubles = self.list_troubles();
        troubles.any(|trouble| trouble.is_permanent() || is_endless(trouble.struck))
    }

    fn list_troubles(&self) -> impl Iterator<Item = &Trouble> {
        let is_of_lists =
            |trouble: &&Trouble| trouble.operation.is_none_or(|it| LISTS.contains(&it));
        self.faults.iter().filter(is_of_lists)
    }

    /// Whether all calls in a region of an account hang.
    pub fn hangs(&self, account: &str, region: &str) -> bool {
        let mut troubles = self.list_troubles();
        troubles.any(|trouble| {
            let is_of_scope = trouble.account.is_some() || trouble.region.is_some();
            is_of_scope && trouble.kind == FaultKind::Hang && trouble.is_in(account, region)
        })
    }

    /// How much longer it may take in a region than for a plain client, whatever the program does.
    pub fn margin(&self, night: &Night, region: &str) -> Duration {
        let troubles = self.faults.iter();
        let troubles = troubles.filter(|trouble| trouble.region.is_none_or(|it| it == region));
        troubles.map(|trouble| trouble.margin(night)).sum()
    }

    /// How much longer this many calls take if some are throttled by chance: that looks like a
    /// quota, and so there is a gap between all attempts, and those of a few calls that fare worse.
    pub fn gaps(&self, calls: usize) -> Duration {
        let troubles = self.faults.iter();
        let by_chance = troubles.filter(|trouble| trouble.is_throttling_by_chance());
        let attempts: f64 = by_chance.map(|trouble| 1.0 + trouble.wasted()).sum();
        GAP.mul_f64(attempts * (calls + 10) as f64)
    }

    /// How much longer under a quota, for calls of this operation or of all: those for all other
    /// models may come first, with all that come to nothing.
    pub fn order(&self, night: &Night, operation: Option<Operation>) -> Duration {
        let wasted = self.faults.iter();
        let wasted = wasted.map(|trouble| trouble.wasted() / self.rate(trouble.operation));
        let seconds = wasted.sum::<f64>() + 1.0 / self.rate(operation);
        Duration::from_secs_f64(seconds * night.models.len() as f64)
    }

    /// The calls of an operation, or of the slowest, that a quota lets through in a second.
    fn rate(&self, operation: Option<Operation>) -> f64 {
        let own = self.own_quotas.iter();
        let own = own.filter(|(it, _)| operation.is_none_or(|operation| operation == *it));
        let rates = own.map(|(_, quota)| quota).chain(&self.quota);
        rates
            .map(Limit::left)
            .fold(f64::INFINITY, f64::min)
            .max(0.01)
    }
}
