//! A call as it comes in: who asks, for what, and where.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::arn::ProjectArn;
use crate::error::ServiceError;
use crate::operation::Operation;
use crate::page::{ListEnd, PageToken};

/// A request whose frame could be read; its members are still to be checked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) region: String,
    pub(crate) members: Map<String, Value>,
    /// The most items of a page, however many are asked for.
    pub(crate) page_size: u32,
    /// What stands on a list's last page for a token.
    pub(crate) list_end: ListEnd,
}

/// What a signature's credential scope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
}

impl Scope {
    /// Reads `Credential=KEY/DATE/REGION/rekognition/aws4_request` from the `Authorization` header.
    /// The signature itself is not checked.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get("authorization")?.to_str().ok()?;
        let (_, credential) = header
            .strip_prefix("AWS4-HMAC-SHA256")?
            .split_once("Credential=")?;
        let credential = credential.split([',', ' ']).next()?;
        // From the end: an access key may hold anything.
        let mut parts = credential.rsplitn(5, '/');
        let (terminator, service) = (parts.next()?, parts.next()?);
        let (region, _date, access_key) = (parts.next()?, parts.next()?, parts.next()?);
        let valid = terminator == "aws4_request"
            && service == "rekognition"
            && !region.is_empty()
            && !access_key.is_empty();
        valid.then(|| Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
        })
    }
}

/// The operation that the `X-Amz-Target` header names.
pub(crate) fn operation_of(headers: &HeaderMap) -> Operation {
    headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok()?.strip_prefix("RekognitionService."))
        .map_or(Operation::Unknown, Operation::from_name)
}

impl Request {
    /// Puts the parts together, or says which of them is wrong, in the order in which the service asks.
    pub(crate) fn new(
        scope: Option<&Scope>,
        operation: Operation,
        body: Option<Value>,
        page_size: u32,
        list_end: ListEnd,
    ) -> Result<Self, ServiceError> {
        let scope = scope.ok_or_else(|| {
            ServiceError::new(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        })?;
        if operation == Operation::Unknown {
            return Err(ServiceError::new(
                "UnknownOperationException",
                "The operation is not one that this service has",
            ));
        }
        match body {
            Some(Value::Object(members)) => Ok(Self {
                operation,
                region: scope.region.clone(),
                members,
                page_size,
                list_end,
            }),
            _ => Err(ServiceError::serialization("The body is no JSON object")),
        }
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
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| wrong_type(member, "a whole number")),
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
        match self.operation {
            Operation::DescribeProjects | Operation::DescribeProjectVersions => {
                match self.next_token().ok()? {
                    None => Some(1),
                    Some(token) => Some(PageToken::read(token)?.page),
                }
            }
            _ => None,
        }
    }

    /// Whether the call is on this resource: a model's ARN, or a project's ARN or name.
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
            }
        }
    }

    /// The resource that a policy has to name for this call.
    pub(crate) fn policy_resource(&self) -> String {
        policy_resource(self.operation, &resources(self.operation, &self.members))
    }
}

/// What a call is about: the ARN of a model or a project, or the names in `ProjectNames`.
pub(crate) fn resources(operation: Operation, members: &Map<String, Value>) -> Vec<String> {
    let member = match operation {
        Operation::StopProjectVersion | Operation::StartProjectVersion => "ProjectVersionArn",
        Operation::DescribeProjectVersions => "ProjectArn",
        Operation::ListTagsForResource => "ResourceArn",
        Operation::DescribeProjects => "ProjectNames",
        Operation::Unknown => return Vec::new(),
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
    match (operation, resources.first()) {
        (Operation::DescribeProjects | Operation::Unknown, _) | (_, None) => "*".to_owned(),
        (_, Some(arn)) => arn.clone(),
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
