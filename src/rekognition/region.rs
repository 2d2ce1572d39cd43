//! The service in one region, for one run.

use std::sync::Arc;

use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::config::Config;
use aws_sdk_rekognition::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rekognition::operation::describe_project_versions::DescribeProjectVersionsError;
use aws_sdk_rekognition::operation::describe_projects::DescribeProjectsError;
use aws_sdk_rekognition::operation::list_tags_for_resource::ListTagsForResourceError;
use aws_sdk_rekognition::types::{CustomizationFeature, ProjectVersionDescription};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::call::{Attempts, CallError, UnreadableAnswers};
use super::client::Rekognition;
use super::connector::Limits;
use super::status::{Observed, Status};
use crate::arn::ModelArn;

/// The most names in one call of DescribeProjects and of DescribeProjectVersions, by their API pages.
pub(super) const NAMES_A_CALL: usize = 10;

/// The calls of one region, all of them by the run's deadline and within its concurrency.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    client: Client,
    /// A place for each call that may be in flight and for one that is ready to follow it, so that not every model's
    /// call is made ready at once.
    places: Arc<Semaphore>,
    deadline: Instant,
}

/// A project: its name, and its ARN, which ends in a number that nothing else tells.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) arn: String,
}

/// A model as a description shows it.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) model_arn: String,
    pub(super) observed: Observed,
}

/// One page of a list, and the token of the next if there is one.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_token: Option<String>,
}

impl Region {
    /// The region of this name, for a run that makes at most `max_concurrency` calls at once and ends by
    /// `deadline`.
    pub(crate) fn new(
        rekognition: &Rekognition,
        name: &str,
        max_concurrency: usize,
        deadline: Instant,
    ) -> Self {
        Self {
            client: rekognition.client(name, Limits::new(max_concurrency, deadline)),
            places: Arc::new(Semaphore::new(2 * max_concurrency)),
            deadline,
        }
    }

    /// When every call has to have its result.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Asks the service to stop a model. The status is the one that the service answers with.
    pub(crate) async fn stop_project_version(
        &self,
        model_arn: &ModelArn,
    ) -> Result<Option<Status>, CallError> {
        let answer = self
            .call("StopProjectVersion", |attempts| {
                self.client
                    .stop_project_version()
                    .project_version_arn(model_arn.as_str())
                    .customize()
                    .interceptor(attempts)
                    .send()
            })
            .await?;
        Ok(answer.status().map(|status| Status::new(status.as_str())))
    }

    /// The value of one tag of a model, if it has that tag. An answer that has no tags at all is that of a model without any:
    /// nothing says that the service sends an empty map for it, and such a model is to be stopped.
    pub(crate) async fn tag(
        &self,
        model_arn: &ModelArn,
        key: &str,
    ) -> Result<Option<String>, CallError> {
        let answer = self
            .call("ListTagsForResource", |attempts| {
                self.client
                    .list_tags_for_resource()
                    .resource_arn(model_arn.as_str())
                    .customize()
                    .interceptor(attempts)
                    .config_override(retried::<ListTagsForResourceError>())
                    .send()
            })
            .await?;
        Ok(answer.tags().and_then(|tags| tags.get(key)).cloned())
    }

    /// A page of the Custom Labels projects: those of at most ten names, or all of them.
    pub(super) async fn projects(
        &self,
        names: &[String],
        next_token: Option<String>,
    ) -> Result<Page<Project>, CallError> {
        let answer = self
            .call("DescribeProjects", |attempts| {
                self.client
                    .describe_projects()
                    .set_project_names((!names.is_empty()).then(|| names.to_vec()))
                    .features(CustomizationFeature::CustomLabels)
                    .set_next_token(next_token)
                    .customize()
                    .interceptor(attempts)
                    .config_override(retried::<DescribeProjectsError>())
                    .send()
            })
            .await?;
        let projects = answer.project_descriptions.as_deref();
        let items = projects.and_then(|projects| {
            let labels = projects.iter().filter(|project| {
                !matches!(project.feature(), Some(feature) if *feature != CustomizationFeature::CustomLabels)
            });
            labels.map(|project| Project::new(project.project_arn()?)).collect()
        });
        let items = items.ok_or_else(|| CallError::unreadable_list("DescribeProjects"))?;
        Ok(Page {
            items,
            next_token: answer.next_token,
        })
    }

    /// A page of a project's versions: those of at most ten names, or all of them.
    pub(super) async fn project_versions(
        &self,
        project_arn: &str,
        names: &[String],
        next_token: Option<String>,
    ) -> Result<Page<Version>, CallError> {
        let answer = self
            .call("DescribeProjectVersions", |attempts| {
                self.client
                    .describe_project_versions()
                    .project_arn(project_arn)
                    .set_version_names((!names.is_empty()).then(|| names.to_vec()))
                    .set_next_token(next_token)
                    .customize()
                    .interceptor(attempts)
                    .config_override(retried::<DescribeProjectVersionsError>())
                    .send()
            })
            .await?;
        let versions = answer.project_version_descriptions.as_deref();
        let items = versions.and_then(|versions| versions.iter().map(Version::new).collect());
        let items = items.ok_or_else(|| CallError::unreadable_list("DescribeProjectVersions"))?;
        Ok(Page {
            items,
            next_token: answer.next_token,
        })
    }

    /// Makes one call: waits for a place, sends it, tries it again as long as that makes sense, and ends by the
    /// deadline.
    async fn call<T, E, F>(
        &self,
        operation: &str,
        send: impl FnOnce(Attempts<E>) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The timeout below lets a call begin that is due at once, and so one that is too late.
        if Instant::now() >= self.deadline {
            return Err(CallError::OutOfTime { last_failure: None });
        }
        let attempts = Attempts::new();
        let call = async {
            // The semaphore is never closed, so that this always gives a place.
            if let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
                attempts.start(place);
            }
            // An operation of the SDK is a large future; one that is still waiting is not to take the room.
            Box::pin(send(attempts.clone())).await
        };
        match timeout_at(self.deadline, call).await {
            Ok(result) => result.map_err(|error| CallError::new(operation, error)),
            Err(_) => Err(CallError::OutOfTime {
                last_failure: attempts.last_failure(),
            }),
        }
    }
}

impl Project {
    fn new(arn: &str) -> Option<Self> {
        let name = arn.split('/').nth(1)?;
        Some(Self {
            name: name.to_owned(),
            arn: arn.to_owned(),
        })
    }
}

impl Version {
    fn new(description: &ProjectVersionDescription) -> Option<Self> {
        Some(Self {
            model_arn: description.project_version_arn()?.to_owned(),
            observed: Observed {
                // A description without a status says nothing that could be relied on.
                status: Status::new(description.status().map_or("", |status| status.as_str())),
                inference_units: description
                    .min_inference_units()
                    .and_then(|units| u32::try_from(units).ok()),
            },
        })
    }
}

/// The configuration of a call that changes nothing: it is tried again also when its answer cannot be read.
fn retried<E>() -> aws_sdk_rekognition::config::Builder
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    Config::builder().retry_classifier(UnreadableAnswers::<E>::new())
}
