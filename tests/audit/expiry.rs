//! Months past their term go whole, and the trail says so.

use metka::audit::{Action, Actor, Expired, Filter, term_begins};
use metka::config::Config;

use super::{Place, fill, instant};

fn job() -> Actor {
    Actor::Job("retention".to_owned())
}

#[test]
fn whole_months_past_the_term_go_with_an_entry_that_says_so_and_what_is_left_is_proven() {
    let place = Place::new();
    let trail = place.trail();
    let anchor = fill(&trail, 1..=320);
    let now = instant("2026-06-20T00:00:00Z");
    let old = trail.list(&Filter::last(1000)).expect("whole");
    // A month with one entry younger than the term stays whole.
    for before in ["2026-01-31T23:59:59Z", "2025-06-01T00:00:00Z"] {
        assert_eq!(trail.expire(instant(before), job(), now).expect("nothing is due"), Expired::default());
    }
    assert_eq!(trail.anchor().expect("readable"), anchor, "nothing was written");
    let earlier = place.files();
    let done = trail.expire(instant("2026-04-01T12:00:00Z"), job(), now).expect("expired");
    assert_eq!((done.months, done.entries), (3, 171));
    let names: Vec<String> = place.files().into_keys().collect();
    assert_eq!(names, ["2026-04.log", "2026-05.log", "2026-06.log", "head"]);
    let found = trail.verify(Some(anchor)).expect("whole, and an anchor from before holds");
    assert_eq!((found.entries, found.first.expect("some").number), (320 - 171 + 1, 172));
    let listed = trail.list(&Filter::last(1000)).expect("whole");
    assert_eq!(listed[..149], old[171..]);
    let said = listed[149].entry();
    assert_eq!((said.action, said.actor), (Action::TrailExpired, job()));
    assert_eq!(said.detail.as_deref(), Some("2026-01 to 2026-03, entries 1 to 171"));
    let gone = metka::audit::Anchor { number: 100, mac: anchor.mac };
    assert!(trail.verify(Some(gone)).expect_err("gone").to_string().contains("older than the first entry"));

    // A crash before the files were removed: they are no part of it, and go.
    let mut crashed = place.files();
    crashed.extend(
        earlier
            .iter()
            .filter(|(name, _)| *name < &"2026-04".to_owned())
            .map(|(name, bytes)| (name.clone(), bytes.clone())),
    );
    place.put(&place.files(), &crashed);
    assert_eq!(trail.verify(None).expect("whole").entries, 150);
    trail.append(&super::entry(322)).expect("written");
    assert!(!place.path("2026-01.log").exists() && !place.path("2026-03.log").exists());
    // A crash before the head was replaced: nothing had gone yet.
    assert_eq!(trail.verify(None).expect("whole").entries, 151);
    // A month taken away is not one that expired.
    std::fs::remove_file(place.path("2026-04.log")).expect("removed");
    assert!(trail.verify(None).expect_err("missing").to_string().contains("entry 172: "));
}

#[test]
fn all_but_the_entry_that_says_so_can_go_and_of_a_damaged_trail_nothing_goes() {
    let place = Place::new();
    let trail = place.trail();
    fill(&trail, 1..=100);
    let far = instant("2030-01-01T00:00:00Z");
    let honest = place.files();
    let mut files = honest.clone();
    files.get_mut("2026-01.log").expect("it is there")[40] ^= 1;
    place.put(&honest, &files);
    assert!(trail.expire(far, job(), far).expect_err("damaged").to_string().contains("2026-01.log: entry 1"));
    assert_eq!(place.files(), files);
    place.put(&files, &honest);
    let done = trail.expire(far, job(), far).expect("expired");
    assert_eq!((done.months, done.entries), (2, 100));
    let found = trail.verify(None).expect("whole");
    assert_eq!((found.entries, found.anchor.number), (1, 101));
    assert_eq!(trail.expire(far, job(), far).expect("nothing is left to go"), Expired::default());
}

#[test]
fn the_longest_term_of_the_sites_holds() {
    let site = |id: &str, days: &str| format!("[[site]]\nid = \"{id}\"\nhosts = [\"{id}.example\"]\n{days}");
    let now = instant("2026-11-26T00:00:00Z");
    let check = |text: String, expected: Option<&str>| {
        let config = Config::parse(&text, [], std::path::Path::new("/tmp")).expect("a configuration");
        assert_eq!(term_begins(&config, now), expected.map(instant), "{text}");
    };
    check(String::new(), None);
    check(site("clinic", ""), Some("2023-11-27T00:00:00Z"));
    let days = |days: u16| format!("[site.retention]\naudit_days = {days}\n");
    check(site("clinic", &days(10)) + &site("shop", &days(20)), Some("2026-11-06T00:00:00Z"));
}
