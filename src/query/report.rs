//! What the questions about whole visits have in common: [`super::funnel`],
//! [`super::journeys`], [`super::cohorts`], [`super::live`].
//!
//! In: the JSON of a question, the site, what its people keep beside it, and now. Out: the
//! JSON of the answer, or a [`QueryError`]. Each is one statement over the visits of
//! [`super::compile`], so persons, visits, marked hits and blocked people are as in every
//! other question.
//!
//! - `site_id`, `date_range`, `filters` are read, and their mistakes named, as by `/api/v2/query`.
//! - *Filters* choose visits: one is looked at if a hit of it in the range, of any kind,
//!   passes all of them; which of its other hits count is each question's own. (A funnel
//!   of those who saw `/ceny` has steps on other pages too.)
//! - `include.marketing`: a visit whose first page view or event has no consent to
//!   marketing is none, as if it were not there.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::compile::{Builder, Of};
use super::filter::short;
use super::parse::{Query, key_text, parse};
use super::visible::Visible;
use super::{QueryError, cohorts, first_hit, funnel, journeys, live, visible};
use crate::config::Site;
use crate::event::ConsentState;
use crate::settings::Settings;
use crate::store::Storage;

/// The hit is in the range.
pub(super) const IN_RANGE: &str = "x.1 >= {from:Int64} AND x.1 < {to:Int64}";

/// A question about whole visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    Funnel,
    Journeys,
    Retention,
    Live,
}

/// What each question has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Common {
    /// The range and the filters, as those of a question for visitors.
    pub query: Query,
    pub marketing: bool,
}

/// Answers a question about whole visits.
pub async fn run(
    report: Report,
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
) -> Result<Value, QueryError> {
    match report {
        Report::Funnel => funnel::run(storage, site, settings, question, now).await,
        Report::Journeys => journeys::run(storage, site, settings, question, now).await,
        Report::Retention => cohorts::run(storage, site, settings, question, now).await,
        Report::Live => live::run(storage, site, settings, question, now).await,
    }
}

// === impl Report ===

impl Report {
    pub const ALL: [Report; 4] = [Report::Funnel, Report::Journeys, Report::Retention, Report::Live];

    /// As routes and files name it.
    pub const fn name(self) -> &'static str {
        match self {
            Report::Funnel => "funnel",
            Report::Journeys => "journeys",
            Report::Retention => "retention",
            Report::Live => "live",
        }
    }

    pub fn parse(name: &str) -> Option<Report> {
        Report::ALL.into_iter().find(|report| report.name() == name)
    }
}

// === impl Common ===

impl Common {
    /// Reads what is common, and adds a line for each mistake. `keys` are all that the
    /// question may have; one without `date_range` is about a moment and sets its range itself.
    pub fn parse(
        question: &Value,
        keys: &[&str],
        site: &Site,
        settings: &Settings,
        now: Timestamp,
        mistakes: &mut Vec<String>,
    ) -> Option<Common> {
        let Value::Object(object) = question else {
            mistakes.push(format!("#: Expected an object, got {}", short(question)));
            return None;
        };
        for key in object.keys().filter(|key| !keys.contains(&key.as_str())) {
            mistakes.push(format!("#/{}: Unknown key", key_text(key)));
        }
        let mut plain = Map::new();
        plain.insert("metrics".to_owned(), json!(["visitors"]));
        for key in ["site_id", "date_range", "filters"].into_iter().filter(|key| keys.contains(key)) {
            if let Some(value) = object.get(key) {
                plain.insert(key.to_owned(), value.clone());
            }
        }
        if !keys.contains(&"date_range") {
            plain.insert("date_range".to_owned(), json!("day"));
        }
        let query = parse(&plain.into(), site, settings, now).map_err(|lines| mistakes.extend(lines)).ok();
        let marketing = match object.get("include").filter(|_| keys.contains(&"include")) {
            None => false,
            Some(value) => marketing(value, mistakes),
        };
        Some(Common { query: query?, marketing })
    }

    /// Which rows there are; a range of `all` begins with the first of them.
    pub async fn look<'a>(&mut self, storage: &'a Storage, site: &Site) -> Result<Visible<'a>, QueryError> {
        let visible = visible(storage, site).await?;
        if self.query.range.all
            && let Some(first) = first_hit(storage, &self.query, visible).await?
        {
            self.query.begin_with(first);
        }
        Ok(visible)
    }

    /// Whether a row of the visits is one that may be looked at.
    pub fn is_visit(&self, builder: &mut Builder<'_>) -> String {
        match self.marketing {
            false => "e.4 <= 2".to_owned(),
            true => {
                let consent = builder.field("toInt8(consent)");
                format!("e.4 <= 2 AND e.{consent} = {}", ConsentState::Marketing as i8)
            }
        }
    }

    /// Whether the hit `x` passes all filters: 1 where there are none.
    pub fn passes(&self, builder: &mut Builder<'_>) -> String {
        let conditions: Vec<String> =
            self.query.filters.iter().map(|filter| builder.filter(filter, Of::Hit)).collect();
        if conditions.is_empty() { "1".to_owned() } else { format!("({})", conditions.join(" AND ")) }
    }

    /// The question as it was understood, for the answer; each adds its own.
    pub fn normalised(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("site_id".to_owned(), json!(self.query.site));
        map.insert("date_range".to_owned(), json!(self.query.range.shown()));
        map.insert("filters".to_owned(), self.query.asked_filters.clone());
        map.insert("include".to_owned(), json!({ "marketing": self.marketing }));
        map
    }
}

fn marketing(value: &Value, mistakes: &mut Vec<String>) -> bool {
    let Value::Object(object) = value else {
        mistakes.push(format!("#/include: Invalid include {}", short(value)));
        return false;
    };
    let mut marketing = false;
    for (key, value) in object {
        match (key.as_str(), value) {
            ("marketing", Value::Bool(asked)) => marketing = *asked,
            ("marketing", other) => {
                mistakes.push(format!("#/include/marketing: Invalid value {}", short(other)));
            }
            _ => mistakes.push(format!("#/include/{}: Unknown key", key_text(key))),
        }
    }
    marketing
}

/// A whole number of the question, or the default.
pub(super) fn whole(
    question: &Value,
    key: &str,
    default: u64,
    allowed: std::ops::RangeInclusive<u64>,
    mistakes: &mut Vec<String>,
) -> u64 {
    let Some(value) = question.get(key) else { return default };
    value.as_u64().filter(|number| allowed.contains(number)).unwrap_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        mistakes.push(format!("#/{key}: Invalid value {}, {least} to {most} is allowed", short(value)));
        default
    })
}
