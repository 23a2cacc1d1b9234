//! Who has come over the threshold, as it happens: a stream that programs read.
//!
//! In: what rules say of visitors whose new hits were taken in ([`super::follow`]). Out: the alerts
//! of a site after a number, at once or when the next one comes.
//!
//! Whoever wants alerts asks for them: this server calls nobody, so there is no address that
//! could be made to point into the clinic's own network.
//!
//! - A visitor is told of once a day (UTC). After a restart everybody is told of again who came
//!   within the last day and is over the threshold at their last hit: no alert is on a disk.
//! - Numbers begin at the moment of the start, in milliseconds, so they go up over restarts, as long as
//!   there were fewer alerts than milliseconds: whoever asks after a number of before is told of the
//!   restart, and gets all that was told since. A day's alert of the same visitor is then the same one.
//! - An alert has the keyed hash of the visitor, by which they can be checked, the points and the
//!   rules; no evidence, no place, no page.
//! - The latest [`MAX_ALERTS`] of all sites are kept, in memory only. Who was slower is told so.
//! - Whoever is blocked or erased, or is past the window that is remembered, is taken out, which is not
//!   said. Whoever only made room in the memory is not.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

/// As many as a day of a large site has; some 100 bytes each.
pub const MAX_ALERTS: usize = 10_000;
/// The most in one answer.
pub const MAX_ANSWERED: usize = 500;
/// The longest that a question waits for the next one.
pub const MAX_WAIT: Duration = Duration::from_secs(25);

/// A visitor came over the threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Goes up by one with each alert of any site.
    pub number: u64,
    #[serde(skip)]
    pub site: String,
    /// The hit with which it happened, in milliseconds.
    pub at_ms: i64,
    #[serde(serialize_with = "hexadecimal")]
    pub subject: u64,
    pub score: u32,
    /// Names and points.
    pub rules: Vec<(&'static str, u32)>,
}

/// The alerts of all sites.
pub struct Alerts {
    kept: Mutex<Kept>,
    /// The number before the first one of this process.
    begin: u64,
    /// The number of the last one.
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    latest: VecDeque<Alert>,
    /// The number of the last one that had to go for another; 0 before.
    dropped: u64,
}

/// What is there after a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answered {
    pub alerts: Vec<Alert>,
    /// To be asked after next.
    pub next: u64,
    /// Whether alerts after the number that was asked had to go: of this site, or of another.
    pub lost: bool,
    /// Whether the number that was asked after is of before a restart: these alerts are all since,
    /// some may have been told before.
    pub restarted: bool,
}

// === impl Alerts ===

impl Alerts {
    pub fn new(begun: Timestamp) -> Alerts {
        let begin = u64::try_from(begun.as_millisecond()).unwrap_or_default();
        Alerts { kept: Mutex::default(), begin, last: watch::Sender::new(begin) }
    }

    /// Tells of a visitor; the number is given here.
    pub fn tell(&self, alert: Alert) {
        let mut kept = self.held();
        let number = *self.last.borrow() + 1;
        if kept.latest.len() >= MAX_ALERTS
            && let Some(first) = kept.latest.pop_front()
        {
            kept.dropped = first.number;
        }
        kept.latest.push_back(Alert { number, ..alert });
        self.last.send_replace(number);
    }

    /// The alerts of a site after a number, when there are any or the time is over.
    pub async fn after(&self, site: &str, number: u64, wait: Duration) -> Answered {
        let mut last = self.last.subscribe();
        let found = async {
            loop {
                last.borrow_and_update();
                let answered = self.now(site, number);
                if !answered.alerts.is_empty()
                    || answered.lost
                    || answered.restarted
                    || last.changed().await.is_err()
                {
                    return answered;
                }
            }
        };
        tokio::time::timeout(wait.min(MAX_WAIT), found).await.unwrap_or_else(|_| self.now(site, number))
    }

    fn now(&self, site: &str, number: u64) -> Answered {
        let kept = self.held();
        let last = *self.last.borrow();
        // 0 asks for all there are. A later one is of a clock that was set back since.
        let restarted = number != 0 && !(self.begin..=last).contains(&number);
        let number = if restarted { self.begin } else { number.max(self.begin) };
        let of_site = kept.latest.iter().filter(|alert| alert.number > number && alert.site == site);
        let alerts: Vec<Alert> = of_site.take(MAX_ANSWERED).cloned().collect();
        let next = match alerts.last() {
            Some(alert) if alerts.len() == MAX_ANSWERED => alert.number,
            _ => last,
        };
        Answered { alerts, next, lost: number < kept.dropped, restarted }
    }

    /// Of whom of a site was told.
    pub fn subjects(&self, site: &str) -> HashSet<u64> {
        let kept = self.held();
        kept.latest.iter().filter(|alert| alert.site == site).map(|alert| alert.subject).collect()
    }

    /// Takes out what was told of these.
    pub fn forget(&self, site: &str, gone: impl Fn(u64) -> bool) {
        self.held().latest.retain(|alert| alert.site != site || !gone(alert.subject));
    }

    fn held(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hexadecimal<S: serde::Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(site: &str, subject: u64) -> Alert {
        Alert { number: 0, site: site.to_owned(), at_ms: 1, subject, score: 90, rules: vec![("speed", 30)] }
    }

    fn subjects(answered: &Answered) -> Vec<u64> {
        answered.alerts.iter().map(|alert| alert.subject).collect()
    }

    /// When the process of a test began.
    const BEGIN: u64 = 1_000;

    fn begun(at: u64) -> Alerts {
        Alerts::new(Timestamp::from_millisecond(at.cast_signed()).expect("a moment"))
    }

    #[tokio::test]
    async fn a_site_reads_its_own_alerts_in_order_and_goes_on_where_it_was() {
        let alerts = begun(BEGIN);
        for (site, subject) in [("a", 1), ("b", 2), ("a", 3)] {
            alerts.tell(alert(site, subject));
        }
        let first = alerts.after("a", 0, Duration::ZERO).await;
        assert_eq!((subjects(&first), first.next, first.lost), (vec![1, 3], BEGIN + 3, false));
        assert_eq!(alerts.after("a", first.next, Duration::ZERO).await.alerts, []);
        alerts.tell(alert("a", 4));
        assert_eq!(subjects(&alerts.after("a", first.next, Duration::ZERO).await), [4]);
        alerts.forget("a", |subject| subject == 3);
        assert_eq!(subjects(&alerts.after("a", 0, Duration::ZERO).await), [1, 4]);
    }

    #[tokio::test]
    async fn who_asks_after_a_number_of_before_a_restart_is_told_so_once_and_gets_all_since() {
        let before = begun(BEGIN);
        before.tell(alert("a", 1));
        let cursor = before.after("a", 0, Duration::ZERO).await;
        assert!(!cursor.restarted, "who asks for the first time has missed nothing");
        let alerts = begun(BEGIN + 500);
        // At once: there is something to be told.
        let told = alerts.after("a", cursor.next, MAX_WAIT).await;
        assert_eq!((subjects(&told), told.restarted, told.next), (vec![], true, BEGIN + 500));
        alerts.tell(alert("a", 1));
        for (number, restarted) in
            [(cursor.next, true), (told.next, false), (0, false), (BEGIN + 9_999, true)]
        {
            let told = alerts.after("a", number, Duration::ZERO).await;
            assert_eq!((subjects(&told), told.restarted, told.lost), (vec![1], restarted, false), "{number}");
            assert_eq!(told.next, BEGIN + 501);
        }
        assert!(!alerts.after("a", BEGIN + 501, Duration::ZERO).await.restarted);
    }

    #[tokio::test]
    async fn a_question_waits_for_the_next_alert_of_its_site() {
        let alerts = std::sync::Arc::new(begun(BEGIN));
        let asking = tokio::spawn({
            let alerts = alerts.clone();
            async move { alerts.after("a", 0, MAX_WAIT).await }
        });
        tokio::task::yield_now().await;
        alerts.tell(alert("b", 1));
        tokio::task::yield_now().await;
        assert!(!asking.is_finished());
        alerts.tell(alert("a", 2));
        assert_eq!(subjects(&asking.await.expect("answered")), [2]);
    }

    #[tokio::test]
    async fn the_latest_are_kept_and_who_was_slower_is_told() {
        let alerts = begun(BEGIN);
        for subject in 0..=MAX_ALERTS as u64 {
            alerts.tell(alert("a", subject));
        }
        let answered = alerts.after("a", 0, Duration::ZERO).await;
        assert_eq!(
            (answered.alerts.len(), answered.alerts[0].subject, answered.lost),
            (MAX_ANSWERED, 1, true)
        );
        let next = alerts.after("a", answered.next, Duration::ZERO).await;
        assert_eq!((next.alerts[0].subject, next.lost), (MAX_ANSWERED as u64 + 1, false));
        // Whoever is forgotten changes nothing of what had to go before.
        alerts.forget("a", |subject| subject % 2 == 1);
        let after = [0, BEGIN, BEGIN + 1, BEGIN + 2].map(|number| alerts.now("a", number).lost);
        assert_eq!(after, [true, true, false, false]);
        // Nor does anything have to go where there is room.
        let alerts = begun(BEGIN);
        for subject in 0..MAX_ALERTS as u64 {
            alerts.tell(alert("a", subject));
        }
        alerts.forget("a", |subject| subject == 0);
        alerts.tell(alert("a", 1));
        assert!(!alerts.now("a", 0).lost);
    }
}
