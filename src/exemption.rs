//! The tag that exempts a model from patterns, and what its value says.

use time::{Date, Month};

/// What the value of the exempting tag means for one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exemption {
    /// The model is kept running.
    Keep,
    /// The model is kept running, since the value says nothing else that can be understood.
    KeepUnclear,
    /// The exemption does not hold, or holds no longer.
    None,
}

impl Exemption {
    /// Reads a tag's value, on a day that is `today` in UTC.
    ///
    /// Empty and `true` keep the model running; a date such as `2026-12-24` keeps it through that day;
    /// `false` does not keep it. Any other value keeps it, since somebody meant something by it, and is to
    /// be warned of.
    pub fn read(value: &str, today: Date) -> Self {
        let value = value.trim();
        if value.is_empty() || value.eq_ignore_ascii_case("true") {
            Self::Keep
        } else if value.eq_ignore_ascii_case("false") {
            Self::None
        } else {
            match date(value) {
                Some(last_day) if today <= last_day => Self::Keep,
                Some(_) => Self::None,
                None => Self::KeepUnclear,
            }
        }
    }
}

/// The date of a text like `2026-12-24`, in exactly this form.
fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Exemption {
        let today = Date::from_calendar_date(2026, Month::December, 24).unwrap();
        Exemption::read(value, today)
    }

    #[test]
    fn empty_and_true_keep_a_model_running() {
        for value in ["", " ", "true", "True"] {
            assert_eq!(read(value), Exemption::Keep, "{value}");
        }
    }

    #[test]
    fn a_date_keeps_a_model_running_through_that_day_and_no_longer() {
        assert_eq!(read("2026-12-24"), Exemption::Keep);
        assert_eq!(read("2027-01-01"), Exemption::Keep);
        assert_eq!(read("2026-12-23"), Exemption::None);
        assert_eq!(read("2024-02-29"), Exemption::None);
    }

    #[test]
    fn false_exempts_nothing() {
        assert_eq!(read("false"), Exemption::None);
        assert_eq!(read("FALSE"), Exemption::None);
    }

    #[test]
    fn anything_else_keeps_a_model_running_and_is_unclear() {
        for value in [
            "yes",
            "2026-13-01",
            "2025-02-29",
            "24.12.2026",
            "2026-12-24T00:00",
            "2026-12-24-1",
            "26-12-24",
            "2026-1-1",
            "+026-12-24",
            "-",
            "é",
        ] {
            assert_eq!(read(value), Exemption::KeepUnclear, "{value}");
        }
    }
}
