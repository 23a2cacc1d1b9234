//! Makes days, makes them again, and forgets them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::count::Counting;
use super::days::{self, DayRange, Days, Made, Open, Seen};
use super::numbers;
use super::{CHUNK_HITS, FirstLook, Kept, LATE_MS, RECOUNT_EVERY, Rollups, last_due, split, state, visits};
use crate::config::Site;
use crate::identify::visit::TIMEOUT_MS;
use crate::query::Visible;
use crate::store::{Limits, Param, Storage, StorageError};

/// Tables of days that are made.
pub const MADE: [&str; 3] = ["visits", "visitors_by_day", "visits_by_day"];
/// The visits of days that are not over.
pub const OPEN: &str = "visits_today";
/// Counting is at most one part in so many of the time.
const RECOUNT_SHARE: u32 = 100;
/// More days than this whose numbers are missing are made together, from all visits.
const MAX_APPENDED_DAYS: usize = 14;
/// How long a day is left alone of which a visit goes on.
const TRY_AGAIN: Duration = Duration::from_secs(600);
/// What a count of all hits by day may take.
const COUNT_TIME: Duration = Duration::from_secs(300);

impl Rollups {
    /// Looks after one site: counts, forgets what changed, makes what is missing. Returns
    /// whether there is more to do at once.
    pub async fn tend(&self, site: &Site) -> Result<bool, StorageError> {
        let (kept, now) = (self.kept(&site.id), (self.clock)());
        // The configuration's zone of a site does not change while the server runs.
        let zone = kept.zone.get_or_init(|| TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC)).clone();
        let site = site.id.as_str();
        self.recount(site, &zone, &kept).await?;
        let due = last_due(&zone, now);
        let run = {
            let known = kept.days.read().await;
            let wait = known.try_after.is_some_and(|at| at > Instant::now());
            known.days.missing(due, CHUNK_HITS).into_iter().find(|(_, last)| !wait || *last != due)
        };
        if let Some((first, last)) = run {
            return self.make(site, &zone, &kept, (first, last), now).await;
        }
        self.make_numbers(site, &zone, &kept).await
    }

    /// After a job that changed what there is: what it changed is in no table when this
    /// returns. `values`: it changed what hits say and not how many they are.
    pub async fn settle(&self, site: &str, zone: &TimeZone, values: bool) -> Result<(), StorageError> {
        self.changed();
        let kept = self.kept(site);
        if values {
            let mut known = kept.days.write().await;
            let all: Vec<Date> = known.days.made.keys().copied().collect();
            known.days.open = None;
            self.forget(site, &mut known.days, zone, all).await?;
            clear(&self.storage, &[OPEN], site, None).await?;
        }
        self.recount(site, zone, &kept).await
    }

    /// Counts hits by day if that is due, and forgets the days that changed.
    async fn recount(&self, site: &str, zone: &TimeZone, kept: &Arc<Kept>) -> Result<(), StorageError> {
        let changes = self.changes.load(Relaxed);
        let late = kept.take_late();
        let name = zone.iana_name().unwrap_or("UTC");
        {
            let known = kept.days.read().await;
            let until = known.days.made_until(last_due(zone, (self.clock)()));
            let late = late.iter().any(|day| *day <= until);
            let due = known.recount_after.is_none_or(|at| at <= Instant::now());
            if known.counted_at == Some(changes) && known.zone == name && !late && !due {
                return Ok(());
            }
        }
        let is_first = kept.days.read().await.counted_at.is_none();
        let _look = is_first.then(|| FirstLook::at(kept));
        let begun = Instant::now();
        let visible = self.visible(site).await?;
        let counted = count(&self.storage, site, name, visible).await?;
        let took = begun.elapsed();
        let mut known = kept.days.write().await;
        if known.zone != name {
            known.days = Days { made: state::load(&self.storage, site, name).await?, ..Days::default() };
            name.clone_into(&mut known.zone);
            let kept = known.days.made.keys().map(Date::to_string).collect();
            clear(&self.storage, &MADE, site, Some(kept)).await?;
            clear(&self.storage, &[OPEN], site, None).await?;
        }
        let mut changed = known.days.recounted(counted);
        changed.extend(late.into_iter().filter(|day| known.days.made.contains_key(day)));
        changed.sort();
        changed.dedup();
        if known.counted_at != Some(changes) {
            // A job may have changed what is open too.
            known.days.open = None;
            clear(&self.storage, &[OPEN], site, None).await?;
        }
        self.forget(site, &mut known.days, zone, changed).await?;
        known.counted_at = Some(changes);
        known.recount_after = Some(Instant::now() + RECOUNT_EVERY.max(took * RECOUNT_SHARE));
        Ok(())
    }

    /// Days are made no more: written down, their rows deleted.
    async fn forget(
        &self,
        site: &str,
        days: &mut Days,
        zone: &TimeZone,
        changed: Vec<Date>,
    ) -> Result<(), StorageError> {
        let Some(first) = changed.first() else { return Ok(()) };
        let name = zone.iana_name().unwrap_or("UTC");
        let mut lines: Vec<(Date, Option<Made>)> = changed.iter().map(|day| (*day, None)).collect();
        let later = days.made.range(days.numbers_from(*first)..);
        let later = later.filter(|(day, made)| made.numbers && !changed.contains(day));
        lines.extend(later.map(|(day, made)| (*day, Some(Made { numbers: false, ..*made }))));
        state::save(&self.storage, site, name, &lines).await?;
        days.forget(&changed);
        for run in days::runs(&changed) {
            delete(&self.storage, "visits", site, run).await?;
        }
        let last = days.counted.last_key_value().map_or(*first, |(day, _)| *day).max(*first);
        delete_numbers(&self.storage, site, (*first, last)).await?;
        tracing::info!(site, days = changed.len(), "days of the rollups are to be made again");
        Ok(())
    }

    /// Makes the visits of some days.
    async fn make(
        &self,
        site: &str,
        zone: &TimeZone,
        kept: &Arc<Kept>,
        (first, last): (Date, Date),
        now: jiff::Timestamp,
    ) -> Result<bool, StorageError> {
        let name = zone.iana_name().unwrap_or("UTC");
        let Some(range) = DayRange::new(zone, first, last) else { return Ok(false) };
        let visible = self.visible(site).await?;
        let changes = self.changes.load(Relaxed);
        let seen = {
            let mut known = kept.days.write().await;
            let super::Known { days, split, .. } = &mut *known;
            let split = split::find(&self.storage, site, visible, &range, days, split).await?;
            if !split.is_empty() {
                self.forget(site, days, zone, split).await?;
            }
            // Numbers of later days know nothing of these.
            let later: Vec<(Date, Option<Made>)> = days
                .made
                .range(last..)
                .filter(|(_, made)| made.numbers)
                .map(|(day, made)| (*day, Some(Made { numbers: false, ..*made })))
                .collect();
            state::save(&self.storage, site, name, &later).await?;
            days.forget_numbers(first);
            clear(&self.storage, &[OPEN], site, None).await?;
            days.counted.clone()
        };
        // What an attempt that failed has left.
        delete(&self.storage, MADE[0], site, (first, last)).await?;
        let params = visits::params(site, &range);
        self.storage.execute(&visits::insert(MADE[0], MADE[0], visible), &params).await?;
        if self.goes_on(site, &range, now).await? {
            delete(&self.storage, MADE[0], site, (first, last)).await?;
            kept.days.write().await.try_after = Some(Instant::now() + TRY_AGAIN);
            return Ok(false);
        }
        let mut known = kept.days.write().await;
        if self.changes.load(Relaxed) != changes {
            // A job came in between: what was made may hold what it removed.
            delete(&self.storage, "visits", site, (first, last)).await?;
            return Ok(true);
        }
        let made: Vec<(Date, Made)> = seen
            .range(first..=last)
            .map(|(day, seen)| (*day, Made { numbers: false, seen: *seen }))
            .collect();
        let lines: Vec<(Date, Option<Made>)> = made.iter().map(|(day, made)| (*day, Some(*made))).collect();
        state::save(&self.storage, site, name, &lines).await?;
        known.days.made.extend(made);
        known.days.open = None;
        Ok(true)
    }

    /// Whether a visit of the last of these days may still get a hit.
    async fn goes_on(
        &self,
        site: &str,
        range: &DayRange,
        now: jiff::Timestamp,
    ) -> Result<bool, StorageError> {
        let sql = format!(
            "SELECT toUInt64(max(begin + lasted)) FROM {}.visits WHERE site = {{site:String}} AND day = toDate({{last:String}})",
            self.storage.database()
        );
        let last = self.storage.number(&sql, &visits::params(site, range)).await?;
        let last = last.cast_signed();
        Ok(last >= range.to && last + TIMEOUT_MS + LATE_MS >= now.as_millisecond())
    }

    /// Makes the numbers that are missing.
    async fn make_numbers(
        &self,
        site: &str,
        zone: &TimeZone,
        kept: &Arc<Kept>,
    ) -> Result<bool, StorageError> {
        let name = zone.iana_name().unwrap_or("UTC");
        let changes = self.changes.load(Relaxed);
        let visible = self.visible(site).await?;
        let missing: Vec<Date> = {
            let known = kept.days.read().await;
            let missing = known.days.made.iter().filter(|(_, made)| !made.numbers);
            missing.map(|(day, _)| *day).collect()
        };
        let (Some(first), Some(last)) = (missing.first().copied(), missing.last().copied()) else {
            return Ok(false);
        };
        let all = {
            let known = kept.days.read().await;
            known.days.made.first_key_value().map_or(first, |(day, _)| *day)
        };
        let together = missing.len() > MAX_APPENDED_DAYS || first == all;
        let begun = if together { all } else { first };
        let missing: Vec<Date> = {
            let mut known = kept.days.write().await;
            let had: Vec<(Date, Option<Made>)> = known
                .days
                .made
                .range(begun..)
                .filter(|(_, made)| made.numbers)
                .map(|(day, made)| (*day, Some(Made { numbers: false, ..*made })))
                .collect();
            state::save(&self.storage, site, name, &had).await?;
            known.days.forget_numbers(begun);
            known.days.made.range(begun..).map(|(day, _)| *day).collect()
        };
        delete_numbers(&self.storage, site, (begun, last)).await?;
        let Some(range) = DayRange::new(zone, begun, last) else { return Ok(false) };
        let counting = Counting::of(&self.storage, site, &range).await?;
        match together {
            true => counting.people().await?,
            false => counting.people_of(site, zone, &missing).await?,
        }
        counting.sums(visible).await?;
        counting.summaries().await?;
        let mut known = kept.days.write().await;
        let still = known.days.made.range(begun..).filter(|(_, made)| !made.numbers).map(|(day, _)| *day);
        if self.changes.load(Relaxed) != changes || !still.eq(missing.iter().copied()) {
            return Ok(true);
        }
        let mut lines = Vec::new();
        for day in &missing {
            if let Some(made) = known.days.made.get_mut(day) {
                made.numbers = true;
                lines.push((*day, Some(*made)));
            }
        }
        known.days.open = None;
        state::save(&self.storage, site, name, &lines).await?;
        Ok(false)
    }
}

/// Makes open days.
pub async fn open(
    storage: &Storage,
    site: &str,
    visible: Visible<'_>,
    days: DayRange,
) -> Result<Open, StorageError> {
    clear(storage, &[OPEN], site, None).await?;
    let (seen, _) = look(storage, site, visible, &days).await?;
    storage.execute(&visits::insert(OPEN, MADE[0], visible), &visits::params(site, &days)).await?;
    let (_, rows) = look(storage, site, visible, &days).await?;
    Ok(Open { days, seen, rows })
}

/// The hits of open days as they are now, and how many rows stand for them.
pub async fn look(
    storage: &Storage,
    site: &str,
    visible: Visible<'_>,
    days: &DayRange,
) -> Result<(Seen, u64), StorageError> {
    let database = storage.database();
    let sql = format!(
        "SELECT count(), countIf(city != ''), (SELECT count() FROM {database}.{} WHERE site = {{site:String}})
FROM {database}.hits WHERE site = {{site:String}} AND bot = '' AND time >= fromUnixTimestamp64Milli({{from:Int64}})
  AND time < fromUnixTimestamp64Milli({{to:Int64}}){}",
        OPEN,
        visible.condition()
    );
    let rows = storage.json(&sql, &visits::params(site, days), &Limits::default()).await?;
    let number =
        |index: usize| rows.first().and_then(|row| row.get(index)).and_then(Value::as_u64).unwrap_or(0);
    Ok((Seen { hits: number(0), cities: number(1) }, number(2)))
}

/// The hits of each day.
async fn count(
    storage: &Storage,
    site: &str,
    zone: &str,
    visible: Visible<'_>,
) -> Result<BTreeMap<Date, Seen>, StorageError> {
    let sql = format!(
        "SELECT toString(toDate(time, {{zone:String}})) AS day, count(), countIf(city != '') FROM {}.hits
WHERE site = {{site:String}} AND bot = ''{} GROUP BY day",
        storage.database(),
        visible.condition()
    );
    let params = [("site", site), ("zone", zone)]
        .map(|(name, value)| (name.to_owned(), Param::Text(value.to_owned())));
    let limits = Limits { time: COUNT_TIME, ..Limits::default() };
    let rows = storage.json(&sql, &params, &limits).await?;
    let day = |row: &Vec<Value>| {
        let seen = Seen { hits: row[1].as_u64()?, cities: row[2].as_u64()? };
        Some((row[0].as_str()?.parse().ok()?, seen))
    };
    Ok(rows.iter().filter_map(day).collect())
}

/// Deletes all that was made, of every site; nothing of it is left in storage's tables when this returns.
pub async fn forget_all(storage: &Storage) -> Result<(), StorageError> {
    let database = storage.database();
    let tables = ["rollup_days", MADE[0], MADE[1], MADE[2]];
    let named = tables.map(|table| format!("'{table}'")).join(", ");
    let there = format!(
        "SELECT sum(rows) FROM system.parts WHERE database = '{database}' AND active AND table IN ({named})"
    );
    if storage.number(&there, &[]).await? == 0 {
        return Ok(());
    }
    // First what says that days are made.
    for table in tables {
        storage.execute(&format!("TRUNCATE TABLE {database}.{table}"), &[]).await?;
    }
    Ok(())
}

/// Deletes the rows of some days, for good, when this returns.
async fn delete(storage: &Storage, table: &str, site: &str, days: (Date, Date)) -> Result<(), StorageError> {
    delete_where(storage, table, site, days, "day >= toDate({first:String}) AND day <= toDate({last:String})")
        .await
}

/// Deletes the numbers of some days, and those of their months.
async fn delete_numbers(storage: &Storage, site: &str, days: (Date, Date)) -> Result<(), StorageError> {
    let by_month = format!("endsWith(property, '{}')", numbers::BY_MONTH);
    let condition = format!(
        "day <= toDate({{last:String}}) AND (day >= toDate({{first:String}}) OR {by_month} AND day >= toStartOfMonth(toDate({{first:String}})))"
    );
    for table in &MADE[1..] {
        delete_where(storage, table, site, days, &condition).await?;
    }
    Ok(())
}

async fn delete_where(
    storage: &Storage,
    table: &str,
    site: &str,
    (first, last): (Date, Date),
    condition: &str,
) -> Result<(), StorageError> {
    let params = [("site", site.to_owned()), ("first", first.to_string()), ("last", last.to_string())]
        .map(|(name, value)| (name.to_owned(), Param::Text(value)));
    let here = format!("site = {{site:String}} AND {condition}");
    let database = storage.database();
    // A mutation is dear where there is nothing to delete.
    if storage.number(&format!("SELECT count() FROM {database}.{table} WHERE {here}"), &params).await? == 0 {
        return Ok(());
    }
    storage.execute(&format!("ALTER TABLE {database}.{table} DELETE WHERE {here}"), &params).await
}

/// Deletes all rows of a site but those of the days that are named, and of their months.
async fn clear(
    storage: &Storage,
    tables: &[&str],
    site: &str,
    but: Option<Vec<String>>,
) -> Result<(), StorageError> {
    let database = storage.database();
    let days = but.unwrap_or_default();
    let params = [("site".to_owned(), Param::Text(site.to_owned())), ("days".to_owned(), Param::Texts(days))];
    let of_day = "has({days:Array(String)}, toString(day))";
    let of_month = format!(
        "endsWith(property, '{}') AND has(arrayMap(one -> toStartOfMonth(toDate(one)), {{days:Array(String)}}), day)",
        numbers::BY_MONTH
    );
    for table in tables {
        let kept =
            if MADE[1..].contains(table) { format!("{of_day} OR {of_month}") } else { of_day.to_owned() };
        let here = format!("site = {{site:String}} AND NOT ({kept})");
        if storage.number(&format!("SELECT count() FROM {database}.{table} WHERE {here}"), &params).await? > 0
        {
            storage.execute(&format!("ALTER TABLE {database}.{table} DELETE WHERE {here}"), &params).await?;
        }
    }
    Ok(())
}
