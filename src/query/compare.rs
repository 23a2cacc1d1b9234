//! Comparisons: the range before, and how a number differs from its earlier self.
//!
//! In: `include.comparisons` of a question, its [`Range`], and now. Out: the earlier range,
//! and for two numbers their change.
//!
//! ```text
//! {"mode":"previous_period"}                          as many days, right before
//! {"mode":"year_over_year"}                           the same days a year before
//! {"mode":"custom","date_range":["2026-01-01","2026-01-31"]}
//! … "match_day_of_week":true                          whole weeks before: 7, 14 … or 364 days
//! ```
//!
//! Definitions:
//! - a range that has not ended is compared up to today, so that a month begun meets as
//!   many days as it has; days are whole days of the site on both sides;
//! - a range that does not begin and end at midnight is moved by its length;
//! - the numbers of a group are compared with those of the group of the same name; where
//!   there is a dimension of time, the first bucket with the first, and so on;
//! - a share in percent changes by points, every other number in percent of what it was,
//!   rounded; what was nothing or not there has no change (`null`), nothing to nothing is 0.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde_json::{Value, json};

use super::filter::short;
use super::names::Metric;
use super::parse::key_text;
use super::range::Range;

const KEYS: &[&str] = &["mode", "date_range", "match_day_of_week"];
const DAYS_OF_WEEK: i64 = 7;
/// A year in whole weeks.
const DAYS_OF_52_WEEKS: i64 = 364;

/// What the numbers are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub mode: Mode,
    pub match_day_of_week: bool,
    /// The earlier range.
    pub range: Range,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    PreviousPeriod,
    YearOverYear,
    Custom,
}

// === impl Mode ===

impl Mode {
    pub const ALL: &[(&str, Mode)] = &[
        ("previous_period", Mode::PreviousPeriod),
        ("year_over_year", Mode::YearOverYear),
        ("custom", Mode::Custom),
    ];
}

// === impl Comparison ===

impl Comparison {
    /// Reads `include.comparisons`, adding a line to `mistakes` for each fault. Without a
    /// range, which is a fault already, there is nothing to compare.
    pub fn parse(
        value: &Value,
        range: Option<&Range>,
        now: Timestamp,
        mistakes: &mut Vec<String>,
    ) -> Option<Comparison> {
        let before = mistakes.len();
        let mut wrong = |at: &str, what: String| mistakes.push(format!("#/include/comparisons{at}: {what}"));
        let Value::Object(object) = value else {
            wrong("", format!("Invalid comparisons {}", short(value)));
            return None;
        };
        for key in object.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            wrong(&format!("/{}", key_text(key)), "Unknown key".to_owned());
        }
        let named = |name: &Value| Mode::ALL.iter().find(|(known, _)| name == known).map(|(_, mode)| *mode);
        let mode = match object.get("mode") {
            None => {
                wrong("/mode", "Missing".to_owned());
                None
            }
            Some(name) => {
                let mode = named(name);
                if mode.is_none() {
                    wrong("/mode", format!("Invalid mode {}", short(name)));
                }
                mode
            }
        };
        let match_day_of_week = match object.get("match_day_of_week") {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                wrong("/match_day_of_week", format!("Invalid value {}", short(other)));
                false
            }
        };
        let (mode, range) = (mode?, range?);
        if range.all {
            wrong("", "Cannot be used with the date_range \"all\"".to_owned());
        }
        let earlier = match (mode, object.get("date_range")) {
            (Mode::Custom, Some(pair @ Value::Array(_))) => {
                Range::parse(pair, &range.zone, now).map_err(|error| wrong("/date_range", error)).ok()
            }
            (Mode::Custom, Some(other)) => {
                wrong("/date_range", format!("Invalid date range {}", short(other)));
                None
            }
            (Mode::Custom, None) => {
                wrong("/date_range", "Missing".to_owned());
                None
            }
            (_, Some(_)) => {
                wrong("/date_range", "Only the mode custom has one".to_owned());
                None
            }
            (_, None) => {
                let earlier = earlier(range, mode, match_day_of_week, now);
                if earlier.is_none() {
                    wrong("", "There is no such range before".to_owned());
                }
                earlier
            }
        };
        let range = earlier?;
        (mistakes.len() == before).then_some(Comparison { mode, match_day_of_week, range })
    }

    /// As it was understood, for the answer.
    pub fn normalised(&self) -> Value {
        let (name, _) =
            Mode::ALL.iter().find(|(_, mode)| *mode == self.mode).expect("every mode is in its list");
        let mut value = json!({ "mode": name, "match_day_of_week": self.match_day_of_week });
        if self.mode == Mode::Custom {
            value["date_range"] = json!(self.range.shown());
        }
        value
    }
}

/// The range that a comparison is with; none outside of all calendars.
fn earlier(range: &Range, mode: Mode, match_day_of_week: bool, now: Timestamp) -> Option<Range> {
    match days(range) {
        Some((first, last)) => {
            let today = now.to_zoned(range.zone.clone()).date();
            let last = if first <= today { last.min(today) } else { last };
            let long = i64::from(first.until(last).ok()?.get_days()) + 1;
            let back: Span = match (mode, match_day_of_week) {
                (Mode::YearOverYear, false) => 1.years(),
                (Mode::YearOverYear, true) => DAYS_OF_52_WEEKS.days(),
                (_, false) => long.days(),
                (_, true) => up_to_weeks(long).days(),
            };
            let moved = |day: Date| day.checked_sub(back).ok();
            Range::of_days(moved(first)?, moved(last)?, &range.zone, false).ok()
        }
        None => {
            let instant = now.as_millisecond();
            let to = if range.from < instant { range.to.min(instant) } else { range.to };
            let long = to - range.from;
            let from = match (mode, match_day_of_week) {
                (Mode::YearOverYear, false) => moved(range.from, &range.zone, 1.years())?,
                (Mode::YearOverYear, true) => moved(range.from, &range.zone, DAYS_OF_52_WEEKS.days())?,
                (_, false) => range.from.checked_sub(long)?,
                (_, true) => {
                    let days = up_to_weeks(long.div_euclid(86_400_000) + 1);
                    moved(range.from, &range.zone, days.days())?
                }
            };
            let to = from.checked_add(long)?;
            Some(Range { from, to, zone: range.zone.clone(), all: false })
        }
    }
    .filter(Range::is_known)
}

fn up_to_weeks(days: i64) -> i64 {
    (days + DAYS_OF_WEEK - 1) / DAYS_OF_WEEK * DAYS_OF_WEEK
}

/// An instant so much earlier by the local calendar and clock.
fn moved(ms: i64, zone: &TimeZone, back: Span) -> Option<i64> {
    let local = Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone());
    Some(local.checked_sub(back).ok()?.timestamp().as_millisecond())
}

/// The first and the last day of a range of whole days.
fn days(range: &Range) -> Option<(Date, Date)> {
    let local = |ms: i64| Some(Timestamp::from_millisecond(ms).ok()?.to_zoned(range.zone.clone()));
    let (from, to) = (local(range.from)?, local(range.to)?);
    let is_midnight =
        |time: &jiff::Zoned| time.start_of_day().is_ok_and(|start| start.timestamp() == time.timestamp());
    let last = local(range.to.checked_sub(1)?)?.date();
    (is_midnight(&from) && is_midnight(&to)).then_some((from.date(), last))
}

/// How a number changed. Revenue is compared by its amount; in another money it is not.
pub fn change(metric: Metric, now: &Value, before: &Value) -> Value {
    if metric.is_of_revenue() && now["currency"] != before["currency"] {
        return Value::Null;
    }
    let amount =
        |value: &Value| if metric.is_of_revenue() { value["value"].as_f64() } else { value.as_f64() };
    match (amount(now), amount(before)) {
        (Some(now), Some(before)) if metric.is_share() => json!(round(now - before, 100.0)),
        (Some(now), Some(before)) if now == before => json!(0),
        (Some(now), Some(before)) if before != 0.0 => {
            json!((100.0 * (now - before) / before.abs()).round() as i64)
        }
        _ => Value::Null,
    }
}

fn round(value: f64, parts: f64) -> f64 {
    let rounded = (value * parts).round() / parts;
    // No negative zero.
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(range: Value, comparison: Value, zone: &str, now: &str) -> Result<[String; 2], Vec<String>> {
        let zone = TimeZone::get(zone).expect("a known zone");
        let now: Timestamp = now.parse().expect("an instant");
        let range = Range::parse(&range, &zone, now).expect("a range");
        let mut mistakes = Vec::new();
        match Comparison::parse(&comparison, Some(&range), now, &mut mistakes) {
            Some(comparison) => Ok(comparison.range.shown().map(|end| end[..16].to_owned())),
            None => Err(mistakes),
        }
    }

    #[test]
    fn the_range_before_has_as_many_days_and_the_year_before_the_same_dates() {
        let now = "2026-11-20T10:00:00Z";
        let previous = json!({"mode": "previous_period"});
        let weekly = json!({"mode": "previous_period", "match_day_of_week": true});
        let yearly = json!({"mode": "year_over_year"});
        let yearly_by_week = json!({"mode": "year_over_year", "match_day_of_week": true});
        for (range, comparison, first, last) in [
            (json!("7d"), &previous, "2026-11-06T00:00", "2026-11-12T23:59"),
            (json!("30d"), &weekly, "2026-09-16T00:00", "2026-10-15T23:59"),
            (json!("day"), &previous, "2026-11-19T00:00", "2026-11-19T23:59"),
            // Twenty days of November so far.
            (json!("month"), &previous, "2026-10-12T00:00", "2026-10-31T23:59"),
            (json!("month"), &yearly, "2025-11-01T00:00", "2025-11-20T23:59"),
            (json!("day"), &yearly_by_week, "2025-11-21T00:00", "2025-11-21T23:59"),
            (json!(["2024-02-29", "2024-02-29"]), &yearly, "2023-02-28T00:00", "2023-02-28T23:59"),
            (json!("24h"), &previous, "2026-11-18T13:00", "2026-11-19T12:59"),
            (json!(["2026-03-01", "2026-03-31"]), &previous, "2026-01-29T00:00", "2026-02-28T23:59"),
        ] {
            assert_eq!(
                shown(range.clone(), comparison.clone(), "Europe/Moscow", now),
                Ok([first.to_owned(), last.to_owned()]),
                "{range} {comparison}"
            );
        }
        let custom = json!({"mode": "custom", "date_range": ["2026-01-01", "2026-01-02"]});
        // The clock is put forward between the two ranges, and days stay whole.
        let spring = shown(json!(["2026-03-30", "2026-04-05"]), previous, "Europe/Berlin", now);
        assert_eq!(spring, Ok(["2026-03-23T00:00".to_owned(), "2026-03-29T23:59".to_owned()]));
        assert_eq!(
            shown(json!("7d"), custom, "UTC", now),
            Ok(["2026-01-01T00:00".to_owned(), "2026-01-02T23:59".to_owned()])
        );
    }

    #[test]
    fn mistakes_are_named() {
        let now = "2026-11-20T10:00:00Z";
        for (range, comparison, expected) in [
            (json!("7d"), json!("yes"), "#/include/comparisons: Invalid comparisons \"yes\""),
            (json!("7d"), json!({}), "#/include/comparisons/mode: Missing"),
            (json!("7d"), json!({"mode": "off"}), "#/include/comparisons/mode: Invalid mode \"off\""),
            (json!("7d"), json!({"mode": "custom"}), "#/include/comparisons/date_range: Missing"),
            (
                json!("7d"),
                json!({"mode": "custom", "date_range": "7d"}),
                "#/include/comparisons/date_range: Invalid date range \"7d\"",
            ),
            (
                json!("7d"),
                json!({"mode": "year_over_year", "date_range": ["2026-01-01", "2026-01-02"]}),
                "#/include/comparisons/date_range: Only the mode custom has one",
            ),
            (
                json!("7d"),
                json!({"mode": "year_over_year", "match_day_of_week": 1}),
                "#/include/comparisons/match_day_of_week: Invalid value 1",
            ),
            (
                json!("7d"),
                json!({"mode": "year_over_year", "days": 1}),
                "#/include/comparisons/days: Unknown key",
            ),
            (
                json!("all"),
                json!({"mode": "previous_period"}),
                "#/include/comparisons: Cannot be used with the date_range \"all\"",
            ),
            (
                json!(["1971-01-02", "1971-01-03"]),
                json!({"mode": "year_over_year"}),
                "#/include/comparisons: There is no such range before",
            ),
        ] {
            assert_eq!(shown(range, comparison, "UTC", now), Err(vec![expected.to_owned()]));
        }
    }

    #[test]
    fn numbers_change_in_percent_and_shares_by_points() {
        let rouble = |value: f64| json!({"value": value, "currency": "RUB"});
        for (metric, now, before, expected) in [
            (Metric::Visitors, json!(150), json!(100), json!(50)),
            (Metric::Visitors, json!(50), json!(100), json!(-50)),
            (Metric::Visitors, json!(5), json!(0), Value::Null),
            (Metric::Visitors, json!(0), json!(0), json!(0)),
            (Metric::VisitDuration, Value::Null, json!(3), Value::Null),
            (Metric::BounceRate, json!(40), json!(50), json!(-10.0)),
            (Metric::Percentage, json!(33.3), json!(33.2), json!(0.1)),
            (Metric::TotalRevenue, rouble(300.0), rouble(200.0), json!(50)),
            (Metric::TotalRevenue, rouble(300.0), json!({"value": 200.0, "currency": "EUR"}), Value::Null),
            (Metric::TotalRevenue, Value::Null, Value::Null, Value::Null),
        ] {
            assert_eq!(change(metric, &now, &before), expected, "{metric:?} {now} {before}");
        }
    }
}
