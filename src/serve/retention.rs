//! Runs the retention job daily, and when a command asks for it.
//!
//! A task of its own: hits, shipping and questions wait for none of it. A run is due
//! [`EVERY`] after the last one that was done whole, as `last.json` says, so a
//! restart neither skips nor repeats a day. What was asked for runs to its end, also
//! when whoever asked goes away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::accept::Shared;
use crate::retention::{self, Job, Mode, Report, RetentionError};
use crate::spool::Outlet;
use crate::store::Storage;

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
    store: Storage,
    outlet: Outlet,
    one: Arc<tokio::sync::Mutex<()>>,
    failed: Arc<Mutex<Option<(Timestamp, String)>>>,
}

// === impl Retention ===

impl Retention {
    pub(super) fn new(shared: Arc<Shared>, store: Storage, outlet: Outlet) -> Retention {
        Retention { shared, store, outlet, one: Arc::default(), failed: Arc::default() }
    }

    /// Works until the runtime ends.
    pub(super) async fn run(self) {
        let mut due = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        loop {
            due.tick().await;
            if self.is_due(Timestamp::now()) {
                // It has told what went wrong.
                drop(self.once(Mode::Remove).await);
            }
        }
    }

    /// One run, after one that is under way.
    pub(super) async fn once(&self, mode: Mode) -> Result<Report, RetentionError> {
        let _one = self.one.lock().await;
        let job = Job {
            storage: self.store.clone(),
            keys: self.shared.keys.clone(),
            config: self.shared.settings().config.clone(),
            waiting_since_ms: self.outlet.backlog().oldest,
            others: Vec::new(),
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
        let since = |then: Timestamp| now.duration_since(then);
        // A time that lies ahead was noted by a clock that was wrong.
        let is_over = |then, wait| since(then) >= wait || since(then) < SignedDuration::ZERO;
        if let Some((then, _)) = &*self.failed()
            && !is_over(*then, RETRY)
        {
            return false;
        }
        match self.last().and_then(|report| report.at.parse().ok()) {
            Some(then) => is_over(then, EVERY),
            None => true,
        }
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
