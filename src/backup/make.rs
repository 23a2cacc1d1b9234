//! Makes an archive: see the order in the module's documentation.
//!
//! The plain copy that ClickHouse writes is in `engine/backups` for as long as the
//! archive is being written, and is removed on every way out; after a `kill -9` by
//! the next start. So the disk needs room for storage once more, and for the archive.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::manifest::{self, Entry, Manifest};
use super::read;
use super::stream::{Header, Sealer};
use super::{BackupError, EXTENSION, UNFINISHED, at, empty, entries, lock, private, private_dir};
use crate::config::Config;
use crate::engine::directory;
use crate::privacy::keys::KeyRing;
use crate::spool::{Hold, Outlet};
use crate::store::{Limits, Storage, migrate};

/// Pieces in which a segment's zeros are looked for, from its end.
const ZERO_PIECE_BYTES: usize = 256 << 10;
/// The archive is written in pieces of this size.
const WRITE_BYTES: usize = 1 << 20;
/// A checkpoint is never longer (`spool::checkpoint`).
const MAX_CHECKPOINT_BYTES: u64 = 1 << 20;

/// How long storage may take to come up: an engine opens its tables first.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(100);

/// A backup that was made and checked.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    pub file: PathBuf,
    pub bytes: u64,
    /// The id of its key in the ring.
    pub key: u32,
    /// Rows of hits in storage's part of it.
    pub rows: u64,
    pub files: usize,
}

/// Writes the archive.
struct Archive {
    tar: tar::Builder<Sealer<BufWriter<File>>>,
    manifest: Manifest,
    made: i64,
}

/// Makes a backup in the directory `to`. The storage is the embedded engine's.
pub async fn make(
    config: &Config,
    keys: Arc<KeyRing>,
    storage: &Storage,
    outlet: &Outlet,
    to: &Path,
) -> Result<Made, BackupError> {
    let _alone = lock(config)?;
    let plain_copies = directory::backups_path(&config.data_dir);
    private_dir(&plain_copies)?;
    empty(&plain_copies)?;
    private_dir(to)?;
    super::remove_unfinished(to)?;

    let migrations = until_ready(storage).await?;
    let hold = outlet.hold();
    let spool = config.data_dir.join("spool");
    let checkpoint = {
        let (outlet, path) = (outlet.clone(), spool.join("checkpoint"));
        blocking(move || {
            outlet.checkpoint()?;
            let mut bytes = Vec::new();
            let file = File::open(&path).map_err(at(&path))?;
            file.take(MAX_CHECKPOINT_BYTES).read_to_end(&mut bytes).map_err(at(&path))?;
            Ok(bytes)
        })
        .await?
    };
    let key = keys.make_backup_key()?;
    let made = async {
        let copy = plain_copies.join(key.to_string());
        storage.execute(&statement("BACKUP", storage.database(), "TO", &copy), &[]).await?;
        let manifest = Manifest {
            made: jiff::Timestamp::now().to_string(),
            product: env!("CARGO_PKG_VERSION").to_owned(),
            database: storage.database().to_owned(),
            migrations,
            ..Manifest::default()
        };
        let (keys, to) = (keys.clone(), to.to_owned());
        blocking(move || write(&keys, key, manifest, &copy, &spool, &checkpoint, hold, &to)).await
    }
    .await;
    let emptied = empty(&plain_copies);
    if made.is_err() {
        super::remove_unfinished(to)?;
        // Nothing was encrypted with it that is left.
        keys.destroy_backup_keys(jiff::Timestamp::UNIX_EPOCH, Some(key))?;
    }
    let made = made?;
    emptied?;
    Ok(made)
}

/// `BACKUP` or `RESTORE` of a database; the path is one of ours, quoted all the same.
pub(super) fn statement(verb: &str, database: &str, word: &str, dir: &Path) -> String {
    let path = dir.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    format!("{verb} DATABASE {database} {word} File('{path}')")
        + if verb == "BACKUP" { " SETTINGS deduplicate_files = 0" } else { "" }
}

/// Waits until storage answers and has the whole schema, and says which: a server
/// may have been started a moment ago.
async fn until_ready(storage: &Storage) -> Result<Vec<u32>, BackupError> {
    let started = Instant::now();
    loop {
        let waited = started.elapsed() >= READY_TIMEOUT;
        match migrations(storage).await {
            Ok(applied) if waited || applied.last().is_some_and(|last| *last >= migrate::LATEST) => {
                return Ok(applied);
            }
            Ok(_) => {}
            Err(BackupError::Storage(error)) if error.is_retryable() && !waited => {
                tracing::debug!(%error, "a backup waits for storage");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(READY_POLL).await;
    }
}

async fn migrations(storage: &Storage) -> Result<Vec<u32>, BackupError> {
    let sql = format!("SELECT DISTINCT number FROM {}.migrations ORDER BY number", storage.database());
    let rows = storage.json(&sql, &[], &Limits::default()).await?;
    let number = |row: &Vec<serde_json::Value>| row.first()?.as_u64()?.try_into().ok();
    Ok(rows.iter().filter_map(number).collect())
}

#[expect(clippy::too_many_arguments, reason = "the parts of one archive, each from an earlier step")]
fn write(
    keys: &KeyRing,
    key: u32,
    mut manifest: Manifest,
    copy: &Path,
    spool: &Path,
    checkpoint: &[u8],
    hold: Hold,
    to: &Path,
) -> Result<Made, BackupError> {
    let now = jiff::Timestamp::now();
    let name = format!("metka-{}-{key}", now.strftime("%Y%m%dT%H%M%SZ"));
    let unfinished = to.join(format!("{name}.{UNFINISHED}"));
    let file = private().write(true).create_new(true).open(&unfinished).map_err(at(&unfinished))?;
    let header = Header { key, made_ms: now.as_millisecond(), product: manifest.product.clone() };
    let sealer = Sealer::new(BufWriter::with_capacity(WRITE_BYTES, file), &header, keys.backup_cipher(key)?)
        .map_err(at(&unfinished))?;
    let text = String::from_utf8_lossy(checkpoint);
    manifest.spool = text.lines().filter(|line| line.starts_with("spool ")).map(str::to_owned).collect();
    let mut archive = Archive { tar: tar::Builder::new(sealer), manifest, made: now.as_second() };
    archive.spool(spool, checkpoint)?;
    drop(hold);
    archive.tree(copy, copy)?;
    let file = archive.finish().map_err(at(&unfinished))?;
    file.sync_all().map_err(at(&unfinished))?;
    drop(file);

    let checked = read::check(&unfinished, keys)?;
    let target = to.join(format!("{name}.{EXTENSION}"));
    std::fs::rename(&unfinished, &target).map_err(at(&unfinished))?;
    super::sync_dir(to)?;
    let bytes = target.metadata().map_err(at(&target))?.len();
    let (rows, files) = (checked.manifest.rows(), checked.manifest.files.len());
    Ok(Made { file: target, bytes, key, rows, files })
}

// === impl Archive ===

impl Archive {
    /// ClickHouse's files: nothing changes them.
    fn tree(&mut self, root: &Path, dir: &Path) -> Result<(), BackupError> {
        for path in entries(dir)? {
            if path.is_dir() {
                self.tree(root, &path)?;
                continue;
            }
            let inside = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let file = File::open(&path).map_err(at(&path))?;
            let bytes = file.metadata().map_err(at(&path))?.len();
            if inside.ends_with("/count.txt") {
                let text = std::fs::read_to_string(&path).map_err(at(&path))?;
                self.manifest.count(&inside, &text);
            }
            self.append(&format!("clickhouse/{inside}"), file, bytes, 0).map_err(at(&path))?;
        }
        Ok(())
    }

    /// The spool's files, which a server may be writing to.
    fn spool(&mut self, dir: &Path, checkpoint: &[u8]) -> Result<(), BackupError> {
        let bytes = checkpoint.len() as u64;
        self.append("spool/checkpoint", checkpoint, bytes, 0).map_err(at(dir))?;
        for below in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
            let name = below.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let wanted = match name.as_str() {
                "dead" => "dead",
                "seen" => "keys",
                // What is in there could not be read when it was set aside.
                "quarantine" => continue,
                _ => "seg",
            };
            let mut files = entries(&below)?;
            files.retain(|path| path.extension().is_some_and(|extension| extension == wanted));
            // Newest first: see the module's documentation.
            for path in files.iter().rev() {
                self.live(path, &format!("spool/{name}"), wanted == "seg")?;
            }
        }
        self.live(&dir.join("tombstones"), "spool", false)
    }

    /// A file that may grow meanwhile, or be gone.
    fn live(&mut self, path: &Path, below: &str, is_segment: bool) -> Result<(), BackupError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(at(path))?,
        };
        let found = file.metadata().map_err(at(path))?;
        let length = found.len();
        let bytes = if is_segment { without_zeros(&file, length).map_err(at(path))? } else { length };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.append(&format!("{below}/{name}"), file, bytes, length - bytes).map_err(at(path))?;
        // A segment that was released in spite of the hold has been overwritten while it was read.
        match path.metadata() {
            Ok(now) if now.ino() == found.ino() => Ok(()),
            _ if !is_segment => Ok(()),
            _ => Err(at(path)(io::Error::other("it was released while it was being copied"))),
        }
    }

    fn append(&mut self, name: &str, contents: impl Read, bytes: u64, zeros: u64) -> io::Result<()> {
        let mut hashing = HashingReader { inner: contents.take(bytes), hasher: blake3::Hasher::new() };
        self.tar.append_data(&mut tar_header(bytes, self.made), name, &mut hashing)?;
        let blake3 = hashing.hasher.finalize().to_hex().to_string();
        if hashing.inner.limit() > 0 {
            return Err(io::Error::other("it became shorter while it was being copied"));
        }
        self.manifest.files.push(Entry { path: name.to_owned(), bytes, zeros, blake3 });
        Ok(())
    }

    fn finish(mut self) -> io::Result<File> {
        let text = serde_json::to_vec(&self.manifest).map_err(io::Error::other)?;
        if text.len() as u64 > manifest::MAX_BYTES {
            return Err(io::Error::other("the manifest is too long: let ClickHouse merge its parts first"));
        }
        let mut header = tar_header(text.len() as u64, self.made);
        self.tar.append_data(&mut header, manifest::NAME, &text[..])?;
        self.tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

struct HashingReader<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hasher.update(&out[..read]);
        Ok(read)
    }
}

fn tar_header(bytes: u64, made: i64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(made).unwrap_or(0));
    header
}

/// The length of a file without the zeros at its end.
fn without_zeros(file: &File, length: u64) -> io::Result<u64> {
    let mut piece = vec![0; ZERO_PIECE_BYTES];
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(ZERO_PIECE_BYTES as u64);
        let piece = &mut piece[..(end - from) as usize];
        file.read_exact_at(piece, from)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            // Records are padded to 8 bytes.
            return Ok((from + last as u64 + 1).next_multiple_of(8).min(length));
        }
        end = from;
    }
    Ok(0)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BackupError::Panicked)?
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Made { file, bytes, key, rows, files } = self;
        write!(f, "{}: {rows} rows, {files} files, {bytes} bytes, checked, under key {key}", file.display())
    }
}
