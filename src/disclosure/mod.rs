//! Disclosures: what is handed out to anybody outside, and the log of it (policy
//! clauses 3.4, 5.2, 5.3).
//!
//! ```text
//! Asked (recipient, basis, purpose, scope) ─► checked ─► audit trail ─► rows ─► bytes ─► log ─► handed out
//! ```
//!
//! In: an [`Asked`], and who asks. Out: the record ([`Disclosure`]) and the text, whose
//! SHA-256 is in the record. An [`Office`] does it, in the running server or in a
//! command without one.
//!
//! Invariants:
//! - Nothing leaves without a recipient, its kind, a legal basis, a purpose and a scope.
//! - The entry of the audit trail is on the disk before a row is read, and the record
//!   before a byte is handed out. A process that ends in between leaves a record without
//!   a hand-out, never a hand-out without a record.
//! - A case file ([`crate::case`]) goes out as its page is shown, whole: with the tokens of
//!   addresses to a state body or a court, without them to anybody else.
//! - Keyed hashes and addresses go to a state body or a court only ([`IDENTIFYING`]);
//!   columns that are about how rows are stored go to nobody.
//! - Whoever is blocked is in no range, for whomever it is. Of a person who is blocked
//!   nothing is disclosed but to a state body or a court.
//! - What identifies the person is kept nowhere: the record has keyed hashes.
//!
//! A range that ends later than now ends now. Visitors are counted as the statistics
//! count them ([`crate::query`]).
//!
//! Limits: [`MAX_ROWS`], [`MAX_COPY_BYTES`], [`MAX_TEXT_BYTES`], and those of [`log`].
//!
//! - [`log`]: what was disclosed, `rights/disclosures.json`
//! - [`asked`]: what an office is asked, and whether it may be
//! - [`copy`]: the rows as they are handed out
//! - [`told`]: to whom a person's data were disclosed, for their own copy

pub mod asked;
pub mod copy;
pub mod log;
pub mod told;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use asked::{Asked, Format, IDENTIFYING, RecipientKind, Scope};
pub use log::{Disclosure, Log};

use crate::audit::{self, Action, Actor, AuditError, Entry};
use crate::case::{self, CaseError};
use crate::parse::text::cut;
use crate::rights::numbered::{NumberedError, TextError, year_of};
use crate::rights::register::{Note, Register, RegisterError};
use crate::rights::request::MAX_WHO_BYTES;
use crate::store::List;
use crate::subject::{Office, Person, SubjectError, Who, off_thread};
use asked::{Of, Wanted};
use copy::{Copy, Found};

/// The most rows of one disclosure: as many as a person's own copy has.
pub const MAX_ROWS: u64 = crate::subject::export::MAX_ROWS;
/// The longest text that is handed out, in bytes: within JSON, with a sign before each
/// quotation mark, it still passes the control socket.
pub const MAX_COPY_BYTES: usize = 24 << 20;
/// A recipient, a basis, a purpose: some sentences, in bytes.
pub const MAX_TEXT_BYTES: usize = 1000;

/// Why nothing was disclosed.
#[derive(Debug, thiserror::Error)]
pub enum DisclosureError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("{0}: expected an instant such as 2026-11-25T21:00:00Z")]
    Instant(&'static str),
    #[error("from is not before to and now")]
    Range,
    #[error("no field is named: say which of the columns of hits are to be disclosed")]
    NoFields,
    #[error("{0:?} is not a field that can be disclosed")]
    Field(String),
    #[error("the field {0} tells who somebody is: it is disclosed to a state body or a court only")]
    Identifying(&'static str),
    #[error("this person's data are blocked: they are disclosed to a state body or a court only")]
    Blocked,
    #[error("a page is made of a case file only: expected json or csv")]
    Page,
    #[error("{bytes} bytes, at most {MAX_COPY_BYTES} are handed out: name a shorter time or fewer fields")]
    TooLong { bytes: usize },
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error(transparent)]
    Log(#[from] NumberedError),
}

// === impl DisclosureError ===

impl DisclosureError {
    /// Whether what was asked is at fault.
    pub fn is_of_the_question(&self) -> bool {
        match self {
            DisclosureError::Subject(error) => error.is_of_the_question(),
            DisclosureError::Case(error) => error.is_of_the_question(),
            DisclosureError::Log(error) => matches!(error, NumberedError::NoNumber(_)),
            _ => true,
        }
    }

    /// Storage is away, and the same may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, DisclosureError::Subject(error) if error.is_retryable())
    }
}

impl From<RegisterError> for DisclosureError {
    fn from(error: RegisterError) -> DisclosureError {
        DisclosureError::Subject(error.into())
    }
}

impl From<AuditError> for DisclosureError {
    fn from(error: AuditError) -> DisclosureError {
        DisclosureError::Subject(error.into())
    }
}

// === impl Office ===

impl Office {
    /// Discloses what is asked: `{"disclosure": D, "text": "…"}`, where D is a
    /// [`Disclosure`]. The record is on the disk when this returns.
    pub async fn disclose(&self, asked: Asked, by: Actor, now: Timestamp) -> Result<Value, DisclosureError> {
        let site = self.site(&asked.site)?.clone();
        let wanted = Wanted::of(asked, now)?;
        let found = match &wanted.of {
            Of::Person(who) => Found::Person(self.disclosable(&site.id, who, &wanted, now).await?),
            Of::Case { who, from, to } => {
                let span = case::span(from.as_deref(), to.as_deref(), &site, now)?;
                let person = self.disclosable(&site.id, who, &wanted, now).await?;
                Found::Case { person, who: who.clone(), span }
            }
            Of::Range { from, to } => {
                self.caught_up(now.as_millisecond()).await?;
                Found::Range { from: *from, to: *to }
            }
        };
        let who = cut(&by.to_string(), MAX_WHO_BYTES).to_owned();
        let entry = entry(&wanted, &site.id, &found, by, now)?;
        let (trail, register) = (self.trail.clone(), Register::new(&self.config.data_dir));
        let (number, of_site) = (wanted.request.clone(), site.id.clone());
        off_thread(move || -> Result<(), DisclosureError> {
            if let Some(number) = number {
                let request = register.get(&number)?;
                if request.site != of_site {
                    return Err(SubjectError::OtherSite { number, site: request.site }.into());
                }
            }
            trail.append(&entry)?;
            Ok(())
        })
        .await??;

        let copy = self.copy(&site, &wanted, found, now).await?;
        let (log, register) = (Log::new(&self.config.data_dir), Register::new(&self.config.data_dir));
        let year = year_of(&site.timezone, now);
        off_thread(move || -> Result<Value, DisclosureError> {
            let Copy { text, rows, visitors, scope } = copy;
            let sha256 = log::sha256(text.as_bytes());
            let recorded = log.add(year, |number| Disclosure {
                number,
                at: now.as_millisecond(),
                site: site.id,
                recipient: wanted.recipient,
                recipient_kind: wanted.recipient_kind,
                basis: wanted.basis,
                purpose: wanted.stated,
                scope,
                fields: wanted.fields.iter().map(|field| (*field).to_owned()).collect(),
                format: wanted.format,
                rows,
                visitors,
                sha256,
                who: who.clone(),
                request: wanted.request,
            })?;
            if let Some(request) = &recorded.request {
                let what = format!("disclosed as {}: {rows} rows", recorded.number);
                let note = Note { at: now.as_millisecond(), who: &who, what: &what };
                register.change(request, note, |_| Ok(()))?;
            }
            Ok(json!({ "disclosure": recorded, "text": text }))
        })
        .await?
    }

    /// Who that is, unless the recipient may have nothing of them.
    async fn disclosable(
        &self,
        site: &str,
        who: &Who,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Person, DisclosureError> {
        let person = self.person(site, who, now).await?;
        if !wanted.recipient_kind.may_identify() && self.is_blocked(&person).await? {
            return Err(DisclosureError::Blocked);
        }
        Ok(person)
    }

    /// Whether any of their hashes is blocked: what one of them covers is not disclosed.
    async fn is_blocked(&self, person: &Person) -> Result<bool, SubjectError> {
        let blocks = self.storage.listed(List::Blocked).await?;
        let mut subjects = person.subjects();
        Ok(subjects
            .any(|subject| blocks.iter().any(|block| block.site == person.site && block.subject == subject)))
    }
}

/// What the audit trail says of it.
fn entry(wanted: &Wanted, site: &str, found: &Found, by: Actor, now: Timestamp) -> Result<Entry, AuditError> {
    let words = cut(&wanted.stated, audit::entry::MAX_WORDS_BYTES);
    let mut entry = Entry::new(now, by, Action::Disclosed)
        .site(site)
        .purpose(wanted.purpose(), Some(words))
        .detail(wanted.described());
    let request = wanted.request.as_deref().map(audit::Subject::request).transpose()?;
    let first = match found {
        Found::Person(person) | Found::Case { person, .. } => person.subjects.first(),
        Found::Range { .. } => None,
    };
    entry.subject = request.or_else(|| first.map(|first| audit::Subject::hash(first.hash.0)));
    Ok(entry)
}
