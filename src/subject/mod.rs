//! What is done to one person's data: find, export, rectify, block, erase, and what the
//! person does not want any more.
//!
//! ```text
//! cookie, user key, address and time, or request ──find──► Person (site, keyed hashes)
//!                                                   ├─ export   everything held, in words
//!                                                   ├─ rectify  another value in a field, or none
//!                                                   ├─ block    in no number from now on, still stored; unblock
//!                                                   ├─ stop     no marketing from now on; no hits from now on
//!                                                   └─ erase    in no file any more ──► act of destruction
//! ```
//!
//! In: a [`Who`] on one site. Out: what was found or done, counted and verified.
//! An [`Office`] does it, in the running server or in a command without one.
//!
//! Invariants:
//! - A cookie's value, a user key and an address are used to make hashes and are
//!   kept nowhere: not in files, answers, errors or logs.
//! - Whatever is done covers hits that were answered before it began, also those
//!   that still wait in the spool.
//! - An erasure that was begun is carried out, whatever ends the process.
//! - What cannot be found (a destroyed key, a salt that is gone) is said, never
//!   passed over ([`Person::notes`]).
//!
//! Who counts as the person: a cookie is its browser. A user key is its own hits,
//! and the browsers with a cookie in which it and no other user key was seen; a
//! browser that several users share is left out, and said. An address is everybody
//! who was seen at it in the time that is named.
//!
//! It knows no roles and no register: whether somebody may ask is decided before it is
//! called. That somebody did stands in the audit trail before anything is done ([`job`]).
//!
//! - [`job`]: what an office is asked
//! - [`identity`]: whose hash a cookie or a user key is
//! - [`find`]: who is meant, and what is held
//! - [`note`]: what is said of it besides
//! - [`glance`]: the same in brief, for the person's own page
//! - `rows`: rows as they are shown to people
//! - [`export`]: the rows, with their meaning, as JSON, CSV and a page
//! - [`block`]: blocks and holds, and their copies outside storage
//! - [`kept`]: who is kept past their terms, as the spool asks
//! - [`rectify`]: another value in a field of the rows
//! - [`stop`]: marketing withdrawn, and browsers opted out
//! - [`choices`]: what the collector knows of that
//! - [`erase`]: the steps of an erasure, and its resumption
//! - [`batch`]: many erasures in one
//! - [`act`]: the act of destruction and the export of the event log

pub mod act;
pub mod batch;
pub mod block;
pub mod choices;
pub mod erase;
pub mod export;
pub mod find;
pub mod glance;
pub mod identity;
pub mod job;
pub mod kept;
pub mod note;
pub mod rectify;
pub(crate) mod rows;
pub mod stop;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::choices::Choices;
use self::note::Note;
use crate::audit::{AuditError, Trail};
use crate::config::{Config, Site};
use crate::privacy::keys::{CookieError, KeyRing};
use crate::rights::numbered::NumberedError;
use crate::rights::register::RegisterError;
use crate::rights::request::{MAX_SUBJECTS, Subject};
use crate::spool::{Outlet, SpoolError, tombstone};
use crate::store::{Storage, StorageError};

/// How often it is looked whether storage has what waited.
const POLL: Duration = Duration::from_millis(20);
/// How long storage may take for what waits, and the spool for letting go of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does the work. Cheap to clone.
#[derive(Clone)]
pub struct Office {
    pub config: Arc<Config>,
    pub keys: Arc<KeyRing>,
    pub storage: Storage,
    pub outlet: Outlet,
    pub trail: Arc<Trail>,
    pub choices: Arc<Choices>,
}

/// By what a person is identified. Holds personal data: it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Who {
    /// The value of the visitor's cookie.
    Cookie(String),
    /// The opaque key that the site gave a signed-in visitor.
    User(String),
    /// An address, and the range of time in which the person had it.
    Address { ip: String, from: String, to: String },
    /// Whom the register holds for this request.
    Request(String),
}

/// Somebody on a site, as rows know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub site: String,
    pub subjects: Vec<Subject>,
    /// What could not be found, and why.
    pub notes: Vec<Note>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    #[error("no site {0:?} is configured")]
    NoSite(String),
    #[error("the cookie identifies nobody: {0}")]
    Cookie(#[from] CookieError),
    #[error("the cookie's key {id} was destroyed on {at}: whether it is genuine cannot be told any more")]
    CookieKey { id: u32, at: String },
    #[error("the user key is empty or longer than {} bytes", crate::event::MAX_USER_KEY_BYTES)]
    UserKey,
    #[error("the user key is KEY.MAC, as the page sends it: give KEY alone")]
    SignedUserKey,
    #[error("{0}: expected an instant such as 2026-11-25T21:00:00Z")]
    Instant(&'static str),
    #[error("the address is not one: expected IPv4 or IPv6")]
    Address,
    #[error("{0}: expected one line of 1 to {max} bytes", max = job::MAX_TEXT_BYTES)]
    Text(&'static str),
    #[error("from is not before to")]
    Range,
    /// An address of many people.
    #[error("more than {MAX_SUBJECTS} visitors were seen at this address in this time: name a shorter time")]
    TooMany,
    #[error("more than {0} rows are held: name a shorter time, or export from storage itself")]
    TooLong(u64),
    #[error("more than {} blocks: some must end first", crate::store::MAX_BLOCKS)]
    TooManyBlocks,
    #[error("more than {} choices of browsers: some must end first", choices::MAX_CHOICES)]
    TooManyChoices,
    #[error("more than {0} cookies were offered to these visitors: name a shorter time")]
    TooManyBrowsers(usize),
    /// A user key, or hits without a cookie.
    #[error(
        "it is the browser that opts out, and none is known here: name its cookie, or have the visitor use /privacy"
    )]
    NoBrowser,
    #[error("there is no such field: expected a column of hits, or props.NAME")]
    NoField,
    #[error("{field} is not rectified: {why}")]
    Field { field: &'static str, why: &'static str },
    /// Without the value, which is personal data.
    #[error("{field}: expected {expected}")]
    Value { field: String, expected: String },
    #[error("no request is named")]
    NoRequests,
    #[error("request {0} is named twice")]
    Twice(String),
    #[error("the history of request {0} is full")]
    FullHistory(String),
    #[error("{0} people stand behind these requests, at most {max} are erased in one go", max = batch::MAX_PEOPLE)]
    TooManyPeople(usize),
    #[error("{} is held for a claim: release it first", match .0 { Some(number) => format!("the person of request {number}"), None => "the person".to_owned() })]
    Held(Option<String>),
    #[error("{rows} rows of {} are held for the claim of somebody who shares the browser: release that hold first", match .request { Some(number) => format!("the person of request {number}"), None => "the person".to_owned() })]
    HeldRows { request: Option<String>, rows: u64 },
    #[error("an erasure of the person was begun: what is left of them cannot be held any more")]
    Erasing,
    #[error("storage did not take all that waits within {} s", PATIENCE.as_secs())]
    Waiting,
    #[error("the spool did not let go of its files within {} s: is a backup being made?", PATIENCE.as_secs())]
    Spool,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: not what this version writes: {what}")]
    Format { path: PathBuf, what: String },
    /// Storage still has rows of somebody who was to be erased.
    #[error("{rows} rows are left of {of} that were to be destroyed")]
    Left { rows: u64, of: u64 },
    #[error("{0} people at once, at most {max} are erased in one go", max = erase::MAX_ORDERS)]
    TooManyOrders(usize),
    #[error("request {number} is about the site {site:?}")]
    OtherSite { number: String, site: String },
    /// Its person was identified by other means, or nobody was found.
    #[error("request {0} holds no subject: whoever it is about was identified by other means")]
    NoSubject(String),
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Records(#[from] NumberedError),
    #[error("the audit trail: {0}")]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Log(#[from] SpoolError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Thread(String),
}

// === impl SubjectError ===

impl SubjectError {
    /// Storage is away, and the same may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            SubjectError::Waiting => true,
            SubjectError::Storage(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Whether what was asked is at fault.
    pub fn is_of_the_question(&self) -> bool {
        use SubjectError::*;
        matches!(
            self,
            NoSite(_)
                | UserKey
                | SignedUserKey
                | Instant(_)
                | Address
                | Range
                | Text(_)
                | OtherSite { .. }
                | NoSubject(_)
                | Audit(AuditError::Field { .. })
                | TooMany
                | TooLong(_)
                | TooManyBlocks
                | Held(_)
                | HeldRows { .. }
                | Erasing
                | TooManyChoices
                | TooManyBrowsers(_)
                | NoBrowser
                | NoField
                | Field { .. }
                | Value { .. }
                | NoRequests
                | Twice(_)
                | FullHistory(_)
                | TooManyPeople(_)
                | Register(RegisterError::NoRequest(_) | RegisterError::Many { .. })
                | TooManyOrders(_)
        )
    }
}

// === impl Office ===

impl Office {
    pub(crate) fn site(&self, id: &str) -> Result<&Site, SubjectError> {
        self.config.site(id).ok_or_else(|| SubjectError::NoSite(id.to_owned()))
    }

    /// Returns when storage has all that was answered before `before_ms`.
    pub(crate) async fn caught_up(&self, before_ms: i64) -> Result<(), SubjectError> {
        self.outlet.seal();
        let arrived = async {
            while self.outlet.has_waiting(before_ms.cast_unsigned()) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.map_err(|_| SubjectError::Waiting)
    }

    /// Private files about requests and what was done for them.
    fn dir(&self) -> PathBuf {
        dir(&self.config)
    }
}

/// Where the register and the copies of the lists stand.
fn dir(config: &Config) -> PathBuf {
    config.data_dir.join("rights")
}

// === impl Who ===

impl Who {
    /// By what, without the value.
    pub fn name(&self) -> &'static str {
        match self {
            Who::Cookie(_) => "cookie",
            Who::User(_) => "user key",
            Who::Address { .. } => "address",
            Who::Request(_) => "request",
        }
    }

    /// A text in which the value does not stand by which the person is identified.
    pub fn without_value(&self, text: &str) -> String {
        match self {
            Who::Cookie(value) | Who::User(value) | Who::Address { ip: value, .. } if !value.is_empty() => {
                text.replace(value.as_str(), "[removed]")
            }
            _ => text.to_owned(),
        }
    }
}

// === impl Person ===

impl Person {
    /// What the hashes are, for storage and spool.
    pub fn subjects(&self) -> impl Iterator<Item = tombstone::Subject> + '_ {
        self.subjects.iter().copied().map(tombstone::Subject::from)
    }
}

/// Runs what reads or writes a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SubjectError> + Send + 'static,
) -> Result<T, SubjectError> {
    off_thread(work).await?
}

/// The same for work with errors of its own.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SubjectError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| SubjectError::Thread(error.to_string()))
}
