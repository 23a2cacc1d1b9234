//! What changes the ring: keys are made, retired, destroyed; the rest is re-read.
//!
//! Every change is made to the file first, under its lock and from what is in it
//! then, and to the memory after it: [`KeyRing::change`].

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::file::{Contents, Destroyed, Key, Purpose};
use super::master::Keeper;
use super::ring::{Ring, first_id, month_of_id};
use super::salt::{add_salt, is_near};
use super::secret::Secret;
use super::wrap::{MasterKey, Place, wrap_all};
use super::{KeyError, KeyRing, MAX_AGE_MONTHS};

/// How long after a failed write the next one is tried on the hit path.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How many destroyed backup keys are remembered by name: a year of a backup every
/// eight hours. The last one always is, since ids count on from it.
pub(super) const MAX_DESTROYED_BACKUPS_KEPT: usize = 1000;
/// What every ring has a key in use of.
pub(super) const ALWAYS_THERE: [Purpose; 5] =
    [Purpose::Cookie, Purpose::Visitor, Purpose::UserKey, Purpose::Limiter, Purpose::Audit];

/// What only the thread that changes the ring touches.
pub(super) struct Changing {
    pub master: Keeper,
    /// Salts that could not be written yet.
    pub unsaved: Vec<(String, Date, Secret)>,
    failed: Option<Instant>,
}

// === impl Changing ===

impl Changing {
    pub fn new(master: Keeper) -> Changing {
        Changing { master, unsaved: Vec::new(), failed: None }
    }
}

// === impl KeyRing ===

impl KeyRing {
    /// Housekeeping, to be called every few seconds: takes over what other
    /// processes changed, writes what could not be written, destroys salts of
    /// days past and cookie keys whose last cookies have run out. `today_of`
    /// gives a configured site's calendar day.
    pub fn maintain(&self, now: Timestamp, today_of: impl Fn(&str) -> Option<Date>) -> Result<(), KeyError> {
        let today = calendar(now, today_of);
        let mut changing = self.changing();
        let ring = self.ring.load();
        let expired =
            ring.salts.iter().any(|(site, salts)| salts.iter().any(|(day, _)| !is_near(*day, today(site))));
        let oldest_cookie = utc_day(now).saturating_sub(Span::new().months(MAX_AGE_MONTHS)).to_string();
        let run_out = |purpose: Purpose, retired: &str| {
            purpose == Purpose::Cookie && !retired.is_empty() && retired < oldest_cookie.as_str()
        };
        if changing.unsaved.is_empty()
            && self.store.stamp() == ring.stamp
            && !expired
            && !ring.listed.iter().any(|key| run_out(key.purpose, &key.retired))
        {
            return Ok(());
        }
        self.change(&mut changing, |contents, _| {
            let before = contents.salts.len();
            contents.salts.retain(|salt| salt.day.parse().is_ok_and(|day| is_near(day, today(&salt.site))));
            let gone = destroy_where(contents, now, |key| run_out(key.purpose, &key.retired));
            Ok(before != contents.salts.len() || !gone.is_empty())
        })
    }

    /// Makes a new cookie key; the ones before it verify for 13 months more.
    pub fn rotate_cookie_key(&self) -> Result<u32, KeyError> {
        self.rotate(Purpose::Cookie, 1, |_| true)
    }

    /// Makes a new address key for a month (year × 12 + month); addresses under
    /// the ones before it can still be revealed.
    pub fn rotate_address_key(&self, month: u32) -> Result<u32, KeyError> {
        self.rotate(Purpose::Ip, first_id(month), |id| month_of_id(id) == month)
    }

    fn rotate(
        &self,
        purpose: Purpose,
        first: u32,
        is_followed: impl Fn(u32) -> bool,
    ) -> Result<u32, KeyError> {
        let secret = Secret::random()?;
        let mut new_id = 0;
        self.change(&mut self.changing(), |contents, master| {
            new_id = next_id(contents, purpose, first)?;
            let now = Timestamp::now().to_string();
            let followed =
                |key: &&mut Key| key.purpose == purpose && key.retired.is_empty() && is_followed(key.id);
            contents.keys.iter_mut().filter(followed).for_each(|key| key.retired.clone_from(&now));
            contents.keys.push(new_key(purpose, new_id, &secret, master)?);
            Ok(true)
        })?;
        Ok(new_id)
    }

    /// Destroys a key, whatever its age, and says when. A cookie key's cookies are
    /// refused from then on; if it signed, another is made. What was encrypted
    /// under an address or backup key is unreadable wherever it was copied; if it
    /// was the current month's, the next hit makes another, under another id. Keys
    /// of the other purposes are not destroyed: a hash made with one must be the
    /// same next year.
    pub fn destroy(&self, purpose: Purpose, id: u32) -> Result<String, KeyError> {
        if !matches!(purpose, Purpose::Cookie | Purpose::Ip | Purpose::Backup) {
            return Err(KeyError::Permanent { purpose });
        }
        let now = Timestamp::now();
        self.change(&mut self.changing(), |contents, master| {
            if let Some(gone) = contents.find_destroyed(purpose, id) {
                return Err(KeyError::Destroyed { id, at: gone.at.clone() });
            }
            if destroy_where(contents, now, |key| key.purpose == purpose && key.id == id).is_empty() {
                return Err(KeyError::Unknown { id });
            }
            complete(contents, master)?;
            Ok(true)
        })?;
        Ok(now.to_string())
    }

    /// Destroys an address key: every address under it is unreadable from now
    /// on, in the table, in the spool and in backups.
    pub fn destroy_address_key(&self, id: u32) -> Result<(), KeyError> {
        self.destroy(Purpose::Ip, id).map(drop)
    }

    pub(super) fn make_address_key(&self, month: u32) {
        let mut changing = self.changing();
        if self.ring.load().address_key(month).is_some()
            || changing.failed.is_some_and(|failed| failed.elapsed() < RETRY_INTERVAL)
        {
            return;
        }
        let result = Secret::random().and_then(|secret| {
            self.change(&mut changing, |contents, master| {
                let is_in_use = |key: &Key| {
                    key.purpose == Purpose::Ip && key.retired.is_empty() && month_of_id(key.id) == month
                };
                let exists = contents.keys.iter().any(is_in_use);
                if !exists {
                    let id = next_id(contents, Purpose::Ip, first_id(month))?;
                    contents.keys.push(new_key(Purpose::Ip, id, &secret, master)?);
                }
                Ok(!exists)
            })
        });
        if let Err(error) = result {
            tracing::error!(%error, "a new month's address key cannot be written; addresses are not stored");
        }
    }

    /// Changes the ring on disk, then in memory.
    pub(super) fn change(
        &self,
        changing: &mut Changing,
        change: impl FnOnce(&mut Contents, &MasterKey) -> Result<bool, KeyError>,
    ) -> Result<(), KeyError> {
        let unsaved = std::mem::take(&mut changing.unsaved);
        let path = self.store.path();
        let mut master = None;
        let result = self.store.update(|contents| {
            if contents.version == 0 {
                // It was there: writing a ring of this one change would hide what happened.
                return Err(KeyError::NoRing(path.clone()));
            }
            let key = changing.master.unlock(contents, &path)?;
            master = Some(key);
            let mut changed = wrap_if_plain(contents, &key)?;
            for (site, day, secret) in &unsaved {
                // A neighbour may have been able to write: then its salt is the day's.
                changed |= add_salt(contents, site, *day, secret, &key)?;
            }
            Ok(change(contents, &key)? || changed)
        });
        let decoded = result.and_then(|(contents, stamp)| {
            let master = master.ok_or_else(|| KeyError::NoRing(path.clone()))?;
            Ring::decode(&contents, stamp, &master, &self.store)
        });
        match decoded {
            Ok(ring) => {
                changing.failed = None;
                self.ring.store(Arc::new(ring));
                Ok(())
            }
            Err(error) => {
                changing.unsaved = unsaved;
                if !error.is_about_the_question() {
                    changing.failed = Some(Instant::now());
                }
                Err(error)
            }
        }
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wraps a ring that has just been made or is of version 1; says whether it did.
pub(super) fn wrap_if_plain(contents: &mut Contents, master: &MasterKey) -> Result<bool, KeyError> {
    if contents.is_wrapped() {
        return Ok(false);
    }
    wrap_all(contents, master)?;
    Ok(true)
}

/// Makes what every ring has and this one has not; says whether something was missing.
pub(super) fn complete(contents: &mut Contents, master: &MasterKey) -> Result<bool, KeyError> {
    let mut changed = false;
    for purpose in ALWAYS_THERE {
        if !contents.keys.iter().any(|key| key.purpose == purpose && key.retired.is_empty()) {
            let id = next_id(contents, purpose, 1)?;
            contents.keys.push(new_key(purpose, id, &Secret::random()?, master)?);
            changed = true;
        }
    }
    Ok(changed)
}

/// Takes keys out of the ring, remembers that they were there, and says which.
pub(super) fn destroy_where(
    contents: &mut Contents,
    now: Timestamp,
    is_due: impl Fn(&Key) -> bool,
) -> Vec<(Purpose, u32)> {
    let mut gone = Vec::new();
    contents.keys.retain(|key| {
        let due = is_due(key);
        if due {
            gone.push((key.purpose, key.id));
        }
        !due
    });
    for (purpose, id) in &gone {
        contents.destroyed.push(Destroyed { purpose: *purpose, id: *id, at: now.to_string() });
    }
    forget_oldest_backups(contents);
    gone
}

/// Ids count up, so the lowest are the oldest, and all that were forgotten are
/// below those that were not: [`is_destroyed`].
pub(super) fn forget_oldest_backups(contents: &mut Contents) {
    let is_backup = |key: &Destroyed| key.purpose == Purpose::Backup;
    let mut ids: Vec<u32> =
        contents.destroyed.iter().filter(|key| is_backup(key)).map(|key| key.id).collect();
    if ids.len() > MAX_DESTROYED_BACKUPS_KEPT {
        ids.sort_unstable();
        let lowest_kept = ids[ids.len() - MAX_DESTROYED_BACKUPS_KEPT];
        contents.destroyed.retain(|key| !is_backup(key) || key.id >= lowest_kept);
    }
}

/// Whether a key was destroyed here, remembered or not.
pub(super) fn is_destroyed(contents: &Contents, purpose: Purpose, id: u32) -> bool {
    let gone = || contents.destroyed.iter().filter(|key| key.purpose == purpose).map(|key| key.id);
    let was_forgotten = purpose == Purpose::Backup
        && gone().count() >= MAX_DESTROYED_BACKUPS_KEPT
        && gone().min().is_some_and(|lowest_kept| id < lowest_kept);
    was_forgotten || gone().any(|other| other == id)
}

pub(super) fn new_key(
    purpose: Purpose,
    id: u32,
    secret: &Secret,
    master: &MasterKey,
) -> Result<Key, KeyError> {
    Ok(Key {
        purpose,
        id,
        created: Timestamp::now().to_string(),
        retired: String::new(),
        secret: master.wrap(Place::Key(purpose, id), secret)?,
    })
}

/// The next id that neither a key nor a destroyed one has; not below `first`. A
/// month has 99 of them for its address keys.
pub(super) fn next_id(contents: &Contents, purpose: Purpose, first: u32) -> Result<u32, KeyError> {
    let same_hundred = |id: &u32| purpose != Purpose::Ip || id / 100 == first / 100;
    let kept = contents.keys.iter().filter(|key| key.purpose == purpose).map(|key| key.id);
    let gone = contents.destroyed.iter().filter(|key| key.purpose == purpose).map(|key| key.id);
    let id = kept.chain(gone).filter(same_hundred).max().map_or(Some(first), |id| id.checked_add(1));
    id.filter(same_hundred).ok_or(KeyError::NoIdLeft { purpose })
}

/// The calendar day of each site. One that is no longer configured had its day
/// somewhere on earth.
pub(super) fn calendar(now: Timestamp, today_of: impl Fn(&str) -> Option<Date>) -> impl Fn(&str) -> Date {
    move |site| today_of(site).unwrap_or_else(|| utc_day(now))
}

fn utc_day(now: Timestamp) -> Date {
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}
