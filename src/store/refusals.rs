//! The table `refusals`: sums in, sums by hour and reason out; no address comes out. Those of
//! an address go when it is erased.

use bytes::Bytes;

use super::queue::Queue;
use super::row::string;
use super::{Limits, Param, Storage, StorageError};
use crate::refusals::Refused;
use crate::spool::{Subject, Tombstone};

const HOUR_MS: i64 = 3_600_000;

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

    /// Deletes what was refused on a site to an address, stored in these forms (`HEX-KEY`), in
    /// the hours that a time touches; says how many hits that were. As with rows of hits, the
    /// mutation's text holds none of it: which sums are meant goes by the queue, as a hash.
    pub(crate) async fn erase_refusals(
        &self,
        site: &str,
        forms: &[String],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<u64, StorageError> {
        const SUM: &str = "cityHash64(ip, ip_key)";
        let database = self.database();
        let hours = format!(
            "ip_key != 0 AND toInt64(toUnixTimestamp(hour)) * 1000 > {} \
             AND toInt64(toUnixTimestamp(hour)) * 1000 < {to_ms}",
            from_ms.saturating_sub(HOUR_MS)
        );
        let sql = format!(
            "SELECT DISTINCT {SUM} FROM {database}.refusals WHERE site = {{site:String}} AND {hours} \
             AND concat(hex(ip), '-', toString(ip_key)) IN {{forms:Array(String)}}"
        );
        let params = [
            ("site".to_owned(), Param::Text(site.to_owned())),
            ("forms".to_owned(), Param::Texts(forms.to_vec())),
        ];
        let rows = self.json(&sql, &params, &Limits::default()).await?;
        let queued = rows.iter().filter_map(|row| row.first()?.as_u64()).map(|hash| Tombstone {
            site: site.to_owned(),
            subject: Subject::Visitor(hash),
            before_ms: to_ms,
            made_ms: to_ms,
        });
        let queued: Vec<Tombstone> = queued.collect();
        if queued.is_empty() {
            return Ok(0);
        }
        let covered = format!(
            "{hours} AND (toString(site), {SUM}) IN (SELECT site, subject FROM {database}.erase_queue)"
        );
        let sum = format!("SELECT sum(count) FROM {database}.refusals WHERE {covered}");
        let deletion = async {
            let refusals = self.count(&sum, &[]).await?;
            self.execute(&format!("ALTER TABLE {database}.refusals DELETE WHERE {covered}"), &[]).await?;
            match self.count(&sum, &[]).await? {
                0 => Ok(refusals),
                left => {
                    let text = format!("{left} of {refusals} refusals outlived their deletion");
                    Err(StorageError::Unreadable(text))
                }
            }
        };
        let refusals = Queue::open(self).await.with(&queued.iter().collect::<Vec<_>>(), deletion).await?;
        self.wait_for_old_parts().await?;
        Ok(refusals)
    }
}
