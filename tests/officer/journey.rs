//! From a request to its act, as a page or a program does it.

use serde_json::{Value, json};

use crate::place::contains;
use crate::{ADDRESS, Asker, CONFIG, PURPOSE, Place, stored, text, visitor};

#[test]
fn a_request_is_registered_carried_out_and_closed_and_the_trail_tells_of_it() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let mut anna = visitor(&server, "clinic", "/prices");
    anna.view(&server, "clinic", "/doctors");
    let boris = visitor(&server, "clinic", "/");
    stored(&server, "clinic", 3);
    let officer = Asker::new(&server, "officer", None);
    let who = json!({ "cookie": anna.value() });
    let purpose = format!("she says that her cookie is {}", anna.value());
    let request = officer.done(
        "/api/v1/requests",
        &json!({ "site": "clinic", "kind": "erase", "who": who, "purpose": purpose }),
    );
    let number = request["number"].as_str().expect("a number").to_owned();
    assert_eq!((&request["identified"], &request["state"]), (&json!("cookie"), &json!("open")));
    assert_eq!(request["subjects"].as_array().map(Vec::len), Some(1));
    assert_eq!(officer.seen(&format!("/api/v1/requests/{number}")), request);
    let listed = officer.seen("/api/v1/requests?site_id=clinic&state=open&kind=erase");
    assert_eq!(listed["requests"], json!([request]));
    assert_eq!(listed["attention"]["open"], 1);
    assert_eq!(officer.seen("/api/v1/requests?overdue=true")["requests"], json!([]));

    let job = |job: Value| {
        let asked =
            json!({ "job": job, "site": "clinic", "who": who, "purpose": PURPOSE, "request": number });
        officer.done("/api/v1/subjects", &asked)
    };
    assert_eq!(job(json!("find"))["rows"], 2);
    let visitors = || {
        let question = json!({ "site_id": "clinic", "metrics": ["visitors"], "date_range": "day" });
        officer.done("/api/v2/query", &question)["results"][0]["metrics"][0].clone()
    };
    assert_eq!(visitors(), 2);
    assert_eq!(job(json!("block"))["blocked"], true);
    assert_eq!(visitors(), 1);
    assert_eq!(job(json!("unblock"))["blocked"], false);
    assert_eq!(visitors(), 2);
    let copy = job(json!({ "export": "csv" }));
    assert_eq!(copy["text"].as_str().expect("a text").lines().count(), 3, "a head and two rows");
    let erased = job(json!("erase"));
    assert_eq!(erased["rows"], 2);
    assert_eq!(visitors(), 1);

    let act = erased["act"]["number"].as_str().expect("an act");
    let page = officer.get(&format!("/api/v1/acts/{act}"));
    assert_eq!(page.status, 200);
    assert!(text(&page).contains("Акт об уничтожении") && text(&page).contains(act));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'; style-src 'sha256-"), "{policy}");
    for nothing in ["nothing", "..%2f..%2fpeople", ""] {
        assert_eq!(officer.get(&format!("/api/v1/acts/{nothing}")).status, 404, "{nothing:?}");
    }

    let one = format!("/api/v1/requests/{number}");
    let extend = json!({ "extend": { "reason": "the archive is far away" } });
    let refused = officer.post(&one, &extend);
    assert_eq!(refused.status, 400, "{}", text(&refused));
    assert!(text(&refused).contains("gives no longer term"), "{}", text(&refused));
    let other = officer.done("/api/v1/requests", &json!({ "site": "clinic", "kind": "access" }));
    let other = format!("/api/v1/requests/{}", other["number"].as_str().expect("a number"));
    let extended = officer.done(&other, &extend);
    assert_eq!(extended["extension"]["reason"], "the archive is far away");
    assert_eq!(officer.seen("/api/v1/requests?state=open")["requests"].as_array().map(Vec::len), Some(2));
    let closed = officer.done(&one, &json!({ "close": { "answer": "destroyed", "refused": false } }));
    assert_eq!((&closed["state"], &closed["acts"]), (&json!("done"), &json!([act])));
    let whats: Vec<&str> =
        closed["history"].as_array().into_iter().flatten().filter_map(|one| one["what"].as_str()).collect();
    assert_eq!(whats.first(), Some(&"registered"));
    assert!(whats.contains(&"erased: 2 rows") && whats.contains(&"closed: done"), "{whats:?}");
    let again = officer.post(&one, &json!({ "close": { "answer": "again", "refused": false } }));
    assert_eq!(again.status, 400, "{}", text(&again));

    let trail = officer.seen("/api/v1/audit?site_id=clinic&last=100");
    let entries = trail["entries"].as_array().expect("a list");
    let actions: Vec<&str> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
    let told = [
        "request_received",
        "subject_found",
        "subject_blocked",
        "subject_unblocked",
        "subject_exported",
        "subject_erased",
        "request_changed",
        "request_closed",
    ];
    for action in told {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
    assert!(entries.iter().all(|entry| entry["actor"]["token"]["name"] == "officer-all"), "{trail}");
    let verified = officer.seen("/api/v1/audit/verify");
    assert!(verified["entries"].as_u64() >= Some(entries.len() as u64), "{verified}");

    let would = officer.done("/api/v1/retention", &json!({ "dry_run": true }));
    assert_eq!(would["dry_run"], true);
    let ran = officer.done("/api/v1/retention", &json!({ "dry_run": false }));
    assert_eq!(officer.seen("/api/v1/retention")["at"], ran["at"]);

    // What identifies a person was used, and is in no file.
    let mut files = Vec::new();
    for name in ["rights", "audit"] {
        crate::place::files_below(&place.data().join(name), &mut files);
    }
    files.push(("the log".into(), server.log.lock().expect("free").clone().into_bytes()));
    for (path, contents) in &files {
        for canary in [anna.value(), boris.value(), ADDRESS] {
            assert!(!contains(contents, canary.as_bytes()), "{} holds what identifies", path.display());
        }
    }
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn what_is_disclosed_and_what_happened_is_in_a_log_with_numbers_and_clocks() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let anna = visitor(&server, "clinic", "/prices");
    visitor(&server, "clinic", "/");
    stored(&server, "clinic", 2);
    let officer = Asker::new(&server, "officer", None);
    let disclosure = |scope: Value, kind: &str| {
        json!({ "site": "clinic", "recipient": "ОВД по району", "recipient_kind": kind, "basis": "запрос № 12",
                "purpose": "проверка", "scope": scope, "format": "csv" })
    };
    let person = json!({ "person": { "cookie": anna.value() } });
    let made = officer.done("/api/v1/disclosures", &disclosure(person, "state_body"));
    assert_eq!((&made["disclosure"]["rows"], &made["disclosure"]["visitors"]), (&json!(1), &json!(1)));
    assert!(made["text"].as_str().is_some_and(|text| text.contains("/prices")));
    assert_eq!(officer.seen("/api/v1/disclosures")["disclosures"], json!([made["disclosure"]]));
    let range = json!({ "range": { "from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "fields": ["visitor"] } });
    let refused = officer.post("/api/v1/disclosures", &disclosure(range, "quality"));
    assert_eq!(refused.status, 400, "{}", text(&refused));
    assert!(text(&refused).contains("state body or a court only"), "{}", text(&refused));

    let incident = officer.done(
        "/api/v1/incidents",
        &json!({ "site": "clinic", "kind": "disclosure", "from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z",
                 "what": "письмо с выгрузкой ушло не туда" }),
    );
    assert_eq!((&incident["affected"]["rows"], &incident["affected"]["cookies"]), (&json!(2), &json!(2)));
    let one = format!("/api/v1/incidents/{}", incident["number"].as_str().expect("a number"));
    let done = officer.done(&one, &json!({ "done": "first_notice" }));
    assert!(done["clocks"][0]["done"].is_i64(), "{done}");
    assert_eq!(officer.post(&one, &json!({ "done": "first_notice" })).status, 400);
    assert_eq!(officer.done(&one, &json!({ "match": ["patient-1"] }))["affected"], json!([]));
    let closed = officer.done(&one, &json!({ "close": { "result": "отозвано" } }));
    assert_eq!(officer.seen(&one)["state"], closed["state"]);
    let trail = officer.seen("/api/v1/audit");
    let actions: Vec<&str> = trail["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    for action in ["disclosed", "incident_reported", "incident_changed"] {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_wrong_question_is_told_what_is_wrong_with_it() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let browser = visitor(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let officer = Asker::new(&server, "owner", None);
    let check = |target: &str, body: Value, status: u16, part: &str| {
        let reply = officer.post(target, &body);
        assert_eq!(reply.status, status, "{target} {body}: {}", text(&reply));
        assert!(text(&reply).contains(part), "{target} {body}: {}", text(&reply));
        assert!(!text(&reply).contains(browser.value()), "{}", text(&reply));
    };
    let requests = "/api/v1/requests";
    check(requests, json!({}), 400, "site");
    check(requests, json!({ "site": "nobody", "kind": "erase" }), 401, "access");
    check(requests, json!({ "site": "clinic", "kind": "dance" }), 400, "dance");
    check(requests, json!({ "site": "clinic", "kind": "erase", "who": { "cookie": "v1.x" } }), 400, "cookie");
    check(requests, json!({ "site": "clinic", "kind": "erase", "received": "yesterday" }), 400, "received");
    check(
        requests,
        json!({ "site": "clinic", "kind": "erase", "received": "2999-01-01T00:00:00Z" }),
        400,
        "2999",
    );
    check(requests, json!({ "site": "clinic", "kind": "erase", "about": "access" }), 400, "claim");
    check("/api/v1/requests/2026-9999", json!({ "stopped": true }), 404, "2026-9999");
    let subjects = "/api/v1/subjects";
    check(subjects, json!({ "job": "find" }), 400, "site");
    check(
        subjects,
        json!({ "job": "find", "site": "clinic", "who": { "cookie": browser.value() }, "purpose": "" }),
        400,
        "purpose",
    );
    check(
        subjects,
        json!({ "job": "find", "site": "clinic", "who": { "cookie": format!("{}0", browser.value()) },
                "purpose": PURPOSE }),
        400,
        "cookie",
    );
    check(
        subjects,
        json!({ "job": "find", "site": "clinic", "purpose": PURPOSE,
                "who": { "address": { "ip": "somewhere", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z" } } }),
        400,
        "address",
    );
    check(
        subjects,
        json!({ "job": "find", "site": "clinic", "who": { "cookie": browser.value() }, "purpose": PURPOSE,
                "request": "2026-9999" }),
        404,
        "2026-9999",
    );
    check("/api/v1/retention", json!({ "dry_run": "yes" }), 400, "boolean");
    for (target, part) in [
        ("/api/v1/audit?from=x", "from"),
        ("/api/v1/audit?last=0", "last"),
        ("/api/v1/audit?action=dance", "dance"),
        ("/api/v1/requests?state=dancing", "state"),
        ("/api/v1/policy", "site_id"),
        ("/api/v1/policy?site_id=clinic&format=pdf", "format"),
    ] {
        let reply = officer.get(target);
        assert_eq!(reply.status, 400, "{target}: {}", text(&reply));
        assert!(text(&reply).contains(part), "{target}: {}", text(&reply));
    }
    assert_eq!(server.terminate().0, Some(0));
}
