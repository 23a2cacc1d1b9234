//! Who is told apart from whom, with what cookie, by what consent.

use metka::accept::Limits;
use serde_json::json;

use crate::collector::{Collector, Stored};
use crate::http::{Reply, event, exchange, get, request};
use crate::{SITES, unlimited};

fn pixel(collector: &Collector, site: &str, headers: &[(&str, &str)]) -> Reply {
    let target = format!("/pixel.gif?s={site}&u=https%3A%2F%2F{site}.example%2F");
    let reply = exchange(collector.address, &get(&target, headers));
    assert_eq!(reply.header("x-metka"), Some("ok"), "{site} {headers:?}");
    reply
}

fn say(collector: &Collector, site: &str, word: &str, headers: &[(&str, &str)]) -> Reply {
    let body = json!({"s": site, "u": format!("https://{site}.example/"), "k": "consent", "c": word});
    let reply = exchange(collector.address, &event(&body.to_string(), headers));
    assert_eq!(reply.status, 202);
    reply
}

fn number(row: &Stored, column: &str) -> u64 {
    row[column].as_u64().expect("a number")
}

#[test]
fn the_first_hit_of_a_browser_carries_the_hash_of_the_cookie_it_gets() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let first = pixel(&collector, "clinic", &[]);
    let lines = first.all("set-cookie");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("metka=v1."), "{lines:?}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=33955200"] {
        assert!(lines[0].contains(attribute), "{lines:?}");
    }
    assert!(!lines[0].contains("Secure"));
    let cookie = first.cookie("metka").expect("a cookie");
    let second = pixel(&collector, "clinic", &[("Cookie", &cookie)]);
    assert!(second.all("set-cookie").is_empty(), "a cookie is never sent again once set");
    pixel(&collector, "strict", &[("Cookie", &cookie)]);
    let mut altered = cookie.clone();
    let last = altered.pop().expect("a character");
    altered.push(if last == '0' { '1' } else { '0' });
    assert!(
        pixel(&collector, "clinic", &[("Cookie", &altered)]).cookie("metka").is_some(),
        "an altered cookie is replaced"
    );
    let crawler =
        [("User-Agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")];
    assert!(pixel(&collector, "clinic", &crawler).all("set-cookie").is_empty(), "a crawler got a cookie");
    assert_eq!(collector.shared.counts().cookies_refused, 1);

    let rows = collector.finish();
    assert_eq!((&rows[0]["identity"], &rows[1]["identity"]), (&json!(0), &json!(1)));
    assert_ne!(rows[0]["minted"], 0);
    assert_eq!(rows[0]["minted"], rows[1]["visitor"]);
    assert_ne!(rows[0]["visitor"], rows[1]["visitor"]);
    assert_eq!(rows[1]["minted"], 0);
    assert_ne!(rows[2]["visitor"], rows[1]["visitor"], "two sites' rows can be joined");
    assert_eq!(rows[3]["visitor"], rows[0]["visitor"]);
    assert_eq!((&rows[4]["minted"], &rows[4]["identity"]), (&json!(0), &json!(0)));
    assert_ne!(rows[4]["bot"], "");
}

#[test]
fn without_cookies_a_visitor_is_the_same_by_address_and_browser() {
    let collector = Collector::start(&unlimited(), Limits::default());
    for (address, agent) in [
        ("192.0.2.1", "A"),
        ("192.0.2.1", "A"),
        ("192.0.2.1", "B"),
        ("192.0.2.2", "A"),
        ("2001:db8::1", "A"),
        ("2001:db8::2", "A"),
        ("2001:db8:0:1::1", "A"),
    ] {
        pixel(&collector, "cookieless", &[("X-Forwarded-For", address), ("User-Agent", agent)]);
    }
    let rows = collector.finish();
    let visitors: Vec<u64> = rows.iter().map(|row| number(row, "visitor")).collect();
    let first: Vec<usize> = visitors
        .iter()
        .map(|visitor| visitors.iter().position(|other| other == visitor).expect("itself"))
        .collect();
    assert_eq!(first, [0, 0, 2, 3, 4, 4, 6]);
    assert!(visitors.iter().all(|visitor| *visitor != 0));
    // The address is stored, but not in the clear.
    for row in &rows {
        let stored = row["ip"].to_string();
        assert!(!stored.contains("192,0,2,") && !stored.contains("32,1,13,184"), "{stored}");
    }
}

#[test]
fn one_request_mints_one_cookie() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let hit = |path: &str| json!({"s": "clinic", "u": format!("https://clinic.example/{path}")});
    let body = json!([hit("a"), hit("b"), {"s": "strict", "u": "https://strict.example/"}]).to_string();
    let reply = exchange(collector.address, &event(&body, &[]));
    assert_eq!(reply.json()["accepted"], 3);
    assert_eq!(reply.all("set-cookie").len(), 1);
    let cookie = reply.cookie("metka").expect("a cookie");
    pixel(&collector, "clinic", &[("Cookie", &cookie)]);
    pixel(&collector, "strict", &[("Cookie", &cookie)]);
    let rows = collector.finish();
    assert_eq!(rows[0]["minted"], rows[1]["minted"]);
    assert_eq!(rows[0]["minted"], rows[3]["visitor"]);
    assert_eq!(rows[2]["minted"], rows[4]["visitor"]);
}

#[test]
fn a_retry_counts_once_even_with_the_cookie_that_the_first_try_set() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let body = r#"{"s":"clinic","u":"https://clinic.example/","i":"0123456789abcdef"}"#;
    let first = exchange(collector.address, &event(body, &[]));
    assert_eq!(first.status, 202);
    let cookie = first.cookie("metka").expect("a cookie");
    for headers in [&[("Cookie", cookie.as_str())][..], &[]] {
        let again = exchange(collector.address, &event(body, headers));
        assert_eq!(again.json()["refused"][0]["reason"], "duplicate");
        assert!(again.all("set-cookie").is_empty());
    }
    // The same id from somebody else is another hit.
    let other = exchange(collector.address, &event(body, &[("X-Forwarded-For", "192.0.2.77")]));
    assert_eq!(other.status, 202);
    assert_eq!(collector.counts("clinic").refused.get("duplicate"), Some(&2));
    assert_eq!(collector.finish().len(), 2);
}

#[test]
fn opt_in_sets_nothing_before_the_visitor_agrees_and_forgets_when_they_withdraw() {
    let collector = Collector::start(&unlimited(), Limits::default());
    assert!(pixel(&collector, "optin", &[]).all("set-cookie").is_empty());
    let agreed = say(&collector, "optin", "granted", &[]);
    let visitor = agreed.cookie("metka").expect("a visitor cookie");
    let consent = agreed.cookie("metka_consent_optin").expect("a consent cookie");
    assert_eq!(consent, "metka_consent_optin=granted");
    let both = format!("{visitor}; {consent}");
    assert!(pixel(&collector, "optin", &[("Cookie", &both)]).all("set-cookie").is_empty());
    // A cookie that another site minted is no consent to this one.
    assert!(pixel(&collector, "optin", &[("Cookie", &visitor)]).all("set-cookie").is_empty());
    let withdrawn = say(&collector, "optin", "denied", &[("Cookie", &both)]);
    assert_eq!(withdrawn.cookie("metka_consent_optin").as_deref(), Some("metka_consent_optin=denied"));
    assert!(
        withdrawn
            .all("set-cookie")
            .iter()
            .any(|line| line.starts_with("metka=;") && line.contains("Max-Age=0"))
    );
    let rows = collector.finish();
    let found: Vec<(u64, bool, u64)> = rows
        .iter()
        .map(|row| (number(row, "identity"), number(row, "minted") != 0, number(row, "consent")))
        .collect();
    assert_eq!(found, [(0, false, 0), (0, true, 1), (1, false, 1), (0, false, 0), (0, false, 2)]);
}

#[test]
fn a_no_holds_on_the_next_page_where_consent_is_implied() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let denied = say(&collector, "clinic", "denied", &[]);
    let consent = denied.cookie("metka_consent_clinic").expect("a consent cookie");
    assert!(pixel(&collector, "clinic", &[("Cookie", &consent)]).all("set-cookie").is_empty());
    let marketing = say(&collector, "clinic", "marketing", &[("Cookie", &consent)]);
    assert!(marketing.cookie("metka").is_some());
    let rows = collector.finish();
    let consents: Vec<u64> = rows.iter().map(|row| number(row, "consent")).collect();
    assert_eq!(consents, [2, 2, 3]);
    assert!(rows.iter().all(|row| row["policy"] == "2024-04-01"));
}

#[test]
fn signals_and_cookieless_sites_never_set_a_cookie() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let cookie = pixel(&collector, "clinic", &[]).cookie("metka").expect("a cookie");
    for (site, headers) in [
        ("clinic", &[("Sec-GPC", "1")][..]),
        ("clinic", &[("DNT", "1")]),
        ("clinic", &[("Sec-GPC", "1"), ("Cookie", cookie.as_str())]),
        ("cookieless", &[]),
        ("cookieless", &[("Cookie", cookie.as_str())]),
    ] {
        assert!(pixel(&collector, site, headers).all("set-cookie").is_empty(), "{site} {headers:?}");
    }
    assert!(say(&collector, "cookieless", "granted", &[]).all("set-cookie").is_empty());
    let rows = collector.finish();
    assert!(rows[1..].iter().all(|row| row["identity"] == 0 && row["minted"] == 0));
}

#[test]
fn a_user_key_counts_only_with_the_clinics_signature() {
    let secrets = tempfile::tempdir().expect("a directory");
    let file = secrets.path().join("secret");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").expect("a file");
    let config = format!("[collect]\nthreads = 1\n{SITES}\n")
        .replace("policy_version", &format!("user_key_secret_file = {file:?}\npolicy_version"));
    let collector = Collector::start(&config, Limits::default());
    // HMAC-SHA-256 of `clinic:client-17` under the secret.
    let good = format!("client-17.{}", mac(b"0123456789abcdef0123456789abcdef", b"clinic:client-17"));
    let other_site = format!("client-17.{}", mac(b"0123456789abcdef0123456789abcdef", b"strict:client-17"));
    let hits: Vec<_> = [
        good.as_str(),
        &other_site,
        "client-17.00",
        "client-17",
        ".",
        "",
        &good.replace("client-17", "client-18"),
    ]
    .iter()
    .map(|key| json!({"s": "clinic", "u": "https://clinic.example/", "uk": key}))
    .collect();
    let reply = exchange(collector.address, &event(&json!(hits).to_string(), &[]));
    assert_eq!(reply.json()["accepted"], 7, "{:?}", reply.json());
    let noted: Vec<u64> = reply.json()["notes"]
        .as_array()
        .expect("notes")
        .iter()
        .map(|note| note["index"].as_u64().expect("index"))
        .collect();
    assert_eq!(noted, [1, 2, 3, 4, 6]);
    let rows = collector.finish();
    let keyed: Vec<bool> = rows.iter().map(|row| number(row, "user_key") != 0).collect();
    assert_eq!(keyed, [true, false, false, false, false, false, false]);
}

#[test]
fn the_privacy_page_says_what_is_recorded_and_opts_out() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let show = |headers: &[(&str, &str)]| exchange(collector.address, &get("/privacy?s=clinic", headers));
    let english = show(&[]);
    let text = String::from_utf8(english.body.clone()).expect("text");
    assert_eq!(english.status, 200);
    assert!(
        text.contains("lang=\"en\"")
            && text.contains("Privacy &lt;privacy@clinic.example&gt;")
            && text.contains("2024-04-01")
    );
    assert!(
        english.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    let russian = String::from_utf8(show(&[("Accept-Language", "ru")]).body).expect("text");
    assert!(russian.contains("lang=\"ru\"") && russian.contains("Не учитывать меня"));

    let origin = format!("http://{}", "stats.clinic.example");
    let opted =
        exchange(collector.address, &request("POST", "/privacy/opt-out", &[("Origin", &origin)], b""));
    assert_eq!((opted.status, opted.header("location")), (303, Some("/privacy")));
    let cookie = opted.cookie("metka_optout").expect("a cookie");
    assert_eq!(cookie, "metka_optout=1");
    assert!(String::from_utf8_lossy(&show(&[("Cookie", &cookie)]).body).contains("You have opted out"));
    let hit = exchange(
        collector.address,
        &get("/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F", &[("Cookie", &cookie)]),
    );
    assert_eq!(hit.header("x-metka"), Some("opted-out"));
    let back = exchange(collector.address, &request("POST", "/privacy/opt-in", &[("Origin", &origin)], b""));
    assert!(
        back.all("set-cookie")[0].starts_with("metka_optout=;")
            && back.all("set-cookie")[0].contains("Max-Age=0")
    );
    assert!(collector.finish().is_empty());
}

#[test]
fn an_https_address_gets_a_host_cookie() {
    let config = format!("[collect]\nthreads = 1\npublic_url = \"https://stats.clinic.example\"\n{SITES}");
    let collector = Collector::start(&config, Limits::default());
    let reply = pixel(&collector, "clinic", &[("Cookie", "metka=ignored")]);
    let lines = reply.all("set-cookie");
    assert!(
        lines.len() == 1 && lines[0].starts_with("__Host-metka=v1.") && lines[0].contains("; Secure; Path=/"),
        "{lines:?}"
    );
    let cookie = reply.cookie("__Host-metka").expect("a cookie");
    assert!(pixel(&collector, "clinic", &[("Cookie", &cookie)]).all("set-cookie").is_empty());
}

#[test]
fn a_reload_takes_sites_over_and_keeps_what_is_running() {
    let collector = Collector::start(&unlimited(), Limits::default());
    pixel(&collector, "clinic", &[]);
    let text = format!(
        "{}\n[[site]]\nid = \"new\"\nhosts = [\"new.example\"]\n",
        unlimited().replace("hosts = [\"strict.example\"]", "hosts = [\"moved.example\"]")
    );
    let config = metka::config::Config::parse(&text, [], std::path::Path::new("/srv")).expect("valid");
    collector.shared.reload(std::sync::Arc::new(config)).expect("reloads");
    pixel(&collector, "new", &[]);
    let moved =
        exchange(collector.address, &get("/pixel.gif?s=strict&u=https%3A%2F%2Fstrict.example%2F", &[]));
    assert_eq!(moved.header("x-metka"), Some("foreign-host"));
    assert_eq!(collector.finish().len(), 2);
}

/// A signature as the clinic's server makes it.
pub fn mac(secret: &[u8], message: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("any length");
    hmac.update(message);
    hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
