//! The process: logging, settings, AWS configuration, serve.

// Not in Cargo.toml, where they would hold for the tests' helpers as well.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::process::ExitCode;

use lambda_runtime::tower::util::MapRequestLayer;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use rekognition_stopper::aws::Aws;
use rekognition_stopper::request::skip_byte_order_mark;
use rekognition_stopper::settings::Settings;
use rekognition_stopper::{Handler, log};

/// The variables that Lambda sets for every function, and that the runtime requires.
const LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if !is_in_lambda() {
        eprintln!(
            "rekognition-stopper is an AWS Lambda function that stops Rekognition Custom Labels models; try it \
             with `cargo run --example nightly`, or run it here with `cargo lambda watch`"
        );
        return ExitCode::FAILURE;
    }

    let subscriber = log::subscriber(|name| std::env::var(name), std::io::stdout);
    if let Err(error) = tracing::subscriber::set_global_default(subscriber) {
        eprintln!("the log could not be set up: {error}");
    }
    log::log_panics();
    let settings = Settings::read(|name| std::env::var(name));
    let handler = Handler::new(settings, Aws::from_env(), std::io::stdout());
    let serve = service_fn(|event: LambdaEvent<_>| handler.handle(event));
    let runtime = Runtime::new(serve).layer(MapRequestLayer::new(skip_byte_order_mark));
    match runtime.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the Lambda runtime has ended");
            ExitCode::FAILURE
        }
    }
}

/// Whether the variables are set without which the runtime panics.
fn is_in_lambda() -> bool {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let memory = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    LAMBDA.into_iter().all(is_set) && memory.is_ok_and(|size| size.parse::<i32>().is_ok())
}
