//! Questions that rollups answer: the same numbers as [`super::compile`], sooner.
//!
//! In: a [`Query`] whose days the tables of [`crate::rollup`] hold, as a [`Cover`] says. Out:
//! statements whose rows are those that `compile`'s would be, or `None` for a question of
//! another shape, which hits answer.
//!
//! - [`by_day`]: no filter, and one property or whole days: from sums by day.
//! - [`by_visit`]: filters and properties of visits and pages: from a row per visit and day.
//!
//! A test compares both with `compile` and with the reference on random histories.

mod by_day;
mod by_visit;

use super::compile::{Bots, Statement, Statements};
use super::filter::{Filter, Operator};
use super::names::{Bucket, Dimension, EventField, Metric};
use super::parse::{Column, Direction, Query};
use super::scan::tally::Columns;
use super::visible::Visible;
use crate::rollup::Cover;
use crate::rollup::fields;
use crate::rollup::visits;
use crate::store::Param;

/// Whether rollups could answer a question, if they have its days.
pub fn is_of_whole_days(query: &Query) -> bool {
    let known = query.dimensions.iter().all(|dimension| {
        is_of_visits_table(dimension)
            || matches!(dimension, Dimension::Event(EventField::Name | EventField::Ad))
    });
    let metrics = query.metrics.iter().all(|metric| metric.is_of_ads() || is_of_people(*metric));
    known
        && metrics
        && query.only.is_none()
        && query.bots() == Bots::LeftOut
        && query.filters.iter().all(filter_is_known)
}

/// The statements for a question, if rollups can answer it.
pub fn compile(query: &Query, cover: &Cover, visible: Visible<'_>) -> Option<Statements> {
    if !is_of_whole_days(query) {
        return None;
    }
    let form = Form::of(query, cover)?;
    let whole =
        Query { dimensions: Vec::new(), order: Vec::new(), metrics: vec![Metric::Visitors], ..query.clone() };
    let rows = |query: &Query, page| {
        let mut builder = Builder { query, cover, visible, params: params(query, cover), sliced: false };
        let sql = match form {
            Form::ByDay => builder.by_day(),
            Form::ByVisit => builder.by_visit(),
        };
        builder.statement(sql, page)
    };
    Some(Statements {
        rows: rows(query, Some((query.limit, query.offset))),
        total_rows: query.include.total_rows.then(|| {
            let Statement { sql, params } = rows(query, None);
            Statement { sql: format!("SELECT count() FROM (\n{sql}\n)"), params }
        }),
        total_visitors: query.metrics.contains(&Metric::Percentage).then(|| rows(&whole, None)),
        visitors_before_goals: None,
    })
}

/// The visits of a question's filters, for [`super::scan`]: a slice of the people, those between
/// `{least:UInt64}` and `{most:UInt64}`.
pub(super) fn visits_of(
    query: &Query,
    columns: &Columns,
    cover: &Cover,
    visible: Visible<'_>,
) -> Option<Statement> {
    if !is_of_whole_days(query) || Form::of(query, cover)? != Form::ByVisit {
        return None;
    }
    let mut builder = Builder { query, cover, visible, params: params(query, cover), sliced: true };
    let sql = builder.columns_of_visits(columns);
    Some(Statement { sql, params: builder.params })
}

/// The numbers by day of some properties, or of the whole where the question is about buckets of time: the
/// property, the value and [`SUMS`], if these tables hold the range.
pub(super) fn sums_of(
    query: &Query,
    properties: &[String],
    cover: &Cover,
    visible: Visible<'_>,
) -> Option<Statement> {
    if !cover.numbers || !query.filters.is_empty() {
        return None;
    }
    let mut builder = Builder { query, cover, visible, params: params(query, cover), sliced: false };
    let sql = builder.sums_of(properties);
    Some(Statement { sql, params: builder.params })
}

/// The sums of [`sums_of`], in this order.
pub(super) const SUMS: [&str; 7] = ["people", "visits", "views", "counted", "own", "bounced", "lasted"];

/// Which tables answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    ByDay,
    ByVisit,
}

struct Builder<'a> {
    query: &'a Query,
    cover: &'a Cover,
    visible: Visible<'a>,
    params: Vec<(String, Param)>,
    /// Only the people from `{least:UInt64}` to `{most:UInt64}` are meant.
    sliced: bool,
}

// === impl Form ===

impl Form {
    fn of(query: &Query, cover: &Cover) -> Option<Form> {
        let of_ads = query.metrics.iter().any(|metric| metric.is_of_ads());
        let of_people = query.metrics.iter().any(|metric| is_of_people(*metric));
        let by_day = match query.dimensions.as_slice() {
            _ if !cover.numbers || !query.filters.is_empty() => false,
            [] => true,
            [Dimension::Time(bucket)] => is_whole_days(*bucket),
            [Dimension::Visit(field)] => fields::column(*field).is_some() && !of_ads,
            [Dimension::Event(EventField::Page | EventField::Name)] => !of_ads,
            [Dimension::Event(EventField::Ad)] => !of_people,
            _ => false,
        };
        if by_day {
            return Some(Form::ByDay);
        }
        let mut known = !of_ads && query.dimensions.iter().all(is_of_visits_table);
        for filter in &query.filters {
            known &= filter_is_known(filter);
        }
        known.then_some(Form::ByVisit)
    }
}

/// A number of people, visits and their counted hits.
fn is_of_people(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Visitors
            | Metric::Visits
            | Metric::Pageviews
            | Metric::Events
            | Metric::ViewsPerVisit
            | Metric::BounceRate
            | Metric::VisitDuration
            | Metric::Percentage
    )
}

fn is_whole_days(bucket: Bucket) -> bool {
    matches!(bucket, Bucket::Day | Bucket::Week | Bucket::Month)
}

fn is_of_visits_table(dimension: &Dimension) -> bool {
    match dimension {
        Dimension::Time(bucket) => is_whole_days(*bucket),
        Dimension::Visit(field) => fields::column(*field).is_some(),
        Dimension::Event(EventField::Page) => true,
        _ => false,
    }
}

fn filter_is_known(filter: &Filter) -> bool {
    match filter {
        Filter::And(children) | Filter::Or(children) => children.iter().all(filter_is_known),
        Filter::Not(child) => filter_is_known(child),
        Filter::Is(condition) => {
            condition.operator != Operator::Wildcard
                && !matches!(condition.dimension, Dimension::Time(_))
                && is_of_visits_table(&condition.dimension)
        }
        Filter::Goals(_) | Filter::Done(_) => false,
    }
}

// === impl Builder ===

impl Builder<'_> {
    /// The aggregated numbers that [`number`] and the choice of groups name.
    fn needed(&self) -> Vec<&'static str> {
        let mut needed = vec!["counted"];
        for metric in &self.query.metrics {
            let of_metric: &[&str] = match metric {
                Metric::Visitors | Metric::Percentage => &["people"],
                Metric::Visits => &["visits"],
                Metric::Pageviews => &["views"],
                Metric::ViewsPerVisit => &["visits", "views"],
                Metric::BounceRate => &["own", "bounced"],
                Metric::VisitDuration => &["own", "lasted"],
                metric if metric.is_of_ads() => &["ad_views", "ad_viewable", "ad_clicks"],
                _ => &[],
            };
            for name in of_metric {
                if !needed.contains(name) {
                    needed.push(name);
                }
            }
        }
        needed
    }

    fn bucket(&self) -> Option<Bucket> {
        self.query.dimensions.iter().find_map(|dimension| match dimension {
            Dimension::Time(bucket) => Some(*bucket),
            _ => None,
        })
    }

    /// The answer's columns from the aggregated numbers `sql`.
    fn statement(self, sql: String, page: Option<(u64, u64)>) -> Statement {
        let keys: Vec<String> = (0..self.query.dimensions.len()).map(|index| format!("d{index}")).collect();
        let mut columns: Vec<String> = keys.iter().map(|key| format!("toString({key}) AS {key}")).collect();
        columns.extend(
            self.query
                .metrics
                .iter()
                .enumerate()
                .map(|(index, metric)| format!("{} AS m{index}", number(*metric))),
        );
        let mut sql = format!("SELECT {}\nFROM\n(\n{sql}\n)", columns.join(", "));
        if let Some((limit, offset)) = page {
            if !keys.is_empty() {
                sql.push_str(&format!("\nORDER BY {}", self.order(&keys).join(", ")));
            }
            sql.push_str(&format!("\nLIMIT {limit} OFFSET {offset}"));
        }
        Statement { sql, params: self.params }
    }

    fn order(&self, keys: &[String]) -> Vec<String> {
        let mut order: Vec<String> = Vec::new();
        for (column, direction) in &self.query.order {
            let name = match column {
                Column::Dimension(index) => format!("d{index}"),
                Column::Metric(index) => format!("m{index}"),
            };
            let direction = if *direction == Direction::Ascending { "ASC" } else { "DESC" };
            order.push(format!("{name} {direction}"));
        }
        order.extend(keys.iter().map(|key| format!("{key} ASC")));
        order
    }

    fn condition(&self) -> String {
        let slice =
            if self.sliced { " AND person >= {least:UInt64} AND person <= {most:UInt64}" } else { "" };
        format!(
            "site = {{site:String}} AND day >= toDate({{since:String}}) AND day <= toDate({{until:String}}){slice}"
        )
    }

    /// The first day that is in one group with a day: that of the range, or of the bucket.
    fn start(&self) -> String {
        match self.bucket() {
            Some(Bucket::Day) => "day".to_owned(),
            Some(Bucket::Week) => "greatest(toMonday(day), toDate({since:String}))".to_owned(),
            Some(Bucket::Month) => "greatest(toStartOfMonth(day), toDate({since:String}))".to_owned(),
            _ => "toDate({since:String})".to_owned(),
        }
    }

    fn param(&mut self, value: Param) -> String {
        let name = format!("p{}", self.params.len());
        self.params.push((name.clone(), value));
        name
    }
}

/// The question's days, and beside them what the statements about open days name.
fn params(query: &Query, cover: &Cover) -> Vec<(String, Param)> {
    let days = &cover.days;
    let mut params = visits::params(&query.site, cover.open.as_ref().unwrap_or(days));
    for (name, day) in [("since", days.first), ("until", days.last)] {
        params.push((name.to_owned(), Param::Text(day.to_string())));
    }
    params
}

/// A number of the answer from the aggregated ones; in the words of `compile`.
fn number(metric: Metric) -> &'static str {
    match metric {
        Metric::Visitors | Metric::Percentage => "people",
        Metric::Visits => "visits",
        Metric::Pageviews => "views",
        Metric::Events => "counted",
        Metric::ViewsPerVisit => "if(visits = 0, NULL, round(views / visits, 2))",
        Metric::BounceRate => "if(own = 0, NULL, round(100 * bounced / own))",
        Metric::VisitDuration => "if(own = 0, NULL, round(lasted / own / 1000))",
        Metric::AdViews => "ad_views",
        Metric::AdViewable => "ad_viewable",
        Metric::AdClicks => "ad_clicks",
        Metric::AdCtr => "if(ad_views = 0, NULL, round(100 * ad_clicks / ad_views, 2))",
        Metric::AdViewableRate => "if(ad_views = 0, NULL, round(100 * ad_viewable / ad_views, 2))",
        _ => "NULL",
    }
}

fn label(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Week => "toString(toMonday(day))",
        Bucket::Month => "toString(toStartOfMonth(day))",
        _ => "toString(day)",
    }
}
