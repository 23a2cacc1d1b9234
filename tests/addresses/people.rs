//! Whoever is blocked or erased is in no row.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::server::wait_for;
use crate::{Asker, PURPOSE, place, send, stored};

/// Addresses and hits of the rows.
fn rows(asker: &Asker) -> Vec<(Value, Value)> {
    let rows = asker.rows("address", json!({}));
    rows.iter().map(|row| (row["address"].clone(), row["hits"].clone())).collect()
}

#[test]
fn a_blocked_persons_hits_are_gone_from_it_and_come_back_and_an_erased_ones_do_not() {
    let place = place();
    let server = place.serve();
    let (mut one, mut another) = (Browser::new("8.8.8.8"), Browser::new("9.9.9.9"));
    for _ in 0..3 {
        one.view(&server, "clinic", "/");
    }
    another.view(&server, "clinic", "/");
    another.view(&server, "clinic", "/");
    stored(&server, 5, 0);
    let asker = Asker::new(&server, "owner", None);
    let before = rows(&asker);
    assert_eq!(before.iter().map(|(_, hits)| hits.as_u64()).collect::<Vec<_>>(), [Some(3), Some(2)]);
    let job = |what: &str| {
        let who = json!({ "cookie": one.value() });
        let job = json!({ "job": what, "site": "clinic", "who": who, "purpose": PURPOSE });
        asker.done("/api/v1/subjects", &job);
    };
    let open = json!({
        "site_id": "clinic", "address": before[0].0, "purpose": "security", "words": "a test",
    });
    job("block");
    assert_eq!(rows(&asker), before[1..]);
    let answer = asker.ask("network", json!({}));
    assert_eq!((&answer["totals"]["hits"], answer["results"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    assert!(answer["notes"].to_string().contains("blocked"), "{answer}");
    assert_eq!(asker.post("/api/v1/addresses/open", &open).status, 404, "nor is it opened");
    job("unblock");
    assert_eq!(rows(&asker), before);
    job("erase");
    assert_eq!(rows(&asker), before[1..]);
    assert_eq!(asker.post("/api/v1/addresses/open", &open).status, 404);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn an_erasure_by_address_reaches_its_refusals_and_no_others() {
    const FOREIGN: &str = "s=clinic&u=https%3A%2F%2Felsewhere.example%2F";
    let place = place();
    let server = place.serve();
    Browser::new("8.8.8.8").view(&server, "clinic", "/");
    for _ in 0..4 {
        assert_eq!(send(&server, "8.8.8.8", FOREIGN, &[]), "foreign-host");
    }
    assert_eq!(send(&server, "9.9.9.9", FOREIGN, &[]), "foreign-host");
    stored(&server, 1, 5);
    // This one is in no table yet.
    assert_eq!(send(&server, "8.8.8.8", FOREIGN, &[]), "foreign-host");
    let asker = Asker::new(&server, "owner", None);
    let who = json!({ "address": { "ip": "8.8.8.8", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z" } });
    let job = json!({ "job": "erase", "site": "clinic", "who": who, "purpose": PURPOSE });
    asker.done("/api/v1/subjects", &job);
    let left = asker.rows("address", json!({}));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&left[0]["refused"], asker.open(&left[0]["address"])), (&json!(1), "9.9.9.9".to_owned()));
    // It stays so when all sums are written.
    assert_eq!(send(&server, "9.9.9.9", FOREIGN, &[]), "foreign-host");
    wait_for("the next writing", || {
        let rows = asker.rows("address", json!({}));
        assert_eq!(rows.len(), 1, "{rows:?}");
        (rows[0]["refused"] == 2).then_some(())
    });
    assert_eq!(server.terminate().0, Some(0));
}
