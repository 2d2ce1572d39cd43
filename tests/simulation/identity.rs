//! Each call is made with the identity of its account and in its region; and one AssumeRole serves
//! an account for a run, while each run has its own.

use std::collections::{BTreeMap, BTreeSet};

use rekognition_emulator::{Answer, Call, Operation, Service};

use super::night::{ACCOUNT, Night};
use super::organization::Organization;
use super::run::Run;
use super::view::View;
use super::wanted::account_of;
use super::weather::ROLE_REFUSED;

pub fn check(view: &View, wrong: &mut Vec<String>) {
    let Some(organization) = &view.night.organization else {
        return;
    };
    let scopes = view.wanted.all_scopes();
    for call in &view.run.calls {
        if let Err(why) = may_be_made(view, organization, &scopes, call) {
            let (who, region, operation) = (&call.identity, &call.region, call.operation);
            let body = &call.body;
            wrong.push(format!("{who} calls {operation} {body} in {region}: {why}"));
        }
    }
}

fn may_be_made(
    view: &View,
    organization: &Organization,
    scopes: &BTreeSet<(&str, &str)>,
    call: &Call,
) -> Result<(), &'static str> {
    let has_roles = view.night.has_roles();
    let is_scope = scopes.contains(&(&*call.account, &*call.region));
    let is_of_projects = call.operation == Operation::DescribeProjects;
    let is_foreign = |arn: &String| account_of(arn) != call.account;
    match call.operation.service() {
        _ if call.identity != organization.identity(&call.account) => {
            Err("that is not the identity for this account")
        }
        Service::Rekognition | Service::CloudTrail if !has_roles => Ok(()),
        Service::Rekognition | Service::CloudTrail if !is_scope => Err("nothing leads there"),
        Service::Rekognition if !is_of_projects && call.resources.iter().any(is_foreign) => {
            Err("that is in another account")
        }
        Service::Rekognition | Service::CloudTrail => Ok(()),
        _ if call.account != ACCOUNT => Err("that is for the function itself"),
        Service::Organizations => match view.wanted.account_patterns().next() {
            Some(_) => Ok(()),
            None => Err("no entry has a wildcard in the account"),
        },
        Service::Sts => {
            let role_arn = &*call.resources[0];
            let account = account_of(role_arn);
            if !has_roles || account == ACCOUNT {
                Err("there is no role to assume")
            } else if role_arn != organization.role_arn(account) {
                Err("that is another role")
            } else if call.body["ExternalId"].as_str() != organization.external_id {
                Err("that is another external ID")
            } else if !scopes.iter().any(|(it, _)| *it == account) {
                Err("nothing leads there")
            } else {
                Ok(())
            }
        }
    }
}

/// No role is assumed twice in a run, and no session is kept for the next.
pub fn check_sessions(night: &Night, runs: &[Run], wrong: &mut Vec<String>) {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (number, run) in (1..).zip(runs).filter(|_| night.organization.is_some()) {
        let mut assumed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut keys: BTreeSet<&str> = BTreeSet::new();
        for call in &run.calls {
            let is_refused =
                matches!(&call.answer, Answer::Error(code) if ROLE_REFUSED.contains(&&**code));
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
