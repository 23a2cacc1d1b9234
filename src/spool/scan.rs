//! Reads one segment from its beginning, in a window of bounded size, and tells
//! a torn tail from damage.
//!
//! A record that is not valid (checksum, length, LSN not one more than the last)
//! stops the reading. If further on stands a valid record with a later LSN **and**
//! a group began there, then the bytes between were once synced and are damaged:
//! that is reported and reading goes on behind them. If none does, this is the
//! torn tail of the last group, none of whose hits was answered.
//!
//! Each byte is looked at no more than twice, so hostile contents cost time in
//! proportion to their size.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::record::{
    GROUP_START, RECORD_HEADER_BYTES, Record, SEGMENT_HEADER_BYTES, SegmentHeader, total_length, u64_at,
};

/// How much of a segment is in memory at once: many times the longest record.
const WINDOW_BYTES: usize = 1 << 20;

static ZEROS: [u8; 4096] = [0; 4096];

/// What [`scan`] meets.
pub(super) enum Found<'a> {
    Record { offset: u64, record: Record<'a> },
    Damage(Hole),
}

/// A damaged range of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub from: u64,
    pub to: u64,
    /// How many records stood there, by the LSNs around it.
    pub records: u64,
}

/// Where a segment's records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The offset behind the last valid record.
    pub offset: u64,
    /// The LSN that the next record would have.
    pub next_lsn: u64,
    /// Behind the last byte that is not zero: more than `offset` if something
    /// that is no record follows.
    pub dirty_until: u64,
}

struct Window<'f> {
    file: &'f File,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

/// The header of a segment file; `Ok(Err(_))` when it is not one.
pub(super) fn read_header(file: &File) -> io::Result<Result<SegmentHeader, super::record::HeaderError>> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(SegmentHeader::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(Err(super::record::HeaderError::NotASegment))
        }
        Err(error) => Err(error),
    }
}

/// Reads the records of a segment in order.
pub(super) fn scan(file: &File, header: &SegmentHeader, visit: impl FnMut(Found<'_>)) -> io::Result<End> {
    scan_from(file, header, 0, visit)
}

/// [`scan`] of a file that was synced before anybody could read it: every hole in it is
/// damage, whether a group begins behind it or not.
pub(super) fn scan_whole(
    file: &File,
    header: &SegmentHeader,
    visit: impl FnMut(Found<'_>),
) -> io::Result<End> {
    scan_from(file, header, u64::MAX, visit)
}

/// A group is known to begin at `group_known_at` or behind it, so all before it was synced.
fn scan_from(
    file: &File,
    header: &SegmentHeader,
    mut group_known_at: u64,
    mut visit: impl FnMut(Found<'_>),
) -> io::Result<End> {
    let seed = header.seed();
    let mut window = Window::new(file)?;
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    let mut lsn = header.first_lsn;
    loop {
        if let Some(record) = window.record(offset, seed)?
            && record.lsn == lsn
        {
            let total = record.total as u64;
            visit(Found::Record { offset, record });
            offset += total;
            lsn += 1;
            continue;
        }
        match window.successor(offset, lsn, seed, group_known_at)? {
            Search::Found { at, lsn: next, group_at } => {
                visit(Found::Damage(Hole { from: offset, to: at, records: next - lsn }));
                offset = at;
                lsn = next;
                group_known_at = group_known_at.max(group_at);
            }
            Search::Nothing { dirty_until } => {
                return Ok(End { offset, next_lsn: lsn, dirty_until: dirty_until.max(offset) });
            }
        }
    }
}

/// Reads the records of `from..to`, all of which must be valid; gives `false` to
/// the caller when one is not.
pub(super) fn read_range(
    file: &File,
    header: &SegmentHeader,
    from: u64,
    to: u64,
    mut visit: impl FnMut(Record<'_>),
) -> io::Result<bool> {
    let seed = header.seed();
    let mut window = Window::new(file)?;
    let mut offset = from;
    while offset < to {
        let Some(record) = window.record(offset, seed)? else { return Ok(false) };
        offset += record.total as u64;
        visit(record);
    }
    Ok(offset == to)
}

enum Search {
    Found { at: u64, lsn: u64, group_at: u64 },
    Nothing { dirty_until: u64 },
}

// === impl Window ===

impl<'f> Window<'f> {
    fn new(file: &'f File) -> io::Result<Window<'f>> {
        Ok(Window { file, length: file.metadata()?.len(), start: 0, bytes: Vec::new() })
    }

    /// Up to `want` bytes at `offset`; fewer at the end of the file.
    fn at(&mut self, offset: u64, want: usize) -> io::Result<&[u8]> {
        let want = want.min(self.length.saturating_sub(offset) as usize);
        let held = offset >= self.start && offset + want as u64 <= self.start + self.bytes.len() as u64;
        if !held {
            let size = WINDOW_BYTES.min(self.length.saturating_sub(offset) as usize);
            self.bytes.resize(size, 0);
            let mut filled = 0;
            while filled < size {
                match self.file.read_at(&mut self.bytes[filled..], offset + filled as u64) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.bytes.truncate(filled);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from.min(self.bytes.len())..(from + want).min(self.bytes.len())])
    }

    /// The record at `offset`, if one is there and its checksum is right.
    fn record(&mut self, offset: u64, seed: u32) -> io::Result<Option<Record<'_>>> {
        // Nearly always all of it is in the window: then one look is enough.
        let from = offset.checked_sub(self.start).filter(|from| *from < self.bytes.len() as u64);
        if let Some(from) = from.map(|from| from as usize)
            && total_length(&self.bytes[from..]).is_some_and(|total| total <= self.bytes.len() - from)
        {
            return Ok(Record::parse(&self.bytes[from..], seed));
        }
        let Some(total) = total_length(self.at(offset, RECORD_HEADER_BYTES)?) else { return Ok(None) };
        Ok(Record::parse(self.at(offset, total)?, seed))
    }

    /// Looks behind `offset` for the next valid record, and for a group's start
    /// at or behind it.
    fn successor(
        &mut self,
        offset: u64,
        expected: u64,
        seed: u32,
        group_known_at: u64,
    ) -> io::Result<Search> {
        let mut first = None;
        let mut dirty_until = offset;
        let mut at = offset;
        while at < self.length {
            // Most of what is looked at is the zeros of an unfinished segment.
            let chunk = self.at(at, ZEROS.len())?;
            if chunk.len() == ZEROS.len() && chunk == ZEROS {
                at += (ZEROS.len() - RECORD_HEADER_BYTES.next_multiple_of(8)) as u64;
                continue;
            }
            let head = self.at(at, RECORD_HEADER_BYTES)?;
            if let Some(last) = head.iter().take(8).rposition(|byte| *byte != 0) {
                dirty_until = at + last as u64 + 1;
            }
            // The LSN is compared before the checksum is computed: it rules out
            // nearly every position that is not a record's.
            let plausible = total_length(head).is_some() && {
                let lsn = u64_at(head, 8);
                lsn > expected && lsn - expected <= self.length / RECORD_HEADER_BYTES as u64
            };
            if plausible && let Some(record) = self.record(at, seed)? {
                let (lsn, total) = (record.lsn, record.total as u64);
                let starts_group = record.flags & GROUP_START != 0;
                let (first_at, first_lsn) = *first.get_or_insert((at, lsn));
                if starts_group || first_at < group_known_at {
                    let group_at = if starts_group { at } else { group_known_at };
                    return Ok(Search::Found { at: first_at, lsn: first_lsn, group_at });
                }
                dirty_until = at + total;
                at += total;
            } else {
                at += 8;
            }
        }
        Ok(Search::Nothing { dirty_until })
    }
}
