//! What happens if the program panics.
//!
//! There is no known way to make the function panic from outside. So its HTTP client panics here,
//! in a process that is otherwise set up like `main`: the same log, the same handler, the same
//! runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, log};
use serde_json::json;
use tokio::process::Command;

use crate::support::runtime_api::{Function, lines_of};
use crate::support::{PLENTY, arns, pattern, running_emulator, sdk_config};

/// The variable that says which call of the process panics.
const LAST_STRAW: &str = "LAST_STRAW";

/// A connector that panics at one call.
#[derive(Debug)]
struct PanicsOnce {
    connector: SharedHttpConnector,
    calls: Arc<AtomicUsize>,
    last_straw: usize,
}

impl HttpConnector for PanicsOnce {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        assert_ne!(call, self.last_straw, "the last straw");
        self.connector.call(request)
    }
}

/// The function with such a client, run as in `main`.
async fn function(last_straw: usize) {
    let subscriber = log::subscriber(|name| std::env::var(name), std::io::stdout);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::log_panics();
    let whole = aws_smithy_http_client::Builder::new().build_http();
    let calls = Arc::<AtomicUsize>::default();
    let http_client = http_client_fn(move |settings, components| {
        SharedHttpConnector::new(PanicsOnce {
            connector: whole.http_connector(settings, components),
            calls: Arc::clone(&calls),
            last_straw,
        })
    });
    let config = sdk_config(&std::env::var("AWS_ENDPOINT_URL").unwrap());
    let config = config.into_builder().http_client(http_client).build();
    let settings = Settings::read(|name| std::env::var(name));
    let handler = Handler::new(settings, Aws::new(config), |line| println!("{line}"));
    let serve = service_fn(|event: LambdaEvent<_>| handler.handle(event));
    Runtime::new(serve).run().await.unwrap();
}

#[tokio::test]
async fn a_panic_fails_its_model_or_its_pattern_and_the_process_carries_on() {
    // The function needs Lambda's environment, so it has its own process, which runs this test.
    if let Ok(last_straw) = std::env::var(LAST_STRAW) {
        return function(last_straw.parse().unwrap()).await;
    }
    let test = "panics::a_panic_fails_its_model_or_its_pattern_and_the_process_carries_on";
    let (arns, all) = (arns(5), pattern("*", "*"));
    // The first call of a pattern lists projects; those of named models stop them.
    for (entries, format, last_straw, left, message) in [
        (
            json!(arns),
            "JSON",
            "3",
            1,
            "1 of 5 models was not stopped: MODEL (Panicked: ",
        ),
        (
            json!(arns),
            "Text",
            "3",
            1,
            "1 of 5 models was not stopped: MODEL (Panicked: ",
        ),
        (
            json!([all]),
            "JSON",
            "1",
            5,
            "No model failed. 1 lookup failed: ALL (Panicked: ",
        ),
    ] {
        let emulator = running_emulator(&arns).await;
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", test, "--nocapture"]);
        let url = emulator.url();
        let environment = [
            ("AWS_ENDPOINT_URL", &*url),
            (LAST_STRAW, last_straw),
            ("CONFIRM_STOPPED", "false"),
            ("AWS_LAMBDA_LOG_FORMAT", format),
        ];
        let mut function = Function::start_program(program, &environment).await;
        let id = function.id();
        let event = json!({"model_arns": entries}).to_string();

        let answer = function.invoke(event.clone(), PLENTY).await;
        let statuses = emulator.statuses().into_iter();
        let running = Vec::from_iter(statuses.filter(|(_, status)| status == "RUNNING"));
        assert_eq!(running.len(), left);
        let expected = message.replace("MODEL", &running[0].0).replace("ALL", &all);
        let message = answer.error("NotAllStopped");
        assert!(message.starts_with(&expected), "{message}");

        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{answer:?}");
        assert!(emulator.statuses().values().all(|it| it != "RUNNING"));
        assert_eq!(function.id(), id);

        // The log has one line for the panic, in its own format.
        let log = function.end().await;
        assert_eq!(log.matches("the last straw").count(), 1, "{log}");
        let location = "tests/function/panics.rs:";
        if format == "JSON" {
            let panic = &lines_of(&log, "panic")[0];
            assert_eq!(panic["level"], "ERROR");
            assert!(panic["error"].as_str().unwrap().contains("the last straw"));
            assert!(panic["location"].as_str().unwrap().contains(location));
        } else {
            let mut lines = log
                .lines()
                .filter(|line| line.starts_with("ERROR panic error="));
            assert!(lines.next().unwrap().contains(location), "{log}");
        }
    }
}
