//! The SQL over hits and refusals: text of ours, all values bound.
//!
//! A stored address is compared by its *form*, `HEX-KEY`; empty where none is stored. Forms that
//! are brought together come as two arrays: the form, and the group that it belongs to.

use super::question::{By, Only, Order, Question};
use super::token::Stored;
use crate::query::Visible;
use crate::query::compile::LOOK_AROUND_MS;
use crate::query::person::{Since, person, with};
use crate::store::Param;

/// The group of forms that are beyond the bound.
pub const OUTSIDE: u64 = 0;
/// The group of what has no address.
pub const NOT_STORED: u64 = 1;
/// The group of addresses that nobody can read any more, where networks are asked for.
pub const DESTROYED: u64 = 2;
/// The groups from here on are keyed hashes.
pub const FIRST_HASH: u64 = 16;

const FORM: &str = "if(ip_key = 0, '', concat(hex(ip), '-', toString(ip_key)))";

/// All numbers of a row, in the order in which [`super::answer`] reads them.
const NUMBERS: &str = "sum(hit) AS hits, uniqExactIf(person, person != 0) AS visitors, sum(refusal) AS refused, \
     sumIf(refusal, reason = 'rate-limited') AS limited, countIf(mark != '') AS marked, \
     sumMapIf([mark], [toUInt64(1)], mark != '') AS marks, sumMapIf([reason], [refusal], reason != '') AS reasons, \
     min(at) AS first, max(at) AS last, argMaxIf(of_asn, at, of_asn != 0) AS asn, \
     argMaxIf(of_network, at, of_network != '') AS network, argMaxIf(of_country, at, of_country != '') AS country, \
     argMaxIf(form, at, form != '') AS latest, countIf(error != '') AS errors, \
     tuple(arrayMap(e -> e.1, arraySlice(arraySort(e -> (-toInt64(e.2), e.1), \
     arrayZip((sumMapIf([error], [toUInt64(1)], error != '') AS summed).1, summed.2)), 1, 10) AS most), \
     arrayMap(e -> e.2, most)) AS error_names";

/// How many columns a row of numbers has, its key included; totals have more behind them.
pub const COLUMNS: usize = 16;

/// A statement and its values.
pub struct Statement {
    pub sql: String,
    pub params: Vec<(String, Param)>,
}

/// Whether it is looked who sent a hit, which takes longest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum People {
    Told,
    LeftOut,
}

/// Which rows are counted, and how.
pub struct Source<'a> {
    pub site: &'a str,
    pub question: &'a Question,
    pub visible: Visible<'a>,
    /// Only these stored addresses; all when none.
    pub only: Option<Vec<Stored>>,
    /// The groups of stored addresses.
    pub groups: Vec<(Stored, u64)>,
}

// === impl Source ===

impl Source<'_> {
    /// The stored addresses of the range, the first of the order first.
    pub fn forms(&self, most: usize) -> Statement {
        let value = match self.question.order {
            Order::Hits => "sum(hit)",
            Order::Visitors => "uniqExactIf(person, person != 0)",
            Order::Refused => "sum(refusal)",
            Order::Limited => "sumIf(refusal, reason = 'rate-limited')",
            Order::Marked => "countIf(mark != '')",
            Order::Errors => "countIf(error != '')",
        };
        let people = if self.question.order == Order::Visitors { People::Told } else { People::LeftOut };
        self.statement(format!(
            "SELECT form FROM ({}) WHERE form != '' GROUP BY form ORDER BY {value} DESC, sum(hit) DESC, form LIMIT {most}",
            self.rows("''", "''", people)
        ))
    }

    /// A row for each key, without what is outside.
    pub fn grouped(&self) -> Statement {
        let Question { by, order, limit, offset, .. } = self.question;
        let order = match by.is_of_time() {
            true => "key".to_owned(),
            false => format!("{} DESC, hits DESC, refused DESC, key", order.name()),
        };
        let outside = if by.is_of_addresses() { format!(" WHERE key != '{OUTSIDE}'") } else { String::new() };
        self.statement(format!(
            "SELECT key, {NUMBERS} FROM ({}){outside} GROUP BY key ORDER BY {order} LIMIT {limit} OFFSET {offset}",
            self.keyed()
        ))
    }

    /// All together: the numbers; how many keys; hits and refusals that are outside, of no
    /// address, and of unreadable ones.
    pub fn totals(&self) -> Statement {
        let apart = |group: u64| match self.question.by.is_of_addresses() {
            true => format!("sumIf(hit, key = '{group}'), sumIf(refusal, key = '{group}')"),
            false => "toUInt64(0), toUInt64(0)".to_owned(),
        };
        let keys = match self.question.by.is_of_addresses() {
            true => format!("uniqExactIf(key, key != '{OUTSIDE}')"),
            false => "uniqExact(key)".to_owned(),
        };
        self.statement(format!(
            "SELECT '', {NUMBERS}, {keys}, {}, {} FROM ({})",
            apart(OUTSIDE),
            apart(NOT_STORED),
            self.keyed()
        ))
    }

    /// How many hits and refusals there are, and when the first was.
    pub fn beginning(&self) -> Statement {
        self.statement(format!("SELECT count(), min(at) FROM ({})", self.rows("''", "''", People::LeftOut)))
    }

    /// Each hit and each sum of refusals with its key.
    fn keyed(&self) -> String {
        let grouped = format!(
            "toString(transform({FORM}, {{forms:Array(String)}}, {{groups:Array(UInt64)}}, toUInt64({OUTSIDE})))"
        );
        let (of_hit, of_refusal) = match self.question.by {
            By::Address | By::Network => (grouped.clone(), grouped),
            By::Asn => ("toString(asn)".to_owned(), "toString(asn)".to_owned()),
            By::Country => ("toString(country)".to_owned(), "toString(country)".to_owned()),
            By::Hour => (hour("time"), hour("hour")),
            By::Day => (day("time"), day("hour")),
        };
        self.rows(&of_hit, &of_refusal, People::Told)
    }

    fn rows(&self, key_of_hit: &str, key_of_refusal: &str, people: People) -> String {
        let database = self.visible.database;
        let looked = format!(
            "site = {{site:String}} AND time >= fromUnixTimestamp64Milli({{from:Int64}}) \
             AND time < fromUnixTimestamp64Milli({{to:Int64}}){}",
            self.visible.condition()
        );
        let only = self.only();
        let (with, person) = match people {
            People::Told => (with(self.visible, &looked, Since::Look), person(self.visible, Since::Look)),
            People::LeftOut => (String::new(), "0".to_owned()),
        };
        format!(
            "SELECT * FROM ({with} SELECT {key_of_hit} AS key, {FORM} AS form, toUInt64({person}) AS person, \
             toString(bot) AS mark, if(kind = 'error', toString(name), '') AS error, '' AS reason, toUInt64(1) AS hit, toUInt64(0) AS refusal, \
             toUnixTimestamp64Milli(time) AS at, toUInt32(asn) AS of_asn, toString(network) AS of_network, \
             toString(country) AS of_country FROM {database}.hits WHERE {looked}{only}) \
             UNION ALL \
             SELECT {key_of_refusal} AS key, {FORM} AS form, toUInt64(0) AS person, '' AS mark, '' AS error, \
             toString(reason) AS reason, toUInt64(0) AS hit, toUInt64(count) AS refusal, \
             toInt64(toUnixTimestamp(hour)) * 1000 AS at, toUInt32(asn) AS of_asn, '' AS of_network, \
             toString(country) AS of_country FROM {database}.refusals \
             WHERE site = {{site:String}} AND toInt64(toUnixTimestamp(hour)) * 1000 >= {{from:Int64}} \
             AND toInt64(toUnixTimestamp(hour)) * 1000 < {{to:Int64}}{only}",
        )
    }

    fn only(&self) -> String {
        let Only { asn, country, .. } = &self.question.only;
        let mut conditions = String::new();
        if asn.is_some() {
            conditions.push_str(" AND asn = {asn:Int64}");
        }
        if country.is_some() {
            conditions.push_str(" AND country = {country:String}");
        }
        if self.only.is_some() {
            conditions.push_str(&format!(" AND {FORM} IN {{only:Array(String)}}"));
        }
        conditions
    }

    fn statement(&self, sql: String) -> Statement {
        let range = &self.question.range;
        let number = |name: &str, value: i64| (name.to_owned(), Param::Number(value));
        let text = |name: &str, value: &str| (name.to_owned(), Param::Text(value.to_owned()));
        let mut params = vec![
            text("site", self.site),
            number("from", range.from),
            number("to", range.to),
            number("look_from", range.from.saturating_sub(LOOK_AROUND_MS)),
            text("zone", range.zone.iana_name().unwrap_or("UTC")),
        ];
        // `transform` takes no empty array.
        let forms = self.groups.iter().map(|(stored, _)| stored.form()).chain([String::new()]).collect();
        let groups = self.groups.iter().map(|(_, group)| *group).chain([NOT_STORED]).collect();
        params.push(("forms".to_owned(), Param::Texts(forms)));
        params.push(("groups".to_owned(), Param::Numbers(groups)));
        let Only { asn, country, .. } = &self.question.only;
        params.extend(asn.map(|asn| number("asn", i64::from(asn))));
        params.extend(country.as_ref().map(|country| text("country", country)));
        if let Some(only) = &self.only {
            let only = only.iter().map(|stored| stored.form()).collect();
            params.push(("only".to_owned(), Param::Texts(only)));
        }
        Statement { sql, params }
    }
}

fn hour(time: &str) -> String {
    format!("formatDateTime({time}, '%Y-%m-%d %H:00:00', {{zone:String}})")
}

fn day(time: &str) -> String {
    format!("toString(toDate({time}, {{zone:String}}))")
}
