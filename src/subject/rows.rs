//! Rows of `hits` as they are shown to people: columns of the row in words and as
//! addresses, from which a copy is made.
//!
//! In: columns, and a condition with its parameters. Out: a list of cells for each row,
//! in the order of their arrival. Moments are RFC 3339, hashes 16 hex digits (empty
//! without one), addresses as they were, where their key is not destroyed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Office, SubjectError};
use crate::store::{Limits, Param};

/// Which rows, and what of them.
pub(crate) struct Rows<'a> {
    pub columns: &'a [&'static str],
    pub condition: &'a str,
    pub params: &'a [(String, Param)],
    /// More than so many are an error.
    pub most: u64,
    pub time: Duration,
    /// A `WITH` clause, or nothing.
    pub before: &'a str,
    /// One more expression, as the last cell.
    pub besides: Option<&'a str>,
}

// === impl Office ===

impl Office {
    pub(crate) async fn rows(&self, asked: &Rows<'_>) -> Result<Vec<Vec<Value>>, SubjectError> {
        let shown = |column: &str| match column {
            "time" => "formatDateTime(time, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC')".to_owned(),
            "ip" => "concat(hex(ip), '-', toString(ip_key))".to_owned(),
            "visitor" | "minted" | "before" | "user_key" => {
                format!("if({column} = 0, '', lower(hex({column})))")
            }
            other => other.to_owned(),
        };
        // `time` and the like would otherwise be taken for the text that is made of them.
        let mut cells: Vec<String> =
            asked.columns.iter().map(|column| format!("{} AS shown_{column}", shown(column))).collect();
        cells.extend(asked.besides.map(|besides| format!("{besides} AS besides")));
        let sql = format!(
            "{} SELECT {} FROM {}.hits WHERE {} ORDER BY time, batch, row LIMIT {}",
            asked.before,
            cells.join(", "),
            self.storage.database(),
            asked.condition,
            asked.most + 1
        );
        let limits = Limits { result_rows: asked.most + 1, time: asked.time, ..Limits::default() };
        let mut rows = self.storage.json(&sql, asked.params, &limits).await?;
        if rows.len() as u64 > asked.most {
            return Err(SubjectError::TooLong(asked.most));
        }
        if let Some(ip) = asked.columns.iter().position(|column| *column == "ip") {
            for row in &mut rows {
                if let Some(cell) = row.get_mut(ip) {
                    *cell = self.revealed(cell.as_str().unwrap_or_default());
                }
            }
        }
        Ok(rows)
    }

    /// `HEX-KEY` as the address that it is.
    fn revealed(&self, stored: &str) -> Value {
        let Some((hex, key)) = stored.split_once('-') else { return json!("") };
        let bytes = u128::from_str_radix(hex, 16).unwrap_or_default().to_be_bytes();
        match key.parse::<u32>() {
            Ok(0) | Err(_) => json!(""),
            Ok(key) => match self.keys.reveal(bytes, key) {
                Some(address) => json!(address.lookup(|address| address.to_string())),
                None => json!("unreadable: its key is destroyed"),
            },
        }
    }
}

/// Hits of a site from one moment to before another: the condition of [`in_range`].
pub(crate) const IN_RANGE: &str = "site = {site:String} AND time >= fromUnixTimestamp64Milli({from:Int64}) \
     AND time < fromUnixTimestamp64Milli({to:Int64})";

/// The parameters of [`IN_RANGE`].
pub(crate) fn in_range(site: &str, from: i64, to: i64) -> Vec<(String, Param)> {
    vec![
        ("site".to_owned(), Param::Text(site.to_owned())),
        ("from".to_owned(), Param::Number(from)),
        ("to".to_owned(), Param::Number(to)),
    ]
}
