//! Permissions that the caller lacks.

use serde_json::json;

use crate::client::{Caller, arn, model, with_running};

#[tokio::test]
async fn a_denied_action_is_refused_in_the_services_words() {
    let (emulator, arn) = with_running().await;
    emulator.deny("rekognition:DescribeProjectVersions", None);
    let caller = Caller::new(&emulator);
    let project = emulator.project_arn(&arn).unwrap();
    let body = json!({ "ProjectArn": project });
    let answer = caller.call("DescribeProjectVersions", body.clone()).await;
    assert_eq!(answer.http_status, 400);
    assert_eq!(answer.error_code(), "AccessDeniedException");
    let expected = format!(
        "User: arn:aws:sts::123456789012:assumed-role/stopper/stopper is not authorized to perform: \
         rekognition:DescribeProjectVersions on resource: {project} because no identity-based policy \
         allows the rekognition:DescribeProjectVersions action"
    );
    assert_eq!(answer.message(), expected);
    assert_eq!(caller.stop(&arn).await.http_status, 200);

    emulator.allow_all();
    let answer = caller.call("DescribeProjectVersions", body).await;
    assert_eq!(answer.http_status, 200);
}

#[tokio::test]
async fn an_action_can_be_denied_on_some_resources() {
    let (emulator, cats) = with_running().await;
    let dogs = arn("dogs", "v1");
    emulator.add_model(model(&dogs).status("RUNNING"));
    let prefix = "arn:aws:rekognition:us-east-1:123456789012:project/dogs/";
    emulator.deny("rekognition:StopProjectVersion", Some(prefix));
    let caller = Caller::new(&emulator);
    assert_eq!(caller.stop(&cats).await.http_status, 200);
    assert_eq!(
        caller.stop(&dogs).await.error_code(),
        "AccessDeniedException"
    );
    assert_eq!(emulator.status(&dogs).unwrap(), "RUNNING");
}

#[tokio::test]
async fn the_list_of_projects_is_on_no_resource() {
    let (emulator, _) = with_running().await;
    emulator.deny("rekognition:DescribeProjects", None);
    let answer = Caller::new(&emulator)
        .call("DescribeProjects", json!({}))
        .await;
    assert!(answer.message().contains("on resource: * because"));
}
