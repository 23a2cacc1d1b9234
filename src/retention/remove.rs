//! Removes what has expired from one table, physically.
//!
//! In: a table and a moment. Out: how much of each site and kind was removed, and
//! how many parts went whole. When it returns nothing is left that was expired at
//! that moment; the old parts leave the disk within a second, and whoever promises
//! that they have waits for it ([`crate::store::parts`]), once for all tables.
//!
//! - A part whose every row has expired is dropped (`DROP PART`). Not its partition:
//!   a hit that reaches storage late is a part of its own, which was not counted, and
//!   dropping the partition would take it along; so would dropping forget the tokens
//!   of other batches of that month. A part never changes, and one that was merged or
//!   mutated meanwhile has another name, which the engine says.
//! - All other expired rows go by one `ALTER TABLE … DELETE`, and all expired columns
//!   by one `ALTER TABLE … UPDATE`, each only if there are any. Both rewrite the parts;
//!   lightweight forms would leave the values on the disk. `CLEAR COLUMN` would wipe
//!   late hits too, and `MATERIALIZE TTL` goes by the engine's clock and says nothing
//!   of what it did.
//!
//! One statement serves all months. The engine looks into each part whether a row
//! fits, and gives a part without one its new name by links alone; `IN PARTITION`
//! would do the same to the other months, once for every month. They are two
//! statements all the same: a part that loses a row is rewritten with all of its
//! columns, one that only loses values with those alone.
//!
//! Around each statement the table is counted by site and kind: what was expired is
//! gone, what was to stay is there, or it is an error.

use std::collections::BTreeMap;

use super::RetentionError;
use super::survey::{Count, Line, survey};
use super::terms::{Kind, Table};
use crate::store::{Storage, StorageError};

/// How often a table is gone through: again when the engine merged a part that was
/// to be dropped, or late hits came in that had expired on their way.
const MAX_PASSES: usize = 5;
/// ClickHouse's code for a part that is not there (any more).
const NO_SUCH_DATA_PART: u32 = 232;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows that held it, by site and kind.
    pub rows: BTreeMap<(String, Kind), u64>,
    pub parts_dropped: u64,
}

/// Removes until nothing is left.
pub async fn remove(storage: &Storage, table: Table, now_ms: i64) -> Result<Removed, RetentionError> {
    let mut removed = Removed::default();
    storage.rows_will_change();
    for _ in 0..MAX_PASSES {
        let lines = survey(storage, table, now_ms).await?;
        if !lines.iter().any(|line| is_due(line, table)) {
            break;
        }
        drop_parts(storage, table, &lines, &mut removed).await?;
        delete_rows(storage, table, now_ms, &mut removed).await?;
        wipe_columns(storage, table, now_ms, &mut removed).await?;
    }
    storage.rows_have_changed(false).await?;
    Ok(removed)
}

/// Drops the parts that have expired whole, as they were counted.
async fn drop_parts(
    storage: &Storage,
    table: Table,
    lines: &[Line],
    removed: &mut Removed,
) -> Result<(), RetentionError> {
    let mut by_part: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        by_part.entry(&line.part).or_default().push(line);
    }
    let rows = table.rows();
    for (part, lines) in by_part {
        if !lines.iter().all(|line| line.of(rows).expired == line.of(rows).present) {
            continue;
        }
        let _alone = storage.rewriting().await;
        // The name is the engine's own; it goes through the same check as all that becomes text.
        if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let sql = format!("ALTER TABLE {}.{} DROP PART '{part}'", storage.database(), table.name());
        match storage.execute(&sql, &[]).await {
            Ok(()) => {}
            // Merged or mutated since it was counted: the next pass counts what became of it.
            Err(error) if error.code() == Some(NO_SUCH_DATA_PART) => continue,
            Err(error) => return Err(error.into()),
        }
        removed.parts_dropped += 1;
        for line in lines {
            removed.add(&line.site, rows, line.of(rows).expired);
        }
    }
    Ok(())
}

async fn delete_rows(
    storage: &Storage,
    table: Table,
    now_ms: i64,
    removed: &mut Removed,
) -> Result<(), RetentionError> {
    let rows = table.rows();
    let statement = |_: &[Kind]| {
        format!("ALTER TABLE {}.{} DELETE WHERE {}", storage.database(), table.name(), rows.expired(now_ms))
    };
    rewrite(storage, table, now_ms, &[rows], statement, removed).await
}

async fn wipe_columns(
    storage: &Storage,
    table: Table,
    now_ms: i64,
    removed: &mut Removed,
) -> Result<(), RetentionError> {
    // One statement, so that each part is rewritten once; only columns that have something to wipe.
    let statement = |due: &[Kind]| {
        let wipe = |kind: &Kind| {
            let expired = kind.expired(now_ms);
            let one = |(column, empty): &(&str, &str)| format!("{column} = if({expired}, {empty}, {column})");
            kind.wiped().iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let wipes: Vec<String> = due.iter().map(wipe).collect();
        let any: Vec<String> = due.iter().map(|kind| kind.expired(now_ms)).collect();
        format!(
            "ALTER TABLE {}.{} UPDATE {} WHERE {}",
            storage.database(),
            table.name(),
            wipes.join(", "),
            any.join(" OR ")
        )
    };
    rewrite(storage, table, now_ms, table.columns(), statement, removed).await
}

/// Counts, runs the statement for the kinds that have something expired, counts again.
async fn rewrite(
    storage: &Storage,
    table: Table,
    now_ms: i64,
    kinds: &[Kind],
    statement: impl Fn(&[Kind]) -> String,
    removed: &mut Removed,
) -> Result<(), RetentionError> {
    if kinds.is_empty() {
        return Ok(());
    }
    let _alone = storage.rewriting().await;
    let before = by_site(&survey(storage, table, now_ms).await?);
    let has_expired =
        |kind: &&Kind| before.iter().any(|((_, other), count)| other == *kind && count.expired > 0);
    let due: Vec<Kind> = kinds.iter().filter(has_expired).copied().collect();
    if due.is_empty() {
        return Ok(());
    }
    storage.execute(&statement(&due), &[]).await?;
    let after = by_site(&survey(storage, table, now_ms).await?);
    for ((site, kind), was) in &before {
        let is = after.get(&(site.clone(), *kind)).copied().unwrap_or_default();
        if is.safe < was.safe {
            return Err(RetentionError::WentTooFar {
                kind: kind.name(),
                site: site.clone(),
                count: was.safe - is.safe,
            });
        }
        if due.contains(kind) {
            // More than nothing only if late hits came in; as many as before means that nothing was done.
            if is.expired > 0 && is.expired >= was.expired {
                return Err(RetentionError::Left {
                    kind: kind.name(),
                    site: site.clone(),
                    count: is.expired,
                });
            }
            removed.add(site, *kind, was.expired);
        }
    }
    Ok(())
}

fn is_due(line: &Line, table: Table) -> bool {
    table.kinds().any(|kind| line.of(kind).expired > 0)
}

/// The lines' sums by site and kind.
pub(super) fn by_site(lines: &[Line]) -> BTreeMap<(String, Kind), Count> {
    let mut sums: BTreeMap<(String, Kind), Count> = BTreeMap::new();
    for line in lines {
        for (kind, count) in &line.counts {
            sums.entry((line.site.clone(), *kind)).or_default().add(*count);
        }
    }
    sums
}

// === impl Removed ===

impl Removed {
    fn add(&mut self, site: &str, kind: Kind, rows: u64) {
        if rows > 0 {
            *self.rows.entry((site.to_owned(), kind)).or_default() += rows;
        }
    }
}

impl From<StorageError> for RetentionError {
    fn from(error: StorageError) -> RetentionError {
        RetentionError::Storage(error)
    }
}
