//! What storage is asked of a site's hits.
//!
//! In: a part of them. Out: their rows, or what there is of each hour and batch.
//!
//! Bounds: a slice of the past has some [`SLICE_HITS`] hits, a list of batches comes in parts of
//! [`LISTED_HITS`]; of more than [`MAX_KNOWN`] batches the latest hours are listed, and which are not is said. An
//! hour that alone has more is refused by storage.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::Memories;
use crate::fraud::gaze::COLUMNS;
use crate::fraud::memory::{DAY_MS, Shape};
use crate::fraud::stock::{Blocks, HOUR_MS, Listed, MAX_KNOWN, Sum};
use crate::query::Visible;
use crate::store::native::{self, Broken, Reader};
use crate::store::{Limits, Param, StorageError};

/// Hits of one slice of the past: some tens of megabytes on their way.
const SLICE_HITS: u64 = 500_000;
/// Hits of one list of batches, so the most batches in it: as many megabytes on their way.
const LISTED_HITS: u64 = 200_000;
/// What one statement of a making may take.
const READ_TIME: Duration = Duration::from_secs(300);
/// One thread of the engine: dashboards go first.
const SETTINGS: &[(&str, &str)] =
    &[("max_threads", "1"), ("max_block_size", "65536"), ("wait_end_of_query", "0")];
/// Later than every hit: what `DateTime64(3)` holds ends in 2299.
const FAR_MS: i64 = 10_000_000_000_000;

/// Hits of a site between two moments.
const BETWEEN: &str = "site = {site:String} AND time >= fromUnixTimestamp64Milli({from:Int64}) \
    AND time < fromUnixTimestamp64Milli({to:Int64})";

/// What rows come through.
type Chunks = Reader<Box<dyn Iterator<Item = Bytes> + Send>>;

/// Which hits are read.
pub(super) enum Part<'a> {
    Between(i64, i64),
    /// Those of these batches from a moment on: without it the batches of all times are looked through.
    Of(&'a [u64], i64),
}

// === impl Memories ===

impl Memories {
    pub(super) async fn rows<T: Send + 'static>(
        &self,
        site: &str,
        shape: &Shape,
        visible: Visible<'_>,
        part: Part<'_>,
        read: impl FnOnce(&mut Chunks) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, StorageError> {
        let pages = shape.orders.iter().flat_map(|order| [order.before.clone(), order.after.clone()]);
        let ((from, to), of) = match part {
            Part::Between(from, to) => ((from, to.min(FAR_MS)), None),
            Part::Of(batches, from) => ((from, FAR_MS), Some(batches)),
        };
        let mut params = between(site, from, to);
        params.push(("pages".to_owned(), Param::Texts(pages.collect())));
        let of = of.map_or("", |batches| {
            params.push(("batches".to_owned(), Param::Numbers(batches.to_vec())));
            " AND has({batches:Array(UInt64)}, batch)"
        });
        let sql = format!(
            "SELECT {COLUMNS} FROM {}.hits WHERE {BETWEEN}{of}{} ORDER BY time, batch, row",
            self.storage.database(),
            visible.condition()
        );
        let limits = Limits { time: READ_TIME, result_rows: u64::MAX, ..Limits::default() };
        let answer = native::read(&self.storage, &sql, &params, &limits, SETTINGS, move |mut chunks| {
            read(&mut Reader::new(Box::new(std::iter::from_fn(move || chunks.blocking_recv()))))
        });
        answer.await?.map_err(unreadable)
    }

    /// The past in slices of bounded size, by how many hits its days have.
    pub(super) async fn slices(
        &self,
        site: &str,
        first: i64,
        end: i64,
    ) -> Result<Vec<(i64, i64)>, StorageError> {
        let sql = format!(
            "SELECT intDiv(toUnixTimestamp64Milli(time), {DAY_MS}) AS day, count() FROM {}.hits \
             WHERE {BETWEEN} GROUP BY day ORDER BY day",
            self.storage.database()
        );
        let limits = Limits { time: READ_TIME, ..Limits::default() };
        let mut slices = Vec::new();
        for row in self.storage.json(&sql, &between(site, first, end), &limits).await? {
            let (Some(day), Some(hits)) = (row[0].as_i64(), row[1].as_u64()) else { continue };
            let parts = hits.div_ceil(SLICE_HITS).cast_signed().max(1);
            let at = |part: i64| (day * DAY_MS + DAY_MS * part / parts).clamp(first, end);
            slices.extend((0..parts).map(|part| (at(part), at(part + 1))));
        }
        Ok(slices)
    }

    /// What there is of each hour from a moment on, whoever is blocked.
    pub(super) async fn sums(&self, site: &str, from: i64) -> Result<BTreeMap<i64, Sum>, StorageError> {
        let sql = format!(
            "SELECT intDiv(toUnixTimestamp64Milli(time), {HOUR_MS}) AS hour, count(), sum(batch) FROM {}.hits \
             WHERE {BETWEEN} GROUP BY hour",
            self.storage.database()
        );
        let rows = self.storage.json(&sql, &between(site, from, FAR_MS), &Limits::default()).await?;
        Ok(rows.iter().filter_map(|row| Sum::of(row)).collect())
    }

    /// The batches of the last days, which begin where there is room for all that come after.
    pub(super) async fn last_days(
        &self,
        site: &str,
        from: i64,
    ) -> Result<(i64, BTreeMap<i64, Listed>), StorageError> {
        let sums = self.sums(site, from).await?;
        let hours = sums.into_iter().map(|(hour, sum)| (hour, sum.rows)).collect();
        let (listed, cut) = self.listed(site, hours).await?;
        Ok((cut.map_or(from, |hour| (hour + 1) * HOUR_MS), listed))
    }

    /// The batches of hours, which come in order with their rows; and the latest hour that there is no room
    /// for, which is not listed, nor are those before it.
    pub(super) async fn listed(
        &self,
        site: &str,
        hours: Vec<(i64, u64)>,
    ) -> Result<(BTreeMap<i64, Listed>, Option<i64>), StorageError> {
        let sql = format!(
            "SELECT intDiv(toUnixTimestamp64Milli(time), {HOUR_MS}) AS hour, batch, count() FROM {}.hits \
             WHERE {BETWEEN} AND has({{hours:Array(UInt64)}}, toUInt64(hour)) GROUP BY hour, batch",
            self.storage.database()
        );
        let limits = Limits { time: READ_TIME, result_rows: MAX_KNOWN as u64, ..Limits::default() };
        let (mut listed, mut known) = (BTreeMap::<i64, Listed>::new(), 0);
        for part in latest_first(&hours) {
            let (first, last) = (part[0].0, part[part.len() - 1].0);
            let mut params = between(site, first * HOUR_MS, (last + 1) * HOUR_MS);
            let numbers = part.iter().filter_map(|(hour, _)| u64::try_from(*hour).ok());
            params.push(("hours".to_owned(), Param::Numbers(numbers.collect())));
            let rows = self.storage.json(&sql, &params, &limits).await?;
            if known > 0 && known + rows.len() > MAX_KNOWN {
                return Ok((listed, Some(last)));
            }
            known += rows.len();
            for row in rows {
                let number = |column: usize| row.get(column).and_then(serde_json::Value::as_u64);
                let (Some(hour), Some(batch), Some(hits)) = (number(0), number(1), number(2)) else {
                    return Err(StorageError::Unreadable(format!("expected three numbers, found {row:?}")));
                };
                let hits = u32::try_from(hits).unwrap_or(u32::MAX);
                listed.entry(hour.cast_signed()).or_default().insert(batch, hits);
            }
        }
        Ok((listed, None))
    }

    pub(super) async fn blocks(&self, site: &str) -> Result<Blocks, StorageError> {
        let sql = format!(
            "SELECT count(), groupBitXor(cityHash64(toInt8(kind), subject)) FROM {}.blocked WHERE site = {{site:String}}",
            self.storage.database()
        );
        let params = [("site".to_owned(), Param::Text(site.to_owned()))];
        let rows = self.storage.json(&sql, &params, &Limits::default()).await?;
        let number = |column: usize| rows.first().and_then(|row| row.get(column)?.as_u64());
        Ok((number(0).unwrap_or_default(), number(1).unwrap_or_default()))
    }

    pub(super) async fn visible(&self, site: &str) -> Result<Visible<'_>, StorageError> {
        Ok(match self.storage.has_blocks(site).await? {
            true => Visible::unblocked(self.storage.database()),
            false => Visible::all(self.storage.database()),
        })
    }
}

/// What [`BETWEEN`] is asked with.
fn between(site: &str, from: i64, to: i64) -> Vec<(String, Param)> {
    vec![
        ("site".to_owned(), Param::Text(site.to_owned())),
        ("from".to_owned(), Param::Number(from)),
        ("to".to_owned(), Param::Number(to)),
    ]
}

/// Parts of at most [`LISTED_HITS`] hits, so of no more batches, the latest first; an hour with more is one
/// alone.
fn latest_first(mut hours: &[(i64, u64)]) -> Vec<&[(i64, u64)]> {
    let mut parts = Vec::new();
    while !hours.is_empty() {
        let mut sum = 0;
        let fit = hours.iter().rev().take_while(|(_, rows)| {
            sum += rows;
            sum <= LISTED_HITS
        });
        let (rest, part) = hours.split_at(hours.len() - fit.count().max(1));
        parts.push(part);
        hours = rest;
    }
    parts
}

pub(super) fn unreadable(error: Broken) -> StorageError {
    StorageError::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_listed_the_latest_first_in_parts_of_bounded_size() {
        let hours = [(1, 10), (2, LISTED_HITS + 1), (3, LISTED_HITS - 1), (4, 1), (6, 1)];
        assert_eq!(latest_first(&hours), [&hours[3..], &hours[2..3], &hours[1..2], &hours[..1]]);
        assert_eq!(latest_first(&hours[..0]), [] as [&[(i64, u64)]; 0]);
        assert_eq!(latest_first(&hours[2..4]), [&hours[2..4]]);
    }
}
