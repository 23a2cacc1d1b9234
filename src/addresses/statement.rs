//! The SQL over hits and refusals: text of ours, all values bound.
//!
//! A stored address is compared by its *form*, `HEX-KEY`; empty where none is stored. Forms that
//! are brought together come as two arrays: the form, and the group that it belongs to.
//!
//! Millions of hits are read as the numbers that they are stored as, and first summed by what is
//! stored: by ciphertext and key, network, country, quarter of an hour; and by mark. What costs
//! much for each row (texts, forms, groups, local hours) is then made of some thousand sums. Each
//! holds its people as a set, so that somebody in two of them is one of both together.

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

/// All numbers of a row but the place, in the order in which [`super::answer`] reads them.
const NUMBERS: &str = "sum(hit) AS hits, uniqExactMerge(people) AS visitors, sum(refusal) AS refused, \
     sumIf(refusal, reason = 'rate-limited') AS limited, sumIf(hit, mark != '') AS marked, \
     sumMapIf([mark], [hit], mark != '') AS marks, sumMapIf([reason], [refusal], reason != '') AS reasons, \
     min(first_at) AS first, max(last_at) AS last";
/// The script errors among the hits: all, and the most frequent by name.
const ERRORS: &str = "sumIf(hit, error != '') AS errors, tuple(arrayMap(e -> e.1, \
     arraySlice(arraySort(e -> (-toInt64(e.2), e.1), \
     arrayZip((sumMapIf([error], [hit], error != '') AS summed).1, summed.2)), 1, 10) AS most), \
     arrayMap(e -> e.2, most)) AS error_names";
/// What a hit was an error of, if it was one.
const ERROR_OF_HIT: &str = "if(kind = 'error', name, '')";
/// Behind them: where it was last, and the last form.
const PLACE: &str = "argMaxMerge(of_asn) AS asn, if((argMaxMerge(of_network) AS named).1 = asn, named.2, '') AS network, \
     argMaxMerge(of_country) AS country, argMaxIf(form, last_at, form != '') AS latest";
/// The same where nobody asks.
const NO_PLACE: &str = "toUInt32(0) AS asn, '' AS network, '' AS country, '' AS latest";
/// Local hours and days begin with one of these: zones differ from UTC by quarters of an hour.
const QUARTER: &str = "toDateTime(intDiv(toUnixTimestamp64Milli(time), 900000) * 900, 'UTC')";
/// When a hit or a sum of refusals was, in milliseconds since 1970.
const HIT_AT: &str = "toUnixTimestamp64Milli(time)";
const REFUSAL_AT: &str = "toInt64(toUnixTimestamp(hour)) * 1000";

/// How many columns a row of numbers has, its key included; totals have more behind them.
pub const COLUMNS: usize = 16;

/// A statement and its values.
pub struct Statement {
    pub sql: String,
    pub params: Vec<(String, Param)>,
}

/// What is told of sums beside how many, each of which takes its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Counts,
    People,
    PeopleAndPlaces,
}

/// By what hits and refusals are summed: the columns, and the key that is made of them.
struct Sums {
    hits_by: &'static str,
    hit_key: String,
    refusals_by: &'static str,
    refusal_key: String,
    /// The form, where it is summed by it.
    form: &'static str,
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
    /// The stored addresses of the range, the first of the order first: form, hits, refusals.
    pub fn forms(&self, most: usize) -> Statement {
        let (value, told) = match self.question.order {
            Order::Hits => ("hits", Told::Counts),
            Order::Visitors => ("uniqExactMerge(people)", Told::People),
            Order::Refused => ("refused", Told::Counts),
            Order::Limited => ("sumIf(refusal, reason = 'rate-limited')", Told::Counts),
            Order::Marked => ("sumIf(hit, mark != '')", Told::Counts),
            Order::Errors => ("sumIf(hit, error != '')", Told::Counts),
        };
        let rows = self.rows(&Sums::by_form(String::new()), told, " AND ip_key != 0");
        self.statement(format!(
            "SELECT form, sum(hit) AS hits, sum(refusal) AS refused FROM ({rows}) GROUP BY form \
             ORDER BY {value} DESC, hits DESC, form LIMIT {most}"
        ))
    }

    /// A row for each key, without what is outside.
    pub fn grouped(&self) -> Statement {
        let Question { by, order, limit, offset, .. } = self.question;
        let order = match by.is_of_time() {
            true => "key".to_owned(),
            false => format!("{} DESC, hits DESC, refused DESC, key", order.name()),
        };
        let (rows, outside) = match by.is_of_addresses() {
            true => {
                let known = format!(" AND (ip_key = 0 OR {})", stored_in("forms"));
                (self.rows(&self.sums(), Told::PeopleAndPlaces, &known), format!(" WHERE key != '{OUTSIDE}'"))
            }
            false => (self.rows(&self.sums(), self.told(), ""), String::new()),
        };
        let place = if self.told() == Told::PeopleAndPlaces { PLACE } else { NO_PLACE };
        self.statement(format!(
            "SELECT key, {NUMBERS}, {place}, {ERRORS} FROM ({rows}){outside} GROUP BY key ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        ))
    }

    /// All together: the numbers; how many keys, but of addresses; hits and refusals of no address.
    pub fn totals(&self) -> Statement {
        let (sums, more) = match self.question.by.is_of_addresses() {
            true => {
                (Sums::by_whether_stored(), "toUInt64(0), sumIf(hit, key = '1'), sumIf(refusal, key = '1')")
            }
            false => (self.sums(), "uniqExact(key), toUInt64(0), toUInt64(0)"),
        };
        let rows = self.rows(&sums, Told::People, "");
        self.statement(format!("SELECT '', {NUMBERS}, {NO_PLACE}, {ERRORS}, {more} FROM ({rows})"))
    }

    /// Whether there are hits and refusals, and when the first was.
    pub fn beginning(&self) -> Statement {
        let rows = self.rows(&Sums::by_whether_stored(), Told::Counts, "");
        self.statement(format!("SELECT count(), min(first_at) FROM ({rows})"))
    }

    /// By what the rows of the answer are summed.
    fn sums(&self) -> Sums {
        let same = |by: &'static str, key: &str| Sums {
            hits_by: by,
            hit_key: key.to_owned(),
            refusals_by: by,
            refusal_key: key.to_owned(),
            form: "''",
        };
        let of_time = |label: fn(&str) -> String| Sums {
            hits_by: QUARTER,
            hit_key: label(QUARTER),
            refusals_by: "hour",
            refusal_key: label("hour"),
            form: "''",
        };
        match self.question.by {
            By::Address | By::Network => Sums::by_form(format!(
                "toString(transform({FORM}, {{forms:Array(String)}}, {{groups:Array(UInt64)}}, toUInt64({OUTSIDE})))"
            )),
            By::Asn => same("asn", "toString(asn)"),
            By::Country => same("country", "toString(country)"),
            By::Hour => of_time(hour),
            By::Day => of_time(day),
        }
    }

    fn told(&self) -> Told {
        match self.question.by {
            By::Address | By::Network | By::Asn => Told::PeopleAndPlaces,
            By::Country | By::Hour | By::Day => Told::People,
        }
    }

    /// Sums of hits and of refusals, under a further condition on both.
    fn rows(&self, sums: &Sums, told: Told, and: &str) -> String {
        let database = self.visible.database;
        let looked = format!(
            "site = {{site:String}} AND time >= fromUnixTimestamp64Milli({{from:Int64}}) \
             AND time < fromUnixTimestamp64Milli({{to:Int64}}){}",
            self.visible.condition()
        );
        let only = self.only();
        let (with, person) = match told {
            Told::People | Told::PeopleAndPlaces => {
                (with(self.visible, &looked, Since::Look), person(self.visible, Since::Look))
            }
            Told::Counts => (String::new(), "0".to_owned()),
        };
        let beside = |person: &str, at: &str, network: &str| {
            let mut columns = String::new();
            if told != Told::Counts {
                columns.push_str(&format!(
                    ", uniqExactStateIf(toUInt64({person}) AS person, person != 0) AS people"
                ));
            }
            if told == Told::PeopleAndPlaces {
                columns.push_str(&format!(
                    ", argMaxStateIf(toUInt32(asn), {at}, asn != 0) AS of_asn, \
                     argMaxStateIf((toUInt32(asn), {network}), {at}, {network} != '') AS of_network, \
                     argMaxStateIf(toString(country), {at}, country != '') AS of_country"
                ));
            }
            columns
        };
        let (of_hits, of_refusals) =
            (beside(&person, HIT_AT, "toString(network)"), beside("0", REFUSAL_AT, "''"));
        let is_told = told != Told::Counts || self.question.order == Order::Errors;
        let error = if is_told { ERROR_OF_HIT } else { "''" };
        let Sums { hits_by, hit_key, refusals_by, refusal_key, form } = sums;
        format!(
            "SELECT * FROM ({with} SELECT {hit_key} AS key, {form} AS form, toString(bot) AS mark, toString({error}) AS error, '' AS reason, \
             count() AS hit, toUInt64(0) AS refusal, min({HIT_AT}) AS first_at, max({HIT_AT}) AS last_at{of_hits} \
             FROM {database}.hits WHERE {looked}{only}{and} GROUP BY {hits_by}, bot, {error}) \
             UNION ALL \
             SELECT {refusal_key} AS key, {form} AS form, '' AS mark, '' AS error, toString(refusals.reason) AS reason, \
             toUInt64(0) AS hit, sum(count) AS refusal, min({REFUSAL_AT}) AS first_at, max({REFUSAL_AT}) AS last_at{of_refusals} \
             FROM {database}.refusals WHERE site = {{site:String}} AND {REFUSAL_AT} >= {{from:Int64}} \
             AND {REFUSAL_AT} < {{to:Int64}}{only}{and} GROUP BY {refusals_by}, refusals.reason",
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
            conditions.push_str(&format!(" AND {}", stored_in("only")));
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

// === impl Sums ===

impl Sums {
    /// By stored addresses, with a key that is made of the form.
    fn by_form(key: String) -> Sums {
        let key = if key.is_empty() { "''".to_owned() } else { key };
        Sums {
            hits_by: "ip, ip_key",
            hit_key: key.clone(),
            refusals_by: "ip, ip_key",
            refusal_key: key,
            form: FORM,
        }
    }

    /// By whether there is an address: the key is 1 where none is.
    fn by_whether_stored() -> Sums {
        let key = "toString(ip_key = 0)".to_owned();
        Sums {
            hits_by: "ip_key = 0",
            hit_key: key.clone(),
            refusals_by: "ip_key = 0",
            refusal_key: key,
            form: "''",
        }
    }
}

/// The condition for an address whose form is in a bound array. Ciphertexts are compared, as no
/// text has to be made of each row for that.
pub(super) fn stored_in(forms: &str) -> String {
    format!(
        "(ip, ip_key) IN (SELECT toFixedString(unhex(splitByChar('-', one)[1]), 16), \
         toUInt32OrZero(splitByChar('-', one)[2]) \
         FROM (SELECT arrayJoin({{{forms}:Array(String)}}) AS one) WHERE one != '')"
    )
}

fn hour(time: &str) -> String {
    format!("formatDateTime({time}, '%Y-%m-%d %H:00:00', {{zone:String}})")
}

fn day(time: &str) -> String {
    format!("toString(toDate({time}, {{zone:String}}))")
}
