//! The signals: named rules, what each looks at, and what it adds to the score.
//!
//! In: [`Facts`] of one question. Out: what every rule says ([`Said`]). A rule fires with
//! its evidence, is quiet, is off (by its weight of 0, or for want of data that the site
//! does not collect), or does not know (nothing was seen yet that it could look at). The
//! score is the sum of the weights of those that fired, and nothing else.
//!
//! A weight says how rarely honest visitors meet the rule, not how bad it is: what a
//! traveller, a family or a mobile network does by themselves is light, and all that a VPN
//! which is turned on and off does (another country, another clock, another language, a
//! hosting network) stays below the default threshold together. No rule reaches it alone but
//! a forged cookie, which no browser makes by itself.
//!
//! A check by user key asks them of that user's browsers too ([`browsers`]); each counts once.
//!
//! What rules deliberately do not look at: names, prices, what was read, who is ill.
//!
//! - [`place`]: where the visitor is, and what the browser says of that
//! - [`company`]: how many share an address, and how many one visitor is
//! - [`conduct`]: how the visitor behaves
//! - [`browsers`]: what the browsers of a user add

pub mod browsers;
pub mod company;
pub mod conduct;
pub mod place;

use serde_json::Value;

use self::browsers::{Browser, first_day, strongest};
use super::memory::address::Address;
use super::memory::track::{Place, Track};
use super::memory::visitor::Visitor;
use super::memory::{Memory, User};
use crate::config::Fraud;
use crate::enrich::NetworkKind;
use crate::privacy::keys::CookieError;

/// How many rules there are.
pub const RULES: usize = TABLE.len();

/// One rule.
pub struct Rule {
    pub name: &'static str,
    /// What it adds when it fires, if the configuration says nothing else.
    pub weight: u32,
    /// What it means when it fires.
    pub about: &'static str,
    run: fn(&Facts) -> Verdict,
}

/// Every rule, in the order in which answers tell of them.
pub const TABLE: [Rule; 14] = [
    Rule {
        name: "speed",
        weight: 30,
        about: "the country is farther from the last one than anybody travels in that time",
        run: place::speed,
    },
    Rule {
        name: "time_zone",
        weight: 20,
        about: "the browser's clock is of no time zone of the address's country",
        run: place::time_zone,
    },
    Rule {
        name: "language",
        weight: 5,
        about: "the browser's language is that of another country",
        run: place::language,
    },
    Rule {
        name: "network",
        weight: 20,
        about: "the address is of a hosting network, a proxy or a VPN",
        run: place::network,
    },
    Rule {
        name: "many_countries",
        weight: 20,
        about: "the visitor or the user came from many countries within two days",
        run: place::many_countries,
    },
    Rule {
        name: "crowded_address",
        weight: 10,
        about: "many visitors came from the address in one day",
        run: company::crowded_address,
    },
    Rule {
        name: "many_addresses",
        weight: 10,
        about: "the visitor or the user came from many addresses within two days",
        run: company::many_addresses,
    },
    Rule {
        name: "many_users",
        weight: 25,
        about: "several users signed in with one browser within two days",
        run: company::many_users,
    },
    Rule {
        name: "burst",
        weight: 20,
        about: "more pages in ten minutes than visitors of this site ever read",
        run: conduct::burst,
    },
    Rule {
        name: "automation",
        weight: 60,
        about: "hits of a program: a crawler, a library, a browser without a window",
        run: conduct::automation,
    },
    Rule {
        name: "cookie_forged",
        weight: 80,
        about: "the cookie was not made here, or was altered",
        run: conduct::cookie_forged,
    },
    Rule {
        name: "cookie_replayed",
        weight: 50,
        about: "one cookie is used by two browsers at the same time",
        run: conduct::cookie_replayed,
    },
    Rule {
        name: "browser_change",
        weight: 25,
        about: "the browser became another one within a visit",
        run: conduct::browser_change,
    },
    Rule {
        name: "page_order",
        weight: 30,
        about: "something was done that the pages do not let anybody do in this order",
        run: conduct::page_order,
    },
];

/// What is known of who is asked about.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub config: &'a Fraud,
    pub memory: &'a Memory,
    /// Milliseconds.
    pub now: i64,
    pub visitor: Option<&'a Visitor>,
    pub user: Option<&'a User>,
    /// Of a user, those that are asked as well.
    pub browsers: &'a [Browser<'a>],
    /// The address that is asked about, or the last one of the visitor's.
    pub address: Option<&'a Address>,
    /// What the databases say of the network of the address that is asked about.
    pub network: Option<NetworkKind>,
    /// Whether a configured database tells of networks.
    pub knows_networks: bool,
    /// Whether the site collects the browser's time zone.
    pub has_time_zones: bool,
    pub cookie: Cookie,
}

/// The cookie that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// It is asked by something else.
    Absent,
    /// It is one of ours, or of a key that was destroyed since.
    Plausible,
    /// Why it is not one of ours.
    Wrong(CookieError),
}

/// Why a rule fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// As answers show it.
    pub shown: Value,
    /// The more, the stronger, among what the same rule says of several browsers.
    strength: u64,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Fired(Evidence),
    Quiet,
    /// Why it cannot be asked on this site.
    Off(&'static str),
    /// What it would have to have seen.
    Unknown(&'static str),
}

/// What one rule of the table says.
#[derive(Clone)]
pub struct Said {
    pub rule: &'static Rule,
    /// What it adds when it fires.
    pub weight: u32,
    pub verdict: Verdict,
}

// === impl Said ===

impl Said {
    /// What it adds to the score.
    pub fn points(&self) -> u32 {
        if matches!(self.verdict, Verdict::Fired(_)) { self.weight } else { 0 }
    }
}

// === impl Verdict ===

impl Verdict {
    /// With its evidence; `strength` is 0 where one is as good as another.
    fn fired(strength: impl Into<u64>, shown: Value) -> Verdict {
        Verdict::Fired(Evidence { shown, strength: strength.into() })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Fired(_) => "fired",
            Verdict::Quiet => "quiet",
            Verdict::Off(_) => "off",
            Verdict::Unknown(_) => "unknown",
        }
    }
}

// === impl Facts ===

impl<'a> Facts<'a> {
    /// The visitor's track, or the user's.
    fn tracks(&self) -> impl Iterator<Item = (&'static str, &'a Track)> {
        let visitor = self.visitor.map(|visitor| ("visitor", &visitor.track));
        visitor.into_iter().chain(self.user.map(|user| ("user", &user.track)))
    }

    fn since(&self) -> u16 {
        first_day(self.now)
    }

    /// Why a rule that looks at hits knows nothing.
    fn nothing_seen(&self) -> Verdict {
        Verdict::Unknown(match self.user {
            Some(_) => "no browser of the user was seen within two days",
            None => "no hit of the visitor was seen",
        })
    }

    /// Where the visitor was last.
    pub fn place(&self) -> Option<Place> {
        self.tracks().find_map(|(_, track)| track.place)
    }

    fn name(&self, word: u16) -> &'a str {
        self.memory.words.name(word)
    }

    /// Whether this was within the last day.
    fn is_fresh(&self, time: i64) -> bool {
        self.now - time <= super::memory::DAY_MS
    }
}

/// Asks every rule; of a user, with one of their browsers.
pub fn ask(facts: &Facts) -> Vec<Said> {
    strongest(facts, each(facts), each)
}

fn each(facts: &Facts) -> Vec<Said> {
    TABLE
        .iter()
        .zip(facts.config.weights)
        .map(|(rule, weight)| Said {
            rule,
            weight,
            verdict: if weight == 0 { Verdict::Off("its weight is 0") } else { (rule.run)(facts) },
        })
        .collect()
}

#[cfg(test)]
mod tests;
