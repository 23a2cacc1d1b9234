//! Who is not there, and what nobody may be made to run.

use serde_json::{Value, json};

use crate::{ADDRESS, ANNAS_KEY, Asker, Browser, about, and, at_address, cells, place, stored, text};

/// An answer without its own moment.
fn without_moment(mut answer: Value) -> Value {
    for name in ["made", "from", "to"] {
        answer[name] = Value::Null;
    }
    answer
}

#[test]
fn a_blocked_person_is_as_nobody_until_unblocked_and_an_erased_one_for_ever() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::of(ANNAS_KEY, ADDRESS), Browser::new(ADDRESS));
    for page in 0..3 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    // A shared browser leaves a note about her key.
    let mut shared = Browser::of(ANNAS_KEY, "198.51.100.20");
    shared.view(&server, "clinic", "/shared/0");
    shared.user_key = Some("mother-key-1");
    shared.view(&server, "clinic", "/shared/1");
    // With a cookie of this site, and no hit that is stored.
    let mut nobody = Browser::new("198.51.100.30");
    nobody.view(&server, "other", "/");
    stored(&server, "clinic", 8);
    stored(&server, "other", 1);
    let security = Asker::new(&server, "security", None);
    let asks = |who: Value| without_moment(security.opened(&about(who)));
    let (by_cookie, by_key) = (json!({ "cookie": anna.value() }), json!({ "user": ANNAS_KEY }));
    let (nobodys_cookie, nobodys_key) =
        (json!({ "cookie": nobody.value() }), json!({ "user": "nobody-key" }));
    let before = [asks(by_cookie.clone()), asks(by_key.clone()), asks(at_address(ADDRESS))];
    assert_eq!(cells(&before[0], "path"), ["/anna/0", "/anna/1", "/anna/2"]);
    assert!(before[1]["notes"].to_string().contains("another user key"), "{}", before[1]);
    assert_eq!(before[2]["summary"]["hits"], 6);
    let never = asks(nobodys_cookie.clone());
    assert_eq!((&never["summary"]["hits"], &never["visits"]), (&json!(0), &json!([])));

    let job = |name: &str| {
        let arguments = ["subject", name, "--site", "clinic", "--purpose", "a check", "--user", ANNAS_KEY];
        place.done(&arguments, "")
    };
    job("block");
    assert_eq!(asks(by_cookie.clone()), asks(nobodys_cookie.clone()), "no difference can be seen");
    assert_eq!(asks(by_key.clone()), asks(nobodys_key.clone()), "no difference can be seen");
    let others = asks(at_address(ADDRESS));
    assert_eq!(cells(&others, "path"), ["/boris/0", "/boris/1", "/boris/2"]);
    assert_eq!((&others["summary"]["hits"], &others["summary"]["visitors"]), (&json!(3), &json!(1)));
    for format in ["csv", "html"] {
        let reply = security.asked(&and(about(by_cookie.clone()), json!({ "format": format })));
        assert!(reply.status == 200 && !text(&reply).contains("/anna/"), "{}", text(&reply));
    }
    job("unblock");
    assert_eq!([asks(by_cookie.clone()), asks(by_key.clone()), asks(at_address(ADDRESS))], before);
    job("erase");
    assert_eq!(asks(by_cookie), never);
    assert_eq!(asks(by_key), asks(nobodys_key));
    assert_eq!(cells(&asks(at_address(ADDRESS)), "path"), ["/boris/0", "/boris/1", "/boris/2"]);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_visitors_text_is_no_formula_in_the_table_and_no_markup_on_the_page() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    for name in ["=cmd|calc!A1", "<script>alert(1)</script>", "@SUM(A1)", "a\",\"=1"] {
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let target = format!("/pixel.gif?s=clinic&u=https://clinic.example/x&k=event&n={name}");
        assert_eq!(anna.get(&server, &target).header("x-metka"), Some("ok"), "{name}");
    }
    stored(&server, "clinic", 5);
    let security = Asker::new(&server, "security", None);
    let body = |format: &str| {
        and(about(json!({ "cookie": anna.value() })), json!({ "format": format, "words": "=1+1 <b>x</b>" }))
    };
    let names = cells(&security.opened(&body("json")), "name");
    assert!(
        names.contains(&"=cmd|calc!A1".to_owned()) && names[2].contains("<script>"),
        "as sent: {names:?}"
    );

    let table = security.asked(&body("csv"));
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    let table = text(&table);
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(table.contains("'=cmd|calc!A1") && table.contains("'@SUM(A1)"), "{table}");
    for begins in [",=", ",@", "\"=", "\"@", ",\"="] {
        assert!(!table.contains(begins), "{begins}: {table}");
    }

    let page = |accepts: &str| security.post("/api/v1/case", &body("html"), accepts);
    let russian = page("ru-RU,ru;q=0.9");
    assert_eq!(russian.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = russian.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let (russian, english) = (text(&russian), text(&page("en-GB,en;q=0.9")));
    assert!(russian.contains("Посещения одного лица") && russian.contains("lang=\"ru\""), "{russian}");
    assert!(english.contains("The trail of one visitor") && english.contains("lang=\"en\""), "{english}");
    for page in [&russian, &english] {
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("=1+1 &lt;b&gt;"),
            "{page}"
        );
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(!page.contains(ADDRESS) && !page.contains(anna.value()), "{page}");
    }
    assert_eq!(server.terminate().0, Some(0));
}
