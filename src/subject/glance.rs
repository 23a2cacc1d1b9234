//! What is held of a person, in brief, for their own page: how many hits hold which
//! kind of data, and the last hits as they can be read.
//!
//! The kinds are the inventory's fields of `hits` in groups that a person knows:
//! each field that is about a visitor belongs to exactly one ([`KINDS`]).
//!
//! Limits: [`MAX_HITS`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::find::{COVERED, params};
use super::{Office, Person, SubjectError};
use crate::privacy::inventory::{self, Field, Place};
use crate::store::Limits;

/// So many hits are shown: a page that can be read; the copy has all.
pub const MAX_HITS: usize = 50;

/// What is shown of a hit besides its moment.
const SHOWN: [&str; 19] = [
    "kind",
    "host",
    "path",
    "title",
    "referrer_host",
    "source",
    "ip",
    "country",
    "city",
    "network",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device",
    "language",
    "ad",
    "name",
    "policy",
];

/// A kind of data.
pub struct DataKind {
    pub english: &'static str,
    pub russian: &'static str,
    /// The columns of `hits` that belong to it.
    pub columns: &'static [&'static str],
    /// Which rows hold some of it, in SQL.
    held: &'static str,
}

/// In the order in which they are told.
pub static KINDS: [DataKind; 10] = [
    DataKind {
        english: "When you came, and which pages you saw",
        russian: "Когда вы приходили и какие страницы смотрели",
        columns: &["time", "kind", "host", "path", "query", "title"],
        held: "true",
    },
    DataKind {
        english: "The mark of this browser",
        russian: "Метка этого браузера",
        columns: &["visitor", "identity", "minted", "before"],
        held: "true",
    },
    DataKind {
        english: "Where you came from",
        russian: "Откуда вы пришли",
        columns: &[
            "referrer_host",
            "referrer_path",
            "source",
            "channel",
            "utm_source",
            "utm_medium",
            "utm_campaign",
            "utm_content",
            "utm_term",
        ],
        held: "notEmpty(referrer_host) OR notEmpty(source) OR notEmpty(channel) OR notEmpty(utm_source) \
               OR notEmpty(utm_medium) OR notEmpty(utm_campaign) OR notEmpty(utm_content) OR notEmpty(utm_term)",
    },
    DataKind { english: "IP address", russian: "IP-адрес", columns: &["ip"], held: "notEmpty(ip)" },
    DataKind {
        english: "Coarse location and network",
        russian: "Примерное место и сеть",
        columns: &["country", "region", "city", "asn", "network"],
        held: "notEmpty(country) OR notEmpty(region) OR notEmpty(city) OR asn != 0 OR notEmpty(network)",
    },
    DataKind {
        english: "Browser and device",
        russian: "Браузер и устройство",
        columns: &[
            "browser",
            "browser_version",
            "os",
            "os_version",
            "device",
            "language",
            "screen",
            "timezone",
            "bot",
        ],
        held: "notEmpty(browser) OR notEmpty(os) OR notEmpty(device) OR notEmpty(language) OR notEmpty(screen) \
               OR notEmpty(timezone) OR notEmpty(bot)",
    },
    DataKind {
        english: "Events, ad blocks and reading",
        russian: "События, рекламные блоки и чтение",
        columns: &["name", "props", "ad", "engaged_ms", "scroll"],
        held: "notEmpty(name) OR notEmpty(props) OR notEmpty(ad) OR engaged_ms != 0 OR kind = 'engagement'",
    },
    DataKind {
        english: "Your account on the site",
        russian: "Учётная запись на сайте",
        columns: &["user_key"],
        held: "user_key != 0",
    },
    DataKind {
        english: "What you said about consent",
        russian: "Что вы ответили о согласии",
        columns: &["consent"],
        held: "consent != 'unstated'",
    },
    DataKind {
        english: "Kept longer for the time of a check",
        russian: "Хранится дольше на время проверки",
        columns: &["hold"],
        held: "hold",
    },
];

/// What is held, in brief. Holds personal data: it cannot be printed.
pub struct Glance {
    /// How many hits hold each of [`KINDS`].
    pub rows: [u64; KINDS.len()],
    /// The last ones, the newest first.
    pub hits: Vec<Seen>,
}

/// One hit.
pub struct Seen {
    pub at: Timestamp,
    cells: BTreeMap<&'static str, String>,
}

// === impl DataKind ===

impl DataKind {
    /// Its fields as the inventory tells them.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.columns.iter().filter_map(|column| inventory::field(Place::Table("hits"), column))
    }
}

// === impl Seen ===

impl Seen {
    /// What a column holds; empty where it holds nothing.
    pub fn get(&self, column: &str) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }
}

// === impl Office ===

impl Office {
    /// The kinds of data that are held of a person, and their last hits, also if they are blocked.
    pub async fn glance(&self, person: &Person) -> Result<Glance, SubjectError> {
        let (params, limits) = (params(person), Limits::default());
        let from =
            format!("FROM {}.hits WHERE site = {{site:String}} AND {COVERED}", self.storage.database());
        let counts: Vec<String> = KINDS.iter().map(|kind| format!("countIf({})", kind.held)).collect();
        let sql = format!("SELECT {} {from}", counts.join(", "));
        let counted = self.storage.json(&sql, &params, &limits).await?;
        let number = |index: usize| counted.first().and_then(|row| row.get(index)?.as_u64());
        let rows = std::array::from_fn(|index| number(index).unwrap_or_default());

        let shown = SHOWN.map(|column| match column {
            "ip" => "concat(hex(ip), '-', toString(ip_key))".to_owned(),
            other => format!("toString({other})"),
        });
        let sql = format!(
            "SELECT toUnixTimestamp64Milli(time), {} {from} ORDER BY time DESC, batch DESC, row DESC LIMIT {MAX_HITS}",
            shown.join(", ")
        );
        let hits = self.storage.json(&sql, &params, &limits).await?;
        Ok(Glance { rows, hits: hits.iter().map(|row| self.seen(row)).collect() })
    }

    fn seen(&self, row: &[Value]) -> Seen {
        let milliseconds = row.first().and_then(Value::as_i64).unwrap_or_default();
        let cells = SHOWN.iter().zip(row.iter().skip(1)).map(|(column, cell)| {
            let text = cell.as_str().unwrap_or_default();
            let text = match *column {
                "ip" => self.revealed(text).as_str().unwrap_or_default().to_owned(),
                _ => text.to_owned(),
            };
            (*column, text)
        });
        Seen { at: Timestamp::from_millisecond(milliseconds).unwrap_or_default(), cells: cells.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_about_a_visitor_is_of_one_kind_and_no_other_field_is() {
        let mut told: Vec<&str> = KINDS.iter().flat_map(|kind| kind.columns).copied().collect();
        told.sort_unstable();
        let fields = inventory::of(Place::Table("hits")).filter(|field| field.personal.is_of_a_visitor());
        let mut held: Vec<&str> = fields.map(|field| field.name).collect();
        held.sort_unstable();
        assert_eq!(told, held);
    }
}
