//! How many hits one address and one network may send.
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

/// Both limits.
pub struct RateLimits {
    address: Option<Limit>,
    network: Option<Limit>,
    per_minute: (u32, u32),
}

struct Limit {
    limiter: DefaultKeyedRateLimiter<u64>,
    checks: AtomicU32,
    crowded: AtomicBool,
}

// === impl RateLimits ===

impl RateLimits {
    /// Hits per minute of an address and of a network; 0 is off.
    pub fn new(address_per_minute: u32, network_per_minute: u32) -> RateLimits {
        RateLimits {
            address: Limit::new(address_per_minute),
            network: Limit::new(network_per_minute),
            per_minute: (address_per_minute, network_per_minute),
        }
    }

    /// The limits that this was made with.
    pub fn per_minute(&self) -> (u32, u32) {
        self.per_minute
    }

    /// Counts one hit; `false` if it is beyond a limit.
    pub fn admit(&self, address: impl FnOnce() -> u64, network: impl FnOnce() -> u64) -> bool {
        self.address.as_ref().is_none_or(|limit| limit.admit(address()))
            && self.network.as_ref().is_none_or(|limit| limit.admit(network()))
    }

    /// How many addresses and networks are remembered.
    pub fn remembered(&self) -> usize {
        [&self.address, &self.network].into_iter().flatten().map(|limit| limit.limiter.len()).sum()
    }
}

// === impl Limit ===

impl Limit {
    fn new(per_minute: u32) -> Option<Limit> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
        Some(Limit {
            limiter: RateLimiter::keyed(quota),
            checks: AtomicU32::new(0),
            crowded: AtomicBool::new(false),
        })
    }

    fn admit(&self, key: u64) -> bool {
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
        let limits = RateLimits::new(3, 5);
        let admitted = |address: u64| limits.admit(|| address, || 1);
        let outcomes: Vec<bool> = [1, 1, 1, 1, 2, 2, 2].into_iter().map(admitted).collect();
        assert_eq!(outcomes, [true, true, true, false, true, true, false]);
    }

    #[test]
    fn zero_is_off() {
        let limits = RateLimits::new(0, 0);
        assert!((0..10_000).all(|_| limits.admit(|| 1, || 1)));
        assert_eq!(limits.remembered(), 0);
    }

    #[test]
    fn a_flood_from_everywhere_is_held_in_bounded_memory_and_limited() {
        let limits = RateLimits::new(1, 0);
        let keys = (MAX_KEYS * 2) as u64;
        let admitted =
            (0..keys).filter(|key| limits.admit(|| key.wrapping_mul(0x9E37_79B9_7F4A_7C15), || 0)).count();
        assert!(limits.remembered() <= MAX_KEYS + CHECKS_PER_SHRINK as usize + SHARED_BUCKETS as usize);
        assert!(admitted < keys as usize, "the shared buckets limited nothing");
    }
}
