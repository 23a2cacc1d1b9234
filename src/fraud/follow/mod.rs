//! How stored hits come into the memory, and leave it.
//!
//! In: a storage, and what tells places ([`Eyes`]). Out: one [`Memory`] for each site, never
//! further behind storage than the time of a poll.
//!
//! - At the first look, and once a day, a memory is *made* of the hits of the window ([`make`]).
//! - Then it is *followed*: whatever was stored of the last days is looked for whenever a batch was
//!   shipped from here, and every [`POLL`] for those of other collectors ([`catch_up`]). A batch
//!   is stored whole or not at all, so none is read in part.
//! - With that question it is noticed, too, where another collector blocked or unblocked somebody,
//!   or rows of the last days have gone that were read: then the memory is made again
//!   ([`super::stock`]). What others take out of older days is known with the next making.
//! - Whoever is blocked or erased is *forgotten* at once, before the job ends, and their hits
//!   are not taken in while a reading is under way that may still see them ([`super::gone`]). The
//!   hits of others are made again afterwards, as after anything else that changes rows
//!   ([`Memories::changed`]).
//!
//! Who comes over the threshold with what is taken in or read by a making is told of
//! ([`super::watch`]), once a day also where a memory was made anew in between; whoever is out of order
//! some seconds later.
//!
//! While a memory is made anew the old one answers; before the first there is none, and that
//! is said. *The last days* are [`TAIL_MS`], or the window where that is shorter, or the hours that
//! [`super::stock`] has room for the batches of. What comes later than that after it happened (a
//! spool that was without storage for days) is taken in with the next making.
//!
//! - [`make`]: a memory is made of what is stored
//! - [`catch_up`]: what is new in storage comes into it
//! - [`ask`]: what storage is asked
//! - [`due`]: which sites are to be looked after, and when

mod ask;
mod catch_up;
mod due;
mod make;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::due::Waiting;
use super::alerts::{Alert, Alerts};
use super::gaze::Eyes;
use super::gone::{Gone, Subjects};
use super::memory::{DAY_MS, Memory, Shape, day};
use super::stock::{HOUR_MS, Stock};
use super::watch::{Looked, Watch};
use crate::config::{Config, Fraud, Site};
use crate::spool::Subject;
use crate::store::{Storage, StorageError};

pub use self::due::Due;

/// Batches are known whose hits are not older than this.
pub const TAIL_MS: i64 = 2 * DAY_MS;
/// How often batches of other collectors are looked for.
pub const POLL: Duration = Duration::from_secs(30);
/// How often a memory is made anew, so that what is past its term leaves it.
pub const REMAKE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure, and after a change of rows: jobs come one after the other.
pub const REMAKE_PAUSE: Duration = Duration::from_secs(2);
/// A making is followed by another no sooner than so many times what it took.
const PAUSE_TIMES: u32 = 4;

/// The memories of all sites.
pub struct Memories {
    storage: Storage,
    eyes: Eyes,
    sites: Mutex<HashMap<String, Arc<Followed>>>,
    /// Goes up with everything that changes rows but a new hit.
    changes: AtomicU64,
    waiting: Waiting,
    pub alerts: Alerts,
}

/// One site.
#[derive(Default)]
struct Followed {
    /// Empty before the first making.
    memory: RwLock<Memory>,
    progress: Mutex<Progress>,
    /// Who was forgotten while a reading may still see them.
    gone: Mutex<Gone>,
}

#[derive(Default)]
struct Progress {
    stock: Stock,
    /// Visitors who are to be looked at: with new hits, or once it is settled in which order those came.
    to_look_at: HashSet<u64>,
    /// [`Memories::changes`] when the memory was made.
    made_at: u64,
    made: Option<Instant>,
    shape: Option<(Shape, u32)>,
    failed: Option<Instant>,
    /// How long the last making took.
    took: Duration,
}

/// What is said of a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct State {
    /// Whether there is one.
    pub ready: bool,
    pub visitors: usize,
    pub addresses: usize,
    pub user_keys: usize,
    pub hits: u64,
    /// The latest hit in it, in milliseconds; 0 before the first.
    pub until_ms: i64,
    pub made_in_ms: u64,
}

// === impl Memories ===

impl Memories {
    /// `begun`: when this process did; alerts are numbered from it on.
    pub fn new(storage: Storage, eyes: Eyes, begun: Timestamp) -> Memories {
        Memories {
            storage,
            eyes,
            sites: Mutex::default(),
            changes: AtomicU64::new(0),
            waiting: Waiting::default(),
            alerts: Alerts::new(begun),
        }
    }

    /// Looks at the memory of a site; an empty one before it was made.
    pub fn look<T>(&self, site: &str, look: impl FnOnce(&Memory) -> T) -> T {
        let followed = self.followed(site);
        let memory = followed.memory.read().unwrap_or_else(PoisonError::into_inner);
        look(&memory)
    }

    pub fn state(&self, site: &str) -> State {
        let (ready, made_in) = {
            let followed = self.followed(site);
            let progress = held(&followed.progress);
            (progress.made.is_some(), progress.took)
        };
        self.look(site, |memory| {
            let [visitors, addresses, user_keys] = memory.sizes();
            State {
                ready,
                visitors,
                addresses,
                user_keys,
                hits: memory.hits,
                until_ms: memory.until,
                made_in_ms: u64::try_from(made_in.as_millis()).unwrap_or(u64::MAX),
            }
        })
    }

    /// Forgets sites that are not configured any more.
    pub fn keep(&self, sites: &[Site]) {
        held(&self.sites).retain(|id, _| sites.iter().any(|site| site.id == *id));
    }

    /// Hits of a site were stored by this process.
    pub fn shipped(&self, site: &str) {
        self.waiting.tell(site);
    }

    /// Returns when something was shipped or changed, or all sites are to be looked after anyway.
    pub async fn wait(&self, until: Instant) -> Due {
        self.waiting.wait(until).await
    }

    /// Something but a new hit changes rows: what was made before is to be made again.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
        self.waiting.tell_all();
    }

    /// The rows of these are about to go: nobody of them is in a memory when this returns, nor comes into
    /// one before they have been [forgotten](Memories::forget).
    pub fn begin_to_forget<'a>(&self, subjects: impl Iterator<Item = (&'a str, Subject)>) {
        self.take_out(subjects, Gone::leave);
    }

    /// The rows of these have gone, or are hidden: nobody of them is in a memory when this returns, nor comes
    /// into one by a reading that began before.
    pub fn forget<'a>(&self, subjects: impl Iterator<Item = (&'a str, Subject)>) {
        self.take_out(subjects, Gone::have_left);
        self.changed();
    }

    fn take_out<'a>(
        &self,
        subjects: impl Iterator<Item = (&'a str, Subject)>,
        note: fn(&mut Gone, &Subjects),
    ) {
        let mut by_site: HashMap<&str, Subjects> = HashMap::new();
        for (site, subject) in subjects {
            by_site.entry(site).or_default().insert(subject);
        }
        for (site, subjects) in by_site {
            let followed = self.followed(site);
            note(&mut held(&followed.gone), &subjects);
            followed.memory.write().unwrap_or_else(PoisonError::into_inner).forget(&subjects);
            self.alerts.forget(site, |subject| subjects.visitors.contains(&subject));
        }
    }

    /// Looks after one site: makes its memory, or takes in what is new. Returns whether it is to be
    /// looked after again soon: to be made again, which it was too early for, or to look at somebody.
    pub async fn tend(&self, config: &Config, site: &Site, now: Timestamp) -> Result<bool, StorageError> {
        let followed = self.followed(&site.id);
        let shape = (shape(&config.fraud), config.fraud.window_days);
        let changes = self.changes.load(Relaxed);
        let (is_due, is_pending) = {
            let progress = held(&followed.progress);
            let is_old = progress.made.is_none_or(|made| made.elapsed() > REMAKE_EVERY);
            let is_other = progress.made_at != changes
                || progress.stock.is_stale()
                || progress.shape.as_ref() != Some(&shape);
            let is_early = [progress.made, progress.failed]
                .into_iter()
                .flatten()
                .any(|then| then.elapsed() < REMAKE_PAUSE.max(progress.took * PAUSE_TIMES));
            let is_due = is_old && progress.failed.is_none() || (is_old || is_other) && !is_early;
            (is_due, is_other && !is_due)
        };
        if is_due {
            let begun = Instant::now();
            let watch = self.watch(config, site);
            let made = self.make(&followed, &watch, &shape, changes, now).await;
            {
                let mut progress = held(&followed.progress);
                (progress.failed, progress.took) = (made.is_err().then_some(begun), begun.elapsed());
            }
            made?;
        }
        // After a making that failed there is nothing yet that could be followed.
        if held(&followed.progress).made.is_none() {
            return Ok(true);
        }
        let caught_up = self.catch_up(&followed, config, site, now).await;
        self.look_at_new(&followed, &self.watch(config, site), now);
        caught_up?;
        let progress = held(&followed.progress);
        Ok(is_pending || progress.stock.is_stale() || !progress.to_look_at.is_empty())
    }

    /// Tells of those who are to be looked at and have come over the threshold. Of whom it is not settled yet
    /// are to be looked at again: visitors of the memory, so no more than it has.
    fn look_at_new(&self, followed: &Followed, watch: &Watch, now: Timestamp) {
        let subjects = std::mem::take(&mut held(&followed.progress).to_look_at);
        if subjects.is_empty() {
            return;
        }
        // In the order of their numbers, whatever the set's is.
        let mut subjects: Vec<u64> = subjects.into_iter().collect();
        subjects.sort_unstable();
        let mut memory = followed.memory.write().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            match watch.look(&memory, subject, now.as_millisecond()) {
                Looked::Nothing => {}
                Looked::Unsettled => {
                    held(&followed.progress).to_look_at.insert(subject);
                }
                Looked::Over(alert) => self.tell(alert, &mut memory),
            }
        }
    }

    /// Whoever was forgotten meanwhile is not told of.
    fn tell(&self, alert: Alert, memory: &mut Memory) {
        if let Some(visitor) = memory.visitor_mut(alert.subject) {
            visitor.told = day(alert.at_ms);
            self.alerts.tell(alert);
        }
    }

    fn watch<'a>(&self, config: &'a Config, site: &'a Site) -> Watch<'a> {
        let knows_networks = self.eyes.enricher.places().knows_networks();
        Watch { config: &config.fraud, site, knows_networks }
    }

    fn followed(&self, site: &str) -> Arc<Followed> {
        held(&self.sites).entry(site.to_owned()).or_default().clone()
    }

    pub fn eyes(&self) -> &Eyes {
        &self.eyes
    }
}

/// The bounds of a memory, and what it watches, as configured.
pub fn shape(fraud: &Fraud) -> Shape {
    Shape {
        most: fraud.max_visitors as usize,
        orders: fraud.page_order.clone(),
        km_per_hour: fraud.speed_km_per_hour,
        km: fraud.speed_km,
        burst_pages: fraud.pages_per_ten_minutes,
    }
}

/// When the last days begin, of a window of so many days: with an hour, as hours are compared whole.
fn tail(now: Timestamp, window_days: u32) -> i64 {
    let begin = now.as_millisecond() - TAIL_MS.min(i64::from(window_days) * DAY_MS);
    begin + (-begin).rem_euclid(HOUR_MS)
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_days_are_two_or_the_window_in_whole_hours() {
        let at = |ms| Timestamp::from_millisecond(ms).expect("a moment");
        let noon = 20_000 * DAY_MS + DAY_MS / 2;
        for (now, days, expected) in [
            (noon, 30, noon - 2 * DAY_MS),
            (noon, 1, noon - DAY_MS),
            (noon + 1, 1, noon - DAY_MS + HOUR_MS),
            (noon + HOUR_MS - 1, 2, noon - 2 * DAY_MS + HOUR_MS),
        ] {
            assert_eq!(tail(at(now), days), expected, "{now} {days}");
        }
    }
}
