//! Requests of visitors: registered, followed, carried out, bounded.

use serde_json::Value;

use crate::place::{contains, files_below};
use crate::server::wait_for;
use crate::{ADDRESS, Browser, ELSEWHERE, count, numbers, place, place_with, register, stored, text, trail};

/// What the form offers.
const KINDS: [&str; 6] = ["access", "rectify", "block", "erase", "marketing", "claim"];

#[test]
fn a_request_is_followed_by_its_number_and_code_alone_until_it_is_answered() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    let at = anna.ask(&server, "s=clinic&lang=en&kind=access&text=by+post+please");
    assert!(
        at.starts_with("/privacy/request/20") && at.ends_with("?s=clinic&lang=en&said=registered"),
        "{at}"
    );
    let link = at.split('?').next().expect("a path").to_owned();
    let number = &register(&place)[0]["number"];
    let number = number.as_str().expect("a number");
    assert!(link.starts_with(&format!("/privacy/request/{number}-")), "{link}");

    let nobody = Browser::new(ELSEWHERE);
    let page = text(&nobody.get(&server, &format!("{link}?lang=en")));
    let due = register(&place)[0]["due_date"].as_str().expect("a date").to_owned();
    let day = due.rsplit('-').next().expect("a day").trim_start_matches('0').to_owned();
    for part in [
        number,
        "Tell me what is kept",
        "In progress",
        "by post please",
        &format!("<dd>{day}\u{a0}"),
        "10\u{a0}working days",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(text(&nobody.get(&server, &format!("{link}?lang=ru"))).contains("10\u{a0}рабочих дней"));

    // Wrong codes and unknown numbers are told apart by nobody.
    let code = link.rsplit('-').next().expect("a code");
    let other = format!("{}{}", if code.starts_with('A') { 'B' } else { 'A' }, &code[1..]);
    let mut answers = std::collections::BTreeSet::new();
    for wrong in [
        format!("/privacy/request/{number}-{other}"),
        format!("/privacy/request/{}-{code}", number.replace("0001", "0002")),
        format!("/privacy/request/{number}"),
        "/privacy/request/2020-0001-AAAAAAAAAAAAAAAA".to_owned(),
        "/privacy/request/".to_owned(),
        format!("/privacy/request/{}", "x".repeat(500)),
    ] {
        let reply = nobody.get(&server, &format!("{wrong}?s=clinic&lang=en"));
        assert_eq!(reply.status, 404, "{wrong}");
        answers.insert(reply.body);
    }
    assert_eq!(answers.len(), 1, "each is answered alike");
    assert_eq!(nobody.get(&server, &link.to_lowercase()).status, 200, "people type");

    // A second one of the kind is the first; another browser's is its own.
    let again = anna.ask(&server, "s=clinic&lang=en&kind=access");
    assert_eq!(again, format!("{link}?s=clinic&lang=en&said=open"));
    let list = text(&anna.get(&server, "/privacy?s=clinic&lang=en"));
    assert!(list.contains(&format!("{link}?s=clinic&amp;lang=en")), "{list}");
    let mut boris = Browser::new(ELSEWHERE);
    boris.view(&server, "clinic", "/boris");
    let his = text(&boris.get(&server, "/privacy?s=clinic&lang=en"));
    assert!(!his.contains(number) && his.contains("No request was made with this cookie"), "{his}");
    assert_ne!(boris.ask(&server, "s=clinic&kind=access").split('?').next(), Some(link.as_str()));

    place.done(&["subject", "close", number, "--answer", "sent by post"], "");
    let page = text(&nobody.get(&server, &format!("{link}?lang=en")));
    assert!(page.contains("sent by post") && page.contains("Done"), "{page}");
    assert!(text(&anna.get(&server, "/privacy?s=clinic&lang=en")).contains("Answer: sent by post"));
    let next = anna.ask(&server, "s=clinic&kind=access");
    assert!(!next.contains(number), "a closed one is not asked again: {next}");
    let seen = trail(&place);
    assert_eq!(seen.iter().filter(|(action, _)| action == "request_received").count(), 3, "{seen:?}");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_block_that_is_asked_for_is_in_force_when_the_page_answers() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    for browser in [&mut anna, &mut boris] {
        for page in 0..3 {
            browser.view(&server, "clinic", &format!("/page/{page}"));
        }
    }
    stored(&server, "clinic", 6);
    assert_eq!(numbers(&place), serde_json::json!([2, 6]));
    let at = anna.ask(&server, "s=clinic&lang=en&kind=block&text=the+city+is+wrong");
    assert_eq!(numbers(&place), serde_json::json!([1, 3]), "she is in no number");
    assert_eq!(count(&server, "clinic"), 6, "and all is stored");
    let page = text(&anna.get(&server, &at));
    assert!(page.contains("The data is blocked.") && page.contains("In progress"), "{page}");
    let kept = text(&anna.get(&server, "/privacy/data?s=clinic&lang=en"));
    assert!(kept.contains("it is in no number") && kept.contains("/page/2"), "she still sees it: {kept}");
    // Later hits of hers are covered; another's are not.
    anna.view(&server, "clinic", "/page/3");
    stored(&server, "clinic", 7);
    assert_eq!(numbers(&place), serde_json::json!([1, 3]));

    let request = register(&place).remove(0);
    assert_eq!(
        (request["state"].as_str(), request["kind"].as_str()),
        (Some("open"), Some("block")),
        "{request}"
    );
    let history: Vec<&str> = request["history"]
        .as_array()
        .expect("a history")
        .iter()
        .map(|change| change["what"].as_str().expect("words"))
        .collect();
    assert_eq!(history, ["registered", "blocked: 3 rows"]);
    let number = request["number"].as_str().expect("a number").to_owned();
    let seen = trail(&place);
    assert!(seen.contains(&("subject_blocked".to_owned(), number.clone())), "{seen:?}");
    place.done(&["subject", "unblock", "--site", "clinic", "--purpose", "checked", "--request", &number], "");
    assert_eq!(numbers(&place), serde_json::json!([2, 7]));
    assert!(text(&anna.get(&server, &at)).contains("The block was lifted."));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn an_erasure_waits_for_the_officer_unless_the_operator_wants_it_at_once() {
    for at_once in [false, true] {
        let place = place_with(&format!("[rights]\nerase_at_once = {at_once}\n"));
        let server = place.serve();
        let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
        for page in 0..3 {
            anna.view(&server, "clinic", &format!("/anna/{page}"));
            boris.view(&server, "clinic", &format!("/boris/{page}"));
        }
        stored(&server, "clinic", 6);
        let at = anna.ask(&server, "s=clinic&lang=en&kind=erase");
        if !at_once {
            let page = text(&anna.get(&server, &at));
            assert!(
                page.contains("The request waits for the operator.") && page.contains("10\u{a0}working days"),
                "{page}"
            );
            let number = register(&place)[0]["number"].as_str().expect("a number").to_owned();
            let erase =
                ["subject", "erase", "--site", "clinic", "--purpose", "checked", "--request", &number];
            assert_eq!(count(&server, "clinic"), 6);
            let done = place.done(&erase, "");
            let page = text(&anna.get(&server, &at));
            let act = done["act"]["number"].as_str().expect("an act");
            assert!(page.contains(act) && page.contains("The data is destroyed."), "{act} is not in {page}");
            continue;
        }
        let page = wait_for("the act", || {
            let page = text(&anna.get(&server, &at));
            page.contains("Act of destruction").then_some(page)
        });
        assert_eq!(count(&server, "clinic"), 3, "only his are left");
        let request = wait_for("the answer", || {
            let request = register(&place).remove(0);
            (request["state"] == "done").then_some(request)
        });
        let act = request["acts"][0].as_str().expect("an act");
        assert!(page.contains(act), "{act} is not in {page}");
        assert!(place.data().join("rights/acts").join(format!("{act}.html")).exists());
        let page = text(&anna.get(&server, &at));
        assert!(page.contains("The data is destroyed.") && page.contains("Done"), "{page}");
        let kept = text(&anna.get(&server, "/privacy/data?s=clinic&lang=en"));
        assert!(kept.contains("Not one record is kept"), "{kept}");
        let seen = trail(&place);
        assert!(seen.iter().any(|(action, _)| action == "subject_erased"), "{seen:?}");
        assert_eq!(server.terminate().0, Some(0));
    }
}

#[test]
fn a_consent_to_marketing_that_is_withdrawn_is_withdrawn_at_once_here_and_in_what_is_stored() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    for browser in [&mut anna, &mut boris] {
        browser.view(&server, "clinic", "/page");
        let said = r#"{"s":"clinic","k":"consent","u":"https://clinic.example/page","c":"marketing"}"#;
        let headers = [("Cookie", browser.cookie.as_str()), ("X-Forwarded-For", browser.address)];
        let reply = crate::http::exchange(server.collect, &crate::http::event(said, &headers));
        let consent = reply.cookie("metka_consent_clinic").expect("it is remembered");
        browser.cookie = format!("{}; {consent}", browser.cookie);
    }
    stored(&server, "clinic", 4);
    let marketing =
        || server.rows("SELECT count() FROM metka.hits WHERE consent = 'marketing'")[0][0].clone();
    assert_eq!(marketing(), 2);
    let reply = anna.post(&server, "/privacy/request", "s=clinic&lang=en&kind=marketing");
    assert_eq!(reply.status, 303, "{}", text(&reply));
    assert_eq!(reply.cookie("metka_consent_clinic").as_deref(), Some("metka_consent_clinic=granted"));
    let at = reply.header("location").expect("it leads to the request").to_owned();
    let page = wait_for("the answer", || {
        let page = text(&anna.get(&server, &at));
        page.contains("Done").then_some(page)
    });
    assert!(page.contains("no record of this browser is used for marketing"), "{page}");
    assert_eq!(marketing(), 1, "hers is not any more, his is");
    assert_eq!(register(&place)[0]["state"], "done");
    // Whoever did not agree to it gets no consent by withdrawing it.
    let mut clara = Browser::new(ELSEWHERE);
    clara.view(&server, "clinic", "/page");
    let reply = clara.post(&server, "/privacy/request", "s=clinic&kind=marketing");
    assert_eq!((reply.status, reply.all("set-cookie").len()), (303, 0));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn nobody_fills_the_register_or_the_trail() {
    let place = place();
    let server = place.serve();
    let mut browsers: Vec<Browser> = (0..3).map(|_| Browser::new(ADDRESS)).collect();
    for browser in &mut browsers {
        browser.view(&server, "clinic", "/page");
    }
    // Each kind once for two browsers: as many as one address may in a day.
    for browser in &browsers[..2] {
        for kind in KINDS {
            browser.ask(&server, &format!("s=clinic&kind={kind}"));
            // What is done at once is closed; of the others the open one is shown.
            if kind != "marketing" {
                browser.ask(&server, &format!("s=clinic&kind={kind}"));
            }
        }
    }
    assert_eq!(register(&place).len(), 12);
    let reply = browsers[2].post(&server, "/privacy/request", "s=clinic&lang=en&kind=access");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")), "{}", text(&reply));
    assert!(text(&reply).contains("privacy@clinic.example"), "{}", text(&reply));
    let other = Browser { cookie: browsers[2].cookie.clone(), ..Browser::new(ELSEWHERE) };
    other.ask(&server, "s=clinic&kind=access");
    assert_eq!(register(&place).len(), 13);

    let mut looks = 0;
    let refused = loop {
        let reply = browsers[0].get(&server, "/privacy/data?s=clinic&lang=en");
        if reply.status != 200 {
            break reply;
        }
        looks += 1;
    };
    // One may come back while they are made.
    assert!((60..65).contains(&looks), "{looks}");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")), "{}", text(&refused));
    assert_eq!(other.get(&server, "/privacy/data?s=clinic").status, 200, "another address may");
    println!("12 requests of an address in a day, {looks} looks in an hour");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn what_identifies_a_visitor_is_in_no_file() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    let words = format!(
        "s=clinic&kind=rectify&text=write+to+canary%40mail.example+or+%2B7+912+345-67-89,+my+address+is+{ADDRESS}+and+{}",
        anna.value()
    );
    let at = anna.ask(&server, &words);
    anna.ask(&server, "s=clinic&kind=block");
    anna.get(&server, "/privacy/data?s=clinic");
    anna.get(&server, "/privacy/download?format=json&s=clinic");
    let code = at.split('?').next().and_then(|path| path.rsplit('-').next()).expect("a code").to_owned();
    let purpose = register(&place).into_iter().find(|request| request["kind"] == "rectify");
    let purpose = purpose.map(|request: Value| request["purpose"].clone()).expect("it is there");
    let purpose = purpose.as_str().expect("words");
    let (before, after) =
        ("write to [email] or [phone], my address is [address] and v1.", ".[token].[token]");
    assert!(purpose.starts_with(before) && purpose.ends_with(after), "{purpose}");
    let (_, log) = server.terminate();
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    for canary in [anna.value(), ADDRESS, "canary@mail", "345-67-89", &code] {
        assert!(!log.contains(canary), "{canary} is in the log");
        for (path, bytes) in &files {
            assert!(!contains(bytes, canary.as_bytes()), "{canary} is in {}", path.display());
        }
    }
    println!("{} files without what identifies her", files.len());
}
