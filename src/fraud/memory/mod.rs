//! What is remembered of a site's visitors, addresses and user keys.
//!
//! In: [`Sighting`]s, about in the order of their times. Out: what rules ask.
//!
//! - A *visitor* is a browser with a cookie, or that was offered one. Visitors without one change
//!   their hash with the day, and nobody can ask about them; they count at their address. Whoever
//!   refuses cookies is offered another one with each hit, and counts as one of them.
//! - An *address* is an IPv4 address or an IPv6 /64, as a keyed hash: a home has all of its /64.
//! - A *user key* is somebody who signed in, with whichever browsers.
//!
//! Each of the three is bounded: when there is no room, those that were not seen for
//! longest make some ([`ROOM`]). What a visitor was is in fixed room ([`Recent`]): of more
//! addresses than it holds the latest stay, and it says that there were more.
//!
//! A hit that comes late (its time is before the last one's) counts in the sets and sums,
//! and is left out where the order matters: speed, visits, bursts. What a page had to come after
//! may come late, as other threads and collectors store theirs at other times.
//!
//! - [`recent`]: different things of the last days, in fixed room
//! - [`browsers`]: the browsers of a user key, in fixed room
//! - [`words`]: names that many remember alike
//! - [`track`]: where somebody was, and how fast they would have been
//! - [`visitor`]: one browser
//! - [`odd`]: what hardly any of them does
//! - [`address`]: one address
//! - [`habit`]: how many pages visitors of the site read in ten minutes

pub mod address;
pub mod browsers;
pub mod habit;
pub mod odd;
pub mod recent;
pub mod track;
pub mod visitor;
pub mod words;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use self::address::{Address, Person};
use self::browsers::Browsers;
use self::habit::Habit;
use self::track::Track;
use self::visitor::Visitor;
use self::words::Words;
use super::gone::Subjects;
use super::sighting::Sighting;

/// One part in so many of a full table goes, so that making room is rare.
const ROOM: usize = 16;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The most pairs of pages whose order is watched.
pub const MAX_ORDERS: usize = 16;

/// Pages of which the second cannot be reached without the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub before: String,
    pub after: String,
}

/// The bounds of a memory, and what it watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The most visitors, addresses and user keys, each.
    pub most: usize,
    pub orders: Vec<Order>,
    /// A change of country is a journey only if it is no faster than this, or no farther.
    pub km_per_hour: u32,
    pub km: u32,
    /// So many pages in ten minutes are remembered.
    pub burst_pages: u32,
}

/// What is remembered of one site.
#[derive(Default)]
pub struct Memory {
    shape: Shape,
    pub words: Words,
    visitors: Table<Visitor>,
    addresses: Table<Address>,
    users: Table<User>,
    pub habit: Habit,
    /// Visitors of whom it is to be known if they make room, and those that did.
    noted: HashSet<u64>,
    left: HashSet<u64>,
    /// The latest hit, in milliseconds; 0 before the first.
    pub until: i64,
    pub hits: u64,
}

/// Somebody who signed in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    pub track: Track,
    pub browsers: Browsers,
}

/// Keys are keyed hashes already.
#[derive(Default)]
pub struct AsIs(u64);

type Table<T> = HashMap<u64, T, BuildHasherDefault<AsIs>>;

/// When something was last seen.
trait LastSeen {
    fn last(&self) -> i64;
}

// === impl AsIs ===

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

// === impl LastSeen ===

impl LastSeen for Visitor {
    fn last(&self) -> i64 {
        self.track.last
    }
}

impl LastSeen for User {
    fn last(&self) -> i64 {
        self.track.last
    }
}

impl LastSeen for Address {
    fn last(&self) -> i64 {
        self.last
    }
}

// === impl Memory ===

impl Memory {
    pub fn new(shape: Shape) -> Memory {
        Memory { shape, ..Memory::default() }
    }

    /// Takes a hit in.
    pub fn see(&mut self, hit: &Sighting) {
        self.hits += 1;
        self.until = self.until.max(hit.time);
        let most = self.shape.most;
        if hit.user_key != 0 {
            make_room(&mut self.users, hit.user_key, most, |_| {});
            let user = self.users.entry(hit.user_key).or_default();
            user.track.see(hit, &mut self.words, &self.shape);
            if hit.returned {
                user.browsers.see(hit.browser, hit.time);
            }
        }
        let mut person = Person { hash: recent::short(hit.visitor), instead_of: 0 };
        if hit.browser != 0 {
            make_room(&mut self.visitors, hit.browser, most, |visitor| {
                if self.noted.contains(&visitor) {
                    self.left.insert(visitor);
                }
            });
            let visitor = self.visitors.entry(hit.browser).or_default();
            person = visitor.person(hit);
            visitor.see(hit, &mut self.words, &mut self.habit, &self.shape);
        }
        if hit.address != 0 {
            make_room(&mut self.addresses, hit.address, most, |_| {});
            self.addresses.entry(hit.address).or_default().see(hit, person);
        }
    }

    pub fn visitor(&self, browser: u64) -> Option<&Visitor> {
        self.visitors.get(&browser)
    }

    pub fn visitors(&self) -> impl Iterator<Item = (u64, &Visitor)> {
        self.visitors.iter().map(|(hash, visitor)| (*hash, visitor))
    }

    pub fn visitor_mut(&mut self, browser: u64) -> Option<&mut Visitor> {
        self.visitors.get_mut(&browser)
    }

    pub fn user(&self, key: u64) -> Option<&User> {
        self.users.get(&key)
    }

    pub fn address(&self, address: u64) -> Option<&Address> {
        self.addresses.get(&address)
    }

    /// Forgets visitors and user keys wherever they are.
    pub fn forget(&mut self, gone: &Subjects) {
        for visitor in &gone.visitors {
            self.visitors.remove(visitor);
            self.left.remove(visitor);
        }
        for key in &gone.user_keys {
            self.users.remove(key);
        }
        let (people, user_keys) = (cut(&gone.visitors), cut(&gone.user_keys));
        for address in self.addresses.values_mut() {
            address.forget(&people);
        }
        let mut browsers: Vec<u64> = gone.visitors.iter().copied().collect();
        browsers.sort_unstable();
        for user in self.users.values_mut() {
            user.browsers.forget(&browsers);
        }
        for visitor in self.visitors.values_mut() {
            visitor.user_keys.forget(&user_keys);
        }
    }

    /// It is to be known of these visitors if they make room for others.
    pub fn note_leaving(&mut self, visitors: HashSet<u64>) {
        self.noted = visitors;
    }

    /// Whether a noted visitor made room.
    pub fn has_left(&self, visitor: u64) -> bool {
        self.left.contains(&visitor)
    }

    /// Takes over of which visitors was told, from the memory before this one.
    pub fn keep_told(&mut self, before: &Memory) {
        for (hash, visitor) in &mut self.visitors {
            if let Some(known) = before.visitors.get(hash) {
                visitor.told = visitor.told.max(known.told);
            }
        }
    }

    /// How many visitors, addresses and user keys are remembered.
    pub fn sizes(&self) -> [usize; 3] {
        [self.visitors.len(), self.addresses.len(), self.users.len()]
    }
}

/// Hashes as sets keep them, sorted.
fn cut(hashes: &HashSet<u64>) -> Vec<u32> {
    let mut cut: Vec<u32> = hashes.iter().map(|hash| recent::short(*hash)).collect();
    cut.sort_unstable();
    cut
}

/// The day, UTC, as days since 1970.
pub fn day(time: i64) -> u16 {
    u16::try_from(time.div_euclid(DAY_MS)).unwrap_or_default()
}

/// Lets those go that were not seen for longest, if there is no room for one more; `leaves` is told of each.
fn make_room<T: LastSeen>(table: &mut Table<T>, key: u64, most: usize, mut leaves: impl FnMut(u64)) {
    if table.len() < most || table.contains_key(&key) {
        return;
    }
    let mut times: Vec<i64> = table.values().map(LastSeen::last).collect();
    let leaving = (most / ROOM).clamp(1, times.len());
    let (_, limit, _) = times.select_nth_unstable(leaving - 1);
    let limit = *limit;
    table.retain(|key, one| {
        let stays = one.last() > limit;
        if !stays {
            leaves(*key);
        }
        stays
    });
}

#[cfg(test)]
mod tests;
