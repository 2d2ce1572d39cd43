//! The log: its format and level are Lambda's settings, and it never contains a secret.

use std::env::VarError;
use std::panic;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::excerpt::cut;

/// The maximum length of a panic message in the log, in bytes.
const LONGEST_PANIC: usize = 8 * 1024;

/// The log's subscriber, configured by Lambda's own variables: `AWS_LAMBDA_LOG_FORMAT` and
/// `AWS_LAMBDA_LOG_LEVEL`.
///
/// The level applies to this program. Libraries are held at WARN: below that, the SDK logs requests
/// with their signatures and session tokens, and the runtime logs whole events.
pub fn subscriber<W>(
    variable: impl Fn(&str) -> Result<String, VarError>,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let is_json =
        variable("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("JSON"));
    let level = level(&variable("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default());
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false)
        .with_ansi(false);
    if is_json {
        let lines = lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false);
        Box::new(registry().with(targets).with(lines))
    } else {
        // CloudWatch records the time of each line itself.
        Box::new(registry().with(targets).with(lines.without_time()))
    }
}

/// From now on, writes every panic to the log as one ERROR line in the log's own format. The
/// standard library would write several lines to standard error, which a query for errors would not
/// find.
///
/// This does not decide where a panic ends: the runtime catches one in the handler, reports it to
/// Lambda and carries on; one in the runtime ends the process, and Lambda starts a new one.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let error = panic
            .payload_as_str()
            .unwrap_or("a panic without a message");
        let location = panic.location().map(tracing::field::display);
        tracing::error!(error = &*cut(error, LONGEST_PANIC), location, "panic");
    }));
}

/// The level with this name. No level silences a failure, and a name that Lambda does not know is
/// no reason to log less than usual.
fn level(name: &str) -> LevelFilter {
    match &*name.trim().to_ascii_uppercase() {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" => LevelFilter::WARN,
        "ERROR" | "FATAL" | "OFF" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_or_unknown_level_is_info() {
        for name in ["", " ", "INFO", "info", "loud", "0", "5"] {
            assert_eq!(level(name), LevelFilter::INFO, "{name}");
        }
        for variable in [VarError::NotPresent, VarError::NotUnicode("\u{1}".into())] {
            let subscriber = subscriber(|_| Err(variable.clone()), std::io::sink);
            assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
        }
    }

    #[test]
    fn lambdas_levels_are_read_in_any_case() {
        for (name, right) in [
            ("TRACE", LevelFilter::TRACE),
            ("debug", LevelFilter::DEBUG),
            (" Warn ", LevelFilter::WARN),
            ("ERROR", LevelFilter::ERROR),
        ] {
            assert_eq!(level(name), right, "{name}");
        }
    }

    #[test]
    fn no_level_silences_a_failure() {
        for name in ["FATAL", "OFF", "off", "Off "] {
            assert_eq!(level(name), LevelFilter::ERROR, "{name}");
        }
    }
}
