//! To whom a person's data were disclosed, for their own copy ([`crate::subject::export`]).
//!
//! In: the log, the person's keyed hashes, and when their hits came. Out: the disclosures
//! whose person they were; and as possible ones those of a range in which hits of theirs
//! lie that were there at the time. Whether these were in it is not known: what was
//! blocked then was left out, and a hit that is past its term is not seen any more.

use jiff::Timestamp;
use serde::Serialize;

use super::asked::RecipientKind;
use super::log::{Disclosed, Disclosure, Log};
use crate::rights::numbered::NumberedError;
use crate::subject::Person;

/// One disclosure, as the person is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    pub number: String,
    /// RFC 3339.
    pub at: String,
    pub recipient: String,
    pub recipient_kind: RecipientKind,
    pub basis: String,
    pub purpose: String,
    pub fields: Vec<String>,
    /// Whether the disclosure was about them, or only may have had hits of theirs in it.
    pub possibly: bool,
}

/// What the log says about a person whose hits came at these moments.
pub fn told(log: &Log, person: &Person, times: &[i64]) -> Result<Vec<Told>, NumberedError> {
    let concerns = |one: &Disclosure| match &one.scope {
        Disclosed::Person { subjects } | Disclosed::Case { subjects, .. } => {
            subjects.iter().any(|subject| person.subjects.contains(subject)).then_some(false)
        }
        Disclosed::Range { from, to } => {
            times.iter().any(|time| (*from..*to).contains(time) && *time <= one.at).then_some(true)
        }
    };
    let of_site = log.list()?.into_iter().filter(|one| one.site == person.site);
    Ok(of_site.filter_map(|one| concerns(&one).map(|possibly| Told::of(one, possibly))).collect())
}

// === impl Told ===

impl Told {
    fn of(one: Disclosure, possibly: bool) -> Told {
        Told {
            number: one.number,
            at: Timestamp::from_millisecond(one.at).unwrap_or_default().to_string(),
            recipient: one.recipient,
            recipient_kind: one.recipient_kind,
            basis: one.basis,
            purpose: one.purpose,
            fields: one.fields,
            possibly,
        }
    }
}
