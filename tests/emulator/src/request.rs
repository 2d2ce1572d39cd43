//! A call as it comes in: who asks, for what, and where.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::arn::ProjectArn;
use crate::error::ServiceError;
use crate::identity::Identity;
use crate::operation::{Operation, Service};
use crate::page::{ListRules, PageToken};

/// The number of the connection that a request comes over, among the request's extensions. The
/// server counts its connections; a caller in the same process may have connections of its own, or
/// none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connection(pub u64);

/// A request whose frame could be read; its members are still to be checked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) connection: Connection,
    pub(crate) operation: Operation,
    pub(crate) region: String,
    pub(crate) identity: Identity,
    pub(crate) members: Map<String, Value>,
    pub(crate) lists: ListRules,
}

/// What a signature's credential scope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: Service,
}

impl Scope {
    /// Reads `Credential=KEY/DATE/REGION/SERVICE/aws4_request` from the `Authorization` header.
    /// The signature itself is not checked.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let header = text_of(headers, "authorization")?;
        let (_, credential) = header
            .strip_prefix("AWS4-HMAC-SHA256")?
            .split_once("Credential=")?;
        let credential = credential.split([',', ' ']).next()?;
        // From the end: an access key may hold anything.
        let mut parts = credential.rsplitn(5, '/');
        let (terminator, service) = (parts.next()?, parts.next()?);
        let (region, _date, access_key) = (parts.next()?, parts.next()?, parts.next()?);
        let service = Service::from_name(service)?;
        let valid = terminator == "aws4_request" && !region.is_empty() && !access_key.is_empty();
        valid.then(|| Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service,
        })
    }
}

/// The service that a call without a readable signature is for, by the protocol that it speaks.
pub(crate) fn unsigned_service(headers: &HeaderMap) -> Service {
    let is_form = text_of(headers, "content-type")
        .is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
    let is_for = |service: Service| {
        let target = target_of(headers).zip(service.target_prefix());
        target.is_some_and(|(target, prefix)| target.starts_with(prefix))
    };
    match () {
        () if is_for(Service::Organizations) => Service::Organizations,
        () if is_for(Service::CloudTrail) => Service::CloudTrail,
        () if is_form => Service::Sts,
        () => Service::Rekognition,
    }
}

/// The body as the service reads it: JSON, or a form.
pub(crate) fn body_of(service: Service, body: &[u8]) -> Option<Value> {
    match service {
        Service::Rekognition | Service::Organizations | Service::CloudTrail => {
            serde_json::from_slice(body).ok()
        }
        Service::Sts => {
            let members = form_urlencoded::parse(body);
            let members = members.map(|(member, value)| (member.into_owned(), value.into()));
            Some(Value::Object(members.collect()))
        }
    }
}

/// The service's operation that the `X-Amz-Target` header names, or the form's `Action`.
pub(crate) fn operation_of(
    service: Service,
    headers: &HeaderMap,
    body: Option<&Value>,
) -> Operation {
    let name = match service.target_prefix() {
        Some(prefix) => target_of(headers).and_then(|it| it.strip_prefix(prefix)),
        None => body.and_then(|body| body.get("Action")?.as_str()),
    };
    let operation = name.map_or(Operation::Unknown, Operation::from_name);
    match operation.service() == service {
        true => operation,
        false => Operation::Unknown,
    }
}

/// What `X-Amz-Target` names. Of CloudTrail, botocore's clients name the package as well.
fn target_of(headers: &HeaderMap) -> Option<&str> {
    const PACKAGE: &str = "com.amazonaws.cloudtrail.v20131101.";
    let target = text_of(headers, "x-amz-target")?;
    Some(target.strip_prefix(PACKAGE).unwrap_or(target))
}

/// The token that comes with a session's access key.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    text_of(headers, "x-amz-security-token")
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The error of a call without a readable signature.
pub(crate) fn not_signed() -> ServiceError {
    ServiceError::new(
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )
}

impl Request {
    /// Puts the parts together, or says which of them is wrong, in the order in which the service
    /// asks.
    pub(crate) fn new(
        connection: Connection,
        scope: Scope,
        identity: Identity,
        operation: Operation,
        body: Option<Value>,
        lists: ListRules,
    ) -> Result<Self, ServiceError> {
        if operation == Operation::Unknown {
            return Err(ServiceError::new(
                "UnknownOperationException",
                "The operation is not one that this service has",
            ));
        }
        match body {
            Some(Value::Object(members)) => Ok(Self {
                connection,
                operation,
                region: scope.region,
                identity,
                members,
                lists,
            }),
            _ => Err(ServiceError::serialization("The body is no JSON object")),
        }
    }

    pub(crate) fn service(&self) -> Service {
        self.operation.service()
    }

    /// A member that is a string, if it is there.
    pub(crate) fn string(&self, member: &str) -> Result<Option<&str>, ServiceError> {
        match self.members.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(member, "a string")),
        }
    }

    /// A member that is a string, and must be there.
    pub(crate) fn required_string(&self, member: &str) -> Result<&str, ServiceError> {
        self.string(member)?
            .ok_or_else(|| ServiceError::missing(&member_name(member)))
    }

    /// A member that is a whole number, if it is there.
    pub(crate) fn integer(&self, member: &str) -> Result<Option<i64>, ServiceError> {
        match self.members.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                // A form has nothing but texts.
                let is_form = self.service() == Service::Sts;
                let text = value.as_str().filter(|_| is_form);
                let number = text.map_or_else(|| value.as_i64(), |text| text.parse().ok());
                (number.map(Some)).ok_or_else(|| wrong_type(member, "a whole number"))
            }
        }
    }

    /// A member that is a list of strings, if it is there, with as many items as are allowed.
    pub(crate) fn strings(
        &self,
        member: &str,
        at_most: usize,
    ) -> Result<Option<Vec<&str>>, ServiceError> {
        let items = match self.members.get(member) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong_type(member, "a list of strings")),
        };
        let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        let texts = texts.ok_or_else(|| wrong_type(member, "a list of strings"))?;
        let constraint = match texts.len() {
            0 => "Member must have length greater than or equal to 1".to_owned(),
            n if n > at_most => format!("Member must have length less than or equal to {at_most}"),
            _ => return Ok(Some(texts)),
        };
        Err(ServiceError::constraint(
            &format!("[{}]", texts.join(", ")),
            &member_name(member),
            &constraint,
        ))
    }

    /// The token of the page that is asked for; none, and an empty one, stand for the first.
    pub(crate) fn next_token(&self) -> Result<Option<&str>, ServiceError> {
        let token = self.string("NextToken")?;
        Ok(token.filter(|token| !token.is_empty()))
    }

    /// The page of a list that is asked for, counted from 1; none for operations without pages.
    pub(crate) fn page(&self) -> Option<u32> {
        if !self.operation.is_list() {
            return None;
        }
        match self.next_token().ok()? {
            None => Some(1),
            Some(token) => Some(PageToken::read(token)?.page),
        }
    }

    /// Whether the call is on this resource: a model's ARN, a project's ARN or name, one of the
    /// names in `VersionNames`, a role's ARN, or the ID of a parent.
    pub(crate) fn is_on(&self, resource: &str) -> bool {
        let project = || match self.string("ProjectArn") {
            Ok(Some(arn)) => ProjectArn::parse(arn).ok(),
            _ => None,
        };
        match self.operation {
            Operation::DescribeProjects | Operation::Unknown => false,
            operation => {
                resources(operation, &self.members)
                    .iter()
                    .any(|it| it == resource)
                    || project().is_some_and(|arn| arn.home.project == resource)
                    || (self.members.get("VersionNames").and_then(Value::as_array))
                        .is_some_and(|names| names.iter().any(|name| name == resource))
            }
        }
    }

    /// What all attempts of the same call have in common. A list of versions is one call, and
    /// descriptions of some are another, whichever they are of.
    pub(crate) fn call(&self) -> String {
        let (operation, account, region) = (self.operation, &self.identity.account, &self.region);
        let resources = resources(operation, &self.members).join(" ");
        let page = self.page().unwrap_or_default();
        let is_list = !self.members.contains_key("VersionNames");
        format!("{operation} {account} {region} {resources} {page} {is_list}")
    }

    /// The resource that a policy has to name for this call.
    pub(crate) fn policy_resource(&self) -> String {
        policy_resource(self.operation, &resources(self.operation, &self.members))
    }
}

/// What a call is about: the ARN of a model, a project or a role, the names in `ProjectNames`, or
/// the ID of a parent.
pub(crate) fn resources(operation: Operation, members: &Map<String, Value>) -> Vec<String> {
    let member = match operation {
        Operation::StopProjectVersion | Operation::StartProjectVersion => "ProjectVersionArn",
        Operation::DescribeProjectVersions => "ProjectArn",
        Operation::ListTagsForResource => "ResourceArn",
        Operation::DescribeProjects => "ProjectNames",
        Operation::AssumeRole => "RoleArn",
        Operation::ListAccountsForParent | Operation::ListOrganizationalUnitsForParent => {
            "ParentId"
        }
        Operation::GetCallerIdentity
        | Operation::ListAccounts
        | Operation::ListRoots
        | Operation::LookupEvents
        | Operation::Unknown => return Vec::new(),
    };
    let texts = match members.get(member) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => vec![text.as_str()],
        _ => Vec::new(),
    };
    texts.into_iter().map(str::to_owned).collect()
}

/// The resource in a policy's terms: an ARN, or `*` for an operation on no resource.
pub(crate) fn policy_resource(operation: Operation, resources: &[String]) -> String {
    let has_none =
        operation == Operation::DescribeProjects || operation.service() == Service::Organizations;
    match resources.first().filter(|_| !has_none) {
        Some(arn) => arn.clone(),
        None => "*".to_owned(),
    }
}

fn wrong_type(member: &str, what: &str) -> ServiceError {
    ServiceError::serialization(format!("{member} must be {what}"))
}

/// A member's name as the service's messages spell it: with a small first letter.
pub(crate) fn member_name(member: &str) -> String {
    let mut letters = member.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(letters)
        .collect()
}
