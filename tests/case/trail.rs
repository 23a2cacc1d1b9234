//! What a trail has in it, and in which order.

use serde_json::{Value, json};

use crate::{
    ADDRESS, ANNAS_KEY, Asker, Browser, about, and, at_address, cells, copied, execute, hits,
    nothing_identifies, place, stored,
};

#[test]
fn a_trail_is_what_was_sent_in_visits_by_cookie_by_user_key_and_by_address() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::of(ANNAS_KEY, ADDRESS), Browser::of("boris-key-1", ADDRESS));
    for page in 0..3 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    // Somebody who keeps no cookie.
    let mut clara = Browser::new("198.51.100.20");
    for page in 0..2 {
        clara.cookie.clear();
        clara.view(&server, "clinic", &format!("/clara/{page}"));
    }
    let event =
        "/pixel.gif?s=clinic&u=https://clinic.example/anna/pay&k=event&n=paid&r=https://bank.example/confirm";
    assert_eq!(anna.get(&server, event).header("x-metka"), Some("ok"));
    stored(&server, "clinic", 9);
    // Two visits of hers before that: an hour, and forty days.
    copied(&server, "path LIKE '/anna/%' AND time > now() - toIntervalMinute(50)", 60);
    copied(&server, "path LIKE '/anna/%' AND time > now() - toIntervalMinute(50)", 40 * 24 * 60);
    stored(&server, "clinic", 17);

    let security = Asker::new(&server, "security", None);
    let by_cookie = security.opened(&about(json!({ "cookie": anna.value() })));
    let visit = ["/anna/0", "/anna/1", "/anna/2", "/anna/pay"];
    assert_eq!(cells(&by_cookie, "path"), [visit, visit, visit].concat());
    let numbers: Vec<u64> =
        hits(&by_cookie).iter().map(|hit| hit["visit"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    let summary = &by_cookie["summary"];
    for (name, expected) in [("hits", 12), ("visits", 3), ("visitors", 1), ("addresses", 1)] {
        assert_eq!(summary[name], expected, "{name}: {summary}");
    }
    assert!(
        summary["days"].as_u64().is_some_and(|days| days == 2 || days == 3),
        "an hour ago may be yesterday"
    );
    assert_eq!((&by_cookie["more"], &by_cookie["who"]), (&json!(false), &json!("cookie")));
    let times = cells(&by_cookie, "time");
    assert!(times.is_sorted(), "{times:?}");
    let moment = |text: &Value| text.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    assert_eq!(moment(&summary["first"]), times[0].parse().ok());
    assert_eq!(moment(&summary["last"]), times[11].parse().ok());

    let all = hits(&by_cookie);
    let (offered, paid) = (&all[8], &all[11]);
    assert_eq!((&offered["identity"], &all[9]["identity"]), (&json!("cookieless"), &json!("cookie")));
    for (name, expected) in [
        ("kind", "event"),
        ("name", "paid"),
        ("host", "clinic.example"),
        ("referrer", "bank.example/confirm"),
        ("device", "desktop"),
        ("consent", "unstated"),
        ("mark", ""),
    ] {
        assert_eq!(paid[name], expected, "{name}: {paid}");
    }
    assert_eq!(
        (&all[10]["signed_in"], &paid["signed_in"]),
        (&json!(true), &json!(false)),
        "with her key, without"
    );
    assert!(paid["browser"].as_str().is_some_and(|browser| !browser.is_empty()), "{paid}");
    let token = paid["address"].as_str().expect("a token");
    assert!(token.len() > 33 && token.as_bytes()[32] == b'-', "hex and key: {token}");

    // Her key finds the same; his is another's, also at the same address.
    let by_key = security.opened(&about(json!({ "user": ANNAS_KEY })));
    assert_eq!(by_key["visits"], by_cookie["visits"]);
    let his = security.opened(&about(json!({ "user": "boris-key-1" })));
    assert_eq!(cells(&his, "path"), ["/boris/0", "/boris/1", "/boris/2"]);
    let both = security.opened(&about(at_address(ADDRESS)));
    assert_eq!((&both["summary"]["hits"], &both["summary"]["visitors"]), (&json!(15), &json!(2)));
    assert_eq!(both["summary"]["visits"], 4);
    assert_eq!(hits(&both)[14]["address"], token, "of the same address");
    let cookieless = security.opened(&about(at_address("198.51.100.20")));
    assert_eq!(cells(&cookieless, "path"), ["/clara/0", "/clara/1"]);
    assert_eq!(cells(&cookieless, "identity"), ["cookieless", "cookieless"]);
    assert_eq!(
        (&cookieless["summary"]["visitors"], &cookieless["summary"]["visits"]),
        (&json!(1), &json!(1))
    );
    // Only what is in the range.
    let hour = jiff::SignedDuration::from_mins(30);
    let from = jiff::Timestamp::now().checked_sub(hour).expect("a moment").to_string();
    let recent = security.opened(&and(about(json!({ "cookie": anna.value() })), json!({ "from": from })));
    assert_eq!(cells(&recent, "path"), visit);

    // The moment of a payment: which visit was it?
    let around = |at: &str, minutes: u32| {
        let more = json!({ "around": at, "minutes": minutes });
        security.opened(&and(about(json!({ "cookie": anna.value() })), more))
    };
    let second = around(times[5].as_str(), 0);
    assert_eq!((&second["visit_at"]["number"], &second["visit_at"]["offset"]), (&json!(2), &json!(4)));
    let marked: Vec<&Value> =
        second["visits"].as_array().expect("visits").iter().map(|one| &one["is_at"]).collect();
    assert_eq!(marked, [&json!(false), &json!(true), &json!(false)]);
    let earlier = times[0].parse::<jiff::Timestamp>().expect("a moment");
    let earlier = earlier.checked_sub(jiff::SignedDuration::from_mins(10)).expect("a moment").to_string();
    assert!(around(&earlier, 9)["visit_at"].is_null());
    let near = around(&earlier, 10);
    assert_eq!((&near["visit_at"]["number"], &near["visit_at"]["away_ms"]), (&json!(1), &json!(600_000)));

    for answer in [&by_cookie, &by_key, &both] {
        for canary in [ADDRESS, ANNAS_KEY, anna.value()] {
            assert!(!answer.to_string().contains(canary), "{canary}: {answer}");
        }
    }
    let files = nothing_identifies(&place, &[ADDRESS, ANNAS_KEY, anna.value(), "198.51.100.20"]);
    println!("4 ways to name somebody, {files} files without what identifies them");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn visits_and_visitors_are_those_that_the_statistics_count() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    // Forty visitors of her address over ten days: with cookies that come back and that do not,
    // with kinds that begin no visit, with gaps of about half an hour, and over midnights.
    let made_up = "
        INSERT INTO metka.hits SELECT * EXCEPT (v, n, h, at) REPLACE (
            at AS time,
            if(v % 4 = 0, 'cookieless', 'cookie') AS identity,
            if(v % 4 = 0, cityHash64(v, toDate(at)), h) AS visitor,
            multiIf(v % 8 = 0, cityHash64(intDiv(v, 8) + 1, 'h'), v % 4 = 0, cityHash64(n, v, 'm'), 0) AS minted,
            if(v % 4 = 0 AND toHour(at) = 0 AND toMinute(at) < 30, cityHash64(v, toDate(at) - 1), 0) AS before,
            ['pageview', 'event', 'engagement', 'ad_view', 'engagement'][1 + cityHash64(v, n, 'k') % 5] AS kind,
            777 AS batch, toUInt32(v * 1000 + n) AS row)
        FROM (SELECT hits.*, v, n, cityHash64(v, 'h') AS h,
                toDateTime64(toStartOfDay(now('UTC')), 3, 'UTC') - toIntervalDay(2 + cityHash64(v, n, 'd') % 10)
                    + toIntervalSecond(if(v % 3 = 0, 84000, 30000) + cityHash64(v, n, 't') % 5000) AS at
              FROM metka.hits CROSS JOIN (SELECT number % 40 AS v, intDiv(number, 40) AS n FROM numbers(4000)) AS made)";
    execute(&server, made_up);
    stored(&server, "clinic", 4001);

    let hashes = server.rows("SELECT uniqExact(visitor), countIf(before != 0) FROM metka.hits")[0].clone();
    assert!(hashes[1].as_u64() > Some(50), "hits that remember the day before: {hashes:?}");

    let security = Asker::new(&server, "security", None);
    let document = security.opened(&about(at_address(ADDRESS)));
    assert_eq!(document["summary"]["hits"], 4001);
    assert!(document["summary"]["visitors"].as_u64() < hashes[0].as_u64(), "some are joined: {hashes:?}");
    let question = json!({
        "site_id": "clinic", "metrics": ["visits", "visitors", "pageviews"], "date_range": "all",
        "include": { "bots": true },
    });
    std::fs::write(place.path().join("question.json"), question.to_string()).expect("written");
    let numbers = place.done(&["stats", "question.json"], "")["results"][0]["metrics"].clone();
    assert_eq!(document["summary"]["visits"], numbers[0], "{numbers}");
    // Everybody here who has a view or an event; with a hundred hits each has.
    assert_eq!(document["summary"]["visitors"], numbers[1], "{numbers}");
    let visits = numbers[0].as_u64().expect("a number");
    assert!(visits > 200, "it would say little of fewer: {visits}");
    println!("{visits} visits, as the statistics count them");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn pages_are_the_whole_trail_and_overlap_nowhere() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ADDRESS);
    let mut phone = Browser::of(ANNAS_KEY, "198.51.100.20");
    for page in 0..6 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        phone.view(&server, "clinic", &format!("/phone/{page}"));
    }
    stored(&server, "clinic", 12);
    copied(&server, "1", 45);
    copied(&server, "1", 2000);
    stored(&server, "clinic", 48);

    let security = Asker::new(&server, "security", None);
    let body = about(json!({ "user": ANNAS_KEY }));
    let whole = security.opened(&body);
    let all = hits(&whole);
    assert_eq!((all.len(), &whole["more"]), (48, &json!(false)));
    // Visits of two browsers at once: each stands by itself, in the order in which they began.
    let visits = whole["visits"].as_array().expect("visits");
    assert_eq!(visits.len(), 8, "{whole}");
    let begun: Vec<&str> = visits.iter().filter_map(|visit| visit["first"].as_str()).collect();
    assert!(begun.is_sorted(), "{begun:?}");
    for size in [1, 5, 7, 48, 1000] {
        let (mut offset, mut found) = (0, Vec::new());
        loop {
            let page = security.opened(&and(body.clone(), json!({ "offset": offset, "limit": size })));
            assert_eq!(page["summary"], whole["summary"], "of the whole range on each page");
            let on_page = hits(&page);
            assert!(!on_page.is_empty() && on_page.len() <= size, "{} at {offset}", on_page.len());
            offset += on_page.len();
            found.extend(on_page);
            assert_eq!(page["more"], json!(offset < 48), "at {offset} by {size}");
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(found, all, "by {size}");
    }
    let after = security.opened(&and(body, json!({ "offset": 48 })));
    assert_eq!((hits(&after).len(), &after["more"]), (0, &json!(false)));
    assert_eq!(server.terminate().0, Some(0));
}
