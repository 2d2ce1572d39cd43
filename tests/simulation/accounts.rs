//! Every entry is accounted for, exactly once and in its position, and the summary adds up.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::night::Model;
use super::view::{Phase, Row, View, phase};
use super::wanted::Kind;

pub fn check(view: &View, wrong: &mut Vec<String>) {
    each_entry_once(view, wrong);
    nothing_left_out(view, wrong);
    nothing_unasked(view, wrong);
    in_order(view, wrong);
    totals(view, wrong);
}

/// What the report says about its rows as a whole is what they say.
pub fn totals(view: &View, wrong: &mut Vec<String>) {
    unmatched(view, wrong);
    summary(view, wrong);
    metrics(view, wrong);
}

/// One row for an ARN and for an invalid entry; at most one for a pattern, and nothing twice.
fn each_entry_once(view: &View, wrong: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for row in &view.rows {
        if !seen.insert(&row.model_arn) {
            wrong.push(format!("{} is reported twice", row.model_arn));
        }
    }
    for (text, kind) in &view.wanted.entries {
        let code = view.row(text).map(|row| &*row.code);
        let valid = match kind {
            Kind::Model => code.is_some_and(|code| code != "InvalidModelArn"),
            Kind::Invalid => code == Some("InvalidModelArn"),
            Kind::Pattern => code.is_none_or(|code| !code.is_empty() && code != "InvalidModelArn"),
        };
        if !valid {
            wrong.push(format!(
                "the entry `{text}` ({kind:?}) is reported with {code:?}"
            ));
        }
    }
}

/// A model that was billed all the time is in the report, or every pattern for it has failed.
fn nothing_left_out(view: &View, wrong: &mut Vec<String>) {
    for model in &view.night.models {
        let billed = |status: &&str| phase(status) == Phase::Billed;
        let was_billed = view.statuses(&model.arn).iter().all(billed);
        let is_seen = !view.lies_about(model) && !view.is_gone(model);
        if !was_billed || view.row(&model.arn).is_some() || !is_seen {
            continue;
        }
        for pattern in view.wanted.patterns_of(&model.arn) {
            if view.row(pattern).is_none() {
                let model_arn = &model.arn;
                wrong.push(format!(
                    "{model_arn} was billed, and is left out of `{pattern}`"
                ));
            }
        }
    }
}

/// Every model in the report was asked for.
fn nothing_unasked(view: &View, wrong: &mut Vec<String>) {
    for row in &view.rows {
        let is_entry = (view.wanted.entries.iter()).any(|(text, _)| *text == row.model_arn);
        let is_known = view.night.model(&row.model_arn).is_some();
        let is_part = !row.code.is_empty() && view.wanted.part_of(&row.model_arn).is_some();
        if !(is_entry || is_part || is_known && view.wanted.asks_for(&row.model_arn)) {
            wrong.push(format!(
                "{} is reported, and was not asked for",
                row.model_arn
            ));
        }
    }
}

/// Models are in the order of the list, and those of a pattern in the order of their ARNs; and so
/// are the lookups after them.
fn in_order(view: &View, wrong: &mut Vec<String>) {
    let mut last = (false, None, "");
    for row in &view.rows {
        let entry = view.wanted.place_of(&row.model_arn);
        let place = (row.is_lookup, entry, row.model_arn.as_str());
        if place < last {
            wrong.push(format!("{} stands after {}", row.model_arn, last.2));
        }
        last = place;
    }
}

/// The patterns that match no model, in any status, and whose lookup was complete. A run of some of
/// the accounts cannot tell, nor can one that does not find a model's project.
fn unmatched(view: &View, wrong: &mut Vec<String>) {
    let found: Vec<&str> = match view.report.get("unmatched_patterns") {
        Some(found) => found
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(Value::as_str)
            .collect(),
        None => Vec::new(),
    };
    let is_narrowed = view.night.accounts().is_some();
    let entries = view.wanted.entries.iter().filter(|_| !is_narrowed);
    let unmatched = entries.filter(|(text, kind)| {
        let models = view.night.models.iter();
        let matches = |model: &&Model| view.wanted.patterns_of(&model.arn).any(|it| it == text);
        let matched: Vec<&Model> = models.filter(matches).collect();
        let is_failure = |row: &Row| view.wanted.is_part(text, &row.model_arn);
        let is_open = !matched.is_empty() && matched.iter().all(|model| view.is_gone(model));
        *kind == Kind::Pattern
            && !view.rows.iter().any(is_failure)
            && (matched.is_empty() || is_open && found.contains(&&**text))
    });
    let right: Vec<&str> = unmatched.map(|(text, _)| text.as_str()).collect();
    if found != right {
        wrong.push(format!(
            "the unmatched patterns are {found:?} and should be {right:?}"
        ));
    }
}

fn summary(view: &View, wrong: &mut Vec<String>) {
    let (lookups, models): (Vec<&Row>, Vec<&Row>) = view.rows.iter().partition(|it| it.is_lookup);
    let count = |outcome: &str| {
        let models = models.iter();
        models.filter(|row| row.outcome == outcome).count()
    };
    let units = |is_counted: &dyn Fn(&Row) -> bool| -> u32 {
        let rows = view.rows.iter();
        rows.filter(|row| is_counted(row))
            .filter_map(|row| Some(view.night.model(&row.model_arn)?.inference_units))
            .sum()
    };
    let found = &view.report["summary"];
    let accounts = view.accounts();
    let found_accounts = found["accounts"].as_u64().unwrap_or_default() as usize;
    let accounts = found_accounts.clamp(*accounts.start(), *accounts.end());
    let mut right = json!({
        "accounts": accounts, "models": models.len(), "failed_lookups": lookups.len(),
    });
    for outcome in [
        "stopped",
        "stopping",
        "already_stopped",
        "kept",
        "would_stop",
        "failed",
    ] {
        right[outcome] = count(outcome).into();
    }
    // The units of a model that was never described are unknown, which only happens if it was given
    // by its ARN and stops are not confirmed, or it was gone before that.
    let is_gone = |row: &Row| {
        let model = view.night.model(&row.model_arn);
        model.is_some_and(|model| view.is_gone(model))
    };
    let all = units(&|row| ["stopped", "stopping", "would_stop"].contains(&&*row.outcome));
    let unknown = units(&|row| {
        let may_be = row.outcome == "stopping" || row.outcome == "stopped" && is_gone(row);
        may_be && view.wanted.names(&row.model_arn)
    });
    let at_least = all - unknown;
    let inference_units = found["inference_units_stopped"]
        .as_u64()
        .unwrap_or_default();
    if (u64::from(at_least)..=u64::from(all)).contains(&inference_units) {
        right["inference_units_stopped"] = inference_units.into();
    } else {
        right["inference_units_stopped"] = all.into();
    }
    if let Some(price) = view.night.settings.price {
        right["estimated_savings_per_hour"] = (price * inference_units as f64).into();
    }
    if *found != right {
        wrong.push(format!("the summary is {found} and should be {right}"));
    }
    let is_good = matches!(view.run.answer, Some(Ok(_)));
    let failures = count("failed") + lookups.len();
    if is_good != (failures == 0) {
        wrong.push(format!(
            "is the run successful? {is_good}, with {failures} failures"
        ));
    }
}

/// There is one metric record, which counts what the summary counts.
fn metrics(view: &View, wrong: &mut Vec<String>) {
    let summary = &view.report["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
    let saved = match view.night.dry_run {
        true => 0,
        false => count("inference_units_stopped"),
    };
    let is_of_configured_list = view.night.list.in_environment().is_some();
    let is_of_another = view.night.dry_run || view.night.accounts().is_some();
    let succeeded = match is_of_configured_list && !is_of_another {
        true => json!(u64::from(count("failed") + count("failed_lookups") == 0)),
        false => json!(null),
    };
    let right = json!({
        "RunsSucceeded": succeeded,
        "ModelsStopped": count("stopped") + count("stopping"),
        "ModelsAlreadyStopped": count("already_stopped"),
        "ModelsKept": count("kept"),
        "ModelsFailed": count("failed"),
        "LookupsFailed": count("failed_lookups"),
        "InferenceUnitsStopped": saved,
    });
    let [record] = &view.run.metrics[..] else {
        let records = &view.run.metrics;
        wrong.push(format!(
            "the metric records are {records:?} and should be one"
        ));
        return;
    };
    let right = right.as_object().unwrap();
    // What every record has.
    let others = ["_aws", "FunctionName", "Duration"];
    for name in record.as_object().into_iter().flat_map(Map::keys) {
        if !right.contains_key(name) && !others.contains(&&**name) {
            wrong.push(format!("the metric {name} should not be there"));
        }
    }
    for (name, value) in right {
        if record[name] != *value {
            let found = &record[name];
            wrong.push(format!(
                "the metric {name} is {found} and should be {value}"
            ));
        }
    }
}
