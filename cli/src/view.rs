//! A report as text for people.

use std::collections::BTreeSet;

use rekognition_stopper::report::{InferenceUnits, ModelReport, Outcome, Report};

use crate::table::{ModelName, Table};

/// A table of the models, and below it how many there are of each outcome. The price is that of an
/// inference unit hour.
pub fn of(report: &Report, price: Option<f64>) -> String {
    let mut lines = Vec::new();
    if !report.models.is_empty() {
        lines = table(&report.models, price).lines();
        lines.push(String::new());
    }
    if report.models_left_out > 0 {
        lines.push(format!(
            "{} more models are left out of this table.",
            report.models_left_out
        ));
    }
    lines.push(totals(report));
    lines.join("\n")
}

fn table(models: &[ModelReport], price: Option<f64>) -> Table<10> {
    let names: Vec<ModelName> = models
        .iter()
        .map(|it| ModelName::new(&it.model_arn))
        .collect();
    let accounts: BTreeSet<&str> = names.iter().map(|name| name.account.as_str()).collect();
    let mut table = Table::new([
        "account",
        "region",
        "model",
        "status",
        "units",
        "an hour",
        "since (UTC)",
        "so far",
        "started by",
        "outcome",
    ]);
    for (model, name) in models.iter().zip(&names) {
        let units = model.inference_units;
        let per_hour = units.zip(price);
        let per_hour = per_hour.map(|(units, price)| units.cost_per_hour(price));
        let started = &model.started;
        table.add([
            // As a rule, there is only one, which the first line of the output names.
            if accounts.len() > 1 {
                name.account.clone()
            } else {
                String::new()
            },
            name.region.clone(),
            name.name.clone(),
            model
                .status
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            units.map(range).unwrap_or_default(),
            per_hour.map(amount).unwrap_or_default(),
            started
                .started_at
                .as_deref()
                .map(minute)
                .unwrap_or_default(),
            started.cost_so_far.map(amount).unwrap_or_default(),
            started.started_by.clone().unwrap_or_default(),
            outcome(&model.outcome),
        ]);
    }
    table
}

/// The least that is billed, and with auto scaling the most.
fn range(units: InferenceUnits) -> String {
    match units.max {
        Some(max) if max > units.min => format!("{}-{max}", units.min),
        _ => units.min.to_string(),
    }
}

fn amount(amount: f64) -> String {
    format!("{amount:.2}")
}

/// The date and the minute of a time in RFC 3339.
fn minute(time: &str) -> String {
    time.replace('T', " ")
        .chars()
        .take("2026-12-24 18:00".len())
        .collect()
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Kept { reason } => format!("kept: {reason}"),
        Outcome::Failed(failure) => format!("failed: {}", failure.code.as_str()),
        Outcome::Stopped | Outcome::Stopping | Outcome::AlreadyStopped | Outcome::WouldStop => {
            outcome.name().replace('_', " ")
        }
    }
}

/// How many models there are of each outcome, and what is no longer billed.
fn totals(report: &Report) -> String {
    let summary = &report.summary;
    let lookups = match summary.failed_lookups {
        1 => "lookup failed",
        _ => "lookups failed",
    };
    let counts = [
        (summary.would_stop, "would stop"),
        (summary.stopped, "stopped"),
        (summary.stopping, "stopping"),
        (summary.already_stopped, "already stopped"),
        (summary.kept, "kept"),
        (summary.failed, "failed"),
        (summary.failed_lookups, lookups),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if counts.is_empty() {
        return "No model is running.".to_owned();
    }
    let units = summary.inference_units_stopped;
    let units = match units {
        0 => return format!("{}.", counts.join(", ")),
        1 => "1 inference unit".to_owned(),
        units => format!("{units} inference units"),
    };
    let saves = if summary.would_stop > 0 {
        "would save"
    } else {
        "saves"
    };
    let least = if report.models.iter().any(may_save_more) {
        "at least "
    } else {
        ""
    };
    let savings = summary.estimated_savings_per_hour;
    let savings = savings
        .map(|it| format!(", or {least}{it:.2} an hour"))
        .unwrap_or_default();
    format!(
        "{}. That {saves} {least}{units}{savings}.",
        counts.join(", ")
    )
}

/// Whether more than the least units of this model are saved, perhaps: it has auto scaling, or was
/// never described.
fn may_save_more(model: &ModelReport) -> bool {
    let units = model.inference_units;
    let is_saving = match model.outcome {
        Outcome::Stopped | Outcome::Stopping | Outcome::WouldStop => true,
        Outcome::AlreadyStopped | Outcome::Kept { .. } | Outcome::Failed(_) => false,
    };
    is_saving && units.is_none_or(|units| units.max > Some(units.min))
}
