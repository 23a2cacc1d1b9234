//! Nothing is kept longer than its term and a day: the job that carries out the
//! `retention.*` settings, per site and kind of data.
//!
//! In: storage, the key ring, a moment. Out: a [`Report`]. Each row carries its own
//! terms and whether it is held; the job reads those, not today's configuration, so
//! that a changed policy does not rewrite the past, and the rows of a site that is no
//! longer configured go by theirs.
//!
//! ```text
//! run(now) ─► hits: whole rows, then address, city, user key, properties ─► refusals
//!          ─► both counted again ─► backups past their age ─► address keys of past months
//!          ─► requests, audit trail
//! ```
//!
//! Invariants:
//! - one function builds each condition (`terms`): a dry run counts, a run removes, and
//!   the verification counts again, by the same text. A dry run removes nothing;
//! - removed means off the disk: parts are rewritten or dropped, and the old ones are
//!   waited for;
//! - rows on hold are untouched;
//! - a run that leaves something behind is an error that names kind, site and count;
//! - one run at a time: processes by a lock file, jobs of one process that rewrite
//!   parts by [`crate::store::parts`].
//!
//! A batch that it empties is not sent again: the spool leaves out rows whose term
//! has run out before it compares what storage should have (`src/spool/batch.rs`).
//!
//! Limits: terms are whole days of 24 hours. A column is wiped, a sum of refused
//! hits goes, by the row's UTC time. Times of the server's clock are believed.
//!
//! - `terms`: the kinds, and when a term has run out
//! - `survey`: what is there, by part and site
//! - `remove`: drops parts, deletes rows, wipes columns
//! - `address_keys`: which keys of past months are due
//! - `others`: what has a term outside of storage: the audit trail, the register of requests
//! - `report`: what a run did, and the latest of them on the disk

mod address_keys;
pub mod others;
pub mod remove;
pub mod report;
pub mod survey;
pub mod terms;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::backup::{self, BackupError};
use crate::config::Config;
use crate::privacy::keys::{KeyError, KeyRing, Purpose};
use crate::store::{Storage, StorageError};
pub use address_keys::due as due_address_keys;
use remove::{Removed, by_site, remove};
pub use report::{KindReport, Report};
use survey::{Count, survey};
use terms::{DAY_MS, Kind, Table};

/// What a run works on.
pub struct Job {
    pub storage: Storage,
    pub keys: Arc<KeyRing>,
    pub config: Arc<Config>,
    /// When the oldest batch that waits in the spool was opened, in milliseconds since 1970.
    pub waiting_since_ms: Option<u64>,
    /// Data with terms that other modules hold.
    pub others: Vec<Arc<dyn Others>>,
}

/// Whether to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Counts what a run would remove, and removes nothing.
    DryRun,
    Remove,
}

/// Data outside of storage with a term of its own (see [`others`]). Its module knows its terms; the job gives the moment and reports.
pub trait Others: Send + Sync {
    /// Removes, or only counts, what has expired at `now`; a line for each site and
    /// kind. Called where waiting for the disk holds up nobody.
    fn expire(&self, now: Timestamp, mode: Mode) -> Result<Vec<KindReport>, String>;
}

/// Why a run did not do all of its work.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    #[error(transparent)]
    Storage(StorageError),
    /// Its tables are not of this version yet, or do not say yet who is held.
    #[error("storage is not ready yet")]
    NotReady,
    /// Counted again after it was removed.
    #[error("{count} rows of {site:?} still hold {kind} past its term")]
    Left { kind: &'static str, site: String, count: u64 },
    /// Something was removed that had not expired.
    #[error("{count} rows of {site:?} lost {kind} that had not expired")]
    WentTooFar { kind: &'static str, site: String, count: u64 },
    #[error("the address keys: {0}")]
    Keys(#[from] KeyError),
    #[error("the backups: {0}")]
    Backups(#[from] BackupError),
    /// See [`Others`].
    #[error("{0}")]
    Others(String),
    #[error("the retention directory: {0}")]
    Directory(#[from] std::io::Error),
    #[error("the work ended in a panic")]
    Panic,
}

// === impl RetentionError ===

impl RetentionError {
    /// Storage is away, and the same may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            RetentionError::NotReady => true,
            RetentionError::Storage(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// Runs once, alone on its data directory, and keeps the report of a run that removed.
pub async fn run(job: &Job, now: Timestamp, mode: Mode) -> Result<Report, RetentionError> {
    let started = Instant::now();
    let data_dir = job.config.data_dir.clone();
    let _lock = match mode {
        Mode::DryRun => None,
        Mode::Remove => {
            let data_dir = data_dir.clone();
            Some(blocking(move || report::lock(&data_dir)).await??)
        }
    };
    let now_ms = now.as_millisecond();
    if mode == Mode::Remove {
        // What came since the last time of somebody who is blocked or held is not to go.
        job.storage.hold_listed().await?;
    }
    let mut removed = Removed::default();
    let mut counts = BTreeMap::new();
    for table in Table::ALL {
        if mode == Mode::Remove {
            let done = remove(&job.storage, table, now_ms).await?;
            removed.rows.extend(done.rows);
            removed.parts_dropped += done.parts_dropped;
        }
        counts.extend(by_site(&survey(&job.storage, table, now_ms).await?));
    }
    if mode == Mode::Remove {
        // Always: those of a run that was interrupted too.
        job.storage.wait_for_old_parts().await?;
    }
    match mode {
        Mode::DryRun => {
            let expired = counts.iter().map(|(what, count)| (what.clone(), count.expired));
            removed.rows = expired.filter(|(_, expired)| *expired > 0).collect();
        }
        Mode::Remove => verify(&counts)?,
    }
    let backups = expire_backups(job, now, mode).await?;
    let keys_destroyed = destroy_keys(job, now, mode).await?;
    let mut kinds = described(&counts, &removed);
    for other in &job.others {
        let other = other.clone();
        let lines = blocking(move || other.expire(now, mode)).await?.map_err(RetentionError::Others)?;
        kinds.extend(lines);
    }
    kinds.sort();
    let report = Report {
        at: now.to_string(),
        dry_run: mode == Mode::DryRun,
        kinds,
        keys_destroyed,
        backups,
        parts_dropped: removed.parts_dropped,
        seconds: started.elapsed().as_secs_f64(),
    };
    if mode == Mode::Remove {
        let kept = report.clone();
        blocking(move || kept.keep(&data_dir)).await??;
    }
    Ok(report)
}

/// Nothing is older than its term.
fn verify(counts: &BTreeMap<(String, Kind), Count>) -> Result<(), RetentionError> {
    match counts.iter().find(|(_, count)| count.expired > 0) {
        None => Ok(()),
        Some(((site, kind), count)) => {
            Err(RetentionError::Left { kind: kind.name(), site: site.clone(), count: count.expired })
        }
    }
}

/// A line for each site and kind that storage has, or had.
fn described(counts: &BTreeMap<(String, Kind), Count>, removed: &Removed) -> Vec<KindReport> {
    let mut all: BTreeMap<&(String, Kind), Count> =
        counts.iter().map(|(what, count)| (what, *count)).collect();
    for what in removed.rows.keys() {
        all.entry(what).or_default();
    }
    let oldest =
        |ms: i64| Timestamp::from_millisecond(ms).ok().filter(|_| ms > 0).map(|time| time.to_string());
    all.into_iter()
        .map(|(what, count)| KindReport {
            site: what.0.clone(),
            kind: what.1.name().to_owned(),
            removed: removed.rows.get(what).copied().unwrap_or_default(),
            held_back: count.held_back,
            oldest_left: oldest(count.oldest_ms),
        })
        .collect()
}

async fn expire_backups(job: &Job, now: Timestamp, mode: Mode) -> Result<u64, RetentionError> {
    if mode == Mode::DryRun {
        let age_ms = i64::from(job.config.backup.max_age_days) * DAY_MS;
        let is_due = |created: &str| {
            created.parse::<Timestamp>().is_ok_and(|at| at.as_millisecond() + age_ms < now.as_millisecond())
        };
        let keys = job.keys.list();
        let due = keys
            .iter()
            .filter(|key| key.purpose == Purpose::Backup && key.destroyed.is_empty() && is_due(&key.created));
        return Ok(due.count() as u64);
    }
    let (config, keys) = (job.config.clone(), job.keys.clone());
    Ok(blocking(move || backup::expire(&config, &keys, now)).await??.keys as u64)
}

async fn destroy_keys(job: &Job, now: Timestamp, mode: Mode) -> Result<Vec<u32>, RetentionError> {
    let due =
        address_keys::due(&job.storage, &job.config, &job.keys.list(), job.waiting_since_ms, now).await?;
    if mode == Mode::DryRun || due.is_empty() {
        return Ok(due);
    }
    let keys = job.keys.clone();
    let destroyed = blocking(move || {
        let mut destroyed = Vec::new();
        for id in due {
            match keys.destroy(Purpose::Ip, id) {
                Ok(_) => destroyed.push(id),
                // Another process that shares the ring was first.
                Err(KeyError::Destroyed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(destroyed)
    });
    Ok(destroyed.await??)
}

/// Runs work that waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RetentionError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RetentionError::Panic)
}
