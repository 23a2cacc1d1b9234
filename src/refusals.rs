//! Refused hits, summed by site, hour, reason and protected address until they are
//! written to the table `refusals`.
//!
//! ```text
//! refusal ─► sums with an address ─half of them, the least active, when full─► sums with a place
//!                                                                              │ when full
//!                                                                              ▼
//!                                                                            sums with neither ─full─► lost
//! ```
//!
//! In: each refusal, from all hit threads. Out: now and then, all sums so far.
//!
//! An address is here only as it would be stored with a hit: encrypted under the
//! month's key, as the site's `ip` says; beside it its network's number and its country.
//! Hits of no known site fall under the strictest of the configured sites
//! ([`Terms::strictest`]). Whoever opted out, or sent a signal for which the site drops
//! hits, is counted without address and place, whatever the reason: it comes without an
//! address here ([`crate::accept::route`]).
//!
//! Bounds: [`MAX_ADDRESSES`] sums with an address between two writings: when more come,
//! the less active half is summed without one, so that whoever keeps sending is still
//! told apart in a flood. Then [`MAX_PLACES`] sums with a place alone; and
//! [`MAX_OTHERS`] with neither, beyond which a refusal is only counted as lost. These are
//! not hits: the counters of [`crate::count`] are exact, and what a crash loses here is
//! what was not written yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::config::{Config, IpStorage, Site};
use crate::pipeline::{month_of, utc_day};
use crate::privacy::address::ClientIp;
use crate::privacy::keys::KeyRing;
use crate::reject::Reason;

/// How many sums hold an address between two writings: an abuser is seen by one,
/// and a flood from everywhere would fill a table with noise. With a writing every
/// ten seconds a whole day of it is 4.4 million rows, of which the address is most.
pub const MAX_ADDRESSES: usize = 512;
/// How many sums hold a place and no address: a flood comes from some hundred networks.
pub const MAX_PLACES: usize = 512;
/// How many sums hold none: all sites ([`crate::config::MAX_SITES`]) with all
/// reasons for an hour, and more hours of fewer while storage is away.
pub const MAX_OTHERS: usize = 4096;

const SECONDS_PER_HOUR: i64 = 3600;

/// What one sum is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    site: String,
    /// Seconds since 1970 at which the hour began, UTC.
    hour: u32,
    reason: Reason,
    ip: [u8; 16],
    ip_key: u32,
    ip_days: u16,
    /// Only where there is no address, which has one place.
    place: Place,
}

/// What is known of where an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The number of its autonomous system; 0 when not known.
    pub asn: u32,
    /// ISO 3166-1 alpha-2; empty when not known.
    pub country: String,
}

/// One sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Empty: no known site.
    pub site: String,
    /// Seconds since 1970 at which the hour began, UTC.
    pub hour: u32,
    pub reason: Reason,
    /// Zeros when not stored.
    pub ip: [u8; 16],
    /// The id of the key that protects it; 0 when not stored.
    pub ip_key: u32,
    pub place: Place,
    pub count: u64,
    pub ip_days: u16,
}

/// How addresses of refused hits are stored, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub ip: IpStorage,
    pub ip_days: u16,
}

/// All sums since the last writing.
#[derive(Default)]
pub struct Refusals {
    sums: Mutex<Sums>,
}

#[derive(Default)]
struct Sums {
    with_address: HashMap<Key, Located>,
    with_place: HashMap<Key, u64>,
    others: HashMap<Key, u64>,
    lost: u64,
}

/// A sum with an address, and where that is.
struct Located {
    count: u64,
    place: Place,
}

// === impl Terms ===

impl Terms {
    pub fn of(site: &Site) -> Terms {
        Terms { ip: site.ip, ip_days: site.retention.ip_days }
    }

    /// The strictest of all sites', for hits of none.
    pub fn strictest(config: &Config) -> Terms {
        let strictness = |ip: IpStorage| match ip {
            IpStorage::Encrypted => 0,
            IpStorage::Truncated => 1,
            IpStorage::None => 2,
        };
        let ip = config.sites.iter().map(|site| site.ip).max_by_key(|ip| strictness(*ip));
        let ip_days = config.sites.iter().map(|site| site.retention.ip_days).min();
        Terms { ip: ip.unwrap_or(IpStorage::None), ip_days: ip_days.unwrap_or(1) }
    }
}

// === impl Refusals ===

impl Refusals {
    /// Adds one refusal on `site`, empty for no known one; without an `ip` of whoever is not to
    /// be told apart. `place` is asked only where the sum does not have it yet.
    #[expect(clippy::too_many_arguments, reason = "each is of another thing: request, site, process")]
    pub fn add(
        &self,
        site: &str,
        reason: Reason,
        ip: Option<&ClientIp>,
        terms: Terms,
        keys: &KeyRing,
        place: impl FnOnce() -> Place,
        now: Timestamp,
    ) {
        let is_nobodys = ip.is_none();
        let (ip, ip_key) =
            ip.map(|ip| keys.protect(ip, terms.ip, month_of(utc_day(now)))).unwrap_or_default();
        let seconds = now.as_second();
        let hour = u32::try_from(seconds - seconds.rem_euclid(SECONDS_PER_HOUR)).unwrap_or(0);
        let (site, ip_days) = (site.to_owned(), terms.ip_days);
        let key = Key { site, hour, reason, ip, ip_key, ip_days, place: Place::default() };
        let sums = &mut *self.sums();
        match (ip_key, is_nobodys) {
            (0, true) => sums.add(key, 1),
            (0, false) => sums.add_place(Key { place: place(), ..key }, 1),
            _ => sums.add_address(key, place),
        }
    }

    /// All sums so far, which begin anew.
    pub fn take(&self) -> Vec<Refused> {
        let Sums { with_address, with_place, others, .. } = {
            let mut sums = self.sums();
            let lost = sums.lost;
            std::mem::replace(&mut *sums, Sums { lost, ..Sums::default() })
        };
        let with_address =
            with_address.into_iter().map(|(key, sum)| (Key { place: sum.place, ..key }, sum.count));
        with_address.chain(with_place).chain(others).map(|(key, count)| key.summed(count)).collect()
    }

    /// Refusals that found no room, or could not be written.
    pub fn lost(&self) -> u64 {
        self.sums().lost
    }

    /// Counts refusals that could not be written.
    pub fn lose(&self, count: u64) {
        self.sums().lost += count;
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Sums ===

impl Sums {
    fn add_address(&mut self, key: Key, place: impl FnOnce() -> Place) {
        if let Some(sum) = self.with_address.get_mut(&key) {
            sum.count += 1;
            return;
        }
        if self.with_address.len() >= MAX_ADDRESSES {
            self.make_room();
        }
        self.with_address.insert(key, Located { count: 1, place: place() });
    }

    /// The less active half goes on without its addresses: one look at all of them for
    /// each half of them that comes.
    fn make_room(&mut self) {
        let mut all: Vec<(Key, Located)> = self.with_address.drain().collect();
        all.sort_unstable_by_key(|(_, sum)| std::cmp::Reverse(sum.count));
        let less_active = all.split_off(MAX_ADDRESSES / 2);
        self.with_address.extend(all);
        for (key, Located { count, place }) in less_active {
            self.add_place(Key { ip: [0; 16], ip_key: 0, place, ..key }, count);
        }
    }

    fn add_place(&mut self, key: Key, count: u64) {
        let is_full = self.with_place.len() >= MAX_PLACES;
        match self.with_place.get_mut(&key) {
            Some(sum) => *sum += count,
            None if is_full => self.add(Key { place: Place::default(), ..key }, count),
            None => {
                self.with_place.insert(key, count);
            }
        }
    }

    fn add(&mut self, key: Key, count: u64) {
        let is_full = self.others.len() >= MAX_OTHERS;
        match self.others.get_mut(&key) {
            Some(sum) => *sum += count,
            None if is_full => self.lost += count,
            None => {
                self.others.insert(key, count);
            }
        }
    }
}

// === impl Key ===

impl Key {
    fn summed(self, count: u64) -> Refused {
        let Key { site, hour, reason, ip, ip_key, ip_days, place } = self;
        Refused { site, hour, reason, ip, ip_key, place, count, ip_days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCRYPTED: Terms = Terms { ip: IpStorage::Encrypted, ip_days: 90 };

    fn ip(number: u32) -> ClientIp {
        // 2001:db8::/32 is for documentation.
        let address = std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(number) << 64));
        ClientIp::new(address.into())
    }

    fn place(number: u32) -> Place {
        Place { asn: number, country: "RU".to_owned() }
    }

    fn nowhere() -> Place {
        Place::default()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    struct Rig {
        refusals: Refusals,
        keys: KeyRing,
        _dir: tempfile::TempDir,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().expect("directory");
        let keys = KeyRing::open(&crate::config::Keys::in_dir(&dir.path().join("keys"))).expect("a key ring");
        Rig { refusals: Refusals::default(), keys, _dir: dir }
    }

    #[test]
    fn refusals_are_summed_by_site_hour_reason_and_protected_address() {
        let Rig { refusals, keys, _dir } = rig();
        let add = |site: &str, reason, number, time: &str| {
            refusals.add(site, reason, Some(&ip(number)), ENCRYPTED, &keys, nowhere, at(time));
        };
        for _ in 0..3 {
            add("clinic", Reason::RateLimited, 1, "2026-11-25T20:59:59.9Z");
        }
        add("clinic", Reason::RateLimited, 1, "2026-11-25T21:00:00Z");
        add("clinic", Reason::ForeignHost, 1, "2026-11-25T21:00:00Z");
        add("clinic", Reason::RateLimited, 2, "2026-11-25T21:30:00Z");
        add("", Reason::UnknownSite, 2, "2026-11-25T21:30:00Z");
        let mut found: Vec<(String, i64, &str, u64)> = refusals
            .take()
            .into_iter()
            .inspect(|row| assert!(row.ip_key != 0 && row.ip != [0; 16] && row.ip_days == 90))
            .map(|row| (row.site, i64::from(row.hour), row.reason.name(), row.count))
            .collect();
        found.sort();
        let (eight, nine) = (at("2026-11-25T20:00:00Z").as_second(), at("2026-11-25T21:00:00Z").as_second());
        let row = |site: &str, hour, reason, count| (site.to_owned(), hour, reason, count);
        let expected = [
            row("", nine, "unknown-site", 1),
            row("clinic", eight, "rate-limited", 3),
            row("clinic", nine, "foreign-host", 1),
            row("clinic", nine, "rate-limited", 1),
            row("clinic", nine, "rate-limited", 1),
        ];
        assert_eq!(found, expected);
        assert!(refusals.take().is_empty());
    }

    #[test]
    fn addresses_are_stored_as_the_site_says_and_never_of_who_opted_out() {
        let Rig { refusals, keys, _dir } = rig();
        let now = at("2026-11-25T21:00:00Z");
        for (how, whose, stored) in [
            (IpStorage::Encrypted, Some(ip(7)), true),
            (IpStorage::Truncated, Some(ip(7)), true),
            (IpStorage::None, Some(ip(7)), false),
            (IpStorage::Encrypted, None, false),
        ] {
            let terms = Terms { ip: how, ip_days: 1 };
            refusals.add("clinic", Reason::Duplicate, whose.as_ref(), terms, &keys, || place(7), now);
            let [row] = &refusals.take()[..] else { panic!("one row") };
            let expected = if whose.is_some() { place(7) } else { Place::default() };
            assert_eq!(row.place, expected, "{how:?}");
            assert_eq!((row.ip_key != 0, row.ip != [0; 16]), (stored, stored), "{how:?}");
            let Some(revealed) = keys.reveal(row.ip, row.ip_key).filter(|_| stored) else { continue };
            assert!((revealed == ip(7)) == (how == IpStorage::Encrypted) || how == IpStorage::Truncated);
        }
    }

    #[test]
    fn hits_of_no_site_fall_under_the_strictest_terms() {
        let strictest = |text: &str| {
            Terms::strictest(&Config::parse(text, [], std::path::Path::new("/srv")).expect("valid"))
        };
        let sites = "[[site]]\nid='a'\nhosts=['a.example']\n[[site]]\nid='b'\nhosts=['b.example']\nip='truncated'\n[site.retention]\nip_days=7\n";
        assert_eq!(strictest(sites), Terms { ip: IpStorage::Truncated, ip_days: 7 });
        assert_eq!(strictest(""), Terms { ip: IpStorage::None, ip_days: 1 });
    }

    #[test]
    fn a_flood_is_summed_in_bounded_memory_and_no_refusal_is_uncounted() {
        const FLOOD: u32 = 100_000;
        /// It comes from more networks than are told apart.
        const NETWORKS: u32 = 2000;
        /// One hit in so many is of an address that keeps sending.
        const ABUSE: u32 = 50;
        let Rig { refusals, keys, _dir } = rig();
        let now = at("2026-11-25T21:00:00Z");
        for number in 0..FLOOD {
            // It begins when all room is taken.
            let is_abuser = number >= 5000 && number % ABUSE == 0;
            let number = if is_abuser { FLOOD } else { number };
            let place = || place(1 + number % NETWORKS);
            refusals.add("clinic", Reason::RateLimited, Some(&ip(number)), ENCRYPTED, &keys, place, now);
        }
        let rows = refusals.take();
        assert!(rows.len() <= MAX_ADDRESSES + MAX_PLACES + 1, "{}", rows.len());
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), u64::from(FLOOD));
        let places = rows.iter().filter(|row| row.ip_key == 0 && row.place.asn != 0).count();
        let others = rows.iter().filter(|row| row.ip_key == 0 && row.place.asn == 0).count();
        assert_eq!((places, others), (MAX_PLACES, 1));
        let abuser = rows.iter().filter(|row| row.ip_key != 0).max_by_key(|row| row.count).expect("a row");
        let sent = u64::from((FLOOD - 5000) / ABUSE);
        assert!(keys.reveal(abuser.ip, abuser.ip_key).is_some_and(|found| found == ip(FLOOD)));
        assert_eq!((abuser.count, abuser.place.asn), (sent, 1 + FLOOD % NETWORKS));
        // A storage that is away for a year of hours.
        for hour in 0..10_000 {
            let then = now + jiff::SignedDuration::from_hours(hour);
            refusals.add("clinic", Reason::OptedOut, None, ENCRYPTED, &keys, nowhere, then);
        }
        let kept: u64 = refusals.take().iter().map(|row| row.count).sum();
        println!("{FLOOD} refusals: {} rows; 10000 hours: {kept} kept, {} lost", rows.len(), refusals.lost());
        assert_eq!((kept, kept + refusals.lost()), (MAX_OTHERS as u64, 10_000));
    }
}
