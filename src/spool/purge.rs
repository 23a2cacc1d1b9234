//! Rows that storage has leave the spool's files before their time: for an
//! erasure, which is done only when no file holds the person any more.
//!
//! ```text
//! close ─► every batch in the closed segments is verified ─► storage's machine writes down ─► flushed ─► released
//!          and every dead letter that is sent again              (whoever asks: a sync)
//!              (the shipper's work)
//! ```
//!
//! In the usual course a segment is closed when it is full, and its batches stay
//! for [`SETTLE`](super::SETTLE) after their acknowledgement, which may be hours on
//! a quiet site. Here each writer closes the segment it writes to at once, and
//! batches need not settle once storage's disk has been synced.
//!
//! Dead letters are files of their own: [`Outlet::purge_dead_letters`] writes
//! them again without the rows that a tombstone covers. What lies in `quarantine/`
//! could not be read (whole) when it was set aside, so nothing is taken out of it:
//! [`Outlet::quarantined`] says how much there is.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::SpoolError;
use super::batch::Lease;
use super::outlet::Outlet;
use super::shared::{Held, Stage, locked};

/// The segments that were there when they were closed: by spool the number of the
/// last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed(BTreeMap<u16, u64>);

// === impl Outlet ===

impl Outlet {
    /// Has every writer seal its open batch and begin another segment. What is
    /// durable by now is in the segments that the answer names, or storage's.
    pub fn close_segments(&self) -> Closed {
        let books = self.shared.books.iter();
        let closed = books.filter_map(|(spool, book)| Some((*spool, *book.state().segments.keys().last()?)));
        let closed = Closed(closed.collect());
        self.cores.iter().for_each(|core| core.close_segment());
        closed
    }

    /// Whether the segments are closed, all that is in them has been counted in storage or
    /// lies in a dead letter, and no dead letter is on its way to storage: one that was
    /// read before could bring rows as they were then.
    pub fn is_settled(&self, closed: &Closed) -> bool {
        let under_way = |held: &Held| match held.stage {
            Stage::Waiting | Stage::Acknowledged { .. } => true,
            Stage::Verified { .. } | Stage::Dead => held.leased,
        };
        if locked(&self.shared.replays).values().any(under_way) {
            return false;
        }
        closed.0.iter().all(|(spool, last)| {
            let state = self.shared.book(*spool).state();
            let Some((_, segment)) = state.segments.range(..=last).next_back() else { return true };
            let is_open = state.current.is_some_and(|current| current <= *last)
                && segment.used > super::record::SEGMENT_HEADER_BYTES as u64;
            let open_batch = state.open.is_some_and(|(number, _)| number <= segment.last_batch);
            !is_open
                && !open_batch
                && !state.batches.range(..=segment.last_batch).any(|(_, held)| under_way(held))
        })
    }

    /// What storage acknowledged before `at` has been written down by its machine: it
    /// need not be kept here any longer.
    pub fn flushed(&self, at: Instant) {
        let mut flushed = locked(&self.shared.flushed);
        *flushed = (*flushed).max(Some(at));
    }

    /// Lets go of what may go, and says whether nothing is left of the closed segments.
    /// Writes to the disk.
    pub fn is_released(&self, closed: &Closed) -> Result<bool, SpoolError> {
        self.shared.settle_floors()?;
        for (spool, last) in &closed.0 {
            let state = self.shared.book(*spool).state();
            let left = state.segments.range(..=last).any(|(number, segment)| {
                state.current != Some(*number) || segment.used > super::record::SEGMENT_HEADER_BYTES as u64
            });
            drop(state);
            // A released segment is overwritten under this name before it is used again.
            if left || has_files(&self.shared.spool_dir(*spool), "old")? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes each dead letter again that holds rows which a tombstone covers, without
    /// them; says how many rows went. A damaged one is written again in any case, since
    /// nobody knows whose the rest is: a copy of it is in `quarantine/`. One that is being
    /// sent again leaves them out by itself. Reads and writes the disk.
    pub fn purge_dead_letters(&self) -> Result<u64, SpoolError> {
        let mut gone = 0;
        for letter in self.dead_letters()? {
            let Ok(id) = u64::from_str_radix(&letter.id, 16) else { continue };
            // One of which nothing can be read is set aside, where the act counts it.
            let Some(read) = self.shared.letter(id, |_| {})? else { continue };
            let damaged = read.is_damaged();
            let meta = read.batch(&self.shared.node);
            let held = Held { suspect: true, leased: true, ..Held::fresh(meta) };
            let lease = Lease::of(&self.shared, &held);
            {
                let mut replays = locked(&self.shared.replays);
                if replays.contains_key(&id) {
                    continue;
                }
                replays.insert(id, held);
            }
            let batch = match lease.read() {
                Ok(batch) => batch,
                Err(error) => {
                    locked(&self.shared.replays).remove(&id);
                    return Err(error);
                }
            };
            let rows: u64 = batch.left_out.iter().map(|(_, rows)| rows).sum();
            if rows == 0 && !damaged {
                // Before the lease ends, which would offer it to the shipper.
                locked(&self.shared.replays).remove(&id);
            } else if batch.rows > 0 {
                self.dead_letter(&batch, &letter.reason)?;
            }
            // An empty one is done with once the shipper has seen that: it goes as if replayed.
            gone += rows;
        }
        Ok(gone)
    }

    /// How many dead letters wait to be removed, their rows being elsewhere or gone.
    pub fn dead_letters_leaving(&self) -> usize {
        locked(&self.shared.replays).len()
    }

    /// How many files were set aside as damaged.
    pub fn quarantined(&self) -> Result<usize, SpoolError> {
        has_files(&self.shared.dir.join("quarantine"), "")
    }
}

/// How many files there are with this extension; with any, if it is empty.
fn has_files(dir: &std::path::Path, extension: &str) -> Result<usize, SpoolError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(SpoolError::io("read", dir))?,
    };
    let wanted = |entry: &io::Result<std::fs::DirEntry>| match entry {
        Ok(entry) => extension.is_empty() || entry.path().extension().is_some_and(|found| found == extension),
        Err(_) => true,
    };
    Ok(entries.filter(wanted).count())
}
