//! Faults by script, each as a client meets it.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use rekognition_emulator::{Answer, Emulator, Fault, FaultKind, Operation};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, advance};
use tower::ServiceExt;

use crate::client::{Caller, REGION, arn, authorization, model, request, with_running};

#[tokio::test]
async fn an_error_comes_with_its_documented_http_status_or_another() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::error("InternalServerError").attempts(1..=1));
    emulator.add_fault(Fault::error("InvalidParameterException").attempts(2..=2));
    emulator.add_fault(Fault::new(FaultKind::Error {
        code: "ServiceUnavailable".to_owned(),
        http_status: Some(503),
        message: "later".to_owned(),
    }));
    let caller = Caller::new(&emulator);
    let answer = caller.stop(&arn).await;
    assert_eq!(
        (answer.http_status, answer.error_code().as_str()),
        (500, "InternalServerError")
    );
    let answer = caller.stop(&arn).await;
    assert_eq!(
        (answer.http_status, answer.error_code().as_str()),
        (400, "InvalidParameterException")
    );
    let answer = caller.stop(&arn).await;
    assert_eq!(answer.http_status, 503);
    assert_eq!(
        answer.json(),
        json!({ "__type": "ServiceUnavailable", "message": "later" })
    );
    assert_eq!(emulator.status(&arn).unwrap(), "RUNNING");
    assert_eq!(
        emulator.calls()[0].answer,
        Answer::Error("InternalServerError".to_owned())
    );
}

#[tokio::test]
async fn a_bare_http_answer_is_neither_json_nor_the_services() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::http_status(502, "<html>Bad Gateway</html>"));
    let answer = Caller::new(&emulator).stop(&arn).await;
    assert_eq!(answer.http_status, 502);
    assert_eq!(answer.text, "<html>Bad Gateway</html>");
    assert_eq!(emulator.calls()[0].answer, Answer::Fault("http_status"));
}

#[tokio::test]
async fn a_reset_breaks_the_connection_before_any_answer() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::reset().attempts(1..=1));
    let address = emulator.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let body = json!({ "ProjectVersionArn": arn }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nauthorization: {}\r\n\
         x-amz-target: RekognitionService.StopProjectVersion\r\ncontent-length: {}\r\n\r\n{body}",
        authorization("us-east-1"),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // The end of the stream, or a reset: in either case not one byte came.
    let _ = stream.read_to_end(&mut received).await;
    assert_eq!(received, b"");
    assert_eq!(emulator.status(&arn).unwrap(), "RUNNING");
    // Another connection is served.
    assert_eq!(Caller::new(&emulator).stop(&arn).await.http_status, 200);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_operation_took_effect() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::reset().attempts(1..=1).after_effect());
    let caller = Caller::new(&emulator);
    assert!(caller.try_stop(&arn).await.is_err());
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPED");
    assert_eq!(emulator.calls()[0].answer, Answer::Fault("reset"));
    assert_eq!(
        caller.stop(&arn).await.error_code(),
        "ResourceInUseException"
    );
}

#[tokio::test]
async fn a_hanging_call_never_ends_until_the_client_gives_up() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::hang());
    let caller = Caller::new(&emulator);
    let call = tokio::spawn(async move { caller.try_stop(&arn).await });
    let hangs = |e: &rekognition_emulator::Emulator| {
        e.calls()
            .iter()
            .any(|it| it.answer == Answer::Fault("hang"))
    };
    emulator.wait_until(hangs).await;
    assert!(!call.is_finished());
    assert_eq!(emulator.in_flight("us-east-1"), 1);
    call.abort();
    emulator.wait_until(|e| e.in_flight("us-east-1") == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_before_the_effect_or_after_it() {
    let second = Duration::from_secs(1);
    for (fault, at_first) in [
        (Fault::delay(3 * second), "RUNNING"),
        (Fault::delay(3 * second).after_effect(), "STOPPED"),
    ] {
        let (emulator, arn) = with_running().await;
        emulator.add_fault(fault);
        let (caller, asked) = (Caller::new(&emulator), arn.clone());
        let begun = Instant::now();
        let call = tokio::spawn(async move { caller.stop(&asked).await });
        emulator.wait_until(|e| e.in_flight("us-east-1") == 1).await;
        tokio::task::yield_now().await;
        advance(second).await;
        assert_eq!(emulator.status(&arn).unwrap(), at_first);
        let answer = call.await.unwrap();
        assert_eq!(answer.json(), json!({ "Status": "STOPPING" }));
        assert!(begun.elapsed() >= 3 * second);
        assert_eq!(emulator.calls()[0].answer, Answer::Ok);
    }
}

#[tokio::test]
async fn garbage_and_nothing_come_with_200_and_the_content_type() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::garbage("<!doctype html>").attempts(1..=1));
    emulator.add_fault(Fault::empty_body());
    let caller = Caller::new(&emulator);
    for body in ["<!doctype html>", ""] {
        let answer = caller.stop(&arn).await;
        assert_eq!(answer.http_status, 200);
        assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
        assert_eq!(answer.text, body);
    }
}

#[tokio::test]
async fn a_truncated_answer_declares_more_than_it_sends() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::truncated());
    let address = emulator.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nauthorization: {}\r\n\
         x-amz-target: RekognitionService.StopProjectVersion\r\ncontent-length: 2\r\n\r\n{{}}",
        authorization("us-east-1")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    let received = String::from_utf8(received).unwrap();
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-length: 64"), "{head}");
    assert_eq!(body, r#"{"Status": ""#);
    let error = Caller::new(&emulator).try_stop(&arn).await.unwrap_err();
    assert!(!error.is_empty());
}

#[tokio::test]
async fn a_status_can_be_put_into_the_normal_answer() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::status_override("HIBERNATING"));
    let caller = Caller::new(&emulator);
    let answer = caller.stop(&arn).await;
    assert_eq!(answer.json(), json!({ "Status": "HIBERNATING" }));
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPED");
    let body = json!({ "ProjectArn": emulator.project_arn(&arn) });
    let list = caller.call("DescribeProjectVersions", body).await.json();
    let description = &list["ProjectVersionDescriptions"][0];
    assert_eq!(description["Status"], "HIBERNATING");
    assert_eq!(description["ProjectVersionArn"], arn);
}

#[tokio::test]
async fn a_fault_befalls_the_named_operation_and_resource_only() {
    let (emulator, cats) = with_running().await;
    let dogs = arn("dogs", "v1");
    emulator.add_model(model(&dogs).status("RUNNING"));
    let stop = Fault::error("InternalServerError").operation(Operation::StopProjectVersion);
    emulator.add_fault(stop.resource(&dogs));
    emulator.add_fault(Fault::http_status(503, "").resource("cats"));
    let caller = Caller::new(&emulator);
    assert_eq!(caller.stop(&dogs).await.http_status, 500);
    assert_eq!(caller.stop(&cats).await.http_status, 200);
    assert_eq!(
        caller.call("DescribeProjects", json!({})).await.http_status,
        200
    );
    for (arn, http_status) in [(&cats, 503), (&dogs, 200)] {
        let body = json!({ "ProjectArn": emulator.project_arn(arn) });
        let answer = caller.call("DescribeProjectVersions", body).await;
        assert_eq!(answer.http_status, http_status);
    }
    emulator.clear_faults();
    assert_eq!(caller.stop(&dogs).await.http_status, 200);
}

#[tokio::test]
async fn a_fault_befalls_descriptions_of_the_named_version_only() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::http_status(500, "").resource("v2"));
    let caller = Caller::new(&emulator);
    let project = emulator.project_arn(&arn);
    for (names, http_status) in [
        (json!(["v1"]), 200),
        (json!(["v1", "v2"]), 500),
        (json!(null), 200),
    ] {
        let body = json!({ "ProjectArn": project, "VersionNames": names });
        let answer = caller.call("DescribeProjectVersions", body).await;
        assert_eq!(answer.http_status, http_status, "{names}");
    }
}

#[tokio::test]
async fn a_fault_befalls_the_named_attempts_only() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::http_status(503, "").attempts(2..=3));
    let caller = Caller::new(&emulator);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(caller.stop(&arn).await.http_status);
    }
    assert_eq!(statuses, [200, 503, 503, 400]);
}

#[tokio::test]
async fn a_fault_of_each_call_befalls_the_first_attempt_of_each() {
    let (emulator, cats) = with_running().await;
    let dogs = arn("dogs", "v1");
    emulator.add_model(model(&dogs).status("RUNNING"));
    emulator.add_fault(Fault::http_status(503, "").attempts(..=1).of_each_call());
    let caller = Caller::new(&emulator);
    let mut statuses = Vec::new();
    for arn in [&cats, &dogs, &dogs, &cats] {
        statuses.push(caller.stop(arn).await.http_status);
    }
    assert_eq!(statuses, [503, 503, 200, 200]);
}

/// The HTTP statuses of four attempts to stop each of a hundred models.
async fn four_stops_of_a_hundred_models(fault: Fault) -> Vec<[u16; 4]> {
    let emulator = Emulator::builder().fault(fault).start().await.unwrap();
    let caller = Caller::new(&emulator);
    let mut all = Vec::new();
    for number in 0..100 {
        let arn = arn("cats", &format!("v{number}"));
        emulator.add_model(model(&arn).status("RUNNING"));
        let mut statuses = [0; 4];
        for status in &mut statuses {
            *status = caller.stop(&arn).await.http_status;
        }
        all.push(statuses);
    }
    all
}

#[tokio::test]
async fn a_share_of_the_attempts_meets_a_fault_and_the_same_one_each_time() {
    let fault = Fault::http_status(503, "").share_of_attempts(30, 7);
    let attempts = four_stops_of_a_hundred_models(fault.clone()).await;
    let of_each = |statuses: &[u16; 4]| statuses.iter().filter(|it| **it == 503).count();
    let failed: usize = attempts.iter().map(of_each).sum();
    assert!((90..=150).contains(&failed), "{failed} of 400");
    let mixed = attempts.iter().filter(|it| (1..=3).contains(&of_each(it)));
    assert!(mixed.count() > 50);
    assert_eq!(four_stops_of_a_hundred_models(fault).await, attempts);
    let another = Fault::http_status(503, "").share_of_attempts(30, 8);
    assert_ne!(four_stops_of_a_hundred_models(another).await, attempts);
}

#[tokio::test]
async fn a_share_of_the_calls_meets_a_fault_with_every_attempt() {
    let fault = Fault::http_status(503, "").share_of_calls(30, 7);
    let attempts = four_stops_of_a_hundred_models(fault).await;
    let failed = attempts.iter().filter(|it| **it == [503; 4]).count();
    assert!((18..=45).contains(&failed), "{failed} of 100");
    let good = attempts.iter().filter(|it| **it == [200, 400, 400, 400]);
    assert_eq!(good.count(), 100 - failed);
}

#[tokio::test]
async fn a_fault_befalls_the_named_page_only() {
    let (emulator, _) = with_running().await;
    for name in ["dogs", "owls"] {
        emulator.add_project(name, "us-east-1", "CUSTOM_LABELS");
    }
    emulator.add_fault(Fault::http_status(503, "").page(2).attempts(..=1));
    let caller = Caller::new(&emulator);
    let mut body = json!({ "MaxResults": 1 });
    let first = caller.call("DescribeProjects", body.clone()).await;
    body["NextToken"] = first.json()["NextToken"].clone();
    assert_eq!(
        caller
            .call("DescribeProjects", body.clone())
            .await
            .http_status,
        503
    );
    let second = caller.call("DescribeProjects", body.clone()).await;
    body["NextToken"] = second.json()["NextToken"].clone();
    assert_eq!(caller.call("DescribeProjects", body).await.http_status, 200);
}

#[tokio::test]
async fn an_error_may_have_any_code_and_http_status() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::error_with_status("SlowDown", 503).attempts(..=1));
    emulator.add_fault(Fault::http_status(429, ""));
    let caller = Caller::new(&emulator);
    let answer = caller.stop(&arn).await;
    assert_eq!(
        (answer.http_status, answer.error_code().as_str()),
        (503, "SlowDown")
    );
    let answer = caller.stop(&arn).await;
    assert_eq!((answer.http_status, answer.text.as_str()), (429, ""));
}

#[tokio::test]
async fn an_answer_of_any_size_is_sent_in_pieces() {
    const SIZE: u64 = 200 << 20;
    let (emulator, arn) = with_running().await;
    let stop = Operation::StopProjectVersion;
    emulator.add_fault(Fault::large_answer(SIZE).operation(stop));
    let body = json!({ "ProjectVersionArn": arn });
    let request = request(&emulator.url(), REGION, "StopProjectVersion", &body);
    let response = emulator.router().oneshot(request).await.unwrap();
    assert_eq!(response.headers().get("content-length"), None);
    let mut body = response.into_body();
    let beginning = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(beginning, br#"{"Status":"STOPPING"}"#[..]);
    let (mut size, mut largest) = (beginning.len() as u64, 0);
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert_eq!((piece.first(), piece.last()), (Some(&b' '), Some(&b' ')));
        size += piece.len() as u64;
        largest = largest.max(piece.len());
    }
    assert_eq!(size, SIZE);
    assert!(largest <= 1 << 16, "{largest}");
    assert_eq!(emulator.calls()[0].answer, Answer::Ok);
}

#[tokio::test]
async fn an_error_can_be_padded_and_stays_readable() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::error("InternalServerError").padded_to(100_000));
    let answer = Caller::new(&emulator).stop(&arn).await;
    assert_eq!(answer.text.len(), 100_000);
    assert_eq!(
        (answer.http_status, answer.error_code().as_str()),
        (500, "InternalServerError")
    );
}

#[tokio::test(start_paused = true)]
async fn the_services_clock_can_be_wrong() {
    let (emulator, arn) = with_running().await;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    emulator.set_clock(time);
    let invalid = Fault::error("InvalidSignatureException").attempts(..=1);
    emulator.add_fault(invalid);
    let caller = Caller::new(&emulator);
    let answer = caller.stop(&arn).await;
    assert_eq!(answer.error_code(), "InvalidSignatureException");
    assert_eq!(answer.headers["date"], "Sun, 06 Nov 1994 08:49:37 GMT");
    advance(Duration::from_secs(60)).await;
    let answer = caller.stop(&arn).await;
    assert_eq!(answer.http_status, 200);
    assert_eq!(answer.headers["date"], "Sun, 06 Nov 1994 08:50:37 GMT");
}
