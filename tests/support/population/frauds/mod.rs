//! Frauds: of each rule those who do what it looks for, and are not seen by chance.
//!
//! - [`place`]: who are elsewhere than they say
//! - [`company`]: who are many, or pretend to be
//! - [`conduct`]: who are seen by what they do

mod company;
mod conduct;
mod place;

use metka::fraud::rules::{Cookie, TABLE};
use metka::fraud::sighting::Sighting;

use super::hits::{ABROAD, DAYS, HOMES, MINUTE, Spot};
use super::{Maker, Person};

/// What a fraud begins as: somebody at home.
struct Fraud {
    number: u64,
    browser: u64,
    /// A place abroad.
    far: &'static Spot,
    /// The address at home.
    own: u64,
    first: Sighting<'static>,
    pages: u64,
    person: Person,
}

// === impl Maker ===

impl Maker {
    /// One fraud of the kind that a rule of the table looks for.
    pub(super) fn fraud(&mut self, kind: usize, number: u64) {
        let browser = 50_000_000 + kind as u64 * 100_000 + number;
        let home = &HOMES[self.below(HOMES.len() as u64) as usize];
        let far = &ABROAD[self.below(ABROAD.len() as u64) as usize];
        let (own, time) = (60_000_000 + browser, self.day_and_hour(&(0..DAYS)));
        let first = self.hit(browser, home, own, time);
        let pages = 3 + self.below(6);
        let person = Person {
            browser,
            user_key: 0,
            address: own,
            labels: &[],
            kind: TABLE[kind].name,
            cookie: Cookie::Plausible,
        };
        let mut fraud = Fraud { number, browser, far, own, first, pages, person };
        let act: fn(&mut Maker, &mut Fraud) -> i64 = match TABLE[kind].name {
            "speed" => place::speed,
            "time_zone" => place::time_zone,
            "language" => place::language,
            "network" => place::network,
            "many_countries" => place::many_countries,
            "crowded_address" => company::crowded_address,
            "many_addresses" => company::many_addresses,
            "many_users" => company::many_users,
            "burst" => conduct::burst,
            "automation" => conduct::automation,
            "cookie_forged" => conduct::cookie_forged,
            "cookie_replayed" => conduct::cookie_replayed,
            "browser_change" => conduct::browser_change,
            "page_order" => conduct::page_order,
            other => panic!("no fraud of the kind {other}"),
        };
        let last = act(self, &mut fraud);
        self.question(last + MINUTE, fraud.person);
    }
}
