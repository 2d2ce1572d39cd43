//! ListRoots: the organization's one root.

use serde_json::Value;

use super::page_under;
use crate::error::ServiceError;
use crate::organization::Organization;
use crate::page::page_of;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    page_of::<()>(request, Vec::new()).map(drop)
}

pub(super) fn perform(
    organization: &Organization,
    request: &Request,
) -> Result<Value, ServiceError> {
    organization.check_caller(&request.identity.account)?;
    page_under(
        "Roots",
        request,
        vec![organization],
        Organization::describe_root,
    )
}
