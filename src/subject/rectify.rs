//! A stored field of a person's rows is corrected or cleared.

use jiff::Timestamp;

use super::stop::Changed;
use super::{Office, Person, SubjectError};

/// A checked correction. Holds personal data: it cannot be printed.
pub struct Correction;

// === impl Correction ===

impl Correction {
    /// A field of the rows in `from..to`, RFC 3339, gets this value.
    pub fn new(_: &str, _: &str, _: Option<&str>, _: Option<&str>) -> Result<Correction, SubjectError> {
        Err(SubjectError::Thread("not built yet".to_owned()))
    }
}

// === impl Office ===

impl Office {
    /// From the return on the person's rows have the value.
    pub async fn rectify(&self, _: Person, _: Correction, _: Timestamp) -> Result<Changed, SubjectError> {
        Err(SubjectError::Thread("not built yet".to_owned()))
    }
}
