//! Runs a night: the real handler and the real SDK against the emulator, in one task on a paused
//! clock.

use std::collections::BTreeMap;
use std::env::VarError;
use std::io::Write;
use std::time::Duration;

use rekognition_emulator::{Call, Change, Emulator, Service};
use rekognition_stopper::Handler;
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::Report;
use rekognition_stopper::settings::Settings;
use serde_json::Value;
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep, timeout};

use super::night::Night;
use super::weather::Weather;
use crate::support;
use crate::support::log::Output;
use crate::support::wire::{StatusReport, Wire};

const SERVICES: [Service; 4] = [
    Service::Rekognition,
    Service::Sts,
    Service::Organizations,
    Service::CloudTrail,
];
/// The pause before Lambda retries an invocation that has failed.
const PAUSE: Duration = Duration::from_secs(60);
/// The time of a second invocation, which is Lambda's longest.
const TIME_AGAIN: Duration = Duration::from_secs(900);
/// How long to wait for a response that is late.
const GRACE: Duration = Duration::from_secs(60);

/// One invocation, and what the service knows about it.
pub struct Run {
    pub weather: Weather,
    pub time: Duration,
    /// When it began, since the beginning of the night.
    pub since: Duration,
    pub begun: Instant,
    pub ended: Instant,
    /// None if there was no response.
    pub response: Option<Result<Report, Error>>,
    /// Every model's status at the beginning and at the end.
    pub before: BTreeMap<String, String>,
    pub after: BTreeMap<String, String>,
    /// The changes of statuses while it lasted.
    pub changes: Vec<Change>,
    pub calls: Vec<Call>,
    /// The statuses that the service reported to it, in order.
    pub reported: Vec<StatusReport>,
    /// The metric records that it wrote.
    pub metrics: Vec<Value>,
    /// The longest time that a call was waited for.
    pub longest_wait: Duration,
    /// When the last attempt began.
    pub last_attempt: Option<Instant>,
    pub left: Left,
}

/// What is left of an invocation after its response. It should be nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub calls_in_flight: usize,
    pub tasks: usize,
    /// Connections to the service that the process did not have before.
    pub connections: usize,
    /// Calls that are made after the response.
    pub later_calls: usize,
}

/// Runs a night. Returns its one or two invocations.
pub fn live_through(night: &Night) -> Vec<Run> {
    on_a_paused_clock(night, async {
        let night_began = Instant::now();
        let emulator = emulator(night, Duration::ZERO, &BTreeMap::new());
        let wire = Wire::new(&emulator);
        let settings = Settings::read(|name| night.variable(name).ok_or(VarError::NotPresent));
        let config = support::sdk_config(&emulator.url())
            .into_builder()
            .http_client(wire.clone())
            .build();
        let metrics = Output::default();
        let output = metrics.clone();
        let scene = Scene {
            night,
            handler: Handler::new(settings, Aws::new(config), move |line| {
                writeln!(output.clone(), "{line}").unwrap();
            }),
            metrics,
            emulator,
            wire,
        };
        let mut runs = vec![scene.invoke(&night.weather, night.time).await];
        if night.again {
            runs.push(scene.invoke(&Weather::calm(), TIME_AGAIN).await);
        }
        for run in &mut runs {
            run.since = run.begun - night_began;
        }
        runs
    })
}

/// Lives through a night on its own clock, with the same jitter every time.
pub fn on_a_paused_clock<T>(night: &Night, life: impl Future<Output = T>) -> T {
    fastrand::seed(night.seed);
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(life)
}

/// The service as it is this long after the night's beginning, with these statuses.
pub fn emulator(night: &Night, since: Duration, statuses: &BTreeMap<String, String>) -> Emulator {
    let emulator = Emulator::in_process();
    for model in &night.models {
        let status = statuses.get(&model.arn).map_or(model.status, |it| it);
        let mut added = rekognition_emulator::Model::new(&model.arn)
            .unwrap()
            .status(status)
            .inference_units(model.inference_units)
            .start_takes(model.start_takes)
            .stop_takes(model.stop_takes)
            .tag("team", "vision");
        if let Some((value, _)) = model.tag {
            added = added.tag(night.settings.key_on_models(), value);
        }
        for (after, status) in &model.becomes {
            if let Some(after) = after.checked_sub(since) {
                added = added.becomes(after, status);
            }
        }
        if model.is_deleted_once_stopped {
            added = added.deleted_once_stopped();
        }
        emulator.add_model(added);
    }
    if let Some(organization) = &night.organization {
        organization.furnish(&emulator);
    }
    if let Some(history) = &night.history {
        history.furnish(&emulator);
    }
    emulator
}

/// The function, warm from one invocation to the next, and the service.
struct Scene<'a> {
    night: &'a Night,
    emulator: Emulator,
    wire: Wire,
    handler: Handler,
    metrics: Output,
}

impl Scene<'_> {
    async fn invoke(&self, weather: &Weather, time: Duration) -> Run {
        let (night, emulator) = (self.night, &self.emulator);
        weather.begin(emulator, &self.wire);
        if let Some(history) = &night.history {
            history.begin(emulator);
        }
        let before = emulator.statuses();
        let calls_before = emulator.calls().len();
        let changes_before = emulator.changes().len();
        let records_before = self.metrics.lines().len();
        let holders_before = self.wire.holders();
        let payload = support::payload(&night.event());
        let invocation = support::invocation(time);

        let begun = Instant::now();
        let response = self.handler.invoke(payload, invocation);
        let response = match timeout(time + GRACE, response).await {
            Ok(Ok(Response::Report(report))) => Some(Ok(report)),
            Ok(Ok(Response::Plan(plan))) => panic!("{plan:?}"),
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => None,
        };
        let ended = Instant::now();

        let in_flight = SERVICES.map(|service| emulator.in_flight_to(service));
        let mut left = Left {
            calls_in_flight: in_flight.into_iter().sum(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            connections: self.wire.holders().abs_diff(holders_before),
            later_calls: 0,
        };
        let after = emulator.statuses();
        let calls = emulator.calls().split_off(calls_before);
        let changes = emulator.changes().split_off(changes_before);
        sleep(PAUSE).await;
        left.later_calls = emulator.calls().len() - calls_before - calls.len();
        Run {
            weather: weather.clone(),
            time,
            since: Duration::ZERO,
            begun,
            ended,
            response,
            before,
            after,
            changes,
            calls,
            reported: self.wire.take_reports(),
            metrics: self.metrics.lines().split_off(records_before),
            longest_wait: self.wire.longest_wait(),
            last_attempt: self.wire.last_begun().filter(|at| *at >= begun),
            left,
        }
    }
}
