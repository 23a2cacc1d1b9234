//! Group commit: the hit thread's side ([`Writer`], [`Ticket`]) and the helper
//! thread that writes, syncs, counts and wakes.
//!
//! ```text
//! append ─► Forming (buffer, waiters) ──swap──► helper: stamp, write, fdatasync ─► count, publish sealed batches, wake
//!               ▲ next group forms meanwhile
//! ```
//!
//! The `Forming` lock is shared by one hit thread and its own helper, which
//! holds it for a swap of buffers. A hit is counted when its group completes,
//! whether or not anybody still holds its ticket.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::log::{Log, LogError};
use super::record::{
    self, BatchOpen, BatchSeal, GROUP_START, Kind, MAX_KEYS, RECORD_HEADER_BYTES, padded, stamp, u32_at, u64_at,
};
use super::shared::{BatchMeta, Queued, Shared, batch_id, locked, now_ms, number_of, token};
use super::{COLUMNS_VERSION, FULL_RETRY, HitId, MAX_BATCH_BYTES, MAX_RECORD_BYTES};
use crate::count::SiteCounters;
use crate::reject::Reason;

/// A forming group holds at most this part of a segment. What comes while a
/// sync takes so long that this much has gathered is refused.
const GROUP_PART_OF_SEGMENT: u64 = 4;
/// How long the helper sleeps when nothing is due: any bound does, it is woken.
const IDLE: Duration = Duration::from_secs(3600);

const PENDING: u8 = 0;
const DURABLE: u8 = 1;
const FULL: u8 = 2;
const UNAVAILABLE: u8 = 3;

/// Appends to one spool. Used from one thread; dropping it seals and closes.
pub struct Writer {
    core: Arc<Core>,
    helper: Option<JoinHandle<()>>,
}

/// Resolves when the hit's group is durable, or with the reason why it is not.
/// Dropping it changes nothing for the hit.
#[must_use = "an answer of success waits for the ticket"]
pub struct Ticket {
    group: Arc<GroupState>,
    slot: Option<usize>,
}

/// What hit thread and helper share.
pub(super) struct Core {
    shared: Arc<Shared>,
    spool: u16,
    forming: Mutex<Forming>,
    wake: Condvar,
}

#[derive(Default)]
struct GroupState {
    state: AtomicU8,
    wakers: Mutex<Vec<Waker>>,
}

/// The group that forms, and the numbers that the next record gets.
struct Forming {
    group: Group,
    next: Next,
    /// The helper sleeps and must be woken.
    idle: bool,
    closing: bool,
    poisoned: bool,
    /// The disk was full; not tried again before this.
    full_until: Option<Instant>,
}

#[derive(Default)]
struct Group {
    /// Records without checksums.
    buffer: Vec<u8>,
    state: Arc<GroupState>,
    /// The sites of its hits, and for each hit in order which of them.
    sites: Vec<Arc<SiteCounters>>,
    hits: Vec<u16>,
    keys: Vec<u64>,
    /// It ends a batch, so that it is written even without hits.
    seals: bool,
}

/// The numbers that the next records get; restored when a group is refused.
#[derive(Clone, Debug)]
struct Next {
    lsn: u64,
    batch_number: u32,
    batch: Option<OpenBatch>,
}

#[derive(Clone, Debug)]
struct OpenBatch {
    id: u64,
    month: u32,
    rows: u32,
    bytes: u64,
    deadline: Instant,
}

/// The helper thread.
struct Helper {
    core: Arc<Core>,
    log: Log,
    building: Option<Building>,
    /// The state before the group in hand, for when the disk has no room for it.
    before: Next,
}

/// The open batch as far as it has been written.
#[derive(Clone)]
struct Building {
    meta: BatchMeta,
    hasher: blake3::Hasher,
}

// === impl Writer ===

impl Writer {
    /// Starts the helper thread of a recovered spool, in which no batch is open.
    pub(super) fn start(log: Log, next_lsn: u64, next_batch: u32) -> std::io::Result<Writer> {
        let next = Next { lsn: next_lsn, batch_number: next_batch, batch: None };
        let core = Arc::new(Core {
            shared: log.shared.clone(),
            spool: log.spool,
            forming: Mutex::new(Forming {
                group: Group::default(),
                next: next.clone(),
                idle: false,
                closing: false,
                poisoned: false,
                full_until: None,
            }),
            wake: Condvar::new(),
        });
        let helper = Helper { core: core.clone(), log, building: None, before: next };
        let name = format!("spool-{:02x}", core.spool);
        let helper = std::thread::Builder::new().name(name).spawn(move || helper.run())?;
        Ok(Writer { core, helper: Some(helper) })
    }

    pub(super) fn core(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// Appends a row. `month` is `year * 12 + month` of the row's time, UTC: a
    /// batch holds one month. `encode` gets the row's identity and appends the
    /// payload.
    ///
    /// Never blocks on the disk. An error here is for the caller to count; what
    /// becomes of an accepted hit, the spool counts.
    pub fn append(
        &self,
        site: &Arc<SiteCounters>,
        month: u32,
        encode: impl FnOnce(HitId, &mut Vec<u8>),
    ) -> Result<Ticket, Reason> {
        self.append_seen(site, month, &[], encode)
    }

    /// [`Writer::append`] of a hit for which `seen` (at most [`MAX_KEYS`]) has been
    /// claimed in the journal [`super::Seen`]: the keys become durable with the
    /// hit, and are forgotten if it does not.
    pub fn append_seen(
        &self,
        site: &Arc<SiteCounters>,
        month: u32,
        seen: &[u64],
        encode: impl FnOnce(HitId, &mut Vec<u8>),
    ) -> Result<Ticket, Reason> {
        let ticket = self.core.append(site, month, seen, encode);
        if ticket.is_err() {
            self.core.shared.seen.forget(seen);
        }
        ticket
    }

    /// Whether a hit appended now could become durable, or the reason why not.
    /// Appends nothing.
    pub fn health(&self) -> Result<(), Reason> {
        let shared = &*self.core.shared;
        let forming = self.core.forming();
        if forming.poisoned || forming.closing {
            return Err(Reason::Unavailable);
        }
        let waits_for_space = forming.full_until.is_some_and(|until| Instant::now() < until);
        if waits_for_space || shared.used.load(Ordering::Relaxed) >= shared.max_bytes {
            return Err(Reason::Full);
        }
        Ok(())
    }

    /// Seals the open batch and waits until all is durable.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.core.forming().closing = true;
        self.core.wake.notify_one();
        if let Some(helper) = self.helper.take()
            && helper.join().is_err()
        {
            self.core.shared.fail("a spool's helper thread panicked".to_owned());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}

// === impl Core ===

impl Core {
    fn forming(&self) -> MutexGuard<'_, Forming> {
        locked(&self.forming)
    }

    fn append(
        &self,
        site: &Arc<SiteCounters>,
        month: u32,
        keys: &[u64],
        encode: impl FnOnce(HitId, &mut Vec<u8>),
    ) -> Result<Ticket, Reason> {
        assert!(keys.len() <= MAX_KEYS, "a hit has at most {MAX_KEYS} journal keys");
        let shared = &*self.shared;
        let mut forming = self.forming();
        if forming.poisoned || forming.closing {
            return Err(Reason::Unavailable);
        }
        if forming.full_until.is_some_and(|until| Instant::now() < until) {
            return Err(Reason::Full);
        }
        let pending = forming.group.buffer.len() as u64;
        if shared.used.load(Ordering::Relaxed) + pending >= shared.max_bytes {
            return Err(Reason::Full);
        }
        if pending >= shared.segment_bytes / GROUP_PART_OF_SEGMENT {
            return Err(Reason::Unavailable);
        }
        if forming.next.batch.as_ref().is_some_and(|batch| batch.month != month) {
            forming.seal();
        }
        if forming.next.batch.is_none() {
            forming.open_batch(shared, self.spool, month);
        }
        forming.push(site, keys, encode)?;
        let ticket = Ticket { group: forming.group.state.clone(), slot: None };
        let whole = |batch: &OpenBatch| batch.rows >= shared.batch_rows || batch.bytes >= MAX_BATCH_BYTES;
        if forming.next.batch.as_ref().is_some_and(whole) {
            forming.seal();
        }
        if forming.idle {
            forming.idle = false;
            self.wake.notify_one();
        }
        Ok(ticket)
    }

    /// Notes in the log that a batch is done with. Rides with the next group: the
    /// checkpoint is what counts, this is for a reader who has lost it.
    pub(super) fn note_acked(&self, id: u64, dead: bool) {
        let mut forming = self.forming();
        if !forming.poisoned && !forming.closing && forming.full_until.is_none() {
            let lsn = forming.next.take_lsn();
            record::append_acked(&mut forming.group.buffer, lsn, id, dead);
        }
    }
}

// === impl Next ===

impl Next {
    fn take_lsn(&mut self) -> u64 {
        self.lsn += 1;
        self.lsn - 1
    }
}

// === impl Forming ===

impl Forming {
    fn open_batch(&mut self, shared: &Shared, spool: u16, month: u32) {
        let number = self.next.batch_number;
        let id = batch_id(shared.node.id, spool, number);
        let lsn = self.next.take_lsn();
        BatchOpen::new(id, month, now_ms()).append(lsn, &mut self.group.buffer);
        self.next.batch_number = number + 1;
        let deadline = Instant::now() + shared.seal_interval;
        self.next.batch = Some(OpenBatch { id, month, rows: 0, bytes: 0, deadline });
    }

    /// Ends the open batch. The helper fills in what the seal says: it knows the
    /// content.
    fn seal(&mut self) {
        if let Some(batch) = self.next.batch.take() {
            let lsn = self.next.take_lsn();
            let blank =
                BatchSeal { id: batch.id, first_lsn: 0, last_lsn: 0, rows: 0, content: [0; 32], token: [0; 16] };
            blank.append(lsn, &mut self.group.buffer);
            self.group.seals = true;
        }
    }

    fn push(
        &mut self,
        site: &Arc<SiteCounters>,
        keys: &[u64],
        encode: impl FnOnce(HitId, &mut Vec<u8>),
    ) -> Result<(), Reason> {
        /// Takes a half-written record back, also when `encode` panics.
        struct Undo<'a> {
            buffer: &'a mut Vec<u8>,
            length: usize,
        }
        impl Drop for Undo<'_> {
            fn drop(&mut self) {
                self.buffer.truncate(self.length);
            }
        }

        let batch = self.next.batch.as_mut().expect("a batch has been opened");
        let group = &mut self.group;
        let undo = Undo { length: group.buffer.len(), buffer: &mut group.buffer };
        let start = record::begin_hit(undo.buffer, keys.len(), number_of(batch.id), self.next.lsn);
        for key in keys {
            undo.buffer.extend_from_slice(&key.to_le_bytes());
        }
        encode(HitId { batch: batch.id, row: batch.rows }, undo.buffer);
        let body = undo.buffer.len() - start - RECORD_HEADER_BYTES;
        if body > MAX_RECORD_BYTES {
            return Err(Reason::TooLarge);
        }
        record::finish(undo.buffer, start);
        std::mem::forget(undo);
        self.next.lsn += 1;
        batch.rows += 1;
        batch.bytes += padded(body) as u64;
        group.keys.extend_from_slice(keys);
        let index = match group.sites.iter().rposition(|known| Arc::ptr_eq(known, site)) {
            Some(index) => index,
            None => {
                group.sites.push(site.clone());
                group.sites.len() - 1
            }
        };
        group.hits.push(index as u16);
        Ok(())
    }
}

// === impl Helper ===

impl Helper {
    fn run(mut self) {
        let mut empty = Group::default();
        loop {
            let core = self.core.clone();
            let mut forming = core.wait(core.forming());
            if forming.closing {
                forming.seal();
            }
            if forming.group.buffer.is_empty() {
                return;
            }
            let mut group = std::mem::replace(&mut forming.group, empty);
            let after = forming.next.clone();
            drop(forming);
            // A panic must not leave the group's hits without an answer.
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit(&mut group)))
                .unwrap_or_else(|_| Err(LogError::Fatal("the spool's helper thread panicked".to_owned())));
            match committed {
                Ok(()) => self.before = after,
                Err(LogError::NoSpace) => {
                    if self.refuse_full(&mut group) {
                        return;
                    }
                }
                Err(LogError::Fatal(why)) => {
                    self.poison(&mut group, why);
                    return;
                }
            }
            group.clear();
            empty = group;
        }
    }

    /// Stamps, writes and syncs a group; then counts, publishes and wakes.
    fn commit(&mut self, group: &mut Group) -> Result<(), LogError> {
        let first_lsn = u64_at(&group.buffer, 8);
        self.log.make_room(group.buffer.len() as u64, first_lsn, group.hits.is_empty())?;
        let current = self.log.current.as_ref().expect("there is room in it");
        let (segment, offset, seed) = (current.number, current.offset, current.seed);
        let (building, sealed) = self.stamp_all(group, segment, offset, seed);
        self.log.write(&group.buffer)?;

        // From here on the group is durable.
        self.building = building;
        for index in &group.hits {
            group.sites[usize::from(*index)].durable();
        }
        self.core.shared.seen.confirm(&group.keys);
        self.publish(group, segment, sealed);
        group.state.complete(DURABLE);
        Ok(())
    }

    /// Gives each record its checksum and each seal its content; returns the
    /// batch that is open after the group, and those sealed in it.
    fn stamp_all(
        &self,
        group: &mut Group,
        segment: u64,
        base: u64,
        seed: u32,
    ) -> (Option<Building>, Vec<BatchMeta>) {
        let mut building = self.building.clone();
        let mut sealed = Vec::new();
        let mut hits = group.hits.iter();
        let mut at = 0;
        while at < group.buffer.len() {
            let length = u32_at(&group.buffer, at + 4) as usize;
            let total = padded(length);
            let record = &mut group.buffer[at..at + total];
            if at == 0 {
                record[17] |= GROUP_START;
            }
            let lsn = u64_at(record, 8);
            let body = RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length;
            if record[16] == Kind::Hit as u8 {
                let keys = usize::from(record[17] & record::KEYS_MASK) * 8;
                let batch = building.as_mut().expect("a hit stands in a batch");
                batch.hasher.update(&record[body][keys..]);
                batch.meta.rows += 1;
                batch.meta.last_lsn = lsn;
                let offset = base + at as u64;
                BatchMeta::extend(&mut batch.meta.extents, segment, offset, offset + total as u64);
                let site = hits.next().expect("each hit of the group has its site");
                BatchMeta::count(&mut batch.meta.sites, &group.sites[usize::from(*site)]);
            } else if record[16] == Kind::BatchOpen as u8 {
                let open = BatchOpen::decode(&record[body]).expect("it was encoded here");
                building = Some(Building::new(&open, lsn));
            } else if record[16] == Kind::BatchSeal as u8 {
                let mut meta = building.take().expect("a batch is open").finish();
                meta.token = token(&self.core.shared.node, meta.id, meta.first_lsn, meta.last_lsn, &meta.content);
                record[body].copy_from_slice(&meta.seal().encode());
                sealed.push(meta);
            }
            stamp(record, seed);
            at += total;
        }
        (building, sealed)
    }

    /// Enters the group into the spool's book.
    fn publish(&mut self, group: &Group, segment: u64, sealed: Vec<BatchMeta>) {
        let shared = &self.core.shared;
        let mut state = shared.book(self.log.spool).state();
        let last = sealed.last().map(BatchMeta::number);
        let open = self.building.as_ref().map(|batch| (batch.meta.number(), batch.meta.opened_ms));
        if let Some(number) = open.map(|(number, _)| number).or(last) {
            state.next_batch = state.next_batch.max(number + 1);
        }
        state.open = open;
        state.next_lsn = last_lsn(&group.buffer) + 1;
        let (last_batch, offset) = (state.next_batch.saturating_sub(1), self.log.current.as_ref());
        let used = offset.map_or(0, |current| current.offset);
        if let Some(segment) = state.segments.get_mut(&segment) {
            segment.last_batch = segment.last_batch.max(last_batch);
            segment.used = used;
            segment.has_keys |= !group.keys.is_empty();
        }
        let any = sealed.iter().any(|meta| meta.rows > 0);
        for meta in sealed.into_iter().filter(|meta| meta.rows > 0) {
            state.queue.insert(meta.number(), Queued { meta: Arc::new(meta), leased: false });
        }
        drop(state);
        if any {
            shared.sealed.notify_waiters();
        }
    }

    /// The disk has no room: this group and the one that forms are refused, and
    /// the numbers go back to where they were before. Says whether to end.
    fn refuse_full(&mut self, group: &mut Group) -> bool {
        let core = self.core.clone();
        let mut forming = core.forming();
        let closing = forming.closing;
        let mut next = std::mem::take(&mut forming.group);
        forming.next = self.before.clone();
        forming.full_until = Some(Instant::now() + FULL_RETRY);
        drop(forming);
        for group in [group, &mut next] {
            self.refuse(group, Reason::Full, FULL);
        }
        closing
    }

    fn poison(&mut self, group: &mut Group, why: String) {
        let core = self.core.clone();
        core.shared.fail(why);
        let mut forming = core.forming();
        forming.poisoned = true;
        let mut next = std::mem::take(&mut forming.group);
        drop(forming);
        for group in [group, &mut next] {
            self.refuse(group, Reason::Unavailable, UNAVAILABLE);
        }
    }

    fn refuse(&self, group: &mut Group, reason: Reason, state: u8) {
        self.core.shared.seen.forget(&group.keys);
        for index in &group.hits {
            group.sites[usize::from(*index)].refused(reason);
        }
        group.state.complete(state);
    }
}

impl Core {
    /// Sleeps until there is something to write, sealing the open batch when its
    /// time has come.
    fn wait<'a>(&'a self, mut forming: MutexGuard<'a, Forming>) -> MutexGuard<'a, Forming> {
        loop {
            let now = Instant::now();
            let full = forming.full_until.filter(|until| now < *until);
            if full.is_none() {
                forming.full_until = None;
                if forming.next.batch.as_ref().is_some_and(|batch| now >= batch.deadline) {
                    forming.seal();
                }
            }
            // An acknowledgement alone is not worth a sync: it rides along.
            if !forming.group.hits.is_empty() || forming.group.seals || forming.closing {
                return forming;
            }
            let until = full.or(forming.next.batch.as_ref().map(|batch| batch.deadline));
            let sleep = until.map_or(IDLE, |until| until.saturating_duration_since(now));
            forming.idle = true;
            forming = self.wake.wait_timeout(forming, sleep).unwrap_or_else(|e| e.into_inner()).0;
            forming.idle = false;
        }
    }
}

// === impl Building ===

impl Building {
    pub(super) fn new(open: &BatchOpen, lsn: u64) -> Building {
        Building { meta: BatchMeta::opened(open, lsn), hasher: blake3::Hasher::new() }
    }

    fn finish(self) -> BatchMeta {
        BatchMeta { content: *self.hasher.finalize().as_bytes(), ..self.meta }
    }
}

// === impl Group ===

impl Group {
    /// Makes it ready for reuse, keeping its buffers.
    fn clear(&mut self) {
        self.buffer.clear();
        self.state = Arc::default();
        self.sites.clear();
        self.hits.clear();
        self.keys.clear();
        self.seals = false;
    }
}

// === impl GroupState ===

impl GroupState {
    fn complete(&self, state: u8) {
        let mut wakers = locked(&self.wakers);
        self.state.store(state, Ordering::Release);
        let woken = std::mem::take(&mut *wakers);
        drop(wakers);
        for waker in woken {
            waker.wake();
        }
    }

    fn outcome(&self) -> Option<Result<(), Reason>> {
        match self.state.load(Ordering::Acquire) {
            PENDING => None,
            DURABLE => Some(Ok(())),
            FULL => Some(Err(Reason::Full)),
            _ => Some(Err(Reason::Unavailable)),
        }
    }
}

// === impl Ticket ===

impl Future for Ticket {
    type Output = Result<(), Reason>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.group.outcome() {
            return Poll::Ready(outcome);
        }
        let group = self.group.clone();
        let mut wakers = locked(&group.wakers);
        if let Some(outcome) = group.outcome() {
            return Poll::Ready(outcome);
        }
        match self.slot {
            Some(slot) => wakers[slot].clone_from(context.waker()),
            None => {
                self.slot = Some(wakers.len());
                wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// The LSN of the last record of a group.
fn last_lsn(buffer: &[u8]) -> u64 {
    let (mut at, mut lsn) = (0, 0);
    while at < buffer.len() {
        lsn = u64_at(buffer, at + 8);
        at += padded(u32_at(buffer, at + 4) as usize);
    }
    lsn
}

const _: () = assert!(COLUMNS_VERSION > 0, "0 marks a segment that was never written");
