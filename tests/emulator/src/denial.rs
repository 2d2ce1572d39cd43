//! Permissions that the caller does not have.

use crate::error::ServiceError;
use crate::identity::Identity;
use crate::request::Request;

/// An action that is not allowed, on every resource or on some.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    action: String,
    /// The ARN, or its beginning.
    resource: Option<String>,
}

impl Denial {
    pub(crate) fn new(action: &str, resource: Option<&str>) -> Self {
        Self {
            action: action.to_owned(),
            resource: resource.map(str::to_owned),
        }
    }
}

/// Refuses a request that a denial covers, in the service's words.
pub(crate) fn check(denials: &[Denial], request: &Request) -> Result<(), ServiceError> {
    let action = request.operation.action();
    let resource = request.policy_resource();
    let denied = denials.iter().any(|denial| {
        let prefix = denial.resource.as_deref().unwrap_or_default();
        denial.action == action && resource.starts_with(prefix)
    });
    if denied {
        let policy = "no identity-based policy";
        return Err(access_denied(&request.identity, &action, &resource, policy));
    }
    Ok(())
}

/// The service's refusal: `policy` is the kind of policy that is missing.
pub(crate) fn access_denied(
    caller: &Identity,
    action: &str,
    resource: &str,
    policy: &str,
) -> ServiceError {
    ServiceError::new(
        "AccessDeniedException",
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} \
             because {policy} allows the {action} action",
            caller.arn
        ),
    )
}
