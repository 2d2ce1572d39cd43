//! The operations of Rekognition, in one scope.

use std::sync::Arc;

use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::types::{
    CustomizationFeature, ProjectDescription, ProjectStatus, ProjectVersionDescription,
};
use tokio::time::Instant;

use super::call::{CallError, Caller};
use super::operation::Operation;
use super::status::{Observation, Status};
use super::turns::{Lane, ScopeSlots};
use crate::arn::ModelArn;

/// The maximum number of names in one call of DescribeProjects or DescribeProjectVersions,
/// according to their API reference.
pub(crate) const NAMES_PER_CALL: usize = 10;

/// Rekognition as one account in one region, for one run.
#[derive(Debug)]
pub(crate) struct Rekognition {
    client: Client,
    caller: Caller,
    stops: Lane,
    tags: Lane,
    projects: Lane,
    versions: Lane,
    slots: Arc<ScopeSlots>,
}

/// A Custom Labels project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) name: String,
    /// Its ARN, which ends in a number that only DescribeProjects returns.
    pub(crate) arn: String,
    /// Whether it is CREATED, rather than being created or deleted.
    pub(crate) is_created: bool,
}

/// A model as DescribeProjectVersions describes it.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) model_arn: String,
    pub(crate) observation: Observation,
}

/// One page of a list, and the token of the next page if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_token: Option<String>,
}

impl Rekognition {
    /// The operations of this client, in these slots.
    pub(super) fn new(client: Client, caller: Caller, slots: Arc<ScopeSlots>) -> Self {
        let lane = |operation| Lane::new(operation, &slots);
        Self {
            stops: lane(Operation::StopProjectVersion),
            tags: lane(Operation::ListTagsForResource),
            projects: lane(Operation::DescribeProjects),
            versions: lane(Operation::DescribeProjectVersions),
            client,
            caller,
            slots,
        }
    }

    /// How many more calls of this operation would soon have their turn; none if it belongs to
    /// another service.
    pub(crate) fn room_for(&self, operation: Operation) -> usize {
        let lanes = [&self.stops, &self.tags, &self.projects, &self.versions];
        let lane = lanes.into_iter().find(|lane| lane.operation() == operation);
        lane.map_or(0, Lane::room)
    }

    /// Waits until there may be more room.
    pub(crate) async fn room_changed(&self) {
        self.slots.room_changed().await;
    }

    /// Asks the service to stop a model. Returns the status in the service's response.
    pub(crate) async fn stop_project_version(
        &self,
        model_arn: &ModelArn,
    ) -> Result<Option<Status>, CallError> {
        let attempt = || {
            self.client
                .stop_project_version()
                .project_version_arn(model_arn.as_str())
                .send()
        };
        self.caller
            .call(&self.stops, model_arn.as_str(), attempt, |response| {
                Some(response.status().map(|status| Status::new(status.as_str())))
            })
            .await
    }

    /// The value of one of a model's tags, if it has that tag. A response without tags means a
    /// model without tags: nothing says that the service sends an empty map for it, and such a
    /// model is to be stopped.
    pub(crate) async fn tag(
        &self,
        model_arn: &ModelArn,
        key: &str,
    ) -> Result<Option<String>, CallError> {
        let attempt = || {
            self.client
                .list_tags_for_resource()
                .resource_arn(model_arn.as_str())
                .send()
        };
        self.caller
            .call(&self.tags, model_arn.as_str(), attempt, |response| {
                Some(response.tags.and_then(|mut tags| tags.remove(key)))
            })
            .await
    }

    /// A page of the Custom Labels projects: those with these names, at most ten, or all of them.
    pub(crate) async fn projects(
        &self,
        names: &[String],
        next_token: Option<&str>,
    ) -> Result<Page<Project>, CallError> {
        let subject = match names {
            [] => "all projects".to_owned(),
            names => names.join(","),
        };
        let attempt = || {
            self.client
                .describe_projects()
                .set_project_names((!names.is_empty()).then(|| names.to_vec()))
                .features(CustomizationFeature::CustomLabels)
                .set_next_token(next_token.map(str::to_owned))
                .send()
        };
        self.caller
            .call(&self.projects, &subject, attempt, |response| {
                let projects = response.project_descriptions?;
                let labels = projects.iter().filter(|project| {
                    let feature = project.feature();
                    feature.is_none_or(|it| *it == CustomizationFeature::CustomLabels)
                });
                Some(Page {
                    items: labels.map(Project::new).collect::<Option<_>>()?,
                    next_token: response.next_token,
                })
            })
            .await
    }

    /// A page of a project's versions: those with these names, at most ten, or all of them.
    pub(crate) async fn project_versions(
        &self,
        project_arn: &str,
        names: &[String],
        next_token: Option<&str>,
    ) -> Result<Page<Version>, CallError> {
        let attempt = || {
            self.client
                .describe_project_versions()
                .project_arn(project_arn)
                .set_version_names((!names.is_empty()).then(|| names.to_vec()))
                .set_next_token(next_token.map(str::to_owned))
                .send()
        };
        self.caller
            .call(&self.versions, project_arn, attempt, |response| {
                let versions = response.project_version_descriptions?;
                Some(Page {
                    items: versions.iter().map(Version::new).collect::<Option<_>>()?,
                    next_token: response.next_token,
                })
            })
            .await
    }
}

impl Project {
    fn new(description: &ProjectDescription) -> Option<Self> {
        let arn = description.project_arn()?;
        Some(Self {
            name: arn.split('/').nth(1)?.to_owned(),
            arn: arn.to_owned(),
            is_created: description.status() == Some(&ProjectStatus::Created),
        })
    }
}

impl Version {
    fn new(description: &ProjectVersionDescription) -> Option<Self> {
        Some(Self {
            model_arn: description.project_version_arn()?.to_owned(),
            observation: Observation {
                // A description without a status says nothing that can be relied on.
                status: Status::new(description.status().map_or("", |status| status.as_str())),
                inference_units: description
                    .min_inference_units()
                    .and_then(|units| u32::try_from(units).ok()),
                at: Instant::now(),
            },
        })
    }
}
