//! Goals, funnels, segments, notes: who reads and changes them, over the web and by
//! command.

use serde_json::{Value, json};

use crate::place::Place;
use crate::{Asker, CONFIG, SETTINGS, trail};

fn things() -> [(&'static str, Value); 6] {
    [
        ("goal", json!({ "name": "Запись", "kind": "event", "value": "signup" })),
        ("funnel", json!({ "name": "Приём", "steps": ["Запись", "Цены"] })),
        ("segment", json!({ "name": "Москва", "filters": [["is", "visit:city", ["Moscow"]]] })),
        ("note", json!({ "day": "2026-11-26", "text": "Новый сайт" })),
        ("link", json!({ "name": "Партнёр" })),
        ("report", json!({ "to": ["head@clinic.example"], "every": "week", "language": "ru" })),
    ]
}

#[test]
fn each_role_changes_what_it_may_and_sees_what_is_told_it() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let owner = Asker::with_token(&server, "owner", None);
    owner.put("clinic", json!({ "goal": { "name": "Цены", "kind": "page", "value": "/prices/**" } }));
    let mut cells = 0;
    for role in ["owner", "viewer", "officer", "security"] {
        let asker = Asker::with_token(&server, role, Some("clinic"));
        for (kind, thing) in things() {
            let asked = json!({ "site_id": "clinic", "put": { kind: thing } });
            match role == "owner" || matches!(kind, "segment" | "note") {
                true => drop(asker.done(SETTINGS, &asked)),
                false => {
                    let error = asker.refused(SETTINGS, &asked, 403);
                    assert_eq!(error, format!("{kind}s need the role owner"));
                }
            }
            // As if the site were not there.
            asker.refused(SETTINGS, &json!({ "site_id": "other", "put": { kind: asked["put"][kind] } }), 401);
            cells += 2;
        }
        let seen = asker.seen("/api/v1/settings?site_id=clinic");
        let is_owner = role == "owner";
        assert_eq!((seen["links"].is_array(), seen["reports"].is_array()), (is_owner, is_owner), "{role}");
        assert_eq!(
            (&seen["guarded"], &seen["min_group"], &seen["mail"]),
            (&json!(role == "viewer"), &json!(10), &json!(false))
        );
        assert_eq!(asker.get("/api/v1/settings?site_id=other").status, 401);
        assert_eq!(asker.get("/api/v1/settings").status, 400);
    }
    println!("{cells} cells of role, kind and site: each as declared");

    let seen = owner.seen("/api/v1/settings?site_id=clinic");
    assert_eq!(seen["goals"][1]["name"], "Запись");
    assert_eq!(seen["funnels"][0]["steps"], json!(["g2", "g1"]), "steps asked for by name are kept by id");
    assert!(seen["links"][0].get("secret").is_none(), "{seen}");
    // Each changes their own; an owner all.
    let notes = seen["notes"].as_array().expect("notes");
    let of = |role: &str| {
        let found = notes.iter().find(|note| note["by"].as_str().is_some_and(|by| by.contains(role)));
        found.expect("a note of this role")["id"].clone()
    };
    let viewer = Asker::with_token(&server, "viewer", None);
    let remove = |id: &Value| json!({ "site_id": "clinic", "remove": { "note": id } });
    let error = viewer.refused(SETTINGS, &remove(&of("officer")), 403);
    assert!(error.contains("was made by somebody else"), "{error}");
    let mine = viewer.put("clinic", json!({ "note": { "day": "2026-11-25", "text": "моё" } }));
    assert_eq!(viewer.done(SETTINGS, &remove(&mine["id"])), json!({}));
    assert_eq!(owner.done(SETTINGS, &remove(&of("officer"))), json!({}));

    for (asked, expected) in [
        (json!({ "site_id": "clinic" }), "expected one of put and remove"),
        (
            json!({ "site_id": "clinic", "put": { "goal": { "name": "", "kind": "page", "value": "/" } } }),
            "goal.name",
        ),
        (json!({ "site_id": "clinic", "put": { "wish": {} } }), "unknown variant `wish`"),
        (json!({ "site_id": "clinic", "remove": { "goal": "g1" } }), "the goal g1 is a step of the funnel"),
        (json!({ "site_id": "clinic", "remove": { "goal": "g99" } }), "there is no goal \"g99\""),
    ] {
        let error = owner.refused(SETTINGS, &asked, 400);
        assert!(error.contains(expected), "{error}");
    }

    // What was done is in the trail, without names and texts.
    let entries = trail(&server);
    let changes: Vec<&String> = entries
        .iter()
        .filter(|(action, _)| action == "settings_changed" || action.starts_with("link_"))
        .map(|(_, detail)| detail)
        .collect();
    assert!(changes.contains(&&"goal g1 added".to_owned()), "{changes:?}");
    assert!(changes.iter().all(|detail| detail.is_ascii()), "{changes:?}");
    assert_eq!(entries.iter().filter(|(action, _)| action == "link_made").count(), 1);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn commands_and_the_server_change_the_same_settings() {
    let place = Place::with(CONFIG);
    let file = json!([
        { "put": { "goal": { "name": "A", "kind": "event", "value": "a" } } },
        { "put": { "goal": { "name": "B", "kind": "scroll", "value": "/b", "percent": 50 } } },
        { "put": { "funnel": { "name": "F", "steps": ["A", "B"] } } },
    ]);
    // Without a server.
    let made = place.done(&["settings", "apply", "-", "--site", "clinic"], &file.to_string());
    assert_eq!(made["changes"][2], json!({ "kind": "funnel", "id": "f3", "deed": "added", "url": null }));
    let server = place.serve();
    let owner = Asker::with_token(&server, "owner", None);
    assert_eq!(owner.seen("/api/v1/settings?site_id=clinic")["goals"].as_array().map(Vec::len), Some(2));
    // Beside one, which sees it at its next request.
    let link = json!({ "put": { "link": { "name": "L" } } });
    let made = place.done(&["settings", "apply", "-", "--site", "clinic"], &link.to_string());
    assert!(made["changes"][0]["url"].as_str().is_some_and(|url| url.contains("/share/")), "{made}");
    let seen = owner.seen("/api/v1/settings?site_id=clinic");
    assert_eq!(seen["links"][0]["name"], "L");
    let shown = place.done(&["settings", "show", "--site", "clinic"], "");
    for list in ["goals", "funnels", "segments", "notes", "links", "reports"] {
        assert_eq!(shown[list], seen[list], "{list}");
    }
    // One mistake, and nothing of it is made.
    let half = json!([{ "put": { "goal": { "name": "C", "kind": "event", "value": "c" } } },
                      { "remove": { "goal": "g9" } }]);
    let error = place.refused(&["settings", "apply", "-", "--site", "clinic"], &half.to_string(), 2);
    assert!(error.contains("there is no goal \"g9\""), "{error}");
    let error = place.refused(&["settings", "apply", "-", "--site", "clinic"], "[{\"put\":{}}]", 2);
    assert!(error.contains("change 1"), "{error}");
    let error = place.refused(&["settings", "show", "--site", "nowhere"], "", 2);
    assert!(error.contains("no site \"nowhere\" is configured"), "{error}");
    assert_eq!(owner.seen("/api/v1/settings?site_id=clinic")["goals"].as_array().map(Vec::len), Some(2));
    assert_eq!(server.terminate().0, Some(0));
}
