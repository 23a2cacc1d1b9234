//! How stored hits come into the memory, and leave it.
//!
//! In: a storage, and what tells places ([`Eyes`]). Out: one [`Memory`] for each site, never
//! further behind storage than the time of a poll.
//!
//! - At the first look, and once a day, a memory is *made*: the hits of the window are
//!   read in the order of their times, in slices, the last [`TAIL_MS`] in one statement that
//!   also says of which batches they are.
//! - Then *followed*: which batches have hits of the last days is asked whenever a batch was
//!   shipped from here, and every [`POLL`] for those of other collectors; the hits of those
//!   that are new are read. A batch is stored whole or not at all, so none is read in part.
//! - With that question it is noticed, too, where another collector blocked or unblocked somebody,
//!   or rows of the last days have gone that were read: then the memory is made again
//!   ([`super::stock`]). What others take out of older days is known with the next making.
//! - Whoever is blocked or erased is *forgotten* at once, before the job ends, and their hits
//!   are not taken in while a reading is under way that may still see them ([`super::gone`]). The
//!   hits of others are made again afterwards, as after anything else that changes rows
//!   ([`Memories::changed`]).
//!
//! Who comes over the threshold with what is taken in or read by a making is told of
//! ([`super::watch`]), once a day also where a memory was made anew in between; whoever is out of order
//! some seconds later.
//!
//! While a memory is made anew the old one answers; before the first there is none, and that
//! is said. What came later than [`TAIL_MS`] after it happened (a spool that was without storage
//! for days) is taken in with the next making.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::alerts::{Alert, Alerts};
use super::gaze::{BROWSER, COLUMNS, Eyes, Gaze, TYPES};
use super::gone::{Gone, Subjects};
use super::memory::{DAY_MS, Memory, Shape, day};
use super::stock::{Blocks, Stock, Stored};
use super::watch::{Looked, Watch};
use crate::config::{Config, Fraud, Site};
use crate::query::Visible;
use crate::spool::Subject;
use crate::store::native::{self, Broken, Column, Reader};
use crate::store::{Limits, Param, Storage, StorageError};

/// Batches are known whose hits are not older than this.
pub const TAIL_MS: i64 = 2 * DAY_MS;
/// How often batches of other collectors are looked for.
pub const POLL: Duration = Duration::from_secs(30);
/// How often a memory is made anew, so that what is past its term leaves it.
pub const REMAKE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure, and after a change of rows: jobs come one after the other.
pub const REMAKE_PAUSE: Duration = Duration::from_secs(2);
/// A making is followed by another no sooner than so many times what it took.
const PAUSE_TIMES: u32 = 4;
/// Hits of one slice of the past: some tens of megabytes on their way.
const SLICE_HITS: u64 = 500_000;
/// What one statement of a making may take.
const READ_TIME: Duration = Duration::from_secs(300);
/// More batches than this in one statement are asked for in the next.
const MAX_BATCHES: usize = 500;
/// One thread of the engine: dashboards go first.
const SETTINGS: &[(&str, &str)] =
    &[("max_threads", "1"), ("max_block_size", "65536"), ("wait_end_of_query", "0")];

/// The memories of all sites.
pub struct Memories {
    storage: Storage,
    eyes: Eyes,
    sites: Mutex<HashMap<String, Arc<Followed>>>,
    /// Goes up with everything that changes rows but a new hit.
    changes: AtomicU64,
    due: Mutex<Due>,
    /// Something is due.
    woken: Notify,
    pub alerts: Alerts,
}

/// Which sites are to be looked after.
#[derive(Default)]
pub struct Due {
    all: bool,
    /// Those of which a batch was shipped.
    sites: HashSet<String>,
}

/// One site.
#[derive(Default)]
struct Followed {
    /// Empty before the first making.
    memory: RwLock<Memory>,
    progress: Mutex<Progress>,
    /// Who was forgotten while a reading may still see them.
    gone: Mutex<Gone>,
}

#[derive(Default)]
struct Progress {
    stock: Stock,
    /// Visitors who are to be looked at: with new hits, or once it is settled in which order those came.
    to_look_at: HashSet<u64>,
    /// [`Memories::changes`] when the memory was made.
    made_at: u64,
    made: Option<Instant>,
    shape: Option<(Shape, u32)>,
    failed: Option<Instant>,
    /// How long the last making took.
    took: Duration,
}

/// What is said of a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct State {
    /// Whether there is one.
    pub ready: bool,
    pub visitors: usize,
    pub addresses: usize,
    pub user_keys: usize,
    pub hits: u64,
    /// The latest hit in it, in milliseconds; 0 before the first.
    pub until_ms: i64,
    pub made_in_ms: u64,
}

/// Which hits are read.
enum Part<'a> {
    Between(i64, i64),
    /// Those of the tail that are of these batches.
    Of(&'a [u64]),
}

// === impl Due ===

impl Due {
    pub fn has_all(&self) -> bool {
        self.all
    }

    pub fn has(&self, site: &str) -> bool {
        self.all || self.sites.contains(site)
    }
}

// === impl Memories ===

impl Memories {
    /// `begun`: when this process did; alerts are numbered from it on.
    pub fn new(storage: Storage, eyes: Eyes, begun: Timestamp) -> Memories {
        Memories {
            storage,
            eyes,
            sites: Mutex::default(),
            changes: AtomicU64::new(0),
            due: Mutex::default(),
            woken: Notify::new(),
            alerts: Alerts::new(begun),
        }
    }

    /// Looks at the memory of a site; an empty one before it was made.
    pub fn look<T>(&self, site: &str, look: impl FnOnce(&Memory) -> T) -> T {
        let followed = self.followed(site);
        let memory = followed.memory.read().unwrap_or_else(PoisonError::into_inner);
        look(&memory)
    }

    pub fn state(&self, site: &str) -> State {
        let (ready, made_in) = {
            let followed = self.followed(site);
            let progress = held(&followed.progress);
            (progress.made.is_some(), progress.took)
        };
        self.look(site, |memory| {
            let [visitors, addresses, user_keys] = memory.sizes();
            State {
                ready,
                visitors,
                addresses,
                user_keys,
                hits: memory.hits,
                until_ms: memory.until,
                made_in_ms: u64::try_from(made_in.as_millis()).unwrap_or(u64::MAX),
            }
        })
    }

    /// Forgets sites that are not configured any more.
    pub fn keep(&self, sites: &[Site]) {
        held(&self.sites).retain(|id, _| sites.iter().any(|site| site.id == *id));
    }

    /// Hits of a site were stored by this process.
    pub fn shipped(&self, site: &str) {
        held(&self.due).sites.insert(site.to_owned());
        self.woken.notify_one();
    }

    /// Returns when something was shipped or changed, or all sites are to be looked after anyway.
    pub async fn wait(&self, until: Instant) -> Due {
        let woken = tokio::time::timeout_at(until.into(), self.woken.notified()).await;
        let mut due = std::mem::take(&mut *held(&self.due));
        due.all |= woken.is_err();
        due
    }

    /// Something but a new hit changes rows: what was made before is to be made again.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
        held(&self.due).all = true;
        self.woken.notify_one();
    }

    /// The rows of these are about to go: nobody of them is in a memory when this returns, nor comes into
    /// one before they have been [forgotten](Memories::forget).
    pub fn begin_to_forget<'a>(&self, subjects: impl Iterator<Item = (&'a str, Subject)>) {
        self.take_out(subjects, Gone::leave);
    }

    /// The rows of these have gone, or are hidden: nobody of them is in a memory when this returns, nor comes
    /// into one by a reading that began before.
    pub fn forget<'a>(&self, subjects: impl Iterator<Item = (&'a str, Subject)>) {
        self.take_out(subjects, Gone::have_left);
        self.changed();
    }

    fn take_out<'a>(
        &self,
        subjects: impl Iterator<Item = (&'a str, Subject)>,
        note: fn(&mut Gone, &Subjects),
    ) {
        let mut by_site: HashMap<&str, Subjects> = HashMap::new();
        for (site, subject) in subjects {
            by_site.entry(site).or_default().insert(subject);
        }
        for (site, subjects) in by_site {
            let followed = self.followed(site);
            note(&mut held(&followed.gone), &subjects);
            followed.memory.write().unwrap_or_else(PoisonError::into_inner).forget(&subjects);
            self.alerts.forget(site, |subject| subjects.visitors.contains(&subject));
        }
    }

    /// Looks after one site: makes its memory, or takes in what is new. Returns whether it is to be
    /// looked after again soon: to be made again, which it was too early for, or to look at somebody.
    pub async fn tend(&self, config: &Config, site: &Site, now: Timestamp) -> Result<bool, StorageError> {
        let followed = self.followed(&site.id);
        let shape = (shape(&config.fraud), config.fraud.window_days);
        let changes = self.changes.load(Relaxed);
        let (is_due, is_pending) = {
            let progress = held(&followed.progress);
            let is_old = progress.made.is_none_or(|made| made.elapsed() > REMAKE_EVERY);
            let is_other = progress.made_at != changes
                || progress.stock.is_stale()
                || progress.shape.as_ref() != Some(&shape);
            let is_early = [progress.made, progress.failed]
                .into_iter()
                .flatten()
                .any(|then| then.elapsed() < REMAKE_PAUSE.max(progress.took * PAUSE_TIMES));
            let is_due = is_old && progress.failed.is_none() || (is_old || is_other) && !is_early;
            (is_due, is_other && !is_due)
        };
        if is_due {
            let begun = Instant::now();
            let watch = self.watch(config, site);
            let made = self.make(&followed, &watch, &shape, changes, now).await;
            {
                let mut progress = held(&followed.progress);
                (progress.failed, progress.took) = (made.is_err().then_some(begun), begun.elapsed());
            }
            made?;
        }
        let caught_up = self.catch_up(&followed, config, site, now).await;
        self.look_at_new(&followed, &self.watch(config, site), now);
        caught_up?;
        let progress = held(&followed.progress);
        Ok(is_pending || progress.stock.is_stale() || !progress.to_look_at.is_empty())
    }

    /// Tells of those who are to be looked at and have come over the threshold. Of whom it is not settled yet
    /// are to be looked at again: visitors of the memory, so no more than it has.
    fn look_at_new(&self, followed: &Followed, watch: &Watch, now: Timestamp) {
        let subjects = std::mem::take(&mut held(&followed.progress).to_look_at);
        if subjects.is_empty() {
            return;
        }
        // In the order of their numbers, whatever the set's is.
        let mut subjects: Vec<u64> = subjects.into_iter().collect();
        subjects.sort_unstable();
        let mut memory = followed.memory.write().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            match watch.look(&memory, subject, now.as_millisecond()) {
                Looked::Nothing => {}
                Looked::Unsettled => {
                    held(&followed.progress).to_look_at.insert(subject);
                }
                Looked::Over(alert) => self.tell(alert, &mut memory),
            }
        }
    }

    async fn make(
        &self,
        followed: &Followed,
        watch: &Watch<'_>,
        shape: &(Shape, u32),
        changes: u64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (begun, site) = (Instant::now(), watch.site.id.as_str());
        held(&followed.gone).begin_reading();
        let blocks = self.blocks(site).await?;
        let (now, days) = (now.as_millisecond(), i64::from(shape.1));
        let (first, tail) = (now - days * DAY_MS, now - TAIL_MS.min(days * DAY_MS));
        let mut memory = Memory::new(shape.0.clone());
        memory.note_leaving(self.alerts.subjects(site));
        for (from, to) in self.slices(site, first, tail).await? {
            let part = Part::Between(from, to);
            (memory, _) = self.read(followed, site, &shape.0, memory, part).await?;
        }
        let part = Part::Between(tail, i64::MAX);
        let (mut memory, batches) = self.read(followed, site, &shape.0, memory, part).await?;
        memory.keep_told(&followed.memory.read().unwrap_or_else(PoisonError::into_inner));
        let (alerts, unsettled) = watch.look_at_all(&memory, now);
        let mut place = followed.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.forget(&held(&followed.gone).all());
        for alert in alerts {
            self.tell(alert, &mut memory);
        }
        // Whom another collector blocked or erased, and who is past the window; not who made room.
        self.alerts.forget(site, |subject| memory.visitor(subject).is_none() && !memory.has_left(subject));
        let [visitors, addresses, user_keys] = memory.sizes();
        let (hits, took_ms) = (memory.hits, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        *place = memory;
        let mut progress = held(&followed.progress);
        progress.stock = Stock::made(batches, blocks);
        progress.to_look_at = unsettled.into_iter().collect();
        (progress.made_at, progress.made) = (changes, Some(Instant::now()));
        progress.shape = Some(shape.clone());
        tracing::info!(
            site,
            hits,
            visitors,
            addresses,
            user_keys,
            took_ms,
            "the memory for fraud checks is made"
        );
        Ok(())
    }

    /// Takes in the hits of batches that are new, and looks whether others are as they were.
    async fn catch_up(
        &self,
        followed: &Followed,
        config: &Config,
        of: &Site,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (site, shape, watch) = (of.id.as_str(), shape(&config.fraud), self.watch(config, of));
        held(&followed.gone).begin_reading();
        let tail = now.as_millisecond() - TAIL_MS;
        let sql = format!(
            "SELECT batch, count(), toUnixTimestamp64Milli(min(time)) FROM {}.hits WHERE site = {{site:String}} \
             AND time >= fromUnixTimestamp64Milli({{from:Int64}}) GROUP BY batch",
            self.storage.database()
        );
        let params =
            [("site".to_owned(), Param::Text(site.to_owned())), ("from".to_owned(), Param::Number(tail))];
        let rows = self.storage.json(&sql, &params, &Limits::default()).await?;
        let there: HashMap<u64, Stored> = rows.iter().filter_map(|row| Stored::of(row)).collect();
        let blocks = self.blocks(site).await?;
        let new = held(&followed.progress).stock.compare(&there, tail, blocks);
        for some in new.chunks(MAX_BATCHES) {
            let visible = self.visible(site).await?;
            let blocks = self.rows(site, &shape, visible, Part::Of(some), |reader| {
                let mut blocks = Vec::new();
                while let Some(block) = reader.block(TYPES)? {
                    blocks.push(block);
                }
                Ok(blocks)
            });
            let blocks = blocks.await?;
            let mut memory = followed.memory.write().unwrap_or_else(PoisonError::into_inner);
            let mut gaze = Gaze::new(&self.eyes, site, held(&followed.gone).clone());
            for block in &blocks {
                gaze.take(block, &mut memory).map_err(unreadable)?;
                if let Some(Column::UInt64(browsers)) = block.get(BROWSER) {
                    held(&followed.progress).to_look_at.extend(browsers);
                }
            }
            held(&followed.progress).stock.take_in(some, &there);
            drop(memory);
            self.look_at_new(followed, &watch, now);
        }
        Ok(())
    }

    /// Whoever was forgotten meanwhile is not told of.
    fn tell(&self, alert: Alert, memory: &mut Memory) {
        if let Some(visitor) = memory.visitor_mut(alert.subject) {
            visitor.told = day(alert.at_ms);
            self.alerts.tell(alert);
        }
    }

    fn watch<'a>(&self, config: &'a Config, site: &'a Site) -> Watch<'a> {
        let knows_networks = self.eyes.enricher.places().knows_networks();
        Watch { config: &config.fraud, site, knows_networks }
    }

    /// Reads a part into a memory that nobody looks at yet; says of which batches it was.
    async fn read(
        &self,
        followed: &Followed,
        site: &str,
        shape: &Shape,
        mut memory: Memory,
        part: Part<'_>,
    ) -> Result<(Memory, HashSet<u64>), StorageError> {
        let visible = self.visible(site).await?;
        let mut gaze = Gaze::new(&self.eyes, site, held(&followed.gone).clone());
        self.rows(site, shape, visible, part, move |reader| {
            let mut batches = HashSet::new();
            while let Some(block) = reader.block(TYPES)? {
                if let Some(Column::UInt64(of)) = block.first() {
                    batches.extend(of.iter().copied());
                }
                gaze.take(&block, &mut memory)?;
            }
            Ok((memory, batches))
        })
        .await
    }

    async fn rows<T: Send + 'static>(
        &self,
        site: &str,
        shape: &Shape,
        visible: Visible<'_>,
        part: Part<'_>,
        read: impl FnOnce(&mut Chunks) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, StorageError> {
        let pages = shape.orders.iter().flat_map(|order| [order.before.clone(), order.after.clone()]);
        let mut params = vec![
            ("site".to_owned(), Param::Text(site.to_owned())),
            ("pages".to_owned(), Param::Texts(pages.collect())),
        ];
        let condition = match part {
            Part::Between(from, to) => {
                params.push(("from".to_owned(), Param::Number(from)));
                params.push(("to".to_owned(), Param::Number(to.min(FAR_MS))));
                "time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64})"
            }
            Part::Of(batches) => {
                params.push(("batches".to_owned(), Param::Numbers(batches.to_vec())));
                "has({batches:Array(UInt64)}, batch)"
            }
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM {}.hits WHERE site = {{site:String}} AND {condition}{} ORDER BY time, batch, row",
            self.storage.database(),
            visible.condition()
        );
        let limits = Limits { time: READ_TIME, result_rows: u64::MAX, ..Limits::default() };
        let answer = native::read(&self.storage, &sql, &params, &limits, SETTINGS, move |mut chunks| {
            read(&mut Reader::new(Box::new(std::iter::from_fn(move || chunks.blocking_recv()))))
        });
        answer.await?.map_err(unreadable)
    }

    /// The past in slices of bounded size, by how many hits its days have.
    async fn slices(&self, site: &str, first: i64, end: i64) -> Result<Vec<(i64, i64)>, StorageError> {
        let sql = format!(
            "SELECT intDiv(toUnixTimestamp64Milli(time), {DAY_MS}) AS day, count() FROM {}.hits \
             WHERE site = {{site:String}} AND time >= fromUnixTimestamp64Milli({{from:Int64}}) \
             AND time < fromUnixTimestamp64Milli({{to:Int64}}) GROUP BY day ORDER BY day",
            self.storage.database()
        );
        let params = [
            ("site".to_owned(), Param::Text(site.to_owned())),
            ("from".to_owned(), Param::Number(first)),
            ("to".to_owned(), Param::Number(end)),
        ];
        let limits = Limits { time: READ_TIME, ..Limits::default() };
        let mut slices = Vec::new();
        for row in self.storage.json(&sql, &params, &limits).await? {
            let (Some(day), Some(hits)) = (row[0].as_i64(), row[1].as_u64()) else { continue };
            let parts = hits.div_ceil(SLICE_HITS).cast_signed().max(1);
            let at = |part: i64| (day * DAY_MS + DAY_MS * part / parts).clamp(first, end);
            slices.extend((0..parts).map(|part| (at(part), at(part + 1))));
        }
        Ok(slices)
    }

    async fn blocks(&self, site: &str) -> Result<Blocks, StorageError> {
        let sql = format!(
            "SELECT count(), groupBitXor(cityHash64(toInt8(kind), subject)) FROM {}.blocked WHERE site = {{site:String}}",
            self.storage.database()
        );
        let params = [("site".to_owned(), Param::Text(site.to_owned()))];
        let rows = self.storage.json(&sql, &params, &Limits::default()).await?;
        let number = |column: usize| rows.first().and_then(|row| row.get(column)?.as_u64());
        Ok((number(0).unwrap_or_default(), number(1).unwrap_or_default()))
    }

    async fn visible(&self, site: &str) -> Result<Visible<'_>, StorageError> {
        Ok(match self.storage.has_blocks(site).await? {
            true => Visible::unblocked(self.storage.database()),
            false => Visible::all(self.storage.database()),
        })
    }

    fn followed(&self, site: &str) -> Arc<Followed> {
        held(&self.sites).entry(site.to_owned()).or_default().clone()
    }

    pub fn eyes(&self) -> &Eyes {
        &self.eyes
    }
}

/// What rows come through.
type Chunks = Reader<Box<dyn Iterator<Item = Bytes> + Send>>;

/// Later than every hit: what `DateTime64(3)` holds ends in 2299.
const FAR_MS: i64 = 10_000_000_000_000;

/// The bounds of a memory, and what it watches, as configured.
pub fn shape(fraud: &Fraud) -> Shape {
    Shape {
        most: fraud.max_visitors as usize,
        orders: fraud.page_order.clone(),
        km_per_hour: fraud.speed_km_per_hour,
        km: fraud.speed_km,
        burst_pages: fraud.pages_per_ten_minutes,
    }
}

fn unreadable(error: Broken) -> StorageError {
    StorageError::Unreadable(error.to_string())
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
