//! How the visitor behaves.

use serde_json::json;

use super::place::instant;
use super::{Cookie, Facts, Verdict};
use crate::fraud::memory::DAY_MS;
use crate::fraud::memory::odd::Impossible;
use crate::privacy::keys::CookieError;

/// The habit of a site is known from so many ten minutes on: one in a thousand is then five.
const LEAST_KNOWN: u64 = 5_000;

/// More pages than the configured floor, and than a multiple of what all but one in a
/// thousand visitors of this site stay within. Without a habit yet, the floor alone.
pub fn burst(facts: &Facts) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let (habit, config) = (&facts.memory.habit, facts.config);
    let usual = if habit.known() < LEAST_KNOWN { 0 } else { habit.usual() };
    let most = config.pages_per_ten_minutes.max(usual.saturating_mul(config.burst_times));
    let busiest = visitor.odd().and_then(|odd| odd.busiest(facts.now - DAY_MS));
    let Some(busiest) = busiest.filter(|busiest| busiest.pages >= most) else { return Verdict::Quiet };
    Verdict::fired(
        busiest.pages,
        json!({
            "pages": busiest.pages, "in_the_ten_minutes_from": instant(busiest.from),
            "usual_on_this_site": usual, "threshold": most,
        }),
    )
}

/// Hits with the mark of a program ([`crate::fraud::sighting::Sighting::is_of_program`]).
pub fn automation(facts: &Facts) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let program = visitor.odd().and_then(|odd| odd.program);
    let Some(program) = program.filter(|program| facts.is_fresh(program.at)) else { return Verdict::Quiet };
    Verdict::fired(
        program.hits,
        json!({ "mark": facts.name(program.mark), "hits": program.hits, "last": instant(program.at) }),
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
    changed(facts, true)
}

pub fn browser_change(facts: &Facts) -> Verdict {
    changed(facts, false)
}

fn changed(facts: &Facts, is_to_and_fro: bool) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let change = visitor.odd().and_then(|odd| odd.change(is_to_and_fro));
    match change.filter(|change| facts.is_fresh(change.at)) {
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
    let Some(disorder) =
        visitor.odd().and_then(|odd| odd.disorder()).filter(|disorder| facts.is_fresh(disorder.at))
    else {
        return Verdict::Quiet;
    };
    let at = instant(disorder.at);
    match disorder.what {
        Impossible::ClickUnseen(_) => {
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
