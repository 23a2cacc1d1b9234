//! The shipper against storages that fail in every way.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::count::Counters;
use crate::spool::{self, Durability, Options};

/// What a made-up storage answers to the nth insert.
type Script = fn(usize) -> Answer;

enum Answer {
    Stored,
    /// The rows are in, the answer is lost.
    StoredUnknown,
    Busy,
    Never,
}

#[derive(Clone)]
struct Storage {
    script: Script,
    calls: Arc<AtomicUsize>,
    tokens: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Sink for Storage {
    async fn insert(&self, batch: &Batch) -> Result<(), SinkError> {
        let error = |retryable, code, text: &str| Err(SinkError { retryable, code, text: text.to_owned() });
        let keep = || {
            let before =
                self.tokens.lock().expect("no panic").insert(batch.token.clone(), batch.body().to_vec());
            assert!(before.is_none_or(|rows| rows == batch.body()), "the same token came with other rows");
        };
        match (self.script)(self.calls.fetch_add(1, Relaxed)) {
            Answer::Stored => {
                keep();
                Ok(())
            }
            Answer::StoredUnknown => {
                keep();
                error(true, 0, "the connection was cut")
            }
            Answer::Busy => error(true, 252, "too many parts\nwith a second line"),
            Answer::Never => error(false, 36, "a bad argument"),
        }
    }
}

impl Storage {
    fn new(script: Script) -> Storage {
        Storage { script, calls: Arc::default(), tokens: Arc::default() }
    }
}

/// Appends rows in batches of ten, ships them through `script`, and gives back
/// what became of them.
async fn ship(rows: u64, script: Script) -> (Storage, Arc<ShipMetrics>, Outlet, Arc<Counters>) {
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
    let task = tokio::spawn(run(opened.outlet, storage.clone(), metrics.clone(), told));
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
    let wait = async {
        while outlet.backlog().batches > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("all is shipped in time");
    tell.send(true).expect("the shipper runs");
    tokio::time::timeout(Duration::from_secs(60), task)
        .await
        .expect("it ends in time")
        .expect("it does not panic");
    // The directory may go: nothing of it is needed any more.
    (storage, metrics, outlet, counters)
}

#[tokio::test]
async fn a_sound_storage_gets_each_batch_once() {
    let (storage, metrics, outlet, counters) = ship(95, |_| Answer::Stored).await;
    assert_eq!(storage.calls.load(Relaxed), 10);
    assert_eq!(storage.tokens.lock().expect("no panic").len(), 10);
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
    let rows: usize = storage.tokens.lock().expect("no panic").values().map(|body| body.len() / 15).sum();
    assert_eq!((rows, storage.tokens.lock().expect("no panic").len()), (40, 4));
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

#[test]
fn the_wait_doubles_up_to_its_bound_and_jitter_takes_at_most_half() {
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
