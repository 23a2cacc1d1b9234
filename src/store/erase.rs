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

use super::queue::{Job, QUEUE, Queue, SUBJECT_COLUMNS, covered};
use super::{COUNT_TIME, Limits, Storage, StorageError};
use crate::spool::{Subject, Tombstone};

/// How many different times one mutation tells apart: each is two sets to look
/// into for every row. A night's erasures share one; a restore brings a few dozen.
const MAX_TIMES: usize = 32;
/// Kinds of rows in one count: a person's rows are of a few kinds, of which the most people
/// in one order make some ten thousand.
const MAX_ALIKE: u64 = 1_000_000;

/// Rows that are covered by the same subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    pub site: String,
    pub subjects: Vec<Subject>,
    pub rows: u64,
    /// Those of them that somebody is held for ([`super::List::Held`]).
    pub held: u64,
}

// === impl Storage ===

impl Storage {
    /// Deletes the rows that these cover and says how many there were.
    pub async fn erase(&self, tombstones: &[Tombstone]) -> Result<u64, StorageError> {
        if tombstones.is_empty() {
            return Ok(0);
        }
        self.rows_will_change();
        let subjects = || tombstones.iter().map(|tombstone| (tombstone.site.as_str(), tombstone.subject));
        self.begin_to_forget(subjects());
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
            let job = Job::new();
            erased += queue.with(job, &subjects, self.erase_queued(job, some)).await?;
        }
        self.drop_detached_parts().await?;
        self.forget(subjects());
        self.rows_have_changed(false).await?;
        self.wait_for_old_parts().await?;
        Ok(erased)
    }

    /// How many rows these cover, which came before `before_ms`, by the subjects that
    /// cover them: in one go, however many people that is.
    pub async fn covered_rows(
        &self,
        tombstones: &[Tombstone],
        before_ms: i64,
    ) -> Result<Vec<Alike>, StorageError> {
        if tombstones.is_empty() {
            return Ok(Vec::new());
        }
        let (database, job) = (self.database(), Job::new());
        // A column that covers nobody here tells rows apart that are alike.
        let named = |(column, kind): (&str, &str)| {
            let mine = job.rows();
            let subjects =
                format!("(SELECT site, subject FROM {database}.{QUEUE} WHERE kind = '{kind}' AND {mine})");
            format!("if((toString(site), {column}) IN {subjects}, {column}, toUInt64(0)) AS by_{column}")
        };
        let columns = SUBJECT_COLUMNS.map(named).join(", ");
        let sql = format!(
            "SELECT toString(site) AS of, {columns}, count(), countIf({}) FROM {database}.hits \
             WHERE time < fromUnixTimestamp64Milli(toInt64({before_ms}), 'UTC') AND {} \
             GROUP BY of, {}",
            covered(database, "held", ""),
            job.covered(database, ""),
            SUBJECT_COLUMNS.map(|(column, _)| format!("by_{column}")).join(", "),
        );
        let limits = Limits { time: COUNT_TIME, result_rows: MAX_ALIKE, ..Limits::default() };
        let queue = Queue::open(self).await;
        let queued: Vec<&Tombstone> = tombstones.iter().collect();
        let rows = queue.with(job, &queued, self.json(&sql, &[], &limits)).await?;
        let alike: Vec<Alike> = rows.iter().filter_map(|row| alike(row)).collect();
        match alike.len() == rows.len() {
            true => Ok(alike),
            false => Err(StorageError::Unreadable("a count of rows is not one".to_owned())),
        }
    }

    async fn erase_queued(&self, job: Job, some: &[(i64, Vec<&Tombstone>)]) -> Result<u64, StorageError> {
        let database = self.database();
        let covered = covered_before(database, job, some.iter().map(|(time, _)| *time));
        let count = format!("SELECT count() FROM {database}.hits WHERE {covered}");
        let rows = self.count(&count, &[]).await?;
        if rows > 0 {
            self.execute(&format!("ALTER TABLE {database}.hits DELETE WHERE {covered}"), &[]).await?;
            let left = self.count(&count, &[]).await?;
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

fn alike(row: &[serde_json::Value]) -> Option<Alike> {
    let [site, covering @ .., rows, held] = row else { return None };
    let mut subjects = Vec::new();
    for ((_, kind), hash) in SUBJECT_COLUMNS.iter().zip(covering) {
        match (hash.as_u64()?, *kind) {
            (0, _) => {}
            (hash, "user_key") => subjects.push(Subject::UserKey(hash)),
            (hash, _) => subjects.push(Subject::Visitor(hash)),
        }
    }
    let (rows, held) = (rows.as_u64()?, held.as_u64()?);
    Some(Alike { site: site.as_str()?.to_owned(), subjects, rows, held })
}

/// The condition for a row whose subject the job has queued with one of these times.
fn covered_before(database: &str, job: Job, times: impl Iterator<Item = i64>) -> String {
    let one = |time: i64| {
        let time = format!("fromUnixTimestamp64Milli(toInt64({time}), 'UTC')");
        let queued = job.covered(database, &format!(" AND before = {time}"));
        format!("(time < {time} AND {queued})")
    };
    times.map(one).collect::<Vec<_>>().join(" OR ")
}
