//! The durable log that an answer waits for.
//!
//! In: rows, encoded by the hit path, each in one record. Out: sealed batches,
//! in the order of their age, each with an id and a token that never change.
//!
//! ```text
//! hit thread 0 ─ Writer ═ group ═► helper thread: write, fdatasync, wake ─► 00/…segments ─┐
//! hit thread 1 ─ Writer ═ group ═► helper thread: write, fdatasync, wake ─► 01/…segments ─┤ sealed batches
//!                                                                                         ▼
//!                                        keeper thread: release, zeros, spares ◄── Outlet ──► ship
//! ```
//!
//! Each hit thread has a spool of its own: a directory of segments, written by
//! one helper thread. While a group of records is written and synced, the next
//! one forms in memory; no lock is shared between hit threads.
//!
//! # Format
//!
//! All integers are little-endian. Offsets, names and the files beside the
//! segments are in `docs/spool.md`.
//!
//! - A **segment** is a 64-byte header (magic `METKASPL`, version, columns
//!   version, spool, node, generation, number, first LSN, time, CRC32C) and
//!   records; the rest is zeros, written before the first append.
//! - A **record** is `crc32c u32 | length u32 | lsn u64 | type u8 | flags u8 | tag u16 | body`,
//!   padded with zeros to 8 bytes. The checksum starts from a seed made of the
//!   segment's random generation and number, and covers all after itself with
//!   the padding. LSNs count up by one within a spool.
//! - Types: 1 hit (0 to 2 journal keys of 8 bytes, as many as the flags' low bits
//!   say, then the row), 2 batch open, 3 batch seal, 4 insert acknowledged,
//!   5 verified, 6 tombstone (in a file of their own, [`tombstone`]), 8 reason of a
//!   dead letter. Flag 0x80: first record of a group.
//! - A **batch** is the hits between its open and its seal record: rows of one
//!   month, sealed by time, rows, bytes or a change of month.
//!
//! # Invariants
//!
//! - A [`Ticket`] succeeds only after `fdatasync` of its group has returned
//!   ([`Durability::Write`]: after `write` has).
//! - After a failed sync or write nothing more is acknowledged, until a restart
//!   has read back what the disk kept. No room (`ENOSPC`, `EDQUOT`) is not a
//!   failure: the group is refused as a whole and later ones are tried again.
//! - A new segment is written with zeros, given its header, synced, renamed into
//!   place and its directory synced before the first record goes in.
//! - A batch's rows stay until storage has acknowledged them, they were counted
//!   there, and [`SETTLE`] has passed or room is short.
//! - A segment is released only after the checkpoint that makes it superfluous
//!   and the journal keys in it are durable; it is overwritten with zeros before
//!   it is used again.
//! - No row that a tombstone covers is delivered, now or after any restart.
//! - Recovery cuts a torn tail, durably, and says how long it was; damage before
//!   it is reported, its segment copied to `quarantine/`, and what is valid
//!   behind it is delivered. A sealed batch keeps its token, come what may.
//! - The same goes for a dead letter, whenever it is read; one of which nothing can be
//!   read goes to `quarantine/` itself, so that it holds up no erasure and no replay.
//!
//! It knows nothing of ClickHouse and of rows, but for the site at a row's
//! beginning, which recovery needs to count.

mod batch;
mod checkpoint;
pub mod disk;
mod helper;
mod inspect;
mod keeper;
mod kept;
mod letter;
mod log;
mod outlet;
mod purge;
mod record;
mod recover;
mod scan;
pub mod seen;
mod shared;
#[cfg(test)]
mod tests;
pub mod tombstone;
mod walk;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use crate::config::Durability;
use crate::count::Counters;
pub use crate::store::row::{COLUMNS_VERSION, HitId};
pub use batch::Batch;
use disk::Disk;
pub use inspect::{SpoolStat, Verdict, stat, verify};
pub use kept::{Kept, WhoIsKept};
pub use outlet::{Backlog, DeadLetter, Hold, Outlet, Unverified};
pub use purge::Closed;
pub use record::MAX_KEYS;
pub use recover::RecoveryReport;
pub use seen::Seen;
#[cfg(test)]
pub(crate) use tests::copy_as_killed;
pub use tombstone::{RefusalTombstone, Subject, Tombstone, Tombstones};
pub use walk::Damage;
pub use writer::{Ticket, Writer};

/// The longest body of a record. The longest row that the parser's limits allow
/// is below 24 KiB; a length beyond this is damage, before anything is allocated.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// The usual length of a segment: long enough that rolling is rare, short enough
/// that a released one is soon zeroed.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Segments are never shorter than this: a group and the control records must fit.
pub const MIN_SEGMENT_BYTES: u64 = 256 << 10;
/// The most rows' bytes in one batch: what the shipper holds in memory at once.
pub const MAX_BATCH_BYTES: u64 = 32 << 20;
/// Eight bits of a batch id name the spool.
pub const MAX_SPOOLS: usize = 256;
/// So long after its acknowledgement a verified batch stays in the spool, room
/// permitting: by then the kernel has written down what storage wrote (ClickHouse
/// syncs parts, but not all that leads to them), so that a machine which loses its
/// power finds the rows in one place or the other.
pub const SETTLE: Duration = Duration::from_secs(600);
/// How long a spool waits after the disk was found full before it tries again:
/// each try costs a write, and space is not freed faster.
pub const FULL_RETRY: Duration = Duration::from_millis(250);

/// What a spool is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// All files of the spool are below it.
    pub dir: PathBuf,
    /// How many writers: one per hit thread.
    pub spools: usize,
    pub durability: Durability,
    /// A batch is sealed at the latest so long after its first row.
    pub seal_interval: Duration,
    /// A batch is sealed at the latest with so many rows.
    pub batch_rows: u32,
    /// Hits are refused as `full` beyond so many bytes.
    pub max_bytes: u64,
}

/// What tests set otherwise than the product.
#[derive(Clone)]
pub struct Tuning {
    pub disk: Arc<dyn Disk>,
    /// The length of a segment; `None` for [`SEGMENT_BYTES`], or less when the
    /// whole spool is small.
    pub segment_bytes: Option<u64>,
    /// How long a verified batch stays in the spool; see [`SETTLE`].
    pub settle: Duration,
}

/// An open spool.
pub struct Opened {
    /// One per hit thread.
    pub writers: Vec<Writer>,
    /// For the shipper.
    pub outlet: Outlet,
    /// What waits for storage, per site.
    pub counts_waiting: BTreeMap<String, u64>,
    /// The journal of hit ids made by pages.
    pub seen: Arc<Seen>,
    /// What recovery found.
    pub report: RecoveryReport,
    /// Becomes `Some(why)` when the disk failed: nothing is acknowledged from
    /// then on, and the process should end.
    pub fatal: watch::Receiver<Option<String>>,
}

/// Why the spool could not be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A file operation failed.
    #[error("spool: cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// Another process has the spool open.
    #[error("spool: {0} is in use by another process")]
    Locked(PathBuf),
    /// The files are of a format that this version does not know.
    #[error("spool: {path} has format {found}, this version reads {known}")]
    Version { path: PathBuf, found: u16, known: u16 },
    /// Rows with columns that this version does not know.
    #[error("spool: {path} holds rows of columns version {found}, this version knows {COLUMNS_VERSION}")]
    Columns { path: PathBuf, found: u16 },
    /// A file that must be whole is not.
    #[error("spool: {0} is damaged; restore it from a copy or move it away, knowing what it held")]
    Damaged(PathBuf),
    /// More writers than a batch id can name.
    #[error("spool: {0} spools, between 1 and {MAX_SPOOLS} are allowed")]
    Spools(usize),
    /// The system gave no random bytes.
    #[error("spool: the system gives no random bytes")]
    Random,
    /// More tombstones than a file holds.
    #[error("spool: {0} tombstones, at most {max} are allowed", max = tombstone::MAX_TOMBSTONES)]
    Tombstones(usize),
    /// A dead letter that is not there, or is being sent again already.
    #[error("spool: no dead letter {0:016x} waits for a replay")]
    NoDeadLetter(u64),
    /// A batch is older than the shortest term, and whose rows outlive theirs is not known.
    #[error("spool: who is kept past their terms is not known: {0}")]
    Kept(String),
    /// A batch that is not, or no longer, in the spool.
    #[error("spool: batch {0:016x} is not waiting")]
    UnknownBatch(u64),
}

/// Opens the spool, recovering what an earlier process left.
pub fn open(options: Options, counters: Arc<Counters>) -> Result<Opened, SpoolError> {
    open_with(options, Tuning::default(), counters)
}

/// [`open`], with what tests set.
pub fn open_with(options: Options, tuning: Tuning, counters: Arc<Counters>) -> Result<Opened, SpoolError> {
    recover::open(options, tuning, counters)
}

// === impl Tuning ===

impl Default for Tuning {
    fn default() -> Self {
        Tuning { disk: Arc::new(disk::RealDisk), segment_bytes: None, settle: SETTLE }
    }
}

// === impl SpoolError ===

impl SpoolError {
    fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SpoolError {
        let path = path.into();
        move |source| SpoolError::Io { action, path, source }
    }
}
