//! Reaching the service through TLS and proxies, as configured in the environment: the built
//! function, a private certificate authority and a proxy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rekognition_emulator::Emulator;
use serde_json::json;

use crate::support::runtime_api::{Answer, Function};
use crate::support::{PLENTY, arn_in, arns, running_emulator};
use crate::tls::{Authority, Proxy, TlsFront};

/// What stands between the function and the service.
struct Service {
    emulator: Emulator,
    front: TlsFront,
    proxy: Proxy,
    /// TLS in front of the proxy.
    proxy_front: TlsFront,
    /// Where the authority's certificate is: its directory, and its file.
    directory: PathBuf,
    authority: String,
}

impl Service {
    /// One whose handshakes begin after this time, for a test with this name.
    async fn start(test: &str, pause: Duration) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let authority = Authority::new("private");
        let emulator = running_emulator(&arns(1)).await;
        crate::support::record(&emulator);
        let proxy = Proxy::start().await;
        Self {
            front: TlsFront::start_slow(&emulator.url(), &authority, pause).await,
            proxy_front: TlsFront::start(&proxy.url, &authority).await,
            authority: authority.write_to(&directory),
            emulator,
            proxy,
            directory,
        }
    }

    /// Stops the one model at this address, with these variables. Returns the log as well.
    async fn stop(
        &self,
        url: &str,
        variables: &[(&str, &str)],
        time: Duration,
    ) -> (Answer, String) {
        let arns = arns(1);
        self.emulator.set_status(&arns[0], "RUNNING");
        let mut function = Function::against(url, variables).await;
        let event = json!({ "model_arns": arns }).to_string();
        let answer = function.invoke(event, time).await;
        (answer, function.end().await)
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_the_variables_that_name_its_file_or_directory() {
    let service = Service::start("trusted", Duration::ZERO).await;
    for variable in [
        ("SSL_CERT_FILE", &*service.authority),
        ("SSL_CERT_DIR", service.directory.to_str().unwrap()),
    ] {
        let (answer, _) = service.stop(&service.front.url, &[variable], PLENTY).await;
        assert!(answer.is_ok, "{variable:?}: {answer:?}");
    }
}

#[tokio::test]
async fn an_untrusted_authority_is_named_in_the_error_and_nothing_is_sent() {
    let service = Service::start("untrusted", Duration::ZERO).await;
    let another = Authority::new("another").write_to(&service.directory);
    let variables = [("SSL_CERT_FILE", &*another)];
    let limit = Duration::from_secs(2);
    let (answer, log) = service.stop(&service.front.url, &variables, limit).await;
    for text in [answer.error("NotAllStopped"), &log] {
        let reason = "invalid peer certificate: UnknownIssuer";
        assert!(text.contains(reason), "{text}");
    }
    assert!(service.emulator.calls().is_empty());
}

/// In real time, because the time that a connection may take is the HTTP client's own, and 3.1 s
/// unless the function sets it.
#[tokio::test]
async fn a_handshake_that_takes_four_seconds_is_waited_for() {
    let service = Service::start("slow-handshake", Duration::from_secs(4)).await;
    let variables = [("SSL_CERT_FILE", &*service.authority)];
    let (answer, _) = service.stop(&service.front.url, &variables, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
}

#[tokio::test]
async fn calls_go_through_the_proxy_that_the_environment_names() {
    let service = Service::start("proxies", Duration::ZERO).await;
    let (http, https) = (service.emulator.url(), &*service.front.url);
    let proxy = &*service.proxy.url;
    let forward = format!("POST {http}/ HTTP/1.1");
    let tunnel = format!("CONNECT {} HTTP/1.1", https.replace("https://", ""));
    for (url, variables, asked) in [
        (https, &[("HTTPS_PROXY", proxy)][..], Some(&tunnel)),
        (&http, &[("HTTP_PROXY", proxy)], Some(&forward)),
        // The proxy itself may be reached over TLS.
        (
            &http,
            &[("HTTP_PROXY", &service.proxy_front.url)],
            Some(&forward),
        ),
        (
            https,
            &[("ALL_PROXY", proxy), ("NO_PROXY", "localhost")],
            None,
        ),
    ] {
        let before = service.proxy.asked().len();
        let trusted = [("SSL_CERT_FILE", &*service.authority)];
        let (answer, _) = service
            .stop(url, &[&trusted, variables].concat(), PLENTY)
            .await;
        assert!(answer.is_ok, "{variables:?}: {answer:?}");
        let lines = service.proxy.asked().split_off(before);
        assert!(lines.iter().eq(asked), "{variables:?}: {lines:?}");
    }
}

#[tokio::test]
async fn the_sdks_own_variables_choose_the_endpoint() {
    let service = Service::start("endpoints", Duration::ZERO).await;
    let (url, nowhere) = (service.emulator.url(), "http://127.0.0.1:9");
    let variables = [("AWS_ENDPOINT_URL_REKOGNITION", &*url)];
    let (answer, _) = service.stop(nowhere, &variables, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    for (variable, host) in [
        (
            "AWS_USE_FIPS_ENDPOINT",
            "rekognition-fips.us-east-1.amazonaws.com",
        ),
        (
            "AWS_USE_DUALSTACK_ENDPOINT",
            "rekognition.us-east-1.api.aws",
        ),
    ] {
        let before = service.proxy.asked().len();
        let variables = [
            (variable, "true"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ("HTTPS_PROXY", &service.proxy.url),
        ];
        let limit = Duration::from_secs(2);
        let (answer, _) = service.stop(&url, &variables, limit).await;
        answer.error("NotAllStopped");
        let asked = service.proxy.asked().split_off(before);
        assert_eq!(asked[0], format!("CONNECT {host}:443 HTTP/1.1"));
    }
}

#[tokio::test]
async fn the_trusted_certificates_are_read_once_whatever_the_number_of_regions_and_calls() {
    let service = Service::start("read-once", Duration::ZERO).await;
    let missing = service.directory.join("missing");
    let variables = [
        ("SSL_CERT_FILE", &*service.authority),
        ("SSL_CERT_DIR", missing.to_str().unwrap()),
    ];
    let mut function = Function::against(&service.front.url, &variables).await;
    let entries = ["us-east-1", "eu-west-1"].map(|region| arn_in(region, "shelf", "v0000"));
    for _ in 0..2 {
        let event = json!({"model_arns": entries, "dry_run": true}).to_string();
        function.invoke(event, PLENTY).await;
    }
    // Where `SSL_CERT_DIR` names no directory, that is logged each time they are read.
    let log = function.end().await;
    let read = log.matches("native root CA certificate loading errors");
    assert_eq!(read.count(), 1, "{log}");
    let calls = service.emulator.calls();
    for region in ["us-east-1", "eu-west-1"] {
        assert!(calls.iter().filter(|call| call.region == region).count() > 1);
    }
}
