//! The table `erase_queue`: how subjects reach a mutation.
//!
//! Invariant: a subject is never part of a statement, since a mutation's file
//! keeps the statement's text. Subjects go into this table as rows, the mutation
//! reads them from there, and the table is emptied afterwards, also of what a
//! crash left in it. Times are part of the text: they are nobody's.
//!
//! One job at a time uses the table: callers in one process wait for each other and
//! for other jobs that rewrite parts ([`parts`]), and a command asks the running
//! server to do its work.

use tokio::sync::MutexGuard;

use super::{Storage, StorageError, parts};
use crate::spool::{Subject, Tombstone};

/// The columns of a row that name a subject, and which kind of subject.
pub(super) const SUBJECT_COLUMNS: [(&str, &str); 4] =
    [("visitor", "visitor"), ("minted", "visitor"), ("before", "visitor"), ("user_key", "user_key")];

/// The right to use the table.
pub(super) struct Queue<'a> {
    storage: &'a Storage,
    _alone: MutexGuard<'static, ()>,
}

// === impl Queue ===

impl<'a> Queue<'a> {
    pub async fn open(storage: &'a Storage) -> Queue<'a> {
        Queue { storage, _alone: parts::alone().await }
    }

    /// Fills the table with these and nothing else, runs `job`, and empties it: a job
    /// that fails must not leave the subjects behind either.
    pub async fn with<T>(
        &self,
        subjects: &[&Tombstone],
        job: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        // Its mutation reads who is meant from the table.
        self.storage.settle_corrections().await?;
        self.empty().await?;
        let result = match self.fill(subjects).await {
            Ok(()) => job.await,
            Err(error) => Err(error),
        };
        self.empty().await?;
        result
    }

    async fn fill(&self, subjects: &[&Tombstone]) -> Result<(), StorageError> {
        let queued = subjects.len() as u64;
        let mut payload = Vec::new();
        subjects.iter().for_each(|subject| encode(subject, &mut payload));
        let columns = ["site", "kind", "subject", "before", "made"];
        let token = format!("erase-{}", random());
        self.storage.insert_into("erase_queue", &columns, &token, payload.into()).await?;
        let sql = format!("SELECT count() FROM {}.erase_queue", self.storage.database());
        let found = self.storage.number(&sql, &[]).await?;
        match found == queued {
            true => Ok(()),
            false => Err(StorageError::Unreadable(format!("{found} of {queued} subjects are queued"))),
        }
    }

    async fn empty(&self) -> Result<(), StorageError> {
        let sql = format!("TRUNCATE TABLE {}.erase_queue", self.storage.database());
        self.storage.execute(&sql, &[]).await
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

/// One row of the queue as RowBinary.
fn encode(tombstone: &Tombstone, out: &mut Vec<u8>) {
    subject(&tombstone.site, tombstone.subject, out);
    out.extend_from_slice(&tombstone.before_ms.to_le_bytes());
    out.extend_from_slice(&tombstone.made_ms.to_le_bytes());
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
