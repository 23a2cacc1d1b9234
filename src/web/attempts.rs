//! Brute force: how many wrong sign-ins one account and one source may make.
//!
//! An attempt counts from its beginning, and is taken back when it was right, so that
//! only failures are left and many at once are no way around: what is being compared
//! has been counted. After [`ACCOUNT_BURST`] failures for a login, or [`SOURCE_BURST`]
//! from a source, the next attempt waits until the quota has grown again. Logins that
//! do not exist are counted alike, so that the answer tells nothing.
//!
//! The price: whoever knows a login can keep its owner from signing in for as long as
//! they go on guessing, for which a guess a minute is enough. Sessions that were begun
//! before, and tokens, go on. The first sign-in code is of no login and is limited by
//! source alone: nobody guesses 80 bits, and nobody keeps the first owner out.
//!
//! Wrong secrets of shared links are counted apart, by source alone: a link that has
//! expired must keep nobody from signing in.
//!
//! Accounts and sources are keyed hashes cut to 16 bits: the tables are bounded
//! whatever is tried, hold no login and no address, and a collision only makes
//! two strangers share a quota.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Failures in a row for one login before it has to wait.
pub const ACCOUNT_BURST: u32 = 10;
/// Failures in a row from one source: an office shares an address.
pub const SOURCE_BURST: u32 = 30;
/// Wrong secrets of shared links in a row from one source: the calls of some pages
/// whose link has ended.
pub const LINK_BURST: u32 = 60;
/// One more attempt is allowed each so many seconds: 1440 guesses a day
/// against one account, after the first ones in a row.
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

/// One that has begun. It counts as wrong unless it is [taken back](Attempts::take_back):
/// also when whoever made it does not wait for the answer.
#[must_use]
#[derive(Debug)]
pub struct Attempt {
    /// None where the secret needs no limit but that of its source.
    account: Option<u16>,
    source: u16,
}

/// How much of its quota each key has used.
struct Table {
    burst: u32,
    period: Duration,
    used: Mutex<Used>,
}

/// When each key will have its whole quota again.
type Used = HashMap<u16, Instant>;

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
    /// Begins an attempt to sign in, unless the login or the source has to wait so long.
    pub fn begin(&self, login: &str, source: &[u8]) -> Result<Attempt, Duration> {
        self.begin_at(Some(login), source, Instant::now())
    }

    /// The same with the first sign-in code, which is of no login.
    pub fn begin_by_code(&self, source: &[u8]) -> Result<Attempt, Duration> {
        self.begin_at(None, source, Instant::now())
    }

    fn begin_at(&self, login: Option<&str>, source: &[u8], now: Instant) -> Result<Attempt, Duration> {
        let account = login.map(|login| self.cut(b'a', login.as_bytes()));
        let source = self.cut(b's', source);
        // Both are held: of many at once none passes between looking and counting.
        let (mut by_account, mut by_source) = (self.accounts.used(), self.sources.used());
        let wait = account.and_then(|account| self.accounts.wait(&by_account, account, now));
        if let Some(wait) = wait.max(self.sources.wait(&by_source, source, now)) {
            return Err(wait);
        }
        if let Some(account) = account {
            self.accounts.count(&mut by_account, account, now);
        }
        self.sources.count(&mut by_source, source, now);
        Ok(Attempt { account, source })
    }

    /// The attempt was right, or nothing was compared.
    pub fn take_back(&self, attempt: Attempt) {
        let now = Instant::now();
        if let Some(account) = attempt.account {
            self.accounts.take_back(account, now);
        }
        self.sources.take_back(attempt.source, now);
    }

    /// How long this source has to wait before it shows another link.
    pub fn wait_for_link(&self, source: &[u8]) -> Option<Duration> {
        self.links.wait(&self.links.used(), self.cut(b'l', source), Instant::now())
    }

    /// The secret of a link was wrong.
    pub fn link_failed(&self, source: &[u8]) {
        self.links.count(&mut self.links.used(), self.cut(b'l', source), Instant::now());
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
        Table { burst, period, used: Mutex::default() }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().expect("no panic holds this lock")
    }

    /// How long the key has to wait before it may use one more.
    fn wait(&self, used: &Used, key: u16, now: Instant) -> Option<Duration> {
        let until_whole = used.get(&key)?.saturating_duration_since(now);
        let wait = until_whole.saturating_sub(self.period * (self.burst - 1));
        (!wait.is_zero()).then_some(wait)
    }

    fn count(&self, used: &mut Used, key: u16, now: Instant) {
        let whole = used.entry(key).or_insert(now);
        *whole = (*whole).max(now) + self.period;
    }

    fn take_back(&self, key: u16, now: Instant) {
        let mut used = self.used();
        if let Some(whole) = used.get_mut(&key) {
            match whole.checked_sub(self.period).filter(|whole| *whole > now) {
                Some(earlier) => *whole = earlier,
                None => drop(used.remove(&key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_waits_after_its_failures_and_others_do_not() {
        let attempts = Attempts::default();
        for number in 0..ACCOUNT_BURST {
            assert!(attempts.begin("olga", b"source").is_ok(), "attempt {number}");
        }
        let wait = attempts.begin("olga", b"another source").expect_err("the account waits");
        assert!(wait <= ACCOUNT_PERIOD);
        assert!(attempts.begin("ivan", b"source").is_ok());
    }

    #[test]
    fn a_source_that_tries_many_accounts_waits() {
        let attempts = Attempts::default();
        for number in 0..SOURCE_BURST {
            assert!(attempts.begin(&format!("login {number}"), b"source").is_ok(), "attempt {number}");
        }
        assert!(attempts.begin("olga", b"source").is_err());
        assert!(attempts.begin("olga", b"another source").is_ok());
    }

    #[test]
    fn what_is_right_is_counted_while_it_is_compared_and_not_after() {
        let attempts = Attempts::default();
        for _ in 0..10 * ACCOUNT_BURST {
            attempts.take_back(attempts.begin("olga", b"source").expect("none of them was wrong"));
        }
        let at_once: Vec<_> = (0..ACCOUNT_BURST).map(|_| attempts.begin("olga", b"source")).collect();
        assert!(attempts.begin("olga", b"source").is_err(), "as many as may be are being compared");
        at_once.into_iter().flatten().for_each(|attempt| attempts.take_back(attempt));
        assert!(attempts.begin("olga", b"source").is_ok());
    }

    #[test]
    fn whoever_guesses_the_first_code_keeps_nobody_else_from_giving_it() {
        let attempts = Attempts::default();
        for number in 0..SOURCE_BURST {
            assert!(attempts.begin_by_code(b"source").is_ok(), "attempt {number}");
        }
        assert!(attempts.begin_by_code(b"source").is_err());
        assert!(attempts.begin_by_code(b"another source").is_ok());
    }

    #[test]
    fn whoever_guesses_all_day_has_the_guesses_of_a_day() {
        const DAY: Duration = Duration::from_secs(86_400);
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let (mut now, mut guesses) = (begin, 0);
        while now < begin + DAY {
            // As many as come at once, from a new source each.
            let wait = loop {
                match attempts.begin_at(Some("olga"), &u64::to_le_bytes(guesses), now) {
                    Ok(_) => guesses += 1,
                    Err(wait) => break wait,
                }
            };
            now += wait;
        }
        let (a_day, in_a_row) = (DAY.as_secs() / ACCOUNT_PERIOD.as_secs(), u64::from(ACCOUNT_BURST));
        assert_eq!((a_day, guesses), (1440, a_day - 1 + in_a_row));
    }

    #[test]
    fn a_source_of_wrong_links_waits_and_may_sign_in() {
        let attempts = Attempts::default();
        for number in 0..LINK_BURST {
            assert!(attempts.wait_for_link(b"source").is_none(), "attempt {number}");
            attempts.link_failed(b"source");
        }
        let wait = attempts.wait_for_link(b"source").expect("the source waits");
        assert!(wait <= LINK_PERIOD);
        assert!(attempts.begin("olga", b"source").is_ok());
        assert!(attempts.wait_for_link(b"another source").is_none());
    }
}
