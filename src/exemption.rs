//! The tag that exempts a model from patterns, and what its value means.

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, UtcOffset};

/// What the value of the exempting tag means for one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exemption {
    /// The model is kept running.
    Keep,
    /// The model is kept running because the value cannot be understood.
    KeepUnclear,
    /// The model is not exempt, or no longer.
    None,
}

impl Exemption {
    /// Interprets a tag's value at this time.
    ///
    /// Empty and `true` keep the model running; a date such as `2026-12-24` keeps it through that
    /// day in UTC, and a time as [RFC 3339] writes it, such as `2026-12-24T18:00:00+01:00`, until
    /// then; `false` does not keep it. Any other value, including a time without an offset, keeps
    /// it, because someone meant something by it, and calls for a warning.
    ///
    /// [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
    pub fn read(value: &str, now: OffsetDateTime) -> Self {
        let value = value.trim();
        if value.is_empty() || value.eq_ignore_ascii_case("true") {
            return Self::Keep;
        }
        if value.eq_ignore_ascii_case("false") {
            return Self::None;
        }
        let holds = if let Ok(end) = OffsetDateTime::parse(value, &Rfc3339) {
            now < end
        } else if let Some(last_day) = date(value) {
            now.to_offset(UtcOffset::UTC).date() <= last_day
        } else {
            return Self::KeepUnclear;
        };
        if holds { Self::Keep } else { Self::None }
    }
}

/// Parses a date like `2026-12-24`. RFC 3339 is stricter than the other formats of `time`, which
/// accept a leading sign.
fn date(text: &str) -> Option<Date> {
    let midnight = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339);
    midnight.ok().map(OffsetDateTime::date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at(value: &str, now: &str) -> Exemption {
        Exemption::read(value, OffsetDateTime::parse(now, &Rfc3339).unwrap())
    }

    fn read(value: &str) -> Exemption {
        read_at(value, "2026-12-24T17:00:00Z")
    }

    #[test]
    fn empty_and_true_keep_a_model_running() {
        for value in ["", " ", "true", "True"] {
            assert_eq!(read(value), Exemption::Keep, "{value}");
        }
    }

    #[test]
    fn a_date_keeps_a_model_running_through_that_day_in_utc_and_no_longer() {
        assert_eq!(read("2026-12-24"), Exemption::Keep);
        assert_eq!(read("2027-01-01"), Exemption::Keep);
        assert_eq!(read("9999-12-31"), Exemption::Keep);
        assert_eq!(read("2026-12-23"), Exemption::None);
        assert_eq!(read("2024-02-29"), Exemption::None);
        for (now, exemption) in [
            ("2026-12-24T23:59:59.999Z", Exemption::Keep),
            ("2026-12-25T00:00:00Z", Exemption::None),
            ("2026-12-25T00:30:00+01:00", Exemption::Keep),
            ("2026-12-24T23:30:00-01:00", Exemption::None),
        ] {
            assert_eq!(read_at("2026-12-24", now), exemption, "{now}");
        }
    }

    #[test]
    fn a_time_keeps_a_model_running_until_then() {
        for (value, exemption) in [
            ("2026-12-24T17:00:01Z", Exemption::Keep),
            ("2026-12-24T17:00:00Z", Exemption::None),
            ("2026-12-24T18:00:00.5+01:00", Exemption::Keep),
            ("2026-12-24T18:00:00+01:00", Exemption::None),
            ("2026-12-24 12:00:01-05:00", Exemption::Keep),
            ("2026-12-24t16:59:59z", Exemption::None),
        ] {
            assert_eq!(read(value), exemption, "{value}");
        }
    }

    #[test]
    fn false_does_not_exempt() {
        assert_eq!(read("false"), Exemption::None);
        assert_eq!(read("FALSE"), Exemption::None);
    }

    #[test]
    fn any_other_value_keeps_a_model_running_and_is_unclear() {
        for value in [
            "yes",
            "2026-13-01",
            "2025-02-29",
            "24.12.2026",
            "2020-12-24T00:00",
            "2020-12-24T00:00:00",
            "2020-12-24T00:00Z",
            "2020-12-24T24:00:00Z",
            "2026-12-24-1",
            "26-12-24",
            "2026-1-1",
            "+026-12-24",
            "-2020-12-24",
            "20201224",
            "-",
            "é",
        ] {
            assert_eq!(read(value), Exemption::KeepUnclear, "{value}");
        }
    }
}
