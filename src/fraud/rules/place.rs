//! Where the visitor is, and what the browser says of that.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::{Facts, Verdict};
use crate::enrich::{NetworkKind, zones_of_country};
use crate::fraud::memory::track::Place;

const NO_COUNTRY: &str = "the country is not known";

/// Faster than an airliner, farther than a geo database errs; both less what the two
/// places may be off ([`crate::fraud::memory::track`]).
pub fn speed(facts: &Facts) -> Verdict {
    let mut tracks = facts.tracks().peekable();
    if tracks.peek().is_none() {
        return facts.nothing_seen();
    }
    let (most, least) = (facts.config.speed_km_per_hour, facts.config.speed_km);
    let latest = tracks
        .filter_map(|(who, track)| Some((who, track.jump.as_deref()?)))
        .find(|(_, jump)| jump.is_beyond(most, least) && facts.is_fresh(jump.to.time));
    let Some((who, jump)) = latest else { return Verdict::Quiet };
    let place = |place: Place| {
        json!({
            "country": facts.name(place.country), "city": facts.name(place.city), "at": instant(place.time),
        })
    };
    Verdict::fired(
        jump.km_per_hour,
        json!({
            "of": who, "from": place(jump.from), "to": place(jump.to), "km": jump.km,
            "km_per_hour": jump.km_per_hour, "threshold_km_per_hour": most, "threshold_km": least,
        }),
    )
}

/// By what clocks show now, not by names: `Europe/Minsk` is the time of Moscow.
pub fn time_zone(facts: &Facts) -> Verdict {
    if !facts.has_time_zones {
        return Verdict::Off("the site does not collect time zones (fields)");
    }
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let said = facts.name(visitor.timezone);
    if said.is_empty() {
        return Verdict::Unknown("the browser's time zone is not known");
    }
    let country = visitor.track.place.map_or("", |place| facts.name(place.country));
    let zones = zones_of_country(country);
    if zones.is_empty() {
        return Verdict::Unknown(NO_COUNTRY);
    }
    let now = Timestamp::from_millisecond(facts.now).unwrap_or_default();
    let minutes = |name: &str| Some(TimeZone::get(name).ok()?.to_offset(now).seconds() / 60);
    let Some(shown) = minutes(said) else { return Verdict::Unknown("the browser's time zone is not one") };
    let mut usual: Vec<i32> = zones.iter().filter_map(|zone| minutes(zone.name)).collect();
    usual.sort_unstable();
    usual.dedup();
    if usual.contains(&shown) {
        return Verdict::Quiet;
    }
    let off = usual.iter().map(|minutes| minutes.abs_diff(shown)).min().unwrap_or_default();
    Verdict::fired(
        off,
        json!({
            "time_zone": said, "country": country, "minutes_from_utc": shown, "minutes_of_country": usual,
        }),
    )
}

/// Only where the browser names a country with its language (`pt-BR`). English names none:
/// browsers are in American English everywhere.
pub fn language(facts: &Facts) -> Verdict {
    let Some(visitor) = facts.visitor else { return facts.nothing_seen() };
    let language = facts.name(visitor.language);
    let country = visitor.track.place.map_or("", |place| facts.name(place.country));
    if country.is_empty() {
        return Verdict::Unknown(NO_COUNTRY);
    }
    let region = language.split_once('-').filter(|(base, region)| *base != "en" && region.len() == 2);
    match region {
        Some((_, region)) if !region.eq_ignore_ascii_case(country) => {
            Verdict::fired(0_u64, json!({ "language": language, "country": country }))
        }
        Some(_) => Verdict::Quiet,
        None if language.is_empty() => Verdict::Unknown("the browser's language is not known"),
        None => Verdict::Quiet,
    }
}

pub fn network(facts: &Facts) -> Verdict {
    if !facts.knows_networks {
        return Verdict::Off("no database of networks is configured (geo.files)");
    }
    let of_visitor = || facts.place().map(|place| place.network);
    match facts.network.or_else(of_visitor) {
        None => facts.nothing_seen(),
        Some(kind @ (NetworkKind::Hosting | NetworkKind::Proxy)) => {
            Verdict::fired(0_u64, json!({ "kind": kind }))
        }
        Some(_) => Verdict::Quiet,
    }
}

pub fn many_countries(facts: &Facts) -> Verdict {
    let (most, since) = (facts.config.countries_per_visitor as usize, facts.since());
    let mut tracks = facts.tracks().peekable();
    if tracks.peek().is_none() {
        return facts.nothing_seen();
    }
    let Some((who, track)) = tracks.find(|(_, track)| track.countries.since(since) >= most) else {
        return Verdict::Quiet;
    };
    let names: Vec<&str> =
        track.countries.things(since).filter_map(|word| Some(facts.name(word.try_into().ok()?))).collect();
    Verdict::fired(names.len() as u64, json!({ "of": who, "countries": names, "threshold": most }))
}

pub fn instant(time: i64) -> String {
    Timestamp::from_millisecond(time).unwrap_or_default().to_string()
}
