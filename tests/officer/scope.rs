//! Role × route × site: every cell from the route table, with tokens of all roles, bound
//! to this site, to another, to none.

use metka::web::role::Role;
use metka::web::routes::{Needs, ROUTES};
use serde_json::{Value, json};

use crate::{ADDRESS, Asker, Browser, CONFIG, PURPOSE, Place, stored, text, visitor};

/// How a route is asked about the site `clinic`.
struct Way {
    path: &'static str,
    method: &'static str,
    target: String,
    body: Value,
}

/// One way for each route that is about a site or about all; what is missing is about none.
fn ways(browser: &Browser, number: &str, act: &str) -> Vec<Way> {
    let who = json!({ "cookie": browser.value() });
    let way = |method, path, target: &str, body| Way { path, method, target: target.to_owned(), body };
    let question = json!({ "site_id": "clinic", "metrics": ["visitors"], "date_range": "day" });
    let about = json!({ "site_id": "clinic", "date_range": "day" });
    let questions =
        json!({ "site_id": "clinic", "queries": [{ "metrics": ["visitors"], "date_range": "day" }] });
    let one = format!("/api/v1/requests/{number}");
    vec![
        way("POST", "/api/v2/query", "/api/v2/query", question),
        way("POST", "/api/v2/queries", "/api/v2/queries", questions),
        way("GET", "/api/v1/live", "/api/v1/live?site_id=clinic", Value::Null),
        way("POST", "/api/v2/funnel", "/api/v2/funnel", funnel()),
        way("POST", "/api/v2/journeys", "/api/v2/journeys", about.clone()),
        way("POST", "/api/v2/retention", "/api/v2/retention", about),
        way("GET", "/api/v1/refusals", "/api/v1/refusals?site_id=clinic", Value::Null),
        way(
            "POST",
            "/api/v1/addresses",
            "/api/v1/addresses",
            json!({ "site_id": "clinic", "purpose": "security", "date_range": "day", "by": "address" }),
        ),
        way("POST", "/api/v1/addresses/open", "/api/v1/addresses/open", opening()),
        way(
            "POST",
            "/api/v1/fraud/check",
            "/api/v1/fraud/check",
            json!({ "site_id": "clinic", "ip": ADDRESS, "purpose": "fraud" }),
        ),
        way("GET", "/api/v1/fraud/alerts", "/api/v1/fraud/alerts?site_id=clinic", Value::Null),
        way("GET", "/api/v1/requests", "/api/v1/requests?site_id=clinic", Value::Null),
        way("POST", "/api/v1/requests", "/api/v1/requests", json!({ "site": "clinic", "kind": "access" })),
        way("GET", "/api/v1/requests/*", &one, Value::Null),
        way("POST", "/api/v1/requests/*", &one, json!({ "stopped": true })),
        way(
            "POST",
            "/api/v1/subjects",
            "/api/v1/subjects",
            json!({ "job": "find", "site": "clinic", "who": who, "purpose": PURPOSE }),
        ),
        way(
            "POST",
            "/api/v1/case",
            "/api/v1/case",
            json!({ "site": "clinic", "who": who, "purpose": "payments", "words": "a payment is contested" }),
        ),
        way("GET", "/api/v1/acts/*", &format!("/api/v1/acts/{act}"), Value::Null),
        way("GET", "/api/v1/audit", "/api/v1/audit?site_id=clinic", Value::Null),
        way("GET", "/api/v1/disclosures", "/api/v1/disclosures?site_id=clinic", Value::Null),
        way("POST", "/api/v1/disclosures", "/api/v1/disclosures", disclosure()),
        way("GET", "/api/v1/incidents", "/api/v1/incidents?site_id=clinic", Value::Null),
        way("POST", "/api/v1/incidents", "/api/v1/incidents", incident()),
        way("GET", "/api/v1/incidents/*", "/api/v1/incidents/I-2026-0001", Value::Null),
        way(
            "POST",
            "/api/v1/incidents/*",
            "/api/v1/incidents/I-2026-0001",
            json!({ "match": ["patient-1"] }),
        ),
        way("GET", "/api/v1/settings", "/api/v1/settings?site_id=clinic", Value::Null),
        way("POST", "/api/v1/settings", "/api/v1/settings", note()),
        // About all sites: not for a token that is bound to one.
        way("GET", "/api/v1/people", "/api/v1/people", Value::Null),
        way("POST", "/api/v1/people", "/api/v1/people", person()),
        way("GET", "/api/v1/policy", "/api/v1/policy?site_id=clinic", Value::Null),
        // About all sites: not for a token that is bound to one.
        way("POST", "/api/v1/retention", "/api/v1/retention", json!({ "dry_run": true })),
    ]
}

/// No funnel is kept here, which is said to whoever may ask.
fn funnel() -> Value {
    json!({ "site_id": "clinic", "date_range": "day", "funnel": "f1" })
}

/// The token is put in when there is one.
fn opening() -> Value {
    json!({ "site_id": "clinic", "address": "", "purpose": "security", "words": "a test" })
}

/// Two columns of today, to quality control.
fn disclosure() -> Value {
    json!({
        "site": "clinic", "recipient": "ООО «Контроль»", "recipient_kind": "quality",
        "basis": "договор № 7", "purpose": "проверка качества", "format": "csv",
        "scope": { "range": { "from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "fields": ["time", "path"] } },
    })
}

/// Something that everybody may write beside the numbers.
fn note() -> Value {
    json!({ "site_id": "clinic", "put": { "note": { "day": "2026-11-26", "text": "новая страница" } } })
}

/// Somebody who is there, and keeps the role.
fn person() -> Value {
    json!({ "change": { "login": "vera", "role": "viewer" } })
}

fn incident() -> Value {
    json!({
        "site": "clinic", "kind": "access", "from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z",
        "what": "доступ к копии базы",
    })
}

/// Routes that are about no site, or show each asker their part.
const OF_NO_SITE: &[&str] = &[
    "/",
    "/login",
    "/officer",
    "/security",
    "/share/*",
    "/settings",
    "/people",
    "/assets/*",
    "/favicon.ico",
    "/favicon.svg",
    "/demo",
    "/demo/*",
    "/health",
    "/.well-known/gpc.json",
    "/openapi.json",
    "/metrics",
    "/debug/hit",
    "/api/v1/sites",
    "/api/v1/session",
    "/api/v1/account",
    "/api/v1/account/totp",
    "/api/v1/account/totp/confirm",
    "/api/v1/account/totp/remove",
    "/api/v1/audit/verify",
    "/api/v1/retention",
];

#[test]
fn each_cell_of_role_route_and_site_is_as_the_route_table_declares() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let browser = visitor(&server, "clinic", "/");
    let gone = visitor(&server, "clinic", "/");
    stored(&server, "clinic", 2);
    let owner = Asker::new(&server, "owner", None);
    let vera = json!({ "add": { "login": "vera", "role": "viewer", "password": "long enough" } });
    owner.done("/api/v1/people", &vera);
    let erased = owner.done(
        "/api/v1/subjects",
        &json!({ "job": "erase", "site": "clinic", "who": { "cookie": gone.value() }, "purpose": PURPOSE }),
    );
    let act = erased["act"]["number"].as_str().expect("an act").to_owned();
    let stop = json!({ "site": "clinic", "kind": "stop", "who": { "cookie": browser.value() } });
    let reported = owner.done("/api/v1/incidents", &incident());
    let reported = reported["number"].as_str().expect("a number").to_owned();
    let addresses = owner.done(
        "/api/v1/addresses",
        &json!({ "site_id": "clinic", "purpose": "security", "date_range": "day", "by": "address" }),
    );
    let token = addresses["results"][0]["address"].clone();
    let nobody = Browser { cookie: "metka=none".to_owned(), ..Browser::new(ADDRESS) };
    let mut cells = 0;
    for route in ROUTES {
        let is_declared = OF_NO_SITE.contains(&route.path)
            || ways(&nobody, "", "")
                .iter()
                .any(|way| way.path == route.path && way.method == route.method.as_str());
        assert!(is_declared, "{} {} has no line here", route.method, route.path);
    }
    for role in Role::ALL {
        for site in [None, Some("clinic"), Some("other")] {
            let asker = Asker::new(&server, role.name(), site);
            // Its first step can be done once.
            let number =
                owner.done("/api/v1/requests", &stop)["number"].as_str().expect("a number").to_owned();
            for mut way in ways(&browser, &number, &act) {
                way.target = way.target.replace("I-2026-0001", &reported);
                if way.path == "/api/v1/addresses/open" {
                    way.body["address"] = token.clone();
                }
                let route = ROUTES
                    .iter()
                    .find(|route| route.path == way.path && route.method.as_str() == way.method)
                    .expect("a route");
                let may = match route.needs {
                    Needs::Role(needed) => role.includes(needed),
                    Needs::OneOf(needed) => needed.iter().any(|one| role.includes(*one)),
                    _ => panic!("{} is about a site and needs no role", route.path),
                };
                let is_of_all = ["/api/v1/retention", "/api/v1/people"].contains(&way.path);
                let sees = if is_of_all { site.is_none() } else { site != Some("other") };
                let reply = match way.method {
                    "GET" => asker.get(&way.target),
                    _ => asker.post(&way.target, &way.body),
                };
                let expected: &[u16] = match (may, sees) {
                    (false, _) => &[403],
                    // As if it were not there.
                    (true, false) => &[401, 404],
                    (true, true) if way.path == "/api/v2/funnel" => &[400],
                    (true, true) => &[200],
                };
                assert!(
                    expected.contains(&reply.status),
                    "{role} of {site:?}, {} {}: {} {}",
                    way.method,
                    way.target,
                    reply.status,
                    text(&reply)
                );
                cells += 1;
            }
        }
    }
    println!("{cells} cells of role, route and site: each as declared");
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_token_of_one_site_is_shown_nothing_of_another() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let browser = visitor(&server, "other", "/");
    stored(&server, "other", 1);
    let owner = Asker::new(&server, "owner", None);
    let made = owner.done(
        "/api/v1/requests",
        &json!({ "site": "other", "kind": "access", "who": { "cookie": browser.value() } }),
    );
    owner.done("/api/v1/requests", &json!({ "site": "clinic", "kind": "access" }));
    owner.done("/api/v1/retention", &json!({ "dry_run": false }));
    let bound = Asker::new(&server, "officer", Some("clinic"));
    let elsewhere = |mut what: Value| {
        what["site"] = json!("other");
        what
    };
    let reported = owner.done("/api/v1/incidents", &elsewhere(incident()));
    owner.done("/api/v1/disclosures", &elsewhere(disclosure()));
    let incident = format!("/api/v1/incidents/{}", reported["number"].as_str().expect("a number"));
    assert_eq!(bound.get(&incident).status, 404);
    assert_eq!(bound.post(&incident, &json!({ "done": "inquiry" })).status, 404);
    assert_eq!(bound.seen("/api/v1/incidents")["incidents"], json!([]));
    assert_eq!(bound.seen("/api/v1/disclosures")["disclosures"], json!([]));
    assert_eq!(
        owner.seen("/api/v1/disclosures?site_id=other")["disclosures"].as_array().map(Vec::len),
        Some(1)
    );
    let listed = bound.seen("/api/v1/requests");
    assert_eq!(listed["requests"].as_array().map(Vec::len), Some(1));
    assert_eq!((&listed["requests"][0]["site"], &listed["attention"]["open"]), (&json!("clinic"), &json!(1)));
    let number = made["number"].as_str().expect("a number");
    let (missing, theirs) =
        (bound.get("/api/v1/requests/2026-9999"), bound.get(&format!("/api/v1/requests/{number}")));
    assert_eq!(text(&missing).replace("2026-9999", number), text(&theirs), "no difference can be seen");
    // The same wherever a request can be named.
    let named = |number: &str| {
        let (cookie, request) = (json!({ "cookie": browser.value() }), json!({ "request": number }));
        let find = |who: &Value| json!({ "job": "find", "site": "clinic", "who": who, "purpose": PURPOSE });
        let with_request = |mut body: Value| {
            body["request"] = json!(number);
            body
        };
        let of = |scope: Value| {
            let mut body = disclosure();
            body["scope"] = scope;
            body
        };
        let words = "a payment is contested";
        [
            ("/api/v1/subjects", find(&request)),
            ("/api/v1/subjects", with_request(find(&cookie))),
            ("/api/v1/requests", json!({ "site": "clinic", "kind": "access", "who": request })),
            (
                "/api/v1/case",
                json!({ "site": "clinic", "who": request, "purpose": "payments", "words": words }),
            ),
            ("/api/v1/disclosures", with_request(disclosure())),
            ("/api/v1/disclosures", of(json!({ "person": request }))),
            ("/api/v1/disclosures", of(json!({ "case": { "who": request } }))),
        ]
    };
    let asker = Asker::new(&server, "owner", Some("clinic"));
    for ((target, missing), (_, theirs)) in named("2026-9999").into_iter().zip(named(number)) {
        let [missing, theirs] = [missing, theirs].map(|body| asker.post(target, &body));
        assert_eq!((missing.status, theirs.status), (404, 404), "{target}: {}", text(&theirs));
        assert_eq!(text(&missing).replace("2026-9999", number), text(&theirs), "{target}");
    }
    let trail = bound.seen("/api/v1/audit?last=1000");
    let sites: Vec<&Value> =
        trail["entries"].as_array().into_iter().flatten().map(|entry| &entry["site"]).collect();
    assert!(!sites.is_empty() && sites.iter().all(|site| **site == "clinic"), "{trail}");
    let report = bound.seen("/api/v1/retention");
    let lines = report["kinds"].as_array().expect("lines");
    assert!(lines.iter().all(|line| line["site"] == "clinic"), "{report}");
    assert_eq!(server.terminate().0, Some(0));
}
