//! What an officer has noted for visitors' browsers, which the collector obeys: no
//! marketing, or no hits at all.
//!
//! ```text
//! {"version":1,"choices":[{"site":"clinic","hash":"0123456789abcdef","choice":"no_marketing","since":MS}]}
//! ```
//!
//! In: keyed hashes of cookies, from [`super::stop`]. Out: [`List`], in the memory of
//! the collector, which asks it for each hit. The file is `DATA/rights/choices.json`,
//! replaced whole under `choices.lock`; the running server changes it and takes the
//! change over in one step, and reads it at its start.
//!
//! Invariants:
//! - From the return of a change on every hit is judged by it.
//! - An empty list costs a hit one look at its length: no cookie is read for it.
//! - An entry ends when the cookie can have no further life ([`COOKIE_DAYS`], and the
//!   days by which zones differ); `no_marketing` also with the visitor's own new word,
//!   which is answered when the file has it.
//! - A file that is not as this writes it stops the start: whom to leave alone would
//!   not be known.
//!
//! It holds no cookie and no address, and says nothing of other collectors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SubjectError;
use crate::identify::consent::COOKIE_DAYS;
use crate::private_file as file;
use crate::rights::request::Hash;
use crate::store::Block;

/// The name of the file in `DATA/rights`.
pub const FILE_NAME: &str = "choices.json";
/// The most entries: their file stays below the bound of private files, and a clinic
/// has some tens a year.
pub const MAX_CHOICES: usize = 40_000;

const LOCK_NAME: &str = "choices.lock";
const FILE_VERSION: u32 = 1;
/// An entry's life, in milliseconds: the longest of a cookie, which is counted in days of UTC.
pub const LIFE_MS: i64 = (COOKIE_DAYS + 2) * 86_400_000;

/// What was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// A consent to marketing that the browser remembers counts no more.
    NoMarketing,
    /// Hits are refused, and the browser is told to opt out.
    OptOut,
}

/// One entry: for the cookie with this hash on this site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    site: String,
    #[serde(with = "hex")]
    hash: u64,
    choice: Choice,
    /// Milliseconds since 1970.
    since: i64,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    choices: Vec<Entry>,
}

/// All entries at one moment, in the order of their hashes.
#[derive(Default)]
pub struct List {
    entries: Vec<Entry>,
}

/// The file and what is known of it.
pub struct Choices {
    path: PathBuf,
    lock_path: PathBuf,
    list: ArcSwap<List>,
}

// === impl Entry ===

impl Entry {
    fn is_in_force(&self, now: Timestamp) -> bool {
        self.since.saturating_add(LIFE_MS) > now.as_millisecond()
    }
}

// === impl List ===

impl List {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn has(&self, choice: Choice, site: &str, visitor: u64) -> bool {
        let from = self.entries.partition_point(|entry| entry.hash < visitor);
        self.entries[from..]
            .iter()
            .take_while(|entry| entry.hash == visitor)
            .any(|entry| entry.choice == choice && entry.site == site)
    }

    /// The browsers for which this was noted.
    pub fn of(&self, choice: Choice) -> Vec<Block> {
        let chosen = self.entries.iter().filter(|entry| entry.choice == choice);
        let block = |entry: &Entry| Block {
            site: entry.site.clone(),
            subject: crate::spool::Subject::Visitor(entry.hash),
        };
        chosen.map(block).collect()
    }
}

// === impl Choices ===

impl Choices {
    /// The list of a data directory: empty until [`Choices::load`].
    pub fn new(data_dir: &Path) -> Choices {
        let dir = data_dir.join("rights");
        Choices { path: dir.join(FILE_NAME), lock_path: dir.join(LOCK_NAME), list: ArcSwap::default() }
    }

    /// Takes over what the file says.
    pub fn load(&self) -> Result<(), SubjectError> {
        let mut entries = self.read()?;
        in_force(&mut entries, Timestamp::now());
        self.take(entries);
        Ok(())
    }

    /// What is known at this moment.
    pub fn list(&self) -> Guard<Arc<List>> {
        self.list.load()
    }

    /// Notes this for the browsers with these hashes; an older note of the same begins anew.
    pub fn add(
        &self,
        choice: Choice,
        site: &str,
        visitors: &[u64],
        now: Timestamp,
    ) -> Result<(), SubjectError> {
        let since = now.as_millisecond();
        self.change(now, |entries| {
            entries.retain(|entry| {
                !(entry.choice == choice && entry.site == site && visitors.contains(&entry.hash))
            });
            entries.extend(visitors.iter().map(|hash| Entry {
                site: site.to_owned(),
                hash: *hash,
                choice,
                since,
            }));
        })
    }

    /// The visitors of these browsers, by site, have agreed to marketing anew.
    pub fn end_no_marketing(&self, renewed: &[(String, u64)]) -> Result<(), SubjectError> {
        let is_renewed = |entry: &Entry| {
            entry.choice == Choice::NoMarketing
                && renewed.iter().any(|(site, hash)| *site == entry.site && *hash == entry.hash)
        };
        self.change(Timestamp::now(), |entries| entries.retain(|entry| !is_renewed(entry)))
    }

    /// Removes what has come to its end, and says how much that was.
    pub fn expire(&self, now: Timestamp) -> Result<usize, SubjectError> {
        let known = self.read()?;
        let ended = known.iter().filter(|entry| !entry.is_in_force(now)).count();
        if ended > 0 {
            self.change(now, |_| {})?;
        }
        Ok(ended)
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), SubjectError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| SubjectError::File { path, source }
        };
        let _lock = file::lock(&self.lock_path).map_err(at(&self.lock_path))?;
        let mut entries = self.read()?;
        in_force(&mut entries, now);
        change(&mut entries);
        if entries.len() > MAX_CHOICES {
            return Err(SubjectError::TooManyChoices);
        }
        let contents = Contents { version: FILE_VERSION, choices: entries };
        let bytes = serde_json::to_vec(&contents).expect("plain values");
        file::replace(&self.path, &bytes).map_err(at(&self.path))?;
        self.take(contents.choices);
        Ok(())
    }

    fn take(&self, mut entries: Vec<Entry>) {
        entries.sort_by(|one, other| (one.hash, one).cmp(&(other.hash, other)));
        self.list.store(Arc::new(List { entries }));
    }

    fn read(&self) -> Result<Vec<Entry>, SubjectError> {
        let path = || self.path.clone();
        let bytes = file::read(&self.path).map_err(|source| SubjectError::File { path: path(), source })?;
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        let wrong = |what: String| SubjectError::Format { path: path(), what };
        let contents: Contents = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if contents.version != FILE_VERSION {
            return Err(wrong(format!("version {}", contents.version)));
        }
        Ok(contents.choices)
    }
}

/// Leaves out what has come to its end.
fn in_force(entries: &mut Vec<Entry>, now: Timestamp) {
    entries.retain(|entry| entry.is_in_force(now));
}

/// A hash as the register writes it.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Hash;

    pub fn serialize<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Hash(*hash))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        Hash::deserialize(deserializer).map(|hash| hash.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn what_was_noted_is_of_one_site_and_one_browser_and_is_there_after_a_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let now = Timestamp::now();
        let choices = Choices::new(dir.path());
        assert!(choices.list().is_empty());
        choices.add(Choice::OptOut, "clinic", &[7, 9], now).expect("written");
        choices.add(Choice::NoMarketing, "clinic", &[7], now).expect("written");
        choices.add(Choice::NoMarketing, "other", &[7], now).expect("written");
        let again = Choices::new(dir.path());
        again.load().expect("read");
        for list in [choices.list(), again.list()] {
            for (choice, site, visitor, expected) in [
                (Choice::OptOut, "clinic", 7, true),
                (Choice::OptOut, "clinic", 9, true),
                (Choice::OptOut, "clinic", 8, false),
                (Choice::OptOut, "other", 7, false),
                (Choice::NoMarketing, "clinic", 7, true),
                (Choice::NoMarketing, "other", 7, true),
                (Choice::NoMarketing, "clinic", 9, false),
            ] {
                assert_eq!(list.has(choice, site, visitor), expected, "{choice:?} {site} {visitor}");
            }
        }
        // A new word ends one of them.
        again.end_no_marketing(&[("clinic".to_owned(), 7), ("clinic".to_owned(), 9)]).expect("written");
        let list = again.list();
        assert!(!list.has(Choice::NoMarketing, "clinic", 7) && list.has(Choice::NoMarketing, "other", 7));
        assert!(list.has(Choice::OptOut, "clinic", 7) && list.has(Choice::OptOut, "clinic", 9));
    }

    #[test]
    fn an_entry_ends_with_the_last_day_of_the_cookie() {
        let dir = tempfile::tempdir().expect("a directory");
        let choices = Choices::new(dir.path());
        choices.add(Choice::OptOut, "clinic", &[7], moment("2026-01-01T12:00:00Z")).expect("written");
        // 393 days later is 29 January 2027.
        for (now, entries) in [("2027-01-29T23:59:59Z", 2), ("2027-01-31T12:00:00Z", 1)] {
            let mut known = choices.read().expect("read");
            known.push(Entry { since: moment(now).as_millisecond(), ..known[0].clone() });
            in_force(&mut known, moment(now));
            assert_eq!(known.len(), entries, "{now}");
        }
        assert_eq!(choices.expire(moment("2027-01-29T23:59:59Z")).expect("read"), 0);
        assert_eq!(choices.expire(moment("2027-01-31T12:00:00Z")).expect("written"), 1);
        assert_eq!(choices.read().expect("read"), []);
    }

    #[test]
    fn a_list_that_is_full_or_not_ours_is_said_and_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let choices = Choices::new(dir.path());
        let many: Vec<u64> = (1..=MAX_CHOICES as u64).collect();
        let site = "s".repeat(64);
        choices.add(Choice::NoMarketing, &site, &many, Timestamp::now()).expect("written");
        let refused = choices.add(Choice::OptOut, &site, &[1], Timestamp::now());
        assert!(matches!(refused, Err(SubjectError::TooManyChoices)), "{refused:?}");
        choices.load().expect("it can be read");
        assert!(choices.list().has(Choice::NoMarketing, &site, 1));
        file::replace(&choices.path, b"{\"version\":2,\"choices\":[]}").expect("written");
        for refused in [choices.load(), choices.add(Choice::OptOut, "clinic", &[1], Timestamp::now())] {
            assert!(matches!(refused, Err(SubjectError::Format { .. })), "{refused:?}");
        }
    }
}
