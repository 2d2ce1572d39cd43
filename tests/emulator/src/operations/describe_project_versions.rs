//! DescribeProjectVersions: a project's model versions, newest first.

use serde_json::{Value, json};

use super::{PROJECT_PATTERN, check_reach, checked_arn_text, list, pattern_error, timestamp};
use crate::arn::{ProjectArn, is_name};
use crate::custom_labels::{CustomLabels, LiveModel};
use crate::error::ServiceError;
use crate::page::page_of;
use crate::request::Request;

/// The most names that a request may hold.
const MAX_NAMES: usize = 10;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    project_arn(request)?;
    names(request)?;
    page_of::<()>(request, Vec::new()).map(drop)
}

pub(super) fn perform(models: &mut CustomLabels, request: &Request) -> Result<Value, ServiceError> {
    let arn = project_arn(request)?;
    let names = names(request)?;
    check_reach(request, &arn.text, &arn.home)?;
    let project = models
        .project(&arn.text)
        .ok_or_else(|| ServiceError::not_found(&arn.text))?;
    let versions: Vec<String> = project
        .version_arns()
        .filter(|arn| is_asked_for(arn, names.as_deref()))
        .map(str::to_owned)
        .collect();
    let (page, next) = page_of(request, versions)?;
    let descriptions: Vec<Value> = page
        .iter()
        .filter_map(|arn| models.model(arn).map(|model| describe(model)))
        .collect();
    Ok(list("ProjectVersionDescriptions", descriptions, next))
}

/// What a description has without the manifests that training leaves in it, in bytes.
const WITHOUT_MANIFESTS: usize = 950;

fn describe(model: &LiveModel) -> Value {
    let mut description = json!({
        "ProjectVersionArn": model.arn.text,
        "CreationTimestamp": timestamp(model.arn.number),
        "MinInferenceUnits": model.inference_units,
        "Status": model.status,
        "StatusMessage": status_message(&model.status),
        "Feature": model.feature,
    });
    if let Some(fields) = description.as_object_mut() {
        if let Some(units) = model.max_inference_units {
            fields.insert("MaxInferenceUnits".to_owned(), units.into());
        }
        if model.description_bytes > 0 {
            fields.extend(training(model));
        }
    }
    description
}

/// What training leaves in a description, with manifests until that has the model's length.
fn training(model: &LiveModel) -> impl Iterator<Item = (String, Value)> {
    let bucket = format!("custom-labels-console-{}-0123456789", model.arn.home.region);
    let object = |name: &str| json!({ "S3Object": { "Bucket": bucket, "Name": name } });
    let manifest = json!({
        "GroundTruthManifest": object("datasets/shelves/manifests/output/output.manifest"),
    });
    let summary = object("evaluation/shelves/EvaluationResultSummary.json");
    let missing = model.description_bytes.saturating_sub(WITHOUT_MANIFESTS);
    let manifests = vec![manifest.clone(); missing.div_ceil(manifest.to_string().len())];
    let fields = [
        (
            "OutputConfig",
            json!({ "S3Bucket": bucket, "S3KeyPrefix": "evaluation" }),
        ),
        (
            "TrainingEndTimestamp",
            (timestamp(model.arn.number) + 3600.0).into(),
        ),
        ("BillableTrainingTimeInSeconds", 3600.into()),
        (
            "EvaluationResult",
            json!({ "F1Score": 0.91, "Summary": summary }),
        ),
        (
            "ManifestSummary",
            object("evaluation/shelves/manifest-summary.json"),
        ),
        (
            "TrainingDataResult",
            json!({ "Input": { "Assets": manifests } }),
        ),
        (
            "TestingDataResult",
            json!({ "Input": { "Assets": [], "AutoCreate": true } }),
        ),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
}

fn status_message(status: &str) -> String {
    match status {
        "TRAINING_COMPLETED" => "The model is ready to run.".to_owned(),
        "RUNNING" => "The model is running.".to_owned(),
        "STARTING" => "The model is being started.".to_owned(),
        "STOPPING" => "The model is being stopped.".to_owned(),
        "STOPPED" => "The model is stopped.".to_owned(),
        other => format!("The model is in status {other}."),
    }
}

/// Whether the version's name, the last part but one of its ARN, is among the names.
fn is_asked_for(version_arn: &str, names: Option<&[&str]>) -> bool {
    let name = version_arn.rsplit('/').nth(1).unwrap_or_default();
    names.is_none_or(|names| names.contains(&name))
}

fn project_arn(request: &Request) -> Result<ProjectArn, ServiceError> {
    let text = checked_arn_text(request, "ProjectArn")?;
    ProjectArn::parse(text).map_err(|_| pattern_error(text, "ProjectArn", PROJECT_PATTERN))
}

/// The names in `VersionNames`; none means every version.
fn names(request: &Request) -> Result<Option<Vec<&str>>, ServiceError> {
    let names = request.strings("VersionNames", MAX_NAMES)?;
    match names.iter().flatten().find(|name| !is_name(name)) {
        None => Ok(names),
        Some(name) => Err(ServiceError::constraint(
            name,
            "versionNames",
            r"Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-]{1,255}",
        )),
    }
}
