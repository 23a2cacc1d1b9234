//! Backups: one encrypted, checked file of all that the embedded engine stores and
//! of the spool, and the way back onto a bare data directory.
//!
//! ```text
//! make     hold the spool ─► its checkpoint ─► BACKUP DATABASE ─► archive: storage's files, the spool's,
//!          the manifest ─► fsync ─► read back and compare ─► rename into place
//! restore  bare directory ─► marker ─► unpack and compare ─► RESTORE DATABASE ─► compare rows ─► migrate
//!          ─► delete what was erased since ─► count every batch of the spool, send what is absent ─► marker gone
//! expire   older than `backup.max_age`: the key is destroyed, then the file goes
//! ```
//!
//! # Format
//!
//! `metka-YYYYMMDDTHHMMSSZ-KEY.backup`, mode 0600. A header of 64 bytes in the clear
//! ([`stream`]), then the encrypted stream: chunks of 64 KiB under ChaCha20-Poly1305
//! with the STREAM construction, each bound to the header, so that a changed,
//! missing, doubled or moved byte is noticed. Inside is a tar: `clickhouse/…`,
//! `spool/…`, and last `manifest.json` ([`manifest`]).
//!
//! # Order, and why
//!
//! The spool's checkpoint is copied before storage is, its segments after, and
//! between the two no segment is released. So a batch that the copied checkpoint
//! calls stored is in the copy of storage; every other is in the copied segments,
//! and waits there for the restore to count it. Nothing is in neither. Segments are
//! copied newest first: one that is rolled meanwhile leaves no gap, and what is
//! written meanwhile looks like the torn tail of a crash.
//!
//! # Promises
//!
//! - Success means: the file is on the disk, was read back, decrypted and every
//!   file in it had the manifest's BLAKE3.
//! - There are no keys in it: not the key ring, not the engine's secret, not the
//!   spool's `node` (a restored spool is a new node, so that no batch id is given
//!   twice), no people, tokens or sessions.
//! - A restored directory holds each hit of the backup once, whatever was on its
//!   way, without those that were erased since ([`restore`]).
//! - A restore that fails leaves a bare directory; one that is killed leaves the
//!   marker, with which nothing starts but another restore.
//!
//! # Not
//!
//! Incremental backups, an outside ClickHouse (it has its own `BACKUP`), hits that
//! arrived after the archive's segments were read. Nothing is uploaded anywhere.

mod expire;
mod make;
mod manifest;
mod read;
pub mod restore;
mod stream;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use expire::{Expired, expire};
pub use make::{Made, make};
pub use manifest::Manifest;
pub use read::{Checked, check};
pub use stream::Header;

use crate::config::Config;
use crate::engine::directory;
use crate::privacy::keys::KeyError;
use crate::spool::SpoolError;
use crate::store::StorageError;

/// The end of an archive's name.
const EXTENSION: &str = "backup";
/// Behind the name while the archive is being written.
const UNFINISHED: &str = "backup.new";
/// The name of the file that says that a restore has not ended.
const MARKER: &str = "restoring";

/// Why a backup was not made, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Whom it would show who is blocked cannot be told.
    #[error("the copy of blocks: {0}")]
    Blocks(String),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: not a backup of Metka", .0.display())]
    Foreign(PathBuf),
    #[error("{}: a backup of format {found}, this version reads {known}", path.display())]
    Version { path: PathBuf, found: u16, known: u16 },
    #[error("{}: the backup is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    /// The key is not there (any more).
    #[error("{}: cannot be decrypted: {error}", path.display())]
    Key { path: PathBuf, error: KeyError },
    #[error("{}: no key ring; bring it with `metka keys import`", .0.display())]
    NoRing(PathBuf),
    #[error("{}: not empty ({found}); a backup is restored to a bare directory", path.display())]
    NotBare { path: PathBuf, found: String },
    #[error("{}: another backup or restore is running on this directory", .0.display())]
    Busy(PathBuf),
    #[error("{}: a restore has not ended here; run `metka restore` again", .0.display())]
    Unfinished(PathBuf),
    #[error("table {table}, partition {partition}: {found} rows were restored, the backup has {expected}")]
    Rows { table: String, partition: String, expected: u64, found: u64 },
    #[error("the spool: {batches} batches and {dead} rows in new dead letters were not taken by storage")]
    Waiting { batches: u64, dead: u64 },
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the work was ended by a panic")]
    Panicked,
}

/// When the youngest backup in a directory was made; none if there is none. What has
/// the name of one was checked when it was made.
pub fn latest(dir: &Path) -> Result<Option<jiff::Timestamp>, BackupError> {
    let backups = entries(dir)?;
    let backups = backups.iter().filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
    let made = backups.filter_map(|path| read::header(path).ok()).map(|header| header.made_ms).max();
    Ok(made.and_then(|made_ms| jiff::Timestamp::from_millisecond(made_ms).ok()))
}

/// Removes what a killed backup left: the plain copy of storage, unfinished
/// archives. Call it where none can be running.
pub fn tidy(config: &Config) -> Result<(), BackupError> {
    empty(&directory::backups_path(&config.data_dir))?;
    remove_unfinished(&config.backup.dir)
}

/// Refuses a data directory on which a restore has not ended.
pub fn refuse_unfinished(data_dir: &Path) -> Result<(), BackupError> {
    match data_dir.join(MARKER).exists() {
        true => Err(BackupError::Unfinished(data_dir.to_owned())),
        false => Ok(()),
    }
}

/// Held while a backup is made.
fn lock(config: &Config) -> Result<File, BackupError> {
    let path = config.data_dir.join("backup.lock");
    let file = private().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    lock_file(file, &path, config)
}

/// Locks an open file; whoever holds it already is at work on the data directory.
fn lock_file(file: File, path: &Path, config: &Config) -> Result<File, BackupError> {
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BackupError::Busy(config.data_dir.clone())),
        Err(error) => Err(at(path)(error.into())),
    }
}

fn remove_unfinished(dir: &Path) -> Result<(), BackupError> {
    for path in entries(dir)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("metka-") && name.ends_with(UNFINISHED) {
            std::fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Removes all that is in a directory.
fn empty(dir: &Path) -> Result<(), BackupError> {
    for path in entries(dir)? {
        remove(&path)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), BackupError> {
    let is_dir = path.symlink_metadata().map_err(at(path))?.is_dir();
    let removed = if is_dir { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.map_err(at(path))
}

/// What is in a directory, sorted; nothing when it is not there.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let listed = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|all| all.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()),
    };
    let mut found = listed.map_err(at(dir))?;
    found.sort();
    Ok(found)
}

fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

fn private() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.mode(0o600);
    options
}

fn private_dir(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |error| BackupError::Io { path, error }
}
