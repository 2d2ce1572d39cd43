//! What goes wrong in a night: how slow the service is, its quotas, the missing permissions and the
//! faults.

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, FaultKind, Operation, Quota, Service, ThrottleWith};

use super::chance::Chance;
use super::night::Model;
use super::organization::Organization;
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
    pub faults: Vec<Trouble>,
}

/// A quota of calls a second, of which another client takes a part.
#[derive(Clone, Debug)]
pub struct Limit {
    pub per_second: f64,
    pub background: f64,
    pub burst: u32,
    /// Whether it is for each operation, and not for all together.
    pub is_for_each_operation: bool,
}

/// A fault, and the calls that it affects.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub kind: FaultKind,
    pub operation: Option<Operation>,
    /// A model's ARN, a project's or a version's name, a role's ARN, or the ID of a parent.
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

/// Every call.
pub const ALWAYS: Struck = Struck::Arrivals(1, u32::MAX);

/// The operations of Rekognition that the program calls, with the weight of each.
const OPERATIONS: [(u32, Operation); 4] = [
    (35, Operation::StopProjectVersion),
    (25, Operation::DescribeProjectVersions),
    (15, Operation::DescribeProjects),
    (25, Operation::ListTagsForResource),
];
/// The lists of Rekognition, and those of an organization.
pub const LISTS: [Operation; 2] = [
    Operation::DescribeProjects,
    Operation::DescribeProjectVersions,
];
const ACCOUNT_LISTS: [Operation; 3] = [
    Operation::ListAccounts,
    Operation::ListAccountsForParent,
    Operation::ListOrganizationalUnitsForParent,
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
/// The codes with which STS refuses a role for good.
pub const ROLE_REFUSED: [&str; 2] = ["AccessDenied", "RegionDisabledException"];
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

    /// Weather in which anything may happen to these models.
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
        // Missing permissions come first.
        let denials = chance.weighed(&[(88, 0), (10, 1), (2, 2)]);
        let denials: Vec<Trouble> = (0..denials)
            .map(|_| Trouble {
                kind: error("AccessDeniedException"),
                page: None,
                struck: ALWAYS,
                after_effect: false,
                ..Trouble::new(chance, models)
            })
            .collect();
        let faults = (0..faults).map(|_| Trouble::new(chance, models));
        let faults = denials.into_iter().chain(faults).collect();
        Self {
            latency: Duration::from_millis(latency),
            page_size,
            quota: is_limited.then(|| Limit::new(chance)),
            faults,
            ..Self::default()
        }
    }

    /// Weather in which one kind of trouble is spread over the calls of one operation, or of all,
    /// and nothing else is the matter but perhaps quotas, which may be far apart.
    pub fn of_one_kind(chance: &mut Chance, regions: &[&'static str]) -> Self {
        let mut weather = Self {
            latency: Duration::from_millis(chance.weighed(&[(30, 0), (50, 80), (20, 400)])),
            page_size: chance.weighed(&[(3, 100), (1, 10)]),
            ..Self::default()
        };
        if chance.percent(45) {
            let slow = chance.percent(50).then(|| chance.weighed(&OPERATIONS));
            for (_, operation) in OPERATIONS {
                let per_second = match Some(operation) == slow {
                    true => 1.0,
                    false => chance.weighed(&[(1, 2.0), (4, 5.0), (2, 10.0), (1, 50.0)]),
                };
                let quota = Limit::of_operation(chance, per_second);
                weather.own_quotas.push((operation, quota));
            }
        }
        let operation = (!chance.percent(20)).then(|| chance.weighed(&OPERATIONS));
        match chance.number(0..=11) {
            0 => weather.connecting = chance.duration(1..=8),
            // All descriptions of the versions of one name.
            1 => weather.faults.push(Trouble {
                resource: Some(format!("v{}", chance.number(0..=3))),
                ..Trouble::of(
                    chance.weighed(&[(2, failing(500)), (1, FaultKind::Hang)]),
                    Some(Operation::DescribeProjectVersions),
                    ALWAYS,
                )
            }),
            2 => weather.faults.push(Trouble {
                region: Some(*chance.one_of(regions)),
                ..Trouble::of(FaultKind::Hang, None, ALWAYS)
            }),
            3 => {}
            _ => weather.faults.push(Trouble::spread(chance, operation)),
        }
        weather
    }

    /// The weather of a night over an organization.
    pub fn over(chance: &mut Chance, organization: &Organization) -> Self {
        let page_size = chance.weighed(&[(30, 1), (30, 5), (40, 20)]);
        let mut weather = Self {
            latency: Duration::from_millis(chance.weighed(&[(30, 0), (60, 30), (10, 300)])),
            page_size: chance.number(1..=page_size),
            ..Self::default()
        };
        if chance.percent(30) {
            // So that many accounts are known at once.
            weather.page_size = 20;
            let operation = match chance.number(0..=9) {
                0 => {
                    weather.connecting = chance.duration(1..=8);
                    return weather;
                }
                1 => {
                    let account = Some(chance.one_of(&organization.accounts).id.clone());
                    weather.faults = Trouble::of_scopes(&FaultKind::Hang, account, None);
                    return weather;
                }
                2..=6 => Operation::AssumeRole,
                7 => *chance.one_of(&ACCOUNT_LISTS),
                _ => chance.weighed(&OPERATIONS),
            };
            let trouble = Trouble::spread(chance, Some(operation));
            weather.faults.push(trouble);
            return weather;
        }
        // Each on its own as well as together: together they leave little that must work.
        if chance.percent(25) {
            weather.draw_quotas(chance);
        }
        if chance.percent(35) {
            for _ in 0..chance.weighed(&[(50, 1), (35, 3), (15, 20)]) {
                let trouble = Trouble::of_role(chance, organization);
                weather.faults.push(trouble);
            }
        }
        if chance.percent(25) {
            for _ in 0..chance.number(1..=2) {
                let region = Trouble::of_region(chance, organization);
                weather.faults.extend(region);
            }
        }
        if chance.percent(20) {
            let trouble = Trouble::of_account_list(chance, organization);
            weather.faults.push(trouble);
        }
        weather
    }

    fn draw_quotas(&mut self, chance: &mut Chance) {
        if chance.percent(50) {
            self.quota = Some(Limit {
                background: 0.0,
                ..Limit::new(chance)
            });
        }
        for operation in ACCOUNT_LISTS.into_iter().chain([Operation::AssumeRole]) {
            if chance.percent(50) {
                let per_second = chance.weighed(&[(1, 1.0), (2, 4.0), (1, 20.0)]);
                let quota = Limit::of_operation(chance, per_second);
                self.own_quotas.push((operation, quota));
            }
        }
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
        emulator.clear_faults();
        for trouble in &self.faults {
            emulator.add_fault(trouble.fault());
        }
    }

    pub fn own_quota(&self, operation: Operation) -> Option<&Limit> {
        let mut own = self.own_quotas.iter();
        own.find(|(it, _)| *it == operation).map(|(_, limit)| limit)
    }

    /// The most time that a night with this many models or accounts may have: this many seconds,
    /// divided by how many of them may fail in all their calls. What fails for ever is retried for
    /// ever: without this, a few nights would take most of the time.
    pub fn affordable(&self, subjects: usize, seconds: f64) -> Duration {
        let endless = self.faults.iter().filter(|trouble| trouble.is_permanent());
        let troubled = endless.map(|trouble| match &trouble.resource {
            Some(_) => 1,
            None => subjects,
        });
        let dry = self.quota.as_ref().filter(|quota| quota.left() < 1.0);
        let troubled = troubled.sum::<usize>() + dry.map_or(0, |_| 2);
        Duration::from_secs_f64((seconds / troubled.max(1) as f64).max(5.0))
    }
}

impl Limit {
    fn new(chance: &mut Chance) -> Self {
        let per_second = chance.weighed(&[(10, 1.0), (25, 2.0), (40, 5.0), (15, 10.0), (10, 50.0)]);
        Self {
            background: chance.weighed(&[(75, 0.0), (22, 0.4), (3, 1.0)]) * per_second,
            is_for_each_operation: chance.percent(35),
            ..Self::of_operation(chance, per_second)
        }
    }

    /// The own quota of one operation.
    fn of_operation(chance: &mut Chance, per_second: f64) -> Self {
        Self {
            per_second,
            background: 0.0,
            burst: chance.number(1..=6),
            is_for_each_operation: false,
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
            .throttle_with(ThrottleWith::Alternating);
        match self.is_for_each_operation {
            true => quota.for_each_operation(),
            false => quota,
        }
    }
}

impl Trouble {
    /// Trouble with the calls of an operation, or with all.
    fn of(kind: FaultKind, operation: Option<Operation>, struck: Struck) -> Self {
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

    /// Any trouble, of all calls of an operation or of those for one model.
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
        let first = chance.weighed(&[(6, 1), (1, 2), (1, 3), (1, 7)]);
        let count = chance.weighed(&[(30, 1), (25, 3), (20, 6), (8, 20), (12, u32::MAX)]);
        let struck = Struck::Arrivals(first, count.saturating_add(first - 1));
        Self {
            resource,
            page: (is_list && chance.percent(30)).then(|| chance.number(2..=4)),
            after_effect: chance.percent(35),
            ..Self::of(kind(chance, operation, is_list), operation, struck)
        }
    }

    /// Trouble that strikes some of the calls of an operation, or of all, and lets each of them
    /// through at last; or some for ever, while the others work.
    fn spread(chance: &mut Chance, operation: Option<Operation>) -> Self {
        let lot = chance.lot();
        let share = chance.number(10..=60);
        let (throttled, signature) = match operation.map(Operation::service) {
            Some(Service::Sts) => ("Throttling", SIGNATURE[1]),
            Some(Service::Organizations) => ("TooManyRequestsException", SIGNATURE[0]),
            _ => ("ThrottlingException", SIGNATURE[0]),
        };
        let (throttled, signature) = (error(throttled), error(signature));
        let (hang, cut_off) = (FaultKind::Hang, FaultKind::Truncated);
        let attempts = Struck::Attempts(share, lot);
        // Which projects are asked for together is the program's choice.
        let is_of_projects = operation.is_none_or(|it| it == Operation::DescribeProjects);
        let calls = |share| match is_of_projects {
            true => Struck::Attempts(share, lot),
            false => Struck::Calls(share, lot),
        };
        let (kind, struck) = chance.weighed(&[
            (3, (throttled.clone(), attempts)),
            (2, (throttled.clone(), Struck::FirstOfEach(2))),
            (2, (throttled.clone(), Struck::Arrivals(1, 20))),
            (2, (throttled, ALWAYS)),
            (3, (failing(503), attempts)),
            (1, (failing(503), Struck::FirstOfEach(2))),
            (2, (failing(500), calls(share))),
            (2, (failing(500), ALWAYS)),
            (3, (hang.clone(), Struck::Attempts(share / 2, lot))),
            (3, (hang.clone(), calls(share / 3))),
            (2, (hang.clone(), Struck::Connections(share / 3, lot))),
            (2, (hang.clone(), Struck::FirstOfEach(1))),
            (2, (hang, ALWAYS)),
            (2, (cut_off, Struck::FirstOfEach(1))),
            (1, (FaultKind::Reset, ALWAYS)),
            (1, (FaultKind::EmptyBody, ALWAYS)),
            (2, (signature.clone(), Struck::FirstOfEach(1))),
            (1, (signature, calls(share / 2))),
        ]);
        // A connection that hangs does so whatever is asked for.
        let is_of_all = matches!(struck, Struck::Connections(..));
        Self::of(kind, operation.filter(|_| !is_of_all), struck)
    }

    /// The role of an account hangs, fails or is throttled, for a time or for ever.
    fn of_role(chance: &mut Chance, organization: &Organization) -> Self {
        let account = &chance.one_of(&organization.accounts).id;
        let count = chance.weighed(&[(40, u32::MAX), (30, 1), (30, 4)]);
        let (kind, last) = chance.weighed(&[
            (4, (FaultKind::Hang, count)),
            (2, (failing(500), count)),
            (1, (FaultKind::Reset, count)),
            (1, (FaultKind::EmptyBody, count)),
            (2, (error("Throttling"), count)),
            // It is not called again, so it cannot end.
            (1, (error(ROLE_REFUSED[1]), u32::MAX)),
        ]);
        Self {
            resource: Some(organization.role_arn(account)),
            ..Self::of(kind, Some(Operation::AssumeRole), Struck::Arrivals(1, last))
        }
    }

    /// A region hangs, or is closed by a policy, for one account or for all.
    fn of_region(chance: &mut Chance, organization: &Organization) -> Vec<Self> {
        let account = chance.one_of(&organization.accounts).id.clone();
        let account = chance.percent(60).then_some(account);
        let denied = error("AccessDeniedException");
        let kind = chance.weighed(&[(60, FaultKind::Hang), (40, denied)]);
        Self::of_scopes(&kind, account, Some(organization.some_region(chance)))
    }

    /// All calls to Rekognition of an account and in a region, or of all.
    fn of_scopes(
        kind: &FaultKind,
        account: Option<String>,
        region: Option<&'static str>,
    ) -> Vec<Self> {
        let troubles = OPERATIONS.map(|(_, operation)| Self {
            account: account.clone(),
            region,
            ..Self::of(kind.clone(), Some(operation), ALWAYS)
        });
        troubles.into()
    }

    /// A list of the organization breaks off at a page, or fails or hangs for a time.
    fn of_account_list(chance: &mut Chance, organization: &Organization) -> Self {
        let operation = match organization.organizational_units.is_empty() {
            true => Operation::ListAccounts,
            false => *chance.one_of(&ACCOUNT_LISTS[1..]),
        };
        let (kind, last) = chance.weighed(&[
            (40, (error("AccessDeniedException"), u32::MAX)),
            (15, (FaultKind::Hang, u32::MAX)),
            (10, (FaultKind::Hang, 1)),
            (15, (failing(500), 3)),
            (20, (error("TooManyRequestsException"), 3)),
        ]);
        Self {
            page: chance.percent(70).then(|| chance.number(1..=4)),
            ..Self::of(kind, Some(operation), Struck::Arrivals(1, last))
        }
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
fn error(code: &str) -> FaultKind {
    FaultKind::Error {
        code: code.to_owned(),
        http_status: None,
        message: "by chance".to_owned(),
    }
}

/// A bare HTTP status.
fn failing(status: u16) -> FaultKind {
    FaultKind::HttpStatus(status, String::new())
}

fn kind(chance: &mut Chance, operation: Option<Operation>, is_list: bool) -> FaultKind {
    let has_status = matches!(
        operation,
        Some(Operation::StopProjectVersion | Operation::DescribeProjectVersions)
    );
    match chance.number(0..=if has_status { 10 } else { 9 }) {
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
        // A server error with a code, both of them out of the ordinary.
        9 => FaultKind::Error {
            code: (*chance.one_of(&["ServiceUnavailable", "Overloaded"])).to_owned(),
            http_status: Some(*chance.one_of(&[501, 507, 529])),
            message: "by chance".to_owned(),
        },
        _ => FaultKind::StatusOverride((*chance.one_of(&STATUSES)).to_owned()),
    }
}
