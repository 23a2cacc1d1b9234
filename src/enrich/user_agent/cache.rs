//! The bounded cache of answers, by a keyed hash of the string.
//!
//! Each shard has two generations: answers are put into the young one; when it
//! is full it becomes the old one, and the old one goes. An old answer that is
//! asked for moves to the young one. So what is used stays, and a flood of
//! strings that are seen once drops nothing that is asked for in between.
//!
//! A hash is 64 bits under a key that changes with each start: two strings of a
//! full cache meet with a chance of 10^-11.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::UserAgent;

/// Threads of the hit path lock different shards, mostly.
const SHARDS: usize = 16;

pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
}

struct Shard {
    young: HashMap<u64, Entry, BuildHasherDefault<Identity>>,
    old: HashMap<u64, Entry, BuildHasherDefault<Identity>>,
    /// The most entries of one generation.
    limit: usize,
}

struct Entry {
    answer: Arc<UserAgent>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Quick,
    /// The helper has it.
    Queued,
    Full,
}

/// Keys are hashes already.
#[derive(Default)]
struct Identity(u64);

// === impl Cache ===

impl Cache {
    pub fn new(entries: usize) -> Cache {
        let limit = (entries / SHARDS / 2).max(1);
        let shard = || Mutex::new(Shard { young: HashMap::default(), old: HashMap::default(), limit });
        Cache { shards: std::array::from_fn(|_| shard()) }
    }

    /// The answer, and whether the full one has not been asked for yet.
    pub fn get(&self, key: u64) -> Option<(Arc<UserAgent>, bool)> {
        let mut shard = self.shard(key);
        let entry = shard.touch(key)?;
        Some((entry.answer.clone(), entry.state == State::Quick))
    }

    /// Puts a quick answer.
    pub fn insert(&self, key: u64, answer: Arc<UserAgent>) {
        self.shard(key).put(key, Entry { answer, state: State::Quick });
    }

    /// Puts the full answer.
    pub fn refine(&self, key: u64, answer: Arc<UserAgent>) {
        let mut shard = self.shard(key);
        // The young generation may have turned over since: then it is put anew.
        shard.old.remove(&key);
        shard.put(key, Entry { answer, state: State::Full });
    }

    /// Marks an entry as being with the helper; `false` if another thread did.
    pub fn set_queued(&self, key: u64) -> bool {
        self.change(key, State::Quick, State::Queued)
    }

    /// The helper had no room.
    pub fn clear_queued(&self, key: u64) {
        self.change(key, State::Queued, State::Quick);
    }

    pub fn len(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards.map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    fn change(&self, key: u64, from: State, to: State) -> bool {
        match self.shard(key).touch(key) {
            Some(entry) if entry.state == from => {
                entry.state = to;
                true
            }
            _ => false,
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        // The map uses the low bits.
        self.shards[(key >> 60) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shard ===

impl Shard {
    fn touch(&mut self, key: u64) -> Option<&mut Entry> {
        if !self.young.contains_key(&key) {
            let entry = self.old.remove(&key)?;
            self.put(key, entry);
        }
        self.young.get_mut(&key)
    }

    fn put(&mut self, key: u64, entry: Entry) {
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

// === impl Identity ===

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str) -> Arc<UserAgent> {
        Arc::new(UserAgent { browser: name.to_owned(), ..UserAgent::default() })
    }

    /// Spreads small numbers over the shards and the map.
    fn key(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn it_stays_within_its_bound_and_keeps_what_is_used() {
        let cache = Cache::new(1024);
        cache.insert(key(0), answer("used"));
        for number in 1..100_000 {
            cache.insert(key(number), answer("once"));
            assert!(cache.get(key(0)).is_some(), "after {number}");
            assert!(cache.len() <= 1024);
        }
        assert!(cache.get(key(1)).is_none());
    }

    #[test]
    fn an_answer_is_queued_once_and_refined() {
        let cache = Cache::new(64);
        cache.insert(key(1), answer("quick"));
        assert!(cache.get(key(1)).is_some_and(|(_, wants_full)| wants_full));
        assert!(cache.set_queued(key(1)));
        assert!(!cache.set_queued(key(1)));
        assert!(cache.get(key(1)).is_some_and(|(_, wants_full)| !wants_full));
        cache.clear_queued(key(1));
        assert!(cache.set_queued(key(1)));
        cache.refine(key(1), answer("full"));
        cache.clear_queued(key(1));
        assert!(
            cache.get(key(1)).is_some_and(|(answer, wants_full)| answer.browser == "full" && !wants_full)
        );
    }
}
