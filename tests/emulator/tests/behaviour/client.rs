//! A small HTTP client that speaks the service's protocol, with as much of a signature as the
//! emulator reads.

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rekognition_emulator::{Emulator, Model};
use serde_json::{Value, json};

pub const REGION: &str = "us-east-1";

/// The ARN of a model version in [`REGION`].
pub fn arn(project: &str, version: &str) -> String {
    arn_with_number(project, version, 1_700_000_000_000)
}

pub fn arn_with_number(project: &str, version: &str, number: u64) -> String {
    format!(
        "arn:aws:rekognition:{REGION}:123456789012:project/{project}/version/{version}/{number}"
    )
}

pub fn model(arn: &str) -> Model {
    Model::new(arn).unwrap()
}

/// A running model, and its ARN.
pub fn running() -> (Model, String) {
    let arn = arn("cats", "v1");
    (model(&arn).status("RUNNING"), arn)
}

pub async fn with_running() -> (Emulator, String) {
    let (model, arn) = running();
    (Emulator::builder().model(model).start().await.unwrap(), arn)
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answered {
    pub http_status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn error_code(&self) -> String {
        self.json()["__type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

pub fn authorization(region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/{region}/rekognition/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0123456789abcdef"
    )
}

pub fn request(url: &str, region: &str, operation: &str, body: &Value) -> Request<Body> {
    Request::post(format!("{url}/"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("RekognitionService.{operation}"))
        .header("authorization", authorization(region))
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub async fn read(
    response: Response<impl BodyExt<Error: std::fmt::Debug>>,
) -> Result<Answered, String> {
    let (parts, body) = response.into_parts();
    let bytes = body
        .collect()
        .await
        .map_err(|error| format!("{error:?}"))?
        .to_bytes();
    Ok(Answered {
        http_status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    })
}

/// A client with kept connections; each call is one attempt.
#[derive(Clone)]
pub struct Caller {
    url: String,
    region: String,
    http: Client<HttpConnector, Body>,
}

impl Caller {
    pub fn new(emulator: &Emulator) -> Self {
        Self::of_url(&emulator.url())
    }

    pub fn of_url(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            region: REGION.to_owned(),
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub fn in_region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    pub async fn send(&self, request: Request<Body>) -> Result<Answered, String> {
        let response = self.http.request(request).await;
        read(response.map_err(|error| format!("{error:?}"))?).await
    }

    pub async fn try_call(&self, operation: &str, body: Value) -> Result<Answered, String> {
        let request = request(&self.url, &self.region, operation, &body);
        self.send(request).await
    }

    pub async fn call(&self, operation: &str, body: Value) -> Answered {
        self.try_call(operation, body).await.unwrap()
    }

    pub async fn stop(&self, arn: &str) -> Answered {
        self.call("StopProjectVersion", json!({ "ProjectVersionArn": arn }))
            .await
    }

    pub async fn try_stop(&self, arn: &str) -> Result<Answered, String> {
        let body = json!({ "ProjectVersionArn": arn });
        self.try_call("StopProjectVersion", body).await
    }
}
