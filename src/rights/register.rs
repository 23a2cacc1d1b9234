//! The register of requests: `rights/requests.json` in the data directory.
//!
//! ```text
//! {"version":1,
//!  "last":{"2026":17},
//!  "requests":[{"number":"2026-0017","site":"clinic","kind":"access","identified":"cookie",
//!               "subjects":[{"kind":"visitor","hash":"0123456789abcdef"}],"received":MS,
//!               "due":{"date":"2026-12-10","ends":MS,"term":"10 working days",…},"state":"open",…}]}
//! ```
//!
//! The server and the commands use the same file. Writers hold the lock file
//! `rights/requests.lock` and replace it whole, as with `people.json`: after a crash
//! the old or the new text is there. Readers look at its version on each use.
//!
//! Invariants:
//! - A number is given once: `last` holds the last one of each year, and stays when
//!   requests are removed.
//! - Number, site, kind, moment of receipt and first due date never change.
//! - Each change has a line in the request's history.
//! - A file that is not as this writes it is an error that names it, and is not
//!   written over.
//!
//! Limits: [`MAX_REQUESTS`], [`MAX_FILE_BYTES`], and those of [`super::request`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::request::{
    Change, Extension, FirstStep, IdentifiedBy, MAX_ACT_BYTES, MAX_ACTS, MAX_HISTORY, MAX_SUBJECTS,
    MAX_TEXT_BYTES, MAX_WHAT_BYTES, MAX_WHO_BYTES, RESERVED_HISTORY, Request, State, Subject, text,
};
use super::terms::{Due, Kind, Law};
use crate::private_file::{self as file, Version};

/// A clinic has some tens a year; closed ones go after three years.
pub const MAX_REQUESTS: usize = 10_000;
/// The most that the file may have, in bytes: every change writes it as a whole.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

const DIRECTORY: &str = "rights";
const FILE_NAME: &str = "requests.json";
const LOCK_NAME: &str = "requests.lock";
const FILE_VERSION: u32 = 1;

/// The store.
pub struct Register {
    path: PathBuf,
    lock_path: PathBuf,
    cached: RwLock<Option<(Option<Version>, Arc<Contents>)>>,
}

/// All requests at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    /// The last number of each year.
    last: BTreeMap<i16, u32>,
    requests: Vec<Request>,
}

/// A request that is to be registered.
#[derive(Clone, Debug)]
pub struct New {
    pub site: String,
    pub kind: Kind,
    pub about: Option<Kind>,
    pub identified: IdentifiedBy,
    pub subjects: Vec<Subject>,
    pub received: i64,
    pub law: Law,
    pub zone: String,
    pub due: Due,
    pub first_step: Option<FirstStep>,
    pub purpose: String,
    /// The year of its number.
    pub year: i16,
}

/// Who changes a request, when, and what that is.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Milliseconds since 1970.
    pub at: i64,
    pub who: &'a str,
    pub what: &'a str,
}

/// Which requests are asked for; what is none leaves out nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub site: Option<String>,
    pub kind: Option<Kind>,
    pub state: Option<State>,
    pub subject: Option<Subject>,
    /// Only those whose term had ended at this moment.
    pub overdue_at: Option<i64>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused,
}

/// Why the register could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The file or its lock cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The file is not what this version writes.
    #[error("{}: not a register of requests: {source}", path.display())]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("{}: written by a later metka (version {version}, this one knows {FILE_VERSION})", path.display())]
    Later { path: PathBuf, version: u32 },
    /// It reads, and says what cannot be.
    #[error("{}: the register is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("there are {MAX_REQUESTS} requests already, at most so many are kept (MAX_REQUESTS)")]
    Full,
    #[error("the register would have {0} bytes, at most {MAX_FILE_BYTES} are kept")]
    Bytes(u64),
    #[error("there is no request {0:?}")]
    NoRequest(String),
    #[error("the request {number} is closed ({})", state.name())]
    Closed { number: String, state: State },
    #[error("the request {0} has been extended once, which is all that the law allows")]
    Extended(String),
    /// The notice has to reach the person within the first term.
    #[error("the term of request {number} ended with {ended}: it cannot be extended any more")]
    TooLate { number: String, ended: String },
    #[error("the request {0} has no first step that is still to be done")]
    NoStep(String),
    #[error("{what} has {bytes} bytes, at most {most} are kept")]
    Text { what: &'static str, bytes: usize, most: usize },
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("{count} {what}, at most {most} are kept for a request")]
    Many { what: &'static str, count: usize, most: usize },
    #[error("{what} of request {number} does not change")]
    Fixed { number: String, what: &'static str },
}

// === impl Register ===

impl Register {
    /// The register of a data directory. Nothing is read or made yet.
    pub fn new(data_dir: &Path) -> Register {
        let directory = data_dir.join(DIRECTORY);
        Register {
            path: directory.join(FILE_NAME),
            lock_path: directory.join(LOCK_NAME),
            cached: RwLock::new(None),
        }
    }

    /// Registers a request under the next number of its year.
    pub fn add(&self, new: New, note: Note<'_>) -> Result<Request, RegisterError> {
        self.update(|contents| {
            if contents.requests.len() >= MAX_REQUESTS {
                return Err(RegisterError::Full);
            }
            let last = contents.last.entry(new.year).or_default();
            *last += 1;
            let mut request = Request {
                number: format!("{:04}-{last:04}", new.year),
                site: new.site,
                kind: new.kind,
                about: new.about,
                identified: new.identified,
                subjects: new.subjects,
                received: new.received,
                law: new.law,
                zone: new.zone,
                due: new.due,
                first_step: new.first_step,
                extension: None,
                state: State::Open,
                purpose: within("the purpose", &new.purpose, MAX_TEXT_BYTES)?,
                answer: String::new(),
                closed: None,
                history: Vec::new(),
                acts: Vec::new(),
            };
            request.noted(note, MAX_HISTORY)?;
            request.check()?;
            contents.requests.push(request.clone());
            Ok(request)
        })
    }

    /// The request with this number.
    pub fn get(&self, number: &str) -> Result<Request, RegisterError> {
        let contents = self.read()?;
        let found = contents.requests.iter().find(|request| request.number == number);
        found.cloned().ok_or_else(|| RegisterError::NoRequest(number.chars().take(20).collect()))
    }

    /// The requests that the filter leaves, in the order of their registration.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Request>, RegisterError> {
        let contents = self.read()?;
        Ok(contents.requests.iter().filter(|request| filter.fits(request)).cloned().collect())
    }

    /// Changes a request, closed ones too, and notes that in its history.
    pub fn change(
        &self,
        number: &str,
        note: Note<'_>,
        change: impl FnOnce(&mut Request) -> Result<(), RegisterError>,
    ) -> Result<Request, RegisterError> {
        self.change_within(number, note, MAX_HISTORY, change)
    }

    /// Notes something in the history of several requests at once, and the acts that it
    /// made for each: of all or of none.
    pub fn note_each(
        &self,
        at: i64,
        who: &str,
        each: impl IntoIterator<Item = (String, String, Vec<String>)>,
    ) -> Result<(), RegisterError> {
        self.update(|contents| {
            let places: HashMap<String, usize> = contents
                .requests
                .iter()
                .enumerate()
                .map(|(place, one)| (one.number.clone(), place))
                .collect();
            for (number, what, acts) in each {
                let unknown = || RegisterError::NoRequest(number.chars().take(20).collect());
                let request = &mut contents.requests[*places.get(&number).ok_or_else(unknown)?];
                request.acts.extend(acts);
                request.noted(Note { at, who, what: &what }, MAX_HISTORY)?;
                request.check()?;
            }
            Ok(())
        })
    }

    /// Gives a request a longer term, once, and only while the first one runs.
    pub fn extend(
        &self,
        number: &str,
        extension: Extension,
        note: Note<'_>,
    ) -> Result<Request, RegisterError> {
        let reason = within("the reason", &extension.reason, MAX_TEXT_BYTES)?;
        self.change_within(number, note, MAX_HISTORY + RESERVED_HISTORY, |request| {
            request.open()?;
            if request.extension.is_some() {
                return Err(RegisterError::Extended(request.number.clone()));
            }
            if note.at >= request.due.ends {
                let (number, ended) = (request.number.clone(), request.due.date.to_string());
                return Err(RegisterError::TooLate { number, ended });
            }
            if reason.trim().is_empty() {
                return Err(RegisterError::Empty("the reason"));
            }
            request.extension = Some(Extension { reason, ..extension });
            Ok(())
        })
    }

    /// Notes that the step before the rest is done: unlawful processing has stopped.
    pub fn step_done(&self, number: &str, note: Note<'_>) -> Result<Request, RegisterError> {
        self.change_within(number, note, MAX_HISTORY + RESERVED_HISTORY, |request| {
            request.open()?;
            let nothing = RegisterError::NoStep(request.number.clone());
            let step = request.first_step.as_mut().filter(|step| step.done.is_none()).ok_or(nothing)?;
            step.done = Some(note.at);
            Ok(())
        })
    }

    /// Ends a request with what the person was told.
    pub fn close(
        &self,
        number: &str,
        outcome: Outcome,
        answer: &str,
        note: Note<'_>,
    ) -> Result<Request, RegisterError> {
        let answer = within("the answer", answer, MAX_TEXT_BYTES)?;
        self.change_within(number, note, MAX_HISTORY + RESERVED_HISTORY, |request| {
            request.open()?;
            if answer.trim().is_empty() {
                return Err(RegisterError::Empty("the answer"));
            }
            request.state = match outcome {
                Outcome::Done => State::Done,
                Outcome::Refused => State::Refused,
            };
            request.answer = answer;
            request.closed = Some(note.at);
            Ok(())
        })
    }

    /// Removes the requests that were closed before this moment, and says which.
    /// Their numbers are not given again.
    pub fn expire(&self, before: i64) -> Result<Vec<String>, RegisterError> {
        let is_past = |request: &Request| request.closed.is_some_and(|closed| closed < before);
        // Mostly there is nothing to do, and then nothing is written.
        if !self.read()?.requests.iter().any(is_past) {
            return Ok(Vec::new());
        }
        self.update(|contents| {
            let mut removed = Vec::new();
            contents.requests.retain(|request| {
                if is_past(request) {
                    removed.push(request.number.clone());
                }
                !is_past(request)
            });
            Ok(removed)
        })
    }

    fn change_within(
        &self,
        number: &str,
        note: Note<'_>,
        most_changes: usize,
        change: impl FnOnce(&mut Request) -> Result<(), RegisterError>,
    ) -> Result<Request, RegisterError> {
        self.update(|contents| {
            let request = contents.requests.iter_mut().find(|request| request.number == number);
            let request =
                request.ok_or_else(|| RegisterError::NoRequest(number.chars().take(20).collect()))?;
            let before = request.clone();
            change(request)?;
            request.noted(note, most_changes)?;
            request.is_the_same_as(&before)?;
            request.check()?;
            Ok(request.clone())
        })
    }

    fn read(&self) -> Result<Arc<Contents>, RegisterError> {
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

    /// Changes the register, alone among all processes, and waits until that is durable.
    fn update<T>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<T, RegisterError>,
    ) -> Result<T, RegisterError> {
        let _lock = file::lock(&self.lock_path)
            .map_err(|source| RegisterError::File { path: self.lock_path.clone(), source })?;
        let mut contents = self.load()?;
        let value = change(&mut contents)?;
        let mut text = serde_json::to_vec_pretty(&contents).expect("a register has string keys only");
        text.push(b'\n');
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(RegisterError::Bytes(text.len() as u64));
        }
        file::replace(&self.path, &text).map_err(|source| self.trouble(source))?;
        Ok(value)
    }

    fn load(&self) -> Result<Contents, RegisterError> {
        let bytes = file::read_within(&self.path, MAX_FILE_BYTES).map_err(|source| self.trouble(source))?;
        let Some(bytes) = bytes else { return Ok(Contents::default()) };
        let contents: Contents = serde_json::from_slice(&bytes)
            .map_err(|source| RegisterError::Format { path: self.path.clone(), source })?;
        if contents.version != FILE_VERSION {
            return Err(RegisterError::Later { path: self.path.clone(), version: contents.version });
        }
        contents.check().map_err(|what| RegisterError::Damaged { path: self.path.clone(), what })?;
        Ok(contents)
    }

    fn trouble(&self, source: std::io::Error) -> RegisterError {
        RegisterError::File { path: self.path.clone(), source }
    }
}

// === impl Contents ===

impl Default for Contents {
    fn default() -> Self {
        Contents { version: FILE_VERSION, last: BTreeMap::new(), requests: Vec::new() }
    }
}

impl Contents {
    /// What would let a number be given twice, or a bound be passed.
    fn check(&self) -> Result<(), String> {
        if self.requests.len() > MAX_REQUESTS {
            return Err(format!("{} requests, at most {MAX_REQUESTS} are kept", self.requests.len()));
        }
        let mut numbers = HashSet::new();
        for request in &self.requests {
            let number = &request.number;
            let (year, of_year) =
                parts(number).ok_or_else(|| format!("{number:?} is not a number such as 2026-0001"))?;
            if self.last.get(&year).is_none_or(|last| of_year > *last) {
                return Err(format!("{number} is beyond the last number of its year"));
            }
            if !numbers.insert(number) {
                return Err(format!("{number} is there twice"));
            }
            if request.is_open() == request.closed.is_some() {
                return Err(format!("{number} is {}, which its closing date denies", request.state.name()));
            }
            request.check().map_err(|error| format!("{number}: {error}"))?;
        }
        Ok(())
    }
}

// === impl Filter ===

impl Filter {
    fn fits(&self, request: &Request) -> bool {
        self.site.as_ref().is_none_or(|site| *site == request.site)
            && self.kind.is_none_or(|kind| kind == request.kind)
            && self.state.is_none_or(|state| state == request.state)
            && self.subject.is_none_or(|subject| request.subjects.contains(&subject))
            && self.overdue_at.is_none_or(|now| request.is_overdue(now))
    }
}

// === impl RegisterError ===

impl RegisterError {
    /// Whether what was given cannot be kept, whatever the register holds.
    pub fn is_about_the_question(&self) -> bool {
        matches!(self, RegisterError::Text { .. } | RegisterError::Empty(_))
    }
}

// === impl Request ===

impl Request {
    fn open(&self) -> Result<(), RegisterError> {
        if self.is_open() {
            return Ok(());
        }
        Err(RegisterError::Closed { number: self.number.clone(), state: self.state })
    }

    fn noted(&mut self, note: Note<'_>, most: usize) -> Result<(), RegisterError> {
        if self.history.len() >= most {
            return Err(RegisterError::Many { what: "changes", count: self.history.len() + 1, most });
        }
        let who = within("who changes it", note.who, MAX_WHO_BYTES)?;
        let what = within("what changes", note.what, MAX_WHAT_BYTES)?;
        self.history.push(Change { at: note.at, who, what });
        Ok(())
    }

    fn is_the_same_as(&self, before: &Request) -> Result<(), RegisterError> {
        for (is_same, what) in [
            (self.number == before.number, "the number"),
            (self.site == before.site, "the site"),
            (self.kind == before.kind, "the kind"),
            (self.received == before.received, "the moment of receipt"),
            (self.due == before.due, "the first due date"),
            (self.history.starts_with(&before.history), "the history"),
        ] {
            if !is_same {
                return Err(RegisterError::Fixed { number: before.number.clone(), what });
            }
        }
        Ok(())
    }

    /// Whether all of it is within its bounds.
    fn check(&self) -> Result<(), RegisterError> {
        let texts =
            [("the purpose", &self.purpose, MAX_TEXT_BYTES), ("the answer", &self.answer, MAX_TEXT_BYTES)];
        let reason = self.extension.iter().map(|extension| ("the reason", &extension.reason, MAX_TEXT_BYTES));
        let acts = self.acts.iter().map(|act| ("the name of an act", act, MAX_ACT_BYTES));
        let changes = self.history.iter().flat_map(|change| {
            [("who changes it", &change.who, MAX_WHO_BYTES), ("what changes", &change.what, MAX_WHAT_BYTES)]
        });
        for (what, text, most) in texts.into_iter().chain(reason).chain(acts).chain(changes) {
            if text.len() > most {
                return Err(RegisterError::Text { what, bytes: text.len(), most });
            }
        }
        for (what, count, most) in [
            ("subjects", self.subjects.len(), MAX_SUBJECTS),
            ("acts", self.acts.len(), MAX_ACTS),
            ("changes", self.history.len(), MAX_HISTORY + RESERVED_HISTORY),
        ] {
            if count > most {
                return Err(RegisterError::Many { what, count, most });
            }
        }
        Ok(())
    }
}

/// A text as it is kept; one that is too long is not even looked through.
fn within(what: &'static str, given: &str, most: usize) -> Result<String, RegisterError> {
    if given.len() > most {
        return Err(RegisterError::Text { what, bytes: given.len(), most });
    }
    Ok(text(given))
}

/// Year and number of `YYYY-NNNN`.
fn parts(number: &str) -> Option<(i16, u32)> {
    let (year, of_year) = number.split_once('-')?;
    let parsed = (year.parse().ok()?, of_year.parse().ok()?);
    // One spelling of each number.
    (format!("{:04}-{:04}", parsed.0, parsed.1) == number).then_some(parsed)
}
