//! The log of disclosures: `rights/disclosures.json`, a file of numbered records
//! ([`crate::rights::numbered`]).
//!
//! ```text
//! {"number":"D-2026-0001","at":MS,"site":"clinic","recipient":"…","recipient_kind":"state_body",
//!  "basis":"…","purpose":"…","scope":{"range":{"from":MS,"to":MS}},"fields":["time","path"],
//!  "format":"csv","rows":17,"visitors":4,"sha256":"HEX","who":"olga","request":null}
//! ```
//!
//! A record never changes. It is kept for three years, as closed requests are
//! ([`crate::retention::others`]).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::asked::{Format, RecipientKind};
use super::{MAX_ROWS, MAX_TEXT_BYTES};
use crate::rights::numbered::{Numbered, Record};
use crate::rights::request::{MAX_SUBJECTS, MAX_WHO_BYTES, Subject};
use crate::store::row::COLUMNS;

/// A clinic has some tens a year; they go after three years.
pub const MAX_DISCLOSURES: usize = 10_000;
/// The hex digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// The store.
pub type Log = Numbered<Disclosure>;

/// One disclosure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// `D-YYYY-NNNN`.
    pub number: String,
    /// Milliseconds since 1970, as all moments here.
    pub at: i64,
    pub site: String,
    pub recipient: String,
    pub recipient_kind: RecipientKind,
    pub basis: String,
    pub purpose: String,
    pub scope: Disclosed,
    /// The columns of `hits` that were in it.
    pub fields: Vec<String>,
    pub format: Format,
    pub rows: u64,
    /// Distinct visitors, as the statistics count them.
    pub visitors: u64,
    /// Of the very bytes that were handed out.
    pub sha256: String,
    pub who: String,
    /// The number of the request in the register.
    pub request: Option<String>,
}

/// Of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Disclosed {
    Person {
        subjects: Vec<Subject>,
    },
    Range {
        from: i64,
        to: i64,
    },
    /// The case file of a person, of this range.
    Case {
        subjects: Vec<Subject>,
        from: i64,
        to: i64,
    },
}

// === impl Disclosure ===

impl Record for Disclosure {
    const WHAT: &'static str = "a log of disclosures";
    const NAME: &'static str = "disclosures";
    const LETTER: char = 'D';
    const MOST: usize = MAX_DISCLOSURES;

    fn number(&self) -> &str {
        &self.number
    }

    fn check(&self) -> Result<(), String> {
        for (what, text, most) in [
            ("the recipient", &self.recipient, MAX_TEXT_BYTES),
            ("the basis", &self.basis, MAX_TEXT_BYTES),
            ("the purpose", &self.purpose, MAX_TEXT_BYTES),
            ("who disclosed it", &self.who, MAX_WHO_BYTES),
        ] {
            if text.is_empty() || text.len() > most {
                return Err(format!("{what} has {} bytes, expected 1 to {most}", text.len()));
            }
        }
        match &self.scope {
            Disclosed::Person { subjects } | Disclosed::Case { subjects, .. }
                if subjects.len() > MAX_SUBJECTS =>
            {
                return Err(format!("{} subjects, at most {MAX_SUBJECTS} are kept", subjects.len()));
            }
            Disclosed::Range { from, to } | Disclosed::Case { from, to, .. } if from >= to => {
                return Err("its range ends at its beginning".to_owned());
            }
            _ => {}
        }
        if self.fields.is_empty() || self.fields.len() > COLUMNS.len() {
            return Err(format!("{} fields", self.fields.len()));
        }
        if self.rows > MAX_ROWS || self.visitors > self.rows {
            return Err(format!("{} rows of {} visitors", self.rows, self.visitors));
        }
        let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if self.sha256.len() != SHA256_DIGITS || !self.sha256.bytes().all(is_hex) {
            return Err("its sha256 is none".to_owned());
        }
        Ok(())
    }
}

/// As it is written: 64 lower-case hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
