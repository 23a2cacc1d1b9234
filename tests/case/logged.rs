//! Who may look, and what is written down before.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::server::wait_for;
use crate::{
    ADDRESS, ANNAS_KEY, Asker, Browser, WORDS, about, and, at_address, cells, http, looks,
    nothing_identifies, place, stored, text,
};

#[test]
fn every_look_is_in_the_audit_trail_with_purpose_and_words_and_none_is_without() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ADDRESS);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    let request = place
        .done(&["subject", "request", "--site", "clinic", "--kind", "access", "--cookie", "-"], anna.value());
    let number = request["number"].as_str().expect("a number").to_owned();
    let security = Asker::new(&server, "security", None);
    let cookie = || json!({ "cookie": anna.value() });

    // What is refused is no look.
    let without = |name: &str| {
        let mut body = about(cookie());
        body.as_object_mut().expect("an object").remove(name);
        body
    };
    for (body, expected) in [
        (without("purpose"), "missing field `purpose`"),
        (without("words"), "missing field `words`"),
        (without("who"), "missing field `who`"),
        (and(about(cookie()), json!({ "purpose": "marketing" })), "is not one of a case file"),
        (and(about(cookie()), json!({ "purpose": "rights" })), "is not one of a case file"),
        (and(about(cookie()), json!({ "purpose": "" })), "unknown variant"),
        (and(about(cookie()), json!({ "words": " " })), "words: expected one line"),
        (and(about(cookie()), json!({ "limit": 1001 })), "limit: expected"),
        (and(about(cookie()), json!({ "from": "yesterday" })), "from: expected an instant"),
        (about(json!({ "cookie": "v1.nonsense" })), "the cookie identifies nobody"),
        (
            about(
                json!({ "address": { "ip": "300.1.1.1", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z" } }),
            ),
            "the address is not one",
        ),
    ] {
        let reply = security.asked(&body);
        assert_eq!(reply.status, 400, "{body}: {}", text(&reply));
        assert!(text(&reply).contains(expected) && !text(&reply).contains(anna.value()), "{}", text(&reply));
    }
    assert_eq!(security.asked(&about(json!({ "request": "2026-9999" }))).status, 404);
    let asked_for = looks(&place);
    assert_eq!(asked_for.len(), 1, "a number that is none was written down, and nothing read: {asked_for:?}");
    for role in ["viewer", "officer"] {
        let asker = Asker::new(&server, role, None);
        assert_eq!(asker.asked(&about(cookie())).status, 403, "{role}");
    }
    assert_eq!(Asker::new(&server, "security", Some("other")).asked(&about(cookie())).status, 401);
    assert_eq!(looks(&place).len(), 1);

    // Each of these is one; by an address a second entry names whom it was.
    let more = |purpose: &str, by: &str| {
        let key = if by == "user key" { ANNAS_KEY } else { "" };
        json!({ "purpose": purpose, "words": format!("{WORDS} {key} {ADDRESS}"), "basis": "договор № 17-2026" })
    };
    let mut expected = Vec::new();
    for (who, purpose, by) in [
        (cookie(), "fraud", "cookie"),
        (json!({ "user": ANNAS_KEY }), "payments", "user key"),
        (json!({ "request": number }), "support", "request"),
        (cookie(), "claim", "cookie"),
        (cookie(), "security", "cookie"),
        (cookie(), "state_body", "cookie"),
        (at_address(ADDRESS), "fraud", "address"),
    ] {
        let document = security.opened(&and(about(who), more(purpose, by)));
        assert_eq!(
            (cells(&document, "path"), &document["purpose"]),
            (vec!["/anna".to_owned()], &json!(purpose))
        );
        expected.push((purpose, by));
    }
    let entries = looks(&place).split_off(1);
    assert_eq!(entries.len(), expected.len() + 1, "{entries:?}");
    for (entry, (purpose, by)) in entries.iter().zip(&expected) {
        assert_eq!((&entry["purpose"], &entry["site"]), (&json!(purpose), &json!("clinic")), "{entry}");
        let words = entry["words"].as_str().expect("words");
        assert!(words.starts_with(WORDS), "{words}");
        let detail = entry["detail"].as_str().expect("a detail");
        assert!(
            detail.starts_with(&format!("by {by}, ")) && detail.ends_with("basis: договор № 17-2026"),
            "{detail}"
        );
        assert!(entry["actor"]["token"]["name"] == "security-all", "{entry}");
        match *by {
            "request" => assert_eq!(entry["subject"], number),
            "address" => assert!(entry["subject"].is_null(), "nobody is known yet: {entry}"),
            _ => assert_eq!(entry["subject"].as_str().map(str::len), Some(16), "{entry}"),
        }
    }
    let named = &entries[expected.len()];
    assert_eq!(
        (named["detail"].as_str(), &named["words"]),
        (Some("1 visitors at the address"), &entries[6]["words"])
    );
    assert_eq!(named["subject"].as_str().map(str::len), Some(16), "whom it was: {named}");
    // Whose request it is cannot be told by a token of another site.
    let bound = Asker::new(&server, "security", Some("other"));
    let theirs =
        |number: &str| bound.asked(&and(about(json!({ "request": number })), json!({ "site": "other" })));
    let (of_clinic, of_none) = (theirs(&number), theirs("2026-9999"));
    assert_eq!((of_clinic.status, of_none.status), (404, 404));
    assert_eq!(text(&of_none).replace("2026-9999", &number), text(&of_clinic), "no difference can be seen");
    place.done(&["audit", "verify"], "");
    nothing_identifies(&place, &[ADDRESS, ANNAS_KEY, anna.value()]);
    let (_, log) = server.terminate();
    assert!(!log.contains(ANNAS_KEY) && !log.contains(ADDRESS) && !log.contains(anna.value()), "{log}");
}

#[test]
fn the_entry_is_there_before_anything_is_read_and_without_it_nothing_is() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    let security = Asker::new(&server, "security", None);
    let body = about(json!({ "cookie": anna.value() }));
    security.opened(&body);

    // An engine that answers nothing: the entry is written, and no answer comes.
    let engine = engine_of(server.child.id());
    kill_process(engine, Signal::STOP).expect("the engine runs");
    let request = {
        let headers = [("Authorization", security.token.as_str()), ("Content-Type", "application/json")];
        http::request("POST", "/api/v1/case", &headers, body.to_string().as_bytes())
    };
    let mut connection = http::Connection::open(server.web);
    assert!(connection.send(&request));
    wait_for("the entry", || (looks(&place).len() == 2).then_some(()));

    // A trail that cannot be written: refused at once, also by an engine that answers nothing.
    let (trail, away) = (place.data().join("audit"), place.data().join("audit.away"));
    std::fs::rename(&trail, &away).expect("moved");
    std::fs::write(&trail, "").expect("written");
    let refused = http::exchange(server.web, &request);
    assert_eq!(refused.status, 500, "{}", text(&refused));
    assert!(!text(&refused).contains("/anna"), "{}", text(&refused));
    std::fs::remove_file(&trail).expect("removed");
    std::fs::rename(&away, &trail).expect("moved back");
    kill_process(engine, Signal::CONT).expect("the engine runs");
    let answered = connection.reply(false);
    assert_eq!(answered.status, 200, "{}", text(&answered));
    assert_eq!(cells(&answered.json(), "path"), ["/anna"]);
    assert_eq!(looks(&place).len(), 2, "what was refused left no entry");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn the_command_opens_the_same_with_a_server_and_without_one() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ADDRESS);
    for page in 0..3 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
    }
    stored(&server, "clinic", 3);
    let arguments = |more: &[&'static str]| {
        let mut all = vec!["case", "--site", "clinic", "--purpose", "support", "--words", "cannot pay"];
        all.extend_from_slice(more);
        all
    };
    let by_cookie =
        |more: &[&'static str]| place.done(&arguments(&[&["--cookie", "-"], more].concat()), anna.value());
    let beside = by_cookie(&[]);
    assert_eq!(cells(&beside, "path"), ["/anna/0", "/anna/1", "/anna/2"]);
    let page =
        by_cookie(&["--format", "html", "--language", "en"])["text"].as_str().expect("a page").to_owned();
    assert!(page.contains("technical support (4.1.9)") && page.contains("/anna/2"), "{page}");
    let table = by_cookie(&["--format", "csv", "--limit", "2"])["text"].as_str().expect("a table").to_owned();
    assert_eq!(table.lines().count(), 3, "{table}");
    let span = ["--ip", ADDRESS, "--from", "2020-01-01", "--to", "2100-01-01"];
    assert_eq!(place.done(&arguments(&span), "")["visits"], beside["visits"]);
    let lines = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(arguments(&["--user", ANNAS_KEY]))
        .args(["--config", "metka.toml"])
        .current_dir(place.path())
        .output()
        .expect("the binary runs");
    let lines = String::from_utf8_lossy(&lines.stdout).into_owned();
    assert!(lines.contains("held        3 hits in 1 visits of 1 visitors on 1 days, 1 addresses"), "{lines}");
    assert!(lines.contains("/anna/2") && !lines.contains(ADDRESS), "{lines}");
    for (more, expected) in [
        (vec!["--cookie", "-", "--purpose", "marketing"], "is not one of a case file"),
        (vec![], "who is meant is not said"),
        (vec!["--user", "k", "--limit", "0"], "limit: expected"),
        (vec!["--user", "k", "--minutes", "5"], "--around"),
        (vec!["--request", "2026-9999"], "there is no request"),
    ] {
        let mut all = arguments(&more);
        if more.contains(&"--purpose") {
            all.drain(3..5);
        }
        let error = place.refused(&all, anna.value(), 2);
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    assert_eq!(server.terminate().0, Some(0));
    let alone = by_cookie(&[]);
    assert_eq!((&alone["visits"], &alone["summary"]), (&beside["visits"], &beside["summary"]));
    let actors: Vec<Value> = looks(&place).iter().map(|entry| entry["actor"]["command"].clone()).collect();
    // By an address there are two, and one of a number that is none.
    assert!(actors.len() == 8 && actors.iter().all(Value::is_string), "{actors:?}");
}

/// The engine: the server's only child.
fn engine_of(server: u32) -> Pid {
    let parent_of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, after) = stat.rsplit_once(") ")?;
        after.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let all = std::fs::read_dir("/proc")
        .expect("readable")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let engine = all.into_iter().find(|pid| parent_of(*pid) == Some(server)).expect("the server's child");
    Pid::from_raw(engine.cast_signed()).expect("a process")
}
