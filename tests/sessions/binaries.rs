//! Two built collectors with one `keys.dir` behind one storage, of which one is
//! killed and started again: who alternates between them is one visitor on one visit.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::{Timestamp, ToSpan};
use metka::config::Site;
use metka::store::{Endpoint, Storage};
use serde_json::{Value, json};

use crate::http::{exchange, get};
use crate::server::Server;

/// Hits of each browser before the kill, while one is down, and after its return.
const HITS: usize = 8;

const SITES: &str = r#"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
timezone = "Europe/Moscow"
[[site]]
id = "cookieless"
hosts = ["cookieless.example"]
consent = "cookieless"
"#;

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

/// One hit; remembers the cookie that it is answered with.
fn hit(server: &Server, site: &str, page: usize, cookie: &mut String) {
    let target = format!("/pixel.gif?s={site}&u=https://{site}.example/p{page}");
    let headers = [("X-Forwarded-For", "192.0.2.1"), ("Cookie", cookie.as_str())];
    let reply = exchange(server.collect, &get(&target, &headers));
    assert_eq!(reply.header("x-metka"), Some("ok"));
    if let Some(set) = reply.cookie("metka") {
        assert!(cookie.is_empty(), "a cookie of the other collector was not recognised");
        *cookie = set;
    }
}

#[test]
fn one_who_alternates_between_two_collectors_is_one_visitor_on_one_visit_over_a_kill() {
    let data = tempfile::tempdir().expect("a directory");
    let (_engine, url) = engine(&data.path().join("engine-data"));
    let secret = data.path().join("engine-data/engine/secret");
    let text = format!(
        "[collect]\nrate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n[ship]\ninterval = \"1s\"\n\
         [keys]\ndir = \"{}\"\n[storage]\nurl = \"{url}\"\npassword_file = \"{}\"\n{SITES}",
        data.path().join("keys").display(),
        secret.display()
    );
    let dirs = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")];
    for dir in &dirs {
        std::fs::write(dir.path().join("metka.toml"), &text).expect("written");
    }
    let mut servers: Vec<Server> = dirs.iter().map(|dir| Server::start(dir.path(), &[])).collect();
    let started = Timestamp::now();
    let mut cookie = String::new();
    let mut sent = 0;
    let mut both = |servers: &[Server], cookie: &mut String| {
        for _ in 0..HITS {
            hit(&servers[sent % servers.len()], "clinic", sent, cookie);
            hit(&servers[sent % servers.len()], "cookieless", sent, &mut String::new());
            sent += 1;
        }
    };
    both(&servers, &mut cookie);
    // Its last hits wait in its spool while the other's go on.
    servers.remove(0).kill();
    both(&servers, &mut cookie);
    servers.push(Server::start(dirs[0].path(), &[]));
    both(&servers, &mut cookie);
    for server in &servers {
        for site in ["clinic", "cookieless"] {
            server.settled(site);
        }
    }

    let password = std::fs::read_to_string(&secret).expect("a secret").trim().to_owned();
    let storage = Storage::new(&Endpoint::Http { url, user: "default".to_owned(), password }, "metka");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The clock's day may have changed meanwhile, which is what it is about, too.
    let range = [started - 24.hours(), Timestamp::now() + 24.hours()].map(|at| at.to_string());
    for id in ["clinic", "cookieless"] {
        let site = Site::with_defaults(id, &["clinic.example"]);
        let question = json!({
            "site_id": id, "metrics": ["visitors", "visits", "pageviews", "bounce_rate"], "date_range": range,
        });
        let answer = runtime
            .block_on(metka::query::run(
                &storage,
                &site,
                &metka::settings::Settings::default(),
                &question,
                Timestamp::now(),
            ))
            .expect("an answer");
        assert_eq!(answer["results"][0]["metrics"], json!([1, 1, 3 * HITS, 0]), "{id}");
        let live = runtime.block_on(metka::query::live(&storage, &site, Timestamp::now()));
        assert!(live.expect("a live count") <= 1, "{id}");
    }
    for server in servers {
        assert_eq!(server.terminate().0, Some(0));
    }
}
