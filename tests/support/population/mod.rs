//! A made-up month of a clinic's visitors, honest ones and frauds of each kind, who is what being known.
//!
//! How many of each there are is our guess, told with each kind; a site's own mixture differs.
//!
//! Each visitor is asked about a minute after their last hit, as a payment page would: by the cookie, or by the user key.
//!
//! - [`hits`]: what all of them are made of: places, pages a minute apart, a question in the end
//! - [`honest`]: honest people who do what looks odd
//! - [`refusing`]: honest people whose browsers keep no cookie
//! - [`frauds`]: frauds of the kind that each rule looks for
//! - [`tally`]: what the rules said of them

mod frauds;
mod hits;
mod honest;
mod refusing;
mod tally;

use metka::config::Config;
use metka::enrich::NetworkKind;
use metka::fraud::follow::shape;
use metka::fraud::memory::{Memory, Shape};
use metka::fraud::rules::{Cookie, TABLE};
use metka::fraud::sighting::Sighting;

use crate::random::Random;

pub use tally::Tally;

/// For so many honest people there is one whose browser keeps no cookie.
const REFUSING: u64 = 10;

/// Somebody who is asked about in the end.
struct Person {
    browser: u64,
    user_key: u64,
    address: u64,
    /// Empty for an honest one: the rules that are to fire.
    labels: &'static [&'static str],
    kind: &'static str,
    cookie: Cookie,
}

/// A hit, or a question about somebody.
enum Event {
    Hit(Sighting<'static>),
    Question(usize),
}

/// Makes people and what they do.
struct Maker {
    random: Random,
    /// With their times, in milliseconds.
    events: Vec<(i64, Event)>,
    people: Vec<Person>,
}

/// So many honest visitors, as many honest users of two devices, a tenth as many who refuse cookies, and so many frauds of each kind, by the rules of this
/// configuration; with a database that tells of networks, or without.
pub fn judge(honest: u64, frauds: u64, config: &Config, networks: bool) -> Tally {
    let mut maker = Maker { random: Random(20_261_127), events: Vec::new(), people: Vec::new() };
    for number in 0..honest {
        maker.honest(number);
    }
    for number in 0..honest {
        maker.honest_user(number);
    }
    for kind in 0..TABLE.len() {
        for number in 0..frauds {
            maker.fraud(kind, number);
        }
    }
    for number in 0..honest / REFUSING {
        maker.refusing(number);
    }
    let Maker { mut events, people, .. } = maker;
    events.sort_by_key(|(time, _)| *time);
    let mut memory = Memory::new(Shape { most: 5_000_000, ..shape(&config.fraud) });
    let mut tally = Tally::of(honest);
    for (now, event) in &events {
        match event {
            Event::Hit(hit) if networks => memory.see(hit),
            Event::Hit(hit) => memory.see(&Sighting { network: NetworkKind::Unknown, ..hit.clone() }),
            Event::Question(number) => tally.ask(&people[*number], &memory, config, *now, networks),
        }
    }
    tally
}
