//! One browser with a cookie.

use super::habit::{Habit, SLOT_MS};
use super::recent::Recent;
use super::track::Track;
use super::words::Words;
use super::{MAX_ORDERS, Order};
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
    /// The latest visit in which the browser changed.
    pub changed: Option<Change>,
    /// Hits with a mark, the last mark, and when.
    pub marked: u32,
    pub mark: u16,
    pub marked_at: i64,
    /// The busiest ten minutes of the last day.
    pub busiest: Busy,
    now: Busy,
    /// Ad blocks that were shown.
    shown: Recent<8>,
    /// The orders whose first page was seen, a bit each.
    seen_before: u16,
    /// The day, UTC, on which somebody was told of this visitor; 0 before.
    pub told: u16,
    /// The last thing that cannot be.
    pub disorder: Option<Disorder>,
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

/// A cookie that came from another browser within one visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: i64,
    /// Numbers of words.
    pub from: u16,
    pub to: u16,
    /// How often it changed in the visit: once is a change, more is to and fro.
    pub turns: u16,
    /// Whether the visit had more than one address.
    pub moved: bool,
}

/// Pages in ten minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// When the ten minutes begin.
    pub from: i64,
    pub pages: u32,
}

/// What cannot come before what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disorder {
    pub at: i64,
    pub what: Impossible,
}

/// Something that cannot have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// The second page of an order, never the first: its index.
    Skipped(usize),
    /// A click on an ad block that was never shown.
    ClickUnseen,
}

// === impl Visitor ===

impl Visitor {
    pub fn see(&mut self, hit: &Sighting, words: &mut Words, habit: &mut Habit, orders: &[Order]) {
        let before = self.track.last;
        self.track.see(hit, words);
        if hit.user_key != 0 {
            self.user_keys.see(hit.user_key, hit.time);
        }
        if !hit.mark.is_empty() {
            self.marked = self.marked.saturating_add(1);
            (self.mark, self.marked_at) = (words.number(hit.mark), self.marked_at.max(hit.time));
        }
        self.look_at_order(hit, orders);
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
                self.changed = Some(Change { at: hit.time, from, to: agent, turns, moved: self.visit.moved });
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
            self.count_page(hit.time, habit);
        }
    }

    fn look_at_order(&mut self, hit: &Sighting, orders: &[Order]) {
        match hit.kind {
            Kind::AdView | Kind::AdViewable => self.shown.see(hash(hit.ad), hit.time),
            // Of more blocks than are remembered any may have been shown.
            Kind::AdClick if !self.shown.has(hash(hit.ad)) && !self.shown.had_more(1) => {
                self.disorder = Some(Disorder { at: hit.time, what: Impossible::ClickUnseen });
            }
            Kind::Pageview => {
                for (index, order) in orders.iter().take(MAX_ORDERS).enumerate() {
                    if hit.path == order.before {
                        self.seen_before |= 1 << index;
                    } else if hit.path == order.after && self.seen_before & (1 << index) == 0 {
                        self.disorder = Some(Disorder { at: hit.time, what: Impossible::Skipped(index) });
                    }
                }
            }
            _ => {}
        }
    }

    fn count_page(&mut self, time: i64, habit: &mut Habit) {
        let from = time - time.rem_euclid(SLOT_MS);
        if self.now.from != from {
            habit.count(self.now.pages);
            self.now = Busy { from, pages: 0 };
        }
        self.now.pages = self.now.pages.saturating_add(1);
        let is_old = time - self.busiest.from > super::DAY_MS;
        if is_old || self.now.pages > self.busiest.pages {
            self.busiest = self.now;
        }
    }
}

/// Tells the few ad blocks of a site apart.
fn hash(ad: &str) -> u64 {
    let digest = blake3::hash(ad.as_bytes());
    u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap_or_default())
}
