//! An error answer of a service.

use crate::operation::Service;

/// An error of a service: its code, its message, and the HTTP status that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) http_status: u16,
}

impl ServiceError {
    /// An error with the HTTP status that the service documents for its code.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            http_status: documented_status(code),
        }
    }

    /// The same error under the code that the service has for it: errors are made under
    /// Rekognition's.
    pub(crate) fn of(mut self, service: Service) -> Self {
        let code = match (service, self.code.as_str()) {
            (Service::Organizations, "InvalidParameterException") => "InvalidInputException",
            (Service::Organizations, "InvalidPaginationTokenException") => "InvalidInputException",
            (
                Service::Organizations,
                "ThrottlingException" | "ProvisionedThroughputExceededException",
            ) => "TooManyRequestsException",
            (Service::CloudTrail, "InvalidParameterException") => "InvalidMaxResultsException",
            (Service::CloudTrail, "InvalidPaginationTokenException") => "InvalidNextTokenException",
            (
                Service::CloudTrail,
                "ThrottlingException" | "ProvisionedThroughputExceededException",
            ) => "ThrottlingException",
            (Service::Sts, "AccessDeniedException") => "AccessDenied",
            (Service::Sts, "ExpiredTokenException") => "ExpiredToken",
            (Service::Sts, "InvalidParameterException") => "ValidationError",
            (Service::Sts, "MissingAuthenticationTokenException") => "MissingAuthenticationToken",
            (Service::Sts, "SerializationException") => "MalformedQueryString",
            (Service::Sts, "ThrottlingException" | "ProvisionedThroughputExceededException") => {
                "Throttling"
            }
            (Service::Sts, "UnknownOperationException") => "InvalidAction",
            (Service::Sts, "UnrecognizedClientException") => "InvalidClientTokenId",
            _ => return self,
        };
        self.http_status = match service {
            Service::CloudTrail => 400,
            _ => documented_status(code),
        };
        self.code = code.to_owned();
        self
    }

    /// A value that violates a documented constraint of a request's member.
    pub(crate) fn constraint(value: &str, member: &str, constraint: &str) -> Self {
        Self::new(
            "InvalidParameterException",
            format!(
                "1 validation error detected: Value '{value}' at '{member}' failed to satisfy \
                 constraint: {constraint}"
            ),
        )
    }

    /// A required member that is missing.
    pub(crate) fn missing(member: &str) -> Self {
        Self::new(
            "InvalidParameterException",
            format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy \
                 constraint: Member must not be null"
            ),
        )
    }

    /// A body, or a member of it, of a type that cannot be read.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    /// A resource that does not exist.
    pub(crate) fn not_found(arn: &str) -> Self {
        Self::new(
            "ResourceNotFoundException",
            format!("The resource {arn} was not found"),
        )
    }
}

/// The HTTP status of an error code, by the services' references: 500 where the caller is not to
/// blame.
pub(crate) fn documented_status(code: &str) -> u16 {
    match code {
        "InternalServerError" | "ThrottlingException" => 500,
        "InternalFailure" | "ServiceException" => 500,
        "AccessDenied"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch" => 403,
        _ => 400,
    }
}
