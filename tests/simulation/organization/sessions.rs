//! One AssumeRole serves an account from one run to the next: another is only made if a session has
//! expired.

use std::collections::{BTreeMap, BTreeSet};

use rekognition_emulator::{Answer, Call, Operation};

use super::weather::REGION_DISABLED;
use crate::simulation::night::Night;
use crate::simulation::run::Run;
use crate::simulation::wanted::account_of;

pub fn check(night: &Night, runs: &[Run], wrong: &mut Vec<String>) {
    let Some(organization) = &night.organization else {
        return;
    };
    // Accounts with a session that lasts.
    let mut entered: BTreeSet<String> = BTreeSet::new();
    for (number, run) in (1..).zip(runs) {
        let mut expired: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let of_sessions = run.calls.iter().filter(|call| is_expired(call));
        for call in of_sessions {
            let keys = expired.entry(&call.account).or_default();
            keys.insert(&call.access_key);
        }
        let mut answered: BTreeMap<&str, Vec<&Answer>> = BTreeMap::new();
        let calls = run.calls.iter();
        for call in calls.filter(|call| call.operation == Operation::AssumeRole) {
            let refused = matches!(&call.answer, Answer::Error(code) if is_final(code));
            if call.answer == Answer::Ok || refused {
                let account = account_of(&call.resources[0]);
                answered.entry(account).or_default().push(&call.answer);
            }
        }
        for (account, answers) in answered {
            let first = usize::from(!entered.contains(account));
            let again = expired.get(account).map_or(0, BTreeSet::len);
            if answers.len() > first + again {
                wrong.push(format!(
                    "invocation {number}: the role of {account} is assumed {} times, where {first} \
                     and {again} for sessions that had expired would do",
                    answers.len()
                ));
            }
            let role = organization.account(account);
            let role = role.and_then(|account| account.role.as_ref());
            let lasts = role.is_some_and(|role| role.session_length.is_none());
            if lasts && answers.contains(&&Answer::Ok) {
                entered.insert(account.to_owned());
            }
        }
    }
}

fn is_final(code: &str) -> bool {
    ["AccessDenied", REGION_DISABLED].contains(&code)
}

fn is_expired(call: &Call) -> bool {
    matches!(&call.answer, Answer::Error(code) if code.starts_with("ExpiredToken"))
}
