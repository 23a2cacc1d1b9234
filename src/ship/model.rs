//! Spool and shipper together against a model: random runs of append, seal, ship
//! (well, with an error, with an unknown outcome, broken off), storage lost and
//! started again, erasure, dead letters, kill and reopen. After each step every
//! row is in one state and no erased row is in storage; at the end each answered
//! row that was not erased is in storage exactly once.
//!
//! Storage is modelled with what makes ClickHouse dangerous: it recognises tokens,
//! and a crash may lose rows, tokens, both or either, of everything that the spool
//! has not released yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};

use super::*;
use crate::count::{Counters, SiteCounters};
use crate::spool::{self, Durability, MIN_SEGMENT_BYTES, Options, Subject, Tombstone, Tuning, Writer};
use crate::store::row::{COLUMNS_VERSION, Head, Row};

/// Steps in all, in CI and with `METKA_SOAK=1`.
const STEPS: u64 = 100_000;
const SOAK_STEPS: u64 = 1_000_000;
const STEPS_PER_RUN: usize = 60;
/// Few, so that an erasure meets many rows.
const VISITORS: u64 = 6;
/// January 2026; the spool is only told that months differ.
const MONTH: u32 = 2026 * 12 + 1;

#[derive(Clone, Debug)]
enum Step {
    Append {
        rows: u8,
        length: u16,
        month: u8,
    },
    /// Inserts with these fates, and then well.
    Ship(Vec<Fate>),
    /// What was acknowledged is counted.
    Verify,
    /// Storage is started again, having lost something.
    StorageLoss(Loss),
    Erase {
        visitor: u8,
    },
    Replay,
    Kill {
        tail: u8,
    },
    Reopen,
}

/// What becomes of one insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing is stored; an error says so.
    Busy,
    /// Stored, and the answer is lost.
    Unknown,
    /// Stored or not, and no answer ever comes: the shipper ends meanwhile.
    Hangs {
        stored: bool,
    },
    Never,
}

/// What a crash of storage takes with it.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Nothing,
    /// Its log of tokens.
    Tokens,
    /// The rows of some batches; the tokens stay.
    Rows {
        which: u8,
    },
    Both {
        which: u8,
    },
}

/// Storage.
#[derive(Default)]
struct World {
    tokens: BTreeSet<String>,
    batches: BTreeMap<u64, Vec<Vec<u8>>>,
    fates: VecDeque<Fate>,
    lives: u64,
    hung: bool,
}

#[derive(Clone, Default)]
struct Sound(Arc<Mutex<World>>);

/// What happened in all runs.
#[derive(Default)]
struct Tally {
    steps: AtomicU64,
    rows: AtomicU64,
    erased: AtomicU64,
    kills: AtomicU64,
    losses: AtomicU64,
    unknown: AtomicU64,
    found: AtomicU64,
    mended: AtomicU64,
    replayed: AtomicU64,
}

/// A collector's back half.
struct Rig {
    writer: Writer,
    site: Arc<SiteCounters>,
    outlet: Outlet,
    shipper: Shipper<Sound>,
    metrics: Arc<ShipMetrics>,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Busy),
        3 => Just(Fate::Unknown),
        2 => any::<bool>().prop_map(|stored| Fate::Hangs { stored }),
        1 => Just(Fate::Never),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let loss = prop_oneof![
        1 => Just(Loss::Nothing),
        1 => Just(Loss::Tokens),
        1 => any::<u8>().prop_map(|which| Loss::Rows { which }),
        1 => any::<u8>().prop_map(|which| Loss::Both { which }),
    ];
    prop_oneof![
        10 => (1..30u8, 0..1200u16, 0..2u8).prop_map(|(rows, length, month)| Step::Append { rows, length, month }),
        8 => proptest::collection::vec(fate(), 0..3).prop_map(Step::Ship),
        3 => Just(Step::Verify),
        1 => loss.prop_map(Step::StorageLoss),
        1 => (0..VISITORS as u8).prop_map(|visitor| Step::Erase { visitor }),
        1 => Just(Step::Replay),
        1 => any::<u8>().prop_map(|tail| Step::Kill { tail }),
        1 => Just(Step::Reopen),
    ]
}

// === impl Sound ===

impl Sound {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Sink for Sound {
    async fn insert(&self, batch: &Batch) -> Result<(), SinkError> {
        let error = |retryable| Err(SinkError { retryable, code: 0, text: "as told".to_owned() });
        let fate = {
            let mut world = self.world();
            let fate = world.fates.pop_front();
            let stores = match fate {
                None | Some(Fate::Unknown) => true,
                Some(Fate::Hangs { stored }) => stored,
                Some(Fate::Busy | Fate::Never) => false,
            };
            if stores && world.tokens.insert(batch.token.clone()) {
                let rows = batch.payloads().map(<[u8]>::to_vec);
                world.batches.entry(batch.id).or_default().extend(rows);
            }
            world.hung |= matches!(fate, Some(Fate::Hangs { .. }));
            fate
        };
        match fate {
            None => Ok(()),
            Some(Fate::Busy | Fate::Unknown) => error(true),
            Some(Fate::Never) => error(false),
            Some(Fate::Hangs { .. }) => std::future::pending().await,
        }
    }

    async fn count(&self, batches: &[Unverified]) -> Result<BTreeMap<u64, Found>, SinkError> {
        let world = self.world();
        let held = batches.iter().filter_map(|one| Some((one.id, world.batches.get(&one.id)?)));
        Ok(held
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(id, rows)| {
                let distinct = rows.iter().collect::<BTreeSet<_>>().len() as u64;
                (id, Found { rows: rows.len() as u64, distinct })
            })
            .collect())
    }

    async fn remove(&self, batch: u64) -> Result<(), SinkError> {
        self.world().batches.remove(&batch);
        Ok(())
    }

    async fn uptime(&self) -> Result<Duration, SinkError> {
        // Each life is an hour younger than the one before.
        Ok(Duration::from_secs(3600 * (10_000 - self.world().lives)))
    }
}

// === impl Rig ===

impl Rig {
    fn open(dir: &Path, settle: Duration, storage: &Sound) -> Rig {
        let counters = Counters::new(["clinic"]);
        let options = Options {
            dir: dir.to_owned(),
            spools: 1,
            durability: Durability::Fsync,
            seal_interval: Duration::from_secs(3600),
            batch_rows: 20,
            max_bytes: 1 << 30,
        };
        let tuning = Tuning { segment_bytes: Some(MIN_SEGMENT_BYTES), settle, ..Tuning::default() };
        let opened = spool::open_with(options, tuning, counters.clone()).expect("the spool opens");
        assert_eq!(opened.report.damaged_places, 0, "{:?}", opened.report);
        let metrics = Arc::new(ShipMetrics::default());
        let pace = Pace {
            first_backoff: Duration::from_micros(10),
            longest_backoff: Duration::from_micros(10),
            ..Pace::default()
        };
        Rig {
            writer: opened.writers.into_iter().next().expect("one writer"),
            site: counters.site("clinic"),
            outlet: opened.outlet.clone(),
            shipper: Shipper::new(pace, opened.outlet, storage.clone(), metrics.clone()),
            metrics,
        }
    }

    /// Delivers the next batch, unless the insert hangs: then the shipper ends.
    async fn ship(&mut self, storage: &Sound) -> bool {
        let Some(batch) = self.outlet.try_next().expect("it reads") else { return false };
        storage.world().hung = false;
        let hung = async {
            while !storage.world().hung {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = self.shipper.deliver(batch) => {}
            () = hung => {}
        }
        true
    }
}

/// The number of a row, which stands where a user key would.
fn number_of(payload: &[u8]) -> u64 {
    Head::of(payload, COLUMNS_VERSION).expect("a row").user_key
}

/// In memory where there is enough: this is about steps, not about disks.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    let made = if room > 1 << 30 { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

fn run(steps: &[Step], settle: Duration, tally: &Tally) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut dir = scratch();
        let storage = Sound::default();
        let mut rig = Rig::open(dir.path(), settle, &storage);
        // By number: whose the row is, and whether it was erased.
        let mut answered: Vec<(u64, bool)> = Vec::new();
        for step in steps {
            tally.steps.fetch_add(1, Relaxed);
            match step {
                Step::Append { rows, length, month } => {
                    let filler = "x".repeat(usize::from(*length));
                    let mut tickets = Vec::new();
                    for _ in 0..*rows {
                        let number = answered.len() as u64;
                        let visitor = 1 + number % VISITORS;
                        // The clock of the rows counts rows: an erasure covers those before it.
                        let row = Row {
                            visitor,
                            user_key: number,
                            path: &filler,
                            ..Row::blank("clinic", number as i64)
                        };
                        rig.site.arrived();
                        let sent = rig
                            .writer
                            .append(&rig.site, MONTH + u32::from(*month), |id, out| row.encode(id, out));
                        tickets.push(sent.expect("there is room"));
                        answered.push((visitor, false));
                    }
                    for ticket in tickets {
                        ticket.await.expect("it is kept");
                    }
                    tally.rows.fetch_add(u64::from(*rows), Relaxed);
                }
                Step::Ship(fates) => {
                    storage.world().fates = fates.iter().copied().collect();
                    rig.ship(&storage).await;
                    let left = std::mem::take(&mut storage.world().fates).len();
                    let used = &fates[..fates.len() - left];
                    tally.unknown.fetch_add(
                        used.iter().filter(|fate| **fate == Fate::Unknown).count() as u64,
                        Relaxed,
                    );
                }
                Step::Verify => rig.shipper.verify().await,
                Step::StorageLoss(loss) => {
                    // Only what the spool still has may be lost: the rest has been written down.
                    let kept: BTreeSet<u64> = match settle.is_zero() {
                        true => rig.outlet.unverified(usize::MAX).iter().map(|one| one.id).collect(),
                        false => storage.world().batches.keys().copied().collect(),
                    };
                    let mut world = storage.world();
                    world.lives += 1;
                    tally.losses.fetch_add(1, Relaxed);
                    let mut lose_rows = |which: u8| {
                        for (at, id) in kept.iter().enumerate() {
                            if which >> (at % 8) & 1 == 1 {
                                world.batches.remove(id);
                            }
                        }
                    };
                    match loss {
                        Loss::Nothing => {}
                        Loss::Tokens => world.tokens.clear(),
                        Loss::Rows { which } => lose_rows(*which),
                        Loss::Both { which } => {
                            lose_rows(*which);
                            world.tokens.clear();
                        }
                    }
                }
                Step::Erase { visitor } => {
                    let visitor = 1 + u64::from(*visitor);
                    let before_ms = answered.len() as i64;
                    let subject = Subject::Visitor(visitor);
                    let tombstone =
                        Tombstone { site: "clinic".to_owned(), subject, before_ms, made_ms: before_ms };
                    rig.outlet.erase(&[tombstone], &[]).expect("it is written");
                    for (of, erased) in answered.iter_mut().filter(|(of, _)| *of == visitor) {
                        debug_assert_eq!(*of, visitor);
                        tally.erased.fetch_add(u64::from(!*erased), Relaxed);
                        *erased = true;
                    }
                    let mut world = storage.world();
                    for rows in world.batches.values_mut() {
                        rows.retain(|row| !answered[number_of(row) as usize].1);
                    }
                }
                Step::Replay => {
                    let replayed = rig.outlet.replay(None).expect("it reads");
                    tally.replayed.fetch_add(replayed, Relaxed);
                }
                Step::Kill { tail } => {
                    tally.kills.fetch_add(1, Relaxed);
                    let copy = scratch();
                    spool::copy_as_killed(dir.path(), copy.path(), *tail);
                    tally.take(&rig);
                    drop(rig);
                    dir = copy;
                    rig = Rig::open(dir.path(), settle, &storage);
                }
                Step::Reopen => {
                    tally.take(&rig);
                    drop(rig);
                    rig = Rig::open(dir.path(), settle, &storage);
                }
            }
            let counts = rig.site.counts();
            assert_eq!(counts.stored + counts.waiting, answered.len() as u64, "{step:?}");
            let world = storage.world();
            let brought_back =
                world.batches.values().flatten().filter(|row| answered[number_of(row) as usize].1).count();
            assert_eq!(brought_back, 0, "{step:?}");
        }
        finish(rig, &storage, &answered, tally).await;
    });
}

/// Ships and counts all that is left, and compares storage with what was answered.
async fn finish(rig: Rig, storage: &Sound, answered: &[(u64, bool)], tally: &Tally) {
    let Rig { writer, site, outlet, shipper, metrics } = rig;
    writer.close();
    let mut shipper = shipper;
    outlet.replay(None).expect("it reads");
    loop {
        shipper.verify().await;
        let Some(batch) = outlet.try_next().expect("it reads") else {
            if outlet.backlog().unverified_batches == 0 {
                break;
            }
            continue;
        };
        shipper.deliver(batch).await;
    }
    tally.found.fetch_add(metrics.found_batches.load(Relaxed), Relaxed);
    tally.mended.fetch_add(metrics.mended_batches.load(Relaxed), Relaxed);
    let mut stored: Vec<u64> = storage.world().batches.values().flatten().map(|row| number_of(row)).collect();
    stored.sort_unstable();
    let wanted: Vec<u64> =
        (0..).zip(answered).filter(|(_, (_, erased))| !erased).map(|(number, _)| number).collect();
    assert_eq!(stored, wanted, "what is stored, and what was answered and not erased");
    let counts = site.counts();
    assert_eq!((counts.stored, counts.waiting, outlet.backlog().dead_rows), (answered.len() as u64, 0, 0));
}

// === impl Tally ===

impl Tally {
    fn take(&self, rig: &Rig) {
        self.found.fetch_add(rig.metrics.found_batches.load(Relaxed), Relaxed);
        self.mended.fetch_add(rig.metrics.mended_batches.load(Relaxed), Relaxed);
    }
}

#[test]
fn every_answered_row_that_is_not_erased_is_stored_exactly_once() {
    let wanted = if std::env::var_os("METKA_SOAK").is_some() { SOAK_STEPS } else { STEPS };
    let tally = Tally::default();
    let strategy = (proptest::collection::vec(step(), STEPS_PER_RUN), any::<bool>());
    let config = Config { cases: 1, max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (tally, strategy, config) = (&tally, &strategy, config.clone());
            scope.spawn(move || {
                let mut run_number = 0u64;
                while tally.steps.load(Relaxed) < wanted {
                    // Each run has a seed of its own, which a failure names.
                    let mut seed = [0; 32];
                    seed[..8].copy_from_slice(&(run_number * threads + thread).to_le_bytes());
                    run_number += 1;
                    let rng = TestRng::from_seed(config.rng_algorithm, &seed);
                    let mut runner = TestRunner::new_with_rng(config.clone(), rng);
                    let outcome = runner.run(strategy, |(steps, settles)| {
                        let settle = if settles { Duration::from_secs(3600) } else { Duration::ZERO };
                        run(&steps, settle, tally);
                        Ok(())
                    });
                    outcome.unwrap_or_else(|error| panic!("run {run_number} of thread {thread}: {error}"));
                }
            });
        }
    });
    let read = |counter: &AtomicU64| counter.load(Relaxed);
    println!(
        "model: {} steps, {} rows, {} erased; {} kills, {} losses of storage, {} unknown outcomes; {} batches found in storage, {} mended, {} dead letters replayed; 0 violations",
        read(&tally.steps),
        read(&tally.rows),
        read(&tally.erased),
        read(&tally.kills),
        read(&tally.losses),
        read(&tally.unknown),
        read(&tally.found),
        read(&tally.mended),
        read(&tally.replayed),
    );
    for (what, counter) in [
        ("kill", &tally.kills),
        ("loss", &tally.losses),
        ("unknown outcome", &tally.unknown),
        ("batch found in storage", &tally.found),
        ("mended batch", &tally.mended),
        ("erased row", &tally.erased),
        ("replayed dead letter", &tally.replayed),
    ] {
        assert!(read(counter) > 0, "there was no {what}");
    }
}
