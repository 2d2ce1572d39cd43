//! LookupEvents of CloudTrail: the event history of an account and region, which has the starts of
//! models and nothing else.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::arn::VersionArn;
use crate::call::ServiceState;
use crate::clock::{Clock, timestamp};
use crate::error::ServiceError;
use crate::page::Page;
use crate::request::Request;
use crate::wire::remove_nulls;

/// How long an event is there.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

/// Who has started a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starter {
    /// An IAM user, by its name with its path, such as `ops/alice`.
    User(String),
    /// A session of a role, by the role's name without its path and the session's.
    Session {
        /// The role's name; one that begins with `AWSReservedSSO_` is of IAM Identity Center.
        role: String,
        /// The session's name.
        session: String,
    },
    /// The account's root user.
    Root,
    /// An AWS service, by its name, such as `codepipeline.amazonaws.com`.
    Service(String),
}

impl Starter {
    /// A session of a role, which is not on a path.
    pub fn session(role: &str, session: &str) -> Self {
        Self::Session {
            role: role.to_owned(),
            session: session.to_owned(),
        }
    }

    /// `userIdentity`, in the spelling of CloudTrail's user guide.
    fn identity(&self, partition: &str, account: &str) -> Value {
        match self {
            Self::User(path) => json!({
                "type": "IAMUser", "accountId": account, "userName": self.username(),
                "arn": format!("arn:{partition}:iam::{account}:user/{path}"),
            }),
            Self::Session { role, session } => json!({
                "type": "AssumedRole", "accountId": account,
                "arn": format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}"),
            }),
            Self::Root => json!({
                "type": "Root", "accountId": account,
                "arn": format!("arn:{partition}:iam::{account}:root"),
            }),
            Self::Service(name) => json!({ "type": "AWSService", "invokedBy": name }),
        }
    }

    /// `Username`, which an event of a service does not have.
    fn username(&self) -> Option<&str> {
        match self {
            Self::User(path) => path.rsplit('/').next(),
            Self::Session { session, .. } => Some(session),
            Self::Root => Some("root"),
            Self::Service(_) => None,
        }
    }
}

/// An earlier call of StartProjectVersion, as an event to add to the history.
#[derive(Debug, Clone)]
pub struct StartEvent {
    arn: VersionArn,
    starter: Starter,
    ago: Duration,
    error_code: Option<String>,
    without: Vec<String>,
    text: Option<String>,
}

impl StartEvent {
    /// A start that succeeded, this long ago.
    ///
    /// # Errors
    /// What is wrong with `model_arn` by the service's pattern.
    pub fn new(model_arn: &str, starter: Starter, ago: Duration) -> Result<Self, String> {
        Ok(Self {
            arn: VersionArn::of_model(model_arn)?,
            starter,
            ago,
            error_code: None,
            without: Vec::new(),
            text: None,
        })
    }

    /// The event as LookupEvents returns it, but with `CloudTrailEvent` as an object.
    fn describe(&self, at: SystemTime, number: usize) -> Value {
        let home = &self.arn.home;
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let (source, name) = ("rekognition.amazonaws.com", "StartProjectVersion");
        let mut event = json!({
            "EventId": id, "EventName": name, "EventSource": source, "ReadOnly": "false",
            "EventTime": OffsetDateTime::from(at).unix_timestamp(), "Resources": [],
            "Username": self.starter.username(),
            "CloudTrailEvent": {
                "eventVersion": "1.09", "eventID": id, "eventName": name, "eventSource": source,
                "eventTime": timestamp(at), "eventType": "AwsApiCall", "awsRegion": home.region,
                "recipientAccountId": home.account,
                "userIdentity": self.starter.identity(&home.partition, &home.account),
                "requestParameters": { "projectVersionArn": self.arn.text },
                "errorCode": self.error_code,
            },
        });
        remove_nulls(&mut event);
        for pointer in &self.without {
            let (parent, member) = pointer.rsplit_once('/').unwrap_or_default();
            let parent = event.pointer_mut(parent).and_then(Value::as_object_mut);
            parent.and_then(|parent| parent.remove(member));
        }
        if let Some(record) = event.get_mut("CloudTrailEvent") {
            let text = self.text.clone().unwrap_or_else(|| record.to_string());
            *record = text.into();
        }
        event
    }
}

setters!(StartEvent {
    /// The start failed with this code.
    error_code(event, code: &str) => event.error_code = Some(code.to_owned());
    /// The event lacks this member, a JSON pointer such as `/Username` or
    /// `/CloudTrailEvent/userIdentity/arn`.
    without(event, pointer: &str) => event.without.push(pointer.to_owned());
    /// `CloudTrailEvent` is this text.
    text(event, text: &str) => event.text = Some(text.to_owned());
});

/// An event of the history: a start, when it happened by the service's clock, and when it was
/// added.
#[derive(Debug)]
struct Event {
    start: StartEvent,
    at: SystemTime,
    added: Instant,
}

/// The event history of all accounts and regions.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    events: Vec<Event>,
    /// How long after it happened an event is there.
    pub(crate) delay: Duration,
}

impl Trail {
    pub(crate) fn add(&mut self, start: StartEvent, clock: Clock) {
        let at = clock.now().checked_sub(start.ago);
        let at = at.unwrap_or(SystemTime::UNIX_EPOCH);
        let added = Instant::now();
        self.events.push(Event { start, at, added });
    }
}

pub(super) fn perform(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    let name = event_name(request)?;
    let page = Page::of(state, request)?;
    state.check_permission(request)?;

    let trail = &state.trail;
    let now = Instant::now();
    let is_there = |(_, event): &(usize, &Event)| {
        let (start, age) = (&event.start, event.start.ago + (now - event.added));
        start.arn.home.account == request.identity.account
            && start.arn.home.region == request.region
            && name.is_none_or(|name| name == "StartProjectVersion")
            && (trail.delay..=RETENTION).contains(&age)
    };
    let mut events: Vec<_> = trail.events.iter().enumerate().filter(is_there).collect();
    events.sort_by_key(|(_, event)| event.at);
    events.reverse();
    Ok(page.list("Events", events, |(number, event)| {
        Some(event.start.describe(event.at, number))
    }))
}

/// The name of the events that are asked for. There may be one attribute, and the emulator knows
/// only the name.
fn event_name(request: &Request) -> Result<Option<&str>, ServiceError> {
    let attributes = match request.members.get("LookupAttributes") {
        None | Some(Value::Null) => return Ok(None),
        Some(attributes) => attributes.as_array().map(Vec::as_slice),
    };
    match attributes {
        Some([]) => Ok(None),
        Some([one]) if one["AttributeKey"] == "EventName" && one["AttributeValue"].is_string() => {
            Ok(one["AttributeValue"].as_str())
        }
        _ => Err(ServiceError::new(
            "InvalidLookupAttributesException",
            "One lookup attribute may be given, and it has to be EventName",
        )),
    }
}
