//! What a wildcard in the account matches: the accounts of the organization, or those under some of
//! its units, at any depth.

use std::collections::HashSet;

use super::assignment::{Assignment, Pattern};
use crate::arn::AccountId;
use crate::calls::error::CallError;
use crate::calls::queue::{Queue, Rest, Step};
use crate::calls::request::{Request, ScopeId};
use crate::calls::response::{Account, Content};
use crate::report::Failure;

/// The state of an account that can be used.
const ACTIVE: &str = "ACTIVE";

/// An account, and the patterns that match it.
#[derive(Debug)]
pub(super) struct FoundAccount<'a> {
    pub(super) id: AccountId,
    pub(super) patterns: Vec<Pattern<'a>>,
}

/// The patterns for which not all accounts are known, and why.
#[derive(Debug)]
pub(super) struct Unlisted<'a> {
    pub(super) patterns: Vec<Pattern<'a>>,
    pub(super) failure: Failure,
}

/// The accounts that patterns match, found as the pages of their lists arrive.
#[derive(Debug)]
pub(super) struct AccountList<'a> {
    assignment: Assignment<'a>,
    patterns: Vec<Pattern<'a>>,
    /// The accounts named by the request that have not been listed yet, if it names any.
    unlisted: Option<HashSet<&'a AccountId>>,
    /// How many lists are still being read.
    lists: usize,
    units: HashSet<String>,
    accounts: HashSet<AccountId>,
    /// The failure of the first list that failed.
    failure: Option<Failure>,
}

impl<'a> AccountList<'a> {
    /// The accounts that the wildcards of an assignment match. None is known yet.
    pub(super) fn new(assignment: Assignment<'a>) -> Self {
        Self {
            patterns: assignment.wildcards(),
            unlisted: assignment.accounts.map(HashSet::from_iter),
            assignment,
            lists: 0,
            units: HashSet::new(),
            accounts: HashSet::new(),
            failure: None,
        }
    }

    /// Begins to read the lists, if there is a wildcard at all.
    pub(super) fn begin(&mut self, queue: &mut Queue) {
        let units = &self.assignment.settings.organizational_units;
        if self.patterns.is_empty() {
            return;
        }
        if units.is_empty() {
            self.read(Request::ListAccounts, queue);
        }
        for unit in units {
            self.add_unit(unit, queue);
        }
    }

    /// Whether no more accounts will be found: all have been listed, or all that the request names.
    pub(super) fn is_complete(&self) -> bool {
        self.lists == 0 || self.unlisted.as_ref().is_some_and(HashSet::is_empty)
    }

    /// How many lines the log may still need for it.
    pub(super) fn lines(&self) -> usize {
        let lists = match self.is_complete() {
            true => 0,
            false => self.patterns.len(),
        };
        lists + self.unlisted.as_ref().map_or(0, HashSet::len)
    }

    /// Handles a page of a list. Returns the accounts on it that patterns match, each only the
    /// first time that it is listed.
    pub(super) fn take(&mut self, page: Step, queue: &mut Queue) -> Vec<FoundAccount<'a>> {
        if page.rest == Rest::Nothing {
            self.lists -= 1;
        }
        match page.result {
            Ok(Content::Accounts(accounts)) => {
                let accounts = accounts.into_iter();
                return accounts.filter_map(|it| self.select(it)).collect();
            }
            Ok(Content::Units(units)) => {
                for unit in &units {
                    self.add_unit(unit, queue);
                }
            }
            Ok(_) => {
                let error = CallError::unreadable(page.request.operation());
                self.fail(&page.request, error.into());
            }
            Err(error) => self.fail(&page.request, error.into()),
        }
        Vec::new()
    }

    /// Notes that a list could not be read. Not every error names the root or unit.
    pub(super) fn fail(&mut self, list: &Request, failure: Failure) {
        let failure = match list {
            Request::ListAccountsForParent { parent }
            | Request::ListOrganizationalUnitsForParent { parent } => failure.context(parent),
            _ => failure,
        };
        self.failure.get_or_insert(failure);
    }

    /// What could not be listed, unless all accounts of the request were found despite it. Logs a
    /// warning for each account of the request that no pattern matches.
    pub(super) fn end(self) -> Option<Unlisted<'a>> {
        let all_are_known = self.unlisted.as_ref().is_some_and(HashSet::is_empty);
        if let Some(failure) = self.failure.filter(|_| !all_are_known) {
            return Some(Unlisted {
                patterns: self.patterns,
                failure,
            });
        }
        for account in self.unlisted.into_iter().flatten() {
            tracing::warn!(
                requestId = self.assignment.request_id,
                account = account.as_str(),
                "no wildcard matches this account of `accounts`"
            );
        }
        None
    }

    /// The account with the patterns that match it, if any do. One that is skipped is logged.
    fn select(&mut self, account: Account) -> Option<FoundAccount<'a>> {
        let Account { id, state } = account;
        if !self.accounts.insert(id.clone()) {
            return None;
        }
        let patterns = self.patterns.iter().copied();
        let patterns = patterns.filter(|it| it.pattern.matches_account(id.as_str()));
        let patterns: Vec<Pattern> = patterns.collect();
        if patterns.is_empty() {
            return None;
        }
        let reason = if self.assignment.settings.excluded_accounts.contains(&id) {
            "it is in EXCLUDED_ACCOUNTS".to_owned()
        } else if state != ACTIVE {
            format!("it is {state}")
        } else {
            let unlisted = self.unlisted.as_mut();
            let is_left_out = unlisted.is_some_and(|unlisted| !unlisted.remove(&id));
            return (!is_left_out).then_some(FoundAccount { id, patterns });
        };
        tracing::info!(
            requestId = self.assignment.request_id,
            account = id.as_str(),
            reason,
            "account skipped"
        );
        None
    }

    fn add_unit(&mut self, unit: &str, queue: &mut Queue) {
        if self.units.insert(unit.to_owned()) {
            let parent = || unit.to_owned();
            self.read(Request::ListAccountsForParent { parent: parent() }, queue);
            let units = Request::ListOrganizationalUnitsForParent { parent: parent() };
            self.read(units, queue);
        }
    }

    fn read(&mut self, list: Request, queue: &mut Queue) {
        self.lists += 1;
        queue.push(ScopeId::FUNCTION, list, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::env::VarError;

    use time::OffsetDateTime;
    use tokio::time::Instant;

    use crate::arn::ModelPattern;
    use crate::calls::queue::{CallId, Ended};
    use crate::calls::response::Response;
    use crate::calls::retry::ATTEMPT_LIMIT;
    use crate::settings::Settings;

    const ONE: &str = "111111111111";
    const TWO: &str = "222222222222";
    const THREE: &str = "333333333333";

    fn settings(units: &str) -> Settings {
        let settings = Settings::read(|name| match name {
            "MEMBER_ROLE" => Ok("stopper".to_owned()),
            "ORGANIZATIONAL_UNITS" => Ok(units.to_owned()),
            "EXCLUDED_ACCOUNTS" => Ok(THREE.to_owned()),
            _ => Err(VarError::NotPresent),
        });
        settings.unwrap()
    }

    fn id(text: &str) -> AccountId {
        text.to_owned().try_into().unwrap()
    }

    fn begin<'a>(
        settings: &'a Settings,
        accounts: Option<&'a [AccountId]>,
        pattern: &'a ModelPattern,
        queue: &mut Queue,
    ) -> AccountList<'a> {
        let assignment = Assignment {
            settings,
            entries: &[],
            dry_run: false,
            accounts,
            own_account: Some(ONE),
            request_id: "request-1",
            now: OffsetDateTime::UNIX_EPOCH,
        };
        let mut list = AccountList::new(assignment);
        list.patterns = vec![Pattern { entry: 0, pattern }];
        list.begin(queue);
        list
    }

    fn queue() -> Queue {
        Queue::new(8, fastrand::Rng::with_seed(7))
    }

    fn everywhere() -> ModelPattern {
        "arn:aws:rekognition:*:*:project/*/version/*/*"
            .parse()
            .unwrap()
    }

    /// The call that is made next.
    fn next(queue: &mut Queue) -> Option<(CallId, Request)> {
        let now = Instant::now();
        let attempt = queue.next(now, now + ATTEMPT_LIMIT)?;
        Some((attempt.id, attempt.request.clone()))
    }

    /// Responds to a call. Returns the accounts that are found.
    fn respond(
        list: &mut AccountList,
        queue: &mut Queue,
        call: CallId,
        response: Result<Response, CallError>,
    ) -> Vec<String> {
        let step = match queue.ended(call, response, Instant::now()) {
            Some(Ended::Step(step)) => step,
            ended => panic!("{ended:?}"),
        };
        let found = list.take(step, queue);
        let found = found.iter().map(|account| account.id.as_str().to_owned());
        found.collect()
    }

    fn accounts(ids: &[&str], next_token: Option<&str>) -> Result<Response, CallError> {
        let accounts = ids.iter().map(|text| Account {
            id: id(text),
            state: ACTIVE.to_owned(),
        });
        Ok(Response {
            content: Content::Accounts(accounts.collect()),
            next_token: next_token.map(str::to_owned),
        })
    }

    fn denied() -> Result<Response, CallError> {
        Err(CallError::Refused {
            status: 400,
            code: Some("AccessDeniedException".to_owned()),
            message: "by script".to_owned(),
        })
    }

    /// Responds to all calls. Returns the accounts that are found.
    fn read(
        list: &mut AccountList,
        queue: &mut Queue,
        response: impl Fn(&Request) -> Result<Response, CallError>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        while let Some((call, request)) = next(queue) {
            found.extend(respond(list, queue, call, response(&request)));
        }
        found
    }

    #[test]
    fn units_are_read_at_any_depth_and_each_unit_and_account_only_once() {
        let (settings, pattern, mut queue) =
            (settings("r-a1b2 ou-a1b2-11111111"), everywhere(), queue());
        let mut list = begin(&settings, None, &pattern, &mut queue);
        assert_eq!(list.lines(), 1);
        let found = read(&mut list, &mut queue, |request| match request {
            Request::ListOrganizationalUnitsForParent { parent } => {
                let units: &[&str] = match &**parent {
                    "r-a1b2" => &["ou-a1b2-11111111", "ou-a1b2-22222222"],
                    "ou-a1b2-22222222" => &["ou-a1b2-33333333"],
                    _ => &[],
                };
                let units = units.iter().map(|unit| (*unit).to_owned()).collect();
                Ok(Content::Units(units).into())
            }
            Request::ListAccountsForParent { parent } => match &**parent {
                "ou-a1b2-11111111" => accounts(&[ONE, THREE], None),
                "ou-a1b2-33333333" => accounts(&[TWO, ONE], None),
                _ => accounts(&[], None),
            },
            request => panic!("{request:?}"),
        });
        assert_eq!(found, [ONE, TWO]);
        assert!(list.is_complete());
        assert_eq!(list.lines(), 0);
        assert!(list.end().is_none());
    }

    #[test]
    fn a_list_is_complete_when_all_accounts_of_the_request_are_found() {
        let (settings, pattern, mut queue) = (settings(""), everywhere(), queue());
        let asked_for = [id(TWO)];
        let mut list = begin(&settings, Some(&asked_for), &pattern, &mut queue);
        assert_eq!(list.lines(), 2);
        let (call, _) = next(&mut queue).unwrap();
        let page = accounts(&[ONE, TWO], Some("2"));
        assert_eq!(respond(&mut list, &mut queue, call, page), [TWO]);
        assert!(list.is_complete());
        // The next page, which is asked for already, changes nothing, even if it fails.
        assert!(read(&mut list, &mut queue, |_| denied()).is_empty());
        assert_eq!(list.lines(), 0);
        assert!(list.end().is_none());
    }

    #[test]
    fn the_first_list_that_fails_is_why_not_all_accounts_are_known() {
        let (settings, pattern, mut queue) = (settings("ou-a1b2-11111111"), everywhere(), queue());
        let mut list = begin(&settings, None, &pattern, &mut queue);
        let found = read(&mut list, &mut queue, |request| match request {
            Request::ListOrganizationalUnitsForParent { .. } => denied(),
            _ => accounts(&[ONE], None),
        });
        assert_eq!(found, [ONE]);
        assert!(list.is_complete());
        let failure = list.end().unwrap().failure.to_string();
        assert_eq!(
            failure,
            "AccessDeniedException: ou-a1b2-11111111: by script"
        );
    }
}
