//! Days of a site: which are made, and whether they are what a recount would give.
//!
//! Pure: no storage, no clock.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

/// Some days of a site, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayRange {
    pub zone: String,
    pub first: Date,
    /// Belongs to it.
    pub last: Date,
    /// Milliseconds since 1970: the first midnight, inclusive.
    pub from: i64,
    /// The last midnight, exclusive.
    pub to: i64,
}

/// What is known of a day that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Whether its numbers by day are made too.
    pub numbers: bool,
    /// What it was made from.
    pub seen: Seen,
}

/// The hits of a day, by what a change of them would change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub hits: u64,
    /// Hits with a city: their term may end before the hits'.
    pub cities: u64,
}

/// The days of one site.
#[derive(Clone, Debug, Default)]
pub struct Days {
    pub made: BTreeMap<Date, Made>,
    /// The hits by day when they were last counted.
    pub counted: BTreeMap<Date, Seen>,
    /// The days that are not over, in the tables in memory.
    pub open: Option<Open>,
}

/// Days that are made anew whenever hits came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub days: DayRange,
    pub seen: Seen,
    /// How many rows it came to: none are left where the engine was started again.
    pub rows: u64,
}

// === impl DayRange ===

impl DayRange {
    /// `None` where a day has no midnight that can be named.
    pub fn new(zone: &TimeZone, first: Date, last: Date) -> Option<DayRange> {
        let midnight = |day: Date| day.to_zoned(zone.clone()).ok().map(|at| at.timestamp().as_millisecond());
        Some(DayRange {
            zone: zone.iana_name()?.to_owned(),
            first,
            last,
            from: midnight(first)?,
            to: midnight(next(last))?,
        })
    }

    /// The days between two instants, if these are midnights of the site.
    pub fn whole(zone: &TimeZone, from: i64, to: i64) -> Option<DayRange> {
        let date =
            |ms: i64| Some(Zoned::new(jiff::Timestamp::from_millisecond(ms).ok()?, zone.clone()).date());
        let days = DayRange::new(zone, date(from)?, previous(date(to)?))?;
        (days.from == from && days.to == to).then_some(days)
    }
}

// === impl Days ===

impl Days {
    /// Takes what was counted and returns the days that are not what they were made
    /// from, with their neighbours, which visits over midnight join to them.
    pub fn recounted(&mut self, counted: BTreeMap<Date, Seen>) -> Vec<Date> {
        self.counted = counted;
        let changed =
            self.made.iter().filter(|(day, made)| made.seen != self.seen(**day)).map(|(day, _)| *day);
        with_neighbours(changed.collect::<Vec<_>>(), |day| self.made.contains_key(&day))
    }

    /// What was counted on a day.
    pub fn seen(&self, day: Date) -> Seen {
        self.counted.get(&day).copied().unwrap_or_default()
    }

    /// The hits of some days, as far as they were counted.
    pub fn hits(&self, days: &DayRange) -> u64 {
        self.counted.range(days.first..=days.last).map(|(_, seen)| seen.hits).sum()
    }

    /// The first day with a hit.
    pub fn first(&self) -> Option<Date> {
        self.counted.first_key_value().map(|(day, _)| *day)
    }

    /// Days with hits up to `last` that are not made, in runs of at most `most_hits`
    /// together (a day with more is a run of its own). Days without hits need nothing, so
    /// a run may go over them.
    pub fn missing(&self, last: Date, most_hits: u64) -> Vec<(Date, Date)> {
        let mut runs: Vec<(Date, Date)> = Vec::new();
        let mut hits = 0;
        let mut goes_on = false;
        for (&day, seen) in self.counted.range(..=last) {
            if self.made.contains_key(&day) {
                goes_on = false;
                continue;
            }
            match runs.last_mut() {
                Some((_, end)) if goes_on && hits + seen.hits <= most_hits => {
                    *end = day;
                    hits += seen.hits;
                }
                _ => {
                    runs.push((day, day));
                    hits = seen.hits;
                }
            }
            goes_on = true;
        }
        runs
    }

    /// Whether every day of these with a hit is made.
    pub fn covers(&self, first: Date, last: Date) -> bool {
        first > last || self.counted.range(first..=last).all(|(day, _)| self.made.contains_key(day))
    }

    /// The last day up to `due` before which all days with hits are made.
    pub fn made_until(&self, due: Date) -> Date {
        let missing = self.counted.range(..=due).find(|(day, _)| !self.made.contains_key(day));
        missing.map_or(due, |(day, _)| previous(*day))
    }

    /// Whether there are numbers by day for all days that are made.
    pub fn has_numbers(&self) -> bool {
        self.made.values().all(|made| made.numbers)
    }

    /// Days are no longer made, and numbers from there on are not: who was there before
    /// may have changed.
    pub fn forget(&mut self, days: &[Date]) {
        for day in days {
            self.made.remove(day);
        }
        if let Some(first) = days.iter().min() {
            self.forget_numbers(self.numbers_from(*first));
        }
    }

    /// Where numbers have to be made again when a day changes. Its month's go too, and are made again with
    /// any day of the month: where the day itself may not come back, with the one before it.
    pub fn numbers_from(&self, day: Date) -> Date {
        self.made.range(day.first_of_month()..day).next_back().map_or(day, |(before, _)| *before)
    }

    /// The numbers from a day on are no longer what they should be.
    pub fn forget_numbers(&mut self, from: Date) {
        for (_, made) in self.made.range_mut(from..) {
            made.numbers = false;
        }
        self.open = None;
    }
}

/// The days and those beside them that `keep` lets through, each once, in order.
pub fn with_neighbours(days: Vec<Date>, keep: impl Fn(Date) -> bool) -> Vec<Date> {
    let mut all: Vec<Date> =
        days.into_iter().flat_map(|day| [previous(day), day, next(day)]).filter(|day| keep(*day)).collect();
    all.sort();
    all.dedup();
    all
}

/// Days in order as runs of neighbours.
pub fn runs(days: &[Date]) -> Vec<(Date, Date)> {
    let mut runs: Vec<(Date, Date)> = Vec::new();
    for &day in days {
        match runs.last_mut() {
            Some((_, last)) if next(*last) == day => *last = day,
            _ => runs.push((day, day)),
        }
    }
    runs
}

/// The day after; the last day there is stays.
pub fn next(day: Date) -> Date {
    day.checked_add(1.days()).unwrap_or(day)
}

/// The first day of the month after that of a day.
pub fn first_of_next_month(day: Date) -> Date {
    next(day.last_of_month())
}

/// The day before; the first day there is stays.
pub fn previous(day: Date) -> Date {
    day.checked_sub(1.days()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn days(counted: &[(&str, u64)], made: &[&str]) -> Days {
        let counted: BTreeMap<Date, Seen> =
            counted.iter().map(|(at, hits)| (day(at), Seen { hits: *hits, cities: 0 })).collect();
        let seen = |at: Date| counted.get(&at).copied().unwrap_or_default();
        let made = made.iter().map(|at| (day(at), Made { numbers: true, seen: seen(day(at)) })).collect();
        Days { made, counted, open: None }
    }

    #[test]
    fn what_is_missing_is_made_in_runs_of_neighbours_up_to_a_size() {
        let site = days(
            &[("2026-01-01", 5), ("2026-01-02", 5), ("2026-01-04", 1), ("2026-01-05", 20), ("2026-01-06", 1)],
            &["2026-01-04"],
        );
        let run = |from: &str, to: &str| (day(from), day(to));
        assert_eq!(
            site.missing(day("2026-01-06"), 10),
            [
                run("2026-01-01", "2026-01-02"),
                run("2026-01-05", "2026-01-05"),
                run("2026-01-06", "2026-01-06")
            ]
        );
        assert_eq!(site.missing(day("2026-01-01"), 10), [run("2026-01-01", "2026-01-01")]);
        assert!(!site.covers(day("2026-01-03"), day("2026-01-05")));
        assert!(site.covers(day("2026-01-03"), day("2026-01-04")), "a day without hits needs nothing");
    }

    #[test]
    fn a_day_that_changed_takes_its_neighbours_and_all_later_numbers_with_it() {
        let mut site = days(
            &[("2026-01-01", 5), ("2026-01-02", 5), ("2026-01-03", 5), ("2026-01-05", 5)],
            &["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-05"],
        );
        let mut counted = site.counted.clone();
        counted.insert(day("2026-01-02"), Seen { hits: 6, cities: 0 });
        let changed = site.recounted(counted);
        assert_eq!(changed, [day("2026-01-01"), day("2026-01-02"), day("2026-01-03")]);
        site.forget(&changed);
        assert!(
            !site.covers(day("2026-01-01"), day("2026-01-01"))
                && site.covers(day("2026-01-05"), day("2026-01-05"))
        );
        assert!(!site.has_numbers());
    }

    #[test]
    fn only_midnights_of_the_site_are_whole_days() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let range = DayRange::new(&zone, day("2026-03-29"), day("2026-03-30")).expect("days");
        assert_eq!(range.to - range.from, 47 * 3_600_000, "the clock goes forward");
        assert_eq!(DayRange::whole(&zone, range.from, range.to), Some(range.clone()));
        assert_eq!(DayRange::whole(&zone, range.from + 1, range.to), None);
        assert_eq!(DayRange::whole(&zone, range.from, range.to - 3_600_000), None);
    }
}
