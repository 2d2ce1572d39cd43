//! Speed, memory and size of the function, as it is deployed and invoked, compared with its peers:
//! `cargo bench`.
//!
//! Every measurement is a new process that Lambda's Runtime API, here a stand-in, invokes once. The
//! service is the emulator, over plain HTTP or behind TLS. The peers (see `benches/peers`) are
//! measured where `benches/peers/install` has installed them.
//!
//! `cargo bench -- cold` measures one section alone: `cold`, `instructions`, `quotas`, `many`,
//! `box`, `trouble` or `starts`. It fails where an answer in the box comes late, or a bar in
//! trouble is missed. A whole run writes its tables to `target/performance.md` and its plots to
//! `target/plots`; `cargo bench -- --docs` writes them to `benches/measured.md`,
//! `docs/performance.md` and `docs/plots`. `cargo bench -- costs` is no part of that: it compares
//! with `benches/costs.json`, and `cargo bench -- costs --accept` writes that file. `PROGRAM=PATH`
//! before each measures another build of the function, of an earlier commit perhaps.

#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/tls.rs"]
mod tls;

mod cgroup;
mod cold;
mod costs;
mod front;
mod instructions;
mod many;
mod output;
mod plots;
mod program;
mod quotas;
mod smallest_box;
mod starts;
mod trouble;
mod work;

use std::path::Path;
use std::process::ExitCode;

use output::{Output, progress};
use program::{Program, target_directory};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has_flag = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let sections: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let is_wanted = |section: &str| sections.is_empty() || sections.contains(&section);

    progress("building what is deployed");
    let programs = Program::all();
    if sections.contains(&"costs") {
        return costs::compare(has_flag("--accept")).await;
    }
    let mut output = Output::default();
    if is_wanted("cold") {
        cold::measure(&programs, &mut output).await;
    }
    if is_wanted("instructions") {
        instructions::measure(&programs, &mut output).await;
    }
    let mut left_running = vec![];
    if is_wanted("quotas") {
        left_running = quotas::measure(&programs, &mut output).await;
    }
    if is_wanted("many") {
        many::measure(&mut output).await;
    }
    let mut figures = smallest_box::Figures::default();
    if is_wanted("box") {
        figures = smallest_box::measure(&programs, &mut output).await;
    }
    let mut missed = std::mem::take(&mut figures.late);
    if is_wanted("trouble") {
        missed.extend(trouble::measure(&mut output).await);
    }
    if is_wanted("starts") {
        missed.extend(starts::measure(&mut output).await);
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = root.join("docs");
    let is_for_docs = sections.is_empty() && has_flag("--docs");
    let plots = if is_for_docs {
        docs.join("plots")
    } else {
        target_directory().join("plots")
    };
    std::fs::create_dir_all(&plots).unwrap();
    if !left_running.is_empty() {
        plots::left_running(&plots.join("left-running.svg"), &left_running).unwrap();
    }
    if !figures.first.is_empty() {
        plots::first_invocation(&plots.join("first-invocation.svg"), &figures.first).unwrap();
        plots::organizations(&plots.join("organizations.svg"), &figures.organizations).unwrap();
    }
    if sections.is_empty() {
        output.write_to(&target_directory().join("performance.md"));
    }
    if is_for_docs {
        // The test of the documentation holds its figures against this one.
        output.write_to(&root.join("benches/measured.md"));
        output.write_into(&docs.join("performance.md"));
    }
    for work in &missed {
        eprintln!("a bar was missed: {work}");
    }
    match missed[..] {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
