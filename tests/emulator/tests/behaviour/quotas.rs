//! Quotas: how many calls a region lets through, on a paused clock.

use std::time::Duration;

use rekognition_emulator::{Answer, Emulator, Operation, Quota, ThrottleWith};
use serde_json::json;
use tokio::time::advance;

use crate::client::{Caller, with_running};

/// Makes so many calls at once; gives how many got through, and the last error's code and HTTP
/// status.
async fn calls(caller: &Caller, count: usize) -> (usize, Option<(String, u16)>) {
    let (mut through, mut error) = (0, None);
    for _ in 0..count {
        let answer = caller.call("DescribeProjects", json!({})).await;
        match answer.http_status {
            200 => through += 1,
            status => error = Some((answer.error_code(), status)),
        }
    }
    (through, error)
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_then_the_rate_holds() {
    let quota = Quota::per_second(2.0).burst(5);
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let caller = Caller::new(&emulator);
    let throttled = Some(("ThrottlingException".to_owned(), 500));
    assert_eq!(calls(&caller, 8).await, (5, throttled.clone()));
    advance(Duration::from_secs(1)).await;
    // Throttled calls took no token.
    assert_eq!(calls(&caller, 8).await, (2, throttled));
    advance(Duration::from_secs(60)).await;
    assert_eq!(calls(&caller, 8).await.0, 5);
}

#[tokio::test(start_paused = true)]
async fn the_other_throttling_error_has_its_own_http_status() {
    let quota = Quota::per_second(1.0);
    let emulator = Emulator::builder()
        .quota(quota.throttle_with(ThrottleWith::ProvisionedThroughputExceededException))
        .start()
        .await
        .unwrap();
    let code = "ProvisionedThroughputExceededException".to_owned();
    assert_eq!(
        calls(&Caller::new(&emulator), 2).await,
        (1, Some((code, 400)))
    );
}

#[tokio::test(start_paused = true)]
async fn both_throttling_errors_take_turns() {
    let quota = Quota::per_second(1.0).throttle_with(ThrottleWith::Alternating);
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    calls(&Caller::new(&emulator), 4).await;
    let answers: Vec<_> = emulator.calls().into_iter().map(|it| it.answer).collect();
    let error = |code: &str| Answer::Error(code.to_owned());
    let expected = [
        Answer::Ok,
        error("ThrottlingException"),
        error("ProvisionedThroughputExceededException"),
        error("ThrottlingException"),
    ];
    assert_eq!(answers, expected);
}

#[tokio::test(start_paused = true)]
async fn each_region_has_a_quota_of_its_own() {
    let emulator = Emulator::builder().quota(Quota::per_second(3.0));
    let emulator = emulator.start().await.unwrap();
    let caller = Caller::new(&emulator);
    assert_eq!(calls(&caller, 5).await.0, 3);
    assert_eq!(calls(&caller.in_region("eu-west-1"), 5).await.0, 3);
}

#[tokio::test(start_paused = true)]
async fn each_operation_may_have_a_quota_of_its_own() {
    let quota = Quota::per_second(3.0).for_each_operation();
    let (emulator, arn) = with_running().await;
    emulator.set_quota(Some(quota));
    let caller = Caller::new(&emulator);
    assert_eq!(calls(&caller, 5).await.0, 3);
    let stop = json!({ "ProjectVersionArn": arn });
    assert_eq!(
        caller.call("StopProjectVersion", stop).await.http_status,
        200
    );
    assert_eq!(calls(&caller, 5).await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn one_operation_may_have_another_quota_than_all_others() {
    let (emulator, arn) = with_running().await;
    emulator.set_quota(Some(Quota::per_second(2.0)));
    let own = Quota::per_second(1.0).burst(4);
    emulator.set_operation_quota(Operation::DescribeProjects, Some(own));
    let caller = Caller::new(&emulator);
    assert_eq!(calls(&caller, 6).await.0, 4);
    // Nothing of it was taken from the common one.
    for http_status in [200, 400, 500] {
        assert_eq!(caller.stop(&arn).await.http_status, http_status);
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(calls(&caller, 6).await.0, 1);
    assert_eq!(calls(&caller.clone().in_region("eu-west-1"), 6).await.0, 4);
    emulator.set_operation_quota(Operation::DescribeProjects, None);
    assert_eq!(calls(&caller, 6).await.0, 2);
}

#[tokio::test(start_paused = true)]
async fn a_background_client_leaves_less() {
    let quota = Quota::per_second(10.0).background_calls_per_second(7.0);
    let emulator = Emulator::builder().quota(quota).start().await.unwrap();
    let caller = Caller::new(&emulator);
    assert_eq!(calls(&caller, 12).await.0, 10);
    advance(Duration::from_secs(1)).await;
    assert_eq!(calls(&caller, 12).await.0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_quota_can_be_set_and_lifted_while_it_runs() {
    let (emulator, _) = with_running().await;
    let caller = Caller::new(&emulator);
    assert_eq!(calls(&caller, 20).await.0, 20);
    emulator.set_quota(Some(Quota::per_second(1.0)));
    assert_eq!(calls(&caller, 20).await.0, 1);
    emulator.set_quota(None);
    assert_eq!(calls(&caller, 20).await.0, 20);
}
