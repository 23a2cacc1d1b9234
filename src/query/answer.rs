//! From numbers to the JSON of an answer: shares of a total, revenue in its money, the
//! comparison beside each row, and what is to be said about the whole (`meta`).
//!
//! A comparison asks the same question about the earlier range, and only for the groups
//! that are in the answer. With a dimension of time the earlier numbers also stand on
//! their own in `meta.comparison_results`, since an earlier bucket may have hits where its
//! later one has none.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::compare::{Comparison, change};
use super::filter::weight;
use super::money::{self, Money};
use super::names::{Bucket, Dimension, Metric};
use super::parse::{Include, Query};
use super::range::Range;
use super::visible::Visible;
use super::{Numbers, QueryError, Together, numbers};
use crate::store::Storage;

/// The most that the groups of a comparison may take up, in bytes, where the statement
/// names them; above, all groups are asked for. See [`super::filter`].
const MAX_GROUPS_WEIGHT: usize = 24 << 10;
/// More groups than storage gives in one answer: those of a comparison are not cut off
/// without a word.
const ALL_ROWS: u64 = 1_000_000;

/// One group of the answer.
struct Row {
    dimensions: Vec<Value>,
    metrics: Vec<Value>,
}

/// Answers a question that was understood.
pub(super) async fn answer(
    storage: &Storage,
    query: &Query,
    visible: Visible<'_>,
    together: Option<&Together>,
) -> Result<Value, QueryError> {
    let bucket = query.dimensions.iter().find_map(bucket);
    let labels = |range: &Range, what: &str| match bucket {
        Some(bucket) => range
            .labels(bucket)
            .map_err(|error| QueryError::Invalid(vec![format!("#/include/{what}: {error}")])),
        None => Ok(Vec::new()),
    };
    let mut meta = Map::new();
    let mut put = |name: &str, value: Value| meta.insert(name.to_owned(), value);
    if query.include.imports {
        put("imports_included", json!(false));
        put("imports_skip_reason", json!("no_imported_data"));
    }
    if query.include.time_labels {
        put("time_labels", json!(labels(&query.range, "time_labels")?));
    }
    // What cannot be said is found out before storage is asked.
    let compared = match &query.include.comparisons {
        Some(comparison) => {
            let ours = labels(&query.range, "comparisons")?;
            let theirs = labels(&comparison.range, "comparisons")?;
            Some((comparison, ours, theirs))
        }
        None => None,
    };
    let found = numbers(storage, query, visible, together).await?;
    if let Some(total) = found.total_rows {
        put("total_rows", json!(total));
    }
    let rows = rows(query, found);
    let whole = query.whole();
    let totals = match query.include.totals {
        true => whole_of(storage, &whole, visible, together).await?,
        false => None,
    };
    if let Some(totals) = &totals {
        put("totals", json!(totals));
    }
    let warnings = warnings(query);
    if !warnings.is_empty() {
        put("metric_warnings", Value::Object(warnings));
    }
    let results: Vec<Value> = match compared {
        None => rows.into_iter().map(Row::shown).collect(),
        Some((comparison, ours, theirs)) => {
            put("comparison_date_range", json!(comparison.range.shown()));
            let earlier = earlier(query, comparison, &rows);
            let before = match rows.is_empty() && bucket.is_none() {
                true => Vec::new(),
                false => self::rows(&earlier, numbers(storage, &earlier, visible, together).await?),
            };
            if query.include.totals {
                let whole = Query { range: comparison.range.clone(), ..whole };
                if let Some(totals) = whole_of(storage, &whole, visible, together).await? {
                    put("comparison_totals", json!(totals));
                }
            }
            let results = beside(query, rows, &before, &ours, &theirs);
            if bucket.is_some() {
                put("comparison_time_labels", json!(theirs));
                put("comparison_results", before.into_iter().map(Row::shown).collect::<Vec<_>>().into());
            }
            results
        }
    };
    Ok(json!({ "results": results, "meta": meta, "query": query.normalised() }))
}

/// What [`answer`] will ask about, as far as that is known beforehand: the range before is
/// asked about for the groups that there are, unless these are buckets or there is but one.
pub(super) fn parts(query: Query) -> Vec<Query> {
    let mut parts = Vec::new();
    if query.include.totals {
        parts.push(query.whole());
    }
    if let Some(comparison) = &query.include.comparisons {
        if query.dimensions.iter().all(|dimension| bucket(dimension).is_some()) {
            parts.push(earlier(&query, comparison, &[]));
        }
        if query.include.totals {
            parts.push(Query { range: comparison.range.clone(), ..query.whole() });
        }
    }
    parts.push(query);
    parts
}

/// The one row of a question without dimensions.
async fn whole_of(
    storage: &Storage,
    whole: &Query,
    visible: Visible<'_>,
    together: Option<&Together>,
) -> Result<Option<Vec<Value>>, QueryError> {
    let found = numbers(storage, whole, visible, together).await?;
    Ok(rows(whole, found).pop().map(|row| row.metrics))
}

/// The question about the range before, for the groups that there are.
fn earlier(query: &Query, comparison: &Comparison, rows: &[Row]) -> Query {
    let has_time = query.dimensions.iter().any(|dimension| bucket(dimension).is_some());
    let groups: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let named = query.dimensions.iter().zip(&row.dimensions);
            named
                .filter(|(dimension, _)| bucket(dimension).is_none())
                .map(|(_, value)| value.as_str().unwrap_or_default().to_owned())
                .collect()
        })
        .collect();
    let size: usize = groups.iter().flatten().map(|value| weight(value)).sum();
    let whole_of_time = has_time && query.dimensions.len() == 1;
    Query {
        range: comparison.range.clone(),
        only: (!whole_of_time && !query.dimensions.is_empty() && size <= MAX_GROUPS_WEIGHT).then_some(groups),
        limit: ALL_ROWS,
        offset: 0,
        include: Include { total_rows: false, ..query.include.clone() },
        ..query.clone()
    }
}

/// Each row with that of the range before.
fn beside(query: &Query, rows: Vec<Row>, before: &[Row], ours: &[String], theirs: &[String]) -> Vec<Value> {
    let by_group: HashMap<String, &Row> =
        before.iter().map(|row| (Value::from(row.dimensions.clone()).to_string(), row)).collect();
    let places: HashMap<&str, usize> =
        ours.iter().enumerate().map(|(index, label)| (label.as_str(), index)).collect();
    let empty = empty(query);
    rows.into_iter()
        .map(|row| {
            let named = query.dimensions.iter().zip(&row.dimensions);
            // The n-th bucket meets the n-th; beyond the last there is none.
            let group: Vec<Value> = named
                .map(|(dimension, value)| match bucket(dimension) {
                    Some(_) => {
                        let place = value.as_str().and_then(|label| places.get(label));
                        place.and_then(|place| theirs.get(*place)).map_or(Value::Null, |label| json!(label))
                    }
                    None => value.clone(),
                })
                .collect();
            let earlier = by_group.get(&Value::from(group.clone()).to_string());
            let metrics = match earlier {
                Some(earlier) => earlier.metrics.clone(),
                None if group.contains(&Value::Null) => vec![Value::Null; query.metrics.len()],
                None => empty.clone(),
            };
            let pairs = query.metrics.iter().zip(row.metrics.iter().zip(&metrics));
            let change: Vec<Value> =
                pairs.map(|(metric, (now, before))| change(*metric, now, before)).collect();
            let mut shown = row.shown();
            shown["comparison"] = json!({ "dimensions": group, "metrics": metrics, "change": change });
            shown
        })
        .collect()
}

/// The numbers of a group in which nothing was.
fn empty(query: &Query) -> Vec<Value> {
    let is_count = |metric: &Metric| {
        matches!(
            metric,
            Metric::Visitors
                | Metric::Visits
                | Metric::Pageviews
                | Metric::Events
                | Metric::AdViews
                | Metric::AdViewable
                | Metric::AdClicks
        )
    };
    query.metrics.iter().map(|metric| if is_count(metric) { json!(0) } else { Value::Null }).collect()
}

fn rows(query: &Query, found: Numbers) -> Vec<Row> {
    let money = query.money();
    let (total, there) =
        (found.total_visitors.unwrap_or_default(), found.visitors_before_goals.unwrap_or_default());
    found
        .rows
        .into_iter()
        .map(|mut dimensions| {
            let mut metrics = dimensions.split_off(query.dimensions.len().min(dimensions.len()));
            for (metric, value) in query.metrics.iter().zip(&mut metrics) {
                match metric {
                    Metric::Percentage => *value = share(value, total),
                    Metric::ConversionRate => *value = share(value, there),
                    Metric::TotalRevenue | Metric::AverageRevenue => {
                        *value = revenue(*metric, value, &money, &dimensions);
                    }
                    _ => {}
                }
            }
            Row { dimensions, metrics }
        })
        .collect()
}

/// Visitors of so many, in percent.
fn share(visitors: &Value, of: u64) -> Value {
    match visitors.as_u64() {
        Some(visitors) if of > 0 => json!((visitors as f64 * 1000.0 / of as f64).round() / 10.0),
        _ => Value::Null,
    }
}

fn revenue(metric: Metric, found: &Value, money: &Money, dimensions: &[Value]) -> Value {
    match money.currency(dimensions) {
        Some(currency) if metric == Metric::TotalRevenue => money::total(found, currency),
        Some(currency) => money::average(found, currency),
        None => Value::Null,
    }
}

/// What a number of the answer cannot say, by the metric's name.
fn warnings(query: &Query) -> Map<String, Value> {
    let revenue = query.metrics.iter().filter(|metric| metric.is_of_revenue());
    let warning = query.money().warning();
    revenue
        .filter_map(|metric| {
            let (code, text) = warning?;
            Some((metric.name().to_owned(), json!({ "code": code, "warning": text })))
        })
        .collect()
}

fn bucket(dimension: &Dimension) -> Option<Bucket> {
    match dimension {
        Dimension::Time(bucket) => Some(*bucket),
        _ => None,
    }
}

// === impl Row ===

impl Row {
    fn shown(self) -> Value {
        json!({ "dimensions": self.dimensions, "metrics": self.metrics })
    }
}
