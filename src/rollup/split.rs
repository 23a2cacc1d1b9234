//! Days whose people a returning cookie splits.
//!
//! Somebody without a cookie is a hash of the day. If several of its hits were offered a
//! cookie and one of these cookies comes back on a later day, that hit turns out to be
//! another person's: the day has one person more. (Several browsers behind one address.)
//! A hash with a single hit is named by its cookie beforehand and needs nothing.
//!
//! In: days in which cookies came back. Out: days that are made and have a hit which such a
//! cookie takes away from its hash. Cookies that are known from a made day, or were offered
//! in the days themselves, cannot; so there is nearly never one to look for among all hits.

use std::collections::HashSet;

use jiff::civil::Date;

use super::days::{DayRange, Days};
use super::visits;
use crate::query::Visible;
use crate::store::{Limits, Storage, StorageError};

/// Above so many, what was found is forgotten, and found once more.
const MAX_FOUND: usize = 100_000;

pub async fn find(
    storage: &Storage,
    site: &str,
    visible: Visible<'_>,
    days: &DayRange,
    known: &Days,
    found: &mut HashSet<(Date, u64)>,
) -> Result<Vec<Date>, StorageError> {
    if known.made.range(..days.first).next().is_none() {
        return Ok(Vec::new());
    }
    let (database, unblocked) = (visible.database, visible.condition());
    let here = format!(
        "site = {{site:String}} AND bot = '' AND time >= fromUnixTimestamp64Milli({{from:Int64}}) \
         AND time < fromUnixTimestamp64Milli({{to:Int64}}){unblocked}"
    );
    let params = visits::params(site, days);
    let cookies = format!(
        "SELECT DISTINCT visitor FROM {database}.hits WHERE {here} AND identity = 'cookie'
  AND visitor NOT IN (SELECT minted FROM {database}.hits WHERE {here} AND minted != 0)
  AND visitor NOT IN (SELECT person FROM {database}.visits WHERE site = {{site:String}}
      AND person IN (SELECT visitor FROM {database}.hits WHERE {here} AND identity = 'cookie'))"
    );
    if storage.number(&format!("SELECT count() FROM ({cookies})"), &params).await? == 0 {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT DISTINCT toString(toDate(time, {{zone:String}})), minted FROM {database}.hits
WHERE site = {{site:String}} AND bot = '' AND time < fromUnixTimestamp64Milli({{from:Int64}})
  AND minted IN ({cookies}){unblocked}"
    );
    let rows = storage.json(&sql, &params, &Limits::default()).await?;
    if found.len() > MAX_FOUND {
        found.clear();
    }
    let mut split = Vec::new();
    for row in rows {
        let (Some(day), Some(cookie)) = (row[0].as_str().and_then(|day| day.parse().ok()), row[1].as_u64())
        else {
            continue;
        };
        if known.made.contains_key(&day) && found.insert((day, cookie)) {
            split.push(day);
        }
    }
    Ok(split)
}
