//! A disclosure whose asker or server ends in the middle: there is a record, and the text
//! was handed out or not; never the text without a record.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::server::wait_for;
use crate::{Browser, EVER, place, stored};

/// More than enough for a kill between record and hand-out to happen.
const ROUNDS: usize = 12;

fn records(place: &Place) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(place.data().join("rights/disclosures.json")) else {
        return Vec::new();
    };
    let log: Value = serde_json::from_str(&text).expect("the old or the new text is there");
    log["records"].as_array().expect("records").clone()
}

/// The record of a round: each names its own file as the recipient.
fn record(place: &Place, out: &str) -> Option<Value> {
    records(place).into_iter().find(|record| record["recipient"] == out)
}

fn disclose(place: &Place, out: &str) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["disclose", "--config", "metka.toml", "--site", "clinic", "--recipient", out, "--basis", "x"])
        .args(["--recipient-kind", "quality", "--purpose", "x", "--format", "csv", "--fields", "time,path"])
        .args(["--range-from", EVER[0], "--range-to", EVER[1], "--out", out])
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs")
}

#[test]
fn a_kill_leaves_a_record_or_a_record_and_the_text() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new("203.0.113.77");
    for page in 0..20 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
    }
    stored(&server, "clinic", 20);

    // Whoever asks goes away at once: the record is made all the same.
    let body = format!(
        r#"{{"site":"clinic","recipient":"x","recipient_kind":"quality","basis":"x","purpose":"x","format":"csv",
            "scope":{{"range":{{"from":"{}","to":"{}","fields":["path"]}}}}}}"#,
        EVER[0], EVER[1]
    );
    let mut socket = UnixStream::connect(place.data().join("control.sock")).expect("it listens");
    let head =
        format!("POST /disclosure HTTP/1.1\r\nhost: control\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes())).expect("sent");
    wait_for("the record", || (records(&place).len() == 1).then_some(()));
    drop(socket);

    let (mut killed, mut both, mut before) = (0, 0, 0);
    let mut server = Some(server);
    for round in 0..ROUNDS {
        let out = format!("out-{round}");
        let mut child = disclose(&place, &out);
        // By turns: as soon as its file is begun, as soon as there is a record, and the server then.
        let begun = place.path().join(format!("{out}.part"));
        let is_time = |child: &mut std::process::Child| {
            let ended = child.try_wait().expect("a child of ours").is_some();
            ended || if round % 3 == 0 { begun.exists() } else { record(&place, &out).is_some() }
        };
        while !is_time(&mut child) {
            std::thread::yield_now();
        }
        killed += usize::from(child.try_wait().expect("a child of ours").is_none());
        if round % 3 == 2
            && let Some(server) = server.take()
        {
            server.kill();
        } else {
            child.kill().expect("a child of ours");
        }
        child.wait().expect("it ends");
        if server.is_none() {
            server = Some(place.serve());
            stored(server.as_ref().expect("it runs"), "clinic", 20);
        }
        // What a killed command had asked for is done to its end.
        let made = record(&place, &out);
        if let Ok(text) = std::fs::read(place.path().join(&out)) {
            let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(made.expect("no text without its record")["sha256"], sha256, "round {round}");
            both += 1;
        } else if made.is_none() {
            before += 1;
        }
    }
    assert!(killed > ROUNDS / 2, "only {killed} of {ROUNDS} kills came in the middle");
    println!(
        "{killed} of {ROUNDS} kills came in the middle: {both} with record and text, {} with a record alone, \
         {before} with neither yet",
        ROUNDS - both - before
    );
    assert_eq!(server.expect("it runs").terminate().0, Some(0));
}
