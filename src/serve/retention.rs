//! Runs the retention job daily, and when a command asks for it.
//!
//! A task of its own: hits, shipping and questions wait for none of it. A run is due
//! [`EVERY`] after the last one that was done whole, as `last.json` says, so a
//! restart neither skips nor repeats a day. What was asked for runs to its end, also
//! when whoever asked goes away.
//!
//! No run begins before storage is ready: its tables are of this version, and they say
//! who is held. A command waits for that.
//!
//! Before it removes anything, an entry of the audit trail says so: the job's own is
//! written here, that of a command where the command comes in ([`crate::control`]). A run
//! whose entry cannot be written does not happen, and is told like one that failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::storage::View;
use crate::accept::Shared;
use crate::audit::{Action, Actor, Entry, Trail};
use crate::retention::others::{ACTOR, others};
use crate::retention::{self, Job, Mode, Report, RetentionError};
use crate::spool::Outlet;

/// Nothing is older than its term and this.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How often it is looked whether a run is due; the first time so long after the start.
const LOOK: Duration = Duration::from_secs(60);
/// How long after a run that failed for another reason than an absent storage the
/// next is tried.
const RETRY: SignedDuration = SignedDuration::from_hours(1);

/// The job beside the server; cheap to clone.
#[derive(Clone)]
pub(super) struct Retention {
    shared: Arc<Shared>,
    storage: View,
    outlet: Outlet,
    one: Arc<tokio::sync::Mutex<()>>,
    failed: Arc<Mutex<Option<(Timestamp, String)>>>,
}

// === impl Retention ===

impl Retention {
    pub(super) fn new(shared: Arc<Shared>, storage: View, outlet: Outlet) -> Retention {
        Retention { shared, storage, outlet, one: Arc::default(), failed: Arc::default() }
    }

    /// Works until the runtime ends.
    pub(super) async fn run(self) {
        let mut due = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        loop {
            due.tick().await;
            if self.is_due(Timestamp::now()) {
                self.daily().await;
            }
        }
    }

    /// A run of the job's own accord, under its own name.
    async fn daily(&self) {
        // Without storage there is nothing to do, and nothing to write into the trail each minute.
        if !self.storage.is_ready() {
            tracing::debug!("storage is not ready for the retention job");
            return;
        }
        if let Err(error) = self.storage.store().ping().await {
            tracing::debug!(%error, "storage is not there for the retention job");
            return;
        }
        let now = Timestamp::now();
        let trail = Trail::open(&self.shared.settings().config.data_dir, self.shared.keys.clone());
        let entry = Entry::new(now, Actor::Job(ACTOR.to_owned()), Action::RetentionRun);
        let noted = tokio::task::spawn_blocking(move || trail.append(&entry)).await;
        let noted = noted.map_err(|error| error.to_string());
        if let Err(error) = noted.and_then(|noted| noted.map_err(|error| error.to_string())) {
            tracing::error!(%error, "the retention job does not run: the audit trail cannot be written");
            *self.failed() = Some((now, format!("the audit trail cannot be written: {error}")));
        } else if let Err(error) = self.once(Mode::Remove).await {
            // Also if storage went away: another try is another entry.
            *self.failed() = Some((now, error.to_string()));
        }
    }

    /// One run, after one that is under way. Who wants it removed has written it into the trail.
    pub(super) async fn once(&self, mode: Mode) -> Result<Report, RetentionError> {
        let _one = self.one.lock().await;
        if !self.storage.until_ready().await {
            return Err(RetentionError::NotReady);
        }
        let (config, keys) = (self.shared.settings().config.clone(), self.shared.keys.clone());
        let job = Job {
            storage: self.storage.store(),
            waiting_since_ms: self.outlet.backlog().oldest,
            others: others(&config, &keys),
            keys,
            config,
        };
        let now = Timestamp::now();
        let done = retention::run(&job, now, mode).await;
        if mode == Mode::Remove {
            self.note(now, &done);
        }
        done
    }

    pub(super) fn described(&self) -> Value {
        let failing = self.failed().as_ref().map(|(_, text)| text.clone());
        json!({ "last": self.last(), "failing": failing })
    }

    fn note(&self, now: Timestamp, done: &Result<Report, RetentionError>) {
        match done {
            Ok(report) => {
                tracing::info!(
                    removed = report.removed(),
                    keys = report.keys_destroyed.len(),
                    parts = report.parts_dropped,
                    seconds = report.seconds,
                    "what was past its term is removed"
                );
                *self.failed() = None;
            }
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "storage is not there for the retention job");
            }
            Err(error) => {
                tracing::error!(%error, "the retention job failed");
                *self.failed() = Some((now, error.to_string()));
            }
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let failed = self.failed().as_ref().map(|(then, _)| *then);
        is_due(now, self.last().and_then(|report| report.at.parse().ok()), failed)
    }

    /// The last report; none if it cannot be read: then a run writes it anew.
    fn last(&self) -> Option<Report> {
        let data_dir = self.shared.settings().config.data_dir.clone();
        Report::last(&data_dir).unwrap_or_else(|error| {
            tracing::debug!(%error, "no last report of the retention job");
            None
        })
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<(Timestamp, String)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a run is due, when the last that was done whole and the last that failed
/// since were begun then.
fn is_due(now: Timestamp, last: Option<Timestamp>, failed: Option<Timestamp>) -> bool {
    // A time that lies ahead was noted by a clock that was wrong.
    let is_over = |then: Timestamp, wait| {
        let since = now.duration_since(then);
        since >= wait || since < SignedDuration::ZERO
    };
    failed.is_none_or(|then| is_over(then, RETRY)) && last.is_none_or(|then| is_over(then, EVERY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_due_a_day_after_the_last_whole_one_and_an_hour_after_a_failed_one() {
        let now: Timestamp = "2026-11-26T03:00:00Z".parse().expect("a moment");
        let ago = |seconds: i64| Some(now - SignedDuration::from_secs(seconds));
        let (hour, day) = (3600, 86_400);
        for (last, failed, expected, why) in [
            (None, None, true, "there was none yet"),
            (ago(day), None, true, "a day ago"),
            (ago(day - 1), None, false, "a second less than a day ago"),
            (ago(0), None, false, "just now"),
            (ago(40 * day), None, true, "the server was off for weeks"),
            (ago(-1), None, true, "done in the future: the clock was wrong"),
            (None, ago(hour - 1), false, "failed less than an hour ago"),
            (None, ago(hour), true, "failed an hour ago"),
            (ago(2 * day), ago(hour - 1), false, "overdue, and failed less than an hour ago"),
            (ago(2 * day), ago(hour), true, "overdue, and failed an hour ago"),
            (ago(2 * day), ago(-1), true, "failed in the future: the clock was wrong"),
            (ago(hour), ago(2 * hour), false, "failed when a command asked, then done"),
        ] {
            assert_eq!(is_due(now, last, failed), expected, "{why}");
        }
    }
}
