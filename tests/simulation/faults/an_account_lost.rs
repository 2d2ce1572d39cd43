// Of the accounts on a page, the last is lost if there are more than three.
// src/run/accounts.rs, impl<'a> AccountList<'a>, fn take
    pub(super) fn take(&mut self, page: Step, queue: &mut Queue) -> Vec<FoundAccount<'a>> {
        if page.rest == Rest::Nothing {
            self.lists -= 1;
        }
        match page.result {
            Ok(Content::Accounts(mut accounts)) => {
                if accounts.len() > 3 {
                    accounts.pop();
                }
                let accounts = accounts.into_iter();
                return accounts.filter_map(|it| self.select(it)).collect();
            }
            Ok(Content::Units(units)) => {
                for unit in &units {
                    self.add_unit(unit, queue);
                }
            }
            Ok(_) => {
                let error = CallError::unreadable(page.request.operation());
                self.fail(&page.request, error.into());
            }
            Err(error) => self.fail(&page.request, error.into()),
        }
        Vec::new()
    }
