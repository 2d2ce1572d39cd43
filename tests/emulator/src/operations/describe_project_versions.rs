//! DescribeProjectVersions: a project's model versions, newest first.

use serde_json::{Map, Value, json};

use super::{check_reach, seconds};
use crate::arn::{ProjectArn, is_name};
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::models::{LiveModel, Model};
use crate::page::Page;
use crate::request::Request;

const PATTERN: &str =
    r"(^arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+$)";

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let text = request.required_string("ProjectArn")?;
    let arn = ProjectArn::parse(text);
    let arn = arn.ok_or_else(|| ServiceError::pattern(text, "ProjectArn", PATTERN))?;
    let names = request.strings("VersionNames", 10, is_name)?;
    let page = Page::of(state, request)?;
    state.check_permission(request)?;

    check_reach(request, &arn.text, &arn.home)?;
    let project = state.models.project(&arn.text);
    let project = project.ok_or_else(|| ServiceError::not_found(&arn.text))?;
    let is_asked_for = |arn: &&String| {
        // The version's name is the last part but one of its ARN.
        let name = arn.rsplit('/').nth(1).unwrap_or_default();
        names.as_ref().is_none_or(|names| names.contains(&name))
    };
    let versions = project.versions.iter().map(|(_, arn)| arn);
    let versions: Vec<String> = versions.filter(is_asked_for).cloned().collect();
    Ok(page.list("ProjectVersionDescriptions", versions, |arn| {
        state.models.model(&arn).map(|model| describe(model))
    }))
}

/// What a description has without the manifests that training leaves in it, in bytes.
const WITHOUT_MANIFESTS: usize = 950;

fn describe(live: &LiveModel) -> Value {
    let model = &live.model;
    let mut description = json!({
        "ProjectVersionArn": model.arn.text,
        "CreationTimestamp": seconds(model.arn.number),
        "MinInferenceUnits": model.inference_units,
        "MaxInferenceUnits": model.max_inference_units,
        "Status": model.status,
        "StatusMessage": status_message(&model.status),
        "Feature": model.feature,
    });
    if let Some(fields) = description
        .as_object_mut()
        .filter(|_| model.description_bytes > 0)
    {
        fields.extend(training(model));
    }
    description
}

/// What training leaves in a description, with manifests until that has the model's length.
fn training(model: &Model) -> Map<String, Value> {
    let bucket = format!("custom-labels-console-{}-0123456789", model.arn.home.region);
    let object = |name: &str| json!({ "S3Object": { "Bucket": bucket, "Name": name } });
    let manifest = json!({
        "GroundTruthManifest": object("datasets/shelves/manifests/output/output.manifest"),
    });
    let summary = object("evaluation/shelves/EvaluationResultSummary.json");
    let missing = model.description_bytes.saturating_sub(WITHOUT_MANIFESTS);
    let manifests = vec![manifest.clone(); missing.div_ceil(manifest.to_string().len())];
    let fields = json!({
        "OutputConfig": { "S3Bucket": bucket, "S3KeyPrefix": "evaluation" },
        "TrainingEndTimestamp": seconds(model.arn.number) + 3600.0,
        "BillableTrainingTimeInSeconds": 3600,
        "EvaluationResult": { "F1Score": 0.91, "Summary": summary },
        "ManifestSummary": object("evaluation/shelves/manifest-summary.json"),
        "TrainingDataResult": { "Input": { "Assets": manifests } },
        "TestingDataResult": { "Input": { "Assets": [], "AutoCreate": true } },
    });
    fields.as_object().cloned().unwrap_or_default()
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
