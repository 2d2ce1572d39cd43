//! Patterns: which models they find, which of those are kept by their tags, and what a dry run
//! shows. `src/arn/pattern.rs` and `properties.rs` test what a pattern matches.

mod support;

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Operation};
use rekognition_stopper::report::Outcome;
use serde_json::json;
use support::log::Log;
use support::{
    arn, arns, emulator_in_process, failure, lookups, model, outcomes, pattern, reported, run,
    running, summary,
};

const KEEP: &str = "keep-running";

/// An emulator of models of the project `shelf` in these statuses, and their ARNs.
fn shelf(statuses: &[&str]) -> (Emulator, Vec<String>) {
    let arns = arns(statuses.len());
    let models = arns.iter().zip(statuses);
    let models = models.map(|(arn, status)| model(arn, status));
    (emulator_in_process(models), arns)
}

#[tokio::test(start_paused = true)]
async fn a_pattern_finds_models_that_are_running_starting_stopping_or_in_an_unknown_status() {
    let statuses = "RUNNING STARTING STOPPING HIBERNATING STOPPED TRAINING_IN_PROGRESS \
                    TRAINING_COMPLETED TRAINING_FAILED FAILED DELETING COPYING_IN_PROGRESS \
                    COPYING_COMPLETED COPYING_FAILED DEPRECATED EXPIRED";
    let (emulator, arns) = shelf(&Vec::from_iter(statuses.split(' ')));
    emulator.set_start_takes(Duration::from_secs(5));
    emulator.set_stop_takes(Duration::from_secs(5));
    // An adapter is no model of Custom Labels, although it is a version of a project.
    let adapter = arn("moderation", "v1");
    emulator.add_model(running(&adapter).feature("CONTENT_MODERATION"));
    let event = json!({"model_arns": [pattern("*", "*")]});
    let report = run(&emulator, &[], event).await;
    assert_eq!(reported(&report), arns[..4]);
    let expected = ["stopped", "stopped", "stopped", "UnexpectedStatus"];
    assert_eq!(outcomes(&report), expected);
    assert!(failure(&report).contains("HIBERNATING"));
    assert_eq!(emulator.status(&adapter).unwrap(), "RUNNING");
}

#[tokio::test(start_paused = true)]
async fn overlapping_entries_report_each_model_once_at_its_own_arn_or_at_the_first_pattern() {
    let (shelf, dock) = (arns(4), ["v0", "v1", "v2"].map(|name| arn("dock", name)));
    let emulator = emulator_in_process(shelf.iter().chain(&dock).map(|arn| running(arn)));
    // The models given by ARN are still stopping when the patterns are looked up.
    emulator.set_stop_takes(Duration::from_secs(5));
    let entries = [
        &shelf[3],
        &pattern("dock", "v?"),
        &dock[1],
        &shelf[3],
        &pattern("shelf", "*"),
        &pattern("*", "v0"),
        &pattern("dock", "v?"),
        &shelf[0],
    ];
    let report = run(&emulator, &[], json!({ "model_arns": entries })).await;
    // A model's own ARN comes before every pattern that found it.
    let expected = [
        &shelf[3], &dock[0], &dock[2], &dock[1], &shelf[1], &shelf[2], &shelf[0],
    ];
    assert_eq!(reported(&report), expected);
    assert_eq!(outcomes(&report), ["stopped"; 7]);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 7);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_matches_no_model_in_any_status_is_unmatched_and_a_warning() {
    let (emulator, arns) = shelf(&["STOPPED"]);
    let log = Log::new("JSON", "INFO");
    let (found, nothing) = (pattern("shelf", "*"), pattern("dock", "*"));
    let report = run(
        &emulator,
        &[],
        json!({"model_arns": [nothing, found, arns[0]]}),
    )
    .await;
    assert!(report.is_successful());
    assert_eq!(outcomes(&report), ["already_stopped"]);
    assert_eq!(report.unmatched_patterns, [&*nothing]);
    let warnings = log.lines_with("level", "WARN");
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["pattern"], nothing);
    let message = &warnings[0]["message"];
    assert_eq!(message, "the pattern matches no model version");
}

#[tokio::test(start_paused = true)]
async fn a_partial_list_is_never_taken_for_a_complete_one() {
    for code in ["AccessDeniedException", "InvalidParameterException"] {
        let (emulator, _) = shelf(&["RUNNING"; 120]);
        let half_way = Fault::error(code).operation(Operation::DescribeProjectVersions);
        emulator.add_fault(half_way.page(2).attempts(..=1));
        let entry = pattern("shelf", "*");
        let report = run(&emulator, &[], json!({"model_arns": [entry]})).await;
        // The models of the first page are stopped, and the run fails.
        assert_eq!((report.summary.stopped, report.summary.failed), (100, 0));
        assert_eq!(lookups(&report), [(&*entry, code)]);
        assert!(!report.is_successful());
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_deleted_between_its_listing_and_its_versions_has_none() {
    let (gone, there) = (arn("shelf", "v1"), arn("dock", "v1"));
    for entries in [
        &[pattern("*", "*")][..],
        &[pattern("shelf", "*"), pattern("dock", "*")],
    ] {
        let emulator = emulator_in_process([model(&gone, "STOPPED"), running(&there)]);
        let deleted = Fault::error("ResourceNotFoundException").resource("shelf");
        emulator.add_fault(deleted.operation(Operation::DescribeProjectVersions));
        let report = run(&emulator, &[], json!({ "model_arns": entries })).await;
        assert!(report.is_successful(), "{report:?}");
        assert_eq!(reported(&report), [&there]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_project_that_is_listed_twice_the_one_that_is_created_is_used() {
    for namesake_first in [true, false] {
        let (emulator, arn) = (emulator_in_process([]), arn("shelf", "v1"));
        let add_namesake = || emulator.add_namesake_project(&arn, "DELETING").unwrap();
        let mut namesake = namesake_first.then(add_namesake);
        emulator.add_model(running(&arn));
        let namesake = namesake.get_or_insert_with(add_namesake);
        let gone = Fault::error("ResourceNotFoundException").resource(namesake);
        emulator.add_fault(gone);
        for project in ["*", "shelf"] {
            emulator.set_status(&arn, "RUNNING");
            let event = json!({"model_arns": [pattern(project, "*")]});
            let report = run(&emulator, &[], event).await;
            assert_eq!(reported(&report), [&arn]);
            assert_eq!(outcomes(&report), ["stopped"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_keeps_a_model_running_as_its_value_says_unless_it_is_named_by_its_own_arn() {
    let arns = arns(7);
    let emulator = emulator_in_process([
        running(&arns[0]).tag(KEEP, "true"),
        running(&arns[1]).tag(KEEP, "2001-02-03"),
        running(&arns[2]).tag(KEEP, "until further notice"),
        running(&arns[3]),
        running(&arns[4]).tag("do-not-stop", "true"),
        running(&arns[5]).tag(KEEP, "true"),
        model(&arns[6], "STOPPED").tag(KEEP, "true"),
    ]);
    emulator.deny("rekognition:ListTagsForResource", Some(&arns[3]));
    // A response without tags is that of a model without tags.
    let without = Fault::garbage("{}").operation(Operation::ListTagsForResource);
    emulator.add_fault(without.resource(&arns[1]));
    // One without a body is none.
    let empty = Fault::empty_body().operation(Operation::ListTagsForResource);
    emulator.add_fault(empty.resource(&arns[0]).attempts(..=1));
    let log = Log::new("JSON", "INFO");
    let event = json!({"model_arns": [pattern("shelf", "*"), arns[5]]});
    let report = run(&emulator, &[], event).await;
    let denied = "AccessDeniedException";
    let expected = ["kept", "stopped", "kept", denied, "stopped", "stopped"];
    assert_eq!(outcomes(&report), expected);
    assert!(failure(&report).contains("its tags could not be read"));
    assert_eq!(emulator.status(&arns[3]).unwrap(), "RUNNING");
    assert_eq!(emulator.count(Operation::ListTagsForResource), 6);
    let reason = "tag keep-running=until further notice".to_owned();
    let warnings = log.lines_with("level", "WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["model_arn"], arns[2]);
    assert_eq!(warnings[0]["reason"], *reason);
    assert_eq!(report.models[2].outcome, Outcome::Kept { reason });

    // The operator sets the key; without one, no tag is read.
    emulator.set_status(&arns[4], "RUNNING");
    for (key, expected) in [
        ("do-not-stop", ["stopped", "stopped", denied, "kept"]),
        ("", ["stopped"; 4]),
    ] {
        let tags = emulator.count(Operation::ListTagsForResource);
        for arn in [&arns[0], &arns[2], &arns[3]] {
            emulator.set_status(arn, "RUNNING");
        }
        let event = json!({"model_arns": [pattern("shelf", "*")]});
        let report = run(&emulator, &[("KEEP_RUNNING_TAG", key)], event).await;
        assert_eq!(outcomes(&report), expected, "{key}");
        let tags = emulator.count(Operation::ListTagsForResource) - tags;
        assert_eq!(tags == 0, key.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_checks_and_decides_and_stops_nothing() {
    let (shelf, dock) = (
        arns(5),
        [0, 1, 2, 3].map(|it| arn("dock", &format!("v{it}"))),
    );
    let emulator = emulator_in_process([
        running(&shelf[0]).inference_units(2),
        model(&shelf[1], "STARTING").start_takes(Duration::MAX),
        model(&shelf[2], "STOPPING").stop_takes(Duration::MAX),
        running(&shelf[3]).tag(KEEP, "true").inference_units(10),
        model(&shelf[4], "STOPPED").inference_units(20),
        running(&dock[0]).inference_units(4),
        model(&dock[1], "STOPPED").inference_units(40),
        model(&dock[2], "HIBERNATING"),
    ]);
    let before = emulator.statuses();
    let entries = [&[pattern("shelf", "*")][..], &dock].concat();
    let event = json!({"model_arns": entries, "dry_run": true});
    let report = run(&emulator, &[("INFERENCE_UNIT_HOUR_PRICE", "4.00")], event).await;
    let rows = report.models.iter().map(|model| {
        let status = model.status.as_ref().map_or("none", |it| it.as_str());
        (support::outcome(model), status)
    });
    let expected = [
        ("would_stop", "RUNNING"),
        ("would_stop", "STARTING"),
        ("would_stop", "STOPPING"),
        ("kept", "RUNNING"),
        ("would_stop", "RUNNING"),
        ("already_stopped", "STOPPED"),
        ("UnexpectedStatus", "HIBERNATING"),
        ("ResourceNotFoundException", "none"),
    ];
    assert_eq!(Vec::from_iter(rows), expected);
    let expected = summary(json!({
        "accounts": 1, "models": 8, "would_stop": 4, "kept": 1, "already_stopped": 1, "failed": 2,
        "inference_units_stopped": 2 + 1 + 1 + 4, "estimated_savings_per_hour": 32.0
    }));
    assert_eq!(serde_json::to_value(&report.summary).unwrap(), expected);
    assert_eq!(emulator.statuses(), before);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 0);
}
