//! What a wildcard in the account stands for: the accounts of the organization, or of some of its
//! units with all that is under them.

use std::collections::{HashSet, VecDeque};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use super::pages::{Pages, Then};
use super::{Pattern, Run};
use crate::arn::AccountId;
use crate::aws::{Account, CallError, Organizations, Page};

/// The state of an account that can be used.
const ACTIVE: &str = "ACTIVE";

/// A list that is read.
#[derive(Debug)]
enum List {
    /// The accounts under a root or a unit, or all of the organization.
    Accounts(Option<String>, Pages),
    /// The units under a root or a unit.
    Units(String, Pages),
}

/// A list, and its next page.
enum Response {
    Accounts(Option<String>, Pages, Result<Page<Account>, CallError>),
    Units(String, Pages, Result<Page<String>, CallError>),
}

/// The accounts that patterns stand for, as the pages of their lists come.
pub(super) struct AccountList<'run, 'a> {
    run: &'run Run<'a>,
    organizations: &'run Organizations,
    patterns: Vec<Pattern<'a>>,
    /// The accounts that the request names and that are not listed yet, if it names any.
    missing: Option<HashSet<&'a AccountId>>,
    /// Lists that are read next.
    queue: VecDeque<List>,
    calls: FuturesUnordered<BoxFuture<'run, Response>>,
    units: HashSet<String>,
    accounts: HashSet<AccountId>,
    /// What a list was last begun anew for.
    last_failure: Option<String>,
    /// What the first list failed with that broke off.
    error: Option<CallError>,
}

impl<'run, 'a> AccountList<'run, 'a> {
    /// The accounts that these patterns stand for.
    pub(super) fn new(
        run: &'run Run<'a>,
        organizations: &'run Organizations,
        patterns: Vec<Pattern<'a>>,
    ) -> Self {
        let mut list = Self {
            run,
            organizations,
            patterns,
            missing: run.assignment.accounts.map(HashSet::from_iter),
            queue: VecDeque::new(),
            calls: FuturesUnordered::new(),
            units: HashSet::new(),
            accounts: HashSet::new(),
            last_failure: None,
            error: None,
        };
        // Each may be warned of.
        let named = list.missing.as_ref().map_or(0, HashSet::len);
        run.caller.deadline.expect_lines(named);
        let units = &run.settings.organizational_units;
        if units.is_empty() {
            list.queue.push_back(List::Accounts(None, Pages::default()));
        }
        for unit in units {
            list.add_unit(unit.clone());
        }
        list
    }

    /// The accounts of the next page that patterns stand for, each only the first time that it is
    /// listed, with these patterns; none after the last page.
    ///
    /// Nothing is lost where this is dropped before it has a result.
    pub(super) async fn next(&mut self) -> Option<Vec<(AccountId, Vec<Pattern<'a>>)>> {
        loop {
            if self.missing.as_ref().is_some_and(HashSet::is_empty) {
                return None;
            }
            while let Some(list) = self.queue.pop_front() {
                self.calls.push(Box::pin(list.read(self.organizations)));
            }
            match self.calls.next().await? {
                Response::Accounts(parent, mut pages, page) => {
                    let (accounts, then) = pages.take(page);
                    let subject = parent.clone();
                    self.go_on(then, subject, List::Accounts(parent, pages));
                    let accounts = accounts.into_iter();
                    return Some(
                        accounts
                            .filter_map(|account| self.select(account))
                            .collect(),
                    );
                }
                Response::Units(parent, mut pages, page) => {
                    let (units, then) = pages.take(page);
                    units.into_iter().for_each(|unit| self.add_unit(unit));
                    self.go_on(then, Some(parent.clone()), List::Units(parent, pages));
                }
            }
        }
    }

    /// Warns of accounts of the request that no pattern stands for.
    ///
    /// # Errors
    /// Why not all accounts are known, if they are not.
    pub(super) fn end(self) -> Result<(), CallError> {
        let all_are_known = self.missing.as_ref().is_some_and(HashSet::is_empty);
        if let Some(error) = self.error.filter(|_| !all_are_known) {
            return Err(error);
        }
        for account in self.missing.into_iter().flatten() {
            tracing::warn!(
                requestId = &*self.run.caller.request_id,
                account = account.as_str(),
                "no wildcard stands for this account of `accounts`"
            );
        }
        Ok(())
    }

    /// The patterns that stand for an account, if any do. One that is skipped is logged.
    fn select(&mut self, account: Account) -> Option<(AccountId, Vec<Pattern<'a>>)> {
        let Account { id, state } = account;
        if !self.accounts.insert(id.clone()) {
            return None;
        }
        let patterns = self.patterns.iter().copied();
        let patterns = patterns.filter(|(_, pattern)| pattern.matches_account(id.as_str()));
        let patterns: Vec<Pattern> = patterns.collect();
        if patterns.is_empty() {
            return None;
        }
        let reason = if self.run.settings.excluded_accounts.contains(&id) {
            "EXCLUDED_ACCOUNTS has it".to_owned()
        } else if state != ACTIVE {
            format!("it is {state}")
        } else {
            let is_left_out = self
                .missing
                .as_mut()
                .is_some_and(|missing| !missing.remove(&id));
            return (!is_left_out).then_some((id, patterns));
        };
        tracing::info!(
            requestId = &*self.run.caller.request_id,
            account = id.as_str(),
            reason,
            "account skipped"
        );
        None
    }

    fn add_unit(&mut self, unit: String) {
        if self.units.insert(unit.clone()) {
            self.queue
                .push_back(List::Accounts(Some(unit.clone()), Pages::default()));
            self.queue.push_back(List::Units(unit, Pages::default()));
        }
    }

    /// Reads on, `parent` being what the list is of.
    fn go_on(&mut self, then: Then, parent: Option<String>, list: List) {
        match then {
            Then::End => {}
            Then::More => self.queue.push_back(list),
            Then::Anew { pause, error, .. } => {
                self.last_failure = Some(error.to_string());
                let (organizations, deadline) = (self.organizations, &self.run.caller.deadline);
                self.calls.push(Box::pin(async move {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = deadline.passed() => {}
                    }
                    list.read(organizations).await
                }));
            }
            Then::Failed(error) => {
                let error = match (error, parent) {
                    (CallError::OutOfTime { last_failure }, _) => CallError::OutOfTime {
                        last_failure: last_failure.or_else(|| self.last_failure.clone()),
                    },
                    (error, Some(parent)) => error.about(&parent),
                    (error, None) => error,
                };
                self.error.get_or_insert(error);
            }
        }
    }
}

impl List {
    async fn read(self, organizations: &Organizations) -> Response {
        match self {
            Self::Accounts(parent, pages) => {
                let page = organizations
                    .accounts(parent.as_deref(), pages.token())
                    .await;
                Response::Accounts(parent, pages, page)
            }
            Self::Units(parent, pages) => {
                let page = organizations.units(&parent, pages.token()).await;
                Response::Units(parent, pages, page)
            }
        }
    }
}
