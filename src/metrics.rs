//! The run's record for CloudWatch, in its [embedded metric format], which Lambda's log delivers
//! without a call.
//!
//! [embedded metric format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::report::Report;

/// The record of a run, in one line. `is_of_configured_list` is whether the run is of the whole
/// configured list.
pub(crate) fn record(
    function_name: &str,
    report: &Report,
    is_of_configured_list: bool,
    duration: Duration,
) -> String {
    let summary = &report.summary;
    // What a dry run would have stopped is in its report, but saves nothing.
    let units = match report.dry_run {
        true => 0,
        false => summary.inference_units_stopped,
    };
    let mut record = BTreeMap::from([
        // Whether or not the stop was confirmed.
        ("ModelsStopped", json!(summary.stopped + summary.stopping)),
        ("ModelsAlreadyStopped", json!(summary.already_stopped)),
        ("ModelsKept", json!(summary.kept)),
        ("ModelsFailed", json!(summary.failed)),
        ("LookupsFailed", json!(summary.failed_lookups)),
        ("InferenceUnitsStopped", json!(units)),
        ("Duration", json!(duration.as_secs_f64() * 1e3)),
    ]);
    // A run of anything else says nothing about the configured list, and a dry run stops nothing.
    if is_of_configured_list && !report.dry_run {
        let succeeded = u8::from(report.is_successful());
        record.insert("RunsSucceeded", json!(succeeded));
    }
    let metrics = record.keys().map(|name| match *name {
        "Duration" => json!({"Name": name, "Unit": "Milliseconds"}),
        _ => json!({"Name": name}),
    });
    let metrics = Value::from_iter(metrics);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let directive = json!({
        "Timestamp": now.map_or(0, |now| now.as_millis() as u64),
        "CloudWatchMetrics": [{
            "Namespace": "RekognitionStopper",
            "Dimensions": [["FunctionName"]],
            "Metrics": metrics,
        }],
    });
    record.insert("_aws", directive);
    record.insert("FunctionName", json!(function_name));
    json!(record).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Code, Failure, InferenceUnits, ModelReport, Outcome};

    fn runs_succeeded(
        models: Vec<ModelReport>,
        is_of_configured_list: bool,
        dry_run: bool,
    ) -> Option<u64> {
        let report = Report::new(models, Vec::new(), Vec::new(), 1, dry_run, None);
        let record = record("nightly", &report, is_of_configured_list, Duration::ZERO);
        let record: Value = serde_json::from_str(&record).unwrap();
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

    #[test]
    fn what_a_dry_run_would_stop_is_no_saving() {
        for (dry_run, units) in [(false, 2), (true, 0)] {
            let mut model = ModelReport::failed("a", Failure::new(Code::Panicked, ""));
            model.outcome = Outcome::Stopping;
            model.inference_units = Some(InferenceUnits { min: 2, max: None });
            let report = Report::new(vec![model], Vec::new(), Vec::new(), 1, dry_run, None);
            let record = record("nightly", &report, true, Duration::ZERO);
            let record: Value = serde_json::from_str(&record).unwrap();
            assert_eq!(record["InferenceUnitsStopped"], units);
        }
    }
}
