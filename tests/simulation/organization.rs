//! The organization of a night: its accounts, the units that they are in, their roles, and the
//! function's settings for them.

use std::collections::BTreeSet;

use rekognition_emulator::{Emulator, OrganizationalUnit, ROOT_ID, Role};

use super::chance::Chance;
use super::list::List;
use super::night::ACCOUNT;
use super::wanted::{account_of, is_wild};

/// The role of the function, and another one.
const FUNCTION_ROLE: &str = "arn:aws:iam::123456789012:role/stopper";
const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/other";
/// An account that is in no organization.
pub const STRANGER: &str = "999999999999";
/// The regions that a wildcard matches by default: first those that models are in.
pub const DEFAULT_REGIONS: [&str; 11] = [
    "us-east-1",
    "eu-west-1",
    "ap-southeast-2",
    "eu-central-1",
    "us-west-2",
    "us-east-2",
    "eu-west-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-northeast-1",
    "ap-northeast-2",
];
const WITH_MODELS: usize = 5;

/// The other accounts, and the function's settings for them.
#[derive(Debug)]
pub struct Organization {
    /// Whether there is one. If not, its accounts belong to none.
    exists: bool,
    /// The units, each with its parent: up to six, and up to four deep.
    units: Vec<(String, String)>,
    /// In the order in which they are listed. The first is the management account.
    pub accounts: Vec<Account>,
    empty_pages: bool,
    pub member_role: Option<&'static str>,
    pub external_id: Option<&'static str>,
    /// The regions that a wildcard matches.
    pub regions: Vec<&'static str>,
    pub organizational_units: Vec<String>,
    excluded_accounts: Vec<String>,
    pub accounts_of_request: Option<Vec<String>>,
}

#[derive(Debug)]
pub struct Account {
    pub id: String,
    parent: String,
    is_active: bool,
    listed: rekognition_emulator::Account,
    /// Its role for the function, if there is one.
    role: Option<Role>,
}

impl Organization {
    pub fn new(chance: &mut Chance) -> Self {
        let mut units: Vec<(String, String)> = Vec::new();
        for number in 0..chance.weighed(&[(30, 0), (30, 2), (40, 6)]) {
            let parent = some_unit(chance, &units, 70);
            units.push((format!("ou-emul-{:08}", 11_111_111 * (number + 1)), parent));
        }
        let mut organization = Self {
            exists: !chance.percent(3),
            accounts: Vec::new(),
            empty_pages: chance.percent(25),
            member_role: chance.weighed(&[
                (57, Some("stopper-member")),
                (40, Some("audit/stopper-member")),
                (3, None),
            ]),
            external_id: chance.weighed(&[(60, None), (40, Some("nightly-stop"))]),
            regions: DEFAULT_REGIONS.to_vec(),
            organizational_units: Vec::new(),
            excluded_accounts: Vec::new(),
            accounts_of_request: None,
            units,
        };
        organization.draw_accounts(chance);
        organization.draw_settings(chance);
        organization
    }

    fn draw_accounts(&mut self, chance: &mut Chance) {
        let most = chance.weighed(&[(30, 3), (40, 10), (30, 38)]);
        let count = chance.number(1..=most + 1);
        // The management account is the function's own, or another.
        let own = if chance.percent(60) {
            0
        } else {
            chance.number(0..=count - 1)
        };
        for number in 0..count {
            let prefix = *chance.one_of(&["1111", "2222", "2233", "70"]);
            let (rest, middle) = (10 - prefix.len(), chance.number(0..=999_999));
            let id = match number == own {
                true => ACCOUNT.to_owned(),
                false => format!("{prefix}{middle:0rest$}{number:02}"),
            };
            let is_active = [0, own].contains(&number) || chance.percent(85);
            let parent = match number {
                0 => ROOT_ID.to_owned(),
                _ => some_unit(chance, &self.units, 70),
            };
            self.accounts.push(Account {
                listed: listed(chance, &id, is_active).parent(&parent),
                role: (number != own)
                    .then(|| self.some_role(chance, &id))
                    .flatten(),
                id,
                parent,
                is_active,
            });
        }
    }

    /// Draws the settings that determine the accounts and regions.
    fn draw_settings(&mut self, chance: &mut Chance) {
        if !chance.percent(5) {
            self.regions.truncate(WITH_MODELS);
            chance.shuffle(&mut self.regions);
            self.regions.truncate(chance.number(1..=4) as usize);
        }
        if chance.percent(40) {
            for _ in 0..chance.number(1..=2) {
                let unit = some_unit(chance, &self.units, 90);
                self.organizational_units.push(unit);
            }
            if chance.percent(10) {
                let unknown = "ou-emul-99999999".to_owned();
                self.organizational_units.push(unknown);
            }
        }
        if chance.percent(35) {
            self.excluded_accounts = self.some_accounts(chance, 4);
        }
    }

    /// Draws the accounts of the request, if it may have any.
    pub fn draw_accounts_of_request(&mut self, chance: &mut Chance, list: &List) {
        let mut items = list.items.iter().flatten();
        let may_have = self.member_role.is_some() && items.any(|it| is_wild(account_of(it)));
        if may_have && chance.percent(25) {
            let accounts: BTreeSet<String> = self.some_accounts(chance, 6).into_iter().collect();
            self.accounts_of_request = Some(accounts.into_iter().collect());
        }
    }

    fn some_accounts(&self, chance: &mut Chance, most: u32) -> Vec<String> {
        let count = chance.number(1..=most);
        let accounts = (0..count).map(|_| chance.one_of(&self.accounts).id.clone());
        let mut accounts: Vec<String> = accounts.collect();
        if chance.percent(25) {
            accounts.push(STRANGER.to_owned());
        }
        accounts
    }

    /// The role of an account, which may trust somebody else, or be missing.
    fn some_role(&self, chance: &mut Chance, account: &str) -> Option<Role> {
        let own = self.external_id;
        let (trusts, external_id) = chance.weighed(&[
            (65, (FUNCTION_ROLE, own)),
            (8, (FUNCTION_ROLE, None)),
            (5, (ACCOUNT, own)),
            (2, ("*", own)),
            (6, (OTHER_ROLE, own)),
            (5, (FUNCTION_ROLE, Some("of-another"))),
            (9, ("", None)),
        ]);
        let role = Role::new(&self.role_arn(account)).unwrap().trusts(trusts);
        let role = match external_id {
            Some(external_id) => role.external_id(external_id),
            None => role,
        };
        (!trusts.is_empty()).then_some(role)
    }

    /// A region, which is mostly one that a wildcard matches.
    pub fn some_region(&self, chance: &mut Chance) -> &'static str {
        match chance.percent(85) {
            true => chance.one_of::<&str>(&self.regions),
            false => chance.one_of::<&str>(&DEFAULT_REGIONS[..WITH_MODELS]),
        }
    }

    /// The environment variables of the function.
    pub fn variable(&self, name: &str) -> Option<String> {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
        match name {
            "MEMBER_ROLE" => self.member_role.map(str::to_owned),
            "MEMBER_EXTERNAL_ID" => self.external_id.map(str::to_owned),
            "REGIONS" => (self.regions != DEFAULT_REGIONS).then(|| self.regions.join(" ")),
            "ORGANIZATIONAL_UNITS" => list(&self.organizational_units),
            "EXCLUDED_ACCOUNTS" => list(&self.excluded_accounts),
            _ => None,
        }
    }

    /// The accounts that a wildcard may match in a run.
    pub fn listed_accounts(&self) -> BTreeSet<String> {
        let mut parents: Vec<&str> = self.organizational_units.iter().map(|it| &**it).collect();
        let mut next = 0;
        while let Some(parent) = parents.get(next).copied() {
            let under = self.units.iter().filter(|(_, of)| of == parent);
            parents.extend(under.map(|(unit, _)| &**unit));
            next += 1;
        }
        let accounts = self.accounts.iter().filter(|account| {
            let is_named = |named: &Vec<String>| named.contains(&account.id);
            self.exists
                && account.is_active
                && (parents.is_empty() || parents.contains(&&*account.parent))
                && !self.excluded_accounts.contains(&account.id)
                && self.accounts_of_request.as_ref().is_none_or(is_named)
        });
        accounts.map(|account| account.id.clone()).collect()
    }

    /// The ARN of the role in an account that the function assumes.
    pub fn role_arn(&self, account: &str) -> String {
        let role = self.member_role.unwrap_or("none");
        format!("arn:aws:iam::{account}:role/{role}")
    }

    /// The identity that makes the calls in an account.
    pub fn identity(&self, account: &str) -> String {
        match self.member_role {
            Some(role) if account != ACCOUNT => {
                let name = role.rsplit('/').next().unwrap();
                format!("arn:aws:sts::{account}:assumed-role/{name}/rekognition-stopper")
            }
            _ => format!("arn:aws:sts::{ACCOUNT}:assumed-role/stopper/stopper"),
        }
    }

    /// Puts the organization and the roles into the emulator.
    pub fn furnish(&self, emulator: &Emulator) {
        emulator.set_empty_pages(self.empty_pages);
        for role in self.accounts.iter().filter_map(|it| it.role.clone()) {
            emulator.add_role(role);
        }
        if self.exists {
            emulator.set_management_account(&self.accounts[0].id);
            emulator.add_delegated_administrator(ACCOUNT);
            for (unit, parent) in &self.units {
                emulator.add_organizational_unit(OrganizationalUnit::new(unit).parent(parent));
            }
            for account in &self.accounts {
                emulator.add_account(account.listed.clone());
            }
        }
    }
}

/// One of the units in this percentage of cases, if there are any, or else the root.
fn some_unit(chance: &mut Chance, units: &[(String, String)], percent: u32) -> String {
    match !units.is_empty() && chance.percent(percent) {
        true => chance.one_of(units).0.clone(),
        false => ROOT_ID.to_owned(),
    }
}

/// An account with a state and the older status, one of which may be missing. The state is what
/// counts.
fn listed(chance: &mut Chance, id: &str, is_active: bool) -> rekognition_emulator::Account {
    let (state, status) = match is_active {
        true => ("ACTIVE", "ACTIVE"),
        false => *chance.one_of(&[
            ("SUSPENDED", "SUSPENDED"),
            ("PENDING_CLOSURE", "PENDING_CLOSURE"),
            ("CLOSED", "SUSPENDED"),
            ("PENDING_ACTIVATION", "ACTIVE"),
        ]),
    };
    let account = rekognition_emulator::Account::new(id)
        .state(state)
        .status(status);
    match chance.weighed(&[(70, 0), (15, 1), (15, 2)]) {
        // Without a state, its status would make it active.
        1 if state != "PENDING_ACTIVATION" => account.without_state(),
        2 => account.without_status(),
        _ => account,
    }
}
