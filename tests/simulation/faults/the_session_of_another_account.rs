// Calls are made with the session of any account.
// src/run/scopes.rs, impl<'a> Scopes<'a>, fn begin_next
    pub(super) fn begin_next(&mut self, queue: &mut Queue, now: Instant) -> Option<Opened> {
        let id = self.next_ready(queue)?;
        let PendingScope { key, targets } = self.take_pending(id)?;
        let mut sessions: Vec<&Session> = Vec::new();
        if self.assignment.role(&key.partition, &key.account).is_some() {
            sessions.extend(self.roles.values().filter_map(|role| match role {
                Role::Assumed(session) => Some(session),
                _ => None,
            }));
        }
        sessions.sort_by_key(|session| session.access_key_id.clone());
        let session = sessions.first().map(|session| (*session).clone());
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
