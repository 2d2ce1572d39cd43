//! The accounts of a run, and the scopes in them.
//!
//! 1. A scope in an account that needs a role waits until the role is assumed. One AssumeRole
//!    serves all scopes of the account.
//! 2. A scope that has not begun is no more than its key and its targets. It begins when its calls
//!    can be made, so that memory grows with the running models and the accounts, and hardly with
//!    accounts times regions.
//! 3. A scope that has begun is dropped when it has nothing left to do.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::time::Instant;

use super::assignment::{Assignment, Pattern, ScopeKey, Targets};
use super::scope::{Scope, ScopeReport};
use crate::calls::error::CallError;
use crate::calls::operation::Operation;
use crate::calls::queue::{Queue, Step, Unfinished};
use crate::calls::request::{Request, ScopeId};
use crate::calls::response::{Content, Session};
use crate::report::Failure;

/// A scope that has ended.
#[derive(Debug)]
pub(super) struct EndedScope<'a> {
    pub(super) id: ScopeId,
    pub(super) extent: Extent,
    pub(super) report: ScopeReport<'a>,
}

/// How much the failed lookups of a scope cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The whole account, whatever the region.
    Account,
    Region,
}

/// An account of a partition.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AccountKey {
    partition: Arc<str>,
    account: Arc<str>,
}

/// The role of an account.
#[derive(Debug)]
enum Role {
    /// It is being assumed, and these scopes wait for that.
    Pending(Vec<ScopeId>),
    Assumed(Session),
    Failed(Failure),
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
    /// They are made as the function itself without one.
    pub(super) session: Option<Session>,
}

/// The scopes of a run.
#[derive(Debug)]
pub(super) struct Scopes<'a> {
    assignment: Assignment<'a>,
    accounts: HashSet<AccountKey>,
    /// The roles of the accounts that need one, by their ARNs.
    roles: HashMap<String, Role>,
    scopes: HashMap<ScopeId, ScopeState<'a>>,
    last_id: u32,
    /// The scopes that can begin, by their regions, which take turns.
    ready: VecDeque<RegionLine>,
    /// The scopes that more patterns may be added to, which do not end before that is settled.
    extensible: HashMap<ScopeKey, ScopeId>,
    ended: Vec<EndedScope<'a>>,
    open: Open,
}

/// What is still to be done in all scopes.
#[derive(Debug, Default)]
struct Open {
    /// How many lines the log may still need for them.
    lines: usize,
    /// How many of them have more to do than to find who started their models.
    unsettled: usize,
}

impl<'a> Scopes<'a> {
    pub(super) fn new(assignment: Assignment<'a>) -> Self {
        Self {
            assignment,
            accounts: HashSet::new(),
            roles: HashMap::new(),
            scopes: HashMap::new(),
            last_id: ScopeId::FUNCTION.0,
            ready: VecDeque::new(),
            extensible: HashMap::new(),
            ended: Vec::new(),
            open: Open::default(),
        }
    }

    /// Adds a scope, and has its account's role assumed if that is needed.
    pub(super) fn add(
        &mut self,
        key: ScopeKey,
        targets: Targets<'a>,
        queue: &mut Queue,
        now: Instant,
    ) -> ScopeId {
        self.last_id += 1;
        let id = ScopeId(self.last_id);
        self.open.lines += targets.lines();
        self.open.unsettled += 1;
        self.accounts.insert(AccountKey {
            partition: Arc::clone(&key.partition),
            account: Arc::clone(&key.account),
        });
        let role_arn = self.assignment.role(&key.partition, &key.account);
        let pending = PendingScope { key, targets };
        self.scopes.insert(id, ScopeState::Pending(pending));
        let Some(role_arn) = role_arn else {
            self.make_ready(id);
            return id;
        };
        let role = self.roles.entry(role_arn.clone()).or_insert_with(|| {
            let external_id = self.assignment.settings.member_external_id.clone();
            let request = Request::AssumeRole {
                role_arn,
                external_id,
            };
            queue.push(ScopeId::FUNCTION, request, None);
            Role::Pending(Vec::new())
        });
        match role {
            Role::Pending(scopes) => scopes.push(id),
            Role::Assumed(_) => self.make_ready(id),
            Role::Failed(failure) => {
                let failure = failure.clone();
                self.fail(id, &failure, Extent::Account, now);
            }
        }
        id
    }

    /// The same, for a scope to which [`Scopes::extend`] may add patterns until [`Scopes::close`].
    pub(super) fn add_extensible(
        &mut self,
        key: ScopeKey,
        targets: Targets<'a>,
        queue: &mut Queue,
        now: Instant,
    ) {
        let id = self.add(key.clone(), targets, queue, now);
        self.extensible.insert(key, id);
    }

    /// Has these patterns looked up in a scope: in the one that is extensible, if there is one.
    pub(super) fn extend(
        &mut self,
        key: ScopeKey,
        patterns: Vec<Pattern<'a>>,
        queue: &mut Queue,
        now: Instant,
    ) {
        if let Some(&id) = self.extensible.get(&key)
            && let Some(scope) = self.scopes.get_mut(&id)
        {
            match scope {
                ScopeState::Pending(scope) => {
                    self.open.lines += patterns.len();
                    scope.targets.patterns.extend(patterns);
                }
                ScopeState::Begun(_) => {
                    self.change(id, queue, |scope| scope.add_patterns(patterns));
                }
            }
            return;
        }
        let models = Vec::new();
        self.add(key, Targets { models, patterns }, queue, now);
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

    /// Whether nothing is left to do but to find who started the models.
    pub(super) fn are_settled(&self) -> bool {
        self.open.unsettled == 0
    }

    /// How many lines the log may still need for them.
    pub(super) fn lines(&self) -> usize {
        self.open.lines
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
    pub(super) fn begin_next(&mut self, queue: &mut Queue, now: Instant) -> Option<Opened> {
        let id = self.next_ready(queue)?;
        let PendingScope { key, targets } = self.take_pending(id)?;
        let role_arn = self.assignment.role(&key.partition, &key.account);
        let session = match role_arn.and_then(|role_arn| self.roles.get(&role_arn)) {
            Some(Role::Assumed(session)) => Some(session.clone()),
            _ => None,
        };
        let region = Arc::clone(&key.region);
        queue.open(id, &region);
        let scope = Scope::new(self.assignment, key, now);
        self.open.add(&scope);
        self.scopes.insert(id, ScopeState::Begun(Box::new(scope)));
        self.change(id, queue, |scope| scope.add(targets, now));
        Some(Opened {
            id,
            region,
            session,
        })
    }

    /// Handles the end of the call that assumes a role.
    fn take_session(&mut self, role_arn: &str, result: Result<Content, CallError>, now: Instant) {
        let role = match result {
            Ok(Content::Session(session)) => Role::Assumed(session),
            Ok(_) => {
                let error = CallError::unreadable(Operation::AssumeRole);
                Role::Failed(Failure::unreachable(role_arn, &error))
            }
            Err(error) => Role::Failed(Failure::unreachable(role_arn, &error)),
        };
        self.set_role(role_arn, role, now);
    }

    /// Handles the end of a call, or a page of a list.
    pub(super) fn take(&mut self, step: Step, queue: &mut Queue, now: Instant) {
        if let Request::AssumeRole { role_arn, .. } = &step.request {
            return self.take_session(role_arn, step.result, now);
        }
        let id = step.scope;
        // A bug that one response triggers must not keep the models of others running unsaid.
        let taken = catch_unwind(AssertUnwindSafe(|| {
            self.change(id, queue, |scope| scope.take(step, now));
        }));
        if taken.is_ok() {
            self.end_if_done(id, now);
        } else if let Some(ScopeState::Begun(scope)) = self.scopes.remove(&id) {
            let report = scope.fail(&CallError::Panicked.into());
            self.note_end(id, report, Extent::Region);
        }
    }

    /// Has a scope do what it wanted to be woken for.
    pub(super) fn wake(&mut self, id: ScopeId, queue: &mut Queue, now: Instant, due: Instant) {
        self.change(id, queue, |scope| scope.wake(now, due));
    }

    /// Notes that a call did not end in time.
    pub(super) fn give_up(&mut self, call: Unfinished, now: Instant) {
        if let Request::AssumeRole { role_arn, .. } = call.request {
            let failure = Failure::out_of_time(call.last_failure);
            let failure = failure.context(&format!("{role_arn} was not assumed"));
            self.set_role(&role_arn, Role::Failed(failure), now);
        } else if let Some(ScopeState::Begun(scope)) = self.scopes.get_mut(&call.scope) {
            // No further calls follow.
            self.open.remove(scope);
            scope.give_up(call.request, call.last_failure);
            self.open.add(scope);
        }
    }

    /// Ends all scopes, because time has run out.
    pub(super) fn end(&mut self, now: Instant) {
        let ids: Vec<ScopeId> = self.scopes.keys().copied().collect();
        for id in ids {
            self.fail(id, &Failure::out_of_time(None), Extent::Region, now);
            self.end_one(id, now);
        }
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

    /// Notes what has become of a role. If it failed, so do the scopes of its account, those that
    /// are added later as well.
    fn set_role(&mut self, role_arn: &str, role: Role, now: Instant) {
        let failure = match &role {
            Role::Failed(failure) => Some(failure.clone()),
            Role::Pending(_) | Role::Assumed(_) => None,
        };
        let Some(Role::Pending(scopes)) = self.roles.insert(role_arn.to_owned(), role) else {
            return;
        };
        for id in scopes {
            match &failure {
                Some(failure) => self.fail(id, failure, Extent::Account, now),
                None => self.make_ready(id),
            }
        }
    }

    /// Fails a scope that has not begun.
    fn fail(&mut self, id: ScopeId, failure: &Failure, extent: Extent, now: Instant) {
        if let Some(PendingScope { key, targets }) = self.take_pending(id) {
            let scope = Scope::new(self.assignment, key, now);
            self.note_end(id, scope.fail_targets(targets, failure), extent);
        }
    }

    /// Takes a scope that has not begun.
    fn take_pending(&mut self, id: ScopeId) -> Option<PendingScope<'a>> {
        if !matches!(self.scopes.get(&id), Some(ScopeState::Pending(_))) {
            return None;
        }
        let Some(ScopeState::Pending(scope)) = self.scopes.remove(&id) else {
            return None;
        };
        self.open.lines -= scope.targets.lines();
        self.open.unsettled -= 1;
        Some(scope)
    }

    fn end_if_done(&mut self, id: ScopeId, now: Instant) {
        let Some(ScopeState::Begun(scope)) = self.scopes.get(&id) else {
            return;
        };
        if !scope.is_done() || self.extensible.get(&scope.key) == Some(&id) {
            return;
        }
        self.end_one(id, now);
    }

    /// Ends a scope that has begun.
    fn end_one(&mut self, id: ScopeId, now: Instant) {
        if let Some(ScopeState::Begun(scope)) = self.scopes.remove(&id) {
            self.open.remove(&scope);
            self.note_end(id, scope.end(now), Extent::Region);
        }
    }

    /// Changes a scope that has begun, adds the calls that it then wants made, and has it woken
    /// when it wants to be.
    fn change(&mut self, id: ScopeId, queue: &mut Queue, change: impl FnOnce(&mut Scope<'a>)) {
        let Some(ScopeState::Begun(scope)) = self.scopes.get_mut(&id) else {
            return;
        };
        self.open.remove(scope);
        change(scope);
        for call in scope.take_calls() {
            queue.push(id, call.request, call.not_before);
        }
        if let Some(at) = scope.take_wake() {
            queue.wake(at, id);
        }
        self.open.add(scope);
    }

    fn note_end(&mut self, id: ScopeId, report: ScopeReport<'a>, extent: Extent) {
        self.ended.push(EndedScope { id, extent, report });
    }
}

impl Open {
    /// Adds what is to be done in a scope that has begun.
    fn add(&mut self, scope: &Scope) {
        self.lines += scope.lines();
        self.unsettled += usize::from(!scope.is_settled());
    }

    /// Removes what was to be done in it.
    fn remove(&mut self, scope: &Scope) {
        self.lines -= scope.lines();
        self.unsettled -= usize::from(!scope.is_settled());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::env::VarError;

    use time::OffsetDateTime;

    use super::super::assignment::NamedModel;
    use crate::arn::ModelPattern;
    use crate::calls::queue::{CallId, Ended, Rest};
    use crate::calls::response::Response;
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
            own_account: Some(HERE),
            request_id: "request-1",
            now: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn queue() -> Queue {
        Queue::new(8, fastrand::Rng::with_seed(7))
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
    fn next(queue: &mut Queue, now: Instant) -> Option<CallId> {
        let attempt = queue.next(now, now + ATTEMPT_LIMIT)?;
        Some(attempt.id)
    }

    /// What has come of an attempt that is not retried.
    fn step(queue: &mut Queue, id: CallId, result: Result<Content, CallError>) -> Step {
        match queue.ended(id, result.map(Response::from), Instant::now()) {
            Some(Ended::Step(step)) => step,
            ended => panic!("{ended:?}"),
        }
    }

    /// Responds to the call that assumes an account's role, the only one that is made.
    fn assume_role(
        scopes: &mut Scopes,
        queue: &mut Queue,
        result: Result<Content, CallError>,
        now: Instant,
    ) {
        let call = next(queue, now).unwrap();
        assert_eq!(next(queue, now), None);
        let step = step(queue, call, result);
        let Request::AssumeRole { role_arn, .. } = step.request else {
            panic!("{step:?}");
        };
        scopes.take_session(&role_arn, step.result, now);
    }

    /// Responds to all calls of scopes: there are no projects, and stops are accepted.
    fn respond(scopes: &mut Scopes, queue: &mut Queue, now: Instant) {
        while let Some(attempt) = queue.next(now, now + ATTEMPT_LIMIT) {
            let content = match attempt.request {
                Request::StopProjectVersion { .. } => Content::Stop(Some(Status::new("STOPPING"))),
                Request::DescribeProjects { .. } => Content::Projects(Vec::new()),
                request => panic!("{request:?}"),
            };
            let call = attempt.id;
            let step = step(queue, call, Ok(content));
            scopes.take(step, queue, now);
        }
    }

    #[test]
    fn the_role_of_an_account_is_assumed_once_for_all_its_scopes() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut queue = queue();
        let mut scopes = Scopes::new(assignment(&settings));
        for region in REGIONS {
            scopes.add(key(THERE, region), patterns(&all), &mut queue, now);
        }
        assert!(scopes.begin_next(&mut queue, now).is_none());
        let session = Session {
            access_key_id: "key".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: "token".to_owned(),
        };
        let response = Ok(Content::Session(session));
        assume_role(&mut scopes, &mut queue, response, now);
        for region in REGIONS {
            let opened = scopes.begin_next(&mut queue, now).unwrap();
            assert_eq!(&*opened.region, region);
            assert_eq!(opened.session.unwrap().access_key_id, "key");
        }
        assert!(scopes.begin_next(&mut queue, now).is_none());
        assert_eq!(scopes.lines(), 3);
        respond(&mut scopes, &mut queue, now);
        assert_eq!(scopes.take_ended().len(), 3);
        assert_eq!((scopes.lines(), scopes.accounts()), (0, 1));
        assert!(scopes.are_done());
    }

    #[test]
    fn an_account_whose_role_cannot_be_assumed_fails_all_its_scopes_later_ones_too() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut queue = queue();
        let mut scopes = Scopes::new(assignment(&settings));
        scopes.add(key(THERE, REGIONS[0]), patterns(&all), &mut queue, now);
        scopes.add_extensible(key(THERE, REGIONS[1]), patterns(&all), &mut queue, now);
        let panicked = Err(CallError::Panicked);
        assume_role(&mut scopes, &mut queue, panicked, now);
        scopes.add(key(THERE, REGIONS[2]), patterns(&all), &mut queue, now);
        scopes.extend(
            key(THERE, REGIONS[1]),
            patterns(&all).patterns,
            &mut queue,
            now,
        );
        let ended = scopes.take_ended();
        assert_eq!(ended.len(), 4);
        let role_arn = format!("arn:aws:iam::{THERE}:role/stopper");
        let failure = Failure::unreachable(&role_arn, &CallError::Panicked);
        for EndedScope { extent, report, .. } in ended {
            let failures = report.searches.iter().map(|it| it.failure.as_ref());
            assert!(failures.eq([Some(&failure)]));
            assert_eq!(extent, Extent::Account);
        }
        assert!(scopes.are_done() && next(&mut queue, now).is_none());
        assert_eq!((scopes.lines(), scopes.accounts()), (0, 1));
    }

    #[test]
    fn a_scope_that_may_be_extended_does_not_end_before_that_is_settled() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut queue = queue();
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
        scopes.add_extensible(here(), targets, &mut queue, now);
        assert_eq!(scopes.lines(), 1);
        // Patterns are added before it has begun, while it is busy and when it has nothing to do.
        scopes.extend(here(), patterns(&all).patterns, &mut queue, now);
        let opened = scopes.begin_next(&mut queue, now).unwrap();
        assert!(opened.session.is_none());
        scopes.extend(here(), patterns(&all).patterns, &mut queue, now);
        assert_eq!(scopes.lines(), 3);
        respond(&mut scopes, &mut queue, now);
        assert_eq!(scopes.lines(), 2);
        scopes.extend(here(), patterns(&all).patterns, &mut queue, now);
        respond(&mut scopes, &mut queue, now);
        assert!(!scopes.are_done() && scopes.take_ended().is_empty());
        scopes.close(now);
        let ended = scopes.take_ended();
        let [EndedScope { id, report, .. }] = &ended[..] else {
            panic!("{scopes:?}");
        };
        assert_eq!(*id, opened.id);
        assert_eq!((report.models.len(), report.searches.len()), (1, 3));
        assert_eq!(scopes.lines(), 0);
        assert!(scopes.are_done());
    }

    /// No response is known over which this program panics, so it is one that nobody waits for.
    #[test]
    fn a_panic_over_a_response_fails_its_scope_and_no_other() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut queue = queue();
        let mut scopes = Scopes::new(assignment(&settings));
        scopes.add_extensible(key(HERE, REGIONS[0]), patterns(&all), &mut queue, now);
        let begun = scopes.begin_next(&mut queue, now).unwrap();
        respond(&mut scopes, &mut queue, now);
        scopes.add(key(HERE, REGIONS[1]), patterns(&all), &mut queue, now);
        let unexpected = Step {
            scope: begun.id,
            request: Request::DescribeProjects { names: Vec::new() },
            result: Ok(Content::Projects(Vec::new())),
            rest: Rest::Nothing,
        };
        scopes.take(unexpected, &mut queue, now);
        let ended = scopes.take_ended();
        assert_eq!((ended.len(), ended[0].id), (1, begun.id));
        let failure = ended[0].report.searches[0].failure.clone();
        assert_eq!(failure, Some(CallError::Panicked.into()));
        assert_eq!(scopes.lines(), 1);
    }

    #[test]
    fn a_scope_that_has_not_begun_by_the_deadline_fails_alone() {
        let (settings, all, now) = (settings(), all(), Instant::now());
        let mut queue = queue();
        let mut scopes = Scopes::new(assignment(&settings));
        scopes.add(key(HERE, REGIONS[0]), patterns(&all), &mut queue, now);
        scopes.add(key(HERE, REGIONS[1]), patterns(&all), &mut queue, now);
        let begun = scopes.begin_next(&mut queue, now).unwrap();
        scopes.end(now);
        let ended = scopes.take_ended();
        assert_eq!(ended.len(), 2);
        for EndedScope { id, extent, report } in ended {
            let is_begun = id == begun.id;
            let region = if is_begun { REGIONS[0] } else { REGIONS[1] };
            assert_eq!((report.key, extent), (key(HERE, region), Extent::Region));
            let failure = report.searches.into_iter().next().unwrap().failure;
            let expected = (!is_begun).then(|| Failure::out_of_time(None));
            assert_eq!(failure, expected);
        }
        assert!(scopes.are_done());
    }
}
