//! Retention: of those who came for the first time in a week, how many came again how many
//! weeks later.
//!
//! In: `{"site_id","date_range","filters","include"}`. Out: rows of
//! `{"week":"2026-01-05","visitors":100,"returned":[100,20,11]}`, by week.
//!
//! Definitions:
//! - a *week* is from Monday to Monday by the site's calendar, however many hours that is;
//! - only persons with a cookie are counted: without one nobody is known again on another
//!   day, so they would all be new and none would return;
//! - the *first visit* is that which began first of all on record. Rows past their term are
//!   not on record, so somebody may be new again after it;
//! - `visitors` of a week: the persons whose first visit began in it and in the range. The
//!   range may cut its first and last week;
//! - `returned[n]`: those of them with a visit that began in the n-th week after it,
//!   whatever the range, until now; `returned[0]` is all. A visit over Sunday's midnight is
//!   no return;
//! - filters choose by the first visit: a hit of it, in the range or not, passes all of them;
//! - a week without new visitors has no row. `returned` ends with the week that is now, and
//!   after [`MAX_WEEKS`] at the latest. A longer range is cut to its last [`MAX_WEEKS`] weeks;
//!   the answer's `query` says to which.

use jiff::civil::Date;
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::compile::{Builder, LOOK_AROUND_MS, Statement};
use super::range::{Range, monday};
use super::report::Common;
use super::visible::Visible;
use super::{QueryError, ask, visible};
use crate::config::Site;
use crate::settings::Settings;
use crate::store::{Param, Storage};

/// Half a year, as a table that people can read.
pub const MAX_WEEKS: i64 = 26;

const KEYS: &[&str] = &["site_id", "date_range", "filters", "include"];

/// A hit of a person with a cookie: one with it, or one whose answer set it.
const OF_COOKIE: &str = " AND (identity = 'cookie' OR minted != 0)";
/// Whether a hit's person is a cookie: the minted one only if it came back.
const IS_KNOWN: &str = "toUInt8(identity = 'cookie' OR (minted != 0 AND person = minted))";

/// A question that can be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// With all that is on record as its range.
    common: Common,
    /// In which the first visits begin.
    first: Range,
    /// The week that is now.
    week: Date,
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
    let results: Vec<Value> = rows.into_iter().map(|row| result(row, question.week)).collect();
    let mut query = question.common.normalised();
    query.insert("date_range".to_owned(), json!(question.first.shown()));
    Ok(json!({ "results": results, "meta": {}, "query": query }))
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
    let range = &mut common.query.range;
    let mut first = range.clone();
    first.cut_to_weeks(MAX_WEEKS, now);
    let week = monday(now.to_zoned(range.zone.clone()).date());
    // So that looking a day around it begins with 1970.
    (range.from, range.to) = (LOOK_AROUND_MS, now.as_millisecond().saturating_add(1));
    Ok(Question { common, first, week })
}

/// Rows of a week, its visitors, and those who were there in each week from it on.
pub fn compile(question: &Question, visible: Visible<'_>) -> Statement {
    let mut builder = Builder::new(&question.common.query, visible);
    builder.narrowed = OF_COOKIE;
    let is_visit = format!("{} AND e.1 < {{to:Int64}}", question.common.is_visit(&mut builder));
    let known = builder.field(IS_KNOWN);
    for (name, value) in [("first_from", question.first.from), ("first_to", question.first.to)] {
        builder.params.push((name.to_owned(), Param::Number(value)));
    }
    let visits = match question.common.query.filters.is_empty() {
        true => format!(
            "SELECT person, e.1 AS begin, {is_visit} AS counts, arrayExists(y -> y.{known} = 1, v) AS known, 1 AS passes
FROM
(
{}
)",
            builder.visits()
        ),
        false => {
            let passes = question.common.passes(&mut builder);
            format!(
                "SELECT person, any(e.1) AS begin, any({is_visit}) AS counts, max(x.{known}) AS known, max({passes}) AS passes
FROM
(
{}
)
ARRAY JOIN v AS x
GROUP BY person, n",
                builder.visits()
            )
        }
    };
    let monday = |time: &str| {
        format!("toMonday(toDate(fromUnixTimestamp64Milli({time}, {{zone:String}}), {{zone:String}}))")
    };
    let sql = format!(
        "SELECT toString(week), count(),
    sumForEach(arrayMap(later -> toUInt64(has(weeks, addDays(week, 7 * later))), range({MAX_WEEKS})))
FROM
(
SELECT person, minIf(begin, counts) AS first, {first} AS week, groupUniqArrayIf({begin}, counts) AS weeks
FROM
(
{visits}
)
GROUP BY person
HAVING max(known) = 1 AND countIf(counts) > 0 AND argMinIf(passes, begin, counts) = 1
   AND first >= {{first_from:Int64}} AND first < {{first_to:Int64}}
)
GROUP BY week
ORDER BY week",
        first = monday("first"),
        begin = monday("begin"),
    );
    Statement { sql, params: builder.params }
}

fn result(row: Vec<Value>, now: Date) -> Value {
    let [Value::String(week), visitors, Value::Array(returned)] = row.as_slice() else {
        return Value::Null;
    };
    let days = week.parse::<Date>().ok().and_then(|week| week.until((Unit::Day, now)).ok());
    let weeks = days.map_or(0, |days| days.get_days().max(0) as usize / 7);
    let returned = &returned[..returned.len().min(weeks + 1)];
    json!({ "week": week, "visitors": visitors, "returned": returned })
}
