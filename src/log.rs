//! The log: Lambda's own settings for format and level, and nothing in it that must stay secret.

use std::env::VarError;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// The log's subscriber, by Lambda's own variables: `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`.
///
/// The level holds for this program and for the SDK's account of its retries. Every other library is held at
/// WARN: below it the SDK logs requests with their signatures and session tokens, and the runtime whole events.
pub fn subscriber<W>(
    variable: impl Fn(&str) -> Result<String, VarError>,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let is_json =
        variable("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("JSON"));
    let level = level(variable("AWS_LAMBDA_LOG_LEVEL").ok().as_deref());
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target("aws_smithy_runtime::client::retries", level);
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
        // CloudWatch notes the time of each line itself.
        Box::new(registry().with(targets).with(lines.without_time()))
    }
}

/// Lambda's levels are those of `tracing`, and FATAL.
fn level(name: Option<&str>) -> LevelFilter {
    match name {
        Some(name) if name.eq_ignore_ascii_case("FATAL") => LevelFilter::ERROR,
        Some(name) => name.parse().unwrap_or(LevelFilter::INFO),
        None => LevelFilter::INFO,
    }
}
