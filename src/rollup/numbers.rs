//! The statements that make numbers by day from rows of `visits`.
//!
//! A *property* is what a question breaks down by (`visit:source`), under its name in
//! questions; the empty property is "all". A *value* is as the answer shows it.
//!
//! `visits_by_day` holds sums over one day. A visit over midnight stands in both days;
//! what of a day's sums belongs to visits that had the same value the day before is in
//! the columns `…_again`, so that the sums of days `a..=b` are
//! `sum(x) - sumIf(x_again, day > a)`.
//!
//! `visitors_by_day` makes exact numbers of different people add up: for each day and
//! value, how many people were there whose *previous* day with that value was such and
//! such (1970-01-01 is never). The people of days `a..=b` are those whose previous day is
//! before `a`: each is counted on their first day of the range, whatever the range.

use super::fields::{properties, shown};
use crate::event::Kind;
use crate::query::Visible;
use crate::query::names::{Dimension, EventField, VisitField};

/// How many people by day, value and previous day: of the days `{first:Date}` to
/// `{last:Date}` in `now`, with their past in `past`. With a `slice`, of all days in
/// `now`, and the people between `{least:UInt64}` and `{most:UInt64}` only.
pub fn visitors(table: &str, now: &str, past: Past<'_>, database: &str) -> String {
    let here = "site = {site:String} AND day >= toDate({first:String}) AND day <= toDate({last:String})";
    let names = names();
    let (condition, join) = match past {
        Past::Slice => {
            (format!("{here} AND person >= {{least:UInt64}} AND person <= {{most:UInt64}}"), String::new())
        }
        Past::Of(past) => (
            here.to_owned(),
            format!(
                "LEFT JOIN
(
SELECT person, pair.1 AS property, cityHash64(pair.2) AS key, max(day) AS seen
FROM
(
SELECT person, day, arrayJoin({pairs}) AS pair
FROM {database}.{past}
WHERE site = {{site:String}} AND day < toDate({{first:String}})
  AND person IN (SELECT person FROM {database}.{now} WHERE {here})
)
GROUP BY person, property, key
) AS past ON now.person = past.person AND now.property = past.property AND now.key = past.key",
                pairs = pairs(),
            ),
        ),
    };
    let seen = if join.is_empty() { "toDate(0)" } else { "past.seen" };
    format!(
        "INSERT INTO {database}.{table} (site, property, day, value, previous, visitors)
SELECT {{site:String}}, arrayElement({names}, now.property), day, now.value, previous, count()
FROM
(
SELECT person, pair.1 AS property, pair.2 AS value, cityHash64(value) AS key, arraySort(groupUniqArray(day)) AS days
FROM
(
SELECT person, day, arrayJoin({pairs}) AS pair
FROM {database}.{now}
WHERE {condition}
)
GROUP BY person, property, value
) AS now
{join}
ARRAY JOIN days AS day, arrayPushFront(arrayPopBack(days), {seen}) AS previous
GROUP BY now.property, day, now.value, previous",
        pairs = pairs(),
    )
}

/// Where the past of the people of some days is.
#[derive(Clone, Copy, Debug)]
pub enum Past<'a> {
    /// In this table, before these days.
    Of(&'a str),
    /// In the days themselves, which are all there are; a slice of the people is taken.
    Slice,
}

/// Sums by day and value, of the days `{first:Date}` to `{last:Date}` in `now`.
pub fn visits(table: &str, now: &str, database: &str) -> String {
    let whole: Vec<String> = properties()
        .iter()
        .enumerate()
        .map(|(index, (_, value))| {
            format!("(toUInt8({}), {value}, toUInt32(views), toUInt32(counted), true, earlier)", index + 1)
        })
        .collect();
    let (page, name) = (properties().len() + 1, properties().len() + 2);
    format!(
        "INSERT INTO {database}.{table} (site, property, day, value, visits, visits_again, views, counted,
    own, own_again, bounced, bounced_again, lasted, lasted_again, ad_views, ad_viewable, ad_clicks)
SELECT {{site:String}}, arrayElement({names}, part.1), day, part.2, count(), countIf(part.6), sum(part.3), sum(part.4),
    countIf(part.5), countIf(part.5 AND part.6), countIf(part.5 AND bounce), countIf(part.5 AND bounce AND part.6),
    sumIf(lasted, part.5), sumIf(lasted, part.5 AND part.6), 0, 0, 0
FROM
(
SELECT day, bounce, lasted, arrayJoin(arrayConcat(
    [{whole}],
    arrayMap(p -> (toUInt8({page}), toString(p), toUInt32(arrayCount((q, kind) -> q = p AND kind = 1, pages, kinds)),
        toUInt32(countEqual(pages, p)), {own}, has(earlier_pages, p)), arrayDistinct(pages)),
    arrayMap(n -> (toUInt8({name}), n, toUInt32(if(n = 'pageview', views, 0)),
        toUInt32(countEqual(names, n) + if(n = 'pageview', views, 0)), true, has(earlier_names, n)),
        {event_names})
)) AS part
FROM {database}.{now}
WHERE site = {{site:String}} AND day >= toDate({{first:String}}) AND day <= toDate({{last:String}})
)
GROUP BY part.1, day, part.2",
        names = names(),
        whole = whole.join(", "),
        event_names = EVENT_NAMES,
        own = entered_at("p"),
    )
}

/// Sums of ad blocks by day, from hits: they need no visit.
pub fn ads(table: &str, visible: Visible<'_>) -> String {
    let count = |kind: Kind| format!("countIf(kind = '{}')", kind.name());
    let kinds = [Kind::AdView, Kind::AdViewable, Kind::AdClick];
    let [views, viewable, clicks] = kinds.map(count);
    let kinds = kinds.map(|kind| format!("'{}'", kind.name())).join(", ");
    format!(
        "INSERT INTO {database}.{table} (site, property, day, value, ad_views, ad_viewable, ad_clicks)
SELECT {{site:String}}, part.1, toDate(time, {{zone:String}}) AS on_day, part.2, {views}, {viewable}, {clicks}
FROM
(
SELECT time, kind, arrayJoin([('', ''), ('{ad}', toString(ad))]) AS part
FROM {database}.hits
WHERE site = {{site:String}} AND bot = '' AND kind IN ({kinds})
  AND time >= fromUnixTimestamp64Milli({{from:Int64}}) AND time < fromUnixTimestamp64Milli({{to:Int64}}){unblocked}
)
GROUP BY part.1, on_day, part.2",
        database = visible.database,
        ad = Dimension::Event(EventField::Ad).name(),
        unblocked = visible.condition(),
    )
}

/// Whether the visit of a row of `visits` entered at a page.
pub fn entered_at(page: &str) -> String {
    format!("{} = entry", shown(VisitField::EntryPage, page))
}

/// The names of events of a row, a page view being one.
const EVENT_NAMES: &str = "arrayDistinct(if(views > 0, arrayPushBack(arrayMap(n -> toString(n), names), 'pageview'), arrayMap(n -> toString(n), names)))";

/// Property (its place among the [`names`]) and value, for each that a row of `visits` has.
fn pairs() -> String {
    let properties = properties();
    let whole: Vec<String> = properties
        .iter()
        .enumerate()
        .map(|(index, (_, value))| format!("(toUInt8({}), {value})", index + 1))
        .collect();
    format!(
        "arrayConcat([{}], arrayMap(p -> (toUInt8({}), toString(p)), arrayDistinct(pages)), arrayMap(n -> (toUInt8({}), n), {EVENT_NAMES}))",
        whole.join(", "),
        properties.len() + 1,
        properties.len() + 2,
    )
}

/// All properties by name, in the order of [`pairs`].
fn names() -> String {
    let mut names: Vec<String> = properties().into_iter().map(|(name, _)| format!("'{name}'")).collect();
    names.push(format!("'{}'", Dimension::Event(EventField::Page).name()));
    names.push(format!("'{}'", Dimension::Event(EventField::Name).name()));
    format!("[{}]", names.join(", "))
}
