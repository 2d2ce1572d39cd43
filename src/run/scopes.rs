//! The scopes of a run: begun as their accounts are known and entered, and a few at a time, so that
//! memory grows with the models that run and not with accounts times regions.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OnceCell, Semaphore};

use super::scope::{Scope, ScopeReport};
use super::{Pattern, Run, ScopeKey, Targets};
use crate::aws::{Aws, CallError, Caller, Session, Sts};

/// How many scopes may wait for the turn of their first call.
const MOST_STARTING: usize = 32;

/// What has become of a scope.
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

/// An account, entered once for all its regions.
type Account = OnceCell<Result<Caller, CallError>>;

/// The scopes of a run that are under way.
pub(super) struct Scopes<'run, 'a> {
    run: &'run Run<'a>,
    aws: &'run Aws,
    sts: Option<Arc<Sts>>,
    /// The accounts of all scopes.
    accounts: HashMap<(Arc<str>, Arc<str>), Arc<Account>>,
    starting: Arc<Semaphore>,
    /// Where scopes that may still get patterns get them.
    open: HashMap<ScopeKey, UnboundedSender<Pattern<'a>>>,
    under_way: FuturesUnordered<BoxFuture<'run, ScopeEnd<'a>>>,
}

impl<'run, 'a: 'run> Scopes<'run, 'a> {
    pub(super) fn new(run: &'run Run<'a>, aws: &'run Aws) -> Self {
        Self {
            run,
            aws,
            sts: None,
            accounts: HashMap::new(),
            starting: Arc::new(Semaphore::new(MOST_STARTING)),
            open: HashMap::new(),
            under_way: FuturesUnordered::new(),
        }
    }

    /// Begins a scope, which may still be extended where it is `open`.
    pub(super) fn begin(&mut self, key: ScopeKey, targets: Targets<'a>, open: bool) {
        let more = open.then(|| {
            let (sender, more) = mpsc::unbounded_channel();
            self.open.insert(key.clone(), sender);
            more
        });
        self.run
            .caller
            .deadline
            .expect_lines(targets.patterns.len());
        let account = self.account(&key);
        let (run, aws, starting) = (self.run, self.aws, Arc::clone(&self.starting));
        let session = self.session(&key);
        self.under_way.push(Box::pin(async move {
            let enter = || async {
                match session {
                    None => Ok(run.caller.clone()),
                    Some(session) => session
                        .begin()
                        .await
                        .map(|()| run.caller.in_session(session)),
                }
            };
            match account.get_or_init(enter).await {
                Ok(caller) => call(run, aws, caller.clone(), &starting, key, targets, more).await,
                Err(error) => failed(key, targets, more, error.clone(), true),
            }
        }));
    }

    /// Has these patterns looked up in a scope, in the one that is under way if there is one.
    pub(super) fn extend(&mut self, key: ScopeKey, mut targets: Targets<'a>) {
        if let Some(sender) = self.open.get(&key) {
            let sent = |pattern: &mut Pattern<'a>| sender.send(*pattern).is_ok();
            targets.patterns.extract_if(.., sent).for_each(drop);
        }
        if !targets.patterns.is_empty() {
            self.begin(key, targets, false);
        }
    }

    /// Says that no scope will be extended any more.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }

    /// Waits for the next scope to end; none where none is under way.
    pub(super) async fn next(&mut self) -> Option<ScopeEnd<'a>> {
        loop {
            tokio::select! {
                biased;
                // What has not begun by then never will.
                () = self.run.caller.deadline.passed(), if !self.starting.is_closed() => {
                    self.starting.close();
                }
                end = self.under_way.next() => return end,
            }
        }
    }

    /// The number of accounts that were called, or were tried to be entered.
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }

    fn account(&mut self, key: &ScopeKey) -> Arc<Account> {
        let account = (Arc::clone(&key.partition), Arc::clone(&key.account));
        Arc::clone(self.accounts.entry(account).or_default())
    }

    /// The session that a scope is called in, unless it is called as the function itself.
    fn session(&mut self, key: &ScopeKey) -> Option<Session> {
        let settings = self.run.settings;
        let role = settings.member_role.as_deref()?;
        if *key.account == *self.run.own_account {
            return None;
        }
        let sts = self.sts.get_or_insert_with(|| {
            let external_id = settings.member_external_id.clone();
            self.aws.sts(self.run.caller.clone(), external_id)
        });
        let role_arn = format!("arn:{}:iam::{}:role/{role}", key.partition, key.account);
        Some(self.aws.session(sts, role_arn))
    }
}

/// Sees a scope to its end.
async fn call<'a>(
    run: &Run<'a>,
    aws: &Aws,
    caller: Caller,
    starting: &Semaphore,
    key: ScopeKey,
    targets: Targets<'a>,
    more: Option<UnboundedReceiver<Pattern<'a>>>,
) -> ScopeEnd<'a> {
    let Ok(turn) = starting.acquire().await else {
        let error = CallError::OutOfTime { last_failure: None };
        return failed(key, targets, more, error, false);
    };
    let (scope_key, scope_targets) = (key.clone(), targets.clone());
    // Boxed, since those that wait for their turn are many and have nothing of this.
    let scope = Box::pin(async move {
        let max_concurrency = run.settings.max_concurrency.get();
        let service = aws.rekognition(&scope_key.region, caller, max_concurrency);
        let turn = Some(turn);
        Scope::new(run, &service, scope_key, scope_targets, more, turn)
            .run()
            .await
    });
    let scope = AssertUnwindSafe(scope).catch_unwind();
    match scope.await {
        Ok(report) => ScopeEnd::Called(report),
        Err(_) => failed(key, targets, None, CallError::Panicked, false),
    }
}

/// The end of a scope of which nothing is known.
fn failed<'a>(
    key: ScopeKey,
    mut targets: Targets<'a>,
    more: Option<UnboundedReceiver<Pattern<'a>>>,
    error: CallError,
    is_of_account: bool,
) -> ScopeEnd<'a> {
    if let Some(mut more) = more {
        targets
            .patterns
            .extend(std::iter::from_fn(|| more.try_recv().ok()));
    }
    ScopeEnd::Failed {
        key,
        targets,
        error,
        is_of_account,
    }
}
