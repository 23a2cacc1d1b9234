//! One address: an IPv4 address or an IPv6 /64.

use super::day;
use super::recent::short;
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

// === impl Address ===

impl Address {
    pub fn see(&mut self, hit: &Sighting) {
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
        let person = short(hit.person());
        if self.people.len() < MAX_PEOPLE && !self.people.contains(&person) {
            self.people.push(person);
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
