//! Sealed batches go to storage, once each.
//!
//! In: batches from the spool's [`Outlet`], oldest first. Out: one insert per
//! batch through a [`Sink`], the same rows under the same token until storage has
//! answered for them; then the acknowledgement, and a moment later a count of its
//! rows in storage, which frees their space.
//!
//! ```text
//!             ┌── retry, same token ◄─── may pass, or outcome unknown ──┐
//! next batch ─┴─► (count first, if suspect) ─► insert ─► acknowledged ──┼─► count ─► verified
//!                       │ there already ──────────────────► │           │     │ missing, short or doubled:
//!                       │                                   will never  │     └─► remove what is there,
//!                       └ wrong: remove, next token         pass: dead  │         insert under the next token
//!                                                           letter ─────┘
//! ```
//!
//! # Why both a token and a count
//!
//! While storage runs, its deduplication recognises a token: a retry after a lost
//! answer is harmless, for the table and for all that is fed from it. But its log
//! of tokens is not synced with the rows: after a crash of the machine it may know
//! a token whose rows are gone (a retry would then be swallowed), or have rows whose
//! token it has forgotten (a retry would double them). So
//! - every acknowledged batch is counted, rows and distinct rows;
//! - a batch is *suspect* if an insert of it may have reached a storage that was
//!   started again since: it is counted before it is sent ([`Batch::suspect`]);
//! - when storage was started again, all that the spool still has is counted again
//!   ([`Outlet::distrust`]);
//! - a token that was taken without its rows is used up: the rows go under the next.
//!
//! # Errors
//!
//! An error that may pass is retried for ever, with exponential back-off and
//! jitter: the spool is the buffer, and it is bounded. An error that will not
//! pass sends the batch to the dead letters with its reason, so that one bad
//! batch does not hold up the others. One batch is in hand at a time: order is
//! kept, and memory is one batch.
//!
//! It does not look into rows, and knows no ClickHouse: which errors may pass,
//! the sink says.

mod judge;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::spool::{Batch, Outlet, SpoolError, Unverified};
pub use judge::Found;
use judge::{Lifetime, Verdict, judge};

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
/// How often acknowledged batches are counted. One count reads the batch numbers
/// of some days, so it is not made for each batch.
pub const VERIFY_EVERY: Duration = Duration::from_secs(5);
/// How many batches one count asks for.
const MAX_COUNTED: usize = 500;
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

    /// What storage holds of these batches, by id; those of which it has nothing
    /// are absent.
    fn count(
        &self,
        batches: &[Unverified],
    ) -> impl Future<Output = Result<BTreeMap<u64, Found>, SinkError>> + Send;

    /// Removes all rows of a batch; they are gone when this returns.
    fn remove(&self, batch: u64) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// How long storage has been running.
    fn uptime(&self) -> impl Future<Output = Result<Duration, SinkError>> + Send;
}

/// Why storage did not do as asked.
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
    /// Batches whose rows were counted in storage after the acknowledgement.
    pub verified_batches: AtomicU64,
    /// Batches that were found in storage and so not sent.
    pub found_batches: AtomicU64,
    /// Batches that storage had acknowledged and did not have as it should.
    pub mended_batches: AtomicU64,
    /// How often storage was seen to have been started again.
    pub storage_restarts: AtomicU64,
}

/// How quick the shipper is; tests are quicker.
#[derive(Clone, Copy, Debug)]
struct Pace {
    verify_every: Duration,
    first_backoff: Duration,
    longest_backoff: Duration,
}

/// The shipper's parts.
struct Shipper<S> {
    pace: Pace,
    outlet: Outlet,
    storage: S,
    metrics: Arc<ShipMetrics>,
    lifetime: Lifetime,
}

/// How the delivery of a batch ended.
enum Delivered {
    Sent,
    /// Storage had it already.
    Found,
    Dead(SinkError),
}

/// Ships until `shutdown` becomes true (or its sender is dropped), then goes on
/// for at most [`DRAIN`] while sealed batches are left, and writes a last
/// checkpoint. Close the writers before, so that what they hold is sealed.
pub async fn run(
    outlet: Outlet,
    storage: impl Sink,
    metrics: Arc<ShipMetrics>,
    shutdown: watch::Receiver<bool>,
) {
    run_at(Pace::default(), outlet, storage, metrics, shutdown).await;
}

async fn run_at(
    pace: Pace,
    outlet: Outlet,
    storage: impl Sink,
    metrics: Arc<ShipMetrics>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut verify = tokio::time::interval(pace.verify_every);
    let mut shipper = Shipper::new(pace, outlet, storage, metrics);
    verify.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = told(&mut shutdown) => break,
            // What is in hand goes on in the drain, under the same token.
            () = shipper.step(&mut verify) => {}
        }
    }
    let outlet = shipper.outlet.clone();
    let drained = tokio::time::timeout(DRAIN, async {
        loop {
            tokio::select! {
                biased;
                // An acknowledgement that was under way may have been the last.
                () = emptied(&outlet) => break,
                () = shipper.step(&mut verify) => {}
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

/// Sends what waits among the dead letters that were asked for ([`Outlet::replay`])
/// and all else that is sealed, until nothing is left: for a command that works
/// without a server.
pub async fn run_once(outlet: Outlet, storage: impl Sink, metrics: Arc<ShipMetrics>) {
    let mut shipper = Shipper::new(Pace::default(), outlet.clone(), storage, metrics);
    while outlet.backlog().batches > 0 {
        let batch = outlet.next().await;
        shipper.deliver(batch).await;
    }
    shipper.verify().await;
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Pace { verify_every: VERIFY_EVERY, first_backoff: FIRST_BACKOFF, longest_backoff: LONGEST_BACKOFF }
    }
}

impl Pace {
    /// The wait after `failures` earlier failures: doubled each time up to the
    /// longest, of which `jitter` (0 to 1) takes away up to a half, so that several
    /// collectors do not come back in step.
    fn backoff(&self, failures: u32, jitter: f64) -> Duration {
        let longest = self.first_backoff.saturating_mul(1 << failures.min(16)).min(self.longest_backoff);
        longest.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

// === impl Shipper ===

impl<S: Sink> Shipper<S> {
    fn new(pace: Pace, outlet: Outlet, storage: S, metrics: Arc<ShipMetrics>) -> Self {
        Shipper { pace, outlet, storage, metrics, lifetime: Lifetime::default() }
    }

    /// One batch, or one count.
    async fn step(&mut self, verify: &mut tokio::time::Interval) {
        tokio::select! {
            biased;
            _ = verify.tick() => self.verify().await,
            batch = self.outlet.next() => self.deliver(batch).await,
        }
    }

    /// Sends one batch until storage has it or will never have it.
    async fn deliver(&mut self, mut batch: Batch) {
        let started = Instant::now();
        let mut failures = 0;
        if !self.lifetime.is_known() {
            self.look_for_restart(None).await;
        }
        let outcome = loop {
            match self.try_once(&mut batch).await {
                Ok(delivered) => break delivered,
                Err(error) if !error.retryable => break Delivered::Dead(error),
                Err(error) => {
                    self.metrics.failing.fetch_add(1, Relaxed);
                    self.metrics.retries.fetch_add(1, Relaxed);
                    let wait = self.pace.backoff(failures, random_unit());
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
                    self.look_for_restart(Some(&mut batch)).await;
                }
            }
        };
        let metrics = &self.metrics;
        let mut reason = None;
        match &outcome {
            Delivered::Sent | Delivered::Found => {
                metrics.last_success_ms.store(now_ms(), Relaxed);
                metrics.failing.store(0, Relaxed);
                metrics.batches.fetch_add(1, Relaxed);
                metrics.rows.fetch_add(u64::from(batch.rows), Relaxed);
                metrics.bytes.fetch_add(batch.body().len() as u64, Relaxed);
                if matches!(outcome, Delivered::Found) {
                    metrics.found_batches.fetch_add(1, Relaxed);
                }
                let took_ms = started.elapsed().as_millis() as u64;
                tracing::debug!(batch = batch.id, rows = batch.rows, took_ms, "a batch is stored");
            }
            Delivered::Dead(error) => {
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
                reason = Some(format!("{}: {text}", error.code));
            }
        }
        self.settle(batch, reason).await;
    }

    /// One try: counted first if it is suspect, then sent.
    async fn try_once(&mut self, batch: &mut Batch) -> Result<Delivered, SinkError> {
        if batch.suspect {
            match self.examine(batch).await? {
                Verdict::Good => return Ok(Delivered::Found),
                Verdict::Absent => batch.clear_suspicion(),
                Verdict::Wrong => {
                    self.in_time(self.storage.remove(batch.id)).await?;
                    batch.clear_suspicion();
                    batch.next_attempt();
                }
            }
        }
        if batch.rows == 0 {
            return Ok(Delivered::Sent);
        }
        self.metrics.attempts.fetch_add(1, Relaxed);
        self.in_time(self.storage.insert(batch)).await.map(|()| Delivered::Sent)
    }

    /// Counts a suspect batch in storage, and others that will come next.
    async fn examine(&self, batch: &Batch) -> Result<Verdict, SinkError> {
        let mut asked = vec![batch.unverified()];
        asked.extend(self.outlet.suspects(MAX_COUNTED - 1));
        let found = self.in_time(self.storage.count(&asked)).await?;
        let absent: Vec<u64> = asked.iter().map(|one| one.id).filter(|id| !found.contains_key(id)).collect();
        self.outlet.absent(&absent);
        Ok(judge(found.get(&batch.id), batch.rows))
    }

    /// Counts what storage has acknowledged, mends what is not there as it should
    /// be, and lets go of the rest when its time has come.
    async fn verify(&mut self) {
        if self.look_for_restart(None).await {
            tracing::warn!("storage was started again: what it may have lost is counted");
        }
        let due = self.outlet.unverified(MAX_COUNTED);
        if !due.is_empty() {
            let found = match self.in_time(self.storage.count(&due)).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(
                        batches = due.len(),
                        error = short(&error.text),
                        "batches could not be counted"
                    );
                    return;
                }
            };
            let (good, bad): (Vec<Unverified>, Vec<Unverified>) =
                due.into_iter().partition(|one| judge(found.get(&one.id), one.rows) == Verdict::Good);
            let good: Vec<u64> = good.iter().map(|one| one.id).collect();
            self.outlet.verified(&good);
            self.metrics.verified_batches.fetch_add(good.len() as u64, Relaxed);
            for one in bad {
                self.mend(one, found.get(&one.id)).await;
            }
        }
        let outlet = self.outlet.clone();
        if let Err(error) = blocking(move || outlet.checkpoint()).await {
            tracing::error!(%error, "a checkpoint could not be written");
        }
    }

    /// A batch that storage has acknowledged is not there as it was sent.
    async fn mend(&mut self, one: Unverified, found: Option<&Found>) {
        let outlet = self.outlet.clone();
        let mut batch = match blocking(move || outlet.recheck(one.id)).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, batch = one.id, "a batch that storage lost could not be read again");
                return;
            }
        };
        // What was erased or has run out since it was sent need not be there.
        let verdict = judge(found, batch.rows);
        if verdict == Verdict::Good {
            self.outlet.verified(&[one.id]);
            return;
        }
        let Found { rows, distinct } = found.copied().unwrap_or_default();
        tracing::error!(
            batch = one.id,
            sent_rows = one.rows,
            found_rows = rows,
            found_distinct = distinct,
            "storage acknowledged a batch and does not have it as it was sent: it is sent again"
        );
        self.metrics.mended_batches.fetch_add(1, Relaxed);
        if verdict == Verdict::Wrong
            && let Err(error) = self.in_time(self.storage.remove(one.id)).await
        {
            tracing::error!(error = short(&error.text), batch = one.id, "its rows could not be removed");
            return;
        }
        batch.next_attempt();
        self.deliver(batch).await;
    }

    /// Whether storage was started again since it was last asked. Then nothing that
    /// the spool still has is taken for granted, the batch in hand included.
    async fn look_for_restart(&mut self, in_hand: Option<&mut Batch>) -> bool {
        let Ok(uptime) = self.in_time(self.storage.uptime()).await else { return false };
        let restarted = self.lifetime.is_another(uptime);
        if restarted {
            self.metrics.storage_restarts.fetch_add(1, Relaxed);
            self.outlet.distrust();
            if let Some(batch) = in_hand {
                batch.set_suspect();
            }
        }
        restarted
    }

    /// Tells the spool, until it could write it down: until then the batch stays, and
    /// would be sent again under its token.
    async fn settle(&self, batch: Batch, reason: Option<String>) {
        let batch = Arc::new(batch);
        let mut failures = 0;
        loop {
            let (outlet, batch, reason) = (self.outlet.clone(), batch.clone(), reason.clone());
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
                    tokio::time::sleep(self.pace.backoff(failures, random_unit())).await;
                    failures += 1;
                }
            }
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
        tokio::time::timeout(INSERT_TIMEOUT, work).await.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", INSERT_TIMEOUT.as_secs());
            Err(SinkError { retryable: true, code: 0, text })
        })
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
