//! What the report of a run over an organization has to say, row by row and in order; and which
//! identity calls where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rekognition_emulator::{Call, FaultKind, Operation, Service};

use super::reach::{Fate, Reach};
use crate::simulation::accounts;
use crate::simulation::night::{ACCOUNT, Model};
use crate::simulation::progress::{is_told_in_time, right};
use crate::simulation::view::{Row, View};
use crate::simulation::wanted::{Kind, account_of, is_wild, region_of};

/// A row that is, or may be, in the report.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    is_lookup: bool,
    /// Its entry: the order of the rows.
    entry: usize,
    text: String,
    /// The outcomes and the codes that it may have; none if other checks decide that.
    right: Option<BTreeSet<&'static str>>,
    must_be_there: bool,
}

/// Where a model is found, and what must be reported about it, if that is certain.
#[derive(Debug, Default)]
struct Sightings<'a> {
    /// The entries at which it may be listed.
    entries: Vec<usize>,
    /// What its row says, or none if there is no row; if that is certain.
    right: Option<Vec<Option<&'a str>>>,
}

pub fn check(view: &View, reach: &Reach, wrong: &mut Vec<String>) {
    for is_lookup in [false, true] {
        if let Err(why) = rows(view, reach, is_lookup) {
            wrong.push(why);
        }
    }
    models_once(view, wrong);
    every_scope_in_time(view, reach, wrong);
    accounts::totals(view, wrong);
    for call in &view.run.calls {
        if let Err(why) = may_be_made(view, reach, call) {
            let (who, region, operation) = (&call.identity, &call.region, call.operation);
            let body = &call.body;
            wrong.push(format!("{who} calls {operation} {body} in {region}: {why}"));
        }
    }
}

/// The codes of failures that are certain.
pub fn certain(view: &View, reach: &Reach) -> BTreeSet<&'static str> {
    let expected = expected(view, reach).into_iter();
    let rights = expected
        .filter(|it| it.must_be_there)
        .filter_map(|it| it.right);
    let certain = rights.filter(|right| right.len() == 1);
    certain.flatten().collect()
}

/// The models, or the lookups, are the expected ones, in order.
fn rows(view: &View, reach: &Reach, is_lookup: bool) -> Result<(), String> {
    let mut expected = expected(view, reach);
    expected.retain(|it| it.is_lookup == is_lookup);
    // How many of the expected rows may be accounted for by those of the report so far. There is
    // more than one possibility if one text stands for parts of several entries.
    let mut accounted = BTreeSet::from([0]);
    for row in view.rows.iter().filter(|it| it.is_lookup == is_lookup) {
        let with_skipped = skip(&expected, &accounted);
        let next = with_skipped.iter().filter_map(|place| {
            let fits = expected.get(*place).is_some_and(|it| it.fits(row));
            fits.then_some(place + 1)
        });
        let next: BTreeSet<usize> = next.collect();
        if next.is_empty() {
            let expected: Vec<_> = with_skipped.iter().map(|it| expected.get(*it)).collect();
            return Err(format!(
                "the row {row:?} is not what comes next, which is one of {expected:?}"
            ));
        }
        accounted = next;
    }
    let with_skipped = skip(&expected, &accounted);
    match with_skipped.contains(&expected.len()) {
        true => Ok(()),
        false => Err(format!(
            "a row is missing: {:?}",
            with_skipped.last().and_then(|it| expected.get(*it))
        )),
    }
}

/// The same numbers of expected rows, plus those with following rows that are optional.
fn skip(expected: &[Expected], accounted: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut all = accounted.clone();
    for place in accounted {
        let optional = expected[*place..].iter().take_while(|it| !it.must_be_there);
        all.extend((1..=optional.count()).map(|more| place + more));
    }
    all
}

impl Expected {
    fn fits(&self, row: &Row) -> bool {
        let says = match &*row.code {
            "" => &*row.outcome,
            code => code,
        };
        self.text == row.model_arn && self.right.as_ref().is_none_or(|it| it.contains(says))
    }
}

fn expected(view: &View, reach: &Reach) -> Vec<Expected> {
    let mut all = Vec::new();
    for (entry, (text, kind)) in view.wanted.entries.iter().enumerate() {
        match kind {
            Kind::Invalid => all.push(Expected {
                is_lookup: false,
                ..failure(entry, text, &["InvalidModelArn"], true)
            }),
            Kind::Model => all.push(named(view, reach, entry, text)),
            Kind::Pattern => all.extend(pattern(view, reach, entry, text)),
        }
    }
    for model in &view.night.models {
        if !view.wanted.names(&model.arn) {
            all.extend(found(view, reach, model));
        }
    }
    all.sort();
    all
}

fn failure(entry: usize, text: &str, codes: &[&'static str], must_be_there: bool) -> Expected {
    Expected {
        is_lookup: true,
        entry,
        text: text.to_owned(),
        right: Some(codes.iter().copied().collect()),
        must_be_there,
    }
}

/// The code of a failure; before that is known, time may be up.
fn codes(code: &'static str, is_in_time: bool) -> Vec<&'static str> {
    match is_in_time {
        true => vec![code],
        false => vec![code, "DeadlineExceeded"],
    }
}

/// The row of an entry that is a model's own ARN.
fn named(view: &View, reach: &Reach, entry: usize, arn: &str) -> Expected {
    let (account, region) = (account_of(arn), region_of(arn));
    let model = view.night.model(arn);
    let is_in_time = is_told_in_time(view, arn);
    let right = match (reach.entry(account), reach.calls(account, region)) {
        (Fate::Failure(code), _) => {
            let is_in_time = reach.is_entered_in_time(view, arn, account);
            Some(codes(code, is_in_time))
        }
        (_, Fate::Failure(code)) => Some(codes(code, is_in_time)),
        _ if !is_in_time => None,
        _ if !reach.has_roles() && account != ACCOUNT => {
            Some(vec!["AccessDeniedException", "ResourceNotFoundException"])
        }
        _ => Some(match model {
            Some(model) => right(view, model).into_iter().flatten().collect(),
            None => vec!["ResourceNotFoundException"],
        }),
    };
    Expected {
        is_lookup: false,
        entry,
        text: arn.to_owned(),
        right: right.map(BTreeSet::from_iter),
        must_be_there: true,
    }
}

/// The failed lookups of a pattern.
fn pattern(view: &View, reach: &Reach, entry: usize, text: &str) -> Vec<Expected> {
    let mut all = Vec::new();
    let is_of_accounts = is_wild(account_of(text));
    let is_listed = !is_of_accounts || reach.is_listed_in_time(view);
    if is_of_accounts {
        let failures: Vec<&str> = reach.list_failures.iter().copied().collect();
        if !is_listed {
            // A list that hangs does so until time is up.
            let hangs = failures.contains(&"DeadlineExceeded") && !reach.may_end_early;
            let failures = [&failures[..], &["DeadlineExceeded"]].concat();
            all.push(failure(entry, text, &failures, hangs));
        } else if !failures.is_empty() && !reach.may_end_early {
            all.push(failure(entry, text, &failures, true));
        }
    }
    let mut scopes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (account, region) in view.wanted.scopes(text) {
        scopes.entry(account).or_default().push(region);
    }
    for (account, regions) in scopes {
        let in_account = place(text, account, region_of(text));
        let is_entered = reach.is_entered_in_time(view, text, account);
        if let Fate::Failure(code) = reach.entry(account) {
            let codes = codes(code, is_entered);
            let is_known = reach.is_known_in_time(view, text, account);
            all.push(failure(entry, &in_account, &codes, is_known));
            continue;
        }
        if !is_entered && in_account != place(text, account, regions[0]) {
            all.push(failure(entry, &in_account, &["DeadlineExceeded"], false));
        }
        for region in regions {
            let in_region = place(text, account, region);
            let in_time = reach.is_searched_in_time(view, text, account, region);
            match reach.calls(account, region) {
                Fate::Failure(code) => {
                    let codes = codes(code, in_time);
                    all.push(failure(entry, &in_region, &codes, is_entered));
                }
                Fate::Arrival if in_time => {}
                Fate::Arrival => {
                    all.push(failure(entry, &in_region, &["DeadlineExceeded"], false));
                }
            }
        }
    }
    all
}

/// A pattern with this account and region in place of its own.
fn place(pattern: &str, account: &str, region: &str) -> String {
    let mut fields: Vec<&str> = pattern.split(':').collect();
    fields[3] = region;
    fields[4] = account;
    fields.join(":")
}

/// The rows of a model that only patterns can find: one, at the first pattern that does.
fn found(view: &View, reach: &Reach, model: &Model) -> Vec<Expected> {
    let (account, region) = (model.account(), model.region);
    if reach.entry(account) != Fate::Arrival || reach.calls(account, region) != Fate::Arrival {
        return Vec::new();
    }
    let mut sightings = Sightings::default();
    for (entry, (text, kind)) in view.wanted.entries.iter().enumerate() {
        if *kind != Kind::Pattern || !view.wanted.stands_for(text, &model.arn) {
            continue;
        }
        sightings.entries.push(entry);
        let is_searched = reach.is_searched_in_time(view, text, account, region);
        if is_searched && is_told_in_time(view, &model.arn) {
            sightings.right = Some(right(view, model));
            break;
        }
    }
    let Sightings { entries, right } = sightings;
    let is_certain = right.as_ref().is_some_and(|right| !right.contains(&None));
    let outcomes = right.map(|right| right.into_iter().flatten().collect::<BTreeSet<_>>());
    if outcomes.as_ref().is_some_and(BTreeSet::is_empty) {
        return Vec::new();
    }
    let must_be_there = is_certain && entries.len() == 1;
    let rows = entries.into_iter().map(|entry| Expected {
        is_lookup: false,
        entry,
        text: model.arn.clone(),
        right: outcomes.clone(),
        must_be_there,
    });
    rows.collect()
}

/// No model has two rows.
fn models_once(view: &View, wrong: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    let models = view.rows.iter().filter(|row| !is_wild(&row.model_arn));
    for row in models {
        if !seen.insert(&row.model_arn) {
            wrong.push(format!("{} is reported twice", row.model_arn));
        }
    }
}

/// Every account and region that a pattern leads to is called if possible, and waits for no other.
fn every_scope_in_time(view: &View, reach: &Reach, wrong: &mut Vec<String>) {
    let mut first: BTreeMap<(&str, &str), Duration> = BTreeMap::new();
    let calls = view.run.calls.iter();
    for call in calls.filter(|call| call.operation == Operation::DescribeProjects) {
        let scope = (&*call.account, &*call.region);
        first.entry(scope).or_insert(call.at - view.run.begun);
    }
    let entries = view.wanted.entries.iter();
    for (text, _) in entries.filter(|(_, kind)| *kind == Kind::Pattern) {
        for (account, region) in view.wanted.scopes(text) {
            let Some(by) = reach.called_by(view, text, account, region) else {
                continue;
            };
            // One that hangs may wait for its own calls.
            let hangs = view.run.weather.of_scope(account, region) == Some(&FaultKind::Hang);
            let is_due = reach.entry(account) == Fate::Arrival && !hangs;
            let was = first.get(&(account, region));
            if is_due && was.is_none_or(|was| *was > by) {
                wrong.push(format!(
                    "{region} of {account} is looked into after {was:?} for `{text}`, and was due \
                     after {by:?}"
                ));
            }
        }
    }
}

/// Each call is made with the right identity, in the right account and region.
fn may_be_made(view: &View, reach: &Reach, call: &Call) -> Result<(), &'static str> {
    let entries = view.wanted.entries.iter();
    let valid = entries.filter(|(_, kind)| *kind != Kind::Invalid);
    let mut scopes = valid.flat_map(|(text, _)| view.wanted.scopes(text));
    let organization = reach.organization();
    let service = call.operation.service();
    if matches!(service, Service::Rekognition | Service::CloudTrail) && reach.has_roles() {
        if call.identity != organization.identity(&call.account) {
            return Err("that is not the identity for this account");
        }
        if !scopes.any(|scope| scope == (&*call.account, &*call.region)) {
            return Err("nothing leads there");
        }
        let is_named = call.operation == Operation::DescribeProjects;
        let is_foreign = |arn: &String| account_of(arn) != call.account;
        return match !is_named && call.resources.iter().any(is_foreign) {
            true => Err("that is in another account"),
            false => Ok(()),
        };
    }
    if call.identity != organization.identity(ACCOUNT) {
        return Err("that is for the function itself");
    }
    match service {
        Service::Rekognition | Service::CloudTrail => Ok(()),
        Service::Organizations => {
            let entries = view.wanted.entries.iter();
            let mut valid = entries.filter(|(_, kind)| *kind == Kind::Pattern);
            match valid.any(|(text, _)| is_wild(account_of(text))) {
                true => Ok(()),
                false => Err("no entry is of all accounts"),
            }
        }
        Service::Sts => {
            let role_arn = &*call.resources[0];
            let account = account_of(role_arn);
            let external_id = call.body["ExternalId"].as_str();
            if !reach.has_roles() || account == ACCOUNT {
                Err("there is no role to assume")
            } else if role_arn != organization.role_arn(account) {
                Err("that is another role")
            } else if external_id != organization.external_id {
                Err("that is another external ID")
            } else if !scopes.any(|(it, _)| it == account) {
                Err("nothing leads there")
            } else {
                Ok(())
            }
        }
    }
}
