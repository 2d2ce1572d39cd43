//! DescribeProjects: the account's projects in the request's region.

use serde_json::{Value, json};

use super::seconds;
use crate::arn::{Home, is_name};
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::models::{CUSTOM_LABELS, Project};
use crate::page::Page;
use crate::request::Request;

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let names = request.strings("ProjectNames", 10, is_name)?;
    let is_feature = |text: &str| matches!(text, CUSTOM_LABELS | "CONTENT_MODERATION");
    let features = request.strings("Features", 2, is_feature)?;
    // Custom Labels if the request does not say.
    let features = features.unwrap_or_else(|| vec![CUSTOM_LABELS]);
    let page = Page::of(state, request)?;
    state.check_permission(request)?;

    let projects = state.models.projects.iter().filter(|project| {
        let Home {
            region,
            account,
            project: name,
            ..
        } = &project.home;
        *region == request.region
            && *account == request.identity.account
            && features.contains(&project.feature.as_str())
            && names
                .as_ref()
                .is_none_or(|names| names.contains(&name.as_str()))
    });
    Ok(page.list("ProjectDescriptions", projects.collect(), describe))
}

fn describe(project: &Project) -> Option<Value> {
    Some(json!({
        "ProjectArn": project.arn,
        "CreationTimestamp": seconds(project.number),
        "Status": project.status,
        "Datasets": [],
        "Feature": project.feature,
    }))
}
