//! Frauds who are many, or pretend to be.

use metka::fraud::memory::DAY_MS;
use metka::fraud::sighting::Sighting;

use super::super::Maker;
use super::super::hits::{BEGIN, DAYS, HOUR, MINUTE};
use super::Fraud;

/// Sixty cookies of one program, all of one address on one day.
pub(super) fn crowded_address(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["crowded_address"];
    fraud.person.address = 61_000_000 + fraud.number / 60;
    let time = BEGIN
        + (fraud.number / 60 % DAYS).cast_signed() * DAY_MS
        + 10 * HOUR
        + (fraud.number % 60).cast_signed() * MINUTE;
    let first = Sighting { time, address: fraud.person.address, ..fraud.first.clone() };
    maker.visit(first, 3, |_, _| {});
    // Asked when all of them were there.
    BEGIN + (fraud.number / 60 % DAYS).cast_signed() * DAY_MS + 12 * HOUR
}

pub(super) fn many_addresses(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["many_addresses"];
    maker.visit(fraud.first.clone(), 30, |page, hit| hit.address += page)
}

pub(super) fn many_users(maker: &mut Maker, fraud: &mut Fraud) -> i64 {
    fraud.person.labels = &["many_users"];
    maker
        .visit(fraud.first.clone(), 12, |page, hit| hit.user_key = 70_000_000 + fraud.browser * 10 + page % 6)
}
