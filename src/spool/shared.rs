//! What the threads of one open spool share: for each spool a *book* (its
//! segments, the batches that wait, what is done with), the bytes in use, and
//! the checkpoint made of the books.
//!
//! Lock order: `totals`, then one book's `state` or `replays`, then `dead`. Hit threads take none.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};

use super::checkpoint::{Checkpoint, Mark, Node, SiteTotals};
use super::disk::{Disk, datasync, is_no_space, write_zeros};
use super::keeper::Job;
use super::letter::{self, DEAD_LETTERS, Letter, letter_path, letters_dir};
use super::record::{BatchOpen, BatchSeal, SegmentHeader};
use super::recover::{quarantine, set_aside, tell};
use super::{Durability, Kept, Seen, SpoolError, Tombstones, WhoIsKept};
use crate::count::{Counters, SiteCounters};

/// Set aside so that a checkpoint can be written, and thereby space be freed, on
/// a disk that is full to the last block: more than the largest checkpoint.
const RESERVE_BYTES: u64 = 256 << 10;

pub(super) struct Shared {
    pub dir: PathBuf,
    pub node: Node,
    pub disk: Arc<dyn Disk>,
    pub counters: Arc<Counters>,
    pub seen: Arc<Seen>,
    pub durability: Durability,
    pub seal_interval: Duration,
    pub batch_rows: u32,
    pub max_bytes: u64,
    pub segment_bytes: u64,
    /// Bytes of records in segments that are not released.
    pub used: AtomicU64,
    /// The dead letters, by batch id.
    pub dead: Mutex<BTreeMap<u64, Buried>>,
    /// Rows found damaged, by recovery and since.
    pub damaged_rows: AtomicU64,
    pub books: BTreeMap<u16, Book>,
    /// Rung when a batch was sealed or came back.
    pub sealed: Notify,
    pub failure: Failure,
    pub keeper: mpsc::Sender<Job>,
    /// Acknowledged rows per site over the life of the data directory.
    pub totals: Mutex<BTreeMap<String, u64>>,
    /// How long a verified batch stays in the spool after its acknowledgement.
    pub settle: Duration,
    /// What storage acknowledged before this has been written down by its machine.
    pub flushed: Mutex<Option<Instant>>,
    /// The disk had no room for the last group.
    pub disk_full: AtomicBool,
    /// While anybody holds this, no segment is released.
    pub holds: AtomicU32,
    pub tombstones: RwLock<Arc<Tombstones>>,
    /// Who is kept past their terms; nobody, if nothing is there to ask.
    pub kept: Mutex<Option<Arc<WhoIsKept>>>,
    /// Dead letters that are sent again, by batch id, until their files are gone.
    pub replays: Mutex<BTreeMap<u64, Held>>,
    /// The checkpoint as it is on the disk, if it was written in this process.
    pub written: Mutex<Option<Checkpoint>>,
    /// Held while the spool is open.
    pub _lock: File,
}

/// Whether the disk has failed: nothing is acknowledged from then on.
#[derive(Clone)]
pub(super) struct Failure {
    /// Why, for whoever ends the process.
    pub why: watch::Sender<Option<String>>,
    /// The same, for the hit path.
    failed: Arc<AtomicBool>,
}

/// One spool's book.
#[derive(Default)]
pub(super) struct Book {
    pub state: Mutex<BookState>,
    /// A zeroed segment, ready to be used next.
    pub spare: Mutex<Option<Spare>>,
}

#[derive(Default)]
pub(super) struct BookState {
    /// All segments that are not released, by number.
    pub segments: BTreeMap<u64, Segment>,
    /// The one that is written to.
    pub current: Option<u64>,
    /// Sealed batches that are not released, by number.
    pub batches: BTreeMap<u32, Held>,
    /// The durable batch that is not sealed, and when it was opened.
    pub open: Option<(u32, u64)>,
    pub next_batch: u32,
    pub next_segment: u64,
    pub next_lsn: u64,
}

pub(super) struct Segment {
    pub path: PathBuf,
    /// The length of header and records.
    pub used: u64,
    /// No batch above this number has anything in it, and no batch below an
    /// earlier segment's.
    pub last_batch: u32,
    pub has_keys: bool,
}

/// How long verified batches are kept.
#[derive(Clone, Copy)]
pub(super) struct Settling {
    /// So long after their acknowledgement,
    after: Duration,
    /// or until this, if they were acknowledged before it.
    flushed: Option<Instant>,
}

/// A sealed batch, and how far it has come.
pub(super) struct Held {
    pub meta: Arc<BatchMeta>,
    pub stage: Stage,
    /// Handed out, and not yet given back.
    pub leased: bool,
    /// An earlier insert may have reached storage, and storage may have forgotten
    /// the token since: its rows are to be counted before they are sent.
    pub suspect: bool,
    /// How many tokens of the batch are used up: storage took them and has no rows.
    pub attempt: u32,
    /// Its rows are counted as stored.
    pub counted: bool,
}

/// sealed ─► acknowledged ─► verified ─► released; or dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be sent.
    Waiting,
    /// Storage has said that it has it, with so many rows.
    Acknowledged { at: Instant, rows: u32 },
    /// So many rows were counted in storage since.
    Verified { at: Instant, rows: u32 },
    /// It went to the dead letters.
    Dead,
}

pub(super) struct Spare {
    pub file: File,
    pub path: PathBuf,
    pub length: u64,
}

/// What is known of a dead letter's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Buried {
    /// That wait in it: none once storage has them.
    pub rows: u64,
    /// Rows of it that were told to be damaged, and the places in which it is.
    pub lost: u64,
    pub places: usize,
}

/// A batch, as it lies in its spool, or in a dead letter.
#[derive(Clone)]
pub(super) struct BatchMeta {
    pub id: u64,
    pub columns_version: u16,
    pub month: u32,
    pub opened_ms: u64,
    pub first_lsn: u64,
    pub last_lsn: u64,
    pub rows: u32,
    pub content: [u8; 32],
    pub token: [u8; 16],
    pub extents: Vec<Extent>,
    pub sites: Vec<(Arc<SiteCounters>, u32)>,
    /// The file of a dead letter, which then holds the rows instead of the extents.
    pub dead_letter: Option<PathBuf>,
}

/// A range of one segment in which every record is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub segment: u64,
    pub from: u64,
    pub to: u64,
}

// === impl Failure ===

impl Failure {
    pub fn new() -> Failure {
        Failure { why: watch::channel(None).0, failed: Arc::default() }
    }

    pub fn set(&self, why: String) {
        self.failed.store(true, Relaxed);
        tracing::error!(reason = %why, "the spool's disk failed: nothing more is acknowledged");
        self.why.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(why);
            is_first
        });
    }
}

// === impl BatchMeta ===

impl BatchMeta {
    pub fn spool(&self) -> u16 {
        spool_of(self.id)
    }

    pub fn number(&self) -> u32 {
        number_of(self.id)
    }

    /// A batch of which only the open record is known.
    pub fn opened(open: &BatchOpen, lsn: u64) -> BatchMeta {
        BatchMeta {
            id: open.id,
            columns_version: open.columns_version,
            month: open.month,
            opened_ms: open.opened_ms,
            first_lsn: lsn,
            last_lsn: lsn,
            rows: 0,
            content: [0; 32],
            token: [0; 16],
            extents: Vec::new(),
            sites: Vec::new(),
            dead_letter: None,
        }
    }

    /// The seal record that says what this batch is.
    pub fn seal(&self) -> BatchSeal {
        BatchSeal {
            id: self.id,
            first_lsn: self.first_lsn,
            last_lsn: self.last_lsn,
            rows: self.rows,
            content: self.content,
            token: self.token,
        }
    }

    /// Counts one row more for `site`.
    pub fn count(sites: &mut Vec<(Arc<SiteCounters>, u32)>, site: &Arc<SiteCounters>) {
        match sites.iter_mut().find(|(known, _)| Arc::ptr_eq(known, site)) {
            Some((_, rows)) => *rows += 1,
            None => sites.push((site.clone(), 1)),
        }
    }

    /// Adds a record at `from..to` to the extents.
    pub fn extend(extents: &mut Vec<Extent>, segment: u64, from: u64, to: u64) {
        match extents.last_mut() {
            Some(last) if last.segment == segment && last.to == from => last.to = to,
            _ => extents.push(Extent { segment, from, to }),
        }
    }
}

// === impl Held ===

impl Held {
    /// One that has never been sent.
    pub fn fresh(meta: BatchMeta) -> Held {
        Held {
            meta: Arc::new(meta),
            stage: Stage::Waiting,
            leased: false,
            suspect: false,
            attempt: 0,
            counted: false,
        }
    }

    pub fn waits(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// Whether the spool may forget it.
    fn is_done(&self, settling: Settling) -> bool {
        match self.stage {
            Stage::Waiting | Stage::Acknowledged { .. } => false,
            Stage::Verified { at, .. } => {
                let settled =
                    at.elapsed() >= settling.after || settling.flushed.is_some_and(|flushed| at < flushed);
                !self.leased && settled
            }
            Stage::Dead => true,
        }
    }
}

// === impl BookState ===

impl BookState {
    /// The position, as if the batch `also` had come to that stage.
    pub fn mark(&self, also: Option<(u32, Stage)>, settling: Settling) -> Mark {
        let open = self.open.map_or(self.next_batch, |(number, _)| number);
        let kept = self.batches.iter().find(|(number, held)| {
            let also = also.filter(|(of, _)| of == *number);
            !also.map_or_else(|| held.is_done(settling), |(_, stage)| stage == Stage::Dead)
        });
        let floor = kept.map_or(open, |(number, _)| open.min(*number));
        let mut mark = Mark {
            floor,
            next_batch: self.next_batch,
            next_segment: self.next_segment,
            next_lsn: self.next_lsn,
            ..Mark::default()
        };
        for (number, held) in self.batches.range(floor..) {
            let stage = also.filter(|(of, _)| of == number).map_or(held.stage, |(_, stage)| stage);
            match stage {
                Stage::Dead => mark.dead.insert(*number),
                Stage::Acknowledged { .. } | Stage::Verified { .. } => mark.acknowledged.insert(*number),
                // One that was found missing after it had been acknowledged: a restart
                // must not count its rows as stored a second time.
                Stage::Waiting => held.counted && mark.acknowledged.insert(*number),
            };
        }
        mark
    }
}

// === impl Book ===

impl Book {
    pub fn state(&self) -> MutexGuard<'_, BookState> {
        locked(&self.state)
    }
}

// === impl Shared ===

impl Shared {
    pub fn spool_dir(&self, spool: u16) -> PathBuf {
        self.dir.join(spool_name(spool))
    }

    pub fn book(&self, spool: u16) -> &Book {
        &self.books[&spool]
    }

    /// Ends acknowledgement in the whole process.
    pub fn fail(&self, why: String) {
        self.failure.set(why);
    }

    /// Whether acknowledgement has ended.
    pub fn has_failed(&self) -> bool {
        self.failure.failed.load(Relaxed)
    }

    /// How long verified batches are kept now: the full time while there is room.
    pub fn settling(&self) -> Settling {
        let pressed = self.disk_full.load(Relaxed) || self.used.load(Relaxed) > self.max_bytes / 2;
        let after = if pressed { Duration::ZERO } else { self.settle };
        Settling { after, flushed: *locked(&self.flushed) }
    }

    /// Writes the checkpoint as if the batch `also`, or the dead letter `replayed`, had
    /// come to that stage, and gives back the floor of each spool in it. The caller
    /// holds `totals`.
    pub fn write_checkpoint(
        &self,
        totals: &BTreeMap<String, u64>,
        also: Option<(u16, u32, Stage)>,
        replayed: Option<(u64, Stage)>,
    ) -> Result<BTreeMap<u16, u32>, SpoolError> {
        let settling = self.settling();
        let mut checkpoint = Checkpoint::default();
        for (spool, book) in &self.books {
            let also = also.filter(|(of, ..)| of == spool).map(|(_, number, stage)| (number, stage));
            checkpoint.spools.insert(*spool, book.state().mark(also, settling));
        }
        let counted = |(id, held): (&u64, &Held)| match replayed.filter(|(of, _)| of == id) {
            Some((_, stage)) => stage != Stage::Dead,
            None => held.counted,
        };
        checkpoint.replayed =
            locked(&self.replays).iter().filter(|entry| counted(*entry)).map(|(id, _)| *id).collect();
        for (site, counts) in self.counters.counts() {
            checkpoint.sites.insert(site, SiteTotals { stored: 0, refused: counts.refused });
        }
        for (site, stored) in totals {
            checkpoint.sites.entry(site.clone()).or_default().stored = *stored;
        }
        let floors = checkpoint.spools.iter().map(|(spool, mark)| (*spool, mark.floor)).collect();
        let mut last = locked(&self.written);
        if last.as_ref() == Some(&checkpoint) {
            return Ok(floors);
        }
        // Whatever a failed write leaves is not known.
        *last = None;
        let path = self.dir.join("checkpoint");
        let mut written = checkpoint.write(&*self.disk, &path);
        if written.as_ref().is_err_and(is_no_space) && self.disk.remove(&self.dir.join("reserve")).is_ok() {
            written = checkpoint.write(&*self.disk, &path);
            // The old checkpoint's blocks are free again, so there is room for it.
            self.keep_reserve();
        }
        written.map_err(SpoolError::io("write", path))?;
        *last = Some(checkpoint);
        Ok(floors)
    }

    /// Writes a checkpoint of what is, forgets the batches below its floors and has
    /// their segments released.
    pub fn settle_floors(&self) -> Result<(), SpoolError> {
        let floors = {
            let totals = locked(&self.totals);
            self.write_checkpoint(&totals, None, None)?
        };
        self.release(floors);
        Ok(())
    }

    /// After a checkpoint with these floors.
    pub fn release(&self, floors: BTreeMap<u16, u32>) {
        let settling = self.settling();
        locked(&self.replays).retain(|id, held| {
            // The checkpoint names it until a later one is written: a restart in between
            // finds no file, or counts its rows once more.
            let done = held.is_done(settling) && self.holds.load(Relaxed) == 0;
            !done || self.remove_dead_letter(*id).is_err()
        });
        for (spool, floor) in &floors {
            let mut state = self.book(*spool).state();
            state.batches = state.batches.split_off(floor);
        }
        let _ = self.keeper.send(Job::Release(floors));
    }

    /// The batch, or the dead letter that is sent again, with this id.
    pub fn held<T>(&self, id: u64, with: impl FnOnce(&mut Held) -> T) -> Option<T> {
        if let Some(held) = locked(&self.replays).get_mut(&id) {
            return Some(with(held));
        }
        self.books.get(&spool_of(id))?.state().batches.get_mut(&number_of(id)).map(with)
    }

    /// Reads a dead letter; `row` gets each of its rows. What cannot be read is told and
    /// counted once, and the file copied aside. One of which nothing can be read goes to
    /// quarantine itself: `None`, as for one that is not there (any more).
    pub fn letter(&self, id: u64, row: impl FnMut(&[u8])) -> Result<Option<Letter>, SpoolError> {
        let path = letter_path(&self.dir, id);
        let letter = match letter::Read::of(&path, &self.counters, row)? {
            letter::Read::Gone => return Ok(None),
            letter::Read::Unreadable(damage) => {
                tell(DEAD_LETTERS, std::slice::from_ref(&damage));
                set_aside(&*self.disk, &self.dir, spool_of(id), &path)?;
                let lost = locked(&self.dead).remove(&id).map_or(0, |buried| buried.rows);
                locked(&self.replays).remove(&id);
                self.damaged_rows.fetch_add(lost, Relaxed);
                tracing::error!(
                    batch = id,
                    lost_rows = lost,
                    "a dead letter is set aside: it cannot be read"
                );
                return Ok(None);
            }
            letter::Read::Letter(letter) => letter,
        };
        let mut dead = locked(&self.dead);
        let known = dead.get(&id).copied().unwrap_or_default();
        let lost = letter.lost_rows.saturating_sub(known.lost);
        if lost > 0 || letter.damage.len() > known.places {
            let rows = known.rows.saturating_sub(lost);
            dead.insert(id, Buried { rows, lost: letter.lost_rows, places: letter.damage.len() });
            drop(dead);
            tell(DEAD_LETTERS, &letter.damage);
            quarantine(&*self.disk, &self.dir, spool_of(id), &path);
            self.damaged_rows.fetch_add(lost, Relaxed);
            tracing::error!(batch = id, lost_rows = lost, "a dead letter is damaged on the disk");
        }
        Ok(Some(*letter))
    }

    /// Rows that wait in dead letters.
    pub fn dead_rows(&self) -> u64 {
        locked(&self.dead).values().map(|buried| buried.rows).sum()
    }

    fn remove_dead_letter(&self, id: u64) -> std::io::Result<()> {
        let removed = self.disk.remove(&letter_path(&self.dir, id));
        let synced = removed.and_then(|()| self.disk.sync_dir(&letters_dir(&self.dir)));
        locked(&self.dead).remove(&id);
        synced
            .inspect_err(|error| tracing::warn!(%error, batch = id, "a replayed dead letter stays as a file"))
    }

    pub fn tombstones(&self) -> Arc<Tombstones> {
        self.tombstones.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is kept past their terms now; `None` if that is nobody's to say.
    pub fn kept(&self) -> Result<Option<Arc<Kept>>, SpoolError> {
        let who = locked(&self.kept).clone();
        who.map(|who| who()).transpose().map_err(SpoolError::Kept)
    }

    /// Sets the reserve aside, if there is room.
    pub fn keep_reserve(&self) {
        let path = self.dir.join("reserve");
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() == RESERVE_BYTES => return,
            // Power was lost while it was made.
            Ok(_) => drop(self.disk.remove(&path)),
            Err(_) => {}
        }
        if let Ok(file) = self.disk.create(&path)
            && write_zeros(&*self.disk, &file, 0, RESERVE_BYTES)
                .and_then(|()| datasync(&*self.disk, &file))
                .is_err()
        {
            let _ = self.disk.remove(&path);
        }
    }
}

pub(super) fn spool_name(spool: u16) -> String {
    format!("{spool:02x}")
}

pub(super) fn segment_name(number: u64) -> String {
    format!("{number:020}.seg")
}

pub(super) fn batch_id(node: u32, spool: u16, number: u32) -> u64 {
    u64::from(node) << 40 | u64::from(spool & 0xff) << 32 | u64::from(number)
}

pub(super) fn spool_of(id: u64) -> u16 {
    (id >> 32) as u16 & 0xff
}

pub(super) fn number_of(id: u64) -> u32 {
    id as u32
}

/// What fixes a batch's identity: who made it, which one it is, and its rows.
pub(super) fn token(node: &Node, id: u64, first_lsn: u64, last_lsn: u64, content: &[u8; 32]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(&node.secret);
    hasher.update(&id.to_le_bytes());
    hasher.update(&first_lsn.to_le_bytes());
    hasher.update(&last_lsn.to_le_bytes());
    hasher.update(content);
    let mut token = [0; 16];
    token.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    token
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A panic elsewhere must not stop acknowledged rows from being delivered: every
/// change under these locks is complete before anything that could panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A header for the next segment of a spool.
pub(super) fn new_header(
    shared: &Shared,
    spool: u16,
    number: u64,
    first_lsn: u64,
    batch: u32,
) -> Result<SegmentHeader, SpoolError> {
    let mut generation = [0; 8];
    getrandom::fill(&mut generation).map_err(|_| SpoolError::Random)?;
    Ok(SegmentHeader {
        columns_version: super::COLUMNS_VERSION,
        spool,
        node: shared.node.id,
        generation: u64::from_le_bytes(generation),
        number,
        first_lsn,
        created_ms: now_ms(),
        batch,
    })
}
