//! Whose hit it is, and how a person's hits are cut into visits: the definitions of
//! [`crate::identify::visit`] over the hits of one trail.
//!
//! In: the [`Key`] of every hit of the trail in the order of time, and the cookies that came
//! back. Out: the [`Visit`]s in the order in which they began, each with its hits.
//!
//! The statistics compute the same in SQL over a whole site (`crate::query::person`,
//! `crate::query::visits`); of one person's hits it costs nothing here, and every page of
//! a trail needs all of them. A test compares both on made-up trails.

use std::collections::{HashMap, HashSet};

use crate::identify::visit::TIMEOUT_MS;

/// What decides where a hit belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Milliseconds since 1970.
    pub at: i64,
    pub visitor: u64,
    /// Whether it carried a cookie.
    pub is_cookie: bool,
    pub minted: u64,
    pub before: u64,
    /// Whether it is a page view or an event.
    pub counts: bool,
    /// Whether it is an error of a script, which is shown where it was and moves no visit.
    pub is_error: bool,
}

/// One visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Whose: 1 for the first person of the trail who was seen.
    pub visitor: u64,
    /// When it began, and the last hit of its first stretch, in milliseconds since 1970.
    pub first: i64,
    pub last: i64,
    /// Page views and events. A stretch without one is no visit in the statistics.
    pub events: u64,
    /// The places of its hits among the keys, in the order of time.
    pub hits: Vec<usize>,
}

/// The person of each hit, by hash.
pub fn people(keys: &[Key], returned: &HashSet<u64>) -> Vec<u64> {
    let came_back = |key: &Key| key.minted != 0 && returned.contains(&key.minted);
    let is_own = |key: &Key| !key.is_cookie && !came_back(key);
    // When each hash was there last, and which hash carries it as the day before's, first.
    let (mut last, mut follows) = (HashMap::new(), HashMap::new());
    for key in keys.iter().filter(|key| is_own(key)) {
        let at = last.entry(key.visitor).or_insert(key.at);
        *at = key.at.max(*at);
        if key.before != 0 {
            let first = follows.entry(key.before).or_insert((key.at, key.visitor));
            *first = (key.at, key.visitor).min(*first);
        }
    }
    // Of today's hash, the day before's: the one whose follower came first.
    let mut earlier: HashMap<u64, (i64, u64)> = HashMap::new();
    for (before, (first, today)) in follows {
        if last.get(&before).is_some_and(|last| first - last <= TIMEOUT_MS) {
            let known = earlier.entry(today).or_insert((first, before));
            *known = (first, before).min(*known);
        }
    }
    let beginning = |mut hash: u64| {
        // A chain has a step for each midnight; one that came round would be a fault of the data.
        for _ in 0..=earlier.len() {
            match earlier.get(&hash) {
                Some((_, before)) => hash = *before,
                None => break,
            }
        }
        hash
    };
    let person = |key: &Key| match () {
        () if key.is_cookie => key.visitor,
        () if is_own(key) => beginning(key.visitor),
        () => key.minted,
    };
    keys.iter().map(person).collect()
}

/// The visits of all, in the order in which they began.
pub fn visits(keys: &[Key], people: &[u64]) -> Vec<Visit> {
    let mut order: Vec<u64> = Vec::new();
    let mut hits_of: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, person) in people.iter().enumerate() {
        let hits = hits_of.entry(*person).or_insert_with(|| {
            order.push(*person);
            Vec::new()
        });
        hits.push(place);
    }
    let mut all = Vec::new();
    for (nth, person) in order.iter().enumerate() {
        all.extend(cut(keys, &hits_of[person], nth as u64 + 1));
    }
    all.sort_by_key(|visit: &Visit| (visit.first, visit.visitor));
    all
}

/// One person's visits.
fn cut(keys: &[Key], hits: &[usize], visitor: u64) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    let (mut stretch, mut previous) = (0, None);
    // The stretch of the last page view or event, and that in which the visit began.
    let (mut counted_in, mut began_in) = (None, 0);
    for &place in hits {
        let key = &keys[place];
        if !key.is_error {
            if previous.is_some_and(|previous| key.at - previous > TIMEOUT_MS) {
                stretch += 1;
            }
            previous = Some(key.at);
        }
        let begins = visits.is_empty() || (key.counts && counted_in != Some(stretch));
        if key.counts {
            counted_in = Some(stretch);
        }
        if begins {
            began_in = stretch;
            visits.push(Visit { visitor, first: key.at, last: key.at, events: 0, hits: Vec::new() });
        }
        if let Some(visit) = visits.last_mut() {
            visit.hits.push(place);
            visit.events += u64::from(key.counts);
            if stretch == began_in && !key.is_error {
                visit.last = key.at;
            }
        }
    }
    visits
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn key(minute: i64, visitor: u64, counts: bool) -> Key {
        Key { at: minute * MINUTE, visitor, is_cookie: true, minted: 0, before: 0, counts, is_error: false }
    }

    /// First and last minute, page views and events, hits.
    fn cut_into(keys: &[Key]) -> Vec<(u64, i64, i64, u64, usize)> {
        let people = people(keys, &HashSet::new());
        let told = |visit: &Visit| {
            (visit.visitor, visit.first / MINUTE, visit.last / MINUTE, visit.events, visit.hits.len())
        };
        visits(keys, &people).iter().map(told).collect()
    }

    #[test]
    fn a_visit_ends_after_half_an_hour_and_only_a_view_or_an_event_begins_one() {
        let (view, other) = (true, false);
        for (hits, expected) in [
            (vec![(0, view), (30, view)], vec![(1, 0, 30, 2, 2)]),
            (vec![(0, view), (31, view)], vec![(1, 0, 0, 1, 1), (1, 31, 31, 1, 1)]),
            // What is reported after the gap is said of the visit, and does not lengthen it.
            (vec![(0, view), (40, other), (50, view)], vec![(1, 0, 0, 1, 2), (1, 50, 50, 1, 1)]),
            // It keeps it alive.
            (vec![(0, view), (20, other), (45, view)], vec![(1, 0, 45, 2, 3)]),
            // The first hit is shown whatever it is.
            (vec![(0, other), (5, view)], vec![(1, 0, 0, 0, 1), (1, 5, 5, 1, 1)]),
        ] {
            let keys: Vec<Key> = hits.iter().map(|(minute, counts)| key(*minute, 7, *counts)).collect();
            assert_eq!(cut_into(&keys), expected, "{hits:?}");
        }
        // An error of a script neither keeps a visit alive nor makes it last.
        let error = |minute| Key { is_error: true, ..key(minute, 7, false) };
        for (keys, expected) in [
            ([key(0, 7, true), error(20), key(45, 7, true)], vec![(1, 0, 0, 1, 2), (1, 45, 45, 1, 1)]),
            ([key(0, 7, true), key(5, 7, true), error(20)], vec![(1, 0, 5, 2, 3)]),
        ] {
            assert_eq!(cut_into(&keys), expected);
        }
        // Two people at once: each has visits of their own.
        let keys = [key(0, 7, true), key(1, 8, true), key(2, 7, true), key(40, 8, true)];
        assert_eq!(cut_into(&keys), [(1, 0, 2, 2, 2), (2, 1, 1, 1, 1), (2, 40, 40, 1, 1)]);
    }

    #[test]
    fn an_offered_cookie_counts_once_it_came_back_and_midnight_joins_two_hashes() {
        let hash = |minute: i64, visitor, minted, before| Key {
            is_cookie: false,
            minted,
            before,
            ..key(minute, visitor, true)
        };
        let check = |keys: &[Key], returned: &[u64], expected: &[u64]| {
            assert_eq!(people(keys, &returned.iter().copied().collect()), expected, "{keys:?}");
        };
        let offered = [hash(0, 1, 5, 0), key(1, 5, true)];
        check(&offered, &[5], &[5, 5]);
        check(&offered[..1], &[], &[1]);
        // 2 is the hash after midnight of 1, and 3 of 2; 4 was away for too long.
        let days = [hash(0, 1, 0, 0), hash(20, 2, 0, 1), hash(1440, 2, 0, 0), hash(1460, 3, 0, 2)];
        check(&days, &[], &[1, 1, 1, 1]);
        check(&[hash(0, 1, 0, 0), hash(31, 4, 0, 1)], &[], &[1, 4]);
        check(&[hash(20, 2, 0, 1)], &[], &[2]);
        // One that belongs to a cookie takes no part.
        check(&[hash(0, 1, 0, 0), hash(10, 2, 5, 1)], &[5], &[1, 5]);
        // Nobody goes round for ever.
        let ring = [hash(0, 1, 0, 2), hash(1, 2, 0, 1)];
        assert_eq!(people(&ring, &HashSet::new()).len(), ring.len());
    }
}
