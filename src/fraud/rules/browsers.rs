//! A check by user key looks at the browsers of that user as well.
//!
//! In: the browsers in which the key came with the cookie in the two days that rules count by. Out: what the
//! rules say of the user and of **one** of the browsers, the one that they say most of. What a phone and a
//! computer do each does not add up: a payment is made on one of them, and an honest phone among
//! thousands at a carrier's address tells nothing of a computer behind a VPN.
//!
//! A rule counts once. Its evidence names the browser by number and by the keyed hash by which it can
//! be checked itself; what is said of the user alone names none. Of two browsers with as many points
//! the one with more evidence is told of, then the one that was last seen with the key.
//!
//! A browser of longer ago is left out: it may be anybody's by now.

use serde_json::{Value, json};

use super::{Facts, Said, Verdict};
use crate::fraud::memory::visitor::Visitor;
use crate::fraud::memory::{Memory, User, day};

/// One browser of a user.
#[derive(Clone, Copy)]
pub struct Browser<'a> {
    /// The keyed hash of its cookie.
    pub subject: u64,
    pub visitor: &'a Visitor,
}

/// The browsers of a user that are remembered, the latest first.
pub fn of_user<'a>(memory: &'a Memory, user: &User, now: i64) -> Vec<Browser<'a>> {
    let latest = user.browsers.since(first_day(now)).into_iter();
    latest.filter_map(|subject| Some(Browser { subject, visitor: memory.visitor(subject)? })).collect()
}

/// The first day of the two that rules count by: yesterday, UTC.
pub fn first_day(now: i64) -> u16 {
    day(now).saturating_sub(1)
}

/// What was said of the user, and of the browser that most is said of; `each` asks every rule.
pub fn strongest(facts: &Facts, alone: Vec<Said>, each: fn(&Facts) -> Vec<Said>) -> Vec<Said> {
    let with = |(index, browser): (usize, &Browser)| -> Vec<Said> {
        let shown = json!({
            "number": index + 1, "of": facts.browsers.len(), "subject": format!("{:016x}", browser.subject),
        });
        let said = each(&facts.of(browser)).into_iter().zip(&alone);
        said.map(|(of_browser, of_user)| Said {
            verdict: of_user.verdict.clone().or_stronger(of_browser.verdict.of(&shown)),
            ..of_browser
        })
        .collect()
    };
    let weight = |said: &[Said]| -> (u32, u64) {
        (said.iter().map(Said::points).sum(), said.iter().map(|said| said.verdict.strength()).sum())
    };
    let first_of_the_most = |best: Vec<Said>, other: Vec<Said>| {
        if weight(&other) > weight(&best) { other } else { best }
    };
    facts.browsers.iter().enumerate().map(with).reduce(first_of_the_most).unwrap_or(alone)
}

// === impl Facts ===

impl<'a> Facts<'a> {
    /// The same, of one of the browsers alone.
    fn of(&self, browser: &Browser<'a>) -> Facts<'a> {
        Facts {
            visitor: Some(browser.visitor),
            user: None,
            browsers: &[],
            address: self.memory.address(browser.visitor.visit.address),
            network: None,
            ..*self
        }
    }
}

// === impl Verdict ===

impl Verdict {
    fn strength(&self) -> u64 {
        if let Verdict::Fired(evidence) = self { evidence.strength } else { 0 }
    }

    /// Its evidence is of this browser.
    fn of(mut self, browser: &Value) -> Verdict {
        if let Verdict::Fired(evidence) = &mut self {
            evidence.shown["browser"] = browser.clone();
        }
        self
    }

    /// Fired is stronger than quiet, and that than not to know; with more evidence, the more of it.
    fn or_stronger(self, other: Verdict) -> Verdict {
        match (&self, &other) {
            (Verdict::Fired(one), Verdict::Fired(two)) if two.strength > one.strength => other,
            (Verdict::Fired(_) | Verdict::Off(_), _) => self,
            (_, Verdict::Fired(_)) => other,
            (Verdict::Quiet, _) | (_, Verdict::Quiet) => Verdict::Quiet,
            // What a browser would have to have said tells more than that none was asked.
            (Verdict::Unknown(_), _) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fraud::follow::shape;
    use crate::fraud::gone::Subjects;
    use crate::fraud::memory::DAY_MS;
    use crate::fraud::rules::tests::{MINUTE, NOON, fraud, hit};
    use crate::fraud::rules::{Cookie, ask};
    use crate::fraud::sighting::Sighting;

    fn of(browser: u64, time: i64) -> Sighting<'static> {
        Sighting { browser, visitor: browser, ..hit(time) }
    }

    fn headless(browser: u64, time: i64) -> Sighting<'static> {
        Sighting { mark: "headless", ..of(browser, time) }
    }

    fn seen(hits: &[Sighting]) -> Memory {
        let mut memory = Memory::new(shape(&fraud("")));
        for hit in hits {
            memory.see(hit);
        }
        memory
    }

    /// What is said of the user 9, and of how many browsers.
    fn said(memory: &Memory, now: i64) -> (Vec<Said>, usize) {
        let user = memory.user(9);
        let browsers = user.map(|user| of_user(memory, user, now)).unwrap_or_default();
        let facts = Facts {
            config: &fraud(""),
            memory,
            now,
            visitor: None,
            user,
            browsers: &browsers,
            address: None,
            network: None,
            knows_networks: true,
            has_time_zones: true,
            cookie: Cookie::Absent,
        };
        (ask(&facts), browsers.len())
    }

    fn fired(said: &[Said]) -> Vec<(&'static str, serde_json::Value)> {
        let of = |said: &Said| match &said.verdict {
            Verdict::Fired(evidence) => Some((said.rule.name, evidence.shown.clone())),
            _ => None,
        };
        said.iter().filter_map(of).collect()
    }

    #[test]
    fn honest_browsers_of_a_user_fire_nothing_and_every_rule_but_the_cookies_was_asked() {
        let hits: Vec<Sighting> =
            (0..12).map(|page| of(1 + page % 3, NOON + page.cast_signed() * MINUTE)).collect();
        let (said, browsers) = said(&seen(&hits), NOON + 20 * MINUTE);
        assert_eq!(browsers, 3);
        for said in said {
            let expected = if said.rule.name == "cookie_forged" { "unknown" } else { "quiet" };
            assert_eq!(said.verdict.name(), expected, "{}", said.rule.name);
        }
    }

    #[test]
    fn the_browser_with_the_most_evidence_is_told_of_and_counts_once() {
        let hits = [
            of(1, NOON),
            headless(2, NOON + MINUTE),
            headless(3, NOON + 2 * MINUTE),
            headless(2, NOON + 3 * MINUTE),
            of(1, NOON + 4 * MINUTE),
        ];
        let (said, browsers) = said(&seen(&hits), NOON + 5 * MINUTE);
        let fired = fired(&said);
        assert_eq!((browsers, fired.len(), fired[0].0), (3, 1, "automation"));
        let evidence = &fired[0].1;
        assert_eq!(evidence["hits"], 2, "{evidence}");
        // The one that was seen last but one, of three.
        let browser = json!({ "number": 2, "of": 3, "subject": "0000000000000002" });
        assert_eq!(evidence["browser"], browser, "{evidence}");
        assert_eq!(said.iter().map(Said::points).sum::<u32>(), 60, "not twice");
    }

    #[test]
    fn what_two_browsers_did_each_does_not_add_up() {
        let shared = |people: u64| {
            (0..people).map(|other| Sighting { address: 77, user_key: 0, ..of(1_000 + other, NOON) })
        };
        let phone = Sighting { address: 77, ..of(1, NOON + MINUTE) };
        let computer = |time| Sighting { language: "ja-jp", ..headless(2, time) };
        let rules = |hits: &[Sighting]| -> Vec<&'static str> {
            fired(&said(&seen(hits), NOON + 5 * MINUTE).0).iter().map(|(rule, _)| *rule).collect()
        };
        let crowd: Vec<Sighting> = shared(60).collect();
        let hits = |own: &[Sighting<'static>]| [&crowd[..], own].concat();
        assert_eq!(rules(&hits(std::slice::from_ref(&phone))), ["crowded_address"]);
        assert_eq!(rules(&hits(&[phone.clone(), computer(NOON + 2 * MINUTE)])), ["language", "automation"]);
        // The same on one browser does.
        let both = Sighting { address: 77, ..computer(NOON + 3 * MINUTE) };
        assert_eq!(rules(&hits(&[phone, both])), ["language", "crowded_address", "automation"]);
    }

    #[test]
    fn what_a_browser_did_without_the_key_is_seen_and_what_others_did_is_not() {
        let unsigned = Sighting { user_key: 0, ..headless(1, NOON + MINUTE) };
        let stranger = Sighting { user_key: 8, ..headless(2, NOON + MINUTE) };
        let told = |hits: &[Sighting]| fired(&said(&seen(hits), NOON + 2 * MINUTE).0).len();
        assert_eq!(told(&[of(1, NOON), unsigned]), 1);
        assert_eq!(told(&[of(1, NOON), stranger]), 0);
    }

    #[test]
    fn a_browser_that_is_forgotten_or_of_longer_ago_is_not_looked_at() {
        let hits = [of(1, NOON), headless(2, NOON + MINUTE)];
        let mut memory = seen(&hits);
        assert_eq!(fired(&said(&memory, NOON + 2 * MINUTE).0).len(), 1);
        memory.forget(&Subjects { visitors: [2].into(), ..Subjects::default() });
        let (told, browsers) = said(&memory, NOON + 2 * MINUTE);
        assert_eq!((fired(&told).len(), browsers), (0, 1));
        // Somebody else has it now.
        let later = NOON + 3 * DAY_MS;
        let other = Sighting { user_key: 8, ..headless(2, later) };
        let memory = seen(&[hits[0].clone(), of(2, NOON), other, of(1, later)]);
        let (told, browsers) = said(&memory, later + MINUTE);
        assert_eq!((fired(&told).len(), browsers), (0, 1));
        let (told, browsers) = said(&memory, later + 2 * DAY_MS);
        assert_eq!(browsers, 0);
        let burst = told.iter().find(|said| said.rule.name == "burst").expect("a rule");
        assert_eq!(burst.verdict, Verdict::Unknown("no browser of the user was seen within two days"));
    }

    #[test]
    fn what_is_seen_of_the_user_alone_is_told_without_a_browser() {
        let addresses: Vec<Sighting> = (1..=14)
            .map(|address| Sighting { address, ..of(1 + address % 2, NOON + address.cast_signed() * MINUTE) })
            .collect();
        let (said, _) = said(&seen(&addresses), NOON + 15 * MINUTE);
        let fired = fired(&said);
        assert_eq!((fired.len(), fired[0].0), (1, "many_addresses"));
        assert_eq!((&fired[0].1["of"], &fired[0].1["browser"]), (&json!("user"), &json!(null)));
    }
}
