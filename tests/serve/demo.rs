//! `metka serve --demo`: the clinic, its history, and its removal.

use crate::configured;
use crate::http::{exchange, get};
use crate::server::{Server, wait_for};

#[test]
fn the_demo_shows_a_clinic_and_a_history_that_one_command_removes() {
    let dir = configured();
    let server = Server::start(dir.path(), &["--demo"]);
    let page = exchange(server.web, &get("/demo/", &[]));
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert_eq!(page.status, 200);
    assert!(text.contains(&format!("http://{}/pixel.js", server.collect)), "the page carries the real pixel");
    let script = exchange(server.collect, &get("/pixel.js", &[]));
    assert_eq!(script.status, 200);
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));

    wait_for("the history", || {
        server.log.lock().expect("free").contains("the made-up history is loaded").then_some(())
    });
    let reply =
        exchange(server.collect, &get(&format!("/pixel.gif?s=demo&u=http://{}/demo/", server.web), &[]));
    assert_eq!(reply.header("x-metka"), Some("ok"));
    server.settled("demo");
    let count = |sql: &str| -> u64 {
        let rows = server.rows(sql);
        rows[0][0].as_u64().or_else(|| rows[0][0].as_str()?.parse().ok()).expect("a count")
    };
    let made_up = count("SELECT count() FROM metka.hits WHERE demo");
    assert!(made_up > 10_000, "some months of visitors, found {made_up} rows");
    assert_eq!(count("SELECT count() FROM metka.hits WHERE NOT demo"), 1);

    let removed = server.command(&["demo", "remove"]);
    assert_eq!(removed["removed"].as_u64(), Some(made_up));
    assert_eq!(count("SELECT count() FROM metka.hits WHERE demo"), 0);
    assert_eq!(count("SELECT count() FROM metka.hits"), 1, "what really happened stays");
}
