//! One browser with a cookie.
//!
//! A cookie that was only offered may be kept by nobody: whoever refuses cookies is offered another one
//! with each hit. So what cannot be is looked for in hits that came with the cookie alone, and at an
//! address such a visitor is told apart by the hash of the day, until the cookie comes back.

use super::address::Person;
use super::habit::{Habit, SLOT_MS};
use super::odd::{Busy, Change, Disorder, Impossible, Odd};
use super::recent::{Recent, short};
use super::track::Track;
use super::words::Words;
use super::{MAX_ORDERS, Shape};
use crate::event::Kind;
use crate::fraud::sighting::Sighting;
use crate::identify::visit::TIMEOUT_MS;

/// What is remembered of a visitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visitor {
    pub track: Track,
    pub user_keys: Recent<4>,
    /// Numbers of words: the last that was said.
    pub timezone: u16,
    pub language: u16,
    pub agent: u16,
    /// Hits of the latest visit, from page views and events on.
    pub visit: Visit,
    /// The ten minutes under way.
    now: Busy,
    /// Ad blocks that were shown.
    shown: Recent<8>,
    /// The orders whose first page was seen, a bit each.
    seen_before: u16,
    /// The day, UTC, on which somebody was told of this visitor; 0 before.
    pub told: u16,
    /// Whether a hit came with the cookie.
    pub returned: bool,
    /// The hash of the day under which the cookie was offered, as addresses keep it; 0 for none.
    offered_to: u32,
    odd: Option<Box<Odd>>,
}

/// Hits without a gap of half an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    pub begin: i64,
    pub hits: u32,
    /// How often the browser changed in it.
    turns: u16,
    /// The keyed hash of the last address; 0 without one.
    pub address: u64,
    /// Whether it had more than one address.
    moved: bool,
}

// === impl Visitor ===

impl Visitor {
    pub fn see(&mut self, hit: &Sighting, words: &mut Words, habit: &mut Habit, shape: &Shape) {
        let before = self.track.last;
        self.track.see(hit, words, shape);
        if hit.user_key != 0 {
            self.user_keys.see(hit.user_key, hit.time);
        }
        if hit.is_of_program() {
            let mark = words.number(hit.mark);
            self.be_odd().see_program(mark, hit.time);
        }
        self.look_at_order(hit, shape);
        if hit.time < before {
            return;
        }
        if hit.time - before > TIMEOUT_MS {
            self.visit = Visit { begin: hit.time, ..Visit::default() };
        }
        self.visit.hits = self.visit.hits.saturating_add(1);
        if hit.address != 0 {
            self.visit.moved |= self.visit.address != 0 && self.visit.address != hit.address;
            self.visit.address = hit.address;
        }
        let agent = words.number(hit.agent);
        if agent != 0 {
            if self.agent != 0 && self.agent != agent && self.visit.hits > 1 {
                self.visit.turns = self.visit.turns.saturating_add(1);
                let (from, turns) = (self.agent, self.visit.turns);
                let change = Change { at: hit.time, from, to: agent, turns, moved: self.visit.moved };
                let begin = self.visit.begin;
                self.be_odd().see_change(change, begin);
            }
            self.agent = agent;
        }
        for (last, said) in [(&mut self.timezone, hit.timezone), (&mut self.language, hit.language)] {
            let said = words.number(said);
            if said != 0 {
                *last = said;
            }
        }
        if hit.kind == Kind::Pageview {
            self.count_page(hit.time, habit, shape.burst_pages);
        }
    }

    /// What was odd about them; none of most.
    pub fn odd(&self) -> Option<&Odd> {
        self.odd.as_deref()
    }

    fn be_odd(&mut self) -> &mut Odd {
        self.odd.get_or_insert_default()
    }

    /// Who a hit is of, at an address. To be asked before the hit is seen.
    pub fn person(&mut self, hit: &Sighting) -> Person {
        if hit.returned && !self.returned {
            self.returned = true;
            return Person { hash: short(hit.browser), instead_of: std::mem::take(&mut self.offered_to) };
        }
        if self.returned {
            return Person { hash: short(hit.browser), instead_of: 0 };
        }
        self.offered_to = short(hit.visitor);
        Person { hash: self.offered_to, instead_of: 0 }
    }

    fn look_at_order(&mut self, hit: &Sighting, shape: &Shape) {
        match hit.kind {
            Kind::AdView | Kind::AdViewable => {
                self.shown.see(hash(hit.ad), hit.time);
                self.can_be(Impossible::ClickUnseen(hash(hit.ad)), hit);
            }
            // Of more blocks than are remembered any may have been shown.
            Kind::AdClick if !self.shown.has(hash(hit.ad)) && !self.shown.had_more(1) => {
                self.cannot_be(Impossible::ClickUnseen(hash(hit.ad)), hit);
            }
            Kind::Pageview => {
                for (index, order) in shape.orders.iter().take(MAX_ORDERS).enumerate() {
                    if hit.path == order.before {
                        self.seen_before |= 1 << index;
                        self.can_be(Impossible::Skipped(index), hit);
                    } else if hit.path == order.after && self.seen_before & (1 << index) == 0 {
                        self.cannot_be(Impossible::Skipped(index), hit);
                    }
                }
            }
            _ => {}
        }
    }

    /// With another cookie, or none, what has to come before may have come.
    fn cannot_be(&mut self, what: Impossible, hit: &Sighting) {
        if hit.returned {
            self.be_odd().see_disorder(Disorder { at: hit.time, what });
        }
    }

    /// Batches come in any order: what has to come before may be told of after what it came before.
    fn can_be(&mut self, what: Impossible, hit: &Sighting) {
        if let Some(odd) = &mut self.odd {
            odd.withdraw(what, hit.time);
        }
    }

    fn count_page(&mut self, time: i64, habit: &mut Habit, burst_pages: u32) {
        let from = time - time.rem_euclid(SLOT_MS);
        if self.now.from != from {
            habit.count(self.now.pages);
            self.now = Busy { from, pages: 0 };
        }
        self.now.pages = self.now.pages.saturating_add(1);
        if self.now.pages >= burst_pages {
            let now = self.now;
            self.be_odd().see_burst(now);
        }
    }
}

/// Tells the few ad blocks of a site apart.
fn hash(ad: &str) -> u64 {
    let digest = blake3::hash(ad.as_bytes());
    u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap_or_default())
}
