// An account that the request names is used although it is excluded.
// src/run/accounts.rs, impl<'a> AccountList<'a>, fn select
    fn select(&mut self, account: Account) -> Option<FoundAccount<'a>> {
        let Account { id, state } = account;
        if !self.accounts.insert(id.clone()) {
            return None;
        }
        let patterns = self.patterns.iter().copied();
        let patterns = patterns.filter(|it| it.pattern.matches_account(id.as_str()));
        let patterns: Vec<Pattern> = patterns.collect();
        let is_excluded = self.assignment.settings.excluded_accounts.contains(&id);
        let is_named = self.unlisted.is_some();
        if patterns.is_empty() || is_excluded && !is_named || state != ACTIVE {
            return None;
        }
        let unlisted = self.unlisted.as_mut();
        let is_left_out = unlisted.is_some_and(|unlisted| !unlisted.remove(&id));
        (!is_left_out).then_some(FoundAccount { id, patterns })
    }
