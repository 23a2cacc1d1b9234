//! Writes the sums of refused hits to storage, every [`INTERVAL`] and once more at
//! the stop.
//!
//! Best effort, since these are not hits: what was not written when the process
//! dies is lost, at most one interval's while storage answers. What storage did not
//! take is sent again as it was, under its token, before anything newer; rows that
//! it refuses for ever are given up and counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::accept::Shared;
use crate::store::refusals::encode;
use crate::store::{Storage, StorageError};

/// What a crash loses; often enough for whoever looks for a fault, seldom enough
/// that a part in storage holds more than one row.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the last writing may hold up the stop.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// What is written; cheap to clone.
#[derive(Clone)]
pub(super) struct Writing {
    shared: Arc<Shared>,
    store: Storage,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What storage did not take yet.
    waiting: Option<Batch>,
    failing: bool,
}

struct Batch {
    token: String,
    payload: Bytes,
    refusals: u64,
}

// === impl Writing ===

impl Writing {
    pub(super) fn new(shared: Arc<Shared>, store: Storage) -> Writing {
        Writing { shared, store, state: Arc::default() }
    }

    /// Writes until the runtime ends.
    pub(super) async fn run(self) {
        let mut due = tokio::time::interval(INTERVAL);
        loop {
            due.tick().await;
            // A failure has been told of; the next round sends the same again.
            drop(self.write().await);
        }
    }

    /// Writes what storage did not take before, and then what came since.
    pub(super) async fn write(&self) -> Result<(), StorageError> {
        let mut state = self.state.lock().await;
        self.send(&mut state).await?;
        state.waiting = self.next();
        self.send(&mut state).await
    }

    async fn send(&self, state: &mut State) -> Result<(), StorageError> {
        let Some(batch) = &state.waiting else { return Ok(()) };
        let outcome = self.store.insert_refusals(&batch.token, batch.payload.clone()).await;
        match &outcome {
            Err(error) if error.is_retryable() => {
                if !state.failing {
                    tracing::warn!(%error, "refused hits cannot be written yet; they are counted all the same");
                }
                state.failing = true;
                return outcome;
            }
            Err(error) => {
                tracing::error!(%error, refusals = batch.refusals, "storage does not take refused hits; they are given up");
                self.shared.refusals.lose(batch.refusals);
            }
            Ok(()) => state.failing = false,
        }
        state.waiting = None;
        outcome
    }

    /// The last writing, which does not hold up a stop.
    pub(super) async fn stop(&self) {
        if tokio::time::timeout(LAST_WRITE, self.write()).await.is_err() {
            tracing::warn!("storage did not take the last refused hits in time");
        }
    }

    pub(super) fn described(&self) -> Value {
        json!({ "lost": self.shared.refusals.lost() })
    }

    fn next(&self) -> Option<Batch> {
        let rows = self.shared.refusals.take();
        let refusals = rows.iter().map(|row| row.count).sum();
        let mut token = [0; 16];
        if let Err(error) = getrandom::fill(&mut token) {
            tracing::error!(%error, refusals, "no token for refused hits; they are given up");
            self.shared.refusals.lose(refusals);
            return None;
        }
        let token = format!("refusals-{:032x}", u128::from_le_bytes(token));
        (!rows.is_empty()).then(|| Batch { token, payload: encode(&rows), refusals })
    }
}
