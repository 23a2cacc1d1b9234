//! Honest people whose browsers keep no cookie: with each page they are offered another one.
//!
//! They are asked about by their address, or by their user key where they signed in: they have no cookie to be asked by.

use metka::event::Kind;
use metka::fraud::rules::Cookie;

use super::hits::{DAYS, HOMES, MINUTE};
use super::{Maker, Person};

// === impl Maker ===

impl Maker {
    /// One of them, by number; every other one signs in, and pays.
    pub(super) fn refusing(&mut self, number: u64) {
        let home = &HOMES[self.below(HOMES.len() as u64) as usize];
        let (own, day) = (9_000_000 + number, 95_000_000 + number);
        let signs_in = number.is_multiple_of(2);
        let user_key = if signs_in { 96_000_000 + number } else { 0 };
        // A tenth reads what forty visitors would.
        let pages = 4 + if self.one_in(10) { 40 } else { self.below(8) };
        let time = self.day_and_hour(&(0..DAYS));
        let mut first = self.hit(day, home, own, time);
        (first.returned, first.user_key) = (false, user_key);
        let offered = 100_000_000 + number * 100;
        let last = self.visit(first, pages, |page, hit| {
            hit.browser = offered + page;
            match page {
                0 => (hit.kind, hit.ad) = (Kind::AdView, "banner"),
                1 => (hit.kind, hit.ad) = (Kind::AdClick, "banner"),
                2 if signs_in => hit.path = "/payment",
                3 if signs_in => hit.path = "/payment/done",
                _ => {}
            }
        });
        let person = Person {
            browser: 0,
            user_key,
            address: own,
            labels: &[],
            kind: if signs_in { "signed in without cookies" } else { "without cookies" },
            cookie: Cookie::Absent,
        };
        self.question(last + MINUTE, person);
    }
}
