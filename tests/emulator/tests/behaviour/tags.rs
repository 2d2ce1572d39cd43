//! ListTagsForResource.

use rekognition_emulator::Emulator;
use serde_json::json;

use crate::client::{Caller, arn, running, with_running};

#[tokio::test]
async fn a_models_tags_are_listed() {
    let (model, arn) = running();
    let tagged = model.tag("keep-running", "true").tag("team", "vision");
    let emulator = Emulator::builder().model(tagged).start().await.unwrap();
    let body = json!({ "ResourceArn": arn });
    let answer = Caller::new(&emulator)
        .call("ListTagsForResource", body)
        .await;
    let expected = json!({ "Tags": { "keep-running": "true", "team": "vision" } });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn the_tags_of_an_unknown_model_are_not_found() {
    let (emulator, _) = with_running().await;
    let caller = Caller::new(&emulator);
    let body = json!({ "ResourceArn": arn("cats", "v9") });
    let answer = caller.call("ListTagsForResource", body).await;
    assert_eq!(answer.error_code(), "ResourceNotFoundException");
    let answer = caller
        .call("ListTagsForResource", json!({ "ResourceArn": "x" }))
        .await;
    assert_eq!(answer.error_code(), "InvalidParameterException");
}
