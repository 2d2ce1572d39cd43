//! Which accounts wildcards stand for in a run, which accounts and regions can be reached, and
//! whether there is time for that: worked out from the night alone.

use std::collections::BTreeSet;
use std::time::Duration;

use rekognition_emulator::{FaultKind, Operation, ROOT_ID};

use super::night::{Account, Organization};
use super::weather::REGION_DISABLED;
use crate::simulation::night::{ACCOUNT, Night};
use crate::simulation::progress::allowed;
use crate::simulation::view::View;
use crate::simulation::wanted::{Kind, Places, account_of, is_wild, matches};
use crate::simulation::weather::Weather;

/// The result of trying to get somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It works, if there is time.
    Arrival,
    /// It fails, with this code.
    Failure(&'static str),
}

/// The reach of a run.
#[derive(Debug)]
pub struct Reach<'a> {
    organization: &'a Organization,
    weather: &'a Weather,
    /// The accounts that wildcards stand for.
    accounts: BTreeSet<String>,
    /// Whether the request names accounts, and all of them have been listed: then the rest of the
    /// list does not matter.
    pub may_end_early: bool,
    /// The errors with which lists break off.
    pub list_failures: BTreeSet<&'static str>,
}

/// Lists of the organization, read to the end or until they break off.
#[derive(Debug, Default)]
struct Listing<'a> {
    accounts: Vec<&'a Account>,
    failures: BTreeSet<&'static str>,
}

impl<'a> Reach<'a> {
    pub fn new(night: &'a Night, organization: &'a Organization, weather: &'a Weather) -> Self {
        let listing = Listing::new(organization, weather);
        let stands = |account: &&&Account| {
            let is_excluded = organization.excluded_accounts.contains(&account.id);
            account.is_active() && !is_excluded
        };
        let standing = listing.accounts.iter().filter(stands);
        let mut accounts: BTreeSet<String> = standing.map(|account| account.id.clone()).collect();
        let mut may_end_early = false;
        if let Some(named) = night.accounts() {
            let items = || night.list.items.iter().flatten();
            let patterns = || items().map(|it| account_of(it)).filter(|it| is_wild(it));
            let is_known = |id: &String| {
                accounts.contains(id) && patterns().any(|it| matches(it.as_bytes(), id.as_bytes()))
            };
            may_end_early = named.iter().all(is_known);
            accounts.retain(|account| named.contains(account));
        }
        Self {
            organization,
            weather,
            accounts,
            may_end_early,
            list_failures: listing.failures,
        }
    }

    pub fn has_roles(&self) -> bool {
        self.organization.member_role.is_some()
    }

    pub fn organization(&self) -> &Organization {
        self.organization
    }

    /// What wildcards in the account and in the region stand for.
    pub fn places(&self) -> Places {
        Places {
            accounts: self.has_roles().then(|| self.accounts.clone()),
            regions: Some(self.organization.regions()),
        }
    }

    /// The result of entering an account.
    pub fn entry(&self, account: &str) -> Fate {
        if account == ACCOUNT || !self.has_roles() {
            return Fate::Arrival;
        }
        let role_arn = self.organization.role_arn(account);
        let mut troubles = self.weather.of_role(&role_arn);
        if let Some(trouble) = troubles.find(|trouble| trouble.is_permanent()) {
            return Fate::Failure(match &trouble.kind {
                FaultKind::Error { code, .. } if code == REGION_DISABLED => "AccountUnreachable",
                _ => "DeadlineExceeded",
            });
        }
        let role = self.organization.account(account);
        let role = role.and_then(|account| account.role.as_ref());
        match role {
            Some(role) if role.admits(self.organization.external_id) => Fate::Arrival,
            _ => Fate::Failure("AccountUnreachable"),
        }
    }

    /// The result of calls in a region of an account that has been entered.
    pub fn calls(&self, account: &str, region: &str) -> Fate {
        let caller = match self.has_roles() {
            true => account,
            false => ACCOUNT,
        };
        match self.weather.of_scope(caller, region) {
            None => Fate::Arrival,
            Some(FaultKind::Hang) => Fate::Failure("DeadlineExceeded"),
            Some(_) => Fate::Failure("AccessDeniedException"),
        }
    }

    /// Whether there is time to read the list of accounts, or until it breaks off.
    pub fn is_listed_in_time(&self, view: &View) -> bool {
        let mut entries = view.wanted.entries.iter();
        let is_listed = |it: &(String, Kind)| it.1 == Kind::Pattern && is_wild(account_of(&it.0));
        !entries.any(is_listed) || is_allowed(view, ACCOUNT, "", view.plain().listed)
    }

    /// Whether there is time to learn of an account for an entry.
    pub fn is_known_in_time(&self, view: &View, entry: &str, account: &str) -> bool {
        is_allowed(view, account, "", known(view, entry, account))
    }

    /// Whether there is time to enter an account, or to learn that it cannot be entered.
    pub fn is_entered_in_time(&self, view: &View, entry: &str, account: &str) -> bool {
        is_allowed(view, account, "", entered(view, entry, account))
    }

    /// Whether there is time to look a pattern up in a region of an account.
    pub fn is_searched_in_time(
        &self,
        view: &View,
        entry: &str,
        account: &str,
        region: &str,
    ) -> bool {
        let place = (entry.to_owned(), account.to_owned(), region.to_owned());
        is_allowed(
            view,
            account,
            region,
            view.plain().searched.get(&place).copied(),
        )
    }

    /// The time after which a region of an account is looked into; none if that is too long.
    pub fn called_by(
        &self,
        view: &View,
        entry: &str,
        account: &str,
        region: &str,
    ) -> Option<Duration> {
        let place = (account.to_owned(), region.to_owned());
        let called = *view.plain().called.get(&place)?;
        allowed(
            view,
            account,
            region,
            called.max(entered(view, entry, account)?),
        )
    }
}

fn is_allowed(view: &View, account: &str, region: &str, plain: Option<Duration>) -> bool {
    plain.is_some_and(|plain| allowed(view, account, region, plain).is_some())
}

/// When a plain client knows of an account for an entry.
fn known(view: &View, entry: &str, account: &str) -> Option<Duration> {
    match is_wild(account_of(entry)) {
        true => view.plain().known.get(account).copied(),
        false => Some(Duration::ZERO),
    }
}

/// When a plain client has entered an account for an entry.
fn entered(view: &View, entry: &str, account: &str) -> Option<Duration> {
    let entered = *view.plain().entered.get(account)?;
    Some(entered.max(known(view, entry, account)?))
}

impl<'a> Listing<'a> {
    fn new(organization: &'a Organization, weather: &Weather) -> Self {
        let mut listing = Self::default();
        let all: Vec<&Account> = organization.accounts.iter().collect();
        if organization.organizational_units.is_empty() {
            let accounts = listing.read(organization, weather, Operation::ListAccounts, None, all);
            listing.accounts = accounts;
            return listing;
        }
        let mut parents: Vec<&str> = Vec::new();
        let mut next: Vec<&str> = (organization.organizational_units.iter())
            .map(String::as_str)
            .collect();
        while let Some(parent) = next.pop() {
            if parents.contains(&parent) {
                continue;
            }
            parents.push(parent);
            let there = all.iter().copied().filter(|it| it.parent == parent);
            let there = there.collect();
            let operation = Operation::ListAccountsForParent;
            let there = listing.read(organization, weather, operation, Some(parent), there);
            listing.accounts.extend(there);
            let under = organization.units.iter().filter(|it| it.parent == parent);
            let under = under.map(|unit| &*unit.id).collect();
            let operation = Operation::ListOrganizationalUnitsForParent;
            next.extend(listing.read(organization, weather, operation, Some(parent), under));
        }
        listing
    }

    /// What is read of a list with these items.
    fn read<T>(
        &mut self,
        organization: &Organization,
        weather: &Weather,
        operation: Operation,
        parent: Option<&str>,
        mut items: Vec<T>,
    ) -> Vec<T> {
        let size = weather.page_size.min(20) as usize;
        // An empty page comes before each page.
        let pages_for_each = 1 + usize::from(organization.empty_pages);
        let exists =
            |id: &str| id == ROOT_ID || organization.units.iter().any(|unit| unit.id == id);
        let refusal = if !organization.exists {
            Some("AWSOrganizationsNotInUseException")
        } else if parent.is_some_and(|parent| !exists(parent)) {
            Some("ParentNotFoundException")
        } else {
            None
        };
        let pages = match refusal {
            Some(_) => 1,
            None => items.len().div_ceil(size).max(1) * pages_for_each,
        };
        let ends = weather.faults.iter().filter(|trouble| {
            trouble.operation == Some(operation)
                && trouble.is_permanent()
                && trouble.page.is_none_or(|page| page as usize <= pages)
        });
        let first = ends.min_by_key(|trouble| trouble.page.unwrap_or(1));
        if let Some(trouble) = first {
            let before = trouble.page.unwrap_or(1) as usize - 1;
            items.truncate(before / pages_for_each * size);
            self.failures.insert(match trouble.kind {
                FaultKind::Hang => "DeadlineExceeded",
                _ => "AccessDeniedException",
            });
            return items;
        }
        if let Some(refusal) = refusal {
            items.clear();
            self.failures.insert(refusal);
        }
        items
    }
}
