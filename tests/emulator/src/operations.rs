//! What each operation does, and what it answers.

mod describe_project_versions;
mod describe_projects;
mod list_tags_for_resource;
mod start_project_version;
mod stop_project_version;

use serde_json::Value;

use crate::account::{Account, LiveModel};
use crate::arn::{Home, VersionArn};
use crate::denial::access_denied;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::request::{Request, member_name};

/// Carries the operation out, at this moment.
pub(crate) fn perform(account: &mut Account, request: &Request) -> Result<Value, ServiceError> {
    match request.operation {
        Operation::StopProjectVersion => stop_project_version::perform(account, request),
        Operation::StartProjectVersion => start_project_version::perform(account, request),
        Operation::DescribeProjects => describe_projects::perform(account, request),
        Operation::DescribeProjectVersions => describe_project_versions::perform(account, request),
        Operation::ListTagsForResource => list_tags_for_resource::perform(account, request),
        Operation::Unknown => Err(ServiceError::new("UnknownOperationException", "")),
    }
}

/// Checks the request without carrying it out: what the service does before it asks for permission.
pub(crate) fn validate(request: &Request) -> Result<(), ServiceError> {
    match request.operation {
        Operation::StopProjectVersion => stop_project_version::validate(request),
        Operation::StartProjectVersion => start_project_version::validate(request),
        Operation::DescribeProjects => describe_projects::validate(request),
        Operation::DescribeProjectVersions => describe_project_versions::validate(request),
        Operation::ListTagsForResource => list_tags_for_resource::validate(request),
        Operation::Unknown => Ok(()),
    }
}

/// A required member that is the ARN of a model version.
fn version_arn(request: &Request, member: &str) -> Result<VersionArn, ServiceError> {
    let text = checked_arn_text(request, member)?;
    VersionArn::parse(text).map_err(|_| pattern_error(text, member, VERSION_PATTERN))
}

/// A required member that is an ARN, with the length of one.
fn checked_arn_text<'a>(request: &'a Request, member: &str) -> Result<&'a str, ServiceError> {
    let text = request.required_string(member)?;
    let constraint = match text.len() {
        ..20 => "Member must have length greater than or equal to 20",
        20..=2048 => return Ok(text),
        _ => "Member must have length less than or equal to 2048",
    };
    Err(ServiceError::constraint(
        text,
        &member_name(member),
        constraint,
    ))
}

fn pattern_error(text: &str, member: &str, pattern: &str) -> ServiceError {
    let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
    ServiceError::constraint(text, &member_name(member), &constraint)
}

const VERSION_PATTERN: &str = r"(^arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}\/version\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+$)";
const PROJECT_PATTERN: &str =
    r"(^arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+$)";

/// The model that the request names, where it is one of the request's region and of the account.
fn model_in_reach<'a>(
    account: &'a mut Account,
    request: &Request,
    arn: &VersionArn,
) -> Result<&'a mut LiveModel, ServiceError> {
    check_reach(account, request, &arn.text, &arn.home)?;
    account
        .model(&arn.text)
        .ok_or_else(|| ServiceError::not_found(&arn.text))
}

/// An ARN of another region is invalid; one of another account is refused.
fn check_reach(
    account: &Account,
    request: &Request,
    arn: &str,
    home: &Home,
) -> Result<(), ServiceError> {
    if home.region != request.region {
        return Err(ServiceError::new(
            "InvalidParameterException",
            format!(
                "{arn} is of the region {}, and the request was made in {}",
                home.region, request.region
            ),
        ));
    }
    if home.account != account.id {
        let (id, action) = (&account.id, request.operation.action());
        return Err(access_denied(id, &action, arn, "no resource-based policy"));
    }
    Ok(())
}

/// A model whose status does not allow the operation.
fn in_use(arn: &str, status: &str, wanted: &str) -> ServiceError {
    ServiceError::new(
        "ResourceInUseException",
        format!("{arn} is in status {status}; it must be in {wanted}"),
    )
}

/// The seconds of an ARN's number, which is in milliseconds, up to the end of the year 9999.
fn timestamp(number: u64) -> f64 {
    number.min(253_402_300_799_000) as f64 / 1000.0
}
