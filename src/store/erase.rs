//! Physical deletion of subjects' rows, for erasures and for restored backups.
//!
//! In: tombstones (a site, a keyed hash, a time). Out: how many rows were deleted.
//! When it returns they are in no active part, and the parts that held them are
//! gone from the disk.
//!
//! Invariant: a subject is never part of a statement, since a mutation's file
//! keeps the statement's text. Subjects go into the table `erase_queue` as rows,
//! the mutation reads them from there, and the table is emptied afterwards, also
//! of what a crash left in it. Times are part of the text: they are nobody's.
//!
//! One erasure at a time uses the table: callers in one process wait for each other
//! and for other jobs that rewrite parts ([`parts`]), and a command that erases asks
//! the running server to do it.
//!
//! It does not touch the spool: whoever erases makes the tombstones durable there
//! first, so that nothing brings the rows back.

use std::collections::BTreeMap;

use super::{Storage, StorageError, parts};
use crate::spool::{Subject, Tombstone};

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
        let _alone = parts::alone().await;
        let mut by_time: BTreeMap<i64, Vec<&Tombstone>> = BTreeMap::new();
        for tombstone in tombstones {
            by_time.entry(tombstone.before_ms).or_default().push(tombstone);
        }
        let times: Vec<(i64, Vec<&Tombstone>)> = by_time.into_iter().collect();
        let mut erased = 0;
        for some in times.chunks(MAX_TIMES) {
            self.empty_queue().await?;
            let result = self.erase_queued(some).await;
            // A failed one must not leave the subjects behind either.
            self.empty_queue().await?;
            erased += result?;
        }
        self.wait_for_old_parts().await?;
        Ok(erased)
    }

    async fn erase_queued(&self, some: &[(i64, Vec<&Tombstone>)]) -> Result<u64, StorageError> {
        let database = self.database();
        let mut payload = Vec::new();
        for tombstone in some.iter().flat_map(|(_, tombstones)| tombstones) {
            encode(tombstone, &mut payload);
        }
        let queued = some.iter().map(|(_, tombstones)| tombstones.len() as u64).sum::<u64>();
        let token = format!("erase-{}", random());
        self.insert_into(
            "erase_queue",
            &["site", "kind", "subject", "before", "made"],
            &token,
            payload.into(),
        )
        .await?;
        let found = self.number(&format!("SELECT count() FROM {database}.erase_queue"), &[]).await?;
        if found != queued {
            return Err(StorageError::Unreadable(format!("{found} of {queued} subjects are queued")));
        }
        let covered = covered(database, some.iter().map(|(time, _)| *time));
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

    async fn empty_queue(&self) -> Result<(), StorageError> {
        self.execute(&format!("TRUNCATE TABLE {}.erase_queue", self.database()), &[]).await
    }
}

/// The condition for a row whose subject is queued with one of these times.
fn covered(database: &str, times: impl Iterator<Item = i64>) -> String {
    let one = |time: i64| {
        let time = format!("fromUnixTimestamp64Milli(toInt64({time}), 'UTC')");
        let queued = |kind: &str| {
            format!(
                "(SELECT site, subject FROM {database}.erase_queue WHERE kind = '{kind}' AND before = {time})"
            )
        };
        let (visitors, user_keys) = (queued("visitor"), queued("user_key"));
        format!(
            "(time < {time} AND ((toString(site), visitor) IN {visitors} OR (toString(site), minted) IN {visitors} \
             OR (toString(site), before) IN {visitors} OR (toString(site), user_key) IN {user_keys}))"
        )
    };
    times.map(one).collect::<Vec<_>>().join(" OR ")
}

/// One row of the queue as RowBinary.
fn encode(tombstone: &Tombstone, out: &mut Vec<u8>) {
    // Site ids are at most 64 bytes, so their length is one byte.
    let site = tombstone.site.as_bytes();
    out.push(site.len().min(127) as u8);
    out.extend_from_slice(&site[..site.len().min(127)]);
    let (kind, subject) = match tombstone.subject {
        Subject::Visitor(hash) => (1u8, hash),
        Subject::UserKey(hash) => (2, hash),
    };
    out.push(kind);
    out.extend_from_slice(&subject.to_le_bytes());
    out.extend_from_slice(&tombstone.before_ms.to_le_bytes());
    out.extend_from_slice(&tombstone.made_ms.to_le_bytes());
}

fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random bytes");
    u128::from_le_bytes(bytes).to_string()
}
