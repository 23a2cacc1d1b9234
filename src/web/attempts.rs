//! Brute force: how many wrong sign-ins one account and one source may make.
//!
//! Only failures count, so that people who sign in rightly are never stopped.
//! After more than [`ACCOUNT_BURST`] failures for a login, or [`SOURCE_BURST`]
//! from a source, the next attempts wait until the quota has grown again. Logins that
//! do not exist are counted alike, so that the answer tells nothing.
//!
//! Wrong secrets of shared links are counted apart, by source alone: a link that has
//! expired must keep nobody from signing in.
//!
//! Accounts and sources are keyed hashes cut to 16 bits: the tables are bounded
//! whatever is tried, hold no login and no address, and a collision only makes
//! two strangers share a quota.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Failures in a row for one login before it has to wait.
pub const ACCOUNT_BURST: u32 = 10;
/// Failures in a row from one source: an office shares an address.
pub const SOURCE_BURST: u32 = 30;
/// Wrong secrets of shared links in a row from one source: the calls of some pages
/// whose link has ended.
pub const LINK_BURST: u32 = 60;
/// One more attempt is allowed each so many seconds: 1440 guesses a day
/// against one account.
const ACCOUNT_PERIOD: Duration = Duration::from_secs(60);
const SOURCE_PERIOD: Duration = Duration::from_secs(20);
/// 30 a minute against secrets of 128 bits.
const LINK_PERIOD: Duration = Duration::from_secs(2);

/// The counters of failures.
pub struct Attempts {
    key: [u8; 32],
    accounts: Table,
    sources: Table,
    links: Table,
}

struct Table {
    failures: DefaultKeyedRateLimiter<u16>,
    blocked: Mutex<HashMap<u16, <DefaultClock as Clock>::Instant>>,
    clock: DefaultClock,
}

// === impl Attempts ===

impl Default for Attempts {
    fn default() -> Self {
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).expect("the kernel gives random bytes once it has booted");
        Attempts {
            key,
            accounts: Table::new(ACCOUNT_BURST, ACCOUNT_PERIOD),
            sources: Table::new(SOURCE_BURST, SOURCE_PERIOD),
            links: Table::new(LINK_BURST, LINK_PERIOD),
        }
    }
}

impl Attempts {
    /// How long this login or source has to wait; `None` if it may try.
    pub fn wait(&self, login: &str, source: &[u8]) -> Option<Duration> {
        let account = self.accounts.wait(self.cut(b'a', login.as_bytes()));
        let source = self.sources.wait(self.cut(b's', source));
        account.max(source)
    }

    /// The attempt was wrong.
    pub fn failed(&self, login: &str, source: &[u8]) {
        self.accounts.failed(self.cut(b'a', login.as_bytes()));
        self.sources.failed(self.cut(b's', source));
    }

    /// How long this source has to wait before it shows another link.
    pub fn wait_for_link(&self, source: &[u8]) -> Option<Duration> {
        self.links.wait(self.cut(b'l', source))
    }

    /// The secret of a link was wrong.
    pub fn link_failed(&self, source: &[u8]) {
        self.links.failed(self.cut(b'l', source));
    }

    /// Tells one source from another for as long as this process runs, and nothing more.
    pub fn mark(&self, source: &[u8]) -> u32 {
        u32::from(self.cut(b'm', source)) << 16 | u32::from(self.cut(b'n', source))
    }

    fn cut(&self, kind: u8, bytes: &[u8]) -> u16 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind]).update(bytes);
        let hash = hasher.finalize();
        u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])
    }
}

// === impl Table ===

impl Table {
    fn new(burst: u32, period: Duration) -> Table {
        let burst = NonZeroU32::new(burst).expect("the constants above are not zero");
        let quota = Quota::with_period(period).expect("the constants above are not zero").allow_burst(burst);
        Table {
            failures: RateLimiter::keyed(quota),
            blocked: Mutex::default(),
            clock: DefaultClock::default(),
        }
    }

    fn wait(&self, key: u16) -> Option<Duration> {
        let mut blocked = self.blocked.lock().expect("no panic holds this lock");
        let until = *blocked.get(&key)?;
        let now = self.clock.now();
        if until <= now {
            blocked.remove(&key);
            return None;
        }
        Some(until.duration_since(now))
    }

    fn failed(&self, key: u16) {
        if let Err(refused) = self.failures.check_key(&key) {
            let until = refused.earliest_possible();
            self.blocked.lock().expect("no panic holds this lock").insert(key, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_waits_after_its_failures_and_others_do_not() {
        let attempts = Attempts::default();
        for number in 0..=ACCOUNT_BURST {
            assert!(attempts.wait("olga", b"source").is_none(), "attempt {number}");
            attempts.failed("olga", b"source");
        }
        let wait = attempts.wait("olga", b"another source").expect("the account waits");
        assert!(wait <= ACCOUNT_PERIOD);
        assert!(attempts.wait("ivan", b"source").is_none());
    }

    #[test]
    fn a_source_that_tries_many_accounts_waits() {
        let attempts = Attempts::default();
        for number in 0..=SOURCE_BURST {
            attempts.failed(&format!("login {number}"), b"source");
        }
        assert!(attempts.wait("olga", b"source").is_some());
        assert!(attempts.wait("olga", b"another source").is_none());
    }

    #[test]
    fn a_source_of_wrong_links_waits_and_may_sign_in() {
        let attempts = Attempts::default();
        for number in 0..=LINK_BURST {
            assert!(attempts.wait_for_link(b"source").is_none(), "attempt {number}");
            attempts.link_failed(b"source");
        }
        let wait = attempts.wait_for_link(b"source").expect("the source waits");
        assert!(wait <= LINK_PERIOD);
        assert!(attempts.wait("olga", b"source").is_none());
        assert!(attempts.wait_for_link(b"another source").is_none());
    }
}
