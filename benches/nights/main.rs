//! The function as it is deployed and invoked, compared with its peers: `cargo bench`.
//!
//! Every measurement is a new process that Lambda's Runtime API, here a stand-in, invokes once. The
//! service is the emulator. `cargo bench -- SECTION` measures one section alone, of [`SECTIONS`],
//! and fails where a bar is missed. With `--docs` the tables are written into
//! `docs/performance.md`, and the plots into `docs/plots`.
//!
//! `cargo bench -- costs` compares with `benches/costs.json`, and with `--accept` writes that file.
//! `PROGRAM=PATH` before each measures another build of the function.

#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/tls.rs"]
mod tls;

mod cgroup;
mod costs;
mod first;
mod large;
mod late;
mod output;
mod plots;
mod program;
mod quotas;
mod run;
mod work;

use std::path::Path;
use std::process::ExitCode;

use cgroup::LambdaBox;
use output::{Output, progress};
use program::{Program, build_stopper};

const COSTS: &str = "costs";
/// What is measured if nothing is named, and what of it is in Lambda's smallest size.
const SECTIONS: [&str; 4] = ["quotas", "first", "large", "late"];
const IN_THE_BOX: [&str; 3] = ["first", "large", "late"];

#[tokio::main]
async fn main() -> ExitCode {
    // cargo adds `--bench`.
    let arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let (flags, mut sections): (Vec<String>, Vec<String>) =
        arguments.partition(|argument| argument.starts_with("--"));
    let has_flag = |name: &str| flags.iter().any(|flag| flag == name);
    let is_known = |it: &String| it == COSTS || SECTIONS.contains(&it.as_str());
    if let Some(unknown) = sections.iter().find(|it| !is_known(it)) {
        eprintln!("{unknown} is no section: {COSTS}, {}", SECTIONS.join(", "));
        return ExitCode::FAILURE;
    }

    progress("building what is deployed");
    build_stopper();
    if sections.iter().any(|section| section == COSTS) {
        return costs::compare(has_flag("--accept")).await;
    }
    if sections.is_empty() {
        sections = SECTIONS.map(str::to_owned).to_vec();
    }
    let (programs, missing): (Vec<_>, Vec<_>) =
        Program::ALL.into_iter().partition(|it| it.is_installed());
    for program in &missing {
        let name = program.name();
        eprintln!("not measured, since benches/peers/install has not installed it: {name}");
    }
    let has_box = match LambdaBox::new() {
        Ok(_) => true,
        Err(error) => {
            eprintln!("not measured, since no cgroup can be made here ({error}): {IN_THE_BOX:?}");
            false
        }
    };
    let is_for_docs = has_flag("--docs");
    if is_for_docs && !(missing.is_empty() && has_box) {
        eprintln!("--docs needs all of that");
        return ExitCode::FAILURE;
    }
    if !has_box {
        sections.retain(|section| !IN_THE_BOX.contains(&section.as_str()));
    }

    let mut output = Output::default();
    for section in &sections {
        match section.as_str() {
            "quotas" => quotas::measure(&programs, &mut output).await,
            "first" => first::measure(&programs, &mut output).await,
            "large" => large::measure(&mut output).await,
            "late" => late::measure(&mut output).await,
            other => unreachable!("{other} is known"),
        }
    }
    if is_for_docs {
        output.write_to(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"));
    }
    for failure in &output.failures {
        eprintln!("a bar was missed: {failure}");
    }
    match output.failures[..] {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
