//! Shows which models run in an account, with the user's own credentials, and stops them.
//!
//! It is the function's own handler, with dry runs: what this prints is what the function would do.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod arguments;
mod credentials;
mod progress;
mod table;
mod view;

use std::env::{self, VarError};
use std::io::{self, IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::{Outcome, Report};
use rekognition_stopper::request::{Entry, Payload};
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, Invocation};
use serde_json::json;
use tokio::time::Instant;

use arguments::Arguments;
use progress::Progress;

/// A run has as much time as the function has.
const TIME: Duration = Duration::from_secs(15 * 60);

/// How a command ended that printed everything it found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Successful,
    Failed,
}

/// Why a command ended before that.
enum Failure {
    /// The command line or the environment is not valid, and nothing was called.
    NotValid(String),
    /// Anything else.
    Failed(String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (code, error) = match run(&Arguments::parse()).await {
        Ok(Ending::Successful) => return ExitCode::SUCCESS,
        Ok(Ending::Failed) => return ExitCode::FAILURE,
        Err(Failure::Failed(error)) => (1, error),
        Err(Failure::NotValid(error)) => (2, error),
    };
    eprintln!("error: {error}");
    ExitCode::from(code)
}

async fn run(arguments: &Arguments) -> Result<Ending, Failure> {
    let settings = settings(arguments).map_err(|error| Failure::NotValid(error.to_string()))?;
    for pattern in &arguments.patterns {
        let is_valid = Entry::new(pattern).target;
        is_valid.map_err(|error| Failure::NotValid(format!("{pattern}: {error}")))?;
    }
    let is_terminal = stdin().is_terminal() && stderr().is_terminal();
    if arguments.stop && !arguments.yes && (arguments.json || !is_terminal) {
        return Err(Failure::NotValid(
            "--stop asks before it stops anything, which needs a terminal and the table; add --yes \
             to stop without being asked"
                .to_owned(),
        ));
    }

    let profile = arguments.profile.as_deref();
    let caller = credentials::resolve(profile).await;
    let caller = caller.map_err(Failure::Failed)?;
    eprintln!("Calling AWS as {}", caller.arn);
    let progress = Progress::new();
    tracing::subscriber::set_global_default(progress.subscriber())
        .map_err(|error| Failure::Failed(format!("the log could not be set up: {error}")))?;
    let patterns = match arguments.patterns.as_slice() {
        [] => vec![format!(
            "arn:aws:rekognition:*:{}:project/*",
            caller.account
        )],
        patterns => patterns.to_vec(),
    };
    let command = Command {
        price: settings.inference_unit_hour_price,
        handler: Handler::new(Ok(settings), Aws::new(caller.config), |_| ()),
        account: caller.account,
        is_json: arguments.json,
        progress,
    };
    if arguments.stop && arguments.yes {
        let report = command.invoke(&patterns, Act::Stop).await?;
        return command.tell(&report);
    }
    let seen = command.invoke(&patterns, Act::Look).await?;
    let told = command.tell(&seen)?;
    // Nothing is stopped that was not shown.
    let models = seen.models.iter();
    let models = models.filter(|model| model.outcome == Outcome::WouldStop);
    let models: Vec<String> = models.map(|model| model.model_arn.to_string()).collect();
    if !arguments.stop || models.is_empty() || !is_confirmed(models.len()) {
        return Ok(told);
    }
    let stopped = command.invoke(&models, Act::Stop).await?;
    Ok(command.tell(&stopped)?.max(told))
}

/// The function's settings, except for what the arguments say. Starts are looked up by default.
fn settings(arguments: &Arguments) -> Result<Settings, Error> {
    Settings::read(|name| match (name, env::var(name)) {
        ("MODEL_ARNS" | "DRY_RUN", _) => Err(VarError::NotPresent),
        ("REGIONS", _) if !arguments.region.is_empty() => Ok(arguments.region.join(",")),
        ("FIND_STARTS", Err(VarError::NotPresent)) => Ok("true".to_owned()),
        (_, value) => value,
    })
}

/// Asks whether to stop this many models.
fn is_confirmed(models: usize) -> bool {
    let these = if models == 1 {
        "this model"
    } else {
        "these models"
    };
    eprint!("\nStop {these}? [y/N] ");
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What to do with the models.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Look,
    Stop,
}

/// What the runs of this command have in common.
struct Command {
    handler: Handler,
    /// The account of the credentials, in which no role is assumed.
    account: String,
    price: Option<f64>,
    is_json: bool,
    progress: Progress,
}

impl Command {
    /// Has the handler look at these models, or stop them.
    async fn invoke(&self, entries: &[String], act: Act) -> Result<Report, Failure> {
        let event = json!({"model_arns": entries, "dry_run": act == Act::Look});
        let payload: Payload = serde_json::from_str(&event.to_string())
            .map_err(|error| Failure::Failed(error.to_string()))?;
        let invocation = Invocation {
            request_id: String::new(),
            function_name: String::new(),
            // The handler takes the account from it.
            function_arn: format!("arn:aws:lambda::{}:function:cli", self.account),
            deadline: Instant::now() + TIME,
        };
        let what = match act {
            Act::Look => "Looking",
            Act::Stop => "Stopping",
        };
        let work = self.handler.invoke(payload, invocation);
        match self.progress.during(what, work).await {
            Ok(Response::Report(report)) | Err(Error::NotAllStopped(report)) => Ok(report),
            Ok(Response::Plan(_)) => Err(Failure::Failed("a run has a report".to_owned())),
            Err(error) => Err(Failure::NotValid(error.to_string())),
        }
    }

    /// Prints the report, and what failed according to it.
    fn tell(&self, report: &Report) -> Result<Ending, Failure> {
        let text = if self.is_json {
            serde_json::to_string_pretty(report).map_err(io::Error::from)
        } else {
            Ok(view::of(report, self.price))
        };
        text.and_then(|text| writeln!(stdout(), "{text}"))
            .map_err(|error| Failure::Failed(format!("the report was not printed: {error}")))?;
        if !report.is_successful() {
            eprintln!("error: {}", report.message);
            return Ok(Ending::Failed);
        }
        if report.models_left_out > 0 {
            eprintln!("error: not all models are shown; give patterns that match fewer");
            return Ok(Ending::Failed);
        }
        Ok(Ending::Successful)
    }
}
