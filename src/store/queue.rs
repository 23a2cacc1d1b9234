//! The tables `erase_queue` and `corrections`: how subjects and values reach a mutation.
//!
//! Invariants:
//! - A subject or a value is never part of a statement, since a mutation's file keeps the
//!   statement's text. They go into these tables as rows, and the mutation reads them from
//!   there. Times are part of the text: they are nobody's.
//! - Several collectors may work on one storage at once. Each job has a random number of its
//!   own ([`Job`]): its rows bear it, its statements ask for it, and it removes its own rows
//!   only, when it ends, also with an error. No job sees another's.
//! - A mutation whose job is over finds nobody and changes nothing: subjects go before values.
//!
//! A crash leaves the rows of its job, and with them what its mutation still needs, which
//! ClickHouse goes on with. Later jobs remove them when that mutation has ended. Whose rows are
//! left: with the embedded engine, on which one process works, all that are there before a
//! job; on a server, where another collector may be at work, those older than [`MAX_JOB_AGE`],
//! by the server's clock.
//!
//! Within one process one job is done after the other, also with other jobs that rewrite
//! parts ([`super::parts`]), and a command asks the running server to do its work.

use std::time::Duration;

use tokio::sync::MutexGuard;

use super::row::string;
use super::{Limits, Storage, StorageError};
use crate::spool::{Subject, Tombstone};

/// Subjects are here, values are there.
pub(super) const QUEUE: &str = "erase_queue";
pub(super) const CORRECTIONS: &str = "corrections";

/// The columns of a row that name a subject, and which kind of subject.
pub(super) const SUBJECT_COLUMNS: [(&str, &str); 4] =
    [("visitor", "visitor"), ("minted", "visitor"), ("before", "visitor"), ("user_key", "user_key")];

/// Rows older than this are of no job that is alive: it has a few statements, each of which may take
/// an hour at most.
const MAX_JOB_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a mutation that outlived its process may take, once storage is back.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is looked whether it has ended.
const LEFTOVER_POLL: Duration = Duration::from_millis(100);
/// Rows of a version that did not tell jobs apart. Its mutations read whatever is in the tables.
const UNMARKED: u64 = 0;

/// The right to use the tables.
pub(super) struct Queue<'a> {
    storage: &'a Storage,
    _alone: MutexGuard<'a, ()>,
}

/// The number of a job. It is in statements: it says nothing about anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job(u64);

// === impl Job ===

impl Job {
    /// One that no other job has.
    pub fn new() -> Job {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the kernel has random bytes");
        Job(u64::from_le_bytes(bytes).max(UNMARKED + 1))
    }

    /// The condition for its rows in either table.
    pub fn rows(self) -> String {
        format!("job = {}", self.0)
    }

    /// The condition for a row of `hits` that one of its subjects covers, under a further condition
    /// on these.
    pub fn covered(self, database: &str, and: &str) -> String {
        covered(database, QUEUE, &format!(" AND {}{and}", self.rows()))
    }

    /// Whether a mutation that has not ended is of this job.
    fn is_of(self, command: &str) -> bool {
        let mut marked = command.split("job = ").skip(1).peekable();
        match self.0 {
            UNMARKED => {
                marked.peek().is_none() && [QUEUE, CORRECTIONS].iter().any(|table| command.contains(table))
            }
            // One number may begin like another.
            number => marked.any(|rest| {
                let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
                digits.and_then(|digits| digits.parse().ok()) == Some(number)
            }),
        }
    }
}

// === impl Queue ===

impl<'a> Queue<'a> {
    pub async fn open(storage: &'a Storage) -> Queue<'a> {
        Queue { storage, _alone: storage.rewriting().await }
    }

    /// Queues these for the job, runs its work, and removes them: work that fails must not
    /// leave the subjects behind either. For each call a job of its own. Work that is done
    /// while the rows went away is an error: it may have been about nobody.
    pub async fn with<T>(
        &self,
        job: Job,
        subjects: &[&Tombstone],
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        self.run(job, &[QUEUE], subjects, work).await
    }

    /// The same with a value, and the name of what gets it.
    pub async fn with_value<T>(
        &self,
        job: Job,
        subjects: &[&Tombstone],
        [name, value]: [&str; 2],
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let mut given = Vec::new();
        string(&mut given, name);
        string(&mut given, value);
        let work = async {
            self.insert(CORRECTIONS, &["name", "value"], job, std::iter::once(given)).await?;
            work.await
        };
        self.run(job, &[QUEUE, CORRECTIONS], subjects, work).await
    }

    async fn run<T>(
        &self,
        job: Job,
        tables: &[&str],
        subjects: &[&Tombstone],
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        self.settle(|left| left == Job(UNMARKED)).await?;
        let result = async {
            self.fill(job, subjects).await?;
            let done = work.await?;
            for (table, rows) in tables.iter().zip([subjects.len(), 1]) {
                self.has(table, job, rows).await?;
            }
            Ok(done)
        };
        let result = result.await;
        for table in tables {
            // Where subjects could not be removed the value stays with them.
            self.remove(table, &[job]).await?;
        }
        result
    }

    async fn fill(&self, job: Job, subjects: &[&Tombstone]) -> Result<(), StorageError> {
        let rows = subjects.iter().map(|subject| encode(subject));
        self.insert(QUEUE, &["site", "kind", "subject", "before", "made"], job, rows).await?;
        self.has(QUEUE, job, subjects.len()).await
    }

    /// An error, if not all rows of the job are in the table.
    async fn has(&self, table: &str, job: Job, rows: usize) -> Result<(), StorageError> {
        let sql = format!("SELECT count() FROM {}.{table} WHERE {}", self.storage.database(), job.rows());
        match self.storage.number(&sql, &[]).await? {
            found if found == rows as u64 => Ok(()),
            found => {
                Err(StorageError::Unreadable(format!("{found} of the {rows} rows of a job are in {table}")))
            }
        }
    }

    /// Puts rows (RowBinary of `columns`) of the job into one of the tables.
    async fn insert(
        &self,
        table: &str,
        columns: &[&str],
        job: Job,
        rows: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), StorageError> {
        // The server's own clock says later how old they are: that of a collector may be another.
        let now = self.storage.number("SELECT toUnixTimestamp64Milli(now64(3))", &[]).await?;
        let mut payload = Vec::new();
        for row in rows {
            payload.extend(row);
            payload.extend_from_slice(&job.0.to_le_bytes());
            payload.extend_from_slice(&now.to_le_bytes());
        }
        let columns = [columns, &["job", "began"]].concat();
        self.storage.insert_into(table, &columns, &format!("{table}-{}", random()), payload.into()).await
    }

    /// Removes the rows of these jobs from one of the tables.
    async fn remove(&self, table: &str, jobs: &[Job]) -> Result<(), StorageError> {
        let numbers: Vec<String> = jobs.iter().map(|job| job.0.to_string()).collect();
        let database = self.storage.database();
        let sql = format!("ALTER TABLE {database}.{table} DELETE WHERE job IN ({})", numbers.join(", "));
        self.storage.execute(&sql, &[]).await
    }

    /// Removes what jobs have left that are over, but what their mutations still need; waits for
    /// the end of those mutations of which `awaited` says so.
    pub async fn settle(&self, awaited: impl Fn(Job) -> bool) -> Result<(), StorageError> {
        let settled = async {
            while self.remove_left().await?.into_iter().any(&awaited) {
                tokio::time::sleep(LEFTOVER_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(LEFTOVER_TIMEOUT, settled)
            .await
            .map_err(|_| StorageError::TimedOut { after: LEFTOVER_TIMEOUT })?
    }

    /// Says whose rows are left because a mutation needs them.
    async fn remove_left(&self) -> Result<Vec<Job>, StorageError> {
        let left = self.left().await?;
        if left.is_empty() {
            return Ok(left);
        }
        let commands = self.mutations().await?;
        let is_needed = |job: &Job| commands.iter().any(|command| job.is_of(command));
        let (needed, over): (Vec<Job>, Vec<Job>) = left.into_iter().partition(is_needed);
        if !over.is_empty() {
            for table in [QUEUE, CORRECTIONS] {
                self.remove(table, &over).await?;
            }
        }
        Ok(needed)
    }

    /// The jobs that are over, and whose rows are there.
    async fn left(&self) -> Result<Vec<Job>, StorageError> {
        let database = self.storage.database();
        let rows = |table: &str| format!("SELECT job, began FROM {database}.{table}");
        let age = MAX_JOB_AGE.as_secs();
        let is_over = match self.storage.is_embedded() {
            true => "1".to_owned(),
            false => format!("began < now64(3) - toIntervalSecond({age})"),
        };
        let sql = format!(
            "SELECT DISTINCT job FROM ({} UNION ALL {}) WHERE {is_over}",
            rows(QUEUE),
            rows(CORRECTIONS)
        );
        let rows = self.storage.json(&sql, &[], &Limits::default()).await?;
        Ok(rows.iter().filter_map(|row| row.first()?.as_u64()).map(Job).collect())
    }

    /// The texts of the mutations of other tables that have not ended.
    async fn mutations(&self) -> Result<Vec<String>, StorageError> {
        let sql = format!(
            "SELECT command FROM system.mutations WHERE database = '{}' AND NOT is_done \
             AND table NOT IN ('{QUEUE}', '{CORRECTIONS}')",
            self.storage.database()
        );
        let rows = self.storage.json(&sql, &[], &Limits::default()).await?;
        Ok(rows.iter().filter_map(|row| Some(row.first()?.as_str()?.to_owned())).collect())
    }
}

// === impl Storage ===

impl Storage {
    /// Waits for the mutations that outlived their process, and removes the subjects and values
    /// that were left for them, also from the disk.
    pub async fn settle_jobs(&self) -> Result<(), StorageError> {
        let queue = Queue::open(self).await;
        if queue.left().await?.is_empty() {
            return Ok(());
        }
        queue.settle(|_| true).await?;
        self.wait_for_old_parts().await
    }
}

/// The condition for a row of `hits` that a row of `table` covers, under a further
/// condition on that table.
pub(super) fn covered(database: &str, table: &str, and: &str) -> String {
    let one = |(column, kind): (&str, &str)| {
        let subjects = format!("(SELECT site, subject FROM {database}.{table} WHERE kind = '{kind}'{and})");
        format!("(toString(site), {column}) IN {subjects}")
    };
    format!("({})", SUBJECT_COLUMNS.map(one).join(" OR "))
}

/// What one row of the queue says of a subject, as RowBinary.
fn encode(tombstone: &Tombstone) -> Vec<u8> {
    let mut out = Vec::new();
    subject(&tombstone.site, tombstone.subject, &mut out);
    out.extend_from_slice(&tombstone.before_ms.to_le_bytes());
    out.extend_from_slice(&tombstone.made_ms.to_le_bytes());
    out
}

/// Site, kind and subject as RowBinary.
pub(super) fn subject(site: &str, subject: Subject, out: &mut Vec<u8>) {
    // Site ids are at most 64 bytes, so their length is one byte.
    let site = site.as_bytes();
    out.push(site.len().min(127) as u8);
    out.extend_from_slice(&site[..site.len().min(127)]);
    let (kind, hash) = match subject {
        Subject::Visitor(hash) => (1u8, hash),
        Subject::UserKey(hash) => (2, hash),
    };
    out.push(kind);
    out.extend_from_slice(&hash.to_le_bytes());
}

/// For a token that no other insert has.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random bytes");
    u128::from_le_bytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_is_of_the_job_whose_number_stands_in_it() {
        let covered = Job(71).covered("metka", " AND before = 5");
        for (job, expected) in [(71, true), (72, false), (7, false), (711, false)] {
            assert_eq!(Job(job).is_of(&covered), expected, "{job} in {covered}");
        }
        assert!(!Job(UNMARKED).is_of(&covered), "it reads its own rows only");
        // As the version before jobs wrote it.
        let unmarked = super::covered("metka", QUEUE, "");
        assert!(Job(UNMARKED).is_of(&unmarked) && !Job(71).is_of(&unmarked), "{unmarked}");
        // A term that ended reads neither table.
        assert!(!Job(UNMARKED).is_of("DELETE WHERE time < 5"));
    }
}
