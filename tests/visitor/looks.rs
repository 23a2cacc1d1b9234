//! Who sees what, and what is noted of it.

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use metka::config::Keys;
use metka::privacy::keys::KeyRing;

use crate::place::{contains, files_below};
use crate::{ADDRESS, Browser, ELSEWHERE, ORIGIN, place, register, stored, text, trail};

#[test]
fn a_genuine_cookie_sees_exactly_its_rows_and_each_look_is_noted_first() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    for page in 0..5 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
    }
    for page in 0..3 {
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    anna.view(&server, "other", "/anna-elsewhere");
    // What still waits in the spool is hers as well: nobody waits for it here.
    let page = anna.get(&server, "/privacy/data?s=clinic&lang=en");
    let html = text(&page);
    assert_eq!(page.status, 200, "{html}");
    assert!(html.contains("<dt>Records</dt><dd>5</dd>") && html.contains("lang=\"en\""), "{html}");
    for own in ["clinic.example/anna/0", "clinic.example/anna/4", ADDRESS, "5\u{a0}records", "kept for 730"] {
        assert!(html.contains(own), "{own} is not in {html}");
    }
    for others in ["/boris", "anna-elsewhere", ELSEWHERE] {
        assert!(!html.contains(others), "{others} is in {html}");
    }
    let russian = text(&anna.get(&server, "/privacy/data?s=clinic&lang=ru"));
    assert!(
        russian.contains("<dt>Записей</dt><dd>5</dd>") && russian.contains("Не заблокированы"),
        "{russian}"
    );
    assert!(
        russian.contains("lang=\"ru\"") && russian.contains("/privacy?s=clinic&amp;lang=ru"),
        "{russian}"
    );

    for (format, kind, rows) in [
        ("json", "application/json", 5),
        ("csv", "text/csv; charset=utf-8", 5),
        ("html", "text/html; charset=utf-8", 5),
    ] {
        let copy = anna.get(&server, &format!("/privacy/download?format={format}&s=clinic"));
        assert_eq!((copy.status, copy.header("content-type")), (200, Some(kind)));
        let name = copy.header("content-disposition").expect("a file");
        assert!(
            name.starts_with("attachment; filename=\"clinic-20") && name.ends_with(&format!(".{format}\"")),
            "{name}"
        );
        let body = text(&copy);
        let found = (0..9).filter(|page| body.contains(&format!("/anna/{page}"))).count();
        assert_eq!((found, body.contains("/boris"), body.contains(ADDRESS)), (rows, false, true), "{format}");
    }
    assert_eq!(anna.get(&server, "/privacy/download?format=exe&s=clinic").status, 400);
    // A look that nobody would read is not made.
    let headers = [("Cookie", anna.cookie.as_str())];
    let head = http_head(&server, "/privacy/data?s=clinic", &headers);
    assert_eq!(head, 405);
    assert!(text(&boris.get(&server, "/privacy/data?s=other")).contains("Not one record is kept"));

    let seen = trail(&place);
    let of = |action: &str| seen.iter().filter(|(found, _)| found == action).count();
    assert_eq!((of("subject_found"), of("subject_exported"), seen.len()), (3, 3, 6), "{seen:?}");
    assert_eq!(
        seen.iter().collect::<std::collections::BTreeSet<_>>().len(),
        3,
        "three browsers on two sites"
    );
    println!("6 looks of 2 browsers, 6 entries in the trail");
    assert_eq!(server.terminate().0, Some(0));
}

fn http_head(server: &crate::server::Server, target: &str, headers: &[(&str, &str)]) -> u16 {
    crate::http::exchange(server.collect, &crate::http::request("HEAD", target, headers, b"")).status
}

#[test]
fn whoever_shows_no_genuine_cookie_sees_nothing_registers_nothing_and_is_in_no_trail() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    let elsewhere = KeyRing::open(&Keys::in_dir(&place.path().join("elsewhere"))).expect("a ring");
    let mut parts: Vec<&str> = anna.value().split('.').collect();
    let other_id = "ab".repeat(16);
    parts[3] = &other_id;
    let altered = parts.join(".");
    let cut = &anna.value()[..anna.value().len() - 1];
    // Hers, as this very server would have signed it so long ago.
    let ring = KeyRing::open(&Keys::in_dir(&place.data().join("keys"))).expect("the server's ring");
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let id: [u8; 16] = data_encoding::HEXLOWER
        .decode(anna.value().split('.').nth(3).expect("an id").as_bytes())
        .expect("hex")
        .try_into()
        .expect("128 bits");
    let aged = |months: i32| {
        format!("metka={}", ring.sign_cookie(id, today.saturating_sub(Span::new().months(months))))
    };
    let mut refused = 0;
    for (what, value) in [
        ("missing", String::new()),
        ("empty", "metka=".to_owned()),
        ("forged", format!("metka={cut}{}", if anna.value().ends_with('0') { '1' } else { '0' })),
        ("altered", format!("metka={altered}")),
        ("cut", format!("metka={cut}")),
        ("foreign", format!("metka={}", elsewhere.sign_cookie([7; 16], date(2026, 11, 1)))),
        ("too old", aged(14)),
        ("of another name", format!("__Host-metka={}", anna.value())),
        ("nonsense", "metka=v1.1.20261126.%00.я".to_owned()),
    ] {
        let somebody = Browser { cookie: value, ..Browser::new(ADDRESS) };
        for target in ["/privacy/data?s=clinic&lang=en", "/privacy/download?format=json&s=clinic&lang=en"] {
            let reply = somebody.get(&server, target);
            let html = text(&reply);
            assert_eq!(reply.status, 403, "{what}: {html}");
            assert!(
                html.contains("After two days nobody can tell") && html.contains("privacy@clinic.example"),
                "{html}"
            );
            assert!(!html.contains("/anna"), "{what}: {html}");
            refused += 1;
        }
        let reply = somebody.post(&server, "/privacy/request", "s=clinic&lang=en&kind=block");
        assert_eq!(reply.status, 403, "{what}");
        let page = text(&somebody.get(&server, "/privacy?s=clinic&lang=en"));
        assert!(page.contains("What is recorded") && !page.contains("Send the request"), "{what}: {page}");
        refused += 1;
    }
    assert_eq!((register(&place).len(), trail(&place).len()), (0, 0));
    println!(
        "{refused} questions without a genuine cookie refused, nothing registered, nothing in the trail"
    );
    let of_age = Browser { cookie: aged(12), ..Browser::new(ADDRESS) };
    let reply = of_age.get(&server, "/privacy/data?s=clinic&lang=en");
    assert!(reply.status == 200 && text(&reply).contains("/anna"), "{}", text(&reply));
    // Of several sites, one has to be meant.
    assert_eq!(anna.get(&server, "/privacy/data").status, 403);
    assert_eq!(anna.post(&server, "/privacy/request", "kind=block").status, 403);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn only_the_page_itself_may_send_its_forms() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    for from in [
        &[][..],
        &[("Origin", "https://clinic.example")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[ORIGIN, ("Sec-Fetch-Site", "cross-site")],
        &[ORIGIN, ("Sec-Fetch-Site", "same-site")],
        &[ORIGIN, ("Sec-Fetch-Site", "none")],
    ] {
        for target in ["/privacy/request", "/privacy/opt-out", "/privacy/opt-in"] {
            let reply = anna.post_from(&server, target, "s=clinic&kind=erase", from);
            assert_eq!((reply.status, reply.all("set-cookie").len()), (403, 0), "{target} from {from:?}");
        }
    }
    for (form, status) in [
        ("s=clinic&kind=unblock", 400),
        ("s=clinic&kind=", 400),
        ("s=clinic", 400),
        (&format!("s=clinic&kind=claim&text={}", "%D1%8F".repeat(1001)), 400),
        (&format!("s=clinic&kind=claim&text={}", "x".repeat(20_000)), 413),
        ("", 403),
    ] {
        let reply = anna.post(&server, "/privacy/request", form);
        assert_eq!(reply.status, status, "{}: {}", &form[..form.len().min(40)], text(&reply));
    }
    // What was written is not lost with the form.
    let reply = anna.post(&server, "/privacy/request", "s=clinic&lang=en&text=%3Cb%3Ewrong+city");
    assert!(text(&reply).contains("&lt;b&gt;wrong city</textarea>"), "{}", text(&reply));
    assert!(text(&reply).contains("role=\"status\">Choose what you ask for."), "{}", text(&reply));
    assert_eq!((register(&place).len(), trail(&place).len()), (0, 0));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn language_and_site_go_along_and_the_choice_is_told_when_it_was_made() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna");
    let page = text(&anna.get(&server, "/privacy?s=clinic&lang=ru"));
    for part in [
        "href=\"/privacy?s=clinic&amp;lang=en\"",
        "<input type=\"hidden\" name=\"lang\" value=\"ru\">",
        "<input type=\"hidden\" name=\"s\" value=\"clinic\">",
        "/privacy/download?s=clinic&amp;lang=ru&amp;format=csv",
        "maxlength=\"1000\"",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let out = anna.post(&server, "/privacy/opt-out", "s=clinic&lang=ru");
    let back = out.header("location").expect("back").to_owned();
    assert_eq!((out.status, back.as_str()), (303, "/privacy?s=clinic&lang=ru&said=opted-out"));
    assert_eq!(out.cookie("metka_optout").as_deref(), Some("metka_optout=1"));
    let gone = Browser { cookie: "metka_optout=1".to_owned(), ..Browser::new(ADDRESS) };
    assert!(
        text(&gone.get(&server, &back)).contains("role=\"status\">Готово: обращения этого браузера больше")
    );
    assert!(!text(&anna.get(&server, &back)).contains("role=\"status\""), "nothing is told that is not so");
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    assert!(files.iter().all(|(_, bytes)| !contains(bytes, anna.value().as_bytes())));
    assert_eq!(server.terminate().0, Some(0));
}
