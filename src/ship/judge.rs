//! What a count of a batch's rows in storage means, and whether storage is still
//! the same process. Pure: counts and times in, verdicts out.

use std::time::{Duration, Instant};

/// Uptime is told in whole seconds, and the answer takes its time.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What storage holds of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub rows: u64,
    /// Rows that differ in their number within the batch.
    pub distinct: u64,
}

/// What is to be done with a batch that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All its rows are there, once each.
    Good,
    /// None is.
    Absent,
    /// Some are missing, or some are there twice.
    Wrong,
}

/// Which life of storage the last answer came from.
#[derive(Debug, Default)]
pub(super) struct Lifetime(Option<(Instant, Duration)>);

/// `wanted` rows should be there. More may be: rows that are to be left out of a
/// batch by now, and that the job which removes them from storage has yet to reach.
pub(super) fn judge(found: Option<&Found>, wanted: u32) -> Verdict {
    match found.copied().unwrap_or_default() {
        Found { rows: 0, .. } if wanted > 0 => Verdict::Absent,
        Found { rows, distinct } if rows == distinct && rows >= u64::from(wanted) => Verdict::Good,
        _ => Verdict::Wrong,
    }
}

// === impl Lifetime ===

impl Lifetime {
    /// Whether any uptime was noted.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Takes note of an uptime; says whether storage was started since the last one.
    pub fn is_another(&mut self, uptime: Duration) -> bool {
        self.is_another_at(Instant::now(), uptime)
    }

    fn is_another_at(&mut self, now: Instant, uptime: Duration) -> bool {
        let before = self.0.replace((now, uptime));
        before.is_some_and(|(then, before)| uptime + TOLERANCE < before + now.duration_since(then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_good_only_with_all_its_rows_once_each() {
        let found = |rows, distinct| Some(Found { rows, distinct });
        for (found, wanted, verdict) in [
            (None, 5, Verdict::Absent),
            (found(5, 5), 5, Verdict::Good),
            (found(7, 7), 5, Verdict::Good),
            (found(4, 4), 5, Verdict::Wrong),
            (found(10, 5), 5, Verdict::Wrong),
            (found(6, 5), 5, Verdict::Wrong),
            (None, 0, Verdict::Good),
        ] {
            assert_eq!(judge(found.as_ref(), wanted), verdict, "{found:?} of {wanted}");
        }
    }

    #[test]
    fn an_uptime_that_falls_behind_the_clock_is_another_life() {
        let start = Instant::now();
        let second = Duration::from_secs;
        for (answers, restarted) in [
            (vec![(0, 100), (10, 110), (20, 119)], false),
            (vec![(0, 100), (10, 3)], true),
            (vec![(0, 100), (3, 100)], true),
            (vec![(0, 0), (5, 1)], true),
            (vec![(0, 100)], false),
        ] {
            let mut lifetime = Lifetime::default();
            let seen: Vec<bool> = answers
                .iter()
                .map(|(at, uptime)| lifetime.is_another_at(start + second(*at), second(*uptime)))
                .collect();
            assert_eq!(seen.contains(&true), restarted, "{answers:?}");
        }
    }
}
