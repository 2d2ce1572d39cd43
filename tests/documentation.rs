//! The documentation, held against the files that it leads to and against the code that it is
//! about.

mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env::VarError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, SdkConfig};
use regex::Regex;
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::Summary;
use rekognition_stopper::request::Request;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, log};
use serde_json::{Value, json};
use support::{PLENTY, enums, invocation, payload};

const README: &str = include_str!("../README.md");
const REFERENCE: &str = include_str!("../docs/reference.md");
const DEPLOYING: &str = include_str!("../docs/deploying.md");
const PERFORMANCE: &str = include_str!("../docs/performance.md");
const MEASURED: &str = include_str!("../benches/measured.md");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");
const TEMPLATE: &str = include_str!("../template.yaml");
const MEMBER_ACCOUNT: &str = include_str!("../member-account.yaml");
const SECURITY: &str = include_str!("../SECURITY.md");

/// A reader of the README reads this far.
const LONGEST_README: usize = 150;
const LONGEST_LINE: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the documentation.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    for page in ["README.md", "SECURITY.md", "CHANGELOG.md"] {
        pages.push(root().join(page));
    }
    pages
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// The lines of a page that are text, and not code.
fn text_lines(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What the links of a page lead to, but those that lead to other hosts.
fn links(page: &str) -> Vec<String> {
    let text = text_lines(page).collect::<Vec<_>>().join("\n");
    let links = regex(r"\]\(([^)\s]+)\)");
    let links = links.captures_iter(&text).map(|link| link[1].to_owned());
    links.filter(|link| !link.contains("://")).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = text_lines(page).filter(|line| regex("^#+ ").is_match(line));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ => character.is_alphanumeric().then_some(character),
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

/// The links of a page in this directory that lead nowhere.
fn broken_links(directory: &Path, page: &str) -> Vec<String> {
    let leads_nowhere = |link: &String| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let file = directory.join(path);
        if !path.is_empty() && !file.exists() {
            return true;
        }
        let target = match path {
            "" => page.to_owned(),
            _ if anchor.is_empty() => return false,
            _ => fs::read_to_string(file).unwrap(),
        };
        !anchor.is_empty() && !anchors(&target).contains(anchor)
    };
    links(page).into_iter().filter(leads_nowhere).collect()
}

/// What only a bundle has: `release/build` makes it.
const IN_A_BUNDLE: &str = "cloudformation.yaml";

/// The files that a page names, as `src/lib.rs`, and that do not exist.
fn missing_files(page: &str) -> Vec<String> {
    let text = text_lines(page).collect::<Vec<_>>().join("\n");
    let names = regex(
        r"`((?:src|tests|docs|benches|examples|events|release|\.ci|\.cargo)/[\w./-]*|[\w-]+\.(?:md|yaml|toml))`",
    );
    let names = names.captures_iter(&text).map(|name| name[1].to_owned());
    let missing = |name: &String| name != IN_A_BUNDLE && !root().join(name).exists();
    names.filter(missing).collect()
}

/// The words in code in the first column of the table that begins so.
fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let words: BTreeSet<String> = words.map(str::to_owned).collect();
    assert!(!words.is_empty(), "no table begins with {heading}");
    words
}

fn set<T: Into<String>>(items: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    items.into_iter().map(Into::into).collect()
}

fn keys(object: &Value) -> BTreeSet<String> {
    set(object.as_object().unwrap().keys().cloned())
}

/// What an event gives that needs no call, and the metrics of it.
async fn invoke(variables: &[(&str, &str)], event: Value) -> (Result<Response, Error>, String) {
    let settings = Settings::read(|name| {
        let variable = variables.iter().find(|(key, _)| *key == name);
        variable
            .map(|(_, value)| (*value).to_owned())
            .ok_or(VarError::NotPresent)
    });
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
    let metrics = Arc::new(Mutex::new(String::new()));
    let output = Arc::clone(&metrics);
    let handler = Handler::new(settings, Aws::new(config.build()), move |line| {
        output.lock().unwrap().push_str(line);
    });
    let result = handler.invoke(payload(&event), invocation(PLENTY)).await;
    let metrics = metrics.lock().unwrap().clone();
    (result, metrics)
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let broken = broken_links(page.parent().unwrap(), &text);
        assert!(broken.is_empty(), "{}: {broken:?}", page.display());
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = "# A page\n\n## Its `part`, again\n\n[1](#its-part-again) [2](#no-part)\n\
        [3](README.md) [4](NO.md) [5](README.md#no-part) [a\n`b`](docs/reference.md#limits)\n\
        ```\n[6](#in-code)\n```\n[7](https://example.com/#no-part) [8](NO.md#limits)\n";
    let broken = ["#no-part", "NO.md", "README.md#no-part", "NO.md#limits"];
    assert_eq!(broken_links(root(), page), broken);
}

#[test]
fn every_file_that_is_named_exists() {
    for page in pages() {
        let missing = missing_files(&fs::read_to_string(&page).unwrap());
        assert!(missing.is_empty(), "{}: {missing:?}", page.display());
    }
    let named = "`src/lib.rs` `src/no.rs` `tests/e2e/` `no.toml` `Cargo.toml` `tests/*.rs` `no`";
    assert_eq!(missing_files(named), ["src/no.rs", "no.toml"]);
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let lines = README.lines().count();
    assert!(lines <= LONGEST_README, "{lines} lines");
    let links = set(links(README));
    for page in pages() {
        let page = page.strip_prefix(root()).unwrap().to_str().unwrap();
        assert!(
            page == "README.md" || links.contains(page),
            "no link to {page}"
        );
    }
}

#[test]
fn every_wait_in_the_design_has_its_constant_and_its_test() {
    let design = fs::read_to_string(root().join("docs/design.md")).unwrap();
    let (_, table) = design.split_once("## How long a call waits").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let code = regex(r"`([a-z_]+\.rs|src/[a-z/_]+\.rs|[a-z_]{20,}|[A-Z_]{4,})`");
    let mut sources = String::new();
    for folder in ["src/calls", "src/run", "tests"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources += path.to_str().unwrap();
                sources += &fs::read_to_string(&path).unwrap();
            }
        }
    }
    let named: Vec<&str> = code
        .captures_iter(table)
        .map(|it| it.extract::<1>().1[0])
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named.into_iter().filter(|name| *name != "MAX_CONCURRENCY") {
        assert!(sources.contains(name), "no {name}");
    }
}

#[test]
fn the_changelog_begins_with_this_version() {
    let headings = regex(r"(?m)^## (.*)$");
    let mut headings = headings
        .captures_iter(CHANGELOG)
        .map(|found| found[1].to_owned());
    // What is not released yet has a place above.
    let latest = headings.find(|heading| heading != "[Unreleased]").unwrap();
    let version = regex::escape(env!("CARGO_PKG_VERSION"));
    let wanted = regex(&format!(r"^\[{version}\] - \d{{4}}-\d{{2}}-\d{{2}}$"));
    assert!(wanted.is_match(&latest), "{latest}");
}

#[test]
fn the_files_of_a_release_that_are_named_are_those_of_this_version() {
    let files = regex(r"(?:rekognition-stopper|bootstrap)-(\d+\.\d+\.\d+)-");
    let versions = files
        .captures_iter(DEPLOYING)
        .map(|file| file[1].to_owned());
    assert_eq!(set(versions), set([env!("CARGO_PKG_VERSION")]));
}

#[test]
fn text_is_wrapped() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        // What the bench writes is its own.
        let ours = regex(r"(?s)<!-- Written by.*<!-- End of").replace(&text, "");
        let long = text_lines(&ours).filter(|line| {
            let is_table = line.starts_with('|');
            let is_one_word = !line.trim().contains(' ');
            !is_table && !is_one_word && line.chars().count() > LONGEST_LINE
        });
        let long: Vec<&str> = long.collect();
        assert!(long.is_empty(), "{}: {long:#?}", page.display());
    }
}

#[test]
fn the_reference_has_every_variable_that_is_read_and_no_other() {
    let read = RefCell::new(BTreeSet::new());
    let variable = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        Err(VarError::NotPresent)
    };
    Settings::read(variable).unwrap();
    log::subscriber(variable, io::sink);
    assert_eq!(first_column(REFERENCE, "| variable |"), read.into_inner());
}

#[test]
fn the_reference_has_every_field_of_the_request_and_no_other() {
    let refused = Request::read(&payload(&json!({"no such field": 1}))).unwrap_err();
    let message = refused.to_string();
    let (_, known) = message.split_once("expected one of ").unwrap();
    let known = set(known.split('`').skip(1).step_by(2));
    assert_eq!(first_column(REFERENCE, "| field of the request |"), known);
}

#[test]
fn the_reference_names_every_sample_event() {
    for event in fs::read_dir(root().join("events")).unwrap() {
        let name = event.unwrap().file_name();
        let link = format!("../events/{}", name.to_str().unwrap());
        assert!(links(REFERENCE).contains(&link), "{link}");
    }
}

#[test]
fn the_reference_has_every_outcome_and_no_other() {
    assert_eq!(first_column(REFERENCE, "| outcome |"), enums::outcomes());
}

#[test]
fn the_reference_has_every_code_and_no_other() {
    let mut documented = first_column(REFERENCE, "| code of `failed` |");
    // Codes with this ending are the service's.
    documented.retain(|code| !code.ends_with("Exception"));
    assert_eq!(documented, enums::codes());
}

#[test]
fn the_reference_has_every_field_of_the_summary_and_no_other() {
    let summary = Summary {
        estimated_savings_per_hour: Some(1.0),
        ..Summary::default()
    };
    let fields = keys(&serde_json::to_value(summary).unwrap());
    assert_eq!(first_column(REFERENCE, "| field of the summary |"), fields);
}

#[tokio::test]
async fn the_reference_has_every_metric_and_no_other() {
    let configured = [("MODEL_ARNS", "no-ARN")];
    let (response, metrics) = invoke(&configured, json!({})).await;
    assert!(
        matches!(response, Err(Error::NotAllStopped(_))),
        "{response:?}"
    );
    let record: Value = serde_json::from_str(&metrics).unwrap();
    let mut metrics = keys(&record);
    metrics.remove("_aws");
    // The dimension.
    metrics.remove("FunctionName");
    assert_eq!(first_column(REFERENCE, "| metric |"), metrics);
}

#[tokio::test]
async fn the_reference_has_every_error_and_no_other() {
    // More than Step Functions carries.
    let large: Vec<String> = (0..10_000)
        .map(|number| format!("{number:0>100}"))
        .collect();
    let mut errors = BTreeSet::new();
    for (variables, event) in [
        (&[("DRY_RUN", "perhaps")][..], json!({"model_arns": []})),
        (&[], json!([])),
        (&[], json!({"model_arns": ["no ARN"]})),
        (&[], json!({"model_arns": large, "accounts_per_run": 1})),
    ] {
        let error = invoke(variables, event).await.0.unwrap_err();
        // A new error cannot be left out: the match would not compile.
        match error {
            Error::InvalidSettings(_)
            | Error::InvalidRequest(_)
            | Error::NotAllStopped(_)
            | Error::NotPlanned(_) => errors.insert(error.error_type().to_owned()),
        };
    }
    let mut documented = first_column(REFERENCE, "| `errorType` |");
    // That of a panic is the runtime's.
    documented.retain(|error| !error.starts_with('&'));
    assert_eq!(documented, errors);
}

/// The actions in the tables of permissions, each as its service and its operation.
fn actions() -> BTreeSet<(String, String)> {
    let (_, permissions) = REFERENCE.split_once("\n## Permissions\n").unwrap();
    let rows = permissions.lines().filter(|line| line.starts_with("| `"));
    let actions = regex("`(rekognition|sts|organizations|cloudtrail):(\\w+)`");
    let actions = rows.flat_map(|row| actions.captures_iter(row.split('|').nth(1).unwrap()));
    actions
        .map(|action| (action[1].to_owned(), action[2].to_owned()))
        .collect()
}

#[test]
fn the_reference_has_the_permission_of_every_operation_and_no_other() {
    let operations = actions().into_iter().map(|(_, operation)| operation);
    assert_eq!(set(operations), enums::operations());
}

#[test]
fn the_templates_and_the_security_page_have_the_permission_of_every_operation() {
    for (service, operation) in actions() {
        let action = format!("{service}:{operation}");
        assert!(SECURITY.contains(&operation), "SECURITY.md: {operation}");
        assert!(TEMPLATE.contains(&action), "template.yaml: {action}");
        // Only the function itself calls STS and Organizations.
        let is_in_members =
            ["sts", "organizations"].contains(&&*service) || MEMBER_ACCOUNT.contains(&action);
        assert!(is_in_members, "member-account.yaml: {action}");
    }
}

#[test]
fn every_parameter_of_the_template_is_documented_and_no_other() {
    let (_, parameters) = TEMPLATE.split_once("\nParameters:\n").unwrap();
    let ends_section = regex(r"(?m)^\S").find(parameters).unwrap();
    let parameters = &parameters[..ends_section.start()];
    let parameters = regex(r"(?m)^  (\w+):$")
        .captures_iter(parameters)
        .map(|parameter| parameter[1].to_owned())
        .collect();
    assert_eq!(first_column(DEPLOYING, "| parameter |"), parameters);
}

#[test]
fn every_figure_in_the_performance_tables_is_the_last_output_of_the_bench() {
    let (before, rest) = PERFORMANCE.split_once("<!-- Written by").unwrap();
    let (_, rest) = rest.split_once("-->").unwrap();
    let (written, after) = rest.split_once("<!-- End of").unwrap();
    assert_eq!(written.trim(), MEASURED.trim());

    // A table by hand has no figures but those of the bench.
    let figure = regex(r"\d[\d.,]* (?:ms|s|MB|M)\b");
    let measured = set(figure.find_iter(MEASURED).map(|figure| figure.as_str()));
    let is_unknown = |figure: &&str| !measured.contains(*figure);
    for page in [before, after, README] {
        let rows = page.lines().filter(|line| line.starts_with('|'));
        let figures = rows.flat_map(|row| figure.find_iter(row));
        let unknown: Vec<&str> = figures
            .map(|figure| figure.as_str())
            .filter(is_unknown)
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn the_badges_are_true() {
    let badges = regex(r"img\.shields\.io/badge/(\w+)-((?:[^-)]|--)+)-\w+\)");
    let badges: Vec<(&str, String)> = badges
        .captures_iter(README)
        .map(|badge| {
            let value = badge[2].replace("--", "-").replace("%2B", "+");
            (badge.get(1).unwrap().as_str(), value)
        })
        .collect();
    let manifest = include_str!("../Cargo.toml");
    let forbids_unsafe = manifest.contains("unsafe_code = \"forbid\"");
    let expected = [
        ("licence", env!("CARGO_PKG_LICENSE").to_owned()),
        ("rust", format!("{}+", env!("CARGO_PKG_RUST_VERSION"))),
        (
            "unsafe",
            if forbids_unsafe { "forbidden" } else { "" }.to_owned(),
        ),
    ];
    assert_eq!(badges, expected);
}
