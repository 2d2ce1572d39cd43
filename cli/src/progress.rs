//! The output to standard error during a run: its progress, in a terminal, and the warnings in the
//! function's log.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, stderr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// How often the line is written anew.
const PERIOD: Duration = Duration::from_millis(200);
/// Goes to the beginning of the line, and clears it.
const CLEAR: &str = "\r\x1b[K";

/// The progress of the runs of this process.
#[derive(Clone, Debug)]
pub struct Progress {
    is_shown: bool,
    /// The models whose outcome is known.
    models: Arc<AtomicUsize>,
}

impl Progress {
    /// No progress yet. It is shown only in a terminal.
    pub fn new() -> Self {
        Self {
            is_shown: stderr().is_terminal(),
            models: Arc::default(),
        }
    }

    /// The log's subscriber that follows the function's progress. Failures are in its report.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        // Libraries are left out: they would log requests with their signatures.
        let of_the_function = Targets::new().with_target("rekognition_stopper", LevelFilter::INFO);
        registry().with(of_the_function).with(self.clone())
    }

    /// Shows the progress of this work, which is called `what`, until it is done.
    pub async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let start = Instant::now();
        let mut period = interval(PERIOD);
        self.models.store(0, Ordering::Relaxed);
        loop {
            tokio::select! {
                result = &mut work => {
                    self.write(format_args!(""));
                    return result;
                }
                _ = period.tick() => {
                    let models = self.models.load(Ordering::Relaxed);
                    let seconds = start.elapsed().as_secs();
                    self.write(format_args!("{what}: {seconds} s, models: {models}"));
                }
            }
        }
    }

    /// Writes this in place of the line.
    fn write(&self, line: fmt::Arguments) {
        if self.is_shown {
            eprint!("{CLEAR}{line}");
        }
    }
}

impl<S: Subscriber> Layer<S> for Progress {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.message == "model" {
            self.models.fetch_add(1, Ordering::Relaxed);
        } else if *event.metadata().level() == Level::WARN {
            self.write(format_args!(""));
            eprintln!("warning: {}{}", line.message, line.fields);
        }
    }
}

/// A line of the function's log.
#[derive(Debug, Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "requestId" => {}
            name => {
                let separator = if self.fields.is_empty() { ": " } else { ", " };
                // Writing to a string does not fail.
                let _ = write!(self.fields, "{separator}{name} {value:?}");
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
