//! What an office is asked to disclose, as it comes from a command, the control socket
//! or a page; and what of it may be.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DisclosureError, MAX_TEXT_BYTES};
use crate::audit::Purpose;
use crate::case;
use crate::policy::Language;
use crate::privacy::inventory::{self, Place};
use crate::rights::numbered::kept;
use crate::store::row::COLUMNS;
use crate::subject::Who;
use crate::subject::export::INTERNAL;

/// The columns of `hits` that tell who somebody is: keyed hashes, and the address.
pub const IDENTIFYING: &[&str] = &["visitor", "minted", "before", "user_key", "ip"];
/// What an error shows of a field that is none, in letters.
const SHOWN_LETTERS: usize = 40;

/// One disclosure.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub site: String,
    /// Who gets it, in words.
    pub recipient: String,
    pub recipient_kind: RecipientKind,
    /// By which law, order or contract.
    pub basis: String,
    pub purpose: String,
    pub scope: Scope,
    pub format: Format,
    /// Of the page of a case file; Russian when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The number of the request in the register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Of whom. Holds personal data: it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Everything that is held of one person, but what the recipient may not have.
    Person(Who),
    /// These columns of all hits from one instant to before another, RFC 3339.
    Range { from: String, to: String, fields: Vec<String> },
    /// The case file of one person ([`crate::case`]): their trail from one instant to before
    /// another, as long as the site keeps hits where these are not given.
    Case {
        who: Who,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
}

/// Clause 5.2 of the policy allows telephone operators and quality control, clause 5.3
/// state bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum RecipientKind {
    /// A telephone operator (clause 5.2)
    Operator,
    /// Quality control (clause 5.2)
    Quality,
    /// A state body, on a legal basis (clause 5.3)
    StateBody,
    /// A court
    Court,
    /// Who processes on the operator's behalf
    Processor,
    /// Anybody else: the basis says why it is allowed
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For programs, with the meaning of each field
    Json,
    /// For a spreadsheet
    Csv,
    /// To be printed; of a case file only
    Html,
}

/// Of whom, when it may be.
pub(super) enum Of {
    Person(Who),
    /// In milliseconds since 1970.
    Range {
        from: i64,
        to: i64,
    },
    /// Its range is a matter of the site, too.
    Case {
        who: Who,
        from: Option<String>,
        to: Option<String>,
    },
}

/// What was asked, when it may be.
pub(super) struct Wanted {
    pub recipient: String,
    pub recipient_kind: RecipientKind,
    pub basis: String,
    /// In words.
    pub stated: String,
    pub of: Of,
    /// In the order of the row.
    pub fields: Vec<&'static str>,
    pub format: Format,
    pub language: Language,
    pub request: Option<String>,
}

// === impl RecipientKind ===

impl RecipientKind {
    pub const fn name(self) -> &'static str {
        match self {
            RecipientKind::Operator => "operator",
            RecipientKind::Quality => "quality",
            RecipientKind::StateBody => "state_body",
            RecipientKind::Court => "court",
            RecipientKind::Processor => "processor",
            RecipientKind::Other => "other",
        }
    }

    /// Whether they may have what tells who somebody is.
    pub const fn may_identify(self) -> bool {
        matches!(self, RecipientKind::StateBody | RecipientKind::Court)
    }
}

impl fmt::Display for RecipientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Format ===

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Html => "html",
        }
    }

    /// As a case file knows it.
    pub(super) const fn of_case(self) -> case::Format {
        match self {
            Format::Json => case::Format::Json,
            Format::Csv => case::Format::Csv,
            Format::Html => case::Format::Html,
        }
    }
}

// === impl Wanted ===

impl Wanted {
    /// Refuses what may not be disclosed, before anything is looked at.
    pub fn of(asked: Asked, now: Timestamp) -> Result<Wanted, DisclosureError> {
        let text = |what, given: &str| kept(what, &asked.scope.without_values(given), MAX_TEXT_BYTES);
        let (recipient, basis, purpose) = (
            text("recipient", &asked.recipient)?,
            text("basis", &asked.basis)?,
            text("purpose", &asked.purpose)?,
        );
        let kind = asked.recipient_kind;
        if asked.format == Format::Html && !matches!(asked.scope, Scope::Case { .. }) {
            return Err(DisclosureError::Page);
        }
        let may_have = |field: &&str| kind.may_identify() || !is_identifying(field);
        let (of, fields) = match asked.scope {
            Scope::Person(who) => (Of::Person(who), disclosable().filter(may_have).collect()),
            Scope::Case { who, from, to } => {
                let fields = case::trail::COLUMNS.iter().copied().filter(may_have);
                (Of::Case { who, from, to }, fields.collect())
            }
            Scope::Range { from, to, fields } => (range_of(&from, &to, now)?, fields_of(&fields, kind)?),
        };
        Ok(Wanted {
            recipient,
            recipient_kind: kind,
            basis,
            stated: purpose,
            of,
            fields,
            format: asked.format,
            language: asked.language.unwrap_or(Language::Ru),
            request: asked.request,
        })
    }

    /// Which purpose of the trail's list that is.
    pub fn purpose(&self) -> Purpose {
        match self.recipient_kind {
            kind if kind.may_identify() => Purpose::StateBody,
            _ if self.request.is_some() => Purpose::Rights,
            _ => Purpose::Support,
        }
    }

    /// For the audit trail, without what identifies anybody.
    pub fn described(&self) -> String {
        let scope = match &self.of {
            Of::Person(who) => format!("a person by {}", who.name()),
            Of::Case { who, .. } => format!("the case file of a person by {}", who.name()),
            Of::Range { from, to } => {
                let moment = |ms: &i64| Timestamp::from_millisecond(*ms).unwrap_or_default();
                format!("{} to {}", moment(from), moment(to))
            }
        };
        let (kind, fields, format) = (self.recipient_kind, self.fields.len(), self.format.name());
        format!("to {kind}: {scope}, {fields} fields, {format}")
    }
}

// === impl Scope ===

impl Scope {
    /// A text in which no value stands that identifies the person.
    fn without_values(&self, text: &str) -> String {
        match self {
            Scope::Person(who) | Scope::Case { who, .. } => who.without_value(text),
            Scope::Range { .. } => text.to_owned(),
        }
    }
}

/// The columns that may be disclosed to somebody, in the order of the row.
pub fn disclosable() -> impl Iterator<Item = &'static str> {
    let is_told = |column: &&str| inventory::field(Place::Table("hits"), column).is_some();
    COLUMNS.iter().copied().filter(|column| !INTERNAL.contains(column)).filter(is_told)
}

fn is_identifying(field: &str) -> bool {
    IDENTIFYING.contains(&field)
}

/// From and to; what is still to come is left out.
fn range_of(from: &str, to: &str, now: Timestamp) -> Result<Of, DisclosureError> {
    let instant = |name, text: &str| text.parse::<Timestamp>().map_err(|_| DisclosureError::Instant(name));
    let (from, to) = (instant("from", from)?, instant("to", to)?.min(now));
    if from >= to {
        return Err(DisclosureError::Range);
    }
    Ok(Of::Range { from: from.as_millisecond(), to: to.as_millisecond() })
}

/// The named columns in the order of the row, each once.
fn fields_of(names: &[String], kind: RecipientKind) -> Result<Vec<&'static str>, DisclosureError> {
    if names.is_empty() {
        return Err(DisclosureError::NoFields);
    }
    if let Some(other) = names.iter().find(|name| !disclosable().any(|field| field == name.as_str())) {
        return Err(DisclosureError::Field(other.chars().take(SHOWN_LETTERS).collect()));
    }
    let fields: Vec<&str> = disclosable().filter(|field| names.iter().any(|name| name == field)).collect();
    match fields.iter().find(|field| is_identifying(field) && !kind.may_identify()) {
        Some(field) => Err(DisclosureError::Identifying(field)),
        None => Ok(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecipientKind::{Court, Operator, Other, Processor, Quality, StateBody};

    fn asked_for(scope: Scope, kind: RecipientKind) -> Asked {
        Asked {
            site: "clinic".to_owned(),
            recipient: "LLC Calls".to_owned(),
            recipient_kind: kind,
            basis: "clause 5.2".to_owned(),
            purpose: "quality of calls".to_owned(),
            scope,
            format: Format::Json,
            language: None,
            request: None,
        }
    }

    fn wanted(scope: Scope, kind: RecipientKind, recipient: &str) -> Result<Wanted, String> {
        let asked = Asked { recipient: recipient.to_owned(), ..asked_for(scope, kind) };
        let now = "2026-11-26T10:00:00Z".parse().expect("a moment");
        Wanted::of(asked, now).map_err(|error| error.to_string())
    }

    fn range(from: &str, to: &str, fields: &[&str]) -> Scope {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Scope::Range { from: from.to_owned(), to: to.to_owned(), fields }
    }

    #[test]
    fn who_may_have_what_is_decided_before_anything_is_looked_at() {
        let (from, to) = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        for (scope, kind, expected) in [
            (range(from, to, &["path", "time"]), Operator, Ok("time,path")),
            (range(from, to, &["path", "path"]), Quality, Ok("path")),
            (range(from, to, &["ip", "visitor"]), Court, Ok("visitor,ip")),
            (range(from, to, &["path", "ip"]), Operator, Err("the field ip tells who")),
            (range(from, to, &["user_key"]), Processor, Err("the field user_key tells who")),
            (range(from, to, &["minted"]), Other, Err("the field minted tells who")),
            (range(from, to, &["batch"]), StateBody, Err("\"batch\" is not a field")),
            (range(from, to, &["ip_key"]), StateBody, Err("\"ip_key\" is not a field")),
            (range(from, to, &["path, time"]), StateBody, Err("\"path, time\" is not a field")),
            (range(from, to, &[]), StateBody, Err("no field is named")),
            (range(to, from, &["path"]), StateBody, Err("from is not before to")),
            (range(to, "2027-01-01T00:00:00Z", &["path"]), StateBody, Err("from is not before to and now")),
            (range("yesterday", to, &["path"]), StateBody, Err("from: expected an instant")),
            (range(from, "today", &["path"]), StateBody, Err("to: expected an instant")),
        ] {
            match (wanted(scope, kind, "LLC Calls").map(|wanted| wanted.fields.join(",")), expected) {
                (Ok(fields), Ok(expected)) => assert_eq!(fields, expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
        // A person is disclosed with all that the recipient may have.
        let person = || Scope::Person(Who::User("anna-1".to_owned()));
        let fields = |kind| wanted(person(), kind, "LLC Calls").expect("wanted").fields;
        assert!(IDENTIFYING.iter().all(|field| fields(StateBody).contains(field)));
        assert!(IDENTIFYING.iter().all(|field| !fields(Other).contains(field)));
        assert_eq!(fields(StateBody).len(), fields(Other).len() + IDENTIFYING.len());
        let case = || Scope::Case { who: Who::User("anna-1".to_owned()), from: None, to: None };
        let fields = |kind| wanted(case(), kind, "LLC Calls").expect("wanted").fields;
        assert!(fields(Court).contains(&"ip") && !fields(Processor).contains(&"ip"));
        assert_eq!(fields(Court).len(), fields(Processor).len() + 1);
        let page = Asked { format: Format::Html, ..asked_for(person(), Other) };
        assert!(matches!(Wanted::of(page, Timestamp::UNIX_EPOCH), Err(DisclosureError::Page)));
        let page = Asked { format: Format::Html, ..asked_for(case(), Other) };
        assert!(Wanted::of(page, Timestamp::UNIX_EPOCH).is_ok());
    }

    #[test]
    fn a_text_is_needed_and_holds_nothing_that_identifies() {
        let person = || Scope::Person(Who::User("anna-1".to_owned()));
        for (given, expected) in [
            ("Operator of anna-1", Ok("Operator of [removed]")),
            ("LLC Calls, 192.0.2.7", Ok("LLC Calls, [address]")),
            ("", Err("recipient: expected a text")),
            (" \n", Err("recipient: expected a text")),
        ] {
            match (wanted(person(), Other, given).map(|wanted| wanted.recipient), expected) {
                (Ok(kept), Ok(expected)) => assert_eq!(kept, expected),
                (Err(error), Err(expected)) => assert!(error.starts_with(expected), "{error}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
        assert!(wanted(person(), Other, &"x".repeat(MAX_TEXT_BYTES + 1)).is_err());
    }
}
