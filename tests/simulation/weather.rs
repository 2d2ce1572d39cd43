//! What goes wrong in a night: how slow the service is, its quota, the missing permissions and the
//! faults.

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, FaultKind, Operation, Quota, Service, ThrottleWith};

use super::chance::Chance;
use super::night::Model;
use crate::support::wire::Wire;

/// The conditions that a run meets.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    pub latency: Duration,
    /// How long it takes to connect.
    pub connecting: Duration,
    pub page_size: u32,
    pub quota: Option<Limit>,
    /// The quotas of operations that have their own.
    pub own_quotas: Vec<(Operation, Limit)>,
    pub denials: Vec<Denial>,
    pub faults: Vec<Trouble>,
}

/// A quota of calls a second, of which another client takes a part: for all calls of a region
/// together, or for those of each operation.
#[derive(Clone, Debug)]
pub struct Limit {
    pub per_second: f64,
    pub background: f64,
    pub burst: u32,
    pub throttle_with: ThrottleWith,
}

/// An operation that is not allowed, on everything or on ARNs with this prefix.
#[derive(Clone, Debug)]
pub struct Denial {
    pub operation: Operation,
    pub resource: Option<String>,
}

/// A fault, and the calls that it affects.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub kind: FaultKind,
    pub operation: Option<Operation>,
    /// A model's ARN or a project's name; a role's ARN, or the ID of a parent.
    pub resource: Option<String>,
    /// The calling account, and the region that is called.
    pub account: Option<String>,
    pub region: Option<&'static str>,
    pub page: Option<u32>,
    pub struck: Struck,
    pub after_effect: bool,
}

/// Which of these calls it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// The first to the last that arrives, counted from 1; `u32::MAX` is never reached.
    Arrivals(u32, u32),
    /// As many first attempts of each call.
    FirstOfEach(u32),
    /// A share in percent, by lot.
    Attempts(u32, u64),
    Calls(u32, u64),
    Connections(u32, u64),
}

/// The operations of Rekognition that the program calls, with the weight of each.
pub const OPERATIONS: [(u32, Operation); 4] = [
    (40, Operation::StopProjectVersion),
    (30, Operation::DescribeProjectVersions),
    (15, Operation::DescribeProjects),
    (15, Operation::ListTagsForResource),
];
/// The same, with the weight of each to be the one that is slow or in trouble while the others are
/// not.
const OPERATIONS_APART: [(u32, Operation); 4] = [
    (25, Operation::StopProjectVersion),
    (20, Operation::DescribeProjectVersions),
    (15, Operation::DescribeProjects),
    (40, Operation::ListTagsForResource),
];
pub const LISTS: [Operation; 2] = [
    Operation::DescribeProjects,
    Operation::DescribeProjectVersions,
];
/// Errors that the service documents for these operations, and those of its front end.
const ERRORS: [(u32, &str); 11] = [
    (30, "InternalServerError"),
    (15, "ThrottlingException"),
    (15, "ProvisionedThroughputExceededException"),
    (8, "AccessDeniedException"),
    (5, "InvalidParameterException"),
    (5, "ResourceNotFoundException"),
    (10, "ResourceInUseException"),
    (3, "LimitExceededException"),
    (3, "InvalidPaginationTokenException"),
    (3, "ExpiredTokenException"),
    (3, "UnrecognizedClientException"),
];
/// Codes of calls that are throttled.
pub const THROTTLING: [&str; 4] = [
    "Throttling",
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
];
/// Codes of a signature that is refused.
pub const SIGNATURE: [&str; 2] = ["InvalidSignatureException", "SignatureDoesNotMatch"];
const HTTP_STATUSES: [u16; 9] = [500, 502, 503, 504, 507, 400, 403, 404, 413];
/// A response without a list, which is not the same as one with an empty list.
pub const NO_LIST: &str = "{}";
const GARBAGE: [&str; 6] = ["<html>", "{", "null", "[]", r#"{"Status": "RUN"#, "\u{0}"];
const STATUSES: [&str; 6] = ["RUNNING", "STARTING", "STOPPING", "STOPPED", "PAUSED", ""];

impl Weather {
    /// A service that works as it should.
    pub fn calm() -> Self {
        Self {
            page_size: 100,
            ..Self::default()
        }
    }

    /// The weather of a night with these models.
    pub fn new(chance: &mut Chance, models: &[Model]) -> Self {
        let latency = chance.weighed(&[(20, 0), (60, 80), (15, 400), (5, 3000)]);
        let page_size = match chance.percent(60) {
            true if models.len() <= 40 => chance.number(1..=12),
            _ => 100,
        };
        // Each on its own as well as together: together they leave little that must work.
        let (is_limited, is_troubled) = chance.weighed(&[
            (15, (false, false)),
            (40, (false, true)),
            (25, (true, false)),
            (20, (true, true)),
        ]);
        let faults = match is_troubled {
            true => chance.weighed(&[(40, 1), (25, 2), (20, 4), (15, 8)]),
            false => 0,
        };
        let denials = chance.weighed(&[(88, 0), (10, 1), (2, 2)]);
        Self {
            latency: Duration::from_millis(latency),
            connecting: Duration::ZERO,
            page_size,
            quota: is_limited.then(|| Limit::new(chance)),
            own_quotas: Vec::new(),
            denials: (0..denials).map(|_| Denial::new(chance, models)).collect(),
            faults: (0..faults).map(|_| Trouble::new(chance, models)).collect(),
        }
    }

    /// Weather in which all stops of these models fail, and no other calls.
    pub fn for_ever(chance: &mut Chance, models: &[Model]) -> Self {
        let kinds = [FaultKind::Reset, FaultKind::HttpStatus(500, String::new())];
        let faults = models.iter().map(|model| Trouble {
            resource: Some(model.arn.clone()),
            ..Trouble::for_ever(chance.one_of(&kinds).clone(), Operation::StopProjectVersion)
        });
        Self {
            faults: faults.collect(),
            ..Self::calm()
        }
    }

    /// Weather in which operations have quotas of their own, far apart, and one of them may have
    /// permanent trouble that does not concern the others.
    pub fn of_operations(chance: &mut Chance) -> Self {
        let slow = chance.weighed(&OPERATIONS_APART);
        let mut per_second = |operation| match operation == slow {
            true => Some(1.0),
            false => chance.weighed(&[None, Some(5.0), Some(10.0), Some(50.0)].map(|it| (1, it))),
        };
        let quotas = OPERATIONS.map(|(_, operation)| operation);
        let quotas = quotas.map(|operation| (operation, per_second(operation)));
        let quotas = quotas.into_iter().filter_map(|(operation, per_second)| {
            Some((operation, Limit::of_operation(chance, per_second?)))
        });
        let own_quotas = quotas.collect();
        let trouble = chance.percent(50).then(|| Trouble::of_operation(chance));
        Self {
            latency: Duration::from_millis(chance.weighed(&[(50, 0), (40, 80), (10, 400)])),
            own_quotas,
            faults: trouble.into_iter().collect(),
            ..Self::calm()
        }
    }

    /// Weather in which one kind of trouble is spread over the calls of one operation, or of all,
    /// and nothing else is the matter but perhaps quotas.
    pub fn scattered(chance: &mut Chance, regions: &[&'static str]) -> Self {
        let mut weather = Self {
            latency: Duration::from_millis(chance.weighed(&[(30, 0), (50, 80), (20, 400)])),
            page_size: chance.weighed(&[(3, 100), (1, 10)]),
            ..Self::default()
        };
        if chance.percent(40) {
            let limits = OPERATIONS.map(|(_, operation)| {
                let per_second = chance.weighed(&[(1, 2.0), (3, 5.0), (1, 10.0)]);
                (operation, Limit::of_operation(chance, per_second))
            });
            weather.own_quotas = limits.to_vec();
        }
        let operation = (!chance.percent(20)).then(|| chance.weighed(&OPERATIONS));
        match chance.number(0..=9) {
            0 => weather.connecting = chance.duration(1..=8),
            1 => weather.faults.push(Trouble::of_a_description(chance)),
            2 if chance.percent(30) => {
                // Those of the other calls are accepted.
                let struck = Struck::Calls(chance.number(10..=30), chance.lot());
                let refused = error(SIGNATURE[0]);
                weather
                    .faults
                    .push(Trouble::scattered(refused, operation, struck));
            }
            2 => {
                weather.faults.push(Trouble {
                    region: Some(*chance.one_of(regions)),
                    ..Trouble::scattered(FaultKind::Hang, None, Struck::Arrivals(1, u32::MAX))
                });
            }
            _ => weather
                .faults
                .push(Trouble::of_some_calls(chance, operation)),
        }
        weather
    }

    /// Sets the weather of the service and of the connections to it.
    pub fn begin(&self, emulator: &Emulator, wire: &Wire) {
        wire.set_connecting(self.connecting);
        emulator.set_latency(self.latency);
        emulator.set_page_size(self.page_size);
        emulator.set_quota(self.quota.as_ref().map(Limit::quota));
        for operation in Operation::ALL {
            let own = self.own_quota(operation).map(Limit::quota);
            emulator.set_operation_quota(operation, own);
        }
        emulator.allow_all();
        for denial in &self.denials {
            emulator.deny(&denial.operation.action(), denial.resource.as_deref());
        }
        emulator.clear_faults();
        for trouble in &self.faults {
            emulator.add_fault(trouble.fault());
        }
    }

    pub fn own_quota(&self, operation: Operation) -> Option<&Limit> {
        let mut own = self.own_quotas.iter();
        own.find(|(it, _)| *it == operation).map(|(_, limit)| limit)
    }

    /// Calls per second that are repeated for as long as there is time.
    pub fn storm(&self, models: usize) -> f64 {
        let endless = |trouble: &&Trouble| trouble.is_permanent();
        let faults = self.faults.iter().filter(endless);
        let troubled: usize = faults
            .map(|trouble| {
                if trouble.resource.is_some() {
                    1
                } else {
                    models
                }
            })
            .sum();
        let dry = self.quota.as_ref().is_some_and(|quota| quota.left() < 1.0);
        (2 * troubled.min(models) + 4 * usize::from(dry)) as f64
    }
}

impl Limit {
    pub fn new(chance: &mut Chance) -> Self {
        let per_second = chance.weighed(&[(10, 1.0), (25, 2.0), (40, 5.0), (15, 10.0), (10, 50.0)]);
        Self {
            per_second,
            background: chance.weighed(&[(75, 0.0), (22, 0.4), (3, 1.0)]) * per_second,
            burst: chance.number(1..=6),
            throttle_with: chance.weighed(&[
                (1, ThrottleWith::ThrottlingException),
                (1, ThrottleWith::ProvisionedThroughputExceededException),
                (1, ThrottleWith::Alternating),
            ]),
        }
    }

    /// A quota of its own for one operation.
    pub fn of_operation(chance: &mut Chance, per_second: f64) -> Self {
        Self {
            per_second,
            background: 0.0,
            burst: chance.number(1..=6),
            throttle_with: ThrottleWith::Alternating,
        }
    }

    /// The calls per second that the other client leaves.
    pub fn left(&self) -> f64 {
        self.per_second - self.background
    }

    fn quota(&self) -> Quota {
        let quota = Quota::per_second(self.per_second)
            .burst(self.burst)
            .background_calls_per_second(self.background)
            .throttle_with(self.throttle_with);
        match self.is_for_each_operation() {
            true => quota.for_each_operation(),
            false => quota,
        }
    }

    /// Whether it applies to each operation rather than to all together. Derived from an earlier
    /// draw, because one more would give every seed a different night.
    pub fn is_for_each_operation(&self) -> bool {
        matches!(self.burst, 3 | 5)
    }
}

impl Denial {
    fn new(chance: &mut Chance, models: &[Model]) -> Self {
        let operation = chance.weighed(&OPERATIONS);
        let some = operation != Operation::DescribeProjects && !models.is_empty();
        let resource = (some && chance.percent(60)).then(|| {
            let model = chance.one_of(models);
            match operation {
                Operation::DescribeProjectVersions => model.project_arn_prefix(),
                _ if chance.percent(50) => model.project_arn_prefix(),
                _ => model.arn.clone(),
            }
        });
        Self {
            operation,
            resource,
        }
    }
}

impl Trouble {
    fn new(chance: &mut Chance, models: &[Model]) -> Self {
        let operation = (!chance.percent(12)).then(|| chance.weighed(&OPERATIONS));
        let some = operation != Some(Operation::DescribeProjects) && !models.is_empty();
        let resource = (some && chance.percent(55)).then(|| {
            let model = chance.one_of(models);
            match operation {
                Some(Operation::DescribeProjectVersions) => model.project.clone(),
                _ => model.arn.clone(),
            }
        });
        let is_list = operation.is_some_and(|operation| LISTS.contains(&operation));
        let page = (is_list && chance.percent(30)).then(|| chance.number(2..=4));
        let first = chance.weighed(&[(6, 1), (1, 2), (1, 3), (1, 7)]);
        let count = chance.weighed(&[(30, 1), (25, 3), (20, 6), (8, 20), (12, u32::MAX)]);
        Self {
            kind: kind(chance, operation, is_list),
            operation,
            resource,
            account: None,
            region: None,
            page,
            struck: Struck::Arrivals(first, count.saturating_add(first - 1)),
            after_effect: chance.percent(35),
        }
    }

    /// A server error with a code, both of them out of the ordinary.
    pub fn of_a_server(chance: &mut Chance) -> Self {
        Self {
            kind: FaultKind::Error {
                code: (*chance.one_of(&["ServiceUnavailable", "Overloaded"])).to_owned(),
                http_status: Some(*chance.one_of(&[501, 507, 529])),
                message: "by chance".to_owned(),
            },
            operation: Some(chance.weighed(&OPERATIONS)),
            resource: None,
            account: None,
            region: None,
            page: None,
            struck: Struck::Arrivals(1, chance.number(1..=5)),
            after_effect: chance.percent(35),
        }
    }

    /// Trouble that affects all calls of one operation forever.
    fn of_operation(chance: &mut Chance) -> Self {
        let throttling = error("ThrottlingException");
        let failing = FaultKind::HttpStatus(500, String::new());
        let kinds = [
            (3, throttling),
            (2, FaultKind::Hang),
            (3, failing),
            (2, FaultKind::Reset),
            (1, FaultKind::EmptyBody),
        ];
        let kind = chance.weighed(&kinds);
        Self::for_ever(kind, chance.weighed(&OPERATIONS_APART))
    }

    /// Trouble that strikes some of the calls of an operation, or of all, and lets each of them
    /// through at last; or some for ever, while the others work.
    pub fn of_some_calls(chance: &mut Chance, operation: Option<Operation>) -> Self {
        let lot = chance.lot();
        let share = chance.number(10..=60);
        let is_of_projects = operation.is_none_or(|it| it == Operation::DescribeProjects);
        let unavailable = FaultKind::HttpStatus(503, String::new());
        let service = operation.map_or(Service::Rekognition, Operation::service);
        let throttled = match service {
            Service::Sts => error("Throttling"),
            Service::Organizations => error("TooManyRequestsException"),
            Service::Rekognition | Service::CloudTrail => error("ThrottlingException"),
        };
        let signature = match service {
            Service::Sts => SIGNATURE[1],
            _ => SIGNATURE[0],
        };
        let signature = error(signature);
        let burst = Struck::Arrivals(1, chance.number(8..=32));
        let (kind, struck) = chance.weighed(&[
            (3, (throttled.clone(), Struck::Attempts(share, lot))),
            (2, (throttled.clone(), Struck::FirstOfEach(2))),
            (2, (throttled, burst)),
            (3, (unavailable.clone(), Struck::Attempts(share, lot))),
            (1, (unavailable, Struck::FirstOfEach(2))),
            (3, (FaultKind::Hang, Struck::Attempts(share / 2, lot))),
            // Which projects are asked for together is the program's choice.
            (
                3 * u32::from(!is_of_projects),
                (FaultKind::Hang, Struck::Calls(share / 3, lot)),
            ),
            (2, (FaultKind::Hang, Struck::Connections(share / 3, lot))),
            (2, (FaultKind::Hang, Struck::FirstOfEach(1))),
            (2, (FaultKind::Truncated, Struck::FirstOfEach(1))),
            (1, (FaultKind::Hang, Struck::Arrivals(1, u32::MAX))),
            (2, (signature, Struck::FirstOfEach(1))),
        ]);
        // A connection that hangs does so whatever is asked for.
        let is_of_all = matches!(struck, Struck::Connections(..));
        Self::scattered(kind, operation.filter(|_| !is_of_all), struck)
    }

    /// All descriptions of the versions of one name fail, or are never answered.
    fn of_a_description(chance: &mut Chance) -> Self {
        let failing = FaultKind::HttpStatus(500, String::new());
        let kind = chance.weighed(&[(2, failing), (1, FaultKind::Hang)]);
        Self {
            resource: Some(format!("v{}", chance.number(0..=3))),
            ..Self::for_ever(kind, Operation::DescribeProjectVersions)
        }
    }

    fn scattered(kind: FaultKind, operation: Option<Operation>, struck: Struck) -> Self {
        Self {
            kind,
            operation,
            resource: None,
            account: None,
            region: None,
            page: None,
            struck,
            after_effect: false,
        }
    }

    /// Trouble of this kind that affects all calls of this operation.
    pub fn for_ever(kind: FaultKind, operation: Operation) -> Self {
        Self::scattered(kind, Some(operation), Struck::Arrivals(1, u32::MAX))
    }

    /// Whether it never ends on its own.
    pub fn is_permanent(&self) -> bool {
        matches!(self.struck, Struck::Arrivals(_, u32::MAX))
    }

    /// What goes wrong, and which calls it strikes, in two words.
    pub fn name(&self) -> String {
        let struck = match self.struck {
            Struck::Arrivals(_, u32::MAX) => "for ever",
            Struck::Arrivals(..) => "for a time",
            Struck::FirstOfEach(_) => "at first",
            Struck::Attempts(..) => "by attempt",
            Struck::Calls(..) => "by call",
            Struck::Connections(..) => "by connection",
        };
        match &self.kind {
            FaultKind::Error { code, .. } => format!("{code} {struck}"),
            kind => format!("{} {struck}", kind.name()),
        }
    }

    fn fault(&self) -> Fault {
        let fault = Fault::new(self.kind.clone());
        let mut fault = match self.struck {
            Struck::Arrivals(first, last) => fault.attempts(first..=last),
            Struck::FirstOfEach(last) => fault.attempts(..=last).of_each_call(),
            Struck::Attempts(percent, lot) => fault.share_of_attempts(percent, lot),
            Struck::Calls(percent, lot) => fault.share_of_calls(percent, lot),
            Struck::Connections(percent, lot) => fault.share_of_connections(percent, lot),
        };
        if let Some(operation) = self.operation {
            fault = fault.operation(operation);
        }
        if let Some(resource) = &self.resource {
            fault = fault.resource(resource);
        }
        if let Some(account) = &self.account {
            fault = fault.account(account);
        }
        if let Some(region) = self.region {
            fault = fault.region(region);
        }
        if let Some(page) = self.page {
            fault = fault.page(page);
        }
        match self.after_effect {
            true => fault.after_effect(),
            false => fault,
        }
    }
}

/// An error of the service under this code.
pub fn error(code: &str) -> FaultKind {
    FaultKind::Error {
        code: code.to_owned(),
        http_status: None,
        message: "by chance".to_owned(),
    }
}

fn kind(chance: &mut Chance, operation: Option<Operation>, is_list: bool) -> FaultKind {
    let has_status = matches!(
        operation,
        Some(Operation::StopProjectVersion | Operation::DescribeProjectVersions)
    );
    match chance.number(0..=if has_status { 9 } else { 8 }) {
        0..=2 => error(chance.weighed(&ERRORS)),
        3 => {
            let body = *chance.one_of(&["", "<html>", "{}"]);
            FaultKind::HttpStatus(*chance.one_of(&HTTP_STATUSES), body.to_owned())
        }
        4 => FaultKind::Reset,
        5 => FaultKind::Hang,
        6 => FaultKind::Delay(chance.duration(0..=25)),
        7 if is_list && chance.percent(25) => FaultKind::Garbage(NO_LIST.to_owned()),
        7 => FaultKind::Garbage((*chance.one_of(&GARBAGE)).to_owned()),
        8 if chance.percent(50) => FaultKind::EmptyBody,
        8 => FaultKind::Truncated,
        _ => FaultKind::StatusOverride((*chance.one_of(&STATUSES)).to_owned()),
    }
}
