//! What a wildcard in the account stands for: the accounts of the organization, or of some of its
//! units with all that is under them.

use std::collections::{HashSet, VecDeque};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use super::pages::{Pages, Then};
use crate::aws::{Account, CallError, Organizations, Page};
use crate::deadline::Deadline;

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

/// The accounts, as the pages of their lists come.
pub(super) struct AccountList<'run> {
    organizations: &'run Organizations,
    deadline: &'run Deadline,
    /// Lists that are read next.
    queue: VecDeque<List>,
    calls: FuturesUnordered<BoxFuture<'run, Response>>,
    units: HashSet<String>,
    accounts: HashSet<String>,
    /// What the first list failed with that broke off.
    error: Option<CallError>,
}

impl<'run> AccountList<'run> {
    /// The accounts of the organization, or, where there are any, of these roots and units.
    pub(super) fn new(
        organizations: &'run Organizations,
        deadline: &'run Deadline,
        units: &[String],
    ) -> Self {
        let mut list = Self {
            organizations,
            deadline,
            queue: VecDeque::new(),
            calls: FuturesUnordered::new(),
            units: HashSet::new(),
            accounts: HashSet::new(),
            error: None,
        };
        if units.is_empty() {
            list.queue.push_back(List::Accounts(None, Pages::default()));
        }
        for unit in units {
            list.add_unit(unit.clone());
        }
        list
    }

    /// The accounts of the next page, each only the first time that it is listed; none after the last
    /// page.
    ///
    /// Nothing is lost where this is dropped before it has a result.
    pub(super) async fn next(&mut self) -> Option<Vec<Account>> {
        loop {
            while let Some(list) = self.queue.pop_front() {
                self.calls.push(Box::pin(list.read(self.organizations)));
            }
            let accounts = match self.calls.next().await? {
                Response::Accounts(parent, mut pages, page) => {
                    let (accounts, then) = pages.take(page);
                    let subject = parent.clone();
                    self.go_on(then, subject, List::Accounts(parent, pages));
                    accounts
                }
                Response::Units(parent, mut pages, page) => {
                    let (units, then) = pages.take(page);
                    units.into_iter().for_each(|unit| self.add_unit(unit));
                    self.go_on(then, Some(parent.clone()), List::Units(parent, pages));
                    continue;
                }
            };
            let accounts = accounts.into_iter();
            let new = accounts.filter(|account| self.accounts.insert(account.id.to_string()));
            return Some(new.collect());
        }
    }

    /// Why not all accounts are known, if they are not.
    pub(super) fn into_error(self) -> Option<CallError> {
        self.error
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
            Then::Anew(pause, _) => {
                let (organizations, deadline) = (self.organizations, self.deadline);
                self.calls.push(Box::pin(async move {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = deadline.passed() => {}
                    }
                    list.read(organizations).await
                }));
            }
            Then::Failed(error) => {
                let error = match parent {
                    Some(parent) => error.about(&parent),
                    None => error,
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
