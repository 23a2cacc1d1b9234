//! The daily salts: who is told apart without a cookie, and for how long.
//!
//! In: a site, a day of its calendar, the address prefix and the user agent. Out:
//! a keyed hash, the same for the same parts in every collector that shares the
//! key ring, on that site and day only.
//!
//! The life of a salt:
//!
//! 1. The first cookieless hit of a site's day makes it, in whichever collector:
//!    32 bytes from the kernel, independent of every other key, so that nothing
//!    derives it once it is gone. It is *current* until the site's next midnight.
//! 2. Through the day after, it is the *previous* one. All it is used for then is
//!    [`KeyRing::cookieless_before`], in the first half hour.
//! 3. At the midnight that ends that day it is destroyed, by the site's first hit
//!    or by [`KeyRing::maintain`], which runs every few seconds and at the start: 24
//!    hours after it stopped being current (23 to 25 where the clock is changed),
//!    and some seconds. A site that is no longer configured is held to UTC's midnights:
//!    38 hours at most. While no collector runs nothing is destroyed; the next
//!    start does it first.
//!
//! Tomorrow's salt is kept too, for a neighbour whose clock is ahead. A clock that
//! jumps by two days or more destroys the salts of the days it leaves, and when
//! it comes back new ones are made: visitors without cookies count twice on that
//! day, none is recognised for longer. Where a zone skips a date (Samoa in 2011),
//! the previous salt goes a day earlier.
//!
//! A salt is in `ring.toml` and in memory: in no log, no backup, no exported ring.

use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use super::file::{Contents, Salt};
use super::ring::Ring;
use super::secret::Secret;
use super::wrap::{MasterKey, Place};
use super::{KeyError, KeyRing};

// === impl KeyRing ===

impl KeyRing {
    /// The hash of a visitor without a cookie, for one day of the site's
    /// calendar. Makes the day's salt if it is the first. Never 0. `None` when
    /// there is no salt and the system gives no random numbers for one.
    pub fn cookieless_visitor(&self, site: &str, day: Date, prefix: &[u8], user_agent: &str) -> Option<u64> {
        let known = self.ring.load().salt(site, day);
        let salt = match known {
            Some(salt) => salt,
            None => {
                self.make_salt(site, day);
                self.ring.load().salt(site, day)?
            }
        };
        Some(hash(&salt, site, prefix, user_agent))
    }

    /// The same for a day that is over: 0 if its salt was never made, or is destroyed.
    pub fn cookieless_before(&self, site: &str, day: Date, prefix: &[u8], user_agent: &str) -> u64 {
        let known = self.ring.load().salt(site, day).or_else(|| {
            // A neighbour may have made it since this ring was read.
            let changed = self.store.stamp() != self.ring.load().stamp;
            if changed && let Err(error) = self.change(&mut self.changing(), |_, _| Ok(false)) {
                tracing::error!(%error, "the key ring cannot be read again");
            }
            self.ring.load().salt(site, day)
        });
        known.map_or(0, |salt| hash(&salt, site, prefix, user_agent))
    }

    fn make_salt(&self, site: &str, day: Date) {
        let mut changing = self.changing();
        if self.ring.load().salt(site, day).is_some() {
            return; // Another thread was first.
        }
        let Ok(secret) = Secret::random() else { return };
        let result = self.change(&mut changing, |contents, master| {
            contents
                .salts
                .retain(|old| old.site != site || old.day.parse().is_ok_and(|old| is_near(old, day)));
            add_salt(contents, site, day, &secret, master)?;
            Ok(true)
        });
        if let Err(error) = result {
            tracing::error!(%error, site, "a new day's salt cannot be written; it is kept in memory");
            changing.unsaved.retain(|(other, old, _)| other != site || is_near(*old, day));
            changing.unsaved.push((site.to_owned(), day, secret));
            let mut ring = Ring::clone(&self.ring.load());
            let salts = ring.salts.entry(site.to_owned()).or_default();
            salts.retain(|(old, _)| is_near(*old, day));
            salts.push((day, secret));
            self.ring.store(Arc::new(ring));
        }
    }
}

/// A day's salt, unless there is one; says whether it was added.
pub(super) fn add_salt(
    contents: &mut Contents,
    site: &str,
    day: Date,
    secret: &Secret,
    master: &MasterKey,
) -> Result<bool, KeyError> {
    let day = day.to_string();
    if contents.salts.iter().any(|other| other.site == site && other.day == day) {
        return Ok(false);
    }
    let secret = master.wrap(Place::Salt { site, day: &day }, secret)?;
    contents.salts.push(Salt { site: site.to_owned(), day, secret });
    Ok(true)
}

fn hash(salt: &Secret, site: &str, prefix: &[u8], user_agent: &str) -> u64 {
    salt.hash(&[site.as_bytes(), prefix, user_agent.as_bytes()])
}

/// The day itself, the one before and the one after.
pub(super) fn is_near(day: Date, today: Date) -> bool {
    day >= today.saturating_sub(1.day()) && day <= today.saturating_add(1.day())
}
