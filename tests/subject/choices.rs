//! Marketing withdrawn, and browsers opted out, by the officer.

use serde_json::{Value, json};

use crate::place::Place;
use crate::server::{Server, wait_for};
use crate::{ADDRESS, Browser, PURPOSE, count, http, others, place, stored};

fn subject(place: &Place, job: &str, browser: &Browser) -> Value {
    place.done(&["subject", job, "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"], browser.value())
}

/// A browser that also remembers what was said about consent.
struct Visitor {
    browser: Browser,
    said: Option<String>,
}

// === impl Visitor ===

impl Visitor {
    fn new(address: &'static str) -> Visitor {
        Visitor { browser: Browser::new(address), said: None }
    }

    /// One page view, with or without a word of consent; takes all cookies.
    fn view(&mut self, server: &Server, page: &str, consent: Option<&str>) -> http::Reply {
        let mut hit = json!({"s": "clinic", "u": format!("https://clinic.example{page}")});
        if let Some(consent) = consent {
            hit["c"] = json!(consent);
        }
        let cookies = [Some(self.browser.cookie.clone()), self.said.clone()];
        let cookies: Vec<String> =
            cookies.into_iter().flatten().filter(|cookie| !cookie.is_empty()).collect();
        let cookies = cookies.join("; ");
        let headers = [("Cookie", cookies.as_str()), ("X-Forwarded-For", self.browser.address)];
        let reply = http::exchange(server.collect, &http::event(&hit.to_string(), &headers));
        if let Some(cookie) = reply.cookie("metka") {
            self.browser.cookie = cookie;
        }
        if let Some(said) = reply.cookie("metka_consent_clinic") {
            self.said = Some(said);
        }
        reply
    }
}

fn consent_of(server: &Server, page: &str) -> Value {
    wait_for("the hit to be stored", || {
        server
            .rows(&format!("SELECT toString(consent) FROM metka.hits WHERE path = '{page}'"))
            .first()
            .map(|row| row[0].clone())
    })
}

#[test]
fn an_opted_out_browser_is_refused_told_so_and_stays_so_over_a_restart() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new("198.51.100.20"));
    for page in 0..3 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    stored(&server, "clinic", 6);
    let done = subject(&place, "opt-out", &anna);
    assert_eq!((&done["changed"], &done["rows"]), (&json!(1), &json!(3)), "{done}");

    let refused = |server: &Server, browser: &Browser, what: &str| {
        let headers = [("Cookie", browser.cookie.as_str()), ("X-Forwarded-For", ADDRESS)];
        let pixel = http::get("/pixel.gif?s=clinic&u=https://clinic.example/again", &headers);
        let pixel = http::exchange(server.collect, &pixel);
        assert_eq!((pixel.status, pixel.header("x-metka")), (200, Some("opted-out")), "{what}");
        let event = http::event("{\"s\":\"clinic\",\"u\":\"https://clinic.example/again\"}", &headers);
        let event = http::exchange(server.collect, &event);
        assert_eq!(event.json()["refused"][0]["reason"], "opted-out", "{what}: {}", event.json());
        for reply in [&pixel, &event] {
            let cookies = reply.all("set-cookie");
            assert_eq!(cookies.len(), 2, "{what}: {cookies:?}");
            assert!(cookies[0].starts_with("metka_optout=1; ") && cookies[0].contains("Max-Age=33955200"));
            assert!(cookies[1].starts_with("metka=; ") && cookies[1].ends_with("Max-Age=0"));
        }
    };
    refused(&server, &anna, "at once");
    // Beside a hit that is kept, the word to the browser is the same.
    let two = "[{\"s\":\"other\",\"u\":\"https://other.example/\"},{\"s\":\"clinic\",\"u\":\"https://clinic.example/\"}]";
    let both = http::exchange(server.collect, &http::event(two, &[("Cookie", anna.cookie.as_str())]));
    assert_eq!((both.status, both.cookie("metka_optout")), (202, Some("metka_optout=1".to_owned())));
    boris.view(&server, "clinic", "/boris/again");
    server.kill();
    let server = place.serve();
    refused(&server, &anna, "after a restart");
    boris.view(&server, "clinic", "/boris/later");
    // The browser that obeyed is refused by its own cookie, and one without any is somebody else.
    let obeyed = http::get("/pixel.gif?s=clinic&u=https://clinic.example/", &[("Cookie", "metka_optout=1")]);
    assert_eq!(http::exchange(server.collect, &obeyed).header("x-metka"), Some("opted-out"));
    Browser::new(ADDRESS).view(&server, "clinic", "/new");
    stored(&server, "clinic", 9);
    assert_eq!(count(&server, "path = '/again'"), 0);
    let entries = place.done(&["audit", "list", "--action", "subject_opted_out"], "");
    assert_eq!(entries["entries"].as_array().map(Vec::len), Some(1), "{entries}");

    // It is the browser that opts out.
    let mut carla = Browser::of("carla-key-1", "198.51.100.30");
    carla.cookie = "metka_none=1".to_owned();
    let user = ["subject", "opt-out", "--site", "clinic", "--purpose", PURPOSE, "--user", "carla-key-1"];
    let error = place.refused(&user, "", 2);
    assert!(error.contains("it is the browser that opts out"), "{error}");
    // What is stored is neither more nor less.
    assert_eq!(subject(&place, "find", &anna)["rows"], 3);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn marketing_withdrawn_stays_so_until_the_visitor_says_otherwise() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Visitor::new(ADDRESS), Visitor::new("198.51.100.20"));
    for page in 0..3 {
        let word = (page == 0).then_some("marketing");
        anna.view(&server, &format!("/anna/{page}"), word);
        boris.view(&server, &format!("/boris/{page}"), word);
    }
    stored(&server, "clinic", 6);
    assert_eq!(count(&server, "consent = 'marketing'"), 6);
    let kept = others(&server, "/anna/");
    // The last of them still waits.
    anna.view(&server, "/anna/3", None);
    let done = subject(&place, "withdraw-marketing", &anna.browser);
    assert_eq!((&done["changed"], &done["rows"]), (&json!(4), &json!(4)), "{done}");
    assert_eq!(count(&server, "path LIKE '/anna/%' AND consent = 'granted'"), 4);
    assert_eq!(others(&server, "/anna/"), kept);

    // A browser that still remembers the old word, and is told another.
    let remembered = anna.said.clone();
    anna.view(&server, "/anna/4", None);
    assert_eq!(anna.said.as_deref(), Some("metka_consent_clinic=granted"));
    assert_eq!(consent_of(&server, "/anna/4"), "granted");
    anna.said.clone_from(&remembered);
    server.kill();
    let server = place.serve();
    anna.view(&server, "/anna/5", None);
    assert_eq!(consent_of(&server, "/anna/5"), "granted", "over a restart");
    boris.view(&server, "/boris/5", None);
    assert_eq!(consent_of(&server, "/boris/5"), "marketing");

    // A new word counts, at once, from then on, and over a restart.
    anna.view(&server, "/anna/6", Some("marketing"));
    assert_eq!(anna.said.as_deref(), Some("metka_consent_clinic=marketing"));
    anna.view(&server, "/anna/7", None);
    server.kill();
    let server = place.serve();
    anna.view(&server, "/anna/8", None);
    for page in 6..9 {
        assert_eq!(consent_of(&server, &format!("/anna/{page}")), "marketing", "{page}");
    }
    assert_eq!(count(&server, "path LIKE '/anna/%' AND consent = 'granted'"), 6, "the past stays as it was");
    let file = std::fs::read_to_string(place.data().join("rights/choices.json")).expect("the list");
    assert_eq!(file, "{\"version\":1,\"choices\":[]}");
    // And may be taken back again.
    assert_eq!(subject(&place, "withdraw-marketing", &anna.browser)["changed"], 3);
    anna.view(&server, "/anna/9", None);
    assert_eq!(consent_of(&server, "/anna/9"), "granted");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_restored_backup_does_not_bring_a_withdrawn_consent_back() {
    let here = place();
    let server = here.serve();
    let (mut anna, mut boris) = (Visitor::new(ADDRESS), Visitor::new("198.51.100.20"));
    for page in 0..3 {
        anna.view(&server, &format!("/anna/{page}"), Some("marketing"));
        boris.view(&server, &format!("/boris/{page}"), Some("marketing"));
    }
    stored(&server, "clinic", 6);
    let backups = here.data().join("backups");
    let made = here.done(&["backup", "--to", backups.to_str().expect("a plain path")], "");
    assert_eq!(subject(&here, "withdraw-marketing", &anna.browser)["changed"], 3);
    let file = here.path().join("keys.sealed");
    let file = file.to_str().expect("a plain path");
    here.done(&["keys", "export", file, "--passphrase-stdin"], "five words on a card");
    assert_eq!(server.terminate().0, Some(0));

    // On another machine, with what is not in a backup.
    let there = place();
    there.done(&["keys", "import", file, "--passphrase-stdin"], "five words on a card");
    std::fs::create_dir_all(there.data().join("rights")).expect("made");
    std::fs::copy(here.data().join("rights/choices.json"), there.data().join("rights/choices.json"))
        .expect("copied");
    there.done(&["restore", made["file"].as_str().expect("a file")], "");
    let server = there.serve();
    stored(&server, "clinic", 6);
    wait_for("the start to look after it", || {
        (count(&server, "path LIKE '/anna/%' AND consent = 'marketing'") == 0).then_some(())
    });
    assert_eq!(count(&server, "path LIKE '/boris/%' AND consent = 'marketing'"), 3);
    assert_eq!(server.terminate().0, Some(0));
}
