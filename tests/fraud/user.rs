//! What a payment page is told that asks by user key: of the user, and of that user's browsers.

use super::*;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const HEADLESS: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36";

/// A page view with the browser's cookie that says another name and another address, and no user key.
fn view_as(server: &Server, browser: &Browser, agent: &str, address: &str) {
    let headers = [("Cookie", browser.cookie.as_str()), ("X-Forwarded-For", address), ("User-Agent", agent)];
    let target = "/pixel.gif?s=clinic&u=https://clinic.example/";
    let reply = http::exchange(server.collect, &http::get(target, &headers));
    assert_eq!(reply.header("x-metka"), Some("ok"));
}

fn state(answer: &Value, rule: &str) -> (Value, Value) {
    let rules = answer["rules"].as_array().expect("a list");
    let found = rules.iter().find(|one| one["rule"] == rule);
    let found = found.unwrap_or_else(|| panic!("{rule} fired: {answer}"));
    (found["state"].clone(), found["why"].clone())
}

#[test]
fn a_check_by_user_key_looks_at_the_browsers_of_that_user() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut phone = Browser::of("patient-1", IN_RUSSIA);
    let mut laptop = Browser::of("patient-1", IN_RUSSIA);
    let mut others = [Browser::of("patient-2", IN_RUSSIA), Browser::of("patient-2", IN_RUSSIA)];
    for browser in [&mut laptop, &mut phone].into_iter().chain(&mut others) {
        // With the second page the cookie comes back.
        browser.view(&server, "clinic", "/");
        browser.view(&server, "clinic", "/");
    }
    // The laptop's cookie was copied; whoever has the copy does not sign in, and writes a program.
    for (agent, address) in
        [(FIREFOX, IN_RUSSIA), (CHROME, "77.88.8.1"), (FIREFOX, IN_RUSSIA), (CHROME, "77.88.8.1")]
    {
        view_as(&server, &laptop, agent, address);
    }
    view_as(&server, &laptop, HEADLESS, "77.88.8.1");
    let mut stranger = Browser::new(IN_RUSSIA);
    stranger.view(&server, "clinic", "/");
    view_as(&server, &stranger, HEADLESS, IN_RUSSIA);

    let honest = checked(&server, &security, json!({ "user": "patient-2" }));
    assert!(fired(&honest).iter().all(|rule| rule == "crowded_address"), "{honest}");
    assert_eq!((&honest["verdict"], &honest["seen"]["browsers"]), (&json!("plausible"), &json!(2)));
    assert_eq!(state(&honest, "cookie_replayed").0, "quiet");
    assert_eq!(state(&honest, "cookie_forged"), (json!("unknown"), json!("no cookie was given")));

    let by_user = checked(&server, &security, json!({ "user": "patient-1" }));
    let by_cookie = checked(&server, &security, json!({ "cookie": laptop.value() }));
    assert_eq!((&by_user["verdict"], &by_user["seen"]["browsers"]), (&json!("review"), &json!(2)));
    for rule in ["cookie_replayed", "automation"] {
        let mut evidence = evidence(&by_user, rule);
        let browser = evidence.as_object_mut().and_then(|evidence| evidence.remove("browser"));
        assert_eq!(evidence, self::evidence(&by_cookie, rule), "{rule}");
        let browser = browser.unwrap_or_else(|| panic!("{rule} is of no browser: {by_user}"));
        assert_eq!(browser["of"], 2, "{by_user}");
        // By its keyed hash the browser itself can be looked at.
        let named = checked(&server, &security, json!({ "subject": browser["subject"] }));
        assert_eq!(named["signals"], by_cookie["signals"], "{rule}");
    }
    let points = by_user["signals"].as_array().expect("a list").iter();
    assert_eq!(by_user["score"], points.filter_map(|one| one["points"].as_u64()).sum::<u64>());
    let text = by_user.to_string();
    assert!(!text.contains(laptop.value()) && !text.contains("patient-1"), "{text}");
    server.terminate();
}

#[test]
fn a_blocked_or_erased_browser_is_in_no_check_of_its_user() {
    let place = place();
    let server = place.serve();
    let security = token(&server, "security", None);
    let mut phone = Browser::of("patient-1", IN_RUSSIA);
    let mut laptop = Browser::of("patient-1", IN_RUSSIA);
    for browser in [&mut phone, &mut laptop] {
        browser.view(&server, "clinic", "/");
        browser.view(&server, "clinic", "/");
    }
    view_as(&server, &laptop, HEADLESS, IN_RUSSIA);
    let ask = |server: &Server| {
        let question = json!({ "site_id": "clinic", "user": "patient-1", "purpose": "payments" });
        let reply = post(server, &security, &question);
        assert_eq!(reply.status, 200);
        let answer = reply.json();
        (fired(&answer), answer["seen"]["browsers"].as_u64())
    };
    let job = |verb: &str| {
        let arguments = ["subject", verb, "--site", "clinic", "--cookie", "-", "--purpose", "asked"];
        place.done(&arguments, laptop.value())
    };
    let with = (vec!["automation".to_owned()], Some(2));
    let without = (Vec::new(), Some(1));
    remembered(&server, "clinic");
    assert_eq!(ask(&server), with);
    // No waiting: a block is in force when it is answered.
    job("block");
    assert_eq!(ask(&server), without);
    remembered(&server, "clinic");
    assert_eq!(ask(&server), without, "nor once the memory is made anew");
    job("unblock");
    wait_for("the browser to be looked at again", || (ask(&server) == with).then_some(()));
    job("erase");
    assert_eq!(ask(&server), without);
    server.terminate();
    let server = place.serve();
    remembered(&server, "clinic");
    assert_eq!(ask(&server), without);
    server.terminate();
}
