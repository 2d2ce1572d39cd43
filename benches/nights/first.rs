//! The first night of a process in Lambda's smallest size, compared with peers.

use std::time::Duration;

use futures_util::future::join_all;

use crate::output::{Output, median, number, progress, seconds};
use crate::plots::{Bar, bars};
use crate::program::Program;
use crate::run::{Idle, Place, Run};
use crate::work::Work;

const TIME_LIMIT: Duration = Duration::from_secs(900);
/// How often a start and the stop of one model are measured, and how often what takes longer.
const RUNS: usize = 11;
const LONG_RUNS: usize = 3;
const MANY: usize = 1000;

/// What was measured of a program.
#[derive(Default)]
struct Measured {
    starts: Vec<f64>,
    of_one: Vec<Run>,
    of_many: Vec<Run>,
}

pub async fn measure(programs: &[Program], output: &mut Output) {
    let mut measured: Vec<Measured> = programs.iter().map(|_| Measured::default()).collect();
    for round in 1..=RUNS {
        progress(&format!("first: 1 model, round {round} of {RUNS}"));
        for (program, measured) in programs.iter().zip(&mut measured) {
            measured.starts.push(start(*program).await);
            measured.of_one.push(run(*program, Work::one()).await);
        }
    }
    for round in 1..=LONG_RUNS {
        progress(&format!(
            "first: {MANY} models, round {round} of {LONG_RUNS}"
        ));
        // All at once: each has its share of a processor, and no more.
        let runs = programs
            .iter()
            .map(|program| run(*program, Work::named(MANY)));
        for (run, measured) in join_all(runs).await.into_iter().zip(&mut measured) {
            measured.of_many.push(run);
        }
    }

    let columns = [
        "program",
        "start",
        "1 model",
        "processor time",
        "memory",
        &format!("{} models", number(MANY)),
        "processor time",
        "memory",
    ];
    output.table("first", &columns);
    let mut plotted = vec![];
    for (program, measured) in programs.iter().zip(measured) {
        let start = seconds(median(measured.starts));
        let mut row = vec![program.name().to_owned(), start];
        row.extend(cells(&measured.of_one));
        row.extend(cells(&measured.of_many));
        let seconds = median(measured.of_one.iter().map(|run| run.seconds));
        plotted.push(Bar {
            name: program.name(),
            milliseconds: 1000.0 * seconds,
        });
        output.row(&row);
    }
    let title = "First invocation in Lambda’s smallest size, 1 model: shorter is better";
    output.plot("first-invocation", |theme| bars(theme, title, &plotted));
}

/// The seconds from the start of the process until it asks for its first event. It has a whole
/// processor for that.
async fn start(program: Program) -> f64 {
    let idle = Idle::start(program, Work::one(), Place::WholeProcessor).await;
    idle.start_seconds
}

async fn run(program: Program, work: Work) -> Run {
    let idle = Idle::start(program, work, Place::SmallestBox).await;
    let run = idle.run(TIME_LIMIT).await;
    let name = program.name();
    assert!(run.response.is_ok, "{name}: {}", run.response.body);
    assert_eq!(run.left, 0, "{name} left models running");
    run
}

/// The medians of the time, the processor time and the memory.
fn cells(runs: &[Run]) -> [String; 3] {
    let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of));
    [
        seconds(middle(|run| run.seconds)),
        seconds(middle(|run| run.processor_seconds)),
        format!("{:.1} MB", middle(|run| run.memory)),
    ]
}
