//! Runs in Lambda's smallest size that have too little time: whether they respond before their
//! deadlines, and with what.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use rekognition_emulator::{Fault, Operation};

use crate::output::{Output, number, progress};
use crate::program::Program;
use crate::run::{Idle, Place, Run, SIDE_BY_SIDE};
use crate::support::runtime_api::lines_of;
use crate::work::Work;

/// Work that cannot be finished before its deadline.
struct Row {
    work: Work,
    time_limit: Duration,
}

fn rows() -> [Row; 6] {
    let row = |work: Work, trouble, seconds| Row {
        work: work.called(trouble),
        time_limit: Duration::from_secs(seconds),
    };
    [
        row(Work::found(10_000).with_quota(20.0), "20 calls/s", 60),
        row(without_service(10_000), "and no service", 60),
        row(with_one_that_hangs(10_000), "one of which hangs", 60),
        row(Work::organization(300, 0), "too little time", 7),
        row(with_searches_that_hang(150), "all regions hang", 60),
        row(Work::with_one_good_region(150), "10 regions hang", 60),
    ]
}

fn without_service(models: usize) -> Work {
    let mut work = Work::named(models);
    // A port that was free a moment ago, and at which nothing listens.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    work.variables.push(("AWS_ENDPOINT_URL", url));
    work
}

/// All the others have an outcome when time runs out.
fn with_one_that_hangs(models: usize) -> Work {
    let work = Work::named(models);
    let hang = Fault::hang().resource(&work.models[0]);
    work.with_fault(hang)
}

/// The first call of each search gets no response.
fn with_searches_that_hang(accounts: usize) -> Work {
    let hang = Fault::hang().operation(Operation::DescribeProjects);
    Work::organization(accounts, 0).with_fault(hang)
}

pub async fn measure(output: &mut Output) {
    let columns = [
        "work",
        "deadline",
        "time to spare",
        "failures",
        "left running",
        "memory",
    ];
    output.table("late", &columns);
    let mut all = stream::iter(rows()).map(run).buffered(SIDE_BY_SIDE);
    while let Some(run) = all.next().await {
        let Failures { models, lookups } = failures(&run);
        let to_spare = run.time_limit.as_secs_f64() - run.seconds;
        output.row(&[
            run.work.name.clone(),
            format!("{} s", run.time_limit.as_secs()),
            format!("{to_spare:.1} s"),
            number(models + lookups),
            number(run.left),
            format!("{:.1} MB", run.memory),
        ]);
        if to_spare <= 0.0 || run.left > models {
            output.failures.push(run.work.name);
        }
    }
}

async fn run(row: Row) -> Run {
    progress(&format!("late: {}", row.work.name));
    let idle = Idle::start(Program::Stopper, row.work, Place::SmallestBox).await;
    idle.run(row.time_limit).await
}

/// What the run says has failed.
struct Failures {
    models: usize,
    lookups: usize,
}

/// Panics where the log does not have a line for each model and failed lookup.
fn failures(run: &Run) -> Failures {
    let (name, response) = (&run.work.name, &run.response.body);
    assert_eq!(response["errorType"], "NotAllStopped", "{name}");
    let summaries = lines_of(&run.log, "run");
    let [summary] = &summaries[..] else {
        panic!("{name}: {} lines of a run", summaries.len());
    };
    let count = |field: &str| summary[field].as_u64().unwrap_or_default() as usize;
    let lookups = count("failed_lookups");
    assert_eq!(lines_of(&run.log, "model").len(), count("models"), "{name}");
    assert_eq!(lines_of(&run.log, "lookup").len(), lookups, "{name}");
    assert!(count("models") >= run.work.models.len(), "{name}");
    Failures {
        models: count("failed"),
        lookups,
    }
}
