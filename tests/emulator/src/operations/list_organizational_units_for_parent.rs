//! ListOrganizationalUnitsForParent: the units directly under a root or another unit.

use serde_json::Value;

use super::{page_under, parent_id};
use crate::error::ServiceError;
use crate::organization::Organization;
use crate::page::page_of;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    parent_id(request)?;
    page_of::<()>(request, Vec::new()).map(drop)
}

pub(super) fn perform(
    organization: &Organization,
    request: &Request,
) -> Result<Value, ServiceError> {
    organization.check_caller(&request.identity.account)?;
    let parent = parent_id(request)?;
    organization.check_parent(parent)?;
    let units = organization.units(parent);
    page_under("OrganizationalUnits", request, units, |unit| {
        organization.describe_unit(unit)
    })
}
