//! Many people erased in one order.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{ADDRESS, Browser, PURPOSE, count, others, place, stored, traces};

/// A text that only the erased people's hits hold.
const CANARY: &str = "canary-5e17ab";
const PEOPLE: usize = 25;

#[test]
fn a_batch_is_done_as_a_whole_or_not_at_all() {
    let place = place();
    let server = place.serve();
    let mut boris = Browser::new("198.51.100.20");
    let mut numbers = Vec::new();
    let mut rows = 0;
    for person in 0..PEOPLE {
        let mut browser = Browser::new(ADDRESS);
        for page in 0..=person % 3 {
            browser.view(&server, "clinic", &format!("/{CANARY}/{person}/{page}"));
            rows += 1;
        }
        let request = ["subject", "request", "--site", "clinic", "--kind", "erase", "--cookie", "-"];
        // A first hit is of a visitor without a cookie: it is the cookie that it was offered.
        let made = place.done(&request, browser.value());
        numbers.push(made["number"].as_str().expect("a number").to_owned());
    }
    for page in 0..5 {
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    stored(&server, "clinic", rows + 5);
    let kept = others(&server, CANARY);
    let (files, found) = traces(&place, &server, CANARY);
    assert!(!files.is_empty() && found == rows, "{files:?}, {found}");

    let other = ["subject", "request", "--site", "other", "--kind", "erase", "--cookie", "-"];
    let elsewhere = place.done(&other, boris.value())["number"].as_str().expect("a number").to_owned();
    let unknown = ["subject", "request", "--site", "clinic", "--kind", "erase"];
    let nobody = place.done(&unknown, "")["number"].as_str().expect("a number").to_owned();
    let erase = ["subject", "erase", "--site", "clinic", "--purpose", PURPOSE];
    let from_input = [&erase[..], &["--requests-file", "-"]].concat();
    // One damaged number among them: nothing is done, and the error names it.
    for (damaged, named) in [
        ("2026-9999", "2026-9999"),
        ("20x6-0001", "20x6-0001"),
        (elsewhere.as_str(), elsewhere.as_str()),
        (nobody.as_str(), nobody.as_str()),
        (numbers[3].as_str(), numbers[3].as_str()),
    ] {
        let mut list = numbers.clone();
        list.insert(PEOPLE / 2, damaged.to_owned());
        let error = place.refused(&from_input, &list.join("\n"), 2);
        assert!(error.contains(named), "{damaged}: {error}");
    }
    assert_eq!(count(&server, "site = 'clinic'"), rows + 5, "nothing was done");
    let entries = || place.done(&["audit", "list", "--action", "subject_erased"], "")["entries"].clone();
    assert_eq!(entries(), json!([]));
    assert!(!place.data().join("rights/acts").exists() && !place.data().join("spool/tombstones").exists());

    let done = place.done(&from_input, &format!("\n{}\n\n", numbers.join("\n")));
    assert_eq!(done["rows"], rows, "{done}");
    let each = done["requests"].as_array().expect("requests");
    assert_eq!(each.len(), PEOPLE);
    let mut acts = BTreeSet::new();
    for (person, one) in each.iter().enumerate() {
        let expected = (person % 3 + 1) as u64;
        assert_eq!((&one["request"], &one["rows"]), (&json!(numbers[person]), &json!(expected)));
        let act = one["act"].as_str().expect("an act");
        let page =
            std::fs::read_to_string(place.data().join(format!("rights/acts/{act}.html"))).expect("an act");
        assert!(page.contains(&numbers[person]) && !page.contains(CANARY), "{act}");
        let request = place.done(&["subject", "show", &numbers[person]], "");
        assert_eq!(request["acts"], json!([act]), "{request}");
        assert!(request["history"].to_string().contains(&format!("erased: {expected} rows")), "{request}");
        acts.insert(act.to_owned());
    }
    assert_eq!(acts.len(), PEOPLE, "an act each");
    let written = entries();
    let subjects: BTreeSet<&str> =
        written.as_array().expect("entries").iter().filter_map(|entry| entry["subject"].as_str()).collect();
    assert_eq!(subjects, numbers.iter().map(String::as_str).collect(), "an entry each");
    place.done(&["audit", "verify"], "");
    assert_eq!(traces(&place, &server, CANARY), (Vec::new(), 0));
    assert_eq!(others(&server, CANARY), kept, "nobody else has changed");
    // Once more, by options, there is nothing left; without a server it is the same.
    let twice = [&erase[..], &["--request", &numbers[0], "--request", &numbers[1]]].concat();
    assert_eq!(place.done(&twice, "")["rows"], 0);
    assert_eq!(server.terminate().0, Some(0));
    let again = place.done(&twice, "");
    assert_eq!((&again["rows"], again["requests"].as_array().map(Vec::len)), (&json!(0), Some(2)), "{again}");
    println!(
        "{PEOPLE} requests erased in one order: {rows} rows, {} acts; {} others unchanged",
        acts.len(),
        kept.len()
    );
}
