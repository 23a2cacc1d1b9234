//! Reads a spool's directory from its first segment to its last, changing
//! nothing: which batches are there, which rows they have, what cannot be read.
//! Recovery and the offline commands stand on it.
//!
//! Memory is a window of one segment and a short entry per batch, however long
//! the spool is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::record::{
    BatchOpen, BatchSeal, DEAD_LETTERED, FORMAT_VERSION, HeaderError, Kind, Record, SegmentHeader, u64_at,
};
use super::scan::{End, Found, Hole, read_header, read_range, scan};
use super::shared::{BatchMeta, batch_id, number_of, segment_name, spool_name};
use super::{COLUMNS_VERSION, MAX_SPOOLS, SpoolError};
use crate::count::{Counters, UNKNOWN_SITE};
use crate::store::row::site_of;

/// What a [`Damage`] says of a segment whose header cannot be read.
pub(super) const NO_HEADER: &str = "the segment's header";

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    pub file: String,
    pub from: u64,
    pub to: u64,
    pub records: u64,
    pub what: &'static str,
}

/// What the log notes of a batch; the checkpoint is what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    Acknowledged,
    Verified,
    Dead,
}

/// What one spool's directory holds.
#[derive(Default)]
pub(super) struct Walked {
    pub segments: Vec<WalkedSegment>,
    /// All batches with an id, in order, whether done with or not.
    pub batches: Vec<BatchMeta>,
    /// Numbers of batches without a seal record.
    pub unsealed: BTreeSet<u32>,
    /// What the log notes of batches.
    pub noted: BTreeMap<u32, Noted>,
    pub damage: Vec<(u64, Damage)>,
    /// Rows missing from a batch whose seal says how many there were.
    pub missing: BTreeMap<u32, u64>,
    pub highest_batch: u32,
    /// The tail of the last segment that is not zero and no record.
    pub torn_bytes: u64,
    /// The batch that the walk is in.
    batch: Option<BatchMeta>,
}

pub(super) struct WalkedSegment {
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub end: End,
    pub length: u64,
    pub last_batch: u32,
    pub has_keys: bool,
}

/// Reads a spool's directory without changing anything. `key` gets the journal
/// keys with their times.
pub(super) fn walk(
    dir: &Path,
    counters: &Counters,
    mut key: impl FnMut(u64, u64),
) -> Result<Walked, SpoolError> {
    let mut walked = Walked::default();
    let mut expected: Option<u64> = None;
    for (number, path) in segment_files(dir)? {
        let file = File::open(&path).map_err(SpoolError::io("open", &path))?;
        let length = file.metadata().map_err(SpoolError::io("read", &path))?.len();
        let header = match read_header(&file).map_err(SpoolError::io("read", &path))? {
            Ok(SegmentHeader { columns_version: found, .. }) if found > COLUMNS_VERSION => {
                return Err(SpoolError::Columns { path, found });
            }
            Ok(header) if header.number == number => header,
            Err(HeaderError::Version(found)) if found > FORMAT_VERSION => {
                return Err(SpoolError::Version { path, found, known: FORMAT_VERSION });
            }
            _ => {
                walked.damaged(&path, number, 0, length, 0, NO_HEADER);
                continue;
            }
        };
        if let Some(expected) = expected
            && expected != header.first_lsn
        {
            let missing = header.first_lsn.saturating_sub(expected);
            match walked
                .segments
                .last()
                .map(|last| (last.path.clone(), last.header.number, last.end.offset, last.length))
            {
                Some((path, number, from, to)) => {
                    walked.damaged(&path, number, from, to, missing, "the segment's end")
                }
                None => walked.damaged(&path, number, 0, 0, missing, "segments before this one"),
            }
        }
        walked.highest_batch = walked.highest_batch.max(header.batch);
        let mut has_keys = false;
        let mut time = header.created_ms;
        let mut holes: Vec<Hole> = Vec::new();
        let end = scan(&file, &header, |found| match found {
            Found::Record { offset, record } => {
                walked.record(&header, offset, &record, counters);
                match record.kind {
                    Some(Kind::BatchOpen) => {
                        time = BatchOpen::decode(record.body).map_or(time, |open| open.opened_ms)
                    }
                    Some(Kind::Hit) => record.keys().for_each(|found| {
                        has_keys = true;
                        key(found, time);
                    }),
                    _ => {}
                }
            }
            Found::Damage(hole) => holes.push(hole),
        })
        .map_err(SpoolError::io("read", &path))?;
        for hole in holes {
            walked.damaged(&path, number, hole.from, hole.to, hole.records, "records");
        }
        expected = Some(end.next_lsn);
        let last_batch = walked.highest_batch;
        walked.segments.push(WalkedSegment { path, header, end, length, last_batch, has_keys });
    }
    walked.torn_bytes = walked.segments.last().map_or(0, |last| last.end.dirty_until - last.end.offset);
    walked.close_batch();
    walked.fix_tokens_of_unsealed(dir)?;
    Ok(walked)
}

// === impl Walked ===

impl Walked {
    fn record(&mut self, header: &SegmentHeader, offset: u64, record: &Record<'_>, counters: &Counters) {
        match record.kind {
            Some(Kind::BatchOpen) => {
                self.close_batch();
                let Some(open) = BatchOpen::decode(record.body) else { return };
                self.highest_batch = self.highest_batch.max(number_of(open.id));
                self.batch = Some(BatchMeta::opened(&open, record.lsn));
            }
            Some(Kind::Hit) => self.hit(header, offset, record, counters),
            Some(Kind::BatchSeal) => {
                let Some(seal) = BatchSeal::decode(record.body) else { return };
                self.highest_batch = self.highest_batch.max(number_of(seal.id));
                if self.batch.as_ref().is_some_and(|meta| meta.id != seal.id) {
                    self.close_batch();
                }
                let rows = self.batch.as_ref().map_or(0, |meta| meta.rows);
                if rows < seal.rows {
                    self.missing.insert(number_of(seal.id), u64::from(seal.rows - rows));
                }
                if let Some(mut meta) = self.batch.take() {
                    (meta.first_lsn, meta.last_lsn) = (seal.first_lsn, seal.last_lsn);
                    (meta.content, meta.token) = (seal.content, seal.token);
                    self.batches.push(meta);
                }
            }
            Some(Kind::InsertAcked) if record.body.len() >= 8 => {
                let dead = record.flags & DEAD_LETTERED != 0;
                let noted = if dead { Noted::Dead } else { Noted::Acknowledged };
                self.noted.insert(number_of(u64_at(record.body, 0)), noted);
            }
            Some(Kind::Verified) if record.body.len() >= 8 => {
                self.noted.insert(number_of(u64_at(record.body, 0)), Noted::Verified);
            }
            _ => {}
        }
    }

    fn hit(&mut self, header: &SegmentHeader, offset: u64, record: &Record<'_>, counters: &Counters) {
        // Numbers count up, so the low bits name the batch.
        let number = self.highest_batch + u32::from(record.tag.wrapping_sub(self.highest_batch as u16));
        if self.batch.as_ref().is_none_or(|meta| meta.number() != number) {
            // Its open record is damaged, or in a segment that is released.
            self.close_batch();
            self.highest_batch = number;
            let open = BatchOpen {
                id: batch_id(header.node, header.spool, number),
                month: 0,
                columns_version: header.columns_version,
                opened_ms: header.created_ms,
            };
            self.batch = Some(BatchMeta::opened(&open, record.lsn));
        }
        let Some(meta) = &mut self.batch else { return };
        meta.rows += 1;
        meta.last_lsn = record.lsn;
        BatchMeta::extend(&mut meta.extents, header.number, offset, offset + record.total as u64);
        let site = site_of(record.payload()).unwrap_or(UNKNOWN_SITE);
        if let Some((_, rows)) = meta.sites.iter_mut().find(|(known, _)| known.site() == site) {
            *rows += 1;
            return;
        }
        // A site that could not be written to the checkpoint is nobody's.
        let site = if site.is_empty() || site.contains([' ', '\n']) { UNKNOWN_SITE } else { site };
        match meta.sites.iter_mut().find(|(known, _)| known.site() == site) {
            Some((_, rows)) => *rows += 1,
            None => meta.sites.push((counters.site(site), 1)),
        }
    }

    /// Ends a batch that has no seal record.
    fn close_batch(&mut self) {
        if let Some(meta) = self.batch.take() {
            self.unsealed.insert(meta.number());
            self.batches.push(meta);
        }
    }

    /// The content, and so the token, of a batch without a seal follows from its rows.
    fn fix_tokens_of_unsealed(&mut self, dir: &Path) -> Result<(), SpoolError> {
        for meta in self.batches.iter_mut().filter(|meta| self.unsealed.contains(&meta.number())) {
            let mut hasher = blake3::Hasher::new();
            for extent in &meta.extents {
                let path = dir.join(segment_name(extent.segment));
                let read = |error| SpoolError::io("read", &path)(error);
                let file = File::open(&path).map_err(read)?;
                if let Ok(header) = read_header(&file).map_err(read)? {
                    read_range(&file, &header, extent.from, extent.to, |record| {
                        if record.is(Kind::Hit) {
                            hasher.update(record.payload());
                        }
                    })
                    .map_err(read)?;
                }
            }
            meta.content = *hasher.finalize().as_bytes();
        }
        Ok(())
    }

    fn damaged(&mut self, path: &Path, segment: u64, from: u64, to: u64, records: u64, what: &'static str) {
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.damage.push((segment, Damage { file, from, to, records, what }));
    }
}

/// The segments of a spool in the order of their numbers.
pub(super) fn segment_files(dir: &Path) -> Result<Vec<(u64, PathBuf)>, SpoolError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(SpoolError::io("list", dir))? {
        let path = entry.map_err(SpoolError::io("list", dir))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number
            && path.extension().is_some_and(|extension| extension == "seg")
        {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The spools that have a directory.
pub(super) fn spool_dirs(dir: &Path) -> Result<Vec<u16>, SpoolError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(SpoolError::io("list", dir))? {
        let name = entry.map_err(SpoolError::io("list", dir))?.file_name();
        if let Some(spool) = name.to_str().and_then(|name| u16::from_str_radix(name, 16).ok())
            && usize::from(spool) < MAX_SPOOLS
            && name.to_str() == Some(&spool_name(spool))
        {
            found.push(spool);
        }
    }
    found.sort();
    Ok(found)
}
