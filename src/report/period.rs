//! Which days a report is about, and when it is due. All days are the site's.

use jiff::civil::{Date, Weekday};
use jiff::{ToSpan, Zoned};

use crate::settings::Every;

/// From this hour of the site's day on, the period that ended before it is sent: hits
/// of the evening are stored, and people find it in the morning.
pub const HOUR: i8 = 7;

/// A day, a week from Monday, or a month of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub every: Every,
    pub first: Date,
    /// Inclusive.
    pub last: Date,
}

// === impl Period ===

impl Period {
    /// The one that a day is in.
    pub fn holding(every: Every, day: Date) -> Period {
        let (first, last) = match every {
            Every::Day => (day, day),
            Every::Week => {
                let monday = day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days());
                (monday, monday.saturating_add(6.days()))
            }
            Every::Month => (day.first_of_month(), day.last_of_month()),
        };
        Period { every, first, last }
    }

    /// The last one that had ended when `today` began.
    pub fn ended(every: Every, today: Date) -> Period {
        Period::holding(every, today).before()
    }

    /// The first and the last day, as questions name them.
    pub fn days(&self) -> [String; 2] {
        [self.first, self.last].map(|day| day.to_string())
    }

    /// The one before this one.
    pub fn before(&self) -> Period {
        Period::holding(self.every, self.first.saturating_sub(1.days()))
    }

    /// The one that is to be sent now, when that of `sent` was the last.
    pub fn due(every: Every, sent: Option<Date>, now: &Zoned) -> Option<Period> {
        let day = match now.hour() < HOUR {
            // What was due yesterday, and could not be sent.
            true => now.date().saturating_sub(1.days()),
            false => now.date(),
        };
        let period = Period::ended(every, day);
        sent.is_none_or(|sent| sent < period.first).then_some(period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn a_period_is_a_day_a_week_from_monday_or_a_month() {
        for (every, of, first, last) in [
            (Every::Day, "2026-11-26", "2026-11-25", "2026-11-25"),
            (Every::Day, "2026-03-01", "2026-02-28", "2026-02-28"),
            (Every::Week, "2026-11-26", "2026-11-16", "2026-11-22"),
            (Every::Week, "2026-11-23", "2026-11-16", "2026-11-22"),
            (Every::Week, "2027-01-03", "2026-12-21", "2026-12-27"),
            (Every::Month, "2026-11-01", "2026-10-01", "2026-10-31"),
            (Every::Month, "2024-03-31", "2024-02-01", "2024-02-29"),
            (Every::Month, "2026-01-15", "2025-12-01", "2025-12-31"),
        ] {
            let period = Period::ended(every, day(of));
            assert_eq!((period.first, period.last), (day(first), day(last)), "{every:?} before {of}");
            assert_eq!(period.before().last.saturating_add(1.days()), period.first);
        }
    }

    #[test]
    fn a_period_is_due_from_the_fixed_hour_on_until_it_is_sent() {
        for (now, sent, due) in [
            ("2026-11-26T07:00:00[Europe/Moscow]", None, Some("2026-11-25")),
            ("2026-11-26T07:00:00[Europe/Moscow]", Some("2026-11-24"), Some("2026-11-25")),
            ("2026-11-26T23:59:59[Europe/Moscow]", Some("2026-11-25"), None),
            // Before the hour only what was missed the day before.
            ("2026-11-26T06:59:59[Europe/Moscow]", Some("2026-11-24"), None),
            ("2026-11-26T06:59:59[Europe/Moscow]", Some("2026-11-23"), Some("2026-11-24")),
            // Off for weeks: the last one, and not one for each day.
            ("2026-11-26T12:00:00[Europe/Moscow]", Some("2026-10-01"), Some("2026-11-25")),
            // A clock that was wrong has sent what lies ahead.
            ("2026-11-26T12:00:00[Europe/Moscow]", Some("2027-01-01"), None),
        ] {
            let now: Zoned = now.parse().expect("a moment");
            let found = Period::due(Every::Day, sent.map(day), &now).map(|period| period.first);
            assert_eq!(found, due.map(day), "{now} after {sent:?}");
        }
        let monday: Zoned = "2026-11-23T07:00:00[Asia/Vladivostok]".parse().expect("a moment");
        let week = Period::due(Every::Week, Some(day("2026-11-09")), &monday);
        assert_eq!(week.map(|week| week.last), Some(day("2026-11-22")));
        assert_eq!(Period::due(Every::Week, Some(day("2026-11-16")), &monday), None);
    }
}
