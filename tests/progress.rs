//! Progress: whatever fails, hangs or is throttled, a model that a plain client would have stopped
//! is stopped, and about as soon. A row is a run with one trouble, and the seconds by which the
//! models that can be stopped have to be.
//!
//! The clock is paused and the services are in the same process, so the times depend on what the
//! services do and on the program's own pauses alone. A bar allows for the pauses of a client that
//! gives an attempt up after ten seconds and retries each call after at most five.

mod support;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::iter::zip;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use rekognition_emulator::{Account, Call, Emulator, Fault, Operation, Quota, Role};
use serde_json::json;
use support::runs::Run;
use support::wire::Wire;
use support::{arn, arn_in, arns, handler_with, in_process, model, outcome, pattern};
use tokio::time::{Instant, sleep};

const STOP: Operation = Operation::StopProjectVersion;
const PROJECTS: Operation = Operation::DescribeProjects;
const VERSIONS: Operation = Operation::DescribeProjectVersions;
const TAGS: Operation = Operation::ListTagsForResource;
const OPERATIONS: [Operation; 4] = [STOP, PROJECTS, VERSIONS, TAGS];
const ASSUME: Operation = Operation::AssumeRole;
const ACCOUNTS: Operation = Operation::ListAccounts;

/// The function's own account, which is the organization's management account as well.
const OWN: &str = "123456789012";

/// The regions of Custom Labels, in the order of the list. Members have their models in the last.
const REGIONS: [&str; 11] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
];

/// What runs, and what a run is asked to stop.
#[derive(Clone)]
struct World {
    models: Vec<String>,
    /// The models that only have to be reported.
    hopeless: Vec<String>,
    entries: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
    /// The accounts of the organization besides the function's own, if there is one.
    members: usize,
}

impl World {
    fn new(models: Vec<String>, entries: Vec<String>) -> Self {
        Self {
            models,
            hopeless: Vec::new(),
            entries,
            variables: Vec::new(),
            members: 0,
        }
    }

    /// Nothing is asked of the models at these positions.
    fn hopeless(mut self, positions: impl IntoIterator<Item = usize>) -> Self {
        let models = positions.into_iter().map(|it| self.models[it].clone());
        self.hopeless = models.collect();
        self
    }

    /// There are these models as well.
    fn and(mut self, models: impl IntoIterator<Item = String>) -> Self {
        self.models.extend(models);
        self
    }

    fn set(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }
}

/// This many models of a project, each given by its ARN.
fn named(count: usize) -> World {
    World::new(arns(count), arns(count))
}

/// This many projects, with this many models each, which a pattern finds.
fn found(projects: usize, versions: usize) -> World {
    let models = (0..versions).flat_map(|version| {
        let version = format!("v{version:04}");
        (0..projects).map(move |number| arn(&project(number), &version))
    });
    World::new(models.collect(), vec![pattern("project-*", "*")])
}

fn project(number: usize) -> String {
    format!("project-{number:03}")
}

/// This many models given by their ARNs, and then those of this many projects, which a pattern
/// finds.
fn named_and_found(count: usize, projects: usize) -> World {
    let mut world = found(projects, 1);
    world.models.splice(..0, arns(count));
    world.entries.splice(..0, arns(count));
    world
}

/// An organization of this many accounts with a model each, swept in the first region and the last.
fn members(count: usize) -> World {
    members_everywhere(count).set("REGIONS", "us-east-1 ap-northeast-2")
}

/// The same, swept in all regions.
fn members_everywhere(count: usize) -> World {
    let models = (0..count).map(|number| member_arn(number, REGIONS[10], "v1"));
    let everything = "arn:aws:rekognition:*:*:project/*/version/*/*".to_owned();
    let world = World::new(models.collect(), vec![everything]);
    let members = count;
    World { members, ..world }.set("MEMBER_ROLE", "stopper-member")
}

fn account(number: usize) -> String {
    format!("{:012}", 1000 + number)
}

fn role(number: usize) -> String {
    format!("arn:aws:iam::{}:role/stopper-member", account(number))
}

fn member_arn(number: usize, region: &str, version: &str) -> String {
    let place = format!("{region}:{}", account(number));
    format!("arn:aws:rekognition:{place}:project/shelf/version/{version}/1700000000000")
}

/// How an attempt goes wrong on a bad day.
fn failures() -> [(&'static str, Fault); 5] {
    [
        ("is 503", unavailable()),
        ("is 500", internal()),
        ("breaks off", Fault::reset()),
        ("is throttled", throttled()),
        ("hangs", hang()),
    ]
}

fn unavailable() -> Fault {
    Fault::http_status(503, "")
}

fn internal() -> Fault {
    Fault::error_with_status("InternalServerError", 500)
}

fn throttled() -> Fault {
    Fault::error("ThrottlingException")
}

fn hang() -> Fault {
    Fault::hang()
}

/// The first attempts of each call.
fn first(attempts: u32, fault: Fault) -> Fault {
    fault.of_each_call().attempts(..=attempts)
}

/// This share of the attempts, in percent; after this many, the attempts of each call succeed.
fn share(percent: u32, attempts: u32, fault: Fault) -> Fault {
    let seed = u64::from(percent);
    fault.share_of_attempts(percent, seed).attempts(..=attempts)
}

/// All calls of Rekognition in these of the regions.
fn in_regions(regions: Range<usize>, fault: Fault) -> Vec<Fault> {
    let regions = REGIONS[regions].iter();
    let faults = regions.flat_map(|region| {
        let of = |operation| fault.clone().region(region).operation(operation);
        OPERATIONS.map(of)
    });
    faults.collect()
}

/// All attempts to assume the role in these accounts.
fn roles(accounts: impl IntoIterator<Item = usize>, fault: Fault) -> Vec<Fault> {
    let fault = fault.operation(ASSUME);
    let accounts = accounts.into_iter();
    let faults = accounts.map(|number| fault.clone().resource(&role(number)));
    faults.collect()
}

/// All calls in these accounts.
fn in_accounts(accounts: impl IntoIterator<Item = usize>, fault: Fault) -> Vec<Fault> {
    let accounts = accounts.into_iter();
    let faults = accounts.map(|number| fault.clone().account(&account(number)));
    faults.collect()
}

/// The number of first models, and the seconds by which something has to be true of them.
#[derive(Clone, Copy)]
struct Bar(usize, f64);

impl Bar {
    /// What is said if it was missed at these times.
    fn missed(
        self,
        what: &str,
        models: &[&String],
        times: &BTreeMap<String, f64>,
    ) -> Option<String> {
        let Self(count, seconds) = self;
        let models = models.iter().take(count);
        let times = models.map(|arn| times.get(*arn).copied().unwrap_or(f64::INFINITY));
        let reached = times.fold(0.0, f64::max);
        (reached > seconds).then(|| format!("{what} after {reached:.2} s instead of {seconds} s"))
    }
}

/// A run through trouble.
struct Row {
    name: String,
    world: World,
    faults: Vec<Fault>,
    /// The seconds in which there are faults.
    while_seconds: Range<u64>,
    /// Calls per second.
    quotas: Vec<(Operation, f64)>,
    latency: Duration,
    connecting: u64,
    /// Seconds for which the first models are starting.
    starting: Bar,
    stop_takes: u64,
    /// The time that the run has.
    seconds: u64,
    /// The bars: until all stops are accepted, ...
    stopped: Bar,
    /// ... those of the first models are, ...
    first: Bar,
    /// ... the first models are seen stopped, ...
    confirmed: Bar,
    /// ... and the run responds.
    response: f64,
    stop_attempts: RangeInclusive<usize>,
    /// How many calls of an operation are in flight in a region at most, and at some time.
    in_flight: Option<(Operation, &'static str, usize)>,
}

fn row(name: impl Into<String>, world: World, faults: impl Into<Vec<Fault>>, stopped: f64) -> Row {
    Row {
        name: name.into(),
        world,
        faults: faults.into(),
        while_seconds: 0..u64::MAX,
        quotas: Vec::new(),
        latency: Duration::from_millis(20),
        connecting: 0,
        starting: Bar(0, 0.0),
        stop_takes: 0,
        seconds: 60,
        stopped: Bar(usize::MAX, stopped),
        first: Bar(0, 0.0),
        confirmed: Bar(0, 0.0),
        response: f64::INFINITY,
        stop_attempts: 0..=usize::MAX,
        in_flight: None,
    }
}

/// Runs each row, and fails with every bar that was missed.
async fn check(rows: impl IntoIterator<Item = Row>) {
    let mut missed = Vec::new();
    for row in rows {
        println!("{}", row.name);
        let bars = row.run().await.into_iter();
        missed.extend(bars.map(|bar| format!("{}: {bar}", row.name)));
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

impl Row {
    /// The bars that were missed, each with what was reached.
    async fn run(&self) -> Vec<String> {
        let emulator = self.emulator();
        let wire = Wire::new(&emulator);
        wire.set_connecting(Duration::from_secs(self.connecting));
        let handler = handler_with(&emulator, &self.world.variables, in_process(wire.clone()));
        let event = json!({"model_arns": self.world.entries});
        let run = tokio::select! {
            biased;
            never = self.trouble(&emulator) => match never {},
            run = Run::new(&handler, &emulator, &event, Duration::from_secs(self.seconds)) => run,
        };

        let mut confirmed = BTreeMap::new();
        for report in wire.take_reports() {
            if report.status == "STOPPED" {
                let seconds = (report.at - run.began).as_secs_f64();
                confirmed.entry(report.model_arn).or_insert(seconds);
            }
        }
        let is_hopeless = |arn: &str| self.world.hopeless.iter().any(|it| it == arn);
        let models = self.world.models.iter();
        let models = Vec::from_iter(models.filter(|arn| !is_hopeless(arn)));
        let bars = [
            self.stopped.missed("all stopped", &models, &run.stops),
            self.first.missed("the first stopped", &models, &run.stops),
            self.confirmed
                .missed("the first confirmed", &models, &confirmed),
        ];
        let mut missed = Vec::from_iter(bars.into_iter().flatten());
        let response = self.response.min(self.seconds as f64);
        if run.took > response {
            missed.push(format!(
                "a response after {} s instead of {response} s",
                run.took
            ));
        }
        let mut unexpected = run.report.models.iter().filter(|row| {
            let is_stopped = ["stopped", "already_stopped"].contains(&outcome(row));
            !is_stopped && !is_hopeless(&row.model_arn)
        });
        if let Some(row) = unexpected.next() {
            let others = unexpected.count();
            missed.push(format!(
                "{} and {others} others: {}",
                row.model_arn,
                outcome(row)
            ));
        }
        let stops = emulator.count(STOP);
        if !self.stop_attempts.contains(&stops) {
            missed.push(format!("{stops} stops instead of {:?}", self.stop_attempts));
        }
        if let Some((operation, region, expected)) = self.in_flight {
            let most = most_in_flight(&emulator.calls(), operation, region);
            if most != expected {
                missed.push(format!("{most} calls in flight instead of {expected}"));
            }
        }
        missed
    }

    fn emulator(&self) -> Emulator {
        let emulator = Emulator::builder().latency(self.latency).in_process();
        if self.world.members > 0 {
            emulator.add_account(Account::new(OWN));
        }
        for number in 0..self.world.members {
            emulator.add_account(Account::new(&account(number)));
            let trusted = format!("arn:aws:iam::{OWN}:role/stopper");
            emulator.add_role(Role::new(&role(number)).unwrap().trusts(&trusted));
        }
        let Bar(starting, takes) = self.starting;
        for (number, arn) in self.world.models.iter().enumerate() {
            let status = ["RUNNING", "STARTING"][usize::from(number < starting)];
            emulator.add_model(model(arn, status).start_takes(Duration::from_secs_f64(takes)));
        }
        emulator.set_stop_takes(Duration::from_secs(self.stop_takes));
        for (operation, per_second) in &self.quotas {
            emulator.set_operation_quota(*operation, Some(Quota::per_second(*per_second)));
        }
        emulator
    }

    /// Lets the faults begin and end.
    async fn trouble(&self, emulator: &Emulator) -> Infallible {
        let Range { start, end } = self.while_seconds;
        if start > 0 {
            sleep(Duration::from_secs(start)).await;
        }
        for fault in &self.faults {
            emulator.add_fault(fault.clone());
        }
        sleep(Duration::from_secs(end - start)).await;
        emulator.clear_faults();
        pending().await
    }
}

/// The most calls of an operation that were in flight at once, in regions that begin so.
fn most_in_flight(calls: &[Call], operation: Operation, region: &str) -> usize {
    let calls = calls.iter();
    let calls = calls.filter(|it| it.operation == operation && it.region.starts_with(region));
    let mut moments: Vec<(Instant, i32)> = Vec::new();
    for call in calls {
        moments.push((call.at, 1));
        moments.extend(call.ended.map(|ended| (ended, -1)));
    }
    // At the same moment, what ends does so before what begins.
    moments.sort();
    let mut in_flight = 0;
    let mut most = 0;
    for (_, change) in moments {
        in_flight += change;
        most = most.max(in_flight);
    }
    usize::try_from(most).unwrap()
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn attempts_that_fail_at_first_cost_their_time_once() {
    let twice = || [first(2, throttled())];
    let mut rows = vec![
        row("each call hangs once: named", named(8), [first(1, hang())], 13.0),
        // Four calls one after the other.
        row("each call hangs once: found", found(4, 2), [first(1, hang())], 50.0),
        Row { response: 8.0, ..row("each is throttled twice: named", named(8), twice(), 8.0) },
        row("each is throttled twice: found", found(1, 8), twice(), 16.0),
        row("each is throttled twice: members", members(20), twice(), 30.0),
        // Sixteen at once.
        Row { in_flight: Some((ASSUME, "us-east-1", 16)),
            ..row("each AssumeRole hangs once", members(30),
                [first(1, hang().operation(ASSUME))], 30.0) },
        // In groups of eight, of which each takes ten seconds, four calls one after the other.
        Row { seconds: 300,
            ..row("each call in a region hangs once", members(30),
                [first(1, hang().region(REGIONS[10]))], 200.0) },
        // Two members are late, and the others need not wait for them.
        Row { first: Bar(18, 2.0),
            ..row("four AssumeRole of two members are 503", members(20),
                roles(18..20, first(4, unavailable())), 20.0) },
    ];
    for (way, world, operations) in [
        ("named", named(8), &OPERATIONS[..3]),
        ("found", found(1, 8), &OPERATIONS),
    ] {
        for operation in operations {
            let name = format!("each {operation} hangs once: {way}");
            let hangs = first(1, hang().operation(*operation));
            rows.push(Row { response: 32.0, ..row(name, world.clone(), [hangs], 13.0) });
        }
    }
    for (what, fault, bar) in [
        ("is 503", unavailable(), 12.0),
        ("is throttled", throttled(), 12.0),
        ("hangs", hang(), 24.0),
    ] {
        let page = |page, fault: &Fault| fault.clone().operation(ACCOUNTS).page(page);
        let once = [1, 3].map(|number| page(number, &fault).attempts(..=1));
        let name = format!("the first attempt at pages 1 and 3 of the accounts {what}");
        rows.push(row(name, members(45), once, bar));
    }
    // What is on the pages before does not wait.
    let page = |operation, page| [hang().operation(operation).page(page).attempts(..=2)];
    rows.push(Row { first: Bar(35, 2.0),
        ..row("page 3 of the accounts hangs twice", members(45), page(ACCOUNTS, 3), 27.0) });
    rows.push(Row { first: Bar(100, 3.0),
        ..row("page 2 of the projects hangs twice", found(120, 1), page(PROJECTS, 2), 26.0) });
    for (what, fault) in [("is 503", unavailable()), ("hangs", hang())] {
        let lost = fault.operation(STOP).attempts(..=16).after_effect();
        rows.push(Row { stop_takes: 3, response: 40.0,
            ..row(format!("the response to a stop {what}"), named(8), [lost], 1.0) });
    }
    for (way, world, response) in [("named", named(8), 10.0), ("found", found(1, 8), 14.0)] {
        rows.push(Row { connecting: 4, response,
            ..row(format!("connecting takes 4 s: {way}"), world, [], 14.0) });
    }
    check(rows).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn attempts_that_fail_now_and_then_cost_a_few_seconds() {
    let of = |percent, operation, fault: Fault| {
        [share(percent, u32::MAX, fault.operation(operation))]
    };
    let mut rows = vec![
        row("half of the lists are 503", found(50, 1), of(50, VERSIONS, unavailable()), 12.0),
        row("a third of 100 stops is 503", named(100), of(33, STOP, unavailable()), 12.0),
        row("half of AssumeRole is throttled", members(100), of(50, ASSUME, throttled()), 25.0),
        row("half of AssumeRole is 503", members(30), of(50, ASSUME, unavailable()), 15.0),
        row("half of AssumeRole breaks off", members(30), of(50, ASSUME, Fault::reset()), 15.0),
    ];
    for operation in OPERATIONS {
        // Throttled half of the time, an operation is as slow as its pace may be: forty attempts,
        // half a second apart. Those that hang take twice ten seconds and a pause after each.
        for ((what, fault), (percent, attempts, bar)) in zip(failures(), [
            (50, 5, 20.0), (50, 5, 20.0), (50, 5, 20.0), (50, 5, 27.0), (25, 2, 27.0),
        ]) {
            let name = format!("{percent} % of {operation} {what}");
            let fault = share(percent, attempts, fault.operation(operation));
            rows.push(row(name, found(5, 4), [fault], bar));
        }
    }
    let any = |attempts| {
        let shares = zip(8.., failures()).map(|(percent, (_, it))| share(percent, attempts, it));
        Vec::from_iter(shares)
    };
    rows.push(Row { seconds: 300, stop_takes: 20, response: 240.0,
        ..row("two of five attempts fail, in any way", found(5, 4), any(3), 60.0) });
    rows.push(Row { seconds: 300,
        ..row("two of five attempts fail: members", members(40), any(2), 90.0) });
    check(rows).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn after_an_outage_or_a_burst_of_throttling_nothing_is_held_back_for_long() {
    let mut rows = Vec::new();
    // The last attempt of the outage may hang ten seconds into the time after it.
    for ((what, fault), bar) in zip(failures(), [40.0, 40.0, 40.0, 40.0, 46.0]) {
        for (way, world) in [("named", named(8)), ("found", found(1, 8))] {
            let name = format!("everything {what} for 30 s: {way}");
            rows.push(Row { while_seconds: 0..30, ..row(name, world, [fault.clone()], bar) });
        }
    }
    for begin in [0, 5] {
        // Half a minute, and 300 calls of which the quota lets 20 through in a second.
        rows.push(Row { while_seconds: begin..begin + 30, quotas: vec![(STOP, 20.0)], seconds: 120,
            ..row(format!("everything is throttled from {begin} s on, under a quota"),
                named(300), [throttled()], 56.0) });
    }
    for (operation, world, bar) in [
        (STOP, found(1, 8), 18.0),
        (TAGS, found(1, 8), 18.0),
        // A single call that is throttled as often has as many pauses.
        (PROJECTS, found(1, 8), 88.0),
        (VERSIONS, found(1, 8), 88.0),
        (ASSUME, members(20), 8.0),
        (ACCOUNTS, members(20), 48.0),
    ] {
        let burst = throttled().operation(operation).attempts(..=16);
        let name = format!("16 of {operation} are throttled");
        rows.push(Row { seconds: 120, ..row(name, world, [burst], bar) });
    }
    check(rows).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_quota_is_used_and_holds_up_its_own_operation_alone() {
    let each = |per_second| OPERATIONS.map(|operation| (operation, per_second)).to_vec();
    check([
        Row { quotas: vec![(STOP, 5.0)], ..row("5 stops a second", named(55), [], 12.5) },
        // Not the tags first, and then the stops.
        Row { quotas: vec![(TAGS, 10.0), (STOP, 10.0)],
            ..row("10 tags and 10 stops a second", found(1, 100), [], 11.5) },
        Row { quotas: vec![(TAGS, 1.0)], stop_takes: 5, confirmed: Bar(2, 20.0),
            ..row("1 tag a second", named_and_found(2, 30), [], 45.0) },
        // Lists of versions and checks take turns.
        Row { quotas: each(5.0), stop_takes: 60, seconds: 300,
            ..row("5 calls a second: 100 projects", found(100, 1), [], 35.0) },
        Row { quotas: each(5.0), stop_takes: 5, seconds: 300, confirmed: Bar(2, 12.0),
            ..row("5 calls a second: 2 models, 100 projects", named_and_found(2, 100), [], 35.0) },
    ])
    .await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn what_always_fails_holds_up_nothing_else() {
    // These of the named models.
    let stops = |numbers: Range<usize>, fault: Fault| {
        let arns = arns(numbers.end).split_off(numbers.start);
        Vec::from_iter(arns.iter().map(|arn| fault.clone().operation(STOP).resource(arn)))
    };
    // One of the found models, or its project.
    let found_one = |number, operation, fault: Fault| {
        let project = project(number);
        let resource = if operation == VERSIONS { &project } else { &arn(&project, "v0000") };
        fault.operation(operation).resource(resource)
    };
    let one_at_a_time = |world: World| world.set("MAX_CONCURRENCY", "1");
    let mut rows = vec![
        row("1 stop of 101 is 503", named(101).hopeless([50]), stops(50..51, unavailable()), 2.0),
        row("2 stops of 20 hang", named(20).hopeless([0, 1]), stops(0..2, hang()), 2.0),
        row("10 stops of 20 hang", named(20).hopeless(0..10), stops(0..10, hang()), 15.0),
        row("8 stops of 20 are 500, 2 at a time",
            named(20).hopeless(0..8).set("MAX_CONCURRENCY", "2"), stops(0..8, internal()), 5.0),
        row("1 stop of 10 hangs, 1 at a time",
            one_at_a_time(named(10).hopeless([0])), stops(0..1, hang()), 12.0),
        // What was found is confirmed between the lists that hang.
        Row { seconds: 120, stop_takes: 5, confirmed: Bar(2, 40.0),
            ..row("20 lists of 100 hang", named_and_found(2, 100).hopeless(2..22),
                Vec::from_iter((0..20).map(|number| found_one(number, VERSIONS, hang()))), 40.0) },
        // One call at a time is one of each operation.
        Row { latency: Duration::from_millis(500), confirmed: Bar(10, 20.0),
            ..row("tags hang, 1 at a time",
                one_at_a_time(named_and_found(10, 10).hopeless(10..20)),
                [hang().operation(TAGS)], 6.0) },
    ];
    for operation in [STOP, VERSIONS, TAGS] {
        for (what, fault, bar) in [("is throttled", throttled(), 10.0), ("hangs", hang(), 2.0)] {
            // Lists and checks that are throttled take their time.
            let seconds = if operation == VERSIONS { 120 } else { 30 };
            rows.push(Row { seconds,
                ..row(format!("{operation} for one of 50 {what}"), found(50, 1).hopeless([7]),
                    [found_one(7, operation, fault)], bar) });
        }
    }
    for (count, what, fault) in [
        (10, "is 500", internal()),
        (10, "hangs", hang()),
        (30, "hangs", hang()),
    ] {
        let last = fault.operation(VERSIONS).resource(&format!("v{:04}", count - 1));
        let name = |how| format!("the description of one of {count} {how} models {what}");
        let world = || named(count).hopeless([count - 1]);
        rows.push(Row { confirmed: Bar(count - 1, 20.0),
            ..row(name("running"), world(), [last.clone()], 1.0) });
        rows.push(Row { starting: Bar(count, 2.0),
            ..row(name("starting"), world(), [last], 20.0) });
    }
    for (what, fault) in [("is 500", internal()), ("hangs", hang())] {
        let lookup = fault.operation(PROJECTS).resource(&project(3));
        let name = |way| format!("the lookup of one of 10 projects {what}: {way}");
        let models = || found(10, 1).models;
        let patterns = (0..10).map(|number| pattern(&project(number), "*"));
        let world = |entries| World::new(models(), entries).hopeless([3]);
        rows.push(Row { confirmed: Bar(9, 20.0),
            ..row(name("named"), world(models()), [lookup.clone()], 1.0) });
        rows.push(row(name("found"), world(patterns.collect()), [lookup], 20.0));
    }
    for most in ["1", "8", "64"] {
        // The region is taken to be silent after ten seconds, and has few calls then. The named
        // models are seen running at the check after fifteen seconds.
        let world = named_and_found(10, 80).hopeless(10..90).set("MAX_CONCURRENCY", most);
        let name = format!("tags hang while 10 models start, {most} at a time");
        let hangs = [hang().operation(TAGS)];
        rows.push(Row { starting: Bar(10, 12.0), ..row(name, world, hangs, 30.0) });
    }
    for (way, world) in [("named", named(6)), ("found", found(1, 6))] {
        rows.push(Row { latency: Duration::from_secs(9), seconds: 120, stop_takes: 30,
            ..row(format!("each call takes 9 s: {way}"), world, [], 60.0) });
    }
    check(rows).await;
}

/// More models of a member.
fn more(number: usize, region: usize, versions: Range<usize>) -> impl Iterator<Item = String> {
    versions.map(move |it| member_arn(number, REGIONS[region], &format!("w{it:03}")))
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_region_that_always_fails_holds_up_no_other() {
    let nine_seconds = Fault::delay(Duration::from_secs(9));
    check([
        // The response is due a second before the deadline, and a bit for each of 600 lookups.
        Row { in_flight: Some((PROJECTS, REGIONS[0], 8)), response: 58.5,
            ..row("10 regions of 11 hang", members_everywhere(60).set("MAX_CONCURRENCY", "64"),
                in_regions(0..10, hang()), 12.0) },
        Row { seconds: 15, ..row("10 regions of 11 hang, and there are 15 s",
            members_everywhere(60), in_regions(0..10, hang()), 12.0) },
        Row { seconds: 20, ..row("5 regions of 11 break off, and 5 hang", members_everywhere(20),
            [in_regions(0..5, Fault::reset()), in_regions(5..10, hang())].concat(), 15.0) },
        Row { seconds: 15, ..row("1 region of 11 is 503", members_everywhere(40),
            in_regions(5..6, unavailable()), 8.0) },
        // Four hundred lists of nine seconds, and three calls more for each model.
        Row { seconds: 300, first: Bar(40, 60.0),
            ..row("10 regions of 11 take 9 s a call",
                members_everywhere(40).and((0..40).flat_map(|it| more(it, it % 10, 0..1))),
                in_regions(0..10, nine_seconds), 150.0) },
        // More calls that hang than the process may have in flight.
        Row { seconds: 45, ..row("tags hang in one region of two",
            members(150).and((0..150).flat_map(|it| more(it, 0, 0..2))).hopeless(150..450),
            [hang().operation(TAGS).region(REGIONS[0])], 30.0) },
    ])
    .await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn an_account_that_always_fails_holds_up_no_other() {
    let two_of_three = || (0..60).filter(|number| number % 3 != 2);
    check([
        row("AssumeRole hangs for 40 of 60", members(60).hopeless(0..40),
            roles(0..40, hang()), 25.0),
        row("AssumeRole hangs for two of three", members(60).hopeless(two_of_three()),
            roles(two_of_three(), hang()), 25.0),
        // Sixty first attempts and forty second ones, sixteen at once.
        Row { seconds: 120,
            ..row("AssumeRole hangs for 40 of 60, and once for the others",
                members(60).hopeless(0..40),
                [roles(0..40, hang()), roles(40..60, first(1, hang()))].concat(), 80.0) },
        Row { seconds: 20, ..row("AssumeRole is throttled for 10 of 60",
            members(60).hopeless(0..10), roles(0..10, throttled()), 15.0) },
        row("the first 20 accounts of 60 hang", members(60).hopeless(0..20),
            in_accounts(0..20, hang()), 35.0),
        row("the last 20 accounts of 60 hang", members(60).hopeless(40..60),
            in_accounts(40..60, hang()), 35.0),
        Row { seconds: 8, ..row("20 accounts of 50 are 503", members(50).hopeless(0..20),
            in_accounts(0..20, unavailable()), 3.0) },
        Row { seconds: 8, ..row("20 accounts of 50 are throttled", members(50).hopeless(0..20),
            in_accounts(0..20, throttled()), 3.0) },
        // A quota of five a second for a hundred models, in a region in which accounts hang.
        Row { seconds: 120, quotas: OPERATIONS.map(|operation| (operation, 5.0)).to_vec(),
            ..row("20 accounts of 40 hang, and one has 100 more",
                members(40).hopeless(0..20).and(more(30, 10, 0..100)),
                in_accounts(0..20, hang()), 60.0) },
        row("tags hang in 69 accounts of 70, and one has 100 more",
            members(70).and((0..69).flat_map(|it| more(it, 10, 0..2)))
                .hopeless((0..69).chain(70..208)).and(more(69, 10, 2..102)),
            in_accounts(0..69, hang().operation(TAGS)), 30.0),
        some_operations_broken(),
    ])
    .await;
}

/// In a third of the accounts one operation fails or hangs. Of the models of each account one has
/// to be stopped at once, and the other when something hangs already.
fn some_operations_broken() -> Row {
    let broken = || (0..60).step_by(3);
    let kinds = [hang(), unavailable(), throttled()];
    let faults = broken().flat_map(|number| {
        let operation = [VERSIONS, TAGS, STOP][number % 9 / 3];
        let fault = kinds[number % 27 / 9].clone();
        in_accounts([number], fault.operation(operation))
    });
    let late = (0..60).flat_map(|number| more(number, 10, 0..1));
    let mut world = members(60);
    world.models.splice(..0, late);
    let world = world.hopeless(broken().chain(broken().map(|number| 60 + number)));
    let name = "an operation fails or hangs in one account of three";
    let row = row(name, world, Vec::from_iter(faults), 40.0);
    Row {
        starting: Bar(60, 12.0),
        seconds: 45,
        ..row
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn as_many_calls_are_in_flight_as_may_be_and_each_is_retried_every_few_seconds() {
    let regions = (0..30).flat_map(|region| {
        let region = format!("xx-test-{region}");
        (0..20).map(move |number| arn_in(&region, "shelf", &format!("v{number:02}")))
    });
    let everywhere = Vec::from_iter(regions);
    let mut rows = vec![
        Row { in_flight: Some((STOP, "us-east-1", 3)),
            ..row("3 at a time", named(40).set("MAX_CONCURRENCY", "3"), [], 2.0) },
        Row { in_flight: Some((STOP, "", 128)), latency: Duration::from_millis(100),
            ..row("64 at a time in 30 regions",
                World::new(everywhere.clone(), everywhere).set("MAX_CONCURRENCY", "64"), [], 2.0) },
    ];
    // What is throttled is as slow as its pace, which is bound to half a second.
    let counts = [25..=60, 25..=60, 25..=60, 100..=300, 7..=12];
    for ((what, fault), attempts) in zip(failures(), counts) {
        rows.push(Row { seconds: 120, stop_attempts: attempts,
            ..row(format!("a stop always {what}"), named(1).hopeless([0]), [fault], 0.0) });
    }
    check(rows).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_at_the_same_moment_are_not_all_retried_at_the_same_moment() {
    let emulator = row("", named(8), [], 0.0).emulator();
    emulator.add_fault(unavailable());
    let handler = handler_with(&emulator, &[], in_process(Wire::new(&emulator)));
    let event = json!({"model_arns": arns(8)});
    Run::new(&handler, &emulator, &event, Duration::from_secs(30)).await;
    let mut fifth: Vec<Instant> = Vec::new();
    for arn in arns(8) {
        let calls = emulator.calls().into_iter();
        let mut calls = calls.filter(|call| call.resources.contains(&arn));
        fifth.extend(calls.nth(4).map(|call| call.at));
    }
    fifth.dedup();
    assert!(fifth.len() > 4, "{fifth:?}");
}
