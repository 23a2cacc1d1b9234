//! The audit trail: every privileged look, change, export and sign-in, in order,
//! so that nothing in it can be edited, left out or moved without being found.
//!
//! In: an [`Entry`]; out: its [`Anchor`], once it is on the disk. [`Trail::verify`]
//! proves the whole, [`Trail::list`] reads from it, [`Trail::expire`] removes what
//! is past its term. Hits are never audited, and nothing on their way waits for this.
//!
//! # On disk
//!
//! ```text
//! DATA/audit/       0700
//!   2026-11.log     0600  the entries of a month (UTC), one a line: ENTRY SPACE MAC
//!   head            0600  the last entry's number and MAC, the first one's, sealed
//!   lock            0600  empty; flock: exclusive to append, shared to begin a look
//! ```
//!
//! ENTRY is JSON with its number in front ([`entry`]); MAC is 64 hex digits: BLAKE3,
//! keyed with the key ring's `audit` key, of the MAC of the entry before (zeros
//! before the first) and of ENTRY's exact bytes ([`line`]). Numbers count from 1
//! without a gap, through all files. An entry stands in the file of its month, or,
//! when the clock was set back, in the last file there is: so every file begins
//! with an entry of its own month, and the place of each follows from the order.
//! `head` is replaced whole, and sealed ([`head`]).
//!
//! # Appending
//!
//! Under the lock, which all processes share: read the head, look whether the last
//! line is the head's, append, sync the file (and the directory when the file is
//! new), replace the head. Only then does `append` return. After a crash:
//!
//! - One line behind the head's, whose MAC fits: the crash came between line and
//!   head. The next append first makes it the head's. So there is never more than one.
//! - Bytes without an end of line behind that: a torn line, for which no append
//!   has returned. The next append cuts them off and its entry says how many (`cut`);
//!   a second crash between the two loses that count and nothing else.
//! - A last file without a line: the crash came before its first. It is removed, its
//!   bytes are counted as cut.
//!
//! All else is damage: `append` refuses, and whatever needed the entry does not
//! happen. (So does a power loss that leaves a line whole at its end and torn in its
//! middle; a line is one or two blocks, written at once.) `append` looks at the end of
//! the trail only; what was edited further back is found by `verify`.
//!
//! # What is found, and what is not
//!
//! Without the key: an edited, deleted, doubled, moved or inserted entry or file, and a
//! tail that was cut off, also when the head was edited to fit or removed. Putting back
//! an earlier `head` together with the files of its time, or emptying the directory, is
//! found with an anchor only: a number and MAC that was written down elsewhere, later than
//! that. Who has the key (the ring and its master key) can write another trail; the
//! anchors that others hold tell it too.
//!
//! # Expiry
//!
//! Whole months go, the oldest first, when their last moment is past the term. The
//! entry that says so is written first, then the head says where the trail now begins
//! and which months are gone, then the files are removed. Files that a crash left are no
//! part of the trail any more, and go with the next append.
//!
//! # An entry stands before its deed
//!
//! It says that the deed was allowed and begun, not that it succeeded. A deed whose
//! entry cannot be written does not happen.

pub mod entry;
mod head;
mod line;
mod month;
mod walk;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use entry::Written;
pub use entry::{Action, Actor, Entry, Purpose, Stated, Subject, legible};
use head::Head;
pub use line::MAX_LINE_BYTES;
use line::{Line, Mac, hex, mac_of_hex};
use month::{Month, Tail};
pub use walk::{Filter, Listed, MAX_LISTED, Seen, Verified};

use crate::config::{Config, Retention};
use crate::privacy::keys::KeyRing;
use crate::private_file;

/// The trail's directory in the data directory.
pub const DIR_NAME: &str = "audit";
const LOCK_NAME: &str = "lock";

/// The trail of one data directory. Nothing is read or made before it is needed.
pub struct Trail {
    dir: PathBuf,
    keys: Arc<KeyRing>,
}

/// Names one entry for good: written down elsewhere, it shows that the trail was not
/// put back to an earlier state. As text `NUMBER:MAC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub number: u64,
    pub mac: [u8; 32],
}

/// What an expiry removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub months: usize,
    pub entries: u64,
}

/// Why an entry was not written, or the trail is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The entry cannot be one.
    #[error("audit entry: {field}: {what}")]
    Field { field: &'static str, what: String },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: its mode is {mode:04o}, others can read it: expected 0600", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("{}: more than {} files of months", .0.display(), month::MAX_MONTHS)]
    Many(PathBuf),
    /// Something was changed outside of Metka, or the disk lost it. The number is
    /// of the first entry that is wrong; 0 is the head itself.
    #[error("{}: {}{what}", path.display(), if *number == 0 { String::new() } else { format!("entry {number}: ") })]
    Damaged { path: PathBuf, number: u64, what: Damage },
    #[error(
        "the anchor of entry {anchor} is not in the trail, which ends with entry {last}: it was cut back"
    )]
    NotInTrail { anchor: u64, last: u64 },
    #[error("entry {anchor} is another than that of the anchor: the trail was replaced")]
    OtherThanAnchor { anchor: u64 },
    #[error("the anchor of entry {anchor} is older than the first entry that is kept, {first}")]
    AnchorExpired { anchor: u64, first: u64 },
    #[error("{0:?} is not an anchor: expected NUMBER:MAC, as metka audit verify prints it")]
    AnchorForm(String),
}

/// What is wrong with a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("it was edited, or follows an entry that was")]
    Edited,
    #[error("it was added without the key")]
    Added,
    #[error("entry {found} stands in its place: entries are missing or reordered")]
    Skipped { found: u64 },
    #[error("entry {found} stands in its place: entries were added, doubled or reordered")]
    Repeated { found: u64 },
    #[error("it stands in the file of another month")]
    Misplaced,
    #[error("it is missing")]
    Missing,
    #[error("its line has no end")]
    Torn,
    #[error("it is missing: the trail was cut off, head says that it ends with entry {said}")]
    Cut { said: u64 },
    #[error("it is not what head says: that the trail ends with entry {said}")]
    Head { said: u64 },
    #[error("it is missing, and there are entries")]
    NoHead,
    #[error("its seal is wrong: it was edited, or belongs to another key ring")]
    Seal,
    #[error("this is not a line of the trail")]
    Form,
}

// === impl Trail ===

impl Trail {
    /// The trail in a data directory.
    pub fn open(data_dir: &Path, keys: Arc<KeyRing>) -> Trail {
        Trail { dir: data_dir.join(DIR_NAME), keys }
    }

    /// Writes an entry at the end and returns when it is on the disk. It waits for
    /// the disk and for other processes: call it where that keeps nobody waiting.
    pub fn append(&self, entry: &Entry) -> Result<Anchor, AuditError> {
        entry.check()?;
        let _lock = self.lock()?;
        self.append_locked(entry).map(|head| Anchor { number: head.number, mac: head.mac })
    }

    /// Writes several entries, one after the other and nobody's in between.
    pub fn append_all(&self, entries: &[Entry]) -> Result<(), AuditError> {
        entries.iter().try_for_each(Entry::check)?;
        let _lock = self.lock()?;
        entries.iter().try_for_each(|entry| self.append_locked(entry).map(drop))
    }

    /// The end of the trail, as the head has it.
    pub fn anchor(&self) -> Result<Anchor, AuditError> {
        let _lock = walk::shared_lock(&self.dir)?;
        let head = Head::read(&self.dir, &self.keys)?.unwrap_or_else(Head::new);
        Ok(Anchor { number: head.number, mac: head.mac })
    }

    /// Proves every entry that is kept, and that the anchor's is among them.
    pub fn verify(&self, anchor: Option<Anchor>) -> Result<Verified, AuditError> {
        walk::walk(&self.dir, &self.keys, anchor, |_| {})
    }

    /// The last of the entries that are wanted, if all of the trail is as it was written.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Listed>, AuditError> {
        walk::list(&self.dir, &self.keys, filter)
    }

    /// Removes whole months that ended at `before` or earlier (see [`term_begins`]),
    /// after an entry that says so. It looks at the whole trail first: of one that is
    /// damaged nothing is removed.
    pub fn expire(&self, before: Timestamp, actor: Actor, now: Timestamp) -> Result<Expired, AuditError> {
        if self.due(before, now, &month::list(&self.dir)?).is_empty() {
            return Ok(Expired::default());
        }
        self.verify(None)?;
        let _lock = self.lock()?;
        let (head, months, _) = self.settled()?;
        let due = self.due(before, now, &months);
        let (Some(oldest), Some(newest)) = (due.first(), due.last()) else { return Ok(Expired::default()) };
        let path = newest.path(&self.dir);
        let damaged = || AuditError::damaged(&path, head.first, Damage::Missing);
        let last = Tail::read(&path, head.first)?
            .last
            .filter(|last| last.number >= head.first)
            .ok_or_else(damaged)?;
        let text = format!("{oldest} to {newest}, entries {} to {}", head.first, last.number);
        let done = Expired { months: due.len(), entries: last.number + 1 - head.first };
        let mut head = self.append_locked(&Entry::new(now, actor, Action::TrailExpired).detail(text))?;
        (head.first, head.before, head.removed) = (last.number + 1, last.mac, Some(*newest));
        head.write(&self.dir, &self.keys)?;
        self.remove(due)?;
        Ok(done)
    }

    /// The months that may go: over by `before`, and not where the next entry goes.
    fn due<'a>(&self, before: Timestamp, now: Timestamp, months: &'a [Month]) -> &'a [Month] {
        let target = months.last().copied().max(Some(Month::of(now)));
        let is_over = |month: &Month| month.end().is_some_and(|end| end <= before);
        let due = months.iter().take_while(|month| Some(**month) < target && is_over(month)).count();
        &months[..due]
    }

    fn lock(&self) -> Result<File, AuditError> {
        let path = self.dir.join(LOCK_NAME);
        private_file::lock(&path).map_err(at(&path))
    }

    /// Under the lock.
    fn append_locked(&self, entry: &Entry) -> Result<Head, AuditError> {
        let (mut head, months, cut) = self.settled()?;
        let line = Line::new(&self.keys, &head.mac, &Written::new(entry, head.number + 1, cut));
        let month = months.last().copied().max(Some(Month::of(entry.at)));
        let month = month.unwrap_or_else(|| Month::of(entry.at));
        self.write(month, months.last() != Some(&month), &line)?;
        (head.number, head.mac) = (line.number, line.mac);
        head.write(&self.dir, &self.keys)?;
        Ok(head)
    }

    fn write(&self, month: Month, is_new: bool, line: &Line) -> Result<(), AuditError> {
        let path = month.path(&self.dir);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.append(true).create_new(is_new).mode(0o600).open(&path)?;
            if is_new {
                private_file::give_to_owner_of(&self.dir, &file)?;
            }
            file.write_all(&line.text())?;
            file.sync_all()
        };
        write().map_err(at(&path))?;
        if is_new { self.sync() } else { Ok(()) }
    }

    /// Head and months as they are once what a crash left is put right, and how many
    /// bytes of a torn line that cost. Under the lock. Nothing is changed before all
    /// that this looks at is known to be right.
    fn settled(&self) -> Result<(Head, Vec<Month>, u64), AuditError> {
        let mut months = month::list(&self.dir)?;
        let mut head = match Head::read(&self.dir, &self.keys)? {
            Some(head) => head,
            None if months.is_empty() => {
                let head = Head::new();
                head.write(&self.dir, &self.keys)?;
                head
            }
            None => return Err(AuditError::damaged(&Head::path(&self.dir), 0, Damage::NoHead)),
        };
        let gone = months.iter().take_while(|month| Some(**month) <= head.removed).count();
        let gone: Vec<Month> = months.drain(..gone).collect();

        let mut end = self.tail(&months, head.number)?;
        let mut without_line = None;
        if let Some((path, tail)) = end.take_if(|(_, tail)| tail.last.is_none()) {
            without_line = Some((path, tail.bytes));
            months.pop();
            end = self.tail(&months, head.number)?;
        }
        let last = end.as_ref().and_then(|(path, tail)| Some((path, tail.last.as_ref()?)));
        let is_behind = self.compare(&head, last)?;
        if let (true, Some((_, line))) = (is_behind, last) {
            (head.number, head.mac) = (line.number, line.mac);
            head.write(&self.dir, &self.keys)?;
        }

        let mut cut = 0;
        if let Some((path, tail)) = end.filter(|(_, tail)| tail.bytes > tail.whole) {
            cut += tail.bytes - tail.whole;
            let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
            file.set_len(tail.whole).and_then(|()| file.sync_all()).map_err(at(&path))?;
        }
        if let Some((path, bytes)) = without_line {
            cut += bytes;
            std::fs::remove_file(&path).map_err(at(&path))?;
            self.sync()?;
        }
        self.remove(&gone)?;
        Ok((head, months, cut))
    }

    fn tail(&self, months: &[Month], number: u64) -> Result<Option<(PathBuf, Tail)>, AuditError> {
        let Some(month) = months.last() else { return Ok(None) };
        let path = month.path(&self.dir);
        let tail = Tail::read(&path, number)?;
        Ok(Some((path, tail)))
    }

    /// Whether the last line is one behind the head's, which fits. An error if it is
    /// neither that nor the head's.
    fn compare(&self, head: &Head, last: Option<(&PathBuf, &Line)>) -> Result<bool, AuditError> {
        let Some((path, line)) = last else {
            // Nothing was written yet.
            return match head.number {
                0 => Ok(false),
                said => Err(AuditError::damaged(&self.dir, head.first, Damage::Cut { said })),
            };
        };
        let said = head.number;
        if line.number == said && line.mac == head.mac {
            return Ok(false);
        }
        if line.number == said + 1 && line.follows(&self.keys, &head.mac) {
            return Ok(true);
        }
        Err(match line.number {
            short if short < said => AuditError::damaged(path, short + 1, Damage::Cut { said }),
            number if number == said + 1 => AuditError::damaged(path, number, Damage::Added),
            number => AuditError::damaged(path, number, Damage::Head { said }),
        })
    }

    fn remove(&self, months: &[Month]) -> Result<(), AuditError> {
        for month in months {
            let path = month.path(&self.dir);
            std::fs::remove_file(&path).map_err(at(&path))?;
        }
        if months.is_empty() { Ok(()) } else { self.sync() }
    }

    fn sync(&self) -> Result<(), AuditError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(at(&self.dir))
    }
}

/// Before what moment entries are past their term: the longest `retention.audit_days`
/// of the sites holds for all, since many entries are of no site. Without a site
/// nothing is past it.
pub fn term_begins(config: &Config, now: Timestamp) -> Option<Timestamp> {
    let longest =
        config.sites.iter().map(|site| &site.retention).map(|Retention { audit_days, .. }| *audit_days);
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(longest.max()?))).ok()
}

// === impl Anchor ===

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, hex(&self.mac))
    }
}

impl FromStr for Anchor {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Anchor, AuditError> {
        let parsed = text.trim().split_once(':').and_then(|(number, mac)| {
            let mac: Mac = mac_of_hex(&mac.to_ascii_lowercase())?;
            Some(Anchor { number: number.parse().ok()?, mac })
        });
        parsed.ok_or_else(|| AuditError::AnchorForm(text.chars().take(MAX_LINE_BYTES).collect()))
    }
}

// === impl AuditError ===

impl AuditError {
    fn damaged(path: &Path, number: u64, what: Damage) -> AuditError {
        AuditError::Damaged { path: path.to_owned(), number, what }
    }
}

// === impl Damage ===

impl Damage {
    fn of_numbers(expected: u64, found: u64) -> Damage {
        if found > expected { Damage::Skipped { found } } else { Damage::Repeated { found } }
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> AuditError + use<> {
    let path = path.to_owned();
    move |error| AuditError::Io { path: path.clone(), error }
}
