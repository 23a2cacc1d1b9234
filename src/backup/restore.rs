//! An archive onto a bare data directory.
//!
//! [`begin`] refuses a directory that holds anything but keys, backups and the audit trail, and sets
//! the marker, locked. [`unpack`] writes the archive's files where they belong, each
//! compared with the manifest. [`load`] fills the engine, which the caller has started: tables
//! first, empty, and their merges stopped, so that terms do not act before the rows
//! are compared; then the rows, whose parts get numbers of the new table's. Then what was erased since the backup is deleted,
//! and every batch of the spool is counted in storage and sent if it is absent (the
//! engine's deduplication log does not survive a restore, so tokens say nothing).
//! Then the spool holds nothing any more, and its segments go: they may hold rows
//! of people who were erased. [`finish`] makes all durable and removes the marker.
//!
//! Blocks are those of the copy beside the backups, if there is one, and not of the
//! backup's time. Erasures are known from the tombstones in the archive, beside it, and in
//! `backup.dir`; dead letters keep their rows until they are replayed, through the
//! same tombstones.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use super::make::statement;
use super::manifest::Manifest;
use super::{BackupError, MARKER, at, entries, lock_file, private, private_dir, read, remove, sync_dir};
use crate::audit;
use crate::config::Config;
use crate::count::Counters;
use crate::engine::directory;
use crate::privacy::keys::KeyRing;
use crate::serve::Inserts;
use crate::settings;
use crate::ship::{self, ShipMetrics};
use crate::spool::{self, Tombstones, Tuning, tombstone};
use crate::store::{Block, Limits, List, Param, Storage, StorageError};
use crate::subject::block::{self, ListCopy};

/// The directory of the register, of acts and of the copies of blocks and holds.
const RIGHTS: &str = "rights";
/// Where ClickHouse's files lie meanwhile, below `engine/backups`.
const PLAIN: &str = "restore";

/// The right to fill the data directory; the marker is there and locked.
pub struct Attempt {
    _marker: File,
}

/// An archive whose files are in place.
pub struct Unpacked {
    manifest: Manifest,
    plain: PathBuf,
    tombstones: Tombstones,
    /// The lists as their copies were last written; without one that has no copy.
    lists: Vec<(List, Vec<Block>)>,
}

/// What a restore did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Restored {
    /// When the backup was made, RFC 3339.
    pub made: String,
    /// Rows in storage's part of the backup.
    pub rows: u64,
    /// Erasures that were applied again, and the rows they deleted.
    pub erasures: usize,
    pub erased_rows: u64,
    /// Refused hits of addresses that were erased since, which were deleted as well.
    pub erased_refusals: u64,
    /// Batches of the spool that storage had already, by its own word or by the
    /// count; those that were sent; those that it should have had and had not.
    pub found_batches: u64,
    pub sent_batches: u64,
    pub mended_batches: u64,
    pub sent_rows: u64,
    /// Rows in dead letters, which wait for a replay.
    pub dead_rows: u64,
}

/// Checks that the archive's key is there and that nothing else is, but for what a
/// restore has left that was killed: that goes.
pub fn begin(config: &Config, file: &Path) -> Result<Attempt, BackupError> {
    let data_dir = &config.data_dir;
    if !KeyRing::exists(&config.keys.dir) {
        return Err(BackupError::NoRing(config.keys.dir.clone()));
    }
    let keys = KeyRing::open(&config.keys)?;
    keys.backup_cipher(read::header(file)?.key)
        .map_err(|error| BackupError::Key { path: file.to_owned(), error })?;
    let path = data_dir.join(MARKER);
    if !path.exists() {
        bare(config)?;
    }
    private_dir(data_dir)?;
    let marker = private().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    let marker = lock_file(marker, &path, config)?;
    sync_dir(data_dir)?;
    clear(config)?;
    Ok(Attempt { _marker: marker })
}

/// Puts the archive's files in place.
pub fn unpack(config: &Config, _attempt: &Attempt, file: &Path) -> Result<Unpacked, BackupError> {
    let data_dir = &config.data_dir;
    let keys = KeyRing::open(&config.keys)?;
    let plain = directory::backups_path(data_dir).join(PLAIN);
    private_dir(&plain)?;
    let checked = read::read(file, &keys, |inside, contents| {
        let target = match inside.strip_prefix("clickhouse") {
            Ok(inside) => plain.join(inside),
            Err(_) if inside.starts_with("spool") => data_dir.join(inside),
            Err(_) => return Err(io::Error::other("it belongs nowhere")),
        };
        read::write_file(&target, contents)
    })?;
    for entry in checked.manifest.files.iter().filter(|entry| entry.zeros > 0) {
        let path = data_dir.join(&entry.path);
        let grown = OpenOptions::new().write(true).open(&path);
        grown.and_then(|file| file.set_len(entry.bytes + entry.zeros)).map_err(at(&path))?;
    }
    let own = data_dir.join("spool").join(tombstone::FILE_NAME);
    let mut tombstones = Tombstones::read(&own)?;
    for dir in [file.parent().unwrap_or(Path::new(".")), &config.backup.dir] {
        tombstones.merge(&Tombstones::read(&dir.join(tombstone::FILE_NAME))?);
    }
    if !tombstones.is_empty() {
        tombstones.write(&own)?;
    }
    let mut lists = Vec::new();
    for list in List::ALL {
        lists.extend(newest(list, config, file)?.map(|blocks| (list, blocks)));
    }
    Ok(Unpacked { manifest: checked.manifest, plain, tombstones, lists })
}

/// Removes what a failed restore has written, and the marker last.
pub fn undo(config: &Config, _attempt: Attempt) -> Result<(), BackupError> {
    clear(config)?;
    remove(&config.data_dir.join(MARKER))
}

fn clear(config: &Config) -> Result<(), BackupError> {
    let marker = config.data_dir.join(MARKER);
    for path in entries(&config.data_dir)? {
        if path != marker && !is_kept(config, &path) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Fills storage, which is empty, and empties the spool into it.
pub async fn load(config: &Config, unpacked: &Unpacked, storage: &Storage) -> Result<Restored, BackupError> {
    let Unpacked { manifest, plain, tombstones, lists } = unpacked;
    let database = storage.database();
    let source = match manifest.database.as_str() {
        same if same == database => same.to_owned(),
        other => format!("{other} AS {database}"),
    };
    let restore = statement("RESTORE", &source, "FROM", plain);
    storage.execute(&format!("{restore} SETTINGS structure_only = 1"), &[]).await?;
    for table in tables(storage).await? {
        storage.execute(&format!("SYSTEM STOP MERGES {database}.{table}"), &[]).await?;
    }
    storage.execute(&restore, &[]).await?;
    number_anew(storage).await?;
    compare(storage, manifest).await?;
    for table in tables(storage).await? {
        // Who is held is known as of today, and their rows have passed their terms since.
        storage.execute(&format!("SYSTEM STOP TTL MERGES {database}.{table}"), &[]).await?;
        storage.execute(&format!("SYSTEM START MERGES {database}.{table}"), &[]).await?;
    }
    remove(plain)?;
    storage.migrate().await?;
    for (list, blocks) in lists {
        storage.enlist(*list, blocks, jiff::Timestamp::now().as_millisecond()).await?;
    }
    storage.hold_restored().await?;

    let total = format!("SELECT count() FROM {database}.hits");
    let mut restored = Restored {
        made: manifest.made.clone(),
        rows: manifest.rows(),
        erasures: tombstones.list().len(),
        ..Restored::default()
    };
    restored.erased_rows = storage.erase(tombstones.list()).await?;
    restored.erased_refusals = storage.erase_refusals(tombstones.refusals()).await?;
    for (list, blocks) in lists {
        // What was lifted since the backup was made does not come back either.
        let mut lifted = storage.listed(*list).await?;
        lifted.retain(|block| !blocks.contains(block));
        storage.delist(*list, &lifted).await?;
    }
    for table in tables(storage).await? {
        storage.execute(&format!("SYSTEM START TTL MERGES {database}.{table}"), &[]).await?;
    }
    let before = storage.number(&total, &[]).await?;
    ship_all(config, storage, &mut restored).await?;
    // A term may act at any merge, so this is a report and no check.
    restored.sent_rows = storage.number(&total, &[]).await?.saturating_sub(before);
    Ok(restored)
}

/// Makes everything durable and removes the marker: from now on the directory is
/// like any other. The engine has ended.
pub fn finish(config: &Config, _attempt: Attempt) -> Result<(), BackupError> {
    let data_dir = &config.data_dir;
    // RESTORE does not sync what it writes.
    let dir = File::open(data_dir).map_err(at(data_dir))?;
    rustix::fs::syncfs(&dir).map_err(|error| at(data_dir)(error.into()))?;
    remove(&data_dir.join(MARKER))?;
    sync_dir(data_dir)
}

/// Counts each batch of the spool in storage, sends what is absent, and lets the
/// segments go.
async fn ship_all(config: &Config, storage: &Storage, restored: &mut Restored) -> Result<(), BackupError> {
    let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
    let options = spool::Options {
        dir: config.data_dir.join("spool"),
        spools: 1,
        durability: config.collect.durability,
        seal_interval: config.ship.interval,
        batch_rows: config.ship.batch_rows,
        max_bytes: config.ship.spool_max_bytes,
    };
    // The machine is told to write everything down before the marker goes.
    let tuning = Tuning { settle: Duration::ZERO, ..Tuning::default() };
    let opened = spool::open_with(options, tuning, counters)?;
    let outlet = opened.outlet.clone();
    // Storage has the lists of today by now.
    let mut listed = Vec::new();
    for list in List::ALL {
        listed.extend(storage.listed(list).await?);
    }
    let kept: Arc<spool::Kept> =
        Arc::new(listed.into_iter().map(|Block { site, subject }| (site, subject)).collect());
    outlet.keep(Arc::new(move || Ok(kept.clone())));
    let dead_before = outlet.backlog().dead_rows;
    let metrics = Arc::new(ShipMetrics::default());
    let mut left = u64::MAX;
    let backlog = loop {
        ship::run_once(outlet.clone(), Inserts(storage.clone()), metrics.clone()).await;
        let backlog = outlet.backlog();
        let before = std::mem::replace(&mut left, backlog.batches + backlog.unverified_batches);
        // Each round counts some hundred of them.
        if left == 0 || left >= before {
            break backlog;
        }
    };
    opened.writers.into_iter().for_each(spool::Writer::close);
    if left > 0 || backlog.dead_rows > dead_before {
        return Err(BackupError::Waiting { batches: left, dead: backlog.dead_rows - dead_before });
    }
    restored.found_batches = metrics.found_batches.load(Relaxed);
    restored.sent_batches = metrics.batches.load(Relaxed) - restored.found_batches;
    restored.mended_batches = metrics.mended_batches.load(Relaxed);
    restored.dead_rows = backlog.dead_rows;
    outlet.retire()?;
    Ok(())
}

/// Gives every part that was ever mutated a number of this table's own. A restored part
/// keeps the number of its last mutation, while the table counts from 1: until its count
/// has passed that number, each further mutation would take the part for done and skip it
/// without a word, and nobody could be erased.
async fn number_anew(storage: &Storage) -> Result<(), BackupError> {
    let database = storage.database();
    let sql = "SELECT DISTINCT table, partition_id FROM system.parts \
               WHERE database = {database:String} AND active AND data_version != max_block_number";
    let params = [("database".to_owned(), Param::Text(database.to_owned()))];
    for row in storage.json(sql, &params, &Limits::default()).await? {
        let text = |column: usize| row.get(column).and_then(serde_json::Value::as_str).unwrap_or_default();
        let (table, partition) = (text(0), text(1));
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_plain(table) || !is_plain(partition) {
            return Err(StorageError::Unreadable(format!("a part of {table:?} in {partition:?}")).into());
        }
        for verb in ["DETACH", "ATTACH"] {
            let sql = format!("ALTER TABLE {database}.{table} {verb} PARTITION ID '{partition}'");
            storage.execute(&sql, &[]).await?;
        }
    }
    Ok(())
}

/// The copy of a list that was written last, of those in the data directory, beside the backups and
/// beside the archive; put in its place in the data directory too.
fn newest(list: List, config: &Config, file: &Path) -> Result<Option<Vec<Block>>, BackupError> {
    let name = block::file_name(list);
    let target = config.data_dir.join(RIGHTS).join(name);
    let beside = |dir: &Path| dir.join(name);
    let mut newest: Option<(PathBuf, ListCopy)> = None;
    for path in [target.clone(), beside(&config.backup.dir), beside(file.parent().unwrap_or(Path::new(".")))]
    {
        let read = block::read_copy(&path).map_err(|error| BackupError::Blocks(error.to_string()))?;
        let Some(copy) = read else { continue };
        if newest.as_ref().is_none_or(|(_, latest)| copy.written_ms > latest.written_ms) {
            newest = Some((path, copy));
        }
    }
    let Some((path, ListCopy { entries, .. })) = newest else { return Ok(None) };
    if path != target {
        let bytes = std::fs::read(&path);
        bytes.and_then(|bytes| crate::private_file::replace(&target, &bytes)).map_err(at(&target))?;
    }
    Ok(Some(entries.into_keys().collect()))
}

async fn tables(storage: &Storage) -> Result<Vec<String>, BackupError> {
    let sql =
        "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'";
    let params = [("database".to_owned(), Param::Text(storage.database().to_owned()))];
    let rows = storage.json(sql, &params, &Limits::default()).await?;
    Ok(rows.iter().filter_map(|row| Some(row.first()?.as_str()?.to_owned())).collect())
}

/// Whether every partition of every table has the manifest's rows, and no other is there.
async fn compare(storage: &Storage, manifest: &Manifest) -> Result<(), BackupError> {
    let database = storage.database();
    for table in tables(storage).await? {
        let sql = format!("SELECT _partition_id, count() FROM {database}.{table} GROUP BY 1");
        let rows = storage.json(&sql, &[], &Limits::default()).await?;
        let mut expected = manifest.tables.get(&table).cloned().unwrap_or_default();
        for row in &rows {
            let partition = row.first().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            let found = row.get(1).and_then(serde_json::Value::as_u64).unwrap_or_default();
            let expected = expected.remove(&partition).unwrap_or(0);
            if expected != found {
                return Err(BackupError::Rows { table, partition, expected, found });
            }
        }
        if let Some((partition, expected)) = expected.into_iter().find(|(_, rows)| *rows > 0) {
            return Err(BackupError::Rows { table, partition, expected, found: 0 });
        }
    }
    let known = tables(storage).await?;
    let missing = manifest.tables.iter().find(|(table, _)| !known.contains(table));
    match missing.and_then(|(table, partitions)| Some((table, partitions.iter().next()?))) {
        Some((table, (partition, rows))) => Err(BackupError::Rows {
            table: table.clone(),
            partition: partition.clone(),
            expected: *rows,
            found: 0,
        }),
        None => Ok(()),
    }
}

/// Only what a restore keeps.
fn bare(config: &Config) -> Result<(), BackupError> {
    let other = entries(&config.data_dir)?.into_iter().find(|path| !is_kept(config, path));
    match other {
        Some(path) => Err(BackupError::NotBare {
            path: config.data_dir.clone(),
            found: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }),
        None => Ok(()),
    }
}

/// Keys and backups are not touched, nor a directory that holds them; nor the audit trail,
/// in which the import of the keys stands, and the restore itself; nor the register of
/// requests, the acts and the settings of sites, which are in no archive.
fn is_kept(config: &Config, path: &Path) -> bool {
    let apart = [audit::DIR_NAME, RIGHTS, settings::DIR_NAME].map(|name| config.data_dir.join(name));
    apart.iter().any(|kept| kept == path)
        || config.keys.dir.starts_with(path)
        || config.backup.dir.starts_with(path)
}
