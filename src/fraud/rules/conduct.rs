//! How the visitor behaves.

use serde_json::json;

use super::place::instant;
use super::{Cookie, Facts, Verdict};
use crate::fraud::memory::visitor::{Change, Impossible};
use crate::mark::Mark;
use crate::privacy::keys::CookieError;

/// The habit of a site is known from so many ten minutes on: one in a thousand is then five.
const LEAST_KNOWN: u64 = 5_000;
/// A cookie that goes to and fro between browsers so often was not passed on, but copied.
const TO_AND_FRO: u16 = 3;

/// More pages than the configured floor, and than a multiple of what all but one in a
/// thousand visitors of this site stay within. Without a habit yet, the floor alone.
pub fn burst(facts: &Facts) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let (busiest, habit, config) = (visitor.busiest, &facts.memory.habit, facts.config);
    let usual = if habit.known() < LEAST_KNOWN { 0 } else { habit.usual() };
    let most = config.pages_per_ten_minutes.max(usual.saturating_mul(config.burst_times));
    if busiest.pages < most || !facts.is_fresh(busiest.from) {
        return Verdict::Quiet;
    }
    Verdict::fired(
        busiest.pages,
        json!({
            "pages": busiest.pages, "in_the_ten_minutes_from": instant(busiest.from),
            "usual_on_this_site": usual, "threshold": most,
        }),
    )
}

/// Marks of programs. That an address is crowded, or a referrer an advertisement, is said
/// of others than the visitor.
pub fn automation(facts: &Facts) -> Verdict {
    let of_program = |name: &str| {
        matches!(
            Mark::parse(name),
            Some(
                Mark::Crawler
                    | Mark::Automation
                    | Mark::Headless
                    | Mark::Library
                    | Mark::Empty
                    | Mark::Contradiction
                    | Mark::Impossible
            )
        )
    };
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let mark = facts.name(visitor.mark);
    if visitor.marked == 0 || !of_program(mark) || !facts.is_fresh(visitor.marked_at) {
        return Verdict::Quiet;
    }
    Verdict::fired(
        visitor.marked,
        json!({ "mark": mark, "hits": visitor.marked, "last": instant(visitor.marked_at) }),
    )
}

/// A cookie that is too old, or of a key that was destroyed, is not forged.
pub fn cookie_forged(facts: &Facts) -> Verdict {
    match facts.cookie {
        Cookie::Absent => Verdict::Unknown("no cookie was given"),
        Cookie::Plausible | Cookie::Wrong(CookieError::TooOld) => Verdict::Quiet,
        Cookie::Wrong(
            error @ (CookieError::Forged
            | CookieError::UnknownKey
            | CookieError::FromTheFuture
            | CookieError::Form),
        ) => Verdict::fired(0_u64, json!({ "cookie": error.to_string() })),
    }
}

pub fn cookie_replayed(facts: &Facts) -> Verdict {
    changed(facts, |change| change.turns >= TO_AND_FRO && change.moved)
}

pub fn browser_change(facts: &Facts) -> Verdict {
    changed(facts, |change| change.turns < TO_AND_FRO || !change.moved)
}

fn changed(facts: &Facts, fits: fn(&Change) -> bool) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    match visitor.changed.filter(|change| fits(change) && facts.is_fresh(change.at)) {
        None => Verdict::Quiet,
        Some(change) => Verdict::fired(
            change.turns,
            json!({
                "from": facts.name(change.from), "to": facts.name(change.to), "at": instant(change.at),
                "times": change.turns, "more_than_one_address": change.moved,
            }),
        ),
    }
}

pub fn page_order(facts: &Facts) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let Some(disorder) = visitor.disorder.filter(|disorder| facts.is_fresh(disorder.at)) else {
        return Verdict::Quiet;
    };
    let at = instant(disorder.at);
    match disorder.what {
        Impossible::ClickUnseen => {
            Verdict::fired(0_u64, json!({ "what": "a click on an ad block that was never shown", "at": at }))
        }
        Impossible::Skipped(index) => match facts.config.page_order.get(index) {
            Some(order) => Verdict::fired(
                0_u64,
                json!({
                    "what": "a page without the page before it", "page": order.after, "before": order.before, "at": at,
                }),
            ),
            None => Verdict::Quiet,
        },
    }
}
