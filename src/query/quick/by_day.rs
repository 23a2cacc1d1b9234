//! From `visits_by_day` and, for more than a month, `visitors_by_day`: no filter, and one property or whole
//! days. Read about as many rows as there are values times days, or months where the range has whole ones.

use super::{Builder, SUMS, is_of_people, label};
use crate::query::names::{Dimension, Metric};
use crate::rollup::days;
use crate::rollup::keep;
use crate::rollup::numbers::{self, NEAR_DAYS, Past};
use crate::store::Param;

/// What sums by day are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    None,
    Value,
    PropertyAndValue,
}

/// Statements that count the numbers of the open days, each a part.
#[derive(Default)]
struct OpenNumbers {
    people: Vec<String>,
    visits: Vec<String>,
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

// === impl Builder ===

impl Builder<'_> {
    /// The aggregated numbers that the metrics need, from sums by day.
    pub(super) fn by_day(&mut self) -> String {
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
    pub(super) fn sums_of(&mut self, properties: &[String]) -> String {
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
}
