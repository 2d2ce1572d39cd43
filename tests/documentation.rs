//! The documentation, compared with the files that it leads to and with the code that it describes.
//! A table or section is found by its heading, on whatever page.

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::fs;
use std::io;
use std::path::Path;

use regex::Regex;
use rekognition_stopper::log;
use rekognition_stopper::report::Summary;
use rekognition_stopper::request::Request;
use rekognition_stopper::settings::Settings;
use serde_json::json;
use support::{enums, payload};

const TEMPLATE: &str = include_str!("../template.yaml");
const MEMBER_ACCOUNT: &str = include_str!("../member-account.yaml");
/// A reader of the README reads this far.
const LONGEST_README: usize = 130;
const LONGEST_LINE: usize = 100;
/// What only a bundle has: `release/build` makes it.
const IN_A_BUNDLE: &str = "cloudformation.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of the documentation, by their paths.
fn docs() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for folder in ["", "docs/"] {
        for file in fs::read_dir(root().join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                let text = fs::read_to_string(root().join(folder).join(&name));
                pages.insert(format!("{folder}{name}"), text.unwrap());
            }
        }
    }
    assert!(pages.len() > 8, "{:?}", pages.keys());
    pages
}

/// What is under a heading of the second level.
fn section(heading: &str) -> String {
    let begin = format!("\n## {heading}\n");
    let docs = docs();
    let mut found = docs.values().filter_map(|page| page.split_once(&begin));
    let (_, section) = found
        .next()
        .unwrap_or_else(|| panic!("no section {heading}"));
    section.split("\n## ").next().unwrap().to_owned()
}

/// The words in code in the first column of the only table that begins so.
fn first_column(heading: &str) -> BTreeSet<String> {
    let docs = docs();
    let tables = docs.values().flat_map(|page| page.split("\n\n"));
    let tables = Vec::from_iter(tables.filter(|table| table.trim_start().starts_with(heading)));
    assert_eq!(tables.len(), 1, "tables that begin with {heading}");
    let cells = tables[0].trim_start().lines().skip(2);
    let cells = cells.filter_map(|row| row.split('|').nth(1));
    set(cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)))
}

fn set<T: Into<String>>(items: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    items.into_iter().map(Into::into).collect()
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// What the first group of a pattern matches in a text.
fn matches(pattern: &str, text: &str) -> BTreeSet<String> {
    let found = regex(pattern);
    let found = found.captures_iter(text);
    set(found.map(|it| it[1].to_owned()))
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

/// What the links of a page lead to, without those to other hosts, and to pages of GitHub that are
/// not files of the repository.
fn links(page: &str) -> BTreeSet<String> {
    let text = Vec::from_iter(text_lines(page)).join("\n");
    let mut links = matches(r"\]\(([^)\s]+)\)", &text);
    let is_elsewhere = regex(r"://|^\.\./\.\./(actions|releases)/");
    links.retain(|link| !is_elsewhere.is_match(link));
    links
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let dropped = regex(r"^#+ |[^\w -]");
    let headings = text_lines(page).filter(|line| line.starts_with('#'));
    set(headings.map(|heading| {
        let kept = dropped.replace_all(heading, "");
        kept.to_lowercase().replace(' ', "-")
    }))
}

/// The links of a page in this folder that lead nowhere.
fn broken_links(folder: &Path, page: &str) -> BTreeSet<String> {
    let mut links = links(page);
    links.retain(|link| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => Ok(page.to_owned()),
            _ if anchor.is_empty() => return !folder.join(path).exists(),
            _ => fs::read_to_string(folder.join(path)),
        };
        !target.is_ok_and(|target| anchors(&target).contains(anchor))
    });
    links
}

/// The files that a page names, as `src/lib.rs`, and the programs of tests, that do not exist.
fn missing_files(page: &str) -> BTreeSet<String> {
    let folders = "src|tests|docs|benches|examples|events|release|\\.ci|\\.cargo";
    let file = format!(r"`((?:{folders})/[\w./-]*|[\w-]+\.(?:md|yaml|toml))`");
    let mut names = matches(&file, &Vec::from_iter(text_lines(page)).join("\n"));
    let programs = matches(r"cargo test --test (\w+)", page).into_iter();
    names.extend(programs.map(|name| format!("tests/{name}")));
    let exists = |name: &str| root().join(name).exists();
    names.retain(|name| name != IN_A_BUNDLE && !exists(name) && !exists(&format!("{name}.rs")));
    names
}

#[test]
fn every_link_leads_somewhere_and_every_file_that_is_named_exists() {
    for (name, page) in docs() {
        let folder = root().join(&name);
        let broken = broken_links(folder.parent().unwrap(), &page);
        let missing = missing_files(&page);
        assert!(
            broken.is_empty() && missing.is_empty(),
            "{name}: {broken:?} {missing:?}"
        );
    }
    let page = "# A page\n\n## Its `part`, again\n\n[1](#its-part-again) [2](#no-part)\n\
        [3](README.md) [4](NO.md) [5](README.md#no-part) [a\n`b`](docs/reference.md#limits)\n\
        ```\n[6](#in-code)\n```\n[7](https://example.com/#no-part) [8](NO.md#limits)\n";
    let broken = ["#no-part", "NO.md", "README.md#no-part", "NO.md#limits"];
    assert_eq!(broken_links(root(), page), set(broken));
    let named = "`src/lib.rs` `src/no.rs` `tests/e2e/` `no.toml` `Cargo.toml` `tests/*.rs` `no` \
        `cargo test --test house` `cargo test --test no`";
    assert_eq!(
        missing_files(named),
        set(["no.toml", "src/no.rs", "tests/no"])
    );
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let docs = docs();
    let readme = &docs["README.md"];
    assert!(readme.lines().count() <= LONGEST_README);
    let pages = set(docs.keys().filter(|page| *page != "README.md").cloned());
    let links = links(readme);
    let missing = Vec::from_iter(pages.difference(&links));
    assert!(missing.is_empty(), "no link to {missing:?}");
}

#[test]
fn text_is_wrapped() {
    for (name, page) in docs() {
        let long = text_lines(&page).filter(|line| {
            let may_be_long = line.starts_with('|') || !line.trim().contains(' ');
            !may_be_long && line.chars().count() > LONGEST_LINE
        });
        let long: Vec<&str> = long.collect();
        assert!(long.is_empty(), "{name}: {long:#?}");
    }
}

#[test]
fn every_wait_in_the_design_has_its_constant_and_its_test() {
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
    let code = r"`([a-z_]+\.rs|src/[a-z/_]+\.rs|[a-z_]{20,}|[A-Z_]{4,})`";
    let mut named = matches(code, &section("How long a call waits"));
    named.remove("MAX_CONCURRENCY");
    assert!(named.len() > 20, "{named:?}");
    named.retain(|name| !sources.contains(name));
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn the_version_is_the_first_release_of_the_changelog_and_the_one_that_is_named() {
    let version = env!("CARGO_PKG_VERSION");
    let docs = docs();
    // What is not released yet has a place above.
    let mut headings = docs["CHANGELOG.md"]
        .lines()
        .filter(|it| it.starts_with("## "));
    let latest = headings
        .find(|heading| *heading != "## [Unreleased]")
        .unwrap();
    let wanted = format!(
        r"^## \[{}\] - \d{{4}}-\d{{2}}-\d{{2}}$",
        regex::escape(version)
    );
    assert!(regex(&wanted).is_match(latest), "{latest}");
    let files = r"(?:rekognition-stopper|bootstrap)-(\d+\.\d+\.\d+)-";
    let named = docs.iter().filter(|(name, _)| *name != "CHANGELOG.md");
    let named = named.flat_map(|(_, page)| matches(files, page));
    assert_eq!(set(named), set([version]));
    let command_line = include_str!("../cli/Cargo.toml");
    assert!(command_line.contains(&format!("\nversion = \"{version}\"\n")));
}

#[test]
fn each_table_of_the_reference_has_what_the_code_has_and_nothing_else() {
    let variables = RefCell::new(BTreeSet::new());
    let variable = |name: &str| {
        variables.borrow_mut().insert(name.to_owned());
        Err(VarError::NotPresent)
    };
    Settings::read(variable).unwrap();
    log::subscriber(variable, io::sink);

    let refused = Request::read(&payload(&json!({"no such field": 1}))).unwrap_err();
    let refused = refused.to_string();
    let (_, fields) = refused.split_once("expected one of ").unwrap();

    let summary = Summary {
        estimated_savings_per_hour: Some(1.0),
        ..Summary::default()
    };
    let summary = serde_json::to_value(summary).unwrap();

    let mut metrics = matches(
        r#"\("([A-Z]\w+)", json!"#,
        include_str!("../src/metrics.rs"),
    );
    assert!(metrics.remove("FunctionName"), "the dimension");

    let template = TEMPLATE.split_once("\nParameters:\n").unwrap().1;
    let template = &template[..regex(r"(?m)^\S").find(template).unwrap().start()];
    for (heading, right) in [
        ("| variable |", variables.into_inner()),
        ("| field of the request |", matches("`(.*?)`", fields)),
        ("| outcome |", enums::outcomes()),
        ("| code of `failed` |", enums::codes()),
        (
            "| field of the summary |",
            set(summary.as_object().unwrap().keys().cloned()),
        ),
        ("| metric |", metrics),
        ("| `errorType` |", enums::errors()),
        (
            "| parameter | default |",
            matches(r"(?m)^  (\w+):$", template),
        ),
    ] {
        let mut documented = first_column(heading);
        // Codes with this ending are the service's, and the type of a panic is the runtime's.
        documented.retain(|it| !it.ends_with("Exception") && !it.starts_with('&'));
        assert_eq!(documented, right, "{heading}");
    }
}

#[test]
fn every_sample_event_has_a_link() {
    let docs = docs();
    for event in fs::read_dir(root().join("events")).unwrap() {
        let name = event.unwrap().file_name().into_string().unwrap();
        let link = format!("](../events/{name})");
        assert!(docs.values().any(|page| page.contains(&link)), "{link}");
    }
}

#[test]
fn every_operation_is_permitted_in_the_reference_the_templates_and_the_security_page() {
    let actions = section("Permissions");
    let actions = actions.lines().filter(|line| line.starts_with("| `"));
    let actions = actions.map(|row| row.split('|').nth(1).unwrap());
    let action = r"`((?:rekognition|sts|organizations|cloudtrail):\w+)`";
    let actions = matches(action, &Vec::from_iter(actions).join(" "));
    let operations = actions.iter().map(|it| it.split_once(':').unwrap().1);
    assert_eq!(set(operations), enums::operations());

    let docs = docs();
    let mut security = String::new();
    for (name, page) in docs {
        if name.to_lowercase().contains("security") {
            security += &page;
        }
    }
    for action in actions {
        let (service, operation) = action.split_once(':').unwrap();
        assert!(security.contains(operation), "security: {action}");
        assert!(TEMPLATE.contains(&action), "template.yaml: {action}");
        // Only the function itself calls STS and Organizations.
        let is_in_members =
            ["sts", "organizations"].contains(&service) || MEMBER_ACCOUNT.contains(&action);
        assert!(is_in_members, "member-account.yaml: {action}");
    }
}

#[test]
fn tables_by_hand_have_no_figures_but_those_of_the_bench() {
    let docs = docs();
    let page = &docs["docs/performance.md"];
    let generated = regex(r"<!-- Written by cargo bench[^\n]*\n((?:\|[^\n]*\n)+)");
    let tables = generated.captures_iter(page);
    let tables = Vec::from_iter(tables.map(|table| table[1].to_owned()));
    assert_eq!(tables.len(), page.matches("<!-- Written by").count());

    let figure = r"(\d[\d.,]* (?:ms|s|MB|M)\b)";
    let measured = matches(figure, &tables.concat());
    for page in [&*generated.replace_all(page, ""), &docs["README.md"]] {
        let rows = page.lines().filter(|line| line.starts_with('|'));
        let figures = set(rows.flat_map(|row| matches(figure, row)));
        let unknown = Vec::from_iter(figures.difference(&measured));
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn the_badges_are_true() {
    let docs = docs();
    let badge = r"img\.shields\.io/badge/(\w+-(?:[^-)]|--)+)-\w+\)";
    let badges = matches(badge, &docs["README.md"]);
    let right = [
        format!("licence-{}", env!("CARGO_PKG_LICENSE").replace('-', "--")),
        format!("release-{}", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(badges, set(right));
}
