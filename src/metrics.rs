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
    inference_units_stopped: u64,
    /// 1 after a good run and 0 after a failed one. A dry run stops nothing, and a run of some of
    /// the accounts says nothing about the others.
    runs_succeeded: Option<u64>,
    /// In milliseconds.
    duration: Duration,
}

/// Writes the record of a run as one line. `covers_all_accounts` is whether the run covers all the
/// accounts that its entries stand for.
///
/// # Errors
/// Those of the output.
pub(crate) fn write(
    mut output: &mut dyn io::Write,
    function_name: &str,
    report: &Report,
    covers_all_accounts: bool,
    duration: Duration,
) -> io::Result<()> {
    let count = |models: usize| u64::try_from(models).unwrap_or(u64::MAX);
    let (summary, dry_run) = (&report.summary, report.is_dry_run());
    let run = Run {
        timestamp: SystemTime::now(),
        function_name,
        models_stopped: count(summary.stopped + summary.stopping),
        models_already_stopped: count(summary.already_stopped),
        models_kept: count(summary.kept),
        models_failed: count(summary.failed),
        // What a dry run would have stopped is in its report, but saves nothing.
        inference_units_stopped: if dry_run {
            0
        } else {
            summary.inference_units_stopped
        },
        runs_succeeded: (covers_all_accounts && !dry_run).then(|| report.is_good().into()),
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
        covers_all_accounts: bool,
        dry_run: bool,
    ) -> Option<u64> {
        let report = Report::new(models, Vec::new(), 1, dry_run, None);
        let mut record = Vec::new();
        write(
            &mut record,
            "nightly",
            &report,
            covers_all_accounts,
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
    fn only_a_run_that_stops_models_in_all_accounts_counts_as_succeeded_or_not() {
        let failure = Failure::new(Code::Panicked, "a fault");
        let failed = vec![ModelReport::failed("a", failure)];
        assert_eq!(runs_succeeded(Vec::new(), true, false), Some(1));
        assert_eq!(runs_succeeded(failed.clone(), true, false), Some(0));
        assert_eq!(runs_succeeded(failed, true, true), None);
        assert_eq!(runs_succeeded(Vec::new(), true, true), None);
        assert_eq!(runs_succeeded(Vec::new(), false, false), None);
    }
}
