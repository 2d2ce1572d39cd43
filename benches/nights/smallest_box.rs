//! The programs in Lambda's smallest box, and the function's answers there before their deadlines.

use std::time::Duration;

use crate::cgroup::LambdaBox;
use crate::output::{Output, median, progress};
use crate::plots::{Bar, Point};
use crate::program::{Idle, Program, Run, Setting};
use crate::support::runtime_api::lines_of;
use crate::work::{Work, left};
use futures_util::future::join_all;
use rekognition_emulator::{Fault, Operation};

const TIME_LIMIT: Duration = Duration::from_secs(900);
/// How often the first invocation is measured, and how often what takes longer.
const FIRST_RUNS: usize = 11;
const RUNS: usize = 3;

const FIRST: Work = Work::Named(1);
const MANY: Work = Work::Named(1000);

/// What only the function can do, or would take others hours.
const ALONE: [Work; 12] = [
    Work::Named(10_000),
    Work::Found(10_000),
    Work::Confirmed(10_000),
    Work::Full,
    organization(100),
    organization(300),
    organization(1000),
    organization(3000),
    organization(10_000),
    Work::Organization {
        accounts: 300,
        with_models: 40,
    },
    Work::Plan(10_000),
    Work::PlannedRun(10_000),
];

const fn organization(accounts: usize) -> Work {
    Work::Organization {
        accounts,
        with_models: 0,
    }
}

/// What time runs out for.
struct Hurry {
    name: &'static str,
    work: Work,
    service: Service,
    time_limit: Duration,
}

#[derive(Clone, Copy)]
enum Service {
    /// With a quota of so many calls a second for each operation.
    Slow(f64),
    /// With no quota.
    Fast,
    /// With no quota, and one stop hangs, so that all else has an outcome when time runs out.
    HangsOnce,
    /// In all regions, it never answers the first call of a sweep.
    Hangs,
    /// There is none.
    Gone,
}

const fn hurry(name: &'static str, work: Work, service: Service, seconds: u64) -> Hurry {
    Hurry {
        name,
        work,
        service,
        time_limit: Duration::from_secs(seconds),
    }
}

const HURRIES: [Hurry; 8] = [
    hurry(
        "10,000 named models, 20 calls/s",
        Work::Named(10_000),
        Service::Slow(20.0),
        60,
    ),
    hurry(
        "10,000 models found by a pattern, 20 calls/s",
        Work::Found(10_000),
        Service::Slow(20.0),
        60,
    ),
    hurry(
        "2,000 named models, and no service",
        Work::Named(2000),
        Service::Gone,
        20,
    ),
    hurry(
        "10,000 named models, and no service",
        Work::Named(10_000),
        Service::Gone,
        60,
    ),
    hurry(
        "2,000 named models, one of which hangs",
        Work::Named(2000),
        Service::HangsOnce,
        20,
    ),
    hurry(
        "10,000 named models, one of which hangs",
        Work::Named(10_000),
        Service::HangsOnce,
        60,
    ),
    hurry(
        "300 accounts × 11 regions, too little time",
        organization(300),
        Service::Fast,
        7,
    ),
    hurry(
        "150 accounts × 11 regions, all of which hang",
        organization(150),
        Service::Hangs,
        60,
    ),
];

/// What the plots show of this, and what went wrong.
#[derive(Default)]
pub struct Figures {
    /// The first invocation of each program, in milliseconds.
    pub first: Vec<Bar>,
    /// The seconds that an organization takes, by its accounts.
    pub organizations: Vec<Point>,
    /// What was answered after its deadline.
    pub late: Vec<String>,
}

pub async fn measure(programs: &[Program], output: &mut Output) -> Figures {
    let mut figures = Figures::default();
    if let Err(error) = LambdaBox::new() {
        output.line("");
        output.line(&format!(
            "Not measured in Lambda's smallest box: no cgroup can be made here ({error})."
        ));
        return figures;
    }
    beside_peers(programs, output, &mut figures).await;
    alone(output, &mut figures).await;
    figures.late = before_the_deadline(output).await;
    figures
}

/// One run in the box, and how many models it left running.
async fn run(program: Program, work: Work) -> (Run, usize) {
    let emulator = work.service(None).await;
    let variables = work.variables();
    let idle = Idle::start(program, &emulator, &variables, Setting::BOX_TLS).await;
    let run = idle.run(&work.event(), TIME_LIMIT).await;
    let left = left(&emulator);
    (run, left)
}

/// What the last cells of a row are.
const LAST_COLUMNS: [&str; 6] = [
    "processor",
    "of it the kernel",
    "page faults",
    "memory",
    "end",
    "left running",
];

/// The last cells of a row: medians, and how the runs ended.
fn cells(runs: &[(Run, usize)]) -> [String; 6] {
    let middle = |of: fn(&Run) -> f64| median(runs.iter().map(|(run, _)| of(run)));
    let left = median(runs.iter().map(|(_, left)| *left as f64));
    let failures: Vec<&str> = runs
        .iter()
        .filter_map(|(run, _)| run.answer.as_ref().err().copied())
        .collect();
    let end = match failures[..] {
        [] => "answered".to_owned(),
        _ => failures.join(", "),
    };
    [
        seconds(middle(|run| run.processor_time.seconds)),
        seconds(middle(|run| run.processor_time.system_seconds)),
        format!("{:.0}", middle(|run| run.page_faults as f64)),
        format!("{:.1} MB", middle(|run| run.memory)),
        end,
        format!("{left:.0}"),
    ]
}

fn time(runs: &[(Run, usize)]) -> f64 {
    median(runs.iter().map(|(run, _)| run.seconds))
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.1} ms", 1000.0 * seconds)
    } else {
        format!("{seconds:.1} s")
    }
}

async fn beside_peers(programs: &[Program], output: &mut Output, figures: &mut Figures) {
    // One after the other, in turn, since a run takes no longer than what may come between.
    let mut first: Vec<Vec<(Run, usize)>> = programs.iter().map(|_| vec![]).collect();
    for round in 1..=FIRST_RUNS {
        progress(&format!("box: 1 model, round {round} of {FIRST_RUNS}"));
        for (program, runs) in programs.iter().zip(&mut first) {
            runs.push(run(*program, FIRST).await);
        }
    }
    // All at once: each has its share of a processor, and no more.
    let mut many: Vec<Vec<(Run, usize)>> = programs.iter().map(|_| vec![]).collect();
    for round in 1..=RUNS {
        progress(&format!("box: 1,000 models, round {round} of {RUNS}"));
        let stoppers = programs
            .iter()
            .zip(&mut many)
            .filter(|(program, _)| program.stops_models());
        join_all(stoppers.map(async |(program, runs)| runs.push(run(*program, MANY).await))).await;
    }

    output.table(
        &format!(
            "**In Lambda's smallest box**, 128 MB and 128/1769 of a processor, over TLS and at 20 ms \
             a call: from the event to the answer to the first invocation of a process that has \
             started, medians of {FIRST_RUNS} for 1 model and of {RUNS} for more; in brackets, times \
             rekognition-stopper."
        ),
        &[&["work", "program", "time"][..], &LAST_COLUMNS].concat(),
    );
    for (work, measured) in [(FIRST, &first), (MANY, &many)] {
        let stopper = programs.iter().position(|it| *it == Program::Stopper);
        let ours = time(&measured[stopper.unwrap()]);
        for (program, runs) in programs.iter().zip(measured) {
            if runs.is_empty() {
                continue;
            }
            let taken = time(runs);
            let mut row = vec![
                work.name(),
                program.name().to_owned(),
                format!("{} ({:.1})", seconds(taken), taken / ours),
            ];
            row.extend(cells(runs));
            output.row(&row);
            if work.models().len() == 1 && program.stops_models() {
                figures.first.push(Bar {
                    name: program.name(),
                    value: 1000.0 * taken,
                });
            }
        }
    }
}

async fn alone(output: &mut Output, figures: &mut Figures) {
    output.table(
        &format!(
            "**rekognition-stopper in the same box**, with what a sample has no notion of or takes \
             too long for: medians of {RUNS}."
        ),
        &[&["work", "time"][..], &LAST_COLUMNS].concat(),
    );
    for work in ALONE {
        progress(&format!("box: {}", work.name()));
        let runs = join_all((0..RUNS).map(|_| run(Program::Stopper, work))).await;
        for (run, left) in &runs {
            work.check(run.report());
            assert_eq!(*left, 0, "{}: models left running", work.name());
        }
        let taken = time(&runs);
        let mut row = vec![work.name(), seconds(taken)];
        row.extend(cells(&runs));
        output.row(&row);
        if let Work::Organization {
            accounts,
            with_models: 0,
        } = work
        {
            figures.organizations.push(Point {
                x: accounts as f64,
                y: taken,
            });
        }
    }
}

/// Returns what was late. Fails where an answer does not have a line for each model and failed
/// lookup.
async fn before_the_deadline(output: &mut Output) -> Vec<String> {
    output.table(
        "**Out of time in the same box**: how long before its deadline the answer came; how many \
         lines for models and failed lookups were in the log; and, where most were failures, how \
         many were written a second from the first failure to the answer.",
        &[
            "work",
            "deadline",
            "to spare",
            "not stopped",
            "lines",
            "lines a second",
            "memory",
        ],
    );
    let mut late = vec![];
    for hurry in &HURRIES {
        progress(&format!("box: {}", hurry.name));
        let (run, failed) = hurry.run().await;
        let to_spare = hurry.time_limit.as_secs_f64() - run.seconds;
        let lines_a_second = run.lines_a_second();
        output.row(&[
            hurry.name.to_owned(),
            format!("{:.0} s", hurry.time_limit.as_secs_f64()),
            format!("{to_spare:.1} s"),
            failed.to_string(),
            run.lines().len().to_string(),
            lines_a_second.map_or(String::new(), |lines| format!("{lines:.0}")),
            format!("{:.1} MB", run.memory),
        ]);
        if run.answer.is_err() {
            late.push(hurry.name.to_owned());
        }
    }
    late
}

impl Hurry {
    /// The run, and how many of its models and lookups failed.
    async fn run(&self) -> (Run, u64) {
        let calls_a_second = match self.service {
            Service::Slow(calls) => Some(calls),
            Service::Fast | Service::HangsOnce | Service::Hangs | Service::Gone => None,
        };
        let emulator = self.work.service(calls_a_second).await;
        let mut variables = self.work.variables();
        let closed_url = closed_url();
        match self.service {
            Service::Slow(_) | Service::Fast => {}
            Service::HangsOnce => {
                let models = self.work.models();
                emulator.add_fault(Fault::hang().resource(&models[0]));
            }
            Service::Hangs => {
                emulator.add_fault(Fault::hang().operation(Operation::DescribeProjects));
            }
            Service::Gone => variables.push(("AWS_ENDPOINT_URL", &closed_url)),
        }
        let idle = Idle::start(Program::Stopper, &emulator, &variables, Setting::BOX_TLS).await;
        let run = idle.run(&self.work.event(), self.time_limit).await;

        match &run.answer {
            Ok(answer) => assert_eq!(answer.body["errorType"], "NotAllStopped", "{}", self.name),
            Err("late") => {}
            Err(end) => panic!("{}: {end}", self.name),
        }
        let summaries = lines_of(&run.log, "run");
        let [summary] = &summaries[..] else {
            panic!("{}: {} lines of a run", self.name, summaries.len());
        };
        let count = |name: &str| summary[name].as_u64().unwrap_or_default();
        let lines = run.lines().len() as u64;
        let expected = count("models") + count("failed_lookups");
        assert_eq!(expected, lines, "{}: a line for each", self.name);
        let named = self.work.models().len() as u64;
        assert!(lines >= named, "{}: {lines} of {named}", self.name);
        (run, count("failed") + count("failed_lookups"))
    }
}

/// The URL of a port that was free a moment ago, and at which nothing listens.
fn closed_url() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
