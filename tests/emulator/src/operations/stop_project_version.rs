//! StopProjectVersion: a running model begins to stop.

use serde_json::{Value, json};

use super::{in_use, model_in_reach, version_arn};
use crate::custom_labels::CustomLabels;
use crate::error::ServiceError;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    version_arn(request, "ProjectVersionArn").map(drop)
}

pub(super) fn perform(models: &mut CustomLabels, request: &Request) -> Result<Value, ServiceError> {
    let arn = version_arn(request, "ProjectVersionArn")?;
    let model = model_in_reach(models, request, &arn)?;
    if model.status != "RUNNING" {
        return Err(in_use(&arn.text, &model.status, "RUNNING"));
    }
    models.set_status(&arn.text, "STOPPING");
    Ok(json!({ "Status": "STOPPING" }))
}
