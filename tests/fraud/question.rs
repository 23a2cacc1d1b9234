//! Who may ask, what is wrong in a question, and what the trail says of it.

use super::*;

#[test]
fn a_check_needs_the_role_security_a_purpose_and_one_person_and_is_in_the_trail_first() {
    let place = place();
    let server = place.serve();
    let mut visitor = Browser::new(IN_RUSSIA);
    visitor.view(&server, "clinic", "/payment");
    let who =
        json!({ "site_id": "clinic", "cookie": visitor.value(), "purpose": "payments", "words": "order 17" });
    let entries = || {
        let listed = server.command(&["audit", "list"]);
        let entries = listed["entries"].as_array().expect("a list").clone();
        entries.into_iter().filter(|entry| entry["action"] == "fraud_checked").collect::<Vec<Value>>()
    };
    for (role, site, status) in [
        ("viewer", None, 403),
        ("officer", None, 403),
        ("security", Some("other"), 401),
        ("security", Some("clinic"), 200),
        ("owner", None, 200),
    ] {
        let before = entries().len();
        let reply = post(&server, &token(&server, role, site), &who);
        assert_eq!(reply.status, status, "{role} {site:?}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(entries().len() - before, usize::from(status == 200), "{role} {site:?}");
    }
    let entry = entries().pop().expect("an entry");
    assert_eq!((&entry["purpose"], &entry["words"]), (&json!("payments"), &json!("order 17")));
    assert_eq!((&entry["site"], &entry["detail"]), (&json!("clinic"), &json!("by cookie")));
    assert_eq!(entry["subject"].as_str().map(str::len), Some(16), "a keyed hash: {entry}");

    let security = token(&server, "security", None);
    let before = entries().len();
    for (change, said) in [
        (json!({ "purpose": null }), "purpose"),
        (json!({ "purpose": "marketing" }), "marketing is no purpose of a check"),
        (json!({ "purpose": "curiosity" }), "curiosity"),
        (json!({ "user": "u1" }), "exactly one of cookie, user, ip and subject"),
        (json!({ "cookie": null }), "exactly one of cookie, user, ip and subject"),
        (json!({ "cookie": null, "ip": "300.1.2.3" }), "ip: expected"),
        (json!({ "cookie": null, "user": "" }), "user key"),
        (json!({ "cookie": null, "subject": "+23456789abcdef0" }), "subject: expected 16 hex digits"),
        (json!({ "words": "two\nlines" }), "words: expected one line"),
        (json!({ "words": " " }), "words: expected one line"),
        (json!({ "name": "x" }), "name"),
    ] {
        let mut body = who.clone();
        for (key, value) in change.as_object().expect("an object") {
            body[key] = value.clone();
        }
        body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        let reply = post(&server, &security, &body);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, 400, "{change}: {text}");
        assert!(text.contains(said), "{change}: {text}");
        assert!(!text.contains("300.1.2.3") && !text.contains(visitor.value()), "{text}");
    }
    assert_eq!(entries().len(), before, "what is no question is no look");
    // What points at a person is not written down, whoever typed it into the words.
    let words = format!("{} of 198.51.100.7, me@mail.example", visitor.value());
    let told = json!({ "site_id": "clinic", "cookie": visitor.value(), "purpose": "fraud", "words": words });
    assert_eq!(post(&server, &security, &told).status, 200);
    let entry = entries().pop().expect("an entry");
    assert_eq!(entry["words"], "[removed] of [address] [email]", "{entry}");
    server.terminate();
}

#[test]
fn a_check_that_cannot_be_written_down_is_not_answered() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let ask = json!({ "site_id": "clinic", "ip": IN_RUSSIA, "purpose": "fraud" });
    assert_eq!(post(&server, &security, &ask).status, 200);
    let trail = place.data().join("audit");
    let aside = place.data().join("audit-aside");
    std::fs::rename(&trail, &aside).expect("moved");
    std::fs::write(&trail, "in the way").expect("written");
    let reply = post(&server, &security, &ask);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 500, "{text}");
    assert!(text.contains("audit trail") && !text.contains("location"), "{text}");
    std::fs::remove_file(&trail).expect("removed");
    std::fs::rename(&aside, &trail).expect("back");
    assert_eq!(post(&server, &security, &ask).status, 200);
    server.terminate();
}

#[test]
fn the_command_answers_with_a_server_and_without_one_alike() {
    let place = place();
    let server = place.serve();
    let mut visitor = Browser::of("patient-1", IN_RUSSIA);
    visitor.view(&server, "clinic", "/");
    visitor.address = IN_AMERICA;
    visitor.view(&server, "clinic", "/payment");
    remembered(&server, "clinic");
    let asked = |who: &[&str], input: &str| {
        let mut answer = place.done(&[&["fraud", "check", "--site", "clinic"], who].concat(), input);
        // How long the making took.
        answer["memory"] = Value::Null;
        answer
    };
    let whom: [(&[&str], &str); 3] =
        [(&["--cookie", "-"], visitor.value()), (&["--user", "patient-1"], ""), (&["--ip", IN_AMERICA], "")];
    let with: Vec<Value> = whom.iter().map(|(who, input)| asked(who, input)).collect();
    for answer in &with {
        assert_eq!(answer["known"], true, "{answer}");
    }
    let missing = place.refused(&["fraud", "check", "--ip", IN_RUSSIA], "", 2);
    assert!(missing.contains("site: 2 sites are configured, name one: clinic, other"), "{missing}");
    let unknown = place.refused(&["fraud", "check", "--site", "shop", "--ip", IN_RUSSIA], "", 2);
    assert!(unknown.contains("no site \"shop\" is configured, there are clinic, other"), "{unknown}");
    let purpose = place.refused(
        &["fraud", "check", "--site", "clinic", "--ip", IN_RUSSIA, "--purpose", "marketing"],
        "",
        2,
    );
    assert!(purpose.contains("marketing is no purpose"), "{purpose}");
    server.terminate();
    for ((who, input), with) in whom.iter().zip(&with) {
        assert_eq!(asked(who, input), *with, "{who:?}");
    }
    let listed = place.done(&["audit", "list"], "");
    let entries = listed["entries"].as_array().expect("a list");
    assert_eq!(entries.iter().filter(|entry| entry["action"] == "fraud_checked").count(), 6);
}

#[test]
fn a_command_that_names_no_site_means_the_only_one_of_the_running_server() {
    let ask = |place: &Place| place.run(&["fraud", "check", "--ip", IN_RUSSIA], "");
    let empty = Place::with("");
    assert!(empty.refused(&["fraud", "check", "--ip", IN_RUSSIA], "", 2).contains("no site is configured"));
    let server = Server::start(empty.path(), &["--demo"]);
    let output = ask(&empty);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["site_id"], "demo", "{answer}");
    server.terminate();

    let place = Place::with("[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n");
    let server = Server::start(place.path(), &["--demo"]);
    let error = place.refused(&["fraud", "check", "--ip", IN_RUSSIA], "", 2);
    assert!(error.contains("2 sites are configured, name one: clinic, demo"), "{error}");
    server.terminate();
    // Without one what the file says.
    let answer = place.done(&["fraud", "check", "--ip", IN_RUSSIA], "");
    assert_eq!(answer["site_id"], "clinic", "{answer}");
}
