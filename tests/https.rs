//! Reaching the service through TLS and proxies, as configured in the environment: the built
//! function, a private certificate authority and a proxy.

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rekognition_emulator::Emulator;
use serde_json::json;
use support::runtime_api::{Answer, Function};
use support::{PLENTY, arn_in, arns, running};
use tls::{Authority, Proxy, TlsFront};

/// The directory into which a test writes its certificates.
fn directory(test: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// An emulator with one running model.
async fn emulator() -> (Emulator, String) {
    let arn = arns(1).remove(0);
    let emulator = Emulator::builder().model(running(&arn)).start().await;
    let emulator = emulator.unwrap();
    support::record(&emulator);
    (emulator, arn)
}

/// Stops one model with the service at this address, with these variables.
async fn stop(
    arn: &str,
    url: &str,
    variables: &[(&str, &str)],
    time_limit: Duration,
) -> (Answer, String) {
    let mut environment = vec![
        ("AWS_ENDPOINT_URL", url),
        ("CONFIRM_STOPPED", "false"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ];
    environment.extend(variables);
    let mut function = Function::start(&environment).await;
    let event = json!({"model_arns": [arn]}).to_string();
    let answer = function.invoke(event, time_limit).await;
    (answer, function.end().await)
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_ssl_cert_file() {
    let authority = Authority::new("private");
    let file = authority.write_to(&directory("ssl-cert-file"));
    let (emulator, arn) = emulator().await;
    let front = TlsFront::start(&emulator.url(), &authority).await;
    let (answer, _) = stop(&arn, &front.url, &[("SSL_CERT_FILE", &file)], PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(emulator.calls().len(), 1);
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_ssl_cert_dir() {
    let authority = Authority::new("private");
    let directory = directory("ssl-cert-dir");
    authority.write_to(&directory);
    let (emulator, arn) = emulator().await;
    let front = TlsFront::start(&emulator.url(), &authority).await;
    let variables = [("SSL_CERT_DIR", directory.to_str().unwrap())];
    let (answer, _) = stop(&arn, &front.url, &variables, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(emulator.calls().len(), 1);
}

#[tokio::test]
async fn an_untrusted_authority_is_named_in_the_error_and_nothing_is_sent() {
    let file = Authority::new("another").write_to(&directory("another-authority"));
    let (emulator, arn) = emulator().await;
    let front = TlsFront::start(&emulator.url(), &Authority::new("not trusted")).await;
    let limit = Duration::from_secs(2);
    let (answer, log) = stop(&arn, &front.url, &[("SSL_CERT_FILE", &file)], limit).await;
    assert!(!answer.is_ok, "{answer:?}");
    for text in [answer.body["errorMessage"].as_str().unwrap(), &log] {
        assert!(
            text.contains("invalid peer certificate: UnknownIssuer"),
            "{text}"
        );
    }
    assert!(emulator.calls().is_empty());
}

/// In real time, because the time that a connection may take is the HTTP client's own.
#[tokio::test]
async fn a_handshake_that_takes_four_seconds_delays_the_stop_by_no_more() {
    let authority = Authority::new("private");
    let file = authority.write_to(&directory("slow-handshake"));
    let (emulator, arn) = emulator().await;
    let four_seconds = Duration::from_secs(4);
    let front = TlsFront::start_slow(&emulator.url(), &authority, four_seconds).await;
    let start = Instant::now();
    let (answer, _) = stop(&arn, &front.url, &[("SSL_CERT_FILE", &file)], PLENTY / 3).await;
    assert!(answer.is_ok, "{answer:?}");
    let took = start.elapsed();
    assert!(took < four_seconds + Duration::from_secs(3), "{took:?}");
    assert_eq!(emulator.calls().len(), 1);
}

#[tokio::test]
async fn calls_over_tls_go_through_https_proxy() {
    let authority = Authority::new("private");
    let file = authority.write_to(&directory("https-proxy"));
    let (emulator, arn) = emulator().await;
    let front = TlsFront::start(&emulator.url(), &authority).await;
    let proxy = Proxy::start().await;
    let variables = [("SSL_CERT_FILE", &*file), ("HTTPS_PROXY", &*proxy.url)];
    let (answer, _) = stop(&arn, &front.url, &variables, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    let address = front.url.replace("https://", "");
    assert_eq!(proxy.asked(), [format!("CONNECT {address} HTTP/1.1")]);
}

#[tokio::test]
async fn plain_calls_go_through_http_proxy() {
    let (emulator, arn) = emulator().await;
    let proxy = Proxy::start().await;
    let url = emulator.url();
    let (answer, _) = stop(&arn, &url, &[("HTTP_PROXY", &proxy.url)], PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(proxy.asked(), [format!("POST {url}/ HTTP/1.1")]);
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    let authority = Authority::new("private");
    let file = authority.write_to(&directory("tls-to-the-proxy"));
    let (emulator, arn) = emulator().await;
    let proxy = Proxy::start().await;
    let front = TlsFront::start(&proxy.url, &authority).await;
    let variables = [("SSL_CERT_FILE", &*file), ("HTTP_PROXY", &*front.url)];
    let url = emulator.url();
    let (answer, _) = stop(&arn, &url, &variables, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(proxy.asked(), [format!("POST {url}/ HTTP/1.1")]);
}

#[tokio::test]
async fn hosts_in_no_proxy_are_reached_directly() {
    let authority = Authority::new("private");
    let file = authority.write_to(&directory("no-proxy"));
    let (emulator, arn) = emulator().await;
    let front = TlsFront::start(&emulator.url(), &authority).await;
    let proxy = Proxy::start().await;
    let variables = [
        ("SSL_CERT_FILE", &*file),
        ("ALL_PROXY", &*proxy.url),
        ("NO_PROXY", "localhost"),
    ];
    let (answer, _) = stop(&arn, &front.url, &variables, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(proxy.asked(), [""; 0]);
}

/// What is logged each time the certificates are read, if `SSL_CERT_DIR` names no directory.
const READ: &str = "native root CA certificate loading errors";

#[tokio::test]
async fn the_trusted_certificates_are_read_once_whatever_the_number_of_regions_and_calls() {
    let authority = Authority::new("private");
    let directory = directory("read-once");
    let file = authority.write_to(&directory);
    let missing = directory.join("missing");
    let arns = [
        arn_in("us-east-1", "shelf", "v1"),
        arn_in("us-east-1", "shelf", "v2"),
        arn_in("eu-west-1", "shelf", "v1"),
    ];
    let emulator = Emulator::builder().models(arns.iter().map(|arn| running(arn)));
    let emulator = emulator.start().await.unwrap();
    let front = TlsFront::start(&emulator.url(), &authority).await;
    let mut function = Function::start(&[
        ("AWS_ENDPOINT_URL", &front.url),
        ("CONFIRM_STOPPED", "false"),
        ("SSL_CERT_FILE", &file),
        ("SSL_CERT_DIR", missing.to_str().unwrap()),
    ])
    .await;
    for _ in 0..2 {
        let event = json!({"model_arns": arns}).to_string();
        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{answer:?}");
    }
    let log = function.end().await;
    assert_eq!(log.matches(READ).count(), 1, "{log}");
}
