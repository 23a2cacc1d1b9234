//! A made-up clinic with some months of made-up visitors.
//!
//! [`load`] fills storage with history up to now, so that a newcomer sees a
//! full dashboard at once; [`remove`] takes it out again, physically. Made-up
//! rows are marked twice: `demo = true`, and a batch in [`DEMO_BATCHES`], a
//! range that no spool uses. Only rows with both marks are ever removed.

pub mod history;
mod random;
mod site;
pub mod vocabulary;

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};

use crate::config::Site;
use crate::store::row::{COLUMNS, HitId};
use crate::store::{Limits, Param, Storage, StorageError};
use history::History;
pub use site::{SITE, add_site};

/// The batches of made-up rows. The upper 24 bits of a batch name the data
/// directory that made it; this one is the demo's.
pub const DEMO_BATCHES: std::ops::RangeInclusive<u64> = 0xFF_FFFF << 40..=u64::MAX;
/// How far back the history goes, in days: half a year.
pub const DEMO_DAYS: i64 = 183;

/// Inserts what is missing of the history of `site` up to `now`; returns how
/// many rows. A day's rows are the same whenever they are made, so what is
/// there is recognised by its number, and a later call adds the days since.
pub async fn load(storage: &Storage, site: &Site, now: Timestamp) -> Result<u64, StorageError> {
    let history = History::clinic(site);
    let stored = stored_days(storage, &site.id).await?;
    // What comes is of days that are over.
    storage.rows_will_change();
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut loaded = 0;
    // A month is a partition, and an insert holds one partition.
    let mut month: Option<(i16, i8)> = None;
    let mut payload = Vec::new();
    for back in (0..=DEMO_DAYS).rev() {
        let Ok(day) = today.checked_sub(jiff::Span::new().days(back)) else { continue };
        if month != Some((day.year(), day.month())) {
            insert(storage, std::mem::take(&mut payload), now).await?;
            month = Some((day.year(), day.month()));
        }
        let number = history::day_number(day);
        let known = stored.iter().find(|(stored, _)| *stored == number).map_or(0, |(_, rows)| *rows);
        let rows = history.day(day);
        let past = rows.iter().take_while(|row| row.time <= now.as_millisecond());
        for (index, row) in past.enumerate().skip(known) {
            let id = HitId { batch: DEMO_BATCHES.start() + number, row: index as u32 };
            row.encode(id, &mut payload);
            loaded += 1;
        }
    }
    insert(storage, payload, now).await?;
    storage.rows_have_changed(false).await?;
    Ok(loaded)
}

/// Deletes all made-up rows from the disk; returns how many. Verified: an
/// error, if any is still there.
pub async fn remove(storage: &Storage) -> Result<u64, StorageError> {
    let database = storage.database();
    let made_up = format!("demo AND batch >= {}", DEMO_BATCHES.start());
    let count = format!("SELECT count() FROM {database}.hits WHERE {made_up}");
    let _alone = storage.rewriting().await;
    let before = storage.number(&count, &[]).await?;
    if before > 0 {
        storage.rows_will_change();
        storage.execute(&format!("ALTER TABLE {database}.hits DELETE WHERE {made_up}"), &[]).await?;
        storage.rows_have_changed(false).await?;
    }
    match storage.number(&count, &[]).await? {
        0 => Ok(before),
        left => Err(StorageError::Unreadable(format!("{left} of {before} made-up rows are still there"))),
    }
}

/// Today's number of rows of each made-up day.
async fn stored_days(storage: &Storage, site: &str) -> Result<Vec<(u64, usize)>, StorageError> {
    let sql = format!(
        "SELECT batch - {first}, count() FROM {database}.hits \
         WHERE site = {{site:String}} AND demo AND batch >= {first} GROUP BY batch",
        first = DEMO_BATCHES.start(),
        database = storage.database(),
    );
    let params = [("site".to_owned(), Param::Text(site.to_owned()))];
    let rows = storage.json(&sql, &params, &Limits::default()).await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.first()?.as_u64()?, usize::try_from(row.get(1)?.as_u64()?).ok()?)))
        .collect())
}

async fn insert(storage: &Storage, payload: Vec<u8>, now: Timestamp) -> Result<(), StorageError> {
    if payload.is_empty() {
        return Ok(());
    }
    // The moment is part of the token, so that rows can come back after `remove`:
    // storage remembers the tokens of rows that were deleted.
    let token = format!("demo-{}-{}", blake3::hash(&payload).to_hex(), now.as_millisecond());
    storage.insert(COLUMNS, &token, Bytes::from(payload)).await
}
