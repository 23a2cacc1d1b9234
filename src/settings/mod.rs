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
//! - Of a link's secret only the hash is kept.
//! - Each change has its entry in the audit trail before it is made.
//!
//! - [`kept`]: what may stand in one thing, with the limits
//! - [`change`]: what may be done, and what is told of it
//! - [`store`]: the file
//!
//! It knows no roles: who may change what is the web's.

pub mod change;
pub mod kept;
pub mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use change::{Change, Deed, Done, Put, Remove};
pub use store::{Author, DIRECTORY as DIR_NAME, SettingsError, Store};

use crate::web::people::random_hex;

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

/// A thing that is kept, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Goal,
    Funnel,
    Segment,
    Note,
    Link,
    Report,
}

/// What visitors are wanted to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenGoal", into = "WrittenGoal")]
pub struct Goal {
    /// `g1`
    pub id: String,
    /// As people and questions (`event:goal`) name it; of its own on the site.
    pub name: String,
    pub aim: Aim,
}

/// When a hit reaches a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// An event of this name; with a currency its property `revenue` is money.
    Event { value: String, currency: Option<String> },
    /// A page view of this path; `*` stands for anything but `/`, `**` for anything.
    Page { value: String },
    /// The page of this path was seen down to so many percent.
    Scroll { value: String, percent: u8 },
    /// A click on this ad block; empty is any.
    AdClick { value: String },
}

/// A goal as JSON: what is of one kind only stands beside the rest.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGoal {
    #[serde(default)]
    id: String,
    name: String,
    kind: AimKind,
    #[serde(default)]
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AimKind {
    Event,
    Page,
    Scroll,
    AdClick,
}

/// Goals in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// `f1`
    #[serde(default)]
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
    #[serde(default)]
    pub id: String,
    pub name: String,
    /// As a question has them.
    pub filters: serde_json::Value,
    /// Who made it; what is asked for is not looked at.
    #[serde(default)]
    pub by: String,
}

/// A remark on a day of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// `n1`
    #[serde(default)]
    pub id: String,
    #[serde(with = "day")]
    pub day: jiff::civil::Date,
    pub text: String,
    /// Who made it; what is asked for is not looked at.
    #[serde(default)]
    pub by: String,
}

/// An address under which anybody sees guarded numbers of the site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// `l1`
    #[serde(default)]
    pub id: String,
    pub name: String,
    /// SHA-256 of the secret in the address, as hex digits; what is asked for is not
    /// looked at.
    #[serde(default)]
    pub secret: String,
    /// Milliseconds since 1970; none is until it is removed.
    #[serde(default)]
    pub expires: Option<i64>,
    /// Filters that hold under this link, as a question has them.
    #[serde(default = "no_filters")]
    pub filters: serde_json::Value,
}

/// Numbers by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `r1`
    #[serde(default)]
    pub id: String,
    pub to: Vec<String>,
    pub every: Every,
    /// `ru` or `en`
    pub language: String,
    /// The first day of the period that was sent last; what is asked for is not looked at.
    #[serde(default, with = "maybe_day")]
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

    /// The funnel of this id.
    pub fn funnel(&self, id: &str) -> Option<&Funnel> {
        self.funnels.iter().find(|funnel| funnel.id == id)
    }

    /// The segment of this id.
    pub fn segment(&self, id: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.id == id)
    }

    /// The report of this id.
    pub fn report(&self, id: &str) -> Option<&Report> {
        self.reports.iter().find(|report| report.id == id)
    }

    /// The link whose address has this secret, unless it has expired.
    pub fn link(&self, secret: &str, now: i64) -> Option<&Link> {
        let hash = kept::hash_of(secret);
        self.links
            .iter()
            .find(|link| link.secret == hash)
            .filter(|link| link.expires.is_none_or(|expires| now < expires))
    }

    /// What everybody who sees the site's numbers is told.
    pub fn told(&self) -> Value {
        json!({
            "goals": self.goals,
            "funnels": self.funnels,
            "segments": self.segments,
            "notes": self.notes,
        })
    }

    /// The links, without what their addresses are known by.
    pub fn told_links(&self) -> Vec<Value> {
        self.links.iter().map(Link::told).collect()
    }
}

// === impl Kind ===

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Goal => "goal",
            Kind::Funnel => "funnel",
            Kind::Segment => "segment",
            Kind::Note => "note",
            Kind::Link => "link",
            Kind::Report => "report",
        }
    }

    /// What ids of this kind begin with.
    pub const fn letter(self) -> char {
        match self {
            Kind::Goal => 'g',
            Kind::Funnel => 'f',
            Kind::Segment => 's',
            Kind::Note => 'n',
            Kind::Link => 'l',
            Kind::Report => 'r',
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Goal ===

impl TryFrom<WrittenGoal> for Goal {
    type Error = String;

    fn try_from(written: WrittenGoal) -> Result<Goal, String> {
        let WrittenGoal { id, name, kind, value, currency, percent } = written;
        if currency.is_some() && kind != AimKind::Event {
            return Err("goal.currency: only an event has one".to_owned());
        }
        if percent.is_some() && kind != AimKind::Scroll {
            return Err("goal.percent: only a scroll has one".to_owned());
        }
        let aim = match kind {
            AimKind::Event => Aim::Event { value, currency },
            AimKind::Page => Aim::Page { value },
            AimKind::Scroll => {
                Aim::Scroll { value, percent: percent.ok_or("goal.percent: a scroll needs one")? }
            }
            AimKind::AdClick => Aim::AdClick { value },
        };
        Ok(Goal { id, name, aim })
    }
}

impl From<Goal> for WrittenGoal {
    fn from(goal: Goal) -> WrittenGoal {
        let (kind, value, currency, percent) = match goal.aim {
            Aim::Event { value, currency } => (AimKind::Event, value, currency, None),
            Aim::Page { value } => (AimKind::Page, value, None, None),
            Aim::Scroll { value, percent } => (AimKind::Scroll, value, None, Some(percent)),
            Aim::AdClick { value } => (AimKind::AdClick, value, None, None),
        };
        WrittenGoal { id: goal.id, name: goal.name, kind, value, currency, percent }
    }
}

// === impl Link ===

impl Link {
    /// Without what its address is known by.
    pub fn told(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "expires": self.expires, "filters": self.filters })
    }
}

// === impl Every ===

impl Every {
    pub const fn name(self) -> &'static str {
        match self {
            Every::Day => "day",
            Every::Week => "week",
            Every::Month => "month",
        }
    }
}

/// What an address of a link has that nobody can guess: 128 bits, as hex digits.
fn new_secret() -> String {
    random_hex::<16>()
}

fn no_filters() -> Value {
    json!([])
}

/// Dates as `yyyy-mm-dd`.
mod day {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::custom(format_args!("expected a date such as 2026-11-26, found {text:?}")))
    }
}

/// The same, or none.
mod maybe_day {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        day.map(|day| day.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let day =
            text.map(|text| text.parse().map_err(|_| D::Error::custom("expected a date such as 2026-11-26")));
        day.transpose()
    }
}
