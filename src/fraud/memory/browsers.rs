//! The browsers in which a user key was seen, in fixed room.
//!
//! In: the keyed hash of a browser's cookie, and when it came with the key (not of a cookie that was
//! only offered). Out: those of the last days, the latest first: a check by user key looks at them
//! too. Of more than [`MAX_BROWSERS`] the one goes that was not seen with the key for longest, and
//! that there were more is said.

use std::cmp::Reverse;

use super::day;

/// A phone, a tablet and a computer at home and at work, and each a second time when its cookie was
/// deleted. A hundred bytes of each user key.
pub const MAX_BROWSERS: usize = 8;

/// The latest browsers of a user key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Browsers {
    /// Whole hashes, as the memory has visitors by them. An empty place has 0.
    hashes: [u64; MAX_BROWSERS],
    /// Seconds since 1970: when the key was last seen in it.
    seconds: [u32; MAX_BROWSERS],
    /// The last day on which one had to go for another.
    overflowed: u16,
}

// === impl Browsers ===

impl Browsers {
    /// Takes a browser in, seen with the key at a time in milliseconds; 0 is none.
    pub fn see(&mut self, browser: u64, time: i64) {
        if browser == 0 {
            return;
        }
        let second = u32::try_from(time / 1000).unwrap_or_default();
        let known = self.hashes.iter().position(|hash| *hash == browser);
        let place = known.or_else(|| {
            let oldest = (0..MAX_BROWSERS).min_by_key(|place| (self.seconds[*place], self.hashes[*place]))?;
            let is_older = self.hashes[oldest] == 0 || self.seconds[oldest] <= second;
            if self.hashes[oldest] != 0 {
                let gone = self.seconds[oldest].min(second);
                self.overflowed = self.overflowed.max(day(i64::from(gone) * 1000));
            }
            is_older.then_some(oldest)
        });
        if let Some(place) = place {
            self.seconds[place] = if known.is_some() { self.seconds[place].max(second) } else { second };
            self.hashes[place] = browser;
        }
    }

    /// Those of a day or later, the latest first.
    pub fn since(&self, first: u16) -> Vec<u64> {
        let mut seen: Vec<(u32, u64)> = self.seconds.into_iter().zip(self.hashes).collect();
        seen.retain(|(second, hash)| *hash != 0 && day(i64::from(*second) * 1000) >= first);
        seen.sort_unstable_by_key(|(second, hash)| (Reverse(*second), *hash));
        seen.into_iter().map(|(_, hash)| hash).collect()
    }

    /// Whether one had to go that was seen on that day or later.
    pub fn had_more(&self, first: u16) -> bool {
        self.overflowed != 0 && self.overflowed >= first
    }

    /// Forgets browsers, which come sorted.
    pub fn forget(&mut self, browsers: &[u64]) {
        for place in 0..MAX_BROWSERS {
            if browsers.binary_search(&self.hashes[place]).is_ok() {
                (self.hashes[place], self.seconds[place]) = (0, 0);
            }
        }
    }
}
