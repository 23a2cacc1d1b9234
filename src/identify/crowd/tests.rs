use super::*;

use std::collections::HashSet;

const HOME: u64 = 1;
const CAP: u32 = 3;

/// One hit without a cookie, to which `cookie` is offered if it may be; whether
/// it counts, and whether the cookie was offered.
fn bare(crowd: &Crowd, address: u64, visitor: u64, cookie: u64, day: i64) -> (bool, bool) {
    let admission = crowd.admit(address, Newcomer::Cookieless(visitor), day, CAP);
    let offered = admission.may_offer && cookie != 0;
    if admission.counted {
        crowd.settle(address, visitor, if offered { cookie } else { 0 }, offered, day);
    }
    (admission.counted, offered)
}

fn with_cookie(crowd: &Crowd, address: u64, cookie: u64, day: i64) -> bool {
    crowd.admit(address, Newcomer::Cookie(cookie), day, CAP).counted
}

#[test]
fn an_address_adds_its_share_and_others_theirs() {
    let crowd = Crowd::default();
    let counted: Vec<bool> = (10..15).map(|visitor| bare(&crowd, HOME, visitor, 0, 0).0).collect();
    assert_eq!(counted, [true, true, true, false, false]);
    assert!(bare(&crowd, HOME, 11, 0, 0).0, "who was counted stays counted");
    assert!(!bare(&crowd, HOME, 14, 0, 0).0, "who was not, does not come in later");
    assert!(bare(&crowd, HOME + 1, 14, 0, 0).0, "another address");
    assert!(bare(&crowd, HOME, 14, 0, 1).0, "another day");
    assert!(bare(&crowd, HOME, 14, 0, 0).0, "a thread that is a moment behind at midnight");
    assert!(
        bare(&crowd, HOME, 12, 0, 1).0 && bare(&crowd, HOME, 11, 0, 1).0 && !bare(&crowd, HOME, 10, 0, 1).0
    );
    assert!(bare(&crowd, HOME, 10, 0, -5).0, "a clock that was set back");
    assert_eq!(crowd.remembered(), (2, 2));
}

#[test]
fn a_visitor_who_takes_the_cookie_is_one_visitor() {
    let crowd = Crowd::default();
    for person in 0..3 {
        assert_eq!(bare(&crowd, HOME, 10 + person, 100 + person, 0), (true, true));
        assert!(with_cookie(&crowd, HOME, 100 + person, 0));
    }
    assert!((0..3).all(|person| with_cookie(&crowd, HOME, 100 + person, 0)), "and stays it");
    assert!(!bare(&crowd, HOME, 13, 103, 0).0);
    assert!(!with_cookie(&crowd, HOME, 103, 0), "a cookie from elsewhere is a newcomer too");
}

#[test]
fn people_with_one_address_and_browser_have_a_place_each() {
    let crowd = Crowd::default();
    for person in 0..3 {
        assert_eq!(bare(&crowd, HOME, 10, 100 + person, 0), (true, true), "person {person}");
        assert!(with_cookie(&crowd, HOME, 100 + person, 0), "person {person}");
    }
    assert_eq!(bare(&crowd, HOME, 10, 103, 0), (false, false));
}

#[test]
fn whoever_refuses_cookies_goes_on_being_counted_and_leaves_room_for_others() {
    let crowd = Crowd::default();
    let offers: Vec<(bool, bool)> = (0..100).map(|hit| bare(&crowd, HOME, 10, 100 + hit, 0)).collect();
    assert!(offers.iter().all(|(counted, _)| *counted));
    assert_eq!(offers.iter().filter(|(_, offered)| *offered).count(), CAP as usize);
    assert!(
        bare(&crowd, HOME, 11, 0, 0).0 && bare(&crowd, HOME, 12, 0, 0).0 && !bare(&crowd, HOME, 13, 0, 0).0
    );
}

#[test]
fn cookies_that_are_kept_back_do_not_outnumber_the_cap() {
    let crowd = Crowd::default();
    let mut kept = Vec::new();
    for hit in 0..50 {
        if bare(&crowd, HOME, 10, 100 + hit, 0).1 {
            kept.push(100 + hit);
        }
    }
    assert_eq!(kept.len(), CAP as usize, "what may come back tomorrow");
    let counted = kept.iter().filter(|cookie| with_cookie(&crowd, HOME, **cookie, 0)).count();
    // The cookieless visitor has hits of its own, so it keeps its place.
    assert_eq!(counted, CAP as usize - 1);
}

/// Whatever an address does in a day, the persons that its counted hits belong
/// to are at most the cap: persons by the definition of `query`.
#[test]
fn no_order_of_hits_adds_more_persons_than_the_cap() {
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut most, mut marked) = (0, 0);
    for _ in 0..2000 {
        let crowd = Crowd::default();
        // Counted hits: the cookieless visitor and the cookie offered, or a cookie.
        let (mut hits, mut cookies) = (Vec::new(), Vec::new());
        for hit in 0..random(40) {
            if !cookies.is_empty() && random(2) == 0 {
                let cookie = cookies[random(cookies.len() as u64) as usize];
                if with_cookie(&crowd, HOME, cookie, 0) {
                    hits.push((cookie, 0, true));
                } else {
                    marked += 1;
                }
                continue;
            }
            let (visitor, cookie) = (10 + random(6), if random(4) == 0 { 0 } else { 1000 + hit });
            let (counted, offered) = bare(&crowd, HOME, visitor, cookie, 0);
            if offered {
                cookies.push(cookie);
            }
            if counted {
                hits.push((visitor, if offered { cookie } else { 0 }, false));
            } else {
                marked += 1;
            }
        }
        let returned: HashSet<u64> = hits.iter().filter(|hit| hit.2).map(|hit| hit.0).collect();
        let persons: HashSet<u64> = hits
            .iter()
            .map(|(visitor, minted, _)| if returned.contains(minted) { *minted } else { *visitor })
            .collect();
        assert!(persons.len() <= CAP as usize, "{hits:?}");
        most = most.max(persons.len());
    }
    println!("2000 days: at most {most} persons, {marked} hits marked");
    assert!(most == CAP as usize && marked > 0);
}

#[test]
fn a_flood_from_everywhere_is_held_in_bounded_memory_and_nobody_is_marked_for_it() {
    let addresses: u64 = if std::env::var_os("METKA_SOAK").is_some() { 5_000_000 } else { 1_000_000 };
    let crowd = Crowd::default();
    let spread = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // One that has had its share, before the flood.
    let full = spread(addresses + 1);
    assert_eq!((0..5).filter(|visitor| bare(&crowd, full, 10 + visitor, 0, 0).0).count(), CAP as usize);
    let mut marked = 0;
    let (mut most_addresses, mut most_visitors) = (0, 0);
    for number in 0..addresses {
        marked += u64::from(!bare(&crowd, spread(number), number, 0, 0).0);
        if number % 10_000 == 0 {
            let (held, visitors) = crowd.remembered();
            (most_addresses, most_visitors) = (most_addresses.max(held), most_visitors.max(visitors));
        }
    }
    println!("{addresses} addresses: at most {most_addresses} held, {marked} marked");
    assert!(most_addresses <= MAX_ADDRESSES && most_visitors <= MAX_VISITORS);
    assert!(most_addresses > MAX_ADDRESSES / 2, "the bound was never near");
    assert_eq!(marked, 0);
    assert!(!bare(&crowd, full, 14, 0, 0).0, "the flood made a full address be forgotten");
}

#[test]
fn addresses_of_days_past_make_room_first() {
    let crowd = Crowd::default();
    let spread = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // A day of many addresses with two visitors each, and one address of the next.
    for number in 0..MAX_ADDRESSES as u64 {
        for visitor in 0..2 {
            bare(&crowd, spread(number), visitor, 0, 0);
        }
    }
    let today = spread(u64::MAX / 3);
    bare(&crowd, today, 1, 0, 2);
    for number in 0..MAX_ADDRESSES as u64 / 2 {
        bare(&crowd, spread(1 << 40 | number), 1, 0, 2);
    }
    assert!(bare(&crowd, today, 1, 0, 2).0);
    let (addresses, visitors) = crowd.remembered();
    println!("{addresses} addresses, {visitors} visitors after the change of days");
    assert_eq!((addresses, visitors), (MAX_ADDRESSES / 2 + 1, MAX_ADDRESSES / 2 + 1));
}

#[test]
fn a_flood_of_visitors_from_one_address_takes_no_more_memory_than_its_cap() {
    let crowd = Crowd::default();
    let counted = (0..1_000_000).filter(|visitor| bare(&crowd, HOME, 10 + visitor, 0, 0).0).count();
    assert_eq!((counted, crowd.remembered()), (CAP as usize, (1, CAP as usize)));
}

#[test]
fn addresses_with_many_visitors_are_held_in_bounded_memory_too() {
    const WIDE: u32 = 50;
    let crowd = Crowd::default();
    let spread = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for number in 0..40_000_u64 {
        for visitor in 0..u64::from(WIDE) {
            assert!(crowd.admit(spread(number), Newcomer::Cookieless(visitor), 0, WIDE).counted);
        }
    }
    let (addresses, visitors) = crowd.remembered();
    println!("2000000 visitors of 40000 addresses: {visitors} of {addresses} held");
    assert!(visitors <= MAX_VISITORS && addresses <= MAX_ADDRESSES && visitors > MAX_VISITORS / 4);
}
