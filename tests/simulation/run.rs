//! A night lived through: the real handler and the real SDK against the emulator, in one task on a paused clock.

use std::collections::BTreeMap;
use std::env::VarError;
use std::time::Duration;

use aws_config::SdkConfig;
use lambda_runtime::{Context, LambdaEvent};
use rekognition_emulator::{Call, Change, Emulator};
use rekognition_stopper::Handler;
use rekognition_stopper::handler::Error;
use rekognition_stopper::rekognition::Rekognition;
use rekognition_stopper::report::Report;
use rekognition_stopper::settings::Settings;
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep, timeout};

use super::clock::PausedClock;
use super::night::Night;
use super::weather::Weather;
use super::wire::{Told, Wire};
use crate::support;

/// The pause before Lambda invokes a function again that has failed.
const PAUSE: Duration = Duration::from_secs(60);
/// The time of a second invocation, which is Lambda's longest.
const TIME_AGAIN: Duration = Duration::from_secs(900);
/// How long an answer that is late is waited for.
const GRACE: Duration = Duration::from_secs(60);

/// One invocation, and what the service knows of it.
pub struct Run {
    pub weather: Weather,
    pub time: Duration,
    /// When it began, since the beginning of the night.
    pub since: Duration,
    pub begun: Instant,
    pub ended: Instant,
    /// The answer; none where it did not come.
    pub answer: Option<Result<Report, Error>>,
    /// Every model's status at the beginning and at the end.
    pub before: BTreeMap<String, String>,
    pub after: BTreeMap<String, String>,
    /// The changes of a status while it lasted.
    pub changes: Vec<Change>,
    pub calls: Vec<Call>,
    /// The statuses that it was told, in the order in which it was.
    pub told: Vec<Told>,
    /// The longest time that a call was waited for.
    pub longest_wait: Duration,
    /// The most calls in flight at once, by region.
    pub most_in_flight: BTreeMap<&'static str, usize>,
    /// What was left when the answer had come: calls in flight, tasks, and calls made later.
    pub left_in_flight: usize,
    pub left_tasks: usize,
    pub later_calls: usize,
}

/// Lives through a night; gives its one or two invocations.
pub fn live_through(night: &Night) -> Vec<Run> {
    // The SDK's jitter.
    fastrand::seed(night.seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let night_began = Instant::now();
        let emulator = emulator(night);
        let wire = Wire::new(&emulator);
        let settings = Settings::read(|name| night.variable(name).ok_or(VarError::NotPresent));
        let config = sdk_config(&emulator, &wire);
        let handler = Handler::new(settings, Rekognition::new(config));
        let mut runs = vec![
            invoke(
                night,
                &emulator,
                &wire,
                &handler,
                &night.weather,
                night.time,
            )
            .await,
        ];
        if night.again {
            runs.push(
                invoke(
                    night,
                    &emulator,
                    &wire,
                    &handler,
                    &Weather::calm(),
                    TIME_AGAIN,
                )
                .await,
            );
        }
        for run in &mut runs {
            run.since = run.begun - night_began;
        }
        runs
    })
}

fn emulator(night: &Night) -> Emulator {
    let emulator = Emulator::in_process();
    for model in &night.models {
        let mut added = rekognition_emulator::Model::new(&model.arn)
            .unwrap()
            .status(model.status)
            .inference_units(model.inference_units)
            .start_takes(model.start_takes)
            .stop_takes(model.stop_takes)
            .tag("team", "vision");
        if let Some((value, _)) = model.tag {
            added = added.tag(night.settings.key_on_models(), value);
        }
        for (after, status) in &model.becomes {
            added = added.becomes(*after, status);
        }
        emulator.add_model(added);
    }
    emulator
}

fn sdk_config(emulator: &Emulator, wire: &Wire) -> SdkConfig {
    support::sdk_config(&emulator.url())
        .into_builder()
        .http_client(wire.clone())
        .time_source(PausedClock::new())
        .build()
}

async fn invoke(
    night: &Night,
    emulator: &Emulator,
    wire: &Wire,
    handler: &Handler,
    weather: &Weather,
    time: Duration,
) -> Run {
    weather.begin(emulator);
    let before = emulator.statuses();
    let calls_before = emulator.calls().len();
    let changes_before = emulator.changes().len();
    let mut context = Context::default();
    context.request_id = format!("night-{}", night.seed);
    // A number this small is taken for the time itself.
    context.deadline = u64::try_from(time.as_millis()).unwrap();
    let event = LambdaEvent::new(night.list.event(night.dry_run).into(), context);

    let begun = Instant::now();
    let answer = timeout(time + GRACE, handler.handle(event)).await.ok();
    let ended = Instant::now();

    let regions = || night.models.iter().map(|model| model.region);
    let left_in_flight = regions().map(|region| emulator.in_flight(region)).sum();
    let after = emulator.statuses();
    let calls = emulator.calls().split_off(calls_before);
    let changes = emulator.changes().split_off(changes_before);
    let left_tasks = Handle::current().metrics().num_alive_tasks();
    sleep(PAUSE).await;
    Run {
        weather: weather.clone(),
        time,
        since: Duration::ZERO,
        begun,
        ended,
        answer,
        before,
        after,
        changes,
        told: wire.take_told(),
        longest_wait: wire.longest_wait(),
        most_in_flight: regions()
            .map(|region| (region, emulator.max_in_flight(region)))
            .collect(),
        left_in_flight,
        left_tasks,
        later_calls: emulator.calls().len() - calls_before - calls.len(),
        calls,
    }
}
