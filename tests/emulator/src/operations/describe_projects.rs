//! DescribeProjects: the account's projects in the request's region.

use serde_json::{Value, json};

use super::{list, timestamp};
use crate::arn::is_name;
use crate::custom_labels::{CUSTOM_LABELS, CustomLabels, Project};
use crate::error::ServiceError;
use crate::page::page_of;
use crate::request::Request;

/// The most names that a request may hold.
const MAX_NAMES: usize = 10;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    names(request)?;
    features(request)?;
    page_of::<()>(request, Vec::new()).map(drop)
}

pub(super) fn perform(models: &mut CustomLabels, request: &Request) -> Result<Value, ServiceError> {
    let names = names(request)?;
    let features = features(request)?;
    let projects: Vec<&Project> = models
        .projects_in(&request.identity.account, &request.region)
        .filter(|project| features.contains(&project.feature.as_str()))
        .filter(|project| {
            (names.as_ref()).is_none_or(|names| names.contains(&project.home.project.as_str()))
        })
        .collect();
    let (page, next) = page_of(request, projects)?;
    let descriptions: Vec<Value> = page.into_iter().map(describe).collect();
    Ok(list("ProjectDescriptions", descriptions, next))
}

fn describe(project: &Project) -> Value {
    json!({
        "ProjectArn": project.arn,
        "CreationTimestamp": timestamp(project.number),
        "Status": project.status,
        "Datasets": [],
        "Feature": project.feature,
    })
}

/// The names in `ProjectNames`; none means every project.
fn names(request: &Request) -> Result<Option<Vec<&str>>, ServiceError> {
    let names = request.strings("ProjectNames", MAX_NAMES)?;
    match names.iter().flatten().find(|name| !is_name(name)) {
        None => Ok(names),
        Some(name) => Err(ServiceError::constraint(
            name,
            "projectNames",
            r"Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-]{1,255}",
        )),
    }
}

/// The features in `Features`; Custom Labels if the request does not say.
fn features(request: &Request) -> Result<Vec<&str>, ServiceError> {
    let Some(features) = request.strings("Features", 2)? else {
        return Ok(vec![CUSTOM_LABELS]);
    };
    let known = |feature: &&&str| matches!(**feature, CUSTOM_LABELS | "CONTENT_MODERATION");
    match features.iter().find(|feature| !known(feature)) {
        None => Ok(features),
        Some(feature) => Err(ServiceError::constraint(
            feature,
            "features",
            "Member must satisfy enum value set: [CONTENT_MODERATION, CUSTOM_LABELS]",
        )),
    }
}
