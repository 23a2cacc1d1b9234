//! The two small files beside the segments: `node`, who this spool is, and
//! `checkpoint`, what storage has acknowledged.
//!
//! Both are lines of text, a version first and the CRC32C of all before it last,
//! replaced as a whole (temporary file, fdatasync, rename, fsync of the
//! directory). The checkpoint is always durable before a segment that it speaks
//! of is released.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::disk::{Disk, replace};
use super::{MAX_SPOOLS, SpoolError};

/// A checkpoint or node file is never longer: 256 sites with every reason, and
/// 256 spools, are less than half of it.
const MAX_FILE_BYTES: u64 = 1 << 20;

const CHECKPOINT_HEAD: &str = "metka checkpoint 1";
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
    pub sites: BTreeMap<String, SiteTotals>,
}

/// One spool's position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// All batches with a lower number are done with.
    pub floor: u32,
    /// Batches at or above the floor that are done with too.
    pub acked: Vec<u32>,
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
        read(path, CHECKPOINT_HEAD, |lines| {
            let mut checkpoint = Checkpoint::default();
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                match words[..] {
                    ["spool", spool, floor, next_batch, next_segment, next_lsn, ref acked @ ..] => {
                        let spool: u16 =
                            spool.parse().ok().filter(|spool| usize::from(*spool) < MAX_SPOOLS)?;
                        let mark = Mark {
                            floor: floor.parse().ok()?,
                            next_batch: next_batch.parse().ok()?,
                            next_segment: next_segment.parse().ok()?,
                            next_lsn: next_lsn.parse().ok()?,
                            acked: acked.iter().map(|word| word.parse().ok()).collect::<Option<_>>()?,
                        };
                        checkpoint.spools.insert(spool, mark);
                    }
                    ["stored", site, hits] => {
                        checkpoint.sites.entry(site.to_owned()).or_default().stored = hits.parse().ok()?;
                    }
                    ["refused", site, reason, hits] => {
                        let totals = checkpoint.sites.entry(site.to_owned()).or_default();
                        totals.refused.insert(reason.to_owned(), hits.parse().ok()?);
                    }
                    _ => return None,
                }
            }
            Some(checkpoint)
        })
    }

    pub fn write(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let mut text = format!("{CHECKPOINT_HEAD}\n");
        for (spool, mark) in &self.spools {
            let _ = write!(
                text,
                "spool {spool} {} {} {} {}",
                mark.floor, mark.next_batch, mark.next_segment, mark.next_lsn
            );
            for number in &mark.acked {
                let _ = write!(text, " {number}");
            }
            text.push('\n');
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
        if lines.next() != Some(head) {
            return None;
        }
        parse(&mut lines)
    })();
    Ok(parsed.map_or(Read::Damaged, Read::Good))
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
        checkpoint.spools.insert(
            3,
            Mark { floor: 7, acked: vec![9, 11], next_batch: 12, next_segment: 4, next_lsn: 1 << 40 },
        );
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

        let path = dir.path().join("node");
        let node = Node::random().expect("random bytes");
        node.write(&RealDisk, &path).expect("the node is written");
        assert!(matches!(Node::read(&path), Ok(Read::Good(read)) if read == node));
    }
}
