//! The organization of a night: its accounts, the units that they are in, their roles, and the
//! function's settings for them.

use std::collections::BTreeSet;

use rekognition_emulator::{Emulator, OrganizationalUnit, ROOT_ID, Role};

use super::chance::Chance;
use super::list::List;
use super::night::ACCOUNT;
use super::wanted::{account_of, is_wild};

/// The role of the function.
const FUNCTION_ROLE: &str = "arn:aws:iam::123456789012:role/stopper";
/// An account that is in no organization.
pub const STRANGER: &str = "999999999999";
/// The regions that models are in.
pub const REGIONS: [&str; 5] = [
    "us-east-1",
    "eu-west-1",
    "ap-southeast-2",
    "eu-central-1",
    "us-west-2",
];
/// The regions that a wildcard matches by default.
pub const DEFAULT_REGIONS: [&str; 11] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
];
const PREFIXES: [&str; 4] = ["1111", "2222", "2233", "70"];

/// The other accounts, and the function's settings for them.
#[derive(Debug)]
pub struct Organization {
    /// Whether there is one. If not, its accounts belong to none.
    pub exists: bool,
    pub units: Vec<Unit>,
    /// In the order in which they are listed. The first is the management account.
    pub accounts: Vec<Account>,
    pub empty_pages: bool,
    pub member_role: Option<&'static str>,
    pub external_id: Option<&'static str>,
    pub regions: Option<Vec<&'static str>>,
    pub organizational_units: Vec<String>,
    pub excluded_accounts: Vec<String>,
    pub accounts_of_request: Option<Vec<String>>,
}

#[derive(Debug)]
pub struct Unit {
    pub id: String,
    pub parent: String,
}

#[derive(Debug)]
pub struct Account {
    pub id: String,
    /// Its `State`, and the older `Status`.
    pub state: Option<&'static str>,
    pub status: Option<&'static str>,
    pub parent: String,
    /// The role for the function, if there is one.
    pub role: Option<MemberRole>,
}

#[derive(Debug)]
pub struct MemberRole {
    pub trusts: &'static str,
    pub external_id: Option<&'static str>,
}

impl Organization {
    pub fn new(chance: &mut Chance) -> Self {
        let units: Vec<Unit> = units(chance);
        let count = chance.weighed(&[(30, 3), (40, 10), (30, 38)]);
        let count = chance.number(0..=count);
        let external_id = chance.weighed(&[(60, None), (40, Some("nightly-stop"))]);
        let mut ids: Vec<String> = (0..count)
            .map(|index| {
                let prefix = *chance.one_of(&PREFIXES);
                let rest = 12 - prefix.len() - 2;
                let number = chance.number(0..=999_999);
                format!("{prefix}{number:0rest$}{index:02}")
            })
            .collect();
        // The management account is the function's own, or another.
        let at = match chance.percent(60) || ids.is_empty() {
            true => 0,
            false => chance.number(1..=ids.len() as u32) as usize,
        };
        ids.insert(at, ACCOUNT.to_owned());
        let parents: Vec<&str> = units.iter().map(|unit| &*unit.id).collect();
        let accounts = ids.into_iter().enumerate();
        let accounts = accounts.map(|(index, id)| {
            let is_active = id == ACCOUNT || index == 0 || chance.percent(85);
            let (state, status) = state(chance, is_active);
            let parent = match parents.is_empty() || index == 0 || chance.percent(30) {
                true => ROOT_ID,
                false => *chance.one_of(&parents),
            };
            Account {
                state,
                status,
                parent: parent.to_owned(),
                role: (id != ACCOUNT).then(|| role(chance, external_id)).flatten(),
                id,
            }
        });
        let accounts: Vec<Account> = accounts.collect();
        let mut organization = Self {
            exists: !chance.percent(3),
            accounts,
            empty_pages: chance.percent(25),
            member_role: chance.weighed(&[
                (57, Some("stopper-member")),
                (40, Some("audit/stopper-member")),
                (3, None),
            ]),
            external_id,
            regions: None,
            organizational_units: Vec::new(),
            excluded_accounts: Vec::new(),
            accounts_of_request: None,
            units,
        };
        organization.set(chance);
        organization
    }

    /// Draws the settings that determine the accounts and regions.
    fn set(&mut self, chance: &mut Chance) {
        if !chance.percent(5) {
            let mut regions = REGIONS;
            chance.shuffle(&mut regions);
            let count = chance.number(1..=4) as usize;
            self.regions = Some(regions[..count].to_vec());
        }
        if chance.percent(40) {
            for _ in 0..chance.number(1..=2) {
                let unit = match self.units.is_empty() || chance.percent(10) {
                    true => ROOT_ID.to_owned(),
                    false => chance.one_of(&self.units).id.clone(),
                };
                self.organizational_units.push(unit);
            }
            if chance.percent(10) {
                self.organizational_units
                    .push("ou-emul-99999999".to_owned());
            }
        }
        if chance.percent(35) {
            for _ in 0..chance.number(1..=4) {
                let id = chance.one_of(&self.accounts).id.clone();
                self.excluded_accounts.push(id);
            }
            if chance.percent(30) {
                self.excluded_accounts.push(STRANGER.to_owned());
            }
        }
    }

    /// The environment variables of the function.
    pub fn variable(&self, name: &str) -> Option<String> {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
        match name {
            "MEMBER_ROLE" => self.member_role.map(str::to_owned),
            "MEMBER_EXTERNAL_ID" => self.external_id.map(str::to_owned),
            "REGIONS" => self.regions.as_ref().map(|regions| regions.join(" ")),
            "ORGANIZATIONAL_UNITS" => list(&self.organizational_units),
            "EXCLUDED_ACCOUNTS" => list(&self.excluded_accounts),
            _ => None,
        }
    }

    /// Draws the accounts of the request, if it may have any.
    pub fn draw_accounts_of_request(&mut self, chance: &mut Chance, list: &List) {
        let mut items = list.items.iter().flatten();
        let may_have = self.member_role.is_some() && items.any(|it| is_wild(account_of(it)));
        if may_have && chance.percent(25) {
            let count = chance.number(1..=6);
            let accounts = (0..count).map(|_| chance.one_of(&self.accounts).id.clone());
            let mut accounts: BTreeSet<String> = accounts.collect();
            if chance.percent(25) {
                accounts.insert(STRANGER.to_owned());
            }
            self.accounts_of_request = Some(accounts.into_iter().collect());
        }
    }

    /// A region, which is mostly one that a wildcard matches.
    pub fn some_region(&self, chance: &mut Chance) -> &'static str {
        match &self.regions {
            Some(regions) if chance.percent(85) => *chance.one_of(regions),
            _ => *chance.one_of(&REGIONS),
        }
    }

    /// The accounts that a wildcard may match in a run.
    pub fn listed_accounts(&self) -> BTreeSet<String> {
        let mut parents: Vec<&str> = self.organizational_units.iter().map(|it| &**it).collect();
        let mut next = 0;
        while let Some(parent) = parents.get(next).copied() {
            let under = self.units.iter().filter(|unit| unit.parent == parent);
            parents.extend(under.map(|unit| &*unit.id));
            next += 1;
        }
        let accounts = self.accounts.iter().filter(|account| {
            let is_named = |named: &Vec<String>| named.contains(&account.id);
            self.exists
                && account.is_active()
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
        for account in &self.accounts {
            if let Some(role) = &account.role {
                let mut added = Role::new(&self.role_arn(&account.id)).unwrap();
                added = added.trusts(role.trusts);
                if let Some(external_id) = role.external_id {
                    added = added.external_id(external_id);
                }
                emulator.add_role(added);
            }
        }
        if !self.exists {
            return;
        }
        emulator.set_management_account(&self.accounts[0].id);
        emulator.add_delegated_administrator(ACCOUNT);
        for unit in &self.units {
            emulator
                .add_organizational_unit(OrganizationalUnit::new(&unit.id).parent(&unit.parent));
        }
        for account in &self.accounts {
            let mut added = rekognition_emulator::Account::new(&account.id).parent(&account.parent);
            added = match (account.state, account.status) {
                (Some(state), Some(status)) => added.state(state).status(status),
                (Some(state), None) => added.state(state).without_status(),
                (None, Some(status)) => added.without_state().status(status),
                (None, None) => unreachable!("an account has one or the other"),
            };
            emulator.add_account(added);
        }
    }
}

impl Account {
    /// Whether a wildcard may stand for it: by its state or, if that is missing, its status.
    pub fn is_active(&self) -> bool {
        self.state.or(self.status) == Some("ACTIVE")
    }
}

/// A tree of units, up to six and up to four deep.
fn units(chance: &mut Chance) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for index in 0..chance.weighed(&[(30, 0), (30, 2), (40, 6)]) {
        let parent = match units.is_empty() || chance.percent(30) {
            true => ROOT_ID.to_owned(),
            false => chance.one_of(&units).id.clone(),
        };
        units.push(Unit {
            id: format!("ou-emul-{:08}", 11_111_111 * (index + 1)),
            parent,
        });
    }
    units
}

/// A state and a status, one of which may be missing. The state is what counts.
fn state(chance: &mut Chance, is_active: bool) -> (Option<&'static str>, Option<&'static str>) {
    let (state, status) = match is_active {
        true => ("ACTIVE", "ACTIVE"),
        false => *chance.one_of(&[
            ("SUSPENDED", "SUSPENDED"),
            ("PENDING_CLOSURE", "PENDING_CLOSURE"),
            ("CLOSED", "SUSPENDED"),
            ("PENDING_ACTIVATION", "ACTIVE"),
        ]),
    };
    // Without a state, its status would make it active.
    match chance.weighed(&[(70, 0), (15, 1), (15, 2)]) {
        1 if state != "PENDING_ACTIVATION" => (None, Some(status)),
        2 => (Some(state), None),
        _ => (Some(state), Some(status)),
    }
}

fn role(chance: &mut Chance, external_id: Option<&'static str>) -> Option<MemberRole> {
    let (trusts, external_id) = chance.weighed(&[
        (65, (FUNCTION_ROLE, external_id)),
        (8, (FUNCTION_ROLE, None)),
        (5, (ACCOUNT, external_id)),
        (2, ("*", external_id)),
        (6, ("arn:aws:iam::123456789012:role/other", external_id)),
        (5, (FUNCTION_ROLE, Some("of-another"))),
        (9, ("", None)),
    ]);
    (!trusts.is_empty()).then_some(MemberRole {
        trusts,
        external_id,
    })
}
