//! ListTagsForResource: the tags of a model version.

use serde_json::{Value, json};

use super::{model_in_reach, version_arn};
use crate::custom_labels::CustomLabels;
use crate::error::ServiceError;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    version_arn(request, "ResourceArn").map(drop)
}

pub(super) fn perform(models: &mut CustomLabels, request: &Request) -> Result<Value, ServiceError> {
    let arn = version_arn(request, "ResourceArn")?;
    let model = model_in_reach(models, request, &arn)?;
    Ok(json!({ "Tags": model.tags }))
}
