//! How many hits one address, one network and all of them together may send to a site.
//!
//! Keys are keyed hashes of address prefixes, so that memory holds no address.
//! Memory is bounded: beyond [`MAX_KEYS`] those that have been quiet are
//! forgotten, and if that is not enough all share [`SHARED_BUCKETS`] buckets by
//! hash until it is, so that a flood from everywhere is limited too and a
//! visitor then shares a limit with few others.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// The most addresses told apart: about 100 bytes each, so 20 MB.
pub const MAX_KEYS: usize = 200_000;
/// How many buckets a flood shares.
pub const SHARED_BUCKETS: u64 = 65_536;
/// Every so many checks the size is looked at: rare enough to cost nothing,
/// often enough that the excess over [`MAX_KEYS`] stays small.
const CHECKS_PER_SHRINK: u32 = 1024;

/// Hits per minute; 0 is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerMinute {
    pub address: u32,
    pub network: u32,
    pub site: u32,
}

/// All limits.
pub struct RateLimits {
    address: Option<Limit>,
    network: Option<Limit>,
    /// By id. Sites are configured, so they are few.
    site: Option<DefaultKeyedRateLimiter<String>>,
    per_minute: PerMinute,
}

/// One limit of many, each told apart by a keyed hash.
pub(crate) struct Limit {
    limiter: DefaultKeyedRateLimiter<u64>,
    checks: AtomicU32,
    crowded: AtomicBool,
}

// === impl RateLimits ===

impl RateLimits {
    pub fn new(per_minute: PerMinute) -> RateLimits {
        RateLimits {
            address: Limit::new(per_minute.address),
            network: Limit::new(per_minute.network),
            site: NonZeroU32::new(per_minute.site).map(|most| RateLimiter::keyed(Quota::per_minute(most))),
            per_minute,
        }
    }

    /// The limits that this was made with.
    pub fn per_minute(&self) -> PerMinute {
        self.per_minute
    }

    /// Counts one hit on a configured site; `false` if it is beyond a limit. The
    /// site's comes last, so that what a flood's own limit refuses is not the
    /// site's loss.
    pub fn admit(&self, address: impl FnOnce() -> u64, network: impl FnOnce() -> u64, site: &String) -> bool {
        self.address.as_ref().is_none_or(|limit| limit.admit(address()))
            && self.network.as_ref().is_none_or(|limit| limit.admit(network()))
            && self.site.as_ref().is_none_or(|limit| limit.check_key(site).is_ok())
    }

    /// How many addresses and networks are remembered.
    pub fn remembered(&self) -> usize {
        [&self.address, &self.network].into_iter().flatten().map(|limit| limit.limiter.len()).sum()
    }
}

// === impl Limit ===

impl Limit {
    fn new(per_minute: u32) -> Option<Limit> {
        NonZeroU32::new(per_minute).map(Quota::per_minute).map(Limit::of)
    }

    pub(crate) fn of(quota: Quota) -> Limit {
        Limit {
            limiter: RateLimiter::keyed(quota),
            checks: AtomicU32::new(0),
            crowded: AtomicBool::new(false),
        }
    }

    /// Counts one of this key; `false` if it is beyond the limit.
    pub(crate) fn admit(&self, key: u64) -> bool {
        if self.checks.fetch_add(1, Relaxed) % CHECKS_PER_SHRINK == CHECKS_PER_SHRINK - 1 {
            self.shrink();
        }
        let key = if self.crowded.load(Relaxed) { key % SHARED_BUCKETS } else { key };
        self.limiter.check_key(&key).is_ok()
    }

    fn shrink(&self) {
        if self.limiter.len() <= MAX_KEYS {
            self.crowded.store(false, Relaxed);
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.crowded.store(self.limiter.len() > MAX_KEYS / 2, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_network_have_their_own_limits() {
        let limits = RateLimits::new(PerMinute { address: 3, network: 5, site: 0 });
        let admitted = |address: u64| limits.admit(|| address, || 1, &String::new());
        let outcomes: Vec<bool> = [1, 1, 1, 1, 2, 2, 2].into_iter().map(admitted).collect();
        assert_eq!(outcomes, [true, true, true, false, true, true, false]);
    }

    #[test]
    fn zero_is_off() {
        let limits = RateLimits::new(PerMinute::default());
        assert!((0..10_000).all(|_| limits.admit(|| 1, || 1, &String::new())));
        assert_eq!(limits.remembered(), 0);
    }

    #[test]
    fn a_site_has_its_limit_from_all_addresses_together() {
        let limits = RateLimits::new(PerMinute { address: 2, network: 0, site: 3 });
        let admitted = |address: u64, site: &str| limits.admit(|| address, || 0, &site.to_owned());
        // The third of address 1 is over its own limit, and costs the site nothing.
        let outcomes: Vec<bool> = [1, 1, 1, 2, 3].into_iter().map(|one| admitted(one, "clinic")).collect();
        assert_eq!(outcomes, [true, true, false, true, false]);
        assert!(admitted(4, "shop"), "another site");
    }

    #[test]
    fn a_flood_from_everywhere_is_held_in_bounded_memory_and_limited() {
        let limits = RateLimits::new(PerMinute { address: 1, ..PerMinute::default() });
        let keys = (MAX_KEYS * 2) as u64;
        let admitted = (0..keys)
            .filter(|key| limits.admit(|| key.wrapping_mul(0x9E37_79B9_7F4A_7C15), || 0, &String::new()))
            .count();
        assert!(limits.remembered() <= MAX_KEYS + CHECKS_PER_SHRINK as usize + SHARED_BUCKETS as usize);
        assert!(admitted < keys as usize, "the shared buckets limited nothing");
    }
}
