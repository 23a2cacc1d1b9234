//! Tombstones: whose rows must not be delivered any more.
//!
//! An erasure removes a person's rows from storage; the tombstone keeps late and
//! resent rows, and restored backups, from bringing the person back. In: a site,
//! a keyed hash and a time. Out: whether a row is covered. It applies to rows
//! received before its time only: the next request with the same cookie gets a
//! new one, and a person who comes back of their own will is counted again.
//!
//! Sums of refused hits hold no visitor: an erasure by an address has tombstones of its own
//! for them ([`RefusalTombstone`]), which a restore and each start apply to storage. They name
//! the address by a hash of what is stored of it, its ciphertext: whoever has no key of its
//! month cannot tell whose that was, and once that key is destroyed nobody can.
//!
//! The file `tombstones` is a segment of the spool's own format (`docs/spool.md`)
//! with one record of type 6 for each and their number in the header's place for
//! the segment's, replaced as a whole. It holds no cookie,
//! address or key, only the hashes that rows hold, and outlives the rows: a tombstone ends
//! when the spool and every backup are younger than it, one of a visitor also not before
//! the cookie has, with which the browser would be known again ([`Tombstones::forget`]). The
//! same goes for its copy beside the backups, which is merged into when somebody is erased.
//!
//! Limit: [`MAX_TOMBSTONES`], of each of the two.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use super::disk::{Disk, RealDisk, replace};
use super::record::{self, Kind, SegmentHeader, u64_at};
use super::scan::{Found, read_header, scan};
use super::shared::now_ms;
use super::{COLUMNS_VERSION, SpoolError};
use crate::store::row::Head;

/// The name of the file, in a spool and beside backups.
pub const FILE_NAME: &str = "tombstones";
/// About 100 MB in memory and 60 MB on the disk: far beyond what a clinic is
/// asked to erase, and small enough to be read at a start.
pub const MAX_TOMBSTONES: usize = 1 << 20;
/// The site ids of the configuration are no longer (`config::MAX_SITE_ID_BYTES`).
const MAX_SITE_BYTES: usize = 64;

/// Rows of one subject that are not to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    pub site: String,
    pub subject: Subject,
    /// Rows received before this are covered, in milliseconds since 1970.
    pub before_ms: i64,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
}

/// Who it is about: the keyed hash that rows hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A row's `visitor`, `minted` or `before`.
    Visitor(u64),
    /// A row's `user_key`.
    UserKey(u64),
}

/// What was refused to one stored address, and must not come back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalTombstone {
    pub site: String,
    /// As the table `refusals` is asked for it: a hash of ciphertext and key id.
    pub address: u64,
    /// Hours that this time touches are covered, in milliseconds since 1970.
    pub from_ms: i64,
    pub to_ms: i64,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
}

/// All that are in force.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    list: Vec<Tombstone>,
    refusals: BTreeSet<RefusalTombstone>,
    /// Where in the list each subject stands, by site.
    index: HashMap<String, HashMap<Subject, usize>>,
}

// === impl Tombstones ===

impl Tombstones {
    /// Reads a file of tombstones; none if it is not there. A damaged one is an
    /// error: to go on without it would bring people back.
    pub fn read(path: &Path) -> Result<Tombstones, SpoolError> {
        let mut all = Tombstones::default();
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            opened => opened.map_err(SpoolError::io("open", path))?,
        };
        let damaged = || SpoolError::Damaged(path.to_owned());
        let header = read_header(&file).map_err(SpoolError::io("read", path))?.map_err(|_| damaged())?;
        let mut whole = true;
        let end = scan(&file, &header, |found| match found {
            Found::Record { record, .. } if record.is(Kind::Tombstone) => match decode(record.body) {
                Some(Decoded::Rows(tombstone)) => {
                    all.add(tombstone);
                }
                Some(Decoded::Refusals(tombstone)) => {
                    all.add_refusals(tombstone);
                }
                None => whole = false,
            },
            _ => whole = false,
        })
        .map_err(SpoolError::io("read", path))?;
        let length = file.metadata().map_err(SpoolError::io("read", path))?.len();
        let complete = end.offset == length && all.len() as u64 == header.number;
        if whole && complete { Ok(all) } else { Err(damaged()) }
    }

    /// Replaces the file, durably.
    pub fn write(&self, path: &Path) -> Result<(), SpoolError> {
        self.write_with(&RealDisk, path)
    }

    pub(super) fn write_with(&self, disk: &dyn Disk, path: &Path) -> Result<(), SpoolError> {
        let mut generation = [0; 8];
        getrandom::fill(&mut generation).map_err(|_| SpoolError::Random)?;
        let header = SegmentHeader {
            columns_version: COLUMNS_VERSION,
            spool: 0,
            node: 0,
            generation: u64::from_le_bytes(generation),
            number: self.len() as u64,
            first_lsn: 1,
            created_ms: now_ms(),
            batch: 0,
        };
        let mut out = header.encode().to_vec();
        let mut lsn = 0;
        let mut put = |body: &dyn Fn(&mut Vec<u8>)| {
            lsn += 1;
            let start = record::begin(&mut out, Kind::Tombstone, record::GROUP_START, lsn);
            body(&mut out);
            record::finish(&mut out, start);
            record::stamp(&mut out[start..], header.seed());
        };
        self.list.iter().for_each(|tombstone| put(&|out| encode(tombstone, out)));
        self.refusals.iter().for_each(|tombstone| put(&|out| encode_refusals(tombstone, out)));
        replace(disk, path, &out).map_err(SpoolError::io("write", path))
    }

    /// Adds one; a later one about the same subject replaces an earlier one. Says
    /// whether anything changed.
    pub fn add(&mut self, tombstone: Tombstone) -> bool {
        let subjects = self.index.entry(tombstone.site.clone()).or_default();
        match subjects.get(&tombstone.subject) {
            Some(at) if self.list[*at].before_ms >= tombstone.before_ms => false,
            Some(at) => {
                self.list[*at] = tombstone;
                true
            }
            None => {
                subjects.insert(tombstone.subject, self.list.len());
                self.list.push(tombstone);
                true
            }
        }
    }

    pub fn add_refusals(&mut self, tombstone: RefusalTombstone) {
        self.refusals.insert(tombstone);
    }

    /// Adds all of others.
    pub fn merge(&mut self, other: &Tombstones) {
        for tombstone in &other.list {
            self.add(tombstone.clone());
        }
        self.refusals.extend(other.refusals.iter().cloned());
    }

    /// Those of rows.
    pub fn list(&self) -> &[Tombstone] {
        &self.list
    }

    /// Those of sums of refused hits.
    pub fn refusals(&self) -> impl Iterator<Item = &RefusalTombstone> {
        self.refusals.iter()
    }

    /// How many there are of both.
    pub fn len(&self) -> usize {
        self.list.len() + self.refusals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is one about this subject, whatever its time.
    pub fn is_of(&self, site: &str, subject: Subject) -> bool {
        self.index.get(site).is_some_and(|subjects| subjects.contains_key(&subject))
    }

    /// Drops those made before a time: nothing that they apply to exists any more,
    /// neither in the spool nor in a backup. Of visitors only what was made before
    /// `cookies_before_ms` as well: until then their cookie may come back.
    pub fn forget(&mut self, made_before_ms: i64, cookies_before_ms: i64) {
        let Tombstones { list, mut refusals, .. } = std::mem::take(self);
        for tombstone in list {
            let needed_until = match tombstone.subject {
                Subject::Visitor(_) => made_before_ms.min(cookies_before_ms),
                Subject::UserKey(_) => made_before_ms,
            };
            if tombstone.made_ms >= needed_until {
                self.add(tombstone);
            }
        }
        refusals.retain(|kept| kept.made_ms >= made_before_ms);
        self.refusals = refusals;
    }

    /// Whether a row must not be delivered.
    pub fn covers(&self, row: &Head<'_>) -> bool {
        let Some(subjects) = self.index.get(row.site) else { return false };
        Subject::of(row)
            .iter()
            .filter_map(|subject| subjects.get(subject))
            .any(|at| row.time < self.list[*at].before_ms)
    }
}

// === impl Subject ===

impl Subject {
    /// By whom a row is covered.
    pub(super) fn of(row: &Head<'_>) -> [Subject; 4] {
        let Head { visitor, minted, before, user_key, .. } = *row;
        let [visitor, minted, before] = [visitor, minted, before].map(Subject::Visitor);
        [visitor, minted, before, Subject::UserKey(user_key)]
    }
}

/// What a record is read as.
enum Decoded {
    Rows(Tombstone),
    Refusals(RefusalTombstone),
}

/// The subject of a record about sums of refused hits.
const OF_REFUSALS: u8 = 3;

/// `length u8 | site | subject u8 (1 visitor, 2 user key) | hash u64 | before i64 | made i64`
fn encode(tombstone: &Tombstone, out: &mut Vec<u8>) {
    encode_site(&tombstone.site, out);
    let (subject, hash) = match tombstone.subject {
        Subject::Visitor(hash) => (1, hash),
        Subject::UserKey(hash) => (2, hash),
    };
    out.push(subject);
    out.extend_from_slice(&hash.to_le_bytes());
    out.extend_from_slice(&tombstone.before_ms.to_le_bytes());
    out.extend_from_slice(&tombstone.made_ms.to_le_bytes());
}

/// `length u8 | site | 3 u8 | hash u64 | from i64 | to i64 | made i64`
fn encode_refusals(tombstone: &RefusalTombstone, out: &mut Vec<u8>) {
    let RefusalTombstone { site, address, from_ms, to_ms, made_ms } = tombstone;
    encode_site(site, out);
    out.push(OF_REFUSALS);
    out.extend_from_slice(&address.to_le_bytes());
    for time in [from_ms, to_ms, made_ms] {
        out.extend_from_slice(&time.to_le_bytes());
    }
}

fn encode_site(site: &str, out: &mut Vec<u8>) {
    let site = site.as_bytes();
    let site = &site[..site.len().min(MAX_SITE_BYTES)];
    out.push(site.len() as u8);
    out.extend_from_slice(site);
}

fn decode(body: &[u8]) -> Option<Decoded> {
    let (&length, rest) = body.split_first()?;
    let (site, rest) = rest.split_at_checked(usize::from(length))?;
    let site = std::str::from_utf8(site).ok()?.to_owned();
    let (&subject, rest) = rest.split_first()?;
    let (numbers, rest) = rest.split_first_chunk::<24>()?;
    let (hash, second, third) =
        (u64_at(numbers, 0), u64_at(numbers, 8).cast_signed(), u64_at(numbers, 16).cast_signed());
    let rows = |subject| {
        rest.is_empty().then_some(Decoded::Rows(Tombstone {
            site: site.clone(),
            subject,
            before_ms: second,
            made_ms: third,
        }))
    };
    match subject {
        1 => rows(Subject::Visitor(hash)),
        2 => rows(Subject::UserKey(hash)),
        OF_REFUSALS => Some(Decoded::Refusals(RefusalTombstone {
            made_ms: i64::from_le_bytes(rest.try_into().ok()?),
            address: hash,
            from_ms: second,
            to_ms: third,
            site,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(subject: Subject, before_ms: i64) -> Tombstone {
        Tombstone { site: "clinic".to_owned(), subject, before_ms, made_ms: before_ms }
    }

    fn row(visitor: u64, minted: u64, user_key: u64, time: i64) -> Head<'static> {
        Head { site: "clinic", time, visitor, minted, user_key, before: 0, keep_days: 1, hold: false }
    }

    #[test]
    fn rows_received_before_it_are_covered_by_any_of_their_hashes_and_no_others() {
        let mut all = Tombstones::default();
        assert!(all.add(about(Subject::Visitor(7), 100)));
        assert!(all.add(about(Subject::UserKey(8), 100)));
        assert!(!all.add(about(Subject::Visitor(7), 90)), "an earlier one adds nothing");
        for (head, covered) in [
            (row(7, 0, 0, 99), true),
            (row(7, 0, 0, 100), false),
            (row(1, 7, 0, 99), true),
            (row(1, 0, 8, 99), true),
            (row(8, 0, 7, 99), false),
            (Head { before: 7, ..row(1, 0, 0, 99) }, true),
            (Head { before: 8, ..row(1, 0, 0, 99) }, false),
            (Head { site: "other", ..row(7, 7, 8, 99) }, false),
        ] {
            assert_eq!(all.covers(&head), covered, "{head:?}");
        }
        let refused = |made_ms| RefusalTombstone {
            site: "clinic".to_owned(),
            address: 7,
            from_ms: 0,
            to_ms: 1,
            made_ms,
        };
        all.add_refusals(refused(100));
        all.add_refusals(refused(101));
        // A browser may come back with its cookie when no backup is as old any more.
        all.forget(101, 100);
        assert_eq!(all.list(), [about(Subject::Visitor(7), 100)]);
        assert!(all.is_of("clinic", Subject::Visitor(7)) && !all.is_of("clinic", Subject::UserKey(8)));
        assert!(all.refusals().eq([&refused(101)]));
        all.forget(101, 101);
        assert!(all.list().is_empty() && !all.covers(&row(7, 0, 0, 1)));
    }

    #[test]
    fn the_file_reads_back_as_written_and_every_changed_or_missing_byte_is_an_error() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("tombstones");
        assert!(Tombstones::read(&path).expect("none is no error").is_empty());
        let mut all = Tombstones::default();
        for number in 0..20 {
            all.add(about(
                if number % 2 == 0 { Subject::Visitor(number) } else { Subject::UserKey(number) },
                5,
            ));
        }
        for (address, made_ms) in [(1, 5), (2, 5), (2, 6)] {
            let site = "clinic".to_owned();
            all.add_refusals(RefusalTombstone { site, address, from_ms: -1, to_ms: i64::MAX, made_ms });
        }
        all.write(&path).expect("it is written");
        let read = Tombstones::read(&path).expect("it reads");
        assert_eq!((read.list(), read.len()), (all.list(), 23));
        assert!(read.refusals().eq(all.refusals()));
        let bytes = std::fs::read(&path).expect("it is there");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x04;
            std::fs::write(&path, &changed).expect("it is written");
            assert!(Tombstones::read(&path).is_err(), "byte {at} was changed");
            std::fs::write(&path, &bytes[..at]).expect("it is written");
            assert!(Tombstones::read(&path).is_err(), "cut at {at}");
        }
    }
}
