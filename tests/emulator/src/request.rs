//! A request whose frame could be read, and the members of its body.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::arn::ProjectArn;
use crate::error::ServiceError;
use crate::identity::Identity;
use crate::operation::{Operation, Service};
use crate::page::PageToken;
use crate::wire::Frame;

/// The number of the connection that a request comes over, among the request's extensions. A caller
/// in the same process may count its own connections, or have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connection(pub u64);

/// A request whose members are still to be checked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) connection: Connection,
    pub(crate) operation: Operation,
    pub(crate) region: String,
    pub(crate) identity: Identity,
    pub(crate) members: Map<String, Value>,
}

impl Request {
    /// Puts the parts together, or says which of them is wrong, in the order in which the service
    /// asks.
    pub(crate) fn new(
        connection: Connection,
        frame: Frame,
        identity: Identity,
    ) -> Result<Self, ServiceError> {
        if frame.operation == Operation::Unknown {
            return Err(ServiceError::new(
                "UnknownOperationException",
                "The operation is not one that this service has",
            ));
        }
        let Some(Value::Object(members)) = frame.body else {
            return Err(ServiceError::serialization("The body is no JSON object"));
        };
        Ok(Self {
            connection,
            operation: frame.operation,
            region: frame.region,
            identity,
            members,
        })
    }

    pub(crate) fn service(&self) -> Service {
        self.operation.service()
    }

    fn member(&self, member: &str) -> Option<&Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    /// A member that is a string, if it is there.
    pub(crate) fn string(&self, member: &str) -> Result<Option<&str>, ServiceError> {
        let Some(value) = self.member(member) else {
            return Ok(None);
        };
        let text = value.as_str().map(Some);
        text.ok_or_else(|| wrong_type(member, "a string"))
    }

    /// A member that is a string, and must be there.
    pub(crate) fn required_string(&self, member: &str) -> Result<&str, ServiceError> {
        self.string(member)?.ok_or_else(|| missing(member))
    }

    /// A member that is a whole number in this range, if it is there.
    pub(crate) fn integer(
        &self,
        member: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, ServiceError> {
        let Some(value) = self.member(member) else {
            return Ok(None);
        };
        // A form has nothing but texts.
        let is_form = self.service() == Service::Sts;
        let text = value.as_str().filter(|_| is_form);
        let number = text.map_or_else(|| value.as_i64(), |text| text.parse().ok());
        let number = number.ok_or_else(|| wrong_type(member, "a whole number"))?;
        if range.contains(&number) {
            return Ok(Some(number));
        }
        let (least, most) = range.into_inner();
        let constraint = format!("Member must have value between {least} and {most}");
        let number = format!("'{number}'");
        Err(ServiceError::constraint(&number, member, &constraint))
    }

    /// An optional member that is a list of 1 to this many strings, each of which is allowed.
    pub(crate) fn strings(
        &self,
        member: &str,
        at_most: usize,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Result<Option<Vec<&str>>, ServiceError> {
        let Some(value) = self.member(member) else {
            return Ok(None);
        };
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        let texts = texts.filter(|_| value.is_array());
        let texts = texts.ok_or_else(|| wrong_type(member, "a list of strings"))?;
        let constraint = match texts.len() {
            n if n == 0 || n > at_most => {
                format!("Member must have length between 1 and {at_most}")
            }
            _ if !texts.iter().all(|text| is_allowed(text)) => {
                "Member must satisfy its pattern or its enum value set".to_owned()
            }
            _ => return Ok(Some(texts)),
        };
        let value = format!("'[{}]'", texts.join(", "));
        Err(ServiceError::constraint(&value, member, &constraint))
    }

    /// The token of the page that is asked for; none, and an empty one, both mean the first.
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
        let project = self.member("ProjectArn").and_then(Value::as_str);
        let project = project.and_then(ProjectArn::parse);
        let names = self.member("VersionNames").and_then(Value::as_array);
        let resources = resources(self.operation, &self.members);
        resources.iter().any(|it| it == resource)
            || project.is_some_and(|arn| arn.home.project == resource)
            || names.is_some_and(|names| names.iter().any(|name| name == resource))
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
        Operation::StopProjectVersion => "ProjectVersionArn",
        Operation::DescribeProjectVersions => "ProjectArn",
        Operation::ListTagsForResource => "ResourceArn",
        Operation::DescribeProjects => "ProjectNames",
        Operation::AssumeRole => "RoleArn",
        Operation::ListAccountsForParent | Operation::ListOrganizationalUnitsForParent => {
            "ParentId"
        }
        _ => return Vec::new(),
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

fn missing(member: &str) -> ServiceError {
    ServiceError::constraint("null", member, "Member must not be null")
}
