//! The spool's other end: sealed batches, oldest first, and what becomes of them.
//!
//! ```text
//!            next            acknowledge                verified             settle
//! sealed ──────────► sent ───────────────► acknowledged ─────────► verified ─────────► released
//!    ▲                 │ dead_letter            │ missing
//!    │ replay          ▼                        ▼
//!    └────────── dead letter            recheck: sent again under the next token
//! ```
//!
//! A batch is handed out to one holder at a time; dropped without an
//! acknowledgement it is handed out again, the same rows under the same token.
//! An acknowledgement is durable (the checkpoint) before it is counted. A batch
//! stays in the spool until its rows have been counted in storage and a time has
//! passed in which the machine writes down what storage wrote (`Tuning::settle`);
//! with more than half of the spool used, only until they have been counted.
//!
//! Rows that are left out of a batch ([`super::batch`]) count as stored, as do rows
//! which are removed from storage later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::batch::{Batch, Lease};
use super::disk::replace;
use super::letter::letter_path;
use super::record;
use super::shared::{BatchMeta, Buried, Held, Shared, Stage, locked, spool_of};
use super::tombstone::{self, MAX_TOMBSTONES, RefusalTombstone, Tombstone, Tombstones};
use super::writer::Core;
use super::{SpoolError, WhoIsKept};

/// How long a batch rests when its segment could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);

/// Where sealed batches come out. Cheap to clone.
#[derive(Clone)]
pub struct Outlet {
    pub(super) shared: Arc<Shared>,
    /// The spools that are written to, for notes in their logs.
    pub(super) cores: Arc<[Arc<Core>]>,
}

/// A batch of which storage has said that it has it, to be counted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unverified {
    pub id: u64,
    /// See [`Batch::month`].
    pub month: u32,
    pub opened_ms: u64,
    /// How many rows were sent.
    pub rows: u32,
}

/// What waits for storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Rows in sealed batches.
    pub rows: u64,
    pub batches: u64,
    /// Bytes of all that is in the spool's segments, that which storage has and
    /// which is kept for a while included.
    pub bytes: u64,
    /// When the oldest waiting batch was opened, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// Batches of which storage has said that it has them, and whose rows have not
    /// been counted there yet.
    pub unverified_batches: u64,
    /// Rows in dead letters.
    pub dead_rows: u64,
    /// Rows that could not be read back, in recovery and since.
    pub damaged_rows: u64,
}

/// A dead letter, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The batch's id, 16 hex digits.
    pub id: String,
    pub rows: u64,
    /// What storage said.
    pub reason: String,
    /// Not all of it can be read.
    pub is_damaged: bool,
    /// Rows that cannot be read, as far as what is left tells of them.
    pub lost_rows: u64,
}

/// While it lives no segment is released: the spool's files can be copied.
pub struct Hold(Arc<Shared>);

// === impl Outlet ===

impl Outlet {
    pub(super) fn new(shared: Arc<Shared>, cores: Vec<Arc<Core>>) -> Outlet {
        Outlet { shared, cores: cores.into() }
    }

    /// The oldest sealed batch that waits and is not handed out.
    pub async fn next(&self) -> Batch {
        loop {
            let sealed = self.shared.sealed.notified();
            tokio::pin!(sealed);
            sealed.as_mut().enable();
            let Some(lease) = self.lease() else {
                sealed.await;
                continue;
            };
            match tokio::task::spawn_blocking(move || lease.read()).await {
                Ok(Ok(batch)) => return batch,
                Ok(Err(error)) => {
                    tracing::error!(%error, "a sealed batch could not be read");
                    tokio::time::sleep(READ_RETRY).await;
                }
                Err(_) => tokio::time::sleep(READ_RETRY).await,
            }
        }
    }

    /// [`Outlet::next`] if there is one now; reads from the disk.
    pub fn try_next(&self) -> Result<Option<Batch>, SpoolError> {
        self.lease().map(Lease::read).transpose()
    }

    /// Storage says that it has the batch: notes it durably and counts its rows as
    /// stored. Writes to the disk.
    pub fn acknowledge(&self, batch: &Batch) -> Result<(), SpoolError> {
        self.finish(batch, Stage::Acknowledged { at: Instant::now(), rows: batch.rows })
    }

    /// Storage will never take the batch: its rows go to `dead/`, where they wait
    /// for a replay, and stay counted as waiting. Writes to the disk.
    pub fn dead_letter(&self, batch: &Batch, reason: &str) -> Result<(), SpoolError> {
        let path = letter_path(&self.shared.dir, batch.id);
        let disk = &*self.shared.disk;
        replace(disk, &path, &batch.dead_letter(&self.shared, reason)?)
            .map_err(SpoolError::io("write", path))?;
        self.finish(batch, Stage::Dead)
    }

    /// Up to `most` batches that storage is to be asked about, oldest first.
    pub fn unverified(&self, most: usize) -> Vec<Unverified> {
        let acknowledged = |held: &Held| match held.stage {
            Stage::Acknowledged { rows, .. } if !held.leased => {
                let BatchMeta { id, month, opened_ms, .. } = *held.meta;
                Some(Unverified { id, month, opened_ms, rows })
            }
            _ => None,
        };
        let mut found = Vec::new();
        for book in self.shared.books.values() {
            found.extend(book.state().batches.values().filter_map(acknowledged));
        }
        found.extend(locked(&self.shared.replays).values().filter_map(acknowledged));
        found.sort_by_key(|unverified| unverified.opened_ms);
        found.truncate(most);
        found
    }

    /// Up to `most` waiting batches that are to be counted before they are sent.
    pub fn suspects(&self, most: usize) -> Vec<Unverified> {
        let mut found = Vec::new();
        for book in self.shared.books.values() {
            let state = book.state();
            let suspects = state.batches.values().filter(|held| held.waits() && held.suspect && !held.leased);
            found.extend(suspects.take(most).map(|held| {
                let BatchMeta { id, month, opened_ms, rows, .. } = *held.meta;
                Unverified { id, month, opened_ms, rows }
            }));
        }
        found.sort_by_key(|unverified| unverified.opened_ms);
        found.truncate(most);
        found
    }

    /// Storage has nothing of these batches: they may be sent without being counted.
    pub fn absent(&self, batches: &[u64]) {
        for id in batches {
            self.shared.held(*id, |held| held.suspect = false);
        }
    }

    /// The rows of these batches are all in storage, once each. Noted in the log; a
    /// restart counts again all the same.
    pub fn verified(&self, batches: &[u64]) {
        for id in batches {
            let newly = self.shared.held(*id, |held| match held.stage {
                Stage::Acknowledged { at, rows } => {
                    held.stage = Stage::Verified { at, rows };
                    held.meta.dead_letter.is_none()
                }
                _ => false,
            });
            if newly == Some(true)
                && let Some(core) = self.cores.get(usize::from(spool_of(*id)))
            {
                core.note(record::Kind::Verified, *id, 0);
            }
        }
    }

    /// A batch that storage has acknowledged and does not have as it should: reads
    /// it again, as it would be sent now. `None` when it is gone or handed out.
    pub fn recheck(&self, id: u64) -> Result<Option<Batch>, SpoolError> {
        let lease = self.shared.held(id, |held| {
            let free = !std::mem::replace(&mut held.leased, true);
            free.then(|| Lease::of(&self.shared, held))
        });
        lease.flatten().map(Lease::read).transpose()
    }

    /// Storage was started again and may have lost what it had not yet written to
    /// its disk: everything that the spool still has is counted again.
    pub fn distrust(&self) {
        let distrust = |held: &mut Held| {
            if let Stage::Verified { at, rows } = held.stage {
                held.stage = Stage::Acknowledged { at, rows };
            }
            held.suspect |= held.waits();
        };
        for book in self.shared.books.values() {
            book.state().batches.values_mut().for_each(distrust);
        }
        locked(&self.shared.replays).values_mut().for_each(distrust);
    }

    /// Writes a checkpoint, and releases what the time has come for. The shipper
    /// calls it now and then, and at its end.
    pub fn checkpoint(&self) -> Result<(), SpoolError> {
        self.shared.settle_floors()
    }

    /// Lets every segment go, the ones that are written to as well: for a spool whose
    /// writers are closed and whose batches are all done with. Journal keys are
    /// carried over.
    pub fn retire(&self) -> Result<(), SpoolError> {
        let floors = {
            let totals = locked(&self.shared.totals);
            self.shared.write_checkpoint(&totals, None, None)?
        };
        for book in self.shared.books.values() {
            book.state().current = None;
        }
        super::keeper::release(&self.shared, &floors);
        Ok(())
    }

    /// While the guard lives, the files of the spool can be copied.
    pub fn hold(&self) -> Hold {
        self.shared.holds.fetch_add(1, Relaxed);
        Hold(self.shared.clone())
    }

    /// From now on no row that one of these covers is delivered. They are durable,
    /// here and in each of `mirrors`, when this returns; batches that were handed
    /// out before are not touched: wait for them before deleting in storage.
    pub fn erase(&self, tombstones: &[Tombstone], mirrors: &[PathBuf]) -> Result<(), SpoolError> {
        self.erase_with_refusals(tombstones, &[], mirrors)
    }

    /// The same, with sums of refused hits that are to be deleted wherever they come back.
    pub fn erase_with_refusals(
        &self,
        tombstones: &[Tombstone],
        refusals: &[RefusalTombstone],
        mirrors: &[PathBuf],
    ) -> Result<(), SpoolError> {
        let mut current = self.shared.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Tombstones::clone(&current);
        for tombstone in tombstones {
            next.add(tombstone.clone());
        }
        refusals.iter().for_each(|tombstone| next.add_refusals(tombstone.clone()));
        let mut files = vec![(tombstones_path(&self.shared.dir), next.clone())];
        for mirror in mirrors {
            let mut other = Tombstones::read(mirror)?;
            other.merge(&next);
            files.push((mirror.clone(), other));
        }
        // Before the first is written: an erasure is known in all of them or in none.
        if let Some((_, all)) = files.iter().find(|(_, all)| all.len() > MAX_TOMBSTONES) {
            return Err(SpoolError::Tombstones(all.len()));
        }
        for (path, all) in files {
            all.write_with(&*self.shared.disk, &path)?;
        }
        *current = Arc::new(next);
        Ok(())
    }

    /// Drops the tombstones that nothing needs any more: made before `before_ms`, when
    /// the oldest backup was, and older than all that the spool still has; of visitors those
    /// that were also made before `cookies_before_ms`, when the oldest cookie was. Here and in
    /// each of `mirrors`; says how many here.
    pub fn forget_erased(
        &self,
        before_ms: i64,
        cookies_before_ms: i64,
        mirrors: &[PathBuf],
    ) -> Result<usize, SpoolError> {
        if self.shared.dead_rows() > 0 {
            // A dead letter may be replayed at any time, however old it is.
            return Ok(0);
        }
        let mut before_ms = before_ms;
        for book in self.shared.books.values() {
            let state = book.state();
            let held = state.batches.values().map(|held| held.meta.opened_ms);
            let oldest = held.chain(state.open.map(|(_, opened_ms)| opened_ms)).min();
            before_ms = before_ms.min(oldest.map_or(i64::MAX, u64::cast_signed));
        }
        let mut current = self.shared.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Tombstones::clone(&current);
        next.forget(before_ms, cookies_before_ms);
        let forgotten = current.len() - next.len();
        if forgotten > 0 {
            next.write_with(&*self.shared.disk, &tombstones_path(&self.shared.dir))?;
            *current = Arc::new(next);
        }
        // Under the lock: an erasure that is being written there is not lost.
        for mirror in mirrors {
            let mut other = Tombstones::read(mirror)?;
            let known = other.len();
            other.forget(before_ms, cookies_before_ms);
            if other.len() < known {
                other.write_with(&*self.shared.disk, mirror)?;
            }
        }
        Ok(forgotten)
    }

    /// From now on nobody is left out for their term whom this names, and their rows are
    /// delivered as held once they are older than the shortest term. To be said before
    /// anything is taken out.
    pub fn keep(&self, who: Arc<WhoIsKept>) {
        *locked(&self.shared.kept) = Some(who);
    }

    /// The tombstones in force.
    pub fn tombstones(&self) -> Arc<Tombstones> {
        self.shared.tombstones()
    }

    /// The dead letters. Reads from the disk.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, SpoolError> {
        let counted: Vec<String> = locked(&self.shared.replays)
            .values()
            .filter(|held| held.counted)
            .map(|held| format!("{:016x}", held.meta.id))
            .collect();
        let mut letters = super::inspect::dead_letters(&self.shared.dir, &self.shared.counters)?;
        letters.retain(|letter| !counted.contains(&letter.id));
        Ok(letters)
    }

    /// Has the open batches sealed now, before their time.
    pub fn seal(&self) {
        self.cores.iter().for_each(|core| core.seal_now());
    }

    /// Whether anything that was durable before `before_ms` has not been taken by
    /// storage yet; dead letters, which never will be, apart.
    pub fn has_waiting(&self, before_ms: u64) -> bool {
        self.shared.books.values().any(|book| {
            let state = book.state();
            let open = state.open.is_some_and(|(_, opened_ms)| opened_ms <= before_ms);
            open || state.batches.values().any(|held| held.waits() && held.meta.opened_ms <= before_ms)
        })
    }

    /// Whether dead letters wait to be sent again.
    pub fn is_replaying(&self) -> bool {
        locked(&self.shared.replays).values().any(Held::waits)
    }

    /// Sends a dead letter again, or all: they come out of [`Outlet::next`]. Says
    /// how many. Of a damaged one what is left is sent; one that cannot be read is set
    /// aside. Reads from the disk.
    pub fn replay(&self, only: Option<u64>) -> Result<u64, SpoolError> {
        let mut replayed = 0;
        for letter in self.dead_letters()? {
            let Ok(id) = u64::from_str_radix(&letter.id, 16) else { continue };
            let sent = locked(&self.shared.replays).contains_key(&id);
            if sent || only.is_some_and(|only| only != id) {
                continue;
            }
            // One of which nothing can be read does not keep the others.
            let Some(letter) = self.shared.letter(id, |_| {})? else { continue };
            let meta = letter.batch(&self.shared.node);
            let held = Held { suspect: true, ..Held::fresh(meta) };
            locked(&self.shared.replays).insert(id, held);
            replayed += 1;
        }
        if let Some(id) = only.filter(|_| replayed == 0) {
            return Err(SpoolError::NoDeadLetter(id));
        }
        self.shared.sealed.notify_waiters();
        Ok(replayed)
    }

    /// What waits now.
    pub fn backlog(&self) -> Backlog {
        let shared = &self.shared;
        let mut backlog = Backlog {
            bytes: shared.used.load(Relaxed),
            dead_rows: shared.dead_rows(),
            damaged_rows: shared.damaged_rows.load(Relaxed),
            ..Backlog::default()
        };
        for book in shared.books.values() {
            let state = book.state();
            let mut first = None;
            for held in state.batches.values() {
                match held.stage {
                    Stage::Waiting => {
                        backlog.rows += u64::from(held.meta.rows);
                        backlog.batches += 1;
                        first = first.or(Some(held.meta.opened_ms));
                    }
                    Stage::Acknowledged { .. } => backlog.unverified_batches += 1,
                    Stage::Verified { .. } | Stage::Dead => {}
                }
            }
            let first = first.or(state.open.map(|(_, opened_ms)| opened_ms));
            backlog.oldest = [backlog.oldest, first].into_iter().flatten().min();
        }
        for held in locked(&shared.replays).values() {
            match held.stage {
                Stage::Waiting => backlog.batches += 1,
                Stage::Acknowledged { .. } => backlog.unverified_batches += 1,
                Stage::Verified { .. } | Stage::Dead => {}
            }
        }
        backlog
    }

    /// The batch has come to this stage: notes it durably, then counts its rows.
    fn finish(&self, batch: &Batch, stage: Stage) -> Result<(), SpoolError> {
        let shared = &self.shared;
        let meta = &batch.lease.meta;
        let is_replay = meta.dead_letter.is_some();
        let mut totals = locked(&shared.totals);
        let counted = match shared.held(batch.id, |held| (held.stage, held.counted)) {
            Some((stage, counted)) if stage != Stage::Dead => counted,
            _ => return Err(SpoolError::UnknownBatch(batch.id)),
        };
        // Which rows are stored from now on, and which no more. What is left out of a
        // dead letter is done with.
        let dead = stage == Stage::Dead;
        let (stored, lost) = match (counted, dead) {
            (false, false) => (batch.sites(), Vec::new()),
            (false, true) => (batch.left_out.clone(), Vec::new()),
            (true, false) => (Vec::new(), Vec::new()),
            // Storage lost what it had acknowledged, and does not take it again.
            (true, true) => (batch.left_out.clone(), batch.sites()),
        };
        let after = with(&totals, &stored, &lost);
        let floors = match is_replay {
            true => shared.write_checkpoint(&after, None, Some((batch.id, stage)))?,
            false => shared.write_checkpoint(&after, Some((meta.spool(), meta.number(), stage)), None)?,
        };
        *totals = after;
        for (site, rows) in &stored {
            shared.counters.site(site).stored(*rows);
        }
        for (site, rows) in &lost {
            shared.counters.site(site).lost(*rows);
        }
        shared.held(batch.id, |held| {
            held.stage = stage;
            held.suspect = false;
            held.attempt = batch.attempt;
            held.counted = !dead;
        });
        if dead {
            let buried = Buried { rows: batch.rows.into(), ..Buried::default() };
            locked(&shared.dead).insert(batch.id, buried);
        } else if let Some(buried) = locked(&shared.dead).get_mut(&batch.id) {
            buried.rows = 0;
        }
        if is_replay && dead {
            locked(&shared.replays).remove(&batch.id);
        }
        drop(totals);
        shared.release(floors);
        if let Some(core) = self.cores.get(usize::from(meta.spool()))
            && !is_replay
        {
            core.note(record::Kind::InsertAcked, batch.id, if dead { record::DEAD_LETTERED } else { 0 });
        }
        Ok(())
    }

    fn lease(&self) -> Option<Lease> {
        let free = |held: &Held| held.waits() && !held.leased;
        loop {
            let mut oldest: Option<(u64, u16, u32)> = None;
            for (spool, book) in &self.shared.books {
                let state = book.state();
                if let Some((number, held)) = state.batches.iter().find(|(_, held)| free(held)) {
                    let key = (held.meta.opened_ms, *spool, *number);
                    oldest = Some(oldest.map_or(key, |oldest| oldest.min(key)));
                }
            }
            let Some((_, spool, number)) = oldest else { break };
            let mut state = self.shared.book(spool).state();
            // Another holder may have been quicker: then look again.
            if let Some(held) = state.batches.get_mut(&number).filter(|held| free(held)) {
                held.leased = true;
                return Some(Lease::of(&self.shared, held));
            }
        }
        let mut replays = locked(&self.shared.replays);
        let held = replays.values_mut().find(|held| free(held))?;
        held.leased = true;
        Some(Lease::of(&self.shared, held))
    }
}

// === impl Hold ===

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Relaxed);
        if let Err(error) = self.0.settle_floors() {
            tracing::warn!(%error, "no checkpoint could be written after a copy of the spool");
        }
    }
}

/// The totals with these rows, and without those.
fn with(
    totals: &BTreeMap<String, u64>,
    stored: &[(String, u64)],
    lost: &[(String, u64)],
) -> BTreeMap<String, u64> {
    let mut after = totals.clone();
    for (site, rows) in stored {
        *after.entry(site.clone()).or_default() += rows;
    }
    for (site, rows) in lost {
        let total = after.entry(site.clone()).or_default();
        *total = total.saturating_sub(*rows);
    }
    after
}

pub(super) fn tombstones_path(dir: &Path) -> PathBuf {
    dir.join(tombstone::FILE_NAME)
}
