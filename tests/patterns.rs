//! Patterns: which models they find, which of those are kept by their tags, and what a dry run
//! shows.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, ListEnd, Operation};
use rekognition_stopper::report::{Outcome, Report};
use serde_json::{Value, json};
use support::log::Log;
use support::{
    PLENTY, arn, arn_in, emulator, failure, handler, invoke, lookups, model, outcomes, pattern,
    report, running, stop,
};
use tokio::time::Instant;

const KEEP: &str = "keep-running";

/// One invocation with settings other than the defaults.
async fn stop_with(emulator: &Emulator, variables: &[(&str, &str)], event: Value) -> Report {
    let handler = handler(emulator, variables);
    report(invoke(&handler, event, PLENTY).await)
}

/// The ARNs and entries of the report, in order.
fn reported(report: &Report) -> Vec<&str> {
    let models = report.models.iter();
    models.map(|model| &*model.model_arn).collect()
}

/// Why a model was kept.
fn reason(report: &Report, position: usize) -> &str {
    match &report.models[position].outcome {
        Outcome::Kept { reason } => reason,
        other => other.name(),
    }
}

fn versions(project: &str, count: usize) -> Vec<String> {
    let names = (0..count).map(|number| arn(project, &format!("v{number:04}")));
    names.collect()
}

#[tokio::test(start_paused = true)]
async fn every_page_of_projects_and_of_versions_is_read() {
    let mut arns = versions("shelf", 250);
    arns.extend((0..120).map(|number| arn(&format!("project-{number:03}"), "v1")));
    let emulator = emulator(arns.iter().map(|arn| model(arn, "STOPPED"))).await;
    // The first and the last of each list, and some in between.
    let running: BTreeSet<&str> = [0, 99, 100, 201, 249, 250, 300, 369]
        .into_iter()
        .map(|position| &*arns[position])
        .collect();
    for arn in &running {
        emulator.set_status(arn, "RUNNING");
    }
    let report = stop(&emulator, &[&pattern("*", "*")]).await.unwrap();
    assert_eq!(reported(&report), running.into_iter().collect::<Vec<_>>());
    assert_eq!(report.summary.stopped, 8);
    assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn only_models_that_are_running_starting_or_stopping_are_found() {
    let statuses = [
        "RUNNING",
        "STARTING",
        "STOPPING",
        "STOPPED",
        "TRAINING_IN_PROGRESS",
        "TRAINING_COMPLETED",
        "TRAINING_FAILED",
        "FAILED",
        "DELETING",
        "COPYING_IN_PROGRESS",
        "COPYING_COMPLETED",
        "COPYING_FAILED",
        "DEPRECATED",
        "EXPIRED",
    ];
    let arns = versions("shelf", statuses.len());
    let pairs = arns.iter().zip(statuses);
    let emulator = emulator(pairs.map(|(arn, status)| model(arn, status))).await;
    let seconds = Duration::from_secs(5);
    emulator.set_start_takes(seconds);
    emulator.set_stop_takes(seconds);
    let report = stop(&emulator, &[&pattern("shelf", "*")]).await.unwrap();
    assert_eq!(reported(&report), arns[..3]);
    assert_eq!(outcomes(&report), ["stopped"; 3]);
}

#[tokio::test(start_paused = true)]
async fn only_custom_labels_projects_are_listed() {
    let (label, adapter) = (arn("shelf", "v1"), arn("moderation", "v1"));
    let moderation = running(&adapter).feature("CONTENT_MODERATION");
    let emulator = emulator([moderation, running(&label)]).await;
    let report = stop(&emulator, &[&pattern("*", "*")]).await.unwrap();
    assert_eq!(reported(&report), [&label]);
    assert_eq!(emulator.status(&adapter).as_deref(), Some("RUNNING"));
    let log = Log::new("JSON", "INFO");
    let report = stop(&emulator, &[&pattern("moderation", "*")]).await;
    assert!(report.unwrap().models.is_empty());
    assert_eq!(log.of_level("WARN").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn overlapping_entries_report_each_model_once_at_its_own_arn_or_at_the_first_pattern() {
    let shelf = versions("shelf", 4);
    let dock = versions("dock", 3);
    let models = shelf.iter().chain(&dock).map(|arn| running(arn));
    let emulator = emulator(models).await;
    // The models given by ARN are still stopping when the patterns are looked up.
    emulator.set_stop_takes(Duration::from_secs(5));
    let report = stop(
        &emulator,
        &[
            &shelf[3],
            &pattern("dock", "v000?"),
            &dock[1],
            &shelf[3],
            &pattern("shelf", "*"),
            &pattern("*", "v0000"),
            &pattern("dock", "v000?"),
            &shelf[0],
        ],
    )
    .await
    .unwrap();
    // A model's own ARN comes before every pattern that found it.
    let expected = [
        &shelf[3], &dock[0], &dock[2], &dock[1], &shelf[1], &shelf[2], &shelf[0],
    ];
    assert_eq!(reported(&report), expected);
    assert_eq!(outcomes(&report), ["stopped"; 7]);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 7);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_covers_one_region_and_one_entry_per_region_covers_all_of_them() {
    let here = arn("shelf", "v1");
    let there = arn_in("eu-west-1", "shelf", "v1");
    let emulator = emulator([running(&here), running(&there)]).await;
    let everywhere = pattern("*", "*");
    let report = stop(&emulator, &[&everywhere]).await.unwrap();
    assert_eq!(reported(&report), [&here]);
    let report = stop(
        &emulator,
        &[&everywhere.replace("us-east-1", "eu-west-1"), &everywhere],
    )
    .await
    .unwrap();
    assert_eq!(reported(&report), [&there]);
}

#[tokio::test(start_paused = true)]
async fn projects_that_patterns_name_are_looked_up_ten_per_call() {
    let projects: Vec<String> = (0..12).map(|number| format!("shelf-{number}")).collect();
    let arns: Vec<String> = projects.iter().map(|project| arn(project, "v1")).collect();
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    let patterns: Vec<String> = projects.iter().map(|name| pattern(name, "*")).collect();
    let event = json!({"model_arns": patterns});
    let report = stop_with(&emulator, &[("CONFIRM_STOPPED", "false")], event).await;
    assert_eq!(reported(&report), arns);
    assert_eq!(emulator.count(Operation::DescribeProjects), 2);
    // The list has shown what each of them costs.
    assert_eq!(report.summary.inference_units_stopped, 12);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_matches_nothing_is_a_warning_and_not_a_failure() {
    let arns = versions("shelf", 1);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    let log = Log::new("JSON", "INFO");
    let nothing = pattern("dock", "*");
    let report = stop(&emulator, &[&nothing, &pattern("shelf", "*")])
        .await
        .unwrap();
    assert_eq!(reported(&report), arns);
    let warnings = log.of_level("WARN");
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["pattern"], nothing);
    assert_eq!(
        warnings[0]["message"],
        "the pattern matches no model version"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_matches_only_stopped_models_is_not_a_warning() {
    let emulator = emulator([model(&arn("shelf", "v1"), "STOPPED")]).await;
    let log = Log::new("JSON", "INFO");
    let report = stop(&emulator, &[&pattern("shelf", "*")]).await.unwrap();
    assert!(report.models.is_empty());
    assert!(log.of_level("WARN").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pattern_whose_projects_cannot_be_listed_fails_under_its_own_text() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    emulator.deny("rekognition:DescribeProjects", None);
    let entry = pattern("dock", "*");
    let event = json!({"model_arns": [entry, arn]});
    let report = stop_with(&emulator, &[("CONFIRM_STOPPED", "false")], event).await;
    assert_eq!(outcomes(&report), ["stopping"]);
    assert_eq!(lookups(&report), [(&*entry, "AccessDeniedException")]);
    assert!(failure(&report).contains("rekognition:DescribeProjects"));
}

#[tokio::test(start_paused = true)]
async fn a_project_whose_versions_cannot_be_listed_fails_the_patterns_that_it_concerns() {
    let shelf = versions("shelf", 2);
    let dock = versions("dock", 2);
    let emulator = emulator(shelf.iter().chain(&dock).map(|arn| running(arn))).await;
    let project_arn = emulator.project_arn(&shelf[0]).unwrap();
    emulator.deny("rekognition:DescribeProjectVersions", Some(&project_arn));
    let (all, only_dock) = (pattern("*", "*"), pattern("dock", "*"));
    let report = report(stop(&emulator, &[&all, &only_dock]).await);
    assert_eq!(reported(&report), dock);
    assert_eq!(lookups(&report), [(&*all, "AccessDeniedException")]);
    assert!(failure(&report).contains("rekognition:DescribeProjectVersions"));
    assert_eq!(report.summary.stopped, 2);
}

#[tokio::test(start_paused = true)]
async fn pages_that_fail_half_way_are_read_again_and_nothing_is_lost() {
    let mut arns = versions("shelf", 120);
    arns.extend((0..110).map(|number| arn(&format!("project-{number:03}"), "v1")));
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        for fault in [
            Fault::error("InternalServerError"),
            Fault::garbage("{\"NextToken\":"),
            Fault::empty_body(),
            Fault::truncated(),
            Fault::reset(),
        ] {
            let emulator = emulator(arns.iter().map(|arn| model(arn, "STOPPED"))).await;
            let running = [&arns[0], &arns[119], &arns[120], &arns[229]];
            for arn in running {
                emulator.set_status(arn, "RUNNING");
            }
            let half_way = fault.clone().operation(operation).page(2);
            emulator.add_fault(half_way.attempts(..=2));
            let report = report(stop(&emulator, &[&pattern("*", "*")]).await);
            assert_eq!(
                outcomes(&report),
                ["stopped"; 4],
                "{operation} {fault:?}: {report:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_partial_list_is_never_taken_for_a_complete_one() {
    let arns = versions("shelf", 120);
    for code in ["AccessDeniedException", "InvalidParameterException"] {
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        let half_way = Fault::error(code).operation(Operation::DescribeProjectVersions);
        emulator.add_fault(half_way.page(2).attempts(..=1));
        let entry = pattern("shelf", "*");
        let report = report(stop(&emulator, &[&entry]).await);
        // The models of the first page are stopped, and the run fails.
        assert_eq!(report.summary.stopped, 100);
        assert_eq!(report.summary.failed, 0);
        assert_eq!(lookups(&report), [(&*entry, code)]);
        assert!(!report.is_successful());
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_deleted_between_its_listing_and_its_versions_has_none() {
    let (shelf, dock) = (versions("shelf", 2), versions("dock", 2));
    let models = shelf.iter().map(|arn| model(arn, "STOPPED"));
    let emulator = emulator(models.chain(dock.iter().map(|arn| running(arn)))).await;
    let gone = Fault::error("ResourceNotFoundException").resource("shelf");
    emulator.add_fault(gone.operation(Operation::DescribeProjectVersions));
    for entries in [
        vec![pattern("*", "*")],
        vec![pattern("shelf", "*"), pattern("dock", "*")],
    ] {
        for arn in &dock {
            emulator.set_status(arn, "RUNNING");
        }
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let report = stop(&emulator, &entries).await.unwrap();
        assert_eq!(reported(&report), dock);
        assert_eq!(outcomes(&report), ["stopped"; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_token_ends_a_list() {
    let arns = versions("shelf", 12);
    for (page_size, calls) in [(100, 1), (5, 3)] {
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        emulator.set_page_size(page_size);
        for operation in [
            Operation::DescribeProjects,
            Operation::DescribeProjectVersions,
        ] {
            emulator.set_list_end(operation, ListEnd::EmptyToken);
        }
        let event = json!({"model_arns": [pattern("*", "*")]});
        let report = stop_with(&emulator, &[("CONFIRM_STOPPED", "false")], event).await;
        assert_eq!(report.summary.stopping, 12);
        assert_eq!(emulator.count(Operation::DescribeProjects), 1);
        assert_eq!(emulator.count(Operation::DescribeProjectVersions), calls);
    }
}

/// There is no telling what would come after such a page, so the lookup of the pattern is
/// incomplete.
#[tokio::test(start_paused = true)]
async fn a_token_that_repeats_fails_the_pattern_and_is_asked_for_every_few_seconds() {
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        let arns = versions("shelf", 3);
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        emulator.set_list_end(operation, ListEnd::RepeatedToken);
        let event = json!({"model_arns": [pattern("*", "*")]});
        let report = stop_with(&emulator, &[("CONFIRM_STOPPED", "false")], event).await;
        assert_eq!(outcomes(&report), ["stopping"; 3], "{operation}");
        let message = failure(&report);
        assert!(
            message.contains("the token of the next page repeats"),
            "{message}"
        );
        let calls = emulator.count(operation);
        assert!(calls < 50, "{operation}: {calls} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_project_that_is_listed_twice_the_one_that_is_created_is_used() {
    let arns = versions("shelf", 3);
    for namesake_first in [true, false] {
        let emulator = emulator([]).await;
        let add_namesake = || emulator.add_namesake_project(&arns[0], "DELETING").unwrap();
        let mut namesake = namesake_first.then(add_namesake);
        arns.iter().for_each(|arn| emulator.add_model(running(arn)));
        let namesake = namesake.get_or_insert_with(add_namesake);
        let gone = Fault::error("ResourceNotFoundException").resource(namesake);
        emulator.add_fault(gone);
        for pattern in [pattern("*", "*"), pattern("shelf", "*")] {
            let report = report(stop(&emulator, &[&pattern]).await);
            assert_eq!(reported(&report), arns);
            assert_eq!(outcomes(&report), ["stopped"; 3]);
            for arn in &arns {
                emulator.set_status(arn, "RUNNING");
            }
        }
    }
}

#[tokio::test]
async fn the_partition_is_literal_and_a_wildcard_in_the_account_needs_a_role() {
    let emulator = emulator([running(&arn("shelf", "v1"))]).await;
    let entry = pattern("shelf", "*");
    let entries = [
        (entry.replace("arn:aws:", "arn:*:"), "should be literal"),
        (entry.replace("123456789012", "*"), "MEMBER_ROLE"),
        (entry.replace("123456789012", "12345678901?"), "MEMBER_ROLE"),
    ];
    let event = json!({"model_arns": entries.clone().map(|(entry, _)| entry)});
    let report = stop_with(&emulator, &[], event).await;
    assert_eq!(report.models.len(), entries.len());
    for (model, (entry, part)) in report.models.iter().zip(&entries) {
        assert_eq!(*model.model_arn, **entry);
        let Outcome::Failed(failure) = &model.outcome else {
            unreachable!("{model:?}");
        };
        assert_eq!(failure.code.as_str(), "InvalidModelArn");
        assert!(failure.message.contains(part), "{failure}");
    }
    assert!(emulator.calls().is_empty());
}

#[tokio::test]
async fn a_listed_version_without_a_readable_arn_fails_the_patterns_of_its_project_unless_it_is_stopped()
 {
    for (status, is_failed) in [("RUNNING", true), ("PAUSED", true), ("STOPPED", false)] {
        let emulator = emulator([model(&arn("shelf", "v1"), "STOPPED")]).await;
        let version = json!({"ProjectVersionArn": "arn:aws:rekognition", "Status": status});
        let list = json!({"ProjectVersionDescriptions": [version]}).to_string();
        emulator.add_fault(Fault::garbage(&list).operation(Operation::DescribeProjectVersions));
        let (matched, other) = (pattern("shelf", "*"), pattern("dock", "*"));
        let report = report(stop(&emulator, &[&matched, &other]).await);
        assert!(report.models.is_empty(), "{status}");
        let failed = [(&*matched, "UnexpectedAnswer")];
        let failed = failed.into_iter().filter(|_| is_failed);
        assert_eq!(lookups(&report), Vec::from_iter(failed), "{status}");
    }
}

#[tokio::test]
async fn a_found_model_with_an_unknown_status_is_unexpected() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([model(&arn, "HIBERNATING")]).await;
    let report = report(stop(&emulator, &[&pattern("*", "*")]).await);
    assert_eq!(reported(&report), [&arn]);
    assert_eq!(outcomes(&report), ["UnexpectedStatus"]);
    assert!(failure(&report).contains("HIBERNATING"));
    assert_eq!(emulator.count(Operation::StopProjectVersion), 0);
}

#[tokio::test(start_paused = true)]
async fn a_found_model_that_stops_meanwhile_is_already_stopped() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    let someone_stops_it = async {
        let tags = Operation::ListTagsForResource;
        emulator.wait_until(|it| it.count(tags) == 1).await;
        emulator.set_status(&arn, "STOPPED");
    };
    let entry = pattern("shelf", "*");
    let entries = [&*entry];
    let (report, ()) = tokio::join!(stop(&emulator, &entries), someone_stops_it);
    assert_eq!(outcomes(&report.unwrap()), ["already_stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_keeps_a_model_running_as_its_value_says() {
    let table = [
        ("", "kept"),
        ("true", "kept"),
        ("2999-12-31", "kept"),
        ("2001-02-03", "stopped"),
        ("false", "stopped"),
        ("until further notice", "kept"),
    ];
    let arns = versions("shelf", table.len() + 1);
    let pairs = arns.iter().zip(table);
    let tagged = pairs.map(|(arn, (value, _))| running(arn).tag(KEEP, value));
    let untagged = running(&arns[table.len()]).tag("team", "vision");
    let emulator = emulator(tagged.chain([untagged])).await;
    let log = Log::new("JSON", "INFO");
    let report = stop(&emulator, &[&pattern("shelf", "*")]).await.unwrap();
    let mut expected = table.map(|(_, outcome)| outcome).to_vec();
    expected.push("stopped");
    assert_eq!(outcomes(&report), expected);
    assert_eq!(report.summary.kept, 4);

    for (position, (value, outcome)) in table.into_iter().enumerate() {
        let status = emulator.status(&arns[position]).unwrap();
        if outcome == "kept" {
            assert_eq!(reason(&report, position), format!("tag {KEEP}={value}"));
            assert_eq!(status, "RUNNING", "{value}");
        } else {
            assert_eq!(status, "STOPPED", "{value}");
        }
    }
    let warnings = log.of_level("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["model_arn"], arns[5]);
    assert_eq!(
        warnings[0]["reason"],
        "tag keep-running=until further notice"
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_whose_tags_cannot_be_read_fails_and_is_left_alone() {
    let arns = versions("shelf", 2);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.deny("rekognition:ListTagsForResource", Some(&arns[0]));
    let report = report(stop(&emulator, &[&pattern("shelf", "*")]).await);
    assert_eq!(outcomes(&report), ["AccessDeniedException", "stopped"]);
    assert!(failure(&report).contains("its tags could not be read"));
    assert!(failure(&report).contains("rekognition:ListTagsForResource"));
    assert_eq!(
        report.models[0].status.as_ref().unwrap().as_str(),
        "RUNNING"
    );
    assert_eq!(emulator.status(&arns[0]).as_deref(), Some("RUNNING"));
}

#[tokio::test(start_paused = true)]
async fn tags_whose_response_goes_wrong_are_read_again_before_anything_is_stopped() {
    for fault in [
        Fault::error("InternalServerError"),
        Fault::garbage("{\"Tags\":"),
        Fault::empty_body(),
        Fault::truncated(),
        Fault::reset(),
        Fault::hang(),
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn).tag(KEEP, "true")]).await;
        let tags = fault.clone().operation(Operation::ListTagsForResource);
        emulator.add_fault(tags.attempts(..=2));
        let report = report(stop(&emulator, &[&pattern("shelf", "*")]).await);
        assert_eq!(outcomes(&report), ["kept"], "{fault:?}");
        assert_eq!(emulator.count(Operation::StopProjectVersion), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_named_by_its_own_arn_is_never_exempt() {
    let arns = versions("shelf", 2);
    let kept = arns.iter().map(|arn| running(arn).tag(KEEP, "true"));
    let emulator = emulator(kept).await;
    let entries = [&*pattern("shelf", "*"), &arns[1]];
    let report = stop(&emulator, &entries).await.unwrap();
    assert_eq!(reported(&report), arns);
    assert_eq!(outcomes(&report), ["kept", "stopped"]);
    assert_eq!(emulator.count(Operation::ListTagsForResource), 1);
}

#[tokio::test(start_paused = true)]
async fn the_operator_sets_the_tag_key_and_an_empty_one_turns_exemptions_off() {
    let arns = versions("shelf", 2);
    for (key, expected, tags_read) in [
        ("do-not-stop", ["stopped", "kept"], 2),
        ("", ["stopped", "stopped"], 0),
    ] {
        let emulator = emulator([
            running(&arns[0]).tag(KEEP, "true"),
            running(&arns[1]).tag("do-not-stop", "true"),
        ])
        .await;
        let event = json!({"model_arns": [pattern("shelf", "*")]});
        let report = stop_with(&emulator, &[("KEEP_RUNNING_TAG", key)], event).await;
        assert_eq!(outcomes(&report), expected, "{key}");
        let tags = emulator.count(Operation::ListTagsForResource);
        assert_eq!(tags, tags_read, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_are_read_only_of_models_that_a_pattern_found_and_that_would_be_stopped() {
    let arns = versions("shelf", 30);
    let models = arns.iter().enumerate().map(|(number, arn)| {
        let status = if number < 4 { "RUNNING" } else { "STOPPED" };
        model(arn, status)
    });
    let emulator = emulator(models).await;
    let named = [&*arns[0], &*arns[10]];
    stop(&emulator, &named).await.unwrap();
    assert_eq!(emulator.count(Operation::ListTagsForResource), 0);
    stop(&emulator, &[&pattern("shelf", "*"), &pattern("*", "*")])
        .await
        .unwrap();
    assert_eq!(emulator.count(Operation::ListTagsForResource), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_checks_and_decides_and_stops_nothing() {
    let shelf = versions("shelf", 5);
    let named = versions("dock", 4);
    let emulator = emulator([
        running(&shelf[0]).inference_units(2),
        model(&shelf[1], "STARTING").start_takes(Duration::MAX),
        model(&shelf[2], "STOPPING").stop_takes(Duration::MAX),
        running(&shelf[3]).tag(KEEP, "true").inference_units(10),
        model(&shelf[4], "STOPPED").inference_units(20),
        running(&named[0]).inference_units(4),
        model(&named[1], "STOPPED").inference_units(40),
        model(&named[2], "HIBERNATING"),
    ])
    .await;
    let before = emulator.statuses();
    let mut entries = vec![pattern("shelf", "*")];
    entries.extend(named.iter().cloned());
    let event = json!({"model_arns": entries, "dry_run": true});
    let price = [("INFERENCE_UNIT_HOUR_PRICE", "4.00")];
    let report = stop_with(&emulator, &price, event).await;
    assert_eq!(
        outcomes(&report),
        [
            "would_stop",
            "would_stop",
            "would_stop",
            "kept",
            "would_stop",
            "already_stopped",
            "UnexpectedStatus",
            "ResourceNotFoundException",
        ]
    );
    assert_eq!(report.summary.would_stop, 4);
    assert_eq!(report.summary.inference_units_stopped, 2 + 1 + 1 + 4);
    assert_eq!(report.summary.estimated_savings_per_hour, Some(32.0));
    let statuses = report.models.iter().map(|model| &model.status);
    let statuses: Vec<&str> = statuses.flatten().map(|it| it.as_str()).collect();
    assert_eq!(
        statuses,
        [
            "RUNNING",
            "STARTING",
            "STOPPING",
            "RUNNING",
            "RUNNING",
            "STOPPED",
            "HIBERNATING"
        ]
    );
    assert_eq!(emulator.statuses(), before);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 0);
}

#[tokio::test(start_paused = true)]
async fn savings_are_reported_with_a_price_and_not_made_up_without() {
    for (variables, savings) in [
        (&[("INFERENCE_UNIT_HOUR_PRICE", "4.5")][..], Some(13.5)),
        (&[("INFERENCE_UNIT_HOUR_PRICE", "0")][..], Some(0.0)),
        (&[], None),
    ] {
        let arns = versions("shelf", 4);
        let emulator = emulator([
            running(&arns[0]).inference_units(2),
            running(&arns[1]),
            running(&arns[2]).inference_units(5).tag(KEEP, "true"),
            model(&arns[3], "STOPPED").inference_units(7),
        ])
        .await;
        let event = json!({"model_arns": [arns[3], arns[0], pattern("shelf", "*")]});
        let report = stop_with(&emulator, variables, event).await;
        assert_eq!(report.summary.inference_units_stopped, 3);
        assert_eq!(report.summary.estimated_savings_per_hour, savings);
        let json = serde_json::to_value(&report).unwrap();
        let reported = json["summary"].get("estimated_savings_per_hour");
        assert_eq!(reported.and_then(Value::as_f64), savings);
    }
}

/// How long it takes is printed.
#[tokio::test]
async fn the_running_tenth_of_many_models_is_found_and_stopped() {
    let mut arns: Vec<String> = (0..400)
        .map(|number| {
            arn(
                &format!("project-{:02}", number % 25),
                &format!("v{number:04}"),
            )
        })
        .collect();
    arns.extend(versions("shelf", 250));
    let models = arns.iter().enumerate().map(|(number, arn)| {
        let status = if number % 10 == 0 {
            "RUNNING"
        } else {
            "STOPPED"
        };
        model(arn, status)
    });
    let emulator = emulator(models).await;
    emulator.set_latency(Duration::from_millis(5));
    let start = Instant::now();
    let report = stop(&emulator, &[&pattern("*", "*")]).await.unwrap();
    println!("650 versions, 65 running: {:?}", start.elapsed());
    assert_eq!(report.summary.stopped, 65);
    assert_eq!(report.models.len(), 65);
    assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
}
