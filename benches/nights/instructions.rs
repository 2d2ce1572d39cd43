//! Instructions of whole processes, counted by callgrind, and the size of the program. Both hardly
//! depend on what else the machine does.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::cold::{Service, Way};
use crate::output::{Output, progress};
use crate::program::Program;
use crate::support::runtime_api::Function;

const TIME_LIMIT: Duration = Duration::from_secs(300);
/// The default of `MAX_CONCURRENCY`.
const DEFAULT_CONCURRENCY: usize = 8;
/// The number of models in the run that measures a further call.
const MANY: usize = 300;
/// Where all of a system's certificates are, on common distributions.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Whether instructions can be counted here.
pub async fn can_be_counted() -> bool {
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    valgrind.await.is_ok()
}

pub async fn measure(programs: &[Program], output: &mut Output) {
    let (size, packed) = sizes();
    output.line("");
    output.line(&format!(
        "**Size** of the program: {:.2} MB, {:.2} MB with `gzip -9`.",
        size as f64 / 1e6,
        packed as f64 / 1e6
    ));
    if !can_be_counted().await {
        output.line("");
        output.line("Instructions were not counted: valgrind is not installed.");
        return;
    }
    let service = Service::start().await;
    let whole = whole_store(&service.tls.trusted);

    output.table(
        "**Instructions** of the whole process, from its start until it asks for the next invocation \
         (`valgrind --tool=callgrind`), in millions. Certificates are RSA where nothing else is said.",
        &["program", "run", "instructions"],
    );
    let mut rows = vec![
        (Program::Floor, "no model", Way::NoCall, None),
        (Program::Stopper, "no model", Way::NoCall, None),
        (Program::Stopper, "1 model, plain HTTP", Way::Plain, None),
        (
            Program::Stopper,
            "1 model, TLS, one trusted certificate",
            Way::Tls,
            None,
        ),
        (
            Program::Stopper,
            "the same, all certificates P-256",
            Way::TlsP256,
            None,
        ),
    ];
    if let Some((file, certificates)) = &whole {
        for (run, way) in [("no model", Way::NoCall), ("1 model, TLS", Way::Tls)] {
            let name = format!("{run}, {certificates} trusted certificates");
            rows.push((Program::Stopper, name.leak(), way, Some(file.as_str())));
        }
    }
    let mut of_one = 0.0;
    for (program, name, way, trusted) in rows {
        if programs.contains(&program) {
            progress(&format!("instructions: {}, {name}", program.name()));
            let count = count(program, &service, way, trusted).await;
            if way == Way::Tls && trusted.is_none() {
                of_one = count;
            }
            output.row(&[program.name().to_owned(), name.to_owned(), millions(count)]);
        }
    }
    progress(&format!("instructions: {MANY} models"));
    let of_many = count(Program::Stopper, &service, many(DEFAULT_CONCURRENCY), None).await;
    let name = format!("each further call of {MANY}, TLS");
    let further = further_call(of_one, of_many);
    output.row(&[Program::Stopper.name().to_owned(), name, millions(further)]);
}

/// The run that, beside one of a single model over TLS, tells what a further call takes.
pub fn many(concurrency: usize) -> Way {
    Way::ManyTls {
        models: MANY,
        concurrency,
    }
}

/// What each further call takes, by the instructions of both runs.
pub fn further_call(of_one: f64, of_many: f64) -> f64 {
    (of_many - of_one) / (MANY - 1) as f64
}

/// The instructions of one run.
pub async fn count(program: Program, service: &Service, way: Way, trusted: Option<&str>) -> f64 {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.log");
    let mut valgrind = Command::new("/usr/bin/env");
    valgrind
        .args([
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
        ])
        .arg(format!("--log-file={}", log.display()))
        .arg(program.path());
    let (environment, event) = service.invocation(way);
    let mut environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let path = std::env::var("PATH").unwrap();
    environment.push(("PATH", &path));
    if let Some(trusted) = trusted {
        environment.push(("SSL_CERT_FILE", trusted));
    }
    let mut function = Function::start_program(valgrind, &environment).await;
    let answer = function.invoke(event, TIME_LIMIT).await;
    assert!(answer.is_ok, "{answer:?}");
    function.is_idle().await;
    function.terminate().await;
    let log = std::fs::read_to_string(log).unwrap();
    let (_, count) = log.split_once("Collected : ").unwrap();
    count.split_whitespace().next().unwrap().parse().unwrap()
}

fn millions(count: f64) -> String {
    format!("{:.3} M", count / 1e6)
}

/// A file with the system's certificates and this one, and how many there are.
fn whole_store(trusted: &str) -> Option<(String, usize)> {
    let bundle = BUNDLES
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())?;
    let whole = bundle + &std::fs::read_to_string(trusted).unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole-store.pem");
    std::fs::write(&file, &whole).unwrap();
    let certificates = whole.matches("-----BEGIN CERTIFICATE-----").count();
    Some((file.into_os_string().into_string().unwrap(), certificates))
}

/// The bytes of the program, and those of it packed.
pub fn sizes() -> (u64, u64) {
    let file = Program::Stopper.path();
    let size = std::fs::metadata(&file).unwrap().len();
    let packed = std::process::Command::new("gzip")
        .args(["-9", "--stdout"])
        .arg(&file)
        .output()
        .unwrap();
    (size, packed.stdout.len() as u64)
}
