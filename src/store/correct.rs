//! Another value in one column of subjects' rows.
//!
//! In: subjects of sites, a range of time, and a [`Change`]. Out: how many rows
//! were changed. When it returns no row of them in that time has another value, and
//! the parts that held the old one are gone from the disk.
//!
//! A mutation's file keeps the statement's text, so neither subjects nor the value
//! are in it: both go by the tables of [`super::queue`], the value by `corrections`, which
//! holds one row for each correction under way. A crash leaves the mutation to ClickHouse,
//! which goes on with it at its next start, and the job's rows in both tables, so that it
//! finds the same there; they go when it has ended ([`Storage::settle_jobs`]). A mutation
//! that finds nobody changes nothing.
//!
//! It does not touch detached parts: nobody can be looked up in them, and to drop
//! them, as an erasure does, would cost others their rows.

use super::queue::{CORRECTIONS, Job, Queue};
use super::{Block, Storage, StorageError};
use crate::spool::Tombstone;

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
    fn texts(&self, database: &str, job: Job) -> Texts {
        let mine = job.rows();
        // Null where the row is gone, so that a mutation which runs on after that changes nothing: an
        // aggregate would be an empty text.
        let given =
            |column: &str| format!("(SELECT {column} FROM {database}.{CORRECTIONS} WHERE {mine} LIMIT 1)");
        let value = given("value");
        let name = format!("assumeNotNull({})", given("name"));
        let (set, differs) = match self {
            Change::Text { column, .. } => {
                (format!("{column} = ifNull({value}, {column})"), format!("{column} != {value}"))
            }
            Change::Property { .. } => (
                // No property has an empty name.
                format!(
                    "props = if(isNull({value}), props, mapUpdate(props, mapFilter((known, _) -> known != '', \
                     map({name}, assumeNotNull({value})))))"
                ),
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
        let (database, job) = (self.database(), Job::new());
        let Texts { set, differs } = change.texts(database, job);
        let at = |ms: i64| format!("fromUnixTimestamp64Milli(toInt64({ms}), 'UTC')");
        let condition = format!(
            "time >= {} AND time < {} AND ({differs}) AND {}",
            at(from_ms),
            at(before_ms),
            job.covered(database, "")
        );
        let queue = Queue::open(self).await;
        let work = async {
            // What storage says of an error may quote the value.
            self.change_rows(&set, &condition).await.map_err(StorageError::without_text)
        };
        self.rows_will_change();
        let changed = queue.with_value(job, &queued.iter().collect::<Vec<_>>(), change.given(), work).await;
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
            let Texts { set, differs } = change.texts("metka", Job::new());
            for text in [set, differs] {
                assert!(!text.contains(&name) && !text.contains(&value), "{text}");
            }
        }
    }
}
