//! Every outcome, code and operation of the program, for tests that hold lists against them.

use std::collections::BTreeSet;
use std::iter::successors;

use regex::Regex;
use rekognition_stopper::report::{Code, Failure, Outcome};

const OPERATIONS: &str = include_str!("../../src/calls/operation.rs");

/// The names of all outcomes.
pub fn outcomes() -> BTreeSet<String> {
    let outcomes = successors(Some(Outcome::Stopped), next_outcome);
    outcomes.map(|outcome| outcome.name().to_owned()).collect()
}

/// The outcome after this one. A new outcome cannot be left out: the match would not compile.
fn next_outcome(outcome: &Outcome) -> Option<Outcome> {
    let failure = Failure {
        code: Code::Panicked,
        message: String::new(),
    };
    let reason = String::new();
    Some(match outcome {
        Outcome::Stopped => Outcome::Stopping,
        Outcome::Stopping => Outcome::AlreadyStopped,
        Outcome::AlreadyStopped => Outcome::Kept { reason },
        Outcome::Kept { .. } => Outcome::WouldStop,
        Outcome::WouldStop => Outcome::Failed(failure),
        Outcome::Failed(_) => return None,
    })
}

/// The codes of failures, other than the service's.
pub fn codes() -> BTreeSet<String> {
    let codes = successors(Some(Code::InvalidModelArn), next_code);
    codes.map(|code| code.as_str().to_owned()).collect()
}

/// The code after this one. A new code cannot be left out: the match would not compile.
fn next_code(code: &Code) -> Option<Code> {
    Some(match code {
        Code::InvalidModelArn => Code::AccountUnreachable,
        Code::AccountUnreachable => Code::StillStarting,
        Code::StillStarting => Code::NotConfirmed,
        Code::NotConfirmed => Code::DeadlineExceeded,
        Code::DeadlineExceeded => Code::UnexpectedStatus,
        Code::UnexpectedStatus => Code::UnexpectedAnswer,
        Code::UnexpectedAnswer => Code::DispatchFailure,
        Code::DispatchFailure => Code::ConstructionFailure,
        Code::ConstructionFailure => Code::Panicked,
        Code::Panicked | Code::Service(_) => return None,
    })
}

/// The names of the operations that the program calls. Their enum is private, so they come from its
/// source.
pub fn operations() -> BTreeSet<String> {
    let names = Regex::new(r#"Self::\w+ => "([A-Z]\w+)""#).unwrap();
    let names: BTreeSet<String> = names
        .captures_iter(OPERATIONS)
        .map(|name| name[1].to_owned())
        .collect();
    assert!(!names.is_empty(), "no operations in src/calls/operation.rs");
    names
}
