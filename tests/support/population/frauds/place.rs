//! Frauds who are elsewhere than they say.

use metka::enrich::NetworkKind;

use super::super::Maker;
use super::super::hits::{ABROAD, MINUTE, point};
use super::Fraud;

/// A cookie that was taken away, used elsewhere ten minutes later by another browser's clock.
pub(super) fn speed(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["speed"];
    let end = maker.visit(fraud.first.clone(), fraud.pages, |_, _| {}) + 10 * MINUTE;
    let stolen = maker.hit(fraud.browser, fraud.far, fraud.own + 1, end);
    maker.visit(stolen, fraud.pages, |_, _| {})
}

/// A proxy in the country, the browser's own clock: of a zone that Russia, which has eleven, has not.
pub(super) fn time_zone(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["time_zone"];
    let zone =
        ["America/New_York", "America/Sao_Paulo", "Africa/Lagos", "Asia/Kolkata"][fraud.number as usize % 4];
    maker.visit(fraud.first.clone(), fraud.pages, |_, hit| hit.timezone = zone)
}

pub(super) fn language(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["language"];
    maker.visit(fraud.first.clone(), fraud.pages, |_, hit| hit.language = "pt-br")
}

pub(super) fn network(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["network"];
    let kind = if maker.one_in(2) { NetworkKind::Hosting } else { NetworkKind::Proxy };
    maker.visit(fraud.first.clone(), fraud.pages, |_, hit| hit.network = kind)
}

pub(super) fn many_countries(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["many_countries", "many_addresses", "speed"];
    maker.visit(fraud.first.clone(), 20, |page, hit| {
        let spot = &ABROAD[page as usize % ABROAD.len()];
        (hit.country, hit.city, hit.point) = (spot.0, spot.1, point(spot));
        hit.address += page;
    })
}
