//! The accounts of a run, and the scopes in them.
//!
//! 1. An account that needs a role waits for its session, and with it its scopes. One AssumeRole
//!    serves all of them.
//! 2. A scope that has not begun is no more than its key and its targets. It begins when its calls
//!    can be made, so that memory grows with the running models and the accounts, and hardly with
//!    accounts times regions.
//! 3. A scope that has begun is dropped when it has nothing left to do.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::time::Instant;

use super::assignment::{Assignment, Pattern, ScopeKey, Targets};
use super::pending::Pending;
use super::purpose::{Purpose, Rest, ScopePurpose};
use super::scope::{Scope, ScopeReport};
use crate::calls::error::CallError;
use crate::calls::queue::Queue;
use crate::calls::request::{Request, ScopeId};
use crate::calls::response::{Response, Session};
use crate::report::Failure;

/// A scope that has ended.
#[derive(Debug)]
pub(super) struct EndedScope<'a> {
    pub(super) id: ScopeId,
    pub(super) end: ScopeEnd<'a>,
}

/// How a scope has ended.
#[derive(Debug)]
pub(super) enum ScopeEnd<'a> {
    /// Calls were made.
    Called(ScopeReport<'a>),
    /// Nothing is known about its targets.
    Failed(FailedScope<'a>),
}

/// A scope about whose targets nothing is known.
#[derive(Debug)]
pub(super) struct FailedScope<'a> {
    pub(super) key: ScopeKey,
    pub(super) targets: Targets<'a>,
    pub(super) failure: Failure,
    pub(super) extent: Extent,
}

/// What has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The whole account, whatever the region.
    Account,
    Region,
}

/// A partition and an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AccountKey {
    partition: Arc<str>,
    account: Arc<str>,
}

/// An account.
#[derive(Debug)]
struct Account {
    role_arn: Option<String>,
    state: AccountState,
}

#[derive(Debug)]
enum AccountState {
    /// Its role is being assumed, and these scopes wait for that.
    Waiting(Vec<ScopeId>),
    /// Calls are made in this session, or as the function itself.
    Open(Option<Session>),
    /// Its role cannot be assumed.
    Unreachable(Failure),
}

/// A scope that has not ended.
#[derive(Debug)]
enum ScopeState<'a> {
    Pending(PendingScope<'a>),
    Begun(Box<Scope<'a>>),
}

/// A scope that has not begun.
#[derive(Debug)]
struct PendingScope<'a> {
    /// The index of its account.
    account: usize,
    key: ScopeKey,
    targets: Targets<'a>,
}

/// The scopes of a region that can begin.
#[derive(Debug)]
struct RegionLine {
    region: Arc<str>,
    scopes: VecDeque<ScopeId>,
}

/// Where the calls of a scope that begins are made.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: ScopeId,
    pub(super) region: Arc<str>,
    pub(super) session: Option<Session>,
}

/// The scopes of a run.
#[derive(Debug)]
pub(super) struct Scopes<'a> {
    assignment: Assignment<'a>,
    accounts: Vec<Account>,
    indices: HashMap<AccountKey, usize>,
    scopes: HashMap<ScopeId, ScopeState<'a>>,
    last_id: u32,
    /// The scopes that can begin, by their regions, which take turns.
    ready: VecDeque<RegionLine>,
    /// The scopes that more patterns may be added to, which do not end before that is settled.
    extensible: HashMap<ScopeKey, ScopeId>,
    ended: Vec<EndedScope<'a>>,
    /// How many lines the log may still need for all of them.
    lines: usize,
}

impl<'a> Scopes<'a> {
    pub(super) fn new(assignment: Assignment<'a>) -> Self {
        Self {
            assignment,
            accounts: Vec::new(),
            indices: HashMap::new(),
            scopes: HashMap::new(),
            last_id: ScopeId::FUNCTION.0,
            ready: VecDeque::new(),
            extensible: HashMap::new(),
            ended: Vec::new(),
            lines: 0,
        }
    }

    /// Adds a scope, and has its account's role assumed if that is needed.
    pub(super) fn add(&mut self, key: ScopeKey, targets: Targets<'a>, pending: &mut Pending) {
        self.insert(key, targets, pending);
    }

    /// The same, for a scope to which [`Scopes::extend`] may add patterns until [`Scopes::close`].
    pub(super) fn add_extensible(
        &mut self,
        key: ScopeKey,
        targets: Targets<'a>,
        pending: &mut Pending,
    ) {
        let id = self.insert(key.clone(), targets, pending);
        self.extensible.insert(key, id);
    }

    /// Has these patterns looked up in a scope: in the one that is extensible, if there is one.
    pub(super) fn extend(
        &mut self,
        key: ScopeKey,
        patterns: Vec<Pattern<'a>>,
        pending: &mut Pending,
    ) {
        let extensible = self.extensible.get(&key).copied();
        match extensible.and_then(|id| self.scopes.get_mut(&id)) {
            Some(ScopeState::Pending(scope)) => {
                self.lines += patterns.len();
                scope.targets.patterns.extend(patterns);
            }
            Some(ScopeState::Begun(scope)) => {
                self.lines += patterns.len();
                scope.add_patterns(patterns, pending);
            }
            None => {
                let targets = Targets {
                    models: Vec::new(),
                    patterns,
                };
                self.insert(key, targets, pending);
            }
        }
    }

    /// Notes that no more patterns will be added.
    pub(super) fn close(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.extensible).into_values() {
            self.end_if_done(id, now);
        }
    }

    /// Whether all scopes have ended.
    pub(super) fn are_done(&self) -> bool {
        self.scopes.is_empty()
    }

    /// How many lines the log may still need for them.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// In how many accounts the scopes are.
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// The scopes that have ended since the last time.
    pub(super) fn take_ended(&mut self) -> Vec<EndedScope<'a>> {
        std::mem::take(&mut self.ended)
    }

    /// Begins the next scope in whose region there is room for its calls, if there is one.
    pub(super) fn begin_next(&mut self, pending: &mut Pending, now: Instant) -> Option<Opened> {
        let id = self.next_ready(&pending.queue)?;
        let Some(ScopeState::Pending(scope)) = self.scopes.remove(&id) else {
            return None;
        };
        let account = self.accounts.get(scope.account)?;
        let session = match &account.state {
            AccountState::Open(session) => session.clone(),
            AccountState::Waiting(_) | AccountState::Unreachable(_) => None,
        };
        let region = Arc::clone(&scope.key.region);
        let PendingScope { key, targets, .. } = scope;
        pending.queue.open(id, &region);
        self.lines -= targets.lines();
        let scope = Scope::begin(self.assignment, id, key, targets, pending, now);
        self.lines += scope.lines();
        self.scopes.insert(id, ScopeState::Begun(Box::new(scope)));
        Some(Opened {
            id,
            region,
            session,
        })
    }

    /// Handles the end of the call that assumes an account's role.
    pub(super) fn take_session(&mut self, index: usize, result: Result<Response, CallError>) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        match result.and_then(Response::into_session) {
            Ok(session) => {
                let open = AccountState::Open(Some(session));
                if let AccountState::Waiting(ids) = std::mem::replace(&mut account.state, open) {
                    ids.into_iter().for_each(|id| self.make_ready(id));
                }
            }
            Err(error) => {
                let role_arn = account.role_arn.as_deref().unwrap_or("its role");
                let failure = Failure::unreachable(role_arn, &error);
                self.fail_account(index, failure);
            }
        }
    }

    /// Handles the end of a call of a scope, or a page of a list.
    pub(super) fn take(
        &mut self,
        id: ScopeId,
        purpose: ScopePurpose,
        result: Result<Response, CallError>,
        rest: Rest,
        pending: &mut Pending,
        now: Instant,
    ) {
        let Some(ScopeState::Begun(scope)) = self.scopes.get_mut(&id) else {
            return;
        };
        self.lines -= scope.lines();
        // A bug that one response triggers must not keep the models of others running unsaid.
        let taken = catch_unwind(AssertUnwindSafe(|| {
            scope.take(purpose, result, rest, pending, now);
        }));
        if taken.is_ok() {
            self.lines += scope.lines();
            self.end_if_done(id, now);
        } else if let Some(ScopeState::Begun(scope)) = self.scopes.remove(&id) {
            let end = ScopeEnd::Called(scope.fail(&CallError::Panicked.into()));
            self.ended.push(EndedScope { id, end });
        }
    }

    /// Has a scope do what it wanted to be woken for.
    pub(super) fn wake(&mut self, id: ScopeId, pending: &mut Pending, now: Instant, due: Instant) {
        if let Some(ScopeState::Begun(scope)) = self.scopes.get_mut(&id) {
            scope.wake(pending, now, due);
        }
    }

    /// Notes that a call of a scope did not end in time.
    pub(super) fn give_up(
        &mut self,
        id: ScopeId,
        purpose: ScopePurpose,
        last_failure: Option<String>,
    ) {
        if let Some(ScopeState::Begun(scope)) = self.scopes.get_mut(&id) {
            scope.give_up(purpose, last_failure);
        }
    }

    /// Ends all scopes, because time has run out.
    pub(super) fn end(&mut self, now: Instant) {
        for (id, scope) in std::mem::take(&mut self.scopes) {
            let end = match scope {
                ScopeState::Begun(scope) => ScopeEnd::Called(scope.end(now)),
                ScopeState::Pending(scope) => ScopeEnd::Failed(FailedScope {
                    key: scope.key,
                    targets: scope.targets,
                    failure: Failure::out_of_time(None),
                    extent: Extent::Region,
                }),
            };
            self.ended.push(EndedScope { id, end });
        }
    }

    fn insert(&mut self, key: ScopeKey, targets: Targets<'a>, pending: &mut Pending) -> ScopeId {
        self.last_id += 1;
        let id = ScopeId(self.last_id);
        self.lines += targets.lines();
        let index = self.account(&key, pending);
        let scope = PendingScope {
            account: index,
            key,
            targets,
        };
        self.scopes.insert(id, ScopeState::Pending(scope));
        match self
            .accounts
            .get_mut(index)
            .map(|account| &mut account.state)
        {
            Some(AccountState::Waiting(ids)) => ids.push(id),
            Some(AccountState::Unreachable(failure)) => {
                let failure = failure.clone();
                self.fail(id, failure);
            }
            Some(AccountState::Open(_)) | None => self.make_ready(id),
        }
        id
    }

    fn make_ready(&mut self, id: ScopeId) {
        let Some(ScopeState::Pending(scope)) = self.scopes.get(&id) else {
            return;
        };
        let region = &scope.key.region;
        match self.ready.iter_mut().find(|line| line.region == *region) {
            Some(line) => line.scopes.push_back(id),
            None => self.ready.push_back(RegionLine {
                region: Arc::clone(region),
                scopes: VecDeque::from([id]),
            }),
        }
    }

    /// The first scope of the next region that has one and has room for its calls.
    fn next_ready(&mut self, queue: &Queue) -> Option<ScopeId> {
        let line = self
            .ready
            .iter()
            .position(|line| !line.scopes.is_empty() && queue.has_room(&line.region))?;
        self.ready.rotate_left(line + 1);
        self.ready.back_mut()?.scopes.pop_front()
    }

    /// The index of a scope's account. The first time, its role is assumed if it needs one.
    fn account(&mut self, key: &ScopeKey, pending: &mut Pending) -> usize {
        let account_key = AccountKey {
            partition: Arc::clone(&key.partition),
            account: Arc::clone(&key.account),
        };
        let next = self.accounts.len();
        let index = *self.indices.entry(account_key).or_insert(next);
        if index == next {
            let role_arn = self.assignment.role(&key.partition, &key.account);
            let state = match &role_arn {
                Some(role_arn) => {
                    let request = Request::AssumeRole {
                        role_arn: role_arn.clone(),
                        external_id: self.assignment.settings.member_external_id.clone(),
                    };
                    pending.push(request, Purpose::Session(index));
                    AccountState::Waiting(Vec::new())
                }
                None => AccountState::Open(None),
            };
            self.accounts.push(Account { role_arn, state });
        }
        index
    }

    /// Notes that an account's role was not assumed by the deadline.
    pub(super) fn give_up_session(&mut self, index: usize, last_failure: Option<String>) {
        let role_arn = self
            .accounts
            .get(index)
            .and_then(|it| it.role_arn.as_deref());
        let context = format!("{} was not assumed", role_arn.unwrap_or_default());
        self.fail_account(index, Failure::out_of_time(last_failure).context(&context));
    }

    /// Fails all scopes of an account, those that are added later as well.
    fn fail_account(&mut self, index: usize, failure: Failure) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        let unreachable = AccountState::Unreachable(failure.clone());
        if let AccountState::Waiting(ids) = std::mem::replace(&mut account.state, unreachable) {
            for id in ids {
                self.fail(id, failure.clone());
            }
        }
    }

    fn fail(&mut self, id: ScopeId, failure: Failure) {
        if let Some(ScopeState::Pending(scope)) = self.scopes.remove(&id) {
            self.lines -= scope.targets.lines();
            let end = ScopeEnd::Failed(FailedScope {
                key: scope.key,
                targets: scope.targets,
                failure,
                extent: Extent::Account,
            });
            self.ended.push(EndedScope { id, end });
        }
    }

    fn end_if_done(&mut self, id: ScopeId, now: Instant) {
        let Some(ScopeState::Begun(scope)) = self.scopes.get(&id) else {
            return;
        };
        if !scope.is_done() || self.extensible.get(&scope.key) == Some(&id) {
            return;
        }
        if let Some(ScopeState::Begun(scope)) = self.scopes.remove(&id) {
            self.lines -= scope.lines();
            let end = ScopeEnd::Called(scope.end(now));
            self.ended.push(EndedScope { id, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::env::VarError;

    use time::OffsetDateTime;

    use super::super::assignment::NamedModel;
    use crate::arn::ModelPattern;
    use crate::calls::queue::{CallId, Queue};
    use crate::calls::response::Page;
    use crate::calls::retry::ATTEMPT_LIMIT;
    use crate::calls::status::Status;
    use crate::settings::Settings;

    const HERE: &str = "123456789012";
    const THERE: &str = "210987654321";
    const REGIONS: [&str; 3] = ["ap-south-1", "eu-west-1", "us-east-1"];

    fn settings() -> Settings {
        let settings = Settings::read(|name| match name {
            "MEMBER_ROLE" => Ok("stopper".to_owned()),
            "CONFIRM_STOPPED" => Ok("false".to_owned()),
            _ => Err(VarError::NotPresent),
        });
        settings.unwrap()
    }

    fn assignment(settings: &Settings) -> Assignment<'_> {
        Assignment {
            settings,
            entries: &[],
            dry_run: false,
            accounts: None,
            own_account: HERE,
            request_id: "request-1",
            now: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn pending() -> Pending<'static> {
        let queue = Queue::new(8, fastrand::Rng::with_seed(7));
        Pending::new(queue, "request-1")
    }

    fn key(account: &str, region: &str) -> ScopeKey {
        ScopeKey {
            partition: "aws".into(),
            account: account.into(),
            region: region.into(),
        }
    }

    fn all() -> ModelPattern {
        "arn:aws:rekognition:*:*:project/*/version/*/*"
            .parse()
            .unwrap()
    }

    fn patterns(pattern: &ModelPattern) -> Targets<'_> {
        Targets {
            models: Vec::new(),
            patterns: vec![Pattern { entry: 0, pattern }],
        }
    }

    /// The call that is made next.
    fn next(pending: &mut Pending, now: Instant) -> Option<CallId> {
        let attempt = pending.queue.next(now, now + ATTEMPT_LIMIT)?;
        Some(attempt.id)
    }

    /// Responds to the call that assumes an account's role, the only one that is made.
    fn assume_role(
        scopes: &mut Scopes,
        pending: &mut Pending,
        response: Result<Response, CallError>,
        now: Instant,
    ) {
        let call = next(pending, now).unwrap();
        assert_eq!(next(pending, now), None);
        let step = pending.ended(call, response, now).unwrap();
        let Purpose::Session(account) = step.purpose else {
            panic!("{step:?}");
        };
        scopes.take_session(account, step.result);
    }

    /// Responds to all calls of scopes: there are no projects, and stops are accepted.
    fn respond(scopes: &mut Scopes, pending: &mut Pending, now: Instant) {
        while let Some(attempt) = pending.queue.next(now, now + ATTEMPT_LIMIT) {
            let response = match attempt.request {
                Request::StopProjectVersion { .. } => Response::Stop(Some(Status::new("STOPPING"))),
                Request::DescribeProjects { .. } => Response::Projects(Page {
                    items: Vec::new(),
                    next_token: None,
                }),
                request => panic!("{request:?}"),
            };
            let call = attempt.id;
            let step = pending.ended(call, Ok(response), now).unwrap();
            let Purpose::Scope(id, purpose) = step.purpose else {
                panic!("{step:?}");
            };
            scopes.take(id, purpose, step.result, step.rest, pending, now);
        }
    }

    #[test]
    fn the_role_of_an_account_is_assumed_once_for_all_its_scopes() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut pending = pending();
        let mut scopes = Scopes::new(assignment(&settings));
        for region in REGIONS {
            scopes.add(key(THERE, region), patterns(&all), &mut pending);
        }
        assert!(scopes.begin_next(&mut pending, now).is_none());
        let session = Session {
            access_key_id: "key".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
        };
        let response = Ok(Response::Session(session));
        assume_role(&mut scopes, &mut pending, response, now);
        for region in REGIONS {
            let opened = scopes.begin_next(&mut pending, now).unwrap();
            assert_eq!(&*opened.region, region);
            assert_eq!(opened.session.unwrap().access_key_id, "key");
        }
        assert!(scopes.begin_next(&mut pending, now).is_none());
        assert_eq!(scopes.lines(), 3);
        respond(&mut scopes, &mut pending, now);
        assert_eq!(scopes.take_ended().len(), 3);
        assert_eq!((scopes.lines(), scopes.accounts()), (0, 1));
        assert!(scopes.are_done());
    }

    #[test]
    fn an_account_whose_role_cannot_be_assumed_fails_all_its_scopes_later_ones_too() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut pending = pending();
        let mut scopes = Scopes::new(assignment(&settings));
        scopes.add(key(THERE, REGIONS[0]), patterns(&all), &mut pending);
        scopes.add_extensible(key(THERE, REGIONS[1]), patterns(&all), &mut pending);
        let panicked = Err(CallError::Panicked);
        assume_role(&mut scopes, &mut pending, panicked, now);
        scopes.add(key(THERE, REGIONS[2]), patterns(&all), &mut pending);
        scopes.extend(
            key(THERE, REGIONS[1]),
            patterns(&all).patterns,
            &mut pending,
        );
        let ended = scopes.take_ended();
        assert_eq!(ended.len(), 4);
        for EndedScope { end, .. } in ended {
            let ScopeEnd::Failed(failed) = end else {
                panic!("{end:?}");
            };
            let role_arn = format!("arn:aws:iam::{THERE}:role/stopper");
            let failure = Failure::unreachable(&role_arn, &CallError::Panicked);
            assert_eq!((failed.failure, failed.extent), (failure, Extent::Account));
        }
        assert!(scopes.are_done() && next(&mut pending, now).is_none());
        assert_eq!((scopes.lines(), scopes.accounts()), (0, 1));
    }

    #[test]
    fn a_scope_that_may_be_extended_does_not_end_before_that_is_settled() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut pending = pending();
        let mut scopes = Scopes::new(assignment(&settings));
        let here = || key(HERE, "us-east-1");
        let model_arn = "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/1";
        let targets = Targets {
            models: vec![NamedModel {
                entry: 0,
                model_arn: model_arn.parse().unwrap(),
            }],
            patterns: Vec::new(),
        };
        scopes.add_extensible(here(), targets, &mut pending);
        assert_eq!(scopes.lines(), 1);
        // Patterns are added before it has begun, while it is busy and when it has nothing to do.
        scopes.extend(here(), patterns(&all).patterns, &mut pending);
        let opened = scopes.begin_next(&mut pending, now).unwrap();
        assert!(opened.session.is_none());
        scopes.extend(here(), patterns(&all).patterns, &mut pending);
        assert_eq!(scopes.lines(), 3);
        respond(&mut scopes, &mut pending, now);
        assert_eq!(scopes.lines(), 2);
        scopes.extend(here(), patterns(&all).patterns, &mut pending);
        respond(&mut scopes, &mut pending, now);
        assert!(!scopes.are_done() && scopes.take_ended().is_empty());
        scopes.close(now);
        let ended = scopes.take_ended();
        let [
            EndedScope {
                id,
                end: ScopeEnd::Called(report),
            },
        ] = &ended[..]
        else {
            panic!("{scopes:?}");
        };
        assert_eq!(*id, opened.id);
        assert_eq!((report.models.len(), report.searches.len()), (1, 3));
        assert_eq!(scopes.lines(), 0);
        assert!(scopes.are_done());
    }

    #[test]
    fn a_scope_that_has_not_begun_by_the_deadline_fails_alone() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut pending = pending();
        let mut scopes = Scopes::new(assignment(&settings));
        scopes.add(key(HERE, REGIONS[0]), patterns(&all), &mut pending);
        scopes.add(key(HERE, REGIONS[1]), patterns(&all), &mut pending);
        let begun = scopes.begin_next(&mut pending, now).unwrap();
        scopes.end(now);
        let ended = scopes.take_ended();
        assert_eq!(ended.len(), 2);
        for EndedScope { id, end } in ended {
            match end {
                ScopeEnd::Called(_) => assert_eq!(id, begun.id),
                ScopeEnd::Failed(failed) => {
                    assert_ne!(id, begun.id);
                    assert_eq!(failed.key, key(HERE, REGIONS[1]));
                    assert_eq!(failed.failure, Failure::out_of_time(None));
                    assert_eq!(failed.extent, Extent::Region);
                }
            }
        }
        assert!(scopes.are_done());
    }
}
