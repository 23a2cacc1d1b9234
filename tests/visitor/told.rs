//! Incidents and disclosures that concern a browser are told on its page.

use http::Method;
use metka::control::client::Client;
use serde_json::{Value, json};

use crate::server::Server;
use crate::{ADDRESS, Browser, ELSEWHERE, place, stored, text};

/// Asks the running server as a command does.
fn call(server: &Server, path: &str, body: &Value) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = Client::connect(&server.data()).expect("a socket").expect("a server");
        client.call(Method::POST, path, Some(body)).await.expect("it is done")
    })
}

#[test]
fn whom_an_incident_or_a_disclosure_concerns_is_told_and_nobody_else() {
    let place = place();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ELSEWHERE));
    anna.view(&server, "clinic", "/anna");
    boris.view(&server, "clinic", "/boris");
    stored(&server, "clinic", 2);
    let kept = |browser: &Browser, language: &str| {
        text(&browser.get(&server, &format!("/privacy/data?s=clinic&lang={language}")))
    };
    let page = kept(&anna, "en");
    assert!(page.contains("Nobody.") && !page.contains("An important notice"), "{page}");

    let report = |from: &str, to: &str, what: &str| {
        let report = json!({"site": "clinic", "kind": "disclosure", "from": from, "to": to, "what": what});
        call(&server, "/incident", &json!({ "report": report }))["number"]
            .as_str()
            .expect("a number")
            .to_owned()
    };
    report("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z", "a disk of long ago");
    assert!(!kept(&anna, "en").contains("a disk of long ago"), "her hits are not in it");
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let number = report(&(now - hour).to_string(), &now.to_string(), "a disk was lost");
    for (language, title) in
        [("en", "An important notice about your data"), ("ru", "Важное сообщение о ваших данных")]
    {
        let page = kept(&anna, language);
        assert!(page.contains(title) && page.contains(&number) && page.contains("a disk was lost"), "{page}");
    }
    let front = text(&anna.get(&server, "/privacy?s=clinic&lang=en"));
    assert!(front.contains("An incident with data is open on this site"), "{front}");
    call(
        &server,
        "/incident",
        &json!({"change": {"number": number, "change": {"close": {"result": "found"}}}}),
    );
    assert!(!kept(&anna, "en").contains("a disk was lost"), "it is closed");

    call(
        &server,
        "/disclosure",
        &json!({
            "site": "clinic", "recipient": "Районный суд", "recipient_kind": "court", "basis": "запрос № 5",
            "purpose": "дело о договоре", "scope": {"person": {"cookie": anna.value()}}, "format": "json"
        }),
    );
    let page = kept(&anna, "ru");
    for part in ["Районный суд", "запрос № 5", "дело о договоре"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!kept(&boris, "ru").contains("Районный суд"), "it is none of his");
    assert_eq!(server.terminate().0, Some(0));
}
