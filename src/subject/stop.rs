//! Consent to marketing withdrawn, and a browser opted out, by the officer.
//!
//! ```text
//! marketing:  noted for the browsers ──► what waits is stored ──► consent "marketing" becomes "granted" in storage
//! opt-out:    noted for the browsers ──► their next hit is refused, and its answer opts them out
//! ```
//!
//! The note ([`super::choices`]) comes first, so that no hit falls between the two. Both
//! may be asked for again. What came before is as it was in an older backup: a start
//! looks after it again ([`Office::recheck_marketing`]).
//!
//! A browser is its cookie. Hits that come without it are another browser's for the
//! collector, and what a page says in a hit by itself counts as the visitor's word.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::block::blocks;
use super::choices::Choice;
use super::find::params;
use super::note::Note;
use super::{Office, Person, SubjectError, blocking};
use crate::rights::request::SubjectKind;
use crate::store::{Change, Limits};

/// The most cookies that one job is about: an address's visitors who take none are offered
/// one with each hit.
const MAX_BROWSERS: usize = 10_000;

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    #[serde(flatten)]
    pub person: Person,
    /// Rows that are stored of them.
    pub rows: u64,
    /// Rows that have another value now; for an opt-out, the browsers that were noted.
    pub changed: u64,
}

// === impl Office ===

impl Office {
    /// From the return on no row of the person is for marketing, and none to come of their
    /// browsers until the visitor says so anew.
    pub async fn withdraw_marketing(
        &self,
        mut person: Person,
        now: Timestamp,
    ) -> Result<Changed, SubjectError> {
        let browsers = self.browsers(&person).await?;
        if !browsers.is_empty() {
            self.note(Choice::NoMarketing, &person, browsers, now).await?;
        }
        // Whatever was judged without the note has come by now.
        let until = Timestamp::now().as_millisecond().saturating_add(1);
        self.caught_up(until).await?;
        let changed = self.storage.correct(&blocks(&person), (0, until), &Change::NoMarketing).await?;
        if person.subjects.iter().any(|subject| subject.kind == SubjectKind::UserKey) {
            person.notes.push(Note::OtherBrowsers);
        }
        self.changed(person, changed).await
    }

    /// From the return on nothing is stored of the person's browsers.
    pub async fn opt_out(&self, person: Person, now: Timestamp) -> Result<Changed, SubjectError> {
        let browsers = self.browsers(&person).await?;
        if browsers.is_empty() {
            return Err(SubjectError::NoBrowser);
        }
        let noted = browsers.len() as u64;
        self.note(Choice::OptOut, &person, browsers, now).await?;
        self.changed(person, noted).await
    }

    /// At a start, when storage is there: a restored backup may have brought back a
    /// consent that was withdrawn. Says how many rows had it.
    pub async fn recheck_marketing(&self) -> Result<u64, SubjectError> {
        let whose = self.choices.list().of(Choice::NoMarketing);
        let until = Timestamp::now().as_millisecond();
        Ok(self.storage.correct(&whose, (0, until), &Change::NoMarketing).await?)
    }

    pub(super) async fn changed(&self, person: Person, changed: u64) -> Result<Changed, SubjectError> {
        let held = self.held(person).await?;
        Ok(Changed { person: held.person, rows: held.rows, changed })
    }

    async fn note(
        &self,
        choice: Choice,
        person: &Person,
        browsers: BTreeSet<u64>,
        now: Timestamp,
    ) -> Result<(), SubjectError> {
        let (choices, site) = (self.choices.clone(), person.site.clone());
        let browsers: Vec<u64> = browsers.into_iter().collect();
        blocking(move || choices.add(choice, &site, &browsers, now)).await
    }

    /// The cookies by which the person's browsers are known: the subjects themselves, but
    /// for hashes of a day, and the cookies that were offered to these.
    async fn browsers(&self, person: &Person) -> Result<BTreeSet<u64>, SubjectError> {
        let visitors = person.subjects.iter().filter(|subject| subject.kind == SubjectKind::Visitor);
        let mut browsers: BTreeSet<u64> = visitors.map(|subject| subject.hash.0).collect();
        if browsers.is_empty() {
            return Ok(browsers);
        }
        let sql = format!(
            "SELECT DISTINCT visitor, minted, identity = 'cookie' FROM {}.hits WHERE site = {{site:String}} \
             AND (visitor IN {{visitors:Array(UInt64)}} OR minted IN {{visitors:Array(UInt64)}} \
             OR before IN {{visitors:Array(UInt64)}}) LIMIT {}",
            self.storage.database(),
            MAX_BROWSERS + 1
        );
        let rows = self.storage.json(&sql, &params(person), &Limits::default()).await?;
        if rows.len() > MAX_BROWSERS {
            return Err(SubjectError::TooManyBrowsers(MAX_BROWSERS));
        }
        for row in rows {
            let number = |column: usize| row.get(column).and_then(|cell| cell.as_u64()).unwrap_or_default();
            let (visitor, minted, is_cookie) = (number(0), number(1), number(2) == 1);
            if !is_cookie {
                browsers.remove(&visitor);
            }
            if minted != 0 {
                browsers.insert(minted);
            }
        }
        Ok(browsers)
    }
}
