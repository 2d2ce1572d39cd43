//! Who started a model, since when it has been running, and what that has cost.

use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::calls::response::{InferenceUnits, Start};
use crate::excerpt::cut;

/// The maximum length of a name, in bytes. IAM's are shorter.
const LONGEST_NAME: usize = 256;

/// The last start of a model, as far as it is known. Its `Display` form is the text for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Started {
    /// When the model was started, in RFC 3339 and UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Who started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// How many hours before the run it was, with one decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours_running: Option<f64>,
    /// The least that is billed for these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_so_far: Option<f64>,
}

impl Started {
    /// What a start means for a run that began at this time.
    pub(crate) fn new(
        start: &Start,
        now: OffsetDateTime,
        units: Option<InferenceUnits>,
        price: Option<f64>,
    ) -> Self {
        let hours = |at: OffsetDateTime| (now - at).as_seconds_f64().max(0.0) / 3600.0;
        let hours = start.at.map(|at| rounded(hours(at), 10.0));
        let per_hour = units.zip(price);
        let per_hour = per_hour.map(|(units, price)| units.cost_per_hour(price));
        let cost = hours.zip(per_hour);
        Self {
            started_at: start.at.and_then(|at| at.format(&Rfc3339).ok()),
            started_by: start.by.as_deref().map(|by| cut(by, LONGEST_NAME).into()),
            hours_running: hours,
            cost_so_far: cost.map(|(hours, per_hour)| rounded(hours * per_hour, 100.0)),
        }
    }
}

/// A number in whole parts of this many.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.hours_running;
        let hours = hours.map(|it| format!("running for {it:.1} hours"));
        let by = self.started_by.as_ref();
        let by = by.map(|it| format!("started by {it}"));
        let cost = self.cost_so_far.map(|it| format!("about {it:.2} so far"));
        let parts = [hours, by, cost].into_iter().flatten();
        f.write_str(&Vec::from_iter(parts).join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_has_no_field_and_no_word() {
        let model_arn = "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/17";
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let at = Some(now - time::Duration::seconds(613 * 360 + 100));
        let two = Some(InferenceUnits {
            min: 2,
            max: Some(5),
        });
        let at_text = "\"started_at\":\"2027-01-12T18:40:20Z\"";
        for (at, by, units, price, json, text) in [
            (
                at,
                Some("alice"),
                two,
                Some(4.0),
                format!(
                    "{{{at_text},\"started_by\":\"alice\",\"hours_running\":61.3,\
                     \"cost_so_far\":490.4}}"
                ),
                "running for 61.3 hours, started by alice, about 490.40 so far",
            ),
            (
                at,
                None,
                two,
                None,
                format!("{{{at_text},\"hours_running\":61.3}}"),
                "running for 61.3 hours",
            ),
            (
                at,
                None,
                None,
                Some(4.0),
                format!("{{{at_text},\"hours_running\":61.3}}"),
                "running for 61.3 hours",
            ),
            (
                None,
                Some("alice"),
                two,
                Some(4.0),
                "{\"started_by\":\"alice\"}".to_owned(),
                "started by alice",
            ),
        ] {
            let start = Start {
                model_arn: model_arn.parse().unwrap(),
                at,
                by: by.map(str::to_owned),
            };
            let started = Started::new(&start, now, units, price);
            assert_eq!(serde_json::to_string(&started).unwrap(), json);
            assert_eq!(started.to_string(), text);
        }
    }
}
