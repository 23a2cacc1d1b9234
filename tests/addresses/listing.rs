//! Each look at the statistics stands in the audit trail before its answer, and says whose, what
//! for and what was asked.

use serde_json::{Value, json};

use crate::browser::{Browser, stored};
use crate::{Asker, place, text};

const ADDRESS: &str = "203.0.113.77";

/// What the trail says of looks at the statistics of the site.
fn listed(officer: &Asker) -> Vec<Value> {
    let trail = officer.get("/api/v1/audit?action=addresses_listed&last=1000");
    trail["entries"].as_array().expect("entries").clone()
}

#[test]
fn each_look_leaves_an_entry_that_says_what_for_and_names_no_address() {
    let place = place();
    let server = place.serve();
    Browser::new(ADDRESS).view(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let officer = Asker::new(&server, "officer", Some("clinic"));
    let asker = Asker::new(&server, "security", Some("clinic"));
    for question in [
        json!({ "site_id": "clinic", "date_range": "day", "by": "address" }),
        json!({ "site_id": "clinic", "date_range": "day", "by": "address", "purpose": "curiosity" }),
        json!({ "site_id": "clinic", "date_range": "day", "by": "address", "purpose": "marketing" }),
        json!({ "site_id": "clinic", "date_range": "never", "by": "address", "purpose": "support" }),
    ] {
        let reply = asker.post("/api/v1/addresses", &question);
        assert_eq!(reply.status, 400, "{question}: {}", text(&reply));
    }
    for role in ["viewer", "officer"] {
        let question =
            json!({ "site_id": "clinic", "date_range": "day", "by": "address", "purpose": "support" });
        let reply = Asker::new(&server, role, None).post("/api/v1/addresses", &question);
        assert_eq!(reply.status, 403, "{role}: {}", text(&reply));
    }
    assert_eq!(listed(&officer), [] as [Value; 0], "what was refused was no look");

    let all = asker.ask("address", json!({ "purpose": "support", "order_by": "refused", "limit": 20 }));
    let row = &all["results"][0];
    asker.ask("time:day", json!({ "date_range": "all", "address": row["address"], "purpose": "payments" }));
    asker.ask("asn", json!({ "network": row["network"], "country": "DE", "asn": 1 }));
    // The same again is a look again.
    asker.ask("asn", json!({ "network": row["network"], "country": "DE", "asn": 1 }));
    let entries = listed(&officer);
    let [first, second, third, fourth] = &entries[..] else { panic!("four entries: {entries:?}") };
    for (entry, purpose, parts, is_of_one) in [
        (first, "support", &["by address, ", "by the most refused", "20 rows from 0"][..], false),
        (second, "payments", &["by time:day, the first to ", "of one address"], true),
        (third, "security", &["by asn, ", "of one network, of one asn, of one country"], true),
        (fourth, "security", &["by asn, "], true),
    ] {
        assert_eq!((&entry["site"], &entry["purpose"]), (&json!("clinic"), &json!(purpose)), "{entry}");
        assert_eq!(entry["actor"]["token"]["name"], "security-clinic", "{entry}");
        let detail = entry["detail"].as_str().expect("a detail");
        assert!(parts.iter().all(|part| detail.contains(part)), "{detail}");
        assert_eq!(entry["subject"].is_string(), is_of_one, "{entry}");
        for token in [row["address"].as_str(), row["network"].as_str()] {
            let (_, digits) = token.expect("a token").split_once('-').expect("a name before it");
            assert!(!entry.to_string().contains(digits) && !entry.to_string().contains(ADDRESS), "{entry}");
        }
    }
    // Looked at alone and opened are told of the same address.
    asker.open(&row["address"]);
    let opened = officer.get("/api/v1/audit?action=address_opened&last=1");
    assert_eq!(opened["entries"][0]["subject"], second["subject"]);
    assert_ne!(third["subject"], second["subject"]);
    place.done(&["audit", "verify"], "");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn nothing_is_listed_when_the_trail_cannot_be_written() {
    let place = place();
    let server = place.serve();
    Browser::new(ADDRESS).view(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let asker = Asker::new(&server, "security", None);
    assert_eq!(asker.rows("address", json!({})).len(), 1);
    // What stands there is no head of a trail.
    std::fs::write(place.data().join("audit/head"), "nothing of the kind\n").expect("written");
    for by in ["address", "country", "time:hour"] {
        let question = json!({ "site_id": "clinic", "purpose": "security", "date_range": "day", "by": by });
        let reply = asker.post("/api/v1/addresses", &question);
        assert_eq!(reply.status, 500, "{by}: {}", text(&reply));
        assert!(!text(&reply).contains("results"), "{}", text(&reply));
    }
    let alerts = crate::http::get("/api/v1/fraud/alerts?site_id=clinic", &[("Authorization", &asker.token)]);
    assert_eq!(asker.answered(&alerts).status, 500);
    let list = ["addresses", "list", "--site", "clinic", "--purpose", "security"];
    place.refused(&list, "", 1);
    drop(server);
    // Nor without a server.
    let refused = place.refused(&list, "", 1);
    assert!(refused.contains("audit"), "{refused}");
}
