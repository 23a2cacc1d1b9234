//! Two collectors on one storage: what one of them stored or took out, a check at the other knows.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use metka::store::{Endpoint, Storage};

use super::*;

/// A storage of its own.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn engine(data: &Path) -> (Engine, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["engine", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line).expect("the line of readiness");
    (Engine(child), ready["listen"].as_str().expect("an address").to_owned())
}

#[test]
fn what_another_collector_stored_blocked_or_erased_is_known_to_a_check_and_to_alerts() {
    let data = tempfile::tempdir().expect("a directory");
    let (_engine, url) = engine(&data.path().join("engine-data"));
    let secret = data.path().join("engine-data/engine/secret");
    let config = format!(
        "{CONFIG}\n[keys]\ndir = \"{}\"\n[storage]\nrollups = false\nurl = \"{url}\"\npassword_file = \"{}\"\n",
        data.path().join("keys").display(),
        secret.display()
    );
    let places = [Place::with(&config), Place::with(&config)];
    for place in &places {
        std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
    }
    let [here, there] = [&places[0], &places[1]].map(Place::serve);
    let security = token(&here, "security", None);
    for server in [&here, &there] {
        wait_for("the memory to be made", || {
            (server.command(&["status"])["jobs"]["fraud"]["clinic"]["ready"] == true).then_some(())
        });
    }
    let mut visitor = Browser::of("patient-1", IN_RUSSIA);
    visitor.view(&here, "clinic", "/");
    here.settled("clinic");
    let ask = |question: &Value| {
        let mut question = question.clone();
        question["site_id"] = json!("clinic");
        question["purpose"] = json!("payments");
        let reply = post(&here, &security, &question);
        assert_eq!(reply.status, 200);
        reply.json()
    };
    let hits = |question: &Value| ask(question)["seen"]["hits"].clone();
    let by_cookie = json!({ "cookie": visitor.value() });
    wait_for("the first hit to be remembered", || (hits(&by_cookie) == 1).then_some(()));
    assert_eq!(ask(&by_cookie)["score"], 0);
    // From here on nothing is stored by the collector that is asked.
    for address in [IN_AMERICA, IN_JAPAN] {
        visitor.address = address;
        visitor.view(&there, "clinic", "/payment/done");
    }
    let mut stranger = Browser::new(IN_JAPAN);
    stranger.view(&there, "clinic", "/");
    there.settled("clinic");
    wait_for("what the other collector stored", || (hits(&by_cookie) == 3).then_some(()));
    for question in [&by_cookie, &json!({ "user": "patient-1" })] {
        let answer = ask(question);
        assert_eq!((&answer["verdict"], &answer["seen"]["hits"]), (&json!("review"), &json!(3)), "{answer}");
        for rule in ["speed", "many_countries", "page_order"] {
            evidence(&answer, rule);
        }
    }
    // One whom only the other has ever seen.
    assert_eq!(hits(&json!({ "cookie": stranger.value() })), 1);
    let told = alerts(&here, &security, 0, 25);
    assert_eq!(told["alerts"].as_array().map(Vec::len), Some(1), "{told}");
    // Whom the other blocks is in no check here, nor in its alerts. Nor is whose rows it erased: that command
    // waits for minutes behind an outside storage, so its statement stands for it.
    let arguments = ["subject", "block", "--site", "clinic", "--cookie", "-", "--purpose", "asked"];
    places[1].done(&arguments, visitor.value());
    let password = std::fs::read_to_string(&secret).expect("a secret").trim().to_owned();
    let storage = Storage::new(&Endpoint::Http { url, user: "default".to_owned(), password }, "metka");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let erase =
        "ALTER TABLE metka.hits DELETE WHERE site = 'clinic' AND user_key = 0 SETTINGS mutations_sync = 2";
    runtime.block_on(storage.execute(erase, &[])).expect("erased");
    for question in [&by_cookie, &json!({ "user": "patient-1" }), &json!({ "cookie": stranger.value() })] {
        wait_for("what the other collector took out", || (ask(question)["known"] == false).then_some(()));
        assert_eq!(ask(question)["signals"], json!([]));
    }
    assert_eq!(alerts(&here, &security, 0, 0)["alerts"], json!([]));
    for server in [here, there] {
        assert_eq!(server.terminate().0, Some(0));
    }
}
