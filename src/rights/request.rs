//! One request as the register holds it.
//!
//! It names nobody: subjects are the keyed hashes that rows hold, and how the
//! person was identified is one word. Free texts pass [`text`], which takes out
//! what looks like an address, a contact, a document number, a token or a cookie,
//! as page hygiene does for hits; it knows them by shape only, so that names stay.
//!
//! All texts and lists are bounded by the constants here.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::terms::{Due, Kind, Law};
use crate::parse::{hygiene, text::clean};
use crate::spool::tombstone;

/// A purpose, a reason, an answer: a page of text, in bytes.
pub const MAX_TEXT_BYTES: usize = 4000;
/// Who did something, in bytes.
pub const MAX_WHO_BYTES: usize = 128;
/// What was done, in bytes.
pub const MAX_WHAT_BYTES: usize = 300;
/// A person has a few browsers and a user key; an address of a company, some
/// hundred visitors.
pub const MAX_SUBJECTS: usize = 1000;
/// Changes of one request.
pub const MAX_HISTORY: usize = 200;
/// Further ones for extending and closing, so that a full history hinders neither.
pub const RESERVED_HISTORY: usize = 8;
/// Acts and exports of one request.
pub const MAX_ACTS: usize = 200;
/// The longest name of one, in bytes.
pub const MAX_ACT_BYTES: usize = 256;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `YYYY-NNNN`: the year in which it was registered, and a number of that year.
    pub number: String,
    pub site: String,
    pub kind: Kind,
    /// The duty that a claim is about.
    pub about: Option<Kind>,
    pub identified: IdentifiedBy,
    pub subjects: Vec<Subject>,
    /// Milliseconds since 1970, as all moments here.
    pub received: i64,
    pub law: Law,
    /// The site's time zone when it was registered, in which its days end.
    pub zone: String,
    pub due: Due,
    /// What has to be done before the rest.
    pub first_step: Option<FirstStep>,
    pub extension: Option<Extension>,
    pub state: State,
    pub purpose: String,
    /// What the person was told.
    pub answer: String,
    pub closed: Option<i64>,
    pub history: Vec<Change>,
    /// Names of acts and exports that carrying it out has made.
    pub acts: Vec<String>,
}

/// How the person was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentifiedBy {
    Cookie,
    User,
    Ip,
    /// By none of these: there is no hash to look for.
    Other,
}

/// A keyed hash that rows hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub kind: SubjectKind,
    pub hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    Visitor,
    UserKey,
}

/// 16 hex digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not answered yet
    Open,
    /// Carried out and answered
    Done,
    /// Answered with a refusal
    Refused,
}

/// A step with a term of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstStep {
    /// What it is: `stop`.
    pub what: String,
    pub due: Due,
    pub done: Option<i64>,
}

/// A longer term, of which the person was told with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// So many calendar days later than before.
    pub days: i32,
    pub reason: String,
    pub at: i64,
    pub until: Due,
}

/// One line of a request's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub at: i64,
    pub who: String,
    pub what: String,
}

// === impl Request ===

impl Request {
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Until when it must be done, with its extension.
    pub fn due(&self) -> &Due {
        self.extension.as_ref().map_or(&self.due, |extension| &extension.until)
    }

    /// The next term that runs: the first step's, then the rest's; none once closed.
    pub fn next_due(&self) -> Option<&Due> {
        let first = self.first_step.as_ref().filter(|step| step.done.is_none());
        self.is_open().then(|| first.map_or(self.due(), |step| &step.due))
    }

    /// The request as it is kept, and what follows from it at a moment.
    pub fn described(&self, now: i64) -> serde_json::Value {
        let mut value = serde_json::json!(self);
        let due = self.due();
        value["due_date"] = due.date.to_string().into();
        value["calendar_known"] = due.holidays.are_known().into();
        value["next_due_date"] = self.next_due().map(|due| due.date.to_string()).into();
        value["overdue"] = self.is_overdue(now).into();
        value
    }

    pub fn is_overdue(&self, now: i64) -> bool {
        self.next_due().is_some_and(|due| now >= due.ends)
    }
}

// === impl IdentifiedBy, State ===

impl IdentifiedBy {
    pub const fn name(self) -> &'static str {
        match self {
            IdentifiedBy::Cookie => "cookie",
            IdentifiedBy::User => "user",
            IdentifiedBy::Ip => "ip",
            IdentifiedBy::Other => "other",
        }
    }
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Done => "done",
            State::Refused => "refused",
        }
    }
}

// === impl Subject ===

impl Subject {
    pub fn visitor(hash: u64) -> Subject {
        Subject { kind: SubjectKind::Visitor, hash: Hash(hash) }
    }

    pub fn user_key(hash: u64) -> Subject {
        Subject { kind: SubjectKind::UserKey, hash: Hash(hash) }
    }
}

impl From<tombstone::Subject> for Subject {
    fn from(subject: tombstone::Subject) -> Subject {
        match subject {
            tombstone::Subject::Visitor(hash) => Subject::visitor(hash),
            tombstone::Subject::UserKey(hash) => Subject::user_key(hash),
        }
    }
}

impl From<Subject> for tombstone::Subject {
    fn from(subject: Subject) -> tombstone::Subject {
        match subject.kind {
            SubjectKind::Visitor => tombstone::Subject::Visitor(subject.hash.0),
            SubjectKind::UserKey => tombstone::Subject::UserKey(subject.hash.0),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SubjectKind::Visitor => "visitor",
            SubjectKind::UserKey => "user_key",
        };
        write!(f, "{kind} {}", self.hash)
    }
}

// === impl Hash ===

impl Hash {
    /// Exactly 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Hash> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Hash)).flatten()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 16 hex digits"))
    }
}

/// A text as the register keeps it: without control characters, and with
/// what points at a person by its shape taken out.
pub fn text(text: &str) -> String {
    let cleaned = clean(text);
    let scrubbed = hygiene::scrub(&cleaned);
    let words: Vec<Cow<'_, str>> = scrubbed.split(' ').map(without_identifier).collect();
    words.join(" ")
}

/// A word, unless it holds an address or a value of the visitor's cookie.
fn without_identifier(word: &str) -> Cow<'_, str> {
    let is_part = |letter: char| letter.is_ascii_hexdigit() || letter == ':' || letter == '.';
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    let holds_address = word.split(|letter| !is_part(letter)).any(|run| {
        // Behind a word of nothing but hex digits: `add:192.0.2.7`.
        let labelled = run.split(':').map(|part| part.trim_matches('.'));
        // Colons may end an address, and begin one.
        let begun = run.trim_start_matches([':', '.']);
        let whole =
            [run, run.trim_end_matches('.'), begun.trim_end_matches('.'), run.trim_matches([':', '.'])];
        whole.into_iter().chain(labelled).any(is_address)
    });
    if holds_address {
        return Cow::Borrowed("[address]");
    }
    if word.split('.').any(|part| part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Cow::Borrowed("[token]");
    }
    Cow::Borrowed(word)
}

/// Dates as `yyyy-mm-dd`.
pub(super) mod day {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("expected a date"))
    }
}

/// Days from one date to another.
pub(super) fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_points_at_a_person_by_its_shape_is_in_no_text() {
        let cookie = format!("v1.1.20260101.{}.{}", "ab".repeat(16), "cd".repeat(16));
        for (given, expected) in [
            ("answered in writing on 3 December".to_owned(), "answered in writing on 3 December"),
            (format!("the cookie {cookie}, twice"), "the cookie"),
            ("from 192.0.2.7".to_owned(), "from [address]"),
            (
                "ip:192.0.2.7, add:192.0.2.7 and адрес:2001:db8:7::".to_owned(),
                "[address] [address] and [address]",
            ),
            ("at 10:30:15, ticket 12.7.1, v1.2.3".to_owned(), "at 10:30:15, ticket 12.7.1, v1.2.3"),
            (
                "from (192.0.2.7), 2001:db8::7/64 and [2001:db8::7]:443.".to_owned(),
                "from [address] [address] and [address]",
            ),
            ("sent to olga@clinic.example".to_owned(), "sent to [email]"),
            ("two\nlines".to_owned(), "two"),
        ] {
            let kept = text(&given);
            assert!(kept.starts_with(expected), "{given:?} became {kept:?}");
            assert!(!kept.contains("abab") && !kept.contains("192.0") && !kept.contains("db8"), "{kept:?}");
        }
    }

    #[test]
    fn a_hash_is_sixteen_digits_and_nothing_else() {
        assert_eq!(Hash::parse("00000000000000ff"), Some(Hash(255)));
        assert_eq!(Hash(255).to_string(), "00000000000000ff");
        for wrong in
            ["", "ff", "00000000000000FF", "00000000000000fg", "+0000000000000ff", "000000000000000ff"]
        {
            assert_eq!(Hash::parse(wrong), None, "{wrong:?}");
        }
    }
}
