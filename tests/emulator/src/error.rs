//! An error of a service: its code and its message.

use crate::operation::Service;

/// An error of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ServiceError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// The same error under the code that the service has for it: errors are made under
    /// Rekognition's.
    pub(crate) fn of(self, service: Service) -> Self {
        let code = self.code.as_str();
        let throttled = matches!(
            code,
            "ThrottlingException" | "ProvisionedThroughputExceededException"
        );
        let code = match (service, code) {
            (Service::Organizations, _) if throttled => "TooManyRequestsException",
            (Service::CloudTrail, _) if throttled => "ThrottlingException",
            (Service::Sts, _) if throttled => "Throttling",
            (
                Service::Organizations,
                "InvalidParameterException" | "InvalidPaginationTokenException",
            ) => "InvalidInputException",
            (Service::CloudTrail, "InvalidParameterException") => "InvalidMaxResultsException",
            (Service::CloudTrail, "InvalidPaginationTokenException") => "InvalidNextTokenException",
            (Service::Sts, "AccessDeniedException") => "AccessDenied",
            (Service::Sts, "ExpiredTokenException") => "ExpiredToken",
            (Service::Sts, "InvalidParameterException") => "ValidationError",
            (Service::Sts, "UnknownOperationException") => "InvalidAction",
            (Service::Sts, "UnrecognizedClientException") => "InvalidClientTokenId",
            _ => return self,
        };
        Self::new(code, self.message)
    }

    /// A value that violates a documented constraint of a request's member.
    pub(crate) fn constraint(value: &str, member: &str, constraint: &str) -> Self {
        // As the service's messages spell a member: with a small first letter.
        let mut member = member.to_owned();
        if let Some(first) = member.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        Self::new(
            "InvalidParameterException",
            format!(
                "1 validation error detected: Value {value} at '{member}' failed to satisfy \
                 constraint: {constraint}"
            ),
        )
    }

    /// A text that does not match a member's pattern.
    pub(crate) fn pattern(value: &str, member: &str, pattern: &str) -> Self {
        let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
        Self::constraint(&format!("'{value}'"), member, &constraint)
    }

    /// A body, or a member of it, of a type that cannot be read.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    /// A resource that does not exist.
    pub(crate) fn not_found(arn: &str) -> Self {
        let message = format!("The resource {arn} was not found");
        Self::new("ResourceNotFoundException", message)
    }
}

/// The HTTP status of an error code, by the services' references: 500 where the caller is not to
/// blame.
pub(crate) fn documented_status(service: Service, code: &str) -> u16 {
    match code {
        "ThrottlingException" if service == Service::Rekognition => 500,
        "InternalServerError" | "InternalFailure" | "ServiceException" => 500,
        "AccessDenied"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "RegionDisabledException"
        | "SignatureDoesNotMatch" => 403,
        _ => 400,
    }
}
