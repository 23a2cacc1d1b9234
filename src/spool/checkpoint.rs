//! The two small files beside the segments: `node`, who this spool is, and
//! `checkpoint`, what storage has acknowledged.
//!
//! Both are lines of text, a version first and the CRC32C of all before it last,
//! replaced as a whole (temporary file, fdatasync, rename, fsync of the
//! directory). The checkpoint is always durable before a segment that it speaks
//! of is released.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::disk::{Disk, replace};
use super::{MAX_SPOOLS, SpoolError};

/// A checkpoint or node file is never longer: 256 sites with every reason, and
/// 256 spools with some hundred ranges each, are less than half of it.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// A range of more numbers is none of ours: a spool of the largest size has fewer
/// batches.
const MAX_RANGE: u32 = 1 << 24;

/// The version of the checkpoint that this code writes.
pub(super) const VERSION: u16 = 2;
const CHECKPOINT_HEAD: &str = "metka checkpoint 2";
/// Written up to version 0.1: the numbers that are done with stood on the line of
/// their spool.
const CHECKPOINT_HEAD_1: &str = "metka checkpoint 1";
const NODE_HEAD: &str = "metka node 1";

/// Who this spool is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// 24 random bits, the upper part of every batch id.
    pub id: u32,
    /// What tokens are keyed with.
    pub secret: [u8; 32],
}

/// What is known to be in storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub spools: BTreeMap<u16, Mark>,
    /// Dead letters whose rows are in storage by now; their files are to go.
    pub replayed: BTreeSet<u64>,
    pub sites: BTreeMap<String, SiteTotals>,
}

/// One spool's position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// All batches with a lower number are done with.
    pub floor: u32,
    /// Batches at or above the floor of which storage has said that it has them.
    /// That they were counted since is not kept: a restart counts them again.
    pub acknowledged: BTreeSet<u32>,
    /// Batches at or above the floor that went to the dead letters.
    pub dead: BTreeSet<u32>,
    /// No batch with this number or a higher one was open at the checkpoint.
    pub next_batch: u32,
    pub next_segment: u64,
    pub next_lsn: u64,
}

/// A site's counts over the life of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SiteTotals {
    pub stored: u64,
    pub refused: BTreeMap<String, u64>,
}

/// What reading one of these files gave.
pub(super) enum Read<T> {
    Absent,
    Damaged,
    /// Whole, and of a version that this program does not know.
    Newer(u16),
    Good(T),
}

// === impl Node ===

impl Node {
    pub fn random() -> Result<Node, SpoolError> {
        let mut bytes = [0; 36];
        getrandom::fill(&mut bytes).map_err(|_| SpoolError::Random)?;
        let mut secret = [0; 32];
        secret.copy_from_slice(&bytes[4..]);
        Ok(Node { id: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]), secret })
    }

    pub fn read(path: &Path) -> io::Result<Read<Node>> {
        read(path, NODE_HEAD, |lines| {
            let (mut id, mut secret) = (None, None);
            for line in lines {
                match line.split_once(' ')? {
                    ("id", value) => id = u32::from_str_radix(value, 16).ok().filter(|id| *id < 1 << 24),
                    ("secret", value) => secret = unhex(value),
                    _ => return None,
                }
            }
            Some(Node { id: id?, secret: secret? })
        })
    }

    pub fn write(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let text = format!("{NODE_HEAD}\nid {:06x}\nsecret {}\n", self.id, hex(&self.secret));
        replace(disk, path, sealed(text).as_bytes())
    }
}

// === impl Checkpoint ===

impl Checkpoint {
    pub fn read(path: &Path) -> io::Result<Read<Checkpoint>> {
        match read(path, CHECKPOINT_HEAD, Checkpoint::parse)? {
            Read::Damaged => read(path, CHECKPOINT_HEAD_1, Checkpoint::parse_1),
            found => Ok(found),
        }
    }

    fn parse(lines: &mut dyn Iterator<Item = &str>) -> Option<Checkpoint> {
        let mut checkpoint = Checkpoint::default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["spool", spool, floor, next_batch, next_segment, next_lsn] => {
                    let mark = checkpoint.spools.entry(spool_number(spool)?).or_default();
                    mark.set(floor, next_batch, next_segment, next_lsn)?;
                }
                [list @ ("acknowledged" | "dead"), spool, ref numbers @ ..] => {
                    let mark = checkpoint.spools.get_mut(&spool_number(spool)?)?;
                    let list = if list == "dead" { &mut mark.dead } else { &mut mark.acknowledged };
                    for range in numbers {
                        let (first, last) = range.split_once('-').unwrap_or((range, range));
                        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
                        if last.checked_sub(first)? > MAX_RANGE {
                            return None;
                        }
                        list.extend(first..=last);
                    }
                }
                ["replayed", id] => {
                    checkpoint.replayed.insert(u64::from_str_radix(id, 16).ok()?);
                }
                _ => checkpoint.site_line(&words)?,
            }
        }
        Some(checkpoint)
    }

    /// A checkpoint of version 1.
    fn parse_1(lines: &mut dyn Iterator<Item = &str>) -> Option<Checkpoint> {
        let mut checkpoint = Checkpoint::default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["spool", spool, floor, next_batch, next_segment, next_lsn, ref acknowledged @ ..] => {
                    let mark = checkpoint.spools.entry(spool_number(spool)?).or_default();
                    mark.set(floor, next_batch, next_segment, next_lsn)?;
                    mark.acknowledged =
                        acknowledged.iter().map(|word| word.parse().ok()).collect::<Option<_>>()?;
                }
                _ => checkpoint.site_line(&words)?,
            }
        }
        Some(checkpoint)
    }

    fn site_line(&mut self, words: &[&str]) -> Option<()> {
        match *words {
            ["stored", site, hits] => {
                self.sites.entry(site.to_owned()).or_default().stored = hits.parse().ok()?;
            }
            ["refused", site, reason, hits] => {
                let totals = self.sites.entry(site.to_owned()).or_default();
                totals.refused.insert(reason.to_owned(), hits.parse().ok()?);
            }
            _ => return None,
        }
        Some(())
    }

    pub fn write(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let mut text = format!("{CHECKPOINT_HEAD}\n");
        for (spool, mark) in &self.spools {
            let _ = writeln!(
                text,
                "spool {spool} {} {} {} {}",
                mark.floor, mark.next_batch, mark.next_segment, mark.next_lsn
            );
            for (name, list) in [("acknowledged", &mark.acknowledged), ("dead", &mark.dead)] {
                if !list.is_empty() {
                    let _ = writeln!(text, "{name} {spool}{}", ranges(list));
                }
            }
        }
        for id in &self.replayed {
            let _ = writeln!(text, "replayed {id:016x}");
        }
        for (site, totals) in &self.sites {
            let _ = writeln!(text, "stored {site} {}", totals.stored);
            for (reason, hits) in &totals.refused {
                let _ = writeln!(text, "refused {site} {reason} {hits}");
            }
        }
        replace(disk, path, sealed(text).as_bytes())
    }
}

// === impl Mark ===

impl Mark {
    fn set(&mut self, floor: &str, next_batch: &str, next_segment: &str, next_lsn: &str) -> Option<()> {
        self.floor = floor.parse().ok()?;
        self.next_batch = next_batch.parse().ok()?;
        self.next_segment = next_segment.parse().ok()?;
        self.next_lsn = next_lsn.parse().ok()?;
        Some(())
    }
}

fn spool_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|spool| usize::from(*spool) < MAX_SPOOLS)
}

/// ` 3-5 9`: runs of numbers as ranges.
fn ranges(numbers: &BTreeSet<u32>) -> String {
    let mut text = String::new();
    let mut numbers = numbers.iter().copied().peekable();
    while let Some(first) = numbers.next() {
        let mut last = first;
        while let Some(next) = numbers.next_if(|next| last.checked_add(1) == Some(*next)) {
            last = next;
        }
        let _ = if first == last { write!(text, " {first}") } else { write!(text, " {first}-{last}") };
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(out)
}

/// The text with the checksum of all before it as its last line.
fn sealed(mut text: String) -> String {
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc32c {crc:08x}");
    text
}

fn read<T>(
    path: &Path,
    head: &str,
    parse: impl FnOnce(&mut dyn Iterator<Item = &str>) -> Option<T>,
) -> io::Result<Read<T>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => return Ok(Read::Damaged),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Absent),
        Err(error) => return Err(error),
    }
    let bytes = std::fs::read(path)?;
    let parsed = (|| {
        let text = std::str::from_utf8(&bytes).ok()?.strip_suffix('\n')?;
        let (body, crc) = text.rsplit_once('\n')?;
        let body_bytes = &bytes[..body.len() + 1];
        let crc = u32::from_str_radix(crc.strip_prefix("crc32c ")?, 16).ok()?;
        if crc32c::crc32c(body_bytes) != crc {
            return None;
        }
        let mut lines = body.split('\n');
        let found = lines.next()?;
        if found != head {
            let version = |line: &str| line.rsplit_once(' ')?.1.parse::<u16>().ok();
            return Some(Read::Newer(version(found).filter(|found| Some(*found) > version(head))?));
        }
        parse(&mut lines).map(Read::Good)
    })();
    Ok(parsed.unwrap_or(Read::Damaged))
}

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
    use super::*;

    #[test]
    fn both_files_read_back_as_written_and_every_changed_byte_is_noticed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("checkpoint");
        assert!(matches!(Checkpoint::read(&path), Ok(Read::Absent)));
        let mut checkpoint = Checkpoint::default();
        checkpoint.replayed.insert(0xabc);
        let mark = Mark {
            floor: 7,
            acknowledged: BTreeSet::from([9, 11, 12, 13]),
            dead: BTreeSet::from([u32::MAX]),
            next_batch: 14,
            next_segment: 4,
            next_lsn: 1 << 40,
        };
        assert_eq!(ranges(&mark.acknowledged), " 9 11-13");
        checkpoint.spools.insert(3, mark);
        let refused = BTreeMap::from([("foreign-host".to_owned(), 2)]);
        checkpoint.sites.insert("clinic".to_owned(), SiteTotals { stored: 5, refused });
        checkpoint.write(&RealDisk, &path).expect("the checkpoint is written");
        assert!(matches!(Checkpoint::read(&path), Ok(Read::Good(read)) if read == checkpoint));

        let bytes = std::fs::read(&path).expect("the file is there");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            std::fs::write(&path, &changed).expect("the file is written");
            assert!(matches!(Checkpoint::read(&path), Ok(Read::Damaged)), "byte {at}");
        }

        let old = "metka checkpoint 1\nspool 3 7 14 4 99 9 11\nstored clinic 5\n".to_owned();
        std::fs::write(&path, sealed(old)).expect("the file is written");
        let Ok(Read::Good(read)) = Checkpoint::read(&path) else { panic!("version 1 is not read") };
        assert_eq!(read.spools[&3].acknowledged, BTreeSet::from([9, 11]));
        assert_eq!((read.spools[&3].floor, read.sites["clinic"].stored), (7, 5));

        let newer = "metka checkpoint 3\nwho knows\n".to_owned();
        std::fs::write(&path, sealed(newer)).expect("the file is written");
        assert!(matches!(Checkpoint::read(&path), Ok(Read::Newer(3))));

        let path = dir.path().join("node");
        let node = Node::random().expect("random bytes");
        node.write(&RealDisk, &path).expect("the node is written");
        assert!(matches!(Node::read(&path), Ok(Read::Good(read)) if read == node));
    }
}
