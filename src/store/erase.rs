//! Physical deletion of subjects' rows, for erasures and for restored backups.
//!
//! In: tombstones (a site, a keyed hash, a time). Out: how many rows were deleted.
//! When it returns they are in no active part, and the parts that held them are
//! gone from the disk, as is every detached part: those hold rows that no
//! statement reaches. Subjects go by the table of [`super::queue`].
//!
//! It does not touch the spool: whoever erases makes the tombstones durable there
//! first, so that nothing brings the rows back.

use std::collections::BTreeMap;

use super::queue::{Queue, covered};
use super::{Limits, Storage, StorageError};
use crate::spool::Tombstone;

/// How many different times one mutation tells apart: each is two sets to look
/// into for every row. A night's erasures share one; a restore brings a few dozen.
const MAX_TIMES: usize = 32;

// === impl Storage ===

impl Storage {
    /// Deletes the rows that these cover and says how many there were.
    pub async fn erase(&self, tombstones: &[Tombstone]) -> Result<u64, StorageError> {
        if tombstones.is_empty() {
            return Ok(0);
        }
        let queue = Queue::open(self).await;
        let mut by_time: BTreeMap<i64, Vec<&Tombstone>> = BTreeMap::new();
        for tombstone in tombstones {
            by_time.entry(tombstone.before_ms).or_default().push(tombstone);
        }
        let times: Vec<(i64, Vec<&Tombstone>)> = by_time.into_iter().collect();
        let mut erased = 0;
        for some in times.chunks(MAX_TIMES) {
            let subjects: Vec<&Tombstone> =
                some.iter().flat_map(|(_, tombstones)| tombstones).copied().collect();
            erased += queue.with(&subjects, self.erase_queued(some)).await?;
        }
        self.drop_detached_parts().await?;
        self.wait_for_old_parts().await?;
        Ok(erased)
    }

    async fn erase_queued(&self, some: &[(i64, Vec<&Tombstone>)]) -> Result<u64, StorageError> {
        let database = self.database();
        let covered = covered_before(database, some.iter().map(|(time, _)| *time));
        let count = format!("SELECT count() FROM {database}.hits WHERE {covered}");
        let rows = self.number(&count, &[]).await?;
        if rows > 0 {
            self.execute(&format!("ALTER TABLE {database}.hits DELETE WHERE {covered}"), &[]).await?;
            let left = self.number(&count, &[]).await?;
            if left > 0 {
                return Err(StorageError::Unreadable(format!(
                    "{left} of {rows} rows outlived their deletion"
                )));
            }
        }
        Ok(rows)
    }

    /// Removes what ClickHouse set aside (a part it found broken or unexpected at a
    /// start): nobody can be looked up in it, so for an erasure it is all or nothing.
    async fn drop_detached_parts(&self) -> Result<(), StorageError> {
        let sql = format!(
            "SELECT name FROM system.detached_parts WHERE database = '{}' AND table = 'hits'",
            self.database()
        );
        for row in self.json(&sql, &[], &Limits::default()).await? {
            let name = row.first().and_then(|name| name.as_str()).unwrap_or_default();
            if name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
            {
                return Err(StorageError::Unreadable(format!("a detached part is named {name:?}")));
            }
            tracing::warn!(part = name, "a detached part is dropped: an erasure cannot look into it");
            let sql = format!("ALTER TABLE {}.hits DROP DETACHED PART '{name}'", self.database());
            self.execute_with(&sql, &[], &[("allow_drop_detached", "1")]).await?;
        }
        Ok(())
    }
}

/// The condition for a row whose subject is queued with one of these times.
fn covered_before(database: &str, times: impl Iterator<Item = i64>) -> String {
    let one = |time: i64| {
        let time = format!("fromUnixTimestamp64Milli(toInt64({time}), 'UTC')");
        let queued = covered(database, "erase_queue", &format!(" AND before = {time}"));
        format!("(time < {time} AND {queued})")
    };
    times.map(one).collect::<Vec<_>>().join(" OR ")
}
