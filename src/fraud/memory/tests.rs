use super::browsers::{Browsers, MAX_BROWSERS};
use super::habit::{Habit, SLOT_MS};
use super::recent::Recent;
use super::*;
use crate::enrich::{Coordinates, NetworkKind};
use crate::event::Kind;
use crate::fraud::memory::odd::Impossible;
use crate::fraud::memory::track::Jump;
use crate::fraud::sighting::Point;

const MOSCOW: Coordinates = Coordinates { latitude_tenths: 558, longitude_tenths: 376 };
const TOKYO: Coordinates = Coordinates { latitude_tenths: 357, longitude_tenths: 1397 };
/// Noon of a day.
const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;
const MINUTE: i64 = 60 * 1000;

fn hit(time: i64) -> Sighting<'static> {
    Sighting {
        time,
        kind: Kind::Pageview,
        browser: 1,
        returned: true,
        visitor: 1,
        user_key: 0,
        address: 7,
        country: "RU",
        city: "Moscow",
        point: Some(Point { at: MOSCOW, accuracy_km: 50 }),
        network: NetworkKind::Unknown,
        agent: "Firefox on Linux",
        mark: "",
        language: "ru-ru",
        timezone: "Europe/Moscow",
        path: "/",
        ad: "",
    }
}

fn memory(most: usize) -> Memory {
    let order = Order { before: "/payment".to_owned(), after: "/payment/done".to_owned() };
    Memory::new(Shape { most, orders: vec![order], km_per_hour: 1_000, km: 800, burst_pages: 3 })
}

fn seen(hits: &[Sighting]) -> Memory {
    let mut memory = memory(100);
    for hit in hits {
        memory.see(hit);
    }
    memory
}

#[test]
fn the_latest_things_stay_and_what_had_to_go_is_said() {
    let mut recent = Recent::<3>::default();
    for (thing, day) in [(1, 10), (2, 11), (3, 12), (1, 13)] {
        recent.see(thing, day * DAY_MS);
    }
    assert_eq!((recent.since(1), recent.since(12), recent.since(14)), (3, 2, 0));
    assert!(!recent.had_more(1));
    recent.see(4, 14 * DAY_MS);
    assert_eq!(recent.since(1), 3);
    assert!(recent.has(1) && !recent.has(2), "the oldest sight went");
    assert!(recent.had_more(11) && !recent.had_more(12));
    recent.forget(&[3, 4]);
    assert_eq!(recent.since(1), 1);
    // A late sight makes nothing younger.
    recent.see(1, 2 * DAY_MS);
    assert_eq!(recent.since(13), 1);

    // Nor does one take the place of a later thing.
    let mut recent = Recent::<2>::default();
    for (thing, day) in [(1, 10), (2, 11), (3, 9)] {
        recent.see(thing, day * DAY_MS);
    }
    assert!(recent.has(1) && recent.has(2) && !recent.has(3));
    assert!(recent.had_more(9) && !recent.had_more(10), "it is said that there was another");
}

#[test]
fn a_user_key_has_its_latest_browsers_and_no_visitor_without_a_cookie() {
    let mut browsers = Browsers::default();
    assert!(browsers.since(0).is_empty());
    for (browser, minute) in [(11, 0), (12, 1), (0, 2), (11, 3)] {
        browsers.see(browser, NOON + minute * MINUTE);
    }
    assert_eq!(browsers.since(1), [11, 12]);
    // Late sights make nothing younger.
    browsers.see(11, NOON - 3 * DAY_MS);
    assert_eq!((browsers.since(20_000), browsers.since(20_001)), (vec![11, 12], vec![]));
    for browser in 1..MAX_BROWSERS as u64 {
        assert!(!browsers.had_more(1));
        browsers.see(browser, NOON + DAY_MS + browser.cast_signed() * MINUTE);
    }
    let all = browsers.since(1);
    assert_eq!((all.len(), all[0], all[MAX_BROWSERS - 1]), (MAX_BROWSERS, 7, 11), "12 was the oldest");
    assert!(browsers.had_more(20_000) && !browsers.had_more(20_001));
    browsers.see(13, NOON - DAY_MS);
    assert!(!browsers.since(1).contains(&13), "all others are of later");
    browsers.forget(&[3, 11, 99]);
    assert_eq!(browsers.since(1), [7, 6, 5, 4, 2, 1]);

    let without = Sighting { browser: 0, returned: false, visitor: 77, user_key: 5, ..hit(NOON) };
    let mut hits = vec![without.clone(), Sighting { user_key: 5, ..hit(NOON) }];
    // Whoever refuses cookies is offered another with each page; nobody's browser is pushed out by them.
    hits.extend((100..100 + MAX_BROWSERS as u64).map(|browser| Sighting { browser, ..without.clone() }));
    assert_eq!(seen(&hits).user(5).expect("seen").browsers.since(1), [1]);
}

#[test]
fn a_jump_is_the_way_less_what_both_places_may_be_off() {
    let away = Sighting {
        country: "JP",
        city: "Tokyo",
        point: Some(Point { at: TOKYO, accuracy_km: 100 }),
        ..hit(NOON + 60 * MINUTE)
    };
    let jump = |hits: &[Sighting]| -> Option<Jump> { seen(hits).visitor(1)?.track.jump.as_deref().copied() };
    let memory = seen(&[hit(NOON), away.clone()]);
    let far = jump(&[hit(NOON), away.clone()]).expect("a jump");
    // 7,480 km between the two, less 150.
    assert!((7_250..7_400).contains(&far.km), "{} km", far.km);
    assert_eq!(far.km, far.km_per_hour);
    assert_eq!(memory.words.name(far.to.city), "Tokyo");

    // A hit that comes late says nothing of the way, and one of the same place neither.
    for other in [Sighting { time: NOON - MINUTE, ..away.clone() }, hit(NOON + MINUTE)] {
        assert_eq!(jump(&[hit(NOON), other]), None);
    }
    // Within a country addresses move without their people.
    let inland = Sighting { country: "RU", ..away.clone() };
    assert_eq!(jump(&[hit(NOON), inland]), None);
    // Nobody is where a hosting network is.
    let server = Sighting { network: NetworkKind::Hosting, ..away.clone() };
    let visitor = seen(&[hit(NOON), server, hit(NOON + 61 * MINUTE)]);
    let track = &visitor.visitor(1).expect("seen").track;
    assert_eq!((&track.jump, track.countries.since(1)), (&None, 1));
    // Within its error a place is the same.
    let near = Sighting { point: Some(Point { at: TOKYO, accuracy_km: 9_000 }), ..away.clone() };
    assert_eq!(jump(&[hit(NOON), near]), None);
    // A journey takes no place of what was none, and the latest that was none is known.
    let slow = Sighting { time: NOON + 60 * MINUTE + DAY_MS / 2, ..hit(0) };
    assert_eq!(jump(&[hit(NOON), away.clone(), slow.clone()]), Some(far));
    let again = Sighting { time: slow.time + 2 * 60 * MINUTE, ..away.clone() };
    let latest = jump(&[hit(NOON), away, slow, again]).expect("a jump");
    assert!(latest.to.time > far.to.time && latest.km_per_hour < far.km_per_hour, "{latest:?}");
}

#[test]
fn a_browser_that_becomes_another_within_a_visit_is_a_change_and_after_it_is_none() {
    let other = |time| Sighting { agent: "Chrome on Windows", address: 8, ..hit(time) };
    let change = |hits: &[Sighting]| {
        let memory = seen(hits);
        let odd = memory.visitor(1).and_then(Visitor::odd)?;
        odd.change(true).or(odd.change(false))
    };
    assert_eq!(change(&[hit(NOON), other(NOON + 31 * MINUTE)]), None, "another visit");
    let once = change(&[hit(NOON), other(NOON + 29 * MINUTE)]).expect("a change");
    assert_eq!((once.turns, once.moved, once.at), (1, true, NOON + 29 * MINUTE));
    let hits: Vec<Sighting> = (0..4)
        .flat_map(|turn| [hit(NOON + 2 * turn * MINUTE), other(NOON + (2 * turn + 1) * MINUTE)])
        .collect();
    assert_eq!(change(&hits).expect("to and fro").turns, 7);
    let unknown = Sighting { agent: "", ..hit(NOON + MINUTE) };
    assert_eq!(change(&[hit(NOON), unknown, hit(NOON + 2 * MINUTE)]), None);
}

#[test]
fn what_was_never_shown_cannot_be_clicked_and_the_second_page_needs_the_first() {
    let of = |kind, ad| Sighting { kind, ad, ..hit(NOON) };
    let page = |path| Sighting { path, ..hit(NOON) };
    let disorder = |hits: &[Sighting]| {
        let memory = seen(hits);
        let disorder = memory.visitor(1).and_then(Visitor::odd)?.disorder();
        disorder.map(|disorder| disorder.what)
    };
    let is_of_click = |what| matches!(what, Some(Impossible::ClickUnseen(_)));
    assert_eq!(disorder(&[of(Kind::AdView, "a"), of(Kind::AdClick, "a")]), None);
    assert!(is_of_click(disorder(&[of(Kind::AdView, "a"), of(Kind::AdClick, "b")])));
    assert_eq!(disorder(&[page("/payment"), page("/payment/done")]), None);
    assert_eq!(disorder(&[page("/"), page("/payment/done")]), Some(Impossible::Skipped(0)));
    // Of more blocks than are remembered any may have been shown.
    let names: Vec<String> = (0..9).map(|number| format!("block {number}")).collect();
    let mut memory = memory(100);
    for ad in &names {
        memory.see(&Sighting { kind: Kind::AdView, ad, ..hit(NOON) });
    }
    memory.see(&of(Kind::AdClick, "never"));
    assert_eq!(memory.visitor(1).and_then(Visitor::odd), None);
}

#[test]
fn what_came_before_but_is_told_of_after_is_in_order() {
    let of = |kind, ad, time| Sighting { kind, ad, ..hit(time) };
    let page = |path, time| Sighting { path, ..hit(time) };
    let disorder = |hits: &[Sighting]| {
        let memory = seen(hits);
        memory.visitor(1).and_then(Visitor::odd).and_then(|odd| odd.disorder()).map(|disorder| disorder.at)
    };
    let (paid, clicked) = (page("/payment/done", NOON + 2), of(Kind::AdClick, "a", NOON + 3));
    let both = [paid.clone(), clicked.clone()];
    assert_eq!(disorder(&both), Some(NOON + 3));
    // Another thread stored its batch later.
    assert_eq!(disorder(&[&both[..], &[of(Kind::AdView, "a", NOON)]].concat()), Some(NOON + 2));
    let late = [of(Kind::AdViewable, "a", NOON + 1), page("/payment", NOON)];
    assert_eq!(disorder(&[&both[..], &late].concat()), None);
    // What came after is no excuse.
    assert_eq!(disorder(&[paid.clone(), page("/payment", NOON + 5)]), Some(NOON + 2));
    assert_eq!(disorder(&[clicked, of(Kind::AdView, "b", NOON)]), Some(NOON + 3));
    // With a cookie that was only offered nobody can tell what came before.
    assert_eq!(disorder(&[Sighting { returned: false, ..paid.clone() }]), None);
    assert_eq!(disorder(&[Sighting { returned: false, ..page("/payment", NOON) }, paid]), None);
}

#[test]
fn an_address_counts_the_people_of_its_day_and_of_the_day_before() {
    let mut memory = memory(1000);
    for person in 1..=5 {
        memory.see(&Sighting { browser: 0, returned: false, visitor: person, ..hit(NOON) });
        memory.see(&Sighting { browser: 0, returned: false, visitor: person, ..hit(NOON + MINUTE) });
    }
    memory.see(&Sighting { mark: "headless", ..hit(NOON + 2 * MINUTE) });
    let address = memory.address(7).expect("seen");
    assert_eq!((address.people(), address.hits, address.marked), (5, 11, 1), "browser 1 is visitor 1");
    memory.see(&hit(NOON + DAY_MS));
    let address = memory.address(7).expect("seen");
    assert_eq!((address.people(), address.people_before), (1, 5));
    memory.see(&hit(NOON + 3 * DAY_MS));
    assert_eq!(memory.address(7).expect("seen").people_before, 0);
    for person in 0..1000 {
        memory.see(&Sighting { browser: 0, visitor: person, ..hit(NOON + 3 * DAY_MS) });
    }
    assert_eq!(memory.address(7).expect("seen").people(), address::MAX_PEOPLE);
}

#[test]
fn whoever_refuses_cookies_is_one_visitor_of_an_address_and_so_is_whoever_takes_one() {
    let offered = |browser, visitor| Sighting { browser, returned: false, visitor, ..hit(NOON) };
    let with = |browser| Sighting { browser, visitor: browser, ..hit(NOON + MINUTE) };
    let people = |hits: &[Sighting]| seen(hits).address(7).map(address::Address::people);
    let refused: Vec<Sighting> = (100..150).map(|browser| offered(browser, 70)).collect();
    assert_eq!(people(&refused), Some(1));
    assert_eq!(people(&[offered(1, 70), with(1), with(1)]), Some(1));
    // Told of the other way round.
    assert_eq!(people(&[with(1), offered(1, 70)]), Some(1));
    // Two with browsers of the same name, and one more who refuses.
    let two = [offered(1, 70), offered(2, 70), with(1), with(2)];
    assert_eq!(people(&two), Some(2));
    assert_eq!(people(&[&two[..], &refused].concat()), Some(3));
    let mut memory = seen(&two);
    memory.forget(&Subjects { visitors: [1].into(), ..Subjects::default() });
    assert_eq!(memory.address(7).expect("seen").people(), 1);
}

#[test]
fn the_busiest_ten_minutes_of_the_last_day_are_remembered() {
    let begin = NOON - NOON.rem_euclid(SLOT_MS);
    let burst = |from: i64, pages: i64| (0..pages).map(move |page| hit(from + page * 1000));
    let hits: Vec<Sighting> =
        burst(begin, 3).chain(burst(begin + SLOT_MS, 40)).chain(burst(begin + 2 * SLOT_MS, 2)).collect();
    let memory = seen(&hits);
    let busiest = |memory: &Memory, since| {
        memory.visitor(1).and_then(Visitor::odd).and_then(|odd| odd.busiest(since)).map(|busy| busy.pages)
    };
    assert_eq!(busiest(&memory, begin), Some(40));
    assert_eq!(memory.habit.known(), 2, "the last ten minutes are not over");
    // Fewer pages later take no place of more, and are known when those are over.
    let later = begin + DAY_MS - 2 * SLOT_MS;
    let memory = seen(&[hits, burst(later, 20).collect()].concat());
    assert_eq!([begin, later, later + 1].map(|since| busiest(&memory, since)), [Some(40), Some(20), None]);
}

#[test]
fn the_habit_is_what_all_but_one_in_a_thousand_stay_within() {
    let mut habit = Habit::default();
    for _ in 0..9_990 {
        habit.count(4);
    }
    for _ in 0..10 {
        habit.count(200);
    }
    assert_eq!((habit.known(), habit.usual()), (10_000, 4));
    habit.count(200);
    assert_eq!(habit.usual(), 200);
    assert_eq!(Habit::default().usual(), 0);
}

#[test]
fn whoever_is_forgotten_is_nowhere() {
    let mut memory = seen(&[
        Sighting { user_key: 5, ..hit(NOON) },
        Sighting { browser: 2, visitor: 2, user_key: 5, ..hit(NOON) },
        Sighting { browser: 3, visitor: 3, user_key: 6, ..hit(NOON) },
    ]);
    memory.forget(&Subjects { visitors: [2].into(), user_keys: [6].into() });
    assert!(memory.visitor(2).is_none() && memory.user(6).is_none());
    assert_eq!(memory.address(7).expect("seen").people(), 2);
    assert_eq!(memory.user(5).expect("seen").browsers.since(1), [1]);
    assert_eq!(memory.visitor(3).expect("seen").user_keys.since(1), 0);
    assert_eq!(memory.visitor(1).expect("seen").user_keys.since(1), 1);
}

#[test]
fn a_full_memory_makes_room_for_who_comes_and_keeps_the_latest() {
    let mut memory = memory(1000);
    memory.note_leaving([8_000, 9_000, 10_000, 20_000].into());
    for number in 1..=10_000_u64 {
        let time = NOON + number.cast_signed() * 1000;
        memory.see(&Sighting {
            browser: number,
            visitor: number,
            address: number,
            user_key: number,
            ..hit(time)
        });
        assert!(memory.sizes().iter().all(|size| *size <= 1000), "{:?}", memory.sizes());
    }
    assert!(memory.visitor(10_000).is_some() && memory.visitor(9_500).is_some());
    assert!(memory.visitor(8_000).is_none());
    let left = [7_999, 8_000, 10_000, 20_000].map(|visitor| memory.has_left(visitor));
    assert_eq!(left, [false, true, false, false], "of whom it was to be known");
    memory.forget(&Subjects { visitors: [8_000].into(), ..Subjects::default() });
    assert!(!memory.has_left(8_000));
    let mut words = words::Words::default();
    for number in 0..2 * words::MAX_WORDS {
        words.number(&number.to_string());
    }
    assert_eq!(words.number("new"), 0);
    let seven = words.number("7");
    assert_eq!(words.name(seven), "7");
    assert_eq!(words.name(0), "");
}

#[test]
fn what_is_remembered_of_one_is_small() {
    // As benches/README.md has them.
    assert_eq!([size_of::<Visitor>(), size_of::<User>(), size_of::<address::Address>()], [376, 336, 48]);
}
