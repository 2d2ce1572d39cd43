//! The operation of CloudTrail.
//!
//! How an event spells what it says is AWS's convention, so what is missing there is left out.

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use serde_json::Value;
use time::OffsetDateTime;

use super::attempt::{Attempt, attempt};
use crate::calls::operation::Operation;
use crate::calls::response::{Content, Start};

/// What the names of the roles begin with that IAM Identity Center makes. Their sessions have the
/// names of people.
const ROLE_OF_PEOPLE: &str = "AWSReservedSSO_";

pub(super) fn lookup_events(client: &Client, token: Option<String>) -> Attempt {
    let starts = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::EventName)
        .attribute_value("StartProjectVersion");
    let sent = client
        .lookup_events()
        .set_lookup_attributes(starts.build().ok().map(|it| vec![it]))
        .set_next_token(token)
        .send();
    attempt(Operation::LookupEvents, sent, |response| {
        let starts = response.events().iter().filter_map(start).collect();
        // Not the token of a list that is always read to its end.
        Some(Content::Starts(starts, response.next_token).into())
    })
}

/// The start that an event tells of, unless it failed.
fn start(event: &Event) -> Option<Start> {
    let record: Value = serde_json::from_str(event.cloud_trail_event()?).ok()?;
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str);
    let model_arn = text("/requestParameters/projectVersionArn")?;
    let at = event.event_time().map(|time| time.secs());
    let name = text("/userIdentity/arn").and_then(name_in);
    let name = name.or(event.username());
    let name = name.or(text("/userIdentity/invokedBy"));
    text("/errorCode").is_none().then_some(Start {
        model_arn: model_arn.parse().ok()?,
        at: at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()),
        by: name.map(str::to_owned),
    })
}

/// The name in the ARN of an identity.
fn name_in(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.split_once('/') {
        Some(("user", path)) => path.rsplit('/').next(),
        Some(("assumed-role", session)) if session.starts_with(ROLE_OF_PEOPLE) => {
            session.split('/').nth(1)
        }
        Some(("assumed-role", session)) => Some(session),
        _ => (resource == "root").then_some(resource),
    }
}
