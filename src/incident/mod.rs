//! Incidents: data were disclosed, lost, looked at or changed by somebody who must not
//! (policy clauses 5.4, 5.6).
//!
//! ```text
//! Report (site, kind, from, to) ─► audit trail ─► counted ─► register (clocks run) ─► notice, list of whom to tell
//! ```
//!
//! In: a [`Report`]. Out: an [`Incident`]: who and what is affected, in numbers; until
//! when which step must be done; a notice for the people it is about. An [`Office`]
//! counts and finds, in the running server or in a command without one; reading and
//! changing the register needs no storage.
//!
//! Invariants:
//! - The entry of the audit trail is on the disk before anything is counted, listed or
//!   compared.
//! - Numbers, register, notices and answers hold keyed hashes at most. User keys that are
//!   given to be compared are kept nowhere.
//! - Blocked people are affected too: they are in all numbers and lists here, though in
//!   no statistic.
//! - The numbers are those of the moment of the report: what retention had removed by
//!   then is not in them; of a loss they tell what is left.
//!
//! A range that ends later than now ends now.
//!
//! Limits: [`MAX_TEXT_BYTES`], [`MAX_LISTED`], [`MAX_MATCHED`], and those of [`register`].
//!
//! - [`register`]: the incidents, `rights/incidents.json`
//! - [`clock`]: which step is due when
//! - [`kinds`]: the kinds of data, by the inventory
//! - [`count`]: who and what is affected
//! - [`people`]: whom to tell: the list, and which of the clinic's users they are
//! - [`notice`]: what the people are told, in Russian and English
//! - [`seam`]: which incidents a browser's own page has to tell of

pub mod clock;
pub mod count;
pub mod kinds;
pub mod notice;
pub mod people;
pub mod register;
pub mod seam;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use clock::Step;
pub use register::{Incident, Register};
pub use seam::{Affecting, affects};

use crate::audit::{Action, Actor, AuditError, Entry, Trail, legible};
use crate::config::Config;
use crate::parse::text::cut;
use crate::rights::numbered::{NumberedError, TextError, kept, year_of};
use crate::rights::request::MAX_WHO_BYTES;
use crate::subject::{Office, SubjectError, off_thread};

/// What happened, what came of it: a page of text, in bytes.
pub const MAX_TEXT_BYTES: usize = 4000;
/// The most keyed hashes of one list.
pub const MAX_LISTED: u64 = 100_000;
/// The most user keys of one comparison: one question to storage.
pub const MAX_MATCHED: usize = 1000;

/// What an office is asked about incidents.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Asked {
    /// Counts and registers; the answer is the incident ([`described`]).
    Report(Report),
    /// A step is done, it is closed: the answer is the incident. Or user keys are
    /// compared: `{"affected":["user key",…]}`.
    Change { number: String, change: Change },
    /// `{"number":"I-2026-0001","subjects":[{"kind":"visitor|user_key","hash":"HEX"}]}`
    Subjects { number: String },
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub site: String,
    pub kind: Kind,
    /// The hits that it is about: from this instant, RFC 3339.
    pub from: String,
    /// To before this one.
    pub to: String,
    /// When it was detected, from which the clocks run; now if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected: Option<String>,
    /// In words, for the notice.
    pub what: String,
}

/// What is done with an incident of the register. May hold user keys: not printable.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    Done(Step),
    Close {
        result: String,
    },
    /// User keys of the clinic: which of them have hits in the incident?
    Match(Vec<String>),
}

/// What happened to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Data reached people they were not meant for
    Disclosure,
    /// Data are gone before their term
    Loss,
    /// Somebody could look at them who must not
    Access,
    /// They were altered without right
    Change,
}

/// Why an incident was not registered, changed or looked into.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("{0}: expected an instant such as 2026-11-25T21:00:00Z")]
    Instant(&'static str),
    #[error("from is not before to and now")]
    Range,
    #[error("it was detected at {0}, which is still to come")]
    Early(Timestamp),
    #[error("the incident {0} is closed")]
    Closed(String),
    #[error("{step} of incident {number} is done already")]
    Done { number: String, step: &'static str },
    #[error("{step} is no step of incident {number}, which is under another law")]
    NoStep { number: String, step: &'static str },
    #[error("no user key is given")]
    NoKeys,
    #[error("{0} user keys at once, at most {MAX_MATCHED} are compared")]
    Keys(usize),
    #[error("user key {place} of those given: {error}")]
    Key { place: usize, error: SubjectError },
    #[error("more than {MAX_LISTED} are affected: the list would be longer than what is made at once")]
    List,
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error(transparent)]
    Register(#[from] NumberedError),
}

// === impl Kind ===

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Disclosure => "disclosure",
            Kind::Loss => "loss",
            Kind::Access => "access",
            Kind::Change => "change",
        }
    }
}

// === impl IncidentError ===

impl IncidentError {
    /// Whether what was asked is at fault.
    pub fn is_of_the_question(&self) -> bool {
        match self {
            IncidentError::Subject(error) => error.is_of_the_question(),
            IncidentError::Register(error) => matches!(error, NumberedError::NoNumber(_)),
            _ => true,
        }
    }

    /// There is no incident of that number.
    pub fn is_not_found(&self) -> bool {
        matches!(self, IncidentError::Register(NumberedError::NoNumber(_)))
    }

    /// Storage is away, and the same may work later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, IncidentError::Subject(error) if error.is_retryable())
    }
}

impl From<AuditError> for IncidentError {
    fn from(error: AuditError) -> IncidentError {
        IncidentError::Subject(error.into())
    }
}

// === impl Office ===

impl Office {
    /// Does what is asked, and says what came of it: see [`Asked`].
    pub async fn incident(&self, asked: Asked, by: Actor, now: Timestamp) -> Result<Value, IncidentError> {
        match asked {
            Asked::Report(report) => self.report(report, by, now).await,
            Asked::Change { number, change: Change::Match(keys) } => {
                self.matched(&number, keys, by, now).await
            }
            Asked::Change { number, change } => {
                let (config, trail) = (self.config.clone(), self.trail.clone());
                off_thread(move || change_incident(&config, &trail, &number, change, by, now)).await?
            }
            Asked::Subjects { number } => self.listed(&number, by, now).await,
        }
    }

    async fn report(&self, report: Report, by: Actor, now: Timestamp) -> Result<Value, IncidentError> {
        let site = self.site(&report.site)?.clone();
        let what = kept("what", &report.what, MAX_TEXT_BYTES)?;
        let instant = |name, text: &str| text.parse::<Timestamp>().map_err(|_| IncidentError::Instant(name));
        let (from, to) = (instant("from", &report.from)?, instant("to", &report.to)?.min(now));
        if from >= to {
            return Err(IncidentError::Range);
        }
        let detected = report.detected.as_deref().map_or(Ok(now), |text| instant("detected", text))?;
        if detected > now {
            return Err(IncidentError::Early(detected));
        }
        let who = cut(&by.to_string(), MAX_WHO_BYTES).to_owned();
        let entry = Entry::new(now, by, Action::IncidentReported)
            .site(&site.id)
            .detail(format!("{}: {from} to {to}, detected {detected}", report.kind.name()));
        self.written(entry).await?;

        self.caught_up(now.as_millisecond()).await?;
        let (from, to) = (from.as_millisecond(), to.as_millisecond());
        let affected = self.affected(&site.id, from, to).await?;
        let config = self.config.clone();
        off_thread(move || -> Result<Value, IncidentError> {
            let at = now.as_millisecond();
            let clocks = clock::clocks(&site, detected.as_millisecond());
            let incident = Register::new(&config.data_dir).add(year_of(&site.timezone, now), |number| {
                let history = vec![register::change(at, &who, "registered")];
                Incident {
                    number,
                    site: site.id.clone(),
                    kind: report.kind,
                    from,
                    to,
                    detected: detected.as_millisecond(),
                    registered: at,
                    what,
                    who: who.clone(),
                    clocks,
                    subjects_informed: None,
                    affected,
                    state: register::State::Open,
                    result: String::new(),
                    closed: None,
                    history,
                }
            })?;
            Ok(described(&incident, &config, now))
        })
        .await?
    }

    /// Returns when the entry is on the disk.
    async fn written(&self, entry: Entry) -> Result<(), IncidentError> {
        let trail = self.trail.clone();
        off_thread(move || trail.append(&entry)).await??;
        Ok(())
    }
}

/// Notes that a step is done, or closes an incident: with the audit trail and the
/// register alone. Comparing needs an [`Office`].
pub fn change_incident(
    config: &Config,
    trail: &Trail,
    number: &str,
    change: Change,
    by: Actor,
    now: Timestamp,
) -> Result<Value, IncidentError> {
    let register = Register::new(&config.data_dir);
    let site = register.get(number)?.site;
    let what = match &change {
        Change::Done(step) => format!("done: {}", step.name()),
        Change::Close { .. } => "closed".to_owned(),
        Change::Match(_) => {
            return Err(SubjectError::Thread("user keys are compared by an office".to_owned()).into());
        }
    };
    let result = match &change {
        Change::Close { result } => Some(kept("result", result, MAX_TEXT_BYTES)?),
        _ => None,
    };
    let who = cut(&by.to_string(), MAX_WHO_BYTES).to_owned();
    let at = now.as_millisecond();
    // What cannot be done needs no entry.
    let checked = |incident: &mut Incident| match (&change, &result) {
        (Change::Done(step), _) => incident.step_done(*step, at),
        (_, result) => incident.close(result.clone().unwrap_or_default(), at),
    };
    checked(&mut register.get(number)?)?;
    trail.append(
        &Entry::new(now, by, Action::IncidentChanged)
            .site(&site)
            .detail(format!("{}: {what}", legible(number))),
    )?;
    let incident = register.change(number, |incident| {
        checked(incident)?;
        incident.history.push(register::change(at, &who, &what));
        Ok::<(), IncidentError>(())
    })?;
    Ok(described(&incident, config, now))
}

/// The incident as it is kept, and what follows from it now: which clocks are late, the
/// kinds of data in words, the notice and the advice.
pub fn described(incident: &Incident, config: &Config, now: Timestamp) -> Value {
    let mut value = json!(incident);
    let at = now.as_millisecond();
    value["clocks"] = incident
        .clocks
        .iter()
        .map(|clock| {
            let mut told = json!(clock);
            told["late"] = json!(clock.is_late(incident.closed, at));
            told
        })
        .collect();
    value["affected"]["kinds"] = incident.affected.kinds.iter().map(kinds::told).collect();
    value["notice"] = json!(notice::notice(incident, config));
    value["advice"] = json!(notice::advice(incident.kind, config));
    value
}
