//! Who started the models: what CloudTrail has of that, what may go wrong with it, and what the
//! report must say.

use std::collections::BTreeSet;
use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Operation, Quota, StartEvent, Starter};
use rekognition_stopper::report::Started;

use super::chance::Chance;
use super::night::Model;
use super::view::View;
use super::wanted::{account_of, region_of};

/// A tenth of an hour, so that the hours of a start are exact.
const TENTH: Duration = Duration::from_secs(360);
/// How many pages are read at most, and how many events a page has at most.
const PAGES: usize = 4;
const PAGE: usize = 50;
/// How long a response waits at most for lookups after the last other call.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// CloudTrail in a night in which the function looks for starts.
#[derive(Clone, Debug)]
pub struct History {
    starts: Vec<Start>,
    /// Events of the last hour are not there yet.
    is_late: bool,
    per_second: Option<f64>,
    trouble: Option<Fault>,
}

#[derive(Clone, Debug)]
struct Start {
    model_arn: String,
    user: &'static str,
    /// How many tenths of an hour ago. No two are at the same time.
    tenths: u32,
    is_failed: bool,
}

impl History {
    /// The history of the night with this seed. Its draws are separate, so that a night is the same
    /// without it.
    pub fn new(seed: u64, models: &[Model]) -> Option<Self> {
        let chance = &mut Chance::new(!seed);
        if !chance.percent(30) {
            return None;
        }
        let mut starts = Vec::new();
        let mut times = BTreeSet::new();
        let many = chance.percent(20);
        for model in models {
            let count = match many {
                true => chance.number(0..=12),
                false => chance.weighed(&[(2, 0), (5, 1), (3, 3)]),
            };
            for _ in 0..count {
                let recent = chance.percent(10);
                let tenths = chance.number(if recent { 1..=4 } else { 11..=20_000 });
                if times.insert(tenths) {
                    starts.push(Start {
                        model_arn: model.arn.clone(),
                        user: chance.one_of::<&str>(&["alice", "bob", "carol"]),
                        tenths,
                        is_failed: chance.percent(25),
                    });
                }
            }
        }
        let trouble = chance.percent(40).then(|| trouble(chance));
        Some(Self {
            starts,
            is_late: chance.percent(50),
            per_second: chance.percent(50).then_some(2.0),
            trouble,
        })
    }

    /// Adds the events.
    pub fn furnish(&self, emulator: &Emulator) {
        for start in &self.starts {
            let ago = TENTH * start.tenths;
            let starter = Starter::User(start.user.to_owned());
            let event = StartEvent::new(&start.model_arn, starter, ago).unwrap();
            emulator.add_start(&match start.is_failed {
                true => event.error_code("ResourceInUseException"),
                false => event,
            });
        }
        emulator.set_event_delay(10 * TENTH * u32::from(self.is_late));
    }

    /// Sets the quota, and what goes wrong.
    pub fn begin(&self, emulator: &Emulator) {
        let quota = self.per_second.map(Quota::per_second);
        emulator.set_operation_quota(Operation::LookupEvents, quota);
        if let Some(trouble) = &self.trouble {
            emulator.add_fault(trouble.clone());
        }
    }

    /// The last start of a model, if it is among those that are read.
    fn last(&self, model_arn: &str, page_size: u32) -> Option<&Start> {
        let place = |arn| (account_of(arn), region_of(arn));
        let starts = self.starts.iter();
        let there = starts.filter(|it| place(&it.model_arn) == place(model_arn));
        let there = there.filter(|it| !(self.is_late && it.tenths < 10));
        let mut there: Vec<&Start> = there.collect();
        there.sort_by_key(|it| it.tenths);
        there.truncate(PAGES * PAGE.min(page_size as usize));
        let mut own = there.into_iter().filter(|it| it.model_arn == model_arn);
        own.find(|it| !it.is_failed)
    }
}

fn trouble(chance: &mut Chance) -> Fault {
    let kinds = [
        Fault::error("AccessDeniedException"),
        Fault::hang(),
        Fault::http_status(503, ""),
        Fault::garbage("<html>"),
        Fault::garbage("{}"),
        Fault::reset(),
        Fault::error("ThrottlingException").attempts(..=20),
    ];
    let fault = chance.one_of(&kinds).clone();
    let fault = fault.operation(Operation::LookupEvents);
    match chance.number(0..=2) {
        0 => fault.share_of_attempts(40, chance.lot()),
        1 => fault.share_of_calls(40, chance.lot()),
        _ => fault,
    }
}

/// Each row has what there is to say of its model's last start, or nothing, and the response does
/// not wait for it for long.
pub fn check(view: &View, wrong: &mut Vec<String>) {
    let Some(history) = &view.night.history else {
        return;
    };
    let calls = view.run.calls.iter();
    let others = calls.filter(|call| call.operation != Operation::LookupEvents);
    if let Some(last) = others.filter_map(|call| call.ended).max() {
        let wait = view.run.ended - last;
        if wait > LONGEST_WAIT + Duration::from_millis(5) && !view.is_out_of_time() {
            wrong.push(format!("the response has waited {wait:?} for lookups"));
        }
    }
    let models = view.report["models"].as_array().into_iter().flatten();
    for row in models {
        let arn = row["model_arn"].as_str().unwrap_or_default();
        let Some(model) = view.night.model(arn) else {
            continue;
        };
        let found = Started {
            started_at: row["started_at"].as_str().map(str::to_owned),
            started_by: row["started_by"].as_str().map(str::to_owned),
            hours_running: row["hours_running"].as_f64(),
            cost_so_far: row["cost_so_far"].as_f64(),
        };
        let page_size = view.run.weather.page_size;
        let last = history.last(arn, page_size);
        let right = last.map(|start| expected(view, model, start, &found));
        let reported: Vec<&str> = (view.run.reported.iter())
            .filter(|it| it.model_arn == arn)
            .map(|it| &*it.status)
            .collect();
        // The stop of a model that is named may be refused before a list shows that it runs.
        let is_refused = row["outcome"] == "failed" && view.wanted.names(arn);
        let up = ["RUNNING", "STARTING", "STOPPING"];
        let was_up = reported.iter().any(|it| up.contains(it));
        let is_right = match (&right, found == Started::default()) {
            (None, is_empty) => is_empty,
            (Some(_), true) => {
                let is_told =
                    reported.contains(&"RUNNING") && !is_refused && !view.lies_about(model);
                !(is_told && is_due(view, history))
            }
            (Some(right), false) => was_up && found == *right,
        };
        if !is_right {
            wrong.push(format!(
                "{arn} was started {found:?}, and that should be {right:?} ({reported:?})"
            ));
        }
    }
}

/// What the row should say. The cost depends on units, which only a description has.
fn expected(view: &View, model: &Model, start: &Start, found: &Started) -> Started {
    let hours = f64::from(start.tenths) / 10.0;
    let cost = view.night.settings.price.map(|price| {
        let cost = hours * price * f64::from(model.inference_units);
        (cost * 100.0).round() / 100.0
    });
    let may_lack_units = view.wanted.names(&model.arn) && found.cost_so_far.is_none();
    Started {
        // Checked against the clock elsewhere.
        started_at: found.started_at.clone(),
        started_by: Some(start.user.to_owned()),
        hours_running: Some(hours),
        cost_so_far: cost.filter(|_| !may_lack_units),
    }
}

/// Whether nothing keeps the lookups from being made in time.
fn is_due(view: &View, history: &History) -> bool {
    let weather = &view.run.weather;
    let is_quick = weather.latency <= Duration::from_millis(400) && weather.connecting.is_zero();
    let is_free = weather.faults.iter().all(|it| it.operation.is_some());
    let has_time = view.took() + 2 * LONGEST_WAIT < view.run.time;
    is_quick && is_free && has_time && history.trouble.is_none()
}
