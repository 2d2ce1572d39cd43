//! An organization: its accounts, and the units that they are in.

use serde_json::{Value, json};

use crate::error::ServiceError;

/// The root of the emulator's organization.
pub const ROOT_ID: &str = "r-emul";

const ORGANIZATION_ID: &str = "o-emulator00";

/// An account of the organization.
///
/// ```
/// use rekognition_emulator::Account;
///
/// let account = Account::new("222222222222").state("SUSPENDED").parent("ou-emul-11111111");
/// # let _ = account;
/// ```
#[derive(Debug, Clone)]
pub struct Account {
    id: String,
    name: String,
    state: Option<String>,
    status: Option<String>,
    parent: String,
}

impl Account {
    /// An `ACTIVE` account, directly under the root.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: format!("account-{id}"),
            state: Some("ACTIVE".to_owned()),
            status: Some("ACTIVE".to_owned()),
            parent: ROOT_ID.to_owned(),
        }
    }

    /// The account's name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// `State`: `PENDING_ACTIVATION`, `ACTIVE`, `SUSPENDED`, `PENDING_CLOSURE`, `CLOSED`, or any
    /// other text. The older `Status` says the same, but `SUSPENDED` of a closed account.
    pub fn state(mut self, state: &str) -> Self {
        self.state = Some(state.to_owned());
        let status = if state == "CLOSED" {
            "SUSPENDED"
        } else {
            state
        };
        self.status = Some(status.to_owned());
        self
    }

    /// Another `Status` than that of the state.
    pub fn status(mut self, status: &str) -> Self {
        self.status = Some(status.to_owned());
        self
    }

    /// Leaves `State` out, as the service did until 2025.
    pub fn without_state(mut self) -> Self {
        self.state = None;
        self
    }

    /// Leaves `Status` out, as the service will from 2026.
    pub fn without_status(mut self) -> Self {
        self.status = None;
        self
    }

    /// The organizational unit that it is in, or [`ROOT_ID`].
    pub fn parent(mut self, parent: &str) -> Self {
        self.parent = parent.to_owned();
        self
    }
}

/// An organizational unit.
///
/// ```
/// use rekognition_emulator::OrganizationalUnit;
///
/// let unit = OrganizationalUnit::new("ou-emul-22222222").parent("ou-emul-11111111");
/// # let _ = unit;
/// ```
#[derive(Debug, Clone)]
pub struct OrganizationalUnit {
    id: String,
    name: String,
    parent: String,
}

impl OrganizationalUnit {
    /// A unit directly under the root.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: format!("unit-{id}"),
            parent: ROOT_ID.to_owned(),
        }
    }

    /// The unit's name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The unit that it is in, or [`ROOT_ID`].
    pub fn parent(mut self, parent: &str) -> Self {
        self.parent = parent.to_owned();
        self
    }
}

/// The organization, once there is one.
#[derive(Debug)]
pub(crate) struct Organization {
    management_account: String,
    delegated_administrators: Vec<String>,
    /// In the order in which they were added; the management account is first.
    accounts: Vec<Account>,
    units: Vec<OrganizationalUnit>,
}

impl Organization {
    pub(crate) fn new(management_account: &str) -> Self {
        Self {
            management_account: management_account.to_owned(),
            delegated_administrators: Vec::new(),
            accounts: vec![Account::new(management_account).name("management")],
            units: Vec::new(),
        }
    }

    /// Adds an account; one of the same ID is replaced.
    pub(crate) fn add_account(&mut self, account: Account) {
        match self.accounts.iter_mut().find(|it| it.id == account.id) {
            Some(known) => *known = account,
            None => self.accounts.push(account),
        }
    }

    /// Adds a unit; one of the same ID is replaced.
    pub(crate) fn add_unit(&mut self, unit: OrganizationalUnit) {
        match self.units.iter_mut().find(|it| it.id == unit.id) {
            Some(known) => *known = unit,
            None => self.units.push(unit),
        }
    }

    pub(crate) fn add_delegated_administrator(&mut self, account: &str) {
        self.delegated_administrators.push(account.to_owned());
    }

    /// Refuses a caller that is not a member, and one that may not read the organization.
    pub(crate) fn check_caller(&self, account: &str) -> Result<(), ServiceError> {
        if !self.accounts.iter().any(|it| it.id == account) {
            return Err(not_in_use());
        }
        let is_delegated = || self.delegated_administrators.iter().any(|it| it == account);
        if account == self.management_account || is_delegated() {
            return Ok(());
        }
        Err(ServiceError::new(
            "AccessDeniedException",
            "You don't have permissions to access this resource.",
        ))
    }

    /// Refuses a parent that does not exist.
    pub(crate) fn check_parent(&self, id: &str) -> Result<(), ServiceError> {
        if id == ROOT_ID || self.units.iter().any(|unit| unit.id == id) {
            return Ok(());
        }
        let message = "You specified parent that doesn't exist.";
        Err(ServiceError::new("ParentNotFoundException", message))
    }

    /// All accounts, or those directly under a parent.
    pub(crate) fn accounts(&self, parent: Option<&str>) -> Vec<&Account> {
        let is_there = |it: &&Account| parent.is_none_or(|parent| it.parent == parent);
        self.accounts.iter().filter(is_there).collect()
    }

    pub(crate) fn describe_account(&self, account: &Account) -> Value {
        let id = &account.id;
        let mut description = json!({
            "Id": id,
            "Arn": self.arn("account", id),
            "Email": format!("{id}@example.com"),
            "Name": account.name,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1_546_300_800.0,
        });
        if let Some(description) = description.as_object_mut() {
            for (member, value) in [("State", &account.state), ("Status", &account.status)] {
                if let Some(value) = value {
                    description.insert(member.to_owned(), value.as_str().into());
                }
            }
        }
        description
    }

    /// The units directly under a parent.
    pub(crate) fn units(&self, parent: &str) -> Vec<&OrganizationalUnit> {
        let units = self.units.iter();
        units.filter(|unit| unit.parent == parent).collect()
    }

    pub(crate) fn describe_unit(&self, unit: &OrganizationalUnit) -> Value {
        json!({ "Id": unit.id, "Arn": self.arn("ou", &unit.id), "Name": unit.name })
    }

    /// The one root.
    pub(crate) fn describe_root(&self) -> Value {
        let arn = self.arn("root", ROOT_ID);
        json!({ "Id": ROOT_ID, "Arn": arn, "Name": "Root", "PolicyTypes": [] })
    }

    fn arn(&self, kind: &str, id: &str) -> String {
        let account = &self.management_account;
        format!("arn:aws:organizations::{account}:{kind}/{ORGANIZATION_ID}/{id}")
    }
}

/// The refusal of a caller whose account is in no organization.
pub(crate) fn not_in_use() -> ServiceError {
    ServiceError::new(
        "AWSOrganizationsNotInUseException",
        "Your account is not a member of an organization.",
    )
}
