//! What storage holds of each kind, by part and site, and how much of it has
//! expired. Counting, deciding and verifying all read these numbers.
//!
//! In: a table, a moment. Out: a line for each part and site. A part never changes: what was counted of one holds as long as it is there.

use std::time::Duration;

use serde_json::Value;

use super::terms::{Kind, Table};
use crate::store::{Limits, Storage, StorageError};

/// A survey reads some columns of the whole table: a billion rows take minutes.
const TIME: Duration = Duration::from_secs(1800);
/// Parts times sites: ClickHouse refuses inserts long before there are 3,000 parts
/// in a partition, and a site has its rows in a part of each month at least.
const MAX_LINES: u64 = 2_000_000;
const MEMORY_BYTES: u64 = 2 << 30;

/// How a job's questions are bounded.
pub(super) fn limits() -> Limits {
    Limits { time: TIME, memory_bytes: MEMORY_BYTES, result_rows: MAX_LINES }
}

/// One site's data in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub part: String,
    pub site: String,
    /// In the order of [`Table::kinds`].
    pub counts: Vec<(Kind, Count)>,
}

/// One kind of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows that hold something of the kind.
    pub present: u64,
    /// Of them: what the job removes.
    pub expired: u64,
    /// Of them: past their term, and held.
    pub held_back: u64,
    /// Of them: what nothing may remove while the job runs.
    pub safe: u64,
    /// Time of the oldest that is neither expired nor held, in milliseconds since
    /// 1970; 0 for none.
    pub oldest_ms: i64,
}

/// Counts a table.
pub async fn survey(storage: &Storage, table: Table, now_ms: i64) -> Result<Vec<Line>, StorageError> {
    let mut columns = vec!["_part".to_owned(), "toString(site)".to_owned()];
    for kind in table.kinds() {
        columns.push(format!("countIf({})", kind.present()));
        for condition in [kind.expired(now_ms), kind.held_back(now_ms), kind.safe(now_ms)] {
            columns.push(format!("countIf({condition})"));
        }
        columns.push(format!("minIf({}, {})", table.time(), kind.young(now_ms)));
    }
    let sql =
        format!("SELECT {} FROM {}.{} GROUP BY 1, 2", columns.join(", "), storage.database(), table.name());
    let rows = storage.json(&sql, &[], &limits()).await?;
    rows.iter()
        .map(|row| {
            line(table, row)
                .ok_or_else(|| StorageError::Unreadable(format!("expected counts, found {row:?}")))
        })
        .collect()
}

fn line(table: Table, row: &[Value]) -> Option<Line> {
    let text = |at: usize| Some(row.get(at)?.as_str()?.to_owned());
    let mut counts = Vec::new();
    for (index, kind) in table.kinds().enumerate() {
        let number = |at: usize| row.get(2 + 5 * index + at)?.as_u64();
        let count = Count {
            present: number(0)?,
            expired: number(1)?,
            held_back: number(2)?,
            safe: number(3)?,
            oldest_ms: row.get(2 + 5 * index + 4)?.as_i64()?,
        };
        counts.push((kind, count));
    }
    Some(Line { part: text(0)?, site: text(1)?, counts })
}

// === impl Line ===

impl Line {
    /// The line's count of one kind.
    pub fn of(&self, kind: Kind) -> Count {
        self.counts.iter().find(|(other, _)| *other == kind).map(|(_, count)| *count).unwrap_or_default()
    }
}

// === impl Count ===

impl Count {
    /// Takes another part's count in.
    pub fn add(&mut self, other: Count) {
        self.present += other.present;
        self.expired += other.expired;
        self.held_back += other.held_back;
        self.safe += other.safe;
        self.oldest_ms = match (self.oldest_ms, other.oldest_ms) {
            (0, one) | (one, 0) => one,
            (one, two) => one.min(two),
        };
    }
}
