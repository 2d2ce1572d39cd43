//! The run's record for CloudWatch, in its [embedded metric format], which Lambda's log delivers without a call.
//!
//! [embedded metric format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::io;
use std::time::{Duration, SystemTime};

use metrique_writer::Entry;
use metrique_writer::format::Format;
use metrique_writer_format_emf::Emf;

use crate::report::Summary;

const NAMESPACE: &str = "RekognitionStopper";
const DIMENSION: &str = "FunctionName";

/// One run. The fields are the metrics.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct Run<'run> {
    #[entry(timestamp)]
    timestamp: SystemTime,
    function_name: &'run str,
    /// Models whose stop was accepted, seen stopped or not.
    models_stopped: u64,
    models_already_stopped: u64,
    models_kept: u64,
    models_failed: u64,
    inference_units_stopped: u64,
    /// In milliseconds.
    duration: Duration,
}

/// Writes the record of a run as one line.
///
/// # Errors
/// Those of the output.
pub(crate) fn write(
    mut output: &mut dyn io::Write,
    function_name: &str,
    summary: &Summary,
    dry_run: bool,
    duration: Duration,
) -> io::Result<()> {
    let count = |models: usize| u64::try_from(models).unwrap_or(u64::MAX);
    let run = Run {
        timestamp: SystemTime::now(),
        function_name,
        models_stopped: count(summary.stopped + summary.stopping),
        models_already_stopped: count(summary.already_stopped),
        models_kept: count(summary.kept),
        models_failed: count(summary.failed),
        // What a dry run would have stopped is in its report, and is no saving.
        inference_units_stopped: if dry_run {
            0
        } else {
            summary.inference_units_stopped
        },
        duration,
    };
    let dimensions = vec![vec![DIMENSION.to_owned()]];
    Emf::no_validations(NAMESPACE.to_owned(), dimensions)
        .format(&run, &mut output)
        .map_err(io::Error::other)
}
