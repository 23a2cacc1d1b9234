//! Who is kept past their terms: people who are held for a claim, or blocked.
//!
//! Intake does not ask who that is: it writes every row as one that ends with its term, and
//! storage is told later. A row that waits longer than the shortest term, in the spool or
//! in a dead letter, would be left out as expired, or destroyed by storage's own terms as
//! soon as it is there. So it gets its `hold` when its batch is read ([`super::batch`]).
//!
//! In: a site and keyed hashes. Out: whether a row is covered, by the same hashes as by a
//! tombstone. Where the lists stand the spool does not know: it asks a [`WhoIsKept`], each
//! time that it reads such a batch, since people are put on them and taken off meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Subject;
use crate::store::row::Head;

/// Says who is kept now, or why that cannot be said: then nothing that is old is delivered,
/// and nothing left out.
pub type WhoIsKept = dyn Fn() -> Result<Arc<Kept>, String> + Send + Sync;

/// Whose rows are kept past their terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(HashMap<String, HashSet<Subject>>);

// === impl Kept ===

impl Kept {
    pub fn covers(&self, row: &Head<'_>) -> bool {
        let Some(subjects) = self.0.get(row.site) else { return false };
        Subject::of(row).iter().any(|subject| subjects.contains(subject))
    }
}

impl FromIterator<(String, Subject)> for Kept {
    fn from_iter<I: IntoIterator<Item = (String, Subject)>>(all: I) -> Kept {
        let mut kept = Kept::default();
        for (site, subject) in all {
            kept.0.entry(site).or_default().insert(subject);
        }
        kept
    }
}
