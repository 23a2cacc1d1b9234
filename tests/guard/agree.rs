//! The API and the command line show a viewer the same, and others the exact numbers.

use metka::store::Storage;
use serde_json::{Value, json};

use crate::place::Place;
use crate::population::{self, World};
use crate::{SEED, http, server, store};

const CONFIG: &str = r#"
[collect]
threads = 1
[[site]]
id = "clinic"
hosts = ["clinic.example"]
timezone = "Europe/Moscow"
"#;

#[test]
fn the_api_and_the_command_show_a_viewer_the_same_and_others_the_exact_numbers() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let storage: Storage = server.storage();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bearer = |role: &str| {
        let made = server.command(&["token", "create", "--name", role, "--role", role]);
        format!("Bearer {}", made["token"].as_str().expect("a token"))
    };
    let (viewer, security) = (bearer("viewer"), bearer("security"));
    let live = |token: &str| {
        let headers = [("Authorization", token)];
        http::exchange(server.web, &http::get("/api/v1/live?site_id=clinic", &headers))
    };
    server::wait_for("storage and its schema", || (live(&security).status == 200).then_some(()));
    let world = World::new(SEED);
    runtime.block_on(store(&storage, &world));
    let post = |token: &str, question: &Value| {
        let headers = [("Authorization", token), ("Content-Type", "application/json")];
        let request = http::request("POST", "/api/v2/query", &headers, question.to_string().as_bytes());
        // A busy machine takes longer than a question may: that is asked again.
        server::wait_for("an answer", || {
            let reply = http::exchange(server.web, &request);
            (![422, 503].contains(&reply.status)).then(|| (reply.status, reply.json()))
        })
    };
    let command = |question: &Value, arguments: &[&str]| {
        let mut all = vec!["stats", "-"];
        all.extend(arguments);
        server::wait_for("an answer", || {
            let output = place.run(&all, &question.to_string());
            output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
        })
    };

    for (dimensions, filters, range, refused) in [
        (json!([]), json!([]), json!(["2026-03-01", "2026-03-31"]), Value::Null),
        (json!(["visit:city"]), json!([]), json!(["2026-03-01", "2026-03-31"]), Value::Null),
        (json!(["time:day"]), json!([]), json!(["2026-03-09", "2026-03-15"]), Value::Null),
        (
            json!(["event:page"]),
            json!([["is", "visit:city", ["Moscow"]]]),
            json!(["2026-03-01", "2026-03-31"]),
            Value::Null,
        ),
        (
            json!([]),
            json!([["is", "visit:browser", ["Chromium"]]]),
            json!(["2026-03-01", "2026-03-31"]),
            json!("set_too_small"),
        ),
        (
            json!([]),
            json!([["is_not", "visit:browser", ["Chromium"]]]),
            json!(["2026-03-01", "2026-03-31"]),
            json!("complement_too_small"),
        ),
        (
            json!([]),
            json!([["contains", "event:page", ["/"]]]),
            json!(["2026-03-01", "2026-03-31"]),
            json!("free_text"),
        ),
        (json!([]), json!([]), json!("30d"), json!("range")),
        (json!([]), json!([]), json!(["2026-03-01", "2026-03-30"]), json!("range")),
    ] {
        let question = json!({
            "site_id": "clinic", "metrics": ["visitors", "visits", "pageviews", "bounce_rate", "views_per_visit"],
            "date_range": range, "dimensions": dimensions, "filters": filters, "order_by": [["visitors", "desc"]],
        });
        let (status, guarded) = post(&viewer, &question);
        assert_eq!(status, 200, "{question}: {guarded}");
        assert_eq!(guarded["meta"]["guard"]["k"], 10, "{guarded}");
        assert_eq!(guarded["meta"]["guard"]["refused"], refused, "{question}: {guarded}");
        assert_eq!(guarded["results"].as_array().expect("rows").is_empty(), !refused.is_null(), "{guarded}");
        assert_eq!(command(&question, &["--as", "viewer"]), guarded, "{question}");

        let (status, exact) = post(&security, &question);
        assert_eq!((status, &exact["meta"]["guard"]), (200, &Value::Null), "{question}");
        assert_eq!(command(&question, &[]), exact, "{question}");
        if dimensions.as_array().expect("a list").is_empty() {
            let group = world.groups(&json!({
                "date_range": exact["query"]["date_range"].as_array().expect("two").iter()
                    .map(|at| &at.as_str().expect("a time")[..10]).collect::<Vec<_>>(),
                "filters": filters, "dimensions": [],
            }));
            let people = population::count(&group[&Vec::new()].people);
            assert_eq!(exact["results"][0]["metrics"][0], people, "{question}");
        }
    }

    // A mistake is told to both alike.
    let wrong = json!({ "site_id": "clinic", "metrics": ["foo"], "date_range": "day" });
    assert_eq!(post(&viewer, &wrong), post(&security, &wrong));
    assert!(
        place.refused(&["stats", "-", "--as", "viewer"], &wrong.to_string(), 2).contains("Invalid metric")
    );

    assert_eq!(live(&viewer).json()["visitors"], "<10");
    assert_eq!(live(&security).json()["visitors"], 0);

    // Without a server, the command opens storage itself.
    let question = json!({
        "site_id": "clinic", "metrics": ["visitors"], "date_range": ["2026-03-01", "2026-03-31"],
        "dimensions": ["visit:city"],
    });
    let (_, guarded) = post(&viewer, &question);
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    let offline = place.done(&["stats", "-", "--as", "viewer"], &question.to_string());
    assert_eq!(offline, guarded);
}
