//! The shipper against storages that fail in every way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::count::Counters;
use crate::spool::{self, Durability, Options};

/// Generous: only a hang is longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a made-up storage answers to the nth insert.
type Script = fn(usize) -> Answer;

enum Answer {
    Stored,
    /// The rows are in, the answer is lost.
    StoredUnknown,
    /// As [`Answer::StoredUnknown`]; then storage starts again and has forgotten all tokens.
    StoredForgotten,
    /// Nothing is in, but the token is taken; then storage starts again.
    TokenOnly,
    Busy,
    Never,
}

/// What it holds: the rows of each batch, and the tokens it knows, as ClickHouse does.
#[derive(Default)]
struct Held {
    tokens: BTreeMap<String, Vec<u8>>,
    batches: BTreeMap<u64, Vec<Vec<u8>>>,
    /// When it was started last.
    since: Option<Instant>,
}

#[derive(Clone)]
struct Storage {
    script: Script,
    calls: Arc<AtomicUsize>,
    counts: Arc<AtomicUsize>,
    held: Arc<Mutex<Held>>,
}

impl Sink for Storage {
    async fn insert(&self, batch: &Batch) -> Result<(), SinkError> {
        let error = |retryable, code, text: &str| Err(SinkError { retryable, code, text: text.to_owned() });
        let mut held = self.held.lock().expect("no panic");
        let answer = (self.script)(self.calls.fetch_add(1, Relaxed));
        let mut take = |rows: bool| {
            let before = held.tokens.insert(batch.token.clone(), batch.body().to_vec());
            assert!(before.as_ref().is_none_or(|rows| *rows == batch.body()), "a token came with other rows");
            if before.is_none() && rows {
                let rows = batch.payloads().map(<[u8]>::to_vec);
                held.batches.entry(batch.id).or_default().extend(rows);
            }
        };
        match answer {
            Answer::Stored => {
                take(true);
                Ok(())
            }
            Answer::StoredUnknown => {
                take(true);
                error(true, 0, "the connection was cut")
            }
            Answer::StoredForgotten => {
                take(true);
                held.tokens.clear();
                held.since = Some(Instant::now());
                error(true, 0, "the connection was cut")
            }
            Answer::TokenOnly => {
                take(false);
                held.since = Some(Instant::now());
                error(true, 0, "the connection was cut")
            }
            Answer::Busy => error(true, 252, "too many parts\nwith a second line"),
            Answer::Never => error(false, 36, "a bad argument"),
        }
    }

    async fn count(&self, batches: &[Unverified]) -> Result<BTreeMap<u64, Found>, SinkError> {
        self.counts.fetch_add(1, Relaxed);
        let held = self.held.lock().expect("no panic");
        let asked = batches.iter().filter_map(|one| Some((one.id, held.batches.get(&one.id)?)));
        Ok(asked
            .map(|(id, rows)| {
                let distinct: BTreeSet<&Vec<u8>> = rows.iter().collect();
                (id, Found { rows: rows.len() as u64, distinct: distinct.len() as u64 })
            })
            .collect())
    }

    async fn remove(&self, batch: u64) -> Result<(), SinkError> {
        self.held.lock().expect("no panic").batches.remove(&batch);
        Ok(())
    }

    async fn uptime(&self) -> Result<Duration, SinkError> {
        let since = self.held.lock().expect("no panic").since;
        // It ran for an hour before the test began.
        Ok(since.map_or(Duration::from_secs(3600), |since| since.elapsed()))
    }
}

impl Storage {
    fn new(script: Script) -> Storage {
        Storage { script, calls: Arc::default(), counts: Arc::default(), held: Arc::default() }
    }

    fn rows(&self) -> Vec<Vec<u8>> {
        self.held.lock().expect("no panic").batches.values().flatten().cloned().collect()
    }
}

/// Appends rows in batches of ten, ships them through `script`, and gives back
/// what became of them. `between` changes storage once all is acknowledged; then
/// everything is counted again.
async fn ship_and(
    rows: u64,
    script: Script,
    between: impl FnOnce(&mut Held),
) -> (Storage, Arc<ShipMetrics>, Outlet, Arc<Counters>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let counters = Counters::new(["clinic"]);
    let site = counters.site("clinic");
    let options = Options {
        dir: dir.path().to_owned(),
        spools: 1,
        durability: Durability::Fsync,
        seal_interval: Duration::from_secs(3600),
        batch_rows: 10,
        max_bytes: 1 << 30,
    };
    let opened = spool::open(options, counters.clone()).expect("the spool opens");
    let (tell, told) = watch::channel(false);
    let storage = Storage::new(script);
    let metrics = Arc::new(ShipMetrics::default());
    let outlet = opened.outlet.clone();
    let pace = Pace { verify_every: Duration::from_millis(50), ..Pace::default() };
    let task = tokio::spawn(run_at(pace, opened.outlet, storage.clone(), metrics.clone(), told));
    for writer in opened.writers {
        for row in 0..rows {
            site.arrived();
            let sent = writer.append(&site, 1, |_, out| {
                out.extend_from_slice(b"\x06clinic");
                out.extend_from_slice(&row.to_le_bytes());
            });
            sent.expect("there is room").await.expect("it is kept");
        }
        tokio::task::spawn_blocking(move || writer.close()).await.expect("it closes");
    }
    settled(&outlet).await;
    let restarts = metrics.storage_restarts.load(Relaxed);
    let changed = {
        let mut held = storage.held.lock().expect("no panic");
        let before = held.since;
        between(&mut held);
        held.since != before
    };
    if changed {
        tokio::time::timeout(PATIENCE, async {
            while metrics.storage_restarts.load(Relaxed) == restarts {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the restart is seen");
    }
    settled(&outlet).await;
    tell.send(true).expect("the shipper runs");
    tokio::time::timeout(PATIENCE, task).await.expect("it ends in time").expect("it does not panic");
    // The directory may go: nothing of it is needed any more.
    (storage, metrics, outlet, counters)
}

async fn ship(rows: u64, script: Script) -> (Storage, Arc<ShipMetrics>, Outlet, Arc<Counters>) {
    ship_and(rows, script, |_| {}).await
}

/// Waits until nothing waits and all that was acknowledged is counted.
async fn settled(outlet: &Outlet) {
    let wait = async {
        loop {
            let backlog = outlet.backlog();
            if backlog.batches == 0 && backlog.unverified_batches == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("all is shipped and counted in time");
}

fn exactly_once(storage: &Storage, rows: u64) {
    let stored = storage.rows();
    let distinct: BTreeSet<&Vec<u8>> = stored.iter().collect();
    assert_eq!((stored.len() as u64, distinct.len() as u64), (rows, rows));
}

#[tokio::test]
async fn a_sound_storage_gets_each_batch_once() {
    let (storage, metrics, outlet, counters) = ship(95, |_| Answer::Stored).await;
    assert_eq!(storage.calls.load(Relaxed), 10);
    exactly_once(&storage, 95);
    assert_eq!(metrics.verified_batches.load(Relaxed), 10);
    assert_eq!((metrics.rows.load(Relaxed), metrics.batches.load(Relaxed)), (95, 10));
    assert!(metrics.last_success_ms.load(Relaxed) > 0);
    assert_eq!(outlet.backlog().rows, 0);
    assert_eq!(counters.site("clinic").counts().stored, 95);
}

#[tokio::test]
async fn errors_and_lost_answers_are_retried_under_the_same_token() {
    let (storage, metrics, _, counters) = ship(40, |call| match call % 4 {
        0 => Answer::Busy,
        1 => Answer::StoredUnknown,
        2 => Answer::Busy,
        _ => Answer::Stored,
    })
    .await;
    // Each batch took four tries, and storage holds it once.
    assert_eq!((storage.calls.load(Relaxed), metrics.retries.load(Relaxed)), (16, 12));
    exactly_once(&storage, 40);
    assert_eq!(storage.held.lock().expect("no panic").tokens.len(), 4);
    assert_eq!(counters.site("clinic").counts().stored, 40);
}

#[tokio::test]
async fn a_batch_that_storage_will_never_take_does_not_hold_up_the_others() {
    let (storage, metrics, outlet, counters) = ship(30, |call| match call {
        1 => Answer::Never,
        _ => Answer::Stored,
    })
    .await;
    assert_eq!(storage.calls.load(Relaxed), 3);
    assert_eq!((metrics.dead_batches.load(Relaxed), metrics.dead_rows.load(Relaxed)), (1, 10));
    let counts = counters.site("clinic").counts();
    assert_eq!((counts.stored, counts.waiting, outlet.backlog().dead_rows), (20, 10, 10));
}

#[tokio::test]
async fn a_storage_that_forgot_its_tokens_is_asked_what_it_has_before_anything_is_sent_again() {
    let (storage, metrics, _, counters) = ship(60, |call| match call {
        2 => Answer::StoredForgotten,
        _ => Answer::Stored,
    })
    .await;
    // The third batch was in, and was not sent again.
    assert_eq!((storage.calls.load(Relaxed), metrics.found_batches.load(Relaxed)), (6, 1));
    exactly_once(&storage, 60);
    assert_eq!(counters.site("clinic").counts().stored, 60);
}

#[tokio::test]
async fn a_batch_whose_token_was_taken_without_its_rows_goes_under_the_next_token() {
    let (storage, metrics, _, counters) = ship(60, |call| match call {
        2 => Answer::TokenOnly,
        _ => Answer::Stored,
    })
    .await;
    // Sent, swallowed and acknowledged, found missing, sent under another token.
    assert_eq!((storage.calls.load(Relaxed), metrics.mended_batches.load(Relaxed)), (8, 1));
    exactly_once(&storage, 60);
    let tokens =
        storage.held.lock().expect("no panic").tokens.keys().filter(|token| token.ends_with("-1")).count();
    assert_eq!(tokens, 1);
    assert_eq!(counters.site("clinic").counts().stored, 60);
}

#[tokio::test]
async fn what_a_crash_of_storage_lost_or_doubled_after_it_was_verified_is_mended() {
    let (storage, metrics, outlet, counters) = ship_and(
        80,
        |_| Answer::Stored,
        |held| {
            let ids: Vec<u64> = held.batches.keys().copied().collect();
            // One is lost with its token known, one lost with it, one doubled, one has a hole.
            held.batches.remove(&ids[1]);
            held.batches.remove(&ids[3]);
            held.tokens.clear();
            let doubled = held.batches[&ids[4]].clone();
            held.batches.entry(ids[4]).or_default().extend(doubled);
            held.batches.entry(ids[6]).or_default().truncate(7);
            held.since = Some(Instant::now());
        },
    )
    .await;
    assert_eq!(metrics.mended_batches.load(Relaxed), 4);
    exactly_once(&storage, 80);
    let counts = counters.site("clinic").counts();
    assert_eq!((counts.stored, counts.waiting, outlet.backlog().rows), (80, 0, 0));
}

#[test]
fn the_wait_doubles_up_to_its_bound_and_jitter_takes_at_most_half() {
    let backoff = |failures, jitter| Pace::default().backoff(failures, jitter);
    assert_eq!(backoff(0, 0.0), FIRST_BACKOFF);
    assert_eq!(backoff(3, 0.0), FIRST_BACKOFF * 8);
    assert_eq!(backoff(1000, 0.0), LONGEST_BACKOFF);
    assert_eq!(backoff(1000, 1.0), LONGEST_BACKOFF / 2);
    let mut last = Duration::ZERO;
    for failures in 0..40 {
        assert!(backoff(failures, 0.0) >= last);
        last = backoff(failures, 0.0);
    }
}

#[test]
fn an_error_is_cut_to_one_short_line() {
    assert_eq!(short("one\ntwo"), "one");
    assert_eq!(short(&"я".repeat(200)).len(), MAX_ERROR_BYTES);
    assert_eq!(short(""), "");
}
