//! A case file goes outside by the log of disclosures.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{ADDRESS, ANNAS_KEY, Asker, Browser, copied, hits, nothing_identifies, place, stored, text};

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_case_file_that_is_handed_out_is_the_one_in_the_log() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::of(ANNAS_KEY, ADDRESS), Browser::new("198.51.100.20"));
    for page in 0..3 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    stored(&server, "clinic", 6);
    copied(&server, "path LIKE '/anna/%'", 24 * 60);
    stored(&server, "clinic", 9);

    let disclosed = |kind: &str, format: &str, more: &[&str], input: &str| {
        let mut arguments = vec!["disclose", "--site", "clinic", "--recipient", "Банк «Пример»"];
        arguments.extend(["--recipient-kind", kind, "--basis", "договор № 5, пункт 4.1.8 политики"]);
        arguments.extend(["--purpose", "оспоренный платёж", "--case", "--format", format, "--out", "handed"]);
        arguments.extend(more);
        let record = place.done(&arguments, input)["disclosure"].clone();
        let file = place.path().join("handed");
        let text = std::fs::read_to_string(&file).expect("it was handed out");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(record["sha256"], sha256(&text), "of the very bytes");
        (record, text)
    };
    let cookie = ["--cookie", "-"];
    let (record, document) = disclosed("other", "json", &cookie, anna.value());
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let all = hits(&document);
    assert_eq!((all.len(), &document["more"], &document["summary"]["visits"]), (6, &json!(false), &json!(2)));
    assert_eq!((record["rows"].as_u64(), record["visitors"].as_u64()), (Some(6), Some(1)), "{record}");
    assert_eq!(
        (&document["recipient"], &document["words"]),
        (&json!("Банк «Пример»"), &json!("оспоренный платёж"))
    );
    assert!(all.iter().all(|hit| hit.get("address").is_none()), "not to anybody: {document}");
    assert!(document["summary"]["addresses"].is_null(), "{document}");
    let notes = document["notes"].to_string();
    assert!(notes.contains("without this cookie") && !notes.contains("token"), "of what it has: {notes}");
    assert!(!record["fields"].as_array().expect("fields").contains(&json!("ip")), "{record}");
    let scope = &record["scope"]["case"];
    assert_eq!(scope["subjects"].as_array().map(Vec::len), Some(1), "{record}");
    assert!(scope["from"].as_i64() < scope["to"].as_i64(), "{record}");

    let (record, document) = disclosed("court", "csv", &cookie, anna.value());
    assert!(record["fields"].as_array().expect("fields").contains(&json!("ip")), "{record}");
    assert_eq!(document.lines().filter(|line| line.contains("/anna/")).count(), 6);
    assert!(document.lines().next().is_some_and(|head| head.ends_with(",address")), "{document}");
    assert!(!document.contains(ADDRESS), "a token only: {document}");
    let to = jiff::Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_hours(12))
        .expect("a moment")
        .to_string();
    let range = ["--user", ANNAS_KEY, "--to", &to];
    let (record, document) = disclosed("processor", "html", &range, "");
    assert_eq!(record["rows"], 3, "of the range: {record}");
    assert!(document.contains("Банк «Пример»") && !document.contains("журнал передач"), "{document}");
    assert!(!document.contains("обозначени"), "of tokens nothing is said where there are none: {document}");

    // Over the web address: an officer's, as all disclosures are.
    let body = json!({
        "site": "clinic", "recipient": "Банк «Пример»", "recipient_kind": "other", "basis": "договор № 5",
        "purpose": "платёж", "format": "html", "language": "en", "scope": { "case": { "who": { "cookie": anna.value() } } },
    });
    assert_eq!(Asker::new(&server, "security", None).post("/api/v1/disclosures", &body, "en").status, 403);
    let officer = Asker::new(&server, "officer", None);
    let made = officer.post("/api/v1/disclosures", &body, "en");
    assert_eq!(made.status, 200, "{}", text(&made));
    let made = made.json();
    let page = made["text"].as_str().expect("a page");
    assert_eq!(made["disclosure"]["sha256"], sha256(page));
    assert!(page.contains("The trail of one visitor"), "{page}");
    let mut rows = body.clone();
    rows["scope"] = json!({ "person": { "cookie": anna.value() } });
    let refused = officer.post("/api/v1/disclosures", &rows, "en");
    assert!(refused.status == 400 && text(&refused).contains("of a case file only"), "{}", text(&refused));

    // She is told of it, and of a blocked person nothing leaves but to a state body or a court.
    let export = ["subject", "export", "--site", "clinic", "--purpose", "a copy", "--cookie", "-"];
    let told = place.done(&export, anna.value())["disclosures"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(4), "{told}");
    assert!(told.as_array().into_iter().flatten().all(|one| one["possibly"] == false), "{told}");
    assert_eq!(place.done(&export, boris.value())["disclosures"], json!([]));
    place.done(
        &["subject", "block", "--site", "clinic", "--purpose", "a check", "--cookie", "-"],
        anna.value(),
    );
    let refused = officer.post("/api/v1/disclosures", &body, "en");
    assert!(refused.status == 400 && text(&refused).contains("blocked"), "{}", text(&refused));
    let (record, document) = disclosed("court", "json", &cookie, anna.value());
    assert!(document.contains("addresses are shown as tokens"), "{document}");
    assert_eq!(record["rows"], 6);
    let listed = place.done(&["disclose", "list", "--site", "clinic"], "");
    assert_eq!(listed["disclosures"].as_array().map(Vec::len), Some(5), "{listed}");
    nothing_identifies(&place, &[ADDRESS, ANNAS_KEY, anna.value()]);
    assert_eq!(server.terminate().0, Some(0));
}
