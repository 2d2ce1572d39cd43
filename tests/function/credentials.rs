//! Where credentials come from: Lambda's environment, and nowhere else.

use std::path::Path;

use serde_json::json;

use crate::support::runtime_api::Function;
use crate::support::{ACCESS_KEY, PLENTY, arns, running_emulator};

#[tokio::test]
async fn credentials_come_from_the_environment_whatever_a_profile_says() {
    // The AWS configuration of a developer's machine.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("credentials");
    let text = "[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = any\n";
    std::fs::write(&file, text).unwrap();
    let (key, secret) = (("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", ""));
    let token = ("AWS_SESSION_TOKEN", "");
    for (missing, access_keys) in [
        (&[][..], &[ACCESS_KEY][..]),
        (&[token], &[ACCESS_KEY]),
        (&[key], &[]),
        (&[secret], &[]),
        (&[key, secret, token], &[]),
    ] {
        let arns = arns(10);
        let emulator = running_emulator(&arns).await;
        let file = ("AWS_CONFIG_FILE", file.to_str().unwrap());
        let environment = [&[file], missing].concat();
        let mut function = Function::against(&emulator.url(), &environment).await;
        let event = json!({"model_arns": arns}).to_string();
        let answer = function.invoke(event, PLENTY).await;
        let calls = emulator.calls();
        let mut used: Vec<&str> = calls.iter().map(|call| &*call.access_key).collect();
        used.dedup();
        assert_eq!(used, access_keys, "{missing:?}");
        if access_keys.is_empty() {
            let message = answer.error("NotAllStopped");
            assert!(message.starts_with("10 of 10 models"), "{message}");
            assert!(message.contains("(DispatchFailure: "), "{message}");
            assert!(message.contains("credential"), "{message}");
        } else {
            assert!(answer.is_ok, "{answer:?}");
        }
    }
}
