// Calls in other accounts are made as the function itself.
// src/aws/mod.rs, impl Clients, fn open
    pub(crate) fn open(&mut self, scope: ScopeId, region: Arc<str>, _: Option<Session>) {
        let region = Region::new(region.to_string());
        let config = self.config.clone().into_builder().region(region);
        self.scopes.insert(scope, Scope::new(config.build()));
    }
