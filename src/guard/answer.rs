//! The guarded answer of `/api/v2/query`, put together: which rows are shown, what was
//! merged, in which order, how much of it, and compared with what.
//!
//! - A breakdown by one property has the hidden rows as `(other)`, asked exactly as a group
//!   of its own and judged like any. By two properties it is a row without numbers. Buckets
//!   of time that are hidden are rows without numbers, since that they are there is no secret.
//! - Rows are ordered by what is shown of them, then by their names, `(other)` last; pages
//!   are cut from, and `total_rows` counts, what is shown.
//! - A comparison is an answer of its own, over the day, week or month before or a year
//!   before, and its change is that between shown numbers.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::calendar::{Days, Unit};
use super::cells::{Cells, Key, MAX_ROWS, Scope, key};
use super::conditions::Condition;
use super::numbers::{Group, Numbers, needed};
use super::rule::{Refused, Rule};
use crate::query::QueryError;

/// The name of the row of what was merged.
pub const OTHER: &str = "(other)";

/// A question that was read.
pub struct Asked<'a> {
    pub question: &'a Value,
    pub metrics: Vec<String>,
    pub dimensions: Vec<String>,
    pub scope: Scope,
}

/// What is shown.
pub struct Shown {
    pub rows: Vec<Row>,
    pub meta: Map<String, Value>,
    pub merged: usize,
}

/// One row of an answer.
pub struct Row {
    pub key: Key,
    pub metrics: Vec<Value>,
    pub comparison: Option<Value>,
}

// === impl Asked ===

impl Asked<'_> {
    fn time(&self) -> Option<usize> {
        self.dimensions.iter().position(|name| name.starts_with("time"))
    }

    /// The question with all rows and what is needed beside, under other conditions.
    fn exactly(&self, cells: &Cells<'_>, scope: &Scope, dimensions: &[String]) -> (Value, Vec<String>) {
        let mut metrics = self.metrics.clone();
        for name in needed(&self.metrics) {
            if !metrics.iter().any(|known| known == name) {
                metrics.push(name.to_owned());
            }
        }
        if dimensions.is_empty() {
            metrics.retain(|name| name != "percentage");
        }
        let mut question = scope.question(cells.site, &json!(metrics), dimensions);
        let labels = &self.question["include"]["time_labels"];
        if *labels == Value::Bool(true) && !dimensions.is_empty() {
            question["include"] = json!({ "time_labels": true });
        }
        (question, metrics)
    }

    /// Whether a question about pages or hosts averages the visits that entered there.
    fn averages_entries(&self, scope: &Scope, dimensions: &[String]) -> bool {
        let wants = self.metrics.iter().any(|metric| metric == "bounce_rate" || metric == "visit_duration");
        wants && (dimensions.iter().any(|name| is_of_entry(name)) || scope.conditions.iter().any(names_entry))
    }
}

/// Answers what is not refused.
pub async fn shown(cells: &mut Cells<'_>, asked: &Asked<'_>) -> Result<Shown, QueryError> {
    let verdicts = cells.verdicts(asked.scope.clone(), asked.dimensions.clone()).await?;
    let numbers = Numbers { k: cells.k, rules: cells.rules };
    let all = total(cells, &asked.scope).await?;
    let (groups, mut meta) = groups(cells, asked, &asked.scope, &asked.dimensions, all).await?;
    let time = asked.time();
    let (mut rows, mut merged, mut kept) = (Vec::new(), 0, Vec::new());
    for (key, metrics) in groups.into_iter() {
        let is_shown = verdicts.get(&key).is_some_and(Option::is_none);
        if is_shown {
            kept.push(key.clone());
            let metrics = metrics.shown(&numbers, &asked.metrics);
            rows.push(Row { key, metrics, comparison: None });
        } else if asked.dimensions.len() == usize::from(time.is_some()) {
            rows.push(Row { key, metrics: nothing(asked), comparison: None });
        } else {
            merged += 1;
        }
    }
    if merged > 0 && time.is_none() {
        rows.extend(other(cells, asked, kept, all).await?);
    }
    order(&mut rows, asked, cells.rules.hold(Rule::Order));
    meta.remove("total_rows");
    Ok(Shown { rows, meta, merged })
}

/// The numbers of a question without dimensions, for `include.totals`.
pub async fn totals(cells: &mut Cells<'_>, asked: &Asked<'_>) -> Result<Vec<Value>, QueryError> {
    let verdicts = cells.verdicts(asked.scope.clone(), Vec::new()).await?;
    if verdicts.get(&Vec::new()).is_none_or(Option::is_some) {
        return Ok(nothing(asked));
    }
    let all = total(cells, &asked.scope).await?;
    let numbers = Numbers { k: cells.k, rules: cells.rules };
    let (groups, _) = groups(cells, asked, &asked.scope, &[], all).await?;
    Ok(groups
        .into_iter()
        .next()
        .map_or_else(|| nothing(asked), |(_, group)| group.shown(&numbers, &asked.metrics)))
}

/// The days that a question is compared with.
pub fn compared(
    asked: &Asked<'_>,
    comparisons: &Value,
    zone_days: Option<Days>,
) -> Result<Option<Days>, Refused> {
    let days = asked.scope.days;
    let same_weekday = comparisons["match_day_of_week"] == Value::Bool(true);
    let with = match comparisons["mode"].as_str() {
        None => return Ok(None),
        Some("previous_period") => days.before(),
        Some("year_over_year") => days.year_before(same_weekday),
        Some(_) => zone_days.filter(|with| with.unit == days.unit && with.unit != Unit::Free),
    };
    with.map(Some).ok_or(Refused::Range)
}

/// Puts the rows of an earlier answer beside those of this one: the same values, and the
/// same place among the buckets of time.
pub fn compare(shown: &mut Shown, earlier: &Shown, asked: &Asked<'_>, labels: &[(String, String)]) {
    let time = asked.time();
    let known: HashMap<&Key, &Row> = earlier.rows.iter().map(|row| (&row.key, row)).collect();
    for row in &mut shown.rows {
        let mut then = row.key.clone();
        if let Some(index) = time {
            match labels.iter().find(|(now, _)| *now == row.key[index]) {
                Some((_, label)) => then[index].clone_from(label),
                None => continue,
            }
        }
        let metrics = match known.get(&then) {
            // What was merged then is not what is merged now.
            _ if then.iter().any(|value| value == OTHER) => nothing(asked),
            Some(found) => found.metrics.clone(),
            // Nobody was there, where nothing was merged: counts are nought.
            None => {
                let is_nought = |metric: &String| earlier.merged == 0 && is_count(metric);
                asked
                    .metrics
                    .iter()
                    .map(|metric| if is_nought(metric) { json!(0) } else { Value::Null })
                    .collect()
            }
        };
        let change: Vec<Value> =
            row.metrics.iter().zip(&metrics).map(|(now, then)| change(now, then)).collect();
        row.comparison = Some(json!({ "dimensions": then, "metrics": metrics, "change": change }));
    }
}

/// From one shown number to another, in percent.
pub fn change(now: &Value, then: &Value) -> Value {
    match (now.as_f64(), then.as_f64()) {
        (Some(now), Some(0.0)) => json!(if now == 0.0 { 0 } else { 100 }),
        (Some(now), Some(then)) => json!(((now - then) / then * 100.0).round() as i64),
        _ => Value::Null,
    }
}

/// A group, with what is needed to show it.
struct Found {
    metrics: Vec<(String, Value)>,
    averaged: Option<(u64, u64)>,
    visitors: Option<u64>,
}

impl Found {
    fn shown(&self, numbers: &Numbers, asked: &[String]) -> Vec<Value> {
        let group = Group {
            metrics: self.metrics.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            averaged: self.averaged,
            visitors: self.visitors,
        };
        asked.iter().map(|name| numbers.metric(name, &group)).collect()
    }
}

/// The exact numbers of all rows.
async fn groups(
    cells: &mut Cells<'_>,
    asked: &Asked<'_>,
    scope: &Scope,
    dimensions: &[String],
    all: Option<u64>,
) -> Result<(Vec<(Key, Found)>, Map<String, Value>), QueryError> {
    let (question, metrics) = asked.exactly(cells, scope, dimensions);
    let mut answer = cells.ask(&question).await?;
    let meta = match answer["meta"].take() {
        Value::Object(meta) => meta,
        _ => Map::new(),
    };
    let entries = match asked.averages_entries(scope, dimensions) {
        true => Some(entries(cells, scope, dimensions).await?),
        false => None,
    };
    let rows = answer["results"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let found = rows.into_iter().map(|mut row| {
        let key = key(&row["dimensions"]);
        let values = row["metrics"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let metrics: Vec<(String, Value)> = metrics.iter().cloned().zip(values).collect();
        let of = |name: &str| {
            metrics.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_u64())
        };
        let averaged = match &entries {
            Some(entries) => entries.get(&key).copied(),
            None => of("visits").zip(of("visitors")),
        };
        (key, Found { averaged, visitors: all, metrics })
    });
    Ok((found.collect(), meta))
}

/// The visits, and visitors, that entered where a question about pages is; nothing where
/// there is no such question (hosts).
async fn entries(
    cells: &mut Cells<'_>,
    scope: &Scope,
    dimensions: &[String],
) -> Result<HashMap<Key, (u64, u64)>, QueryError> {
    let swapped = |name: &str| match name {
        "event:page" => Some("visit:entry_page".to_owned()),
        "event:hostname" => None,
        other => Some(other.to_owned()),
    };
    let named: Option<Vec<String>> = dimensions.iter().map(|name| swapped(name)).collect();
    let conditions: Option<Vec<Condition>> = scope
        .conditions
        .iter()
        .map(|condition| match condition {
            Condition::Is { dimension, values, negated } => {
                let (values, negated) = (values.clone(), *negated);
                swapped(dimension).map(|dimension| Condition::Is { dimension, values, negated })
            }
            other => Some(other.clone()),
        })
        .collect();
    let (Some(named), Some(conditions)) = (named, conditions) else { return Ok(HashMap::new()) };
    let mut distinct = named.clone();
    distinct.sort();
    distinct.dedup();
    if distinct.len() < named.len() {
        return Ok(HashMap::new());
    }
    let scope = Scope { conditions, days: scope.days };
    let question = scope.question(cells.site, &json!(["visits", "visitors"]), &named);
    let answer = cells.ask(&question).await?;
    let rows = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let number = |row: &Value, index: usize| row["metrics"][index].as_u64().unwrap_or(0);
    Ok(rows.iter().map(|row| (key(&row["dimensions"]), (number(row, 0), number(row, 1)))).collect())
}

/// The row of what was merged.
async fn other(
    cells: &mut Cells<'_>,
    asked: &Asked<'_>,
    kept: Vec<Key>,
    all: Option<u64>,
) -> Result<Option<Row>, QueryError> {
    let row = |metrics| {
        Some(Row { key: vec![OTHER.to_owned(); asked.dimensions.len()], metrics, comparison: None })
    };
    let [dimension] = asked.dimensions.as_slice() else { return Ok(row(nothing(asked))) };
    if kept.len() >= MAX_OTHER || dimension == "event:goal" {
        return Ok(row(nothing(asked)));
    }
    let mut scope = asked.scope.clone();
    if !kept.is_empty() {
        let values = kept.into_iter().flatten().collect();
        scope = scope.and(Condition::Is { dimension: dimension.clone(), values, negated: true });
    }
    let verdicts = cells.verdicts(scope.clone(), Vec::new()).await?;
    match verdicts.get(&Vec::new()) {
        Some(None) => {}
        // The whole of a question is too small: there is nothing to merge.
        Some(Some(Refused::SetTooSmall)) if scope == asked.scope => return Ok(None),
        _ => return Ok(row(nothing(asked))),
    }
    let numbers = Numbers { k: cells.k, rules: cells.rules };
    let (groups, _) = groups(cells, asked, &scope, &[], all).await?;
    let Some((_, group)) = groups.into_iter().next() else { return Ok(None) };
    Ok(row(group.shown(&numbers, &asked.metrics)))
}

/// One condition takes so many values.
const MAX_OTHER: usize = 1000;

/// All visitors of a question, if they are shown.
async fn total(cells: &mut Cells<'_>, scope: &Scope) -> Result<Option<u64>, QueryError> {
    let verdicts = cells.verdicts(scope.clone(), Vec::new()).await?;
    if verdicts.get(&Vec::new()).is_none_or(Option::is_some) {
        return Ok(None);
    }
    let table = cells.table(scope, &[]).await?;
    Ok(table.rows.get(&Vec::new()).copied())
}

fn nothing(asked: &Asked<'_>) -> Vec<Value> {
    vec![Value::Null; asked.metrics.len()]
}

fn is_of_entry(name: &str) -> bool {
    name == "event:page" || name == "event:hostname"
}

fn names_entry(condition: &Condition) -> bool {
    matches!(condition, Condition::Is { dimension, .. } if is_of_entry(dimension))
}

fn is_count(metric: &str) -> bool {
    matches!(
        metric,
        "visitors" | "visits" | "pageviews" | "events" | "ad_views" | "ad_viewable" | "ad_clicks"
    )
}

/// Orders rows by what is shown of them.
fn order(rows: &mut [Row], asked: &Asked<'_>, by_shown: bool) {
    if !by_shown {
        return;
    }
    let default = || {
        let time = asked.time().map(|index| json!([asked.dimensions[index], "asc"]));
        time.into_iter().chain([json!([asked.metrics[0], "desc"])]).collect()
    };
    let wanted: Vec<Value> = asked.question["order_by"].as_array().cloned().unwrap_or_else(default);
    let columns: Vec<(Result<usize, usize>, bool)> = wanted
        .iter()
        .filter_map(|entry| {
            let name = entry[0].as_str()?;
            let place = match asked.metrics.iter().position(|metric| metric == name) {
                Some(place) => Ok(place),
                None if name == "time" => Err(asked.time()?),
                None => Err(asked.dimensions.iter().position(|dimension| dimension == name)?),
            };
            Some((place, entry[1] == "desc"))
        })
        .collect();
    rows.sort_by(|one, two| {
        let last = |row: &Row| row.key.first().is_some_and(|name| name == OTHER);
        let by_column = columns.iter().map(|(place, descending)| {
            let ordering = match place {
                Ok(metric) => compare_numbers(&one.metrics[*metric], &two.metrics[*metric]),
                Err(dimension) => one.key[*dimension].cmp(&two.key[*dimension]),
            };
            if *descending { ordering.reverse() } else { ordering }
        });
        let by_column = by_column.fold(Ordering::Equal, Ordering::then);
        last(one).cmp(&last(two)).then(by_column).then_with(|| one.key.cmp(&two.key))
    });
}

/// What is withheld counts as nothing.
fn compare_numbers(one: &Value, two: &Value) -> Ordering {
    let number = |value: &Value| value.as_f64().unwrap_or(-1.0);
    number(one).total_cmp(&number(two))
}

/// The page of a shown answer that was asked for.
pub fn page(rows: Vec<Row>, question: &Value) -> Vec<Row> {
    let number =
        |name: &str| question["pagination"][name].as_u64().and_then(|number| usize::try_from(number).ok());
    let (limit, offset) = (number("limit").unwrap_or(MAX_ROWS), number("offset").unwrap_or(0));
    rows.into_iter().skip(offset).take(limit).collect()
}
