//! LookupEvents of CloudTrail: the event history of an account and region, which has the starts of
//! models and nothing else.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::{list, start_project_version};
use crate::arn::{InvalidArn, VersionArn};
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::page::page_of;
use crate::request::Request;

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
                "type": "IAMUser", "principalId": "AIDAEMULATOR", "accountId": account,
                "arn": format!("arn:{partition}:iam::{account}:user/{path}"),
                "userName": self.username(),
            }),
            Self::Session { role, session } => json!({
                "type": "AssumedRole", "principalId": format!("AROAEMULATOR:{session}"),
                "arn": format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}"),
                "accountId": account,
                "sessionContext": { "sessionIssuer": {
                    "type": "Role", "principalId": "AROAEMULATOR", "accountId": account,
                    "arn": format!("arn:{partition}:iam::{account}:role/{role}"),
                    "userName": role,
                } },
            }),
            Self::Root => json!({
                "type": "Root", "principalId": account, "accountId": account,
                "arn": format!("arn:{partition}:iam::{account}:root"),
            }),
            Self::Service(name) => json!({ "type": "AWSService", "invokedBy": name }),
        }
    }

    /// `Username`, which an event of a service has not.
    fn username(&self) -> Option<&str> {
        match self {
            Self::User(path) => path.rsplit('/').next(),
            Self::Session { session, .. } => Some(session),
            Self::Root => Some("root"),
            Self::Service(_) => None,
        }
    }
}

/// A StartProjectVersion that somebody called before, as an event to add to the history.
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
    /// [`InvalidArn`] when `model_arn` does not match the service's pattern.
    pub fn new(model_arn: &str, starter: Starter, ago: Duration) -> Result<Self, InvalidArn> {
        Ok(Self {
            arn: VersionArn::parse(model_arn)?,
            starter,
            ago,
            error_code: None,
            without: Vec::new(),
            text: None,
        })
    }

    /// The start failed with this code.
    pub fn error_code(mut self, code: &str) -> Self {
        self.error_code = Some(code.to_owned());
        self
    }

    /// The event lacks this member, a JSON pointer such as `/Username` or
    /// `/CloudTrailEvent/userIdentity/arn`.
    pub fn without(mut self, pointer: &str) -> Self {
        self.without.push(pointer.to_owned());
        self
    }

    /// `CloudTrailEvent` is this text.
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// The event as LookupEvents returns it, but with `CloudTrailEvent` as an object.
    fn describe(&self, at: SystemTime, number: usize) -> Value {
        let time = OffsetDateTime::from(at);
        let home = &self.arn.home;
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let (source, name) = ("rekognition.amazonaws.com", "StartProjectVersion");
        let failed = self.error_code.as_deref();
        let mut record = json!({
            "eventVersion": "1.09",
            "userIdentity": self.starter.identity(&home.partition, &home.account),
            "eventTime": time.replace_nanosecond(0).ok().and_then(|it| it.format(&Rfc3339).ok()),
            "eventSource": source, "eventName": name, "awsRegion": home.region,
            "sourceIPAddress": "192.0.2.1", "userAgent": "emulator",
            "requestParameters": { "projectVersionArn": self.arn.text, "minInferenceUnits": 1 },
            "responseElements": failed.is_none().then(|| json!({ "status": "STARTING" })),
            "eventID": id, "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true,
            "recipientAccountId": home.account, "eventCategory": "Management",
        });
        if let (Some(code), Some(record)) = (failed, record.as_object_mut()) {
            record.insert("errorCode".to_owned(), code.into());
        }
        let mut event = json!({
            "EventId": id, "EventName": name, "EventSource": source, "ReadOnly": "false",
            "EventTime": time.unix_timestamp(), "Resources": [], "CloudTrailEvent": record,
        });
        if let (Some(username), Some(event)) = (self.starter.username(), event.as_object_mut()) {
            event.insert("Username".to_owned(), username.into());
        }
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

/// An event of the history.
#[derive(Debug)]
struct Event {
    account: String,
    region: String,
    /// When it happened, by the service's clock, and how long that was before `added`.
    at: SystemTime,
    ago: Duration,
    added: Instant,
    description: Value,
}

/// The event history of all accounts and regions.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    events: Vec<Event>,
    /// How long after it happened an event is there.
    pub(crate) delay: Duration,
}

impl Trail {
    pub(crate) fn add(&mut self, start: &StartEvent, clock: Option<Clock>) {
        let now = clock.map_or_else(SystemTime::now, Clock::now);
        let at = now.checked_sub(start.ago).unwrap_or(SystemTime::UNIX_EPOCH);
        self.events.push(Event {
            account: start.arn.home.account.clone(),
            region: start.arn.home.region.clone(),
            at,
            ago: start.ago,
            added: Instant::now(),
            description: start.describe(at, self.events.len()),
        });
    }

    /// Adds the call that a request was, and how it ended, if its ARN can be read.
    pub(crate) fn note(
        &mut self,
        request: &Request,
        error: Option<&ServiceError>,
        clock: Option<Clock>,
    ) {
        let (Ok(arn), Some((role, session))) = (
            start_project_version::arn(request),
            request.identity.role_and_session(),
        ) else {
            return;
        };
        let start = StartEvent {
            arn,
            starter: Starter::session(role, session),
            ago: Duration::ZERO,
            error_code: error.map(|error| error.code.clone()),
            without: Vec::new(),
            text: None,
        };
        self.add(&start, clock);
    }
}

pub(super) fn validate(request: &Request) -> Result<(), ServiceError> {
    event_name(request)?;
    page_of::<()>(request, Vec::new()).map(drop)
}

pub(super) fn perform(trail: &Trail, request: &Request) -> Result<Value, ServiceError> {
    let name = event_name(request)?;
    let now = Instant::now();
    let is_there = |event: &&Event| {
        let age = event.ago + (now - event.added);
        event.account == request.identity.account
            && event.region == request.region
            && name.is_none_or(|name| name == "StartProjectVersion")
            && (trail.delay..=RETENTION).contains(&age)
    };
    let mut events: Vec<&Event> = trail.events.iter().filter(is_there).collect();
    events.sort_by_key(|event| event.at);
    events.reverse();
    let (page, next) = page_of(request, events)?;
    let page = page.into_iter().map(|event| event.description.clone());
    Ok(list("Events", page.collect(), next))
}

/// The name of the events that are asked for. There may be one attribute, and the emulator knows
/// the name alone.
fn event_name(request: &Request) -> Result<Option<&str>, ServiceError> {
    let attributes = match request.members.get("LookupAttributes") {
        None | Some(Value::Null) => return Ok(None),
        Some(attributes) => attributes.as_array().map(Vec::as_slice),
    };
    let invalid = || ServiceError::new("InvalidLookupAttributesException", "");
    match attributes {
        Some([]) => Ok(None),
        Some([one]) if one.get("AttributeKey").and_then(Value::as_str) == Some("EventName") => {
            let value = one.get("AttributeValue").and_then(Value::as_str);
            value.map(Some).ok_or_else(invalid)
        }
        _ => Err(invalid()),
    }
}
