//! The house: which files may know of which, and what stands once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Every file of `src/`, by its path there, without comments and unit tests.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            sources.insert(name.to_owned(), code(&path));
        }
    }
    sources
}

fn code(path: &PathBuf) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The file that a path of modules leads to, such as `run::model`.
fn file(sources: &BTreeMap<String, String>, modules: &[&str]) -> Option<String> {
    (1..=modules.len()).rev().find_map(|length| {
        let path = modules[..length].join("/");
        let names = [format!("{path}.rs"), format!("{path}/mod.rs")];
        names.into_iter().find(|name| sources.contains_key(name))
    })
}

/// Which files each file uses.
fn arrows(sources: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let of_crate = Regex::new(r"\bcrate::((?:[a-z_]+::)*[a-z_]+)").unwrap();
    let of_parent = Regex::new(r"\bsuper::((?:[a-z_]+::)*[a-z_]+)?").unwrap();
    let of_module = Regex::new(r"(?m)^(?:pub(?:\([a-z]+\))? )?mod ([a-z_]+);").unwrap();
    let mut arrows = BTreeMap::new();
    for (name, code) in sources {
        let folder: Vec<&str> = name.split('/').collect();
        let folder = &folder[..folder.len() - 1];
        let is_module_file = name.ends_with("mod.rs");
        let mut used = BTreeSet::new();
        for found in of_crate.captures_iter(code) {
            let modules: Vec<&str> = found[1].split("::").collect();
            used.extend(file(sources, &modules));
        }
        for found in of_parent.captures_iter(code) {
            let rest = found.get(1).map_or("", |rest| rest.as_str());
            let parent = if is_module_file {
                &folder[..folder.len() - 1]
            } else {
                folder
            };
            let rest = rest.split("::").filter(|module| !module.is_empty());
            let modules: Vec<&str> = parent.iter().copied().chain(rest).collect();
            used.extend(file(sources, &modules));
        }
        if is_module_file {
            for found in of_module.captures_iter(code) {
                let modules: Vec<&str> = folder.iter().copied().chain([&found[1]]).collect();
                used.extend(file(sources, &modules));
            }
        }
        used.remove(name);
        arrows.insert(name.clone(), used);
    }
    arrows
}

#[test]
fn arrows_between_files_go_one_way() {
    let sources = sources();
    let mut arrows = arrows(&sources);
    assert!(
        arrows["run/mod.rs"].contains("calls/queue.rs"),
        "{arrows:?}"
    );
    assert!(
        arrows["run/scope.rs"].contains("run/model.rs"),
        "{arrows:?}"
    );
    // What uses nothing that is left is no part of a circle.
    loop {
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
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
    let files: Vec<String> = loops.map(|(name, _)| name).collect();
    assert_eq!(files, ["run/mod.rs"]);
}
