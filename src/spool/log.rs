//! The segments of one spool, seen from the thread that writes them: where the
//! next group goes, rolling to the next segment, and what a failed write leaves.
//!
//! Invariant: a group lies in one segment, so a disk that is full refuses it
//! whole: rolling comes before the first byte is written.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::disk::{datasync, is_no_space, write_all, write_zeros};
use super::keeper::Job;
use super::record::SEGMENT_HEADER_BYTES;
use super::shared::{Segment, Shared, Spare, locked, new_header, segment_name};
use super::{Durability, MIN_SEGMENT_BYTES, SpoolError};

/// Kept free at a segment's end for control records: the open batch can be
/// sealed, and so shipped and its space freed, when no new segment can be made.
const CONTROL_RESERVE_BYTES: u64 = 4 << 10;
/// The first segment of a spool is shorter by this factor, so that a first start
/// does not wait for zeros.
const FIRST_SEGMENT_DIVISOR: u64 = 16;

pub(super) struct Log {
    pub shared: Arc<Shared>,
    pub spool: u16,
    pub current: Option<Current>,
}

/// The segment that is written to.
pub(super) struct Current {
    pub file: File,
    pub number: u64,
    pub seed: u32,
    /// Where the next record goes.
    pub offset: u64,
    pub length: u64,
    /// A failed write may have left something up to here.
    pub dirty_until: u64,
    pub spare_asked: bool,
}

/// Why a group was not written.
#[derive(Debug)]
pub(super) enum LogError {
    /// Nothing of it will be read back; later groups may fit.
    NoSpace,
    /// The disk failed.
    Fatal(String),
}

// === impl Log ===

impl Log {
    /// Makes sure that `bytes` fit into the current segment, rolling if they do
    /// not. `control` groups may use the reserve.
    pub fn make_room(&mut self, bytes: u64, first_lsn: u64, control: bool) -> Result<(), LogError> {
        let reserve = if control { 0 } else { CONTROL_RESERVE_BYTES };
        match &self.current {
            Some(current) if current.offset + bytes + reserve <= current.length => Ok(()),
            _ => self.roll(first_lsn),
        }
    }

    /// Begins another segment, unless nothing was written to this one yet.
    pub fn close_segment(&mut self, first_lsn: u64) -> Result<(), LogError> {
        match &self.current {
            Some(current) if current.offset > SEGMENT_HEADER_BYTES as u64 => self.roll(first_lsn),
            _ => Ok(()),
        }
    }

    /// Writes a group, for which there is room, and makes it durable.
    pub fn write(&mut self, group: &[u8]) -> Result<(), LogError> {
        let disk = &*self.shared.disk;
        let current = self.current.as_mut().expect("make_room has been called");
        let end = current.offset + group.len() as u64;
        let written = write_all(disk, &current.file, group, current.offset)
            .and_then(|()| write_zeros(disk, &current.file, end, current.dirty_until));
        if let Err(error) = written {
            current.dirty_until = current.dirty_until.max(end);
            return Err(match is_no_space(&error) {
                true => LogError::NoSpace,
                false => LogError::Fatal(format!("write to segment {} failed: {error}", current.number)),
            });
        }
        if self.shared.durability == Durability::Fsync
            && let Err(error) = datasync(disk, &current.file)
        {
            return Err(LogError::Fatal(format!("fdatasync of segment {} failed: {error}", current.number)));
        }
        current.dirty_until = 0;
        current.offset = end;
        self.shared.used.fetch_add(group.len() as u64, Relaxed);
        if !current.spare_asked && current.offset > current.length / 2 {
            current.spare_asked = true;
            let _ = self.shared.keeper.send(Job::Spare(self.spool));
        }
        Ok(())
    }

    /// Closes the current segment and begins the next.
    fn roll(&mut self, first_lsn: u64) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let disk = &*shared.disk;
        if let Some(current) = &mut self.current
            && current.dirty_until > current.offset
        {
            write_zeros(disk, &current.file, current.offset, current.dirty_until)
                .and_then(|()| datasync(disk, &current.file))
                .map_err(|error| {
                    LogError::Fatal(format!("segment {} cannot be closed: {error}", current.number))
                })?;
            current.dirty_until = 0;
        }
        if let Some(current) = &self.current
            && shared.durability == Durability::Write
        {
            // Closed segments are durable in either mode: this is off the answer's way.
            datasync(disk, &current.file).map_err(|error| {
                LogError::Fatal(format!("fdatasync of segment {} failed: {error}", current.number))
            })?;
        }
        let book = shared.book(self.spool);
        let (number, last_batch) = {
            let state = book.state();
            (state.next_segment, state.next_batch.saturating_sub(1))
        };
        let dir = shared.spool_dir(self.spool);
        let spare = match locked(&book.spare).take() {
            Some(spare) => spare,
            None => {
                let length = match &self.current {
                    Some(_) => shared.segment_bytes,
                    None => (shared.segment_bytes / FIRST_SEGMENT_DIVISOR).max(MIN_SEGMENT_BYTES),
                };
                make_spare(&shared, self.spool, length).map_err(|error| fault("make a segment", error))?
            }
        };
        let header = new_header(&shared, self.spool, number, first_lsn, last_batch)
            .map_err(|error| LogError::Fatal(error.to_string()))?;
        let path = dir.join(segment_name(number));
        let begun = write_all(disk, &spare.file, &header.encode(), 0)
            .and_then(|()| datasync(disk, &spare.file))
            .and_then(|()| disk.rename(&spare.path, &path));
        if let Err(error) = begun {
            let _ = disk.remove(&spare.path);
            return Err(fault("begin a segment", error));
        }
        disk.sync_dir(&dir)
            .map_err(|error| LogError::Fatal(format!("fsync of the spool's directory failed: {error}")))?;
        let mut state = book.state();
        if let Some(closed) = self.current.take()
            && let Some(segment) = state.segments.get_mut(&closed.number)
        {
            segment.used = closed.offset;
        }
        let used = SEGMENT_HEADER_BYTES as u64;
        state.segments.insert(number, Segment { path, used, last_batch, has_keys: false });
        state.current = Some(number);
        state.next_segment = number + 1;
        shared.used.fetch_add(used, Relaxed);
        self.current = Some(Current {
            file: spare.file,
            number,
            seed: header.seed(),
            offset: used,
            length: spare.length,
            dirty_until: 0,
            spare_asked: false,
        });
        Ok(())
    }
}

/// Makes a zeroed file that can become a segment.
pub(super) fn make_spare(shared: &Shared, spool: u16, length: u64) -> std::io::Result<Spare> {
    let disk = &*shared.disk;
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let path = shared.spool_dir(spool).join(format!("{:016x}.spare", u64::from_le_bytes(name)));
    let file = disk.create(&path)?;
    if let Err(error) = write_zeros(disk, &file, 0, length).and_then(|()| datasync(disk, &file)) {
        let _ = disk.remove(&path);
        return Err(error);
    }
    Ok(Spare { file, path, length })
}

fn fault(what: &str, error: std::io::Error) -> LogError {
    match is_no_space(&error) {
        true => LogError::NoSpace,
        false => LogError::Fatal(format!("cannot {what}: {error}")),
    }
}

impl From<SpoolError> for LogError {
    fn from(error: SpoolError) -> Self {
        LogError::Fatal(error.to_string())
    }
}
