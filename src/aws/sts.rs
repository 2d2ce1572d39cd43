//! The operation of STS.

use aws_sdk_sts::Client;

use super::attempt::{Attempt, attempt};
use crate::calls::operation::Operation;
use crate::calls::response::{Content, Session};

/// The name of the sessions, which CloudTrail records with each of their calls.
const SESSION_NAME: &str = "rekognition-stopper";

pub(super) fn assume_role(client: &Client, role_arn: &str, external_id: Option<String>) -> Attempt {
    let sent = client
        .assume_role()
        .role_arn(role_arn)
        .role_session_name(SESSION_NAME)
        .set_external_id(external_id)
        .send();
    attempt(Operation::AssumeRole, sent, |response| {
        let credentials = response.credentials?;
        let session = Session {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
        };
        Some(Content::Session(session).into())
    })
}
