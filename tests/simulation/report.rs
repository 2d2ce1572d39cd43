//! Every entry is accounted for, exactly once and in its position; every account and region that a
//! pattern leads to was looked into; and the summary adds up.

use std::collections::BTreeSet;

use rekognition_emulator::{Answer, Call, Operation, Service};
use serde_json::{Map, Value, json};

use super::night::Model;
use super::view::{Phase, Row, View, phase};
use super::wanted::{Kind, account_of, region_of};
use crate::support::enums;

pub fn check(view: &View, wrong: &mut Vec<String>) {
    entries(view, wrong);
    scopes(view, wrong);
    account_lists(view, wrong);
    models(view, wrong);
    order(view, wrong);
    unmatched(view, wrong);
    summary(view, wrong);
    metrics(view, wrong);
}

/// One row for an ARN and for an invalid entry, and no model twice.
fn entries(view: &View, wrong: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for row in view.rows.iter().filter(|row| !row.is_lookup) {
        if !seen.insert(&row.model_arn) {
            wrong.push(format!("{} is reported twice", row.model_arn));
        }
    }
    for (text, kind) in &view.wanted.entries {
        let code = view.row(text).map(|row| &*row.code);
        let is_right = match kind {
            Kind::Model => code.is_some_and(|code| code != "InvalidModelArn"),
            Kind::Invalid => code == Some("InvalidModelArn"),
            Kind::Pattern => code != Some("InvalidModelArn"),
        };
        if !is_right {
            wrong.push(format!(
                "the entry `{text}` ({kind:?}) is reported with {code:?}"
            ));
        }
    }
}

/// Each account and region that a pattern leads to was looked into, or the lookup has failed.
fn scopes(view: &View, wrong: &mut Vec<String>) {
    let lists =
        view.run.calls.iter().filter(|call| {
            call.operation == Operation::DescribeProjects && call.answer == Answer::Ok
        });
    let searched: BTreeSet<(&str, &str)> =
        lists.map(|call| (&*call.account, &*call.region)).collect();
    for (_, pattern) in view.wanted.patterns() {
        for (account, region) in view.wanted.scopes(pattern) {
            let is_searched = searched.contains(&(view.night.caller(account), region));
            if !is_searched && !view.is_failed(pattern, account, region) {
                wrong.push(format!("{region} of {account} is left out of `{pattern}`"));
            }
        }
    }
}

/// A list of accounts that breaks off is a failure of each pattern that needs it.
fn account_lists(view: &View, wrong: &mut Vec<String>) {
    let is_broken = |call: &Call| {
        let is_list = call.operation.service() == Service::Organizations;
        is_list && matches!(&call.answer, Answer::Error(code) if LIST_REFUSED.contains(&&**code))
    };
    if view.run.calls.iter().any(is_broken) && !view.may_list_less() {
        for pattern in view.wanted.account_patterns() {
            if view.row(pattern).is_none() {
                wrong.push(format!("`{pattern}` is said to be complete"));
            }
        }
    }
}

/// The codes with which a list of accounts is refused for good.
const LIST_REFUSED: [&str; 3] = [
    "AccessDeniedException",
    "AWSOrganizationsNotInUseException",
    "ParentNotFoundException",
];

/// A model that was billed all the time is in the report, or every pattern for it has failed.
fn models(view: &View, wrong: &mut Vec<String>) {
    for model in &view.night.models {
        let billed = |status: &&str| phase(status) == Phase::Billed;
        let was_billed = view.statuses(&model.arn).iter().all(billed);
        let is_seen = !view.lies_about(model)
            && !view.is_gone(model)
            && view.night.caller(model.account()) == model.account();
        if !was_billed || view.row(&model.arn).is_some() || !is_seen {
            continue;
        }
        for (_, pattern) in view.wanted.patterns_of(&model.arn) {
            if !view.is_failed(pattern, model.account(), model.region) {
                let model_arn = &model.arn;
                wrong.push(format!(
                    "{model_arn} was billed, and is left out of `{pattern}`"
                ));
            }
        }
    }
}

/// Models are in the order of the list, and those of a pattern in the order of their ARNs; and so
/// are the lookups after them. What was not asked for has no place.
fn order(view: &View, wrong: &mut Vec<String>) {
    let mut last = None;
    for row in &view.rows {
        let places = places(view, row).into_iter();
        let mut places = places.map(|entry| Some((row.is_lookup, entry, &*row.model_arn)));
        match places.find(|place| *place > last) {
            Some(place) => last = place,
            None => wrong.push(format!(
                "{} comes after {last:?}, or was not asked for",
                row.model_arn
            )),
        }
    }
}

/// The entries that a row may belong to: its own; or the first pattern that matches the model, and
/// the next ones if the lookup of that has failed; or those that have failed with it.
fn places(view: &View, row: &Row) -> Vec<usize> {
    let text = &row.model_arn;
    if row.is_lookup {
        let patterns = view.wanted.patterns();
        let patterns = patterns.filter(|(_, pattern)| view.wanted.is_part(pattern, text));
        return patterns.map(|(entry, _)| entry).collect();
    }
    let mut entries = view.wanted.entries.iter();
    let own = entries.position(|(entry, kind)| entry == text && *kind != Kind::Pattern);
    if let Some(own) = own {
        return vec![own];
    }
    let mut places = Vec::new();
    for (entry, pattern) in view.wanted.patterns_of(text) {
        places.push(entry);
        if !view.is_failed(pattern, account_of(text), region_of(text)) {
            break;
        }
    }
    places
}

/// The patterns that match no model, in any status, and whose lookup was complete. A run of some of
/// the accounts cannot tell, nor can one that does not find a model's project.
fn unmatched(view: &View, wrong: &mut Vec<String>) {
    let found = view.report["unmatched_patterns"].as_array();
    let found: Vec<&str> = found
        .into_iter()
        .flatten()
        .flat_map(Value::as_str)
        .collect();
    let is_narrowed = view.night.accounts().is_some();
    let patterns = view.wanted.patterns().filter(|_| !is_narrowed);
    let unmatched = patterns.filter(|(entry, pattern)| {
        let models = view.night.models.iter();
        let matches = |model: &&Model| {
            let is_there = view.night.caller(model.account()) == model.account();
            is_there && view.wanted.patterns_of(&model.arn).any(|it| it.0 == *entry)
        };
        let matched: Vec<&Model> = models.filter(matches).collect();
        let is_failure = |row: &Row| view.wanted.is_part(pattern, &row.model_arn);
        let is_open = !matched.is_empty() && matched.iter().all(|model| view.is_gone(model));
        !view.rows.iter().any(is_failure)
            && (matched.is_empty() || is_open && found.contains(pattern))
    });
    let right: Vec<&str> = unmatched.map(|(_, pattern)| pattern).collect();
    if found != right {
        wrong.push(format!(
            "the unmatched patterns are {found:?} and should be {right:?}"
        ));
    }
}

fn summary(view: &View, wrong: &mut Vec<String>) {
    let (lookups, models): (Vec<&Row>, Vec<&Row>) = view.rows.iter().partition(|it| it.is_lookup);
    let found = &view.report["summary"];
    let number = |field: &str| found[field].as_u64().unwrap_or_default();
    let mut right = json!({"models": models.len(), "failed_lookups": lookups.len()});
    for outcome in enums::outcomes() {
        let models = models.iter();
        right[&outcome] = models.filter(|row| row.outcome == outcome).count().into();
    }
    let (least, most) = accounts(view);
    right["accounts"] = number("accounts").clamp(least, most).into();
    // The units of a model that was never described are unknown, which only happens if it was given
    // by its ARN and stops are not confirmed, or it was gone before that.
    let may_be_unknown = |row: &Row, model: &Model| {
        let is_open = row.outcome == "stopping" || row.outcome == "stopped" && view.is_gone(model);
        is_open && view.wanted.names(&model.arn)
    };
    let (mut least, mut most) = (0, 0);
    for row in models {
        let is_counted = ["stopped", "stopping", "would_stop"].contains(&&*row.outcome);
        if let Some(model) = view.night.model(&row.model_arn).filter(|_| is_counted) {
            let units = u64::from(model.inference_units);
            most += units;
            least += if may_be_unknown(row, model) { 0 } else { units };
        }
    }
    let units = number("inference_units_stopped").clamp(least, most);
    right["inference_units_stopped"] = units.into();
    if let Some(price) = view.night.settings.price {
        right["estimated_savings_per_hour"] = (price * units as f64).into();
    }
    if *found != right {
        wrong.push(format!("the summary is {found} and should be {right}"));
    }
    let is_successful = matches!(view.run.response, Some(Ok(_)));
    let failures = number("failed") + number("failed_lookups");
    if is_successful != (failures == 0) {
        wrong.push(format!(
            "is the run successful? {is_successful}, with {failures} failures"
        ));
    }
}

/// The least and the most accounts that the entries lead to; a list of accounts that has failed may
/// have been read in part.
fn accounts(view: &View) -> (u64, u64) {
    let count = |is_counted: &dyn Fn(&str) -> bool| {
        let valid = view
            .wanted
            .entries
            .iter()
            .filter(|it| it.1 != Kind::Invalid);
        let accounts = valid
            .filter(|(text, _)| is_counted(text))
            .flat_map(|(text, _)| {
                let partition = text.split(':').nth(1);
                let scopes = view.wanted.scopes(text).into_iter();
                scopes.map(move |(account, _)| (partition, account))
            });
        accounts.collect::<BTreeSet<_>>().len() as u64
    };
    let mut patterns = view.wanted.account_patterns();
    match patterns.any(|pattern| view.row(pattern).is_some()) {
        true => {
            let is_of_accounts = |text: &str| view.wanted.account_patterns().any(|it| it == text);
            (count(&|text| !is_of_accounts(text)), count(&|_| true))
        }
        false => (count(&|_| true), count(&|_| true)),
    }
}

/// There is one metric record, which counts what the summary counts.
fn metrics(view: &View, wrong: &mut Vec<String>) {
    let summary = &view.report["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
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
        "InferenceUnitsStopped": match view.night.dry_run {
            true => 0,
            false => count("inference_units_stopped"),
        },
    });
    let [record] = &view.run.metrics[..] else {
        let records = &view.run.metrics;
        wrong.push(format!(
            "the metric records are {records:?} and should be one"
        ));
        return;
    };
    // What every record has.
    let others = ["_aws", "FunctionName", "Duration"];
    let found = record.as_object().into_iter().flat_map(Map::keys);
    let found = found.filter(|name| !others.contains(&&***name));
    let names: BTreeSet<&String> = found.chain(right.as_object().unwrap().keys()).collect();
    for name in names
        .into_iter()
        .filter(|name| record[*name] != right[*name])
    {
        let (found, right) = (&record[name], &right[name]);
        wrong.push(format!(
            "the metric {name} is {found} and should be {right}"
        ));
    }
}
