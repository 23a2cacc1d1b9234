//! Statistics of visitors' addresses, to find technical problems and abuse (policy clause
//! 3.3.2), without the addresses; and one address opened, with a reason.
//!
//! ```text
//! question + purpose ─► audit trail
//!               ▼
//!             forms: the busiest stored addresses of the range, as ciphertext and key id
//!               │ revealed in this process, and forgotten at once
//!               ▼
//!             groups: a keyed hash of the address or of its network for each form
//!               ▼
//!             one statement over hits and refusals, by group ─► rows with tokens, totals, notes
//!
//! token + purpose ─► bound by hour ─► is it of the site? ─► audit trail ─► the address, and where it was seen
//! ```
//!
//! In: the JSON of a question about one site ([`question`]), or of an [`Opening`]. Out: the JSON of
//! the answer, as `docs/addresses.md` has it, or an [`AddressError`].
//!
//! Invariants:
//! - An answer names an address by a token, which is what storage holds (ciphertext and key id), and
//!   a network by a keyed hash. No address leaves but from [`Desk::open`], one at a time.
//! - An address that was used in two months has two ciphertexts, and a network has as many as
//!   addresses: they are brought together in this process, which has the keys. Storage is given
//!   keyed hashes, never an address.
//! - What a blocked visitor sent is not there, and what was erased is not. Refusals hold no
//!   visitor: they are there until their term, or until their address is erased.
//! - Nothing is told before its entry is in the audit trail, on the disk; if that cannot be
//!   written, nothing is told. Only that the site does not have an address, whose token somebody
//!   holds, or that its key is destroyed, is told without one.
//! - An address is opened only on a site that has hits or refusals from it.
//! - Each number is a recount of visible hits and of the table `refusals`.
//!
//! Bounds: [`MAX_FORMS`] addresses are brought together, busiest first, and what is outside is
//! said; [`MAX_LIMIT`] rows of one answer; [`OPENINGS_PER_HOUR`] for whoever opens.
//!
//! It does not know roles.
//!
//! - [`question`]: what may be asked
//! - [`token`]: how an address and a network are named
//! - `listing`: what the trail says of a question
//! - `statement`: the SQL
//! - `answer`: a question answered
//! - `open`: an address opened

mod answer;
mod listing;
mod open;
pub mod question;
mod statement;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

pub use open::{OPENINGS_PER_HOUR, Opening, Openings};
pub use question::MAX_LIMIT;

use crate::audit::{AuditError, Entry, Trail};
use crate::privacy::keys::KeyRing;
use crate::query::{self, QueryError};
use crate::store::{Storage, StorageError};

/// How many stored addresses are brought together for one question: a month of a clinic's
/// visitors, and about a megabyte for the statement.
pub const MAX_FORMS: usize = 10_000;

/// Answers questions and opens addresses. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub keys: Arc<KeyRing>,
    pub storage: Storage,
    pub trail: Arc<Trail>,
    pub openings: Arc<Openings>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The question is wrong: one line for each mistake. Answer 400.
    #[error("{}", .0.join("\n"))]
    Question(Vec<String>),
    /// It would take more time or memory than a question may. Answer 422.
    #[error("the question needs more time or memory than is allowed, ask for a shorter range")]
    TooExpensive,
    /// The token is of no address that the site has. Answer 404.
    #[error("address: the site has no hits and no refusals from this address, or not any more")]
    Unseen,
    /// Nobody can read it any more. Answer 409.
    #[error("address: the key {0} of its month is destroyed, nobody can read it any more")]
    Destroyed(u32),
    /// Answer 429.
    #[error("one person opens at most {OPENINGS_PER_HOUR} addresses at once, and then as many in an hour")]
    TooOften(Duration),
    /// The entry could not be written, so nothing was told. Answer 500.
    #[error("the audit trail: {0}")]
    Audit(#[from] AuditError),
    /// Storage failed. Answer 503.
    #[error(transparent)]
    Storage(StorageError),
    #[error("the work ended in a panic")]
    Panic,
}

// === impl Desk ===

impl Desk {
    /// Writes an entry into the audit trail, where that keeps nobody else waiting.
    async fn note(&self, entry: Entry) -> Result<(), AddressError> {
        let trail = self.trail.clone();
        tokio::task::spawn_blocking(move || trail.append(&entry))
            .await
            .map_err(|_| AddressError::Panic)??;
        Ok(())
    }
}

// === impl AddressError ===

impl AddressError {
    /// Whether what was asked is at fault.
    pub fn is_of_the_question(&self) -> bool {
        matches!(
            self,
            AddressError::Question(_)
                | AddressError::Unseen
                | AddressError::Destroyed(_)
                | AddressError::Audit(AuditError::Field { .. })
        )
    }

    fn wrong(line: impl Into<String>) -> AddressError {
        AddressError::Question(vec![line.into()])
    }
}

impl From<StorageError> for AddressError {
    fn from(error: StorageError) -> AddressError {
        match query::refused(error) {
            QueryError::Invalid(lines) => AddressError::Question(lines),
            QueryError::TooExpensive => AddressError::TooExpensive,
            QueryError::Storage(error) => AddressError::Storage(error),
        }
    }
}
