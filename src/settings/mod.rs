//! What the people of a site keep beside its numbers: goals, funnels, segments,
//! notes on the graph, shared links, reports by mail.
//!
//! In: changes that were checked, each by somebody. Out: [`Settings`], as they are at
//! this moment, for questions and pages. One file for each site, replaced whole:
//!
//! ```text
//! DATA/settings/SITE.json
//! {"version":1,"last":7,
//!  "goals":[{"id":"g1","name":"Запись","kind":"event","value":"signup"}],
//!  "funnels":[{"id":"f2","name":"Приём","steps":["g1","g3"]}], …}
//! ```
//!
//! Invariants:
//! - An id is given once, `last` is the number in the last one given.
//! - A funnel names goals that exist; a goal that a funnel names cannot be removed.
//! - A file that is not as this writes it is an error that names it, and is not written over.
//!
//! It knows no roles: who may change what is the web's.

use serde::{Deserialize, Serialize};

/// All that is kept of one site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub version: u32,
    pub last: u64,
    pub goals: Vec<Goal>,
    pub funnels: Vec<Funnel>,
    pub segments: Vec<Segment>,
    pub notes: Vec<Note>,
    pub links: Vec<Link>,
    pub reports: Vec<Report>,
}

/// What visitors are wanted to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// `g1`
    pub id: String,
    /// As people and questions (`event:goal`) name it; of its own on the site.
    pub name: String,
    #[serde(flatten)]
    pub aim: Aim,
}

/// When a hit reaches a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Aim {
    /// An event of this name; with a currency its property `revenue` is money.
    Event {
        value: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<String>,
    },
    /// A page view of this path; `*` stands for anything but `/`, `**` for anything.
    Page { value: String },
    /// The page of this path was seen down to so many percent.
    Scroll { value: String, percent: u8 },
    /// A click on this ad block; empty is any.
    AdClick { value: String },
}

/// Goals in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// `f1`
    pub id: String,
    pub name: String,
    /// Ids of goals.
    pub steps: Vec<String>,
}

/// Filters under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// `s1`
    pub id: String,
    pub name: String,
    /// As a question has them.
    pub filters: serde_json::Value,
    /// Who made it.
    pub by: String,
}

/// A remark on a day of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// `n1`
    pub id: String,
    pub day: jiff::civil::Date,
    pub text: String,
    /// Who made it.
    pub by: String,
}

/// An address under which anybody sees guarded numbers of the site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// `l1`
    pub id: String,
    pub name: String,
    /// SHA-256 of the secret in the address, as hex digits.
    pub secret: String,
    /// Milliseconds since 1970; none is until it is removed.
    pub expires: Option<i64>,
    /// Filters that hold under this link, as a question has them.
    pub filters: serde_json::Value,
}

/// Numbers by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `r1`
    pub id: String,
    pub to: Vec<String>,
    pub every: Every,
    /// `ru` or `en`
    pub language: String,
    /// The first day of the period that was sent last.
    pub sent: Option<jiff::civil::Date>,
}

/// How often a report is sent: the day, week or month that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    Day,
    Week,
    Month,
}

// === impl Settings ===

impl Settings {
    /// The goal of this name.
    pub fn goal(&self, name: &str) -> Option<&Goal> {
        self.goals.iter().find(|goal| goal.name == name)
    }

    /// The goal of this id.
    pub fn goal_by_id(&self, id: &str) -> Option<&Goal> {
        self.goals.iter().find(|goal| goal.id == id)
    }

    /// The segment of this id.
    pub fn segment(&self, id: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id == id)
    }
}
