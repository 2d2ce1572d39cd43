//! ListTagsForResource: the tags of a model version.

use serde_json::{Value, json};

use super::{model_in_reach, version_arn};
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::request::Request;

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let arn = version_arn(request, "ResourceArn")?;
    state.check_permission(request)?;

    let live = model_in_reach(&mut state.models, request, &arn)?;
    Ok(json!({ "Tags": live.model.tags }))
}
