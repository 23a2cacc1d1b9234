//! What may be asked: the JSON becomes a [`Question`], or all of its mistakes, a line each.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::token::{self, Stored};
use crate::audit::Purpose;
use crate::config::Site;
use crate::query::filter::short;
use crate::query::range::Range;

/// The most rows of one answer: what a person looks through, and a program pages by.
pub const MAX_LIMIT: u64 = 1000;
/// The number of rows when nothing is said.
const DEFAULT_LIMIT: u64 = 100;
/// No list is read further than this: beyond what is brought together nothing is told apart.
const MAX_OFFSET: u64 = 1_000_000;

const KEYS: &[&str] = &[
    "site_id",
    "purpose",
    "date_range",
    "by",
    "address",
    "network",
    "asn",
    "country",
    "order_by",
    "limit",
    "offset",
];

/// A question that can be put.
#[derive(Clone)]
pub struct Question {
    /// What for: it stands in the audit trail.
    pub purpose: Purpose,
    pub range: Range,
    pub by: By,
    pub only: Only,
    pub order: Order,
    pub limit: u64,
    pub offset: u64,
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Address,
    Network,
    Asn,
    Country,
    Hour,
    Day,
}

/// By which number rows are sorted, the greatest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Hits,
    Visitors,
    Refused,
    Limited,
    Marked,
    Errors,
}

/// Of what alone.
#[derive(Clone, Default)]
pub struct Only {
    pub address: Option<Stored>,
    /// Its keyed hash.
    pub network: Option<u64>,
    pub asn: Option<u32>,
    pub country: Option<String>,
}

// === impl By ===

impl By {
    pub const ALL: [By; 6] = [By::Address, By::Network, By::Asn, By::Country, By::Hour, By::Day];

    pub const fn name(self) -> &'static str {
        match self {
            By::Address => "address",
            By::Network => "network",
            By::Asn => "asn",
            By::Country => "country",
            By::Hour => "time:hour",
            By::Day => "time:day",
        }
    }

    /// Whether stored addresses are brought together for it.
    pub fn is_of_addresses(self) -> bool {
        matches!(self, By::Address | By::Network)
    }

    /// Whether rows stand in the order of time.
    pub fn is_of_time(self) -> bool {
        matches!(self, By::Hour | By::Day)
    }
}

// === impl Order ===

impl Order {
    pub const ALL: [Order; 6] =
        [Order::Hits, Order::Visitors, Order::Refused, Order::Limited, Order::Marked, Order::Errors];

    pub const fn name(self) -> &'static str {
        match self {
            Order::Hits => "hits",
            Order::Visitors => "visitors",
            Order::Refused => "refused",
            Order::Limited => "limited",
            Order::Marked => "marked",
            Order::Errors => "errors",
        }
    }
}

/// Reads a question about `site`. `now` decides what the words of the range mean.
pub fn parse(value: &Value, site: &Site, now: Timestamp) -> Result<Question, Vec<String>> {
    let Value::Object(object) = value else {
        return Err(vec![format!("#: Expected an object, got {}", short(value))]);
    };
    let mut mistakes = Vec::new();
    for key in object.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        mistakes.push(format!("#/{}: Unknown key", short(&Value::from(key.as_str()))));
    }
    if object.get("site_id").and_then(Value::as_str) != Some(&site.id) {
        mistakes.push("#/site_id: expected the id of the site".to_owned());
    }
    let given = |name: &str| object.get(name).filter(|value| !value.is_null());
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let range = match given("date_range") {
        Some(value) => Range::parse(value, &zone, now).map_err(|error| format!("#/date_range: {error}")),
        None => Err("#/date_range: Missing".to_owned()),
    };
    let mut read = Mistakes(&mut mistakes);
    let range = read.of(range);
    let purpose = read.of(match given("purpose") {
        Some(value) => named(value, "purpose", &Purpose::OF_SECURITY, Purpose::name),
        None => Err(format!(
            "#/purpose: Missing: expected one of {}",
            Purpose::OF_SECURITY.map(Purpose::name).join(", ")
        )),
    });
    let by = read.of(match given("by") {
        Some(value) => named(value, "by", &By::ALL, By::name),
        None => Err("#/by: Missing".to_owned()),
    });
    let order = given("order_by").map(|value| named(value, "order_by", &Order::ALL, Order::name));
    let order = read.of(order.transpose()).flatten();
    let only = Only {
        // What stands there instead of a token may be an address: it is not repeated.
        address: given("address").and_then(|value| {
            let token = value.as_str().and_then(Stored::of_token);
            read.of(token.ok_or_else(|| "#/address: expected the token of an address".to_owned()))
        }),
        network: given("network").and_then(|value| {
            let token = value.as_str().and_then(token::network);
            read.of(token.ok_or_else(|| "#/network: expected the token of a network".to_owned()))
        }),
        asn: given("asn").and_then(|value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            read.of(number.ok_or_else(|| "#/asn: expected the number of a network".to_owned()))
        }),
        country: given("country").and_then(|value| {
            let country = value.as_str().filter(|text| is_country(text)).map(str::to_owned);
            read.of(country.ok_or_else(|| "#/country: expected two capital letters, or nothing".to_owned()))
        }),
    };
    let number = |name: &str, default: u64, from: u64, to: u64| match given(name) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|number| (from..=to).contains(number))
            .ok_or_else(|| format!("#/{name}: expected a number from {from} to {to}")),
    };
    let limit = read.of(number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT));
    let offset = read.of(number("offset", 0, 0, MAX_OFFSET));
    if only.address.is_some() && only.network.is_some() {
        mistakes.push("#/network: an address has one network: name either".to_owned());
    }
    if by.is_some_and(By::is_of_time) && given("order_by").is_some() {
        mistakes.push("#/order_by: rows by time stand in its order".to_owned());
    }
    match (purpose, range, by, limit, offset) {
        (Some(purpose), Some(range), Some(by), Some(limit), Some(offset)) if mistakes.is_empty() => {
            Ok(Question { purpose, range, by, only, order: order.unwrap_or(Order::Hits), limit, offset })
        }
        _ => Err(mistakes),
    }
}

/// Collects what is wrong.
struct Mistakes<'a>(&'a mut Vec<String>);

// === impl Mistakes ===

impl Mistakes<'_> {
    fn of<T>(&mut self, read: Result<T, String>) -> Option<T> {
        read.map_err(|line| self.0.push(line)).ok()
    }
}

fn named<T: Copy>(
    value: &Value,
    key: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let found = value.as_str().and_then(|text| all.iter().find(|one| name(**one) == text));
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("#/{key}: expected one of {}, not {}", names.join(", "), short(value))
    })
}

/// ISO 3166-1 alpha-2, or nothing for what is not known.
fn is_country(text: &str) -> bool {
    text.is_empty() || text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn read(question: Value) -> Result<Question, Vec<String>> {
        let text = "[[site]]\nid='clinic'\nhosts=['clinic.example']\n";
        let config = Config::parse(text, [], std::path::Path::new("/srv")).expect("valid");
        parse(&question, &config.sites[0], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn each_mistake_is_named_by_its_place_and_no_address_is_repeated() {
        let question = |more: Value| {
            let mut question =
                json!({ "site_id": "clinic", "purpose": "security", "date_range": "day", "by": "address" });
            for (key, value) in more.as_object().expect("an object") {
                question[key] = value.clone();
            }
            question
        };
        assert!(read(question(json!({ "limit": 1000, "offset": 5, "asn": 64500, "country": "RU" }))).is_ok());
        for (wrong, place) in [
            (json!({ "by": "ip" }), "#/by: expected one of address, network"),
            (json!({ "by": null }), "#/by: Missing"),
            (json!({ "purpose": null }), "#/purpose: Missing"),
            (json!({ "purpose": "marketing" }), "#/purpose: expected one of fraud, payments"),
            (json!({ "date_range": "long" }), "#/date_range: "),
            (json!({ "site_id": "other" }), "#/site_id: "),
            (json!({ "address": "192.0.2.77" }), "#/address: "),
            (json!({ "network": "192.0.2.0" }), "#/network: "),
            (json!({ "asn": -1 }), "#/asn: "),
            (json!({ "country": "ru" }), "#/country: "),
            (json!({ "order_by": "trouble" }), "#/order_by: "),
            (json!({ "by": "time:day", "order_by": "hits" }), "#/order_by: rows by time"),
            (json!({ "limit": 0 }), "#/limit: "),
            (json!({ "limit": 1001 }), "#/limit: "),
            (json!({ "offset": -1 }), "#/offset: "),
            (json!({ "ip": "x" }), "#/\"ip\": Unknown key"),
        ] {
            let lines = read(question(wrong.clone())).map(|_| ()).expect_err("refused");
            assert!(lines.len() == 1 && lines[0].starts_with(place), "{wrong}: {lines:?}");
            assert!(!lines[0].contains("192.0"), "{lines:?}");
        }
    }
}
