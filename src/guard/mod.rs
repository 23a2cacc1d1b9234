//! The guard of small counts: what a `viewer`, a shared link and a mail see of numbers.
//!
//! In: a question, and who asks ([`Asker`]). Out: the answer of [`crate::query`] as it is,
//! or what may be shown of it, with `meta.guard`:
//!
//! ```text
//! {"k":10, "refused":null|"set_too_small"|"complement_too_small"|"too_many_filters"|
//!          "free_text"|"range"|"combination", "merged_rows":n}
//! ```
//!
//! One function guards everything: the API, exports, pages, links and mails put their
//! questions here and nowhere else. The unit is the distinct visitor, k is the site's
//! `min_group`. The rules are those of [`rule::Rule`]; where each of them is:
//!
//! | part | what it decides |
//! |---|---|
//! | [`calendar`] | which ranges there are |
//! | [`conditions`] | which filters there are |
//! | [`cells`], [`hide`] | which groups are shown |
//! | [`numbers`] | what of their numbers is |
//! | [`answer`] | rows, `(other)`, order, pages, comparisons |
//! | [`shapes`] | live, funnels, journeys, retention |
//!
//! The invariant: of any two groups that a viewer is shown, one in the other, the larger has
//! 0 or at least k visitors more. What it stands against, and what it does not promise, is
//! in `docs/guard.md`.

pub mod answer;
pub mod calendar;
pub mod cells;
pub mod conditions;
pub mod exact;
pub mod hide;
pub mod numbers;
pub mod rule;
pub mod shapes;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use self::answer::{Asked, Row};
use self::calendar::{Days, Unit};
use self::cells::{Cells, Scope};
use self::exact::{Exact, Stored};
use self::rule::{Refused, Rule, Rules};
use crate::config::Site;
use crate::query::names::Bucket;
use crate::query::range::Range;
use crate::query::{self, QueryError, Together};
use crate::settings::Settings;
use crate::store::Storage;

pub use shapes::report;

/// The most properties of a breakdown: each is a condition of every row.
const MAX_DIMENSIONS: usize = 2;

/// Who is to see an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Numbers as they are.
    Exact,
    /// What the guard leaves of them.
    Guarded,
}

/// What of a site decides what is shown.
#[derive(Clone, Copy)]
pub struct Guard<'a> {
    pub site: &'a Site,
    pub settings: &'a Settings,
    pub now: Timestamp,
    pub rules: Rules,
}

/// Answers a question of `/api/v2/query`.
pub async fn query(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    asker: Asker,
    together: Option<&Together>,
) -> Result<Value, QueryError> {
    let stored = Stored { storage, site, settings, now, together };
    match asker.on(site) {
        Asker::Exact => stored.answer(question).await,
        Asker::Guarded => {
            Guard { site, settings, now, rules: Rules::default() }.query(&stored, question).await
        }
    }
}

// === impl Asker ===

impl Asker {
    /// The same on a site: where the smallest group is nobody, nothing is guarded.
    pub fn on(self, site: &Site) -> Asker {
        if site.min_group == 0 { Asker::Exact } else { self }
    }
}

// === impl Guard ===

impl Guard<'_> {
    /// What is shown of an answer.
    pub async fn query(&self, exact: &dyn Exact, question: &Value) -> Result<Value, QueryError> {
        let understood = exact.understood(question)?;
        let asked = match self.read(question) {
            Ok(asked) => asked,
            Err(refused) => return Ok(self.refusal(refused, understood)),
        };
        let comparisons = &question["include"]["comparisons"];
        let custom = Range::parse(&comparisons["date_range"], &self.zone(), self.now).ok();
        let compared = match answer::compared(&asked, comparisons, custom.as_ref().and_then(Days::of)) {
            Ok(compared) => compared,
            Err(refused) => return Ok(self.refusal(refused, understood)),
        };
        let mut cells = Cells::new(exact, &self.site.id, self.k(), self.rules);
        if let Some(refused) = self.refused(&mut cells, &asked.scope).await? {
            return Ok(self.refusal(refused, understood));
        }
        let mut shown = answer::shown(&mut cells, &asked).await?;
        let with_totals = question["include"]["totals"] == Value::Bool(true);
        if with_totals {
            shown.meta.insert("totals".to_owned(), json!(answer::totals(&mut cells, &asked).await?));
        }
        if let Some(days) = compared {
            let scope = Scope { days, ..asked.scope.clone() };
            let before = Asked {
                scope,
                metrics: asked.metrics.clone(),
                dimensions: asked.dimensions.clone(),
                question,
            };
            // What is refused there is withheld, as what is hidden.
            let is_refused = self.refused(&mut cells, &before.scope).await?.is_some();
            let mut earlier = answer::shown(&mut cells, &before).await?;
            let mut totals = match with_totals {
                true => answer::totals(&mut cells, &before).await?,
                false => Vec::new(),
            };
            let hidden = earlier.rows.iter_mut().flat_map(|row| &mut row.metrics).chain(&mut totals);
            hidden.filter(|_| is_refused).for_each(|number| *number = Value::Null);
            answer::compare(&mut shown, &earlier, &asked, &self.labels(&asked, days));
            if with_totals {
                shown.meta.insert("comparison_totals".to_owned(), json!(totals));
            }
        }
        if question["include"]["total_rows"] == Value::Bool(true) {
            shown.meta.insert("total_rows".to_owned(), json!(shown.rows.len()));
        }
        tracing::debug!(questions = cells.asked(), "a guarded question is answered");
        let mut meta = shown.meta;
        meta.insert("guard".to_owned(), self.described(None, shown.merged));
        let results: Vec<Value> = answer::page(shown.rows, question).into_iter().map(row).collect();
        Ok(json!({ "results": results, "meta": meta, "query": understood }))
    }

    /// The days and conditions of a question, if they may be asked.
    pub fn scope(&self, question: &Value) -> Result<Scope, Refused> {
        let range =
            Range::parse(&question["date_range"], &self.zone(), self.now).map_err(|_| Refused::Range)?;
        let days = Days::of(&range).ok_or(Refused::Range)?;
        if days.unit == Unit::Free && self.rules.hold(Rule::Range) {
            return Err(Refused::Range);
        }
        let conditions = conditions::read(question, self.settings, self.rules)?;
        if query::asks_for_bots(question) {
            return Err(Refused::Combination);
        }
        Ok(Scope { conditions, days })
    }

    /// Why the group that a question is about is refused. Of a question without filters
    /// nothing is refused: what is too small there is withheld.
    pub async fn refused(&self, cells: &mut Cells<'_>, scope: &Scope) -> Result<Option<Refused>, QueryError> {
        if scope.conditions.is_empty() {
            return Ok(None);
        }
        let verdicts = cells.verdicts(scope.clone(), Vec::new()).await?;
        Ok(verdicts.get(&Vec::new()).copied().flatten())
    }

    /// The answer to what is refused.
    pub fn refusal(&self, refused: Refused, understood: Value) -> Value {
        json!({ "results": [], "meta": { "guard": self.described(Some(refused), 0) }, "query": understood })
    }

    /// `meta.guard`
    pub fn described(&self, refused: Option<Refused>, merged_rows: usize) -> Value {
        json!({ "k": self.k(), "refused": refused.map(Refused::name), "merged_rows": merged_rows })
    }

    pub fn k(&self) -> u64 {
        u64::from(self.site.min_group)
    }

    fn read<'q>(&self, question: &'q Value) -> Result<Asked<'q>, Refused> {
        let scope = self.scope(question)?;
        let names = |name: &str| -> Vec<String> {
            let names = question[name].as_array().map(Vec::as_slice).unwrap_or_default();
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let mut dimensions = names("dimensions");
        for name in &mut dimensions {
            if name == "time" {
                *name = if scope.days.unit == Unit::Day { "time:hour" } else { "time:day" }.to_owned();
            }
            let fits = match (name.as_str(), scope.days.unit) {
                ("time:minute", _) => false,
                ("time:hour", unit) => unit == Unit::Day,
                ("time:month", unit) => unit != Unit::Week,
                _ => true,
            };
            if !fits && self.rules.hold(Rule::Range) {
                return Err(Refused::Range);
            }
        }
        let times = dimensions.iter().filter(|name| name.starts_with("time")).count();
        if dimensions.len() > MAX_DIMENSIONS || times > 1 {
            return Err(Refused::TooManyFilters);
        }
        Ok(Asked { question, metrics: names("metrics"), dimensions, scope })
    }

    fn zone(&self) -> TimeZone {
        TimeZone::get(&self.site.timezone).unwrap_or(TimeZone::UTC)
    }

    /// The buckets of time of an answer, each beside the one it is compared with.
    fn labels(&self, asked: &Asked<'_>, with: Days) -> Vec<(String, String)> {
        let bucket = asked.dimensions.iter().find_map(|name| match name.as_str() {
            "time:hour" => Some(Bucket::Hour),
            "time:day" => Some(Bucket::Day),
            "time:week" => Some(Bucket::Week),
            "time:month" => Some(Bucket::Month),
            _ => None,
        });
        let labels = |days: Days| -> Vec<String> {
            let range = Range::parse(&days.date_range(), &self.zone(), self.now).ok();
            range.zip(bucket).and_then(|(range, bucket)| range.labels(bucket).ok()).unwrap_or_default()
        };
        labels(asked.scope.days).into_iter().zip(labels(with)).collect()
    }
}

fn row(row: Row) -> Value {
    let mut shown = Map::new();
    shown.insert("dimensions".to_owned(), json!(row.key));
    shown.insert("metrics".to_owned(), Value::Array(row.metrics));
    if let Some(comparison) = row.comparison {
        shown.insert("comparison".to_owned(), comparison);
    }
    Value::Object(shown)
}
