//! The table `refusals`: sums in, sums by hour and reason out; no address comes out.

use bytes::Bytes;

use super::row::string;
use super::{Limits, Param, Storage, StorageError};
use crate::refusals::Refused;

/// The columns in the order of the encoding.
const COLUMNS: &[&str] = &["site", "hour", "reason", "ip", "ip_key", "asn", "country", "count", "ip_days"];

/// How many hits were refused for one reason in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourOfRefusals {
    /// Seconds since 1970 at which it began, UTC.
    pub hour: i64,
    pub reason: String,
    pub count: u64,
}

/// Rows as RowBinary.
pub fn encode(rows: &[Refused]) -> Bytes {
    let mut out = Vec::new();
    for row in rows {
        string(&mut out, &row.site);
        out.extend_from_slice(&row.hour.to_le_bytes());
        string(&mut out, row.reason.name());
        out.extend_from_slice(&row.ip);
        out.extend_from_slice(&row.ip_key.to_le_bytes());
        out.extend_from_slice(&row.place.asn.to_le_bytes());
        string(&mut out, &row.place.country);
        out.extend_from_slice(&row.count.to_le_bytes());
        out.extend_from_slice(&row.ip_days.to_le_bytes());
    }
    out.into()
}

// === impl Storage ===

impl Storage {
    /// Writes encoded rows. A token that was acknowledged before writes nothing.
    pub async fn insert_refusals(&self, token: &str, payload: Bytes) -> Result<(), StorageError> {
        self.insert_into("refusals", COLUMNS, token, payload).await
    }

    /// Refusals on a site (empty: on none that is known) in the hours that begin
    /// from `from` to before `to`, in seconds since 1970.
    pub async fn refusals(
        &self,
        site: &str,
        from: i64,
        to: i64,
    ) -> Result<Vec<HourOfRefusals>, StorageError> {
        let sql = format!(
            "SELECT toUnixTimestamp(hour), toString(reason), sum(count) FROM {}.refusals \
             WHERE site = {{site:String}} AND toUnixTimestamp(hour) >= {{from:Int64}} AND toUnixTimestamp(hour) < {{to:Int64}} \
             GROUP BY 1, 2 ORDER BY 1, 2",
            self.database()
        );
        let params = [
            ("site".to_owned(), Param::Text(site.to_owned())),
            ("from".to_owned(), Param::Number(from)),
            ("to".to_owned(), Param::Number(to)),
        ];
        let rows = self.json(&sql, &params, &Limits::default()).await?;
        rows.iter()
            .map(|row| match row.as_slice() {
                [hour, reason, count] => Some(HourOfRefusals {
                    hour: hour.as_i64()?,
                    reason: reason.as_str()?.to_owned(),
                    count: count.as_u64()?,
                }),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| StorageError::Unreadable(format!("expected hours of refusals, found {rows:?}")))
    }
}
