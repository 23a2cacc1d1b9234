//! Consent to marketing withdrawn, and a browser opted out, by the officer.

use jiff::Timestamp;
use serde::Serialize;

use super::{Office, Person, SubjectError};

/// What a change of stored rows did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    #[serde(flatten)]
    pub person: Person,
    /// Rows that are stored of them.
    pub rows: u64,
    /// Rows that have another value now.
    pub changed: u64,
}

// === impl Office ===

impl Office {
    /// From the return on no row of the person is for marketing.
    pub async fn withdraw_marketing(&self, _: Person, _: Timestamp) -> Result<Changed, SubjectError> {
        Err(SubjectError::Thread("not built yet".to_owned()))
    }

    /// From the return on nothing is stored of the person's browsers.
    pub async fn opt_out(&self, _: Person, _: Timestamp) -> Result<Changed, SubjectError> {
        Err(SubjectError::Thread("not built yet".to_owned()))
    }
}
