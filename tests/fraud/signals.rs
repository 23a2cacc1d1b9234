//! What is said of visitors who came over the wire.

use super::*;

#[test]
fn a_visitor_who_crosses_the_world_in_seconds_is_to_be_looked_at_and_an_honest_one_is_not() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut honest = Browser::new(IN_RUSSIA);
    for path in ["/", "/doctors", "/payment", "/payment/done"] {
        honest.view(&server, "clinic", path);
    }
    let answer = checked(&server, &security, json!({ "cookie": honest.value() }));
    assert_eq!(
        (&answer["verdict"], &answer["score"], &answer["known"]),
        (&json!("plausible"), &json!(0), &json!(true))
    );
    assert_eq!(
        (&answer["location"]["country"], &answer["seen"]["hits"]),
        (&json!("RU"), &json!(4)),
        "{answer}"
    );
    assert_eq!(answer["rules"].as_array().map(Vec::len), Some(14), "{answer}");
    let why = |rule: &str| {
        let rules = answer["rules"].as_array().expect("a list");
        let found = rules.iter().find(|one| one["rule"] == rule).expect("a rule");
        (found["state"].clone(), found["why"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(why("network").0, "off");
    assert!(why("network").1.contains("geo.files"), "{:?}", why("network"));

    let mut thief = Browser::of("patient-1", IN_RUSSIA);
    thief.view(&server, "clinic", "/");
    for address in [IN_AMERICA, IN_JAPAN] {
        thief.address = address;
        thief.view(&server, "clinic", "/payment/done");
    }
    let answer = checked(&server, &security, json!({ "cookie": thief.value() }));
    assert_eq!(answer["verdict"], "review", "{answer}");
    for rule in ["speed", "many_countries", "page_order"] {
        assert!(fired(&answer).contains(&rule.to_owned()), "{rule}: {answer}");
    }
    let points =
        answer["signals"].as_array().expect("a list").iter().filter_map(|one| one["points"].as_u64());
    assert_eq!(answer["score"], points.sum::<u64>(), "the score is the sum of its signals");
    let told = alerts(&server, &security, 0, 25);
    let list = told["alerts"].as_array().expect("a list");
    assert_eq!(list.len(), 1, "the honest one is in none, and nobody twice: {told}");
    assert!(list[0]["score"].as_u64() >= answer["threshold"].as_u64(), "{told}");
    let subject = list[0]["subject"].clone();
    let by_subject = checked(&server, &security, json!({ "subject": subject }));
    assert_eq!(by_subject["signals"], answer["signals"]);
    let next = told["next"].as_u64().expect("a number");
    assert_eq!(alerts(&server, &security, next, 0)["alerts"], json!([]));
    // Two questions, and an hour is one look.
    let read = place.done(&["audit", "list", "--action", "alerts_read"], "");
    let [entry] = &read["entries"].as_array().expect("entries")[..] else { panic!("one entry: {read}") };
    assert_eq!((&entry["site"], &entry["purpose"]), (&json!("clinic"), &json!("fraud")));
    assert_eq!(entry["actor"]["token"]["name"], "security-all", "{entry}");
    place.done(
        &["subject", "block", "--site", "clinic", "--cookie", "-", "--purpose", "asked"],
        thief.value(),
    );
    assert_eq!(alerts(&server, &security, 0, 0)["alerts"], json!([]), "nobody who is blocked is told of");
    place.done(
        &["subject", "unblock", "--site", "clinic", "--cookie", "-", "--purpose", "asked"],
        thief.value(),
    );
    wait_for("the memory to be made anew", || {
        (checked(&server, &security, json!({ "cookie": thief.value() }))["known"] == true).then_some(())
    });
    let user = checked(&server, &security, json!({ "user": "patient-1" }));
    assert_eq!(evidence(&user, "many_countries")["of"], "user");
    for address in [IN_RUSSIA, IN_AMERICA, IN_JAPAN] {
        for answer in [&answer, &user] {
            assert!(!answer.to_string().contains(address), "{answer}");
        }
    }
    server.terminate();
}

#[test]
fn forged_cookies_crowds_and_unknown_people_are_told_apart() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut visitor = Browser::new(IN_RUSSIA);
    visitor.view(&server, "clinic", "/");
    let mut forged = visitor.value().to_owned();
    let last = if forged.ends_with('A') { "B" } else { "A" };
    forged.replace_range(forged.len() - 1.., last);
    for cookie in [forged.as_str(), "v1.9.20260101.AAAA.BBBB", "metka"] {
        let answer = checked(&server, &security, json!({ "cookie": cookie }));
        assert_eq!(fired(&answer), ["cookie_forged"], "{answer}");
        assert_eq!((&answer["verdict"], &answer["known"]), (&json!("review"), &json!(false)));
        assert!(!answer.to_string().contains(&forged), "{answer}");
    }
    let nobody = checked(&server, &security, json!({ "user": "patient-404" }));
    assert_eq!(
        (&nobody["verdict"], &nobody["known"], &nobody["score"]),
        (&json!("unknown"), &json!(false), &json!(0))
    );
    // What another site saw is not this one's.
    let elsewhere = checked(&server, &security, json!({ "site_id": "other", "cookie": visitor.value() }));
    assert_eq!(elsewhere["known"], false, "{elsewhere}");

    let quiet = checked(&server, &security, json!({ "ip": IN_RUSSIA }));
    assert_eq!((&quiet["known"], &quiet["location"]["country"]), (&json!(true), &json!("RU")), "{quiet}");
    assert!(fired(&quiet).is_empty(), "{quiet}");
    // Whoever refuses cookies is one visitor, however many pages they read and cookies they are offered.
    for _ in 0..6 {
        Browser::of("patient-7", IN_RUSSIA).view(&server, "clinic", "/payment/done");
    }
    let refusing = checked(&server, &security, json!({ "ip": IN_RUSSIA }));
    assert!(fired(&refusing).is_empty(), "{refusing}");
    let signed_in = checked(&server, &security, json!({ "user": "patient-7" }));
    assert_eq!((fired(&signed_in).len(), &signed_in["seen"]["browsers"]), (0, &json!(0)), "{signed_in}");
    assert_eq!(signed_in["seen"]["hits"], 6);
    for _ in 0..5 {
        let mut other = Browser::new(IN_RUSSIA);
        other.view(&server, "clinic", "/");
        other.view(&server, "clinic", "/");
    }
    let crowd = checked(&server, &security, json!({ "ip": IN_RUSSIA }));
    assert_eq!(evidence(&crowd, "crowded_address")["visitors"], 5);
    let unseen = checked(&server, &security, json!({ "ip": IN_JAPAN }));
    assert_eq!((&unseen["known"], &unseen["location"]["country"]), (&json!(false), &json!("JP")), "{unseen}");
    let private = checked(&server, &security, json!({ "ip": "10.1.2.3" }));
    assert_eq!(private["location"]["country"], "", "{private}");
    server.terminate();
}

#[test]
fn a_copied_cookie_and_a_burst_are_seen() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut visitor = Browser::new(IN_RUSSIA);
    visitor.view(&server, "clinic", "/");
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    for (agent, address) in
        [(firefox, IN_RUSSIA), (chrome, "77.88.8.1"), (firefox, IN_RUSSIA), (chrome, "77.88.8.1")]
    {
        let headers =
            [("Cookie", visitor.cookie.as_str()), ("X-Forwarded-For", address), ("User-Agent", agent)];
        let reply = http::exchange(
            server.collect,
            &http::get("/pixel.gif?s=clinic&u=https://clinic.example/", &headers),
        );
        assert_eq!(reply.header("x-metka"), Some("ok"));
    }
    let answer = checked(&server, &security, json!({ "cookie": visitor.value() }));
    assert_eq!(evidence(&answer, "cookie_replayed")["more_than_one_address"], true, "{answer}");
    for _ in 0..30 {
        visitor.view(&server, "clinic", "/");
    }
    let answer = checked(&server, &security, json!({ "cookie": visitor.value() }));
    assert!(fired(&answer).contains(&"burst".to_owned()) || crosses_ten_minutes(&answer), "{answer}");
    server.terminate();
}

/// Thirty-five pages fell into two ten minutes, none of which has thirty.
fn crosses_ten_minutes(answer: &Value) -> bool {
    let last: jiff::Timestamp = answer["seen"]["last"].as_str().expect("a time").parse().expect("a time");
    let first: jiff::Timestamp = answer["seen"]["first"].as_str().expect("a time").parse().expect("a time");
    first.as_second() / 600 != last.as_second() / 600
}
