//! The operations of Organizations.

use std::sync::Arc;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::Account as Description;

use super::call::{CallError, Caller};
use super::operation::Operation;
use super::rekognition::Page;
use super::turns::{Lane, ScopeSlots, Slots};
use crate::arn::AccountId;

/// The organization of the function's account, for one run.
#[derive(Debug)]
pub(crate) struct Organizations {
    client: Client,
    caller: Caller,
    accounts: Lane,
    accounts_for_parent: Lane,
    units_for_parent: Lane,
}

/// An account of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    /// Its state, such as `ACTIVE` or `SUSPENDED`.
    pub(crate) state: String,
}

impl Account {
    fn new(account: &Description) -> Option<Self> {
        let state = account.state().map(|state| state.as_str());
        // The older field, which AWS says will be removed.
        #[allow(deprecated)]
        let status = || account.status().map(|status| status.as_str());
        Some(Self {
            id: account.id()?.to_owned().try_into().ok()?,
            state: state.or_else(status)?.to_owned(),
        })
    }
}

impl Organizations {
    pub(super) fn new(client: Client, caller: Caller, process: &Arc<Slots>) -> Self {
        let slots = ScopeSlots::of_service(process);
        let lane = |operation| Lane::new(operation, &slots);
        Self {
            client,
            caller,
            accounts: lane(Operation::ListAccounts),
            accounts_for_parent: lane(Operation::ListAccountsForParent),
            units_for_parent: lane(Operation::ListOrganizationalUnitsForParent),
        }
    }

    /// A page of the accounts directly under a root or a unit, or of all accounts of the
    /// organization.
    pub(crate) async fn accounts(
        &self,
        parent: Option<&str>,
        next_token: Option<&str>,
    ) -> Result<Page<Account>, CallError> {
        let token = || next_token.map(str::to_owned);
        let read = |accounts: Option<Vec<Description>>, next_token| {
            let accounts = accounts?.iter().map(Account::new).collect::<Option<_>>()?;
            Some(Page {
                items: accounts,
                next_token,
            })
        };
        match parent {
            None => {
                let attempt = || self.client.list_accounts().set_next_token(token()).send();
                self.caller
                    .call(&self.accounts, "the organization", attempt, |response| {
                        read(response.accounts, response.next_token)
                    })
                    .await
            }
            Some(parent) => {
                let attempt = || {
                    self.client
                        .list_accounts_for_parent()
                        .parent_id(parent)
                        .set_next_token(token())
                        .send()
                };
                self.caller
                    .call(&self.accounts_for_parent, parent, attempt, |response| {
                        read(response.accounts, response.next_token)
                    })
                    .await
            }
        }
    }

    /// A page of the IDs of the units directly under a root or a unit.
    pub(crate) async fn units(
        &self,
        parent: &str,
        next_token: Option<&str>,
    ) -> Result<Page<String>, CallError> {
        let attempt = || {
            self.client
                .list_organizational_units_for_parent()
                .parent_id(parent)
                .set_next_token(next_token.map(str::to_owned))
                .send()
        };
        self.caller
            .call(&self.units_for_parent, parent, attempt, |response| {
                let units = response.organizational_units?.into_iter();
                Some(Page {
                    items: units.map(|unit| unit.id).collect::<Option<_>>()?,
                    next_token: response.next_token,
                })
            })
            .await
    }
}
