//! What the built function writes at the level TRACE, to standard output and to standard error,
//! contains no secrets.

use std::time::Duration;

use rekognition_emulator::{Fault, Operation};
use serde_json::{Value, json};

use crate::support::runtime_api::Function;
use crate::support::{
    ACCESS_KEY, PLENTY, SECRET_KEY, SESSION_TOKEN, arns, pattern, running_emulator,
};

const STOPS: Operation = Operation::StopProjectVersion;
/// Part of an event that must not be logged, because an event can contain anything.
const OF_THE_EVENT: &str = "something that only the event says";
/// Every knob for the log turned up.
const LOUD: [(&str, &str); 4] = [
    ("FIND_STARTS", "true"),
    ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
    ("RUST_LOG", "trace"),
    ("RUST_BACKTRACE", "full"),
];

/// Everything that a function wrote, after asserting that it contains no secrets.
async fn written(function: Function) -> String {
    let output = function.end_with_output().await;
    let written = output.stdout + &output.stderr;
    for secret in [SECRET_KEY, SESSION_TOKEN, ACCESS_KEY, OF_THE_EVENT] {
        assert!(!written.contains(secret), "{secret}: {written}");
    }
    // A signature, like the hashes behind it, is 64 hexadecimal digits.
    let hexadecimal =
        |piece: &str| piece.len() >= 64 && piece.bytes().all(|it| it.is_ascii_hexdigit());
    let mut pieces = written.split(|character: char| !character.is_ascii_alphanumeric());
    assert_eq!(pieces.find(|piece| hexadecimal(piece)), None);
    written
}

#[tokio::test]
async fn at_the_level_trace_nothing_secret_is_written() {
    for format in ["JSON", "Text"] {
        let arns = arns(3);
        let emulator = running_emulator(&arns).await;
        let variables = [&LOUD[..], &[("AWS_LAMBDA_LOG_FORMAT", format)]].concat();
        let mut function = Function::against(&emulator.url(), &variables).await;
        let event = |entries: Value| {
            let detail = json!({ "model_arns": entries });
            json!({"detail-type": OF_THE_EVENT, "source": "shop", "detail": detail}).to_string()
        };

        // A run that succeeds at once, one that retries after every kind of failure, and one with
        // all kinds of status checks.
        let faults = [
            Fault::reset(),
            Fault::error("ThrottlingException"),
            Fault::error("InternalServerError"),
            Fault::http_status(503, "gone"),
            Fault::garbage("no HTTP"),
            Fault::truncated(),
        ];
        for (fault, attempt) in faults.into_iter().zip(1..) {
            let fault = fault.operation(STOPS).resource(&arns[1]);
            emulator.add_fault(fault.attempts(attempt..=attempt));
        }
        for entry in [&*arns[0], &arns[1], &pattern("shelf", "*")] {
            let answer = function.invoke(event(json!([entry])), PLENTY).await;
            assert!(answer.is_ok, "{answer:?}");
        }

        // Runs that fail: refused, hanging up to the deadline, and invalid requests.
        emulator.deny("rekognition:StopProjectVersion", Some(&arns[0]));
        emulator.add_fault(Fault::hang().resource(&arns[1]));
        // Nothing is begun in the last second.
        let limit = Duration::from_secs(2);
        for event in [
            event(json!([arns[0]])),
            event(json!([arns[1]])),
            event(json!(OF_THE_EVENT)),
            json!({"model_arns": OF_THE_EVENT}).to_string(),
            format!("{{\"model_arns\": [{OF_THE_EVENT}"),
            format!("\"{OF_THE_EVENT}\""),
        ] {
            let answer = function.invoke(event, limit).await;
            assert!(!answer.is_ok, "{answer:?}");
        }

        // All of them were signed with the key whose secret must not appear.
        let calls = emulator.calls();
        assert!(calls.len() > 15, "{calls:?}");
        assert_ne!(emulator.count(Operation::LookupEvents), 0);
        assert!(calls.iter().all(|call| call.access_key == ACCESS_KEY));
        let written = written(function).await;
        assert!(written.contains("DEBUG"), "{written}");
        // Words that accompany secrets: the headers of a signed request, and the parts of a
        // signature.
        let written = written.to_lowercase();
        for word in [
            "authorization",
            "signature",
            "x-amz-security-token",
            "aws4-hmac-sha256",
            "credential=",
            "canonical",
        ] {
            assert!(!written.contains(word), "{word}: {written}");
        }
    }
}

/// The service's message about a wrong signature repeats what should have been signed.
#[tokio::test]
async fn an_error_that_repeats_the_requests_headers_is_written_without_their_secrets() {
    let arns = arns(1);
    let emulator = running_emulator(&arns).await;
    let message = format!(
        "The request signature we calculated does not match the signature you provided. The \
         Canonical String for this request should have been\n'POST\n/\n\n\
         x-amz-date:20260102T200000Z\nx-amz-security-token:{SESSION_TOKEN}\n'"
    );
    let body = json!({"__type": "InvalidSignatureException", "message": message}).to_string();
    emulator.add_fault(Fault::http_status(400, &body));
    let mut function = Function::against(&emulator.url(), &LOUD).await;
    let event = json!({ "model_arns": arns }).to_string();
    let answer = function.invoke(event, PLENTY).await;
    let said = answer.error("NotAllStopped");
    let beginning = "InvalidSignatureException: The request signature";
    assert!(said.contains(beginning), "{said}");
    assert!(said.contains("x-amz-security-token:***"), "{said}");
    assert!(!said.contains(SESSION_TOKEN), "{said}");
    let written = written(function).await;
    assert!(written.contains("InvalidSignatureException"), "{written}");
}
