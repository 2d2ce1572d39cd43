//! What it costs to look for who started the models: no stop, and little time.

use std::time::{Duration, Instant};

use rekognition_emulator::{Fault, Operation, Quota, StartEvent, Starter};

use crate::cgroup::LambdaBox;
use crate::cold::Tls;
use crate::output::{Output, median, progress};
use crate::program::{Idle, Program, Setting};
use crate::tls::Authority;
use crate::work::{DEFAULT_QUOTA, Work};

const TIME_LIMIT: Duration = Duration::from_secs(300);
const AGO: Duration = Duration::from_secs(61 * 3600);
const LOOKUP: Operation = Operation::LookupEvents;
/// CloudTrail's quota, in each account and region.
const LOOKUPS_A_SECOND: f64 = 2.0;

/// How long after the last stop the response may come where lookups hang: five seconds, and what
/// else there is to do.
const LONGEST_WAIT: f64 = 5.0 + 0.1;

/// The most that a run with lookups may take of the processor, of what it takes without: for one
/// model there is a second connection.
const MOST_WORK: f64 = 2.0;

struct Night {
    work: Work,
    calls_a_second: Option<f64>,
    setting: Setting,
    runs: usize,
    /// How much later the last stop may come, in seconds, whatever becomes of the lookups. Where
    /// they hang in many accounts, each has its own connection.
    stop: f64,
    /// The most seconds that the response may take, of those that it takes without lookups.
    bar: fn(f64) -> f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookups {
    None,
    Work,
    Hang,
}

/// Seconds to the last stop and to the response, and seconds of the processor.
struct Times {
    last_stop: f64,
    response: f64,
    processor: f64,
}

const NIGHTS: [Night; 3] = [
    Night {
        work: Work::Found(300),
        calls_a_second: Some(10.0),
        setting: Setting::WHOLE,
        runs: 1,
        stop: 0.1,
        bar: |without| without + LONGEST_WAIT,
    },
    Night {
        work: Work::Organization {
            accounts: 300,
            with_models: 40,
        },
        calls_a_second: Some(DEFAULT_QUOTA),
        setting: Setting::WHOLE_TLS,
        runs: 3,
        stop: 0.3,
        bar: |without| without + 1.0,
    },
    Night {
        work: Work::Named(1),
        calls_a_second: None,
        setting: Setting::BOX_TLS,
        runs: 11,
        stop: 0.1,
        // In the box, what takes more of the processor than there is at once waits for a tenth.
        bar: |without| without + 0.1,
    },
];

impl Night {
    async fn run(&self, lookups: Lookups) -> Times {
        let emulator = self.work.service(self.calls_a_second).await;
        emulator.set_operation_quota(LOOKUP, Some(Quota::per_second(LOOKUPS_A_SECOND)));
        for arn in self.work.models() {
            let by = Starter::session("deploy", "build-17");
            emulator.add_start(&StartEvent::new(&arn, by, AGO).unwrap());
        }
        let mut variables: Vec<(&str, &str)> = self.work.variables();
        // CloudTrail is at another address than Rekognition, so that it takes a second connection.
        let authority = Authority::rsa("night");
        let rekognition = Tls::start(&emulator, &authority).await;
        let cloudtrail = Tls::start(&emulator, &authority).await;
        if self.setting.tls {
            variables.extend(rekognition.variables());
            variables.push(("AWS_ENDPOINT_URL_CLOUDTRAIL", cloudtrail.url()));
        }
        if lookups != Lookups::None {
            variables.push(("FIND_STARTS", "true"));
        }
        if lookups == Lookups::Hang {
            emulator.add_fault(Fault::hang().operation(LOOKUP));
        }
        let setting = Setting {
            tls: false,
            ..self.setting
        };
        let idle = Idle::start(Program::Stopper, &emulator, &variables, setting).await;
        let start = Instant::now();
        let run = idle.run(&self.work.event(), TIME_LIMIT).await;
        self.work.check(run.report());
        let models = run.report()["models"].as_array().unwrap().iter();
        let found = models.filter(|it| it["started_by"] == "deploy/build-17");
        assert_eq!(found.count() > 0, lookups == Lookups::Work);
        let last_stop = emulator.changes().last().unwrap().at.into_std() - start;
        Times {
            last_stop: last_stop.as_secs_f64(),
            response: run.seconds,
            processor: run.processor_time.seconds,
        }
    }

    async fn times(&self, lookups: Lookups) -> Times {
        let mut runs = Vec::new();
        for _ in 0..self.runs {
            runs.push(self.run(lookups).await);
        }
        Times {
            last_stop: median(runs.iter().map(|run| run.last_stop)),
            response: median(runs.iter().map(|run| run.response)),
            processor: median(runs.iter().map(|run| run.processor)),
        }
    }
}

/// Returns what did not keep its bar.
pub async fn measure(output: &mut Output) -> Vec<String> {
    output.table(
        "**Who started the models**, with `FIND_STARTS`, at two lookups a second in each account \
         and region: to the last stop, to the response, and of the processor, without it, with it, \
         and with lookups that hang; medians.",
        &["work", "", "without", "with", "hanging"],
    );
    let has_box = LambdaBox::new().is_ok();
    let mut missed = vec![];
    for night in &NIGHTS {
        let name = night.work.name();
        if night.setting.is_in_the_box && !has_box {
            progress(&format!("starts: {name}: no cgroup can be made here"));
            continue;
        }
        progress(&format!("starts: {name}"));
        let without = night.times(Lookups::None).await;
        let with = night.times(Lookups::Work).await;
        let hanging = night.times(Lookups::Hang).await;
        let latest = without.last_stop + night.stop;
        let is_kept = with.last_stop <= latest
            && hanging.last_stop <= latest
            && with.response <= (night.bar)(without.response)
            && with.processor <= MOST_WORK * without.processor
            && hanging.response <= hanging.last_stop + LONGEST_WAIT;
        if !is_kept {
            missed.push(format!("{name}, who started them"));
        }
        let cell = |it: &Times| {
            let Times {
                last_stop,
                response,
                processor,
            } = it;
            format!("{last_stop:.3} s, {response:.3} s, {processor:.4} s")
        };
        let setting = night.setting.name().to_owned();
        output.row(&[name, setting, cell(&without), cell(&with), cell(&hanging)]);
    }
    missed
}
