//! How much visitors may look and ask.
//!
//! Looks are written into the audit trail, and requests into a register that is one
//! file and that an officer reads: neither is to be filled by a program that collects
//! cookies. An address is told apart by its limiter's key (an IPv4 address or an IPv6
//! /64). What an address did is in memory only, what all did today is counted in the
//! register, so that no restart forgives it.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::{Refusal, WHO};
use crate::identify::limit::Limit;
use crate::rights::register::MAX_REQUESTS;
use crate::rights::request::Request;

/// Looks and copies of one address in an hour: somebody who reads, and a family behind them.
pub const LOOKS_PER_ADDRESS_PER_HOUR: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// Of all visitors together: about a megabyte of trail a day at most.
pub const LOOKS_PER_HOUR: NonZeroU32 = NonZeroU32::new(600).unwrap();
/// Requests of one address in a day: each kind once, and some more for a second browser.
pub const REQUESTS_PER_ADDRESS_PER_DAY: NonZeroU32 = NonZeroU32::new(12).unwrap();
/// Requests of all visitors in a day: more than an officer answers in a month.
pub const REQUESTS_PER_DAY: usize = 200;
/// What visitors may have in the register, so that an officer can always register one more.
pub const MAX_REQUESTS_OF_VISITORS: usize = MAX_REQUESTS / 2;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The limits.
pub struct Limits {
    looks: Limit,
    looks_of_all: DefaultDirectRateLimiter,
    requests: Limit,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            looks: Limit::of(over(HOUR, LOOKS_PER_ADDRESS_PER_HOUR)),
            looks_of_all: RateLimiter::direct(over(HOUR, LOOKS_PER_HOUR)),
            requests: Limit::of(over(DAY, REQUESTS_PER_ADDRESS_PER_DAY)),
        }
    }
}

impl Limits {
    /// Counts a look from an address.
    pub fn look(&self, address: u64) -> Result<(), Refusal> {
        match self.looks.admit(address) && self.looks_of_all.check().is_ok() {
            true => Ok(()),
            false => Err(Refusal::Limited),
        }
    }

    /// Counts a request from an address, beside those that are in the register.
    pub fn request(&self, address: u64, registered: &[Request], now_ms: i64) -> Result<(), Refusal> {
        let by_visitors = || registered.iter().filter(|request| is_by_visitor(request));
        if by_visitors().count() >= MAX_REQUESTS_OF_VISITORS {
            return Err(Refusal::Full);
        }
        let today = by_visitors().filter(|request| request.received > now_ms - DAY_MS).count();
        match today < REQUESTS_PER_DAY && self.requests.admit(address) {
            true => Ok(()),
            false => Err(Refusal::Limited),
        }
    }
}

/// Whether a visitor registered it on their page.
pub fn is_by_visitor(request: &Request) -> bool {
    request.history.first().is_some_and(|first| first.who == WHO)
}

/// So many at once, of which one comes back after its part of the time.
fn over(time: Duration, most: NonZeroU32) -> Quota {
    // A part of an hour by a number that is not 0 is not 0.
    Quota::with_period(time / most.get()).map_or(Quota::per_hour(most), |quota| quota.allow_burst(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_look_so_often_and_all_together_so_often() {
        let limits = Limits::default();
        let looks = |address| (0..2000).take_while(|_| limits.look(address).is_ok()).count();
        assert_eq!(looks(1), LOOKS_PER_ADDRESS_PER_HOUR.get() as usize);
        assert_eq!(looks(1), 0);
        let all: usize = (2..100).map(looks).sum();
        let left = LOOKS_PER_HOUR.get() as usize - LOOKS_PER_ADDRESS_PER_HOUR.get() as usize;
        // A part of a second may give one back.
        assert!((left..left + 2).contains(&all), "{all} of {left}");
    }
}
