//! One address: an IPv4 address or an IPv6 /64.

use super::day;
use crate::fraud::sighting::Sighting;

/// So many visitors of a day are told apart; an office or a school has fewer, and a rule's
/// threshold is below it.
pub const MAX_PEOPLE: usize = 256;

/// What is remembered of an address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Address {
    pub last: i64,
    /// The day, UTC, that the rest is of.
    pub day: u16,
    /// Hashes cut to 32 bits.
    people: Vec<u32>,
    pub hits: u32,
    pub marked: u32,
    /// People of the day before.
    pub people_before: u16,
}

/// Who a hit is of, as an address tells people apart: a cookie that came back, or else the hash of the day.
/// Hashes are cut to 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    pub hash: u32,
    /// Under which they were counted until now; 0 for none.
    pub instead_of: u32,
}

// === impl Address ===

impl Address {
    pub fn see(&mut self, hit: &Sighting, person: Person) {
        let today = day(hit.time);
        self.last = self.last.max(hit.time);
        if today < self.day {
            return;
        }
        if today > self.day {
            let before = if today - self.day == 1 { self.people.len() } else { 0 };
            self.people_before = u16::try_from(before).unwrap_or(u16::MAX);
            self.people.clear();
            (self.day, self.hits, self.marked) = (today, 0, 0);
        }
        self.hits = self.hits.saturating_add(1);
        self.marked = self.marked.saturating_add(u32::from(!hit.mark.is_empty()));
        if self.people.contains(&person.hash) {
            return;
        }
        // Whoever takes the cookie is one visitor, not two. Others of the same hash come again under it.
        let instead = |one: &u32| person.instead_of != 0 && *one == person.instead_of;
        match self.people.iter().position(instead) {
            Some(place) => self.people[place] = person.hash,
            None if self.people.len() < MAX_PEOPLE => self.people.push(person.hash),
            None => {}
        }
    }

    /// How many visitors it had on its day; [`MAX_PEOPLE`] is that or more.
    pub fn people(&self) -> usize {
        self.people.len()
    }

    /// Forgets people, whose hashes come cut and sorted.
    pub fn forget(&mut self, people: &[u32]) {
        self.people.retain(|person| people.binary_search(person).is_err());
    }
}
