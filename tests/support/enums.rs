//! Every outcome, code, error and operation of the program, from the `match` that names them, for
//! tests that compare lists with them.

use std::collections::BTreeSet;

use regex::Regex;

/// The names of all outcomes.
pub fn outcomes() -> BTreeSet<String> {
    names(include_str!("../../src/report/outcome.rs"))
}

/// The codes of failures, other than the service's.
pub fn codes() -> BTreeSet<String> {
    names(include_str!("../../src/report/failure.rs"))
}

/// The types of errors.
pub fn errors() -> BTreeSet<String> {
    names(include_str!("../../src/error.rs"))
}

/// The names of the operations that the program calls.
pub fn operations() -> BTreeSet<String> {
    names(include_str!("../../src/calls/operation.rs"))
}

fn names(source: &str) -> BTreeSet<String> {
    let arm = Regex::new(r#"Self::\w+(?: \{ \.\. \}|\(_\))? => "(\w+)""#).unwrap();
    let names = arm.captures_iter(source).map(|arm| arm[1].to_owned());
    let names = BTreeSet::from_iter(names);
    assert!(names.len() > 3, "{names:?}");
    names
}
