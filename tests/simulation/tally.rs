//! What is met in many nights: a promise is only tested by what can break it.

use std::collections::BTreeSet;

use rekognition_emulator::Answer;

use super::progress;
use super::view::View;
use crate::support::enums;

/// The program's own codes that the nights over one account do not meet, or seldom: a role that is
/// refused, a list with an ARN that cannot be read, a call that cannot be sent, and a bug.
const CODES_NOT_MET: [&str; 5] = [
    "AccountUnreachable",
    "UnexpectedAnswer",
    "DispatchFailure",
    "ConstructionFailure",
    "Panicked",
];

/// The codes of failures that are the service's own.
const SERVICE_CODES: [&str; 3] = [
    "AccessDeniedException",
    "InvalidParameterException",
    "ResourceNotFoundException",
];

/// The responses to calls: every error that the service documents for them, and every fault.
const RESPONSES: [&str; 16] = [
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

/// The troubles in which a stop is due nevertheless, because a plain client makes it.
const TROUBLES: [&str; 15] = [
    "ThrottlingException for ever",
    "ThrottlingException for a time",
    "ThrottlingException at first",
    "ThrottlingException by attempt",
    "InvalidSignatureException at first",
    "http_status for ever",
    "http_status at first",
    "http_status by attempt",
    "http_status by call",
    "truncated at first",
    "hang for ever",
    "hang at first",
    "hang by attempt",
    "hang by call",
    "hang by connection",
];

/// What only nights over organizations meet: codes of failures, and responses to operations.
const OVER_ORGANIZATIONS: [&str; 15] = [
    "AccountUnreachable",
    "DeadlineExceeded",
    "AccessDeniedException",
    "ParentNotFoundException",
    "AWSOrganizationsNotInUseException",
    "InvalidModelArn",
    "AssumeRole: AccessDenied",
    "AssumeRole: Throttling",
    "AssumeRole: SignatureDoesNotMatch",
    "AssumeRole: fault:hang",
    "AssumeRole: fault:http_status",
    "ListAccounts: AccessDeniedException",
    "ListAccounts: TooManyRequestsException",
    "ListAccountsForParent: TooManyRequestsException",
    "DescribeProjects: fault:hang",
];

/// What nights over one account meet: all outcomes and codes that the program has but a few, all
/// responses, and all troubles.
pub fn to_meet() -> BTreeSet<String> {
    let mut all = enums::outcomes();
    // A failure counts by its code.
    all.remove("failed");
    all.extend(enums::codes());
    for code in CODES_NOT_MET {
        assert!(all.remove(code), "there is no code {code}");
    }
    all.extend(
        SERVICE_CODES
            .into_iter()
            .chain(RESPONSES)
            .map(str::to_owned),
    );
    all.extend(TROUBLES.map(|trouble| format!("a stop is due in {trouble}")));
    all
}

/// What nights over organizations meet: also each operation, with a result and without.
pub fn to_meet_over_organizations() -> BTreeSet<String> {
    let operations = enums::operations().into_iter();
    let both = operations.flat_map(|name| [format!("{name}: Ok"), format!("{name}: a failure")]);
    both.chain(OVER_ORGANIZATIONS.map(str::to_owned)).collect()
}

/// What a run has met.
pub fn met(view: &View) -> BTreeSet<String> {
    let mut met = BTreeSet::new();
    let calls = view.run.calls.iter();
    let responses: BTreeSet<_> = calls
        .map(|call| {
            (
                call.operation,
                call.answer.to_string(),
                call.answer == Answer::Ok,
            )
        })
        .collect();
    for (operation, response, is_ok) in responses {
        met.insert(format!("{operation}: {response}"));
        if !is_ok {
            met.insert(format!("{operation}: a failure"));
        }
        met.insert(response);
    }
    for row in &view.rows {
        met.insert(match &*row.code {
            "" => row.outcome.clone(),
            code => code.to_owned(),
        });
    }
    if let [trouble] = &view.run.weather.faults[..]
        && progress::is_stop_due(view)
    {
        met.insert(format!("a stop is due in {}", trouble.name()));
    }
    met
}
