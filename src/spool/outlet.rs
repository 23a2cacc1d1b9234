//! The spool's other end: sealed batches, oldest first, and what becomes of them.
//!
//! A batch is handed out to one holder at a time; dropped without an
//! acknowledgement it is handed out again, the same rows under the same token.
//! An acknowledgement is durable (the checkpoint) before it is counted, and
//! counted before any space is released.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use serde::Serialize;

use super::SpoolError;
use super::checkpoint::hex;
use super::disk::replace;
use super::keeper::Job;
use super::record::{self, BatchOpen, Kind, SegmentHeader};
use super::recover::quarantine;
use super::scan::{Found, read_header, read_range, scan};
use super::shared::{BatchMeta, Extent, Shared, locked, now_ms, segment_name};
use super::writer::Core;
use crate::store::row::site_of;

/// How long a batch rests when its segment could not be read.
const READ_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Where sealed batches come out. Cheap to clone.
#[derive(Clone)]
pub struct Outlet {
    shared: Arc<Shared>,
    /// The spools that are written to, for notes in their logs.
    cores: Arc<[Arc<Core>]>,
}

/// A sealed batch with its rows.
pub struct Batch {
    pub id: u64,
    /// The same for the same rows, for ever; 32 hex digits.
    pub token: String,
    pub columns_version: u16,
    /// `year * 12 + month` of its rows' time, UTC.
    pub month: u32,
    pub rows: u32,
    body: Bytes,
    /// Where each payload ends in the body.
    ends: Vec<u32>,
    /// Some of its rows could not be read back.
    damaged: bool,
    lease: Lease,
}

/// What waits for storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Rows in sealed batches.
    pub rows: u64,
    pub batches: u64,
    /// Bytes of all that is in the spool's segments.
    pub bytes: u64,
    /// When the oldest waiting batch was opened, in milliseconds since 1970.
    pub oldest: Option<u64>,
    /// Rows in dead letters.
    pub dead_rows: u64,
    /// Rows that could not be read back, in recovery and since.
    pub damaged_rows: u64,
}

/// The right to deal with one batch; given back when dropped.
struct Lease {
    shared: Arc<Shared>,
    meta: Arc<BatchMeta>,
}

// === impl Outlet ===

impl Outlet {
    pub(super) fn new(shared: Arc<Shared>, cores: Vec<Arc<Core>>) -> Outlet {
        Outlet { shared, cores: cores.into() }
    }

    /// The oldest sealed batch that is not done with and not handed out.
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

    /// The batch is in storage: notes it durably, counts its rows as stored and
    /// releases what is no longer needed. Writes to the disk.
    pub fn acknowledge(&self, batch: &Batch) -> Result<(), SpoolError> {
        self.finish(batch, false)
    }

    /// Storage will never take the batch: its rows go to `dead/`, where they wait
    /// for a replay, and stay counted as waiting. Writes to the disk.
    pub fn dead_letter(&self, batch: &Batch, reason: &str) -> Result<(), SpoolError> {
        let dir = self.shared.dir.join("dead");
        let path = dir.join(format!("{:016x}.dead", batch.id));
        let disk = &*self.shared.disk;
        replace(disk, &path, &batch.dead_letter(&self.shared, reason)?)
            .map_err(SpoolError::io("write", path))?;
        self.finish(batch, true)?;
        self.shared.dead_rows.fetch_add(u64::from(batch.rows), Relaxed);
        Ok(())
    }

    /// What waits now.
    pub fn backlog(&self) -> Backlog {
        let shared = &self.shared;
        let mut backlog = Backlog {
            bytes: shared.used.load(Relaxed),
            dead_rows: shared.dead_rows.load(Relaxed),
            damaged_rows: shared.damaged_rows.load(Relaxed),
            ..Backlog::default()
        };
        for book in shared.books.values() {
            let state = book.state();
            for queued in state.queue.values() {
                backlog.rows += u64::from(queued.meta.rows);
                backlog.batches += 1;
            }
            let first = state.queue.values().next().map(|queued| queued.meta.opened_ms);
            let first = first.or(state.open.map(|(_, opened_ms)| opened_ms));
            backlog.oldest = [backlog.oldest, first].into_iter().flatten().min();
        }
        backlog
    }

    /// Makes the refused and stored counts durable as they are now; the shipper
    /// calls it at the end of a clean shutdown.
    pub fn checkpoint(&self) -> Result<(), SpoolError> {
        let totals = locked(&self.shared.totals);
        self.shared.write_checkpoint(&totals, None).map(drop)
    }

    fn finish(&self, batch: &Batch, dead: bool) -> Result<(), SpoolError> {
        let shared = &self.shared;
        let meta = &batch.lease.meta;
        let (spool, number) = (meta.spool(), meta.number());
        let mut totals = locked(&shared.totals);
        if !shared.book(spool).state().queue.contains_key(&number) {
            return Err(SpoolError::UnknownBatch(batch.id));
        }
        let sites = batch.sites();
        let mut after = totals.clone();
        if !dead {
            for (site, rows) in &sites {
                *after.entry(site.clone()).or_default() += rows;
            }
        }
        let floors = shared.write_checkpoint(&after, Some((spool, number)))?;
        *totals = after;
        let mut state = shared.book(spool).state();
        state.queue.remove(&number);
        state.acked.insert(number);
        let floor = state.mark(None).floor;
        state.acked = state.acked.split_off(&floor);
        drop(state);
        if !dead {
            for (site, rows) in &sites {
                shared.counters.site(site).stored(*rows);
            }
        }
        drop(totals);
        let _ = shared.keeper.send(Job::Release(floors));
        if let Some(core) = self.cores.get(usize::from(spool)) {
            core.note_acked(batch.id, dead);
        }
        Ok(())
    }

    fn lease(&self) -> Option<Lease> {
        loop {
            let mut oldest: Option<(u64, u16, u32)> = None;
            for (spool, book) in &self.shared.books {
                let state = book.state();
                let first = state.queue.iter().find(|(_, queued)| !queued.leased);
                if let Some((number, queued)) = first {
                    let key = (queued.meta.opened_ms, *spool, *number);
                    oldest = Some(oldest.map_or(key, |oldest| oldest.min(key)));
                }
            }
            let (_, spool, number) = oldest?;
            let mut state = self.shared.book(spool).state();
            // Another holder may have been quicker: then look again.
            if let Some(queued) = state.queue.get_mut(&number).filter(|queued| !queued.leased) {
                queued.leased = true;
                return Some(Lease { shared: self.shared.clone(), meta: queued.meta.clone() });
            }
        }
    }
}

// === impl Lease ===

impl Lease {
    /// Reads the rows back, checking each. What cannot be read is reported and
    /// its segment copied aside; the rest keeps the batch's token, so that a
    /// batch which is already in storage is still recognised.
    fn read(self) -> Result<Batch, SpoolError> {
        let meta = self.meta.clone();
        let mut body = Vec::new();
        let mut ends = Vec::with_capacity(meta.rows as usize);
        let mut damaged = false;
        for extent in &meta.extents {
            let path = self.segment_path(extent);
            let file = File::open(&path).map_err(SpoolError::io("open", &path))?;
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
        let rows = ends.len() as u32;
        if damaged {
            let lost = u64::from(meta.rows.saturating_sub(rows));
            self.shared.damaged_rows.fetch_add(lost, Relaxed);
            tracing::error!(batch = meta.id, lost_rows = lost, rows, "a sealed batch is damaged on the disk");
        }
        Ok(Batch {
            id: meta.id,
            token: hex(&meta.token),
            columns_version: meta.columns_version,
            month: meta.month,
            rows,
            body: body.into(),
            ends,
            damaged,
            lease: self,
        })
    }

    fn segment_path(&self, extent: &Extent) -> PathBuf {
        self.shared.spool_dir(self.meta.spool()).join(segment_name(extent.segment))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.shared.book(self.meta.spool()).state();
        if let Some(queued) = state.queue.get_mut(&self.meta.number()) {
            queued.leased = false;
            drop(state);
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

    /// All rows, one behind the other.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// When the batch was opened, in milliseconds since 1970.
    pub fn opened_ms(&self) -> u64 {
        self.lease.meta.opened_ms
    }

    /// Rows per site.
    fn sites(&self) -> Vec<(String, u64)> {
        if !self.damaged {
            let sites = &self.lease.meta.sites;
            return sites.iter().map(|(site, rows)| (site.site().to_owned(), u64::from(*rows))).collect();
        }
        let mut sites = std::collections::BTreeMap::new();
        for payload in self.payloads() {
            *sites.entry(site_of(payload).unwrap_or(crate::count::UNKNOWN_SITE).to_owned()).or_default() += 1;
        }
        sites.into_iter().collect()
    }

    /// The batch as a file: a segment of its own, with the reason behind it.
    fn dead_letter(&self, shared: &Shared, reason: &str) -> Result<Vec<u8>, SpoolError> {
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
