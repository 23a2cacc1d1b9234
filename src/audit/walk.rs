//! Reads the whole trail from its oldest entry, line by line, and proves each.
//!
//! Files and head are opened under the lock and read after it, as far as they
//! went then: a look holds nobody up, and what is appended or removed meanwhile
//! does not disturb it. Nothing is written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::entry::{Action, Entry, Written};
use super::head::Head;
use super::line::{Line, MAX_LINE_BYTES, Mac};
use super::month::{self, Month};
use super::{Anchor, AuditError, Damage, LOCK_NAME, at};
use crate::privacy::keys::KeyRing;

/// The most entries that one look lists.
pub const MAX_LISTED: usize = 10_000;

/// What a whole look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub entries: u64,
    pub first: Option<Seen>,
    pub last: Option<Seen>,
    /// What to write down.
    pub anchor: Anchor,
    /// Bytes of a line that was being written when the process or machine
    /// stopped; the next append cuts them off.
    pub torn_bytes: u64,
}

/// An entry's number and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub number: u64,
    pub at: Timestamp,
}

/// Which entries are wanted.
#[derive(Clone, Debug)]
pub struct Filter {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    pub action: Option<Action>,
    pub site: Option<String>,
    /// Only so many, the last ones; at most [`MAX_LISTED`].
    pub last: usize,
}

/// One entry that was asked for. As JSON it is what stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Listed(Written);

/// What there was at one moment.
struct Snapshot {
    head: Head,
    files: Vec<(Month, PathBuf, Take<File>)>,
}

/// Proves every entry, and gives each to `visit`.
pub(super) fn walk(
    dir: &Path,
    keys: &KeyRing,
    anchor: Option<Anchor>,
    mut visit: impl FnMut(&Written),
) -> Result<Verified, AuditError> {
    let Snapshot { head, files } = Snapshot::take(dir, keys)?;
    let (mut expected, mut previous) = (head.first, head.before);
    check_anchor(anchor, &head, expected - 1, &previous)?;
    let (mut first, mut last, mut torn_bytes) = (None, None, 0);
    let count = files.len();
    let mut place = dir.to_owned();
    for (at_file, (month, path, file)) in files.into_iter().enumerate() {
        let is_last = at_file + 1 == count;
        let damaged = |number: u64, what: Damage| Err(AuditError::damaged(&path, number, what));
        let mut reader = BufReader::new(file);
        let mut text = Vec::with_capacity(MAX_LINE_BYTES);
        let mut is_empty = true;
        loop {
            text.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            reader.by_ref().take(limit).read_until(b'\n', &mut text).map_err(at(&path))?;
            let Some(line) = text.strip_suffix(b"\n") else {
                if text.len() > MAX_LINE_BYTES {
                    return damaged(expected, Damage::Form);
                }
                torn_bytes = text.len() as u64;
                if torn_bytes > 0 && !(is_last && expected > head.number) {
                    return damaged(expected, Damage::Torn);
                }
                break;
            };
            let forged = if expected > head.number { Damage::Added } else { Damage::Edited };
            let Some(line) = Line::parse(line) else { return damaged(expected, forged) };
            if line.number != expected {
                return damaged(expected, Damage::of_numbers(expected, line.number));
            }
            if !line.follows(keys, &previous) {
                return damaged(expected, forged);
            }
            let Ok(written) = serde_json::from_slice::<Written>(&line.entry) else {
                return damaged(expected, Damage::Form);
            };
            // A file begins with an entry of its month; earlier ones may follow, when the
            // clock was set back.
            let own = Month::of(written.at);
            if own > month || is_empty && own != month {
                return damaged(expected, Damage::Misplaced);
            }
            if expected == head.number && line.mac != head.mac || expected > head.number + 1 {
                return damaged(expected, Damage::Head { said: head.number });
            }
            check_anchor(anchor, &head, expected, &line.mac)?;
            visit(&written);
            let seen = Seen { number: expected, at: written.at };
            first = first.or(Some(seen));
            last = Some(seen);
            (previous, is_empty) = (line.mac, false);
            expected += 1;
        }
        // A file may be there before its first line is, at the end.
        if is_empty && !(is_last && expected > head.number) {
            return damaged(expected, Damage::Missing);
        }
        place = path;
    }
    let number = expected - 1;
    if number < head.number {
        return Err(AuditError::damaged(&place, expected, Damage::Cut { said: head.number }));
    }
    if let Some(anchor) = anchor.filter(|anchor| anchor.number > number) {
        return Err(AuditError::NotInTrail { anchor: anchor.number, last: number });
    }
    let anchor = Anchor { number, mac: previous };
    Ok(Verified { entries: expected - head.first, first, last, anchor, torn_bytes })
}

/// The last of the entries that are wanted, of a trail that is whole.
pub(super) fn list(dir: &Path, keys: &KeyRing, filter: &Filter) -> Result<Vec<Listed>, AuditError> {
    let most = filter.last.min(MAX_LISTED);
    let mut found = VecDeque::new();
    walk(dir, keys, None, |written| {
        if filter.wants(written) {
            found.push_back(Listed(written.clone()));
            if found.len() > most {
                found.pop_front();
            }
        }
    })?;
    Ok(found.into())
}

/// Whether the entry that the anchor names is the one that it was.
fn check_anchor(anchor: Option<Anchor>, head: &Head, number: u64, mac: &Mac) -> Result<(), AuditError> {
    match anchor {
        Some(anchor) if anchor.number == number && anchor.mac != *mac => {
            Err(AuditError::OtherThanAnchor { anchor: number })
        }
        Some(anchor) if anchor.number + 1 < head.first => {
            Err(AuditError::AnchorExpired { anchor: anchor.number, first: head.first })
        }
        _ => Ok(()),
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn take(dir: &Path, keys: &KeyRing) -> Result<Snapshot, AuditError> {
        let _lock = shared_lock(dir)?;
        let mut months = month::list(dir)?;
        let head = match Head::read(dir, keys)? {
            Some(head) => head,
            None if months.is_empty() => Head::new(),
            None => return Err(AuditError::damaged(&Head::path(dir), 0, Damage::NoHead)),
        };
        months.retain(|month| Some(*month) > head.removed);
        let mut files = Vec::with_capacity(months.len());
        for month in months {
            let path = month.path(dir);
            let file = month::open(&path)?;
            let bytes = file.metadata().map_err(at(&path))?.len();
            files.push((month, path, file.take(bytes)));
        }
        Ok(Snapshot { head, files })
    }
}

/// Keeps writers out; a copy of a trail may have come without the file.
pub(super) fn shared_lock(dir: &Path) -> Result<Option<File>, AuditError> {
    let path = dir.join(LOCK_NAME);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(at(&path))?,
    };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockShared)
        .map_err(|error| at(&path)(error.into()))?;
    Ok(Some(file))
}

// === impl Verified ===

impl Verified {
    /// `{"entries","first":{"number","at"},"last","anchor","torn_bytes"}`
    pub fn described(&self) -> serde_json::Value {
        let described = |seen: Option<Seen>| {
            seen.map(|seen| serde_json::json!({ "number": seen.number, "at": seen.at.to_string() }))
        };
        serde_json::json!({
            "entries": self.entries,
            "first": described(self.first),
            "last": described(self.last),
            "anchor": self.anchor.to_string(),
            "torn_bytes": self.torn_bytes,
        })
    }
}

// === impl Filter ===

impl Filter {
    /// Everything, but only the last so many.
    pub fn last(last: usize) -> Filter {
        Filter { from: None, to: None, action: None, site: None, last }
    }

    fn wants(&self, written: &Written) -> bool {
        self.from.is_none_or(|from| from <= written.at)
            && self.to.is_none_or(|to| written.at < to)
            && self.action.is_none_or(|action| action == written.action)
            && self.site.as_ref().is_none_or(|site| Some(site) == written.site.as_ref())
    }
}

// === impl Listed ===

impl Listed {
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Bytes of a torn line that were cut off before it.
    pub fn cut(&self) -> u64 {
        self.0.cut
    }

    pub fn entry(&self) -> Entry {
        self.0.clone().entry()
    }
}
