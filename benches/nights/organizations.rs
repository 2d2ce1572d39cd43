//! Nights over many accounts and regions.

use std::env::VarError;
use std::time::Duration;

use rekognition_emulator::{Account, Answer, Emulator, Quota, Role};
use rekognition_stopper::settings::Settings;
use serde_json::json;
use tokio::time::Instant;

use crate::cgroup::LambdaBox;
use crate::output::{Output, progress};
use crate::program::{Idle, most_resident, processor_seconds};
use crate::quotas::LATENCY;
use crate::support::running;

const TIME_LIMIT: Duration = Duration::from_secs(900);
/// Rekognition's default for each operation in each account and region.
const CALLS_A_SECOND: f64 = 5.0;
const EVERY_MODEL: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
const MANAGEMENT_ACCOUNT: &str = "123456789012";

/// A night over every region of so many accounts, some of which have two running models each.
struct Night {
    accounts: usize,
    with_models: usize,
    is_in_the_box: bool,
    tls: bool,
}

const fn night(accounts: usize, with_models: usize, is_in_the_box: bool, tls: bool) -> Night {
    Night {
        accounts,
        with_models,
        is_in_the_box,
        tls,
    }
}

const NIGHTS: [Night; 6] = [
    night(300, 40, false, false),
    night(300, 40, false, true),
    night(100, 0, true, false),
    night(1000, 0, true, false),
    night(100, 0, true, true),
    night(1000, 0, true, true),
];

/// What came of one night.
struct Run {
    seconds: f64,
    /// The seconds to the last stop that was accepted.
    to_last_stop: Option<f64>,
    processor_seconds: f64,
    calls: usize,
    throttled: usize,
    connections: usize,
    memory: f64,
}

impl Night {
    fn accounts(&self) -> impl Iterator<Item = String> {
        (1..self.accounts).map(|number| format!("{:012}", 200_000_000_000 + number))
    }

    fn models(&self) -> Vec<String> {
        // Spread over the accounts, and over the regions.
        let settings = Settings::read(|_| Err(VarError::NotPresent)).unwrap();
        let regions = settings.regions;
        let step = (self.accounts - 1) / self.with_models.max(1);
        let accounts = self.accounts().step_by(step.max(1)).take(self.with_models);
        let models = accounts.enumerate().flat_map(|(number, account)| {
            let region = &regions[number % regions.len()];
            ["v1", "v2"].map(|version| {
                format!(
                    "arn:aws:rekognition:{region}:{account}:project/shelf/version/{version}/\
                     1700000000000"
                )
            })
        });
        models.collect()
    }

    async fn run(&self) -> Run {
        let models = self.models();
        assert_eq!(models.len(), 2 * self.with_models);
        let quota = Quota::per_second(CALLS_A_SECOND).burst(CALLS_A_SECOND as u32);
        let emulator = Emulator::builder()
            .management_account(MANAGEMENT_ACCOUNT)
            .models(models.iter().map(|arn| running(arn)))
            .latency(LATENCY)
            .quota(quota.for_each_operation());
        let trusted = format!("arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/stopper");
        let emulator = self.accounts().fold(emulator, |emulator, account| {
            let role = Role::new(&format!("arn:aws:iam::{account}:role/member")).unwrap();
            emulator
                .organization_account(Account::new(&account))
                .role(role.trusts(&trusted))
        });
        let emulator = emulator.start().await.unwrap();
        let variables = [
            ("MEMBER_ROLE", "member"),
            ("CONFIRM_STOPPED", "false"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ];
        let idle = Idle::start(&emulator, &variables, self.tls, self.is_in_the_box).await;
        let mut function = idle.function;
        let used_before = processor_seconds(function.id());
        let start = Instant::now();
        let event = json!({ "model_arns": [EVERY_MODEL] });
        let answer = function.invoke(event.to_string(), TIME_LIMIT).await;
        let seconds = start.elapsed().as_secs_f64();
        let processor_seconds = processor_seconds(function.id()) - used_before;
        let memory = most_resident(function.id());
        function.end().await;

        let summary = &answer.body["summary"];
        assert!(answer.is_ok, "{}", answer.body["errorMessage"]);
        assert_eq!(summary["accounts"], self.accounts);
        assert_eq!(summary["stopping"], models.len());
        let changes = emulator.changes();
        let calls = emulator.calls();
        let throttled = calls.iter().filter(|call| call.answer != Answer::Ok);
        Run {
            seconds,
            to_last_stop: changes.last().map(|last| (last.at - start).as_secs_f64()),
            processor_seconds,
            calls: calls.len(),
            throttled: throttled.count(),
            connections: emulator.connections(),
            memory,
        }
    }
}

pub async fn measure(output: &mut Output) {
    let has_box = LambdaBox::new().is_ok();
    output.table(
        "**Organizations.** Every model of every account in 11 regions, 20 ms a call and 5 calls/s \
         for each operation in each account and region. The box is Lambda's smallest: 128 MB and \
         128/1769 of a processor.",
        &[
            "accounts",
            "with 2 models",
            "",
            "to the last stop",
            "to the answer",
            "processor",
            "calls",
            "throttled",
            "connections",
            "memory",
        ],
    );
    for night in &NIGHTS {
        let way = if night.tls { "TLS" } else { "plain HTTP" };
        let place = match night.is_in_the_box {
            true => format!("in the box, {way}"),
            false => format!("whole processor, {way}"),
        };
        if night.is_in_the_box && !has_box {
            continue;
        }
        progress(&format!("{} accounts, {place}", night.accounts));
        let run = night.run().await;
        output.row(&[
            night.accounts.to_string(),
            night.with_models.to_string(),
            place,
            run.to_last_stop
                .map_or(String::new(), |it| format!("{it:.2} s")),
            format!("{:.2} s", run.seconds),
            format!("{:.2} s", run.processor_seconds),
            run.calls.to_string(),
            run.throttled.to_string(),
            run.connections.to_string(),
            format!("{:.1} MB", run.memory),
        ]);
    }
    if !has_box {
        output.line("");
        output.line("Not measured in the box: no cgroup can be made here.");
    }
}
