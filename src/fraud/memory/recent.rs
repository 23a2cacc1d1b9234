//! Different things of the last days, in fixed room: the latest stay, in whichever order they come.

use super::day;

/// The latest `N` different things, each with the day of its last sight.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent<const N: usize> {
    /// Keyed hashes, or numbers of words, cut to 32 bits: two of a handful are taken for
    /// one in four billion. An empty place has day 0.
    things: [u32; N],
    days: [u16; N],
    /// The last day on which something had to go for another.
    overflowed: u16,
}

// === impl Recent ===

impl<const N: usize> Default for Recent<N> {
    fn default() -> Recent<N> {
        Recent { things: [0; N], days: [0; N], overflowed: 0 }
    }
}

impl<const N: usize> Recent<N> {
    /// Takes a thing in, seen at a time in milliseconds.
    pub fn see(&mut self, thing: u64, time: i64) {
        let (thing, today) = (short(thing), day(time));
        let known = (0..N).find(|place| self.days[*place] != 0 && self.things[*place] == thing);
        let place = known.or_else(|| {
            let oldest = (0..N).min_by_key(|place| self.days[*place])?;
            let is_older = self.days[oldest] <= today;
            if self.days[oldest] != 0 {
                self.overflowed = self.overflowed.max(self.days[oldest].min(today));
            }
            is_older.then_some(oldest)
        });
        if let Some(place) = place {
            self.things[place] = thing;
            self.days[place] = self.days[place].max(today);
            if known.is_none() {
                self.days[place] = today;
            }
        }
    }

    /// How many were seen on a day or later.
    pub fn since(&self, first: u16) -> usize {
        self.days.iter().filter(|day| **day != 0 && **day >= first).count()
    }

    /// Those of a day or later, cut to 32 bits.
    pub fn things(&self, first: u16) -> impl Iterator<Item = u32> + '_ {
        let seen = move |(_, day): &(&u32, &u16)| **day != 0 && **day >= first;
        self.things.iter().zip(&self.days).filter(seen).map(|(thing, _)| *thing)
    }

    /// Whether one of them had to go that was seen on that day or later.
    pub fn had_more(&self, first: u16) -> bool {
        self.overflowed != 0 && self.overflowed >= first
    }

    pub fn has(&self, thing: u64) -> bool {
        self.things(1).any(|one| one == short(thing))
    }

    /// Forgets things, which come cut and sorted.
    pub fn forget(&mut self, things: &[u32]) {
        for place in 0..N {
            if self.days[place] != 0 && things.binary_search(&self.things[place]).is_ok() {
                (self.things[place], self.days[place]) = (0, 0);
            }
        }
    }
}

/// A thing as it is kept: the low half, which a number of a word has all of.
pub fn short(thing: u64) -> u32 {
    thing as u32
}
