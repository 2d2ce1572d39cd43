//! A run in parts: requests that together make up the run, each for some of the accounts.

use std::sync::Arc;

use serde::Serialize;

use super::assignment::Assignment;
use crate::arn::AccountId;
use crate::error::Error;
use crate::request::{Entry, MOST_ACCOUNTS_PER_RUN};

/// The maximum size of a plan, in bytes: that of a state's result in Step Functions.
const LARGEST_PLAN: usize = 256 * 1024;

/// Requests that together make up one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The run of the entries without a wildcard in the account, if there are any, followed by the
    /// runs of the accounts, in order.
    pub runs: Vec<PlannedRun>,
}

/// A request of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedRun {
    /// The entries.
    pub model_arns: Arc<[Arc<str>]>,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// The accounts, if the entries have a wildcard in the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<AccountId>>,
}

/// The plan of an assignment whose wildcards match these accounts, given in any order.
pub(super) fn plan(
    assignment: &Assignment,
    mut accounts: Vec<AccountId>,
    accounts_per_run: usize,
) -> Result<Plan, Error> {
    let is_wild = |entry: &&Entry| entry.has_account_wildcard() && assignment.target(entry).is_ok();
    let entries = assignment.entries().map(|(_, entry)| entry);
    let (wild, literal): (Vec<&Entry>, Vec<&Entry>) = entries.partition(is_wild);
    if !wild.is_empty() && accounts.is_empty() {
        return Err(Error::NotPlanned(
            "no account in the organization's list matches a wildcard: check the patterns, the \
             `accounts` of the request, ORGANIZATIONAL_UNITS and EXCLUDED_ACCOUNTS"
                .to_owned(),
        ));
    }
    accounts.sort_unstable();
    let of_entries = |accounts, entries: &[&Entry]| PlannedRun {
        model_arns: entries
            .iter()
            .map(|entry| Arc::clone(&entry.text))
            .collect(),
        dry_run: assignment.dry_run,
        accounts,
    };
    let whole = of_entries(Some(accounts), &wild);
    let literal = (!literal.is_empty()).then(|| of_entries(None, &literal));
    split(literal, whole, accounts_per_run)
}

/// The plan of these runs, the second of which is split.
fn split(
    literal: Option<PlannedRun>,
    whole: PlannedRun,
    accounts_per_run: usize,
) -> Result<Plan, Error> {
    let parts = |accounts_per_run| {
        let accounts = whole.accounts.as_deref().unwrap_or_default();
        let parts = accounts
            .chunks(accounts_per_run)
            .map(|accounts| PlannedRun {
                model_arns: Arc::clone(&whole.model_arns),
                dry_run: whole.dry_run,
                accounts: Some(accounts.to_vec()),
            });
        Plan {
            runs: literal.iter().cloned().chain(parts).collect(),
        }
    };
    let plan = parts(accounts_per_run);
    let bytes = serde_json::to_vec(&plan).map_or(usize::MAX, |json| json.len());
    if bytes <= LARGEST_PLAN {
        return Ok(plan);
    }
    Err(Error::NotPlanned(format!(
        "the plan has {bytes} bytes, and Step Functions carries at most {LARGEST_PLAN}: give a \
         larger `accounts_per_run`, which is at most {MOST_ACCOUNTS_PER_RUN}, or fewer entries, or \
         plan for some of the accounts at a time with `accounts`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(count: usize) -> Vec<AccountId> {
        let ids = (0..count).map(|number| format!("{number:012}").try_into());
        ids.collect::<Result<_, _>>().unwrap()
    }

    fn run(entry: &str, accounts: Option<Vec<AccountId>>) -> PlannedRun {
        PlannedRun {
            model_arns: Arc::new([entry.into()]),
            dry_run: false,
            accounts,
        }
    }

    #[test]
    fn a_plan_has_as_few_runs_as_possible() {
        for (number, per_run, sizes) in [
            (0, 10, vec![]),
            (10, 10, vec![10]),
            (11, 10, vec![10, 1]),
            (3, 1, vec![1, 1, 1]),
        ] {
            let plan = split(None, run("*", Some(accounts(number))), per_run).unwrap();
            let runs = plan
                .runs
                .iter()
                .map(|run| run.accounts.as_ref().unwrap().len());
            assert_eq!(runs.collect::<Vec<_>>(), sizes);
        }
    }

    #[test]
    fn ten_thousand_accounts_fit_with_25_per_run_and_not_with_one() {
        let pattern = "arn:aws:rekognition:*:*:project/*/version/*/*";
        let planned = |per_run| split(None, run(pattern, Some(accounts(10_000))), per_run);
        assert_eq!(planned(25).unwrap().runs.len(), 400);
        let message = planned(1).unwrap_err().to_string();
        assert!(message.contains("larger `accounts_per_run`"), "{message}");
    }
}
