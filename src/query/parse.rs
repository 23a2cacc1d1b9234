//! The JSON of a question becomes a [`Query`], or all of its mistakes, one
//! line each, naming the place: `#/metrics/0: Invalid metric "foo"`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::compare::Comparison;
use super::compile::Bots;
use super::filter::{self, Filter, short};
use super::money::Money;
use super::names::{Dimension, EventField, Metric, VisitField};
use super::range::Range;
use crate::config::Site;
use crate::settings::{Goal, Settings};

/// The most properties of one breakdown.
const MAX_DIMENSIONS: usize = 4;
/// The most entries of `order_by`; each names a column of the answer.
const MAX_ORDER: usize = 16;
/// The most rows of one answer, and their number when nothing is said.
const MAX_LIMIT: u64 = 10_000;
/// No list is read further than this.
const MAX_OFFSET: u64 = 100_000_000;

const KEYS: &[&str] =
    &["site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination"];
const INCLUDES: &[&str] = &["imports", "time_labels", "total_rows", "bots", "totals", "marketing"];

/// A question that can be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub site: String,
    pub metrics: Vec<Metric>,
    pub dimensions: Vec<Dimension>,
    pub range: Range,
    pub filters: Vec<Filter>,
    pub order: Vec<(Column, Direction)>,
    pub include: Include,
    pub limit: u64,
    pub offset: u64,
    /// Whether it is about ad blocks: then a person or a visit is in a group
    /// by a hit of the block there, since page views carry no block.
    pub about_ads: bool,
    /// Whether it is about goals: then a person or a visit is in a group by a hit that
    /// reaches one, of whatever kind.
    pub about_goals: bool,
    /// The goals that `event:goal` breaks down by, and whose revenue is meant: those that
    /// all of its filters name, or all of the site's.
    pub goals: Vec<Goal>,
    /// Only the groups that have one of these lists of values in their dimensions, those
    /// of time left out.
    pub only: Option<Vec<Vec<String>>>,
    /// The dimension that was asked as `time` alone.
    pub auto_time: Option<usize>,
    /// As it was asked, for the answer.
    pub asked_filters: Value,
}

/// A column of the answer, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Dimension(usize),
    Metric(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Include {
    pub imports: bool,
    pub time_labels: bool,
    pub total_rows: bool,
    /// Marked hits too, as if they were not.
    pub bots: bool,
    /// The numbers of all rows together.
    pub totals: bool,
    /// Only visits with consent to marketing; the filter is among [`Query::filters`].
    pub marketing: bool,
    pub comparisons: Option<Comparison>,
}

/// Reads a question about `site`. `now` decides what the words of the range mean.
pub fn parse(value: &Value, site: &Site, settings: &Settings, now: Timestamp) -> Result<Query, Vec<String>> {
    let Value::Object(object) = value else {
        return Err(vec![format!("#: Expected an object, got {}", short(value))]);
    };
    let mut mistakes = Vec::new();
    for key in object.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        mistakes.push(format!("#/{}: Unknown key", key_text(key)));
    }
    match object.get("site_id") {
        Some(Value::String(id)) if *id == site.id => {}
        Some(other) => mistakes.push(format!("#/site_id: Invalid site_id {}", short(other))),
        None => mistakes.push("#/site_id: Missing".to_owned()),
    }
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let range = match object.get("date_range") {
        Some(value) => Range::parse(value, &zone, now).map_err(|error| format!("#/date_range: {error}")),
        None => Err("#/date_range: Missing".to_owned()),
    };
    let range = range.map_err(|line| mistakes.push(line)).ok();
    let metrics = metrics(object.get("metrics"), &mut mistakes);
    let dimensions = dimensions(object.get("dimensions"), range.as_ref(), &mut mistakes);
    let mut filters = match object.get("filters") {
        None => Vec::new(),
        Some(value) => Filter::parse_all(value, settings, &mut mistakes),
    };
    let order = order(object.get("order_by"), &metrics, &dimensions, range.as_ref(), &mut mistakes);
    let include = include(object.get("include"), &dimensions, range.as_ref(), now, &mut mistakes);
    let (limit, offset) = pagination(object.get("pagination"), &mut mistakes);
    combinations(&metrics, &dimensions, &filters, &mut mistakes);
    let named = |goal: &&Goal| {
        filters.iter().all(|filter| !matches!(filter, Filter::Goals(goals) if !goals.contains(goal)))
    };
    let goals = settings.goals.iter().filter(named).cloned().collect();
    if include.marketing {
        filters.push(Filter::marketing());
    }
    match range {
        Some(range) if mistakes.is_empty() => Ok(Query {
            about_ads: is_about_ads(&dimensions, &filters),
            about_goals: dimensions.contains(&Dimension::GOAL)
                || filters.iter().any(|filter| matches!(filter, Filter::Goals(_))),
            goals,
            only: None,
            site: site.id.clone(),
            auto_time: auto_time(object.get("dimensions")),
            metrics,
            dimensions,
            range,
            filters,
            order,
            include,
            limit,
            offset,
            asked_filters: object.get("filters").cloned().unwrap_or_else(|| json!([])),
        }),
        _ => Err(mistakes),
    }
}

// === impl Query ===

impl Query {
    /// Lets a range of `all` begin with the site's first hit (milliseconds);
    /// `time` alone then means what suits the longer range.
    pub fn begin_with(&mut self, first_hit: i64) {
        self.range.begin_with(first_hit);
        if let Some(index) = self.auto_time {
            let auto = Dimension::Time(self.range.auto_bucket());
            if !self.dimensions.contains(&auto) {
                self.dimensions[index] = auto;
            }
        }
    }

    /// Which hits it is about.
    pub fn bots(&self) -> Bots {
        if self.include.bots { Bots::Included } else { Bots::LeftOut }
    }

    /// The question as it was understood, for the answer.
    pub fn normalised(&self) -> Value {
        let name = |column: &Column| match column {
            Column::Dimension(index) => self.dimensions[*index].name(),
            Column::Metric(index) => self.metrics[*index].name().to_owned(),
        };
        let order: Vec<Value> = self
            .order
            .iter()
            .map(|(column, direction)| {
                json!([name(column), if *direction == Direction::Ascending { "asc" } else { "desc" }])
            })
            .collect();
        json!({
            "site_id": self.site,
            "metrics": self.metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>(),
            "dimensions": self.dimensions.iter().map(Dimension::name).collect::<Vec<_>>(),
            "date_range": self.range.shown(),
            "filters": self.asked_filters,
            "order_by": order,
            "include": {
                "imports": self.include.imports,
                "time_labels": self.include.time_labels,
                "total_rows": self.include.total_rows,
                "bots": self.include.bots,
                "totals": self.include.totals,
                "marketing": self.include.marketing,
                "comparisons": self.include.comparisons.as_ref().map(Comparison::normalised),
            },
            "pagination": { "limit": self.limit, "offset": self.offset },
        })
    }

    /// Whether a filter names this property of hits.
    pub fn filters_name(&self, field: EventField) -> bool {
        filter::names(&self.filters, field)
    }

    /// The same question about all of its rows together.
    pub fn whole(&self) -> Query {
        let mut whole = Query {
            dimensions: Vec::new(),
            order: Vec::new(),
            only: None,
            auto_time: None,
            limit: 1,
            offset: 0,
            include: Include { total_rows: false, time_labels: false, ..self.include.clone() },
            ..self.clone()
        };
        if self.dimensions.contains(&Dimension::GOAL) {
            whole.filters.push(Filter::Goals(self.goals.clone()));
        }
        whole
    }

    /// Who was there to be converted, in the groups of this question: its visitors without
    /// goals and without the properties that events bring.
    pub fn before_goals(&self) -> Query {
        let dimensions: Vec<Dimension> =
            self.dimensions.iter().filter(|dimension| **dimension != Dimension::GOAL).cloned().collect();
        let filters: Vec<Filter> =
            self.filters.iter().filter(|filter| !filter.is_of_conversion()).cloned().collect();
        Query {
            metrics: vec![Metric::Visitors],
            about_ads: is_about_ads(&dimensions, &filters),
            about_goals: false,
            dimensions,
            filters,
            order: Vec::new(),
            only: None,
            ..self.clone()
        }
    }

    /// In what money its revenue is.
    pub fn money(&self) -> Money {
        match self.dimensions.iter().position(|dimension| *dimension == Dimension::GOAL) {
            Some(index) => Money::of_rows(index, &self.goals),
            None => Money::of_all(&self.goals),
        }
    }
}

fn is_about_ads(dimensions: &[Dimension], filters: &[Filter]) -> bool {
    dimensions.contains(&Dimension::Event(EventField::Ad)) || filter::names(filters, EventField::Ad)
}

fn metrics(value: Option<&Value>, mistakes: &mut Vec<String>) -> Vec<Metric> {
    let items = match value {
        Some(Value::Array(items)) if !items.is_empty() => items,
        Some(other) => {
            mistakes.push(format!("#/metrics: Invalid metrics {}", short(other)));
            return Vec::new();
        }
        None => {
            mistakes.push("#/metrics: Missing".to_owned());
            return Vec::new();
        }
    };
    let mut metrics = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().and_then(Metric::parse) {
            None => mistakes.push(format!("#/metrics/{index}: Invalid metric {}", short(item))),
            Some(metric) if metrics.contains(&metric) => {
                mistakes.push(format!("#/metrics/{index}: Metric {} is repeated", short(item)));
            }
            Some(metric) => metrics.push(metric),
        }
    }
    metrics
}

fn dimensions(value: Option<&Value>, range: Option<&Range>, mistakes: &mut Vec<String>) -> Vec<Dimension> {
    let items = match value {
        None => return Vec::new(),
        Some(Value::Array(items)) if items.len() <= MAX_DIMENSIONS => items,
        Some(Value::Array(items)) => {
            mistakes.push(format!(
                "#/dimensions: {} dimensions, at most {MAX_DIMENSIONS} are allowed",
                items.len()
            ));
            return Vec::new();
        }
        Some(other) => {
            mistakes.push(format!("#/dimensions: Invalid dimensions {}", short(other)));
            return Vec::new();
        }
    };
    let mut dimensions = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().and_then(|name| dimension(name, range)) {
            None => mistakes.push(format!("#/dimensions/{index}: Invalid dimension {}", short(item))),
            Some(dimension) if dimensions.contains(&dimension) => {
                mistakes.push(format!("#/dimensions/{index}: Dimension {} is repeated", short(item)));
            }
            Some(dimension) => dimensions.push(dimension),
        }
    }
    dimensions
}

fn auto_time(value: Option<&Value>) -> Option<usize> {
    value?.as_array()?.iter().position(|item| item == "time")
}

fn dimension(name: &str, range: Option<&Range>) -> Option<Dimension> {
    Dimension::parse(name, range.map_or(super::names::Bucket::Day, Range::auto_bucket))
        .filter(|dimension| !matches!(dimension, Dimension::Prop(key) if key.contains('\0')))
}

fn order(
    value: Option<&Value>,
    metrics: &[Metric],
    dimensions: &[Dimension],
    range: Option<&Range>,
    mistakes: &mut Vec<String>,
) -> Vec<(Column, Direction)> {
    let mut order = Vec::new();
    match value {
        None => {
            if let Some(index) = dimensions.iter().position(|d| matches!(d, Dimension::Time(_))) {
                order.push((Column::Dimension(index), Direction::Ascending));
            }
            if !metrics.is_empty() {
                order.push((Column::Metric(0), Direction::Descending));
            }
        }
        Some(Value::Array(items)) if items.len() <= MAX_ORDER => {
            for (index, item) in items.iter().enumerate() {
                match order_item(item, metrics, dimensions, range) {
                    Some(entry) => order.push(entry),
                    None => {
                        mistakes.push(format!("#/order_by/{index}: Invalid order_by entry {}", short(item)))
                    }
                }
            }
        }
        Some(other) => mistakes.push(format!("#/order_by: Invalid order_by {}", short(other))),
    }
    order
}

/// `["visitors", "desc"]`, of a column that the answer has.
fn order_item(
    item: &Value,
    metrics: &[Metric],
    dimensions: &[Dimension],
    range: Option<&Range>,
) -> Option<(Column, Direction)> {
    let [Value::String(name), Value::String(direction)] = item.as_array()?.as_slice() else { return None };
    let direction = match direction.as_str() {
        "asc" => Direction::Ascending,
        "desc" => Direction::Descending,
        _ => return None,
    };
    let metric = Metric::parse(name).and_then(|named| metrics.iter().position(|metric| *metric == named));
    let column = match metric {
        Some(index) => Column::Metric(index),
        None => {
            let named = dimension(name, range)?;
            Column::Dimension(dimensions.iter().position(|dimension| *dimension == named)?)
        }
    };
    Some((column, direction))
}

fn include(
    value: Option<&Value>,
    dimensions: &[Dimension],
    range: Option<&Range>,
    now: Timestamp,
    mistakes: &mut Vec<String>,
) -> Include {
    let object = match value {
        None => return Include::default(),
        Some(Value::Object(object)) => object,
        Some(other) => {
            mistakes.push(format!("#/include: Invalid include {}", short(other)));
            return Include::default();
        }
    };
    for (key, value) in object.iter().filter(|(key, _)| *key != "comparisons") {
        if !INCLUDES.contains(&key.as_str()) {
            mistakes.push(format!("#/include/{}: Unknown key", key_text(key)));
        } else if !value.is_boolean() {
            mistakes.push(format!("#/include/{key}: Invalid value {}", short(value)));
        }
    }
    let flag = |name: &str| object.get(name) == Some(&Value::Bool(true));
    let include = Include {
        imports: flag("imports"),
        time_labels: flag("time_labels"),
        total_rows: flag("total_rows"),
        bots: flag("bots"),
        totals: flag("totals"),
        marketing: flag("marketing"),
        comparisons: match (object.get("comparisons"), range) {
            (None | Some(Value::Null), _) => None,
            (Some(value), range) => Comparison::parse(value, range, now, mistakes),
        },
    };
    if include.time_labels && !dimensions.iter().any(|d| matches!(d, Dimension::Time(_))) {
        mistakes.push("#/include/time_labels: Requires a time dimension".to_owned());
    }
    include
}

fn pagination(value: Option<&Value>, mistakes: &mut Vec<String>) -> (u64, u64) {
    let empty = Map::new();
    let object = match value {
        None => &empty,
        Some(Value::Object(object)) => object,
        Some(other) => {
            mistakes.push(format!("#/pagination: Invalid pagination {}", short(other)));
            &empty
        }
    };
    for key in object.keys().filter(|key| *key != "limit" && *key != "offset") {
        mistakes.push(format!("#/pagination/{}: Unknown key", key_text(key)));
    }
    let mut number = |key: &str, default: u64, allowed: std::ops::RangeInclusive<u64>| match object.get(key) {
        None => default,
        Some(value) => match value.as_u64().filter(|number| allowed.contains(number)) {
            Some(number) => number,
            None => {
                let (least, most) = (allowed.start(), allowed.end());
                mistakes.push(format!(
                    "#/pagination/{key}: Invalid value {}, {least} to {most} is allowed",
                    short(value)
                ));
                default
            }
        },
    };
    (number("limit", MAX_LIMIT, 1..=MAX_LIMIT), number("offset", 0, 0..=MAX_OFFSET))
}

/// What has no meaning together.
fn combinations(
    metrics: &[Metric],
    dimensions: &[Dimension],
    filters: &[Filter],
    mistakes: &mut Vec<String>,
) {
    let has_goals = dimensions.contains(&Dimension::GOAL)
        || filters.iter().any(|filter| matches!(filter, Filter::Goals(_)));
    for (index, metric) in metrics.iter().enumerate() {
        let mut wrong = |what: String| mistakes.push(format!("#/metrics/{index}: {what}"));
        let name = metric.name();
        for dimension in dimensions.iter().filter(|dimension| dimension.splits_visits()) {
            if metric.is_of_visits() {
                let dimension = dimension.name();
                wrong(format!(
                    "Session metric `{name}` cannot be queried with the event dimension `{dimension}`"
                ));
            }
        }
        match metric {
            Metric::Percentage if dimensions.is_empty() => {
                wrong(format!("Metric `{name}` requires a dimension"));
            }
            Metric::ConversionRate | Metric::GroupConversionRate if !has_goals => {
                wrong(format!("Metric `{name}` can only be queried with event:goal filters or dimensions"));
            }
            Metric::ExitRate if *dimensions != [Dimension::Visit(VisitField::ExitPage)] => wrong(format!(
                "Metric `{name}` requires the dimension `visit:exit_page`, no other dimensions are allowed"
            )),
            Metric::ExitRate if filters.iter().any(Filter::is_of_hits) => {
                wrong(format!("Metric `{name}` cannot be queried when filtering on event dimensions"));
            }
            _ => {}
        }
    }
    if metrics.iter().any(|metric| metric.is_of_conversion()) {
        for (index, filter) in filters.iter().enumerate() {
            let mut deep = false;
            filter.conditions(&mut |condition| deep |= matches!(condition.dimension, Dimension::Prop(_)));
            if deep && !filter.is_of_conversion() {
                mistakes.push(format!(
                    "#/filters/{index}: With `conversion_rate` or `group_conversion_rate`, \
                     event:props can only be filtered at the top level"
                ));
            }
        }
    }
}

/// A key as an error names it.
pub fn key_text(key: &str) -> String {
    let quoted = short(&Value::from(key));
    quoted.trim_matches('"').to_owned()
}
