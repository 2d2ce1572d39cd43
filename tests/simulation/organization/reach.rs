//! Which accounts wildcards stand for in a run, which accounts and regions can be reached, and how
//! long that takes: worked out from the night alone.

use std::collections::BTreeSet;
use std::time::Duration;

use rekognition_emulator::{FaultKind, Operation, ROOT_ID};

use super::night::{Account, Organization};
use super::weather::{LISTS, REGION_DISABLED};
use crate::simulation::night::{ACCOUNT, Night};
use crate::simulation::view::View;
use crate::simulation::wanted::{Kind, Places, account_of, is_wild, matches};
use crate::simulation::weather::{Limit, Trouble, Weather};

/// What a program may need in addition to its calls.
const SLACK: Duration = Duration::from_secs(5);

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
    /// The pages of the lists, with those of the lists that break off.
    pages: u32,
}

/// Lists of the organization, read to the end or until they break off.
#[derive(Debug, Default)]
struct Listing<'a> {
    accounts: Vec<&'a Account>,
    failures: BTreeSet<&'static str>,
    pages: u32,
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
            pages: listing.pages,
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
        is_in_time(view, self.listing_takes(view))
    }

    /// Whether there is time to enter an account, or to learn that it cannot be entered.
    pub fn is_entered_in_time(&self, view: &View, entry: &str, account: &str) -> bool {
        is_in_time(view, self.entering_takes(view, entry, account))
    }

    /// Whether there is time for all calls in a region of an account, and this much more.
    pub fn is_called_in_time(
        &self,
        view: &View,
        entry: &str,
        account: &str,
        region: &str,
        more: Duration,
    ) -> bool {
        let entering = self.entering_takes(view, entry, account);
        let calls = self.calls_take(view, region);
        is_in_time(view, entering + calls + more)
    }

    /// The time after which a region of an account is called, whatever hangs elsewhere.
    pub fn first_call_takes(&self, view: &View, entry: &str, account: &str) -> Duration {
        let entering = self.entering_takes(view, entry, account);
        SLACK + entering + self.first_turn_takes()
    }

    /// The time after which the list of accounts has been read. Far more than a good program needs,
    /// like all of these.
    fn listing_takes(&self, view: &View) -> Duration {
        let entries = view.wanted.entries.iter();
        let mut entries = entries.filter(|(_, kind)| *kind == Kind::Pattern);
        if !entries.any(|(text, _)| is_wild(account_of(text))) {
            return Duration::ZERO;
        }
        let quotas = LISTS.map(|operation| self.weather.own_quota(operation));
        let pause = quotas.into_iter().flatten().map(pause);
        let pause = pause.max().unwrap_or_default();
        let of_lists = |trouble: &&Trouble| {
            !trouble.is_permanent() && (trouble.operation).is_some_and(|it| LISTS.contains(&it))
        };
        let troubles = self.weather.faults.iter().filter(of_lists);
        let troubles: Duration = troubles.map(Trouble::costs).sum();
        (self.weather.latency + pause) * (self.pages + 3) + troubles
    }

    fn entering_takes(&self, view: &View, entry: &str, account: &str) -> Duration {
        let listing = match is_wild(account_of(entry)) {
            true => self.listing_takes(view),
            false => Duration::ZERO,
        };
        if account == ACCOUNT || !self.has_roles() {
            return listing;
        }
        let quota = self.weather.own_quota(Operation::AssumeRole);
        let pause = quota.map(pause).unwrap_or_default();
        let accounts = self.organization.accounts.len() as u32;
        let role_arn = self.organization.role_arn(account);
        let own = self.weather.of_role(&role_arn);
        let own: Duration = own
            .filter(|trouble| !trouble.is_permanent())
            .map(Trouble::costs)
            .sum();
        // Calls that are throttled slow the others down until they are known to be throttled on
        // their own account, and calls that hang take all slots only if there are many of them.
        let roles = self.weather.faults.iter();
        let throttled = roles.filter(|trouble| {
            trouble.operation == Some(Operation::AssumeRole)
                && matches!(&trouble.kind, FaultKind::Error { code, .. } if code == "Throttling")
        });
        let throttled = Duration::from_secs(5) * throttled.count() as u32;
        let hanging = Duration::from_secs(10) * (self.weather.hanging_roles() / 12) as u32;
        listing
            + pause * (accounts + 3)
            + self.weather.latency * (accounts / 8 + 2)
            + own
            + throttled
            + hanging
    }

    fn calls_take(&self, view: &View, region: &str) -> Duration {
        let models = view.night.models.iter().filter(|it| it.region == region);
        let (models, entries) = (models.count() as u32, view.wanted.entries.len() as u32);
        let pages = models.div_ceil(self.weather.page_size) + 1;
        let calls = 4 * (models + entries + pages) + 10;
        let turns = view.night.settings.max_concurrency.get();
        let pause = self.weather.quota.as_ref().map(pause).unwrap_or_default();
        pause * calls
            + self.weather.latency * (calls / turns + 12 + 2 * pages)
            + self.first_turn_takes()
    }

    /// The time after which every scope has had a turn. Scopes that hang take all slots only if
    /// there are many of them.
    fn first_turn_takes(&self) -> Duration {
        let accounts = self.organization.accounts.len() as u32;
        let scopes = accounts * self.organization.regions().len() as u32;
        let hanging = self.weather.hanging_scopes(self.organization) as u32;
        self.weather.latency * (scopes / 8 + 2) + Duration::from_secs(10) * (hanging / 24)
    }
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
        self.pages += pages as u32;
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

/// The time between two calls under a quota while it is being learned.
fn pause(quota: &Limit) -> Duration {
    Duration::from_secs_f64(2.0 / quota.left())
}

fn is_in_time(view: &View, takes: Duration) -> bool {
    SLACK + takes < view.run.time * 4 / 5
}
