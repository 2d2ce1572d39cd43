//! The router without a server, for a caller in the same process.

use std::time::Duration;

use rekognition_emulator::{Connection, ConnectionReset, Emulator, Fault};
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::client::{REGION, read, request, running};

#[tokio::test(start_paused = true)]
async fn hours_pass_at_once_on_a_paused_clock() {
    let (model, arn) = running();
    let hour = Duration::from_secs(3600);
    let emulator = Emulator::builder().model(model).stop_takes(2 * hour);
    let emulator = emulator.latency(hour).in_process();
    let begun = Instant::now();
    let body = json!({ "ProjectVersionArn": arn });
    let request = request(&emulator.url(), REGION, "StopProjectVersion", &body);
    let response = emulator.router().oneshot(request).await.unwrap();
    assert_eq!(
        read(response).await.unwrap().json(),
        json!({ "Status": "STOPPING" })
    );
    assert!(begun.elapsed() >= hour);
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPING");
    tokio::time::advance(2 * hour).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPED");
    assert_eq!(emulator.connections(), 0);
}

#[tokio::test]
async fn a_reset_is_marked_in_the_answer() {
    let emulator = Emulator::in_process();
    emulator.add_fault(Fault::reset().attempts(1..=1));
    let call = || request(&emulator.url(), REGION, "DescribeProjects", &json!({}));
    let response = emulator.router().oneshot(call()).await.unwrap();
    let mark = response.extensions().get::<ConnectionReset>();
    assert_eq!(mark, Some(&ConnectionReset));
    let response = emulator.router().oneshot(call()).await.unwrap();
    assert_eq!(response.extensions().get::<ConnectionReset>(), None);
}

#[tokio::test]
async fn a_share_of_the_connections_meets_a_fault_with_every_call() {
    let emulator = Emulator::in_process();
    emulator.add_fault(Fault::http_status(503, "").share_of_connections(30, 7));
    let mut failed = 0;
    for number in 0..100 {
        let mut statuses = Vec::new();
        for operation in ["DescribeProjects", "ListTagsForResource"] {
            let mut request = request(&emulator.url(), REGION, operation, &json!({}));
            request.extensions_mut().insert(Connection(number));
            let response = emulator.router().oneshot(request).await.unwrap();
            statuses.push(response.status().as_u16());
        }
        assert!([[200, 400], [503, 503]].iter().any(|it| statuses == *it));
        failed += usize::from(statuses[0] == 503);
    }
    assert!((18..=45).contains(&failed), "{failed} of 100");
}

#[tokio::test]
async fn a_truncated_answer_fails_while_it_is_read() {
    let emulator = Emulator::in_process();
    emulator.add_fault(Fault::truncated());
    let request = request(&emulator.url(), REGION, "DescribeProjects", &json!({}));
    let response = emulator.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(read(response).await.is_err());
}
