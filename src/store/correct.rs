//! Another value in one column of subjects' rows.
//!
//! In: subjects of sites, a range of time, and a [`Change`]. Out: how many rows
//! were changed. When it returns no row of them in that time has another value, and
//! the parts that held the old one are gone from the disk.
//!
//! A mutation's file keeps the statement's text, so neither subjects nor the value
//! are in it: subjects go by the table of [`super::queue`], the value by the table
//! `corrections`, which holds one row while a correction is under way and none
//! otherwise. A crash leaves the mutation to ClickHouse, which goes on with it at its
//! next start, and both tables filled, so that it finds the same there; whoever uses
//! them next waits for its end ([`Storage::settle_corrections`]). A mutation that
//! finds them empty changes nothing.
//!
//! It does not touch detached parts: nobody can be looked up in them, and to drop
//! them, as an erasure does, would cost others their rows.

use std::time::Duration;

use super::queue::{Queue, covered, random};
use super::{Block, Storage, StorageError};
use crate::spool::Tombstone;

/// How long a mutation that outlived its process may take, once storage is back.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is looked whether it has ended.
const LEFTOVER_POLL: Duration = Duration::from_millis(100);

/// What becomes of a row.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// A column of texts gets this one.
    Text { column: &'static str, value: String },
    /// The property of this name gets the value, in rows that have it.
    Property { name: String, value: String },
    /// The property of this name goes.
    NoProperty { name: String },
    /// The user key goes.
    NoUserKey,
    /// Who agreed to marketing has agreed to all but that.
    NoMarketing,
}

/// The parts of a statement.
struct Texts {
    set: String,
    /// The condition for a row that is not as it should be.
    differs: String,
}

// === impl Change ===

impl Change {
    fn texts(&self, database: &str) -> Texts {
        let given =
            |column: &str| format!("assumeNotNull((SELECT any({column}) FROM {database}.corrections))");
        let (name, value) = (given("name"), given("value"));
        let (set, differs) = match self {
            Change::Text { column, .. } => (format!("{column} = {value}"), format!("{column} != {value}")),
            Change::Property { .. } => (
                format!("props = mapUpdate(props, map({name}, {value}))"),
                format!("mapContains(props, {name}) AND props[{name}] != {value}"),
            ),
            Change::NoProperty { .. } => (
                format!("props = mapFilter((known, _) -> known != {name}, props)"),
                format!("mapContains(props, {name})"),
            ),
            Change::NoUserKey => ("user_key = 0".to_owned(), "user_key != 0".to_owned()),
            Change::NoMarketing => ("consent = 'granted'".to_owned(), "consent = 'marketing'".to_owned()),
        };
        Texts { set, differs }
    }

    /// What the table holds for it.
    fn given(&self) -> [&str; 2] {
        match self {
            Change::Text { value, .. } => ["", value],
            Change::Property { name, value } => [name, value],
            Change::NoProperty { name } => [name, ""],
            Change::NoUserKey | Change::NoMarketing => ["", ""],
        }
    }
}

// === impl Storage ===

impl Storage {
    /// Changes the rows of these that came in `from_ms..before_ms`, and says how many
    /// had another value.
    pub async fn correct(
        &self,
        whose: &[Block],
        (from_ms, before_ms): (i64, i64),
        change: &Change,
    ) -> Result<u64, StorageError> {
        if whose.is_empty() {
            return Ok(0);
        }
        let queued: Vec<Tombstone> = whose
            .iter()
            .map(|block| Tombstone {
                site: block.site.clone(),
                subject: block.subject,
                before_ms,
                made_ms: before_ms,
            })
            .collect();
        let database = self.database();
        let Texts { set, differs } = change.texts(database);
        let at = |ms: i64| format!("fromUnixTimestamp64Milli(toInt64({ms}), 'UTC')");
        let condition = format!(
            "time >= {} AND time < {} AND ({differs}) AND {}",
            at(from_ms),
            at(before_ms),
            covered(database, "erase_queue", "")
        );
        let queue = Queue::open(self).await;
        let job = async {
            self.give(change.given()).await?;
            // What storage says of an error may quote the value.
            self.change_rows(&set, &condition).await.map_err(StorageError::without_text)
        };
        self.rows_will_change();
        let changed = queue.with(&queued.iter().collect::<Vec<_>>(), job).await;
        // Also after a failure, and only now: a mutation that still runs must find nobody
        // before it finds no value.
        self.empty_corrections().await?;
        self.rows_have_changed(true).await?;
        self.wait_for_old_parts().await?;
        changed
    }

    async fn change_rows(&self, set: &str, condition: &str) -> Result<u64, StorageError> {
        let database = self.database();
        let count = format!("SELECT count() FROM {database}.hits WHERE {condition}");
        let rows = self.count(&count, &[]).await?;
        if rows > 0 {
            self.execute(&format!("ALTER TABLE {database}.hits UPDATE {set} WHERE {condition}"), &[]).await?;
            // A mutation may be skipped without a word.
            let left = self.count(&count, &[]).await?;
            if left > 0 {
                return Err(StorageError::Unreadable(format!("{left} of {rows} rows kept their old value")));
            }
        }
        Ok(rows)
    }

    /// Waits for the mutation of a correction that outlived its process, and removes the
    /// value that was left for it.
    pub async fn settle_corrections(&self) -> Result<(), StorageError> {
        let database = self.database();
        if self.count(&format!("SELECT count() FROM {database}.corrections"), &[]).await? == 0 {
            return Ok(());
        }
        let sql = format!(
            "SELECT count() FROM system.mutations WHERE database = '{database}' AND table = 'hits' AND NOT is_done"
        );
        let ended = async {
            while self.count(&sql, &[]).await? > 0 {
                tokio::time::sleep(LEFTOVER_POLL).await;
            }
            Ok::<(), StorageError>(())
        };
        tokio::time::timeout(LEFTOVER_TIMEOUT, ended)
            .await
            .map_err(|_| StorageError::TimedOut { after: LEFTOVER_TIMEOUT })??;
        self.empty_corrections().await?;
        self.wait_for_old_parts().await
    }

    async fn give(&self, given: [&str; 2]) -> Result<(), StorageError> {
        self.empty_corrections().await?;
        let mut payload = Vec::new();
        given.into_iter().for_each(|text| super::row::string(&mut payload, text));
        let token = format!("correct-{}", random());
        self.insert_into("corrections", &["name", "value"], &token, payload.into()).await
    }

    async fn empty_corrections(&self) -> Result<(), StorageError> {
        self.execute(&format!("TRUNCATE TABLE {}.corrections", self.database()), &[]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_statement_holds_what_it_is_about() {
        let (name, value) = ("diagnosis".to_owned(), "Tver".to_owned());
        for change in [
            Change::Text { column: "city", value: value.clone() },
            Change::Property { name: name.clone(), value: value.clone() },
            Change::NoProperty { name: name.clone() },
            Change::NoUserKey,
            Change::NoMarketing,
        ] {
            let Texts { set, differs } = change.texts("metka");
            for text in [set, differs] {
                assert!(!text.contains(&name) && !text.contains(&value), "{text}");
            }
        }
    }
}
