//! A connection to the emulator on which every attempt fares as the test decides.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_rekognition::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rekognition_emulator::{Emulator, Operation, Service};
use tokio::time::{Instant, sleep};

use super::wire::Wire;

/// More attempts than any run needs. Those of a program that retries without a pause hang from
/// there on, so that the test does not.
const MOST_ATTEMPTS: usize = 30_000;

/// How an attempt fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reaches the service, and its response comes back.
    Passes,
    /// The same, with this time in the response's `Date` header.
    PassesDated(SystemTime),
    /// It is refused with this HTTP status and this code, and never reaches the service.
    Refused(u16, &'static str),
    /// The status alone comes back, as from a load balancer.
    Status(u16),
    /// It is throttled, with the service's own code for that.
    Throttled,
    /// There is never a response.
    Hangs,
    /// The connection breaks before the request is sent.
    Breaks,
}

/// An attempt of a call, as it leaves the program.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub at: Instant,
    pub operation: Operation,
    pub region: String,
    pub access_key: String,
    /// JSON, or the text of a form.
    pub body: String,
    /// The time of the signature, as `20261129T224400Z`.
    pub signed_at: String,
    /// Which attempt it is with this body, from 1. Status checks of the same models are attempts
    /// with the same body.
    pub number: usize,
    /// Which attempt of its operation it is, from 1.
    pub of_operation: usize,
}

impl Attempt {
    /// Whether the request mentions this name or ARN.
    pub fn mentions(&self, text: &str) -> bool {
        self.body.contains(&format!("\"{text}\"")) || self.body.contains(&form_encoded(text))
    }
}

/// A text as it is in the body of a form.
fn form_encoded(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

type Decide = Box<dyn FnMut(&Attempt) -> Fate + Send>;

/// An HTTP client whose attempts fare as a closure decides.
#[derive(Clone)]
pub struct Troubled {
    wire: Wire,
    shared: Arc<Mutex<Shared>>,
    connecting: Duration,
}

struct Shared {
    decide: Decide,
    attempts: Vec<(Attempt, Fate)>,
    by_body: BTreeMap<(String, String, String), usize>,
    by_operation: BTreeMap<Operation, usize>,
    in_flight: BTreeMap<(Operation, String), InFlight>,
    idle_connections: BTreeMap<String, usize>,
}

#[derive(Clone, Copy, Default)]
struct InFlight {
    now: usize,
    most: usize,
}

impl Troubled {
    pub fn new(emulator: &Emulator, decide: impl FnMut(&Attempt) -> Fate + Send + 'static) -> Self {
        Self {
            wire: Wire::new(emulator),
            shared: Arc::new(Mutex::new(Shared {
                decide: Box::new(decide),
                attempts: Vec::new(),
                by_body: BTreeMap::new(),
                by_operation: BTreeMap::new(),
                in_flight: BTreeMap::new(),
                idle_connections: BTreeMap::new(),
            })),
            connecting: Duration::ZERO,
        }
    }

    /// An attempt that finds no idle connection to its region takes this long to connect.
    pub fn connecting_takes(mut self, duration: Duration) -> Self {
        self.connecting = duration;
        self
    }

    /// Every attempt so far, and how it fared.
    pub fn attempts(&self) -> Vec<(Attempt, Fate)> {
        self.shared.lock().unwrap().attempts.clone()
    }

    /// When the service first reported each model with this status, in seconds since then.
    pub fn first_reports(&self, status: &str, since: Instant) -> BTreeMap<String, f64> {
        let mut first = BTreeMap::new();
        for report in self.wire.take_reports() {
            if report.status == status {
                let seconds = (report.at - since).as_secs_f64();
                first.entry(report.model_arn).or_insert(seconds);
            }
        }
        first
    }

    /// The most calls of an operation in a region that were ever in flight at once.
    pub fn most_in_flight(&self, operation: Operation, region: &str) -> usize {
        let place = (operation, region.to_owned());
        let shared = self.shared.lock().unwrap();
        shared.in_flight.get(&place).map_or(0, |calls| calls.most)
    }

    async fn attempt(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let (attempt, fate) = self.shared.lock().unwrap().begin(&request);
        let _in_flight = OnDrop(|| self.shared.lock().unwrap().end(&attempt));
        if !self.connecting.is_zero() && !self.shared.lock().unwrap().take_connection(&attempt) {
            sleep(self.connecting).await;
        }
        let response = match fate {
            Fate::Passes => self.wire.call(request).await,
            Fate::PassesDated(time) => self.wire.call(request).await.map(|it| dated(it, time)),
            Fate::Refused(status, code) => Ok(refusal(attempt.operation, status, code)),
            Fate::Status(status) => Ok(response(status, String::new())),
            Fate::Throttled => {
                let (status, code) = throttling(attempt.operation.service());
                Ok(refusal(attempt.operation, status, code))
            }
            Fate::Hangs => std::future::pending().await,
            Fate::Breaks => {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                Err(ConnectorError::io(reset.into()))
            }
        };
        if response.is_ok() {
            self.shared.lock().unwrap().keep_connection(&attempt);
        }
        response
    }
}

impl Shared {
    fn begin(&mut self, request: &HttpRequest) -> (Attempt, Fate) {
        let mut attempt = read(request);
        let call = (
            attempt.access_key.clone(),
            attempt.region.clone(),
            format!("{} {}", attempt.operation, attempt.body),
        );
        attempt.number = counted(self.by_body.entry(call).or_default());
        attempt.of_operation = counted(self.by_operation.entry(attempt.operation).or_default());
        let fate = match self.attempts.len() {
            ..MOST_ATTEMPTS => (self.decide)(&attempt),
            _ => Fate::Hangs,
        };
        self.attempts.push((attempt.clone(), fate));
        let in_flight = self.in_flight.entry(place(&attempt)).or_default();
        in_flight.now += 1;
        in_flight.most = in_flight.most.max(in_flight.now);
        (attempt, fate)
    }

    fn end(&mut self, attempt: &Attempt) {
        self.in_flight.entry(place(attempt)).or_default().now -= 1;
    }

    /// Whether there was an idle connection for the attempt.
    fn take_connection(&mut self, attempt: &Attempt) -> bool {
        let idle = self.idle_connections.entry(attempt.region.clone());
        let idle = idle.or_default();
        let found = *idle > 0;
        *idle = idle.saturating_sub(1);
        found
    }

    fn keep_connection(&mut self, attempt: &Attempt) {
        *self
            .idle_connections
            .entry(attempt.region.clone())
            .or_default() += 1;
    }
}

/// Whatever comes of an attempt, given up or not, it ends.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn counted(count: &mut usize) -> usize {
    *count += 1;
    *count
}

fn place(attempt: &Attempt) -> (Operation, String) {
    (attempt.operation, attempt.region.clone())
}

/// What a signed request says of itself.
fn read(request: &HttpRequest) -> Attempt {
    let header = |name| request.headers().get(name).unwrap_or_default();
    let body = request.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body).into_owned();
    let credential = header("authorization").split_once("Credential=");
    let credential = credential.map_or("", |(_, credential)| credential);
    let mut scope = credential.split('/');
    let access_key = scope.next().unwrap_or_default().to_owned();
    let region = scope.nth(1).unwrap_or_default().to_owned();
    let action = body.strip_prefix("Action=").unwrap_or_default();
    let operation = match header("x-amz-target").rsplit('.').next() {
        Some("") | None => action.split('&').next().unwrap_or_default(),
        Some(target) => target,
    };
    Attempt {
        at: Instant::now(),
        operation: Operation::from_name(operation),
        region,
        access_key,
        signed_at: header("x-amz-date").to_owned(),
        body,
        number: 0,
        of_operation: 0,
    }
}

/// How a service throttles.
fn throttling(service: Service) -> (u16, &'static str) {
    match service {
        Service::Organizations => (400, "TooManyRequestsException"),
        Service::Sts => (400, "Throttling"),
        _ => (400, "ThrottlingException"),
    }
}

fn refusal(operation: Operation, status: u16, code: &str) -> HttpResponse {
    let message = format!("{code} by the test");
    response(
        status,
        match operation.service() {
            Service::Sts => format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                 <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>1</RequestId></ErrorResponse>"
            ),
            _ => serde_json::json!({"__type": code, "message": message}).to_string(),
        },
    )
}

/// A response with the true time in its `Date` header.
fn response(status: u16, body: String) -> HttpResponse {
    let response = HttpResponse::new(status.try_into().unwrap(), body.into());
    dated(response, SystemTime::now())
}

fn dated(mut response: HttpResponse, time: SystemTime) -> HttpResponse {
    let date = DateTime::from(time).fmt(DateTimeFormat::HttpDate).unwrap();
    response.headers_mut().insert("date", date);
    response
}

impl fmt::Debug for Troubled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Troubled").finish_non_exhaustive()
    }
}

impl HttpClient for Troubled {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Troubled {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move { this.attempt(request).await })
    }
}

/// Whether this attempt is one of those that chance picks, at this share. The same attempt of the
/// same call is always picked or never, whenever it is made.
pub fn picked(seed: u64, share: f64, attempt: &Attempt) -> bool {
    let call = format!("{}{}{}", attempt.operation, attempt.region, attempt.body);
    // FNV-1a.
    let hash = call.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let number = u64::try_from(attempt.number).unwrap();
    fastrand::Rng::with_seed(hash ^ seed << 32 ^ number).f64() < share
}
