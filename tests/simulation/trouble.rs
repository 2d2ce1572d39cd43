//! What the weather means for one model: whether its end depends on more than the time there is.

use std::time::Duration;

use rekognition_emulator::{FaultKind, Operation, Service};

use super::night::{Model, Night};
use super::weather::{Denial, LISTS, NO_LIST, SIGNATURE, Struck, THROTTLING, Trouble, Weather};

/// The gaps between two calls of an operation that is throttled, of Rekognition or of another
/// service.
const GAP: Duration = Duration::from_millis(500);
const OTHER_GAP: Duration = Duration::from_millis(50);
/// How long a call that is not answered is waited for, and the longest pause after it.
const ATTEMPT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(5);

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
                code => !THROTTLING.contains(&code) && !SIGNATURE.contains(&code),
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
        self.resource.as_ref().is_none_or(on)
    }

    /// How long it may delay one call.
    fn holds(&self) -> Duration {
        match self.kind {
            FaultKind::Hang | FaultKind::Delay(_) => ATTEMPT,
            _ => Duration::ZERO,
        }
    }

    fn is_throttling(&self) -> bool {
        matches!(&self.kind, FaultKind::Error { code, .. } if THROTTLING.contains(&&**code))
    }

    /// The most that it can take longer than for a plain client. If the calls arrive in another
    /// order, one call is struck each time, or those that hang come before all others. And whoever
    /// is throttled may leave half a second between two calls, which is more than the quotas ask.
    fn margin(&self, night: &Night) -> Duration {
        let all = night.models.len() as u32;
        let turns = night.settings.max_concurrency.get();
        let accounts = night
            .organization
            .as_ref()
            .map(|it| it.accounts.len() as u32);
        if self.is_throttling() {
            let (calls, gap) = match self.operation.map(Operation::service) {
                Some(Service::Sts | Service::Organizations) => (accounts, OTHER_GAP),
                Some(Service::Rekognition) => (Some(all), GAP),
                None => (Some(2 * all), GAP),
            };
            let calls = calls.unwrap_or_default();
            let throttled = match self.struck {
                Struck::Arrivals(first, last) => last.saturating_sub(first - 1).min(calls * 10),
                Struck::FirstOfEach(each) => calls * each,
                Struck::Attempts(percent, _) => calls * percent / (100 - percent),
                Struck::Calls(..) | Struck::Connections(..) => calls,
            };
            return gap * (calls + throttled);
        }
        let hanging = match self.struck {
            Struck::Arrivals(first, last) if last != u32::MAX => {
                let is_list = self.operation.is_none_or(|it| LISTS.contains(&it));
                return match self.resource.is_none() || is_list || first > 1 {
                    true => (self.holds() + PAUSE) * (last - first + 1),
                    false => Duration::ZERO,
                };
            }
            // Eight at a time are asked in a region that does not respond.
            Struck::Arrivals(..) if self.region.is_some() && self.account.is_none() => {
                let is_first = self.operation == Some(Operation::DescribeProjects);
                return ATTEMPT * (u32::from(is_first) * accounts.unwrap_or_default() / 8);
            }
            Struck::Arrivals(..) => u32::from(self.resource.is_some()),
            Struck::FirstOfEach(_) => all,
            Struck::Attempts(percent, _) | Struck::Calls(percent, _) => {
                (all * percent).div_ceil(100)
            }
            // Not more than so many in a row.
            Struck::Connections(..) => return 6 * ATTEMPT,
        };
        self.holds() * (hanging / turns)
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
        let mut troubles = self.faults.iter().filter(|trouble| trouble.befalls(model));
        self.denials.iter().any(|denial| denial.concerns(model))
            || troubles.any(|trouble| trouble.is_final() || trouble.is_late())
    }

    /// Whether lists may be out of reach.
    pub fn bars_lists(&self) -> bool {
        let is_of_lists =
            |trouble: &&Trouble| trouble.operation.is_none_or(|it| LISTS.contains(&it));
        let mut troubles = self.faults.iter().filter(is_of_lists);
        let mut denied = self.denials.iter();
        denied.any(|denial| LISTS.contains(&denial.operation))
            || troubles.any(|trouble| trouble.is_final() || trouble.is_late())
    }

    /// Whether models may never be looked at, so that one that is starting may never be stopped.
    pub fn bars_looks(&self) -> bool {
        let is_of_lists =
            |trouble: &&Trouble| trouble.operation.is_none_or(|it| LISTS.contains(&it));
        let mut troubles = self.faults.iter().filter(is_of_lists);
        troubles
            .any(|trouble| trouble.is_permanent() || matches!(trouble.struck, Struck::Calls(..)))
    }

    /// How much longer it may take in a region than for a plain client, whatever the program does.
    pub fn margin(&self, night: &Night, region: &str) -> Duration {
        // Under a quota for all operations together, those of all others may come first.
        let common = self
            .quota
            .iter()
            .filter(|quota| !quota.is_for_each_operation());
        let calls = 2.0 * night.models.len() as f64;
        let common = common.map(|quota| Duration::from_secs_f64(calls / quota.left().max(0.01)));
        let troubles = self.faults.iter();
        let troubles = troubles.filter(|trouble| trouble.region.is_none_or(|it| it == region));
        let troubles = troubles.map(|trouble| trouble.margin(night));
        troubles.chain(common).sum()
    }
}
