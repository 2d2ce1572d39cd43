//! What is met in many nights: a promise is only tested by what can break it.

use std::collections::BTreeSet;

use rekognition_emulator::{Answer, Operation};

use super::night::Night;
use super::organization::oracle;
use super::run::live_through;
use super::view::View;
use crate::support::enums;

/// As many nights as make each of these likely many times over.
const NIGHTS: u64 = 250;

/// The codes of failures that are the service's own.
const SERVICE_CODES: [&str; 3] = [
    "AccessDeniedException",
    "InvalidParameterException",
    "ResourceNotFoundException",
];

/// The program's own codes that the nights over one account do not meet, or seldom: a list with an
/// ARN that cannot be read, a call that cannot be sent, and a bug in the program.
const CODES_NOT_MET: [&str; 5] = [
    "AccountUnreachable",
    "UnexpectedAnswer",
    "DispatchFailure",
    "ConstructionFailure",
    "Panicked",
];

/// The answers to calls: every error that the service documents for them, and every fault.
const ANSWERS: [&str; 17] = [
    "Ok",
    "GivenUp",
    "AccessDeniedException",
    "InternalServerError",
    "InvalidPaginationTokenException",
    "InvalidParameterException",
    "ProvisionedThroughputExceededException",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "ThrottlingException",
    "fault:http_status",
    "fault:reset",
    "fault:hang",
    "fault:garbage",
    "fault:empty_body",
    "fault:truncated",
    "fault:status_override",
];

/// The codes of failures, and the answers to calls, that only nights over organizations meet.
const CODES_OVER_ORGANIZATIONS: [&str; 6] = [
    "AccountUnreachable",
    "DeadlineExceeded",
    "AccessDeniedException",
    "ParentNotFoundException",
    "AWSOrganizationsNotInUseException",
    "InvalidModelArn",
];
const ANSWERS_OVER_ORGANIZATIONS: [(Operation, &str); 11] = [
    (Operation::AssumeRole, "Ok"),
    (Operation::AssumeRole, "AccessDenied"),
    (Operation::AssumeRole, "Throttling"),
    (Operation::AssumeRole, "fault:hang"),
    (Operation::AssumeRole, "fault:http_status"),
    (Operation::ListAccounts, "Ok"),
    (Operation::ListAccounts, "AccessDeniedException"),
    (Operation::ListAccounts, "TooManyRequestsException"),
    (Operation::ListAccountsForParent, "TooManyRequestsException"),
    (Operation::ListOrganizationalUnitsForParent, "Ok"),
    (Operation::DescribeProjects, "fault:hang"),
];

/// The outcomes, and the codes of failures, that the nights over one account meet: all that the
/// program has but a few.
fn outcomes_to_meet() -> BTreeSet<String> {
    let mut all = enums::outcomes();
    // A failure counts by its code.
    all.remove("failed");
    all.extend(enums::codes());
    for code in CODES_NOT_MET {
        assert!(all.remove(code), "there is no code {code}");
    }
    all.extend(SERVICE_CODES.map(str::to_owned));
    all
}

/// What does not happen in the nights over organizations from this seed on, and should.
pub fn of_what_is_missing_over_organizations(first: u64) -> Vec<String> {
    let (mut codes, mut answers) = (BTreeSet::new(), BTreeSet::new());
    let mut certain = BTreeSet::new();
    let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
    for night in (first..first + NIGHTS).map(Night::over_an_organization) {
        for run in live_through(&night) {
            for call in &run.calls {
                let operations = match call.answer {
                    Answer::Ok => &mut good,
                    _ => &mut bad,
                };
                operations.insert(call.operation.name());
                answers.insert((call.operation, call.answer.to_string()));
            }
            if let Ok(view) = View::new(&night, &run) {
                let reach = view.reach.as_ref().unwrap();
                certain.extend(oracle::certain(&view, reach));
                codes.extend(view.rows.into_iter().map(|row| row.code));
            }
        }
    }
    let codes_missing = CODES_OVER_ORGANIZATIONS
        .into_iter()
        .filter(|code| !codes.contains(*code) || !certain.contains(*code))
        .map(|code| format!("{code} is never certain to be met"));
    let answers_missing = ANSWERS_OVER_ORGANIZATIONS
        .into_iter()
        .filter(|(operation, answer)| !answers.contains(&(*operation, (*answer).to_owned())))
        .map(|(operation, answer)| format!("{operation} is never answered with {answer}"));
    let operations = enums::operations().into_iter();
    let operations_missing = operations
        .filter(|name| !good.contains(&**name) || !bad.contains(&**name))
        .map(|name| format!("{name} is not answered both ways: with a result, and without"));
    codes_missing
        .chain(answers_missing)
        .chain(operations_missing)
        .collect()
}

/// What does not happen in the nights from this seed on, and should.
pub fn of_what_is_missing(first: u64) -> Vec<String> {
    let (mut outcomes, mut answers) = (BTreeSet::new(), BTreeSet::new());
    for night in (first..first + NIGHTS).map(Night::new) {
        for run in live_through(&night) {
            let calls = run.calls.iter();
            answers.extend(calls.map(|call| call.answer.to_string()));
            if let Ok(view) = View::new(&night, &run) {
                outcomes.extend(view.rows.into_iter().map(|row| match &*row.code {
                    "" => row.outcome,
                    _ => row.code,
                }));
            }
        }
    }
    let should_be = outcomes_to_meet()
        .into_iter()
        .filter(|it| !outcomes.contains(it));
    let answers_missing = ANSWERS.into_iter().filter(|it| !answers.contains(*it));
    let missing = should_be.chain(answers_missing.map(str::to_owned));
    missing.map(|it| format!("{it} is never met")).collect()
}
