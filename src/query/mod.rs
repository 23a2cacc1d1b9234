//! Questions in, exact numbers out: `POST /api/v2/query`, and those about whole visits
//! ([`report`]): funnels, journeys, retention, who is there now.
//!
//! In: the JSON of a question (the shape of Plausible's Stats API v2), the
//! site with its [`Settings`], and now. Out: the JSON of the answer, or a
//! [`QueryError`] that says whose fault it is.
//!
//! ```text
//! JSON ─parse─► Query ─compile─► SQL text of ours + bound values ─store─► rows ─answer─► JSON
//!                 ╰─ the same of all rows together, and of the range before ─╯
//! ```
//!
//! Where [`crate::rollup`] holds the range, [`quick`] stands in the place of `compile`, and [`scan`] before
//! both where several questions are asked about one filter.
//!
//! Definitions (each number is a recount of the visible raw hits):
//! - *person*: a cookie, or a day's cookieless hash; a hit that was answered
//!   with a new cookie belongs to that cookie once any hit carries it, and hashes
//!   whose visit went on over midnight are one person (`crate::identify::visit`);
//! - *visit*: the hits of a person from a page view or event on, until none
//!   comes for more than 30 minutes; engagement and ad blocks lengthen a visit but do
//!   not begin one;
//! - `visitors`, `visits`: those with at least one page view or event in the
//!   group; so visits are never fewer than visitors;
//! - attributes of a visit are those of its first page view or event;
//! - `bounce_rate`, `visit_duration`: of the visits of the group, and of those
//!   that entered there when the question is about pages or hosts;
//! - questions about ad blocks (`event:ad`) count the persons and visits with
//!   a hit of the block there;
//! - a question about goals (`event:goal`, see [`goal`]) counts the persons, visits and
//!   hits that reach one, whatever kind of hit that takes; a hit that reaches several is in
//!   the row of each. `events` are then all such hits, reports of reading left out; a
//!   filter by goal beside a breakdown by goal names the rows;
//! - `has_done` holds for a visit with a hit in the range that fulfils the filter: of page
//!   views and events; of all that goals look at, if it names a goal; of ad blocks, if it
//!   names one. `has_not_done` holds for all other visits;
//! - `percentage`: of the visitors of all rows together, in percent to one digit;
//! - `conversion_rate`: the visitors of the row, of all who were there: of the visitors of
//!   the same question without dimensions, and without the filters that stand alone and are
//!   about goals or properties of events. `group_conversion_rate`: of those in the same
//!   group, its goal aside. A goal may be reached in the range by somebody whose last page
//!   view was before it, so either can be above 100;
//! - `exit_rate` of a page: visits that ended there, by views of the page;
//! - revenue: [`money`]; comparisons: [`compare`];
//! - `visit:consent` is what the last hit of the visit says; every other property of a
//!   visit is that of its first page view or event, or for an exit of its last one;
//! - totals (`include.totals`) are the numbers of all rows together: a person in several
//!   rows is one;
//! - a number that does not exist (a rate of nothing) is `null`;
//! - marked hits ([`crate::mark`]) are out of every number, unless `include.bots`
//!   asks for them: then they count as if they had no mark, and `event:mark` tells
//!   them apart.
//!
//! It knows no roles: who may ask what, and the guard of small groups, are the
//! caller's.

mod answer;
pub mod cohorts;
pub mod compare;
pub mod compile;
pub mod countries;
pub mod filter;
pub mod funnel;
pub mod goal;
pub mod journeys;
pub mod live;
pub mod money;
pub mod names;
pub mod parse;
pub(crate) mod person;
pub mod quick;
pub mod range;
pub mod report;
pub mod scan;
pub mod visible;
pub(crate) mod visits;

use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use compile::{Statement, Statements, compile};
pub use names::{Dimension, Metric};
pub use parse::{Query, parse};
pub use report::Report;
pub use visible::Visible;

use self::scan::{Plan, Scanned};
use crate::config::Site;
use crate::settings::Settings;
use crate::store::{Digest, Limits, Storage, StorageError};

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

/// The numbers of one [`Query`], as storage gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// As [`Statements::rows`].
    pub rows: Vec<Vec<Value>>,
    pub total_rows: Option<u64>,
    pub total_visitors: Option<u64>,
    pub visitors_before_goals: Option<u64>,
}

/// What was read for several questions together, and when: see [`scan`].
pub struct Together {
    scanned: Scanned,
    /// Whether somebody was blocked then.
    has_blocks: bool,
    changes: u64,
    begun: Instant,
}

// === impl Together ===

impl Together {
    /// How many ranges and filters were read.
    pub fn readings(&self) -> usize {
        self.scanned.readings()
    }

    fn visible<'a>(&self, storage: &'a Storage) -> Visible<'a> {
        visible_with(storage, self.has_blocks)
    }
}

/// Answers a question about `site`, for which `settings` hold.
pub async fn run(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
) -> Result<Value, QueryError> {
    run_with(storage, site, settings, question, now, None).await
}

/// The same, with what was read for this and other questions.
pub async fn run_with(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    question: &Value,
    now: Timestamp,
    together: Option<&Together>,
) -> Result<Value, QueryError> {
    let mut query = parse(question, site, settings, now).map_err(QueryError::Invalid)?;
    let digest = digest(&query);
    if let Some(answer) = storage.remembered(&digest) {
        return Ok(answer);
    }
    let (changes, begun) = match together {
        // Numbers of before a change may be in the answer.
        Some(together) => (together.changes, together.begun),
        None => (storage.changes(), Instant::now()),
    };
    let visible = match together {
        Some(together) => together.visible(storage),
        None => visible(storage, site).await?,
    };
    begin(storage, &mut query, visible).await?;
    let answer = answer::answer(storage, &query, visible, together).await?;
    storage.remember(digest, changes, &answer, begun);
    Ok(answer)
}

/// Reads once what several questions about `site` have in common. What is wrong with one of
/// them is said when it is answered.
pub async fn together(
    storage: &Storage,
    site: &Site,
    settings: &Settings,
    questions: &[Value],
    now: Timestamp,
) -> Result<Together, QueryError> {
    let (changes, begun) = (storage.changes(), Instant::now());
    let has_blocks = storage.has_blocks(&site.id).await?;
    let mut together = Together { scanned: Scanned::default(), has_blocks, changes, begun };
    let Some(rollups) = storage.rollups() else { return Ok(together) };
    let parsed = questions.iter().filter_map(|question| parse(question, site, settings, now).ok());
    let visible = together.visible(storage);
    let mut queries = Vec::new();
    for mut query in parsed.filter(|query| storage.remembered(&digest(query)).is_none()) {
        begin(storage, &mut query, visible).await?;
        queries.extend(answer::parts(query));
    }
    for plan in Plan::all(&queries) {
        let query = plan.query();
        // Held until the answer is there: what it covers stays as it is.
        let Some(cover) = rollups.cover(&query.site, &query.range).await? else { continue };
        if let Some(groups) = plan.run(storage, &cover, visible).await? {
            together.scanned.add(&plan, groups);
        }
    }
    Ok(together)
}

/// All that an answer depends on beside the rows, settings and the day included.
fn digest(query: &Query) -> Digest {
    Sha256::digest(format!("{query:?}")).into()
}

/// A question about all time begins with the site's first hit.
async fn begin(storage: &Storage, query: &mut Query, visible: Visible<'_>) -> Result<(), QueryError> {
    if query.range.all
        && let Some(first) = first_hit(storage, query, visible).await?
    {
        query.begin_with(first);
    }
    Ok(())
}

/// Asks storage, where it was not asked already.
async fn numbers(
    storage: &Storage,
    query: &Query,
    visible: Visible<'_>,
    together: Option<&Together>,
) -> Result<Numbers, QueryError> {
    if let Some(numbers) = together.and_then(|together| together.scanned.numbers(query)) {
        return Ok(numbers);
    }
    // Held until the answer is there: what it covers stays as it is.
    let cover = match storage.rollups() {
        Some(rollups) if quick::is_of_whole_days(query) => rollups.cover(&query.site, &query.range).await?,
        _ => None,
    };
    let quick = cover.as_ref().and_then(|cover| quick::compile(query, cover, visible));
    let statements = quick.unwrap_or_else(|| compile(query, visible));
    let rows = ask(storage, &statements.rows).await?;
    let number = async |statement: &Option<Statement>| match statement {
        Some(statement) => Ok::<_, QueryError>(Some(number(&ask(storage, statement).await?))),
        None => Ok(None),
    };
    Ok(Numbers {
        rows,
        total_rows: number(&statements.total_rows).await?,
        total_visitors: number(&statements.total_visitors).await?,
        visitors_before_goals: number(&statements.visitors_before_goals).await?,
    })
}

/// The persons with a hit in the last five minutes: [`live::run`] without the lists.
pub async fn live(storage: &Storage, site: &Site, now: Timestamp) -> Result<u64, QueryError> {
    let question = serde_json::json!({ "site_id": site.id });
    let answer = live::run(storage, site, &Settings::default(), &question, now).await?;
    Ok(answer["visitors"].as_u64().unwrap_or_default())
}

/// Whether a question asks for marked hits: who may, is the caller's affair.
pub fn asks_for_bots(question: &Value) -> bool {
    question["include"]["bots"] == Value::Bool(true)
}

/// Which rows there are for a question that is asked now.
async fn visible<'a>(storage: &'a Storage, site: &Site) -> Result<Visible<'a>, QueryError> {
    Ok(visible_with(storage, storage.has_blocks(&site.id).await?))
}

fn visible_with(storage: &Storage, has_blocks: bool) -> Visible<'_> {
    match has_blocks {
        true => Visible::unblocked(storage.database()),
        false => Visible::all(storage.database()),
    }
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
    storage.json(&statement.sql, &statement.params, &Limits::default()).await.map_err(refused)
}

/// What storage's refusal says of the question.
pub(crate) fn refused(error: StorageError) -> QueryError {
    match error.code() {
        Some(code) if BAD_PATTERNS.contains(&code) => {
            QueryError::Invalid(vec!["#/filters: Invalid regular expression".to_owned()])
        }
        Some(code) if TOO_EXPENSIVE.contains(&code) => QueryError::TooExpensive,
        _ => QueryError::Storage(error),
    }
}

fn number(rows: &[Vec<Value>]) -> u64 {
    rows.first().and_then(|row| row.first()).and_then(Value::as_u64).unwrap_or_default()
}
