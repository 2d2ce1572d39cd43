//! HTTP answers, whole and broken.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use http_body::Frame;
use serde_json::{Value, json};

use crate::error::{ServiceError, documented_status};
use crate::fault::FaultKind;
use crate::operation::{Operation, Service};
use crate::xml;

/// The mark of an answer that must not be given: the connection is to break instead.
///
/// The server of [`Builder::start`](crate::Builder::start) breaks it. In-process, where there is no
/// connection, the answer of [`Emulator::router`](crate::Emulator::router) carries this type among
/// its extensions, and the caller fails the request as one whose connection was reset:
///
/// ```
/// # use axum::{body::Body, http::Response};
/// use rekognition_emulator::ConnectionReset;
/// use std::io;
///
/// fn as_a_connection_would(response: Response<Body>) -> io::Result<Response<Body>> {
///     match response.extensions().get::<ConnectionReset>() {
///         Some(ConnectionReset) => Err(io::ErrorKind::ConnectionReset.into()),
///         None => Ok(response),
///     }
/// }
/// # assert!(as_a_connection_would(Response::new(Body::empty())).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionReset;

/// The answer to an operation that went well.
pub(crate) fn success(operation: Operation, answer: &Value) -> Response<Body> {
    let service = operation.service();
    let id = request_id();
    let body = match service {
        Service::Sts => xml::success(operation, answer, &id),
        _ => answer.to_string(),
    };
    build(200, content_type(service), &id, Body::from(body))
}

/// The answer with an error of the service.
pub(crate) fn error(service: Service, error: &ServiceError) -> Response<Body> {
    let id = request_id();
    let body = match service {
        Service::Sts => xml::error(error, &id),
        _ => json!({ "__type": error.code, "message": error.message }).to_string(),
    };
    let content_type = content_type(service);
    build(error.http_status, content_type, &id, Body::from(body))
}

/// The content type of the service's protocol.
fn content_type(service: Service) -> &'static str {
    match service {
        Service::Sts => "text/xml",
        _ => "application/x-amz-json-1.1",
    }
}

/// The answer of a fault that has its own; the others keep the normal one.
pub(crate) fn faulty(service: Service, kind: &FaultKind) -> Response<Body> {
    let good = |body| build(200, content_type(service), &request_id(), body);
    match kind {
        FaultKind::Error {
            code,
            http_status,
            message,
        } => {
            let scripted = ServiceError {
                code: code.clone(),
                message: message.clone(),
                http_status: http_status.unwrap_or_else(|| documented_status(code)),
            };
            error(service, &scripted)
        }
        FaultKind::HttpStatus(status, body) => {
            let body = Body::from(body.clone());
            build(*status, "text/plain", &request_id(), body)
        }
        FaultKind::Garbage(body) => good(Body::from(body.clone())),
        FaultKind::Truncated => truncated(good(Body::new(BrokenBody::Start))),
        FaultKind::Reset => {
            let mut response = good(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response.extensions_mut().insert(ConnectionReset);
            response
        }
        FaultKind::EmptyBody
        | FaultKind::Hang
        | FaultKind::Delay(_)
        | FaultKind::StatusOverride(_) => good(Body::empty()),
    }
}

/// Declares a body of 64 bytes, of which a dozen come.
fn truncated(mut response: Response<Body>) -> Response<Body> {
    let declared = HeaderValue::from_static("64");
    response.headers_mut().insert("content-length", declared);
    response
}

/// The same answer with white space after its body, up to this many bytes.
pub(crate) fn padded(response: Response<Body>, bytes: u64) -> Response<Body> {
    response.map(|body| Body::new(PaddedBody { body, left: bytes }))
}

fn build(status: u16, content_type: &'static str, id: &str, body: Body) -> Response<Body> {
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

/// A request id in the form of the service's, counted up.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// A body that begins, lets what it began go out, and then fails.
enum BrokenBody {
    Start,
    Sent,
    Broken,
}

impl http_body::Body for BrokenBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match *self {
            BrokenBody::Start => {
                *self = BrokenBody::Sent;
                let beginning = Bytes::from_static(br#"{"Status": ""#);
                Poll::Ready(Some(Ok(Frame::data(beginning))))
            }
            // Once around, so that the server writes the beginning before the connection goes.
            BrokenBody::Sent => {
                *self = BrokenBody::Broken;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            BrokenBody::Broken => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }
}

/// A body followed by white space until it has this many bytes.
struct PaddedBody {
    body: Body,
    left: u64,
}

/// What is sent at a time.
static PADDING: [u8; 1 << 16] = [b' '; 1 << 16];

impl http_body::Body for PaddedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let begun = ready!(Pin::new(&mut self.body).poll_frame(context));
        let frame = begun.or_else(|| {
            let piece = PADDING
                .len()
                .min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let piece = PADDING.get(..piece).filter(|piece| !piece.is_empty())?;
            Some(Ok(Frame::data(Bytes::from_static(piece))))
        });
        if let Some(Ok(frame)) = &frame {
            let sent = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.left = self.left.saturating_sub(sent);
        }
        Poll::Ready(frame)
    }
}
