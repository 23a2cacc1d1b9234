//! How many share an address, and how many one visitor is.

use serde_json::json;

use super::{Facts, Verdict};
use crate::fraud::memory::address::MAX_PEOPLE;
use crate::fraud::memory::day;

/// Of the address's last day, if that was today or yesterday.
pub fn crowded_address(facts: &Facts) -> Verdict {
    let Some(address) = facts.address else { return Verdict::Unknown("no hit from the address was seen") };
    let most = facts.config.people_per_address as usize;
    let people = match day(facts.now).saturating_sub(address.day) {
        0 => address.people().max(address.people_before.into()),
        1 => address.people(),
        _ => 0,
    };
    if people < most {
        return Verdict::Quiet;
    }
    let or_more = people >= MAX_PEOPLE;
    Verdict::fired(people as u64, json!({ "visitors": people, "or_more": or_more, "threshold": most }))
}

pub fn many_addresses(facts: &Facts) -> Verdict {
    let (most, since) = (facts.config.addresses_per_visitor as usize, facts.since());
    let mut tracks = facts.tracks().peekable();
    if tracks.peek().is_none() {
        return facts.nothing_seen();
    }
    let Some((who, track)) = tracks.find(|(_, track)| track.addresses.since(since) >= most) else {
        return Verdict::Quiet;
    };
    let addresses = track.addresses.since(since);
    Verdict::fired(
        addresses as u64,
        json!({
            "of": who, "addresses": addresses,
            "or_more": track.addresses.had_more(since), "threshold": most,
        }),
    )
}

pub fn many_users(facts: &Facts) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let (most, users) = (facts.config.users_per_visitor as usize, visitor.user_keys.since(facts.since()));
    if users < most {
        return Verdict::Quiet;
    }
    let or_more = visitor.user_keys.had_more(facts.since());
    Verdict::fired(users as u64, json!({ "users": users, "or_more": or_more, "threshold": most }))
}
