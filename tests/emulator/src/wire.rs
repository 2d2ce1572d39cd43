//! The wire: what the headers and the body of a call say, and the responses, whole and broken.
//!
//! Rekognition, Organizations and CloudTrail speak JSON 1.1. STS speaks the query protocol: a form,
//! which gets XML.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::error::{ServiceError, documented_status};
use crate::faults::FaultKind;
use crate::operation::{Operation, Service};

/// A call as it came in, before anything of it is checked. The signature itself never is.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) is_signed: bool,
    /// Rekognition, if there is no readable signature; the access key and the region are empty
    /// then.
    pub(crate) service: Service,
    pub(crate) access_key: String,
    pub(crate) region: String,
    /// The token that comes with a session's access key.
    pub(crate) token: Option<String>,
    pub(crate) operation: Operation,
    /// A form is an object of strings; none if the body cannot be read.
    pub(crate) body: Option<Value>,
}

impl Frame {
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let text_of = |name| headers.get(name)?.to_str().ok();
        let scope = text_of("authorization").and_then(read_scope);
        let is_signed = scope.is_some();
        let (access_key, region, service) = scope.unwrap_or(("", "", Service::Rekognition));
        let body = match service {
            Service::Sts => {
                let members = form_urlencoded::parse(body);
                let members = members.map(|(member, value)| (member.into_owned(), value.into()));
                Some(Value::Object(members.collect()))
            }
            _ => serde_json::from_slice(body).ok(),
        };
        let name = match service.target_prefix() {
            Some(prefix) => text_of("x-amz-target").and_then(|target| {
                // Of CloudTrail, botocore's clients name the package as well.
                let package = "com.amazonaws.cloudtrail.v20131101.";
                let target = target.strip_prefix(package).unwrap_or(target);
                target.strip_prefix(prefix)
            }),
            None => body.as_ref().and_then(|body| body.get("Action")?.as_str()),
        };
        let operation = name.map(Operation::from_name);
        let operation = operation.filter(|it| it.service() == service);
        Self {
            is_signed,
            service,
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            token: text_of("x-amz-security-token").map(str::to_owned),
            operation: operation.unwrap_or(Operation::Unknown),
            body,
        }
    }
}

/// The access key, the region and the service of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn read_scope(authorization: &str) -> Option<(&str, &str, Service)> {
    let (_, credential) = authorization
        .strip_prefix("AWS4-HMAC-SHA256")?
        .split_once("Credential=")?;
    let credential = credential.split([',', ' ']).next()?;
    // From the end: an access key may hold anything.
    let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
    let ["aws4_request", service, region, _date, access_key] = parts[..] else {
        return None;
    };
    let valid = !region.is_empty() && !access_key.is_empty();
    let service = Service::from_name(service).filter(|_| valid)?;
    Some((access_key, region, service))
}

/// The mark, among a response's extensions, that the connection is to break instead. The server
/// breaks it; a caller in the same process fails the request as one whose connection was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionReset;

/// The response of an operation that went well. What is null in it is not there.
pub(crate) fn success(operation: Operation, mut value: Value) -> Response<Body> {
    remove_nulls(&mut value);
    let service = operation.service();
    let id = request_id();
    let text = match service {
        Service::Sts => format!(
            "<{operation}Response xmlns=\"{NAMESPACE}\">\
             <{operation}Result>{}</{operation}Result>\
             <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
             </{operation}Response>",
            xml(&value)
        ),
        _ => value.to_string(),
    };
    response(200, content_type(service), &id, text.into())
}

/// Removes the members that are null, which services leave out.
pub(crate) fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// The response with an error of the service, with the HTTP status that is documented for its code
/// or with another.
pub(crate) fn error(
    service: Service,
    error: &ServiceError,
    http_status: Option<u16>,
) -> Response<Body> {
    let id = request_id();
    let status = http_status.unwrap_or_else(|| documented_status(service, &error.code));
    let text = match service {
        Service::Sts => format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{}</Type><Code>{}</Code>\
             <Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
            if status < 500 { "Sender" } else { "Receiver" },
            escaped(&error.code),
            escaped(&error.message)
        ),
        Service::Organizations => {
            json!({ "__type": error.code, "Message": error.message }).to_string()
        }
        _ => json!({ "__type": error.code, "message": error.message }).to_string(),
    };
    response(status, content_type(service), &id, text.into())
}

/// The response of a fault that sends neither the normal response nor an error of the service.
pub(crate) fn broken(service: Service, kind: &FaultKind) -> Response<Body> {
    let id = request_id();
    let good = |body| response(200, content_type(service), &id, body);
    match kind {
        FaultKind::HttpStatus(status, body) => {
            response(*status, "text/plain", &id, body.clone().into())
        }
        FaultKind::Garbage(body) => good(body.clone().into()),
        FaultKind::Truncated => {
            let mut response = good(truncated());
            let declared = HeaderValue::from_static("64");
            response.headers_mut().insert("content-length", declared);
            response
        }
        FaultKind::Reset => {
            let mut response = good(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response.extensions_mut().insert(ConnectionReset);
            response
        }
        _ => good(Body::empty()),
    }
}

/// A dozen bytes, and then the end of the connection.
fn truncated() -> Body {
    let beginning = stream::iter([Ok(Bytes::from_static(br#"{"Status": ""#))]);
    // Once around, so that the server writes the beginning before the connection goes.
    let mut is_sent = false;
    let end = stream::once(poll_fn(move |context| {
        if mem::replace(&mut is_sent, true) {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    Body::from_stream(beginning.chain(end))
}

/// The same response with white space after its body, up to this many bytes. It is sent in pieces
/// that are not held, and no header says how much is to come.
pub(crate) async fn padded(response: Response<Body>, bytes: u64) -> Response<Body> {
    static PADDING: [u8; 1 << 16] = [b' '; 1 << 16];
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.unwrap_or_default();
    let missing = bytes.saturating_sub(body.len() as u64);
    let pieces = missing.div_ceil(PADDING.len() as u64);
    let pieces = (0..pieces).map(move |piece| {
        let left = missing - piece * PADDING.len() as u64;
        let length = PADDING
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        Bytes::from_static(PADDING.get(..length).unwrap_or_default())
    });
    let pieces = [body].into_iter().chain(pieces).map(Ok::<_, io::Error>);
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
}

fn response(status: u16, content_type: &'static str, id: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

fn content_type(service: Service) -> &'static str {
    match service {
        Service::Sts => "text/xml",
        _ => "application/x-amz-json-1.1",
    }
}

/// A request id in the form of the service's, counted up.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("00000000-0000-4000-8000-{number:012x}")
}

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An element for each member, and a text as it is.
fn xml(value: &Value) -> String {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("<{name}>{}</{name}>", xml(value)))
            .collect(),
        Value::String(text) => escaped(text),
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}
