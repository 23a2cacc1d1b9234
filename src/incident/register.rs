//! The register of incidents: `rights/incidents.json`, a file of numbered records
//! ([`crate::rights::numbered`]).
//!
//! ```text
//! {"number":"I-2026-0001","site":"clinic","kind":"access","from":MS,"to":MS,"detected":MS,"registered":MS,
//!  "what":"…","who":"olga","clocks":[{"name":"first_notice","hours":24,"due":MS,"done":null,"article":"…"},…],
//!  "subjects_informed":null,
//!  "affected":{"rows":9,"visitors":3,"cookies":3,"user_keys":1,"addresses":2,"first":MS,"last":MS,
//!              "kinds":[{"name":"pages","rows":9},…]},
//!  "state":"open","result":"","closed":null,"history":[{"at":MS,"who":"olga","what":"registered"}]}
//! ```
//!
//! Only clocks, `subjects_informed`, the closing and the history change. A closed one is
//! kept for three years, as closed requests are ([`crate::retention::others`]).

use serde::{Deserialize, Serialize};

use super::clock::{Clock, Step};
use super::{IncidentError, Kind, MAX_TEXT_BYTES};
use crate::rights::numbered::{Numbered, Record};
use crate::rights::request::{Change, MAX_WHAT_BYTES, MAX_WHO_BYTES};

/// A clinic hopes for none; closed ones go after three years.
pub const MAX_INCIDENTS: usize = 1000;
/// Registered, four steps, closed: what changes is far below it.
pub const MAX_HISTORY: usize = 20;
/// The most clocks and kinds of data of one incident.
const MAX_PARTS: usize = 20;

/// The store.
pub type Register = Numbered<Incident>;

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// `I-YYYY-NNNN`.
    pub number: String,
    pub site: String,
    pub kind: Kind,
    /// Milliseconds since 1970, as all moments here.
    pub from: i64,
    pub to: i64,
    pub detected: i64,
    pub registered: i64,
    /// What happened, in words.
    pub what: String,
    pub who: String,
    pub clocks: Vec<Clock>,
    /// When the people were told.
    pub subjects_informed: Option<i64>,
    pub affected: Affected,
    pub state: State,
    /// What came of it, in words.
    pub result: String,
    pub closed: Option<i64>,
    pub history: Vec<Change>,
}

/// Who and what is affected, blocked people included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affected {
    pub rows: u64,
    /// As the statistics count them.
    pub visitors: u64,
    /// Distinct cookies, known and offered ones.
    pub cookies: u64,
    pub user_keys: u64,
    /// Distinct encrypted addresses: one address in two months is two.
    pub addresses: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// How many rows really hold each kind of data.
    pub kinds: Vec<Held>,
}

/// A kind of data ([`super::kinds`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub name: String,
    pub rows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closed,
}

// === impl State ===

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
        }
    }
}

// === impl Incident ===

impl Incident {
    /// Notes that a step is done, once.
    pub(super) fn step_done(&mut self, step: Step, at: i64) -> Result<(), IncidentError> {
        self.open()?;
        let number = self.number.clone();
        let done = match step {
            Step::SubjectsInformed => &mut self.subjects_informed,
            _ => match self.clocks.iter_mut().find(|clock| clock.name == step) {
                Some(clock) => &mut clock.done,
                None => return Err(IncidentError::NoStep { number, step: step.name() }),
            },
        };
        if done.is_some() {
            return Err(IncidentError::Done { number, step: step.name() });
        }
        *done = Some(at);
        Ok(())
    }

    pub(super) fn close(&mut self, result: String, at: i64) -> Result<(), IncidentError> {
        self.open()?;
        self.state = State::Closed;
        self.result = result;
        self.closed = Some(at);
        Ok(())
    }

    fn open(&self) -> Result<(), IncidentError> {
        match self.state {
            State::Open => Ok(()),
            State::Closed => Err(IncidentError::Closed(self.number.clone())),
        }
    }
}

impl Record for Incident {
    const WHAT: &'static str = "a register of incidents";
    const NAME: &'static str = "incidents";
    const LETTER: char = 'I';
    const MOST: usize = MAX_INCIDENTS;

    fn number(&self) -> &str {
        &self.number
    }

    fn check(&self) -> Result<(), String> {
        let history = self.history.iter().flat_map(|one| {
            [("who changed it", &one.who, MAX_WHO_BYTES), ("a change", &one.what, MAX_WHAT_BYTES)]
        });
        let texts = [
            ("what happened", &self.what, MAX_TEXT_BYTES),
            ("the result", &self.result, MAX_TEXT_BYTES),
            ("who registered it", &self.who, MAX_WHO_BYTES),
        ];
        for (what, text, most) in texts.into_iter().chain(history) {
            if text.len() > most {
                return Err(format!("{what} has {} bytes, at most {most} are kept", text.len()));
            }
        }
        for (what, count, most) in [
            ("changes", self.history.len(), MAX_HISTORY),
            ("clocks", self.clocks.len(), MAX_PARTS),
            ("kinds of data", self.affected.kinds.len(), MAX_PARTS),
        ] {
            if count > most {
                return Err(format!("{count} {what}, at most {most} are kept"));
            }
        }
        if self.from >= self.to {
            return Err("its range ends at its beginning".to_owned());
        }
        if (self.state == State::Closed) != self.closed.is_some() {
            return Err(format!("it is {}, which its closing date denies", self.state.name()));
        }
        Ok(())
    }
}

/// A line of a history.
pub(super) fn change(at: i64, who: &str, what: &str) -> Change {
    Change { at, who: who.to_owned(), what: what.to_owned() }
}

/// An open incident for tests.
#[cfg(test)]
pub(super) fn sample(clocks: Vec<Clock>) -> Incident {
    Incident {
        number: "I-2027-0001".to_owned(),
        site: "clinic".to_owned(),
        kind: Kind::Access,
        from: 1_790_000_000_000,
        to: 1_790_086_400_000,
        detected: 1_800_000_000_000,
        registered: 1_800_000_000_000,
        what: "a backup lay open".to_owned(),
        who: "olga".to_owned(),
        clocks,
        subjects_informed: None,
        affected: Affected::default(),
        state: State::Open,
        result: String::new(),
        closed: None,
        history: Vec::new(),
    }
}
