//! The keeper thread: work on segments that nobody waits for. It makes spare
//! segments before they are needed, and releases those whose batches are all
//! done with: journal keys to the side file, out of the way, zeros over the
//! contents, ready to be used again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak, mpsc};

use super::disk::{datasync, write_zeros};
use super::log::make_spare;
use super::record::{BatchOpen, Kind};
use super::scan::{Found, read_header, scan};
use super::shared::{Segment, Shared, Spare, locked, segment_name};

/// What the keeper is asked for.
pub(super) enum Job {
    /// A spool's segment is half full.
    Spare(u16),
    /// A checkpoint with these floors is durable.
    Release(BTreeMap<u16, u32>),
    /// The disk is full: what is only kept for safety is to go now.
    Tidy,
}

/// Starts the thread; it ends with the spool.
pub(super) fn start(shared: &Arc<Shared>, jobs: mpsc::Receiver<Job>) -> io::Result<()> {
    let shared = Arc::downgrade(shared);
    std::thread::Builder::new().name("spool-keeper".to_owned()).spawn(move || run(&shared, &jobs)).map(|_| ())
}

fn run(shared: &Weak<Shared>, jobs: &mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let Some(shared) = shared.upgrade() else { return };
        match job {
            Job::Spare(spool) => spare(&shared, spool),
            Job::Release(floors) => release(&shared, &floors),
            Job::Tidy => {
                if let Err(error) = shared.settle_floors() {
                    tracing::warn!(%error, "no checkpoint could be written on a full disk");
                }
            }
        }
    }
}

fn spare(shared: &Shared, spool: u16) {
    if locked(&shared.book(spool).spare).is_some() {
        return;
    }
    match make_spare(shared, spool, shared.segment_bytes) {
        Ok(spare) => *locked(&shared.book(spool).spare) = Some(spare),
        // The writer tries again when it needs one, and tells.
        Err(error) => tracing::warn!(%error, "no spare segment could be made"),
    }
}

/// Releases every segment that the floors make superfluous.
pub(super) fn release(shared: &Shared, floors: &BTreeMap<u16, u32>) {
    if shared.holds.load(Relaxed) > 0 {
        // Whoever holds it has the floors written again at the end.
        return;
    }
    for (spool, floor) in floors {
        loop {
            if shared.holds.load(Relaxed) > 0 {
                return;
            }
            let state = shared.book(*spool).state();
            let found = state
                .segments
                .iter()
                .find(|(number, segment)| state.current != Some(**number) && segment.last_batch < *floor)
                .map(|(number, segment)| (*number, segment.path.clone(), segment.has_keys));
            drop(state);
            let Some((number, path, has_keys)) = found else { break };
            let old = path.with_extension("old");
            let moved = (if has_keys { save_keys(shared, &path) } else { Ok(()) })
                .and_then(|()| shared.disk.rename(&path, &old))
                .and_then(|()| shared.disk.sync_dir(&shared.spool_dir(*spool)));
            if let Err(error) = moved {
                tracing::warn!(segment = segment_name(number), %error, "a segment could not be released");
                break;
            }
            if let Some(segment) = shared.book(*spool).state().segments.remove(&number) {
                shared.used.fetch_sub(segment.used, Relaxed);
                if let Err(error) = recycle(shared, *spool, &segment) {
                    tracing::warn!(segment = segment_name(number), %error, "a segment could not be recycled");
                    let _ = shared.disk.remove(&old);
                }
            }
        }
    }
    shared.keep_reserve();
}

/// Overwrites a released segment with zeros and keeps it, if a spare is wanted
/// and its length is the usual one.
fn recycle(shared: &Shared, spool: u16, segment: &Segment) -> io::Result<()> {
    let disk = &*shared.disk;
    let old = segment.path.with_extension("old");
    let file = disk.open(&old)?;
    let length = file.metadata()?.len();
    if length != shared.segment_bytes || locked(&shared.book(spool).spare).is_some() {
        return disk.remove(&old);
    }
    write_zeros(disk, &file, 0, length)?;
    datasync(disk, &file)?;
    let path = segment.path.with_extension("spare");
    disk.rename(&old, &path)?;
    let mut slot = locked(&shared.book(spool).spare);
    match *slot {
        Some(_) => disk.remove(&path),
        None => {
            *slot = Some(Spare { file, path, length });
            Ok(())
        }
    }
}

/// Carries a segment's journal keys over to the side file.
fn save_keys(shared: &Shared, path: &std::path::Path) -> io::Result<()> {
    let file = File::open(path)?;
    let Ok(header) = read_header(&file)? else { return Ok(()) };
    let mut keys = Vec::new();
    let mut time = header.created_ms;
    scan(&file, &header, |found| {
        if let Found::Record { record, .. } = found {
            match record.kind {
                Some(Kind::BatchOpen) => {
                    time = BatchOpen::decode(record.body).map_or(time, |open| open.opened_ms)
                }
                Some(Kind::Hit) => keys.extend(record.keys().map(|key| (key, time))),
                _ => {}
            }
        }
    })?;
    shared.seen.save(&*shared.disk, &keys)
}
