//! What is kept and marked, and what is refused, through the whole server: in the
//! table, out of the numbers, and back on request.

mod crowd;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod marks;
mod networks;
mod refusals;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use serde_json::{Value, json};

use http::{Reply, exchange, get};
use server::Server;

/// A person's browser; others differ by the version behind the dot.
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

fn configured(collect: &str, rest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[collect]\nrate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n{collect}\n\
         [ship]\ninterval = \"200ms\"\n{rest}\n\
         [[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n"
    );
    std::fs::write(dir.path().join("metka.toml"), text).expect("written");
    dir
}

/// A page view from `address`, with further parameters and headers.
fn view(server: &Server, address: &str, parameters: &str, headers: &[(&str, &str)]) -> Reply {
    let target = format!("/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F{parameters}");
    let mut all = vec![("X-Forwarded-For", address)];
    all.extend_from_slice(headers);
    exchange(server.collect, &get(&target, &all))
}

/// The rows of the answer to a question about today.
fn ask(server: &Server, metrics: Value, dimensions: Value, bots: bool) -> Vec<(Value, Value)> {
    let question = json!({
        "site_id": "clinic", "metrics": metrics, "date_range": "day", "dimensions": dimensions,
        "include": {"bots": bots},
    });
    std::fs::write(server.dir.join("question.json"), question.to_string()).expect("written");
    let answer = server.command(&["stats", "question.json"]);
    let rows = answer["results"].as_array().expect("a list").iter();
    rows.map(|row| (row["dimensions"].clone(), row["metrics"].clone())).collect()
}
