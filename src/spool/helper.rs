//! The helper thread of one spool: takes the group that has formed, stamps,
//! writes and syncs it; then counts its hits, publishes the batches that it
//! sealed, and wakes who waits.
//!
//! It alone knows the content of the open batch, so the seal records, which the
//! hit thread appends blank, are filled in here.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::FULL_RETRY;
use super::keeper::Job;
use super::log::{Log, LogError};
use super::record::{self, BatchOpen, GROUP_START, Kind, RECORD_HEADER_BYTES, padded, stamp, u32_at, u64_at};
use super::shared::{BatchMeta, Held, token};
use super::writer::{Core, DURABLE, FULL, Group, GroupState, Next, UNAVAILABLE};
use crate::reject::Reason;

/// The helper thread.
pub(super) struct Helper {
    core: Arc<Core>,
    log: Log,
    building: Option<Building>,
    /// Payloads of the group in hand that are to be hashed: in one piece, since
    /// several thousand bytes are hashed at once.
    payloads: Vec<u8>,
    /// See [`Group::clear`].
    retired: VecDeque<Arc<GroupState>>,
    /// The batch before the last group, whose room is used again.
    spare: Option<Building>,
    /// The state before the group in hand, for when the disk has no room for it.
    before: Next,
}

/// The open batch as far as it has been written.
struct Building {
    meta: BatchMeta,
    hasher: blake3::Hasher,
}

// === impl Helper ===

impl Helper {
    pub fn new(core: Arc<Core>, log: Log, next: Next) -> Helper {
        Helper {
            core,
            log,
            building: None,
            payloads: Vec::new(),
            retired: VecDeque::new(),
            spare: None,
            before: next,
        }
    }

    pub fn run(mut self) {
        let mut empty = Group::default();
        loop {
            let core = self.core.clone();
            let mut forming = core.wait();
            if forming.closing {
                forming.seal();
            }
            let rolling = std::mem::take(&mut forming.rolling);
            if forming.group.buffer.is_empty() {
                if forming.closing {
                    return;
                }
                let first_lsn = forming.next.lsn;
                drop(forming);
                if rolling && !self.close_segment(first_lsn) {
                    return;
                }
                continue;
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
            group.clear(&mut self.retired);
            empty = group;
            if rolling && !self.close_segment(self.before.lsn) {
                return;
            }
        }
    }

    /// Begins another segment, in which `first_lsn` will be the first. Says whether
    /// to go on. Without room for one the old segment stays, and whoever asked waits.
    fn close_segment(&mut self, first_lsn: u64) -> bool {
        match self.log.close_segment(first_lsn) {
            Ok(()) => true,
            Err(LogError::NoSpace) => {
                tracing::warn!("a segment of the spool cannot be closed: there is no room for the next");
                true
            }
            Err(LogError::Fatal(why)) => {
                self.poison(&mut Group::default(), why);
                false
            }
        }
    }

    /// Stamps, writes and syncs a group; then counts, publishes and wakes.
    fn commit(&mut self, group: &mut Group) -> Result<(), LogError> {
        if self.core.shared.has_failed() {
            return Err(LogError::Fatal("another spool's disk failed".to_owned()));
        }
        let first_lsn = u64_at(&group.buffer, 8);
        self.log.make_room(group.buffer.len() as u64, first_lsn, group.hits.is_empty())?;
        let current = self.log.current.as_ref().expect("there is room in it");
        let (segment, offset, seed) = (current.number, current.offset, current.seed);
        let (building, sealed) = self.stamp_all(group, segment, offset, seed);
        self.log.write(&group.buffer)?;

        // From here on the group is durable.
        self.core.shared.disk_full.store(false, Ordering::Relaxed);
        self.spare = std::mem::replace(&mut self.building, building);
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
        &mut self,
        group: &mut Group,
        segment: u64,
        base: u64,
        seed: u32,
    ) -> (Option<Building>, Vec<BatchMeta>) {
        let mut building = Building::copied(&self.building, self.spare.take());
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
                self.payloads.extend_from_slice(&record[body][keys..]);
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
                let mut batch = building.take().expect("a batch is open");
                batch.hash(&mut self.payloads);
                let mut meta = batch.finish();
                meta.token =
                    token(&self.core.shared.node, meta.id, meta.first_lsn, meta.last_lsn, &meta.content);
                record[body].copy_from_slice(&meta.seal().encode());
                sealed.push(meta);
            }
            stamp(record, seed);
            at += total;
        }
        if let Some(batch) = &mut building {
            batch.hash(&mut self.payloads);
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
            state.batches.insert(meta.number(), Held::fresh(meta));
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
        core.shared.disk_full.store(true, Ordering::Relaxed);
        let _ = core.shared.keeper.send(Job::Tidy);
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

// === impl Building ===

impl Building {
    pub(super) fn new(open: &BatchOpen, lsn: u64) -> Building {
        Building { meta: BatchMeta::opened(open, lsn), hasher: blake3::Hasher::new() }
    }

    /// A copy, in the room of `spare`.
    fn copied(of: &Option<Building>, spare: Option<Building>) -> Option<Building> {
        let of = of.as_ref()?;
        let (mut extents, mut sites) =
            spare.map(|spare| (spare.meta.extents, spare.meta.sites)).unwrap_or_default();
        extents.clone_from(&of.meta.extents);
        sites.clone_from(&of.meta.sites);
        let meta = BatchMeta { extents, sites, dead_letter: of.meta.dead_letter.clone(), ..of.meta };
        Some(Building { meta, hasher: of.hasher.clone() })
    }

    fn hash(&mut self, payloads: &mut Vec<u8>) {
        self.hasher.update(payloads);
        payloads.clear();
    }

    fn finish(self) -> BatchMeta {
        BatchMeta { content: *self.hasher.finalize().as_bytes(), ..self.meta }
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
