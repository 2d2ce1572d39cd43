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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Lambda sets it for every function, and the runtime requires it.
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        eprintln!(
            "rekognition-stopper is an AWS Lambda function that stops Rekognition Custom Labels \
             models; try it with `cargo run --example nightly`, or run it here with `cargo lambda \
             watch`"
        );
        return ExitCode::FAILURE;
    }

    let subscriber = log::subscriber(|name| std::env::var(name), std::io::stdout);
    if let Err(error) = tracing::subscriber::set_global_default(subscriber) {
        eprintln!("the log could not be set up: {error}");
    }
    log::log_panics();
    let settings = Settings::read(|name| std::env::var(name));
    let handler = Handler::new(settings, Aws::from_env(), |line| println!("{line}"));
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
