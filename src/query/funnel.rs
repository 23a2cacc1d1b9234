//! Funnels: how many reached each of some goals, one after the other, within a visit.
//!
//! In: `{"site_id","date_range","filters","include","funnel":"f1"}`, or `"steps"` with the
//! names of goals in place of `funnel`. Out: for each step
//! `{"goal","visitors","dropped","from_first","from_previous"}`.
//!
//! Definitions:
//! - a visit *reaches* step 1 with any hit in the range that reaches its goal
//!   ([`super::goal`]), and each further step with a hit in the range that reaches its goal
//!   and comes after the hit of the step before, in the order of time, batch and row. So two
//!   steps never share a hit, and the same goal may stand in a funnel twice;
//! - what is between the steps does not matter;
//! - `visitors`: the persons with a visit that reached the step;
//! - `dropped`: the visitors of the step before without those of this one; 0 at the first;
//! - `from_first`, `from_previous`: visitors in percent of those of the first step and of
//!   the step before, to one decimal; `null` where those are none.
//!
//! Taking for each step the earliest hit that is left finds the farthest step that any
//! choice of hits reaches, since an earlier hit leaves more after it. So a visit is one
//! pass over its hits, with the step it is at as the only memory.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compile::{Builder, Statement};
use super::filter::short;
use super::goal::{self, Place};
use super::report::{Common, IN_RANGE};
use super::visible::Visible;
use super::{QueryError, ask};
use crate::config::Site;
use crate::settings::{Goal, Settings};
use crate::store::{Param, Storage};

/// The fewest and the most steps; the goals that a hit reaches are bits of a number.
const MIN_STEPS: usize = 2;
pub const MAX_STEPS: usize = 20;

const KEYS: &[&str] = &["site_id", "date_range", "filters", "include", "funnel", "steps"];

/// A question that can be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    common: Common,
    steps: Vec<Goal>,
    /// As it was asked: `funnel` or `steps`, and its value.
    asked: (&'static str, Value),
}

/// The hit `x` of a statement.
struct OfHit<'b, 'a>(&'b mut Builder<'a>);

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
    let visitors: Vec<u64> =
        rows.first().map(|row| row.iter().filter_map(Value::as_u64).collect()).unwrap_or_default();
    let mut query = question.common.normalised();
    query.insert(question.asked.0.to_owned(), question.asked.1.clone());
    Ok(json!({ "results": results(&question.steps, &visitors), "meta": {}, "query": query }))
}

/// Whether a question names its own steps: who may, is the caller's affair.
pub fn names_steps(question: &Value) -> bool {
    question.get("steps").is_some()
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
    if !question.is_object() {
        return Err(mistakes);
    }
    let (asked, steps) = match (question.get("funnel"), question.get("steps")) {
        (Some(_), Some(_)) => {
            mistakes.push("#/steps: Cannot stand beside funnel".to_owned());
            return Err(mistakes);
        }
        (Some(funnel), None) => (("funnel", funnel), of_funnel(funnel, settings, &mut mistakes)),
        (None, Some(steps)) => (("steps", steps), of_names(steps, settings, &mut mistakes)),
        (None, None) => {
            mistakes.push("#/funnel: Missing".to_owned());
            return Err(mistakes);
        }
    };
    match common {
        Some(common) if mistakes.is_empty() => {
            Ok(Question { common, steps, asked: (asked.0, asked.1.clone()) })
        }
        _ => Err(mistakes),
    }
}

/// One row with the visitors of each step.
pub fn compile(question: &Question, visible: Visible<'_>) -> Statement {
    let mut builder = Builder::new(&question.common.query, visible);
    let is_visit = question.common.is_visit(&mut builder);
    let passes = question.common.passes(&mut builder);
    let steps: Vec<String> = question
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let reached = goal::condition(&step.aim, &mut OfHit(&mut builder));
            format!("toUInt64({reached}) * {}", 1_u64 << index)
        })
        .collect();
    let columns: Vec<String> =
        (1..=question.steps.len()).map(|step| format!("countIf(depth >= {step})")).collect();
    let sql = format!(
        "SELECT {columns}
FROM
(
SELECT person, max(reached) AS depth
FROM
(
SELECT person, n, max(passes) AS is_asked,
    arrayFold((step, hit) -> toUInt8(step + bitAnd(bitShiftRight(hit.4, step), 1)),
        arraySort(groupArrayIf((at, batch, row, steps), steps != 0)), toUInt8(0)) AS reached
FROM
(
SELECT person, n, x.1 AS at, x.2 AS batch, x.3 AS row, {steps} AS steps, {passes} AS passes
FROM
(
{visits}
)
ARRAY JOIN v AS x
WHERE {is_visit} AND {IN_RANGE}
)
GROUP BY person, n
HAVING is_asked
)
GROUP BY person
)",
        columns = columns.join(", "),
        steps = steps.join(" + "),
        visits = builder.visits(),
    );
    Statement { sql, params: builder.params }
}

// === impl OfHit ===

impl Place for OfHit<'_, '_> {
    fn column(&mut self, column: &'static str) -> String {
        match column {
            "kind" => "x.4".to_owned(),
            column => format!("x.{}", self.0.field(column)),
        }
    }

    fn bind(&mut self, text: String) -> String {
        format!("{{{}:String}}", self.0.param(Param::Text(text)))
    }
}

fn of_funnel(funnel: &Value, settings: &Settings, mistakes: &mut Vec<String>) -> Vec<Goal> {
    let found = funnel.as_str().and_then(|id| settings.funnels.iter().find(|funnel| funnel.id == id));
    let Some(found) = found else {
        mistakes.push(format!("#/funnel: Unknown funnel {}", short(funnel)));
        return Vec::new();
    };
    number_of(found.steps.len(), "#/funnel", mistakes);
    let goals = found.steps.iter().filter_map(|id| match settings.goal_by_id(id) {
        Some(goal) => Some(goal.clone()),
        None => {
            mistakes.push(format!("#/funnel: Its goal {} does not exist", short(&json!(id))));
            None
        }
    });
    goals.collect()
}

fn of_names(steps: &Value, settings: &Settings, mistakes: &mut Vec<String>) -> Vec<Goal> {
    let Value::Array(names) = steps else {
        mistakes.push(format!("#/steps: Invalid steps {}", short(steps)));
        return Vec::new();
    };
    number_of(names.len(), "#/steps", mistakes);
    let goals = names.iter().take(MAX_STEPS).enumerate().filter_map(|(index, name)| {
        match name.as_str().and_then(|name| settings.goal(name)) {
            Some(goal) => Some(goal.clone()),
            None => {
                mistakes.push(format!("#/steps/{index}: Unknown goal {}", short(name)));
                None
            }
        }
    });
    goals.collect()
}

fn number_of(steps: usize, at: &str, mistakes: &mut Vec<String>) {
    if !(MIN_STEPS..=MAX_STEPS).contains(&steps) {
        mistakes.push(format!("{at}: {steps} steps, {MIN_STEPS} to {MAX_STEPS} are allowed"));
    }
}

fn results(steps: &[Goal], visitors: &[u64]) -> Vec<Value> {
    let first = visitors.first().copied().unwrap_or_default();
    let mut previous = first;
    let row = |(step, &visitors): (&Goal, &u64)| {
        let row = json!({
            "goal": step.name,
            "visitors": visitors,
            "dropped": previous - visitors.min(previous),
            "from_first": percent(visitors, first),
            "from_previous": percent(visitors, previous),
        });
        previous = visitors;
        row
    };
    steps.iter().zip(visitors).map(row).collect()
}

/// To one decimal; nothing of nothing does not exist.
fn percent(part: u64, whole: u64) -> Value {
    match whole {
        0 => Value::Null,
        whole => json!((part as f64 * 1000.0 / whole as f64).round() / 10.0),
    }
}
