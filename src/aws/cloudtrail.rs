//! The operation of CloudTrail.
//!
//! How an event is spelled is AWS's convention, so what is missing there is left out.

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use serde_json::Value;
use time::OffsetDateTime;

use super::attempt::{Attempt, attempt};
use crate::calls::operation::Operation;
use crate::calls::response::{Content, Start};

/// The beginning of the names of roles that IAM Identity Center creates. Their sessions have the
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

/// The start that an event records, unless it failed.
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

#[cfg(test)]
mod tests {
    use super::*;

    use aws_sdk_cloudtrail::primitives::DateTime;
    use serde_json::json;

    const MODEL: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/17";

    /// The start that an event with this user name and record tells of.
    fn start_of(username: Option<&str>, record: &str) -> Option<Start> {
        let event = Event::builder()
            .set_username(username.map(str::to_owned))
            .event_time(DateTime::from_secs(1_800_000_000))
            .cloud_trail_event(record);
        start(&event.build())
    }

    #[test]
    fn a_starter_is_the_name_of_a_person_or_else_of_a_role_or_a_service() {
        let user = Some("user-name");
        let sts = "arn:aws:sts::123456789012:assumed-role";
        for (username, identity, starter) in [
            (
                user,
                json!({"arn": "arn:aws:iam::123456789012:user/alice"}),
                Some("alice"),
            ),
            (
                user,
                json!({"arn": "arn:aws:iam::123456789012:user/ops/night/alice"}),
                Some("alice"),
            ),
            (
                user,
                json!({"arn": format!("{sts}/deploy/build-17")}),
                Some("deploy/build-17"),
            ),
            (
                user,
                json!({"arn": format!("{sts}/AWSReservedSSO_Developers_01ab/bob@example.com")}),
                Some("bob@example.com"),
            ),
            (
                user,
                json!({"arn": "arn:aws:iam::123456789012:root"}),
                Some("root"),
            ),
            // Without an ARN, or with one of another form, the user name has to do.
            (
                user,
                json!({"arn": "arn:aws:sts::123456789012:federated-user/carol"}),
                user,
            ),
            (
                user,
                json!({"invokedBy": "codepipeline.amazonaws.com"}),
                user,
            ),
            (
                None,
                json!({"invokedBy": "codepipeline.amazonaws.com"}),
                Some("codepipeline.amazonaws.com"),
            ),
            (None, json!(null), None),
        ] {
            let record = json!({
                "userIdentity": identity, "requestParameters": {"projectVersionArn": MODEL},
            });
            let start = start_of(username, &record.to_string()).unwrap();
            assert_eq!(start.by.as_deref(), starter, "{record}");
            assert_eq!(start.model_arn.as_str(), MODEL);
            assert_eq!(start.at.unwrap().unix_timestamp(), 1_800_000_000);
        }
    }

    #[test]
    fn an_event_that_failed_or_cannot_be_read_records_no_start() {
        for record in [
            json!({"requestParameters": {"projectVersionArn": MODEL}, "errorCode": "AccessDenied"}),
            json!({"requestParameters": {"projectVersionArn": "arn:aws:rekognition"}}),
            json!({"requestParameters": null}),
            json!(null),
        ] {
            assert_eq!(
                start_of(Some("alice"), &record.to_string()),
                None,
                "{record}"
            );
        }
        assert_eq!(start_of(Some("alice"), "{\"userIdentity\": {"), None);
        assert_eq!(start(&Event::builder().build()), None);
    }
}
