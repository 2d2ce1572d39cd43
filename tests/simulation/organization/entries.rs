//! The list of a night over an organization: patterns for many accounts and regions, patterns for
//! one, and the ARNs of models; and the accounts in the request.

use super::night::{Organization, REGIONS, STRANGER};
use crate::simulation::chance::Chance;
use crate::simulation::entries::List;
use crate::simulation::night::{ACCOUNT, Model, arn};
use crate::simulation::wanted::{account_of, is_wild};

/// A list that asks for most of what exists.
pub fn list(chance: &mut Chance, organization: &Organization, models: &[Model]) -> List {
    let mut items = Vec::new();
    if chance.percent(60) {
        items.push(arn("*", "*", "*", "*", "*"));
    }
    for _ in 0..chance.weighed(&[(50, 0), (30, 1), (20, 3)]) {
        let (account, region) = (
            accounts_pattern(chance, organization),
            regions_pattern(chance),
        );
        items.push(versions(chance, &region, &account));
    }
    for _ in 0..chance.weighed(&[(70, 0), (20, 1), (10, 2)]) {
        // Without a role no other account can be entered.
        let account = match organization.member_role.is_none() || chance.percent(30) {
            true => ACCOUNT,
            false => &*chance.one_of(&organization.accounts).id,
        };
        let region = regions_pattern(chance);
        items.push(versions(chance, &region, account));
    }
    let named = chance.weighed(&[(50, 0), (30, 20), (20, 60)]);
    for model in models {
        if chance.percent(named) {
            items.push(model.arn.clone());
        }
    }
    if chance.percent(20) {
        items.push(nothing(chance, organization));
    }
    if chance.percent(8) {
        items.push("shelf".to_owned());
    }
    if items.is_empty() {
        items.push(arn("*", "*", "*", "*", "*"));
    }
    if chance.percent(20) {
        let again = chance.one_of(&items).clone();
        items.push(again);
    }
    chance.shuffle(&mut items);
    List::somewhere(chance, items.into_iter().map(Some).collect())
}

/// The accounts of the request, if it may have any.
pub fn accounts(
    chance: &mut Chance,
    organization: &Organization,
    items: &[Option<String>],
) -> Option<Vec<String>> {
    let mut items = items.iter().flatten();
    let may_have = organization.member_role.is_some() && items.any(|it| is_wild(account_of(it)));
    (may_have && chance.percent(25)).then(|| {
        let count = chance.number(1..=6);
        let mut accounts: Vec<String> = (0..count)
            .map(|_| chance.one_of(&organization.accounts).id.clone())
            .collect();
        if chance.percent(25) {
            accounts.push(STRANGER.to_owned());
        }
        accounts.sort();
        accounts.dedup();
        accounts
    })
}

fn accounts_pattern(chance: &mut Chance, organization: &Organization) -> String {
    let id = &chance.one_of(&organization.accounts).id;
    match chance.number(0..=5) {
        0 => "*".to_owned(),
        1 => "????????????".to_owned(),
        2 => format!("*{}", &id[11..]),
        3 => format!("{}???????????", &id[..1]),
        4 => format!("{}?{}", &id[..5], &id[6..]),
        _ => format!("{}*", &id[..2]),
    }
}

fn regions_pattern(chance: &mut Chance) -> String {
    match chance.number(0..=5) {
        0..=2 => "*".to_owned(),
        3 => "eu-*".to_owned(),
        4 => "*-1".to_owned(),
        _ => (*chance.one_of(&REGIONS)).to_owned(),
    }
}

fn versions(chance: &mut Chance, region: &str, account: &str) -> String {
    let project = *chance.one_of(&["*", "*", "*", "she*", "pallet"]);
    let version = *chance.one_of(&["*", "*", "v*"]);
    arn(region, account, project, version, "*")
}

/// A pattern that matches no version, whatever exists.
fn nothing(chance: &mut Chance, organization: &Organization) -> String {
    match chance.number(0..=3) {
        0 => arn("*", "*", "shlef", "*", "*"),
        1 => arn("*", "98*", "*", "*", "*"),
        2 => arn("sa-*", "*", "*", "*", "*"),
        _ if organization.member_role.is_none() => arn("sa-*", ACCOUNT, "*", "*", "*"),
        _ => arn(
            "*",
            &chance.one_of(&organization.accounts).id,
            "*",
            "w*",
            "*",
        ),
    }
}
