//! A file of numbered records below `rights/`: what the log of disclosures and the
//! register of incidents have in common.
//!
//! ```text
//! {"version":1,
//!  "last":{"2026":17},
//!  "records":[{"number":"D-2026-0017",…}]}
//! ```
//!
//! In the manner of [`super::register`]: the server and the commands use the same
//! file; writers hold the lock file and replace the whole, so that after a crash the
//! old or the new text is there; readers look at its version on each use.
//!
//! Invariants:
//! - A number is given once: `last` holds the last one of each year, and stays when
//!   records are removed.
//! - A file that is not as this writes it is an error that names it, and is not
//!   written over.
//!
//! Limits: [`MAX_FILE_BYTES`], and [`Record::MOST`] records.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::request::text;
use crate::private_file::{self as file, Version};

/// The most that a file may have, in bytes: every change writes it as a whole.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

const DIRECTORY: &str = "rights";
const FILE_VERSION: u32 = 1;
/// What an error shows of a number that is none.
const SHOWN_LETTERS: usize = 20;

/// What such a file holds.
pub trait Record: Clone + Serialize + DeserializeOwned {
    /// What the file is, for errors: `a log of …`.
    const WHAT: &'static str;
    /// The file's name without its ending; the lock file has the same.
    const NAME: &'static str;
    /// What a number begins with.
    const LETTER: char;
    /// The most records.
    const MOST: usize;

    fn number(&self) -> &str;
    /// What is wrong with it, where that is so: a bound that is passed, a contradiction.
    fn check(&self) -> Result<(), String>;
}

/// The store of one kind of record.
pub struct Numbered<R> {
    path: PathBuf,
    lock_path: PathBuf,
    cached: RwLock<Option<Cached<R>>>,
}

/// What was read, and of which version of the file.
type Cached<R> = (Option<Version>, Arc<Contents<R>>);

/// All records at one moment.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "R: Record")]
struct Contents<R> {
    version: u32,
    /// The last number of each year.
    last: BTreeMap<i16, u32>,
    records: Vec<R>,
}

/// Why a file of records could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum NumberedError {
    /// The file or its lock cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The file is not what this version writes.
    #[error("{}: not {what}: {source}", path.display())]
    Format { path: PathBuf, what: &'static str, source: serde_json::Error },
    #[error("{}: written by a later metka (version {version}, this one knows {FILE_VERSION})", path.display())]
    Later { path: PathBuf, version: u32 },
    /// It reads, and says what cannot be.
    #[error("{}: it is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{}: {most} records are there already, at most so many are kept", path.display())]
    Full { path: PathBuf, most: usize },
    #[error("{}: it would have {bytes} bytes, at most {MAX_FILE_BYTES} are kept", path.display())]
    Bytes { path: PathBuf, bytes: u64 },
    /// What was to be kept passes a bound.
    #[error("{0}")]
    Record(String),
    #[error("there is no number {0:?}")]
    NoNumber(String),
}

/// A text that cannot be kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected a text of 1 to {most} bytes")]
pub struct TextError {
    what: &'static str,
    most: usize,
}

// === impl Numbered ===

impl<R: Record> Numbered<R> {
    /// The file of a data directory. Nothing is read or made yet.
    pub fn new(data_dir: &Path) -> Numbered<R> {
        let directory = data_dir.join(DIRECTORY);
        Numbered {
            path: directory.join(format!("{}.json", R::NAME)),
            lock_path: directory.join(format!("{}.lock", R::NAME)),
            cached: RwLock::new(None),
        }
    }

    /// All, in the order of their numbers.
    pub fn list(&self) -> Result<Vec<R>, NumberedError> {
        Ok(self.read()?.records.clone())
    }

    pub fn get(&self, number: &str) -> Result<R, NumberedError> {
        let contents = self.read()?;
        let found = contents.records.iter().find(|record| record.number() == number);
        found.cloned().ok_or_else(|| no_number(number))
    }

    /// Keeps a record under the next number of its year.
    pub fn add(&self, year: i16, make: impl FnOnce(String) -> R) -> Result<R, NumberedError> {
        self.update(|contents| {
            if contents.records.len() >= R::MOST {
                return Err(NumberedError::Full { path: self.path.clone(), most: R::MOST });
            }
            let last = contents.last.entry(year).or_default();
            *last += 1;
            let record = make(format!("{}-{year:04}-{last:04}", R::LETTER));
            record.check().map_err(NumberedError::Record)?;
            contents.records.push(record.clone());
            Ok(record)
        })
    }

    /// Changes a record.
    pub fn change<E: From<NumberedError>>(
        &self,
        number: &str,
        change: impl FnOnce(&mut R) -> Result<(), E>,
    ) -> Result<R, E> {
        self.update(|contents| {
            let found = contents.records.iter_mut().find(|record| record.number() == number);
            let record = found.ok_or_else(|| no_number(number))?;
            change(record)?;
            record.check().map_err(NumberedError::Record)?;
            Ok(record.clone())
        })
    }

    /// Removes those that are past their term. Their numbers are not given again.
    pub fn expire(&self, is_past: impl Fn(&R) -> bool) -> Result<(), NumberedError> {
        // Mostly there is nothing to do, and then nothing is written.
        if !self.read()?.records.iter().any(&is_past) {
            return Ok(());
        }
        self.update(|contents| {
            contents.records.retain(|record| !is_past(record));
            Ok(())
        })
    }

    fn read(&self) -> Result<Arc<Contents<R>>, NumberedError> {
        let version = file::version(&self.path).map_err(|source| self.trouble(source))?;
        if let Some((cached, contents)) = &*self.cached.read().expect("no panic holds this lock")
            && *cached == version
        {
            return Ok(contents.clone());
        }
        let contents = Arc::new(self.load()?);
        *self.cached.write().expect("no panic holds this lock") = Some((version, contents.clone()));
        Ok(contents)
    }

    /// Changes the file, alone among all processes, and waits until that is durable.
    fn update<T, E: From<NumberedError>>(
        &self,
        change: impl FnOnce(&mut Contents<R>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = file::lock(&self.lock_path)
            .map_err(|source| NumberedError::File { path: self.lock_path.clone(), source })?;
        let mut contents = self.load()?;
        let value = change(&mut contents)?;
        let mut text = serde_json::to_vec_pretty(&contents).expect("a record has string keys only");
        text.push(b'\n');
        let bytes = text.len() as u64;
        if bytes > MAX_FILE_BYTES {
            return Err(NumberedError::Bytes { path: self.path.clone(), bytes }.into());
        }
        file::replace(&self.path, &text).map_err(|source| self.trouble(source))?;
        Ok(value)
    }

    fn load(&self) -> Result<Contents<R>, NumberedError> {
        let path = || self.path.clone();
        let bytes = file::read_within(&self.path, MAX_FILE_BYTES).map_err(|source| self.trouble(source))?;
        let Some(bytes) = bytes else { return Ok(Contents::default()) };
        let contents: Contents<R> = serde_json::from_slice(&bytes)
            .map_err(|source| NumberedError::Format { path: path(), what: R::WHAT, source })?;
        if contents.version != FILE_VERSION {
            return Err(NumberedError::Later { path: path(), version: contents.version });
        }
        contents.check().map_err(|what| NumberedError::Damaged { path: path(), what })?;
        Ok(contents)
    }

    fn trouble(&self, source: std::io::Error) -> NumberedError {
        NumberedError::File { path: self.path.clone(), source }
    }
}

// === impl Contents ===

impl<R> Default for Contents<R> {
    fn default() -> Self {
        Contents { version: FILE_VERSION, last: BTreeMap::new(), records: Vec::new() }
    }
}

impl<R: Record> Contents<R> {
    /// What would let a number be given twice, or a bound be passed.
    fn check(&self) -> Result<(), String> {
        if self.records.len() > R::MOST {
            return Err(format!("{} records, at most {} are kept", self.records.len(), R::MOST));
        }
        let mut numbers = HashSet::new();
        for record in &self.records {
            let number = record.number();
            let parts = parts(R::LETTER, number);
            let (year, of_year) =
                parts.ok_or_else(|| format!("{number:?} is not a number such as {}-2026-0001", R::LETTER))?;
            if self.last.get(&year).is_none_or(|last| of_year > *last) {
                return Err(format!("{number} is beyond the last number of its year"));
            }
            if !numbers.insert(number) {
                return Err(format!("{number} is there twice"));
            }
            record.check().map_err(|what| format!("{number}: {what}"))?;
        }
        Ok(())
    }
}

/// A text as a record keeps it: what points at a person by its shape is taken out, as
/// in the texts of a request. One that is empty or too long is refused.
pub fn kept(what: &'static str, given: &str, most: usize) -> Result<String, TextError> {
    let error = TextError { what, most };
    if given.len() > most {
        return Err(error);
    }
    let kept = text(given);
    // What is taken out may leave a longer word in its place.
    if kept.trim().is_empty() || kept.len() > most { Err(error) } else { Ok(kept) }
}

/// The year of a number that is given now, where the site's days end.
pub fn year_of(timezone: &str, now: Timestamp) -> i16 {
    now.in_tz(timezone).unwrap_or_else(|_| now.to_zoned(jiff::tz::TimeZone::UTC)).year()
}

fn no_number(number: &str) -> NumberedError {
    NumberedError::NoNumber(number.chars().take(SHOWN_LETTERS).collect())
}

/// Year and number of `X-YYYY-NNNN`.
fn parts(letter: char, number: &str) -> Option<(i16, u32)> {
    let (year, of_year) = number.strip_prefix(letter)?.strip_prefix('-')?.split_once('-')?;
    let parsed = (year.parse().ok()?, of_year.parse().ok()?);
    // One spelling of each number.
    (format!("{letter}-{:04}-{:04}", parsed.0, parsed.1) == number).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Word {
        number: String,
        word: String,
    }

    impl Record for Word {
        const WHAT: &'static str = "a list of words";
        const NAME: &'static str = "words";
        const LETTER: char = 'W';
        const MOST: usize = 3;

        fn number(&self) -> &str {
            &self.number
        }

        fn check(&self) -> Result<(), String> {
            if self.word.len() > 5 { Err("a long word".to_owned()) } else { Ok(()) }
        }
    }

    fn add(words: &Numbered<Word>, word: &str) -> Result<String, String> {
        let made = words.add(2026, |number| Word { number, word: word.to_owned() });
        made.map(|word| word.number).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_given_once_and_bounds_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let words: Numbered<Word> = Numbered::new(dir.path());
        assert_eq!(words.list().expect("none").len(), 0);
        assert_eq!(add(&words, "one").as_deref(), Ok("W-2026-0001"));
        assert_eq!(add(&words, "two").as_deref(), Ok("W-2026-0002"));
        assert_eq!(add(&words, "sixteen"), Err("a long word".to_owned()));
        words.expire(|word| word.word == "two").expect("removed");
        assert_eq!(add(&words, "three").as_deref(), Ok("W-2026-0003"), "none is given again");
        assert_eq!(add(&words, "four").as_deref(), Ok("W-2026-0004"));
        let full = add(&words, "five").expect_err("full");
        assert!(full.contains("words.json") && full.contains("3 records"), "{full}");
        let changed: Result<Word, NumberedError> = words.change("W-2026-0004", |word| {
            word.word = "fore".to_owned();
            Ok(())
        });
        assert_eq!(changed.expect("changed"), words.get("W-2026-0004").expect("there"));
        assert!(matches!(words.get("W-2026-0002"), Err(NumberedError::NoNumber(_))));
    }

    #[test]
    fn a_damaged_file_is_named_and_not_written_over() {
        for (text, expected) in [
            ("{", "not a list of words"),
            (r#"{"version":1,"last":{},"records":[],"more":1}"#, "not a list of words"),
            (r#"{"version":2,"last":{},"records":[]}"#, "later metka"),
            (
                r#"{"version":1,"last":{"2026":1},"records":[{"number":"2026-0001","word":"a"}]}"#,
                "not a number",
            ),
            (
                r#"{"version":1,"last":{"2026":1},"records":[{"number":"W-2026-1","word":"a"}]}"#,
                "not a number",
            ),
            (
                r#"{"version":1,"last":{"2026":1},"records":[{"number":"W-2026-0002","word":"a"}]}"#,
                "beyond the last",
            ),
            (
                r#"{"version":1,"last":{"2026":1},"records":[{"number":"W-2026-0001","word":"a"},{"number":"W-2026-0001","word":"a"}]}"#,
                "twice",
            ),
            (
                r#"{"version":1,"last":{"2026":1},"records":[{"number":"W-2026-0001","word":"abcdef"}]}"#,
                "a long word",
            ),
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            let words: Numbered<Word> = Numbered::new(dir.path());
            add(&words, "one").expect("added");
            let path = dir.path().join("rights/words.json");
            std::fs::write(&path, text).expect("written");
            for error in
                [words.list().map(drop).expect_err(text).to_string(), add(&words, "two").expect_err(text)]
            {
                assert!(error.contains("words.json") && error.contains(expected), "{expected:?}: {error}");
            }
            assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
        }
    }
}
