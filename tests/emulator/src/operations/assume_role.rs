//! AssumeRole: a session of a role, for whom the role trusts.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{checked_arn_text, pattern_error};
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::identity::{Identities, Identity};
use crate::request::{Request, member_name};

/// Seconds of a session when the request does not say, and the most where one role's session
/// assumes another.
const ONE_HOUR: u64 = 3600;

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    checked_arn_text(request, "RoleArn")?;
    session_name(request)?;
    external_id(request)?;
    duration(request).map(drop)
}

pub(super) fn perform(
    identities: &mut Identities,
    clock: Option<Clock>,
    request: &Request,
) -> Result<Value, ServiceError> {
    let arn = checked_arn_text(request, "RoleArn")?;
    let (name, external_id) = (session_name(request)?, external_id(request)?);
    let role = identities.role(arn);
    let Some(role) = role.filter(|role| role.admits(&request.identity, external_id)) else {
        return Err(not_authorized(&request.identity, arn));
    };
    let length = match role.session_length {
        Some(length) => length,
        None => duration(request)?,
    };
    let role_arn = &role.arn;
    let identity = Identity {
        account: role_arn.account.clone(),
        arn: format!(
            "arn:{}:sts::{}:assumed-role/{}/{name}",
            role_arn.partition, role_arn.account, role_arn.name
        ),
        role_arn: role_arn.text.clone(),
    };
    let now = clock.map_or_else(SystemTime::now, Clock::now);
    let expiration = timestamp(now.checked_add(length).unwrap_or(now));
    let session_arn = identity.arn.clone();
    let credentials = identities.begin_session(identity, length);
    Ok(json!({
        "Credentials": {
            "AccessKeyId": credentials.access_key,
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.token,
            "Expiration": expiration,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROAEMULATOR:{name}"),
            "Arn": session_arn,
        },
    }))
}

/// The refusal, in the service's words: the same for a role that does not exist, one that trusts
/// someone else, and another external ID.
fn not_authorized(caller: &Identity, role_arn: &str) -> ServiceError {
    ServiceError::new(
        "AccessDeniedException",
        format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            caller.arn
        ),
    )
}

fn session_name(request: &Request) -> Result<&str, ServiceError> {
    let name = request.required_string("RoleSessionName")?;
    check(name, "RoleSessionName", 2..=64, "_=,.@-+")?;
    Ok(name)
}

fn external_id(request: &Request) -> Result<Option<&str>, ServiceError> {
    let id = request.string("ExternalId")?;
    if let Some(id) = id {
        check(id, "ExternalId", 2..=1224, "_=,.@:/-+")?;
    }
    Ok(id)
}

/// A text of this many letters, digits and these signs.
fn check(
    text: &str,
    member: &str,
    lengths: std::ops::RangeInclusive<usize>,
    signs: &str,
) -> Result<(), ServiceError> {
    if !lengths.contains(&text.len()) {
        let (least, most) = lengths.into_inner();
        let constraint = format!("Member must have length between {least} and {most}");
        return Err(ServiceError::constraint(
            text,
            &member_name(member),
            &constraint,
        ));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    match text.chars().all(known) {
        true => Ok(()),
        false => Err(pattern_error(text, member, &format!(r"[\w{signs}]*"))),
    }
}

/// How long the session is to last. Every caller is a session of a role, which has an hour at most
/// to give.
fn duration(request: &Request) -> Result<Duration, ServiceError> {
    let Some(seconds) = request.integer("DurationSeconds")? else {
        return Ok(Duration::from_secs(ONE_HOUR));
    };
    let constraint = match seconds {
        ..900 => "Member must have value greater than or equal to 900",
        900..=43_200 => "",
        _ => "Member must have value less than or equal to 43200",
    };
    let seconds = u64::try_from(seconds).unwrap_or_default();
    if !constraint.is_empty() {
        let value = seconds.to_string();
        return Err(ServiceError::constraint(
            &value,
            "durationSeconds",
            constraint,
        ));
    }
    if seconds > ONE_HOUR {
        return Err(ServiceError::new(
            "InvalidParameterException",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
             role chaining.",
        ));
    }
    Ok(Duration::from_secs(seconds))
}

/// `2026-11-25T22:00:00Z`
fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_default()
}
