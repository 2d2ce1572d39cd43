//! The frame of a call: operation, signature, region, body.

use axum::body::Body;
use rekognition_emulator::{Emulator, Operation};
use serde_json::json;

use crate::client::{Caller, REGION, model, request, with_running};

#[tokio::test]
async fn every_answer_has_the_content_type_and_a_request_id() {
    let (emulator, arn) = with_running().await;
    let caller = Caller::new(&emulator);
    let (good, bad) = (caller.stop(&arn).await, caller.stop("nonsense").await);
    for answer in [&good, &bad] {
        assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
        assert!(!answer.headers["x-amzn-requestid"].is_empty());
    }
    assert_ne!(
        good.headers["x-amzn-requestid"],
        bad.headers["x-amzn-requestid"]
    );
}

#[tokio::test]
async fn an_unknown_operation_is_named_so() {
    let (emulator, _) = with_running().await;
    let answer = Caller::new(&emulator).call("DetectLabels", json!({})).await;
    assert_eq!(answer.http_status, 400);
    assert_eq!(answer.error_code(), "UnknownOperationException");
    assert_eq!(emulator.count(Operation::Unknown), 1);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_serialization_error() {
    let (emulator, _) = with_running().await;
    let caller = Caller::new(&emulator);
    for body in ["", "{", "[]", "\"text\"", r#"{"ProjectVersionArn": 7}"#] {
        let mut request = request(&emulator.url(), REGION, "StopProjectVersion", &json!({}));
        *request.body_mut() = Body::from(body);
        let answer = caller.send(request).await.unwrap();
        assert_eq!(answer.http_status, 400);
        assert_eq!(answer.error_code(), "SerializationException", "{body}");
    }
}

#[tokio::test]
async fn a_call_without_a_readable_signature_is_refused() {
    let (emulator, arn) = with_running().await;
    let caller = Caller::new(&emulator);
    for header in [
        None,
        Some("Bearer token"),
        Some("AWS4-HMAC-SHA256 Credential=AKID/20261124/us-east-1"),
        Some(
            "AWS4-HMAC-SHA256 Credential=AKID/20261124/us-east-1/s3/aws4_request, SignedHeaders=host",
        ),
    ] {
        let body = json!({ "ProjectVersionArn": arn });
        let mut request = request(&emulator.url(), REGION, "StopProjectVersion", &body);
        request.headers_mut().remove("authorization");
        if let Some(header) = header {
            let header = header.parse().unwrap();
            request.headers_mut().insert("authorization", header);
        }
        let answer = caller.send(request).await.unwrap();
        assert_eq!(answer.http_status, 400);
        assert_eq!(answer.error_code(), "MissingAuthenticationTokenException");
    }
    assert_eq!(emulator.status(&arn).unwrap(), "RUNNING");
}

#[tokio::test]
async fn region_and_access_key_come_from_the_signature() {
    let (emulator, arn) = with_running().await;
    Caller::new(&emulator).stop(&arn).await;
    let call = &emulator.calls()[0];
    assert_eq!(call.region, REGION);
    assert_eq!(call.access_key, "AKIDEXAMPLE");
}

#[tokio::test]
async fn a_model_is_invisible_in_another_region() {
    let (emulator, arn) = with_running().await;
    let elsewhere = Caller::new(&emulator).in_region("eu-west-1");
    let answer = elsewhere.stop(&arn).await;
    assert_eq!(answer.error_code(), "InvalidParameterException");
    assert_eq!(emulator.status(&arn).unwrap(), "RUNNING");
    let list = elsewhere.call("DescribeProjects", json!({})).await.json();
    assert_eq!(list, json!({ "ProjectDescriptions": [] }));
    let body = json!({ "ProjectArn": emulator.project_arn(&arn) });
    let answer = elsewhere.call("DescribeProjectVersions", body).await;
    assert_eq!(answer.error_code(), "InvalidParameterException");
}

#[tokio::test]
async fn a_model_of_another_account_is_neither_listed_nor_stopped() {
    let foreign =
        "arn:aws:rekognition:us-east-1:999999999999:project/dogs/version/v1/1700000000000";
    let (emulator, _) = with_running().await;
    emulator.add_model(model(foreign).status("RUNNING"));
    let caller = Caller::new(&emulator);
    assert_eq!(
        caller.stop(foreign).await.error_code(),
        "AccessDeniedException"
    );
    let list = caller.call("DescribeProjects", json!({})).await.json();
    assert_eq!(list["ProjectDescriptions"].as_array().unwrap().len(), 1);

    emulator.set_account("999999999999");
    assert_eq!(caller.stop(foreign).await.http_status, 200);
    let list = caller.call("DescribeProjects", json!({})).await.json();
    let arn = list["ProjectDescriptions"][0]["ProjectArn"]
        .as_str()
        .unwrap();
    assert!(arn.contains("999999999999:project/dogs/"), "{arn}");
}

#[tokio::test]
async fn the_server_ends_with_the_last_handle() {
    let (emulator, arn) = with_running().await;
    let caller = Caller::new(&emulator);
    let clone = emulator.clone();
    drop(emulator);
    assert_eq!(caller.stop(&arn).await.http_status, 200);
    drop(clone);
    // The task notices when it is polled next; from then on there is no server.
    while caller.try_stop(&arn).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_busy_port_is_an_error() {
    let emulator = Emulator::builder().start().await.unwrap();
    let port = emulator.url().rsplit(':').next().unwrap().parse().unwrap();
    let second = Emulator::builder().port(port).start().await;
    let error = second.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
