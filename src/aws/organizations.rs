//! The operations of Organizations.

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::Account as AccountDescription;

use super::attempt::{Attempt, attempt};
use crate::calls::operation::Operation;
use crate::calls::response::{Account, Content, Response};

pub(super) fn list_accounts(client: &Client, token: Option<String>) -> Attempt {
    let sent = client.list_accounts().set_next_token(token).send();
    attempt(Operation::ListAccounts, sent, |response| {
        accounts(response.accounts, response.next_token)
    })
}

pub(super) fn list_accounts_for_parent(
    client: &Client,
    parent: &str,
    token: Option<String>,
) -> Attempt {
    let sent = client
        .list_accounts_for_parent()
        .parent_id(parent)
        .set_next_token(token)
        .send();
    attempt(Operation::ListAccountsForParent, sent, |response| {
        accounts(response.accounts, response.next_token)
    })
}

pub(super) fn list_organizational_units_for_parent(
    client: &Client,
    parent: &str,
    token: Option<String>,
) -> Attempt {
    let sent = client
        .list_organizational_units_for_parent()
        .parent_id(parent)
        .set_next_token(token)
        .send();
    attempt(
        Operation::ListOrganizationalUnitsForParent,
        sent,
        |response| {
            let units = response.organizational_units?.into_iter();
            Some(Response {
                content: Content::Units(units.map(|unit| unit.id).collect::<Option<_>>()?),
                next_token: response.next_token,
            })
        },
    )
}

fn accounts(
    accounts: Option<Vec<AccountDescription>>,
    next_token: Option<String>,
) -> Option<Response> {
    let accounts = accounts?.iter().map(account).collect::<Option<_>>()?;
    Some(Response {
        content: Content::Accounts(accounts),
        next_token,
    })
}

fn account(description: &AccountDescription) -> Option<Account> {
    let state = description.state().map(|state| state.as_str());
    // The older field, which AWS says will be removed.
    #[allow(deprecated)]
    let status = || description.status().map(|status| status.as_str());
    Some(Account {
        id: description.id()?.to_owned().try_into().ok()?,
        state: state.or_else(status)?.to_owned(),
    })
}
