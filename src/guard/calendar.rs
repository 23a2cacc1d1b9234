//! The ranges that a guarded question may have: one day, one week from Monday or one
//! month of the site's calendar, whole and never shifted.
//!
//! A range that may begin and end anywhere is a filter with thousands of values: two
//! ranges that differ by an hour tell who came in that hour.
//!
//! Days, weeks and months do not nest, since a week may lie over the end of a month. The
//! parts of weeks that lie in one month do: a month is its *pieces*, a piece is its days,
//! and a week is one piece or two. The guard looks at that tree.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::query::range::Range;

/// How long a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Day,
    Week,
    Month,
    /// Anything else; it comes this far only where a test switches the rule off.
    Free,
}

/// Days of the site's calendar, first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Days {
    pub unit: Unit,
    pub first: Date,
    pub last: Date,
}

// === impl Days ===

impl Days {
    /// The days of a range, if it is whole days.
    pub fn of(range: &Range) -> Option<Days> {
        let local = |ms: i64| Timestamp::from_millisecond(ms).ok().map(|at| at.to_zoned(range.zone.clone()));
        let (from, to) = (local(range.from)?, local(range.to)?);
        let begins = |at: &jiff::Zoned| at.start_of_day().is_ok_and(|start| start == *at);
        if range.all || !begins(&from) || !begins(&to) {
            return None;
        }
        let first = from.date();
        let last = to.date().yesterday().ok()?;
        let unit = if first == last {
            Unit::Day
        } else if first.weekday() == Weekday::Monday && plus(first, 6) == Some(last) {
            Unit::Week
        } else if first == first.first_of_month() && last == first.last_of_month() {
            Unit::Month
        } else {
            Unit::Free
        };
        Some(Days { unit, first, last })
    }

    /// As a question has it.
    pub fn date_range(&self) -> Value {
        json!([self.first.to_string(), self.last.to_string()])
    }

    /// The months that it touches, one or two.
    pub fn months(&self) -> Vec<Days> {
        let mut months = vec![Days::month(self.first)];
        if self.last > months[0].last {
            months.push(Days::month(self.last));
        }
        months
    }

    /// The month of a day.
    pub fn month(day: Date) -> Days {
        Days { unit: Unit::Month, first: day.first_of_month(), last: day.last_of_month() }
    }

    /// The week of a day; none at the end of time.
    pub fn week(day: Date) -> Option<Days> {
        let first = monday(day)?;
        Some(Days { unit: Unit::Week, first, last: plus(first, 6)? })
    }

    /// What comes before it, of the same unit.
    pub fn before(&self) -> Option<Days> {
        let last = self.first.yesterday().ok()?;
        match self.unit {
            Unit::Day => Some(Days { first: last, last, ..*self }),
            Unit::Week => Days::week(last),
            Unit::Month => Some(Days::month(last)),
            Unit::Free => None,
        }
    }

    /// The same a year before: a day of the same date or, for weeks and with
    /// `same_weekday`, 52 weeks before.
    pub fn year_before(&self, same_weekday: bool) -> Option<Days> {
        match self.unit {
            Unit::Day if !same_weekday => {
                let day = self.first.checked_sub(1.year()).ok()?;
                Some(Days { first: day, last: day, ..*self })
            }
            Unit::Day | Unit::Week => {
                let back = |day: Date| day.checked_sub(52.weeks()).ok();
                Some(Days { first: back(self.first)?, last: back(self.last)?, ..*self })
            }
            Unit::Month => Some(Days::month(self.first.checked_sub(1.year()).ok()?)),
            Unit::Free => None,
        }
    }

    /// Whether it lies in one month.
    pub fn is_in_one_month(&self) -> bool {
        Days::month(self.first).last >= self.last
    }
}

/// The Monday of a day's week.
pub fn monday(day: Date) -> Option<Date> {
    plus(day, -i64::from(day.weekday().since(Weekday::Monday)))
}

fn plus(day: Date, days: i64) -> Option<Date> {
    day.checked_add(days.days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn unit(range: Value, zone: &str) -> Option<Unit> {
        let zone = TimeZone::get(zone).expect("a known zone");
        let now = "2026-03-18T21:30:00Z".parse().expect("an instant");
        Days::of(&Range::parse(&range, &zone, now).expect("a range")).map(|days| days.unit)
    }

    #[test]
    fn only_whole_days_weeks_from_monday_and_months_are_units() {
        for (range, expected) in [
            (json!("day"), Some(Unit::Day)),
            (json!("month"), Some(Unit::Month)),
            (json!("1mo"), Some(Unit::Month)),
            (json!("1d"), Some(Unit::Day)),
            (json!(["2026-03-16", "2026-03-22"]), Some(Unit::Week)),
            (json!(["2026-03-17", "2026-03-23"]), Some(Unit::Free)),
            (json!(["2026-03-16", "2026-03-21"]), Some(Unit::Free)),
            (json!(["2026-02-01", "2026-02-28"]), Some(Unit::Month)),
            (json!(["2024-02-01", "2024-02-28"]), Some(Unit::Free)),
            (json!(["2026-03-01", "2026-04-30"]), Some(Unit::Free)),
            (json!("30d"), Some(Unit::Free)),
            (json!("year"), Some(Unit::Free)),
            (json!("24h"), None),
            (json!("all"), None),
            (json!(["2026-03-16T00:00:00+03:00", "2026-03-16T23:59:59+03:00"]), Some(Unit::Day)),
            (json!(["2026-03-16T00:00:00Z", "2026-03-16T23:59:59Z"]), None),
            (json!(["2026-03-16T00:00:00+03:00", "2026-03-16T22:59:59+03:00"]), None),
        ] {
            assert_eq!(unit(range.clone(), "Europe/Moscow"), expected, "{range}");
        }
        // A day of 23 hours and one of 25.
        for day in ["2026-03-29", "2026-10-25"] {
            assert_eq!(unit(json!([day, day]), "Europe/Berlin"), Some(Unit::Day), "{day}");
        }
    }

    #[test]
    fn what_comes_before_is_of_the_same_unit() {
        let days = |first: &str, last: &str| {
            let day = |text: &str| text.parse::<Date>().expect("a day");
            let range = Range::parse(&json!([first, last]), &TimeZone::UTC, Timestamp::UNIX_EPOCH);
            assert!(day(first) <= day(last));
            Days::of(&range.expect("a range")).expect("whole days")
        };
        for (of, before, year) in [
            (("2026-03-01", "2026-03-01"), ("2026-02-28", "2026-02-28"), ("2025-03-01", "2025-03-01")),
            (("2026-03-02", "2026-03-08"), ("2026-02-23", "2026-03-01"), ("2025-03-03", "2025-03-09")),
            (("2026-03-01", "2026-03-31"), ("2026-02-01", "2026-02-28"), ("2025-03-01", "2025-03-31")),
        ] {
            let of = days(of.0, of.1);
            assert_eq!(of.before(), Some(days(before.0, before.1)));
            assert_eq!(of.year_before(false), Some(days(year.0, year.1)));
        }
        let week = days("2026-03-30", "2026-04-05");
        assert_eq!((week.months().len(), week.is_in_one_month()), (2, false));
    }
}
