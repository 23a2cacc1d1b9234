//! Opening: repairs what may be repaired of what an earlier process left, reports
//! the rest, and starts the threads.
//!
//! [`walk`] has read everything; here torn tails are cut, damaged segments copied
//! aside, batches that were open sealed, and the counts restored. Opening twice
//! is opening once: each repair leaves a spool that needs it no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use super::checkpoint::{Checkpoint, Mark, Node, Read};
use super::disk::{Disk, FailStop, copy, datasync, write_zeros};
use super::keeper;
use super::letter::{self, DEAD_LETTERS, letter_files, letters_dir, unfinished_letters};
use super::log::{Current, Log, LogError};
use super::outlet::tombstones_path;
use super::record::{BatchSeal, GROUP_START, SEGMENT_HEADER_BYTES, stamp};
use super::shared::{
    BatchMeta, Book, BookState, Buried, Failure, Held, Segment, Shared, Stage, now_ms, spool_name, spool_of,
    token,
};
use super::walk::{Damage, NO_HEADER, Noted, Walked, WalkedSegment, spool_dirs, walk};
use super::writer::Writer;
use super::{
    COLUMNS_VERSION, MAX_SPOOLS, MIN_SEGMENT_BYTES, Opened, Options, Outlet, SEGMENT_BYTES, Seen, SpoolError,
    Tombstones, Tuning,
};
use crate::count::Counters;

/// A report lists at most so many places; all are counted.
const MAX_LISTED_DAMAGE: usize = 1000;
/// How long opening waits for the lock: a process that was just told to end lets
/// go within this.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// A spool that is small as a whole has shorter segments, so that space comes
/// back in time: at least so many per spool.
const SEGMENTS_PER_SPOOL: u64 = 4;

/// What recovery found and did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecoveryReport {
    pub segments: u64,
    pub bytes: u64,
    /// Batches that wait for storage, and their rows.
    pub batches: u64,
    pub rows: u64,
    /// Rows in dead letters.
    pub dead_rows: u64,
    /// Bytes cut from torn tails: of hits that were not answered.
    pub torn_bytes: u64,
    pub torn_tails: u64,
    /// Places where something that was once durable cannot be read back.
    pub damaged_places: u64,
    /// Records in those places.
    pub damaged_records: u64,
    /// Rows that are missing from batches whose seal says how many there were. Of
    /// a batch without a seal only `damaged_records` tells.
    pub lost_rows: u64,
    /// The first of those places.
    pub damage: Vec<Damage>,
}

/// A spool as it will be worked with.
struct Ready {
    spool: u16,
    book: BookState,
    current: Option<Current>,
    /// Seals to be written, of batches that were open.
    seals: Vec<BatchSeal>,
}

/// The dead letters that are there.
#[derive(Default)]
struct Letters {
    dead: BTreeMap<u64, Buried>,
    /// Those that storage has and whose files are to go.
    replays: BTreeMap<u64, Held>,
    /// Rows of the others, per site.
    waiting: BTreeMap<String, u64>,
}

// === impl RecoveryReport ===

impl RecoveryReport {
    /// Tells and counts what of a file cannot be read.
    fn note(&mut self, place: &str, damage: &[Damage]) {
        tell(place, damage);
        self.damaged_places += damage.len() as u64;
        self.damaged_records += damage.iter().map(|damage| damage.records).sum::<u64>();
        let room = MAX_LISTED_DAMAGE.saturating_sub(self.damage.len());
        self.damage.extend(damage.iter().take(room).cloned());
    }
}

pub(super) fn open(options: Options, tuning: Tuning, counters: Arc<Counters>) -> Result<Opened, SpoolError> {
    if options.spools == 0 || options.spools > MAX_SPOOLS {
        return Err(SpoolError::Spools(options.spools));
    }
    let disk = tuning.disk.clone();
    let dir = options.dir.clone();
    make_dirs(&*disk, &dir, options.spools)?;
    let lock = lock(&dir)?;
    let mut report = RecoveryReport::default();

    let path = dir.join("checkpoint");
    let (checkpoint, checkpoint_good) =
        match Checkpoint::read(&path).map_err(SpoolError::io("read", &path))? {
            Read::Good(checkpoint) => (checkpoint, true),
            Read::Absent => (Checkpoint::default(), true),
            Read::Newer(found) => return Err(newer(path, found)),
            Read::Damaged => {
                note_damaged_file(&*disk, &dir, &path, &mut report);
                (Checkpoint::default(), false)
            }
        };
    // With the checkpoint the highest batch number may be lost: a new node keeps
    // new ids apart from old ones.
    let path = dir.join("node");
    let node = match Node::read(&path).map_err(SpoolError::io("read", &path))? {
        Read::Good(node) if checkpoint_good => node,
        Read::Newer(found) => return Err(newer(path, found)),
        found => {
            if matches!(found, Read::Damaged) {
                note_damaged_file(&*disk, &dir, &path, &mut report);
            }
            let node = Node::random()?;
            node.write(&*disk, &path).map_err(SpoolError::io("write", &path))?;
            node
        }
    };

    let tombstones = Tombstones::read(&tombstones_path(&dir))?;
    let seen = Seen::open(&dir.join("seen"), now_ms()).map_err(SpoolError::io("read", dir.join("seen")))?;
    let spools = spool_dirs(&dir)?;
    let walked: Vec<Result<Walked, SpoolError>> = std::thread::scope(|scope| {
        let (dir, counters, seen) = (&dir, &counters, &seen);
        let threads: Vec<_> = spools
            .iter()
            .map(|spool| {
                let dir = dir.join(spool_name(*spool));
                scope.spawn(move || walk(&dir, counters, |key, time| seen.restore(key, time)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("reading a spool does not panic")).collect()
    });

    let mut totals = BTreeMap::new();
    for (site, counts) in &checkpoint.sites {
        counters.site(site).restore(counts.stored, &counts.refused);
        totals.insert(site.clone(), counts.stored);
    }
    let mut ready = Vec::new();
    let mut waiting: BTreeMap<String, u64> = BTreeMap::new();
    for (spool, walked) in spools.iter().zip(walked) {
        let mark = checkpoint.spools.get(spool).cloned().unwrap_or_default();
        let writes = usize::from(*spool) < options.spools;
        let mut recovered =
            settle(&dir, *spool, walked?, &mark, checkpoint_good, writes, &node, &disk, &mut report)?;
        if !checkpoint_good {
            for meta in recovered.noted_stored.drain(..) {
                for (site, rows) in &meta.sites {
                    *totals.entry(site.site().to_owned()).or_default() += u64::from(*rows);
                    site.restore(u64::from(*rows), &BTreeMap::new());
                }
            }
        }
        for held in recovered.ready.book.batches.values().filter(|held| held.waits()) {
            for (site, rows) in &held.meta.sites {
                *waiting.entry(site.site().to_owned()).or_default() += u64::from(*rows);
            }
        }
        ready.push(recovered.ready);
    }
    let letters = dead_letters(&dir, &ready, &checkpoint.replayed, &node, &counters, &*disk, &mut report)?;
    for (site, rows) in &letters.waiting {
        report.dead_rows += rows;
        *waiting.entry(site.clone()).or_default() += rows;
    }
    for (site, rows) in &waiting {
        counters.site(site).recovered(*rows);
    }
    start(options, tuning, counters, lock, node, seen, tombstones, ready, letters, totals, waiting, report)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one value, each made by an earlier step of opening"
)]
fn start(
    options: Options,
    tuning: Tuning,
    counters: Arc<Counters>,
    lock: File,
    node: Node,
    seen: Seen,
    tombstones: Tombstones,
    mut ready: Vec<Ready>,
    letters: Letters,
    totals: BTreeMap<String, u64>,
    counts_waiting: BTreeMap<String, u64>,
    report: RecoveryReport,
) -> Result<Opened, SpoolError> {
    let shares = options.spools as u64 * SEGMENTS_PER_SPOOL;
    let segment_bytes = tuning
        .segment_bytes
        .unwrap_or(SEGMENT_BYTES.min(options.max_bytes / shares))
        .max(MIN_SEGMENT_BYTES)
        .next_multiple_of(4096);
    let (jobs, jobs_out) = mpsc::channel();
    let failure = Failure::new();
    let disk = Arc::new(FailStop {
        disk: tuning.disk,
        failed: {
            let failure = failure.clone();
            move |why| failure.set(why)
        },
    });
    let mut parts = Vec::new();
    let mut books = BTreeMap::new();
    let mut used = 0;
    for Ready { spool, book, current, seals } in ready.drain(..) {
        used += book.segments.values().map(|segment| segment.used).sum::<u64>();
        parts.push((spool, current, seals));
        books.insert(spool, Book { state: Mutex::new(book), spare: Mutex::default() });
    }
    let shared = Arc::new(Shared {
        dir: options.dir.clone(),
        node,
        disk,
        counters,
        seen: Arc::new(seen),
        durability: options.durability,
        seal_interval: options.seal_interval,
        batch_rows: options.batch_rows,
        max_bytes: options.max_bytes,
        segment_bytes,
        used: AtomicU64::new(used),
        dead: Mutex::new(letters.dead),
        damaged_rows: AtomicU64::new(report.lost_rows),
        books,
        sealed: Notify::new(),
        failure,
        keeper: jobs,
        totals: Mutex::new(totals),
        settle: tuning.settle,
        flushed: Mutex::default(),
        disk_full: AtomicBool::new(false),
        holds: AtomicU32::new(0),
        tombstones: RwLock::new(Arc::new(tombstones)),
        kept: Mutex::default(),
        replays: Mutex::new(letters.replays),
        written: Mutex::default(),
        _lock: lock,
    });
    keeper::start(&shared, jobs_out).map_err(SpoolError::io("start a thread for", &options.dir))?;
    let mut writers = Vec::new();
    let mut cores = Vec::new();
    for (spool, current, seals) in parts {
        if usize::from(spool) >= options.spools {
            continue;
        }
        let mut log = Log { shared: shared.clone(), spool, current };
        write_seals(&mut log, seals)?;
        let (next_lsn, next_batch) = {
            let state = shared.book(spool).state();
            (state.next_lsn, state.next_batch)
        };
        // A first segment now: the first hit should not wait for zeros. With a full
        // disk the first hit will say so.
        match log.make_room(0, next_lsn, false) {
            Ok(()) | Err(LogError::NoSpace) => {}
            Err(LogError::Fatal(why)) => return Err(fatal_error(&options.dir, why)),
        }
        let writer = Writer::start(log, next_lsn, next_batch)
            .map_err(SpoolError::io("start a thread for", &options.dir))?;
        cores.push(writer.core());
        writers.push(writer);
    }
    shared.keep_reserve();
    if let Err(error) = shared.settle_floors() {
        tracing::warn!(%error, "no checkpoint could be written at the start");
    }
    let fatal = shared.failure.why.subscribe();
    Ok(Opened {
        writers,
        seen: shared.seen.clone(),
        outlet: Outlet::new(shared, cores),
        counts_waiting,
        report,
        fatal,
    })
}

/// Seals the batches that an earlier process left open. Without room this is left
/// to the next start: the token follows from the rows.
fn write_seals(log: &mut Log, seals: Vec<BatchSeal>) -> Result<(), SpoolError> {
    for seal in seals {
        let mut lsn = log.shared.book(log.spool).state().next_lsn;
        let mut record = Vec::new();
        seal.append(lsn, &mut record);
        record[17] |= GROUP_START;
        let written = log.make_room(record.len() as u64, lsn, true).and_then(|()| {
            let seed = log.current.as_ref().map_or(0, |current| current.seed);
            stamp(&mut record, seed);
            log.write(&record)
        });
        match written {
            Ok(()) => lsn += 1,
            Err(LogError::NoSpace) => return Ok(()),
            Err(LogError::Fatal(why)) => return Err(fatal_error(&log.shared.dir, why)),
        }
        let mut state = log.shared.book(log.spool).state();
        state.next_lsn = lsn;
        if let Some(current) = &log.current
            && let Some(segment) = state.segments.get_mut(&current.number)
        {
            segment.used = current.offset;
        }
    }
    Ok(())
}

struct Settled {
    ready: Ready,
    /// Batches that only the log says are stored.
    noted_stored: Vec<BatchMeta>,
}

/// Repairs what the walk found and decides what waits.
#[expect(clippy::too_many_arguments, reason = "one step of opening, with what the steps before it made")]
fn settle(
    dir: &Path,
    spool: u16,
    mut walked: Walked,
    mark: &Mark,
    checkpoint_good: bool,
    writes: bool,
    node: &Node,
    disk: &Arc<dyn Disk>,
    report: &mut RecoveryReport,
) -> Result<Settled, SpoolError> {
    let spool_dir = dir.join(spool_name(spool));
    for (_, damage) in &walked.damage {
        report.note(&spool_name(spool), std::slice::from_ref(damage));
        let path = spool_dir.join(&damage.file);
        if damage.what == NO_HEADER {
            set_aside(&**disk, dir, spool, &path)?;
        } else {
            quarantine(&**disk, dir, spool, &path);
        }
    }
    for entry in std::fs::read_dir(&spool_dir).map_err(SpoolError::io("list", &spool_dir))?.flatten() {
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "old" || extension == "spare" || extension == "new")
        {
            disk.remove(&path).map_err(SpoolError::io("remove", path))?;
        }
    }

    let mut book = BookState {
        next_batch: mark.next_batch.max(walked.highest_batch + 1).max(1),
        next_segment: mark.next_segment.max(1),
        next_lsn: mark.next_lsn.max(1),
        ..BookState::default()
    };
    let now = Instant::now();
    let stage = |number: u32, rows: u32| {
        // With the checkpoint lost, the log's own notes tell.
        let noted = walked.noted.get(&number).filter(|_| !checkpoint_good);
        if mark.dead.contains(&number) || noted == Some(&Noted::Dead) {
            Stage::Dead
        } else if mark.acknowledged.contains(&number) || noted.is_some() {
            // Counted again, whatever was verified: storage may have been down as well.
            Stage::Acknowledged { at: now, rows }
        } else {
            Stage::Waiting
        }
    };
    let mut seals = Vec::new();
    let mut noted_stored = Vec::new();
    let last_number = walked.batches.last().map(BatchMeta::number);
    for mut meta in std::mem::take(&mut walked.batches) {
        let number = meta.number();
        if number < mark.floor {
            continue;
        }
        let stage = stage(number, meta.rows);
        let counted = matches!(stage, Stage::Acknowledged { .. });
        if counted && !checkpoint_good {
            noted_stored.push(meta.clone());
        }
        if stage == Stage::Waiting {
            if walked.unsealed.contains(&number) {
                meta.token = token(node, meta.id, meta.first_lsn, meta.last_lsn, &meta.content);
                if Some(number) == last_number {
                    seals.push(meta.seal());
                }
            }
            if meta.rows == 0 {
                continue;
            }
            report.batches += 1;
            report.rows += u64::from(meta.rows);
        }
        let held = Held { stage, suspect: stage == Stage::Waiting, counted, ..Held::fresh(meta) };
        book.batches.insert(number, held);
    }
    let waits = |number: u32| number >= mark.floor && stage(number, 0) == Stage::Waiting;
    report.lost_rows +=
        walked.missing.iter().filter(|(number, _)| waits(**number)).map(|(_, rows)| rows).sum::<u64>();

    let mut current = None;
    let count = walked.segments.len();
    for (index, segment) in walked.segments.into_iter().enumerate() {
        let WalkedSegment { path, header, end, length, last_batch, has_keys } = segment;
        report.segments += 1;
        report.bytes += end.offset;
        book.next_segment = book.next_segment.max(header.number + 1);
        book.next_lsn = book.next_lsn.max(end.next_lsn);
        if index + 1 == count {
            let file = disk.open(&path).map_err(SpoolError::io("open", &path))?;
            if end.dirty_until > end.offset {
                write_zeros(&**disk, &file, end.offset, end.dirty_until)
                    .and_then(|()| datasync(&**disk, &file))
                    .map_err(SpoolError::io("cut", &path))?;
                report.torn_tails += 1;
                report.torn_bytes += end.dirty_until - end.offset;
                tracing::warn!(
                    spool,
                    bytes = end.dirty_until - end.offset,
                    "a torn tail was cut from the spool"
                );
            }
            // Groups must stay contiguous in LSN within a segment.
            if writes && header.columns_version == COLUMNS_VERSION && end.next_lsn == book.next_lsn {
                book.current = Some(header.number);
                current = Some(Current {
                    file,
                    number: header.number,
                    seed: header.seed(),
                    offset: end.offset.max(SEGMENT_HEADER_BYTES as u64),
                    length,
                    dirty_until: 0,
                    spare_asked: false,
                });
            }
        }
        book.segments.insert(header.number, Segment { path, used: end.offset, last_batch, has_keys });
    }
    Ok(Settled { ready: Ready { spool, book, current, seals }, noted_stored })
}

/// Counts the rows of dead letters per site. One whose batch is still there was
/// written just before a crash: the batch is what counts. One that was replayed
/// is in storage, and goes once its rows were counted there.
fn dead_letters(
    dir: &Path,
    ready: &[Ready],
    replayed: &BTreeSet<u64>,
    node: &Node,
    counters: &Counters,
    disk: &dyn Disk,
    report: &mut RecoveryReport,
) -> Result<Letters, SpoolError> {
    // One that was being written has its rows elsewhere still: in the log, or in the letter that it
    // was to replace.
    for path in unfinished_letters(dir)? {
        disk.remove(&path).map_err(SpoolError::io("remove", path))?;
    }
    let mut found = Letters::default();
    for (id, path) in letter_files(dir)? {
        let waits = ready
            .iter()
            .flat_map(|ready| ready.book.batches.values())
            .any(|held| held.meta.id == id && held.stage != Stage::Dead);
        if waits {
            // Durably, before the batch can be shipped: come back after a loss of
            // power, the letter would count its rows a second time.
            disk.remove(&path)
                .and_then(|()| disk.sync_dir(&letters_dir(dir)))
                .map_err(SpoolError::io("remove", path))?;
            continue;
        }
        let read = letter::Read::of(&path, counters, |_| {})?;
        report.note(DEAD_LETTERS, read.damage());
        let letter = match read {
            letter::Read::Gone => continue,
            letter::Read::Unreadable(_) => {
                set_aside(disk, dir, spool_of(id), &path)?;
                continue;
            }
            letter::Read::Letter(letter) => letter,
        };
        if letter.is_damaged() {
            quarantine(disk, dir, spool_of(id), &path);
        }
        if replayed.contains(&id) {
            let meta = letter.batch(node);
            let stage = Stage::Acknowledged { at: Instant::now(), rows: meta.rows };
            found.replays.insert(id, Held { stage, counted: true, ..Held::fresh(meta) });
            continue;
        }
        for (site, rows) in letter.sites() {
            *found.waiting.entry(site.to_owned()).or_default() += rows;
        }
        report.lost_rows += letter.lost_rows;
        let rows = letter.sites().map(|(_, rows)| rows).sum();
        found.dead.insert(id, Buried { rows, lost: letter.lost_rows, places: letter.damage.len() });
    }
    Ok(found)
}

fn newer(path: PathBuf, found: u16) -> SpoolError {
    SpoolError::Version { path, found, known: super::checkpoint::VERSION }
}

fn note_damaged_file(disk: &dyn Disk, dir: &Path, path: &Path, report: &mut RecoveryReport) {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    tracing::error!(file = name, "a file of the spool is damaged");
    let target = dir.join("quarantine").join(format!("{name}-{}", now_ms()));
    if let Err(error) = copy(disk, path, &target) {
        tracing::error!(file = name, %error, "a damaged file could not be copied to quarantine");
    }
    report.damaged_places += 1;
    report.damage.push(Damage { file: name, from: 0, to: 0, records: 0, what: "the file" });
}

fn make_dirs(disk: &dyn Disk, dir: &Path, spools: usize) -> Result<(), SpoolError> {
    let mut wanted: Vec<PathBuf> = vec![dir.to_owned()];
    wanted.extend(["dead", "quarantine", "seen"].map(|name| dir.join(name)));
    wanted.extend((0..spools).map(|spool| dir.join(spool_name(spool as u16))));
    for dir in wanted {
        let mut missing: Vec<&Path> = Vec::new();
        let mut at = dir.as_path();
        while !at.exists() && !at.as_os_str().is_empty() {
            missing.push(at);
            at = at.parent().unwrap_or(Path::new(""));
        }
        for made in missing.into_iter().rev() {
            match disk.make_dir(made) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(SpoolError::io("make", made)(error));
                }
                _ => {}
            }
            let parent =
                made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            disk.sync_dir(parent).map_err(SpoolError::io("sync", parent))?;
        }
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, SpoolError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(SpoolError::io("open", &path))?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                #[expect(clippy::disallowed_methods, reason = "the pause between two tries of a lock")]
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(SpoolError::Locked(dir.to_owned())),
            Err(error) => return Err(SpoolError::io("lock", &path)(error.into())),
        }
    }
}

fn fatal_error(dir: &Path, why: String) -> SpoolError {
    SpoolError::Io { action: "write to", path: dir.to_owned(), source: io::Error::other(why) }
}

/// Copies a damaged file aside, once.
pub(super) fn quarantine(disk: &dyn Disk, dir: &Path, spool: u16, path: &Path) {
    let target = quarantined(dir, spool, path);
    if !target.exists()
        && let Err(error) = copy(disk, path, &target)
    {
        tracing::error!(path = %path.display(), %error, "a damaged file could not be copied to quarantine");
    }
}

/// Moves a file to quarantine of which nothing can be read, now or later: it is only
/// kept. A copy that was made of it when more could be read stays.
pub(super) fn set_aside(disk: &dyn Disk, dir: &Path, spool: u16, path: &Path) -> Result<(), SpoolError> {
    let mut target = quarantined(dir, spool, path);
    if target.exists() {
        target.as_mut_os_string().push(format!("-{}", now_ms()));
    }
    disk.rename(path, &target).map_err(SpoolError::io("move", path))?;
    for dir in [target.parent(), path.parent()].into_iter().flatten() {
        disk.sync_dir(dir).map_err(SpoolError::io("sync", dir))?;
    }
    Ok(())
}

/// Says what of a file in this directory of the spool cannot be read.
pub(super) fn tell(place: &str, damage: &[Damage]) {
    for Damage { file, from, to, records, what } in damage {
        tracing::error!(place, file, from, to, records, "{what} damaged");
    }
}

fn quarantined(dir: &Path, spool: u16, path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    dir.join("quarantine").join(format!("{}-{name}", spool_name(spool)))
}
