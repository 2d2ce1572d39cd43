//! The costs of a start and a call, and the program's size, compared with those in the repository.
//! Instructions are counted by callgrind: they hardly depend on what else the machine does.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::output::progress;
use crate::program::{PROGRAM, Program};
use crate::run::Tls;
use crate::support::runtime_api::Function;
use crate::support::{arns, running_emulator};

/// By how much a cost may differ from the file.
const TOLERANCE: f64 = 0.03;
const FILE: &str = "benches/costs.json";
/// The number of models in the run that measures a further call.
const MANY: usize = 300;
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The costs as they are now: instructions, except for the size.
async fn measure() -> [(&'static str, f64); 4] {
    progress("costs: a start");
    let start = instructions(0).await;
    progress("costs: the first call");
    let of_one = instructions(1).await;
    progress("costs: further calls");
    let of_many = instructions(MANY).await;
    [
        ("start_instructions", start),
        ("first_call_instructions", of_one - start),
        (
            "further_call_instructions",
            (of_many - of_one) / (MANY - 1) as f64,
        ),
        ("packed_bytes", packed_bytes() as f64),
    ]
}

/// Compares with the file, or writes it. A cost that has changed fails also where it is less, so
/// that what was gained is not lost in small steps.
pub async fn compare(accept: bool) -> ExitCode {
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if valgrind.await.is_err() {
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

/// The instructions of the whole process, from its start, through the stops of this many models
/// over TLS, until it asks for the next event.
async fn instructions(models: usize) -> f64 {
    let arns = arns(models);
    let emulator = running_emulator(&arns).await;
    let tls = Tls::start(&emulator).await;
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.log");
    let mut valgrind = Command::new("/usr/bin/env");
    valgrind
        .args(["valgrind", "--tool=callgrind"])
        .arg("--callgrind-out-file=/dev/null")
        .arg(format!("--log-file={}", log.display()))
        .arg(Program::Stopper.path());
    let path = std::env::var("PATH").unwrap();
    let mut variables = vec![
        ("PATH", path.as_str()),
        ("CONFIRM_STOPPED", "false"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        // How many connections are opened side by side would be a matter of time.
        ("MAX_CONCURRENCY", "1"),
    ];
    variables.extend(tls.variables());
    let mut function = Function::start_program(valgrind, &variables).await;
    let event = json!({ "model_arns": arns }).to_string();
    let response = function.invoke(event, TIME_LIMIT).await;
    assert!(response.is_ok, "{response:?}");
    function.is_idle().await;
    function.terminate().await;
    let log = std::fs::read_to_string(log).unwrap();
    let (_, count) = log.split_once("Collected : ").unwrap();
    count.split_whitespace().next().unwrap().parse().unwrap()
}

/// The size of the program, compressed.
fn packed_bytes() -> usize {
    let gzip = std::process::Command::new("gzip")
        .args(["-9", "--stdout"])
        .arg(Program::Stopper.path())
        .output();
    gzip.unwrap().stdout.len()
}
