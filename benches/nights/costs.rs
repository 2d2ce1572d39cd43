//! What a start, a call and the program's size cost, beside what the repository says that they do.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::cold::{Service, Way};
use crate::instructions::{can_be_counted, count, further_call, many, sizes};
use crate::output::progress;
use crate::program::{PROGRAM, Program};

/// By how much a cost may differ from the file.
const TOLERANCE: f64 = 0.03;
const FILE: &str = "benches/costs.json";

/// The costs as they are now: instructions, but for the size.
async fn measure() -> [(&'static str, f64); 4] {
    let service = Service::start().await;
    let count = async |way| count(Program::Stopper, &service, way, None).await;
    progress("costs: a start");
    let start = count(Way::NoCall).await;
    progress("costs: the first call");
    let of_one = count(Way::Tls).await;
    progress("costs: further calls");
    // One after the other: how many connections are opened side by side is a matter of time.
    let of_many = count(many(1)).await;
    let (_, packed) = sizes();
    [
        ("start_instructions", start),
        ("first_call_instructions", of_one - start),
        ("further_call_instructions", further_call(of_one, of_many)),
        ("packed_bytes", packed as f64),
    ]
}

/// Compares with the file, or writes it. A cost that has changed fails also where it is less, so
/// that what was gained is not lost in small steps.
pub async fn compare(accept: bool) -> ExitCode {
    if !can_be_counted().await {
        eprintln!("costs: valgrind is missing: install it first (Debian: valgrind)");
        return ExitCode::FAILURE;
    }
    if accept && std::env::var_os(PROGRAM).is_none() {
        eprintln!("costs: {FILE} is of what cargo-lambda builds: set {PROGRAM} to that");
        return ExitCode::FAILURE;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let costs = measure().await;
    if accept {
        let costs = costs.map(|(name, cost)| (name.to_owned(), Value::from(cost.round() as u64)));
        let costs = Value::Object(Map::from_iter(costs));
        std::fs::write(&file, format!("{costs:#}\n")).unwrap();
        println!("written to {FILE}");
        return ExitCode::SUCCESS;
    }
    let before: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let mut code = ExitCode::SUCCESS;
    for (name, cost) in costs {
        let before = before[name].as_f64().unwrap();
        let change = cost / before - 1.0;
        let is_same = change.abs() <= TOLERANCE;
        let verdict = if is_same { "as before" } else { "CHANGED" };
        println!(
            "{name}: {cost:.0}, in {FILE} {before:.0}: {:+.1} %, {verdict}",
            100.0 * change
        );
        if !is_same {
            code = ExitCode::FAILURE;
        }
    }
    if code == ExitCode::FAILURE {
        println!("if that is meant: cargo bench -- costs --accept, with the same PROGRAM");
    }
    code
}
