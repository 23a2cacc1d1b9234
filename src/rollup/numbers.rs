//! The statements that make numbers by day from rows of `visits`.
//!
//! A *property* is what a question breaks down by (`visit:source`), under its name in
//! questions; the empty property is "all". A *value* is as the answer shows it. Each
//! statement is about one property, and gives rows of one of two tables; the same statements
//! give the numbers of days that are not over, in place, from `visits_today`.
//!
//! `visits_by_day` holds sums over one day. A visit over midnight stands in both days;
//! what of a day's sums belongs to visits that had the same value the day before is in
//! the columns `…_again`, so that the sums of days `a..=b` are
//! `sum(x) - sumIf(x_again, day > a)`.
//!
//! `visitors_by_day` makes exact numbers of different people add up: for each day and
//! value, how many people were there whose *previous* day with that value was such and
//! such (1970-01-01 is never). The people of days `a..=b` are those whose previous day is
//! before `a`: each is counted on their first day of the range, whatever the range. Its rows
//! are sorted by the previous day, so that a long range reads few of them. What a short range
//! needs of them also stands in `visits_by_day`, as the list `near`: how many of the day's
//! people were not there on any of the 0, 1, 2, … days before it ([`NEAR_DAYS`] numbers).
//!
//! Both tables hold each property once more *by month*, under the name [`by_month`], where the
//! day is the first of its month and rows stand for the days of the month that are made.

use super::fields::{FIELDS, shown};
use crate::event::Kind;
use crate::query::Visible;
use crate::query::names::{Dimension, EventField, VisitField};

/// Columns of `visitors_by_day` after site and property.
pub const OF_PEOPLE: &str = "previous, day, value, visitors";
/// Columns of `visits_by_day` after site and property.
pub const OF_VISITS: &str = "day, value, visits, visits_again, views, counted, own, own_again, bounced, bounced_again, \
     lasted, lasted_again, ad_views, ad_viewable, ad_clicks";

/// Those of them that are added up.
pub const SUMS_OF_VISITS: &str = "visits, visits_again, views, counted, own, own_again, bounced, bounced_again, \
     lasted, lasted_again, ad_views, ad_viewable, ad_clicks";
/// Ranges up to so many days need no more than the list `near`: a month.
pub const NEAR_DAYS: usize = 31;
/// Ends the names of properties by month.
pub const BY_MONTH: &str = "/month";

/// The days that [`super::visits::params`] names.
const HERE: &str = "site = {site:String} AND day >= toDate({first:String}) AND day <= toDate({last:String})";
/// The names of events of a row, a page view being one.
const EVENT_NAMES: &str = "arrayDistinct(if(views > 0, arrayPushBack(arrayMap(n -> toString(n), names), 'pageview'), \
     arrayMap(n -> toString(n), names)))";

/// Something of which there are numbers by day, and how a row of `visits` has it.
#[derive(Clone, Debug)]
pub struct Property {
    /// As questions name it; empty for all visits.
    pub name: String,
    value: String,
    /// The rows' list whose different elements, each under the name `one`, are the values.
    list: Option<String>,
    /// Page views and counted hits with the value.
    views: String,
    counted: String,
    /// Whether the averages of the value are about the visit.
    own: String,
    /// Whether the visit had the value on an earlier day.
    again: String,
}

/// Where the past of the people of some days is.
#[derive(Clone, Copy, Debug)]
pub enum Past<'a> {
    /// In this table, before these days and from `{since:String}` on.
    Of(&'a str),
    /// In the days themselves, which are all there are; a slice of the people is taken,
    /// those between `{least:UInt64}` and `{most:UInt64}`.
    Slice,
}

/// The properties of which there are numbers by day; the first is "all".
pub fn properties() -> Vec<Property> {
    let whole = |name: String, value: &str| Property {
        name,
        value: value.to_owned(),
        list: None,
        views: "views".to_owned(),
        counted: "counted".to_owned(),
        own: "true".to_owned(),
        again: "earlier".to_owned(),
    };
    let mut all = vec![whole(String::new(), "''")];
    all.extend(FIELDS.iter().map(|(field, column, _)| whole(Dimension::Visit(*field).name(), column)));
    all.push(Property {
        name: Dimension::Event(EventField::Page).name(),
        value: "one".to_owned(),
        list: Some("arrayDistinct(`seen.page`)".to_owned()),
        views: "arrayCount((page, kind) -> page = one AND kind = 1, `seen.page`, `seen.kind`)".to_owned(),
        counted: "countEqual(`seen.page`, one)".to_owned(),
        own: entered_at("one"),
        again: "has(earlier_pages, one)".to_owned(),
    });
    all.push(Property {
        name: Dimension::Event(EventField::Name).name(),
        value: "one".to_owned(),
        list: Some(EVENT_NAMES.to_owned()),
        views: "if(one = 'pageview', views, 0)".to_owned(),
        counted: "countEqual(names, one) + if(one = 'pageview', views, 0)".to_owned(),
        own: "true".to_owned(),
        again: "has(earlier_names, one)".to_owned(),
    });
    all
}

/// Whether the visit of a row of `visits` entered at a page.
pub fn entered_at(page: &str) -> String {
    format!("{} = entry", shown(VisitField::EntryPage, page))
}

/// The name under which a property stands by month.
pub fn by_month(property: &str) -> String {
    format!("{property}{BY_MONTH}")
}

/// The property that a name stands for, by day or by month: an expression.
pub fn property_of(name: &str) -> String {
    format!(
        "if(endsWith({name}, '{BY_MONTH}'), substring({name}, 1, length({name}) - {}), {name})",
        BY_MONTH.len()
    )
}

/// The list `near` of the days `{first:String}` to `{last:String}`, for `visits_by_day`: beside the sums, whose rows are added up.
pub fn near(property: &str, visitors_by_day: &str) -> String {
    format!(
        "SELECT day, value, sumForEach(arrayMap(back -> if(gap > back, people, 0), range({NEAR_DAYS}))) AS near
FROM
(
SELECT day, value, least(day - previous, {NEAR_DAYS}) AS gap, sum(visitors) AS people
FROM {visitors_by_day} WHERE {HERE} AND property = '{property}' GROUP BY day, value, gap
)
GROUP BY day, value"
    )
}

/// Rows by month from rows by day: of the months of the days `{first:String}` to `{last:String}`. `sums` are their columns.
pub fn months(property: &str, table: &str, keys: &str, sums: &str) -> String {
    let columns: Vec<String> = sums.split(", ").map(|sum| format!("sum(by_day.{sum}) AS {sum}")).collect();
    format!(
        "SELECT {keys}, toStartOfMonth(by_day.day) AS day, {} FROM {table} AS by_day
WHERE site = {{site:String}} AND property = '{property}' AND by_day.day >= toStartOfMonth(toDate({{first:String}})) AND by_day.day <= toDate({{last:String}})
GROUP BY {keys}, day",
        columns.join(", ")
    )
}

// === impl Property ===

impl Property {
    /// About how many values a visit has.
    pub fn values_of_visit(&self) -> u64 {
        if self.list.is_some() { 4 } else { 1 }
    }

    fn rows(&self, table: &str, condition: &str) -> String {
        let join = self.list.as_ref().map_or(String::new(), |list| format!("\nARRAY JOIN {list} AS one"));
        format!("FROM {table}{join}\nWHERE {condition}")
    }

    /// [`OF_PEOPLE`] of the days that the table `now` has.
    pub fn people(&self, now: &str, past: Past<'_>, database: &str) -> String {
        let value = &self.value;
        let (slice, join, seen) = match past {
            Past::Slice => {
                (" AND person >= {least:UInt64} AND person <= {most:UInt64}", String::new(), "toDate(0)")
            }
            Past::Of(past) => {
                let before =
                    "site = {site:String} AND day >= toDate({since:String}) AND day < toDate({first:String})";
                let those = format!("person IN (SELECT person FROM {database}.{now} WHERE {HERE})");
                let rows = self.rows(&format!("{database}.{past}"), &format!("{before} AND {those}"));
                let join = format!(
                    "
LEFT JOIN
(
SELECT person, cityHash64({value}) AS key, max(day) AS seen
{rows}
GROUP BY person, key
) AS past ON now.person = past.person AND now.key = past.key"
                );
                ("", join, "past.seen")
            }
        };
        format!(
            "SELECT previous, day, value, count() AS visitors
FROM
(
SELECT person, cityHash64({value}) AS key, any({value}) AS value, arraySort(groupUniqArray(day)) AS days
{rows}
GROUP BY person, key
) AS now{join}
ARRAY JOIN days AS day, arrayPushFront(arrayPopBack(days), {seen}) AS previous
GROUP BY previous, day, value",
            rows = self.rows(&format!("{database}.{now}"), &format!("{HERE}{slice}")),
        )
    }

    /// [`OF_VISITS`] of the days that the table `now` has, without those of ad blocks.
    pub fn visits(&self, now: &str, database: &str) -> String {
        let Property { value, views, counted, own, again, .. } = self;
        format!(
            "SELECT day, value, count() AS visits, countIf(again) AS visits_again, sum(views_) AS views, sum(counted_) AS counted,
    countIf(own_) AS own, countIf(own_ AND again) AS own_again, countIf(own_ AND bounce) AS bounced,
    countIf(own_ AND bounce AND again) AS bounced_again, sumIf(lasted_, own_) AS lasted, sumIf(lasted_, own_ AND again) AS lasted_again,
    0 AS ad_views, 0 AS ad_viewable, 0 AS ad_clicks
FROM
(
SELECT day, {value} AS value, bounce, lasted AS lasted_, {views} AS views_, {counted} AS counted_, {own} AS own_, {again} AS again
{rows}
)
GROUP BY day, value",
            rows = self.rows(&format!("{database}.{now}"), HERE),
        )
    }
}

/// The properties that numbers of ad blocks have: "all" and the block.
pub fn of_ads() -> [(String, &'static str); 2] {
    [(String::new(), "''"), (Dimension::Event(EventField::Ad).name(), "ad")]
}

/// [`OF_VISITS`] with those of ad blocks only, which need no visit, from hits between
/// `{from:Int64}` and `{to:Int64}`.
pub fn ads(value: &str, visible: Visible<'_>) -> String {
    let count = |kind: Kind| format!("countIf(kind = '{}')", kind.name());
    let kinds = [Kind::AdView, Kind::AdViewable, Kind::AdClick];
    let [views, viewable, clicks] = kinds.map(count);
    let kinds = kinds.map(|kind| format!("'{}'", kind.name())).join(", ");
    format!(
        "SELECT toDate(time, {{zone:String}}) AS day, toString({value}) AS value, 0 AS visits, 0 AS visits_again, 0 AS views, 0 AS counted,
    0 AS own, 0 AS own_again, 0 AS bounced, 0 AS bounced_again, 0 AS lasted, 0 AS lasted_again,
    {views} AS ad_views, {viewable} AS ad_viewable, {clicks} AS ad_clicks
FROM {database}.hits
WHERE site = {{site:String}} AND bot = '' AND kind IN ({kinds})
  AND time >= fromUnixTimestamp64Milli({{from:Int64}}) AND time < fromUnixTimestamp64Milli({{to:Int64}}){unblocked}
GROUP BY day, value",
        database = visible.database,
        unblocked = visible.condition(),
    )
}
