//! Speed, memory and size of the function, as it is deployed and invoked, beside its peers: `cargo
//! bench`.
//!
//! Every measurement is a new process that Lambda's Runtime API, here a stand-in, invokes once. The
//! service is the emulator, over plain HTTP or behind TLS. The peers (see `benches/peers`) are
//! measured where `benches/peers/install` has installed them.
//!
//! `cargo bench -- cold` measures one section alone: `cold`, `instructions`, `quotas`, `found` or
//! `organizations`. A whole run writes its tables to `target/performance.md`, and
//! `cargo bench -- --readme` also into `docs/performance.md`. `PROGRAM=PATH` before it measures
//! another build of the function, of an earlier commit perhaps.

#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/tls.rs"]
mod tls;

mod cgroup;
mod cold;
mod found;
mod instructions;
mod organizations;
mod output;
mod program;
mod quotas;

use std::path::Path;

use output::{Output, progress};
use program::Program;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sections: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let is_wanted = |section: &str| sections.is_empty() || sections.contains(&section);

    progress("building what is deployed");
    let programs = Program::all();
    let mut output = Output::default();
    if is_wanted("cold") {
        cold::measure(&programs, &mut output).await;
    }
    if is_wanted("instructions") {
        instructions::measure(&programs, &mut output).await;
    }
    if is_wanted("quotas") {
        quotas::measure(&programs, &mut output).await;
    }
    if is_wanted("found") {
        found::measure(&mut output).await;
    }
    if is_wanted("organizations") {
        organizations::measure(&mut output).await;
    }
    if sections.is_empty() {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../performance.md");
        output.write_to(&file);
        if arguments.iter().any(|argument| argument == "--readme") {
            output.write_into(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md"));
        }
    }
}
