//! From the words of `date_range` to two instants, and the labels of the
//! buckets between them. All days are the site's.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};
use serde_json::Value;

use super::names::Bucket;

/// The longest answer to `include.time_labels`: a week of minutes is 10,080.
pub const MAX_TIME_LABELS: usize = 11_000;
/// Up to so many days `time` means days, beyond it months.
const MAX_AUTO_DAYS: i64 = 92;
/// A range outside of these years is a mistake, and beyond what storage holds.
const YEARS: std::ops::RangeInclusive<i16> = 1971..=2200;

/// An interval of time, with the zone whose midnights count.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Milliseconds since 1970, inclusive.
    pub from: i64,
    /// Milliseconds since 1970, exclusive.
    pub to: i64,
    pub zone: TimeZone,
    /// Asked as `all`: begins with the site's first hit, see [`Range::begin_with`].
    pub all: bool,
}

// === impl Range ===

impl Range {
    /// Reads a `date_range`.
    pub fn parse(value: &Value, zone: &TimeZone, now: Timestamp) -> Result<Range, String> {
        match value {
            Value::String(word) => Range::of_word(word, zone, now),
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(first), Value::String(last)] => Range::of_pair(first, last, zone),
                _ => Err(invalid(value)),
            },
            _ => Err(invalid(value)),
        }
    }

    fn of_word(word: &str, zone: &TimeZone, now: Timestamp) -> Result<Range, String> {
        let today = now.to_zoned(zone.clone()).date();
        let wrong = || invalid(&Value::from(word));
        let yesterday = plus(today, (-1).days());
        match word {
            "day" => Range::of_days(today, today, zone, false),
            "24h" => {
                let to = now.as_millisecond();
                Ok(Range { from: to - 86_400_000, to, zone: zone.clone(), all: false })
            }
            "month" => Range::of_days(today.first_of_month(), today.last_of_month(), zone, false),
            "year" => Range::of_days(today.first_of_year(), today.last_of_year(), zone, false),
            "all" => Range::of_days(today, today, zone, true),
            _ => {
                if let Some(days) = number_before(word, "d", 5000) {
                    let yesterday = yesterday.ok_or_else(wrong)?;
                    let first = plus(today, (-days).days()).ok_or_else(wrong)?;
                    Range::of_days(first, yesterday, zone, false)
                } else if let Some(months) = number_before(word, "mo", 100) {
                    let this = today.first_of_month();
                    let first = plus(this, (-months).months()).ok_or_else(wrong)?;
                    let last = plus(this, (-1).days()).ok_or_else(wrong)?;
                    Range::of_days(first, last, zone, false)
                } else {
                    Err(wrong())
                }
            }
        }
    }

    fn of_pair(first: &str, last: &str, zone: &TimeZone) -> Result<Range, String> {
        let wrong = || format!("Invalid date range [{first:?}, {last:?}]");
        let range = match (date(first), date(last)) {
            (Some(first), Some(last)) => Range::of_days(first, last, zone, false)?,
            (None, None) => {
                let from: Timestamp = first.parse().map_err(|_| wrong())?;
                let last: Timestamp = last.parse().map_err(|_| wrong())?;
                // The last second belongs to the range, as in `23:59:59`.
                let to = last
                    .as_second()
                    .checked_add(1)
                    .and_then(|second| second.checked_mul(1000))
                    .ok_or_else(wrong)?;
                Range { from: from.as_millisecond(), to, zone: zone.clone(), all: false }
            }
            _ => return Err(wrong()),
        };
        if range.from >= range.to || !range.is_known() { Err(wrong()) } else { Ok(range) }
    }

    /// Whether both ends are in years that storage can hold.
    pub(super) fn is_known(&self) -> bool {
        let year = |ms: i64| Timestamp::from_millisecond(ms).ok().map(|t| t.to_zoned(TimeZone::UTC).year());
        [self.from, self.to].iter().all(|ms| year(*ms).is_some_and(|year| YEARS.contains(&year)))
    }

    /// Whole days of the site.
    pub(super) fn of_days(first: Date, last: Date, zone: &TimeZone, all: bool) -> Result<Range, String> {
        let wrong = || format!("Invalid date range [\"{first}\", \"{last}\"]");
        let midnight = |day: Date| day.to_zoned(zone.clone()).ok().map(|t| t.timestamp().as_millisecond());
        let from = midnight(first).ok_or_else(wrong)?;
        let to = plus(last, 1.days()).and_then(midnight).ok_or_else(wrong)?;
        Ok(Range { from, to, zone: zone.clone(), all })
    }

    /// Moves the beginning of `all` to the day of the first hit.
    pub fn begin_with(&mut self, first_hit: i64) {
        if let Ok(time) = Timestamp::from_millisecond(first_hit.min(self.from))
            && let Ok(day) = time.to_zoned(self.zone.clone()).start_of_day()
        {
            self.from = day.timestamp().as_millisecond();
        }
    }

    /// Moves the beginning so that the range is of so many weeks from Monday, the last
    /// of them that of its end, or of now if that is earlier.
    pub fn cut_to_weeks(&mut self, weeks: i64, now: Timestamp) {
        let last = (self.to - 1).min(now.as_millisecond());
        let Ok(last) = Timestamp::from_millisecond(last) else { return };
        let last = monday(last.to_zoned(self.zone.clone()).date());
        let first =
            plus(last, (-7 * (weeks - 1)).days()).and_then(|day| day.to_zoned(self.zone.clone()).ok());
        if let Some(first) = first {
            let first = first.timestamp().as_millisecond();
            self.from = if self.all { first } else { self.from.max(first) };
        }
    }

    /// The bucket that `time` alone means.
    pub fn auto_bucket(&self) -> Bucket {
        // A day is 25 hours where the clock goes back.
        match self.to - self.from {
            length if length <= 25 * 3_600_000 => Bucket::Hour,
            length if length <= MAX_AUTO_DAYS * 86_400_000 + 3_600_000 => Bucket::Day,
            _ => Bucket::Month,
        }
    }

    /// Both ends as they are shown, the last one inclusive to the second.
    pub fn shown(&self) -> [String; 2] {
        [self.from, self.to - 1000].map(|ms| match Timestamp::from_millisecond(ms) {
            Ok(time) => time.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Err(_) => String::new(),
        })
    }

    /// The labels of all buckets that the range touches, in order.
    pub fn labels(&self, bucket: Bucket) -> Result<Vec<String>, String> {
        let mut labels = Vec::new();
        let mut at = self.from;
        while at < self.to {
            if labels.len() == MAX_TIME_LABELS {
                return Err(format!(
                    "time_labels would be more than {MAX_TIME_LABELS}, use a longer interval"
                ));
            }
            let Ok(time) = Timestamp::from_millisecond(at) else { break };
            let local = time.to_zoned(self.zone.clone());
            labels.push(label(bucket, local.datetime()));
            let into_hour = i64::from(local.minute()) * 60_000
                + i64::from(local.second()) * 1000
                + i64::from(local.millisecond());
            let next_day = || {
                let next = match bucket {
                    Bucket::Month => plus(local.date().first_of_month(), 1.months()),
                    Bucket::Week => plus(monday(local.date()), 7.days()),
                    _ => plus(local.date(), 1.days()),
                }?;
                next.to_zoned(self.zone.clone()).ok().map(|t| t.timestamp().as_millisecond())
            };
            let next = match bucket {
                Bucket::Minute => Some(at + 60_000 - into_hour % 60_000),
                Bucket::Hour => Some(at + 3_600_000 - into_hour),
                _ => next_day(),
            };
            match next {
                Some(next) if next > at => at = next,
                _ => break,
            }
        }
        // The hour that a clock goes through twice is one bucket.
        labels.sort();
        labels.dedup();
        Ok(labels)
    }
}

/// The label of the bucket that holds a local time.
pub fn label(bucket: Bucket, local: jiff::civil::DateTime) -> String {
    let format = |form: &str| local.strftime(form).to_string();
    match bucket {
        Bucket::Minute => format("%Y-%m-%d %H:%M:00"),
        Bucket::Hour => format("%Y-%m-%d %H:00:00"),
        Bucket::Day => format("%Y-%m-%d"),
        Bucket::Week => monday(local.date()).to_string(),
        Bucket::Month => format("%Y-%m-01"),
    }
}

pub(super) fn monday(day: Date) -> Date {
    let back = i64::from(day.weekday().since(Weekday::Monday));
    day.checked_sub(SignedDuration::from_hours(24 * back)).unwrap_or(day)
}

fn plus(day: Date, span: Span) -> Option<Date> {
    day.checked_add(span).ok()
}

/// `2024-09-10` and nothing after it.
fn date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// `91d` → 91
fn number_before(word: &str, unit: &str, most: i64) -> Option<i64> {
    let digits = word.strip_suffix(unit)?;
    let plain = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = plain.then(|| digits.parse().ok()).flatten()?;
    (1..=most).contains(&number).then_some(number)
}

fn invalid(value: &Value) -> String {
    format!("Invalid date range {value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: Value, zone: &str, now: &str) -> Result<[String; 2], String> {
        let zone = TimeZone::get(zone).expect("a known zone");
        Range::parse(&value, &zone, now.parse().expect("an instant")).map(|range| range.shown())
    }

    #[test]
    fn words_mean_whole_days_of_the_site() {
        // 21:30 UTC is the next day in Moscow and in Kathmandu.
        let now = "2024-09-10T21:30:00Z";
        for (word, zone, first, last) in [
            ("day", "UTC", "2024-09-10T00:00:00+00:00", "2024-09-10T23:59:59+00:00"),
            ("day", "Europe/Moscow", "2024-09-11T00:00:00+03:00", "2024-09-11T23:59:59+03:00"),
            ("7d", "Asia/Kathmandu", "2024-09-04T00:00:00+05:45", "2024-09-10T23:59:59+05:45"),
            ("1d", "UTC", "2024-09-09T00:00:00+00:00", "2024-09-09T23:59:59+00:00"),
            ("month", "UTC", "2024-09-01T00:00:00+00:00", "2024-09-30T23:59:59+00:00"),
            ("year", "Europe/Berlin", "2024-01-01T00:00:00+01:00", "2024-12-31T23:59:59+01:00"),
            ("12mo", "UTC", "2023-09-01T00:00:00+00:00", "2024-08-31T23:59:59+00:00"),
            ("24h", "UTC", "2024-09-09T21:30:00+00:00", "2024-09-10T21:29:59+00:00"),
        ] {
            assert_eq!(
                shown(json!(word), zone, now),
                Ok([first.to_owned(), last.to_owned()]),
                "{word} {zone}"
            );
        }
    }

    #[test]
    fn pairs_are_inclusive_and_mistakes_are_named() {
        let now = "2024-09-10T12:00:00Z";
        assert_eq!(
            shown(json!(["2024-03-31", "2024-03-31"]), "Europe/Berlin", now),
            Ok(["2024-03-31T00:00:00+01:00".to_owned(), "2024-03-31T23:59:59+02:00".to_owned()])
        );
        assert_eq!(
            shown(json!(["2024-01-01T00:00:00+05:30", "2024-01-01T11:59:59+05:30"]), "Asia/Kolkata", now),
            Ok(["2024-01-01T00:00:00+05:30".to_owned(), "2024-01-01T11:59:59+05:30".to_owned()])
        );
        for wrong in [
            json!("0d"),
            json!("5001d"),
            json!("101mo"),
            json!("+7d"),
            json!(""),
            json!("Day"),
            json!(7),
            json!(null),
            json!(["2024-01-02", "2024-01-01"]),
            json!(["2024-01-01"]),
            json!(["2024-01-01", "2024-02-30"]),
            json!(["0001-01-01", "9999-12-31"]),
            json!(["2024-01-01", "2024-01-02T00:00:00Z"]),
            json!(["2024-01-01T00:00:00", "2024-01-01T01:00:00"]),
        ] {
            assert!(
                shown(wrong.clone(), "UTC", now).is_err_and(|e| e.starts_with("Invalid date range")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn labels_follow_the_local_clock() {
        let range = |from: &str, to: &str, zone: &str| {
            Range::parse(&json!([from, to]), &TimeZone::get(zone).expect("a zone"), Timestamp::UNIX_EPOCH)
                .expect("a range")
        };
        let day = range("2024-10-27", "2024-10-27", "Europe/Berlin");
        assert_eq!(day.labels(Bucket::Hour).map(|l| l.len()), Ok(24), "25 hours, one of them twice");
        let day = range("2024-03-31", "2024-03-31", "Europe/Berlin");
        assert_eq!(day.labels(Bucket::Hour).map(|l| l.len()), Ok(23));
        let day = range("2024-01-01", "2024-01-01", "Asia/Kathmandu");
        let labels = day.labels(Bucket::Hour).expect("labels");
        assert_eq!((labels.len(), labels[0].as_str()), (24, "2024-01-01 00:00:00"));
        let weeks = range("2024-01-03", "2024-01-15", "UTC").labels(Bucket::Week).expect("labels");
        assert_eq!(weeks, ["2024-01-01", "2024-01-08", "2024-01-15"]);
        let months = range("2024-01-31", "2024-03-01", "UTC").labels(Bucket::Month).expect("labels");
        assert_eq!(months, ["2024-01-01", "2024-02-01", "2024-03-01"]);
        assert!(range("2024-01-01", "2024-12-31", "UTC").labels(Bucket::Minute).is_err());
    }
}
