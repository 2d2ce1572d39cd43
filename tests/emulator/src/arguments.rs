//! The command line, and how its values read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rekognition_emulator::{
    Account, Fault, Model, Operation, OrganizationalUnit, Quota, Role, ThrottleWith,
};

/// Emulates Amazon Rekognition Custom Labels, STS and Organizations on 127.0.0.1
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Port to listen on; 0 takes any that is free
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,

    /// Account of callers without a session
    #[arg(long, default_value = "123456789012", value_parser = account)]
    pub(crate) account: String,

    /// A model, as ARN=STATUS[,units=N][,tag:KEY=VALUE]...; may be given many times
    #[arg(long, value_parser = model)]
    pub(crate) model: Vec<Model>,

    /// An account of the organization, as ID[=STATE][,parent=ID][,name=NAME]; may be given many
    /// times
    #[arg(long, value_name = "ID[=STATE]", value_parser = organization_account)]
    pub(crate) organization_account: Vec<Account>,

    /// An organizational unit, as ID[,parent=ID][,name=NAME]; may be given many times
    #[arg(long, value_name = "ID", value_parser = organizational_unit)]
    pub(crate) organizational_unit: Vec<OrganizationalUnit>,

    /// The organization's management account; that of callers without a session by default
    #[arg(long, value_name = "ID", value_parser = account)]
    pub(crate) management_account: Option<String>,

    /// Another account that may read the organization
    #[arg(long, value_name = "ID", value_parser = account)]
    pub(crate) delegated_administrator: Vec<String>,

    /// A role, as ARN[,trusts=PRINCIPAL]...[,external-id=ID]; may be given many times
    #[arg(long, value_name = "ARN[,trusts=PRINCIPAL]", value_parser = role)]
    pub(crate) role: Vec<Role>,

    /// Role of callers without a session, by its name with its path
    #[arg(long, value_name = "NAME", default_value = "stopper")]
    pub(crate) caller_role: String,

    /// Gives an empty page before each of the organization's lists that has items
    #[arg(long)]
    pub(crate) empty_pages: bool,

    /// How long a model stays STARTING, such as 500ms, 6s or 2m
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub(crate) start_takes: Duration,

    /// How long a model stays STOPPING
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub(crate) stop_takes: Duration,

    /// How long every call takes
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub(crate) latency: Duration,

    /// Calls of Rekognition a second that each account and region lets through; the others are
    /// throttled
    #[arg(long, value_name = "CALLS_PER_SECOND", value_parser = calls_per_second)]
    quota: Option<f64>,

    /// Calls that are let through at once after a pause; one second's by default
    #[arg(long, requires = "quota", value_parser = clap::value_parser!(u32).range(1..))]
    burst: Option<u32>,

    /// Error of a throttled call
    #[arg(
        long,
        requires = "quota",
        value_enum,
        default_value = "ThrottlingException"
    )]
    throttle_with: ThrottleName,

    /// A quota of its own for one operation, as OPERATION=CALLS_PER_SECOND[,burst=N]
    #[arg(long, value_name = "OPERATION=CALLS_PER_SECOND", value_parser = operation_quota)]
    pub(crate) operation_quota: Vec<(Operation, Quota)>,

    /// Refuses an action, as ACTION[@RESOURCE]: rekognition:StopProjectVersion@arn:aws:...; the
    /// resource is an ARN or its beginning
    #[arg(long, value_name = "ACTION[@RESOURCE]", value_parser = denial)]
    pub(crate) deny: Vec<Denial>,

    /// A fault, as
    /// OPERATION[@RESOURCE]=KIND[,account=ID][,region=REGION][,attempts=N|A-B][,page=N][,after-effect].
    /// KIND is reset, hang, empty, truncated, garbage, delay:DURATION, http:STATUS, error:CODE or
    /// status:STATUS; OPERATION may be *
    #[arg(long, value_name = "OPERATION[@RESOURCE]=KIND", value_parser = fault)]
    pub(crate) fault: Vec<Fault>,

    /// File to append a line of JSON to for each call
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

impl Arguments {
    /// The quota, where one was given.
    pub(crate) fn quota(&self) -> Option<Quota> {
        let quota = Quota::per_second(self.quota?).throttle_with(self.throttle_with.into());
        Some(match self.burst {
            Some(burst) => quota.burst(burst),
            None => quota,
        })
    }
}

/// [`ThrottleWith`] by its names on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ThrottleName {
    #[value(name = "ThrottlingException")]
    Throttling,
    #[value(name = "ProvisionedThroughputExceededException")]
    ProvisionedThroughputExceeded,
    #[value(name = "alternating")]
    Alternating,
}

impl From<ThrottleName> for ThrottleWith {
    fn from(name: ThrottleName) -> Self {
        match name {
            ThrottleName::Throttling => ThrottleWith::ThrottlingException,
            ThrottleName::ProvisionedThroughputExceeded => {
                ThrottleWith::ProvisionedThroughputExceededException
            }
            ThrottleName::Alternating => ThrottleWith::Alternating,
        }
    }
}

/// An action that is refused.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    pub(crate) action: String,
    pub(crate) resource: Option<String>,
}

fn account(text: &str) -> Result<String, String> {
    let valid = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let wrong = || "an account is 12 digits, such as 123456789012".to_owned();
    valid.then(|| text.to_owned()).ok_or_else(wrong)
}

fn organization_account(text: &str) -> Result<Account, String> {
    let mut parts = text.split(',');
    let first = parts.next().unwrap_or_default();
    let (id, state) = first.split_once('=').unwrap_or((first, "ACTIVE"));
    let mut described = Account::new(&account(id)?).state(state);
    for part in parts {
        described = match part.split_once('=') {
            Some(("parent", parent)) => described.parent(parent),
            Some(("name", name)) => described.name(name),
            _ => return Err(format!("'{part}' is neither parent=ID nor name=NAME")),
        };
    }
    Ok(described)
}

fn organizational_unit(text: &str) -> Result<OrganizationalUnit, String> {
    let mut parts = text.split(',');
    let id = parts.next().unwrap_or_default();
    if !id.starts_with("ou-") {
        return Err(
            "an organizational unit is given by its ID, such as ou-emul-11111111".to_owned(),
        );
    }
    let mut unit = OrganizationalUnit::new(id);
    for part in parts {
        unit = match part.split_once('=') {
            Some(("parent", parent)) => unit.parent(parent),
            Some(("name", name)) => unit.name(name),
            _ => return Err(format!("'{part}' is neither parent=ID nor name=NAME")),
        };
    }
    Ok(unit)
}

fn role(text: &str) -> Result<Role, String> {
    let mut parts = text.split(',');
    let arn = parts.next().unwrap_or_default();
    let mut role = Role::new(arn).map_err(|error| error.to_string())?;
    for part in parts {
        role = match part.split_once('=') {
            Some(("trusts", principal)) => role.trusts(principal),
            Some(("external-id", id)) => role.external_id(id),
            _ => {
                return Err(format!(
                    "'{part}' is neither trusts=PRINCIPAL nor external-id=ID"
                ));
            }
        };
    }
    Ok(role)
}

fn operation_quota(text: &str) -> Result<(Operation, Quota), String> {
    let usage = "a quota of an operation is given as OPERATION=CALLS_PER_SECOND[,burst=N]";
    let (name, rest) = text.split_once('=').ok_or(usage)?;
    let (rate, burst) = match rest.split_once(",burst=") {
        Some((rate, burst)) => (rate, Some(whole_number("burst", burst)?)),
        None => (rest, None),
    };
    let quota = Quota::per_second(calls_per_second(rate)?);
    let quota = burst.map_or(quota, |burst| quota.burst(burst));
    Ok((operation(name)?, quota))
}

fn model(text: &str) -> Result<Model, String> {
    let usage = "a model is given as ARN=STATUS[,units=N][,tag:KEY=VALUE]...";
    let (arn, rest) = text
        .split_once('=')
        .ok_or_else(|| format!("the status is missing; {usage}"))?;
    let mut model = Model::new(arn).map_err(|error| error.to_string())?;
    let mut parts = rest.split(',');
    match parts.next().filter(|status| !status.is_empty()) {
        Some(status) => model = model.status(status),
        None => return Err(format!("the status is empty; {usage}")),
    }
    for part in parts {
        model = match part.split_once('=') {
            Some(("units", number)) => model.inference_units(whole_number("units", number)?),
            Some((key, value)) if key.len() > 4 && key.starts_with("tag:") => {
                model.tag(key.trim_start_matches("tag:"), value)
            }
            _ => {
                return Err(format!(
                    "'{part}' is neither units=N nor tag:KEY=VALUE; {usage}"
                ));
            }
        };
    }
    Ok(model)
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(split.unwrap_or(text.len()));
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => f64::NAN,
    };
    let seconds = number.parse::<f64>().unwrap_or(f64::NAN) * scale;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "a duration is a number with ms, s or m, such as 500ms, 6s or 2m".to_owned())
}

fn calls_per_second(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "a quota is a number of calls a second above 0, such as 5 or 0.5".to_owned())
}

fn denial(text: &str) -> Result<Denial, String> {
    let (action, resource) = at_resource(text);
    if !Operation::ALL.iter().any(|known| known.action() == action) {
        let known = Operation::ALL.map(Operation::action).join(", ");
        return Err(format!(
            "'{action}' is no action of the emulator; it has {known}"
        ));
    }
    Ok(Denial {
        action: action.to_owned(),
        resource,
    })
}

fn fault(text: &str) -> Result<Fault, String> {
    let (call, rest) = text
        .split_once('=')
        .ok_or("the kind is missing; a fault is given as OPERATION[@RESOURCE]=KIND")?;
    let (name, resource) = at_resource(call);
    let mut parts = rest.split(',');
    let mut fault = fault_kind(parts.next().unwrap_or_default())?;
    if name != "*" {
        fault = fault.operation(operation(name)?);
    }
    if let Some(resource) = resource {
        fault = fault.resource(&resource);
    }
    for part in parts {
        fault = match part.split_once('=') {
            Some(("attempts", range)) => {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let first: u32 = whole_number("attempts", first)?;
                fault.attempts(first..=whole_number("attempts", last)?)
            }
            Some(("page", number)) => fault.page(whole_number("page", number)?),
            Some(("account", id)) => fault.account(&account(id)?),
            Some(("region", region)) if !region.is_empty() => fault.region(region),
            None if part == "after-effect" => fault.after_effect(),
            _ => {
                return Err(format!(
                    "'{part}' is none of account=ID, region=REGION, attempts=N, attempts=A-B, page=N, \
                     after-effect"
                ));
            }
        };
    }
    Ok(fault)
}

fn fault_kind(text: &str) -> Result<Fault, String> {
    Ok(match text.split_once(':').unwrap_or((text, "")) {
        ("reset", "") => Fault::reset(),
        ("hang", "") => Fault::hang(),
        ("empty", "") => Fault::empty_body(),
        ("truncated", "") => Fault::truncated(),
        ("garbage", "") => Fault::garbage("<html>no JSON</html>"),
        ("delay", time) => Fault::delay(duration(time)?),
        ("http", status) => match status.parse() {
            Ok(status @ 200..=599) => Fault::http_status(status, ""),
            _ => return Err(format!("'{status}' is no HTTP status from 200 to 599")),
        },
        ("error", code) if !code.is_empty() => Fault::error(code),
        ("status", status) if !status.is_empty() => Fault::status_override(status),
        _ => {
            return Err(format!(
                "'{text}' is no kind of fault; it is one of reset, hang, empty, truncated, garbage, \
                 delay:DURATION, http:STATUS, error:CODE, status:STATUS"
            ));
        }
    })
}

fn operation(name: &str) -> Result<Operation, String> {
    match Operation::from_name(name) {
        Operation::Unknown => {
            let known = Operation::ALL.map(Operation::name).join(", ");
            Err(format!(
                "'{name}' is no operation of the emulator; it has {known}, and * for all"
            ))
        }
        operation => Ok(operation),
    }
}

/// Splits `NAME@RESOURCE`.
fn at_resource(text: &str) -> (&str, Option<String>) {
    match text.split_once('@') {
        Some((name, resource)) => (name, Some(resource.to_owned())),
        None => (text, None),
    }
}

fn whole_number(what: &str, text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= 1)
        .ok_or_else(|| format!("'{text}' is no number for {what}; it has to be 1 or more"))
}
