//! How a model's status changes.

use std::time::Duration;

use rekognition_emulator::Emulator;
use serde_json::json;
use tokio::time::{Instant, advance};

use crate::client::{Caller, arn, model, running, with_running};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_running_model_is_stopped() {
    let (emulator, arn) = with_running().await;
    let answer = Caller::new(&emulator).stop(&arn).await;
    assert_eq!(answer.http_status, 200);
    assert_eq!(answer.json(), json!({ "Status": "STOPPING" }));
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPED");
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_as_long_as_it_is_told() {
    let (model, arn) = running();
    let builder = Emulator::builder().model(model).stop_takes(6 * SECOND);
    let emulator = builder.start().await.unwrap();
    Caller::new(&emulator).stop(&arn).await;
    advance(5 * SECOND).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPING");
    advance(SECOND).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPED");
}

#[tokio::test(start_paused = true)]
async fn a_model_may_be_deleted_once_it_has_stopped() {
    let (model, arn) = running();
    let model = model.stop_takes(6 * SECOND).deleted_once_stopped();
    let emulator = Emulator::builder().model(model).start().await.unwrap();
    let caller = Caller::new(&emulator);
    caller.stop(&arn).await;
    advance(5 * SECOND).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPING");
    advance(SECOND).await;
    assert_eq!(emulator.status(&arn), None);
    assert_eq!(emulator.statuses()[&arn], "STOPPED");
    let answer = caller.stop(&arn).await;
    assert_eq!(answer.error_code(), "ResourceNotFoundException");
    let body = json!({ "ProjectArn": emulator.project_arn(&arn) });
    let list = caller.call("DescribeProjectVersions", body).await.json();
    assert_eq!(list["ProjectVersionDescriptions"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_start_takes_as_long_as_the_model_says() {
    let arn = arn("cats", "v1");
    let builder = Emulator::builder().model(model(&arn).start_takes(9 * SECOND));
    let emulator = builder.start_takes(SECOND).start().await.unwrap();
    let body = json!({ "ProjectVersionArn": arn, "MinInferenceUnits": 3 });
    let caller = Caller::new(&emulator);
    let answer = caller.call("StartProjectVersion", body).await;
    assert_eq!(answer.json(), json!({ "Status": "STARTING" }));
    advance(8 * SECOND).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STARTING");
    advance(SECOND).await;
    assert_eq!(emulator.status(&arn).unwrap(), "RUNNING");

    let body = json!({ "ProjectArn": emulator.project_arn(&arn) });
    let list = caller.call("DescribeProjectVersions", body).await.json();
    let description = &list["ProjectVersionDescriptions"][0];
    assert_eq!(description["MinInferenceUnits"], 3);
    assert_eq!(description["Status"], "RUNNING");
}

#[tokio::test]
async fn a_stop_that_never_ends_goes_on() {
    let (model, arn) = running();
    let emulator = Emulator::builder().model(model.stop_takes(Duration::MAX));
    let emulator = emulator.start().await.unwrap();
    Caller::new(&emulator).stop(&arn).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPING");
}

#[tokio::test]
async fn only_a_running_model_can_be_stopped() {
    let arn = arn("cats", "v1");
    let emulator = Emulator::builder()
        .model(model(&arn))
        .start()
        .await
        .unwrap();
    let caller = Caller::new(&emulator);
    for status in [
        "TRAINING_COMPLETED",
        "STOPPED",
        "FAILED",
        "DELETING",
        "HIBERNATING",
    ] {
        assert!(emulator.set_status(&arn, status));
        let answer = caller.stop(&arn).await;
        assert_eq!(answer.http_status, 400);
        assert_eq!(answer.error_code(), "ResourceInUseException");
        assert!(answer.message().contains(status), "{}", answer.message());
        assert_eq!(emulator.status(&arn).unwrap(), status);
    }
}

#[tokio::test]
async fn a_running_model_cannot_be_started() {
    let (emulator, arn) = with_running().await;
    let body = json!({ "ProjectVersionArn": arn, "MinInferenceUnits": 1 });
    let answer = Caller::new(&emulator)
        .call("StartProjectVersion", body)
        .await;
    assert_eq!(answer.error_code(), "ResourceInUseException");
}

#[tokio::test(start_paused = true)]
async fn a_model_follows_its_script_and_each_change_has_its_own_time() {
    let arn = arn("cats", "v1");
    let added = Instant::now();
    let scripted = model(&arn)
        .start_takes(10 * SECOND)
        .becomes(60 * SECOND, "STOPPED")
        .becomes(20 * SECOND, "STARTING");
    let emulator = Emulator::builder().model(scripted).start().await.unwrap();
    // No one reads the status before it is all over.
    advance(100 * SECOND).await;
    assert_eq!(emulator.status(&arn).unwrap(), "STOPPED");
    let changes: Vec<_> = emulator
        .changes()
        .into_iter()
        .map(|change| ((change.at - added).as_secs(), change.status))
        .collect();
    let expected = [(20, "STARTING"), (30, "RUNNING"), (60, "STOPPED")];
    assert_eq!(
        changes,
        expected.map(|(at, status)| (at, status.to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn changes_of_many_models_are_listed_by_time() {
    let (late, early) = (arn("cats", "late"), arn("cats", "early"));
    let emulator = Emulator::builder()
        .model(model(&late).becomes(2 * SECOND, "RUNNING"))
        .model(model(&early).becomes(SECOND, "RUNNING"))
        .in_process();
    advance(3 * SECOND).await;
    assert_eq!(emulator.status(&late).unwrap(), "RUNNING");
    let order: Vec<_> = emulator.changes().into_iter().map(|it| it.arn).collect();
    assert_eq!(order, [early, late]);
}

#[tokio::test]
async fn thousands_of_models_are_stopped() {
    let arns: Vec<_> = (0..5000)
        .map(|n| arn(&format!("p{}", n % 50), &format!("v{n}")))
        .collect();
    let models = arns.iter().map(|arn| model(arn).status("RUNNING"));
    let emulator = Emulator::builder().models(models).start().await.unwrap();
    let caller = Caller::new(&emulator);
    for arn in arns.iter().step_by(50) {
        assert_eq!(caller.stop(arn).await.http_status, 200);
    }
    let statuses = emulator.statuses();
    assert_eq!(statuses.len(), 5000);
    assert_eq!(statuses.values().filter(|it| *it == "STOPPED").count(), 100);
}
