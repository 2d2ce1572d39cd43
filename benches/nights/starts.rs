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

/// The most seconds that the last stop may come later, and the most that the response may, with
/// lookups that work and with lookups that hang.
struct Bar {
    stop: f64,
    response: f64,
    hanging: f64,
}

struct Night {
    work: Work,
    calls_a_second: Option<f64>,
    setting: Setting,
    runs: usize,
    bar: Bar,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookups {
    None,
    Work,
    Hang,
}

/// Seconds to the last stop, and to the response.
struct Times {
    last_stop: f64,
    response: f64,
}

const NIGHTS: [Night; 3] = [
    Night {
        work: Work::Found(300),
        calls_a_second: Some(10.0),
        setting: Setting::WHOLE,
        runs: 3,
        bar: Bar {
            stop: 0.1,
            response: 5.0,
            hanging: 5.0,
        },
    },
    Night {
        work: Work::Organization {
            accounts: 300,
            with_models: 40,
        },
        calls_a_second: Some(DEFAULT_QUOTA),
        setting: Setting::WHOLE_TLS,
        runs: 3,
        bar: Bar {
            stop: 0.1,
            response: 1.0,
            hanging: 5.0,
        },
    },
    Night {
        work: Work::Named(1),
        calls_a_second: None,
        setting: Setting::BOX_TLS,
        runs: 11,
        bar: Bar {
            stop: 0.1,
            // A second connection: two times as long at most, and it is about 0.1 s without.
            response: 0.1,
            hanging: 5.0,
        },
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
        }
    }
}

/// Returns what did not keep its bar.
pub async fn measure(output: &mut Output) -> Vec<String> {
    output.table(
        "**Who started the models**, with `FIND_STARTS`, at two lookups a second in each account \
         and region: seconds to the last stop and to the response, without it, with it, and with \
         lookups that hang; medians.",
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
        let Bar {
            stop,
            response,
            hanging: longest,
        } = night.bar;
        for (times, response) in [(&with, response), (&hanging, longest)] {
            let is_kept = times.last_stop <= without.last_stop + stop
                && times.response <= without.response + response;
            if !is_kept {
                missed.push(format!("{name}, who started them"));
            }
        }
        let cell = |it: &Times| format!("{:.3} s, {:.3} s", it.last_stop, it.response);
        let setting = night.setting.name().to_owned();
        output.row(&[name, setting, cell(&without), cell(&with), cell(&hanging)]);
    }
    missed
}
