//! The list of a night: ARNs and patterns, some repeated, some of things that do not exist, some
//! that are not ARNs at all.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chance::Chance;
use super::night::{ACCOUNT, Model, arn};
use super::organization::{Organization, STRANGER};

/// The list, and where it is given.
#[derive(Debug)]
pub struct List {
    /// The items; none is a `null`.
    pub items: Vec<Option<String>>,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the event.
    Event,
    /// In the `detail` of a custom event.
    Detail,
    /// In the environment, with an event of a schedule. The text separates the items.
    Environment(&'static str),
}

/// Items that are invalid.
pub const INVALID: [Option<&str>; 7] = [
    None,
    Some(""),
    Some("  "),
    Some("shelf"),
    Some("arn:aws:s3:::models"),
    Some("arn:aws:rekognition:us-east-1:12345678901:project/shelf/version/*/*"),
    Some("arn:aws:rekognition:us-east-1:123456789012:project/shelf/1700000000000"),
];

impl List {
    /// A list that asks for most of these models, by their ARNs and by patterns.
    pub fn new(chance: &mut Chance, models: &[Model], organization: Option<&Organization>) -> Self {
        let mut items = Vec::new();
        let named = match organization {
            None => chance.weighed(&[(35, 0), (25, 60), (40, 100)]),
            Some(_) => chance.weighed(&[(50, 0), (30, 20), (20, 60)]),
        };
        let patterns = match (organization, named) {
            (None, 1..) => chance.weighed(&[(60, 0), (25, 1), (15, 3)]),
            _ => chance.number(1..=4),
        };
        for model in models {
            if chance.percent(named) {
                items.push(Some(model.arn.clone()));
            }
        }
        if organization.is_some() && chance.percent(60) {
            items.push(Some(arn("*", "*", "*", "*", "*")));
        }
        for _ in 0..patterns {
            if !models.is_empty() {
                items.push(Some(pattern(chance, models, organization)));
            }
        }
        if chance.percent(20) {
            items.push(Some(stranger(chance)));
        }
        for _ in 0..chance.weighed(&[(80, 0), (15, 1), (5, 3)]) {
            items.push(chance.one_of(&INVALID).map(str::to_owned));
        }
        for _ in 0..chance.weighed(&[(75, 0), (15, 1), (10, 5)]) {
            if !items.is_empty() {
                let again = chance.one_of(&items).clone();
                items.push(again.map(|text| match chance.percent(30) {
                    true => format!(" {text}\n"),
                    false => text,
                }));
            }
        }
        chance.shuffle(&mut items);
        Self::somewhere(chance, items)
    }

    /// A list that asks for all of these models by patterns, and for some by their ARNs as well.
    pub fn of_all(chance: &mut Chance, models: &[Model]) -> Self {
        let named = chance.weighed(&[(1, 0), (2, 50)]);
        let named = models.iter().filter(|_| chance.percent(named));
        let mut items: Vec<String> = named.map(|model| model.arn.clone()).collect();
        let regions: BTreeSet<&str> = models.iter().map(|model| model.region).collect();
        let regions = regions.into_iter();
        items.extend(regions.map(|region| arn(region, ACCOUNT, "*", "*", "*")));
        chance.shuffle(&mut items);
        Self {
            items: items.into_iter().map(Some).collect(),
            place: Place::Event,
        }
    }

    /// These items, given in a place that can express them.
    fn somewhere(chance: &mut Chance, items: Vec<Option<String>>) -> Self {
        let is_plain = |text: &String| !text.is_empty() && !text.contains(char::is_whitespace);
        let is_plain = |item: &Option<String>| item.as_ref().is_some_and(is_plain);
        let place = match chance.number(0..=9) {
            0..=5 if !items.is_empty() && items.iter().all(is_plain) => {
                Place::Environment(chance.one_of::<&str>(&[",", "\n", ", ", " "]))
            }
            6 => Place::Detail,
            _ => Place::Event,
        };
        Self { items, place }
    }

    /// The variable `MODEL_ARNS`, if the list is given there.
    pub fn in_environment(&self) -> Option<String> {
        match self.place {
            Place::Environment(separator) => {
                let items: Vec<&str> = self.items.iter().flatten().map(String::as_str).collect();
                Some(items.join(separator))
            }
            Place::Event | Place::Detail => None,
        }
    }

    /// The event of the invocation.
    pub fn event(&self, dry_run: bool, accounts: Option<&[String]>) -> Value {
        let mut request = json!({});
        if !matches!(self.place, Place::Environment(_)) {
            request["model_arns"] = json!(self.items);
        }
        if dry_run {
            request["dry_run"] = true.into();
        }
        if let Some(accounts) = accounts {
            request["accounts"] = json!(accounts);
        }
        match self.place {
            Place::Detail => json!({"detail-type": "Evening", "source": "shop", "detail": request}),
            Place::Environment(_) if request == json!({}) => {
                json!({"detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"})
            }
            Place::Event | Place::Environment(_) => request,
        }
    }
}

/// A pattern that matches at least one model, if its account and region are among those that the
/// wildcards match.
fn pattern(chance: &mut Chance, models: &[Model], organization: Option<&Organization>) -> String {
    let model = chance.one_of(models);
    let parts: Vec<&str> = model.arn.rsplit('/').collect();
    let (number, version) = (parts[0], parts[1]);
    let project = match chance.number(0..=3) {
        0 => "*".to_owned(),
        1 => format!("{}*", &model.project[..2]),
        2 => format!("{}?", &model.project[..model.project.len() - 1]),
        _ => model.project.clone(),
    };
    let version = match chance.number(0..=5) {
        0 => version.to_owned(),
        1 => format!("?{}", &version[1..]),
        2 => "v*".to_owned(),
        _ => "*".to_owned(),
    };
    let number = match chance.number(0..=4) {
        0 => number.to_owned(),
        1 => "17*0*".to_owned(),
        _ => "*".to_owned(),
    };
    let (region, account) = match organization {
        None => (model.region.to_owned(), ACCOUNT.to_owned()),
        Some(organization) => (
            region_pattern(chance, model.region),
            account_pattern(chance, model.account(), organization),
        ),
    };
    arn(&region, &account, &project, &version, &number)
}

fn region_pattern(chance: &mut Chance, region: &str) -> String {
    match chance.number(0..=5) {
        0..=2 => "*".to_owned(),
        3 => format!("{}*", &region[..3]),
        4 => format!("*{}", &region[region.len() - 2..]),
        _ => region.to_owned(),
    }
}

fn account_pattern(chance: &mut Chance, id: &str, organization: &Organization) -> String {
    match chance.number(0..=9) {
        // The roles of other accounts are assumed only with a name for them.
        0..=3 if organization.member_role.is_none() => ACCOUNT.to_owned(),
        0 | 1 => id.to_owned(),
        2 => ACCOUNT.to_owned(),
        3 | 4 => "*".to_owned(),
        5 => "????????????".to_owned(),
        6 => format!("*{}", &id[11..]),
        7 => format!("{}???????????", &id[..1]),
        8 => format!("{}?{}", &id[..5], &id[6..]),
        _ => format!("{}*", &id[..2]),
    }
}

/// The ARN of a model, or a pattern for models, that do not exist or belong to someone else.
fn stranger(chance: &mut Chance) -> String {
    let region = *chance.one_of(&["us-east-1", "eu-west-1", "af-south-1", "sa-*", "*"]);
    let account = chance.weighed(&[(3, ACCOUNT), (1, STRANGER), (1, "98*")]);
    let project = *chance.one_of(&["shelf", "nowhere", "now*"]);
    let number = *chance.one_of(&["1", "9?"]);
    arn(region, account, project, "v999", number)
}
