//! One reading of `visits` for all questions of a batch that differ only in what they break
//! down by: the panels of a dashboard under one filter.
//!
//! In: the questions of a batch. Out: [`Scanned`], which has the [`Numbers`] of those that could be
//! read together; the others, and whatever goes wrong here, are left to
//! [`super::quick`] and [`super::compile`], one by one. The numbers are the same ones.
//!
//! ```text
//! questions ─plan─► one filter, columns ─slice of people─► visits ─native─► blocks ─tally─► groups
//! ```
//!
//! Why we count here what the engine could: most of such an answer is counting different
//! people, and an engine's statement does that for each panel anew. Measured on 31 million
//! visits of a year (one country of ten, two cores): each panel by itself 7.7 s in all, of which a fifth
//! is reading; see benches/README.md for what this takes.
//!
//! - *Slices*: people whose numbers are next to each other lie next to each other in
//!   `visits`, so a slice of them is read by its own statement, which costs little more (the
//!   dictionaries of words, 45 ms at that size). As many slices as cores are read at
//!   once. A slice that turns out to be too large to be held is cut in parts.
//! - One scan at a time: others wait for their turn, as they would for the cores.
//! - What is filtered is decided by the engine, in the words of [`super::quick`].
//!
//! Bounds: [`SLICE_HITS`], [`MAX_CUTS`], and those of [`tally`] and [`native`].

pub mod native;
pub mod tally;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::native::Reader;
use self::tally::{By, Columns, Groups, Measure, Sums, Tally, Uncounted, Wanted};
use super::names::{Bucket, Dimension, EventField, Metric};
use super::parse::{Column, Direction, Query};
use super::quick;
use super::visible::Visible;
use super::{Numbers, QueryError, Statement};
use crate::rollup::{Cover, fields};
use crate::store::{Limits, Param, Storage, StorageError};

/// The hits whose visits a slice has, at first.
pub const SLICE_HITS: u64 = 25_000_000;
/// Below it there is nothing to be read by several.
const MIN_SHARED_HITS: u64 = 1_000_000;
/// A slice that is too large is cut in so many, and these again up to so often.
const PARTS: u64 = 4;
const MAX_CUTS: u32 = 3;
/// The most slices that are read at once: more would only share the engine's memory.
const MAX_AT_ONCE: usize = 4;
/// Questions that are read together are at least so many; one is put by itself.
const MIN_QUESTIONS: usize = 2;
/// How many chunks of an answer may wait to be counted.
const CHUNKS_AHEAD: usize = 16;
/// Of large blocks the engine makes fewer, each with its own words.
const SETTINGS: &[(&str, &str)] = &[
    ("max_threads", "1"),
    ("max_block_size", "1000000"),
    ("preferred_block_size_bytes", "100000000"),
    ("wait_end_of_query", "0"),
    ("max_result_rows", "0"),
];

/// One scan is under way at a time.
static TURN: Semaphore = Semaphore::const_new(1);

/// The numbers of the questions that were read together.
#[derive(Default)]
pub struct Scanned(Vec<(Key, HashMap<By, Groups>)>);

/// What questions have in common that are read together.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    from: i64,
    to: i64,
    filters: Vec<super::filter::Filter>,
}

/// What one scan is to read and count.
pub struct Plan {
    key: Key,
    /// Any of the questions: they have their site, range and filters in common.
    query: Query,
    wanted: Vec<Wanted>,
    columns: Columns,
}

// === impl Scanned ===

impl Scanned {
    pub fn add(&mut self, plan: &Plan, groups: HashMap<By, Groups>) {
        self.0.push((plan.key.clone(), groups));
    }

    /// The numbers of a question that was read.
    pub fn numbers(&self, query: &Query) -> Option<Numbers> {
        let by = by(query)?;
        let key = Key::of(query);
        let (_, groups) = self.0.iter().find(|(known, _)| *known == key)?;
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
    /// The scans for these questions, all of one site.
    pub fn all(queries: &[Query]) -> Vec<Plan> {
        let mut plans: Vec<(Plan, Vec<&Query>)> = Vec::new();
        for query in queries {
            let Some(by) = by(query) else { continue };
            let key = Key::of(query);
            let place = plans.iter().position(|(plan, _)| plan.key == key).unwrap_or_else(|| {
                let wanted = vec![Wanted { by: By::All, measures: Vec::new() }];
                let plan = Plan { key, query: query.clone(), wanted, columns: Columns::default() };
                plans.push((plan, Vec::new()));
                plans.len() - 1
            });
            let (plan, questions) = &mut plans[place];
            plan.need(query, by);
            questions.push(query);
        }
        plans.retain(|(_, questions)| questions.len() >= MIN_QUESTIONS);
        plans.into_iter().map(|(plan, _)| plan).collect()
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Reads and counts. `None` where it is too much.
    pub async fn run(
        &self,
        storage: &Storage,
        cover: &Cover,
        visible: Visible<'_>,
    ) -> Result<Option<HashMap<By, Groups>>, QueryError> {
        let Some(statement) = quick::visits_of(&self.query, &self.columns, cover, visible) else {
            return Ok(None);
        };
        // It is never closed.
        let Ok(_turn) = TURN.acquire().await else { return Ok(None) };
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_AT_ONCE);
        let slices = match cover.hits {
            few if few < MIN_SHARED_HITS => 1,
            many => many.div_ceil(SLICE_HITS).max(cores as u64),
        };
        let statement = Arc::new(statement);
        let mut left = Slice::ALL.parts(slices);
        let mut under_way = JoinSet::new();
        let mut all: HashMap<By, Groups> = HashMap::new();
        loop {
            while under_way.len() < cores
                && let Some(slice) = left.pop()
            {
                let (storage, statement, columns) =
                    (storage.clone(), statement.clone(), self.columns.clone());
                let tally = Tally::new(columns.clone(), &self.wanted, cover.days.first);
                under_way
                    .spawn(async move { (slice, read(&storage, &statement, slice, &columns, tally).await) });
            }
            let groups = match under_way.join_next().await {
                None => return Ok(Some(all)),
                Some(Ok((_, Ok(groups)))) => groups,
                Some(Ok((slice, Err(Failed::Uncounted(Uncounted::Slice))))) if slice.cuts < MAX_CUTS => {
                    left.extend(slice.parts(PARTS));
                    continue;
                }
                Some(Ok((_, Err(Failed::Uncounted(Uncounted::Slice | Uncounted::Groups))))) => {
                    return Ok(None);
                }
                Some(Ok((_, Err(Failed::Uncounted(error))))) => {
                    return Err(StorageError::Unreadable(error.to_string()).into());
                }
                Some(Ok((_, Err(Failed::Storage(error))))) => return Err(super::refused(error)),
                Some(Err(error)) => return Err(StorageError::Unreadable(error.to_string()).into()),
            };
            for (by, groups) in groups {
                let all = all.entry(by).or_default();
                for (value, sums) in groups {
                    all.entry(value).or_default().add(&sums);
                }
            }
        }
    }

    /// Adds what a question needs.
    fn need(&mut self, query: &Query, by: By) {
        let place = self.wanted.iter().position(|wanted| wanted.by == by).unwrap_or_else(|| {
            self.wanted.push(Wanted { by, measures: Vec::new() });
            self.wanted.len() - 1
        });
        let Columns { day, measures, fields, pages } = &mut self.columns;
        let own = &mut self.wanted[place].measures;
        let mut need = |measure| {
            // Those of pages are in the lists of pages.
            let lists = if by == By::Page { vec![] } else { vec![&mut *own, &mut *measures] };
            for list in lists {
                if !list.contains(&measure) {
                    list.push(measure);
                }
            }
        };
        let mut of_visits = false;
        for metric in &query.metrics {
            match metric {
                Metric::Pageviews => need(Measure::Views),
                Metric::Events => need(Measure::Counted),
                Metric::Visits => of_visits = true,
                Metric::ViewsPerVisit => {
                    need(Measure::Views);
                    of_visits = true;
                }
                Metric::BounceRate => {
                    need(Measure::Own);
                    need(Measure::Bounce);
                    of_visits = true;
                }
                Metric::VisitDuration => {
                    need(Measure::Own);
                    need(Measure::Lasted);
                    of_visits = true;
                }
                _ => {}
            }
        }
        if of_visits {
            need(Measure::Earlier);
        }
        *day |= of_visits;
        match by {
            By::All => {}
            By::Time(_) => *day = true,
            By::Visit(field) => {
                if !fields.contains(&field) {
                    fields.push(field);
                }
            }
            By::Page => *pages = true,
        }
    }
}

/// People whose numbers are between two, both belonging to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    least: u64,
    most: u64,
    /// How often it was cut.
    cuts: u32,
}

// === impl Slice ===

impl Slice {
    const ALL: Slice = Slice { least: 0, most: u64::MAX, cuts: 0 };

    fn parts(self, many: u64) -> Vec<Slice> {
        let width = (self.most - self.least) / many;
        let part = |nth: u64| Slice {
            least: self.least + nth * width,
            most: if nth + 1 == many { self.most } else { self.least + (nth + 1) * width - 1 },
            cuts: self.cuts + 1,
        };
        (0..many).map(part).collect()
    }
}

/// Why a slice was not counted.
enum Failed {
    Storage(StorageError),
    Uncounted(Uncounted),
}

/// Counts one slice: a task brings its bytes, a thread counts them.
async fn read(
    storage: &Storage,
    statement: &Statement,
    slice: Slice,
    columns: &Columns,
    mut tally: Tally,
) -> Result<HashMap<By, Groups>, Failed> {
    let bounds = [("least", slice.least), ("most", slice.most)]
        .map(|(name, value)| (name.to_owned(), Param::Text(value.to_string())));
    let params = [statement.params.as_slice(), &bounds].concat();
    let (send, mut receive) = mpsc::channel::<Bytes>(CHUNKS_AHEAD);
    let types = columns.types();
    let counting = tokio::task::spawn_blocking(move || {
        let mut reader = Reader::new(std::iter::from_fn(|| receive.blocking_recv()));
        while let Some(block) = reader.block(&types).map_err(Uncounted::Broken)? {
            tally.add(block)?;
        }
        tally.end_slice();
        Ok(tally.groups())
    });
    let brought = async {
        let mut answer = storage.native(&statement.sql, &params, &Limits::default(), SETTINGS)?;
        while let Some(chunk) = answer.next().await? {
            if send.send(chunk).await.is_err() {
                // It has stopped counting, and says why.
                break;
            }
        }
        Ok(())
    }
    .await;
    drop(send);
    let counted = counting.await;
    brought.map_err(Failed::Storage)?;
    match counted {
        Ok(counted) => counted.map_err(Failed::Uncounted),
        Err(error) => Err(Failed::Storage(StorageError::Unreadable(error.to_string()))),
    }
}

/// What a question breaks down by, if a scan can tell.
fn by(query: &Query) -> Option<By> {
    if query.filters.is_empty() || !quick::is_of_whole_days(query) {
        return None;
    }
    let by = match query.dimensions.as_slice() {
        [] => By::All,
        [Dimension::Time(bucket @ (Bucket::Day | Bucket::Week | Bucket::Month))] => By::Time(*bucket),
        [Dimension::Visit(field)] if fields::column(*field).is_some() => By::Visit(*field),
        [Dimension::Event(EventField::Page)] => By::Page,
        _ => return None,
    };
    let is_counted = |metric: &Metric| match metric {
        Metric::Visitors | Metric::Pageviews | Metric::Events | Metric::Percentage => true,
        // Of the visits of a page, those over midnight have it in a list of its own.
        Metric::Visits | Metric::ViewsPerVisit | Metric::BounceRate | Metric::VisitDuration => by != By::Page,
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
    // Halves go to the even neighbour, and a whole number is written without a point.
    let rounded = |number: f64| {
        let number = number.round_ties_even();
        if number.fract() == 0.0 { json!(number as u64) } else { json!(number) }
    };
    let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
    match metric {
        Metric::Visitors | Metric::Percentage => json!(sums.people),
        Metric::Visits => json!(sums.visits),
        Metric::Pageviews => json!(sums.views),
        Metric::Events => json!(sums.counted),
        Metric::ViewsPerVisit if sums.visits > 0 => {
            let hundredths = (ratio(sums.views, sums.visits) * 100.0).round_ties_even();
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
