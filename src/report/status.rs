//! What failed among the reports, and when it is tried again.
//!
//! In memory only: after a restart what is due is tried at once, which the settings
//! know, since they say what was sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How long after the first failure, the second and so on it is tried again; the last
/// holds for all further ones, until the next period takes the place of this one.
pub const BACK_OFF: [SignedDuration; 5] = [
    SignedDuration::from_secs(10),
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(30),
    SignedDuration::from_mins(60),
];

/// The reports of a running server.
#[derive(Default)]
pub struct Status {
    /// Held while one is sent, so that the job and a command do not send the same.
    pub one: tokio::sync::Mutex<()>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    sent: u64,
    /// By site and report.
    failing: BTreeMap<(String, String), Failing>,
}

struct Failing {
    times: u64,
    error: String,
    next: Timestamp,
}

// === impl Status ===

impl Status {
    /// Whether a report may be tried now.
    pub fn may_try(&self, site: &str, report: &str, now: Timestamp) -> bool {
        let told = self.told();
        let failing = told.failing.get(&(site.to_owned(), report.to_owned()));
        failing.is_none_or(|failing| failing.next <= now)
    }

    pub fn sent(&self, site: &str, report: &str) {
        let mut told = self.told();
        told.sent += 1;
        told.failing.remove(&(site.to_owned(), report.to_owned()));
    }

    pub fn failed(&self, site: &str, report: &str, error: String, now: Timestamp) {
        let mut told = self.told();
        let key = (site.to_owned(), report.to_owned());
        let failing =
            told.failing.entry(key).or_insert_with(|| Failing { times: 0, error: String::new(), next: now });
        let wait = BACK_OFF[usize::try_from(failing.times).unwrap_or(usize::MAX).min(BACK_OFF.len() - 1)];
        *failing = Failing { times: failing.times + 1, error, next: now.saturating_add(wait).unwrap_or(now) };
    }

    /// Forgets failures of reports that are not there any more.
    pub fn keep(&self, is_there: impl Fn(&str, &str) -> bool) {
        self.told().failing.retain(|(site, report), _| is_there(site, report));
    }

    pub fn described(&self) -> Value {
        let told = self.told();
        let failing: Vec<Value> = told
            .failing
            .iter()
            .map(|((site, report), failing)| {
                json!({
                    "site": site,
                    "report": report,
                    "times": failing.times,
                    "error": failing.error,
                    "next": failing.next.to_string(),
                })
            })
            .collect();
        json!({ "sent": told.sent, "failing": failing })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_later_and_later_and_is_forgotten_when_sent() {
        let status = Status::default();
        let mut now: Timestamp = "2026-11-26T04:00:00Z".parse().expect("a moment");
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(status.may_try("clinic", "r1", now));
            status.failed("clinic", "r1", "refused".to_owned(), now);
            let next: Timestamp = status.described()["failing"][0]["next"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("a moment");
            assert!(!status.may_try("clinic", "r1", next - SignedDuration::from_secs(1)));
            assert!(status.may_try("clinic", "r2", now));
            waits.push(next.duration_since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [10, 60, 300, 1800, 3600, 3600, 3600]);
        status.sent("clinic", "r1");
        assert_eq!(status.described(), json!({ "sent": 1, "failing": [] }));
    }
}
