//! One AssumeRole serves an account for a run, and none lasts longer: each run has its own.

use std::collections::{BTreeMap, BTreeSet};

use rekognition_emulator::{Answer, Operation};

use super::weather::REGION_DISABLED;
use crate::simulation::night::{ACCOUNT, Night};
use crate::simulation::run::Run;
use crate::simulation::wanted::account_of;

pub fn check(night: &Night, runs: &[Run], wrong: &mut Vec<String>) {
    if night.organization.is_none() {
        return;
    }
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (number, run) in (1..).zip(runs) {
        let mut assumed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut keys: BTreeSet<&str> = BTreeSet::new();
        for call in &run.calls {
            let is_refused = matches!(&call.answer, Answer::Error(code) if is_final(code));
            if call.operation != Operation::AssumeRole {
                keys.extend((call.account != ACCOUNT).then_some(&*call.access_key));
            } else if call.answer == Answer::Ok || is_refused {
                *assumed.entry(account_of(&call.resources[0])).or_default() += 1;
            }
        }
        for (account, times) in assumed.into_iter().filter(|(_, times)| *times > 1) {
            wrong.push(format!(
                "invocation {number}: the role of {account} is assumed {times} times"
            ));
        }
        if !keys.is_disjoint(&used) {
            wrong.push(format!(
                "invocation {number}: a session of an earlier one is used"
            ));
        }
        used.extend(keys);
    }
}

fn is_final(code: &str) -> bool {
    ["AccessDenied", REGION_DISABLED].contains(&code)
}
