//! One night, with everything that can be said about it.

use rekognition_emulator::{Call, Change};
use tokio::time::Instant;

use super::night::Night;
use super::run::live_through;
use super::verdict;
use crate::support::log::Log;

/// Runs a night and prints it, and fails if a promise is broken.
pub fn tell(night: &Night) {
    eprintln!("{night:#?}\n");
    let log = Log::new("text", "DEBUG");
    let runs = live_through(night);
    eprintln!("{}", log.text());
    for run in &runs {
        let calls = run.calls.iter().map(|it| (it.at, call(it)));
        let changes = run.changes.iter().map(|it| (it.at, change(it)));
        let mut events: Vec<(Instant, String)> = calls.chain(changes).collect();
        events.sort_by_key(|(at, _)| *at);
        for (at, event) in events {
            eprintln!("{:>12?}  {event}", at - run.begun);
        }
        eprintln!(
            "{:>12?}  the answer, of {:?}\n",
            run.ended - run.begun,
            run.time
        );
    }
    let wrong = verdict::of_runs(night, &runs);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn call(call: &Call) -> String {
    let (account, region, operation) = (&call.account, &call.region, call.operation);
    let (body, answer) = (&call.body, &call.answer);
    format!("{account} {region}  {operation} {body} -> {answer}")
}

fn change(change: &Change) -> String {
    format!("{} is {}", change.arn, change.status)
}
