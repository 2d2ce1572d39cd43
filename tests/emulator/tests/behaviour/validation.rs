//! What the service refuses before it does anything.

use rekognition_emulator::{Emulator, Model};
use serde_json::{Value, json};

use crate::client::{Caller, arn, with_running};

/// Calls an operation and expects `InvalidParameterException`. Returns its message.
async fn refused(emulator: &Emulator, operation: &str, body: Value) -> String {
    let answer = Caller::new(emulator).call(operation, body.clone()).await;
    assert_eq!(answer.http_status, 400, "{body}");
    assert_eq!(answer.error_code(), "InvalidParameterException", "{body}");
    answer.message()
}

#[tokio::test]
async fn a_version_arn_must_be_there_and_match_length_and_pattern() {
    let (emulator, arn) = with_running().await;
    let long = format!("{arn}{}", "0".repeat(2048));
    let project_arn = emulator.project_arn(&arn).unwrap();
    for (text, constraint) in [
        ("short", "length greater than or equal to 20"),
        (long.as_str(), "length less than or equal to 2048"),
        (project_arn.as_str(), "regular expression pattern"),
        (
            &arn.replace("us-east-1", "US_EAST"),
            "regular expression pattern",
        ),
        (
            &arn.replace("123456789012", "12345"),
            "regular expression pattern",
        ),
        (&arn.replace("cats", "c*ts"), "regular expression pattern"),
        (&format!("{arn}/x"), "regular expression pattern"),
        (&format!("{arn}x"), "regular expression pattern"),
    ] {
        let body = json!({ "ProjectVersionArn": text, "MinInferenceUnits": 1 });
        for operation in ["StopProjectVersion", "StartProjectVersion"] {
            let message = refused(&emulator, operation, body.clone()).await;
            let start = format!(
                "1 validation error detected: Value '{text}' at 'projectVersionArn' failed to satisfy constraint: "
            );
            assert!(message.starts_with(&start), "{message}");
            assert!(message.contains(constraint), "{message}");
        }
    }
    let message = refused(&emulator, "StopProjectVersion", json!({})).await;
    assert!(
        message.contains("Value null at 'projectVersionArn'"),
        "{message}"
    );
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let (emulator, _) = with_running().await;
    let caller = Caller::new(&emulator);
    let answer = caller.stop(&arn("cats", "v2")).await;
    assert_eq!(answer.http_status, 400);
    assert_eq!(answer.error_code(), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_start_needs_at_least_one_inference_unit() {
    let (emulator, arn) = with_running().await;
    for units in [json!(0), json!(-1), Value::Null] {
        let body = json!({ "ProjectVersionArn": arn, "MinInferenceUnits": units });
        let message = refused(&emulator, "StartProjectVersion", body).await;
        assert!(message.contains("'minInferenceUnits'"), "{message}");
    }
}

#[tokio::test]
async fn a_page_holds_1_to_100_items() {
    let (emulator, arn) = with_running().await;
    let project = emulator.project_arn(&arn);
    for size in [0, 101, -5] {
        let body = json!({ "MaxResults": size, "ProjectArn": project });
        for operation in ["DescribeProjects", "DescribeProjectVersions"] {
            let message = refused(&emulator, operation, body.clone()).await;
            assert!(message.contains("'maxResults'"), "{message}");
        }
    }
}

#[tokio::test]
async fn at_most_10_names_are_taken_and_not_none() {
    let (emulator, arn) = with_running().await;
    let project = emulator.project_arn(&arn);
    let ten: Vec<_> = (0..10).map(|n| format!("n{n}")).collect();
    let eleven: Vec<_> = (0..11).map(|n| format!("n{n}")).collect();
    let caller = Caller::new(&emulator);
    for (operation, member) in [
        ("DescribeProjects", "ProjectNames"),
        ("DescribeProjectVersions", "VersionNames"),
    ] {
        for names in [json!([]), json!(eleven), json!(["a/b"])] {
            let body = json!({ "ProjectArn": project, member: names });
            let message = refused(&emulator, operation, body).await;
            assert!(message.contains("Names'"), "{message}");
        }
        let body = json!({ "ProjectArn": project, member: ten });
        assert_eq!(caller.call(operation, body).await.http_status, 200);
    }
}

#[tokio::test]
async fn a_project_arn_must_match_its_pattern_and_exist() {
    let (emulator, arn) = with_running().await;
    let message = refused(
        &emulator,
        "DescribeProjectVersions",
        json!({ "ProjectArn": arn }),
    )
    .await;
    assert!(message.contains("'projectArn'"), "{message}");
    let other = json!({ "ProjectArn": format!("{}0", emulator.project_arn(&arn).unwrap()) });
    let caller = Caller::new(&emulator);
    let answer = caller.call("DescribeProjectVersions", other).await;
    assert_eq!(answer.error_code(), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_feature_must_be_a_known_one() {
    let (emulator, _) = with_running().await;
    let body = json!({ "Features": ["TELEPATHY"] });
    let message = refused(&emulator, "DescribeProjects", body).await;
    assert!(message.contains("'features'"), "{message}");
}

#[test]
fn a_model_with_an_invalid_arn_is_refused_with_the_right_shape() {
    let error = Model::new("arn:aws:rekognition:us-east-1:1:project/cats").unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("'arn:aws:rekognition:us-east-1:1:project/cats'"),
        "{message}"
    );
    assert!(
        message.contains("project/PROJECT/version/VERSION/NUMBER"),
        "{message}"
    );
}
