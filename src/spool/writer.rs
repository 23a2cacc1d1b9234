//! Group commit: the hit thread's side ([`Writer`], [`Ticket`]) and the helper
//! thread that writes, syncs, counts and wakes.
//!
//! ```text
//! gather ─► Forming (buffer, waiters) ──swap──► helper: stamp, write, fdatasync ─► count, publish sealed batches, wake
//!   flush ─────▲ next group forms meanwhile
//! ```
//!
//! A group goes to the disk when it is asked for ([`Writer::flush`]), and not
//! before, however long the helper has nothing to do: an `fdatasync` costs as much
//! processor time as a dozen hits, so what is ready at one moment should share one.
//! A hit thread gathers all that its sockets hold and flushes then.
//!
//! The `Forming` lock is shared by one hit thread and its own helper, which
//! holds it for a swap of buffers. A hit is counted when its group completes,
//! whether or not anybody still holds its ticket.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::helper::Helper;
use super::log::Log;
use super::record::{self, BatchOpen, BatchSeal, Kind, MAX_KEYS, RECORD_HEADER_BYTES, padded};
use super::shared::{Shared, batch_id, locked, now_ms, number_of};
use super::{COLUMNS_VERSION, HitId, MAX_BATCH_BYTES, MAX_RECORD_BYTES};
use crate::count::SiteCounters;
use crate::reject::Reason;

/// A forming group holds at most this part of a segment. What comes while a
/// sync takes so long that this much has gathered is refused.
const GROUP_PART_OF_SEGMENT: u64 = 4;
/// Notes of acknowledged batches wait for a hit to ride with, up to so many
/// bytes: they fit into what a segment keeps free for control records.
const MAX_IDLE_NOTES_BYTES: usize = 2 << 10;
/// How long the helper sleeps when nothing is due: any bound does, it is woken.
const IDLE: Duration = Duration::from_secs(3600);

/// A group of so many hits is not gathered any further: waiting for one more saves
/// little by then.
const MOST_GATHERED: usize = 256;
/// How many states of earlier groups are kept for reuse: one or two are still seen
/// by waiters when the next group ends.
const RETIRED: usize = 4;

const PENDING: u8 = 0;
pub(super) const DURABLE: u8 = 1;
pub(super) const FULL: u8 = 2;
pub(super) const UNAVAILABLE: u8 = 3;

/// Appends to one spool. Used from one thread; dropping it seals and closes.
pub struct Writer {
    core: Arc<Core>,
    helper: Option<JoinHandle<()>>,
}

/// Resolves when the hit's group is durable, or with the reason why it is not.
/// Dropping it changes nothing for the hit. Once polled it is to be polled again
/// when it wakes, or dropped: others of its group may be woken by it.
#[must_use = "an answer of success waits for the ticket"]
pub struct Ticket {
    group: Arc<GroupState>,
    slot: Option<usize>,
}

/// What hit thread and helper share.
pub(super) struct Core {
    pub shared: Arc<Shared>,
    pub spool: u16,
    pub forming: Mutex<Forming>,
    pub wake: Condvar,
}

#[derive(Default)]
pub(super) struct GroupState {
    state: AtomicU8,
    wakers: Mutex<Vec<Option<Waker>>>,
}

/// The group that forms, and the numbers that the next record gets.
pub(super) struct Forming {
    pub group: Group,
    pub next: Next,
    /// The group is to be written, as soon as the helper can.
    pub asked: bool,
    /// The helper sleeps and must be woken.
    pub idle: bool,
    pub closing: bool,
    /// The segment is to be closed: [`Core::close_segment`].
    pub rolling: bool,
    pub poisoned: bool,
    /// The disk was full; not tried again before this.
    pub full_until: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Group {
    /// Records without checksums.
    pub buffer: Vec<u8>,
    pub state: Arc<GroupState>,
    /// The sites of its hits, and for each hit in order which of them.
    pub sites: Vec<Arc<SiteCounters>>,
    pub hits: Vec<u16>,
    pub keys: Vec<u64>,
    /// To be written even without hits: it ends a batch, or holds many notes.
    pub due: bool,
}

/// The numbers that the next records get; restored when a group is refused.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub lsn: u64,
    pub batch_number: u32,
    pub batch: Option<OpenBatch>,
}

#[derive(Clone, Debug)]
pub(super) struct OpenBatch {
    id: u64,
    month: u32,
    rows: u32,
    bytes: u64,
    deadline: Instant,
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
                asked: false,
                idle: false,
                closing: false,
                rolling: false,
                poisoned: false,
                full_until: None,
            }),
            wake: Condvar::new(),
        });
        let helper = Helper::new(core.clone(), log, next);
        let name = format!("spool-{:02x}", core.spool);
        let helper = std::thread::Builder::new().name(name).spawn(move || helper.run())?;
        Ok(Writer { core, helper: Some(helper) })
    }

    pub(super) fn core(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// Appends a row and asks for its group to be written. `month` is
    /// `year * 12 + month` of the row's time, UTC: a batch holds one month. `encode`
    /// gets the row's identity and appends the payload.
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
        let ticket = self.gather(site, month, seen, encode);
        self.flush();
        ticket
    }

    /// [`Writer::append_seen`] of a hit that may wait for others: whoever gathers
    /// has to [`Writer::flush`] when all that was ready is in.
    pub fn gather(
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

    /// Asks for the group that has formed to be written.
    pub fn flush(&self) {
        let mut forming = self.core.forming();
        if !forming.group.hits.is_empty() {
            self.core.ask(&mut forming);
        }
    }

    /// Whether a hit appended now could become durable, or the reason why not.
    /// Appends nothing.
    pub fn health(&self) -> Result<(), Reason> {
        let shared = &*self.core.shared;
        let forming = self.core.forming();
        if forming.poisoned || forming.closing || shared.has_failed() {
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
    pub fn forming(&self) -> MutexGuard<'_, Forming> {
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
        if forming.poisoned || forming.closing || shared.has_failed() {
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
            // It is to be sealed in time, whoever flushes: a helper that sleeps does not
            // know yet when that is.
            self.wake_helper(&mut forming);
        }
        forming.push(site, keys, encode)?;
        let ticket = Ticket { group: forming.group.state.clone(), slot: None };
        let whole = |batch: &OpenBatch| batch.rows >= shared.batch_rows || batch.bytes >= MAX_BATCH_BYTES;
        if forming.next.batch.as_ref().is_some_and(whole) {
            forming.seal();
        }
        if forming.group.due || forming.group.hits.len() >= MOST_GATHERED {
            self.ask(&mut forming);
        }
        Ok(ticket)
    }

    fn ask(&self, forming: &mut Forming) {
        forming.asked = true;
        self.wake_helper(forming);
    }

    fn wake_helper(&self, forming: &mut Forming) {
        if forming.idle {
            forming.idle = false;
            self.wake.notify_one();
        }
    }

    /// Asks the helper to seal the open batch now.
    pub fn seal_now(&self) {
        let mut forming = self.forming();
        if let Some(batch) = &mut forming.next.batch {
            batch.deadline = Instant::now();
            self.wake_helper(&mut forming);
        }
    }

    /// Asks the helper to seal the open batch and to begin another segment.
    pub fn close_segment(&self) {
        let mut forming = self.forming();
        forming.rolling = true;
        self.wake_helper(&mut forming);
    }

    /// Notes in the log how far a batch has come. Rides with the next group: the
    /// checkpoint is what counts, this is for a reader who has lost it.
    pub fn note(&self, kind: Kind, id: u64, flags: u8) {
        let mut forming = self.forming();
        if !forming.poisoned && !forming.closing && forming.full_until.is_none() {
            let lsn = forming.next.take_lsn();
            record::append_note(&mut forming.group.buffer, kind, flags, lsn, id);
            if forming.group.buffer.len() >= MAX_IDLE_NOTES_BYTES {
                forming.group.due = true;
                self.ask(&mut forming);
            }
        }
    }
}

impl Core {
    /// Sleeps until there is something to write, sealing the open batch when its
    /// time has come: hits that were gathered and never flushed wait no longer.
    pub fn wait(&self) -> MutexGuard<'_, Forming> {
        let mut forming = self.forming();
        loop {
            let now = Instant::now();
            let full = forming.full_until.filter(|until| now < *until);
            if full.is_none() {
                forming.full_until = None;
                let is_due = |batch: &OpenBatch| forming.rolling || now >= batch.deadline;
                if forming.next.batch.as_ref().is_some_and(is_due) {
                    forming.seal();
                }
            }
            // An acknowledgement alone is not worth a sync: it rides along.
            let is_asked = forming.asked && !forming.group.hits.is_empty();
            if is_asked || forming.group.due || forming.closing || (forming.rolling && full.is_none()) {
                forming.asked = false;
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
    pub fn seal(&mut self) {
        if let Some(batch) = self.next.batch.take() {
            let lsn = self.next.take_lsn();
            let blank = BatchSeal {
                id: batch.id,
                first_lsn: 0,
                last_lsn: 0,
                rows: 0,
                content: [0; 32],
                token: [0; 16],
            };
            blank.append(lsn, &mut self.group.buffer);
            self.group.due = true;
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

// === impl Group ===

impl Group {
    /// Makes it ready for reuse, keeping its buffers. Its state belongs to its waiters
    /// until the last of them has seen it: it is `retired`, and an earlier one taken.
    pub fn clear(&mut self, retired: &mut VecDeque<Arc<GroupState>>) {
        self.buffer.clear();
        let is_free =
            retired.front_mut().is_some_and(|state| Arc::get_mut(state).is_some_and(GroupState::reset));
        let next = if is_free { retired.pop_front() } else { None };
        let last = std::mem::replace(&mut self.state, next.unwrap_or_default());
        if retired.len() < RETIRED {
            retired.push_back(last);
        }
        self.sites.clear();
        self.hits.clear();
        self.keys.clear();
        self.due = false;
    }
}

// === impl GroupState ===

impl GroupState {
    /// Makes it as new, keeping its room.
    fn reset(&mut self) -> bool {
        *self.state.get_mut() = PENDING;
        self.wakers.get_mut().map(Vec::clear).is_ok()
    }

    /// Ends the group and wakes one waiter, who wakes the others when it comes to
    /// its ticket, or drops it ([`GroupState::pass_on`]): from their own thread that
    /// costs no system call each.
    pub fn complete(&self, state: u8) {
        let mut wakers = locked(&self.wakers);
        self.state.store(state, Ordering::Release);
        let first = wakers.iter_mut().find_map(Option::take);
        drop(wakers);
        if let Some(waker) = first {
            waker.wake();
        }
    }

    /// Wakes all who still wait.
    pub fn pass_on(&self) {
        let mut woken = std::mem::take(&mut *locked(&self.wakers));
        for waker in woken.drain(..).flatten() {
            waker.wake();
        }
        // Nobody waits for a group that has ended; its room is used again.
        *locked(&self.wakers) = woken;
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
        let group = self.group.clone();
        if group.outcome().is_none() {
            let mut wakers = locked(&group.wakers);
            if group.outcome().is_none() {
                match self.slot {
                    Some(slot) => wakers[slot] = Some(context.waker().clone()),
                    None => {
                        self.slot = Some(wakers.len());
                        wakers.push(Some(context.waker().clone()));
                    }
                }
                return Poll::Pending;
            }
        }
        if self.slot.take().is_some() {
            group.pass_on();
        }
        Poll::Ready(group.outcome().unwrap_or(Err(Reason::Unavailable)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        // Nobody waits here any more; and if this one was chosen to wake the others,
        // it does so now.
        if let Some(waker) = locked(&self.group.wakers).get_mut(slot) {
            *waker = None;
        }
        if self.group.outcome().is_some() {
            self.group.pass_on();
        }
    }
}

const _: () = assert!(COLUMNS_VERSION > 0, "0 marks a segment that was never written");
