//! ListTagsForResource: the tags of a model version.

use serde_json::{Value, json};

use super::{model_in_reach, version_arn};
use crate::account::Account;
use crate::error::ServiceError;
use crate::request::Request;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    version_arn(request, "ResourceArn").map(drop)
}

pub(super) fn perform(account: &mut Account, request: &Request) -> Result<Value, ServiceError> {
    let arn = version_arn(request, "ResourceArn")?;
    let model = model_in_reach(account, request, &arn)?;
    Ok(json!({ "Tags": model.tags }))
}
