//! What goes wrong in a night over an organization: roles that cannot be assumed in time, regions
//! that hang or are closed, quotas, and a list of accounts that breaks off.

use std::time::Duration;

use rekognition_emulator::{FaultKind, Operation};

use super::night::{Organization, REGIONS};
use crate::simulation::chance::Chance;
use crate::simulation::night::ACCOUNT;
use crate::simulation::weather::{Limit, OPERATIONS, Struck, Trouble, Weather, error};

/// The lists of an organization.
pub const LISTS: [Operation; 3] = [
    Operation::ListAccounts,
    Operation::ListAccountsForParent,
    Operation::ListOrganizationalUnitsForParent,
];

/// The codes, other than `AccessDenied`, with which STS refuses a role for good.
pub const REGION_DISABLED: &str = "RegionDisabledException";

impl Weather {
    /// The weather of a night over this organization.
    pub fn over_an_organization(chance: &mut Chance, organization: &Organization) -> Self {
        let mut weather = Self {
            latency: Duration::from_millis(chance.weighed(&[(30, 0), (60, 30), (10, 300)])),
            page_size: chance.weighed(&[(30, 1), (30, 5), (40, 20)]),
            ..Self::default()
        };
        // Each list of projects is small.
        weather.page_size = chance.number(1..=weather.page_size);
        // Each on its own as well as together: together they leave little that must work.
        if chance.percent(25) {
            weather.set_quotas(chance);
        }
        if chance.percent(35) {
            for _ in 0..chance.weighed(&[(50, 1), (35, 3), (15, 20)]) {
                weather.befall_role(chance, organization);
            }
        }
        if chance.percent(25) {
            for _ in 0..chance.number(1..=2) {
                weather.befall_region(chance, organization);
            }
        }
        if chance.percent(20) {
            weather.befall_list(chance, organization);
        }
        weather
    }

    /// Weather in which one kind of trouble is spread over the calls, and nothing else is the matter.
    pub fn scattered_over(chance: &mut Chance, organization: &Organization) -> Self {
        let mut weather = Self {
            latency: Duration::from_millis(chance.weighed(&[(30, 0), (60, 30), (10, 300)])),
            page_size: 20,
            ..Self::default()
        };
        let operation = match chance.number(0..=9) {
            0 => {
                weather.connecting = chance.duration(1..=8);
                return weather;
            }
            1 => {
                let account = chance.one_of(&organization.accounts).id.clone();
                weather.befall_all_calls(&FaultKind::Hang, Some(account), None);
                return weather;
            }
            2..=6 => Operation::AssumeRole,
            7 => *chance.one_of(&LISTS),
            _ => chance.weighed(&OPERATIONS),
        };
        weather
            .faults
            .push(Trouble::of_some_calls(chance, Some(operation)));
        weather
    }

    fn set_quotas(&mut self, chance: &mut Chance) {
        if chance.percent(50) {
            let mut limit = Limit::new(chance);
            limit.background = 0.0;
            self.quota = Some(limit);
        }
        for operation in LISTS.into_iter().chain([Operation::AssumeRole]) {
            if chance.percent(50) {
                let per_second = chance.weighed(&[(1, 1.0), (2, 4.0), (1, 20.0)]);
                let limit = Limit::of_operation(chance, per_second);
                self.own_quotas.push((operation, limit));
            }
        }
    }

    /// The role of an account hangs, fails or is throttled, for a time or forever.
    fn befall_role(&mut self, chance: &mut Chance, organization: &Organization) {
        let account = &chance.one_of(&organization.accounts).id;
        let kind = chance.weighed(&[
            (4, FaultKind::Hang),
            (2, FaultKind::HttpStatus(500, String::new())),
            (1, FaultKind::Reset),
            (1, FaultKind::EmptyBody),
            (2, error("Throttling")),
            (1, error(REGION_DISABLED)),
        ]);
        let count = chance.weighed(&[(40, u32::MAX), (30, 1), (30, 4)]);
        // It is not called again, so it cannot end.
        let is_final = kind == error(REGION_DISABLED);
        let count = if is_final { u32::MAX } else { count };
        self.faults.push(Trouble {
            resource: Some(organization.role_arn(account)),
            struck: Struck::Arrivals(1, count),
            ..Trouble::for_ever(kind, Operation::AssumeRole)
        });
    }

    /// A region hangs, or is closed by a policy, for one account or for all.
    fn befall_region(&mut self, chance: &mut Chance, organization: &Organization) {
        let region = match &organization.regions {
            Some(regions) => *chance.one_of(regions),
            None => *chance.one_of(&REGIONS),
        };
        let account = chance
            .percent(60)
            .then(|| chance.one_of(&organization.accounts).id.clone());
        let denied = FaultKind::Error {
            code: "AccessDeniedException".to_owned(),
            http_status: None,
            message: "with an explicit deny in a service control policy".to_owned(),
        };
        let kind = chance.weighed(&[(60, FaultKind::Hang), (40, denied)]);
        self.befall_all_calls(&kind, account, Some(region));
    }

    fn befall_all_calls(
        &mut self,
        kind: &FaultKind,
        account: Option<String>,
        region: Option<&'static str>,
    ) {
        let troubles = OPERATIONS.map(|(_, operation)| Trouble {
            account: account.clone(),
            region,
            ..Trouble::for_ever(kind.clone(), operation)
        });
        self.faults.extend(troubles);
    }

    /// A list of the organization breaks off at a page, or fails or hangs for a time.
    fn befall_list(&mut self, chance: &mut Chance, organization: &Organization) {
        let denied = error("AccessDeniedException");
        let throttled = error("TooManyRequestsException");
        let (kind, last) = chance.weighed(&[
            (40, (denied, u32::MAX)),
            (15, (FaultKind::Hang, u32::MAX)),
            (10, (FaultKind::Hang, 1)),
            (15, (FaultKind::HttpStatus(500, String::new()), 3)),
            (20, (throttled, 3)),
        ]);
        let operation = match organization.organizational_units.is_empty() {
            true => Operation::ListAccounts,
            false => *chance.one_of(&LISTS[1..]),
        };
        self.faults.push(Trouble {
            struck: Struck::Arrivals(1, last),
            page: chance.percent(70).then(|| chance.number(1..=4)),
            ..Trouble::for_ever(kind, operation)
        });
    }

    /// The troubles of the role of an account.
    pub fn of_role<'a>(&'a self, role_arn: &'a str) -> impl Iterator<Item = &'a Trouble> {
        let roles = self.faults.iter();
        roles.filter(move |trouble| trouble.resource.as_deref() == Some(role_arn))
    }

    /// The result of all calls to Rekognition of an account in a region, if that is out of order.
    pub fn of_scope(&self, account: &str, region: &str) -> Option<&FaultKind> {
        let mut faults = self.faults.iter();
        let first = faults.find(|trouble| {
            trouble.operation == Some(Operation::DescribeProjects)
                && (trouble.region.is_some() || trouble.account.is_some())
                && trouble.region.is_none_or(|it| it == region)
                && trouble.account.as_deref().is_none_or(|it| it == account)
        });
        first.map(|trouble| &trouble.kind)
    }

    /// The accounts and regions that hang.
    pub fn hanging_scopes(&self, organization: &Organization) -> usize {
        let accounts = organization.accounts.iter().map(|account| &*account.id);
        let scopes = accounts.flat_map(|account| REGIONS.map(|region| (account, region)));
        let hanging = scopes
            .filter(|(account, region)| self.of_scope(account, region) == Some(&FaultKind::Hang));
        hanging.count()
    }
}

/// Calls per second that are repeated for as long as there is time.
pub fn storm(weather: &Weather, organization: &Organization) -> f64 {
    let roles = weather.faults.iter().filter(|trouble| {
        trouble.is_permanent() && trouble.operation == Some(Operation::AssumeRole)
    });
    let is_own = |account: &str| account == ACCOUNT;
    let accounts = organization.accounts.iter().filter(|it| !is_own(&it.id));
    let slow = weather.quota.as_ref().map_or(0, |_| accounts.count());
    roles.count() as f64 * 0.5
        + weather.hanging_scopes(organization) as f64 * 0.3
        + slow as f64 * 0.2
}
