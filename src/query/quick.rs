//! Questions that rollups answer: the same numbers as [`super::compile`], sooner.
//!
//! In: a [`Query`] whose days the tables of [`crate::rollup`] hold, as a [`Cover`] says. Out:
//! statements whose rows are those that `compile`'s would be, or `None` for a question of
//! another shape, which hits answer.
//!
//! - *By day*: no filter, and one property or whole days: from `visits_by_day` and, for more than a month,
//!   `visitors_by_day`. Read about as many rows as there are values times days, or months where the range
//!   has whole ones.
//! - *By visit*: filters and properties of visits and pages: from `visits`, a row per visit
//!   and day. Read the site's visits of the range.
//!
//! A test compares both with `compile` and with the reference on random histories.

use super::compile::{Bots, Statement, Statements};
use super::filter::{Condition, Filter, Operator};
use super::names::{Bucket, Dimension, EventField, Metric, VisitField};
use super::parse::{Column, Direction, Query};
use super::scan::tally::{Columns, Measure};
use super::visible::Visible;
use crate::rollup::Cover;
use crate::rollup::days;
use crate::rollup::fields;
use crate::rollup::keep;
use crate::rollup::numbers::{self, NEAR_DAYS, Past, entered_at};
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

/// What sums by day are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    None,
    Value,
    PropertyAndValue,
}

/// Which tables answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    ByDay,
    ByVisit,
}

/// Statements that count the numbers of the open days, each a part.
#[derive(Default)]
struct OpenNumbers {
    people: Vec<String>,
    visits: Vec<String>,
}

struct Builder<'a> {
    query: &'a Query,
    cover: &'a Cover,
    visible: Visible<'a>,
    params: Vec<(String, Param)>,
    /// Only the people from `{least:UInt64}` to `{most:UInt64}` are meant.
    sliced: bool,
}

/// What a question says of a row of `visits`, where it is about visits and, by a filter,
/// about some of their pages.
struct OfVisit {
    /// Whether it is meant.
    wanted: String,
    /// Its counted hits and page views that are meant.
    present: String,
    views: String,
    /// Whether averages are about it.
    own: String,
    /// Whether it was meant on the day before.
    was_there: String,
}

// === impl Keys ===

impl Keys {
    /// As a select begins with them.
    fn listed(self) -> &'static str {
        match self {
            Keys::None => "",
            Keys::Value => "d0, ",
            Keys::PropertyAndValue => "p0, d0, ",
        }
    }
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
    /// The aggregated numbers that the metrics need, from sums by day.
    fn by_day(&mut self) -> String {
        let property = match self.query.dimensions.first() {
            Some(Dimension::Time(_)) | None => String::new(),
            Some(dimension) => dimension.name(),
        };
        let keys = if self.query.dimensions.is_empty() { Keys::None } else { Keys::Value };
        let needed = self.needed();
        let rows = self.sums_by_day(&[property], keys, &needed);
        let names: Vec<String> = needed.iter().map(|name| format!("{name}_ AS {name}")).collect();
        let mut sql = format!("SELECT {}{}\nFROM\n(\n{rows}\n)", keys.listed(), names.join(", "));
        if keys != Keys::None {
            let ads = "ad_views_ + ad_viewable_ + ad_clicks_ > 0";
            let is_asked = |of: fn(Metric) -> bool| self.query.metrics.iter().any(|metric| of(*metric));
            let there = match (is_asked(is_of_people), is_asked(Metric::is_of_ads)) {
                (true, true) => format!("counted_ > 0 OR {ads}"),
                (false, true) => ads.to_owned(),
                _ => "counted_ > 0".to_owned(),
            };
            sql.push_str(&format!("\nWHERE {there}"));
        }
        sql
    }

    /// Sums of several properties, or of the whole by buckets, as [`super::scan`] reads them.
    fn sums_of(&mut self, properties: &[String]) -> String {
        let needed = self.needed();
        let rows = self.sums_by_day(properties, Keys::PropertyAndValue, &needed);
        let sums = SUMS.map(|name| match needed.contains(&name) {
            true => format!("toUInt64({name}_)"),
            false => "toUInt64(0)".to_owned(),
        });
        let word = |key: &str| format!("CAST(toString({key}), 'LowCardinality(String)')");
        format!(
            "SELECT {}, {}, {}\nFROM\n(\n{rows}\n)\nWHERE counted_ > 0",
            word("p0"),
            word("d0"),
            sums.join(", ")
        )
    }

    /// Columns `NAME_` of sums by day of some properties, or of the whole where the question is about buckets of
    /// time.
    fn sums_by_day(&mut self, properties: &[String], keys: Keys, needed: &[&'static str]) -> String {
        let bucket = self.bucket();
        let days = &self.cover.days;
        let length = days
            .first
            .until(days.last)
            .map_or(usize::MAX, |span| span.get_days().unsigned_abs() as usize + 1);
        let near = bucket.is_some() || length <= NEAR_DAYS;
        let of_people = needed.contains(&"people");
        let condition = match near {
            true => format!("{} AND property IN {{properties:Array(String)}}", self.condition()),
            false => self.condition_with_months(properties),
        };
        let open = self.open_numbers(properties);
        self.params.push(("properties".to_owned(), Param::Texts(properties.to_vec())));
        let d0 = bucket.map_or("value", label);
        let (columns, group) = match keys {
            Keys::None => (String::new(), ""),
            Keys::Value => (format!("{d0} AS d0, "), "\nGROUP BY d0"),
            Keys::PropertyAndValue => {
                let property = numbers::property_of("property");
                (format!("{property} AS p0, {d0} AS d0, "), "\nGROUP BY p0, d0")
            }
        };
        let start = self.start();
        let select = |from: &str, of: &dyn Fn(&str) -> String| {
            let sums: Vec<String> = needed.iter().map(|name| format!("{} AS {name}_", of(name))).collect();
            format!("SELECT {columns}{}\nFROM {from}{group}", sums.join(", "))
        };
        let people = |rows: &str| {
            select(rows, &|name| if name == "people" { "sum(visitors)" } else { "0" }.to_owned())
        };
        let visits = |rows: &str, people: &str| {
            select(rows, &|name| match name {
                "people" => people.to_owned(),
                "visits" | "own" | "bounced" | "lasted" => {
                    format!("sum({name}) - sumIf({name}_again, day > {start})")
                }
                _ => format!("sum({name})"),
            })
        };
        let made = |table: &str| format!("{}.{table} WHERE {condition}", self.visible.database);
        let mut parts = Vec::new();
        if near {
            parts.push(visits(&made(keep::MADE[2]), &format!("sum(near[toUInt16(day - {start}) + 1])")));
        } else {
            parts.push(visits(&made(keep::MADE[2]), "0"));
            if of_people {
                parts.push(people(&format!("{} AND previous < {start}", made(keep::MADE[1]))));
            }
        }
        parts.extend(open.visits.iter().map(|rows| visits(rows, "0")));
        if of_people {
            parts.extend(open.people.iter().map(|rows| people(&format!("{rows} WHERE previous < {start}"))));
        }
        match parts.as_slice() {
            [one] => one.clone(),
            several => {
                let sums: Vec<String> =
                    needed.iter().map(|name| format!("sum({name}_) AS {name}_")).collect();
                format!(
                    "SELECT {}{}\nFROM\n(\n{}\n){group}",
                    keys.listed(),
                    sums.join(", "),
                    several.join("\nUNION ALL\n")
                )
            }
        }
    }

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

    /// The rows by day at both ends of the range, and those by month of the months between.
    fn condition_with_months(&mut self, properties: &[String]) -> String {
        let here = self.condition();
        let days = &self.cover.days;
        // The month that begins with the range stays apart: of its first day all visits are
        // new to the range, those from before midnight too.
        let begin = days::first_of_next_month(days.first);
        let end = days::next(days.last).first_of_month();
        if begin >= end {
            return format!("{here} AND property IN {{properties:Array(String)}}");
        }
        for (name, day) in [("months_from", begin), ("months_to", end)] {
            self.params.push((name.to_owned(), Param::Text(day.to_string())));
        }
        let months = properties.iter().map(|property| numbers::by_month(property)).collect();
        self.params.push(("months".to_owned(), Param::Texts(months)));
        format!(
            "{here} AND (property IN {{properties:Array(String)}} AND (day < toDate({{months_from:String}}) OR day >= toDate({{months_to:String}})) \
             OR property IN {{months:Array(String)}} AND day >= toDate({{months_from:String}}) AND day < toDate({{months_to:String}}))"
        )
    }

    /// The same from visits.
    fn by_visit(&mut self) -> String {
        let query = self.query;
        let about_page = query.dimensions.contains(&Dimension::Event(EventField::Page));
        let page_filtered = query.filters_name(EventField::Page);
        let fields = query.dimensions.iter().filter_map(|dimension| match dimension {
            Dimension::Visit(field) => Some(*field),
            _ => None,
        });
        let columns = self.columns(fields, about_page || page_filtered);
        // With a page in the group or the filters, `present` hits of the visit are meant.
        let (join, OfVisit { wanted, present, views, own, was_there }) = if about_page {
            let wanted = self.filters("page");
            let entered = entered_at("page");
            let own =
                if page_filtered { format!("{entered} AND {}", self.filters("entry")) } else { entered };
            let of_page = OfVisit {
                wanted,
                present: "countEqual(pages, page)".to_owned(),
                views: "arrayCount((p, kind) -> p = page AND kind = 1, pages, kinds)".to_owned(),
                own,
                was_there: "has(earlier_pages, page)".to_owned(),
            };
            ("\nARRAY JOIN arrayDistinct(pages) AS page", of_page)
        } else {
            ("", self.of_visit())
        };
        let start = self.start();
        let keys: Vec<String> = query
            .dimensions
            .iter()
            .enumerate()
            .map(|(index, dimension)| {
                let value = match dimension {
                    Dimension::Time(bucket) => label(*bucket),
                    Dimension::Visit(field) => fields::column(*field).unwrap_or("''"),
                    _ => "page",
                };
                format!("{value} AS d{index}, ")
            })
            .collect();
        let again = format!("(earlier AND day > {start} AND {was_there})");
        let mut sql = format!(
            "SELECT {}uniqExact(person) AS people, countIf(NOT {again}) AS visits, sum({views}) AS views_, sum({present}) AS counted_,
    countIf({own} AND NOT {again}) AS own, countIf({own} AND bounce AND NOT {again}) AS bounced, sumIf(lasted, {own} AND NOT {again}) AS lasted_
FROM {}{join}
WHERE {wanted}",
            keys.concat(),
            self.visits(&columns),
        );
        if !query.dimensions.is_empty() {
            let keys: Vec<String> = (0..query.dimensions.len()).map(|index| format!("d{index}")).collect();
            sql.push_str(&format!("\nGROUP BY {}", keys.join(", ")));
        }
        let keys: String = (0..query.dimensions.len()).map(|index| format!("d{index}, ")).collect();
        format!(
            "SELECT {keys}people, visits, views_ AS views, counted_ AS counted, own, bounced, lasted_ AS lasted FROM\n(\n{sql}\n)"
        )
    }

    /// What is true of each visit, in the order of [`Columns`].
    fn columns_of_visits(&mut self, columns: &Columns) -> String {
        let OfVisit { wanted, present, views, own, was_there } = self.of_visit();
        let mut asked = vec!["person".to_owned()];
        if columns.day {
            asked.push("toUInt16(day) AS day_".to_owned());
        }
        for measure in &columns.measures {
            let sql = match measure {
                Measure::Earlier => &format!("earlier AND {was_there}"),
                Measure::Views => &views,
                Measure::Counted => &present,
                Measure::Own => &own,
                Measure::Bounce => "bounce",
                Measure::Lasted => "lasted",
            };
            asked.push(format!("CAST({sql}, 'UInt32') AS {measure:?}"));
        }
        for field in &columns.fields {
            let column = fields::column(*field).unwrap_or("''");
            asked.push(format!("CAST({column}, 'LowCardinality(String)') AS {column}_"));
        }
        let page_filtered = self.query.filters_name(EventField::Page);
        if columns.pages {
            let (mut pages, mut kinds) = ("pages".to_owned(), "kinds".to_owned());
            if page_filtered {
                let hit = self.filters("p");
                pages = format!("arrayFilter(p -> {hit}, pages)");
                kinds = format!("arrayFilter((kind, p) -> {hit}, kinds, pages)");
            }
            asked.push(format!("CAST({pages}, 'Array(LowCardinality(String))') AS pages_"));
            asked.push(format!("CAST({kinds}, 'Array(UInt8)') AS kinds_"));
        }
        let from = self.columns(columns.fields.iter().copied(), columns.pages || page_filtered);
        format!("SELECT {}\nFROM {}\nWHERE {wanted}", asked.join(", "), self.visits(&from))
    }

    /// With a page in the filters, the hits of such pages are meant.
    fn of_visit(&mut self) -> OfVisit {
        if !self.query.filters_name(EventField::Page) {
            return OfVisit {
                wanted: self.filters("''"),
                present: "counted".to_owned(),
                views: "views".to_owned(),
                own: "1".to_owned(),
                was_there: "1".to_owned(),
            };
        }
        let hit = self.filters("p");
        OfVisit {
            wanted: format!("arrayExists(p -> {hit}, pages)"),
            present: format!("arrayCount(p -> {hit}, pages)"),
            views: format!("arrayCount((p, kind) -> kind = 1 AND {hit}, pages, kinds)"),
            own: self.filters("entry"),
            was_there: format!("arrayExists(p -> {hit}, earlier_pages)"),
        }
    }

    /// The columns of `visits` for what is broken down by and filtered.
    fn columns(&self, of: impl Iterator<Item = VisitField>, pages: bool) -> String {
        let mut columns = vec!["day", "person", "earlier", "bounce", "lasted", "views", "counted"];
        let mut need = |name: &'static str| {
            if !columns.contains(&name) {
                columns.push(name);
            }
        };
        of.filter_map(fields::column).for_each(&mut need);
        for filter in &self.query.filters {
            filter.conditions(&mut |condition| {
                if let Dimension::Visit(field) = condition.dimension {
                    fields::column(field).map(&mut need);
                }
            });
        }
        if pages {
            ["`seen.page` AS pages", "`seen.kind` AS kinds", "entry", "earlier_pages"]
                .into_iter()
                .for_each(&mut need);
        }
        columns.join(", ")
    }

    /// All filters, on a visit and on the page that `page` is.
    fn filters(&mut self, page: &str) -> String {
        let all: Vec<String> = self.query.filters.iter().map(|filter| self.filter(filter, page)).collect();
        if all.is_empty() { "1".to_owned() } else { all.join(" AND ") }
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

    /// The visits of days that are made and, where they are asked about, of those that are open.
    fn visits(&self, columns: &str) -> String {
        let (database, condition) = (self.visible.database, self.condition());
        let of = |table: &str| format!("SELECT {columns} FROM {database}.{table} WHERE {condition}");
        match self.cover.open {
            None => format!("({})", of(keep::MADE[0])),
            Some(_) => format!("({} UNION ALL {})", of(keep::MADE[0]), of(keep::OPEN)),
        }
    }

    /// What counts the numbers of the open days, about some properties, from their visits.
    fn open_numbers(&self, properties: &[String]) -> OpenNumbers {
        let mut open = OpenNumbers::default();
        if self.cover.open.is_none() {
            return open;
        }
        let database = self.visible.database;
        // Names of properties are ours.
        let named = |name: &str, rows: &str| format!("(SELECT '{name}' AS property, * FROM (\n{rows}\n))");
        for property in numbers::properties().iter().filter(|known| properties.contains(&known.name)) {
            let people = property.people(keep::OPEN, Past::Of(keep::MADE[0]), database);
            open.people.push(named(&property.name, &people));
            open.visits.push(named(&property.name, &property.visits(keep::OPEN, database)));
        }
        if self.query.metrics.iter().any(|metric| metric.is_of_ads()) {
            for (name, value) in numbers::of_ads().iter().filter(|(known, _)| properties.contains(known)) {
                open.visits.push(named(name, &numbers::ads(value, self.visible)));
            }
        }
        open
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

    /// A filter on a visit and, where it names a page, on the page that `page` is.
    fn filter(&mut self, filter: &Filter, page: &str) -> String {
        let mut join = |children: &[Filter], word: &str| {
            let parts: Vec<String> = children.iter().map(|child| self.filter(child, page)).collect();
            format!("({})", parts.join(word))
        };
        match filter {
            Filter::And(children) => join(children, " AND "),
            Filter::Or(children) => join(children, " OR "),
            Filter::Not(child) => format!("(NOT {})", self.filter(child, page)),
            Filter::Is(condition) => self.condition_of(condition, page),
            // Such a question was not taken.
            Filter::Goals(_) | Filter::Done(_) => "0".to_owned(),
        }
    }

    fn condition_of(&mut self, condition: &Condition, page: &str) -> String {
        let value = match condition.dimension {
            Dimension::Visit(field) => fields::column(field).unwrap_or("''"),
            _ => page,
        };
        let folded = if condition.case_sensitive { value.to_owned() } else { format!("lowerUTF8({value})") };
        let list = |name: &str| {
            let list = format!("{{{name}:Array(String)}}");
            if condition.case_sensitive { list } else { format!("arrayMap(w -> lowerUTF8(w), {list})") }
        };
        let sql = match condition.operator {
            Operator::Is => match (condition.case_sensitive, condition.values.as_slice()) {
                // Compared once with each different value, not in each row; one is cheaper than a list of one.
                (true, [one]) => format!("{value} = {{{}:String}}", self.param(Param::Text(one.clone()))),
                (true, several) => {
                    format!("{value} IN {{{}:Array(String)}}", self.param(Param::Texts(several.to_vec())))
                }
                (false, several) => {
                    let name = self.param(Param::Texts(several.to_vec()));
                    format!("has({}, {folded})", list(&name))
                }
            },
            Operator::Contains => {
                let name = self.param(Param::Texts(condition.values.clone()));
                format!("arrayExists(w -> position({folded}, w) > 0, {})", list(&name))
            }
            // Refused by `filter_is_known`: patterns of pages are rare in filters.
            Operator::Wildcard => "0".to_owned(),
            Operator::Matches => {
                let patterns: Vec<String> = condition
                    .values
                    .iter()
                    .map(|pattern| {
                        let flags = if condition.case_sensitive { "" } else { "(?i)" };
                        let name = self.param(Param::Text(format!("{flags}{pattern}")));
                        format!("match({value}, {{{name}:String}})")
                    })
                    .collect();
                format!("({})", patterns.join(" OR "))
            }
        };
        if condition.negated { format!("(NOT {sql})") } else { sql }
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
