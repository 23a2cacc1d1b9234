//! The tables `blocked`, whose rows are in no number, though they are stored, and
//! `held`, whose rows are kept past their terms, and counted as before.
//!
//! In: subjects of a site. Out: from the return of a block on no question sees a row
//! that one of them covers, whenever it came or comes ([`crate::query`] asks for that);
//! after its end all do again. Nobody is asked about who is held.
//!
//! The table `ended` says who was taken off a list, and when, for [`ENDED_DAYS`]: collectors
//! on one storage each have a copy of the lists ([`crate::subject::block`]), which must not put
//! them on it again.
//!
//! Both lists keep rows, whatever their terms: `hold` is set on them, which stops the
//! terms of the schema and of retention. That is a mutation, so it follows the list; rows
//! that come later get theirs by [`Storage::hold_listed`], which is to run more often than
//! the shortest term, a day. A hold ends with the last entry of either list that covers
//! the row.

use std::collections::BTreeMap;
use std::time::Duration;

use super::queue::{Job, QUEUE, Queue, covered, random, subject};
use super::{Limits, Param, Storage, StorageError};
use crate::spool::{Subject, Tombstone};

/// Looking at a table of a few rows; the answer decides whether a question can be asked.
const LOOK: Duration = Duration::from_secs(5);
/// The most entries of a list, of all sites together: each question reads the blocks of its site, and the copy of a list is one file.
pub const MAX_BLOCKS: usize = 50_000;

/// How long an end is known, as the table's own term says: a collector that was away for longer puts
/// those whom its copy has on the list again.
const ENDED_DAYS: u32 = 90;

/// How often rows are gone through that arrive while their hold is being set.
const MAX_PASSES: usize = 5;

/// The lists, each a table of the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// In no number, and kept past their terms.
    Blocked,
    /// Kept past their terms.
    Held,
}

/// A subject on a list of a site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    pub site: String,
    pub subject: Subject,
}

// === impl List ===

impl List {
    pub const ALL: [List; 2] = [List::Blocked, List::Held];

    pub fn table(self) -> &'static str {
        match self {
            List::Blocked => "blocked",
            List::Held => "held",
        }
    }
}

// === impl Storage ===

impl Storage {
    /// Whether anybody is blocked on the site.
    pub async fn has_blocks(&self, site: &str) -> Result<bool, StorageError> {
        let sql = format!("SELECT count() FROM {}.blocked WHERE site = {{site:String}}", self.database());
        let params = [("site".to_owned(), Param::Text(site.to_owned()))];
        let limits = Limits { time: LOOK, ..Limits::default() };
        let rows = self.json(&sql, &params, &limits).await?;
        Ok(rows.first().and_then(|row| row.first()?.as_u64()) > Some(0))
    }

    /// All who are on a list, in order.
    pub async fn listed(&self, list: List) -> Result<Vec<Block>, StorageError> {
        let sql = format!(
            "SELECT DISTINCT site, toInt8(kind), subject FROM {}.{} ORDER BY ALL",
            self.database(),
            list.table()
        );
        let rows = self.json(&sql, &[], &Limits::default()).await?;
        let mut blocks: Vec<Block> = rows.iter().filter_map(|row| block(row)).collect();
        if blocks.len() != rows.len() {
            return Err(StorageError::Unreadable(format!("a row of {} is not one", list.table())));
        }
        blocks.sort();
        Ok(blocks)
    }

    /// Who was taken off a list, and when last, in milliseconds since 1970; the latest, as many as a list
    /// may have entries.
    pub async fn ended(&self, list: List) -> Result<BTreeMap<Block, i64>, StorageError> {
        let sql = format!(
            "SELECT site, toInt8(kind), subject, toUnixTimestamp64Milli(max(at)) FROM {}.ended \
             WHERE list = '{}' GROUP BY ALL ORDER BY max(at) DESC LIMIT {MAX_BLOCKS}",
            self.database(),
            list.table()
        );
        let rows = self.json(&sql, &[], &Limits::default()).await?;
        let ended = |row: &Vec<serde_json::Value>| Some((block(row.get(..3)?)?, row.get(3)?.as_i64()?));
        let ends: BTreeMap<Block, i64> = rows.iter().filter_map(ended).collect();
        match ends.len() == rows.len() {
            true => Ok(ends),
            false => Err(StorageError::Unreadable("a row of ended is not one".to_owned())),
        }
    }

    /// Puts these on a list; those that are on it stay so. Returns before the rows are held.
    pub async fn enlist(&self, list: List, blocks: &[Block], since_ms: i64) -> Result<(), StorageError> {
        let _queue = Queue::open(self).await;
        let known = self.listed(list).await?;
        let new: Vec<&Block> = blocks.iter().filter(|block| known.binary_search(block).is_err()).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut payload = Vec::new();
        for block in new {
            subject(&block.site, block.subject, &mut payload);
            payload.extend_from_slice(&since_ms.to_le_bytes());
        }
        let token = format!("{}-{}", list.table(), random());
        self.rows_will_change();
        self.insert_into(list.table(), &["site", "kind", "subject", "since"], &token, payload.into()).await?;
        if list == List::Blocked {
            self.forget(blocks.iter().map(|block| (block.site.as_str(), block.subject)));
        }
        self.rows_have_changed(false).await
    }

    /// Takes these off a list, and ends the holds that only they gave.
    pub async fn delist(&self, list: List, blocks: &[Block]) -> Result<(), StorageError> {
        let queue = Queue::open(self).await;
        let queued: Vec<Tombstone> = blocks
            .iter()
            .map(|block| Tombstone {
                site: block.site.clone(),
                subject: block.subject,
                before_ms: 0,
                made_ms: 0,
            })
            .collect();
        let (database, job) = (self.database(), Job::new());
        let work = async {
            let mine = job.rows();
            let listed = format!(
                "(site, kind, subject) IN (SELECT site, kind, subject FROM {database}.{QUEUE} WHERE {mine})"
            );
            let table = list.table();
            let count = format!("SELECT count() FROM {database}.{table} WHERE {listed}");
            if self.number(&count, &[]).await? > 0 {
                // No earlier than what it ends, whatever the clocks say.
                let ends = format!(
                    "INSERT INTO {database}.ended (list, site, kind, subject, at) \
                     SELECT '{table}', site, kind, subject, greatest(max(since), now64(3)) \
                     FROM {database}.{table} WHERE {listed} GROUP BY site, kind, subject"
                );
                self.execute(&ends, &[]).await?;
                self.execute(&format!("ALTER TABLE {database}.{table} DELETE WHERE {listed}"), &[]).await?;
            }
            let freed = format!("hold AND {} AND NOT {}", job.covered(database, ""), on_any(database));
            self.set_hold(false, &freed).await
        };
        if !queued.is_empty() {
            self.rows_will_change();
            queue.with(job, &queued.iter().collect::<Vec<_>>(), work).await?;
            self.rows_have_changed(false).await?;
            self.wait_for_old_parts().await?;
        }
        Ok(())
    }

    /// Sets `hold` on every row of whoever is on a list that does not have it, and says how
    /// many.
    pub async fn hold_listed(&self) -> Result<u64, StorageError> {
        let queue = Queue::open(self).await;
        // It runs daily: what a crash has left goes then, where nobody has another job done.
        queue.settle(|_| false).await?;
        self.forget_ends().await?;
        let condition = format!("NOT hold AND {}", on_any(self.database()));
        self.set_hold(true, &condition).await
    }

    /// The same for a storage that was restored, whose rows may be past their terms already: a
    /// mutation of a part with no other row left would drop it whole, as expired. So the rows are put
    /// in once more, held, before those that are not held go.
    pub async fn hold_restored(&self) -> Result<(), StorageError> {
        let _queue = Queue::open(self).await;
        let database = self.database();
        let free = format!("NOT hold AND {}", on_any(database));
        let held = format!("SELECT count() FROM {database}.hits WHERE hold");
        let rows = self.count(&format!("SELECT count() FROM {database}.hits WHERE {free}"), &[]).await?;
        if rows == 0 {
            return Ok(());
        }
        let before = self.count(&held, &[]).await?;
        // Within, as the condition is to see the column and not the value that it gets.
        let again = format!(
            "INSERT INTO {database}.hits SELECT * REPLACE (true AS hold) \
             FROM (SELECT * FROM {database}.hits WHERE {free})"
        );
        // Of any month, and alike in all but one column.
        let settings = [
            ("max_partitions_per_insert_block", "0"),
            ("insert_deduplicate", "0"),
            ("deduplicate_insert", "disable"),
        ];
        self.execute_with(&again, &[], &settings).await?;
        match self.count(&held, &[]).await?.saturating_sub(before) {
            put_in if put_in == rows => {
                self.execute(&format!("ALTER TABLE {database}.hits DELETE WHERE {free}"), &[]).await
            }
            put_in => Err(StorageError::Unreadable(format!("{put_in} of {rows} rows are held"))),
        }
    }

    /// Removes what is past its term in the table of ends.
    async fn forget_ends(&self) -> Result<(), StorageError> {
        let database = self.database();
        let now = self.number("SELECT toUnixTimestamp64Milli(now64(3))", &[]).await?;
        // The time as a number: a mutation on several servers must say the same on each.
        let past =
            format!("at < fromUnixTimestamp64Milli(toInt64({now}), 'UTC') - toIntervalDay({ENDED_DAYS})");
        let count = format!("SELECT count() FROM {database}.ended WHERE {past}");
        if self.number(&count, &[]).await? > 0 {
            self.execute(&format!("ALTER TABLE {database}.ended DELETE WHERE {past}"), &[]).await?;
        }
        Ok(())
    }

    /// Rows that arrive meanwhile are taken along by another pass; a pass that changes
    /// nothing is an error.
    async fn set_hold(&self, hold: bool, condition: &str) -> Result<u64, StorageError> {
        let database = self.database();
        let count = format!("SELECT count() FROM {database}.hits WHERE {condition}");
        let sql = format!("ALTER TABLE {database}.hits UPDATE hold = {hold} WHERE {condition}");
        let rows = self.count(&count, &[]).await?;
        let mut left = rows;
        for _ in 0..MAX_PASSES {
            if left == 0 {
                break;
            }
            self.execute(&sql, &[]).await?;
            let before = std::mem::replace(&mut left, self.count(&count, &[]).await?);
            if left >= before {
                break;
            }
        }
        match left {
            0 => Ok(rows),
            left => {
                Err(StorageError::Unreadable(format!("{left} of {rows} rows did not take hold = {hold}")))
            }
        }
    }
}

/// The condition for a row that an entry of any list covers.
fn on_any(database: &str) -> String {
    format!("({})", List::ALL.map(|list| covered(database, list.table(), "")).join(" OR "))
}

fn block(row: &[serde_json::Value]) -> Option<Block> {
    let [site, kind, hash] = row else { return None };
    let hash = hash.as_u64()?;
    let subject = match kind.as_i64()? {
        1 => Subject::Visitor(hash),
        2 => Subject::UserKey(hash),
        _ => return None,
    };
    Some(Block { site: site.as_str()?.to_owned(), subject })
}
