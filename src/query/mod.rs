//! Questions in, exact numbers out: `POST /api/v2/query` and the live count.
//!
//! In: the JSON of a question (the shape of Plausible's Stats API v2), the
//! site, and now. Out: the JSON of the answer, or a [`QueryError`] that says
//! whose fault it is.
//!
//! ```text
//! JSON ─parse─► Query ─compile─► SQL text of ours + bound values ─store─► rows ─► JSON
//! ```
//!
//! Definitions (each number is a recount of the visible raw hits):
//! - *person*: a cookie, or a day's cookieless hash; a hit that was answered
//!   with a new cookie belongs to that cookie once any hit carries it, and hashes
//!   whose visit went on over midnight are one person (`crate::identify::visit`);
//! - *visit*: the hits of a person from a page view or event on, until one
//!   comes more than 30 minutes after the hit before it; engagement and ad
//!   blocks lengthen a visit but do not begin one;
//! - `visitors`, `visits`: those with at least one page view or event in the
//!   group; so visits are never fewer than visitors;
//! - attributes of a visit are those of its first page view or event;
//! - `bounce_rate`, `visit_duration`: of the visits of the group, and of those
//!   that entered there when the question is about pages or hosts;
//! - questions about ad blocks (`event:ad`) count the persons and visits with
//!   a hit of the block there;
//! - a number that does not exist (a rate of nothing) is `null`;
//! - marked hits ([`crate::mark`]) are out of every number, unless `include.bots`
//!   asks for them: then they count as if they had no mark, and `event:mark` tells
//!   them apart.
//!
//! It knows no roles: who may ask what, and the guard of small groups, are the
//! caller's.

pub mod compile;
pub mod filter;
pub mod goal;
pub mod names;
pub mod parse;
pub(crate) mod person;
pub mod range;
pub mod visible;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use compile::{Statement, Statements, compile};
pub use names::{Dimension, Metric};
pub use parse::{Query, parse};
pub use visible::Visible;

use crate::config::Site;
use crate::store::{Limits, Storage, StorageError};

/// A person is on the site for so long after their last hit.
const LIVE_MS: i64 = 5 * 60 * 1000;
/// ClickHouse's codes for a pattern that is not a regular expression.
const BAD_PATTERNS: &[u32] = &[
    427, // CANNOT_COMPILE_REGEXP
    8,   // a pattern that RE2 takes but the engine's matcher does not
];
/// ClickHouse's codes for a question that needs more than its limits.
const TOO_EXPENSIVE: &[u32] = &[
    158, // TOO_MANY_ROWS
    159, // TIMEOUT_EXCEEDED
    160, // TOO_SLOW
    241, // MEMORY_LIMIT_EXCEEDED
    307, // TOO_MANY_BYTES
    396, // TOO_MANY_ROWS_OR_BYTES
];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question is wrong: one line for each mistake. Answer 400.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// It would take more time or memory than a question may. Answer 422.
    #[error("the question needs more time or memory than is allowed, ask for a shorter range")]
    TooExpensive,
    /// Storage failed. Answer 503.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Answers a question about `site`.
pub async fn run(
    storage: &Storage,
    site: &Site,
    question: &Value,
    now: Timestamp,
) -> Result<Value, QueryError> {
    let mut query = parse(question, site, now).map_err(QueryError::Invalid)?;
    let visible = visible(storage, site).await?;
    if query.range.all
        && let Some(first) = first_hit(storage, &query, visible).await?
    {
        query.begin_with(first);
    }
    let labels = match query.dimensions.iter().find_map(time_bucket) {
        Some(bucket) if query.include.time_labels => Some(
            query
                .range
                .labels(bucket)
                .map_err(|error| QueryError::Invalid(vec![format!("#/include/time_labels: {error}")]))?,
        ),
        _ => None,
    };
    let statements = compile(&query, visible);
    let rows = ask(storage, &statements.rows).await?;
    let total_rows = match &statements.total_rows {
        Some(statement) => Some(number(&ask(storage, statement).await?)),
        None => None,
    };
    let total_visitors = match &statements.total_visitors {
        Some(statement) => number(&ask(storage, statement).await?),
        None => 0,
    };

    let mut meta = Map::new();
    if query.include.imports {
        meta.insert("imports_included".to_owned(), json!(false));
    }
    if let Some(labels) = labels {
        meta.insert("time_labels".to_owned(), json!(labels));
    }
    if let Some(total) = total_rows {
        meta.insert("total_rows".to_owned(), json!(total));
    }
    let results: Vec<Value> = rows.into_iter().map(|row| result(&query, row, total_visitors)).collect();
    Ok(json!({ "results": results, "meta": meta, "query": query.normalised() }))
}

/// The persons with a hit in the last five minutes.
pub async fn live(storage: &Storage, site: &Site, now: Timestamp) -> Result<u64, QueryError> {
    let now = now.as_millisecond();
    let statement = compile::live(&site.id, now - LIVE_MS, now, visible(storage, site).await?);
    Ok(number(&ask(storage, &statement).await?))
}

/// Whether a question asks for marked hits: who may, is the caller's affair.
pub fn asks_for_bots(question: &Value) -> bool {
    question["include"]["bots"] == Value::Bool(true)
}

/// Which rows there are for a question that is asked now.
async fn visible<'a>(storage: &'a Storage, site: &Site) -> Result<Visible<'a>, QueryError> {
    Ok(match storage.has_blocks(&site.id).await? {
        true => Visible::unblocked(storage.database()),
        false => Visible::all(storage.database()),
    })
}

async fn first_hit(
    storage: &Storage,
    query: &Query,
    visible: Visible<'_>,
) -> Result<Option<i64>, QueryError> {
    let rows = ask(storage, &compile::first_hit(&query.site, query.bots(), visible)).await?;
    Ok(rows.first().and_then(|row| match row.as_slice() {
        [count, first] if count.as_u64() > Some(0) => first.as_i64(),
        _ => None,
    }))
}

async fn ask(storage: &Storage, statement: &Statement) -> Result<Vec<Vec<Value>>, QueryError> {
    storage.json(&statement.sql, &statement.params, &Limits::default()).await.map_err(|error| {
        match error.code() {
            Some(code) if BAD_PATTERNS.contains(&code) => {
                QueryError::Invalid(vec!["#/filters: Invalid regular expression".to_owned()])
            }
            Some(code) if TOO_EXPENSIVE.contains(&code) => QueryError::TooExpensive,
            _ => QueryError::Storage(error),
        }
    })
}

/// One row of the answer.
fn result(query: &Query, mut row: Vec<Value>, total_visitors: u64) -> Value {
    let mut metrics = row.split_off(query.dimensions.len().min(row.len()));
    for (metric, value) in query.metrics.iter().zip(&mut metrics) {
        if *metric == Metric::Percentage {
            *value = match value.as_u64() {
                Some(visitors) if total_visitors > 0 => {
                    json!((visitors as f64 * 1000.0 / total_visitors as f64).round() / 10.0)
                }
                _ => Value::Null,
            };
        }
    }
    json!({ "dimensions": row, "metrics": metrics })
}

fn number(rows: &[Vec<Value>]) -> u64 {
    rows.first().and_then(|row| row.first()).and_then(Value::as_u64).unwrap_or_default()
}

fn time_bucket(dimension: &Dimension) -> Option<names::Bucket> {
    match dimension {
        Dimension::Time(bucket) => Some(*bucket),
        _ => None,
    }
}
