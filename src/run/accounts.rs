//! What a wildcard in the account stands for: the accounts of the organization, or those under some
//! of its units, at any depth.

use std::collections::{HashSet, VecDeque};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use super::pages::{Continuation, Pages};
use super::{Pattern, Run};
use crate::arn::AccountId;
use crate::aws::{Account, CallError, Organizations, Page};

/// The state of an account that can be used.
const ACTIVE: &str = "ACTIVE";

/// A call for the next page of a list.
#[derive(Debug)]
enum ListCall {
    /// The accounts directly under a root or a unit, or all accounts of the organization.
    Accounts(Option<String>, Pages),
    /// The units directly under a root or a unit.
    Units(String, Pages),
}

/// The result of such a call.
enum ListResult {
    Accounts(Option<String>, Pages, Result<Page<Account>, CallError>),
    Units(String, Pages, Result<Page<String>, CallError>),
}

/// The accounts that patterns stand for, available as the pages of their lists arrive.
pub(super) struct AccountList<'run, 'a> {
    run: &'run Run<'a>,
    organizations: &'run Organizations,
    patterns: Vec<Pattern<'a>>,
    /// The accounts named by the request that have not been listed yet, if it names any.
    unlisted: Option<HashSet<&'a AccountId>>,
    /// The calls to make next.
    queue: VecDeque<ListCall>,
    calls: FuturesUnordered<BoxFuture<'run, ListResult>>,
    units: HashSet<String>,
    accounts: HashSet<AccountId>,
    /// Why a list was last restarted.
    last_failure: Option<String>,
    /// The error of the first list that failed.
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
            unlisted: run.assignment.accounts.map(HashSet::from_iter),
            queue: VecDeque::new(),
            calls: FuturesUnordered::new(),
            units: HashSet::new(),
            accounts: HashSet::new(),
            last_failure: None,
            error: None,
        };
        // Each may need a warning.
        let named = list.unlisted.as_ref().map_or(0, HashSet::len);
        run.caller.deadline.expect_lines(named);
        let units = &run.settings.organizational_units;
        if units.is_empty() {
            list.queue
                .push_back(ListCall::Accounts(None, Pages::default()));
        }
        for unit in units {
            list.add_unit(unit.clone());
        }
        list
    }

    /// The accounts of the next page that patterns stand for, each with its patterns, and only the
    /// first time that it is listed; none after the last page.
    ///
    /// Cancel safe: nothing is lost if this is dropped before it completes.
    pub(super) async fn next(&mut self) -> Option<Vec<(AccountId, Vec<Pattern<'a>>)>> {
        loop {
            if self.unlisted.as_ref().is_some_and(HashSet::is_empty) {
                return None;
            }
            while let Some(list) = self.queue.pop_front() {
                self.calls.push(Box::pin(list.read(self.organizations)));
            }
            match self.calls.next().await? {
                ListResult::Accounts(parent, mut pages, page) => {
                    let (accounts, then) = pages.take(page);
                    let subject = parent.clone();
                    self.proceed(then, subject, ListCall::Accounts(parent, pages));
                    let accounts = accounts.into_iter();
                    return Some(
                        accounts
                            .filter_map(|account| self.select(account))
                            .collect(),
                    );
                }
                ListResult::Units(parent, mut pages, page) => {
                    let (units, then) = pages.take(page);
                    units.into_iter().for_each(|unit| self.add_unit(unit));
                    self.proceed(then, Some(parent.clone()), ListCall::Units(parent, pages));
                }
            }
        }
    }

    /// Logs a warning for each account of the request that no pattern stands for.
    ///
    /// # Errors
    /// The error of a list, unless all accounts of the request were found despite it.
    pub(super) fn end(self) -> Result<(), CallError> {
        let all_are_known = self.unlisted.as_ref().is_some_and(HashSet::is_empty);
        if let Some(error) = self.error.filter(|_| !all_are_known) {
            return Err(error);
        }
        for account in self.unlisted.into_iter().flatten() {
            tracing::warn!(
                requestId = &*self.run.caller.request_id,
                account = account.as_str(),
                "no wildcard matches this account of `accounts`"
            );
        }
        Ok(())
    }

    /// The patterns that stand for an account, if any. An account that is skipped is logged.
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
            "it is in EXCLUDED_ACCOUNTS".to_owned()
        } else if state != ACTIVE {
            format!("it is {state}")
        } else {
            let is_left_out = self
                .unlisted
                .as_mut()
                .is_some_and(|unlisted| !unlisted.remove(&id));
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
                .push_back(ListCall::Accounts(Some(unit.clone()), Pages::default()));
            self.queue
                .push_back(ListCall::Units(unit, Pages::default()));
        }
    }

    /// Continues with a list; `parent` is the root or unit that it belongs to.
    fn proceed(&mut self, then: Continuation, parent: Option<String>, list: ListCall) {
        match then {
            Continuation::End => {}
            Continuation::NextPage => self.queue.push_back(list),
            Continuation::Restart { pause, error, .. } => {
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
            Continuation::Failed(error) => {
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

impl ListCall {
    async fn read(self, organizations: &Organizations) -> ListResult {
        match self {
            Self::Accounts(parent, pages) => {
                let page = organizations
                    .accounts(parent.as_deref(), pages.token())
                    .await;
                ListResult::Accounts(parent, pages, page)
            }
            Self::Units(parent, pages) => {
                let page = organizations.units(&parent, pages.token()).await;
                ListResult::Units(parent, pages, page)
            }
        }
    }
}
