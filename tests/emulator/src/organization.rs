//! An organization: its accounts, and the units that they are in.

use serde_json::{Value, json};

use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::request::Request;

/// The root of the emulator's organization.
pub const ROOT_ID: &str = "r-emul";

const ORGANIZATION_ID: &str = "o-emulator00";

/// An account of the organization.
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

    /// `State`: `PENDING_ACTIVATION`, `ACTIVE`, `SUSPENDED`, `PENDING_CLOSURE`, `CLOSED`, or any
    /// other text. The older `Status` says the same, except `SUSPENDED` for a closed account.
    pub fn state(mut self, state: &str) -> Self {
        self.state = Some(state.to_owned());
        self.status(if state == "CLOSED" {
            "SUSPENDED"
        } else {
            state
        })
    }
}

setters!(Account {
    /// The account's name.
    name(account, name: &str) => account.name = name.to_owned();
    /// Another `Status` than that of the state.
    status(account, status: &str) => account.status = Some(status.to_owned());
    /// Leaves `State` out, as the service did until 2025.
    without_state(account) => account.state = None;
    /// Leaves `Status` out, as the service will from 2026.
    without_status(account) => account.status = None;
    /// The organizational unit that it is in, or [`ROOT_ID`].
    parent(account, parent: &str) => account.parent = parent.to_owned();
});

/// An organizational unit.
#[derive(Debug, Clone)]
pub struct OrganizationalUnit {
    id: String,
    parent: String,
}

impl OrganizationalUnit {
    /// A unit directly under the root.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            parent: ROOT_ID.to_owned(),
        }
    }
}

setters!(OrganizationalUnit {
    /// The unit that it is in, or [`ROOT_ID`].
    parent(unit, parent: &str) => unit.parent = parent.to_owned();
});

/// The organization, once there is one.
#[derive(Debug)]
pub(crate) struct Organization {
    management_account: String,
    pub(crate) delegated_administrators: Vec<String>,
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

    /// The organization for a request. Refuses a caller that is not a member, and one that may not
    /// read it.
    pub(crate) fn seen_by<'a>(
        state: &'a ServiceState,
        request: &Request,
    ) -> Result<&'a Self, ServiceError> {
        let account = &request.identity.account;
        let is_member = |it: &&Self| it.accounts.iter().any(|it| it.id == *account);
        let Some(organization) = state.organization.as_ref().filter(is_member) else {
            return Err(ServiceError::new(
                "AWSOrganizationsNotInUseException",
                "Your account is not a member of an organization.",
            ));
        };
        let may_read = organization.management_account == *account
            || organization.delegated_administrators.contains(account);
        let message = "You don't have permissions to access this resource.";
        let refusal = || ServiceError::new("AccessDeniedException", message);
        may_read.then_some(organization).ok_or_else(refusal)
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
        json!({
            "Id": id,
            "Arn": self.arn("account", id),
            "Email": format!("{id}@example.com"),
            "Name": account.name,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1_546_300_800.0,
            "State": account.state,
            "Status": account.status,
        })
    }

    /// The units directly under a parent.
    pub(crate) fn units(&self, parent: &str) -> Vec<&OrganizationalUnit> {
        let units = self.units.iter();
        units.filter(|unit| unit.parent == parent).collect()
    }

    pub(crate) fn describe_unit(&self, unit: &OrganizationalUnit) -> Value {
        let name = format!("unit-{}", unit.id);
        json!({ "Id": unit.id, "Arn": self.arn("ou", &unit.id), "Name": name })
    }

    fn arn(&self, kind: &str, id: &str) -> String {
        let account = &self.management_account;
        format!("arn:aws:organizations::{account}:{kind}/{ORGANIZATION_ID}/{id}")
    }
}
