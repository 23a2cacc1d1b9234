//! Sealed batches go to storage, once each.
//!
//! In: batches from the spool's [`Outlet`], oldest first. Out: one insert per
//! batch through a [`Sink`], the same rows under the same token until storage has
//! answered for them; then, and only then, the acknowledgement that frees their
//! space.
//!
//! An error that may pass is retried for ever, with exponential back-off and
//! jitter: the spool is the buffer, and it is bounded. An error that will not
//! pass sends the batch to the dead letters with its reason, so that one bad
//! batch does not hold up the others. One batch is in hand at a time: order is
//! kept, and memory is one batch.
//!
//! It does not look into rows, and knows no ClickHouse: which errors may pass,
//! the sink says.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::spool::{Batch, Outlet, SpoolError};

/// The first wait after a failed insert; doubled with each further one.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait between two tries: an engine that has come back is found
/// within it.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// One insert may take so long. The server cuts its own work sooner; this is for
/// a connection that died in silence.
pub const INSERT_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a shutdown goes on shipping. What is left waits in the spool.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How often a drain looks whether anything is left.
const DRAIN_CHECK: Duration = Duration::from_millis(20);
/// How much of an error's text is kept in logs and dead letters: storage may
/// quote data in it.
const MAX_ERROR_BYTES: usize = 200;

/// Where batches go.
pub trait Sink: Send + Sync {
    /// Inserts the batch's rows as one block under its token. Success means that
    /// storage answers for them.
    fn insert(&self, batch: &Batch) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// Why an insert failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("storage error {code}: {text}")]
pub struct SinkError {
    /// The same batch may be taken later, or the outcome is not known.
    pub retryable: bool,
    /// ClickHouse's code; 0 when there was no answer.
    pub code: u32,
    /// What happened, without row data.
    pub text: String,
}

/// What the shipper has done, for metrics.
#[derive(Debug, Default)]
pub struct ShipMetrics {
    /// Milliseconds since 1970 of the last acknowledged batch; 0 for none yet.
    pub last_success_ms: AtomicI64,
    /// Inserts tried.
    pub attempts: AtomicU64,
    /// Inserts that failed and are tried again.
    pub retries: AtomicU64,
    pub batches: AtomicU64,
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    pub dead_batches: AtomicU64,
    pub dead_rows: AtomicU64,
    /// Inserts that have failed since the last success.
    pub failing: AtomicU64,
}

/// Ships until `shutdown` becomes true (or its sender is dropped), then goes on
/// for at most [`DRAIN`] while sealed batches are left, and writes a last
/// checkpoint. Close the writers before, so that what they hold is sealed.
pub async fn run(
    outlet: Outlet,
    storage: impl Sink,
    metrics: Arc<ShipMetrics>,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let batch = tokio::select! {
            biased;
            () = told(&mut shutdown) => break,
            batch = outlet.next() => batch,
        };
        tokio::select! {
            biased;
            () = deliver(&outlet, &storage, &metrics, batch) => {}
            // The insert in hand goes on in the drain, under the same token.
            () = told(&mut shutdown) => break,
        }
    }
    let drained = tokio::time::timeout(DRAIN, async {
        loop {
            tokio::select! {
                biased;
                // An acknowledgement that was under way may have been the last.
                () = emptied(&outlet) => break,
                batch = outlet.next() => deliver(&outlet, &storage, &metrics, batch).await,
            }
        }
    })
    .await;
    let backlog = outlet.backlog();
    if drained.is_err() {
        tracing::warn!(
            rows = backlog.rows,
            batches = backlog.batches,
            "shutting down with rows left in the spool"
        );
    }
    match blocking(move || outlet.checkpoint()).await {
        Ok(()) => tracing::info!(waiting_rows = backlog.rows, "the shipper has ended"),
        Err(error) => tracing::error!(%error, "no checkpoint could be written at the end"),
    }
}

/// Sends one batch until storage has it or will never have it.
async fn deliver(outlet: &Outlet, storage: &impl Sink, metrics: &ShipMetrics, batch: Batch) {
    let started = Instant::now();
    let mut failures = 0;
    let outcome = loop {
        if batch.rows == 0 {
            break Ok(());
        }
        metrics.attempts.fetch_add(1, Relaxed);
        let error = match tokio::time::timeout(INSERT_TIMEOUT, storage.insert(&batch)).await {
            Ok(Ok(())) => break Ok(()),
            Ok(Err(error)) => error,
            Err(_) => SinkError {
                retryable: true,
                code: 0,
                text: format!("no answer within {} s", INSERT_TIMEOUT.as_secs()),
            },
        };
        metrics.failing.fetch_add(1, Relaxed);
        if !error.retryable {
            break Err(error);
        }
        metrics.retries.fetch_add(1, Relaxed);
        let wait = backoff(failures, random_unit());
        if failures.is_power_of_two() || failures == 0 {
            let wait_ms = wait.as_millis() as u64;
            let error = short(&error.text);
            tracing::warn!(
                batch = batch.id,
                rows = batch.rows,
                failures,
                wait_ms,
                error,
                "an insert failed, it is tried again"
            );
        }
        failures += 1;
        tokio::time::sleep(wait).await;
    };
    match &outcome {
        Ok(()) => {
            metrics.last_success_ms.store(now_ms(), Relaxed);
            metrics.failing.store(0, Relaxed);
            metrics.batches.fetch_add(1, Relaxed);
            metrics.rows.fetch_add(u64::from(batch.rows), Relaxed);
            metrics.bytes.fetch_add(batch.body().len() as u64, Relaxed);
            let took_ms = started.elapsed().as_millis() as u64;
            tracing::debug!(batch = batch.id, rows = batch.rows, took_ms, "a batch is stored");
        }
        Err(error) => {
            metrics.dead_batches.fetch_add(1, Relaxed);
            metrics.dead_rows.fetch_add(u64::from(batch.rows), Relaxed);
            let text = short(&error.text);
            tracing::error!(
                batch = batch.id,
                rows = batch.rows,
                code = error.code,
                error = text,
                "storage will not take a batch: it goes to the dead letters"
            );
        }
    }
    let reason = outcome.err().map(|error| format!("{}: {}", error.code, short(&error.text)));
    settle(outlet, batch, reason).await;
}

/// Tells the spool, until it could write it down: until then the batch stays, and
/// would be sent again under its token.
async fn settle(outlet: &Outlet, batch: Batch, reason: Option<String>) {
    let batch = Arc::new(batch);
    let mut failures = 0;
    loop {
        let (outlet, batch, reason) = (outlet.clone(), batch.clone(), reason.clone());
        let settled = blocking(move || match reason {
            None => outlet.acknowledge(&batch),
            Some(reason) => outlet.dead_letter(&batch, &reason),
        })
        .await;
        match settled {
            Ok(()) | Err(SpoolError::UnknownBatch(_)) => return,
            Err(error) => {
                if failures == 0 {
                    tracing::error!(%error, "an acknowledgement could not be written, it is tried again");
                }
                tokio::time::sleep(backoff(failures, random_unit())).await;
                failures += 1;
            }
        }
    }
}

/// Runs work that waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Resolves when no sealed batch is left.
async fn emptied(outlet: &Outlet) {
    while outlet.backlog().batches > 0 {
        tokio::time::sleep(DRAIN_CHECK).await;
    }
}

async fn told(shutdown: &mut watch::Receiver<bool>) {
    // A dropped sender is a shutdown too.
    let _ = shutdown.wait_for(|told| *told).await;
}

/// The wait after `failures` earlier failures: doubled each time up to the
/// longest, of which `jitter` (0 to 1) takes away up to a half, so that several
/// collectors do not come back in step.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << failures.min(16)).min(LONGEST_BACKOFF);
    longest.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

fn random_unit() -> f64 {
    let mut bytes = [0; 4];
    // Without random bytes there is no jitter, which is no harm.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// The first line of a text, cut to its bound.
fn short(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    let mut end = line.len().min(MAX_ERROR_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
