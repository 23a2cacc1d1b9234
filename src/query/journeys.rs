//! Journeys: from which page people went on to which.
//!
//! In: `{"site_id","date_range","filters","include","from":null|"/path","limit":20}`. Out:
//! `results`, rows of `{"from","to","visits","visitors"}`, and in `meta` the `entries` and `exits`, rows of
//! `{"page","visits"}`.
//!
//! Definitions:
//! - a *step* is two page views of a visit with no page view between them, of different
//!   pages; a page is a path, as in `event:page`. It is made when the second is seen, so
//!   it counts in a range that has the second, wherever the first is;
//! - an *entry* is the first page view of a visit, an *exit* its last, each counted in a range
//!   that has it. So every visit has one of each, and neighbouring ranges share none;
//! - `visits`: each visit once for each pair, and for each entry and exit, however often;
//! - with `from`: `results` are the steps from that page, `meta.before` those to it, and
//!   `entries` and `exits` those there;
//! - each list has at most `limit` rows, by visits, then by the pages' names.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compile::{Builder, Of, Statement};
use super::filter::short;
use super::names::{Dimension, EventField};
use super::report::{Common, IN_RANGE, whole};
use super::visible::Visible;
use super::{QueryError, ask};
use crate::config::Site;
use crate::event::Kind;
use crate::settings::Settings;
use crate::store::{Param, Storage};

/// The rows of each list when nothing is said, and the most.
const LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 1000;
/// The longest path asked for, in bytes; the longest stored one is half of it.
const MAX_FROM_BYTES: usize = 2048;

const KEYS: &[&str] = &["site_id", "date_range", "filters", "include", "from", "limit"];

/// What a row of the statement is.
const STEP: u64 = 1;
const BEFORE: u64 = 2;
const ENTRY: u64 = 3;
const EXIT: u64 = 4;

/// A question that can be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    common: Common,
    from: Option<String>,
    limit: u64,
}

pub async fn run(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
) -> Result<Value, QueryError> {
    let mut question = parse(question, site, settings, now).map_err(QueryError::Invalid)?;
    let visible = question.common.look(storage, site).await?;
    let rows = ask(storage, &compile(&question, visible)).await?;
    let list = |wanted: u64, shape: fn(&[Value]) -> Value| -> Vec<Value> {
        rows.iter().filter(|row| row.first() == Some(&json!(wanted))).map(|row| shape(row)).collect()
    };
    let step = |row: &[Value]| json!({ "from": row[1], "to": row[2], "visits": row[3], "visitors": row[4] });
    let mut meta = json!({
        "entries": list(ENTRY, |row| json!({ "page": row[1], "visits": row[3] })),
        "exits": list(EXIT, |row| json!({ "page": row[2], "visits": row[3] })),
    });
    if question.from.is_some() {
        meta["before"] = json!(list(BEFORE, step));
    }
    let mut query = question.common.normalised();
    query.insert("from".to_owned(), json!(question.from));
    query.insert("limit".to_owned(), json!(question.limit));
    Ok(json!({ "results": list(STEP, step), "meta": meta, "query": query }))
}

/// Reads a question, or lists all of its mistakes.
pub fn parse(
    question: &Value,
    site: &Site,
    settings: &Settings,
    now: Timestamp,
) -> Result<Question, Vec<String>> {
    let mut mistakes = Vec::new();
    let common = Common::parse(question, KEYS, site, settings, now, &mut mistakes);
    let from = match question.get("from") {
        None | Some(Value::Null) => None,
        // A NUL cannot be stored.
        Some(Value::String(path)) if path.len() <= MAX_FROM_BYTES && !path.contains('\0') => {
            Some(path.clone())
        }
        Some(other) => {
            mistakes.push(format!("#/from: Invalid value {}", short(other)));
            None
        }
    };
    let limit = whole(question, "limit", LIMIT, 1..=MAX_LIMIT, &mut mistakes);
    match common {
        Some(common) if mistakes.is_empty() => Ok(Question { common, from, limit }),
        _ => Err(mistakes),
    }
}

/// Rows of what it is, a page, the next page, and visits.
pub fn compile(question: &Question, visible: Visible<'_>) -> Statement {
    let mut builder = Builder::new(&question.common.query, visible);
    let is_visit = question.common.is_visit(&mut builder);
    let passes = question.common.passes(&mut builder);
    let page = builder.dimension(&Dimension::Event(EventField::Page), Of::Hit);
    let (what, wanted) = match &question.from {
        None => ("one.1".to_owned(), String::new()),
        Some(path) => {
            let path = format!("{{{}:String}}", builder.param(Param::Text(path.clone())));
            (
                format!("if(one.1 = {STEP} AND b = {path}, {BEFORE}, one.1)"),
                // The empty other page of an entry or exit is not a page.
                format!("\nWHERE (a = {path} AND what != {EXIT}) OR (b = {path} AND what != {ENTRY})"),
            )
        }
    };
    let sql = format!(
        "SELECT what, a, b, count() AS visits, uniqExact(person) AS visitors
FROM
(
SELECT person, arrayJoin(arrayDistinct(arrayMap(y -> (y.2, y.3, y.4), arrayFilter(
    y -> y.1 >= {{from:Int64}} AND y.1 < {{to:Int64}} AND (y.2 != {STEP} OR y.3 != y.4),
    arrayConcat(
        [(views[1].1, toUInt8({ENTRY}), views[1].4, ''), (views[-1].1, toUInt8({EXIT}), '', views[-1].4)],
        arrayMap((y, z) -> (z.1, toUInt8({STEP}), y.4, z.4), arrayPopBack(views), arrayPopFront(views))))))) AS one,
    one.2 AS a, one.3 AS b, {what} AS what
FROM
(
SELECT person, n, max(passes) AS is_asked, arraySort(groupArrayIf((at, batch, row, page), kind = {pageview})) AS views
FROM
(
SELECT person, n, x.1 AS at, x.2 AS batch, x.3 AS row, x.4 AS kind, CAST({page}, 'String') AS page,
    {IN_RANGE} AND {passes} AS passes
FROM
(
{visits}
)
ARRAY JOIN v AS x
WHERE {is_visit}
)
GROUP BY person, n
HAVING is_asked AND notEmpty(views)
)
){wanted}
GROUP BY what, a, b
ORDER BY what, visits DESC, a, b
LIMIT {limit} BY what",
        pageview = Kind::Pageview as i8,
        limit = question.limit,
        visits = builder.visits(),
    );
    Statement { sql, params: builder.params }
}
