//! Many models and many accounts in Lambda's smallest size.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::output::{Output, number, progress, seconds};
use crate::plots::{self, Point};
use crate::program::Program;
use crate::run::{Idle, Place, Run, SIDE_BY_SIDE};
use crate::work::Work;

const TIME_LIMIT: Duration = Duration::from_secs(900);
/// Organizations without models: their accounts.
const ACCOUNTS: [usize; 3] = [1000, 3000, 10_000];

/// What is run, organizations first. An emulator is made only when its work begins.
const WORKS: [fn() -> Work; 10] = [
    || Work::organization(ACCOUNTS[0], 0),
    || Work::organization(ACCOUNTS[1], 0),
    || Work::organization(ACCOUNTS[2], 0),
    || Work::organization(300, 40),
    || Work::organization(300, 40).with_starts(),
    || Work::plan(ACCOUNTS[2]),
    || Work::planned_run(ACCOUNTS[2]),
    || Work::confirmed(10_000),
    Work::full,
    || Work::one().with_starts(),
];

pub async fn measure(output: &mut Output) {
    output.table("large", &["work", "time", "processor time", "memory"]);
    let mut all = stream::iter(WORKS).map(run).buffered(SIDE_BY_SIDE);
    let mut times = vec![];
    while let Some(run) = all.next().await {
        output.row(&[
            run.work.name,
            seconds(run.seconds),
            seconds(run.processor_seconds),
            format!("{:.1} MB", run.memory),
        ]);
        times.push(run.seconds);
    }
    let points = ACCOUNTS.iter().zip(times);
    let points = points.map(|(accounts, seconds)| Point {
        x: *accounts as f64,
        x_label: number(*accounts),
        y: seconds,
    });
    let points: Vec<Point> = points.collect();
    let title = "Seconds for an organization without models, 11 regions: less is better";
    output.plot("organizations", |theme| {
        plots::seconds(theme, title, &points, "accounts")
    });
}

async fn run(work: fn() -> Work) -> Run {
    let work = work();
    progress(&format!("large: {}", work.name));
    let idle = Idle::start(Program::Stopper, work, Place::SmallestBox).await;
    let run = idle.run(TIME_LIMIT).await;
    run.work.check(&run.response.body);
    assert_eq!(run.left, 0, "{}: models left running", run.work.name);
    run
}
