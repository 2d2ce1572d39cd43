//! The scopes of a run: begun when their accounts are entered, and a few at a time, so that memory
//! grows with the models that run and not with accounts times regions.
//!
//! 1. An account waits to be entered, if it has a role: its scopes are values.
//! 2. Its scopes wait to be begun.
//! 3. A scope that has begun is a future, until it ends. The next begins when the first call of one
//!    of these has had its turn, or waits for a region that does not answer: one that hangs keeps
//!    no other from beginning.

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

/// How many scopes may wait for the turn of their first call.
const MOST_STARTING: usize = 32;

/// How a scope has ended.
pub(super) enum ScopeEnd<'a> {
    /// It was called.
    Called(ScopeReport<'a>),
    /// Nothing is known of what was asked of it.
    Failed {
        key: ScopeKey,
        targets: Targets<'a>,
        error: CallError,
        /// Whether the account could not be entered, in whatever region.
        is_of_account: bool,
    },
}

/// A scope that has not begun yet.
struct Waiting<'a> {
    key: ScopeKey,
    targets: Targets<'a>,
    /// Patterns that come later.
    more: Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
}

/// A partition and an account.
type AccountKey = (Arc<str>, Arc<str>);

/// An account, which is entered once for all its scopes.
enum Account<'a> {
    /// It is not entered yet, and these scopes wait for that.
    Outside(Vec<Waiting<'a>>),
    /// It is called by this caller.
    Entered(Caller),
    /// It cannot be entered.
    Unreachable(CallError),
}

/// The scopes of a run.
pub(super) struct Scopes<'run, 'a> {
    run: &'run Run<'a>,
    aws: &'run Aws,
    sts: Option<Arc<Sts>>,
    accounts: HashMap<AccountKey, Account<'a>>,
    /// The accounts that were tried to be entered, or that a scope has begun of.
    tried: HashSet<AccountKey>,
    /// Accounts to be entered, and those that are being.
    outside: VecDeque<(AccountKey, Session)>,
    entering: FuturesUnordered<BoxFuture<'run, (AccountKey, Result<Caller, CallError>)>>,
    /// Scopes to be begun, and those that have.
    ready: VecDeque<(Caller, Waiting<'a>)>,
    starting: Arc<Semaphore>,
    under_way: FuturesUnordered<BoxFuture<'run, ScopeEnd<'a>>>,
    /// Scopes that have ended without having begun.
    ended: VecDeque<ScopeEnd<'a>>,
    /// Where scopes that may still get patterns get them.
    open: HashMap<ScopeKey, UnboundedSender<Vec<Pattern<'a>>>>,
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
            tried: HashSet::new(),
            outside: VecDeque::new(),
            entering: FuturesUnordered::new(),
            ready: VecDeque::new(),
            starting: Arc::new(Semaphore::new(MOST_STARTING)),
            under_way: FuturesUnordered::new(),
            ended: VecDeque::new(),
            open: HashMap::new(),
            is_over: false,
        }
    }

    /// Adds a scope, which may still be extended where it is `open`.
    pub(super) fn add(&mut self, key: ScopeKey, targets: Targets<'a>, open: bool) {
        let more = open.then(|| {
            let (sender, more) = mpsc::unbounded_channel();
            self.open.insert(key.clone(), sender);
            more
        });
        let patterns = targets.patterns.len();
        self.run.caller.deadline.expect_lines(patterns);
        let scope = Waiting { key, targets, more };
        let account = (
            Arc::clone(&scope.key.partition),
            Arc::clone(&scope.key.account),
        );
        match self.accounts.get_mut(&account) {
            Some(Account::Outside(scopes)) => scopes.push(scope),
            Some(Account::Entered(caller)) => self.ready.push_back((caller.clone(), scope)),
            Some(Account::Unreachable(error)) => self.ended.push_back(scope.fail(error, true)),
            None => match self.session(&account) {
                Some(session) => {
                    self.accounts
                        .insert(account.clone(), Account::Outside(vec![scope]));
                    self.outside.push_back((account, session));
                }
                None => {
                    let caller = self.run.caller.clone();
                    self.accounts
                        .insert(account, Account::Entered(caller.clone()));
                    self.ready.push_back((caller, scope));
                }
            },
        }
    }

    /// Has these patterns looked up in a scope, in the one that is open if there is one.
    pub(super) fn extend(&mut self, key: ScopeKey, mut targets: Targets<'a>) {
        if let Some(sender) = self.open.get(&key) {
            let patterns = targets.patterns.len();
            self.run.caller.deadline.expect_lines(patterns);
            match sender.send(targets.patterns) {
                Ok(()) => return,
                Err(SendError(patterns)) => targets.patterns = patterns,
            }
        }
        self.add(key, targets, false);
    }

    /// Says that no scope will be extended any more.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }

    /// Waits for the next scope to end; none where all have.
    ///
    /// Nothing is lost where this is dropped before it has a result.
    pub(super) async fn next(&mut self) -> Option<ScopeEnd<'a>> {
        loop {
            if self.is_over {
                self.end_waiting();
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
                Some(end) = self.under_way.next() => return Some(end),
                () = room_changed(self.sts.as_deref()), if !self.outside.is_empty() => {}
            }
        }
    }

    /// The number of accounts in which calls were made, or that were tried to be entered.
    pub(super) fn accounts(&self) -> usize {
        self.tried.len()
    }

    fn is_done(&self) -> bool {
        self.outside.is_empty()
            && self.entering.is_empty()
            && self.ready.is_empty()
            && self.under_way.is_empty()
    }

    /// The session that an account is called in, unless it is called as the function itself.
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
        let accounts = self.outside.drain(..room.min(self.outside.len()));
        for (account, session) in accounts {
            let caller = &self.run.caller;
            self.tried.insert(account.clone());
            self.entering.push(Box::pin(async move {
                let begun = session.begin().await;
                (account, begun.map(|()| caller.in_session(session)))
            }));
        }
    }

    fn entered(&mut self, account: AccountKey, caller: Result<Caller, CallError>) {
        let entered = match &caller {
            Ok(caller) => Account::Entered(caller.clone()),
            Err(error) => Account::Unreachable(error.clone()),
        };
        let Some(Account::Outside(scopes)) = self.accounts.insert(account, entered) else {
            return;
        };
        for scope in scopes {
            match &caller {
                Ok(caller) => self.ready.push_back((caller.clone(), scope)),
                Err(error) => self.ended.push_back(scope.fail(error, true)),
            }
        }
    }

    /// Begins the next scope, which has this turn.
    fn begin_next(&mut self, turn: OwnedSemaphorePermit) {
        let Some((caller, Waiting { key, targets, more })) = self.ready.pop_front() else {
            return;
        };
        let (run, aws) = (self.run, self.aws);
        self.tried
            .insert((Arc::clone(&key.partition), Arc::clone(&key.account)));
        let after_panic = Waiting {
            key: key.clone(),
            targets: targets.clone(),
            more: None,
        };
        let scope = async move {
            let max_concurrency = run.settings.max_concurrency.get();
            let service = aws.rekognition(&key.region, caller, max_concurrency);
            Scope::new(run, &service, key, targets, more, turn)
                .run()
                .await
        };
        let scope = AssertUnwindSafe(scope).catch_unwind();
        self.under_way
            .push(Box::pin(scope.map(|report| match report {
                Ok(report) => ScopeEnd::Called(report),
                Err(_) => after_panic.fail(&CallError::Panicked, false),
            })));
    }

    /// Ends what has not begun by the deadline.
    fn end_waiting(&mut self) {
        let error = CallError::OutOfTime { last_failure: None };
        for (account, _) in std::mem::take(&mut self.outside) {
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

impl<'a> Waiting<'a> {
    fn fail(mut self, error: &CallError, is_of_account: bool) -> ScopeEnd<'a> {
        if let Some(mut more) = self.more {
            more.close();
            let patterns = std::iter::from_fn(|| more.try_recv().ok());
            self.targets.patterns.extend(patterns.flatten());
        }
        ScopeEnd::Failed {
            key: self.key,
            targets: self.targets,
            error: error.clone(),
            is_of_account,
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
