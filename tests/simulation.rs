//! Simulated nights.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;
mod simulation {
    pub mod accounts;
    pub mod chance;
    pub mod clock;
    pub mod entries;
    pub mod limits;
    pub mod night;
    pub mod progress;
    pub mod run;
    pub mod trouble;
    pub mod truth;
    pub mod view;
    pub mod wanted;
    pub mod weather;
    pub mod wire;
}
use simulation::night::Night;
use simulation::view::View;
use simulation::{accounts, limits, progress, run, truth};

fn env(n: &str, d: u64) -> u64 {
    std::env::var(n)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(d)
}

#[test]
fn nights() {
    let (seed, nights) = (env("SEED", 1), env("NIGHTS", 1000));
    let mut calls = 0;
    let mut failed = 0;
    let begun = std::time::Instant::now();
    for seed in seed..seed + nights {
        let t = std::time::Instant::now();
        let night = Night::new(seed);
        let log = (nights == 1).then(|| support::log::Log::new("text", "DEBUG"));
        if nights == 1 {
            eprintln!("{night:#?}");
        }
        let runs = run::live_through(&night);
        if let Some(log) = log {
            eprintln!("{}", log.text());
        }
        for run in &runs {
            calls += run.calls.len();
            if nights == 1 {
                for c in &run.calls {
                    eprintln!(
                        "{:?} {} {} {:?} {} {}",
                        c.at - run.begun,
                        c.region,
                        c.operation,
                        c.resources,
                        c.body,
                        c.answer
                    );
                }
                for c in &run.changes {
                    eprintln!("{:?} {} {}", c.at - run.begun, c.arn, c.status);
                }
            }
            let mut wrong = vec![];
            match View::new(&night, run) {
                Err(e) => wrong.push(e),
                Ok(view) => {
                    accounts::check(&view, &mut wrong);
                    truth::check(&view, &mut wrong);
                    progress::check(&view, &mut wrong);
                    limits::check(&view, &mut wrong);
                }
            }
            if !wrong.is_empty() {
                failed += 1;
                eprintln!("SEED={seed}: ");
                for w in wrong.iter().take(4) {
                    eprintln!("   {w}");
                }
            }
        }
        if t.elapsed().as_millis() > 300 {
            eprintln!(
                "SEED={seed} took {:?} calls {:?}",
                t.elapsed(),
                runs.iter().map(|r| r.calls.len()).collect::<Vec<_>>()
            );
        }
    }
    eprintln!(
        "{nights} nights, {calls} calls, {failed} failed in {:?}",
        begun.elapsed()
    );
}
