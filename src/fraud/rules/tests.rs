use super::*;
use crate::config::Config;
use crate::enrich::Coordinates;
use crate::event::Kind;
use crate::fraud::follow::shape;
use crate::fraud::memory::DAY_MS;
use crate::fraud::sighting::{Point, Sighting};
use crate::mark::Mark;

pub(super) const MINUTE: i64 = 60 * 1000;
/// Noon of a day.
pub(super) const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;
const MOSCOW: Coordinates = Coordinates { latitude_tenths: 558, longitude_tenths: 376 };
const LISBON: Coordinates = Coordinates { latitude_tenths: 387, longitude_tenths: -91 };

pub(super) fn fraud(more: &str) -> Fraud {
    let text = format!("[fraud]\npage_order = [\"/payment > /payment/done\"]\n{more}");
    Config::parse(&text, [], std::path::Path::new("/srv")).expect("valid").fraud
}

pub(super) fn hit(time: i64) -> Sighting<'static> {
    Sighting {
        time,
        kind: Kind::Pageview,
        browser: 1,
        returned: true,
        visitor: 1,
        user_key: 9,
        address: 7,
        country: "RU",
        city: "Moscow",
        point: Some(Point { at: MOSCOW, accuracy_km: 50 }),
        network: NetworkKind::Access,
        agent: "Firefox on Linux",
        mark: "",
        language: "ru-ru",
        timezone: "Europe/Moscow",
        path: "/",
        ad: "",
    }
}

/// What a rule says a minute after the last of these hits.
fn said(rule: &str, hits: &[Sighting], change: impl FnOnce(&mut Facts)) -> Verdict {
    let config = fraud("");
    let mut memory = Memory::new(shape(&config));
    for hit in hits {
        memory.see(hit);
    }
    let mut facts = Facts {
        config: &config,
        memory: &memory,
        now: hits.last().map_or(NOON, |hit| hit.time) + MINUTE,
        visitor: memory.visitor(1),
        user: memory.user(9),
        browsers: &[],
        address: memory.address(7),
        network: None,
        knows_networks: true,
        has_time_zones: true,
        cookie: Cookie::Plausible,
    };
    change(&mut facts);
    let said = ask(&facts).into_iter().find(|said| said.rule.name == rule).expect("a rule of the table");
    assert_eq!(said.points() > 0, matches!(said.verdict, Verdict::Fired(_)));
    said.verdict
}

#[track_caller]
fn fires(rule: &str, hits: &[Sighting]) -> Value {
    match said(rule, hits, |_| {}) {
        Verdict::Fired(evidence) => evidence.shown,
        other => panic!("{rule} does not fire: {other:?}"),
    }
}

#[track_caller]
fn is_quiet(rule: &str, hits: &[Sighting]) {
    assert_eq!(said(rule, hits, |_| {}), Verdict::Quiet, "{rule}");
}

fn in_lisbon(time: i64) -> Sighting<'static> {
    Sighting {
        country: "PT",
        city: "Lisbon",
        point: Some(Point { at: LISBON, accuracy_km: 50 }),
        ..hit(time)
    }
}

#[test]
fn an_honest_visitor_fires_no_rule() {
    let day: Vec<Sighting> = (0..20).map(|page| hit(NOON + page * 3 * MINUTE)).collect();
    for rule in &TABLE {
        is_quiet(rule.name, &day);
    }
}

#[test]
fn nothing_seen_is_no_evidence() {
    for rule in &TABLE {
        let verdict = said(rule.name, &[], |_| {});
        let is_of_cookie = rule.name == "cookie_forged";
        assert!(
            matches!(verdict, Verdict::Unknown(_)) || is_of_cookie && verdict == Verdict::Quiet,
            "{}: {verdict:?}",
            rule.name
        );
    }
}

#[test]
fn speed_is_of_airliners_and_far() {
    // 3,900 km less 100.
    let evidence = fires("speed", &[hit(NOON), in_lisbon(NOON + 120 * MINUTE)]);
    assert_eq!(evidence["from"]["city"], "Moscow");
    assert_eq!(evidence["to"]["country"], "PT");
    assert!(
        evidence["km_per_hour"].as_u64().is_some_and(|speed| (1_800..2_000).contains(&speed)),
        "{evidence}"
    );
    is_quiet("speed", &[hit(NOON), in_lisbon(NOON + 6 * 60 * MINUTE)]);
    // Tallinn is near.
    let tallinn = Coordinates { latitude_tenths: 594, longitude_tenths: 248 };
    let near =
        Sighting { country: "EE", point: Some(Point { at: tallinn, accuracy_km: 50 }), ..hit(NOON + MINUTE) };
    is_quiet("speed", &[hit(NOON), near]);
    // What was two days ago is over.
    let hits = [hit(NOON), in_lisbon(NOON + MINUTE)];
    assert_eq!(said("speed", &hits, |facts| facts.now += 2 * DAY_MS), Verdict::Quiet);
    // A short way, however fast, hides no long one that is slower: to Lisbon it is 3,260 km in two hours.
    let estonia =
        Sighting { country: "EE", point: Some(Point { at: tallinn, accuracy_km: 50 }), ..hit(NOON + MINUTE) };
    let evidence = fires("speed", &[hit(NOON), estonia, in_lisbon(NOON + 121 * MINUTE)]);
    assert_eq!((&evidence["from"]["country"], &evidence["to"]["country"]), (&"EE".into(), &"PT".into()));
    // Nor does a faster one of the day before, when it is over.
    let back = |minutes| hit(NOON + minutes * MINUTE);
    let hits = [hit(NOON), in_lisbon(NOON + MINUTE), back(8 * 60), in_lisbon(NOON + 10 * 60 * MINUTE)];
    assert!(matches!(said("speed", &hits, |facts| facts.now = NOON + 30 * 60 * MINUTE), Verdict::Fired(_)));
    // A user with two browsers.
    let other = Sighting { browser: 2, visitor: 2, ..in_lisbon(NOON + MINUTE) };
    assert_eq!(fires("speed", &[hit(NOON), other])["of"], "user");
}

#[test]
fn a_time_zone_is_compared_by_what_clocks_show() {
    let zone = |timezone| [Sighting { timezone, ..hit(NOON) }];
    let evidence = fires("time_zone", &zone("America/New_York"));
    assert_eq!((&evidence["country"], &evidence["time_zone"]), (&"RU".into(), &"America/New_York".into()));
    // The same clock under another name; another zone of the same country.
    for timezone in ["Europe/Minsk", "Asia/Vladivostok"] {
        is_quiet("time_zone", &zone(timezone));
    }
    for hits in [zone(""), [Sighting { country: "", point: None, ..hit(NOON) }]] {
        assert!(matches!(said("time_zone", &hits, |_| {}), Verdict::Unknown(_)));
    }
    assert!(matches!(said("time_zone", &zone("UTC"), |facts| facts.has_time_zones = false), Verdict::Off(_)));
}

#[test]
fn a_language_is_evidence_only_where_it_names_a_country() {
    let language = |language| [Sighting { language, ..hit(NOON) }];
    assert_eq!(fires("language", &language("pt-br"))["language"], "pt-br");
    for quiet in ["ru-ru", "ru", "en-us", "pt", "sr-latn"] {
        is_quiet("language", &language(quiet));
    }
}

#[test]
fn networks_of_servers_fire_where_a_database_tells_of_networks() {
    let network = |network| [Sighting { network, ..hit(NOON) }];
    for kind in [NetworkKind::Hosting, NetworkKind::Proxy] {
        fires("network", &network(kind));
        let asked = said("network", &[], |facts| facts.network = Some(kind));
        assert!(matches!(asked, Verdict::Fired(_)));
    }
    for kind in [NetworkKind::Unknown, NetworkKind::Access, NetworkKind::Mobile] {
        is_quiet("network", &network(kind));
    }
    let off = said("network", &network(NetworkKind::Hosting), |facts| facts.knows_networks = false);
    assert!(matches!(off, Verdict::Off(_)));
}

#[test]
fn three_countries_in_two_days_are_many() {
    let country = |country, time| Sighting { country, point: None, ..hit(time) };
    let hits = [country("RU", NOON), country("PT", NOON + MINUTE), country("DE", NOON + 2 * MINUTE)];
    let evidence = fires("many_countries", &hits);
    assert_eq!(evidence["countries"].as_array().map(Vec::len), Some(3), "{evidence}");
    is_quiet("many_countries", &hits[..2]);
    let slow = [country("RU", NOON), country("PT", NOON + 3 * DAY_MS), country("DE", NOON + 6 * DAY_MS)];
    is_quiet("many_countries", &slow);
}

#[test]
fn an_address_is_crowded_from_the_threshold_on_today_and_yesterday() {
    let people = |count: u64| -> Vec<Sighting> {
        (1..=count).map(|visitor| Sighting { browser: 0, visitor, ..hit(NOON) }).collect()
    };
    assert_eq!(fires("crowded_address", &people(40))["visitors"], 40);
    is_quiet("crowded_address", &people(39));
    for (days, fired) in [(1, true), (2, false)] {
        let verdict = said("crowded_address", &people(40), |facts| facts.now += days * DAY_MS);
        assert_eq!(matches!(verdict, Verdict::Fired(_)), fired, "{days} days later: {verdict:?}");
    }
}

#[test]
fn many_addresses_and_many_users_fire_from_their_thresholds_on() {
    let addresses = |count: u64| -> Vec<Sighting> {
        (1..=count).map(|address| Sighting { address, ..hit(NOON) }).collect()
    };
    assert_eq!(fires("many_addresses", &addresses(14))["addresses"], 14);
    assert_eq!(fires("many_addresses", &addresses(30))["or_more"], true);
    is_quiet("many_addresses", &addresses(13));
    let users = |count: u64| -> Vec<Sighting> {
        (1..=count).map(|user_key| Sighting { user_key, ..hit(NOON) }).collect()
    };
    assert_eq!(fires("many_users", &users(4))["users"], 4);
    is_quiet("many_users", &users(3));
}

#[test]
fn a_burst_is_beyond_the_floor_and_the_habit_of_the_site() {
    let pages = |count: i64| -> Vec<Sighting> { (0..count).map(|page| hit(NOON + page * 1000)).collect() };
    assert_eq!(fires("burst", &pages(60))["pages"], 60);
    is_quiet("burst", &pages(59));
    // The second burst of a day is one when the first is over.
    let second = pages(80).into_iter().map(|page| Sighting { time: page.time + 20 * 60 * MINUTE, ..page });
    let hits = [pages(100), second.collect()].concat();
    for (hours, pages) in [(23, 100), (25, 80)] {
        match said("burst", &hits, |facts| facts.now = NOON + hours * 60 * MINUTE) {
            Verdict::Fired(evidence) => assert_eq!(evidence.shown["pages"], pages),
            other => panic!("burst does not fire after {hours} hours: {other:?}"),
        }
    }
    // On a site whose visitors read forty pages in ten minutes a hundred is nothing.
    let readers = (1..=6_000_u64).flat_map(|browser| {
        let reader = move |time| Sighting {
            browser: browser + 10,
            visitor: browser + 10,
            address: browser + 10,
            user_key: 0,
            ..hit(time)
        };
        (0..40)
            .map(move |page| reader(NOON - DAY_MS + page * 1000))
            .chain([reader(NOON - DAY_MS + 30 * MINUTE)])
    });
    let hits: Vec<Sighting> = readers.clone().chain(pages(100)).collect();
    is_quiet("burst", &hits);
    let hits: Vec<Sighting> = readers.chain(pages(130)).collect();
    assert_eq!(fires("burst", &hits)["usual_on_this_site"], 40);
}

#[test]
fn marks_of_programs_are_automation_and_others_are_not() {
    for mark in Mark::ALL {
        let is_program = !matches!(mark, Mark::Crowd | Mark::ReferrerSpam | Mark::Datacentre);
        let hits = [Sighting { mark: mark.name(), ..hit(NOON) }];
        match is_program {
            true => assert_eq!(fires("automation", &hits)["mark"], mark.name()),
            false => is_quiet("automation", &hits),
        }
    }
    let marked = |mark, minute| Sighting { mark, ..hit(NOON + minute * MINUTE) };
    let evidence = fires("automation", &[marked("headless", 0), marked("referrer-spam", 5)]);
    assert_eq!((&evidence["mark"], &evidence["hits"]), (&"headless".into(), &1.into()), "of programs alone");
}

#[test]
fn a_cookie_is_forged_where_no_server_of_ours_can_have_made_it() {
    for (error, fired) in [
        (CookieError::Forged, true),
        (CookieError::UnknownKey, true),
        (CookieError::Form, true),
        (CookieError::FromTheFuture, true),
        (CookieError::TooOld, false),
    ] {
        let verdict = said("cookie_forged", &[], |facts| facts.cookie = Cookie::Wrong(error));
        assert_eq!(matches!(verdict, Verdict::Fired(_)), fired, "{error}");
    }
}

#[test]
fn to_and_fro_at_two_addresses_is_a_copied_cookie_and_once_is_a_change() {
    let other = |time, address| Sighting { agent: "Chrome on Windows", address, ..hit(time) };
    let turns = |turns: i64, address| -> Vec<Sighting> {
        (0..=turns)
            .map(|turn| match turn % 2 {
                0 => hit(NOON + turn * MINUTE),
                _ => other(NOON + turn * MINUTE, address),
            })
            .collect()
    };
    assert_eq!(fires("cookie_replayed", &turns(3, 8))["times"], 3);
    is_quiet("browser_change", &turns(3, 8));
    for hits in [turns(1, 8), turns(5, 7)] {
        is_quiet("cookie_replayed", &hits);
        assert_eq!(fires("browser_change", &hits)["to"], "Chrome on Windows");
    }
    // A change in the next visit is told of beside.
    let next = [hit(NOON + 60 * MINUTE), other(NOON + 61 * MINUTE, 7)];
    let hits = [turns(3, 8), next.to_vec()].concat();
    assert_eq!(fires("cookie_replayed", &hits)["times"], 3);
    assert_eq!(fires("browser_change", &hits)["times"], 1);
}

#[test]
fn pages_have_an_order() {
    let page = |path| [Sighting { path, ..hit(NOON) }];
    assert_eq!(fires("page_order", &page("/payment/done"))["before"], "/payment");
    is_quiet("page_order", &page("/payment"));
    let click = [Sighting { kind: Kind::AdClick, ad: "banner", ..hit(NOON) }];
    fires("page_order", &click);
    let shown = Sighting { kind: Kind::AdView, ad: "banner", ..hit(NOON) };
    is_quiet("page_order", &[shown, click[0].clone()]);
}

#[test]
fn a_weight_of_nothing_turns_a_rule_off_and_other_weights_are_added() {
    let config = fraud("[fraud.weights]\nspeed = 0\nmany_countries = 7\n");
    let mut memory = Memory::new(shape(&config));
    for hit in [hit(NOON), in_lisbon(NOON + MINUTE), Sighting { country: "DE", ..in_lisbon(NOON + MINUTE) }] {
        memory.see(&hit);
    }
    let facts = Facts {
        config: &config,
        memory: &memory,
        now: NOON + 2 * MINUTE,
        visitor: memory.visitor(1),
        user: None,
        browsers: &[],
        address: None,
        network: None,
        knows_networks: false,
        has_time_zones: false,
        cookie: Cookie::Plausible,
    };
    let said = ask(&facts);
    let of = |name| said.iter().find(|said| said.rule.name == name).expect("a rule");
    assert!(matches!(of("speed").verdict, Verdict::Off(_)));
    assert_eq!((of("speed").points(), of("many_countries").points()), (0, 7));
    // The language of Lisbon's visitor is Russian.
    assert_eq!(said.iter().map(Said::points).sum::<u32>(), 7 + of("language").points());
    assert_eq!(of("language").points(), 5);
}

#[test]
fn a_vpn_that_is_turned_on_and_off_stays_below_the_threshold() {
    let config = fraud("");
    let of = |names: &[&str]| -> u32 {
        TABLE
            .iter()
            .zip(config.weights)
            .filter(|(rule, _)| names.contains(&rule.name))
            .map(|(_, weight)| weight)
            .sum()
    };
    // Where no database tells of networks, and where one does.
    assert!(of(&["speed", "time_zone", "language", "many_countries"]) < config.threshold);
    assert!(of(&["time_zone", "language", "network", "crowded_address"]) < config.threshold);
    assert!(of(&["speed", "crowded_address", "many_addresses", "language"]) < config.threshold);
}

#[test]
fn no_rule_but_a_forged_cookie_reaches_the_threshold_alone() {
    let config = fraud("");
    for (rule, weight) in TABLE.iter().zip(config.weights) {
        assert_eq!(weight, rule.weight);
        assert_eq!(weight >= config.threshold, rule.name == "cookie_forged", "{}", rule.name);
    }
    let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES);
}
