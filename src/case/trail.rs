//! Which hits a trail has, and in which order.
//!
//! In: a person, a range, which part of the trail is to be shown, and what may be seen.
//! Out: a [`Trail`]: visits, the hits of the part with all that is shown of them, and a
//! [`Summary`] of the whole range.
//!
//! Storage is asked twice, cheapest first, since no key of `hits` begins with a visitor:
//!
//! 1. the *keys*: who a hit is about stands in four narrow columns, of which each has an index
//!    that says in which granules a person may be (`schema/0013_whose_hit.sql`). They are read
//!    there, everything else only where a hit is this person's;
//! 2. the *cells* of the hits that are shown: of the days on which they came and the
//!    networks that they came from, which are the first columns of the key, so that a few
//!    granules of each day are read.
//!
//! The order is that of visits as they began, and of time within each. Between the two
//! questions a hit may go (an erasure, a block): it is not shown then.
//!
//! Limits: [`MAX_TRAIL_ROWS`] hits of a range; cells are asked for in parts of
//! [`MAX_CASE_ROWS`], so that days and networks fit into a question's address.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::tz::TimeZone;
use serde_json::Value;

use super::visits::{Key, Visit, people, visits};
use super::{MAX_CASE_ROWS, MAX_TRAIL_ROWS, moment};
use crate::query::Visible;
use crate::spool::Subject;
use crate::store::{Limits, Param};
use crate::subject::find::{COVERED, params};
use crate::subject::rows::IN_RANGE;
use crate::subject::{Office, Person, SubjectError};

/// So many hashes are compared one by one, which is a third of the work of looking each up
/// in a set; with more of them a set is cheaper.
const MAX_COMPARED: usize = 4;
/// Milliseconds of a day in UTC, by which `hits` are ordered.
const DAY_MS: i64 = 86_400_000;

/// What is shown of a hit: its name, and the SQL for it.
pub const CELLS: &[(&str, &str)] = &[
    ("time", "formatDateTime(time, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC')"),
    ("kind", "toString(kind)"),
    ("host", "host"),
    ("path", "path"),
    ("referrer", "concat(referrer_host, referrer_path)"),
    ("source", "source"),
    ("name", "name"),
    ("ad", "ad"),
    ("country", "country"),
    ("region", "region"),
    ("city", "city"),
    ("network", "network"),
    ("browser", "trimRight(concat(browser, ' ', browser_version))"),
    ("os", "trimRight(concat(os, ' ', os_version))"),
    ("device", "device"),
    ("screen", "screen"),
    ("language", "language"),
    ("timezone", "timezone"),
    ("consent", "toString(consent)"),
    ("mark", "bot"),
    ("identity", "toString(identity)"),
    ("signed_in", "toBool(user_key != 0)"),
    ("address", ADDRESS),
];
/// An address as a token; empty without one.
const ADDRESS: &str = "if(ip_key = 0, '', concat(lower(hex(ip)), '-', toString(ip_key)))";
/// The columns of `hits` that [`CELLS`] are made of, for the log of disclosures.
pub const COLUMNS: &[&str] = &[
    "time",
    "kind",
    "identity",
    "host",
    "path",
    "referrer_host",
    "referrer_path",
    "source",
    "ip",
    "country",
    "region",
    "city",
    "network",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device",
    "bot",
    "language",
    "screen",
    "ad",
    "name",
    "timezone",
    "consent",
];

/// From one moment to before another, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: i64,
    pub to: i64,
}

/// Which hits of the trail are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub offset: u64,
    pub limit: u64,
}

/// A trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Trail {
    pub visits: Vec<Visit>,
    /// The hits of the part in their order: the place of the visit, and the cells.
    pub hits: Vec<(usize, Vec<Value>)>,
    /// Whether hits follow after the part.
    pub more: bool,
    pub summary: Summary,
}

/// Of the whole range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub hits: u64,
    /// With a page view or an event, as the statistics count them.
    pub visits: u64,
    pub visitors: u64,
    /// When the first and the last hit came, in milliseconds since 1970; none without hits.
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// Distinct tokens.
    pub addresses: u64,
    pub countries: BTreeSet<String>,
    pub devices: BTreeSet<String>,
    /// Days of the site's calendar with a hit.
    pub days: u64,
}

/// A hit as the first question gives it.
struct Found {
    key: Key,
    asn: u64,
    id: Id,
}

/// Batch and row.
type Id = (u64, u64);

// === impl Trail ===

impl Trail {
    /// How many hits stand before a visit's first one.
    pub fn offset_of(&self, visit: usize) -> u64 {
        self.visits.iter().take(visit).map(|visit| visit.hits.len() as u64).sum()
    }

    /// The visit that was under way at a moment, or was nearest to it within so many
    /// milliseconds; and how far from it.
    pub fn visit_at(&self, at: i64, within_ms: i64) -> Option<(usize, i64)> {
        let away = |visit: &Visit| (visit.first - at).max(at - visit.last).max(0);
        let near = self.visits.iter().map(away).enumerate().filter(|(_, away)| *away <= within_ms);
        near.min_by_key(|(_, away)| *away)
    }
}

// === impl Office ===

impl Office {
    /// The hits of a person in a range, as far as they may be seen.
    pub(crate) async fn trail(
        &self,
        person: &Person,
        span: Span,
        part: Part,
        visible: Visible<'_>,
    ) -> Result<Trail, SubjectError> {
        let zone = self.site(&person.site)?.timezone.clone();
        let zone = TimeZone::get(&zone).unwrap_or(TimeZone::UTC);
        let (found, mut summary) = self.keys_of(person, span, visible, &zone).await?;
        let keys: Vec<Key> = found.iter().map(|one| one.key.clone()).collect();
        let returned = self.returned(person, span, visible, &keys).await?;
        let visits = visits(&keys, &people(&keys, &returned));
        summary.visits = visits.iter().filter(|visit| visit.events > 0).count() as u64;
        summary.visitors = visits.iter().map(|visit| visit.visitor).max().unwrap_or_default();

        let in_order = visits.iter().enumerate();
        let in_order = in_order.flat_map(|(nth, visit)| visit.hits.iter().map(move |place| (nth, *place)));
        let (skipped, most) = (to_usize(part.offset), to_usize(part.limit));
        let shown: Vec<(usize, usize)> = in_order.skip(skipped).take(most).collect();
        let more = part.offset.saturating_add(shown.len() as u64) < summary.hits;
        let mut hits = Vec::with_capacity(shown.len());
        for chunk in shown.chunks(to_usize(MAX_CASE_ROWS)) {
            let wanted: Vec<&Found> = chunk.iter().filter_map(|(_, place)| found.get(*place)).collect();
            let mut cells = self.cells(person, &wanted, visible).await?;
            let ids = chunk.iter().zip(&wanted);
            hits.extend(ids.filter_map(|((visit, _), one)| Some((*visit, cells.remove(&one.id)?))));
        }
        Ok(Trail { visits, hits, more: more && !shown.is_empty(), summary })
    }

    /// Every hit of the range in the order of time, and what is counted of them.
    async fn keys_of(
        &self,
        person: &Person,
        span: Span,
        visible: Visible<'_>,
        zone: &TimeZone,
    ) -> Result<(Vec<Found>, Summary), SubjectError> {
        let sql = format!(
            "SELECT toUnixTimestamp64Milli(time) AS at, visitor, toUInt8(identity = 'cookie'), minted, before, \
             toUInt8(kind IN ('pageview', 'event')), asn, batch, row, country, device, {ADDRESS}, \
             toUInt8(kind = 'error') FROM {}.hits PREWHERE {} WHERE {IN_RANGE}{} ORDER BY time, batch, row LIMIT {}",
            self.storage.database(),
            theirs(person),
            visible.condition(),
            MAX_TRAIL_ROWS + 1
        );
        let limits = Limits { result_rows: MAX_TRAIL_ROWS + 1, ..Limits::default() };
        let rows = self.storage.json(&sql, &bound(person, span), &limits).await?;
        if rows.len() as u64 > MAX_TRAIL_ROWS {
            return Err(SubjectError::TooLong(MAX_TRAIL_ROWS));
        }
        let mut summary = Summary { hits: rows.len() as u64, ..Summary::default() };
        let (mut addresses, mut days) = (HashSet::new(), HashSet::new());
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let number = |column: usize| row.get(column).and_then(Value::as_u64).unwrap_or_default();
            let text = |column: usize| row.get(column).and_then(Value::as_str).unwrap_or_default();
            let at = row.first().and_then(Value::as_i64).unwrap_or_default();
            let key = Key {
                at,
                visitor: number(1),
                is_cookie: number(2) != 0,
                minted: number(3),
                before: number(4),
                counts: number(5) != 0,
                is_error: number(12) != 0,
            };
            found.push(Found { key, asn: number(6), id: (number(7), number(8)) });
            for (column, names) in [(9, &mut summary.countries), (10, &mut summary.devices)] {
                if !text(column).is_empty() && !names.contains(text(column)) {
                    names.insert(text(column).to_owned());
                }
            }
            if !text(11).is_empty() {
                addresses.insert(text(11));
            }
            days.insert(zone.to_datetime(moment(at)).date());
        }
        summary.first = found.first().map(|one| one.key.at);
        summary.last = found.last().map(|one| one.key.at);
        (summary.addresses, summary.days) = (addresses.len() as u64, days.len() as u64);
        Ok((found, summary))
    }

    /// Which of the cookies that were offered to these hits came back.
    async fn returned(
        &self,
        person: &Person,
        span: Span,
        visible: Visible<'_>,
        keys: &[Key],
    ) -> Result<HashSet<u64>, SubjectError> {
        let mut returned: HashSet<u64> =
            keys.iter().filter(|key| key.is_cookie).map(|key| key.visitor).collect();
        let is_settled = |key: &Key| key.is_cookie || key.minted == 0 || returned.contains(&key.minted);
        if keys.iter().all(is_settled) {
            return Ok(returned);
        }
        // None came back before it was offered, but it may have after the range.
        let (database, condition) = (self.storage.database(), visible.condition());
        let sql = format!(
            "SELECT DISTINCT visitor FROM {database}.hits PREWHERE visitor IN \
             (SELECT minted FROM {database}.hits PREWHERE {} WHERE {IN_RANGE} AND minted != 0) \
             WHERE site = {{site:String}} AND time >= fromUnixTimestamp64Milli({{from:Int64}}) \
             AND identity = 'cookie'{condition} LIMIT {}",
            theirs(person),
            MAX_TRAIL_ROWS + 1
        );
        let limits = Limits { result_rows: MAX_TRAIL_ROWS + 1, ..Limits::default() };
        let rows = self.storage.json(&sql, &bound(person, span), &limits).await?;
        returned.extend(rows.iter().filter_map(|row| row.first()?.as_u64()));
        Ok(returned)
    }

    /// What is shown of these hits.
    async fn cells(
        &self,
        person: &Person,
        wanted: &[&Found],
        visible: Visible<'_>,
    ) -> Result<HashMap<Id, Vec<Value>>, SubjectError> {
        let times = || wanted.iter().map(|one| one.key.at);
        let (Some(from), Some(to)) = (times().min(), times().max()) else { return Ok(HashMap::new()) };
        let days: BTreeSet<u64> = times().map(|at| at.div_euclid(DAY_MS).cast_unsigned()).collect();
        let networks: BTreeSet<u64> = wanted.iter().map(|one| one.asn).collect();
        // A cell must not be taken for the column that it is made of.
        let cells: Vec<String> = CELLS.iter().map(|(name, sql)| format!("{sql} AS shown_{name}")).collect();
        let sql = format!(
            "SELECT batch, row, {} FROM {}.hits PREWHERE {} WHERE {IN_RANGE} \
             AND toDate(time) IN (SELECT toDate(arrayJoin({{days:Array(UInt16)}}))) \
             AND asn IN {{networks:Array(UInt32)}}{} LIMIT {}",
            cells.join(", "),
            self.storage.database(),
            theirs(person),
            visible.condition(),
            MAX_TRAIL_ROWS + 1
        );
        let mut params = bound(person, Span { from, to: to + 1 });
        params.push(("days".to_owned(), Param::Numbers(days.into_iter().collect())));
        params.push(("networks".to_owned(), Param::Numbers(networks.into_iter().collect())));
        let limits = Limits { result_rows: MAX_TRAIL_ROWS + 1, ..Limits::default() };
        let rows = self.storage.json(&sql, &params, &limits).await?;
        let wanted: HashSet<Id> = wanted.iter().map(|one| one.id).collect();
        let cells = rows.into_iter().filter_map(|mut row| {
            let id = (row.first()?.as_u64()?, row.get(1)?.as_u64()?);
            wanted.contains(&id).then(|| (id, row.split_off(2)))
        });
        Ok(cells.collect())
    }
}

/// [`COVERED`], in the cheapest form.
fn theirs(person: &Person) -> String {
    let subjects: Vec<Subject> = person.subjects().collect();
    if subjects.is_empty() || subjects.len() > MAX_COMPARED {
        return COVERED.to_owned();
    }
    let one = |(nth, subject): (usize, &Subject)| {
        let columns: &[&str] = match subject {
            Subject::Visitor(_) => &["visitor", "minted", "before"],
            Subject::UserKey(_) => &["user_key"],
        };
        columns.iter().map(|column| format!("{column} = {{subject_{nth}:UInt64}}")).collect::<Vec<_>>()
    };
    format!("({})", subjects.iter().enumerate().flat_map(one).collect::<Vec<_>>().join(" OR "))
}

/// Whose rows, and of when.
fn bound(person: &Person, span: Span) -> Vec<(String, Param)> {
    let mut bound = params(person);
    for (nth, subject) in person.subjects().enumerate().take(MAX_COMPARED) {
        let (Subject::Visitor(hash) | Subject::UserKey(hash)) = subject;
        // As text: a number of this type is signed.
        bound.push((format!("subject_{nth}"), Param::Text(hash.to_string())));
    }
    bound.push(("from".to_owned(), Param::Number(span.from)));
    bound.push(("to".to_owned(), Param::Number(span.to)));
    bound
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_one_of_hits_and_every_cell_has_a_name_of_its_own() {
        for column in COLUMNS {
            assert!(crate::store::row::COLUMNS.contains(column), "{column}");
            assert!(CELLS.iter().any(|(_, sql)| sql.contains(column)), "{column} is in no cell");
        }
        let names: HashSet<&str> = CELLS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), CELLS.len());
    }

    #[test]
    fn few_subjects_are_compared_and_many_are_looked_up() {
        let of = |count: u64| {
            let visitors = (1..=count).map(crate::rights::request::Subject::visitor).collect();
            Person { site: "clinic".to_owned(), subjects: visitors, notes: Vec::new() }
        };
        let (none, one, many) = (of(0), of(1), of(MAX_COMPARED as u64 + 1));
        let expected =
            "(visitor = {subject_0:UInt64} OR minted = {subject_0:UInt64} OR before = {subject_0:UInt64})";
        assert_eq!(theirs(&one), expected);
        assert_eq!((theirs(&none), theirs(&many)), (COVERED.to_owned(), COVERED.to_owned()));
        for person in [of(2), of(MAX_COMPARED as u64)] {
            let (sql, bound) = (theirs(&person), bound(&person, Span { from: 0, to: 1 }));
            for nth in 0..person.subjects.len() {
                let name = format!("subject_{nth}");
                assert!(sql.contains(&format!("{{{name}:UInt64}}")), "{sql}");
                assert!(bound.contains(&(name, Param::Text((nth + 1).to_string()))), "{bound:?}");
            }
        }
    }

    #[test]
    fn a_moment_is_of_the_visit_that_it_lies_in_or_of_the_nearest() {
        let visit = |first, last| Visit { visitor: 1, first, last, events: 1, hits: Vec::new() };
        let trail = Trail {
            visits: vec![visit(100, 200), visit(150, 400), visit(1000, 1100)],
            hits: Vec::new(),
            more: false,
            summary: Summary::default(),
        };
        for (at, within, expected) in [
            (100, 0, Some((0, 0))),
            (180, 0, Some((0, 0))),
            (300, 0, Some((1, 0))),
            (401, 0, None),
            (401, 1, Some((1, 1))),
            (900, 1000, Some((2, 100))),
            (99, 0, None),
            (5000, 100, None),
        ] {
            assert_eq!(trail.visit_at(at, within), expected, "{at} within {within}");
        }
    }
}
