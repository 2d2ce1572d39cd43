//! STS: roles, sessions and whose calls they make.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use rekognition_emulator::{Answer, Emulator, Fault, Operation, Quota, Role, Service};

use crate::client::{Caller, model, with_running};
use crate::sdk::{Sdk, error_of, own_credentials};

const MEMBER: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::222222222222:role/audit/stopper-member";
const MODEL: &str =
    "arn:aws:rekognition:eu-west-1:222222222222:project/dogs/version/v1/1700000000000";

fn role() -> Role {
    Role::new(ROLE).unwrap()
}

/// A running model of another account, whose role trusts the caller's account.
async fn with_member() -> Emulator {
    let builder = Emulator::builder().role(role().trusts("123456789012"));
    let builder = builder.model(model(MODEL).status("RUNNING"));
    builder.start().await.unwrap()
}

async fn stop(sdk: &Sdk, arn: &str) -> Result<(), (String, String)> {
    let call = sdk.rekognition.stop_project_version();
    let answer = call.project_version_arn(arn).send().await;
    answer.map(drop).map_err(|error| error_of(&error))
}

fn code<T: std::fmt::Debug>(result: Result<T, (String, String)>) -> String {
    result.unwrap_err().0
}

#[tokio::test]
async fn a_session_acts_as_the_account_of_its_role() {
    let emulator = with_member().await;
    let own = Sdk::with(&emulator, "eu-west-1", own_credentials());
    assert_eq!(code(stop(&own, MODEL).await), "AccessDeniedException");
    let session = own.assume(ROLE).await.unwrap();
    assert!(session.access_key_id().starts_with("ASIA"));
    let member = Sdk::with(&emulator, "eu-west-1", session);
    let list = member.rekognition.describe_projects().send().await.unwrap();
    let project = list.project_descriptions()[0].project_arn().unwrap();
    assert_eq!(Some(project.to_owned()), emulator.project_arn(MODEL));
    assert_eq!(stop(&member, MODEL).await, Ok(()));
    assert_eq!(emulator.status(MODEL).unwrap(), "STOPPED");

    let own_arn = "arn:aws:sts::123456789012:assumed-role/stopper/stopper";
    let member_arn = "arn:aws:sts::222222222222:assumed-role/stopper-member/nightly";
    for (sdk, account, arn) in [
        (&own, "123456789012", own_arn),
        (&member, MEMBER, member_arn),
    ] {
        let identity = sdk.sts.get_caller_identity().send().await.unwrap();
        assert_eq!(identity.account(), Some(account));
        assert_eq!(identity.arn(), Some(arn));
    }
    let calls = emulator.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.operation.name(), &*call.account, &*call.identity))
        .collect();
    let expected = [
        ("StopProjectVersion", "123456789012", own_arn),
        ("AssumeRole", "123456789012", own_arn),
        ("DescribeProjects", MEMBER, member_arn),
        ("StopProjectVersion", MEMBER, member_arn),
        ("GetCallerIdentity", "123456789012", own_arn),
        ("GetCallerIdentity", MEMBER, member_arn),
    ];
    assert_eq!(seen, expected);
    assert_eq!(calls[1].region, "eu-west-1");
    assert_eq!(calls[1].resources, [ROLE]);
    assert_eq!(calls[1].body["RoleSessionName"], "nightly");
    assert_eq!(emulator.assume_role_count(MEMBER), 1);
    assert_eq!(emulator.assume_role_count("123456789012"), 0);
}

#[tokio::test]
async fn a_role_is_assumed_by_whom_it_trusts() {
    let emulator = Emulator::builder().caller_role("service-role/nightly");
    let emulator = emulator.start().await.unwrap();
    let sdk = Sdk::new(&emulator);
    let refusal = format!(
        "User: arn:aws:sts::123456789012:assumed-role/nightly/stopper is not authorized to perform: \
         sts:AssumeRole on resource: {ROLE}"
    );
    let refused = Err(("AccessDenied".to_owned(), refusal));
    // A role that does not exist is refused like one that trusts no one.
    assert_eq!(sdk.assume(ROLE).await, refused);
    for (principal, is_trusted) in [
        ("123456789012", true),
        ("arn:aws:iam::123456789012:root", true),
        ("arn:aws:iam::123456789012:role/service-role/nightly", true),
        (
            "arn:aws:sts::123456789012:assumed-role/nightly/stopper",
            true,
        ),
        ("*", true),
        ("333333333333", false),
        ("arn:aws:iam::333333333333:root", false),
        ("arn:aws:iam::123456789012:role/nightly", false),
    ] {
        emulator.add_role(role().trusts("444444444444").trusts(principal));
        let result = sdk.assume(ROLE).await;
        assert_eq!(result.is_ok(), is_trusted, "{principal}");
        if !is_trusted {
            assert_eq!(result, refused);
        }
    }
}

#[tokio::test]
async fn an_external_id_has_to_be_the_roles() {
    let (emulator, _) = with_running().await;
    emulator.add_role(role().trusts("*").external_id("night-1"));
    let sdk = Sdk::new(&emulator);
    for (given, is_trusted) in [
        (None, false),
        (Some("night-2"), false),
        (Some("night-1"), true),
    ] {
        let call = sdk.sts.assume_role().role_arn(ROLE).role_session_name("x1");
        let answer = call.set_external_id(given.map(str::to_owned)).send().await;
        match answer {
            Ok(_) => assert!(is_trusted),
            Err(error) => {
                assert!(!is_trusted);
                assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
                assert_eq!(error_of(&error).0, "AccessDenied");
            }
        }
    }
}

#[tokio::test]
async fn a_session_ends_after_its_time_in_each_services_words() {
    let emulator = with_member().await;
    let own = Sdk::new(&emulator);
    let call = own.sts.assume_role().role_arn(ROLE).role_session_name("x1");
    let begun = SystemTime::now();
    let answer = call.duration_seconds(900).send().await.unwrap();
    let given = answer.credentials().unwrap();
    let end = SystemTime::try_from(*given.expiration()).unwrap();
    let lasts = end.duration_since(begun).unwrap().as_secs_f64();
    assert!((898.0..960.0).contains(&lasts), "{lasts}");

    let token = Some(given.session_token().to_owned());
    let session = |token| {
        let (key, secret) = (given.access_key_id(), given.secret_access_key());
        Credentials::new(key, secret, token, None, "session")
    };
    let member = Sdk::with(&emulator, "eu-west-1", session(token));
    let advance = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    advance(890).await;
    assert_eq!(stop(&member, MODEL).await, Ok(()));
    advance(10).await;
    let expired = "The security token included in the request is expired".to_owned();
    let error = stop(&member, MODEL).await.unwrap_err();
    assert_eq!(error, ("ExpiredTokenException".to_owned(), expired.clone()));
    let error = member.sts.get_caller_identity().send().await.unwrap_err();
    assert_eq!(
        error_of(&error),
        ("ExpiredToken".to_owned(), expired.clone())
    );
    let error = member.organizations.list_accounts().send().await;
    let error = error_of(&error.unwrap_err());
    assert_eq!(error, ("ExpiredTokenException".to_owned(), expired));
    assert_eq!(emulator.calls().last().unwrap().account, MEMBER);

    for token in [None, Some("another".to_owned())] {
        let stranger = Sdk::with(&emulator, "eu-west-1", session(token));
        let error = stop(&stranger, MODEL).await;
        assert_eq!(code(error), "UnrecognizedClientException");
        let error = stranger.sts.get_caller_identity().send().await.unwrap_err();
        assert_eq!(error_of(&error).0, "InvalidClientTokenId");
    }
}

#[tokio::test]
async fn sessions_can_be_short_and_can_be_ended() {
    let emulator = with_member().await;
    let own = Sdk::with(&emulator, "eu-west-1", own_credentials());
    let member = Sdk::with(&emulator, "eu-west-1", own.assume(ROLE).await.unwrap());
    assert_eq!(stop(&member, MODEL).await, Ok(()));
    emulator.expire_sessions();
    assert_eq!(code(stop(&member, MODEL).await), "ExpiredTokenException");

    emulator.add_role(role().trusts("*").session_length(Duration::from_secs(2)));
    let session = own.assume(ROLE).await.unwrap();
    let left = session.expiry().unwrap().duration_since(SystemTime::now());
    assert!(left.map_or(0, |left| left.as_secs()) <= 2);
}

#[tokio::test]
async fn what_sts_is_asked_for_is_checked() {
    let emulator = with_member().await;
    let sdk = Sdk::new(&emulator);
    let chained = "exceeds the 1 hour session limit for roles assumed by role chaining.";
    for (name, seconds, external_id, right) in [
        ("x", 900, "e1", "'roleSessionName'"),
        ("x y", 900, "e1", "'roleSessionName'"),
        ("x1", 899, "e1", "'durationSeconds'"),
        ("x1", 43_201, "e1", "'durationSeconds'"),
        ("x1", 3601, "e1", chained),
        ("x1", 900, "e", "'externalId'"),
    ] {
        let call = sdk.sts.assume_role().role_arn(ROLE).role_session_name(name);
        let call = call.duration_seconds(seconds).external_id(external_id);
        let (code, message) = error_of(&call.send().await.unwrap_err());
        assert_eq!(code, "ValidationError", "{message}");
        assert!(message.contains(right), "{message}");
    }
    // The SDK has operations that the emulator has not.
    let error = sdk.sts.get_session_token().send().await.unwrap_err();
    assert_eq!(error_of(&error).0, "InvalidAction");
}

#[tokio::test]
async fn assuming_a_role_can_be_denied() {
    let emulator = with_member().await;
    emulator.deny(
        "sts:AssumeRole",
        Some("arn:aws:iam::222222222222:role/audit/"),
    );
    let sdk = Sdk::new(&emulator);
    let (code, message) = sdk.assume(ROLE).await.unwrap_err();
    assert_eq!(code, "AccessDenied");
    let reason = "because no identity-based policy allows the sts:AssumeRole action";
    assert!(message.ends_with(reason), "{message}");
    assert!(sdk.sts.get_caller_identity().send().await.is_ok());
}

#[tokio::test]
async fn assuming_one_role_can_fail_or_hang_while_others_are_assumed() {
    let emulator = with_member().await;
    let other = ROLE.replace(MEMBER, "333333333333");
    emulator.add_role(Role::new(&other).unwrap().trusts("*"));
    let on_member = |fault: Fault| fault.operation(Operation::AssumeRole).resource(ROLE);
    emulator.add_fault(on_member(Fault::error("InternalFailure").attempts(..=1)));
    emulator.add_fault(on_member(Fault::hang()));
    let sdk = Sdk::new(&emulator);
    assert_eq!(code(sdk.assume(ROLE).await), "InternalFailure");
    let hanging = Sdk::new(&emulator);
    let call = tokio::spawn(async move { hanging.assume(ROLE).await });
    let hangs = |e: &Emulator| {
        e.calls()
            .iter()
            .any(|it| it.answer == Answer::Fault("hang"))
    };
    emulator.wait_until(hangs).await;
    assert!(sdk.assume(&other).await.is_ok());
    assert_eq!(emulator.in_flight_to(Service::Sts), 1);
    assert_eq!(emulator.max_in_flight_to(Service::Sts), 2);
    assert_eq!(emulator.in_flight_to(Service::Rekognition), 0);
    call.abort();
    emulator
        .wait_until(|e| e.in_flight_to(Service::Sts) == 0)
        .await;
    assert_eq!(emulator.assume_role_count(MEMBER), 2);
    assert_eq!(emulator.assume_role_count("333333333333"), 1);
}

#[tokio::test]
async fn a_fault_befalls_the_named_account_and_region_only() {
    let emulator = with_member().await;
    emulator.add_fault(
        Fault::http_status(503, "")
            .account(MEMBER)
            .region("eu-west-1"),
    );
    let own = Sdk::new(&emulator);
    let session = own.assume(ROLE).await.unwrap();
    for (region, credentials, is_good) in [
        ("eu-west-1", session.clone(), false),
        ("us-east-1", session, true),
        ("eu-west-1", own_credentials(), true),
    ] {
        let sdk = Sdk::with(&emulator, region, credentials);
        let answer = sdk.rekognition.describe_projects().send().await;
        assert_eq!(answer.is_ok(), is_good);
    }
}

#[tokio::test]
async fn each_account_has_quotas_of_its_own_and_sts_one_only_where_it_is_given() {
    let emulator = with_member().await;
    emulator.set_quota(Some(Quota::per_second(0.001).burst(2)));
    let own = Sdk::with(&emulator, "eu-west-1", own_credentials());
    let member = Sdk::with(&emulator, "eu-west-1", own.assume(ROLE).await.unwrap());
    for sdk in [&own, &member] {
        let mut through = 0;
        for _ in 0..4 {
            let answer = sdk.rekognition.describe_projects().send().await;
            through += usize::from(answer.is_ok());
        }
        assert_eq!(through, 2);
    }
    assert_eq!(emulator.max_in_flight_in(MEMBER, "eu-west-1"), 1);
    for _ in 0..4 {
        assert!(own.assume(ROLE).await.is_ok());
    }
    let quota = Quota::per_second(0.001).burst(1);
    emulator.set_operation_quota(Operation::AssumeRole, Some(quota));
    assert!(own.assume(ROLE).await.is_ok());
    let throttled = ("Throttling".to_owned(), "Rate exceeded".to_owned());
    assert_eq!(own.assume(ROLE).await, Err(throttled));
    // Another region's endpoint counts apart.
    assert!(Sdk::new(&emulator).assume(ROLE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_told_by_the_services_clock() {
    let (emulator, _) = with_running().await;
    emulator.add_role(role().trusts("*"));
    emulator.set_clock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let form = format!("Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=x%2By");
    let request = axum::http::Request::post(emulator.url())
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/sts/aws4_request, SignedHeaders=host",
        )
        .body(form.into())
        .unwrap();
    let answer = Caller::new(&emulator).send(request).await.unwrap();
    assert_eq!(answer.headers["content-type"], "text/xml");
    let expected = "<Expiration>2027-01-15T09:00:00Z</Expiration>";
    assert!(answer.text.contains(expected), "{}", answer.text);
    let arn = "<Arn>arn:aws:sts::222222222222:assumed-role/stopper-member/x+y</Arn>";
    assert!(answer.text.contains(arn), "{}", answer.text);
}
