//! `metka keys rotate` while visitors go on: nothing is lost, nobody becomes a new visitor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use crate::server::wait_for;
use crate::{Place, address, kid, metric, soak, stored, visit};

const VISITORS: usize = 6;

/// Each visitor has an address of its own, from the documentation's range.
fn address_of(visitor: usize) -> String {
    format!("192.0.2.{}", visitor + 1)
}

#[test]
fn rotation_under_load_loses_no_hit_replaces_no_cookie_and_keeps_old_addresses_readable() {
    let (rounds, hits_a_round) = (soak(4, 60), soak(60, 100));
    let place = Place::new();
    let server = place.serve();
    let cookies: Vec<String> = (0..VISITORS)
        .map(|visitor| visit(&server, &address_of(visitor), "/first", "").cookie("metka").expect("a cookie"))
        .collect();
    assert!(cookies.iter().all(|cookie| kid(cookie) == 1));

    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    // What number a visitor's hits had reached when the command had ended, by the new key.
    let mut marks: Vec<(u32, Vec<u64>)> = Vec::new();
    let reached: Vec<AtomicU64> = (0..VISITORS).map(|_| AtomicU64::new(0)).collect();
    let mut during = 0;
    std::thread::scope(|scope| {
        for visitor in 0..VISITORS {
            let (server, cookie, stop, sent) = (&server, &cookies[visitor], &stop, &sent);
            let reached = &reached[visitor];
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(SeqCst) {
                    // Those that begin after the command has ended have a higher number than this.
                    reached.store(number, SeqCst);
                    let path = format!("/hit/{visitor}/{number}");
                    let reply = visit(server, &address_of(visitor), &path, cookie);
                    assert_eq!(reply.cookie("metka"), None, "{path}: the cookie was replaced");
                    number += 1;
                    sent.fetch_add(1, SeqCst);
                }
            });
        }
        for round in 0..rounds {
            wait_for("some load", || (sent.load(SeqCst) >= round * hits_a_round).then_some(()));
            let before = sent.load(SeqCst);
            let made = place.done(&["keys", "rotate"], "");
            let key = made["made"][1]["id"].as_u64().expect("an id") as u32;
            marks.push((key, reached.iter().map(|number| number.load(SeqCst)).collect()));
            assert_eq!(made["made"][0]["id"], round + 2);
            // Each visitor has a hit under way all the time; how many end meanwhile is the disk's affair.
            during += sent.load(SeqCst) - before;
        }
        // However many came while the last command ran, some begin after it.
        let enough = (rounds * hits_a_round).max(sent.load(SeqCst) + 2 * VISITORS as u64);
        wait_for("load after the last", || (sent.load(SeqCst) >= enough).then_some(()));
        stop.store(true, SeqCst);
    });
    let sent = sent.load(SeqCst) + VISITORS as u64;
    assert_eq!(metric(&server, "metka_cookies_refused_total"), 0);
    let late = visit(&server, "192.0.2.200", "/late", "").cookie("metka").expect("a cookie");
    assert_eq!(kid(&late), rounds + 1, "new cookies are signed by the newest key");

    let counts = server.settled("clinic");
    assert_eq!(
        (&counts["stored"], &counts["received"]),
        (&(sent + 1).into(), &(sent + 1).into()),
        "{counts}"
    );
    let rows = stored(&server);
    assert_eq!(rows.len() as u64, sent + 1);
    let ring = place.ring();
    let (mut by_key, mut wrong, mut late_under_old) = (BTreeMap::new(), 0, 0);
    let mut visitors: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.path.starts_with("/hit/")) {
        let mut parts = row.path.split('/').skip(2);
        let visitor: usize = parts.next().and_then(|text| text.parse().ok()).expect("a visitor");
        let number: u64 = parts.next().and_then(|text| text.parse().ok()).expect("a number");
        *by_key.entry(row.key).or_insert(0u64) += 1;
        wrong += u64::from(ring.reveal(row.ip, row.key) != Some(address(&address_of(visitor))));
        assert_eq!(row.identity, "cookie", "{}", row.path);
        visitors.entry(visitor).or_default().insert(row.visitor);
        let expected = marks.iter().rfind(|(_, reached)| number > reached[visitor]).map(|(key, _)| *key);
        late_under_old += u64::from(expected.is_some_and(|expected| row.key < expected));
    }
    println!(
        "{rounds} rotations of both keys under {sent} hits of {VISITORS} visitors, {during} of them answered \
         while a command ran: all answered and stored, \
         0 cookies replaced, {} address keys used, {wrong} addresses not readable, \
         {late_under_old} under a key that was replaced before",
        by_key.len()
    );
    assert_eq!((wrong, late_under_old), (0, 0));
    assert_eq!(by_key.len() as u64, rounds + 1, "{by_key:?}");
    assert!(visitors.values().all(|hashes| hashes.len() == 1), "a visitor became another");
    assert_eq!(visitors.len(), VISITORS);
    let (kept, gone) = place.ids("cookie");
    assert_eq!((kept.len() as u64, gone.len()), (rounds + 1, 0));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn each_key_can_be_rotated_alone_and_without_a_server() {
    let place = Place::new();
    assert!(place.refused(&["keys", "rotate"], "", 1).contains("no key ring"));
    assert!(!place.keys().exists(), "a command that changes a ring makes none");
    assert_eq!(place.serve().terminate().0, Some(0));
    assert_eq!(place.ids("cookie").0, [1]);
    let made = place.done(&["keys", "rotate", "cookie"], "");
    assert_eq!(made["made"].as_array().map(Vec::len), Some(1), "{made}");
    assert_eq!((place.ids("cookie").0, place.ids("ip").0.len()), (vec![1, 2], 0));
    place.done(&["keys", "rotate", "ip"], "");
    assert_eq!((place.ids("cookie").0, place.ids("ip").0.len()), (vec![1, 2], 1));
    assert!(place.refused(&["keys", "rotate", "visitor"], "", 2).contains("visitor"));
    // The list and the check name every key with its age.
    let listed = place.done(&["keys", "list"], "");
    let cookie = &listed["keys"][0];
    assert_eq!((&cookie["age_days"], &cookie["id"]), (&0.into(), &1.into()), "{listed}");
    assert!(cookie["retired"] != "" && cookie["created"] != "" && cookie["destroyed"] == "", "{listed}");
    let findings = place.checked_keys();
    assert!(
        findings.contains("cookie 1: 0 days old") && findings.contains("retired 0 days ago"),
        "{findings}"
    );
    assert!(findings.contains("modes 0700 and 0600") && findings.contains("master.key"), "{findings}");
}
