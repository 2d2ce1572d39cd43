//! ListAccounts and ListAccountsForParent: all accounts, or those directly under a root or a unit.

use serde_json::Value;

use super::parent_id;
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::organization::Organization;
use crate::page::Page;
use crate::request::Request;

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let parent = match request.operation {
        Operation::ListAccountsForParent => Some(parent_id(request)?),
        _ => None,
    };
    let page = Page::of(state, request)?;
    state.check_permission(request)?;

    let organization = Organization::seen_by(state, request)?;
    if let Some(parent) = parent {
        organization.check_parent(parent)?;
    }
    let accounts = organization.accounts(parent);
    Ok(page.list("Accounts", accounts, |account| {
        Some(organization.describe_account(account))
    }))
}
