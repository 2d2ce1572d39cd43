//! StartProjectVersion: a trained or stopped model begins to start.

use serde_json::{Value, json};

use super::{in_use, model_in_reach, version_arn};
use crate::arn::VersionArn;
use crate::custom_labels::CustomLabels;
use crate::error::ServiceError;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    arn(request)?;
    inference_units(request).map(drop)
}

pub(super) fn perform(models: &mut CustomLabels, request: &Request) -> Result<Value, ServiceError> {
    let arn = arn(request)?;
    let units = inference_units(request)?;
    let model = model_in_reach(models, request, &arn)?;
    if !matches!(
        model.status.as_str(),
        "TRAINING_COMPLETED" | "STOPPED" | "FAILED"
    ) {
        let wanted = "TRAINING_COMPLETED, STOPPED or FAILED";
        return Err(in_use(&arn.text, &model.status, wanted));
    }
    model.inference_units = units;
    models.set_status(&arn.text, "STARTING");
    Ok(json!({ "Status": "STARTING" }))
}

pub(super) fn arn(request: &Request) -> Result<VersionArn, ServiceError> {
    version_arn(request, "ProjectVersionArn")
}

fn inference_units(request: &Request) -> Result<u32, ServiceError> {
    let units = request
        .integer("MinInferenceUnits")?
        .ok_or_else(|| ServiceError::missing("minInferenceUnits"))?;
    u32::try_from(units)
        .ok()
        .filter(|units| *units >= 1)
        .ok_or_else(|| {
            ServiceError::constraint(
                &units.to_string(),
                "minInferenceUnits",
                "Member must have value greater than or equal to 1",
            )
        })
}
