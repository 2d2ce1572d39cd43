//! The house: which files may use which, and what exists only once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

type Sources = BTreeMap<String, String>;

/// Every file of `src/`, by its path there, without comments and unit tests.
fn sources() -> Sources {
    let mut sources = Sources::new();
    add_sources("", &mut sources);
    sources
}

fn add_sources(folder: &str, sources: &mut Sources) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("{folder}{name}");
        if !path.ends_with(".rs") {
            add_sources(&format!("{path}/"), sources);
            continue;
        }
        let text = fs::read_to_string(root.join(&path)).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code.lines();
        let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
        sources.insert(path, Vec::from_iter(lines).join("\n"));
    }
}

/// The file that a path of modules leads to, such as `run::model`.
fn file(sources: &Sources, modules: &[&str]) -> Option<String> {
    (1..=modules.len()).rev().find_map(|length| {
        let path = modules[..length].join("/");
        let names = [format!("{path}.rs"), format!("{path}/mod.rs")];
        names.into_iter().find(|name| sources.contains_key(name))
    })
}

/// Which files a file uses, by the paths in its code and the modules that it declares.
fn used(sources: &Sources, name: &str) -> BTreeSet<String> {
    let mention =
        r"(?m)\b(crate|super)::((?:[a-z_]+::)*[a-z_]+)?|^(?:pub(?:\(\w+\))? )?(mod) (\w+);";
    let mention = Regex::new(mention).unwrap();
    let mut folder = Vec::from_iter(name.split('/'));
    folder.pop();
    let mut used = BTreeSet::new();
    for found in mention.captures_iter(&sources[name]) {
        let group = |number| found.get(number).map_or("", |it| it.as_str());
        let (from, path) = match (group(1), group(3)) {
            ("crate", _) => (&[][..], group(2)),
            (_, "mod") => (&folder[..], group(4)),
            // The module of a folder's `mod.rs` is the folder.
            _ if name.ends_with("mod.rs") => (&folder[..folder.len() - 1], group(2)),
            _ => (&folder[..], group(2)),
        };
        let modules = path.split("::").filter(|module| !module.is_empty());
        let modules = Vec::from_iter(from.iter().copied().chain(modules));
        used.extend(file(sources, &modules));
    }
    used.remove(name);
    used
}

#[test]
fn arrows_between_files_go_one_way() {
    let sources = sources();
    let arrows = sources
        .keys()
        .map(|name| (name.clone(), used(&sources, name)));
    let mut arrows = BTreeMap::from_iter(arrows);
    for (from, to) in [
        ("run/mod.rs", "calls/queue.rs"),
        ("run/mod.rs", "run/scopes.rs"),
        ("run/scope.rs", "run/model.rs"),
    ] {
        assert!(arrows[from].contains(to), "{arrows:#?}");
    }
    // What uses nothing that is left is no part of a circle.
    loop {
        let left = BTreeSet::from_iter(arrows.keys().cloned());
        arrows.retain(|_, used| used.iter().any(|file| left.contains(file)));
        if arrows.len() == left.len() {
            break;
        }
    }
    assert!(
        arrows.is_empty(),
        "these files use each other in a circle: {arrows:#?}"
    );
}

#[test]
fn only_aws_knows_the_sdk_and_calls_know_neither_runs_nor_reports() {
    let sdk = Regex::new(r"\baws_(sdk|smithy|types|credential|config|runtime)").unwrap();
    let above = Regex::new(r"\bcrate::(aws|run|report|handler|settings|request)\b").unwrap();
    let waiting = Regex::new(r"\.await\b|\basync\b|Mutex|Semaphore|Notify|mpsc|oneshot").unwrap();
    for (name, code) in sources() {
        if !name.starts_with("aws/") {
            assert!(!sdk.is_match(&code), "{name} names the SDK");
        }
        if name.starts_with("calls/") {
            assert!(!above.is_match(&code), "{name} knows what is above it");
            assert!(!waiting.is_match(&code), "{name} waits, locks or signals");
        }
    }
}

#[test]
fn there_is_one_loop() {
    let loops = sources()
        .into_iter()
        .filter(|(_, code)| code.contains("select!"));
    let files = Vec::from_iter(loops.map(|(name, _)| name));
    assert_eq!(files, ["run/mod.rs"]);
}
