//! The table `refusals`: sums in, sums by hour and reason out; no address comes out. Those of
//! an address go when it is erased.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::queue::{Job, QUEUE, Queue};
use super::row::string;
use super::{Limits, Param, Storage, StorageError};
use crate::refusals::Refused;
use crate::spool::{RefusalTombstone, Subject, Tombstone};

const HOUR_MS: i64 = 3_600_000;
/// How many different times one mutation tells apart, each of which is a set to look into.
const MAX_TIMES: usize = 32;

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

    /// What stands in a tombstone for addresses that are stored in these forms (`HEX-KEY`), in
    /// their order.
    pub(crate) async fn refused_addresses(&self, forms: &[String]) -> Result<Vec<u64>, StorageError> {
        let sql = "SELECT cityHash64(toFixedString(unhex(parts[1]), 16), toUInt32(parts[2])) FROM \
                   (SELECT splitByChar('-', arrayJoin({forms:Array(String)})) AS parts)";
        let params = [("forms".to_owned(), Param::Texts(forms.to_vec()))];
        let rows = self.json(sql, &params, &Limits::default()).await?;
        let hashes: Vec<u64> = rows.iter().filter_map(|row| row.first()?.as_u64()).collect();
        match hashes.len() == forms.len() {
            true => Ok(hashes),
            false => Err(StorageError::Unreadable("a hash of a stored address is not one".to_owned())),
        }
    }

    /// Deletes what these cover, whole hours of it, and says how many refused hits that were.
    pub(crate) async fn erase_refusals(
        &self,
        tombstones: impl Iterator<Item = &RefusalTombstone>,
    ) -> Result<u64, StorageError> {
        let parts = parts(self.database(), tombstones);
        if parts.is_empty() {
            return Ok(0);
        }
        let queue = Queue::open(self).await;
        let mut erased = 0;
        for Part { job, queued, covered } in &parts {
            erased += queue
                .with(*job, &queued.iter().collect::<Vec<_>>(), self.erase_queued_refusals(covered))
                .await?;
        }
        self.wait_for_old_parts().await?;
        Ok(erased)
    }

    /// How many refused hits these cover.
    pub(crate) async fn covered_refusals(
        &self,
        tombstones: impl Iterator<Item = &RefusalTombstone>,
    ) -> Result<u64, StorageError> {
        let queue = Queue::open(self).await;
        let mut found = 0;
        for Part { job, queued, covered } in parts(self.database(), tombstones) {
            found += queue
                .with(job, &queued.iter().collect::<Vec<_>>(), self.count(&self.sum_of(&covered), &[]))
                .await?;
        }
        Ok(found)
    }

    /// As with rows of hits, the mutation's text holds no subject: which sums are meant goes by
    /// the queue.
    async fn erase_queued_refusals(&self, covered: &str) -> Result<u64, StorageError> {
        let sum = self.sum_of(covered);
        let refusals = self.count(&sum, &[]).await?;
        if refusals > 0 {
            let deletion = format!("ALTER TABLE {}.refusals DELETE WHERE {covered}", self.database());
            self.execute(&deletion, &[]).await?;
            let left = self.count(&sum, &[]).await?;
            if left > 0 {
                let text = format!("{left} of {refusals} refusals outlived their deletion");
                return Err(StorageError::Unreadable(text));
            }
        }
        Ok(refusals)
    }

    fn sum_of(&self, covered: &str) -> String {
        format!("SELECT sum(count) FROM {}.refusals WHERE {covered}", self.database())
    }
}

/// As many tombstones as one statement tells apart: for the queue, and the condition of what
/// they cover.
struct Part {
    job: Job,
    queued: Vec<Tombstone>,
    covered: String,
}

fn parts<'a>(database: &str, tombstones: impl Iterator<Item = &'a RefusalTombstone>) -> Vec<Part> {
    let mut by_time: BTreeMap<(i64, i64), Vec<&RefusalTombstone>> = BTreeMap::new();
    for tombstone in tombstones {
        by_time.entry((tombstone.from_ms, tombstone.to_ms)).or_default().push(tombstone);
    }
    let times: Vec<_> = by_time.into_iter().collect();
    let part = |some: &[((i64, i64), Vec<&RefusalTombstone>)]| {
        let job = Job::new();
        // The queue has one time of each: here it is the number of both, from 1.
        let (mut queued_all, mut covered) = (Vec::new(), Vec::new());
        for (number, ((from_ms, to_ms), of_time)) in (1..).zip(some) {
            queued_all.extend(of_time.iter().map(|one| queued(one, number)));
            covered.push(format!(
                "(toInt64(toUnixTimestamp(hour)) * 1000 > {} AND toInt64(toUnixTimestamp(hour)) * 1000 < {to_ms} \
                 AND (toString(site), cityHash64(ip, ip_key)) IN (SELECT site, subject FROM {database}.{QUEUE} \
                 WHERE {} AND before = fromUnixTimestamp64Milli(toInt64({number}), 'UTC')))",
                from_ms.saturating_sub(HOUR_MS),
                job.rows()
            ));
        }
        Part { job, queued: queued_all, covered: format!("ip_key != 0 AND ({})", covered.join(" OR ")) }
    };
    times.chunks(MAX_TIMES).map(part).collect()
}

/// An address for the queue, under the number of its time.
fn queued(tombstone: &RefusalTombstone, number: i64) -> Tombstone {
    Tombstone {
        site: tombstone.site.clone(),
        subject: Subject::Visitor(tombstone.address),
        before_ms: number,
        made_ms: tombstone.made_ms,
    }
}
