//! The web address from outside: who gets in, what each answer looks like.

mod control;
#[path = "../support/protection.rs"]
#[expect(dead_code, reason = "each test binary meets its part of the kinds")]
mod protection;
mod server;

use std::os::unix::fs::MetadataExt;

use http::{Method, StatusCode};
use metka::web::role::Role;
use metka::web::routes::{Needs, ROUTES, Route};
use metka::web::{attempts, sessions};
use serde_json::{Value, json};

use protection::{Kind, compare};
use server::{CLOCK_OFFSET, PASSWORD, Server};

fn question(site: &str) -> Value {
    json!({ "site_id": site, "metrics": ["visitors"], "date_range": "7d" })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn the_first_owner_signs_in_with_the_code_and_chooses_a_password() {
    let server = Server::start().await;
    let offer = server.state.first.offer(&server.state.people, false, server.state.now()).expect("offered");
    let path = server.data.path().join("first-sign-in");
    assert_eq!(offer, metka::web::first::Offer::File(path.clone()));
    let code = std::fs::read_to_string(&path).expect("readable");

    // However many there are elsewhere who guess it.
    for number in 0..=attempts::ACCOUNT_BURST {
        let source = format!("192.0.2.{number}");
        let guess = json!({ "code": "AAAA-AAAA-AAAA-AAAA" });
        let wrong = server.post("/api/v1/session", &[("x-forwarded-for", &source)], &guess).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    }
    let reply = server.post("/api/v1/session", &[], &json!({ "code": code.trim() })).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({ "login": null, "role": "owner", "guarded": false, "needs_password": true, "totp": false })
    );
    assert!(!path.exists());
    let again = server.post("/api/v1/session", &[], &json!({ "code": code.trim() })).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);

    let cookie = reply.cookie();
    let sites = server.get("/api/v1/sites", &[("cookie", &cookie)]).await;
    assert_eq!(sites.status, StatusCode::OK);
    let short = server
        .post("/api/v1/account", &[("cookie", &cookie)], &json!({ "login": "olga", "password": "short" }))
        .await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST);
    let chosen = server
        .post("/api/v1/account", &[("cookie", &cookie)], &json!({ "login": "olga", "password": PASSWORD }))
        .await;
    assert_eq!(
        chosen.json(),
        json!({ "login": "olga", "role": "owner", "guarded": false, "needs_password": false, "totp": false })
    );
    assert_ne!(chosen.cookie(), cookie);
    assert_eq!(server.get("/api/v1/session", &[("cookie", &cookie)]).await.status, StatusCode::UNAUTHORIZED);
    let sites = server.get("/api/v1/sites", &[("cookie", &chosen.cookie())]).await;
    assert_eq!(sites.status, StatusCode::OK);
    server.sign_in("olga").await;
}

#[tokio::test]
async fn an_own_password_is_changed_with_the_current_one_and_ends_other_sessions() {
    let server = Server::start().await;
    server.add("olga", Role::Viewer);
    let here = server.sign_in("olga").await;
    let elsewhere = server.sign_in("olga").await;
    let change = |current: Value| json!({ "password": "another long one", "current": current });
    for current in [Value::Null, json!("wrong password")] {
        let refused = server.post("/api/v1/account", &[("cookie", &here)], &change(current)).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    }
    let changed = server.post("/api/v1/account", &[("cookie", &here)], &change(json!(PASSWORD))).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    for (cookie, expected) in [(elsewhere, 401), (here, 401), (changed.cookie(), 200)] {
        assert_eq!(server.get("/api/v1/session", &[("cookie", &cookie)]).await.status, expected);
    }
}

/// The code of a secret at a moment, in milliseconds, by another's hand: RFC 6238.
fn code_at(secret: &str, now: i64) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base 32");
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&secret).expect("any length");
    mac.update(&(now / 30_000).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0xf);
    let bytes: [u8; 4] = digest[at..at + 4].try_into().expect("four bytes");
    format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_it_is_confirmed_and_its_codes_work_once() {
    let server = Server::start().await;
    server.add("olga", Role::Officer);
    let (here, elsewhere) = (server.sign_in("olga").await, server.sign_in("olga").await);
    let refused =
        server.post("/api/v1/account/totp", &[("cookie", &here)], &json!({ "current": "wrong" })).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let offered =
        server.post("/api/v1/account/totp", &[("cookie", &here)], &json!({ "current": PASSWORD })).await;
    let secret = offered.json()["secret"].as_str().expect("a secret").to_owned();
    assert!(offered.json()["uri"].as_str().is_some_and(|uri| uri.contains(&secret)));
    // Not before it is confirmed.
    server.sign_in("olga").await;
    let confirm = |code: String| json!({ "code": code });
    let at = |steps: i64| code_at(&secret, server.state.now() + 30_000 * steps);
    for wrong in ["000000".to_owned(), String::new(), at(5)] {
        let reply =
            server.post("/api/v1/account/totp/confirm", &[("cookie", &here)], &confirm(wrong.clone())).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    // One step behind, so that the present one is still to be used.
    let first = at(-1);
    let confirmed =
        server.post("/api/v1/account/totp/confirm", &[("cookie", &here)], &confirm(first.clone())).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());
    for (cookie, status) in [(&here, 401), (&elsewhere, 401), (&confirmed.cookie(), 200)] {
        assert_eq!(server.get("/api/v1/session", &[("cookie", cookie)]).await.status, status);
    }
    let session = server.get("/api/v1/session", &[("cookie", &confirmed.cookie())]).await;
    assert_eq!(session.json()["totp"], true);

    let sign_in = |totp: Option<String>| json!({ "login": "olga", "password": PASSWORD, "totp": totp });
    for wrong in [None, Some(String::new()), Some(first)] {
        let reply = server.post("/api/v1/session", &[], &sign_in(wrong)).await;
        assert_eq!((reply.status, reply.json()["needs"].clone()), (StatusCode::UNAUTHORIZED, json!("totp")));
    }
    // Without the password the second factor is not even told of.
    let reply = server
        .post("/api/v1/session", &[], &json!({ "login": "olga", "password": "wrong", "totp": at(0) }))
        .await;
    assert_eq!((reply.status, reply.json()["needs"].clone()), (StatusCode::UNAUTHORIZED, Value::Null));
    let code = at(0);
    let reply = server.post("/api/v1/session", &[], &sign_in(Some(code.clone()))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let cookie = reply.cookie();
    let twice = server.post("/api/v1/session", &[], &sign_in(Some(code.clone()))).await;
    assert_eq!(twice.status, StatusCode::UNAUTHORIZED);
    let remove = |code: String| json!({ "current": PASSWORD, "code": code });
    let used = server.post("/api/v1/account/totp/remove", &[("cookie", &cookie)], &remove(code)).await;
    assert_eq!(used.status, StatusCode::BAD_REQUEST);
    let removed = server.post("/api/v1/account/totp/remove", &[("cookie", &cookie)], &remove(at(1))).await;
    assert_eq!(removed.status, StatusCode::OK, "{}", removed.text());
    server.sign_in("olga").await;
    let actions: Vec<String> = server.actions();
    for action in ["second_factor_set", "second_factor_removed"] {
        assert_eq!(actions.iter().filter(|one| *one == action).count(), 1, "{actions:?}");
    }
}

#[tokio::test]
async fn codes_are_guessed_no_faster_than_passwords() {
    let server = Server::start().await;
    server.add("olga", Role::Officer);
    server.people(|roster| {
        roster.offer_second_factor("olga")?;
        roster.confirm_second_factor("olga").map(drop)
    });
    let mut waited = false;
    for number in 0..=attempts::ACCOUNT_BURST + 1 {
        let source = format!("192.0.2.{number}");
        let body = json!({ "login": "olga", "password": PASSWORD, "totp": format!("{number:06}") });
        let reply = server.post("/api/v1/session", &[("x-forwarded-for", &source)], &body).await;
        waited = reply.status == StatusCode::TOO_MANY_REQUESTS;
        if waited {
            break;
        }
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", reply.text());
    }
    assert!(waited, "guesses were never stopped");
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_compared_than_of_so_many_in_a_row() {
    let server = std::sync::Arc::new(Server::start().await);
    server.add("olga", Role::Officer);
    server.people(|roster| {
        roster.offer_second_factor("olga")?;
        roster.confirm_second_factor("olga").map(drop)
    });
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..3 * attempts::ACCOUNT_BURST {
        let server = server.clone();
        guesses.spawn(async move {
            let source = format!("192.0.2.{number}");
            let body = json!({ "login": "olga", "password": PASSWORD, "totp": format!("{number:06}") });
            let reply = server.post("/api/v1/session", &[("x-forwarded-for", &source)], &body).await;
            (reply.status, reply.text())
        });
    }
    let answers = guesses.join_all().await;
    let count = |status| answers.iter().filter(|(got, _)| *got == status).count();
    let (compared, refused) = (count(StatusCode::UNAUTHORIZED), count(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(compared, attempts::ACCOUNT_BURST as usize, "{answers:?}");
    assert_eq!(compared + refused, answers.len(), "{answers:?}");
}

#[tokio::test]
async fn a_second_factor_is_set_once_and_with_codes_that_are_guessed_no_faster_than_passwords() {
    let server = Server::start().await;
    for login in ["olga", "ivan"] {
        server.add(login, Role::Officer);
    }
    let (olga, ivan) = (server.sign_in("olga").await, server.sign_in("ivan").await);
    let offered =
        server.post("/api/v1/account/totp", &[("cookie", &olga)], &json!({ "current": PASSWORD })).await;
    let secret = offered.json()["secret"].as_str().expect("a secret").to_owned();
    let code = |steps: i64| code_at(&secret, server.state.now() + 30_000 * steps);
    let confirm = async |cookie: &str, code: String| {
        let body = json!({ "code": code });
        server.post("/api/v1/account/totp/confirm", &[("cookie", cookie)], &body).await
    };
    // A file that is replaced is another one.
    let file = || std::fs::metadata(server.data.path().join("people.json")).expect("people").ino();
    let before = file();
    assert_eq!(confirm(&olga, "000000".to_owned()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(file(), before, "nothing is written for a wrong code");
    let confirmed = confirm(&olga, code(-1)).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());

    // One in force is no way to try codes, nor to use them up.
    let (cookie, present) = (confirmed.cookie(), code(0));
    let again = confirm(&cookie, present.clone()).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.text().contains("has a second factor already"), "{}", again.text());
    assert_eq!(server.get("/api/v1/session", &[("cookie", &cookie)]).await.status, StatusCode::OK);
    let sign_in = json!({ "login": "olga", "password": PASSWORD, "totp": present });
    assert_eq!(server.post("/api/v1/session", &[], &sign_in).await.status, StatusCode::OK);

    server.post("/api/v1/account/totp", &[("cookie", &ivan)], &json!({ "current": PASSWORD })).await;
    let mut waited = false;
    for number in 0..=attempts::ACCOUNT_BURST + 1 {
        let reply = confirm(&ivan, format!("{number:06}")).await;
        waited = reply.status == StatusCode::TOO_MANY_REQUESTS;
        if waited {
            break;
        }
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    }
    assert!(waited, "guesses were never stopped");
}

#[tokio::test]
async fn a_session_has_a_new_id_at_every_sign_in_and_ends_at_sign_out() {
    let server = Server::start().await;
    server.add("olga", Role::Owner);
    let planted = "metka_session=0000000000000000000000000000000000000000000000000000000000000000";
    let credentials = json!({ "login": "olga", "password": PASSWORD });
    let reply = server.post("/api/v1/session", &[("cookie", planted)], &credentials).await;
    let first = reply.cookie();
    assert_ne!(first, planted);
    assert_eq!(server.get("/api/v1/session", &[("cookie", planted)]).await.status, StatusCode::UNAUTHORIZED);
    // Signing in again from the same browser ends the session it had.
    let second = server.post("/api/v1/session", &[("cookie", &first)], &credentials).await.cookie();
    assert_eq!(server.get("/api/v1/session", &[("cookie", &first)]).await.status, StatusCode::UNAUTHORIZED);
    let out = server.send(Method::DELETE, "/api/v1/session", &[("cookie", &second)], "".into()).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    assert_eq!(server.get("/api/v1/session", &[("cookie", &second)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_survive_a_restart_and_end_with_their_person() {
    let server = Server::start().await;
    server.add("olga", Role::Owner);
    server.add("ivan", Role::Viewer);
    let (olga, ivan) = (server.sign_in("olga").await, server.sign_in("ivan").await);
    let server = Server::with(server.stop().await, "").await;
    assert_eq!(server.get("/api/v1/session", &[("cookie", &olga)]).await.json()["login"], "olga");
    server.people(|roster| roster.remove("ivan"));
    assert_eq!(server.get("/api/v1/session", &[("cookie", &ivan)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    for (settings, name, secure) in [
        ("", "metka_session=", false),
        ("web.public_url = \"https://stats.example\"", "__Host-metka_session=", true),
    ] {
        let server = Server::with(tempfile::tempdir().expect("a directory"), settings).await;
        server.add("olga", Role::Owner);
        let reply =
            server.post("/api/v1/session", &[], &json!({ "login": "olga", "password": PASSWORD })).await;
        let cookie = reply.header("set-cookie");
        assert!(cookie.starts_with(name), "{cookie}");
        for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn an_unknown_login_and_a_wrong_password_get_the_same_answer_and_then_wait() {
    let server = Server::start().await;
    server.add("olga", Role::Owner);
    let mut texts = Vec::new();
    for login in ["olga", "nobody"] {
        let mut waited = None;
        for number in 0..=attempts::ACCOUNT_BURST + 1 {
            // Each from another address behind the proxy, so that only the account's limit counts.
            let source = format!("192.0.2.{number}");
            let body = json!({ "login": login, "password": "not this one" });
            let reply = server.post("/api/v1/session", &[("x-forwarded-for", &source)], &body).await;
            if reply.status == StatusCode::TOO_MANY_REQUESTS {
                assert!(reply.header("retry-after").parse::<u32>().expect("seconds") <= 60);
                waited = Some(number);
                break;
            }
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
            texts.push(reply.text());
        }
        assert!(waited.is_some(), "{login} was never stopped");
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    // Even the right password waits now, and another account does not.
    let right = json!({ "login": "olga", "password": PASSWORD });
    assert_eq!(server.post("/api/v1/session", &[], &right).await.status, StatusCode::TOO_MANY_REQUESTS);
    server.add("ivan", Role::Viewer);
    server.sign_in("ivan").await;
}

#[tokio::test]
async fn a_wrong_password_is_answered_before_the_trail_tells_of_it() {
    /// Longer than any answer takes.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
    let server = Server::start().await;
    server.add("olga", Role::Owner);
    server.sign_in("olga").await;
    // Nothing can be written there meanwhile.
    let lock = std::fs::File::open(server.data.path().join("audit/lock")).expect("the trail's lock");
    lock.lock().expect("nobody else holds it for long");
    for login in ["olga", "nobody"] {
        let body = json!({ "login": login, "password": "not this one" });
        let asking = server.post("/api/v1/session", &[], &body);
        let reply = tokio::time::timeout(PATIENCE, asking).await;
        let reply = reply.unwrap_or_else(|_| panic!("the answer to {login} waits for the trail"));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let failures = |server: &Server| server.actions().iter().filter(|one| *one == "sign_in_failed").count();
    drop(lock);
    tokio::time::timeout(PATIENCE, async {
        while failures(&server) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the trail tells of both");
}

#[tokio::test]
async fn requests_from_other_sites_change_nothing() {
    let server = Server::start().await;
    server.add("olga", Role::Owner);
    let cookie = server.sign_in("olga").await;
    let own = format!("http://{}", server.address);
    let check = async |headers: &[(&str, &str)], expected: u16| {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(headers);
        let reply = server.post("/api/v2/query", &all, &question("clinic")).await;
        assert_eq!(reply.status, expected, "{headers:?}: {}", reply.text());
    };
    check(&[], 200).await;
    check(&[("origin", &own)], 200).await;
    check(&[("sec-fetch-site", "same-origin"), ("origin", &own)], 200).await;
    check(&[("origin", "https://evil.example")], 403).await;
    check(&[("origin", "null")], 403).await;
    check(&[("sec-fetch-site", "cross-site")], 403).await;
    check(&[("sec-fetch-site", "same-site")], 403).await;
    check(&[("sec-fetch-site", "none")], 403).await;
    check(&[("sec-fetch-site", "cross-site"), ("origin", &own)], 403).await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let reply = server
            .send(
                Method::POST,
                "/api/v2/query",
                &[("cookie", &cookie), ("content-type", content_type)],
                question("clinic").to_string().into(),
            )
            .await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type:?}");
    }
    let signed_out = server
        .send(
            Method::DELETE,
            "/api/v1/session",
            &[("cookie", &cookie), ("origin", "https://evil.example")],
            "".into(),
        )
        .await;
    assert_eq!(signed_out.status, StatusCode::FORBIDDEN);
    assert_eq!(server.get("/api/v1/session", &[("cookie", &cookie)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn missing_wrong_expired_and_foreign_keys_get_the_same_text() {
    let server = Server::start().await;
    let now = server.state.now();
    let site_token = server.token(Role::Owner, Some("shop"));
    let expired =
        server.people(|roster| roster.create_token("old", Role::Owner, None, Some(now - 1), now - 2)).1;
    let revoked = server.people(|roster| {
        let made = roster.create_token("revoked", Role::Owner, None, None, now)?;
        roster.revoke_token("revoked")?;
        Ok(made.1)
    });
    let any = server.token(Role::Viewer, None);
    let mut texts = Vec::new();
    for (authorization, site) in [
        (String::new(), "clinic"),
        (bearer("mtk_00"), "clinic"),
        ("Basic b2xnYTpvbGdh".to_owned(), "clinic"),
        (bearer(&expired), "clinic"),
        (bearer(&revoked), "clinic"),
        (bearer(&site_token), "clinic"),
        (bearer(&any), "no-such-site"),
    ] {
        let headers = [("authorization", authorization.as_str())];
        let headers = if authorization.is_empty() { &[][..] } else { &headers };
        let reply = server.post("/api/v2/query", headers, &question(site)).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{authorization} {site}");
        assert!(reply.json()["error"].is_string());
        texts.push(reply.text());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    let reply =
        server.post("/api/v2/query", &[("authorization", &bearer(&site_token))], &question("shop")).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let sites = server.get("/api/v1/sites", &[("authorization", &bearer(&site_token))]).await.json();
    assert_eq!(sites.as_array().expect("a list").len(), 1);
    assert_eq!(sites[0]["id"], "shop");
    assert_eq!(
        sites[0]["attribution"],
        json!([{"text": "geo data by somebody", "url": "https://geo.example/"}])
    );
}

/// Every cell of role × route, from the route table itself.
/// A role, or nobody, and the headers that prove it.
type Asker<'a> = (Option<Role>, Vec<(&'a str, String)>);

#[tokio::test]
async fn each_route_admits_whom_its_table_entry_declares() {
    let server = Server::start().await;
    let mut askers: Vec<Asker> = vec![
        (None, vec![]),
        (None, vec![("authorization", bearer("mtk_wrong"))]),
        (None, vec![("cookie", "metka_session=wrong".to_owned())]),
    ];
    for role in Role::ALL {
        askers.push((Some(role), vec![("authorization", bearer(&server.token(role, None)))]));
        server.add(role.name(), role);
    }
    for role in Role::ALL {
        let cookie = server.sign_in(role.name()).await;
        askers.push((Some(role), vec![("cookie", cookie)]));
    }
    for route in ROUTES.iter().filter(|route| route.method != Method::DELETE) {
        for (role, credentials) in &askers {
            let by_token = credentials.iter().any(|(name, _)| *name == "authorization");
            let expected = match (route.needs, role) {
                (Needs::Nothing, _) => None,
                (_, None) => Some(401),
                (Needs::Session, Some(_)) if by_token => Some(403),
                (Needs::Role(needed) | Needs::LocalOrRole(needed), Some(role)) if !role.includes(needed) => {
                    Some(403)
                }
                (Needs::OneOf(needed), Some(role)) if !needed.iter().any(|one| role.includes(*one)) => {
                    Some(403)
                }
                _ => None,
            };
            let status = ask(&server, route, credentials).await;
            match expected {
                Some(expected) => assert_eq!(status, expected, "{} {} {role:?}", route.method, route.path),
                // The body is nonsense for some of them; that is judged after the asker.
                None => assert!(
                    (status != 401 && status != 403)
                        || route.path == "/api/v1/session"
                        || route.path == "/api/v1/account",
                    "{} {} {role:?}: {status}",
                    route.method,
                    route.path
                ),
            }
        }
    }
}

async fn ask(server: &Server, route: &Route, credentials: &[(&str, String)]) -> u16 {
    let mut headers: Vec<(&str, &str)> =
        credentials.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // As if from elsewhere, so that being local opens nothing.
    headers.push(("x-forwarded-for", "192.0.2.7"));
    let path = route.path.replace('*', "x");
    let reply = if route.method == Method::POST {
        server.post(&path, &headers, &question("clinic")).await
    } else {
        server.get(&format!("{path}?site_id=clinic"), &headers).await
    };
    reply.status.as_u16()
}

#[tokio::test]
async fn questions_reach_storage_and_its_mistakes_come_back_line_by_line() {
    let server = Server::start().await;
    let token = bearer(&server.token(Role::Viewer, None));
    let headers = [("authorization", token.as_str())];
    let reply = server.post("/api/v2/query", &headers, &question("clinic")).await;
    assert_eq!(reply.json()["site"], "clinic");
    let reply = server.post("/api/v2/query", &headers, &json!({ "site_id": "clinic" })).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.json(), json!({ "error": "#/metrics: is required\n#/x" }));
    for (body, expected) in [
        ("{}".to_owned(), 400),
        ("[1]".to_owned(), 400),
        ("{\"site_id\":".to_owned(), 400),
        (format!("{{\"site_id\":\"{}\"}}", "x".repeat(70_000)), 413),
    ] {
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let reply = server.send(Method::POST, "/api/v2/query", &headers, body.clone().into()).await;
        assert_eq!(reply.status, expected, "{}", &body[..body.len().min(40)]);
        assert!(reply.json()["error"].is_string());
    }
    let live = server.get("/api/v1/live?site_id=clinic", &headers).await;
    assert_eq!(
        live.json(),
        json!({ "report": "live", "site": "clinic", "question": { "site_id": "clinic" }, "guarded": true })
    );
}

#[tokio::test]
async fn questions_about_whole_visits_reach_storage_for_every_role_and_steps_for_all_but_viewers() {
    let server = Server::start().await;
    for role in Role::ALL {
        let token = bearer(&server.token(role, Some("clinic")));
        let headers = [("authorization", token.as_str())];
        for name in ["funnel", "journeys", "retention"] {
            let path = format!("/api/v2/{name}");
            let body = json!({ "site_id": "clinic", "date_range": "7d", "funnel": "f1" });
            let reply = server.post(&path, &headers, &body).await;
            assert_eq!(
                reply.json(),
                json!({ "report": name, "site": "clinic", "question": body, "guarded": role == Role::Viewer })
            );
            for (body, expected) in [
                (json!({ "site_id": "shop" }), 401),
                (json!({ "site_id": "nowhere" }), 401),
                (json!({ "site_id": 7 }), 400),
                (json!([]), 400),
                (json!({ "site_id": "clinic", "limit": 0 }), 400),
            ] {
                let reply = server.post(&path, &headers, &body).await;
                assert_eq!(reply.status, expected, "{role} {name} {body}: {}", reply.text());
            }
        }
        let steps = json!({ "site_id": "clinic", "date_range": "7d", "steps": ["a", "b"] });
        let reply = server.post("/api/v2/funnel", &headers, &steps).await;
        assert_eq!(reply.status, if role == Role::Viewer { 403 } else { 200 }, "{role}: {}", reply.text());
        server.people(|roster| roster.revoke_token("test"));
    }
}

#[tokio::test]
async fn a_batch_answers_each_question_as_if_it_were_alone() {
    let server = Server::start().await;
    let token = bearer(&server.token(Role::Viewer, Some("clinic")));
    let headers = [("authorization", token.as_str())];
    let ask = async |body: Value| server.post("/api/v2/queries", &headers, &body).await;
    let mut questions: Vec<Value> = (0..10).map(|n| json!({ "metrics": ["visitors"], "nth": n })).collect();
    questions[3] = json!({ "site_id": "clinic" });
    questions[5] = json!({ "metrics": ["visitors"], "include": { "bots": true } });
    questions[7] = json!("no question");
    let reply = ask(json!({ "site_id": "clinic", "queries": questions })).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let answers = reply.json()["answers"].as_array().expect("a list").clone();
    let statuses: Vec<u64> = answers.iter().map(|one| one["status"].as_u64().expect("a status")).collect();
    assert_eq!(statuses, [200, 200, 200, 400, 200, 403, 200, 400, 200, 200]);
    for (index, one) in answers.iter().enumerate().filter(|(_, one)| one["status"] == 200) {
        assert_eq!(one["answer"]["question"]["nth"], index, "in the order of the questions");
        assert_eq!(one["answer"]["question"]["site_id"], "clinic");
    }
    assert_eq!(answers[3], json!({ "status": 400, "error": "#/metrics: is required\n#/x" }));
    assert_eq!(answers[5]["error"], "#/include/bots: this needs the role security");
    for (body, status, error) in [
        (json!({ "queries": [{}] }), 400, "#/site_id: expected the id of a site"),
        (json!({ "site_id": "shop", "queries": [{}] }), 401, ""),
        (json!({ "site_id": "clinic" }), 400, "#/queries: expected a list of questions"),
        (json!({ "site_id": "clinic", "queries": [] }), 400, "#/queries: 0 questions, 1 to 32 are allowed"),
        (
            json!({ "site_id": "clinic", "queries": vec![json!({}); 33] }),
            400,
            "#/queries: 33 questions, 1 to 32 are allowed",
        ),
        (json!({ "site_id": "clinic", "queries": [{}], "more": 1 }), 400, "#/more: Unknown key"),
    ] {
        let reply = ask(body.clone()).await;
        assert_eq!(reply.status, status, "{body}");
        if !error.is_empty() {
            assert_eq!(reply.json(), json!({ "error": error }), "{body}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_to_be_had_as_a_table_and_an_error_is_not() {
    let server = Server::start().await;
    let token = bearer(&server.token(Role::Viewer, None));
    let ask = async |accept: &str, body: &Value| {
        let headers = [("authorization", token.as_str()), ("accept", accept)];
        server.post("/api/v2/query", &headers, body).await
    };
    let kind = |reply: &server::Reply| reply.headers["content-type"].to_str().expect("a text").to_owned();
    for (accept, is_table) in [
        ("text/csv", true),
        ("text/html, text/CSV;q=0.9", true),
        ("application/json, text/csv", false),
        ("*/*", false),
        ("", false),
    ] {
        let reply = ask(accept, &question("clinic")).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(kind(&reply).starts_with("text/csv"), is_table, "{accept:?}");
        if is_table {
            assert!(reply.text().starts_with('\u{feff}'));
            let disposition = reply.headers["content-disposition"].to_str().expect("a text");
            assert!(disposition.starts_with("attachment"), "{disposition}");
        }
    }
    let refused = ask("text/csv", &json!({ "site_id": "clinic" })).await;
    assert_eq!((refused.status, kind(&refused).as_str()), (StatusCode::BAD_REQUEST, "application/json"));
}

#[tokio::test]
async fn the_description_has_the_schemas_of_the_stats_routes() {
    let server = Server::start().await;
    let described = server.get("/openapi.json", &[]).await.json();
    for path in ["/api/v2/query", "/api/v2/queries"] {
        let operation = &described["paths"][path]["post"];
        for pointer in [
            "/requestBody/content/application~1json/schema/$ref",
            "/responses/200/content/application~1json/schema/$ref",
            "/responses/400/content/application~1json/schema/$ref",
            "/responses/422/description",
        ] {
            let name = operation.pointer(pointer).and_then(Value::as_str);
            let name = name.unwrap_or_else(|| panic!("{path} has no {pointer}"));
            let is_there = name.strip_prefix("#").is_none_or(|at| described.pointer(at).is_some());
            assert!(is_there, "{name}");
        }
    }
    let metrics = &described["components"]["schemas"]["Metric"]["enum"];
    assert!(metrics.as_array().is_some_and(|names| names.iter().any(|name| name == "conversion_rate")));
}

#[tokio::test]
async fn the_description_names_every_route_and_the_cookie_that_sessions_are_in() {
    for (settings, cookie) in
        [("", "metka_session"), ("web.public_url = \"https://stats.example\"", "__Host-metka_session")]
    {
        let server = Server::with(tempfile::tempdir().expect("a directory"), settings).await;
        let described = server.get("/openapi.json", &[]).await.json();
        let session = &described["components"]["securitySchemes"]["session"];
        assert_eq!((&session["in"], &session["name"]), (&json!("cookie"), &json!(cookie)));
        let one = &described["paths"]["/api/v1/requests/{number}"];
        assert_eq!(
            one["get"]["parameters"],
            json!([{ "name": "number", "in": "path", "required": true, "schema": { "type": "string" } }])
        );
        assert_eq!(one["post"]["x-role"], "officer");
        let operations = described["paths"].as_object().expect("paths").values();
        let operations: usize = operations.map(|path| path.as_object().expect("methods").len()).sum();
        assert_eq!(operations, ROUTES.len());
    }
}

#[tokio::test]
async fn marked_hits_are_shown_to_security_and_owner_and_nobody_else() {
    let server = Server::start().await;
    for (role, expected) in
        [(Role::Viewer, 403), (Role::Security, 200), (Role::Officer, 403), (Role::Owner, 200)]
    {
        let token = bearer(&server.token(role, None));
        let headers = [("authorization", token.as_str())];
        let mut body = question("clinic");
        for (bots, expected) in [(json!(true), expected), (json!(false), 200)] {
            body["include"] = json!({ "bots": bots });
            let reply = server.post("/api/v2/query", &headers, &body).await;
            assert_eq!(reply.status, expected, "{role} {bots}: {}", reply.text());
        }
        server.people(|roster| roster.revoke_token("test"));
    }
}

#[tokio::test]
async fn refusals_are_for_security_officer_and_owner_within_their_site_and_a_month() {
    let server = Server::start().await;
    for (role, site, query, expected) in [
        (Role::Viewer, None, "?site_id=clinic", 403),
        (Role::Security, None, "?site_id=clinic", 200),
        (Role::Officer, None, "?site_id=clinic", 200),
        (Role::Owner, None, "?site_id=", 200),
        (Role::Owner, Some("shop"), "?site_id=shop", 200),
        (Role::Owner, Some("shop"), "?site_id=clinic", 401),
        (Role::Owner, Some("shop"), "?site_id=", 401),
        (Role::Owner, None, "?site_id=no-such-site", 401),
        (Role::Owner, None, "", 400),
        (Role::Owner, None, "?site_id=clinic&from=yesterday", 400),
        (Role::Owner, None, "?site_id=clinic&from=2026-11-25T00:00:00Z&to=2026-11-24T00:00:00Z", 400),
        (Role::Owner, None, "?site_id=clinic&from=2026-10-01T00:00:00Z&to=2026-11-24T00:00:00Z", 400),
        (Role::Owner, None, "?site_id=clinic&from=-009999-01-02T01:59:59Z&to=9999-12-30T22:00:00Z", 400),
    ] {
        let token = bearer(&server.token(role, site));
        let path = format!("/api/v1/refusals{query}");
        let reply = server.get(&path, &[("authorization", token.as_str())]).await;
        assert_eq!(reply.status, expected, "{role} {site:?} {query}: {}", reply.text());
        server.people(|roster| roster.revoke_token("test"));
    }
    let token = bearer(&server.token(Role::Owner, None));
    let reply = server.get("/api/v1/refusals?site_id=clinic", &[("authorization", token.as_str())]).await;
    assert_eq!(reply.json(), json!({ "site": "clinic", "seconds": 24 * 60 * 60 }));
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_apart() {
    let server = Server::start().await;
    assert_eq!(server.get("/api/v3/query", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/../etc/passwd", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        server.get("/assets/../index.html", &[]).await.status.as_u16() / 100,
        if built() { 4 } else { 5 }
    );
    let reply = server.get("/api/v2/query", &[]).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.header("allow"), "POST");
    let head = server.send(Method::HEAD, "/health", &[], "".into()).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}

/// What the route answers: without anybody, or as an owner who wants a page.
fn kind<'a>(route: &Route, signed_in: bool, collector: &'a str) -> Kind<'a> {
    let demo = metka::assets::find("demo/index.html").is_some();
    match route.path {
        "/" | "/login" | "/officer" | "/security" | "/settings" | "/people" if built() => Kind::Own,
        "/share/*" if built() => Kind::Shared,
        "/debug/hit" if signed_in => Kind::Own,
        "/demo/*" if demo => Kind::Demo(collector),
        _ => Kind::Data,
    }
}

#[tokio::test]
async fn every_route_carries_the_headers_of_its_kind() {
    let mut compared = 0;
    for (settings, https) in [("", false), ("[web]\npublic_url = \"https://metka.example\"", true)] {
        let server = Server::with(tempfile::tempdir().expect("a directory"), settings).await;
        let token = bearer(&server.token(Role::Owner, None));
        let collector = server.state.config.load().collect.public_url.clone();
        let compare = |what: &str, kind, reply: &server::Reply| {
            compare(what, kind, https, |name| {
                reply.headers.get(name).map(|value| value.to_str().expect("text").to_owned())
            });
        };
        for route in ROUTES {
            for signed_in in [false, true] {
                let path = route.path.replace('*', "nothing");
                let mut headers = vec![("content-type", "application/json"), ("accept", "text/html")];
                if signed_in {
                    headers.push(("authorization", &token));
                }
                let reply = server.send(route.method.clone(), &path, &headers, "{}".into()).await;
                let what = format!("{} {path}, signed in: {signed_in}, {}", route.method, reply.status);
                compare(&what, kind(route, signed_in, &collector), &reply);
                compared += 1;
            }
        }
        for (method, path) in [(Method::GET, "/nowhere"), (Method::PUT, "/"), (Method::HEAD, "/health")] {
            let reply = server.send(method.clone(), path, &[], "".into()).await;
            compare(&format!("{method} {path}"), Kind::Data, &reply);
        }
        let cross = server.post("/api/v1/session", &[("origin", "https://evil.example")], &json!({})).await;
        assert_eq!(cross.status, StatusCode::FORBIDDEN);
        compare("another site's request", Kind::Data, &cross);
        compared += 4;
        for path in ["/demo/", "/demo/clinic.js", "/demo/clinic.css", "/demo/spa/lico"] {
            if metka::assets::find("demo/index.html").is_some() {
                compare(path, Kind::Demo(&collector), &server.get(path, &[]).await);
                compared += 1;
            }
        }
    }
    println!("{compared} answers of {} routes carry the headers of their kind", ROUTES.len());
}

#[tokio::test]
async fn files_are_packed_as_accepted_and_revalidated() {
    let server = Server::start().await;
    let reply = server.get("/", &[]).await;
    if !built() {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reply.text().contains("make build"));
        return;
    }
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.header("content-type").starts_with("text/html"));
    let tag = reply.header("etag");
    let again = server.get("/", &[("if-none-match", tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(reply.header("cache-control"), "no-cache");
    assert_eq!(server.get("/login", &[]).await.body, reply.body);
    let text = reply.text();
    let script = text.split('"').find(|part| part.starts_with("/assets/")).expect("a script");
    let script = server.get(script, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(script.status, StatusCode::OK);
    assert!(script.header("cache-control").contains("immutable"));
    assert_eq!(script.header("vary"), "accept-encoding");
}

#[tokio::test]
async fn the_demo_clinic_names_the_collector_and_may_reach_nothing_else() {
    let server = Server::start().await;
    let reply = server.get("/demo/", &[]).await;
    if metka::assets::find("demo/index.html").is_none() {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        return;
    }
    assert_eq!(server.get("/demo", &[]).await.header("location"), "/demo/");
    let collector = &server.state.config.load().collect.public_url.clone();
    for (path, status) in
        [("/demo/", 200), ("/demo/ceny", 200), ("/demo/spa/lico", 200), ("/demo/nowhere", 404)]
    {
        let reply = server.get(path, &[]).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.text().contains(&format!("{collector}/pixel.js")), "{path}");
        assert!(!reply.text().contains("{{"), "{path}");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains(&format!("connect-src 'self' {collector};")), "{path}: {policy}");
        // The image of visitors without scripts tells its page by this.
        assert_eq!(reply.header("referrer-policy"), "strict-origin-when-cross-origin");
    }
}

fn built() -> bool {
    metka::assets::find("dashboard/index.html").is_some()
}

#[tokio::test]
async fn metrics_are_for_this_machine_or_a_token_and_name_every_count() {
    let server = Server::start().await;
    let site = server.state.counters.site("clinic");
    for _ in 0..3 {
        site.arrived();
    }
    site.durable();
    site.refused(metka::reject::Reason::ForeignHost);
    let text = server.get("/metrics", &[]).await.text();
    for line in [
        "metka_hits_received_total{site=\"clinic\"} 3",
        "metka_hits_stored_total{site=\"clinic\"} 0",
        "metka_hits_waiting{site=\"clinic\"} 1",
        "metka_hits_in_flight{site=\"clinic\"} 1",
        "metka_hits_refused_total{site=\"clinic\",reason=\"foreign-host\"} 1",
        "metka_hits_received_total{site=\"shop\"} 0",
        "metka_backlog_rows 5",
        "metka_backlog_size_bytes 600",
        "# TYPE metka_backlog_oldest_seconds gauge",
        "metka_backlog_dead_rows 1",
        "metka_backlog_unverified_batches 3",
        "metka_ship_attempts_total 9",
        "metka_ship_mended_batches_total 1",
        "metka_ship_storage_restarts_total 0",
        "metka_engine_state{state=\"ready\"} 1",
        "metka_engine_state{state=\"stopped\"} 0",
        "metka_engine_restarts_total 2",
        "metka_step_hits_total{step=\"put_place\"} 4",
        "metka_step_time_seconds_total{step=\"put_place\"} 0.25",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    let elsewhere = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(server.get("/metrics", &elsewhere).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/metrics", &[("host", "rebound.example")]).await.status, StatusCode::UNAUTHORIZED);
    let token = bearer(&server.token(Role::Viewer, None));
    let with_token = [("x-forwarded-for", "192.0.2.1"), ("authorization", token.as_str())];
    assert_eq!(server.get("/metrics", &with_token).await.status, StatusCode::OK);
    server.post("/api/v2/query", &[("authorization", &token)], &question("clinic")).await;
    let text = server.get("/metrics", &[]).await.text();
    assert!(text.contains("metka_query_duration_seconds_count{outcome=\"ok\"} 1"), "{text}");
}

#[tokio::test]
async fn one_s_own_hit_is_explained_as_json_and_as_a_page() {
    let server = Server::start().await;
    let token = bearer(&server.token(Role::Viewer, None));
    let reply = server.get("/debug/hit?site_id=clinic", &[("authorization", &token)]).await;
    assert_eq!(reply.json(), json!({ "loopback": true, "sites": [{ "site": "clinic" }] }));
    let shop = bearer(&server.token(Role::Viewer, Some("shop")));
    let reply = server.get("/debug/hit", &[("authorization", &shop)]).await;
    assert_eq!(reply.json()["sites"], json!([{ "site": "shop" }]));
    let page = server.get("/debug/hit", &[("authorization", &token), ("accept", "text/html,*/*")]).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("cache-control"), "no-store");
    let foreign = server.get("/debug/hit?site_id=nowhere", &[("authorization", &token)]).await;
    assert_eq!(foreign.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_drain_answers_what_was_asked_and_takes_nothing_new() {
    let server = Server::start().await;
    let address = server.address;
    let idle = tokio::net::TcpStream::connect(address).await.expect("connected");
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    // A directory and a server of its own; the clock is shared, and moves forward
    // far less than any other session's life.
    let server = Server::start().await;
    server.add("olga", Role::Owner);
    let id = {
        let roster = server.state.people.read().expect("readable");
        let person = roster.person("olga").expect("added");
        // As if signed in almost the whole idle time ago.
        server.state.sessions.begin(person, server.state.now() - sessions::IDLE + 60_000).expect("begun")
    };
    let cookie = format!("metka_session={id}");
    CLOCK_OFFSET.store(61_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(server.get("/api/v1/session", &[("cookie", &cookie)]).await.status, StatusCode::UNAUTHORIZED);
}
