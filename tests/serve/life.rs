//! Start, stop, reload.

use rustix::process::Signal;
use serde_json::json;

use crate::http::{event, exchange, get};
use crate::server::{Server, wait_for};
use crate::{CONFIG, configure, configured};

#[test]
fn a_clean_stop_keeps_every_count_and_a_hit_is_soon_in_the_numbers() {
    let dir = configured();
    let server = Server::start(dir.path(), &[]);
    for number in 0..20 {
        let reply = exchange(
            server.collect,
            &get(&format!("/pixel.gif?s=clinic&u=https://clinic.example/{number}"), &[]),
        );
        assert_eq!(reply.header("x-metka"), Some("ok"));
        assert_eq!(reply.body.len(), 43);
    }
    let foreign = exchange(server.collect, &get("/pixel.gif?s=clinic&u=https://elsewhere.example/", &[]));
    assert_eq!(foreign.header("x-metka"), Some("foreign-host"));
    let counts = server.settled("clinic");
    let expected =
        json!({"received": 21, "stored": 20, "waiting": 0, "in_flight": 0, "refused": {"foreign-host": 1}});
    assert_eq!(counts, expected);
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");

    let server = Server::start(dir.path(), &[]);
    assert_eq!(server.settled("clinic"), expected, "the counts outlive the process");
    let token = server.command(&["token", "create", "--name", "test", "--role", "owner"]);
    let token = token["token"].as_str().expect("a token").to_owned();
    let question = json!({"site_id": "clinic", "metrics": ["visitors", "pageviews"], "date_range": "day"});
    let ask = || {
        let body = question.to_string();
        let bytes = format!(
            "POST /api/v2/query HTTP/1.1\r\nHost: metka\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(server.web, bytes.as_bytes())
    };
    let answer = wait_for("storage", || Some(ask()).filter(|reply| reply.status != 503));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    // Twenty first hits without a cookie, of one address and browser, whose cookies never came back.
    assert_eq!(answer.json()["results"][0]["metrics"], json!([1, 20]));
    let anonymous = exchange(server.web, b"POST /api/v2/query HTTP/1.1\r\nHost: metka\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
    assert_eq!(anonymous.status, 401);
}

#[test]
fn hang_up_reads_sites_again_and_a_broken_file_changes_nothing() {
    let dir = configured();
    let server = Server::start(dir.path(), &[]);
    let hit = |site: &str| {
        let body = format!(r#"{{"s":"{site}","k":"pageview","u":"https://{site}.example/"}}"#);
        exchange(server.collect, &event(&body, &[])).status
    };
    assert_eq!((hit("clinic"), hit("second")), (202, 400));
    configure(dir.path(), &format!("{CONFIG}[[site]]\nid = \"second\"\nhosts = [\"second.example\"]\n"));
    server.signal(Signal::HUP);
    wait_for("the second site", || (hit("second") == 202).then_some(()));

    configure(dir.path(), &format!("{CONFIG}[[site]]\nid = \"third\"\n"));
    server.signal(Signal::HUP);
    wait_for("the mistake in the log", || {
        server.log.lock().expect("free").contains("site[1].hosts").then_some(())
    });
    assert_eq!((hit("clinic"), hit("second"), hit("third")), (202, 202, 400));
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let dir = configured();
    let server = Server::start(dir.path(), &[]);
    server.settled("clinic");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["serve", "--config", "metka.toml"])
        .current_dir(dir.path())
        .env("METKA_COLLECT__LISTEN", "127.0.0.1:0")
        .env("METKA_WEB__LISTEN", "127.0.0.1:0")
        .output()
        .expect("the binary runs");
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains("in use by another process"), "{text}");
    let reply = exchange(server.collect, &get("/pixel.gif?s=clinic&u=https://clinic.example/", &[]));
    assert_eq!(reply.header("x-metka"), Some("ok"));
}
