//! Wrong sign-ins, as few entries of the audit trail as will do: who guesses
//! passwords must not fill the disk.
//!
//! The first failure of a source at an account is written at once, those after it
//! are counted, and what was counted is written once a minute as long as there are
//! more. [`MAX_PAIRS`] such pairs are told apart at a time; the rest is one sum. So at
//! most [`MAX_PAIRS`] + 1 entries are written in [`PERIOD`], which is 12 MB a day.
//! A source is a mark that means nothing after this process has ended.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

/// One entry for a pair in so long, in milliseconds.
pub const PERIOD: i64 = 60_000;
/// How many pairs are told apart.
pub const MAX_PAIRS: usize = 32;

/// What was counted.
#[derive(Default)]
pub struct Failures(Mutex<Held>);

#[derive(Default)]
struct Held {
    pairs: HashMap<(u32, String), Counted>,
    others: Counted,
}

/// Failures since the last entry of a pair.
#[derive(Default)]
struct Counted {
    written: i64,
    failures: u64,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// None for the sum of those that are not told apart.
    pair: Option<(u32, String)>,
    failures: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What was written last a minute ago.
    Due,
    /// All: nothing more will come.
    All,
}

// === impl Failures ===

impl Failures {
    /// One more; returns what is to be written now.
    pub fn failed(&self, source: u32, account: String, now: i64) -> Option<Due> {
        let mut held = self.0.lock().expect("no panic holds this lock");
        let pair = (source, account);
        if let Some(counted) = held.pairs.get_mut(&pair) {
            counted.failures += 1;
            return counted.take(now, Which::Due).map(|failures| Due { pair: Some(pair), failures });
        }
        if held.pairs.len() >= MAX_PAIRS {
            held.pairs.retain(|_, counted| counted.failures > 0 || !counted.is_over(now));
        }
        if held.pairs.len() >= MAX_PAIRS {
            held.others.failures += 1;
            return None;
        }
        held.pairs.insert(pair.clone(), Counted { written: now, failures: 0 });
        Some(Due { pair: Some(pair), failures: 1 })
    }

    /// What was counted and is to be written. Call now and then.
    pub fn unwritten(&self, which: Which, now: i64) -> Vec<Due> {
        let mut held = self.0.lock().expect("no panic holds this lock");
        let Held { pairs, others } = &mut *held;
        pairs.retain(|_, counted| counted.failures > 0 || !counted.is_over(now));
        let due = pairs.iter_mut().filter_map(|(pair, counted)| {
            Some(Due { pair: Some(pair.clone()), failures: counted.take(now, which)? })
        });
        let mut due: Vec<Due> = due.collect();
        due.extend(others.take(now, which).map(|failures| Due { pair: None, failures }));
        due
    }
}

// === impl Counted ===

impl Counted {
    /// Also when the clock was set back.
    fn is_over(&self, now: i64) -> bool {
        !(0..PERIOD).contains(&(now - self.written))
    }

    fn take(&mut self, now: i64, which: Which) -> Option<u64> {
        if self.failures == 0 || which == Which::Due && !self.is_over(now) {
            return None;
        }
        self.written = now;
        Some(std::mem::take(&mut self.failures))
    }
}

// === impl Due ===

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pair {
            Some((source, account)) => write!(f, "{account}, source {source:08x}")?,
            None => f.write_str("further sources and logins")?,
        }
        write!(f, ", failures: {}", self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_entry_a_minute_and_no_failure_is_left_out() {
        let failures = Failures::default();
        let mut written = Vec::new();
        for second in 0..150 {
            let now = second * 1000;
            written.extend(failures.failed(1, "login olga".to_owned(), now).map(|due| due.failures));
        }
        assert_eq!(written, [1, 60, 60]);
        let left = failures.unwritten(Which::Due, 150_000);
        assert_eq!(left, [], "the last minute is not over");
        let left = failures.unwritten(Which::All, 150_000);
        assert_eq!(left[0].to_string(), "login olga, source 00000001, failures: 29");
        assert_eq!(failures.unwritten(Which::All, 300_000), []);
    }

    #[test]
    fn whatever_is_tried_the_entries_of_a_minute_are_bounded_and_the_sum_is_right() {
        let failures = Failures::default();
        let (mut entries, mut sum) = (0, 0);
        let mut count = |due: Due| {
            entries += 1;
            sum += due.failures;
        };
        for number in 0..100_000u32 {
            let now = i64::from(number) * 6;
            failures
                .failed(number, "a login that does not exist".to_owned(), now)
                .into_iter()
                .for_each(&mut count);
            if number % 5000 == 0 {
                failures.unwritten(Which::Due, now).into_iter().for_each(&mut count);
            }
        }
        failures.unwritten(Which::All, 600_000).into_iter().for_each(&mut count);
        assert_eq!(sum, 100_000);
        assert!(entries <= 11 * (MAX_PAIRS + 1), "{entries} entries in ten minutes");
    }
}
