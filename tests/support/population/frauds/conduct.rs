//! Frauds who are seen by what they do.

use metka::event::Kind;
use metka::fraud::rules::Cookie;
use metka::fraud::sighting::Sighting;
use metka::mark::Mark;
use metka::privacy::keys::CookieError;

use super::super::hits::{AGENTS, MINUTE};
use super::super::{Event, Maker};
use super::Fraud;

pub(super) fn burst(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["burst"];
    let begin = fraud.first.time - fraud.first.time % (10 * MINUTE);
    for page in 0..150 {
        let time = begin + page * 2_000;
        maker.events.push((time, Event::Hit(Sighting { time, ..fraud.first.clone() })));
    }
    begin + 300_000
}

pub(super) fn automation(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["automation"];
    let mark = [Mark::Headless, Mark::Library, Mark::Automation][maker.below(3) as usize].name();
    maker.visit(fraud.first.clone(), fraud.pages, |_, hit| hit.mark = mark)
}

pub(super) fn cookie_forged(_maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["cookie_forged"];
    fraud.person.browser = 0;
    fraud.person.cookie = Cookie::Wrong(CookieError::Forged);
    fraud.first.time
}

pub(super) fn cookie_replayed(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["cookie_replayed"];
    let other = AGENTS[(fraud.browser % AGENTS.len() as u64 + 1) as usize % AGENTS.len()];
    maker.visit(fraud.first.clone(), 10, |page, hit| {
        if page % 2 == 1 {
            (hit.agent, hit.address) = (other, hit.address + 1);
        }
    })
}

pub(super) fn browser_change(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["browser_change"];
    let other = AGENTS[(fraud.browser % AGENTS.len() as u64 + 1) as usize % AGENTS.len()];
    maker.visit(fraud.first.clone(), fraud.pages, |page, hit| {
        if page >= 2 {
            hit.agent = other;
        }
    })
}

pub(super) fn page_order(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["page_order"];
    let clicks = maker.one_in(2);
    maker.visit(fraud.first.clone(), fraud.pages, |page, hit| match page {
        1 if clicks => (hit.kind, hit.ad) = (Kind::AdClick, "banner"),
        1 => hit.path = "/payment/done",
        _ => {}
    })
}
