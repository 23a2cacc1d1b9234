//! Shared links: what they open, and that they open nothing else.

use metka::web::routes::{Needs, ROUTES};
use metka::web::share;
use serde_json::{Value, json};

use crate::place::Place;
use crate::server::{Server, wait_for};
use crate::{Asker, CONFIG, SETTINGS, text};

/// Makes a link and returns its secret.
fn made(owner: &Asker, link: Value) -> String {
    let made = owner.put("clinic", json!({ "link": link }));
    let url = made["url"].as_str().expect("an address");
    let (before, secret) = url.rsplit_once('/').expect("a path");
    assert!(before.ends_with("/share") && secret.len() == 32, "{url}");
    secret.to_owned()
}

fn question(site: &str) -> Value {
    json!({ "site_id": site, "metrics": ["visitors"], "date_range": "day", "filters": [] })
}

/// Waits until storage answers.
fn ready(server: &Server) {
    wait_for("storage", || {
        let health = crate::http::exchange(server.web, &crate::http::get("/health", &[]));
        (health.json()["storage"] == "ready").then_some(())
    });
}

#[test]
fn a_shared_link_opens_its_site_and_nothing_else() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let owner = Asker::with_token(&server, "owner", None);
    owner.put("clinic", json!({ "note": { "day": "2026-11-26", "text": "Новый сайт" } }));
    let filters = json!([["is", "event:page", ["/a"]]]);
    let secret = made(&owner, json!({ "name": "Партнёр", "filters": filters }));
    let visitor = Asker::with_link(&server, &secret);
    ready(&server);

    let (mut opened, mut closed) = (0, 0);
    for route in ROUTES.iter().filter(|route| route.needs != Needs::Nothing) {
        let target = format!("{}?site_id=clinic", route.path.replace('*', "1"));
        let reply = visitor.send(route.method.as_str(), &target, &question("clinic"));
        match share::is_open(&route.method, route.path) {
            true => {
                assert!(!matches!(reply.status, 401 | 403), "{} {target}: {}", route.method, text(&reply));
                opened += 1;
            }
            false => {
                assert_eq!(reply.status, 403, "{} {target}: {}", route.method, text(&reply));
                closed += 1;
            }
        }
    }
    println!("{opened} routes are open under a link, {closed} are closed");
    assert!(opened >= 4 && closed >= 20, "{opened} {closed}");

    // Of its site, as a viewer, and nobody is told who wrote what.
    let sites = visitor.seen("/api/v1/sites");
    assert_eq!((sites.as_array().map(Vec::len), &sites[0]["id"]), (Some(1), &json!("clinic")));
    assert_eq!(visitor.post("/api/v2/query", &question("other")).status, 401);
    assert_eq!(visitor.get("/api/v1/settings?site_id=other").status, 401);
    let seen = visitor.seen("/api/v1/settings?site_id=clinic");
    assert_eq!((&seen["guarded"], seen["notes"][0].get("by")), (&json!(true), None));
    assert_eq!((seen.get("links"), seen.get("reports")), (None, None));
    // The owner's own credentials beside the link add nothing.
    let both = visitor.and("Authorization", &owner.headers[0].1);
    assert_eq!(both.seen("/api/v1/settings?site_id=clinic").get("links"), None);
    assert_eq!(both.get("/api/v1/people").status, 403);

    // The link's filters are in each question, whatever it says.
    for asked in [json!([]), json!([["is", "event:page", ["/b"]]])] {
        let mut question = question("clinic");
        question["filters"] = asked;
        let answer = visitor.done("/api/v2/query", &question);
        assert_eq!(answer["query"]["filters"][0], filters[0], "{answer}");
    }
    let live = visitor.seen("/api/v1/live?site_id=clinic");
    assert_eq!(live, json!({ "visitors": null, "pages": [], "sources": [] }), "no filter can narrow it");

    // Removed: closed from the next call on.
    owner.done(SETTINGS, &json!({ "site_id": "clinic", "remove": { "link": "l2" } }));
    assert_eq!(visitor.get("/api/v1/sites").status, 401);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_link_ends_with_its_time_and_wrong_secrets_have_to_wait() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let owner = Asker::with_token(&server, "owner", None);
    let now = jiff::Timestamp::now().as_millisecond();
    let short = made(&owner, json!({ "name": "Short", "expires": now + 3000 }));
    let long = made(&owner, json!({ "name": "Long", "expires": now + 3_600_000 }));
    let short = Asker::with_link(&server, &short).and("X-Forwarded-For", "192.0.2.1");
    wait_for("the link to end", || (short.get("/api/v1/sites").status == 401).then_some(()));
    let at = |address: &str, secret: &str| Asker::with_link(&server, secret).and("X-Forwarded-For", address);
    assert_eq!(at("192.0.2.1", &long).get("/api/v1/sites").status, 200);

    let guesses = (0..200).find(|number| {
        let reply = at("192.0.2.2", &format!("{number:032x}")).get("/api/v1/sites");
        assert!(matches!(reply.status, 401 | 429), "{}", text(&reply));
        reply.status == 429
    });
    let guesses = guesses.expect("somebody who guesses is stopped");
    println!("stopped after {guesses} wrong secrets");
    assert!((60..150).contains(&guesses), "{guesses}");
    assert_eq!(at("192.0.2.3", &long).get("/api/v1/sites").status, 200, "others go on");
    let reply = at("192.0.2.3", "\u{7f}").get("/api/v1/sites");
    assert!(matches!(reply.status, 400 | 401), "{}", text(&reply));

    // The page: its address is a key, so it is in no index and no referrer.
    let page = crate::http::exchange(server.web, &crate::http::get(&format!("/share/{long}"), &[]));
    if metka::assets::find("dashboard/index.html").is_some() {
        assert_eq!(page.status, 200);
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("x-robots-tag"), Some("noindex, nofollow"));
    } else {
        assert_eq!(page.status, 503);
    }
    // No secret is kept, nor logged.
    let mut files = Vec::new();
    crate::place::files_below(&place.data().join("settings"), &mut files);
    assert!(!files.is_empty());
    assert!(files.iter().all(|(_, bytes)| !crate::place::contains(bytes, long.as_bytes())));
    let (code, log) = server.terminate();
    assert!(code == Some(0) && !log.contains(&long), "{log}");
}
