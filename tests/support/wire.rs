//! The connection between the SDK and the emulator: without a socket, in the same task, and
//! recording everything that the service reports.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_rekognition::config::http::{HttpRequest, HttpResponse};
use aws_sdk_rekognition::config::{HttpClient, RuntimeComponents};
use aws_sdk_rekognition::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use rekognition_emulator::{Connection, ConnectionReset, Emulator};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

/// More calls than any night needs: a program that makes calls without end would hang the test.
const MOST_CALLS: usize = 60_000;

/// An HTTP client whose calls the emulator handles in the caller's own task.
#[derive(Clone, Debug)]
pub struct Wire {
    router: Router,
    witness: Arc<Mutex<Witness>>,
}

/// What went over the wire.
#[derive(Debug, Default)]
struct Witness {
    calls: usize,
    reported: Vec<StatusReport>,
    longest_wait: Duration,
    last_begun: Option<Instant>,
    /// How long it takes to connect.
    connecting: Duration,
    /// The connections so far, and those of each service and region that carry no call.
    connections: u64,
    idle: BTreeMap<String, Vec<Connection>>,
}

/// The status of a model in a response that reached the caller, and when it did.
#[derive(Clone, Debug)]
pub struct StatusReport {
    pub at: Instant,
    pub model_arn: String,
    pub status: String,
}

impl Wire {
    pub fn new(emulator: &Emulator) -> Self {
        Self {
            router: emulator.router(),
            witness: Arc::default(),
        }
    }

    /// Takes the statuses that were reported since the last call.
    pub fn take_reports(&self) -> Vec<StatusReport> {
        std::mem::take(&mut self.witness.lock().unwrap().reported)
    }

    /// The longest time that a call was waited for, with or without a response.
    pub fn longest_wait(&self) -> Duration {
        self.witness.lock().unwrap().longest_wait
    }

    /// When the last attempt began, with or without a response.
    pub fn last_begun(&self) -> Option<Instant> {
        self.witness.lock().unwrap().last_begun
    }

    /// From now on it takes this long to connect, and nothing is connected yet.
    pub fn set_connecting(&self, connecting: Duration) {
        let mut witness = self.witness.lock().unwrap();
        witness.connecting = connecting;
        witness.idle.clear();
    }

    /// A connection to the service in a region that carries no call, or a new one.
    async fn connect(&self, place: &str) -> Connection {
        let connecting = {
            let mut witness = self.witness.lock().unwrap();
            if let Some(connection) = witness.idle.get_mut(place).and_then(Vec::pop) {
                return connection;
            }
            witness.connecting
        };
        if !connecting.is_zero() {
            sleep(connecting).await;
        }
        let mut witness = self.witness.lock().unwrap();
        witness.connections += 1;
        Connection(witness.connections)
    }

    /// The number of holders of a connection to the service.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.witness)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let _wait = Wait::new(&self.witness);
        let request = request.try_into_http1x().unwrap();
        let (mut parts, body) = request.into_parts();
        let place = place(&parts.headers);
        let connection = self.connect(&place).await;
        parts.extensions.insert(connection);
        // Read like a stream, because the SDK checks for that.
        let asked = body.collect().await.unwrap().to_bytes();
        let request = axum::http::Request::from_parts(parts, Body::from(asked.clone()));
        let Ok(answer) = self.router.clone().oneshot(request).await;
        if answer.extensions().get::<ConnectionReset>().is_some() {
            let reset = io::Error::from(io::ErrorKind::ConnectionReset);
            return Err(ConnectorError::io(reset.into()));
        }
        let (parts, body) = answer.into_parts();
        let broken = |error: axum::Error| ConnectorError::io(error.into());
        let body = body.collect().await.map_err(broken)?.to_bytes();
        let mut witness = self.witness.lock().unwrap();
        witness.idle.entry(place).or_default().push(connection);
        if parts.status == StatusCode::OK {
            witness.reported.extend(reported(&asked, &body));
        }
        Ok(HttpResponse::try_from(Response::from_parts(parts, body.into())).unwrap())
    }
}

/// The service and the region that a call is signed for.
fn place(headers: &HeaderMap) -> String {
    let signature = headers.get("authorization").unwrap().to_str().unwrap();
    let scope: Vec<&str> = signature.split('/').skip(2).take(2).collect();
    scope.join("/")
}

/// The statuses in a response: that of a stopped model, or those of a list.
fn reported(asked: &[u8], answer: &[u8]) -> Vec<StatusReport> {
    let read = |text| serde_json::from_slice::<Value>(text).unwrap_or_default();
    let (asked, answer) = (read(asked), read(answer));
    let reported = |model_arn: &Value, status: &Value| {
        Some(StatusReport {
            at: Instant::now(),
            model_arn: model_arn.as_str()?.to_owned(),
            status: status.as_str()?.to_owned(),
        })
    };
    let Some(list) = answer["ProjectVersionDescriptions"].as_array() else {
        let stopped = reported(&asked["ProjectVersionArn"], &answer["Status"]);
        return stopped.into_iter().collect();
    };
    list.iter()
        .filter_map(|version| reported(&version["ProjectVersionArn"], &version["Status"]))
        .collect()
}

/// A call that is waited for until this is dropped, either by a response or by a caller that gave
/// up.
struct Wait<'a> {
    witness: &'a Mutex<Witness>,
    since: Instant,
}

impl<'a> Wait<'a> {
    fn new(witness: &'a Mutex<Witness>) -> Self {
        let since = Instant::now();
        let mut noted = witness.lock().unwrap();
        noted.last_begun = Some(since);
        noted.calls += 1;
        let calls = noted.calls;
        drop(noted);
        assert!(calls < MOST_CALLS, "more than {MOST_CALLS} calls");
        Self { witness, since }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut witness = self.witness.lock().unwrap();
        witness.longest_wait = witness.longest_wait.max(self.since.elapsed());
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move { this.send(request).await })
    }
}
