//! The text of a run for people: one paragraph of plain sentences, written from its report. It is
//! the `message` of a run in which nothing failed, and the error message of any other.
//!
//! Whatever passes it on can put it into an email as it is, and needs to know nothing about
//! reports.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::calls::error::DENIED;
use crate::excerpt::{cut, plain};
use crate::report::{FailedLookup, Failure, ModelReport, Outcome, Report};

/// The maximum length of the text, in bytes. Lambda passes it on in full, but not every destination
/// does.
const LONGEST_TEXT: usize = 8 * 1024;
/// This much of it is reserved for what comes after a list, so that no list hides that there is
/// more.
const AFTER_A_LIST: usize = 300;
/// The maximum length of a reason in it, in bytes.
const LONGEST_REASON: usize = 512;
/// A region that a policy denies in this many accounts is denied on purpose.
const DENIED_ON_PURPOSE: usize = 10;
/// What AWS says where no policy allows an action, and none denies it.
const NOT_GRANTED: &str = "no identity-based policy";

/// The text of a run.
pub(crate) fn of(report: &Report) -> String {
    let mut text = Text::default();
    match report.is_successful() {
        true => text.add_successes(report),
        false => text.add_failures(report),
    }
    plain(&text.text)
}

/// A text that is being written.
#[derive(Debug, Default)]
struct Text {
    text: String,
    /// Whether there was no room for all of a list. Those after it are only counted.
    is_full: bool,
}

/// An item of a list: some things with the same reason, the first of which is named.
#[derive(Debug)]
struct Item<'r> {
    name: &'r str,
    count: usize,
    code: &'r str,
    reason: Cow<'r, str>,
}

impl Text {
    /// Adds what there is to say about a run in which nothing failed.
    fn add_successes(&mut self, report: &Report) {
        let summary = &report.summary;
        if report.dry_run {
            self.add("This was a dry run; nothing was stopped");
        }
        if summary.accounts == 0 {
            self.add("Nothing was looked up");
        } else if summary.already_stopped == summary.models {
            self.add("No model was running");
        }
        for (outcome, one, many, rest) in [
            (Outcome::Stopped, "model was", "models were", "stopped"),
            (Outcome::Stopping, "model is", "models are", "stopping"),
            (Outcome::WouldStop, "model", "models", "would be stopped"),
        ] {
            let models = report.models.iter().filter(|it| it.outcome == outcome);
            let models = models.map(|it| Item::of_model(it, "", ""));
            self.add_counted(one, many, rest, models.collect());
        }
        if summary.inference_units_stopped > 0 {
            self.add(&savings(report));
        }
        let kept = report.models.iter();
        let kept = kept.filter_map(|it| Some(Item::of_model(it, "", it.outcome.reason()?)));
        self.add_counted("model was", "models were", "kept running", kept.collect());
        let unmatched = report.unmatched_patterns.iter();
        let unmatched = unmatched.map(|it| Item::new(it, "", "")).collect();
        self.add_counted("pattern matches", "patterns match", "no model", unmatched);
    }

    /// Adds what there is to say about a run in which something failed.
    fn add_failures(&mut self, report: &Report) {
        let models = count(report.summary.models, "model", "models");
        let failed = match (report.summary.failed, report.dry_run) {
            (0, _) => "No model failed".to_owned(),
            (failed, true) => format!("{failed} of {models} could not be looked up"),
            (1, false) => format!("1 of {models} was not stopped"),
            (failed, false) => format!("{failed} of {models} were not stopped"),
        };
        let items = report.models.iter().filter_map(|it| {
            let Failure { code, message } = it.outcome.failure()?;
            Some(Item::of_model(it, code.as_str(), message))
        });
        self.add_list(failed, items.collect());
        self.add_counted("lookup", "lookups", "failed", lookups(&report.lookups));
        if let Some(step) = next_step(&report.lookups)
            && !self.is_full
            && self.text.len() + step.len() + " .".len() <= LONGEST_TEXT
        {
            self.add(&step);
        }
    }

    /// Adds a sentence.
    fn add(&mut self, sentence: &str) {
        let space = if self.text.is_empty() { "" } else { " " };
        self.text = format!("{}{space}{sentence}.", self.text);
    }

    /// Adds a sentence that begins with how many items there are, unless there are none.
    fn add_counted(&mut self, one: &str, many: &str, rest: &str, items: Vec<Item>) {
        let number = items.iter().map(|item| item.count).sum();
        if number > 0 {
            self.add_list(format!("{} {rest}", count(number, one, many)), items);
        }
    }

    /// Adds a sentence with as many items as there is room for.
    fn add_list(&mut self, mut sentence: String, items: Vec<Item>) {
        let all: usize = items.iter().map(|item| item.count).sum();
        let mut left = all;
        for item in items {
            let separator = if left == all { ": " } else { "; " };
            let part = format!("{separator}{}", item.text());
            let length = self.text.len() + sentence.len() + part.len();
            self.is_full |= length + AFTER_A_LIST > LONGEST_TEXT;
            if self.is_full {
                break;
            }
            sentence.push_str(&part);
            left -= item.count;
        }
        if (1..all).contains(&left) {
            sentence = format!("{sentence}; and {left} more");
        }
        self.add(&sentence);
    }
}

impl<'r> Item<'r> {
    /// One thing, with its code and reason if it has them.
    fn new(name: &'r str, code: &'r str, reason: &'r str) -> Self {
        Self {
            name,
            count: 1,
            code,
            reason: cut(reason, LONGEST_REASON),
        }
    }

    /// A model, with its code and reason if it has them, and what is known of its start.
    fn of_model(model: &'r ModelReport, code: &'r str, reason: &'r str) -> Self {
        let mut item = Self::new(&model.model_arn, code, reason);
        let started = model.started.to_string();
        item.reason = match (&*item.reason, &*started) {
            (_, "") => return item,
            ("", _) => started.into(),
            (reason, started) => format!("{reason}; {started}").into(),
        };
        item
    }

    fn text(&self) -> String {
        let name = match self.count {
            1 => self.name.to_owned(),
            count => format!("{} and {} more", self.name, count - 1),
        };
        match (self.code, &*self.reason) {
            ("", "") => name,
            (why, "") | ("", why) => format!("{name} ({why})"),
            (code, reason) => format!("{name} ({code}: {reason})"),
        }
    }
}

/// A number of things.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What is billed for the models that were stopped, or would be.
fn savings(report: &Report) -> String {
    let units = report.summary.inference_units_stopped;
    let noun = if units == 1 { "unit" } else { "units" };
    let mut saved = report.models.iter().filter(|it| it.outcome.saves_units());
    let may_be_more = |it: &ModelReport| it.inference_units.is_none_or(|it| it.max > Some(it.min));
    let least = if saved.any(may_be_more) {
        "at least "
    } else {
        ""
    };
    let amount = report.summary.estimated_savings_per_hour;
    let amount = amount.map(|amount| format!(", or {least}{amount:.2} an hour"));
    let amount = amount.unwrap_or_default();
    format!("That is {least}{units} inference {noun}{amount}")
}

/// Lookups of one entry are one item if they failed alike, apart from what each error says about
/// its own account and region: a denial names the session.
fn lookups(lookups: &[FailedLookup]) -> Vec<Item<'_>> {
    let mut items: Vec<Item> = Vec::new();
    let mut known: HashMap<(usize, &str, String), usize> = HashMap::new();
    for lookup in lookups {
        let (code, message) = (lookup.failure.code.as_str(), &lookup.failure.message);
        let mut error = message.clone();
        for own in [&lookup.account, &lookup.region].into_iter().flatten() {
            error = error.replace(&**own, "");
        }
        let next = items.len();
        let index = *known.entry((lookup.entry, code, error)).or_insert(next);
        match items.get_mut(index) {
            Some(item) => item.count += 1,
            None => items.push(Item::new(&lookup.pattern, code, message)),
        }
    }
    items
}

/// What to do about regions that a policy denies in many accounts. All other errors say what to do.
fn next_step(lookups: &[FailedLookup]) -> Option<String> {
    let mut accounts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for lookup in lookups {
        let FailedLookup { failure, .. } = lookup;
        let is_denied = DENIED.contains(&failure.code.as_str());
        if let (Some(region), Some(account)) = (&lookup.region, &lookup.account)
            && is_denied
            && !failure.message.contains(NOT_GRANTED)
        {
            accounts.entry(region).or_default().insert(account);
        }
    }
    accounts.retain(|_, accounts| accounts.len() >= DENIED_ON_PURPOSE);
    let regions = Vec::from_iter(accounts.into_keys()).join(", ");
    let what = "Leave out of REGIONS what a policy denies in many accounts";
    (!regions.is_empty()).then(|| format!("{what}: {regions}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Code, InferenceUnits, Started};

    const SHELF: &str =
        "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v1/1759309953000";
    const WELD: &str =
        "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/v2/1787209319000";
    const CAPS: &str =
        "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/v9/1789404005000";
    const TYPO: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-adit/*";
    const EVERYTHING: &str = "arn:aws:rekognition:*:*:project/*";
    const STOP_DENIED: &str = "User: arn:aws:sts::123456789012:assumed-role/stopper/nightly is not \
        authorized to perform: rekognition:StopProjectVersion on resource: ARN because no \
        identity-based policy allows the rekognition:StopProjectVersion action";

    fn model(model_arn: &str, outcome: Outcome, units: u32) -> ModelReport {
        ModelReport {
            model_arn: model_arn.into(),
            outcome,
            status: None,
            inference_units: Some(InferenceUnits {
                min: units,
                max: Some(units),
            }),
            started: Started::default(),
        }
    }

    fn failed(model_arn: &str, code: &str, error: &str) -> ModelReport {
        let failure = Failure::new(code_of(code), error);
        model(model_arn, Outcome::Failed(failure), 1)
    }

    fn kept(model_arn: &str) -> ModelReport {
        let reason = "tag keep-running=2026-12-24".to_owned();
        model(model_arn, Outcome::Kept { reason }, 1)
    }

    fn code_of(code: &str) -> Code {
        match code {
            "AccountUnreachable" => Code::AccountUnreachable,
            "StillStarting" => Code::StillStarting,
            "DeadlineExceeded" => Code::DeadlineExceeded,
            "InvalidModelArn" => Code::InvalidModelArn,
            code => Code::Service(code.to_owned()),
        }
    }

    /// A lookup of everything in an account, and in a region of it if one is named.
    fn lookup(account: &str, region: &str, code: &str, error: &str) -> FailedLookup {
        FailedLookup {
            pattern: format!("arn:aws:rekognition:{region}:{account}:project/*"),
            failure: Failure::new(code_of(code), error),
            entry: 0,
            account: Some(account.into()),
            region: (region != "*").then(|| region.into()),
        }
    }

    /// A lookup that a policy of the organization denies.
    fn denied(account: usize, region: &str) -> FailedLookup {
        let account = format!("{account:012}");
        let error = format!(
            "User: arn:aws:sts::{account}:assumed-role/stopper/nightly is not authorized to \
             perform: rekognition:DescribeProjects on resource: \
             arn:aws:rekognition:{region}:{account}:* with an explicit deny in a service control \
             policy"
        );
        lookup(&account, region, "AccessDeniedException", &error)
    }

    fn report(models: Vec<ModelReport>) -> Report {
        Report::new(models, Vec::new(), Vec::new(), 1, false, None)
    }

    /// The text of a run with these models and lookups.
    fn failure(models: Vec<ModelReport>, lookups: Vec<FailedLookup>) -> String {
        of(&Report::new(models, lookups, Vec::new(), 1, false, None))
    }

    #[test]
    fn a_successful_run_names_what_was_stopped_and_what_was_not() {
        let stopped = |arn| model(arn, Outcome::Stopped, 1);
        assert_eq!(
            of(&report(vec![stopped(SHELF), stopped(WELD), stopped(CAPS)])),
            format!("3 models were stopped: {SHELF}; {WELD}; {CAPS}. That is 3 inference units.")
        );
        assert_eq!(
            of(&report(vec![stopped(SHELF)])),
            format!("1 model was stopped: {SHELF}. That is 1 inference unit.")
        );
        let models = vec![
            model(SHELF, Outcome::Stopping, 2),
            kept(WELD),
            model(CAPS, Outcome::AlreadyStopped, 1),
        ];
        let patterns = vec![TYPO.to_owned()];
        assert_eq!(
            of(&Report::new(
                models,
                Vec::new(),
                patterns,
                1,
                false,
                Some(4.0)
            )),
            format!(
                "1 model is stopping: {SHELF}. That is 2 inference units, or 8.00 an hour. \
                 1 model was kept running: {WELD} (tag keep-running=2026-12-24). 1 \
                 pattern matches no model: {TYPO}."
            )
        );
        let models = vec![
            model(SHELF, Outcome::Stopping, 0),
            model(WELD, Outcome::Stopping, 0),
            model(CAPS, Outcome::AlreadyStopped, 1),
            model("arn", Outcome::AlreadyStopped, 1),
        ];
        assert_eq!(
            of(&report(models)),
            format!("2 models are stopping: {SHELF}; {WELD}.")
        );
        assert_eq!(
            of(&report(vec![kept(SHELF), kept(WELD)])),
            format!(
                "2 models were kept running: {SHELF} (tag keep-running=2026-12-24); {WELD} (tag \
                 keep-running=2026-12-24)."
            )
        );
    }

    #[test]
    fn a_dry_run_says_so_and_units_are_the_least_that_is_billed() {
        let dry_run =
            |models, price| of(&Report::new(models, Vec::new(), Vec::new(), 1, true, price));
        let mut scaled = model(WELD, Outcome::WouldStop, 2);
        scaled.inference_units = Some(InferenceUnits {
            min: 2,
            max: Some(5),
        });
        let models = vec![model(SHELF, Outcome::WouldStop, 1), scaled];
        assert_eq!(
            dry_run(models, Some(4.0)),
            format!(
                "This was a dry run; nothing was stopped. 2 models would be stopped: {SHELF}; \
                 {WELD}. That is at least 3 inference units, or at least 12.00 an hour."
            )
        );
        assert_eq!(
            dry_run(vec![model(SHELF, Outcome::WouldStop, 1)], None),
            format!(
                "This was a dry run; nothing was stopped. 1 model would be stopped: {SHELF}. That \
                 is 1 inference unit."
            )
        );
        assert_eq!(
            dry_run(vec![], None),
            "This was a dry run; nothing was stopped. No model was running."
        );
        let models = vec![
            failed(SHELF, "ThrottlingException", "Rate exceeded"),
            model(WELD, Outcome::WouldStop, 1),
        ];
        assert_eq!(
            dry_run(models, None),
            format!(
                "1 of 2 models could not be looked up: {SHELF} (ThrottlingException: Rate \
                 exceeded)."
            )
        );
    }

    #[test]
    fn unknown_units_may_be_more() {
        let mut unknown = model(WELD, Outcome::Stopping, 0);
        unknown.inference_units = None;
        let text = of(&report(vec![model(SHELF, Outcome::Stopping, 1), unknown]));
        assert!(
            text.ends_with(". That is at least 1 inference unit."),
            "{text}"
        );
    }

    #[test]
    fn a_run_that_found_nothing_says_so() {
        let nothing = |models, accounts| {
            let patterns = vec![TYPO.to_owned(), EVERYTHING.to_owned()];
            of(&Report::new(
                models,
                Vec::new(),
                patterns,
                accounts,
                false,
                None,
            ))
        };
        let unmatched = format!("2 patterns match no model: {TYPO}; {EVERYTHING}.");
        let stopped = vec![model(SHELF, Outcome::AlreadyStopped, 1)];
        assert_eq!(
            nothing(stopped, 1),
            format!("No model was running. {unmatched}")
        );
        assert_eq!(
            nothing(vec![], 0),
            format!("Nothing was looked up. {unmatched}")
        );
    }

    #[test]
    fn a_failed_run_names_what_was_not_stopped_and_why() {
        let stopped = || model(CAPS, Outcome::Stopped, 1);
        let refused = failed(SHELF, "AccessDeniedException", STOP_DENIED);
        assert_eq!(
            failure(vec![refused.clone(), stopped(), stopped()], vec![]),
            format!(
                "1 of 3 models was not stopped: {SHELF} (AccessDeniedException: {STOP_DENIED})."
            )
        );
        let starting = "it was STARTING when it was last seen, 5 s before the deadline";
        let models = vec![
            failed(SHELF, "StillStarting", starting),
            stopped(),
            failed(WELD, "ResourceNotFoundException", ""),
        ];
        assert_eq!(
            failure(models, vec![]),
            format!(
                "2 of 3 models were not stopped: {SHELF} (StillStarting: {starting}); {WELD} \
                 (ResourceNotFoundException)."
            )
        );
        assert_eq!(
            failure(
                vec![failed("shelf", "InvalidModelArn", "it should be an ARN")],
                vec![]
            ),
            "1 of 1 model was not stopped: shelf (InvalidModelArn: it should be an ARN)."
        );
    }

    #[test]
    fn regions_that_a_policy_denies_are_one_item_and_hide_no_model() {
        let regions = ["ap-south-1", "eu-north-1", "sa-east-1"];
        let lookups = (0..250).flat_map(|account| regions.map(|region| denied(account, region)));
        let refused = failed(SHELF, "AccessDeniedException", STOP_DENIED);
        let text = failure(vec![refused], lookups.collect());
        let error = denied(0, "ap-south-1").failure.message;
        assert_eq!(
            text,
            format!(
                "1 of 1 model was not stopped: {SHELF} (AccessDeniedException: {STOP_DENIED}). 750 \
                 lookups failed: arn:aws:rekognition:ap-south-1:000000000000:project/* and 749 \
                 more (AccessDeniedException: {error}). Leave out of REGIONS what a policy denies \
                 in many accounts: ap-south-1, eu-north-1, sa-east-1."
            )
        );
    }

    #[test]
    fn a_region_is_denied_on_purpose_in_many_accounts_and_by_a_policy_only() {
        let text = |accounts| {
            let lookups = (0..accounts).map(|it| denied(it, "eu-west-1"));
            failure(vec![], lookups.collect())
        };
        let (few, many) = (text(9), text(10));
        assert!(few.starts_with("No model failed. 9 lookups failed: arn:"));
        assert!(few.ends_with("service control policy)."), "{few}");
        let step =
            "policy). Leave out of REGIONS what a policy denies in many accounts: eu-west-1.";
        assert!(many.ends_with(step), "{many}");
        // A permission that is granted nowhere is not a policy of the organization.
        let error = "User: x is not authorized to perform: rekognition:DescribeProjects because \
                     no identity-based policy allows it";
        let not_granted = (0..10).map(|it| FailedLookup {
            failure: Failure::new(code_of("AccessDeniedException"), error),
            ..denied(it, "eu-west-1")
        });
        let text = failure(vec![], not_granted.collect());
        assert!(text.ends_with("policy allows it)."), "{text}");
    }

    #[test]
    fn lookups_are_one_item_only_if_they_are_of_one_entry_and_failed_alike() {
        let unreachable = |account: &str| {
            let error = format!("arn:aws:iam::{account}:role/r could not be assumed: AccessDenied");
            lookup(account, "*", "AccountUnreachable", &error)
        };
        let mut of_another_entry = unreachable("333333333333");
        of_another_entry.entry = 1;
        let late = lookup("444444444444", "eu-west-1", "DeadlineExceeded", "");
        let lookups = vec![
            unreachable("111111111111"),
            unreachable("222222222222"),
            late,
            of_another_entry,
        ];
        assert_eq!(
            failure(vec![], lookups),
            "No model failed. 4 lookups failed: arn:aws:rekognition:*:111111111111:project/* and 1 \
             more (AccountUnreachable: arn:aws:iam::111111111111:role/r could not be assumed: \
             AccessDenied); arn:aws:rekognition:eu-west-1:444444444444:project/* \
             (DeadlineExceeded); arn:aws:rekognition:*:333333333333:project/* \
             (AccountUnreachable: arn:aws:iam::333333333333:role/r could not be assumed: \
             AccessDenied)."
        );
        let list = FailedLookup {
            account: None,
            ..lookup(
                "*",
                "*",
                "AWSOrganizationsNotInUseException",
                "no organization",
            )
        };
        assert_eq!(
            failure(vec![model(SHELF, Outcome::Stopped, 1)], vec![list]),
            "No model failed. 1 lookup failed: arn:aws:rekognition:*:*:project/* \
             (AWSOrganizationsNotInUseException: no organization)."
        );
    }

    #[test]
    fn no_list_hides_what_comes_after_it() {
        let many = |outcome: Outcome| vec![model(SHELF, outcome, 1); 5000];
        let models = [many(Outcome::Stopped), vec![kept(WELD)]].concat();
        let patterns = vec![TYPO.to_owned()];
        let text = of(&Report::new(
            models,
            Vec::new(),
            patterns,
            1,
            false,
            Some(4.0),
        ));
        assert!(text.len() <= LONGEST_TEXT);
        let named = text.matches(SHELF).count();
        let end = format!(
            "{SHELF}; and {} more. That is 5000 inference units, or 20000.00 an hour. 1 model \
             was kept running. 1 pattern matches no model.",
            5000 - named
        );
        assert!(named > 80 && text.ends_with(&end), "{text}");

        let models = vec![failed(SHELF, "AccessDeniedException", STOP_DENIED); 1000];
        let lookups = |number| vec![lookup("111111111111", "*", "DeadlineExceeded", ""); number];
        let text = failure(models, lookups(1255));
        assert!(text.len() <= LONGEST_TEXT);
        let left = 1000 - text.matches(SHELF).count();
        let end = format!("); and {left} more. 1255 lookups failed.");
        assert!(text.ends_with(&end), "{text}");
        // Without lookups there would be room for one more model at most.
        let models = vec![failed(SHELF, "AccessDeniedException", STOP_DENIED); 1000];
        let alone = failure(models, vec![]).matches(SHELF).count();
        assert!(alone - (1000 - left) <= 1);
    }

    #[test]
    fn lookups_without_room_are_counted() {
        let lookups = (0..100).map(|it| {
            let error = format!("{it}{}", "x".repeat(400));
            lookup("111111111111", "eu-west-1", "DeadlineExceeded", &error)
        });
        let text = failure(vec![], lookups.collect());
        assert!(text.len() <= LONGEST_TEXT);
        let left = 100 - text.matches("DeadlineExceeded").count();
        assert!(text.ends_with(&format!("x); and {left} more.")), "{text}");
    }

    #[test]
    fn no_entry_reason_or_character_spoils_the_text() {
        let entry = |text: &str| {
            let failure = Failure::new(Code::InvalidModelArn, "\"\\\n\u{1b}\u{2028}".repeat(300));
            ModelReport::failed(text, failure)
        };
        for long in ["é", "\u{1}", "\""] {
            let text = failure(vec![entry(&long.repeat(9000)), entry("b")], vec![]);
            assert!(text.len() <= LONGEST_TEXT);
            assert!(
                text.starts_with("2 of 2 models were not stopped: "),
                "{text}"
            );
            assert!(text.contains("... (InvalidModelArn: '|"), "{text}");
            assert!(text.contains("...); b (InvalidModelArn: '|"), "{text}");
            let spoils = |it: char| it.is_control() || matches!(it, '"' | '\\' | '\u{2028}');
            assert!(!text.contains(spoils), "{text}");
        }
    }
}
