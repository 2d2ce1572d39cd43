//! The emulator as a program: for the AWS CLI, for a stack on a developer's machine, for checks of
//! policies.

mod arguments;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;
use rekognition_emulator::{Builder, Emulator};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or ctrl-c.
async fn run(arguments: Arguments) -> Result<(), String> {
    // Before the line that says that it listens: from then on a signal ends it in good order.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let port = arguments.port;
    let emulator = furnish(arguments)?
        .start()
        .await
        .map_err(|error| cannot_listen(port, &error))?;
    announce(&emulator).map_err(|error| format!("standard output: {error}"))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The emulator that the arguments describe.
fn furnish(arguments: Arguments) -> Result<Builder, String> {
    let mut builder = Emulator::builder()
        .port(arguments.port)
        .account(&arguments.account)
        .caller_role(&arguments.caller_role)
        .empty_pages(arguments.empty_pages)
        .start_takes(arguments.start_takes)
        .stop_takes(arguments.stop_takes)
        .latency(arguments.latency);
    if let Some(quota) = arguments.quota() {
        builder = builder.quota(quota);
    }
    for (operation, quota) in arguments.operation_quota {
        builder = builder.operation_quota(operation, quota);
    }
    // First, since it begins a new organization.
    if let Some(account) = &arguments.management_account {
        builder = builder.management_account(account);
    }
    for account in arguments.organization_account {
        builder = builder.organization_account(account);
    }
    for unit in arguments.organizational_unit {
        builder = builder.organizational_unit(unit);
    }
    for account in &arguments.delegated_administrator {
        builder = builder.delegated_administrator(account);
    }
    for role in arguments.role {
        builder = builder.role(role);
    }
    for denial in &arguments.deny {
        builder = builder.deny(&denial.action, denial.resource.as_deref());
    }
    for fault in arguments.fault {
        builder = builder.fault(fault);
    }
    if let Some(path) = &arguments.record {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(path);
        let file = file.map_err(|error| format!("--record {}: {error}", path.display()))?;
        builder = builder.record_to(file);
    }
    Ok(builder.models(arguments.model))
}

fn announce(emulator: &Emulator) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "listening on {}", emulator.url())?;
    out.flush()
}

fn cannot_listen(port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on 127.0.0.1 is busy: another program listens there; \
             end it, or choose another with --port (0 takes any that is free)"
        ),
        _ => format!("port {port} on 127.0.0.1: {error}"),
    }
}
