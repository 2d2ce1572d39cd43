//! The operations of Rekognition.

use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::types::{
    CustomizationFeature, ProjectDescription, ProjectStatus, ProjectVersionDescription,
};

use super::attempt::{Attempt, attempt};
use crate::arn::ModelArn;
use crate::calls::operation::Operation;
use crate::calls::response::{
    Content, Description, InferenceUnits, Project, ProjectState, Response, Version,
};
use crate::calls::status::Status;

pub(super) fn stop_project_version(client: &Client, model_arn: &ModelArn) -> Attempt {
    let sent = client
        .stop_project_version()
        .project_version_arn(model_arn.as_str())
        .send();
    attempt(Operation::StopProjectVersion, sent, |response| {
        let status = response.status().map(|status| Status::new(status.as_str()));
        Some(Content::Stop(status).into())
    })
}

/// A response without tags means a model without tags: nothing says that the service sends an empty
/// map for it, and such a model is to be stopped.
pub(super) fn list_tags_for_resource(client: &Client, model_arn: &ModelArn) -> Attempt {
    let sent = client
        .list_tags_for_resource()
        .resource_arn(model_arn.as_str())
        .send();
    attempt(Operation::ListTagsForResource, sent, |response| {
        Some(Content::Tags(response.tags.unwrap_or_default()).into())
    })
}

pub(super) fn describe_projects(
    client: &Client,
    names: &[String],
    token: Option<String>,
) -> Attempt {
    let sent = client
        .describe_projects()
        .set_project_names((!names.is_empty()).then(|| names.to_vec()))
        .features(CustomizationFeature::CustomLabels)
        .set_next_token(token)
        .send();
    attempt(Operation::DescribeProjects, sent, |response| {
        let projects = response.project_descriptions?;
        let labels = projects.iter().filter(|project| {
            let feature = project.feature();
            feature.is_none_or(|it| *it == CustomizationFeature::CustomLabels)
        });
        Some(Response {
            content: Content::Projects(labels.map(read_project).collect::<Option<_>>()?),
            next_token: response.next_token,
        })
    })
}

pub(super) fn describe_project_versions(
    client: &Client,
    project: &Project,
    models: &[ModelArn],
    token: Option<String>,
) -> Attempt {
    let names = || models.iter().map(|it| it.version().to_owned()).collect();
    let sent = client
        .describe_project_versions()
        .project_arn(&project.arn)
        .set_version_names((!models.is_empty()).then(names))
        .set_next_token(token)
        .send();
    attempt(Operation::DescribeProjectVersions, sent, |response| {
        let versions = response.project_version_descriptions?;
        Some(Response {
            content: Content::Versions(versions.iter().map(version).collect::<Option<_>>()?),
            next_token: response.next_token,
        })
    })
}

fn read_project(description: &ProjectDescription) -> Option<Project> {
    let arn = description.project_arn()?;
    Some(Project {
        name: arn.split('/').nth(1)?.to_owned(),
        arn: arn.to_owned(),
        state: match description.status() {
            Some(ProjectStatus::Created) => ProjectState::Created,
            _ => ProjectState::Changing,
        },
    })
}

fn version(description: &ProjectVersionDescription) -> Option<Version> {
    let units = |units: Option<i32>| units.and_then(|units| u32::try_from(units).ok());
    let max = units(description.max_inference_units());
    Some(Version {
        model_arn: description.project_version_arn()?.to_owned(),
        description: Description {
            // A description without a status says nothing that can be relied on.
            status: Status::new(description.status().map_or("", |status| status.as_str())),
            status_message: description.status_message().map(str::to_owned),
            inference_units: units(description.min_inference_units())
                .map(|min| InferenceUnits { min, max }),
        },
    })
}
