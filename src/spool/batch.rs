//! A sealed batch as it is handed out: its rows, read back from the spool's
//! segments or from a dead letter, and the right to deal with it.
//!
//! Rows that a tombstone covers, or whose own term has run out, are left out
//! whenever a batch is read; whoever is kept past their terms is not, and their rows get
//! the `hold` that storage would have set. What cannot be read back is reported and its segment
//! copied aside; the rest keeps the batch's token.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;

use super::checkpoint::hex;
use super::disk::datasync;
use super::outlet::Unverified;
use super::record::{self, BatchOpen, Kind, SegmentHeader};
use super::recover::quarantine;
use super::scan::{Found, read_header, read_range, scan};
use super::shared::{BatchMeta, Extent, Held, Shared, now_ms, segment_name};
use super::{Durability, SpoolError};
use crate::store::row::{Head, set_hold, site_of};

/// Terms are whole days, so rows of a younger batch need not be looked at.
const SHORTEST_TERM: Duration = Duration::from_secs(24 * 60 * 60);

/// A sealed batch with its rows.
pub struct Batch {
    pub id: u64,
    /// The same for the same rows, for ever, but for the number of the attempt: see
    /// [`Batch::next_attempt`].
    pub token: String,
    pub columns_version: u16,
    /// `year * 12 + month` of its rows' time, UTC; 0 when that is not known.
    pub month: u32,
    pub rows: u32,
    /// Storage may hold it already, and may not recognise its token: its rows are
    /// to be counted before they are sent.
    pub suspect: bool,
    pub(super) attempt: u32,
    body: Bytes,
    /// Where each payload ends in the body.
    ends: Vec<u32>,
    /// Rows per site, where some could not be read back.
    sites: Option<Vec<(String, u64)>>,
    /// Rows per site that must not be delivered (any more).
    pub(super) left_out: Vec<(String, u64)>,
    pub(super) lease: Lease,
}

/// The right to deal with one batch; given back when dropped.
pub(super) struct Lease {
    shared: Arc<Shared>,
    pub(super) meta: Arc<BatchMeta>,
    suspect: bool,
    attempt: u32,
}

// === impl Lease ===

impl Lease {
    pub(super) fn of(shared: &Arc<Shared>, held: &Held) -> Lease {
        let Held { suspect, attempt, .. } = *held;
        Lease { shared: shared.clone(), meta: held.meta.clone(), suspect, attempt }
    }

    /// Reads the rows back, checking each. What cannot be read is reported and
    /// its segment copied aside; the rest keeps the batch's token, so that a
    /// batch which is already in storage is still recognised.
    pub(super) fn read(self) -> Result<Batch, SpoolError> {
        let meta = self.meta.clone();
        let mut body = Vec::new();
        let mut ends = Vec::with_capacity(meta.rows as usize);
        let mut damaged = false;
        if meta.dead_letter.is_some() {
            let letter = self.shared.letter(meta.id, |payload| {
                body.extend_from_slice(payload);
                ends.push(body.len() as u32);
            })?;
            // What it has lost since it was asked for is told and counted there.
            if letter.is_none() {
                return Err(SpoolError::NoDeadLetter(meta.id));
            }
        }
        for extent in &meta.extents {
            let path = self.segment_path(extent);
            let file = File::open(&path).map_err(SpoolError::io("open", &path))?;
            if self.shared.durability == Durability::Write {
                // Storage must not have what this disk could still lose: the batch would
                // come back with fewer rows, and so under another token.
                datasync(&*self.shared.disk, &file).map_err(SpoolError::io("sync", &path))?;
            }
            let read = |error| SpoolError::io("read", &path)(error);
            let header = read_header(&file).map_err(read)?.map_err(|_| SpoolError::Io {
                action: "read the header of",
                path: path.clone(),
                source: io::ErrorKind::InvalidData.into(),
            })?;
            if !read_extent(&file, &header, extent, &mut body, &mut ends).map_err(read)? {
                damaged = true;
                quarantine(&*self.shared.disk, &self.shared.dir, meta.spool(), &path);
            }
        }
        if damaged {
            let (rows, lost) = (ends.len(), u64::from(meta.rows).saturating_sub(ends.len() as u64));
            self.shared.damaged_rows.fetch_add(lost, Relaxed);
            tracing::error!(batch = meta.id, lost_rows = lost, rows, "a sealed batch is damaged on the disk");
        }
        let sites = (ends.len() != meta.rows as usize).then(|| sites_of(&body, &ends));
        let left_out = self.leave_out(&mut body, &mut ends)?;
        Ok(Batch {
            id: meta.id,
            token: attempt_token(&meta.token, self.attempt),
            columns_version: meta.columns_version,
            month: meta.month,
            rows: ends.len() as u32,
            suspect: self.suspect,
            attempt: self.attempt,
            body: body.into(),
            ends,
            sites,
            left_out,
            lease: self,
        })
    }

    /// Leaves out what must not be delivered (any more); returns how many rows of
    /// which site.
    fn leave_out(&self, body: &mut Vec<u8>, ends: &mut Vec<u32>) -> Result<Vec<(String, u64)>, SpoolError> {
        let tombstones = self.shared.tombstones();
        let now = now_ms();
        let old = now.saturating_sub(self.meta.opened_ms) >= SHORTEST_TERM.as_millis() as u64;
        if tombstones.list().is_empty() && !old {
            return Ok(Vec::new());
        }
        // Whoever was put on the list or taken off it since is so in the next batch.
        let who = if old { self.shared.kept()? } else { None };
        let version = self.meta.columns_version;
        let (mut kept, mut kept_ends) = (Vec::with_capacity(body.len()), Vec::with_capacity(ends.len()));
        let (mut out, mut out_ends) = (Vec::new(), Vec::new());
        let mut from = 0;
        for end in ends.drain(..) {
            let payload = &mut body[from..end as usize];
            from = end as usize;
            let hold = who.as_ref().and_then(|who| Some(who.covers(&Head::of(payload, version)?)));
            if let Some(hold) = hold {
                set_hold(payload, hold);
            }
            let leave = Head::of(payload, version)
                .is_some_and(|row| tombstones.covers(&row) || (old && row.is_expired(now.cast_signed())));
            let (to, to_ends) = if leave { (&mut out, &mut out_ends) } else { (&mut kept, &mut kept_ends) };
            to.extend_from_slice(payload);
            to_ends.push(to.len() as u32);
        }
        (*body, *ends) = (kept, kept_ends);
        if !out_ends.is_empty() {
            tracing::info!(
                batch = self.meta.id,
                rows = out_ends.len(),
                "erased or expired rows are left out"
            );
        }
        Ok(sites_of(&out, &out_ends))
    }

    fn segment_path(&self, extent: &Extent) -> PathBuf {
        self.shared.spool_dir(self.meta.spool()).join(segment_name(extent.segment))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let give_back = |held: &mut Held| {
            held.leased = false;
            held.suspect |= self.suspect && held.waits();
            held.attempt = held.attempt.max(self.attempt);
            held.waits()
        };
        let waits = self.shared.held(self.meta.id, give_back);
        if waits == Some(true) {
            self.shared.sealed.notify_waiters();
        }
    }
}

// === impl Batch ===

impl Batch {
    /// The rows, each as it was encoded.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(from, to)| &self.body[from as usize..*to as usize])
    }

    /// The moment of the oldest row of each site, in milliseconds since 1970.
    pub fn oldest(&self) -> BTreeMap<String, i64> {
        let mut oldest: BTreeMap<String, i64> = BTreeMap::new();
        for head in self.payloads().filter_map(|payload| Head::of(payload, self.columns_version)) {
            match oldest.get_mut(head.site) {
                Some(known) => *known = head.time.min(*known),
                None => drop(oldest.insert(head.site.to_owned(), head.time)),
            }
        }
        oldest
    }

    /// All rows, one behind the other.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// When the batch was opened, in milliseconds since 1970.
    pub fn opened_ms(&self) -> u64 {
        self.lease.meta.opened_ms
    }

    /// Storage took the batch's token and has no rows of it, or wrong ones that were
    /// removed: from now on it goes under another token.
    pub fn next_attempt(&mut self) {
        self.attempt += 1;
        self.lease.attempt = self.attempt;
        self.token = attempt_token(&self.lease.meta.token, self.attempt);
    }

    /// Its outcome is not known, and storage was started again since it was sent.
    pub fn set_suspect(&mut self) {
        self.suspect = true;
        self.lease.suspect = true;
    }

    /// What storage is to be asked about it.
    pub fn unverified(&self) -> Unverified {
        Unverified { id: self.id, month: self.month, opened_ms: self.opened_ms(), rows: self.rows }
    }

    /// It was counted: storage has nothing of it.
    pub fn clear_suspicion(&mut self) {
        self.suspect = false;
        self.lease.suspect = false;
    }

    /// Rows per site, with those that are left out.
    pub(super) fn sites(&self) -> Vec<(String, u64)> {
        let known = || {
            let sites = self.lease.meta.sites.iter();
            sites.map(|(site, rows)| (site.site().to_owned(), u64::from(*rows))).collect()
        };
        self.sites.clone().unwrap_or_else(known)
    }

    /// The batch as a file: a segment of its own, with the reason behind it.
    pub(super) fn dead_letter(&self, shared: &Shared, reason: &str) -> Result<Vec<u8>, SpoolError> {
        let meta = &self.lease.meta;
        let mut header: SegmentHeader =
            super::shared::new_header(shared, meta.spool(), meta.id, 1, meta.number())?;
        header.columns_version = meta.columns_version;
        header.created_ms = now_ms();
        let mut out = header.encode().to_vec();
        let mut lsn = 1;
        let open = BatchOpen {
            id: meta.id,
            month: meta.month,
            columns_version: meta.columns_version,
            opened_ms: meta.opened_ms,
        };
        open.append(lsn, &mut out);
        for payload in self.payloads() {
            lsn += 1;
            let start = record::begin_hit(&mut out, 0, meta.number(), lsn);
            out.extend_from_slice(payload);
            record::finish(&mut out, start);
        }
        // The seal keeps the LSNs of the spool: they are part of the token.
        meta.seal().append(lsn + 1, &mut out);
        let start = record::begin(&mut out, Kind::Reason, 0, lsn + 2);
        let mut length = reason.len().min(super::MAX_RECORD_BYTES);
        while !reason.is_char_boundary(length) {
            length -= 1;
        }
        out.extend_from_slice(&reason.as_bytes()[..length]);
        record::finish(&mut out, start);
        let mut at = record::SEGMENT_HEADER_BYTES;
        out[at + 17] |= record::GROUP_START;
        while at < out.len() {
            let total = record::padded(record::u32_at(&out, at + 4) as usize);
            record::stamp(&mut out[at..at + total], header.seed());
            at += total;
        }
        Ok(out)
    }
}

fn attempt_token(token: &[u8; 16], attempt: u32) -> String {
    match attempt {
        0 => hex(token),
        more => format!("{}-{more}", hex(token)),
    }
}

/// Rows per site of these payloads.
fn sites_of(body: &[u8], ends: &[u32]) -> Vec<(String, u64)> {
    let mut sites = BTreeMap::new();
    let mut from = 0;
    for end in ends {
        let site = site_of(&body[from..*end as usize]).unwrap_or(crate::count::UNKNOWN_SITE);
        *sites.entry(site.to_owned()).or_default() += 1;
        from = *end as usize;
    }
    sites.into_iter().collect()
}

/// Appends the payloads in an extent; `false` when some could not be read.
fn read_extent(
    file: &File,
    header: &SegmentHeader,
    extent: &Extent,
    body: &mut Vec<u8>,
    ends: &mut Vec<u32>,
) -> io::Result<bool> {
    let (body_before, ends_before) = (body.len(), ends.len());
    let mut take = |record: record::Record<'_>| {
        if record.is(Kind::Hit) {
            body.extend_from_slice(record.payload());
            ends.push(body.len() as u32);
        }
    };
    if read_range(file, header, extent.from, extent.to, &mut take)? {
        return Ok(true);
    }
    body.truncate(body_before);
    ends.truncate(ends_before);
    scan(file, header, |found| {
        if let Found::Record { offset, record } = found
            && (extent.from..extent.to).contains(&offset)
            && record.is(Kind::Hit)
        {
            body.extend_from_slice(record.payload());
            ends.push(body.len() as u32);
        }
    })?;
    Ok(false)
}
