//! Who may ask, and what opening an address takes.

use serde_json::{Value, json};

use crate::browser::{Browser, stored};
use crate::{Asker, place, text};

const ADDRESS: &str = "203.0.113.77";

fn opening(token: &Value) -> Value {
    json!({ "site_id": "clinic", "address": token, "purpose": "payments", "words": "a contested payment" })
}

#[test]
fn only_security_and_owner_ask_and_open_each_within_their_site() {
    let place = place();
    let server = place.serve();
    Browser::new(ADDRESS).view(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let question =
        json!({ "site_id": "clinic", "purpose": "security", "date_range": "day", "by": "address" });
    let owner = Asker::new(&server, "owner", None);
    let token = owner.rows("address", json!({}))[0]["address"].clone();
    for (role, site, expected) in [
        ("viewer", None, 403),
        ("officer", None, 403),
        ("officer", Some("clinic"), 403),
        ("security", None, 200),
        ("security", Some("clinic"), 200),
        ("security", Some("other"), 401),
        ("owner", Some("clinic"), 200),
        ("owner", Some("other"), 401),
    ] {
        let asker = Asker::new(&server, role, site);
        let asked = asker.post("/api/v1/addresses", &question);
        let opened = asker.post("/api/v1/addresses/open", &opening(&token));
        assert_eq!((asked.status, opened.status), (expected, expected), "{role} {site:?}: {}", text(&opened));
    }
    // A site has no token of another's: else it could open whatever it was handed.
    let other = Asker::new(&server, "security", Some("other"));
    let mut elsewhere = opening(&token);
    elsewhere["site_id"] = json!("other");
    let reply = other.post("/api/v1/addresses/open", &elsewhere);
    assert_eq!(reply.status, 404, "{}", text(&reply));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn an_address_is_opened_for_a_purpose_that_stands_in_the_trail() {
    let place = place();
    let server = place.serve();
    Browser::new("208.67.222.222").view(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let asker = Asker::new(&server, "security", Some("clinic"));
    let token = asker.rows("address", json!({}))[0]["address"].clone();
    let without = |key: &str| {
        let mut body = opening(&token);
        body.as_object_mut().expect("an object").remove(key);
        body
    };
    let with = |key: &str, value: Value| {
        let mut body = opening(&token);
        body[key] = value;
        body
    };
    for (body, status) in [
        (without("purpose"), 400),
        (without("words"), 400),
        (with("purpose", json!("curiosity")), 400),
        (with("purpose", json!("marketing")), 400),
        (with("words", json!("  ")), 400),
        (with("words", json!("two\nlines")), 400),
        (with("words", json!("x".repeat(257))), 400),
        (with("address", json!("208.67.222.222")), 400),
        (with("address", json!(format!("a1-{}013529ed", "0".repeat(32)))), 404),
        (with("more", json!(1)), 400),
    ] {
        let reply = asker.post("/api/v1/addresses/open", &body);
        assert_eq!(reply.status, status, "{body}: {}", text(&reply));
        assert!(!text(&reply).contains("208.67.222.222"), "{}", text(&reply));
    }
    let officer = Asker::new(&server, "officer", Some("clinic"));
    let trail = || officer.get("/api/v1/audit?action=address_opened&last=1000")["entries"].clone();
    assert_eq!(trail(), json!([]), "what was refused opened nothing");

    let opened = asker
        .done("/api/v1/addresses/open", &with("words", json!("ip:208.67.222.222 pays with a stolen card")));
    assert_eq!(
        opened,
        json!({
            "ip": "208.67.222.222", "country": "RU", "region": "", "city": "", "asn": 64_501,
            "network": "Higher Networks", "notes": [],
        })
    );
    let entries = trail();
    let [entry] = &entries.as_array().expect("entries")[..] else { panic!("one entry: {entries}") };
    assert_eq!((&entry["site"], &entry["purpose"]), (&json!("clinic"), &json!("payments")));
    assert_eq!(entry["words"], "[address] pays with a stolen card");
    assert!(entry["actor"]["token"]["name"] == "security-clinic", "{entry}");
    let subject = entry["subject"].as_str().expect("a subject");
    assert!(subject.len() == 16 && subject.bytes().all(|digit| digit.is_ascii_hexdigit()), "{entry}");
    assert!(!entry.to_string().contains("208.67"), "{entry}");

    // One trail, one bound by hour.
    let mut opened = 1;
    let refused = loop {
        let reply = asker.post("/api/v1/addresses/open", &opening(&token));
        if reply.status != 200 {
            break reply;
        }
        opened += 1;
        assert!(opened <= 2 * metka::addresses::OPENINGS_PER_HOUR, "no bound");
    };
    assert_eq!(refused.status, 429, "{}", text(&refused));
    let wait: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=3600).contains(&wait));
    assert_eq!(trail().as_array().map(Vec::len), Some(opened as usize), "each has an entry");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn nothing_is_opened_when_the_trail_cannot_be_written() {
    let place = place();
    let server = place.serve();
    Browser::new(ADDRESS).view(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let asker = Asker::new(&server, "security", None);
    let token = asker.rows("address", json!({}))[0]["address"].clone();
    // What stands there is no head of a trail.
    std::fs::write(place.data().join("audit/head"), "nothing of the kind\n").expect("written");
    let reply = asker.post("/api/v1/addresses/open", &opening(&token));
    assert_eq!(reply.status, 500, "{}", text(&reply));
    assert!(!text(&reply).contains(ADDRESS));
    drop(server);
}
