//! Rollups: numbers of whole days, made from hits beforehand, equal to a recount.
//!
//! In: the hits in storage. Out: [`Cover`], which says that the tables hold every day of a
//! question's range as a recount would have it, and keeps that true while it is held;
//! [`crate::query::quick`] then asks these tables instead of hits. Where there is no
//! cover a question is answered from hits: slower, and the same.
//!
//! ```text
//! hits ─visits─► visits (a row per visit and day) ─numbers─► visitors_by_day, visits_by_day
//!                  │ filters, any visit's property              │ no filter, one property
//! ```
//!
//! - A day is *made* once it is over: [`CLOSE_AFTER`] after its midnight and when no visit of
//!   it goes on. Days that are not made yet are *open*: their visits are in the engine's
//!   memory (`visits_today`), made anew before an answer whenever hits came since, and
//!   their numbers are counted from these for the one property that is asked about.
//! - A day is *forgotten* when what it was made from has changed: a late hit, an erasure, a
//!   block, a term. Its rows are deleted at once; it is made again in the background, and
//!   questions about it are answered from hits until then.
//! - What changed is found by counting the hits of each day ([`days::Seen`]): at the start,
//!   at once after a privacy job ([`Rollups::settle`], before the job says that it is done), when
//!   the shipper brought a hit of a day that is made ([`Rollups::shipped`]), and every
//!   [`RECOUNT_EVERY`] for what other collectors brought. A correction does not change
//!   counts: all days of the site are forgotten.
//! - A cookie that comes back after days moves its first hit from a hash to a person. For
//!   somebody with one hit that changes nothing (`visits`); where more hits share the hash,
//!   the day is made again ([`split`]).
//! - One process keeps the rollups of a storage (`storage.rollups`). A job that is done while no
//!   server runs takes all of them along ([`forget_all`]).
//!
//! Crash: `rollup_days` says which days stand in the tables. A day is written down as not
//! made before its rows are touched, and as made after they are all there; rows of days
//! that are not made are deleted at the start.
//!
//! Bounds: [`CHUNK_HITS`] hits in one build, [`SLICE_VALUES`] values in one slice of
//! numbers, one build at a time.

mod count;
pub mod days;
pub mod fields;
pub mod keep;
pub mod numbers;
mod split;
mod state;
pub mod visits;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
pub use keep::forget_all;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::query::Visible;
use crate::query::range::Range;
use crate::store::{Storage, StorageError};
use days::{DayRange, Days};

/// How long after its midnight a day is made at the earliest.
pub const CLOSE_AFTER: Duration = Duration::from_secs(3 * 60 * 60);
/// How often hits are counted by day for what was not told.
pub const RECOUNT_EVERY: Duration = Duration::from_secs(60);
/// The most hits of one build: their arrays take some 500 MB of the engine.
pub const CHUNK_HITS: u64 = 1_500_000;
/// The most values of visits in one slice of numbers: they take some 500 MB of the engine.
pub const SLICE_VALUES: u64 = 4_000_000;
/// How old a hit may be when storage has it, and not be late.
const LATE_MS: i64 = 10 * 60 * 1000;
/// How long a question waits for the first look at its site after a start, which takes seconds on a hundred million hits.
const FIRST_LOOK_WAIT: Duration = Duration::from_secs(20);
/// How far back a late hit reaches: it may join two parts of a visit, the first of which
/// is as far away as a question looks. What is not late joins nothing to a day that is made:
/// a day is made when all its visits have ended ([`keep`]).
const REACH_MS: i64 = visits::LOOK_AROUND_MS;
/// No spool holds hits for longer.
const MAX_LATE_DAYS: usize = 400;
/// Up to so many days that are not over are made anew for a question; with more (a large
/// history that is being made) it is answered from hits.
const MAX_OPEN_DAYS: i32 = 3;

/// The rollups of a storage.
pub struct Rollups {
    storage: Storage,
    clock: fn() -> Timestamp,
    sites: std::sync::Mutex<HashMap<String, Arc<Kept>>>,
    /// Goes up with each privacy job: what was counted before is not what there is.
    changes: AtomicU64,
}

/// What is kept of one site.
struct Kept {
    days: Arc<RwLock<Known>>,
    /// Days that are made and had a hit shipped since.
    late: std::sync::Mutex<BTreeSet<Date>>,
    zone: std::sync::OnceLock<TimeZone>,
    /// Whether the first look at the site is under way.
    first_look: tokio::sync::watch::Sender<bool>,
}

/// The first look at a site, until it is dropped.
struct FirstLook<'a>(&'a Kept);

/// The days of one site, and when that was found out.
#[derive(Default)]
struct Known {
    days: Days,
    zone: String,
    /// [`Rollups::changes`] when hits were counted; none until the first time.
    counted_at: Option<u64>,
    recount_after: Option<std::time::Instant>,
    /// What [`split`] has found, so that it is found once.
    split: HashSet<(Date, u64)>,
    /// The last day could not be made yet: not to be tried before.
    try_after: Option<std::time::Instant>,
}

/// The promise that the tables hold the days of a range, until it is dropped.
pub struct Cover {
    /// The days of the question with a day that can have hits.
    pub days: DayRange,
    /// Those of them that are not made yet: their visits are in memory.
    pub open: Option<DayRange>,
    /// Whether there are numbers by day of those that are made.
    pub numbers: bool,
    /// About how many hits these days have.
    pub hits: u64,
    _held: OwnedRwLockReadGuard<Known>,
}

// === impl Rollups ===

impl Rollups {
    pub fn new(storage: Storage, clock: fn() -> Timestamp) -> Rollups {
        Rollups { storage, clock, sites: std::sync::Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// The days of a range, if the tables have them all; open days are made anew first.
    pub async fn cover(&self, site: &str, range: &Range) -> Result<Option<Cover>, StorageError> {
        let (now, zone) = ((self.clock)(), range.zone.clone());
        let Some(asked) = DayRange::whole(&zone, range.from, range.to) else { return Ok(None) };
        let today = now.to_zoned(zone.clone()).date();
        let kept = self.kept(site);
        kept.after_first_look().await;
        let changes = self.changes.load(Relaxed);
        let known = kept.days.clone().read_owned().await;
        let due = last_due(&zone, now);
        let until = known.days.made_until(due);
        if known.counted_at != Some(changes)
            || known.zone != asked.zone
            || kept.has_late(asked.last.min(until))
        {
            return Ok(None);
        }
        let Some(first) = known.days.first() else { return Ok(None) };
        let (from, to) = (asked.first.max(first), asked.last.min(today));
        if from > to || !known.days.covers(from, to.min(until)) {
            return Ok(None);
        }
        let Some(days) = DayRange::new(&zone, from, to) else { return Ok(None) };
        let numbers = known.days.has_numbers();
        if to <= until {
            let hits = known.days.hits(&days);
            return Ok(Some(Cover { days, open: None, numbers, hits, _held: known }));
        }
        let open_first = days::next(until);
        if open_first.until(today).map_or(true, |span| span.get_days() >= MAX_OPEN_DAYS) {
            return Ok(None);
        }
        let visible = self.visible(site).await?;
        let open = DayRange::new(&zone, open_first.max(from), to);
        if self.open_is_fresh(site, visible, known.days.open.as_ref(), open_first, today).await? {
            let hits = known.days.hits(&days);
            return Ok(Some(Cover { days, open, numbers, hits, _held: known }));
        }
        drop(known);
        let mut known = kept.days.clone().write_owned().await;
        // What was true before the lock may not be any more: then hits answer.
        let still =
            known.counted_at == Some(self.changes.load(Relaxed)) && known.days.made_until(due) == until;
        let Some(open_days) = DayRange::new(&zone, open_first, today).filter(|_| still) else {
            return Ok(None);
        };
        if !self.open_is_fresh(site, visible, known.days.open.as_ref(), open_first, today).await? {
            known.days.open = None;
            let Known { days, split, .. } = &mut *known;
            let split = split::find(&self.storage, site, visible, &open_days, days, split).await?;
            if !split.is_empty() {
                kept.add_late(split);
                return Ok(None);
            }
            known.days.open = Some(keep::open(&self.storage, site, visible, open_days).await?);
        }
        let (numbers, hits) = (known.days.has_numbers(), known.days.hits(&days));
        Ok(Some(Cover { days, open, numbers, hits, _held: known.downgrade() }))
    }

    /// Hits were stored whose oldest is of this moment (milliseconds).
    pub fn shipped(&self, site: &str, oldest: i64) {
        // Of a site that nobody has looked after nothing is made.
        let Some(zone) = self.kept(site).zone() else { return };
        let now = (self.clock)();
        let is_late = oldest < now.as_millisecond() - LATE_MS;
        let reached = if is_late { oldest.saturating_sub(REACH_MS) } else { oldest };
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let Ok(oldest) = Timestamp::from_millisecond(reached) else { return };
        let today = day(now);
        // What waited in a spool is of the last days.
        let days = std::iter::successors(Some(day(oldest)), |day| Some(days::next(*day)));
        self.kept(site).add_late(days.take_while(|day| *day <= today).take(MAX_LATE_DAYS));
    }

    /// Something but a new hit changed what there is of a site: from now on questions are
    /// answered from hits, until [`Rollups::settle`] or the next look has found out what.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
    }

    /// [`Rollups::settle`] for every site that is looked after.
    pub async fn settle_all(&self, values: bool) -> Result<(), StorageError> {
        let sites: Vec<(String, TimeZone)> = {
            let sites = self.sites.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            sites.iter().filter_map(|(id, kept)| Some((id.clone(), kept.zone()?))).collect()
        };
        for (site, zone) in sites {
            self.settle(&site, &zone, values).await?;
        }
        Ok(())
    }

    async fn visible(&self, site: &str) -> Result<Visible<'_>, StorageError> {
        Ok(match self.storage.has_blocks(site).await? {
            true => Visible::unblocked(self.storage.database()),
            false => Visible::all(self.storage.database()),
        })
    }

    async fn open_is_fresh(
        &self,
        site: &str,
        visible: Visible<'_>,
        open: Option<&days::Open>,
        first: Date,
        last: Date,
    ) -> Result<bool, StorageError> {
        match open {
            Some(open) if open.days.first == first && open.days.last == last => {
                let (seen, rows) = keep::look(&self.storage, site, visible, &open.days).await?;
                Ok(open.seen == seen && open.rows == rows)
            }
            _ => Ok(false),
        }
    }

    fn kept(&self, site: &str) -> Arc<Kept> {
        let mut sites = self.sites.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sites.entry(site.to_owned()).or_insert_with(|| Arc::new(Kept::default())).clone()
    }
}

/// The last day that may be made by now.
fn last_due(zone: &TimeZone, now: Timestamp) -> Date {
    days::previous(now.checked_sub(CLOSE_AFTER).unwrap_or(now).to_zoned(zone.clone()).date())
}

// === impl Kept ===

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            days: Arc::new(RwLock::new(Known::default())),
            late: std::sync::Mutex::default(),
            zone: std::sync::OnceLock::new(),
            first_look: tokio::sync::watch::Sender::new(false),
        }
    }
}

// === impl FirstLook ===

impl<'a> FirstLook<'a> {
    fn at(kept: &'a Kept) -> FirstLook<'a> {
        kept.first_look.send_replace(true);
        FirstLook(kept)
    }
}

impl Drop for FirstLook<'_> {
    fn drop(&mut self) {
        self.0.first_look.send_replace(false);
    }
}

impl Kept {
    /// The site's zone, once it has been looked after.
    fn zone(&self) -> Option<TimeZone> {
        self.zone.get().cloned()
    }

    /// Waits while the site is looked at for the first time. What comes of it says whether hits answer.
    async fn after_first_look(&self) {
        let mut under_way = self.first_look.subscribe();
        let over = under_way.wait_for(|under_way| !under_way);
        let _in_time_or_not = tokio::time::timeout(FIRST_LOOK_WAIT, over).await;
    }

    fn has_late(&self, last: Date) -> bool {
        self.late().range(..=last).next().is_some()
    }

    fn add_late(&self, days: impl IntoIterator<Item = Date>) {
        self.late().extend(days);
    }

    fn take_late(&self) -> BTreeSet<Date> {
        std::mem::take(&mut *self.late())
    }

    fn late(&self) -> std::sync::MutexGuard<'_, BTreeSet<Date>> {
        self.late.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
