//! The end of address keys: once every address of a month is past its term, the
//! month's keys are destroyed, so that copies of them elsewhere (backups, snapshots,
//! a dead letter) become unreadable too.
//!
//! In: storage, the key ring, what waits in the spool. Out: which keys are due.
//!
//! A key is due when all of this holds:
//! - its month (UTC) ended so long ago as the longest term of the addresses of that
//!   month: that of the month's rows; where there are none, of the configured sites;
//! - no row has an address under it, or only rows whose address has expired. A held
//!   row keeps its key;
//! - nothing waits in the spool that was received before the month's end.
//!
//! Limit: it looks at one storage. Collectors that share `keys.dir` and have each a
//! storage of its own destroy a key that a held row of the other still needs.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::survey::limits;
use super::terms::{DAY_MS, Kind, Table};
use crate::config::Config;
use crate::privacy::keys::{KeyInfo, Purpose};
use crate::store::{Storage, StorageError};

/// What storage says about keys and months.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Needs {
    /// Addresses that have not expired, by key; only those with some.
    by_key: BTreeMap<u32, u64>,
    /// The longest term of an address in days, by month as `yyyymm`.
    longest: BTreeMap<u32, i64>,
}

/// The ids of the keys that are due at `now`.
pub async fn due(
    storage: &Storage,
    config: &Config,
    keys: &[KeyInfo],
    waiting_since_ms: Option<u64>,
    now: Timestamp,
) -> Result<Vec<u32>, StorageError> {
    let now_ms = now.as_millisecond();
    let held = keys.iter().filter(|key| key.purpose == Purpose::Ip && key.destroyed.is_empty());
    let past: Vec<u32> =
        held.map(|key| key.id).filter(|id| month_end(*id).is_some_and(|end| end <= now_ms)).collect();
    if past.is_empty() {
        return Ok(Vec::new());
    }
    let needs = needs(storage, now_ms).await?;
    // A row's end is its address's too.
    let configured =
        config.sites.iter().map(|site| site.retention.ip_days.min(site.retention.raw_days)).max();
    let configured = i64::from(configured.unwrap_or(1));
    Ok(past
        .into_iter()
        .filter(|id| {
            let Some(end) = month_end(*id) else { return false };
            let days = needs.longest.get(&(id / 100)).copied().unwrap_or(configured);
            let waits = waiting_since_ms.is_some_and(|since| since.cast_signed() < end);
            end + days * DAY_MS <= now_ms && !needs.by_key.contains_key(id) && !waits
        })
        .collect())
}

async fn needs(storage: &Storage, now_ms: i64) -> Result<Needs, StorageError> {
    let mut needs = Needs::default();
    for (table, column, kind, days) in [
        (Table::Hits, "time", Kind::Ip, "least(ip_days, keep_days)"),
        (Table::Refusals, "hour", Kind::Refusals, "ip_days"),
    ] {
        let name = format!("{}.{}", storage.database(), table.name());
        let gone = [table.rows(), kind].map(|kind| kind.expired(now_ms)).join(" OR ");
        let sql = format!(
            "SELECT ip_key, countIf(NOT ({gone})) AS needed FROM {name} WHERE ip_key != 0 GROUP BY 1 HAVING needed > 0"
        );
        for row in storage.json(&sql, &[], &limits()).await? {
            let (key, rows) = pair(&row)?;
            *needs.by_key.entry(key).or_default() += rows;
        }
        let sql = format!("SELECT toYYYYMM({column}), max({days}) FROM {name} GROUP BY 1");
        for row in storage.json(&sql, &[], &limits()).await? {
            let (month, days) = pair(&row)?;
            let longest = needs.longest.entry(month).or_default();
            *longest = (*longest).max(days.cast_signed());
        }
    }
    Ok(needs)
}

fn pair(row: &[Value]) -> Result<(u32, u64), StorageError> {
    let found = match row {
        [one, two] => one.as_u64().and_then(|one| u32::try_from(one).ok()).zip(two.as_u64()),
        _ => None,
    };
    found.ok_or_else(|| StorageError::Unreadable(format!("expected two numbers, found {row:?}")))
}

/// When the month of an address key (`yyyymmnn`) was over, in milliseconds since 1970.
fn month_end(id: u32) -> Option<i64> {
    let (year, month) = (i16::try_from(id / 10_000).ok()?, i8::try_from(id / 100 % 100).ok()?);
    let first = Date::new(year, month, 1).ok()?;
    let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
    Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_with_its_last_millisecond() {
        for (id, end) in [
            (20_261_101, Some("2026-12-01T00:00:00Z")),
            (20_261_299, Some("2027-01-01T00:00:00Z")),
            (20_280_201, Some("2028-03-01T00:00:00Z")),
            (20_261_301, None),
            (7, None),
        ] {
            let end = end.map(|text| text.parse::<Timestamp>().expect("an instant").as_millisecond());
            assert_eq!(month_end(id), end, "{id}");
        }
    }
}
