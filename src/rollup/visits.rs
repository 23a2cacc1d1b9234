//! The statement that makes rows of `visits` from hits, for some days of a site.
//!
//! One row is the part of one visit that falls on one day of the site: whose it is,
//! what is true of the whole visit (entry, exit, bounce, duration, the attributes of
//! its first counted hit), and what was seen on that day (`seen.page`, `seen.kind`, `names`).
//! It is computed as [`crate::query::compile`] computes visits for a question, from
//! the hits of the days and, of those who were there at the midnights where they begin
//! and end, a day around them ([`condition`]).
//!
//! - *Whose*: `person`, as in [`crate::query::person`], with one other label: somebody
//!   with a single hit, which was offered a cookie, is named by that cookie, whether or
//!   not it ever comes back. If it does, the row is right already.
//! - `hash` is the day's own hash of somebody whose visit went on over a midnight; by it
//!   the next day finds the label that the day before gave (`inherited`).
//! - `earlier`: the visit had counted hits on the day before; `earlier_pages` and
//!   `earlier_names` say which.
//!
//! Hits are grouped with few numbers only, and the attributes of the first hit of each
//! visit are joined to it afterwards: arrays of all attributes cost three times as much.

use super::days::DayRange;
use super::fields::{FIELDS, shown};
use crate::event::Kind;
use crate::identify::visit::TIMEOUT_MS;
use crate::query::Visible;
use crate::query::names::VisitField;
use crate::query::person::{Since, returned, with};
use crate::query::visits::{DURATION, split};
use crate::store::Param;

/// How far around its days a build looks.
pub const LOOK_AROUND_MS: i64 = 86_400_000;

/// Values that the statements of a build name.
pub fn params(site: &str, days: &DayRange) -> Vec<(String, Param)> {
    let text = |name: &str, value: String| (name.to_owned(), Param::Text(value));
    let number = |name: &str, value: i64| (name.to_owned(), Param::Number(value));
    vec![
        text("site", site.to_owned()),
        text("zone", days.zone.clone()),
        text("first", days.first.to_string()),
        text("last", days.last.to_string()),
        number("from", days.from),
        number("to", days.to),
        number("look_from", days.from - LOOK_AROUND_MS),
        number("look_to", days.to + LOOK_AROUND_MS),
    ]
}

/// `INSERT INTO table …` for the days that [`params`] names. `stored` is where visits of
/// earlier days are.
pub fn insert(table: &str, stored: &str, visible: Visible<'_>) -> String {
    let database = visible.database;
    let condition = condition(visible);
    let of_first = || FIELDS.iter().filter(|(field, ..)| *field != VisitField::ExitPage);
    let each =
        |form: fn(&(VisitField, &str, &str)) -> String| of_first().map(form).collect::<Vec<_>>().join(", ");
    let names = each(|(_, column, _)| (*column).to_owned());
    let first = each(|(_, column, _)| format!("first_{column}"));
    let attributes = each(|(field, column, sql)| format!("{} AS first_{column}", shown(*field, sql)));
    let exit = shown(VisitField::ExitPage, "seen[-1].5");
    let counted = format!("<= {}", Kind::Event as i8);
    format!(
        "INSERT INTO {database}.{table} (site, day, person, hash, begin, lasted, bounce, earlier, views, counted,
    {names}, exit, `seen.page`, `seen.kind`, names, earlier_pages, earlier_names)
SELECT {{site:String}}, day, person, hash, begin, lasted, bounce, notEmpty(past), countEqual(kinds, 1), length(kinds),
    {first}, exit, arrayMap(y -> y.5, mine), arrayMap(y -> y.4, mine) AS kinds,
    arrayMap(y -> y.6, arrayFilter(y -> y.4 = 2, mine)),
    arrayDistinct(arrayMap(y -> y.5, past)), arrayDistinct(arrayMap(y -> if(y.4 = 2, y.6, 'pageview'), past))
FROM
(
SELECT batch, row, {attributes} FROM {database}.hits WHERE {condition} AND kind {counted}
) AS h
INNER JOIN
(
SELECT person, v[1].2 AS entry_batch, v[1].3 AS entry_row, v[1].1 AS begin, {DURATION} AS lasted,
    arrayFilter(y -> y.4 {counted}, v) AS seen, length(seen) = 1 AS bounce, {exit} AS exit, day,
    arrayFilter(y -> toDate(fromUnixTimestamp64Milli(y.1, {{zone:String}}), {{zone:String}}) = day, seen) AS mine,
    arrayFilter(y -> toDate(fromUnixTimestamp64Milli(y.1, {{zone:String}}), {{zone:String}}) < day, seen) AS past,
    if(mine[1].9, mine[1].7, 0) AS hash
FROM
(
SELECT if(length(hits) = 1 AND hits[1].8 != 0, hits[1].8, label) AS person, arraySort(groupArray(hit)) AS hits,
    {split}
FROM
(
{with},
(SELECT (arrayPushBack(groupArray(hash), 0), arrayPushBack(groupArray(person), 0)) FROM (
    SELECT DISTINCT hash, person FROM {database}.{stored}
    WHERE site = {{site:String}} AND hash != 0 AND day >= toDate({{first:String}}) - 2 AND day < toDate({{first:String}}))) AS inherited
SELECT if({adopted}, minted,
        transform(transform(visitor, links.1, links.2, visitor) AS beginning, inherited.1, inherited.2, beginning)) AS label,
    tuple(toUnixTimestamp64Milli(time), batch, row, toInt8(kind), toString(path), toString(name), visitor, if(identity = 'cookieless', minted, 0),
        transform(visitor, links.1, links.2, toUInt64(0)) != 0) AS hit
FROM {database}.hits
WHERE {condition} AND kind != 'error'
)
GROUP BY label
)
ARRAY JOIN visits AS v, stretches_of_visits AS stretches_of_v
ARRAY JOIN arrayDistinct(arrayMap(y -> toDate(fromUnixTimestamp64Milli(y.1, {{zone:String}}), {{zone:String}}),
    arrayFilter(y -> y.4 {counted} AND y.1 >= {{from:Int64}} AND y.1 < {{to:Int64}}, v))) AS day
WHERE v[1].4 {counted}
) AS v ON h.batch = v.entry_batch AND h.row = v.entry_row",
        with = with(visible, &condition, Since::Look),
        split = split(&format!("y.4 {counted}")),
        adopted = adopted(visible, &condition),
    )
}

/// The hits that a build looks at: those of its days, and as many around them as a
/// question sees, but only of those whose visit may go on over one of the two midnights.
/// Such a person has hits on both sides of it, at most [`TIMEOUT_MS`] away, and these
/// share an id: a cookie or a hash, carried, offered, or known from before midnight.
fn condition(visible: Visible<'_>) -> String {
    let (database, unblocked) = (visible.database, visible.condition());
    let near = |side: &str| {
        format!(
            "(time >= fromUnixTimestamp64Milli({{{side}:Int64}} - {TIMEOUT_MS}) \
             AND time < fromUnixTimestamp64Milli({{{side}:Int64}} + {TIMEOUT_MS}))"
        )
    };
    let (from, to) = (near("from"), near("to"));
    let at_midnight = format!(
        "FROM {database}.hits WHERE site = {{site:String}} AND bot = '' AND ({from} OR {to}){unblocked}"
    );
    let ids = "arrayJoin(arrayFilter(id -> id != 0, [visitor, minted, before])) AS id";
    let on_both_sides = format!(
        "SELECT id FROM (SELECT {ids}, {from} AS first, if(first, time >= fromUnixTimestamp64Milli({{from:Int64}}), \
         time >= fromUnixTimestamp64Milli({{to:Int64}})) AS after {at_midnight}) GROUP BY id, first HAVING uniqExact(after) = 2"
    );
    let theirs = format!(
        "SELECT {ids} {at_midnight} AND (visitor IN ({on_both_sides}) OR minted IN ({on_both_sides}) OR before IN ({on_both_sides}))"
    );
    format!(
        "site = {{site:String}} AND bot = '' AND time >= fromUnixTimestamp64Milli({{look_from:Int64}}) \
         AND time < fromUnixTimestamp64Milli({{look_to:Int64}}) \
         AND ((time >= fromUnixTimestamp64Milli({{from:Int64}}) AND time < fromUnixTimestamp64Milli({{to:Int64}})) \
         OR visitor IN ({theirs}) OR minted IN ({theirs})){unblocked}"
    )
}

/// Whether the offered cookie of a hit came back.
fn adopted(visible: Visible<'_>, condition: &str) -> String {
    format!(
        "minted != 0 AND minted IN ({} AND visitor IN (SELECT minted FROM {}.hits WHERE {condition} AND minted != 0))",
        returned(visible, Since::Look),
        visible.database
    )
}
