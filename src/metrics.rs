//! The run's record for CloudWatch, in its [embedded metric format], which Lambda's log delivers
//! without a call.
//!
//! [embedded metric format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::io;
use std::time::{Duration, SystemTime};

use metrique_writer::Entry;
use metrique_writer::format::Format;
use metrique_writer_format_emf::Emf;

use crate::report::Report;

const NAMESPACE: &str = "RekognitionStopper";
const DIMENSION: &str = "FunctionName";

/// One run. The fields are the metrics.
#[derive(Entry)]
#[entry(rename_all = "PascalCase")]
struct Run<'run> {
    #[entry(timestamp)]
    timestamp: SystemTime,
    function_name: &'run str,
    /// Models whose stop was accepted, whether or not it was confirmed.
    models_stopped: u64,
    models_already_stopped: u64,
    models_kept: u64,
    models_failed: u64,
    lookups_failed: u64,
    inference_units_stopped: u64,
    /// 1 after a successful run and 0 after a failed one, if it says anything about the configured
    /// list: a dry run stops nothing of it.
    runs_succeeded: Option<u64>,
    /// In milliseconds.
    duration: Duration,
}

/// Writes the record of a run as one line. `is_of_configured_list` is whether the run is of the
/// whole configured list.
///
/// # Errors
/// Those of the output.
pub(crate) fn write(
    mut output: &mut dyn io::Write,
    function_name: &str,
    report: &Report,
    is_of_configured_list: bool,
    duration: Duration,
) -> io::Result<()> {
    let count = |models: usize| u64::try_from(models).unwrap_or(u64::MAX);
    let (summary, dry_run) = (&report.summary, report.dry_run);
    let run = Run {
        timestamp: SystemTime::now(),
        function_name,
        models_stopped: count(summary.stopped + summary.stopping),
        models_already_stopped: count(summary.already_stopped),
        models_kept: count(summary.kept),
        models_failed: count(summary.failed),
        lookups_failed: count(summary.failed_lookups),
        // What a dry run would have stopped is in its report, but saves nothing.
        inference_units_stopped: if dry_run {
            0
        } else {
            summary.inference_units_stopped
        },
        runs_succeeded: (is_of_configured_list && !dry_run).then(|| report.is_successful().into()),
        duration,
    };
    let dimensions = vec![vec![DIMENSION.to_owned()]];
    Emf::no_validations(NAMESPACE.to_owned(), dimensions)
        .format(&run, &mut output)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Code, Failure, ModelReport};

    fn runs_succeeded(
        models: Vec<ModelReport>,
        is_of_configured_list: bool,
        dry_run: bool,
    ) -> Option<u64> {
        let report = Report::new(models, Vec::new(), Vec::new(), 1, dry_run, None);
        let mut record = Vec::new();
        write(
            &mut record,
            "nightly",
            &report,
            is_of_configured_list,
            Duration::ZERO,
        )
        .unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let metrics = &record["_aws"]["CloudWatchMetrics"][0]["Metrics"];
        let is_metric = metrics.to_string().contains("RunsSucceeded");
        let value = record
            .get("RunsSucceeded")
            .map(|value| value.as_u64().unwrap());
        assert_eq!(is_metric, value.is_some(), "{record}");
        value
    }

    #[test]
    fn only_a_run_that_stops_the_configured_list_counts_as_succeeded_or_not() {
        let failure = Failure::new(Code::Panicked, "a fault");
        let failed = vec![ModelReport::failed("a", failure)];
        assert_eq!(runs_succeeded(Vec::new(), true, false), Some(1));
        assert_eq!(runs_succeeded(failed.clone(), true, false), Some(0));
        assert_eq!(runs_succeeded(failed, true, true), None);
        assert_eq!(runs_succeeded(Vec::new(), true, true), None);
        assert_eq!(runs_succeeded(Vec::new(), false, false), None);
    }
}
