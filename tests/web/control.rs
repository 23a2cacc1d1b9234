//! The binary's commands beside a running server, over its control socket.

use std::sync::Arc;

use metka::control::{self, SOCKET_NAME, socket};
use serde_json::{Value, json};
use tokio::process::Command;

use super::server::Server;

/// Runs a command against the server's data directory.
async fn run(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let settings = server.data.path().join("metka.toml");
    let text = "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
    std::fs::write(&settings, text).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_metka"))
        .arg("--config")
        .arg(&settings)
        .arg("--data")
        .arg(server.data.path())
        .args(arguments)
        .env_clear()
        .output()
        .await
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("no signal ended it"), text(&output.stdout), text(&output.stderr))
}

async fn json(server: &Server, arguments: &[&str]) -> Value {
    let (code, out, err) = run(server, &[&["--json"], arguments].concat()).await;
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn listen(server: &Server) -> tokio::task::JoinHandle<std::io::Result<()>> {
    let listener = socket::bind(&server.data.path().join(SOCKET_NAME)).expect("bound");
    tokio::spawn(control::serve(Arc::clone(&server.state), listener, std::future::pending()))
}

#[tokio::test]
async fn status_has_the_shape_of_the_contract() {
    let server = Server::start().await;
    let _control = listen(&server);
    let site = server.state.counters.site("clinic");
    for _ in 0..2 {
        site.arrived();
    }
    site.durable();
    site.refused(metka::reject::Reason::OptedOut);
    assert_eq!(
        json(&server, &["status"]).await,
        json!({
            "sites": {
                "clinic": { "received": 2, "stored": 0, "waiting": 1, "in_flight": 0, "refused": { "opted-out": 1 } },
                "shop": { "received": 0, "stored": 0, "waiting": 0, "in_flight": 0, "refused": {} },
            },
            "backlog": {
                "rows": 5, "batches": 2, "bytes": 600, "oldest": 1, "unverified_batches": 3, "dead_rows": 1, "damaged_rows": 0,
            },
            "engine": { "state": "ready", "restarts": 2 },
            "jobs": {
                "ship": { "attempts": 9, "retries": 2, "mended_batches": 1 },
                "reports": { "sent": 0, "failing": [] },
            },
            "geo": { "databases": [] },
            "requests": { "open": 0, "overdue": 0, "due_within_2_working_days": 0 },
            "incidents": { "open": 0, "overdue": [], "due_soon": [] },
        })
    );
    let (code, out, _) = run(&server, &["status"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("opted-out 1") && out.contains("engine   ready"), "{out}");
}

#[tokio::test]
async fn stats_asks_the_running_server_and_tells_a_wrong_question_by_its_exit_code() {
    let server = Server::start().await;
    let _control = listen(&server);
    let question = |name: &str, value: Value| {
        let path = server.data.path().join(name);
        std::fs::write(&path, value.to_string()).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let good = question("good.json", json!({ "site_id": "clinic", "metrics": ["visitors"] }));
    assert_eq!(json(&server, &["stats", &good]).await["site"], "clinic");
    let report = json!({ "site_id": "clinic", "report": "funnel", "steps": ["a", "b"] });
    assert_eq!(
        json(&server, &["stats", &question("report.json", report)]).await,
        json!({
            "report": "funnel", "site": "clinic", "question": { "site_id": "clinic", "steps": ["a", "b"] },
            "guarded": false,
        })
    );
    for (name, value, expected) in [
        (
            "d.json",
            json!({ "site_id": "clinic", "report": "trend" }),
            "#/report: expected one of funnel, journeys, retention, live, not \"trend\"",
        ),
        ("a.json", json!({ "site_id": "clinic" }), "#/metrics: is required"),
        ("b.json", json!({ "site_id": "nowhere" }), "no site \"nowhere\""),
        ("c.json", json!({}), "#/site_id"),
    ] {
        let (code, _, err) = run(&server, &["stats", &question(name, value)]).await;
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(expected), "{err}");
    }
}

#[tokio::test]
async fn demo_rows_are_removed_by_the_running_server() {
    let server = Server::start().await;
    let _control = listen(&server);
    assert_eq!(json(&server, &["demo", "remove"]).await, json!({ "removed": 7 }));
}

#[tokio::test]
async fn dead_letters_are_replayed_by_the_running_server() {
    let server = Server::start().await;
    let _control = listen(&server);
    assert_eq!(json(&server, &["spool", "replay"]).await, json!({ "replayed": 2, "dead": [] }));
    for (id, code, expected) in [
        ("0123456789abcdef", 1, "no dead letter 0123456789abcdef"),
        ("0123", 2, "\"0123\" is not the id of a dead letter"),
    ] {
        let (found, _, err) = run(&server, &["spool", "replay", id]).await;
        assert_eq!(found, code, "{err}");
        assert!(err.contains(expected), "{err}");
    }
}

#[tokio::test]
async fn a_token_made_beside_a_running_server_works_at_its_next_request() {
    let server = Server::start().await;
    let made = json(&server, &["token", "create", "--name", "x", "--role", "viewer"]).await;
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(server.get("/api/v1/sites", &headers).await.status, 200);
    json(&server, &["token", "revoke", "x"]).await;
    assert_eq!(server.get("/api/v1/sites", &headers).await.status, 401);
}
