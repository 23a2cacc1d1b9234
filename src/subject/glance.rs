//! What is held of a person, in brief, for their own page: how many hits hold which
//! kind of data, and the last hits as they can be read.
//!
//! The kinds are those of notices ([`crate::incident::kinds`]).
//!
//! Limits: [`MAX_HITS`], [`MAX_TIMES`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::find::{COVERED, params};
use super::{Office, Person, SubjectError};
use crate::incident::kinds::KINDS;
use crate::store::Limits;

/// So many hits are shown: a page that can be read; the copy has all.
pub const MAX_HITS: usize = 50;
/// The moments of so many hits are compared with incidents and disclosures, the last ones:
/// as many as one copy holds.
pub const MAX_TIMES: u64 = super::export::MAX_ROWS;

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

/// What is held, in brief. Holds personal data: it cannot be printed.
pub struct Glance {
    /// How many hits hold something of each of [`KINDS`].
    pub rows: [u64; KINDS.len()],
    /// When hits came, in milliseconds since 1970.
    pub times: Vec<i64>,
    /// The last ones, the newest first.
    pub hits: Vec<Seen>,
}

/// One hit.
pub struct Seen {
    pub at: Timestamp,
    cells: BTreeMap<&'static str, String>,
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
        let counts: Vec<String> = KINDS.iter().map(|kind| format!("countIf({})", kind.holds)).collect();
        let sql = format!("SELECT {} {from}", counts.join(", "));
        let counted = self.storage.json(&sql, &params, &limits).await?;
        let number = |index: usize| counted.first().and_then(|row| row.get(index)?.as_u64());
        let rows = std::array::from_fn(|index| number(index).unwrap_or_default());

        let moment = "toUnixTimestamp64Milli(time)";
        let sql = format!("SELECT {moment} AS at {from} ORDER BY at DESC LIMIT {MAX_TIMES}");
        let times = self.storage.json(&sql, &params, &limits).await?;
        let times = times.iter().filter_map(|row| row.first()?.as_i64()).collect();

        let shown = SHOWN.map(|column| match column {
            "ip" => "concat(hex(ip), '-', toString(ip_key))".to_owned(),
            other => format!("toString({other})"),
        });
        let sql = format!(
            "SELECT {moment}, {} {from} ORDER BY time DESC, batch DESC, row DESC LIMIT {MAX_HITS}",
            shown.join(", ")
        );
        let hits = self.storage.json(&sql, &params, &limits).await?;
        Ok(Glance { rows, times, hits: hits.iter().map(|row| self.seen(row)).collect() })
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
