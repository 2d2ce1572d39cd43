//! AssumeRole: a session of a role, for callers that the role trusts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::arn::RoleArn;
use crate::call::ServiceState;
use crate::clock::timestamp;
use crate::error::ServiceError;
use crate::identity::Identity;
use crate::request::Request;

/// The seconds of a session if the request does not say, and the most for a caller that is itself a
/// session of a role, as every caller is.
const ONE_HOUR: i64 = 3600;

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let text = request.required_string("RoleArn")?;
    let role_arn = RoleArn::parse(text)
        .ok_or_else(|| ServiceError::pattern(text, "RoleArn", r"arn:[\w+=/,.@:-]{16,2044}"))?;
    let name = request.required_string("RoleSessionName")?;
    check("RoleSessionName", name, 64, "_=,.@+-")?;
    let external_id = request.string("ExternalId")?;
    if let Some(id) = external_id {
        check("ExternalId", id, 1224, "_=,.@:/+-")?;
    }
    let seconds = request.integer("DurationSeconds", 900..=43_200)?;
    let seconds = seconds.unwrap_or(ONE_HOUR);
    if seconds > ONE_HOUR {
        return Err(ServiceError::new(
            "InvalidParameterException",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
             role chaining.",
        ));
    }
    state.check_permission(request)?;

    let caller = &request.identity;
    let role = state.identities.roles.get(text);
    if role.is_none_or(|role| !role.admits(caller, external_id)) {
        // The same for a role that does not exist, one that trusts someone else, and another
        // external ID.
        return Err(ServiceError::new(
            "AccessDeniedException",
            format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {text}",
                caller.arn
            ),
        ));
    }
    let (partition, account) = (role_arn.partition, role_arn.account);
    let arn = format!(
        "arn:{partition}:sts::{account}:assumed-role/{}/{name}",
        role_arn.name
    );
    let identity = Identity {
        account,
        arn: arn.clone(),
        role_arn: text.to_owned(),
    };
    let length = Duration::from_secs(seconds.unsigned_abs());
    let (access_key, token) = state.identities.begin_session(identity, length);
    Ok(json!({
        "Credentials": {
            "AccessKeyId": access_key,
            "SecretAccessKey": format!("secret-key-of-{access_key}"),
            "SessionToken": token,
            "Expiration": timestamp(state.clock.now() + length),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROAEMULATOR:{name}"),
            "Arn": arn,
        },
    }))
}

/// A text of two to this many letters, digits and these signs.
fn check(member: &str, text: &str, most: usize, signs: &str) -> Result<(), ServiceError> {
    let known = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    match (2..=most).contains(&text.len()) && text.chars().all(known) {
        true => Ok(()),
        false => {
            let pattern = format!(r"[\w{signs}]{{2,{most}}}");
            Err(ServiceError::pattern(text, member, &pattern))
        }
    }
}
