//! An error answer of the service.

/// An error of the service: its code, its message, and the HTTP status that carries it.
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

/// The HTTP status of an error code, by the service's reference: 500 where the caller is not to blame.
pub(crate) fn documented_status(code: &str) -> u16 {
    match code {
        "InternalServerError" | "ThrottlingException" => 500,
        _ => 400,
    }
}
