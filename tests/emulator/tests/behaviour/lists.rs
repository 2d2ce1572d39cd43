//! The two lists, and their pages.

use rekognition_emulator::{Emulator, ListEnd, Operation};
use serde_json::{Value, json};

use crate::client::{Caller, arn, arn_with_number, model, running, with_running};
use crate::sdk::Sdk;

/// Reads a list to its end. Returns each page's ARNs.
async fn pages(caller: &Caller, operation: &str, mut body: Value) -> Vec<Vec<String>> {
    let (list, arn) = match operation {
        "DescribeProjects" => ("ProjectDescriptions", "ProjectArn"),
        _ => ("ProjectVersionDescriptions", "ProjectVersionArn"),
    };
    let mut pages = Vec::new();
    loop {
        let answer = caller.call(operation, body.clone()).await.json();
        let items = answer[list].as_array().unwrap().iter();
        pages.push(
            items
                .map(|it| it[arn].as_str().unwrap().to_owned())
                .collect(),
        );
        match answer.get("NextToken") {
            Some(token) => body["NextToken"] = token.clone(),
            None => return pages,
        }
    }
}

fn sizes(pages: &[Vec<String>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn a_projects_arn_ends_in_a_number_of_its_own() {
    let (emulator, arn) = with_running().await;
    let list = Caller::new(&emulator)
        .call("DescribeProjects", json!({}))
        .await
        .json();
    let project = &list["ProjectDescriptions"][0];
    let project_arn = project["ProjectArn"].as_str().unwrap();
    assert_eq!(Some(project_arn.to_owned()), emulator.project_arn(&arn));
    assert!(project_arn.starts_with("arn:aws:rekognition:us-east-1:123456789012:project/cats/"));
    assert_ne!(project_arn.rsplit('/').next(), arn.rsplit('/').next());
    assert_eq!(project["Status"], "CREATED");
    assert_eq!(project["Datasets"], json!([]));
    assert_eq!(project["Feature"], "CUSTOM_LABELS");
    assert!(project["CreationTimestamp"].is_f64());
}

#[tokio::test]
async fn projects_come_100_a_page_or_as_asked() {
    let mut builder = Emulator::builder();
    for n in 0..230 {
        builder = builder.project(&format!("p{n}"), "us-east-1", "CUSTOM_LABELS");
    }
    let emulator = builder.start().await.unwrap();
    let caller = Caller::new(&emulator);
    let all = pages(&caller, "DescribeProjects", json!({})).await;
    assert_eq!(sizes(&all), [100, 100, 30]);
    let mut arns = all.concat();
    arns.sort();
    arns.dedup();
    assert_eq!(arns.len(), 230);
    let by_46 = pages(&caller, "DescribeProjects", json!({ "MaxResults": 46 })).await;
    assert_eq!(sizes(&by_46), [46; 5]);
}

#[tokio::test]
async fn pages_can_be_shorter_than_asked_for() {
    let emulator = Emulator::builder().start().await.unwrap();
    emulator.set_page_size(3);
    for n in 0..7 {
        emulator.add_project(&format!("p{n}"), "us-east-1", "CUSTOM_LABELS");
    }
    let caller = Caller::new(&emulator);
    for body in [json!({}), json!({ "MaxResults": 50 })] {
        let all = pages(&caller, "DescribeProjects", body).await;
        assert_eq!(sizes(&all), [3, 3, 1]);
    }
    let by_2 = pages(&caller, "DescribeProjects", json!({ "MaxResults": 2 })).await;
    assert_eq!(sizes(&by_2), [2, 2, 2, 1]);
}

#[tokio::test]
async fn projects_are_found_by_name() {
    let (emulator, _) = with_running().await;
    emulator.add_project("dogs", "us-east-1", "CUSTOM_LABELS");
    let body = json!({ "ProjectNames": ["dogs", "none"] });
    let found = pages(&Caller::new(&emulator), "DescribeProjects", body)
        .await
        .concat();
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("project/dogs/"));
}

#[tokio::test]
async fn projects_of_other_features_are_listed_on_request() {
    let moderation = arn("moderation", "v1");
    let (emulator, _) = with_running().await;
    emulator.add_model(model(&moderation).feature("CONTENT_MODERATION"));
    let caller = Caller::new(&emulator);
    let count = async |body| {
        pages(&caller, "DescribeProjects", body)
            .await
            .concat()
            .len()
    };
    assert_eq!(count(json!({})).await, 1);
    assert_eq!(
        count(json!({ "Features": ["CONTENT_MODERATION"] })).await,
        1
    );
    assert_eq!(
        count(json!({ "Features": ["CONTENT_MODERATION", "CUSTOM_LABELS"] })).await,
        2
    );
    let body = json!({ "ProjectArn": emulator.project_arn(&moderation) });
    let list = caller.call("DescribeProjectVersions", body).await.json();
    let feature = &list["ProjectVersionDescriptions"][0]["Feature"];
    assert_eq!(feature, "CONTENT_MODERATION");
}

#[tokio::test]
async fn a_description_can_be_as_long_as_that_of_a_trained_model() {
    let (model, arn) = running();
    let emulator = Emulator::builder().model(model.description_bytes(2500));
    let emulator = emulator.start().await.unwrap();
    let project = emulator.project_arn(&arn).unwrap();

    let body = json!({ "ProjectArn": project });
    let caller = Caller::new(&emulator);
    let list = caller.call("DescribeProjectVersions", body).await.json();
    let length = list["ProjectVersionDescriptions"][0].to_string().len();
    assert!((2400..2700).contains(&length), "{length}");

    let sdk = Sdk::new(&emulator).rekognition;
    let list = sdk.describe_project_versions().project_arn(project).send();
    let list = list.await.unwrap();
    let description = &list.project_version_descriptions()[0];
    assert_eq!(description.project_version_arn(), Some(arn.as_str()));
    let training = description.training_data_result().unwrap();
    assert!(training.input().unwrap().assets().len() > 5);
    assert!(description.evaluation_result().unwrap().f1_score() > Some(0.9));
}

#[tokio::test]
async fn versions_come_newest_first_100_a_page() {
    let number = |n: u64| 1_700_000_000_000 + n * 1000;
    let arns = (0..150).map(|n| arn_with_number("cats", &format!("v{n}"), number(n)));
    let arns: Vec<_> = arns.collect();
    let emulator = Emulator::builder().models(arns.iter().map(|arn| model(arn)));
    let emulator = emulator.start().await.unwrap();
    let body = json!({ "ProjectArn": emulator.project_arn(&arns[0]) });
    let all = pages(&Caller::new(&emulator), "DescribeProjectVersions", body).await;
    assert_eq!(sizes(&all), [100, 50]);
    let newest_first: Vec<_> = arns.into_iter().rev().collect();
    assert_eq!(all.concat(), newest_first);
}

#[tokio::test]
async fn a_version_is_described_by_name() {
    let (emulator, arn) = with_running().await;
    emulator.add_model(model(&crate::client::arn("cats", "v2")).inference_units(4));
    let body = json!({ "ProjectArn": emulator.project_arn(&arn), "VersionNames": ["v1", "none"] });
    let list = Caller::new(&emulator)
        .call("DescribeProjectVersions", body)
        .await
        .json();
    let expected = json!({ "ProjectVersionDescriptions": [{
        "ProjectVersionArn": arn,
        "CreationTimestamp": 1_700_000_000.0,
        "MinInferenceUnits": 1,
        "Status": "RUNNING",
        "StatusMessage": "The model is running.",
        "Feature": "CUSTOM_LABELS",
    }] });
    assert_eq!(list, expected);
}

#[tokio::test]
async fn a_page_token_is_good_for_the_same_request_only() {
    let (emulator, arn) = with_running().await;
    emulator.add_project("dogs", "us-east-1", "CUSTOM_LABELS");
    let caller = Caller::new(&emulator);
    let first = caller
        .call("DescribeProjects", json!({ "MaxResults": 1 }))
        .await
        .json();
    let token = &first["NextToken"];
    let project = emulator.project_arn(&arn);
    for (operation, body) in [
        (
            "DescribeProjects",
            json!({ "MaxResults": 2, "NextToken": token }),
        ),
        (
            "DescribeProjects",
            json!({ "MaxResults": 1, "NextToken": "x" }),
        ),
        (
            "DescribeProjectVersions",
            json!({ "ProjectArn": project, "NextToken": token }),
        ),
    ] {
        let answer = caller.call(operation, body).await;
        assert_eq!(answer.http_status, 400);
        assert_eq!(answer.error_code(), "InvalidPaginationTokenException");
    }
    let body = json!({ "MaxResults": 1, "NextToken": token });
    let second = caller.call("DescribeProjects", body).await.json();
    assert!(second.get("NextToken").is_none());
    assert_ne!(first["ProjectDescriptions"], second["ProjectDescriptions"]);
}

#[tokio::test]
async fn the_last_page_may_have_an_empty_token_which_gives_the_first() {
    let (emulator, arn) = with_running().await;
    emulator.add_project("dogs", "us-east-1", "CUSTOM_LABELS");
    emulator.set_list_end(Operation::DescribeProjects, ListEnd::EmptyToken);
    let caller = Caller::new(&emulator);
    let mut body = json!({ "MaxResults": 1 });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = caller.call("DescribeProjects", body.clone()).await.json();
        seen.push(answer["ProjectDescriptions"][0]["ProjectArn"].clone());
        body["NextToken"] = answer["NextToken"].clone();
        let is_last = answer["NextToken"] == "";
        assert_eq!(is_last, seen.len() == 2, "{answer}");
    }
    assert_eq!(seen[0], seen[2]);
    assert_ne!(seen[0], seen[1]);
    // The other list ends as it did.
    let body = json!({ "ProjectArn": emulator.project_arn(&arn) });
    let versions = caller.call("DescribeProjectVersions", body).await.json();
    assert!(versions.get("NextToken").is_none());
}

#[tokio::test]
async fn the_last_page_may_come_again_for_ever() {
    let (emulator, _) = with_running().await;
    emulator.add_project("dogs", "us-east-1", "CUSTOM_LABELS");
    emulator.set_list_end(Operation::DescribeProjects, ListEnd::RepeatedToken);
    let caller = Caller::new(&emulator);
    for size in [1, 2] {
        let mut body = json!({ "MaxResults": size });
        let mut answers = Vec::new();
        for _ in 0..4 {
            let answer = caller.call("DescribeProjects", body.clone()).await.json();
            body["NextToken"] = answer["NextToken"].clone();
            answers.push(answer);
        }
        assert!(!body["NextToken"].as_str().unwrap().is_empty());
        assert_eq!(answers[1], answers[2]);
        assert_eq!(answers[2], answers[3]);
        assert_eq!(answers[0]["NextToken"], answers[1]["NextToken"]);
    }
}

#[tokio::test]
async fn a_project_may_have_a_namesake_that_lists_none_of_its_versions() {
    for namesake_first in [true, false] {
        let emulator = Emulator::builder().start().await.unwrap();
        let arn = arn("cats", "v1");
        let add_namesake = || emulator.add_namesake_project(&arn, "DELETING").unwrap();
        let before = namesake_first.then(add_namesake);
        emulator.add_model(model(&arn));
        let namesake = before.unwrap_or_else(add_namesake);
        let project = emulator.project_arn(&arn).unwrap();
        assert_ne!(namesake, project);

        let caller = Caller::new(&emulator);
        let body = json!({ "ProjectNames": ["cats"] });
        let list = caller.call("DescribeProjects", body).await.json();
        let seen = list["ProjectDescriptions"].as_array().unwrap().iter();
        let seen: Vec<_> = seen.map(|it| (&it["ProjectArn"], &it["Status"])).collect();
        let (deleting, created) = (json!("DELETING"), json!("CREATED"));
        let (namesake, project) = (json!(namesake), json!(project));
        let mut expected = vec![(&namesake, &deleting), (&project, &created)];
        if !namesake_first {
            expected.reverse();
        }
        assert_eq!(seen, expected);
        for (project, versions) in [(&namesake, 0), (&project, 1)] {
            let body = json!({ "ProjectArn": project, "VersionNames": ["v1"] });
            let list = caller.call("DescribeProjectVersions", body).await.json();
            let listed = list["ProjectVersionDescriptions"].as_array().unwrap();
            assert_eq!(listed.len(), versions);
        }
    }
}
