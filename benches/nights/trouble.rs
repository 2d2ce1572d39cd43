//! How long models keep running when something is wrong with the service, or with the way to it.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use rekognition_emulator::{Builder, Emulator, Fault, Operation};
use serde_json::{Value, json};

use crate::cgroup::LambdaBox;
use crate::front::{Obstacle, Way};
use crate::output::{Output, progress};
use crate::program::{Idle, Program, Run, Setting};
use crate::quotas::LATENCY;
use crate::support::{arns, running};
use crate::work::{
    EVERY_MODEL, MEMBER_ROLE, left, member_arn, member_role, members, regions, with_organization,
};

/// How many are measured at once: most of the time, all of them wait.
const SIDE_BY_SIDE: usize = 3;
/// How long before its deadline an answer is to come.
const LEAST_TO_SPARE: f64 = 1.0;

const STOP: Operation = Operation::StopProjectVersion;

/// What is wrong, and what is to be stopped all the same.
struct Trouble {
    name: String,
    emulator: Builder,
    event: Value,
    variables: Vec<(&'static str, &'static str)>,
    setting: Setting,
    obstacle: Option<Obstacle>,
    time_limit: Duration,
    /// The most seconds that it may be to the last stop.
    bar: f64,
}

/// What came of it.
struct Measured {
    name: String,
    setting: Setting,
    time_limit: Duration,
    bar: f64,
    run: Run,
    /// The seconds to the last stop, if there was one.
    last_stop: Option<f64>,
    left: usize,
}

/// Returns what did not keep its bar.
pub async fn measure(output: &mut Output) -> Vec<String> {
    output.table(
        &format!(
            "**In trouble**, at 20 ms a call: how long it is to the last stop, and the bar that this \
             has to keep; how many models are left running; and how long before its deadline the \
             answer came, which is to be {LEAST_TO_SPARE:.0} s. The box is Lambda's smallest size; \
             the others have a whole processor."
        ),
        &[
            "trouble",
            "",
            "deadline",
            "to the last stop",
            "bar",
            "left running",
            "to spare",
            "memory",
        ],
    );
    let mut missed = vec![];
    let mut troubles = troubles();
    if let Err(error) = LambdaBox::new() {
        progress(&format!(
            "trouble: not in the box, since no cgroup can be made here ({error})"
        ));
        troubles.retain(|trouble| !trouble.setting.is_in_the_box);
    }
    let mut all = stream::iter(troubles)
        .map(Trouble::measure)
        .buffered(SIDE_BY_SIDE);
    while let Some(measured) = all.next().await {
        output.row(&measured.cells());
        if !measured.is_kept() {
            missed.push(measured.name);
        }
    }
    missed
}

fn troubles() -> Vec<Trouble> {
    let mut all = vec![];
    for (what, fault) in [
        ("hang", Fault::hang()),
        ("break every connection", Fault::reset()),
    ] {
        for deadline in [60, 180, 240] {
            all.push(
                silent_regions(what, &fault)
                    .within(deadline, 20.0)
                    .in_the_box(),
            );
        }
    }
    all.extend([
        failing_region().within(60, 30.0).in_the_box(),
        hanging_roles().within(180, 25.0),
        Trouble::of_named(8, "whose first attempts get half of a response's head")
            .behind(Obstacle::LostFirstAttempts)
            .within(60, 13.0),
        // With all that the default settings do.
        Trouble::of_named(8, "and connecting takes 4 s")
            .confirmed()
            .behind(Obstacle::SlowConnections(Duration::from_secs(4)))
            .within(60, 10.0),
        Trouble::of_named(100, "and every third stop answers a bare 503")
            .with_faults((3..=3000).step_by(3).map(|nth| {
                Fault::http_status(503, "")
                    .operation(STOP)
                    .attempts(nth..=nth)
            }))
            .within(180, 12.0),
        Trouble::of_named(8, "each throttled twice, and then no quota")
            .with_faults(arns(8).iter().map(|arn| {
                let throttled = Fault::error("ThrottlingException").operation(STOP);
                throttled.resource(arn).attempts(..=2)
            }))
            .within(60, 8.0),
    ]);
    all
}

/// Ten of eleven regions are out of order, and each account has a model in the last one.
fn silent_regions(what: &str, fault: &Fault) -> Trouble {
    let mut bad = regions();
    let good = [bad.pop().unwrap()];
    let name = format!("150 accounts with a model in one region; the other ten {what}");
    // STS is in one of the ten.
    let fault = fault.clone().operation(Operation::DescribeProjects);
    Trouble::of_accounts(name, 150, &one_in_each(members(151), &good))
        .with_faults(bad.iter().map(|region| fault.clone().region(region)))
}

/// One of eleven regions is out of order, and each account has a model in one of the others.
fn failing_region() -> Trouble {
    let mut good = regions();
    let bad = good.remove(good.len() / 2);
    let name = "300 accounts with a model in one of ten regions; the eleventh answers 503";
    Trouble::of_accounts(name.to_owned(), 300, &one_in_each(members(301), &good))
        .with_faults([Fault::http_status(503, "").region(&bad)])
}

/// The role cannot be assumed in most accounts, which are those that are listed first.
fn hanging_roles() -> Trouble {
    let name = "60 accounts; AssumeRole hangs in 40, and the other 20 have a model each";
    let models = one_in_each(members(61).skip(40), &regions());
    Trouble::of_accounts(name.to_owned(), 60, &models).with_faults(members(41).map(|account| {
        let hangs = Fault::hang().operation(Operation::AssumeRole);
        hangs.resource(&member_role(&account))
    }))
}

/// A model in each of these accounts, in these regions by turns.
fn one_in_each(accounts: impl Iterator<Item = String>, regions: &[String]) -> Vec<String> {
    let places = accounts.zip(regions.iter().cycle());
    let models = places.map(|(account, region)| member_arn(region, &account, "v1"));
    models.collect()
}

impl Trouble {
    fn new(name: String, emulator: Builder, event: Value) -> Self {
        Self {
            name,
            emulator: emulator.latency(LATENCY),
            event,
            variables: vec![
                ("CONFIRM_STOPPED", "false"),
                ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ],
            setting: Setting::WHOLE,
            obstacle: None,
            time_limit: Duration::ZERO,
            bar: 0.0,
        }
    }

    /// So many running models, each of which is named.
    fn of_named(models: usize, what: &str) -> Self {
        let arns = arns(models);
        let emulator = Emulator::builder().models(arns.iter().map(|arn| running(arn)));
        let event = json!({ "model_arns": arns });
        Self::new(format!("{models} models, {what}"), emulator, event)
    }

    /// A sweep of so many member accounts, in which these models are running.
    fn of_accounts(name: String, accounts: usize, models: &[String]) -> Self {
        let emulator = Emulator::builder().models(models.iter().map(|arn| running(arn)));
        let emulator = with_organization(emulator, accounts + 1);
        let mut trouble = Self::new(name, emulator, json!({ "model_arns": [EVERY_MODEL] }));
        trouble.variables.push(("MEMBER_ROLE", MEMBER_ROLE));
        trouble
    }

    fn with_faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.emulator = faults.into_iter().fold(self.emulator, Builder::fault);
        self
    }

    fn behind(mut self, obstacle: Obstacle) -> Self {
        self.obstacle = Some(obstacle);
        self
    }

    fn confirmed(mut self) -> Self {
        self.variables.push(("CONFIRM_STOPPED", "true"));
        self
    }

    fn in_the_box(mut self) -> Self {
        self.setting = Setting::BOX_TLS;
        self
    }

    fn within(mut self, seconds: u64, bar: f64) -> Self {
        self.time_limit = Duration::from_secs(seconds);
        self.bar = bar;
        self
    }

    async fn measure(self) -> Measured {
        progress(&format!("trouble: {}", self.name));
        let emulator = self.emulator.start().await.unwrap();
        let way = match self.obstacle {
            Some(obstacle) => Some(Way::start(&emulator, obstacle).await),
            None => None,
        };
        let mut variables = self.variables;
        if let Some(way) = &way {
            variables.extend(way.variables());
        }
        let idle = Idle::start(Program::Stopper, &emulator, &variables, self.setting).await;
        let start = Instant::now();
        let run = idle.run(&self.event, self.time_limit).await;
        let mut changes = emulator.changes().into_iter();
        let last_stop = changes.rfind(|it| it.status == "STOPPING");
        Measured {
            name: self.name,
            setting: self.setting,
            time_limit: self.time_limit,
            bar: self.bar,
            run,
            last_stop: last_stop.map(|stop| (stop.at.into_std() - start).as_secs_f64()),
            left: left(&emulator),
        }
    }
}

impl Measured {
    fn to_spare(&self) -> f64 {
        self.time_limit.as_secs_f64() - self.run.seconds
    }

    fn is_kept(&self) -> bool {
        let is_soon = self.last_stop.is_some_and(|seconds| seconds <= self.bar);
        let is_answered = self.run.answer.is_ok() && self.to_spare() >= LEAST_TO_SPARE;
        is_soon && is_answered && self.left == 0
    }

    fn cells(&self) -> [String; 8] {
        let seconds = |seconds: f64| format!("{seconds:.1} s");
        let place = if self.setting.is_in_the_box {
            "in the box"
        } else {
            ""
        };
        [
            self.name.clone(),
            place.to_owned(),
            format!("{:.0} s", self.time_limit.as_secs_f64()),
            self.last_stop.map_or("none".to_owned(), seconds),
            format!("{:.0} s", self.bar),
            self.left.to_string(),
            seconds(self.to_spare()),
            format!("{:.1} MB", self.run.memory),
        ]
    }
}
