//! The scopes of a run: started a few at a time, once their accounts have been entered, so that
//! memory grows with the running models and the accounts, and hardly with accounts times regions.
//!
//! 1. An account that needs a role waits to be entered; its scopes are values.
//! 2. Its scopes wait to be started.
//! 3. A scope that has started is a future, until it ends. The next one starts when the first call
//!    of a started scope has had its turn, or waits for a region that does not answer: a scope that
//!    hangs does not keep others from starting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::scope::{Scope, ScopeReport};
use super::{Pattern, Run, ScopeKey, Targets};
use crate::aws::{Aws, CallError, Caller, Session, Sts};

/// How many scopes may be waiting for the turn of their first call.
const MOST_STARTING: usize = 32;

/// How a scope has ended.
pub(super) enum ScopeEnd<'a> {
    /// Calls were made.
    Called(ScopeReport<'a>),
    /// Nothing is known about its targets.
    Failed {
        key: ScopeKey,
        targets: Targets<'a>,
        error: CallError,
        /// Whether the whole account could not be entered, whatever the region.
        is_account_failure: bool,
    },
}

/// A scope that has not started yet.
struct PendingScope<'a> {
    key: ScopeKey,
    targets: Targets<'a>,
    /// Patterns that arrive later.
    later_patterns: Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
}

/// A partition and an account.
type AccountKey = (Arc<str>, Arc<str>);

/// An account, which is entered once for all its scopes.
enum AccountState<'a> {
    /// It has not been entered yet, and these scopes wait for that.
    Pending(Vec<PendingScope<'a>>),
    /// It has been entered, and calls are made by this caller.
    Entered(Caller),
    /// It cannot be entered.
    Unreachable(CallError),
}

/// The scopes of a run.
pub(super) struct Scopes<'run, 'a> {
    run: &'run Run<'a>,
    aws: &'run Aws,
    sts: Option<Arc<Sts>>,
    accounts: HashMap<AccountKey, AccountState<'a>>,
    /// The accounts that the run tried to enter, or in which a scope has started.
    attempted: HashSet<AccountKey>,
    /// Accounts to be entered, and accounts that are being entered.
    to_enter: VecDeque<(AccountKey, Session)>,
    entering: FuturesUnordered<BoxFuture<'run, (AccountKey, Result<Caller, CallError>)>>,
    /// Scopes to be started, and scopes that are running.
    ready: VecDeque<(Caller, PendingScope<'a>)>,
    starting: Arc<Semaphore>,
    running: FuturesUnordered<BoxFuture<'run, ScopeEnd<'a>>>,
    /// Scopes that have ended without having started.
    ended: VecDeque<ScopeEnd<'a>>,
    /// Where to send patterns for scopes that accept them.
    pattern_senders: HashMap<ScopeKey, UnboundedSender<Vec<Pattern<'a>>>>,
    /// Whether the deadline has passed.
    is_over: bool,
}

impl<'run, 'a: 'run> Scopes<'run, 'a> {
    pub(super) fn new(run: &'run Run<'a>, aws: &'run Aws) -> Self {
        Self {
            run,
            aws,
            sts: None,
            accounts: HashMap::new(),
            attempted: HashSet::new(),
            to_enter: VecDeque::new(),
            entering: FuturesUnordered::new(),
            ready: VecDeque::new(),
            starting: Arc::new(Semaphore::new(MOST_STARTING)),
            running: FuturesUnordered::new(),
            ended: VecDeque::new(),
            pattern_senders: HashMap::new(),
            is_over: false,
        }
    }

    /// Adds a scope, which may still be extended if it `accepts_patterns`.
    pub(super) fn add(&mut self, key: ScopeKey, targets: Targets<'a>, accepts_patterns: bool) {
        let later_patterns = accepts_patterns.then(|| {
            let (sender, later_patterns) = mpsc::unbounded_channel();
            self.pattern_senders.insert(key.clone(), sender);
            later_patterns
        });
        let patterns = targets.patterns.len();
        self.run.caller.deadline.expect_lines(patterns);
        let scope = PendingScope {
            key,
            targets,
            later_patterns,
        };
        let account = (
            Arc::clone(&scope.key.partition),
            Arc::clone(&scope.key.account),
        );
        match self.accounts.get_mut(&account) {
            Some(AccountState::Pending(scopes)) => scopes.push(scope),
            Some(AccountState::Entered(caller)) => self.ready.push_back((caller.clone(), scope)),
            Some(AccountState::Unreachable(error)) => self.ended.push_back(scope.fail(error, true)),
            None => match self.session(&account) {
                Some(session) => {
                    self.accounts
                        .insert(account.clone(), AccountState::Pending(vec![scope]));
                    self.to_enter.push_back((account, session));
                }
                None => {
                    let caller = self.run.caller.clone();
                    self.accounts
                        .insert(account, AccountState::Entered(caller.clone()));
                    self.ready.push_back((caller, scope));
                }
            },
        }
    }

    /// Has these patterns looked up in a scope: in the one that accepts them, if there is one.
    pub(super) fn extend(&mut self, key: ScopeKey, mut targets: Targets<'a>) {
        if let Some(sender) = self.pattern_senders.get(&key) {
            let patterns = targets.patterns.len();
            self.run.caller.deadline.expect_lines(patterns);
            match sender.send(targets.patterns) {
                Ok(()) => return,
                Err(SendError(patterns)) => targets.patterns = patterns,
            }
        }
        self.add(key, targets, false);
    }

    /// Notes that no scope will be extended any more.
    pub(super) fn close(&mut self) {
        self.pattern_senders.clear();
    }

    /// Waits for the next scope to end; none if all have ended.
    ///
    /// Cancel safe: nothing is lost if this is dropped before it completes.
    pub(super) async fn next(&mut self) -> Option<ScopeEnd<'a>> {
        loop {
            if self.is_over {
                self.fail_pending();
            }
            if let Some(end) = self.ended.pop_front() {
                return Some(end);
            }
            self.enter_accounts();
            if self.is_done() {
                return None;
            }
            tokio::select! {
                biased;
                () = self.run.caller.deadline.passed(), if !self.is_over => self.is_over = true,
                Some((account, caller)) = self.entering.next() => self.entered(account, caller),
                Ok(turn) = Arc::clone(&self.starting).acquire_owned(), if !self.ready.is_empty() => {
                    self.begin_next(turn);
                }
                Some(end) = self.running.next() => return Some(end),
                () = room_changed(self.sts.as_deref()), if !self.to_enter.is_empty() => {}
            }
        }
    }

    /// The number of accounts in which calls were made or attempted.
    pub(super) fn accounts(&self) -> usize {
        self.attempted.len()
    }

    fn is_done(&self) -> bool {
        self.to_enter.is_empty()
            && self.entering.is_empty()
            && self.ready.is_empty()
            && self.running.is_empty()
    }

    /// The session in which calls to an account are made, unless they are made as the function
    /// itself.
    fn session(&mut self, (partition, account): &AccountKey) -> Option<Session> {
        let settings = self.run.settings;
        let role = settings.member_role.as_deref()?;
        if **account == *self.run.own_account {
            return None;
        }
        let sts = self.sts.get_or_insert_with(|| {
            let external_id = settings.member_external_id.clone();
            self.aws.sts(self.run.caller.clone(), external_id)
        });
        Some(
            self.aws
                .session(sts, format!("arn:{partition}:iam::{account}:role/{role}")),
        )
    }

    /// Enters as many accounts as will soon have their turn.
    fn enter_accounts(&mut self) {
        let room = self.sts.as_ref().map_or(0, |sts| sts.room());
        let accounts = self.to_enter.drain(..room.min(self.to_enter.len()));
        for (account, session) in accounts {
            let caller = &self.run.caller;
            self.attempted.insert(account.clone());
            self.entering.push(Box::pin(async move {
                let begun = session.begin().await;
                (account, begun.map(|()| caller.in_session(session)))
            }));
        }
    }

    fn entered(&mut self, account: AccountKey, caller: Result<Caller, CallError>) {
        let entered = match &caller {
            Ok(caller) => AccountState::Entered(caller.clone()),
            Err(error) => AccountState::Unreachable(error.clone()),
        };
        let Some(AccountState::Pending(scopes)) = self.accounts.insert(account, entered) else {
            return;
        };
        for scope in scopes {
            match &caller {
                Ok(caller) => self.ready.push_back((caller.clone(), scope)),
                Err(error) => self.ended.push_back(scope.fail(error, true)),
            }
        }
    }

    /// Starts the next scope, with this permit.
    fn begin_next(&mut self, turn: OwnedSemaphorePermit) {
        let Some((
            caller,
            PendingScope {
                key,
                targets,
                later_patterns,
            },
        )) = self.ready.pop_front()
        else {
            return;
        };
        let (run, aws) = (self.run, self.aws);
        self.attempted
            .insert((Arc::clone(&key.partition), Arc::clone(&key.account)));
        let after_panic = PendingScope {
            key: key.clone(),
            targets: targets.clone(),
            later_patterns: None,
        };
        let scope = async move {
            let max_concurrency = run.settings.max_concurrency.get();
            let service = aws.rekognition(&key.region, caller, max_concurrency);
            Scope::new(run, &service, key, targets, later_patterns, turn)
                .run()
                .await
        };
        let scope = AssertUnwindSafe(scope).catch_unwind();
        self.running.push(Box::pin(scope.map(|report| match report {
            Ok(report) => ScopeEnd::Called(report),
            Err(_) => after_panic.fail(&CallError::Panicked, false),
        })));
    }

    /// Fails everything that has not started by the deadline.
    fn fail_pending(&mut self) {
        let error = CallError::OutOfTime { last_failure: None };
        for (account, _) in std::mem::take(&mut self.to_enter) {
            self.entered(account, Err(error.clone()));
        }
        let ready = std::mem::take(&mut self.ready);
        self.ended.extend(
            ready
                .into_iter()
                .map(|(_, scope)| scope.fail(&error, false)),
        );
    }
}

impl<'a> PendingScope<'a> {
    fn fail(mut self, error: &CallError, is_account_failure: bool) -> ScopeEnd<'a> {
        if let Some(mut later_patterns) = self.later_patterns {
            later_patterns.close();
            let patterns = std::iter::from_fn(|| later_patterns.try_recv().ok());
            self.targets.patterns.extend(patterns.flatten());
        }
        ScopeEnd::Failed {
            key: self.key,
            targets: self.targets,
            error: error.clone(),
            is_account_failure,
        }
    }
}

/// Waits until there may be more room for calls to STS.
async fn room_changed(sts: Option<&Sts>) {
    match sts {
        Some(sts) => sts.room_changed().await,
        None => std::future::pending().await,
    }
}
