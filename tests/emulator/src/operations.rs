//! What each operation does, and what it answers.

mod assume_role;
mod describe_project_versions;
mod describe_projects;
mod get_caller_identity;
mod list_accounts;
mod list_organizational_units_for_parent;
mod list_roots;
mod list_tags_for_resource;
pub(crate) mod lookup_events;
mod start_project_version;
mod stop_project_version;

use serde_json::{Map, Value};

use crate::arn::{Home, VersionArn};
use crate::custom_labels::{CustomLabels, LiveModel};
use crate::denial::access_denied;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::organization::not_in_use;
use crate::page::page_of;
use crate::request::{Request, member_name};
use crate::service::ServiceState;

/// Carries the operation out, at this moment.
pub(crate) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let models = &mut state.custom_labels;
    let organization = || state.organization.as_ref().ok_or_else(not_in_use);
    match request.operation {
        Operation::StopProjectVersion => stop_project_version::perform(models, request),
        Operation::StartProjectVersion => start_project_version::perform(models, request),
        Operation::DescribeProjects => describe_projects::perform(models, request),
        Operation::DescribeProjectVersions => describe_project_versions::perform(models, request),
        Operation::ListTagsForResource => list_tags_for_resource::perform(models, request),
        Operation::AssumeRole => assume_role::perform(&mut state.identities, state.clock, request),
        Operation::GetCallerIdentity => Ok(get_caller_identity::perform(request)),
        Operation::ListAccounts | Operation::ListAccountsForParent => {
            list_accounts::perform(organization()?, request)
        }
        Operation::ListOrganizationalUnitsForParent => {
            list_organizational_units_for_parent::perform(organization()?, request)
        }
        Operation::ListRoots => list_roots::perform(organization()?, request),
        Operation::LookupEvents => lookup_events::perform(&state.trail, request),
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
        Operation::AssumeRole => assume_role::validate(request),
        Operation::ListAccounts | Operation::ListAccountsForParent => {
            list_accounts::validate(request)
        }
        Operation::ListOrganizationalUnitsForParent => {
            list_organizational_units_for_parent::validate(request)
        }
        Operation::ListRoots => list_roots::validate(request),
        Operation::LookupEvents => lookup_events::validate(request),
        Operation::GetCallerIdentity | Operation::Unknown => Ok(()),
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

/// The model that the request names, where it is one of the request's region and of the caller's
/// account.
fn model_in_reach<'a>(
    models: &'a mut CustomLabels,
    request: &Request,
    arn: &VersionArn,
) -> Result<&'a mut LiveModel, ServiceError> {
    check_reach(request, &arn.text, &arn.home)?;
    models
        .model(&arn.text)
        .ok_or_else(|| ServiceError::not_found(&arn.text))
}

/// An ARN of another region is invalid; one of another account is refused.
fn check_reach(request: &Request, arn: &str, home: &Home) -> Result<(), ServiceError> {
    if home.region != request.region {
        return Err(ServiceError::new(
            "InvalidParameterException",
            format!(
                "{arn} is of the region {}, and the request was made in {}",
                home.region, request.region
            ),
        ));
    }
    if home.account != request.identity.account {
        let (caller, action) = (&request.identity, request.operation.action());
        return Err(access_denied(
            caller,
            &action,
            arn,
            "no resource-based policy",
        ));
    }
    Ok(())
}

/// A required member that is the ID of a root or of an organizational unit.
fn parent_id(request: &Request) -> Result<&str, ServiceError> {
    let text = request.required_string("ParentId")?;
    if is_parent_id(text) {
        return Ok(text);
    }
    let pattern = r"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$";
    Err(pattern_error(text, "ParentId", pattern))
}

fn is_parent_id(text: &str) -> bool {
    let word = |text: &str, least| {
        (least..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    match (text.strip_prefix("r-"), text.strip_prefix("ou-")) {
        (Some(root), _) => word(root, 4),
        (_, Some(unit)) => unit
            .split_once('-')
            .is_some_and(|(root, id)| word(root, 4) && word(id, 8)),
        _ => false,
    }
}

/// The page of a list under this name that the request asks for, with the token of the next.
fn page_under<T>(
    name: &str,
    request: &Request,
    items: Vec<T>,
    describe: impl Fn(T) -> Value,
) -> Result<Value, ServiceError> {
    let (page, next) = page_of(request, items)?;
    let page = page.into_iter().map(describe).collect();
    Ok(list(name, page, next))
}

/// A list under this name, and the token of its next page.
fn list(name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = Map::new();
    answer.insert(name.to_owned(), items.into());
    if let Some(next) = next {
        answer.insert("NextToken".to_owned(), next.into());
    }
    answer.into()
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
