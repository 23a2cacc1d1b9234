//! One reading of rollups for all questions of a batch that differ only in what they break
//! down by: the panels of a dashboard.
//!
//! In: the questions of a batch. Out: [`Scanned`], which has the [`Numbers`] of those that could be
//! read together; the others, and whatever goes wrong here, are left to
//! [`super::quick`] and [`super::compile`], one by one. The numbers are the same ones.
//!
//! ```text
//! questions ─plan─┬─ no filter: sums by day ─────────────────native─► groups        (days)
//!                 ╰─ one filter ─slice of people─► visits ─native─► blocks ─tally─► (visits)
//! ```
//!
//! - [`days`]: without a filter a statement has little to read, and being understood and planned
//!   takes the engine longer than that. So there are three and not fourteen.
//! - [`visits`]: under a filter a statement for each panel reads every visit again.
//! - What is filtered, and what sums mean, is said by [`super::quick`] in its own words.

mod days;
pub mod tally;
mod visits;

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::tally::{By, Groups, Sums, Uncounted};
pub use self::visits::SLICE_HITS;
use super::names::{Bucket, Dimension, EventField, Metric};
use super::parse::{Column, Direction, Query};
use super::quick;
use super::visible::Visible;
use super::{Numbers, QueryError, Statement};
use crate::rollup::{Cover, fields};
use crate::store::native;
use crate::store::{Limits, Param, Storage, StorageError};

/// Questions that are read together are at least so many; one is put by itself.
const MIN_QUESTIONS: usize = 2;

/// What was read for several questions together.
#[derive(Default)]
pub struct Scanned(Vec<Read>);

struct Read {
    key: Key,
    /// As [`Plan::asked`]: nothing else is known.
    asked: Vec<(By, Vec<Metric>)>,
    groups: HashMap<By, Groups>,
}

/// What questions have in common that are read together.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    from: i64,
    to: i64,
    filters: Vec<super::filter::Filter>,
}

/// What is to be read and counted for some questions.
pub struct Plan {
    key: Key,
    /// Any of the questions: they have their site, range and filters in common.
    query: Query,
    /// What is asked about the groups of each property.
    asked: Vec<(By, Vec<Metric>)>,
}

/// Why a statement was not read.
enum Failed {
    Storage(StorageError),
    Uncounted(Uncounted),
}

// === impl Scanned ===

impl Scanned {
    pub fn add(&mut self, plan: &Plan, groups: HashMap<By, Groups>) {
        self.0.push(Read { key: plan.key.clone(), asked: plan.asked.clone(), groups });
    }

    /// How many ranges and filters were read.
    pub fn readings(&self) -> usize {
        self.0.len()
    }

    /// The numbers of a question, if they were read.
    pub fn numbers(&self, query: &Query) -> Option<Numbers> {
        let by = by(query)?;
        let key = Key::of(query);
        let Read { asked, groups, .. } = self.0.iter().find(|read| read.key == key)?;
        let (_, metrics) = asked.iter().find(|(known, _)| *known == by)?;
        if !query.metrics.iter().all(|metric| metrics.contains(metric)) {
            return None;
        }
        let people = groups.get(&By::All)?.values().map(|sums| sums.people).sum();
        let mut rows: Vec<Vec<Value>> = match by {
            // Of all together there is one row, also where nothing was.
            By::All => {
                let mut all = Sums::default();
                groups.get(&by)?.values().for_each(|sums| all.add(sums));
                vec![row(query, None, &all)]
            }
            _ => groups.get(&by)?.iter().map(|(value, sums)| row(query, Some(value), sums)).collect(),
        };
        let total_rows = query.include.total_rows.then_some(rows.len() as u64);
        sort(&mut rows, query);
        let page = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let rows = rows.into_iter().skip(page(query.offset)).take(page(query.limit)).collect();
        Some(Numbers {
            rows,
            total_rows,
            total_visitors: query.metrics.contains(&Metric::Percentage).then_some(people),
            visitors_before_goals: None,
        })
    }
}

// === impl Key ===

impl Key {
    fn of(query: &Query) -> Key {
        Key { from: query.range.from, to: query.range.to, filters: query.filters.clone() }
    }
}

// === impl Plan ===

impl Plan {
    /// The plans for these questions, all of one site.
    pub fn all(queries: &[Query]) -> Vec<Plan> {
        let mut plans: Vec<(Plan, usize)> = Vec::new();
        for query in queries {
            let Some(by) = by(query) else { continue };
            let key = Key::of(query);
            let place = plans.iter().position(|(plan, _)| plan.key == key).unwrap_or_else(|| {
                // Who all of them are is asked with any share of them.
                let asked = vec![(By::All, vec![Metric::Visitors])];
                plans.push((Plan { key, query: query.clone(), asked }, 0));
                plans.len() - 1
            });
            let (plan, questions) = &mut plans[place];
            plan.ask(by, &query.metrics);
            *questions += 1;
        }
        plans.retain(|(_, questions)| *questions >= MIN_QUESTIONS);
        plans.into_iter().map(|(plan, _)| plan).collect()
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Reads and counts. `None` where it is too much, or in no table.
    pub async fn run(
        &self,
        storage: &Storage,
        cover: &Cover,
        visible: Visible<'_>,
    ) -> Result<Option<HashMap<By, Groups>>, QueryError> {
        match self.key.filters.is_empty() {
            true => days::run(self, storage, cover, visible).await,
            false => visits::run(self, storage, cover, visible).await,
        }
    }

    fn ask(&mut self, by: By, metrics: &[Metric]) {
        let place = self.asked.iter().position(|(known, _)| *known == by).unwrap_or_else(|| {
            self.asked.push((by, Vec::new()));
            self.asked.len() - 1
        });
        let (_, asked) = &mut self.asked[place];
        for metric in metrics {
            if !asked.contains(metric) {
                asked.push(*metric);
            }
        }
    }
}

// === impl Failed ===

impl Failed {
    /// `None` where it was too much.
    fn of_query(self) -> Option<QueryError> {
        match self {
            Failed::Storage(error) => Some(super::refused(error)),
            Failed::Uncounted(Uncounted::Slice | Uncounted::Groups) => None,
            Failed::Uncounted(error @ Uncounted::Broken(_)) => {
                Some(StorageError::Unreadable(error.to_string()).into())
            }
        }
    }
}

/// Puts a statement to storage, and counts what comes.
async fn read<T: Send + 'static>(
    storage: &Storage,
    statement: &Statement,
    more: &[(String, Param)],
    settings: &[(&str, &str)],
    count: impl FnOnce(mpsc::Receiver<Bytes>) -> Result<T, Uncounted> + Send + 'static,
) -> Result<T, Failed> {
    let params = [statement.params.as_slice(), more].concat();
    let counted = native::read(storage, &statement.sql, &params, &Limits::default(), settings, count).await;
    counted.map_err(Failed::Storage)?.map_err(Failed::Uncounted)
}

/// What a question breaks down by, if this can tell.
fn by(query: &Query) -> Option<By> {
    if !quick::is_of_whole_days(query) {
        return None;
    }
    let is_filtered = !query.filters.is_empty();
    let by = match query.dimensions.as_slice() {
        [] => By::All,
        [Dimension::Time(bucket @ (Bucket::Day | Bucket::Week | Bucket::Month))] => By::Time(*bucket),
        [Dimension::Visit(field)] if fields::column(*field).is_some() => By::Visit(*field),
        [Dimension::Event(EventField::Page)] => By::Page,
        [Dimension::Event(EventField::Name)] if !is_filtered => By::Name,
        _ => return None,
    };
    let is_counted = |metric: &Metric| match metric {
        Metric::Visitors | Metric::Pageviews | Metric::Events | Metric::Percentage => true,
        // Of the visits of a page, those over midnight have it in a list of its own.
        Metric::Visits | Metric::ViewsPerVisit | Metric::BounceRate | Metric::VisitDuration => {
            by != By::Page || !is_filtered
        }
        _ => false,
    };
    query.metrics.iter().all(is_counted).then_some(by)
}

/// A row as storage gives it.
fn row(query: &Query, value: Option<&[u8]>, sums: &Sums) -> Vec<Value> {
    let value = value.map(|value| json!(String::from_utf8_lossy(value)));
    value.into_iter().chain(query.metrics.iter().map(|metric| number(*metric, sums))).collect()
}

/// As `number` in [`super::quick`], in the engine's arithmetic.
fn number(metric: Metric, sums: &Sums) -> Value {
    // Halves go to the even neighbour.
    let rounded = |number: f64| json!(number.round_ties_even() as u64);
    let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
    match metric {
        Metric::Visitors | Metric::Percentage => json!(sums.people),
        Metric::Visits => json!(sums.visits),
        Metric::Pageviews => json!(sums.views),
        Metric::Events => json!(sums.counted),
        Metric::ViewsPerVisit if sums.visits > 0 => {
            let hundredths = (ratio(sums.views, sums.visits) * 100.0).round_ties_even();
            // A whole number is written without a point.
            if hundredths % 100.0 == 0.0 { rounded(hundredths / 100.0) } else { json!(hundredths / 100.0) }
        }
        Metric::BounceRate if sums.own > 0 => rounded(ratio(100 * sums.bounced, sums.own)),
        Metric::VisitDuration if sums.own > 0 => rounded(ratio(sums.lasted, sums.own) / 1000.0),
        _ => Value::Null,
    }
}

/// Sorts rows as storage does: by the asked columns, then by the keys; nothing comes last.
fn sort(rows: &mut [Vec<Value>], query: &Query) {
    let keys = query.dimensions.len();
    let mut order: Vec<(usize, Direction)> = Vec::new();
    for (column, direction) in &query.order {
        order.push(match column {
            Column::Dimension(index) => (*index, *direction),
            Column::Metric(index) => (keys + index, *direction),
        });
    }
    order.extend((0..keys).map(|key| (key, Direction::Ascending)));
    rows.sort_by(|one, other| {
        let compared =
            order.iter().map(|(column, direction)| compare(&one[*column], &other[*column], *direction));
        compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
}

fn compare(one: &Value, other: &Value, direction: Direction) -> std::cmp::Ordering {
    let ordering = match (one, other) {
        (Value::Null, Value::Null) => return std::cmp::Ordering::Equal,
        (Value::Null, _) => return std::cmp::Ordering::Greater,
        (_, Value::Null) => return std::cmp::Ordering::Less,
        (Value::String(one), Value::String(other)) => one.as_bytes().cmp(other.as_bytes()),
        _ => {
            let number = |value: &Value| value.as_f64().unwrap_or(0.0);
            number(one).total_cmp(&number(other))
        }
    };
    if direction == Direction::Descending { ordering.reverse() } else { ordering }
}
