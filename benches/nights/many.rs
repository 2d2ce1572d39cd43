//! Many models, and many accounts, with a whole processor.

use std::time::{Duration, Instant};

use crate::output::{Output, progress};
use crate::program::{Idle, Program, Setting};
use crate::quotas::{CONCURRENCY, SECONDS_A_CALL};
use crate::work::{DEFAULT_QUOTA, MOST_PROJECTS, Work};

const TIME_LIMIT: Duration = Duration::from_secs(900);

struct Row {
    work: Work,
    calls_a_second: Option<f64>,
    setting: Setting,
}

const LARGE: Work = Work::Organization {
    accounts: 300,
    with_models: 40,
};

const ROWS: [Row; 5] = [
    Row {
        work: Work::Found(300),
        calls_a_second: Some(10.0),
        setting: Setting::WHOLE,
    },
    Row {
        work: Work::Found(10_000),
        calls_a_second: None,
        setting: Setting::WHOLE,
    },
    Row {
        work: LARGE,
        calls_a_second: Some(DEFAULT_QUOTA),
        setting: Setting::WHOLE,
    },
    Row {
        work: LARGE,
        calls_a_second: Some(DEFAULT_QUOTA),
        setting: Setting::WHOLE_TLS,
    },
    Row {
        work: Work::Full,
        calls_a_second: Some(DEFAULT_QUOTA),
        setting: Setting::WHOLE_TLS,
    },
];

impl Row {
    /// The fewest seconds that the stops can be made in, where the calls of one region decide it.
    fn ideal(&self) -> Option<f64> {
        let calls = match self.work {
            Work::Found(models) => models as f64,
            // One page for each project.
            Work::Full => MOST_PROJECTS as f64,
            _ => return None,
        };
        Some(match self.calls_a_second {
            Some(rate) => (calls - rate) / rate,
            // Tags are read while others are stopped: each operation has its own calls in flight.
            None => calls * SECONDS_A_CALL / CONCURRENCY,
        })
    }
}

pub async fn measure(output: &mut Output) {
    output.table(
        "**Many models, many accounts**, with a whole processor and 20 ms a call: found by a \
         pattern, asked for their tags, and stopped. The quota is that of each operation in each \
         account and region.",
        &[
            "work",
            "quota",
            "",
            "ideal",
            "to the last stop",
            "to the answer",
            "processor",
            "calls",
            "connections",
            "memory",
        ],
    );
    for row in &ROWS {
        progress(&row.work.name());
        let emulator = row.work.service(row.calls_a_second).await;
        let variables = row.work.variables();
        let idle = Idle::start(Program::Stopper, &emulator, &variables, row.setting).await;
        let start = Instant::now();
        let run = idle.run(&row.work.event(), TIME_LIMIT).await;
        row.work.check(run.report());
        let last_stop = emulator.changes().last().unwrap().at.into_std() - start;
        let quota = row.calls_a_second.map(|rate| format!("{rate}/s"));
        output.row(&[
            row.work.name(),
            quota.unwrap_or_else(|| "none".to_owned()),
            row.setting.name().to_owned(),
            row.ideal()
                .map_or(String::new(), |ideal| format!("{ideal:.1} s")),
            format!("{:.2} s", last_stop.as_secs_f64()),
            format!("{:.2} s", run.seconds),
            format!("{:.2} s", run.processor_time.seconds),
            emulator.calls().len().to_string(),
            emulator.connections().to_string(),
            format!("{:.1} MB", run.memory),
        ]);
    }
}
