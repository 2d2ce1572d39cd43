//! What each operation does, and its response. Each checks its parameters first, then the
//! permission, and then takes effect.

mod assume_role;
mod describe_project_versions;
mod describe_projects;
mod list_accounts;
mod list_organizational_units_for_parent;
mod list_tags_for_resource;
pub(crate) mod lookup_events;
mod stop_project_version;

use serde_json::Value;

use crate::arn::{Home, VersionArn};
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::faults::access_denied;
use crate::models::{CustomLabels, LiveModel};
use crate::operation::Operation;
use crate::request::Request;

/// Carries out the operation at this moment.
pub(crate) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    match request.operation {
        Operation::StopProjectVersion => stop_project_version::perform(state, request),
        Operation::DescribeProjects => describe_projects::perform(state, request),
        Operation::DescribeProjectVersions => describe_project_versions::perform(state, request),
        Operation::ListTagsForResource => list_tags_for_resource::perform(state, request),
        Operation::AssumeRole => assume_role::perform(state, request),
        Operation::ListAccounts | Operation::ListAccountsForParent => {
            list_accounts::perform(state, request)
        }
        Operation::ListOrganizationalUnitsForParent => {
            list_organizational_units_for_parent::perform(state, request)
        }
        Operation::LookupEvents => lookup_events::perform(state, request),
        Operation::Unknown => Err(ServiceError::new("UnknownOperationException", "")),
    }
}

/// A required member that is the ARN of a model version.
fn version_arn(request: &Request, member: &str) -> Result<VersionArn, ServiceError> {
    const PATTERN: &str = r"(^arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}\/version\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+$)";
    let text = request.required_string(member)?;
    VersionArn::parse(text).ok_or_else(|| ServiceError::pattern(text, member, PATTERN))
}

/// The model that the request names, if it is in the request's region and in the caller's account.
fn model_in_reach<'a>(
    models: &'a mut CustomLabels,
    request: &Request,
    arn: &VersionArn,
) -> Result<&'a mut LiveModel, ServiceError> {
    check_reach(request, &arn.text, &arn.home)?;
    let model = models.model(&arn.text);
    model.ok_or_else(|| ServiceError::not_found(&arn.text))
}

/// An ARN of another region is invalid; one of another account is refused.
fn check_reach(request: &Request, arn: &str, home: &Home) -> Result<(), ServiceError> {
    let (own, called) = (&home.region, &request.region);
    if own != called {
        let message = format!("{arn} is of the region {own}, and the request was made in {called}");
        return Err(ServiceError::new("InvalidParameterException", message));
    }
    if home.account != request.identity.account {
        return Err(access_denied(request, arn, "no resource-based policy"));
    }
    Ok(())
}

/// A required member that is the ID of a root or of an organizational unit.
fn parent_id(request: &Request) -> Result<&str, ServiceError> {
    const PATTERN: &str = r"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$";
    let text = request.required_string("ParentId")?;
    let word = |text: &str, least| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        (least..=32).contains(&text.len()) && text.bytes().all(known)
    };
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        ["r", root] if word(root, 4) => Ok(text),
        ["ou", root, unit] if word(root, 4) && word(unit, 8) => Ok(text),
        _ => Err(ServiceError::pattern(text, "ParentId", PATTERN)),
    }
}

/// The seconds of an ARN's number, which is in milliseconds, up to the end of the year 9999.
fn seconds(number: u64) -> f64 {
    number.min(253_402_300_799_000) as f64 / 1000.0
}
