//! What others' records tell of a person: to whom their data was disclosed, and which
//! incidents touch it.
//!
//! The page asks for both through [`Records`]; whoever keeps such a record answers.

use jiff::Timestamp;

use super::Asking;
use crate::subject::Person;

/// The most disclosures and notices of one person that are shown.
pub const MAX_TOLD: usize = 50;

/// Data of the person that was given to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    pub at: Timestamp,
    pub recipient: String,
    /// On which legal ground, in the officer's words.
    pub basis: String,
    pub purpose: String,
    /// The columns of `hits` that were given.
    pub fields: Vec<String>,
}

/// What the person is to be told of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub number: String,
    pub russian: String,
    pub english: String,
}

/// Who keeps such records.
pub trait Records: Send + Sync {
    /// To whom the person's data was disclosed; `None` where no log is kept.
    fn disclosures(&self, person: Person) -> Asking<Option<Vec<Disclosure>>>;
    /// The open incidents of the site in whose time hits of the person came.
    fn notices(&self, person: Person) -> Asking<Vec<Notice>>;
}

/// Where nobody keeps any.
pub struct NoRecords;

// === impl NoRecords ===

impl Records for NoRecords {
    fn disclosures(&self, _: Person) -> Asking<Option<Vec<Disclosure>>> {
        Box::pin(async { Ok(None) })
    }

    fn notices(&self, _: Person) -> Asking<Vec<Notice>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
