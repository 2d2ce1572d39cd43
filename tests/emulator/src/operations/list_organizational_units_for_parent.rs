//! ListOrganizationalUnitsForParent: the units directly under a root or another unit.

use serde_json::Value;

use super::parent_id;
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::organization::Organization;
use crate::page::Page;
use crate::request::Request;

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let parent = parent_id(request)?;
    let page = Page::of(state, request)?;
    state.check_permission(request)?;

    let organization = Organization::seen_by(state, request)?;
    organization.check_parent(parent)?;
    let units = organization.units(parent);
    Ok(page.list("OrganizationalUnits", units, |unit| {
        Some(organization.describe_unit(unit))
    }))
}
