//! Why a kept hit is left out of the numbers: one closed list, stored in the
//! row's column `bot` by name; empty for what counts.
//!
//! A marked hit is answered and stored like any other, but is offered no cookie.
//! Marks are shown to `security` and `owner` on request (`include.bots`).
//!
//! In: what is known of one hit ([`Evidence`]). Out: the first [`Mark`] whose rule
//! fits, in the order of the list; a hit has one mark. `crowd` is given by
//! [`crate::identify::crowd`], to hits that have no other.
//!
//! A rule is here only if people hardly ever meet it; `docs/junk.md` says why each
//! is, what it may get wrong, and what was left out on purpose. The crawler's own
//! name is not kept: it is free text of a stranger's.

use crate::enrich::UserAgent;
use crate::enrich::hints::ClientHints;
use crate::enrich::junk::Junk;

/// What gave a hit away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mark {
    /// The user agent names a crawler.
    Crawler,
    /// It names a monitor or a test driver.
    Automation,
    /// It, or `Sec-CH-UA`, names a browser without a window.
    Headless,
    /// It names a program's HTTP library, or nothing that a browser names.
    Library,
    /// There is none.
    Empty,
    /// `Sec-CH-UA` has another version of Chromium than the user agent (off by default).
    Contradiction,
    /// The hit says what no page can have measured.
    Impossible,
    /// The referrer is a host that is known for advertising itself in statistics.
    ReferrerSpam,
    /// The address belongs to a network of rented servers (off by default).
    Datacentre,
    /// Its address has added its share of new visitors for the day.
    Crowd,
}

/// What is known of one hit.
pub struct Evidence<'a> {
    pub agent: &'a UserAgent,
    /// As sent, cut and cleaned.
    pub user_agent: &'a str,
    pub hints: ClientHints,
    /// The hit says what cannot be ([`crate::event::Hit::impossible`]).
    pub impossible: bool,
    pub referrer_host: &'a str,
    /// The number of the address's autonomous system; 0 when not known.
    pub asn: u32,
}

// === impl Mark ===

impl Mark {
    pub const ALL: [Mark; 10] = [
        Mark::Crawler,
        Mark::Automation,
        Mark::Headless,
        Mark::Library,
        Mark::Empty,
        Mark::Contradiction,
        Mark::Impossible,
        Mark::ReferrerSpam,
        Mark::Datacentre,
        Mark::Crowd,
    ];

    /// The name in storage, in questions and in `/debug/hit`.
    pub const fn name(self) -> &'static str {
        match self {
            Mark::Crawler => "crawler",
            Mark::Automation => "automation",
            Mark::Headless => "headless",
            Mark::Library => "library",
            Mark::Empty => "empty",
            Mark::Contradiction => "contradiction",
            Mark::Impossible => "impossible",
            Mark::ReferrerSpam => "referrer-spam",
            Mark::Datacentre => "datacentre",
            Mark::Crowd => "crowd",
        }
    }

    pub fn parse(name: &str) -> Option<Mark> {
        Mark::ALL.into_iter().find(|mark| mark.name() == name)
    }

    /// The mark of a hit, if it has one.
    pub fn of(evidence: &Evidence, junk: &Junk) -> Option<Mark> {
        if let Some(mark) = Mark::parse(evidence.agent.bot) {
            return Some(mark);
        }
        let rules = [
            (evidence.hints.headless, Mark::Headless),
            (
                junk.marks_contradictions && evidence.hints.contradict(evidence.user_agent),
                Mark::Contradiction,
            ),
            (evidence.impossible, Mark::Impossible),
            (junk.is_spam(evidence.referrer_host), Mark::ReferrerSpam),
            (junk.is_datacentre(evidence.asn), Mark::Datacentre),
        ];
        rules.into_iter().find(|(fits, _)| *fits).map(|(_, mark)| mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Enrich;
    use crate::enrich::user_agent::classify_quickly;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

    #[test]
    fn every_mark_is_read_back_by_its_name() {
        for (index, mark) in Mark::ALL.into_iter().enumerate() {
            assert_eq!((mark as usize, Mark::parse(mark.name())), (index, Some(mark)));
        }
        assert_eq!(Mark::parse(""), None);
    }

    #[test]
    fn the_first_rule_that_fits_gives_the_mark() {
        let junk = Junk::new(&Enrich {
            mark_contradictions: true,
            mark_datacentres: true,
            datacentre_networks: vec![64500],
            referrer_spam: vec!["spam.example".to_owned()],
            ..Enrich::default()
        });
        let none = ClientHints::default();
        let headless = ClientHints { headless: true, ..none };
        let other = ClientHints { chromium: 120, ..none };
        let same = ClientHints { chromium: 131, ..none };
        let googlebot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
        for (user_agent, hints, impossible, referrer_host, asn, expected) in [
            (CHROME, none, false, "", 0, None),
            (CHROME, same, false, "yandex.ru", 64501, None),
            (CHROME, headless, true, "spam.example", 64500, Some(Mark::Headless)),
            (CHROME, other, true, "spam.example", 64500, Some(Mark::Contradiction)),
            (CHROME, same, true, "spam.example", 64500, Some(Mark::Impossible)),
            (CHROME, same, false, "spam.example", 64500, Some(Mark::ReferrerSpam)),
            (CHROME, same, false, "", 64500, Some(Mark::Datacentre)),
            (googlebot, headless, true, "spam.example", 64500, Some(Mark::Crawler)),
            ("curl/8.5.0", none, false, "", 0, Some(Mark::Library)),
            ("", none, false, "", 0, Some(Mark::Empty)),
            ("Mozilla/5.0 HeadlessChrome/131.0", none, false, "", 0, Some(Mark::Headless)),
        ] {
            let agent = classify_quickly(user_agent);
            let evidence = Evidence { agent: &agent, user_agent, hints, impossible, referrer_host, asn };
            assert_eq!(Mark::of(&evidence, &junk), expected, "{user_agent} {hints:?} {referrer_host} {asn}");
        }
        let agent = classify_quickly(CHROME);
        let evidence = Evidence {
            agent: &agent,
            user_agent: CHROME,
            hints: other,
            impossible: false,
            referrer_host: "",
            asn: 64500,
        };
        assert_eq!(Mark::of(&evidence, &Junk::new(&Enrich::default())), None, "not asked for");
    }

    #[test]
    fn what_the_user_agent_rules_say_is_in_the_list() {
        for text in
            ["", "curl/8.5.0", "Googlebot/2.1", "HeadlessChrome/1 (X11)", "Mozilla/5.0 (X11) selenium"]
        {
            let bot = classify_quickly(text).bot;
            assert!(Mark::parse(bot).is_some(), "{text:?} is {bot:?}");
        }
    }
}
