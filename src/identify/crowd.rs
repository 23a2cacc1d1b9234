//! How many new visitors one address may add to a site's numbers in a day
//! (`collect.max_new_visitors_per_address_per_day`). What comes beyond is kept and
//! marked `crowd`.
//!
//! *New* is a cookieless visitor that has not been seen today from the address,
//! and a cookie made today. A cookie of an earlier day is a visitor who was there
//! before, whom nobody's flood can keep out of the numbers. A visitor who takes
//! the cookie they are offered is one visitor, not two: the cookie takes over the
//! place. An address is an IPv4 address or an IPv6 /64, for one site; the day is
//! the site's, as the cookieless visitor's is. (A cookie bears the day of UTC: one
//! that first comes back after UTC's midnight passes as an earlier day's.)
//!
//! Invariants:
//! - of the visitors that are new today, at most the cap are counted for an
//!   address; who was counted once today stays counted, who was not, does not;
//! - an address is offered at most the cap of cookies in a day, so that what it
//!   keeps for later is bounded as well. Whoever refuses cookies goes on being
//!   counted, as the one cookieless visitor they are;
//! - memory holds keyed hashes only.
//!
//! Bounds: [`MAX_ADDRESSES`] and [`MAX_VISITORS`]. Beyond either, addresses with
//! the fewest visitors are forgotten, which begin anew: at the bound it counts
//! what it should have marked, and never marks anybody for the flood of others.
//! It is one process's memory: a restart begins every address anew, and each of
//! several collectors counts its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most addresses told apart: about 100 bytes each, so 20 MB.
pub const MAX_ADDRESSES: usize = 200_000;
/// The most visitors remembered of all addresses together: 16 bytes each and as
/// much room to grow, so 16 MB.
pub const MAX_VISITORS: usize = 500_000;
/// Enough that hit threads rarely meet.
const SHARDS: usize = 16;
const ADDRESSES_PER_SHARD: usize = MAX_ADDRESSES / SHARDS;
const VISITORS_PER_SHARD: usize = MAX_VISITORS / SHARDS;

/// The hash of no cookie: the visitor's first hit is still under way.
const UNSETTLED: u64 = u64::MAX;
/// The visitor has hits that no single cookie can take over.
const OWN: u64 = 0;

/// Who sends a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// Without a cookie.
    Cookieless(u64),
    /// With a cookie made today.
    Cookie(u64),
}

/// What became of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    pub counted: bool,
    /// Whether a cookie may be offered.
    pub may_offer: bool,
}

/// Today's visitors of all addresses.
#[derive(Default)]
pub struct Crowd {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    addresses: HashMap<u64, Address>,
    /// The sum over the addresses.
    visitors: usize,
}

struct Address {
    day: i64,
    visitors: Vec<Visitor>,
    offered: u32,
}

struct Visitor {
    hash: u64,
    /// The one cookie that every hit so far was offered; [`OWN`] when they were
    /// offered several, or none.
    offered: u64,
}

// === impl Crowd ===

impl Crowd {
    /// Whether a hit of `newcomer` counts. `address` is a keyed hash of site and
    /// address, `day` the number of the site's day, `cap` the most new visitors.
    pub fn admit(&self, address: u64, newcomer: Newcomer, day: i64, cap: u32) -> Admission {
        let mut shard = self.shard(address);
        shard.make_room(address, day);
        let Shard { addresses, visitors } = &mut *shard;
        let entry = addresses.entry(address).or_insert_with(|| Address::new(day));
        if !entry.is_of(day) {
            *visitors -= entry.visitors.len();
            *entry = Address::new(day);
        }
        let known = match newcomer {
            Newcomer::Cookieless(hash) => entry.visitors.iter().any(|visitor| visitor.hash == hash),
            Newcomer::Cookie(hash) => entry.take_over(hash),
        };
        let counted = known || entry.visitors.len() < cap as usize;
        if counted && !known {
            entry.visitors.push(match newcomer {
                Newcomer::Cookieless(hash) => Visitor { hash, offered: UNSETTLED },
                Newcomer::Cookie(hash) => Visitor { hash, offered: OWN },
            });
            *visitors += 1;
        }
        Admission { counted, may_offer: counted && entry.offered < cap }
    }

    /// Notes which cookie a counted, cookieless hit was offered; 0 when none.
    /// `made` says that it was made for this hit.
    pub fn settle(&self, address: u64, visitor: u64, cookie: u64, made: bool, day: i64) {
        let mut shard = self.shard(address);
        // Forgotten meanwhile: then there is nothing to note.
        let Some(entry) = shard.addresses.get_mut(&address).filter(|entry| entry.is_of(day)) else { return };
        entry.offered += u32::from(made);
        if let Some(known) = entry.visitors.iter_mut().find(|known| known.hash == visitor)
            && known.offered != cookie
        {
            known.offered = if known.offered == UNSETTLED { cookie } else { OWN };
        }
    }

    /// How many addresses, and how many visitors of them, are remembered.
    pub fn remembered(&self) -> (usize, usize) {
        self.shards.iter().map(locked).fold((0, 0), |(addresses, visitors), shard| {
            (addresses + shard.addresses.len(), visitors + shard.visitors)
        })
    }

    fn shard(&self, address: u64) -> MutexGuard<'_, Shard> {
        locked(&self.shards[address as usize % SHARDS])
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Shard ===

impl Shard {
    /// When full, forgets addresses of days past, then those with few visitors,
    /// until a quarter of both bounds is free.
    fn make_room(&mut self, address: u64, day: i64) {
        let is_full = self.visitors >= VISITORS_PER_SHARD
            || (self.addresses.len() >= ADDRESSES_PER_SHARD && !self.addresses.contains_key(&address));
        if !is_full {
            return;
        }
        let mut fewest = 0;
        while self.visitors > VISITORS_PER_SHARD / 4 * 3 || self.addresses.len() > ADDRESSES_PER_SHARD / 4 * 3
        {
            // Sites' days differ by one around the earth.
            self.addresses.retain(|_, address| address.day >= day - 1 && address.visitors.len() > fewest);
            self.visitors = self.addresses.values().map(|address| address.visitors.len()).sum();
            fewest = (2 * fewest).max(1);
        }
    }
}

// === impl Address ===

impl Address {
    fn new(day: i64) -> Address {
        Address { day, visitors: Vec::new(), offered: 0 }
    }

    /// Whether this is the address on `day`. Around midnight threads may differ by
    /// a day; a clock that was set back differs by more.
    fn is_of(&self, day: i64) -> bool {
        day == self.day || day == self.day - 1
    }

    /// Whether a cookie made today is one of the counted; it takes the place of
    /// the cookieless visitor that it was offered to, if that has no hits besides.
    fn take_over(&mut self, cookie: u64) -> bool {
        let known = |visitor: &&mut Visitor| {
            visitor.hash == cookie || (visitor.offered == cookie && cookie != UNSETTLED && cookie != OWN)
        };
        match self.visitors.iter_mut().find(known) {
            Some(visitor) => {
                *visitor = Visitor { hash: cookie, offered: OWN };
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
