//! What storage holds of batches: the count behind "exactly once".
//!
//! In: batch ids with what is known of them. Out: rows and distinct rows of each.
//! The column `batch` is in no key, so a count reads it for the days around the
//! batch's time; only a batch that is not found whole there is looked for in the
//! whole table, since the clock may have jumped while it was filled.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Limits, Param, Storage, StorageError};

/// A count may take so long; the shipper waits for it, hits do not.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);
/// Rows of a batch lie within seconds of its opening; a day on either side costs
/// little and covers every ordinary correction of a clock.
const MARGIN_MS: u64 = 24 * 60 * 60 * 1000;

/// A batch that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: u64,
    /// Milliseconds since 1970.
    pub opened_ms: u64,
    /// How many rows it should have.
    pub rows: u64,
}

/// What is there of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub rows: u64,
    /// Rows that differ in their number within the batch.
    pub distinct: u64,
}

// === impl Storage ===

impl Storage {
    /// Rows of each batch; a batch that storage has nothing of is absent.
    pub async fn count_batches(&self, asked: &[Asked]) -> Result<BTreeMap<u64, Held>, StorageError> {
        let (Some(first), Some(last)) = (
            asked.iter().map(|batch| batch.opened_ms).min(),
            asked.iter().map(|batch| batch.opened_ms).max(),
        ) else {
            return Ok(BTreeMap::new());
        };
        let days = "AND toDate(time) BETWEEN toDate(fromUnixTimestamp64Milli({first:Int64}), 'UTC') \
                    AND toDate(fromUnixTimestamp64Milli({last:Int64}), 'UTC')";
        let moment = |name: &str, ms: u64| (name.to_owned(), Param::Number(ms.cast_signed()));
        let between = [moment("first", first.saturating_sub(MARGIN_MS)), moment("last", last + MARGIN_MS)];
        let mut found = self.count_where(asked.iter().map(|batch| batch.id), days, &between).await?;
        let unsure: Vec<u64> = asked
            .iter()
            .filter(|batch| {
                let held = found.get(&batch.id).copied().unwrap_or_default();
                held.rows != batch.rows || held.distinct != batch.rows
            })
            .map(|batch| batch.id)
            .collect();
        if !unsure.is_empty() {
            found.extend(self.count_where(unsure, "", &[]).await?);
        }
        Ok(found)
    }

    async fn count_where(
        &self,
        ids: impl IntoIterator<Item = u64>,
        condition: &str,
        params: &[(String, Param)],
    ) -> Result<BTreeMap<u64, Held>, StorageError> {
        let sql = format!(
            "SELECT batch, count(), uniqExact(row) FROM {}.hits WHERE has({{ids:Array(UInt64)}}, batch) {condition} GROUP BY batch",
            self.database()
        );
        let mut params = params.to_vec();
        params.push(("ids".to_owned(), Param::Numbers(ids.into_iter().collect())));
        let limits = Limits { time: COUNT_TIMEOUT, ..Limits::default() };
        let rows = self.json(&sql, &params, &limits).await?;
        rows.iter()
            .map(|row| {
                let number = |index: usize| {
                    row.get(index).and_then(serde_json::Value::as_u64).ok_or_else(|| {
                        StorageError::Unreadable(format!("expected three numbers, found {row:?}"))
                    })
                };
                Ok((number(0)?, Held { rows: number(1)?, distinct: number(2)? }))
            })
            .collect()
    }

    /// Removes all rows of a batch, physically, from all replicas.
    pub async fn remove_batch(&self, id: u64) -> Result<(), StorageError> {
        self.rows_will_change();
        let sql = format!("ALTER TABLE {}.hits DELETE WHERE batch = {{id:UInt64}}", self.database());
        self.execute(&sql, &[("id".to_owned(), Param::Text(id.to_string()))]).await
    }

    /// How long the server, or the engine, has been running.
    pub async fn uptime(&self) -> Result<Duration, StorageError> {
        let limits = Limits { time: Duration::from_secs(5), ..Limits::default() };
        let rows = self.json("SELECT uptime()", &[], &limits).await?;
        let seconds = rows.first().and_then(|row| row.first()).and_then(serde_json::Value::as_u64);
        seconds
            .map(Duration::from_secs)
            .ok_or_else(|| StorageError::Unreadable(format!("expected an uptime, found {rows:?}")))
    }
}
