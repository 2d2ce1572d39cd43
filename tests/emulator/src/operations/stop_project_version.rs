//! StopProjectVersion: a running model begins to stop.

use serde_json::{Value, json};

use super::{model_in_reach, version_arn};
use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::request::Request;

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let arn = version_arn(request, "ProjectVersionArn")?;
    state.check_permission(request)?;

    let model = &model_in_reach(&mut state.models, request, &arn)?.model;
    if model.status != "RUNNING" {
        let message = format!(
            "{} is in status {}, and not RUNNING",
            arn.text, model.status
        );
        return Err(ServiceError::new("ResourceInUseException", message));
    }
    state.models.set_status(&arn.text, "STOPPING");
    Ok(json!({ "Status": "STOPPING" }))
}
