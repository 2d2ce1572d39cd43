//! ListAccounts and ListAccountsForParent: all accounts, or those directly under a root or a unit.

use serde_json::Value;

use super::{page_under, parent_id};
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::organization::Organization;
use crate::page::page_of;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    parent(request)?;
    page_of::<()>(request, Vec::new()).map(drop)
}

pub(super) fn perform(
    organization: &Organization,
    request: &Request,
) -> Result<Value, ServiceError> {
    organization.check_caller(&request.identity.account)?;
    let parent = parent(request)?;
    if let Some(parent) = parent {
        organization.check_parent(parent)?;
    }
    let accounts = organization.accounts(parent);
    page_under("Accounts", request, accounts, |account| {
        organization.describe_account(account)
    })
}

fn parent(request: &Request) -> Result<Option<&str>, ServiceError> {
    match request.operation {
        Operation::ListAccountsForParent => parent_id(request).map(Some),
        _ => Ok(None),
    }
}
