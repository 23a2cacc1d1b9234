//! Reading a spool from outside: `metka spool stat` and `metka spool verify`.
//!
//! Nothing is changed, no lock is taken; beside a running server the numbers are
//! those of a moment, and the group that is being written may look like a torn
//! tail.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::checkpoint::{Checkpoint, Mark, Read};
use super::letter::{self, DEAD_LETTERS, letter_files};
use super::shared::spool_name;
use super::walk::{Damage, spool_dirs, walk};
use super::{DeadLetter, SpoolError, record};
use crate::count::{Counters, SiteCounts};

/// What a spool holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SpoolStat {
    pub format: u16,
    pub spools: BTreeMap<String, OneSpool>,
    /// Rows that wait for storage, per site.
    pub waiting: BTreeMap<String, u64>,
    /// The counts with which a server would start here.
    pub sites: BTreeMap<String, SiteCounts>,
    pub dead_letters: u64,
    pub dead_rows: u64,
    pub dead: Vec<DeadLetter>,
    /// Files kept aside because they are damaged.
    pub quarantined: u64,
}

/// One spool's contents.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OneSpool {
    pub segments: u64,
    pub bytes: u64,
    pub first_lsn: u64,
    pub next_lsn: u64,
    pub waiting_batches: u64,
    pub waiting_rows: u64,
    /// Batches that storage has acknowledged and that are kept for a while.
    pub kept_batches: u64,
    /// When the oldest waiting batch was opened, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// Whether everything can be read back.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// No damage. A torn tail is none: nobody was told that it was kept.
    pub ok: bool,
    pub stat: SpoolStat,
    /// Per spool, and as `dead` for the dead letters, what could not be read back.
    pub damage: BTreeMap<String, Vec<Damage>>,
    /// Rows that are missing from waiting batches and dead letters, as far as what is left
    /// tells of them.
    pub lost_rows: u64,
    pub torn_bytes: u64,
    pub checkpoint: &'static str,
}

/// What the spool in `dir` holds.
pub fn stat(dir: &Path) -> Result<SpoolStat, SpoolError> {
    verify(dir).map(|verdict| verdict.stat)
}

/// Reads every record of the spool in `dir`.
pub fn verify(dir: &Path) -> Result<Verdict, SpoolError> {
    let path = dir.join("checkpoint");
    let (checkpoint, state) = match Checkpoint::read(&path).map_err(SpoolError::io("read", &path))? {
        Read::Good(checkpoint) => (checkpoint, "good"),
        Read::Absent => (Checkpoint::default(), "absent"),
        Read::Damaged => (Checkpoint::default(), "damaged"),
        Read::Newer(found) => {
            return Err(SpoolError::Version { path, found, known: super::checkpoint::VERSION });
        }
    };
    let mut verdict = Verdict { checkpoint: state, ..Verdict::default() };
    verdict.stat.format = record::FORMAT_VERSION;
    // Counters of our own: the walk names sites through them.
    let counters = Counters::new([]);
    for spool in spool_dirs(dir)? {
        let walked = walk(&dir.join(spool_name(spool)), &counters, |_, _| {})?;
        let mark = checkpoint.spools.get(&spool).cloned().unwrap_or_default();
        let done = |number: u32, mark: &Mark| {
            number < mark.floor
                || mark.acknowledged.contains(&number)
                || mark.dead.contains(&number)
                || (state == "damaged" && walked.noted.contains_key(&number))
        };
        let mut one = OneSpool {
            segments: walked.segments.len() as u64,
            bytes: walked.segments.iter().map(|segment| segment.end.offset).sum(),
            first_lsn: walked.segments.first().map_or(0, |segment| segment.header.first_lsn),
            next_lsn: walked.segments.last().map_or(0, |segment| segment.end.next_lsn),
            ..OneSpool::default()
        };
        one.kept_batches = mark.acknowledged.len() as u64;
        for meta in walked.batches.iter().filter(|meta| meta.rows > 0 && !done(meta.number(), &mark)) {
            one.waiting_batches += 1;
            one.waiting_rows += u64::from(meta.rows);
            one.oldest_ms = [one.oldest_ms, Some(meta.opened_ms)].into_iter().flatten().min();
            for (site, rows) in &meta.sites {
                *verdict.stat.waiting.entry(site.site().to_owned()).or_default() += u64::from(*rows);
            }
        }
        let missing = walked.missing.iter().filter(|(number, _)| !done(**number, &mark));
        verdict.lost_rows += missing.map(|(_, rows)| rows).sum::<u64>();
        verdict.torn_bytes += walked.torn_bytes;
        let damage: Vec<Damage> = walked.damage.into_iter().map(|(_, damage)| damage).collect();
        if !damage.is_empty() {
            verdict.damage.insert(spool_name(spool), damage);
        }
        verdict.stat.spools.insert(spool_name(spool), one);
    }
    for (site, totals) in &checkpoint.sites {
        let counts = verdict.stat.sites.entry(site.clone()).or_default();
        counts.stored = totals.stored;
        counts.refused.clone_from(&totals.refused);
    }
    for (site, rows) in &verdict.stat.waiting {
        verdict.stat.sites.entry(site.clone()).or_default().waiting += rows;
    }
    for (id, path) in letter_files(dir)? {
        let read = letter::Read::of(&path, &counters, |_| {})?;
        let Some(listed) = read.listed(id) else { continue };
        if !read.damage().is_empty() {
            verdict.damage.entry(DEAD_LETTERS.to_owned()).or_default().extend_from_slice(read.damage());
        }
        // Of a letter that was replayed storage has the rows.
        if !checkpoint.replayed.contains(&id) {
            verdict.stat.dead_letters += 1;
            verdict.stat.dead_rows += listed.rows;
            verdict.lost_rows += listed.lost_rows;
            if let letter::Read::Letter(letter) = &read {
                for (site, rows) in letter.sites() {
                    verdict.stat.sites.entry(site.to_owned()).or_default().waiting += rows;
                }
            }
        }
        verdict.stat.dead.push(listed);
    }
    for counts in verdict.stat.sites.values_mut() {
        counts.received = counts.stored + counts.waiting + counts.refused.values().sum::<u64>();
    }
    verdict.stat.quarantined = files(&dir.join("quarantine")).len() as u64;
    verdict.ok = verdict.damage.is_empty() && verdict.lost_rows == 0 && state != "damaged";
    Ok(verdict)
}

/// The dead letters below a spool's directory, oldest id first.
pub(super) fn dead_letters(dir: &Path, counters: &Counters) -> Result<Vec<DeadLetter>, SpoolError> {
    let mut found = Vec::new();
    for (id, path) in letter_files(dir)? {
        found.extend(letter::Read::of(&path, counters, |_| {})?.listed(id));
    }
    Ok(found)
}

/// The files of a directory; none if it is not there.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
