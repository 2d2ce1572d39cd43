//! The emulator as a program: for the AWS CLI, for a stack on a developer's machine, for checks of
//! policies and of the wire.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use rekognition_emulator::{
    Account, Builder, Emulator, Fault, Model, Operation, OrganizationalUnit, Role, StartEvent,
    Starter,
};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Emulates Amazon Rekognition Custom Labels, STS, Organizations and CloudTrail on 127.0.0.1

  --port N                      the port to listen on; any that is free by default
  --account ID                  the account of callers without a session; 123456789012 by default
  --model ARN=STATUS[,units=N][,max-units=N][,tag:KEY=VALUE]...
                                a model that the user alice started an hour ago; may be given
                                many times
  --start-takes, --stop-takes DURATION
                                how long a model is STARTING or STOPPING, such as 500ms or 6s
  --deny ACTION[@RESOURCE]      an action that is refused, on ARNs that begin so
  --error OPERATION=CODE        the error for the operation's first call; given again, for its next
  --record FILE                 appends a line of JSON to it for each call

The account manages an organization with the unit ou-emul-11111111, and in it the account
222222222222, whose role `member` trusts every caller without a session.
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|it| it == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or ctrl-c.
async fn run(arguments: Vec<String>) -> Result<(), String> {
    // Before the line that says that it listens: from then on a signal ends it in good order.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let emulator = furnish(arguments)?.start().await;
    let emulator = emulator.map_err(|error| format!("the port cannot be listened on: {error}"))?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", emulator.url())
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}"))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The emulator that the arguments describe.
fn furnish(arguments: Vec<String>) -> Result<Builder, String> {
    let mut builder = Emulator::builder();
    let mut account = "123456789012".to_owned();
    let mut errors = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(option) = arguments.next() {
        let value = arguments.next();
        let value = value.ok_or_else(|| format!("{option} has no value\n\n{USAGE}"))?;
        let furnished = match option.as_str() {
            "--port" => number(&value).map(|port| builder.port(port)),
            "--account" => {
                account.clone_from(&value);
                Ok(builder.account(&value))
            }
            "--model" => model(&value).map(|(model, start)| builder.model(model).starts([start])),
            "--start-takes" => duration(&value).map(|it| builder.start_takes(it)),
            "--stop-takes" => duration(&value).map(|it| builder.stop_takes(it)),
            "--deny" => {
                let mut parts = value.splitn(2, '@');
                let (action, resource) = (parts.next().unwrap_or_default(), parts.next());
                match Operation::ALL.iter().any(|it| it.action() == action) {
                    true => Ok(builder.deny(action, resource)),
                    false => Err("the action is none of the emulator's".to_owned()),
                }
            }
            "--error" => error(&value, &mut errors).map(|fault| builder.fault(fault)),
            "--record" => {
                let file = OpenOptions::new().create(true).append(true).open(&value);
                file.map(|file| builder.record_to(file))
                    .map_err(|error| error.to_string())
            }
            _ => return Err(format!("there is no option {option}\n\n{USAGE}")),
        };
        builder = furnished.map_err(|error| format!("{option} {value}: {error}"))?;
    }
    let (unit, member) = ("ou-emul-11111111", "222222222222");
    let role = Role::new(&format!("arn:aws:iam::{member}:role/member"))?;
    let caller = format!("arn:aws:iam::{account}:role/stopper");
    Ok(builder
        .management_account(&account)
        .organizational_unit(OrganizationalUnit::new(unit))
        .organization_account(Account::new(member).parent(unit))
        .role(role.trusts(&caller)))
}

/// A model with as long a description as training leaves, and who started it an hour ago.
fn model(text: &str) -> Result<(Model, StartEvent), String> {
    let usage = "a model is given as ARN=STATUS[,units=N][,max-units=N][,tag:KEY=VALUE]...";
    let (arn, rest) = text.split_once('=').ok_or(usage)?;
    let mut parts = rest.split(',');
    let status = parts.next().filter(|it| !it.is_empty()).ok_or(usage)?;
    let model = Model::new(arn)?;
    let starter = Starter::User("alice".to_owned());
    let start = StartEvent::new(arn, starter, Duration::from_secs(3600))?;
    let mut model = model.status(status).description_bytes(2_500);
    for part in parts {
        model = match part.split_once('=').ok_or(usage)? {
            ("units", units) => model.inference_units(number(units)?),
            ("max-units", units) => model.max_inference_units(number(units)?),
            (tag, value) => model.tag(tag.strip_prefix("tag:").ok_or(usage)?, value),
        };
    }
    Ok((model, start))
}

/// The fault of an error for an operation's next call, after the earlier ones.
fn error(text: &str, earlier: &mut Vec<Operation>) -> Result<Fault, String> {
    let usage = "an error is given as OPERATION=CODE, with an operation of the emulator";
    let (name, code) = text.split_once('=').ok_or(usage)?;
    let operation = Operation::from_name(name);
    if operation == Operation::Unknown {
        return Err(usage.to_owned());
    }
    earlier.push(operation);
    let attempt = earlier.iter().filter(|it| **it == operation).count() as u32;
    Ok(Fault::error(code)
        .operation(operation)
        .attempts(attempt..=attempt))
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or_default(), 1.0),
    };
    let seconds = number.parse::<f64>().unwrap_or(f64::NAN) * scale;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "a duration is a number with ms or s, such as 500ms or 6s".to_owned())
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    let wrong = |_| format!("'{text}' is not a whole number in range");
    text.parse().map_err(wrong)
}
