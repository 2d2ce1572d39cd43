//! What happens if the program panics.
//!
//! There is no known way to make the function panic from outside. So its HTTP client panics here,
//! in a process that is otherwise set up like `main`: the same log, the same handler, the same
//! runtime.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use rekognition_emulator::Emulator;
use rekognition_stopper::aws::Aws;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, log};
use serde_json::json;
use support::runtime_api::{Function, lines_of};
use support::{PLENTY, arns, pattern, running_emulator, sdk_config};
use tokio::process::Command;

/// The emulator's address, for the process that panics.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_REKOGNITION";
/// The variable that says which call of the process panics.
const LAST_STRAW: &str = "LAST_STRAW";

/// An HTTP client that panics once.
#[derive(Clone, Debug)]
struct PanicsOnce {
    http_client: SharedHttpClient,
    calls: Arc<AtomicUsize>,
    last_straw: usize,
}

impl HttpClient for PanicsOnce {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(PanicsOnceConnector {
            connector: self.http_client.http_connector(settings, components),
            calls: Arc::clone(&self.calls),
            last_straw: self.last_straw,
        })
    }
}

#[derive(Debug)]
struct PanicsOnceConnector {
    connector: SharedHttpConnector,
    calls: Arc<AtomicUsize>,
    last_straw: usize,
}

impl HttpConnector for PanicsOnceConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        assert_ne!(call, self.last_straw, "the last straw");
        self.connector.call(request)
    }
}

/// The function with such a client, run as in `main`.
async fn function(endpoint_url: &str) {
    let subscriber = log::subscriber(|name| std::env::var(name), std::io::stdout);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::log_panics();
    let settings = Settings::read(|name| std::env::var(name));
    let http_client = PanicsOnce {
        http_client: aws_smithy_http_client::Builder::new().build_http(),
        calls: Arc::default(),
        last_straw: std::env::var(LAST_STRAW).unwrap().parse().unwrap(),
    };
    let config = sdk_config(endpoint_url)
        .into_builder()
        .http_client(http_client)
        .build();
    let handler = Handler::new(settings, Aws::new(config), |line| println!("{line}"));
    let serve = service_fn(|event: LambdaEvent<_>| handler.handle(event));
    Runtime::new(serve).run().await.unwrap();
}

/// The function in a process of its own, because it needs Lambda's environment: it runs the test
/// with this name again.
async fn start(test: &str, emulator: &Emulator, format: &str, last_straw: &str) -> Function {
    let url = emulator.url();
    let variables = [
        (ENDPOINT, &*url),
        (LAST_STRAW, last_straw),
        ("CONFIRM_STOPPED", "false"),
        ("AWS_LAMBDA_LOG_FORMAT", format),
    ];
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", test, "--nocapture"]);
    Function::start_program(program, &variables).await
}

/// Asserts that the log has one line for the panic, in its own format.
fn check_panic_line(log: &str, format: &str) {
    if format == "JSON" {
        let panics = lines_of(log, "panic");
        let [panic] = &panics[..] else {
            panic!("{log}");
        };
        assert_eq!(panic["level"], "ERROR");
        let said = panic["error"].as_str().unwrap();
        assert!(said.contains("the last straw"), "{said}");
        let location = panic["location"].as_str().unwrap();
        assert!(location.contains("tests/panics.rs:"), "{location}");
    } else {
        let mut panics = log.lines().filter(|line| line.contains("the last straw"));
        let panic = panics.next().unwrap();
        assert!(panic.starts_with("ERROR panic error="), "{panic}");
        assert!(panic.contains("tests/panics.rs:"), "{panic}");
        assert_eq!(panics.next(), None);
    }
}

#[tokio::test]
async fn a_panic_over_one_model_fails_that_model_and_the_others_are_stopped() {
    if let Ok(endpoint_url) = std::env::var(ENDPOINT) {
        return function(&endpoint_url).await;
    }
    let test = "a_panic_over_one_model_fails_that_model_and_the_others_are_stopped";
    for format in ["JSON", "Text"] {
        let arns = arns(5);
        let emulator = running_emulator(&arns).await;
        let mut function = start(test, &emulator, format, "3").await;
        let event = json!({"model_arns": arns}).to_string();

        let answer = function.invoke(event.clone(), PLENTY).await;
        assert!(!answer.is_ok, "{answer:?}");
        assert_eq!(answer.body["errorType"], "NotAllStopped");
        let left: Vec<&String> = arns
            .iter()
            .filter(|arn| emulator.status(arn).unwrap() == "RUNNING")
            .collect();
        let [left] = left[..] else {
            panic!("{left:?}");
        };
        let message = answer.body["errorMessage"].as_str().unwrap();
        let expected = format!("1 of 5 models was not stopped: {left} (Panicked: ");
        assert!(message.starts_with(&expected), "{message}");

        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{answer:?}");
        assert!(emulator.statuses().values().all(|it| it != "RUNNING"));
        let output = function.end_with_output().await;
        assert_eq!(output.stderr, "");
        check_panic_line(&output.stdout, format);
    }
}

#[tokio::test]
async fn a_panic_over_a_pattern_fails_that_pattern_and_the_process_carries_on() {
    if let Ok(endpoint_url) = std::env::var(ENDPOINT) {
        return function(&endpoint_url).await;
    }
    let test = "a_panic_over_a_pattern_fails_that_pattern_and_the_process_carries_on";
    for format in ["JSON", "Text"] {
        let arns = arns(5);
        let emulator = running_emulator(&arns).await;
        // The first call of a pattern lists projects.
        let mut function = start(test, &emulator, format, "1").await;
        let id = function.id();
        let pattern = pattern("*", "*");
        let event = json!({"model_arns": [pattern]}).to_string();

        let answer = function.invoke(event.clone(), PLENTY).await;
        assert!(!answer.is_ok, "{answer:?}");
        assert_eq!(answer.body["errorType"], "NotAllStopped");
        let message = answer.body["errorMessage"].as_str().unwrap();
        let expected = format!("No model failed. 1 lookup failed: {pattern} (Panicked: ");
        assert!(message.starts_with(&expected), "{message}");

        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{answer:?}");
        assert_eq!(answer.body["summary"]["models"], 5);
        assert!(emulator.statuses().values().all(|it| it != "RUNNING"));
        assert_eq!(function.id(), id);

        let output = function.end_with_output().await;
        assert_eq!(output.stderr, "");
        check_panic_line(&output.stdout, format);
    }
}
