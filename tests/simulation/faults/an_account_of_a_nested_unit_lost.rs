// Only the accounts directly in a unit are listed.
// src/run/accounts.rs, impl<'a> AccountList<'a>, fn add_unit
    fn add_unit(&mut self, unit: &str, queue: &mut Queue) {
        if self.units.insert(unit.to_owned()) {
            let parent = unit.to_owned();
            self.read(Request::ListAccountsForParent { parent }, queue);
        }
    }
