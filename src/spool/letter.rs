//! A dead letter as a file: one batch, in a segment of its own.
//!
//! ```text
//! header | open (LSN 1) | hits (from LSN 2) | seal | reason
//! ```
//!
//! In: a path. Out: the batch, its rows, its reason, and what of these cannot be read.
//!
//! A letter gets its name only when all of it is synced, so nothing in it is a torn tail:
//! what is not valid, and an end that is missing, is damage. LSNs count up by one, so they
//! tell how many rows are lost. (The seal's number of rows does not: it is the batch's, of
//! which an erasure may have taken some out since.) What is left of a damaged letter is
//! delivered: number and columns of the batch stand in the header as well. Without its
//! header none of its checksums can be made again: then nothing of it can be read.
//!
//! Nothing is changed here: what becomes of a damaged letter is [`Shared::letter`]'s, and
//! recovery's at a start.
//!
//! [`Shared::letter`]: super::shared::Shared::letter

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::Node;
use super::record::{BatchOpen, BatchSeal, FORMAT_VERSION, HeaderError, Kind, Record, SegmentHeader};
use super::scan::{Found, read_header, scan_whole};
use super::shared::{BatchMeta, token};
use super::walk::Damage;
use super::{COLUMNS_VERSION, DeadLetter, SpoolError};
use crate::count::{Counters, UNKNOWN_SITE};
use crate::store::row::site_of;

/// The directory of dead letters in a spool's, and what verdicts and logs call it.
pub(super) const DEAD_LETTERS: &str = "dead";
/// What a [`Damage`] says of a letter of which nothing can be read.
const NO_HEADER: &str = "the dead letter's header";

/// What reading a file gave.
pub(super) enum Read {
    /// It is not there: it was stored or set aside meanwhile.
    Gone,
    Unreadable(Damage),
    Letter(Box<Letter>),
}

/// A letter, as far as it can be read.
pub(super) struct Letter {
    meta: BatchMeta,
    pub reason: String,
    pub damage: Vec<Damage>,
    /// Rows that cannot be read, as far as what is left tells of them.
    pub lost_rows: u64,
    hasher: blake3::Hasher,
    is_sealed: bool,
    /// The last record, if it is one of the two behind the rows.
    ending: Option<Kind>,
    /// The LSN of the seal, by whichever of the two is there.
    seal_lsn: u64,
}

// === impl Read ===

impl Read {
    /// Reads the letter at this path; `row` gets each row that is there. Sites are named by
    /// the counters, which do not count anything.
    pub fn of(path: &Path, counters: &Counters, mut row: impl FnMut(&[u8])) -> Result<Read, SpoolError> {
        let read = |error| SpoolError::io("read", path)(error);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Gone),
            opened => opened.map_err(SpoolError::io("open", path))?,
        };
        let length = file.metadata().map_err(read)?.len();
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let damage = |from, to, records, what| Damage { file: name.clone(), from, to, records, what };
        let header = match read_header(&file).map_err(read)? {
            Ok(SegmentHeader { columns_version: found, .. }) if found > COLUMNS_VERSION => {
                return Err(SpoolError::Columns { path: path.to_owned(), found });
            }
            Err(HeaderError::Version(found)) if found > FORMAT_VERSION => {
                return Err(SpoolError::Version { path: path.to_owned(), found, known: FORMAT_VERSION });
            }
            Ok(header) if Some(header.number) == id_of(path) => header,
            _ => return Ok(Read::Unreadable(damage(0, length, 0, NO_HEADER))),
        };
        let mut letter = Letter::new(path, &header);
        let mut holes = Vec::new();
        let end = scan_whole(&file, &header, |found| match found {
            Found::Record { record, .. } => letter.record(&record, counters, &mut row),
            Found::Damage(hole) => holes.push(hole),
        })
        .map_err(read)?;
        for hole in holes {
            letter.damage.push(damage(hole.from, hole.to, hole.records, "records"));
        }
        if end.offset != length || letter.ending != Some(Kind::Reason) {
            let records = match letter.ending {
                Some(Kind::Reason) => 0,
                Some(_) => 1,
                None => 2,
            };
            letter.damage.push(damage(end.offset, length, records, "the dead letter's end"));
        }
        let seal_lsn = if letter.ending.is_some() { letter.seal_lsn } else { end.next_lsn };
        letter.lost_rows = seal_lsn.saturating_sub(2 + u64::from(letter.meta.rows));
        Ok(Read::Letter(Box::new(letter)))
    }

    /// What of it cannot be read.
    pub fn damage(&self) -> &[Damage] {
        match self {
            Read::Gone => &[],
            Read::Unreadable(damage) => std::slice::from_ref(damage),
            Read::Letter(letter) => &letter.damage,
        }
    }

    /// As a list shows it; `None` if it is gone.
    pub fn listed(&self, id: u64) -> Option<DeadLetter> {
        let (rows, lost_rows, reason) = match self {
            Read::Gone => return None,
            Read::Unreadable(_) => (0, 0, String::new()),
            Read::Letter(letter) => (letter.meta.rows.into(), letter.lost_rows, letter.reason.clone()),
        };
        Some(DeadLetter {
            id: format!("{id:016x}"),
            rows,
            reason,
            is_damaged: !self.damage().is_empty(),
            lost_rows,
        })
    }
}

// === impl Letter ===

impl Letter {
    /// What the header alone tells.
    fn new(path: &Path, header: &SegmentHeader) -> Letter {
        let open = BatchOpen {
            id: header.number,
            month: 0,
            columns_version: header.columns_version,
            opened_ms: header.created_ms,
        };
        let mut meta = BatchMeta::opened(&open, header.first_lsn);
        meta.dead_letter = Some(path.to_owned());
        Letter {
            meta,
            reason: String::new(),
            damage: Vec::new(),
            lost_rows: 0,
            hasher: blake3::Hasher::new(),
            is_sealed: false,
            ending: None,
            seal_lsn: 0,
        }
    }

    fn record(&mut self, record: &Record<'_>, counters: &Counters, row: &mut impl FnMut(&[u8])) {
        let meta = &mut self.meta;
        match record.kind {
            Some(Kind::BatchOpen) => {
                let Some(open) = BatchOpen::decode(record.body) else { return };
                (meta.month, meta.columns_version) = (open.month, open.columns_version);
                meta.opened_ms = open.opened_ms;
            }
            Some(Kind::Hit) => {
                meta.rows += 1;
                meta.last_lsn = record.lsn;
                self.hasher.update(record.payload());
                let site = site_of(record.payload()).unwrap_or(UNKNOWN_SITE);
                BatchMeta::count(&mut meta.sites, &counters.site(site));
                row(record.payload());
            }
            Some(Kind::BatchSeal) => {
                let Some(seal) = BatchSeal::decode(record.body) else { return };
                (meta.first_lsn, meta.last_lsn) = (seal.first_lsn, seal.last_lsn);
                (meta.content, meta.token) = (seal.content, seal.token);
                (self.is_sealed, self.ending, self.seal_lsn) = (true, record.kind, record.lsn);
            }
            Some(Kind::Reason) => {
                self.reason = String::from_utf8_lossy(record.body).into_owned();
                (self.ending, self.seal_lsn) = (record.kind, record.lsn - 1);
            }
            _ => {}
        }
    }

    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }

    /// Rows per site.
    pub fn sites(&self) -> impl Iterator<Item = (&str, u64)> {
        self.meta.sites.iter().map(|(site, rows)| (site.site(), u64::from(*rows)))
    }

    /// The batch that it holds. One whose seal is lost gets a token that follows from its
    /// rows: it is counted before it is sent, like every dead letter.
    pub fn batch(self, node: &Node) -> BatchMeta {
        let Letter { mut meta, is_sealed, hasher, .. } = self;
        if !is_sealed {
            meta.content = *hasher.finalize().as_bytes();
            meta.token = token(node, meta.id, meta.first_lsn, meta.last_lsn, &meta.content);
        }
        meta
    }
}

pub(super) fn letters_dir(dir: &Path) -> PathBuf {
    dir.join(DEAD_LETTERS)
}

/// Where a spool's dead letter with this id is.
pub(super) fn letter_path(dir: &Path, id: u64) -> PathBuf {
    letters_dir(dir).join(format!("{id:016x}.dead"))
}

/// The dead letters below a spool's directory, oldest id first.
pub(super) fn letter_files(dir: &Path) -> Result<Vec<(u64, PathBuf)>, SpoolError> {
    let with_id = |path: PathBuf| id_of(&path).map(|id| (id, path));
    let mut found: Vec<(u64, PathBuf)> = files(dir)?.into_iter().filter_map(with_id).collect();
    found.sort();
    Ok(found)
}

/// Files that were to become letters when the process ended.
pub(super) fn unfinished_letters(dir: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let mut found = files(dir)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "new"));
    Ok(found)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let dir = letters_dir(dir);
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(SpoolError::io("list", &dir))?,
    };
    entries.map(|entry| Ok(entry.map_err(SpoolError::io("list", &dir))?.path())).collect()
}

/// The batch that a file's name says it holds; `None` if that is no name of a letter.
fn id_of(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let id = u64::from_str_radix(stem, 16).ok()?;
    (path.extension()? == "dead" && stem == format!("{id:016x}")).then_some(id)
}
