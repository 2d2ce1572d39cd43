// Each region of an account assumes its role again.
// src/run/scopes.rs, impl<'a> Scopes<'a>, fn add
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
        let external_id = self.assignment.settings.member_external_id.clone();
        let request = Request::AssumeRole {
            role_arn: role_arn.clone(),
            external_id,
        };
        queue.push(ScopeId::FUNCTION, request, None);
        let roles = self.roles.entry(role_arn);
        match roles.or_insert_with(|| Role::Pending(Vec::new())) {
            Role::Pending(scopes) => scopes.push(id),
            Role::Assumed(_) => self.make_ready(id),
            Role::Failed(failure) => {
                let failure = failure.clone();
                self.fail(id, &failure, Extent::Account, now);
            }
        }
        id
    }
