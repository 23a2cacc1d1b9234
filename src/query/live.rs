//! Who is on the site now.
//!
//! In: `{"site_id","filters"}`, the filters optional. Out:
//! `{"visitors":3,"pages":[{"name":"/a","visitors":2}],"sources":[{"name":"Google","visitors":1}]}`.
//!
//! Definitions:
//! - `visitors`: the persons with a hit of any kind in the last [`LIVE_MS`], until now;
//! - `pages`: each of them at the path of their last such hit;
//! - `sources`: each by the source of the visit that this hit belongs to, which may have
//!   begun long before (up to a day); a hit before its person's first visit has its own;
//! - with filters, only hits that pass all of them are looked at;
//! - each list has at most [`MAX_ROWS`] rows, by visitors, then by name.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compile::{Builder, Of, Statement};
use super::names::{Dimension, EventField, VisitField};
use super::report::{Common, IN_RANGE};
use super::visible::Visible;
use super::{QueryError, ask, visible};
use crate::config::Site;
use crate::settings::Settings;
use crate::store::Storage;

/// A person is on the site for so long after their last hit.
pub const LIVE_MS: i64 = 5 * 60 * 1000;
/// The most rows of each list.
pub const MAX_ROWS: usize = 10;

const KEYS: &[&str] = &["site_id", "filters"];

/// What a row of the statement is about.
const ALL: u64 = 1;
const PAGE: u64 = 2;
const SOURCE: u64 = 3;

/// A question that can be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    common: Common,
}

pub async fn run(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
) -> Result<Value, QueryError> {
    let question = parse(question, site, settings, now).map_err(QueryError::Invalid)?;
    let rows = ask(storage, &compile(&question, visible(storage, site).await?)).await?;
    let of = |what: u64| rows.iter().filter(move |row| row.first() == Some(&json!(what)));
    let list = |what: u64| -> Vec<Value> {
        of(what).map(|row| json!({ "name": row[1], "visitors": row[2] })).collect()
    };
    let visitors = of(ALL).next().map_or(json!(0), |row| row[2].clone());
    Ok(json!({ "visitors": visitors, "pages": list(PAGE), "sources": list(SOURCE) }))
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
    let Some(mut common) = common.filter(|_| mistakes.is_empty()) else { return Err(mistakes) };
    let now = now.as_millisecond();
    (common.query.range.from, common.query.range.to) = (now - LIVE_MS + 1, now.saturating_add(1));
    Ok(Question { common })
}

/// Rows of what it is about, a name, and visitors.
pub fn compile(question: &Question, visible: Visible<'_>) -> Statement {
    let mut builder = Builder::new(&question.common.query, visible);
    let passes = question.common.passes(&mut builder);
    let page = builder.dimension(&Dimension::Event(EventField::Page), Of::Hit);
    let source = builder.dimension(&Dimension::Visit(VisitField::Source), Of::Hit);
    let sql = format!(
        "SELECT what, name, count() AS visitors
FROM
(
SELECT arrayJoin([({ALL}, ''), ({PAGE}, last_page), ({SOURCE}, last_source)]) AS one, one.1 AS what, one.2 AS name
FROM
(
SELECT person, argMax(page, place) AS last_page, argMax(source, place) AS last_source
FROM
(
SELECT person, (x.1, x.2, x.3) AS place, CAST({page}, 'String') AS page, CAST({source}, 'String') AS source
FROM
(
{visits}
)
ARRAY JOIN v AS x
WHERE {IN_RANGE} AND {passes}
)
GROUP BY person
)
)
GROUP BY what, name
ORDER BY what, visitors DESC, name
LIMIT {MAX_ROWS} BY what",
        visits = builder.visits(),
    );
    Statement { sql, params: builder.params }
}
