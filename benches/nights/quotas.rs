//! Whole nights under a quota, compared with peers: the time, and the models that are left running.

use std::time::Duration;

use futures_util::future::{join_all, pending};
use rekognition_emulator::{Emulator, Operation};

use crate::output::{Output, median, progress};
use crate::plots::{Group, percentages};
use crate::program::Program;
use crate::run::{Idle, Place};
use crate::work::{Work, left, quota};

/// Each night is measured this many times.
const RUNS: usize = 3;
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// A number of running models, each of which is named, and what the service lets through.
struct Night {
    models: usize,
    limit: Limit,
}

/// Calls a second, and as many at once after a pause.
#[derive(Clone, Copy)]
enum Limit {
    Quota(f64),
    /// Half of them are taken by another client.
    Shared(f64),
    /// The first until half of the models are stopped, then the second.
    Changed(f64, f64),
}

const fn night(models: usize, limit: Limit) -> Night {
    Night { models, limit }
}

const NIGHTS: [Night; 6] = [
    night(40, Limit::Quota(2.0)),
    night(100, Limit::Quota(5.0)),
    night(300, Limit::Quota(10.0)),
    night(100, Limit::Shared(5.0)),
    night(200, Limit::Changed(5.0, 20.0)),
    night(200, Limit::Changed(20.0, 5.0)),
];

/// One run of a program.
struct Measured {
    seconds: f64,
    percent_left: f64,
    percent_throttled: f64,
}

impl Night {
    /// The quota, in two parts.
    fn limit(&self) -> [String; 2] {
        match self.limit {
            Limit::Quota(rate) => [format!("{rate}/s"), String::new()],
            Limit::Shared(rate) => [format!("{rate}/s"), "half taken".to_owned()],
            Limit::Changed(before, after) => [format!("{before}/s"), format!("then {after}/s")],
        }
    }

    /// The fewest seconds that it can be done in.
    fn ideal(&self) -> f64 {
        let models = self.models as f64;
        match self.limit {
            Limit::Quota(rate) => (models - rate) / rate,
            Limit::Shared(rate) => (models - rate) / (rate / 2.0),
            Limit::Changed(before, after) => {
                (models / 2.0 - before) / before + (models / 2.0 - after) / after
            }
        }
    }

    async fn run(&self, program: Program) -> Measured {
        let mut work = Work::named(self.models);
        work.emulator = work.emulator.quota(match self.limit {
            Limit::Quota(rate) | Limit::Changed(rate, _) => quota(rate),
            Limit::Shared(rate) => quota(rate).background_calls_per_second(rate / 2.0),
        });
        let idle = Idle::start(program, work, Place::WholeProcessor).await;
        let emulator = idle.emulator.clone();
        let run = tokio::select! {
            run = idle.run(TIME_LIMIT) => run,
            () = self.change(&emulator) => unreachable!("it waits for ever"),
        };
        let response = run.response;
        assert!(response.is_ok, "{}: {}", program.name(), response.body);
        let calls = emulator.count(Operation::StopProjectVersion) as f64;
        let stopped = (self.models - run.left) as f64;
        Measured {
            seconds: run.seconds,
            percent_left: 100.0 * run.left as f64 / self.models as f64,
            percent_throttled: 100.0 * (calls - stopped) / calls,
        }
    }

    /// Changes the quota in the middle of the night, if it is to be changed.
    async fn change(&self, emulator: &Emulator) {
        if let Limit::Changed(_, after) = self.limit {
            let half = self.models / 2;
            emulator.wait_until(|it| left(it) <= half).await;
            emulator.set_quota(Some(quota(after)));
        }
        pending().await
    }

    /// All runs of these programs, side by side: a quota decides how long they take.
    async fn runs(&self, programs: &[Program]) -> Vec<Vec<Measured>> {
        let runs = |program: &Program| join_all((0..RUNS).map(|_| self.run(*program)));
        join_all(programs.iter().map(runs)).await
    }
}

pub async fn measure(programs: &[Program], output: &mut Output) {
    let names: Vec<&str> = programs.iter().map(|program| program.name()).collect();
    let mut columns = vec!["models", "quota", "ideal", "throttled"];
    columns.extend(&names);
    output.table("quotas", &columns);
    let mut groups = vec![];
    for night in &NIGHTS {
        let [rate, how] = night.limit();
        progress(&format!("quotas: {} models, {rate} {how}", night.models));
        let measured = night.runs(programs).await;
        let middle = |runs: &[Measured], of: fn(&Measured) -> f64| median(runs.iter().map(of));
        let throttled = middle(&measured[0], |run| run.percent_throttled);
        let mut row = vec![
            night.models.to_string(),
            format!("{rate} {how}").trim_end().to_owned(),
            format!("{:.1} s", night.ideal()),
            format!("{throttled:.0} %"),
        ];
        let mut percentages = vec![];
        for runs in &measured {
            let seconds = middle(runs, |run| run.seconds);
            let left = middle(runs, |run| run.percent_left);
            row.push(format!("{seconds:.1} s, {left:.0} %"));
            percentages.push(left);
        }
        output.row(&row);
        groups.push(Group {
            name: [rate, how],
            percentages,
        });
    }
    let title = "Percent of the models left running under a quota: less is better";
    output.plot("left-running", |theme| {
        percentages(theme, title, &names, &groups)
    });
}
