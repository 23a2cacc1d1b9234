//! The case file: the trail of one visitor, for a stated purpose (policy clauses 4.1.8,
//! 4.1.9: payments are confirmed or contested, technical support).
//!
//! ```text
//! Asked (site, who, range, purpose, words) ─► checked ─► audit trail ─► who that is ─► keys of the hits
//!                                                                                       │ narrow columns, all of the range
//!                          JSON, CSV, page ◄─ File ◄─ hits of this page ◄─ visits, summary ◄┘
//! ```
//!
//! In: an [`Asked`], and who asks. Out: a [`File`], which is a page of the trail with a
//! summary of the whole range. An [`Office`] does it, in the running server or in a command
//! without one.
//!
//! Invariants:
//! - No look without a purpose from [`PURPOSES`] and a line that says why.
//! - The entry of the audit trail is on the disk before storage is asked anything. If it
//!   cannot be written, nothing is read.
//! - Whoever is blocked is not there: the answer is as if nobody was found. That holds in
//!   SQL ([`crate::query::Visible`]), so also for a block that comes meanwhile.
//! - Visits are those of the statistics ([`crate::identify::visit`]), except that marked
//!   hits are among them, since a case is often about these.
//! - An address is a token: what is stored, in hex, and the number of its key. Equal tokens
//!   are equal addresses; nothing here turns one back. A file without tokens does not speak of them.
//! - What identifies the person (cookie, user key, address) is in no file and no answer.
//!
//! It hands nothing to anybody outside: that is a disclosure ([`crate::disclosure`]), which
//! has a scope for it.
//!
//! Limits: [`MAX_CASE_ROWS`] hits on a page, [`MAX_TRAIL_ROWS`] in the whole range,
//! [`MAX_BASIS_BYTES`], [`MAX_MINUTES`].
//!
//! - [`trail`]: which hits, in which order
//! - [`visits`]: whose hit it is, and how a person's hits are cut into visits
//! - [`file`]: the document as JSON, CSV and lines
//! - `page`: the document as a page to be printed
//! - `words`: what storage keeps by a name of a closed list, in words

pub mod file;
mod page;
pub mod trail;
pub mod visits;
mod words;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use file::{File, Format};
pub use trail::{Part, Span, Trail};

use crate::audit::entry::MAX_WORDS_BYTES;
use crate::audit::{self, Action, Actor, Entry, Purpose};
use crate::config::Site;
use crate::policy::Language;
use crate::privacy::address::ClientIp;
use crate::query::Visible;
use crate::rights::numbered::kept;
use crate::subject::note::Note;
use crate::subject::{Office, Person, SubjectError, Who, identity, off_thread};

/// The most hits of one page: a long afternoon's reading, and half a megabyte of text.
pub const MAX_CASE_ROWS: u64 = 1_000;
/// Hits of a page when nothing is said.
pub const DEFAULT_CASE_ROWS: u64 = 200;
/// The most hits of a trail, on all its pages: as many as a person's own copy has.
pub const MAX_TRAIL_ROWS: u64 = crate::subject::export::MAX_ROWS;
/// The longest basis, in bytes: it stands in the detail of an entry, beside other words.
pub const MAX_BASIS_BYTES: usize = 200;
/// How far from a visit a payment's moment may be, in minutes: a day; a bank's clock and
/// date may be of another zone.
pub const MAX_MINUTES: u32 = 24 * 60;
/// The same when nothing is said: the time after which a visit ends.
pub const DEFAULT_MINUTES: u32 = 30;
/// For what a case file is opened. Marketing and requests of the person have ways of their own.
pub const PURPOSES: [Purpose; 6] = [
    Purpose::Fraud,
    Purpose::Payments,
    Purpose::Support,
    Purpose::Claim,
    Purpose::Security,
    Purpose::StateBody,
];

/// One look at one person. Holds personal data: it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub site: String,
    pub who: Who,
    /// Hits from this instant, RFC 3339; for as long as the site keeps hits when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To before this one; until now when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub purpose: Purpose,
    /// Why, in one line.
    pub words: String,
    /// The number of a contract, a ticket, a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// The moment of a payment that is contested: which visit was it in?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<String>,
    /// How far from the visit that moment may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// So many hits of the trail are left out at its beginning.
    #[serde(default)]
    pub offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(default)]
    pub format: Format,
    /// Of the page to be printed; Russian when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// What was asked, when it may be.
struct Wanted {
    span: Span,
    words: String,
    basis: Option<String>,
    around: Option<Around>,
    part: Part,
}

/// A moment that is looked for among the visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// Milliseconds since 1970.
    pub at: i64,
    pub minutes: u32,
}

/// Why no case file was opened.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("purpose: {0} is not one of a case file: expected one of {list}", list = names())]
    Purpose(Purpose),
    #[error("{0}: expected one line of 1 to {1} bytes")]
    Text(&'static str, usize),
    #[error("{0}: expected an instant such as 2026-11-25T21:00:00Z")]
    Instant(&'static str),
    #[error("from is not before to and now")]
    Range,
    #[error("limit: expected 1 to {MAX_CASE_ROWS}")]
    Limit,
    #[error("minutes: expected 0 to {MAX_MINUTES}, beside around")]
    Minutes,
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

fn names() -> String {
    PURPOSES.map(Purpose::name).join(", ")
}

// === impl CaseError ===

impl CaseError {
    /// Whether what was asked is at fault.
    pub fn is_of_the_question(&self) -> bool {
        match self {
            CaseError::Subject(error) => error.is_of_the_question(),
            _ => true,
        }
    }

    /// Storage is away, and the same may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, CaseError::Subject(error) if error.is_retryable())
    }
}

// === impl Wanted ===

impl Wanted {
    /// Refuses what may not be looked at, before anything is.
    fn of(asked: &Asked, site: &Site, now: Timestamp) -> Result<Wanted, CaseError> {
        if !PURPOSES.contains(&asked.purpose) {
            return Err(CaseError::Purpose(asked.purpose));
        }
        let line = |name, given: &str, most| {
            let without = asked.who.without_value(given);
            let text = kept(name, &without, most).map_err(|_| CaseError::Text(name, most))?;
            // A person's name is not to be turned round, nor a line forged.
            if given.chars().any(char::is_control) { Err(CaseError::Text(name, most)) } else { Ok(text) }
        };
        let around = match (&asked.around, asked.minutes) {
            (None, None) => None,
            (Some(at), minutes) => {
                let minutes = minutes.unwrap_or(DEFAULT_MINUTES);
                if minutes > MAX_MINUTES {
                    return Err(CaseError::Minutes);
                }
                Some(Around { at: instant("around", at)?.as_millisecond(), minutes })
            }
            (None, Some(_)) => return Err(CaseError::Minutes),
        };
        let limit = asked.limit.unwrap_or(DEFAULT_CASE_ROWS);
        if !(1..=MAX_CASE_ROWS).contains(&limit) {
            return Err(CaseError::Limit);
        }
        Ok(Wanted {
            span: span(asked.from.as_deref(), asked.to.as_deref(), site, now)?,
            words: line("words", &asked.words, MAX_WORDS_BYTES)?,
            basis: asked.basis.as_deref().map(|basis| line("basis", basis, MAX_BASIS_BYTES)).transpose()?,
            around,
            part: Part { offset: asked.offset, limit },
        })
    }

    /// What an entry of the trail says of it besides.
    fn detail(&self, who: &Who) -> String {
        let Span { from, to } = self.span;
        let mut detail =
            format!("by {}, {} to {}, from hit {}", who.name(), moment(from), moment(to), self.part.offset);
        if let Some(basis) = &self.basis {
            detail.push_str(&format!(", basis: {basis}"));
        }
        detail
    }
}

/// The range of a trail: what is not said is the site's term, and now.
pub(crate) fn span(
    from: Option<&str>,
    to: Option<&str>,
    site: &Site,
    now: Timestamp,
) -> Result<Span, CaseError> {
    let term = SignedDuration::from_hours(24 * i64::from(site.retention.raw_days));
    let from = from.map(|from| instant("from", from)).transpose()?;
    let from = from.unwrap_or_else(|| now.checked_sub(term).unwrap_or(Timestamp::UNIX_EPOCH));
    // A hit of this very moment is meant too.
    let end = now.checked_add(SignedDuration::from_millis(1)).unwrap_or(now);
    let to = to.map(|to| instant("to", to)).transpose()?.map_or(end, |to| to.min(end));
    if from >= to {
        return Err(CaseError::Range);
    }
    Ok(Span { from: from.as_millisecond(), to: to.as_millisecond() })
}

fn instant(name: &'static str, text: &str) -> Result<Timestamp, CaseError> {
    text.parse().map_err(|_| CaseError::Instant(name))
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

// === impl Office ===

impl Office {
    /// Opens a case file: the entry of the audit trail first, then the hits.
    pub async fn case(&self, asked: Asked, by: Actor, now: Timestamp) -> Result<File, CaseError> {
        let site = self.site(&asked.site)?.clone();
        let wanted = Wanted::of(&asked, &site, now)?;
        let subject = self.named(&site, &asked.who)?;
        let opened_by = by.to_string();
        let entry = |subject: Option<audit::Subject>, detail: String| Entry {
            subject,
            ..Entry::new(now, by.clone(), Action::CaseFileOpened)
                .site(&site.id)
                .purpose(asked.purpose, Some(&wanted.words))
                .detail(detail)
        };
        let is_named = subject.is_some();
        self.noted(entry(subject, wanted.detail(&asked.who))).await?;

        let person = self.person(&site.id, &asked.who, now).await?;
        // By an address nobody is known before it is looked for: a second entry names whom
        // it is, before a hit of theirs is read.
        if let (false, Some(first)) = (is_named, person.subjects.first()) {
            let detail = format!("{} visitors at the address", person.subjects.len());
            self.noted(entry(Some(audit::Subject::hash(first.hash.0)), detail)).await?;
        }
        let trail = self
            .trail(&person, wanted.span, wanted.part, Visible::unblocked(self.storage.database()))
            .await?;
        Ok(File {
            site: site.id.clone(),
            timezone: site.timezone.clone(),
            made: now,
            by: opened_by,
            recipient: None,
            who: asked.who.name(),
            purpose: asked.purpose,
            words: wanted.words,
            basis: wanted.basis,
            notes: notes(&person, &asked.who, &trail, true),
            around: wanted.around,
            span: wanted.span,
            part: wanted.part,
            trail,
            format: asked.format,
            language: asked.language.unwrap_or(Language::Ru),
            has_addresses: true,
        })
    }

    /// Whom an entry is about, as far as that can be said without storage; none of an address.
    fn named(&self, site: &Site, who: &Who) -> Result<Option<audit::Subject>, CaseError> {
        if let Who::Request(number) = who {
            return Ok(Some(audit::Subject::request(number).map_err(SubjectError::from)?));
        }
        // What is no address is refused before it is an entry.
        if let Who::Address { ip, from, to } = who {
            ClientIp::parse(ip).ok_or(SubjectError::Address)?;
            if instant("from", from)? >= instant("to", to)? {
                return Err(SubjectError::Range.into());
            }
        }
        let hash = identity::hash_of(&self.keys, &site.id, who)?;
        Ok(hash.map(|subject| audit::Subject::hash(crate::rights::request::Subject::from(subject).hash.0)))
    }

    async fn noted(&self, entry: Entry) -> Result<(), CaseError> {
        let trail = self.trail.clone();
        off_thread(move || trail.append(&entry)).await?.map_err(SubjectError::from)?;
        Ok(())
    }
}

/// What could not be found, and of tokens where the file has them. Of somebody who is not
/// there nothing tells whether they ever were.
pub(crate) fn notes(person: &Person, who: &Who, trail: &Trail, has_addresses: bool) -> Vec<Note> {
    let is_of_rows = matches!(who, Who::User(_) | Who::Request(_));
    if trail.summary.hits == 0 && is_of_rows {
        return Vec::new();
    }
    let mut notes = person.notes.clone();
    if has_addresses && trail.summary.addresses > 0 {
        notes.push(Note::Tokens);
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn site() -> Site {
        let text = "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
        let config = crate::config::Config::parse(text, [], std::path::Path::new("/srv")).expect("valid");
        config.site("clinic").expect("configured").clone()
    }

    fn wanted(changes: serde_json::Value) -> Result<Wanted, String> {
        let mut asked = json!({
            "site": "clinic", "who": { "user": "anna-key-1" }, "purpose": "payments", "words": "card contested",
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            asked[name] = value.clone();
        }
        let asked: Asked = serde_json::from_value(asked).map_err(|error| error.to_string())?;
        let now = "2026-11-26T10:00:00Z".parse().expect("a moment");
        Wanted::of(&asked, &site(), now).map_err(|error| error.to_string())
    }

    #[test]
    fn what_may_not_be_looked_at_is_refused_before_anything_is() {
        for (changes, expected) in [
            (json!({ "purpose": "marketing" }), "purpose: marketing is not one of a case file"),
            (json!({ "purpose": "rights" }), "purpose: rights is not one of a case file"),
            (json!({ "purpose": "curiosity" }), "unknown variant"),
            (json!({ "purpose": null }), "expected"),
            (json!({ "words": "" }), "words: expected one line"),
            (json!({ "words": " " }), "words: expected one line"),
            (json!({ "words": "a\nb" }), "words: expected one line"),
            (json!({ "words": "x".repeat(MAX_WORDS_BYTES + 1) }), "words: expected one line"),
            (json!({ "basis": "" }), "basis: expected one line"),
            (json!({ "basis": "x".repeat(MAX_BASIS_BYTES + 1) }), "basis: expected one line"),
            (json!({ "from": "yesterday" }), "from: expected an instant"),
            (json!({ "to": "today" }), "to: expected an instant"),
            (json!({ "from": "2026-11-27T00:00:00Z" }), "from is not before to and now"),
            (json!({ "limit": 0 }), "limit: expected 1 to"),
            (json!({ "limit": MAX_CASE_ROWS + 1 }), "limit: expected 1 to"),
            (json!({ "minutes": 5 }), "minutes: expected"),
            (json!({ "around": "2026-11-26T09:00:00Z", "minutes": MAX_MINUTES + 1 }), "minutes: expected"),
            (json!({ "around": "noon" }), "around: expected an instant"),
            (json!({ "more": 1 }), "unknown field"),
        ] {
            let error = wanted(changes.clone()).err().unwrap_or_else(|| panic!("{changes} is taken"));
            assert!(error.contains(expected), "{changes}: {error}");
            assert!(!error.contains("anna-key-1"), "{error}");
        }
        for purpose in PURPOSES {
            assert!(wanted(json!({ "purpose": purpose })).is_ok(), "{purpose}");
        }
    }

    #[test]
    fn a_range_that_is_not_said_is_the_sites_term_and_ends_now() {
        let all = wanted(json!({})).expect("wanted");
        let days = i64::from(site().retention.raw_days);
        assert_eq!(all.span.to - all.span.from, days * 86_400_000 + 1);
        let later = wanted(json!({ "to": "2100-01-01T00:00:00Z" })).expect("wanted");
        assert_eq!(later.span, all.span);
    }

    #[test]
    fn tokens_are_spoken_of_only_where_the_file_has_them() {
        let person =
            Person { site: "clinic".to_owned(), subjects: Vec::new(), notes: vec![Note::WithoutCookie] };
        let of = |who: &Who, hits: u64, addresses: u64, has_addresses: bool| {
            let summary = trail::Summary { hits, addresses, ..trail::Summary::default() };
            let trail = Trail { visits: Vec::new(), hits: Vec::new(), more: false, summary };
            notes(&person, who, &trail, has_addresses)
        };
        let (cookie, user) = (Who::Cookie("value".to_owned()), Who::User("anna-key-1".to_owned()));
        assert_eq!(of(&cookie, 2, 1, true), [Note::WithoutCookie, Note::Tokens]);
        assert_eq!(of(&cookie, 2, 1, false), [Note::WithoutCookie], "handed out without them");
        assert_eq!(of(&cookie, 2, 0, true), [Note::WithoutCookie], "none is stored");
        assert!(of(&user, 0, 0, true).is_empty(), "as if they never were");
    }

    #[test]
    fn what_is_written_down_identifies_nobody_and_fits_an_entry() {
        let changes = json!({
            "words": "anna-key-1 at 192.0.2.7", "basis": "договор № 17-2026",
        });
        let wanted = wanted(changes).expect("wanted");
        assert_eq!(wanted.words, "[removed] at [address]");
        let detail = wanted.detail(&Who::User("anna-key-1".to_owned()));
        assert!(
            detail.ends_with("basis: договор № 17-2026") && detail.starts_with("by user key, "),
            "{detail}"
        );
        assert!(detail.len() + MAX_BASIS_BYTES <= audit::entry::MAX_DETAIL_BYTES);
    }
}
