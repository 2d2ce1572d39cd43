//! GetCallerIdentity: who calls.

use serde_json::{Value, json};

use crate::request::Request;

pub(super) fn perform(request: &Request) -> Value {
    let caller = &request.identity;
    let session = caller.arn.rsplit('/').next().unwrap_or_default();
    json!({
        "Account": caller.account,
        "Arn": caller.arn,
        "UserId": format!("AROAEMULATOR:{session}"),
    })
}
