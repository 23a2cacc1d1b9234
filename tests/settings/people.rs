//! People and tokens over the web.

use serde_json::{Value, json};

use crate::place::Place;
use crate::server::Server;
use crate::{Asker, CONFIG, text, trail};

const PEOPLE: &str = "/api/v1/people";
const PASSWORD: &str = "long enough to be one";

/// A person who signs in.
fn signed_in<'a>(server: &'a Server, login: &str) -> Asker<'a> {
    let nobody = Asker { server, headers: Vec::new() };
    let reply = nobody.post("/api/v1/session", &json!({ "login": login, "password": PASSWORD }));
    assert_eq!(reply.status, 200, "{}", text(&reply));
    let cookie = reply.cookie("metka_session").expect("a session");
    nobody.and("Cookie", &cookie)
}

#[test]
fn an_owner_looks_after_people_and_tokens_and_stays_one() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let program = Asker::with_token(&server, "owner", None);
    let add =
        |login: &str, role: &str| json!({ "add": { "login": login, "role": role, "password": PASSWORD } });
    assert_eq!(program.done(PEOPLE, &add("olga", "owner")), json!({ "login": "olga", "role": "owner" }));
    let olga = signed_in(&server, "olga");

    // Nobody else may, and no token of one site.
    for role in ["viewer", "officer", "security"] {
        let asker = Asker::with_token(&server, role, None);
        assert_eq!((asker.get(PEOPLE).status, asker.post(PEOPLE, &add("x", "owner")).status), (403, 403));
    }
    let bound = Asker::with_token(&server, "owner", Some("clinic"));
    assert_eq!((bound.get(PEOPLE).status, bound.post(PEOPLE, &add("x", "owner")).status), (401, 401));

    // A role holds from the next request on.
    olga.done(PEOPLE, &add("vera", "viewer"));
    let vera = signed_in(&server, "vera");
    assert_eq!(vera.get("/api/v1/requests").status, 403);
    olga.done(PEOPLE, &json!({ "change": { "login": "vera", "role": "officer" } }));
    assert_eq!(vera.get("/api/v1/requests").status, 200);
    olga.done(PEOPLE, &json!({ "remove": { "login": "vera" } }));
    assert_eq!(vera.get("/api/v1/requests").status, 401);

    // A token is shown once, and ends at once.
    let made = olga.done(
        PEOPLE,
        &json!({ "token": { "name": "grafana", "role": "viewer", "site": "clinic", "days": 7 } }),
    );
    let secret = made["token"].as_str().expect("a token");
    let grafana = Asker::bearer(&server, secret);
    assert_eq!(grafana.seen("/api/v1/sites").as_array().map(Vec::len), Some(1));
    let listed = olga.seen(PEOPLE);
    assert_eq!(listed["people"], json!([{ "login": "olga", "role": "owner", "totp": false }]));
    let token = listed["tokens"].as_array().and_then(|all| all.iter().find(|one| one["id"] == made["id"]));
    let token = token.expect("it is listed");
    assert_eq!(
        (&token["name"], &token["role"], &token["site"]),
        (&json!("grafana"), &json!("viewer"), &json!("clinic"))
    );
    assert_eq!(
        token["expires"].as_i64().zip(token["made"].as_i64()).map(|(to, from)| to - from),
        Some(7 * 86_400_000)
    );
    assert!(!listed.to_string().contains(secret));
    olga.done(PEOPLE, &json!({ "revoke": { "id": made["id"] } }));
    assert_eq!(grafana.get("/api/v1/sites").status, 401);

    // The last owner who can sign in stays, until there is another.
    let demote = json!({ "change": { "login": "olga", "role": "viewer" } });
    for asked in [&demote, &json!({ "remove": { "login": "olga" } })] {
        let error = olga.refused(PEOPLE, asked, 409);
        assert!(error.contains("\"olga\" is the last owner"), "{error}");
    }
    for (asked, status, expected) in [
        (add("olga", "viewer"), 400, "exists already"),
        (add("a b", "viewer"), 400, "is not a name"),
        (
            json!({ "add": { "login": "p", "role": "viewer", "password": "short" } }),
            400,
            "at least 8 characters",
        ),
        (json!({ "change": { "login": "nobody", "role": "viewer" } }), 404, "there is no login"),
        (json!({ "revoke": { "id": "00000000" } }), 404, "there is no token"),
        (json!({ "token": { "name": "t", "role": "viewer", "site": "nowhere" } }), 400, "token.site"),
        (json!({ "token": { "name": "t", "role": "viewer", "days": 0 } }), 400, "token.days"),
        (json!({ "rename": {} }), 400, "unknown variant `rename`"),
    ] {
        let error = olga.refused(PEOPLE, &asked, status);
        assert!(error.contains(expected), "{error}");
    }
    olga.done(PEOPLE, &add("ivan", "owner"));
    olga.done(PEOPLE, &demote);
    assert_eq!(olga.get(PEOPLE).status, 403, "she is no owner any more");

    let entries = trail(&server);
    for (action, detail) in [
        ("people_listed", ""),
        ("person_added", "login vera, role viewer"),
        ("person_changed", "login vera, role officer, was viewer"),
        ("person_removed", "login vera"),
        ("person_changed", "login olga, role viewer, was owner"),
    ] {
        assert!(
            entries.iter().any(|(one, told)| one == action && told == detail),
            "{action} {detail}: {entries:?}"
        );
    }
    let of = |action: &str| entries.iter().filter(|(one, _)| one == action).count();
    assert_eq!((of("token_created"), of("token_revoked")), (6, 1));
    assert!(entries.iter().all(|(_, detail)| !detail.contains(PASSWORD) && !detail.contains(secret)));
    let same: Value = server.command(&["user", "list"]);
    assert_eq!(same["people"].as_array().map(Vec::len), Some(2), "the command sees the same");
    assert_eq!(server.terminate().0, Some(0));
}
