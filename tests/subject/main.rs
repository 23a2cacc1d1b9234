//! What is done to one person's data, with the real binary and the real engine.

mod batch;
mod blocks;
#[path = "../support/browser.rs"]
mod browser;
mod choices;
mod collectors;
mod erasure;
mod found;
mod holds;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod kills;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
#[path = "../faults/proxy.rs"]
#[expect(dead_code, reason = "of it the reading of HTTP is used here")]
mod proxy;
mod rectify;
mod refusals;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use std::collections::BTreeMap;

use browser::{Browser, SECRET, stored};
use serde_json::{Value, json};

use place::{Place, contains, files_below};
use server::{Server, wait_for};

const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
max_new_visitors_per_address_per_day = 0
[ship]
interval = "1s"
[operator]
name = "Клиника «Пример»"
official = "И. Иванова, ответственная за обработку"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
user_key_secret_file = "user-key.secret"
[[site]]
id = "other"
hosts = ["other.example"]
"#;
const PURPOSE: &str = "request of the person";
/// Everything about a person that a file could hold in the clear, apart from texts of pages.
const ADDRESS: &str = "203.0.113.77";

fn place() -> Place {
    place_with("", "")
}

/// With something else in place of a part of the configuration.
fn place_with(part: &str, other: &str) -> Place {
    let config = if part.is_empty() { CONFIG.to_owned() } else { CONFIG.replacen(part, other, 1) };
    let place = Place::with(&config);
    std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
    place
}

/// What the numbers say about a site: visitors, visits, page views, and views by page.
fn numbers(server: &Server, site: &str) -> Value {
    let ask = |question: Value| {
        let file = server.dir.join("question.json");
        std::fs::write(&file, question.to_string()).expect("written");
        // The engine may answer before the server asks it anything.
        wait_for("an answer", || {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
                .args(["stats", "question.json", "--json", "--config", "metka.toml"])
                .current_dir(&server.dir)
                .output()
                .expect("the binary runs");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || error.contains("not ready yet"), "{error}");
            let answer: Option<Value> = serde_json::from_slice(&output.stdout).ok();
            answer.map(|answer| answer["results"].clone())
        })
    };
    json!([
        ask(
            json!({"site_id": site, "metrics": ["visitors", "visits", "pageviews", "bounce_rate", "visit_duration"],
                   "date_range": "all"})
        ),
        ask(json!({"site_id": site, "metrics": ["pageviews", "visitors"], "dimensions": ["event:page"],
                   "date_range": "all"})),
    ])
}

fn count(server: &Server, condition: &str) -> u64 {
    server.rows(&format!("SELECT count() FROM metka.hits WHERE {condition}"))[0][0].as_u64().expect("a count")
}

/// The files that hold the text as it is, and the rows that hold it in any column.
fn traces(place: &Place, server: &Server, text: &str) -> (Vec<String>, u64) {
    let mut files = Vec::new();
    files_below(&place.data(), &mut files);
    let holding = files.iter().filter(|(_, bytes)| contains(bytes, text.as_bytes()));
    let names =
        holding.map(|(path, _)| path.strip_prefix(place.data()).expect("below").display().to_string());
    // Every column of every part, decompressed by the engine itself.
    let rows = count(server, &format!("position(toString(tuple(*)), '{text}') > 0"));
    (names.collect(), rows)
}

/// What everybody else has: rows and a checksum, by visitor.
fn others(server: &Server, but: &str) -> BTreeMap<String, String> {
    let sql = format!(
        "SELECT toString(visitor), concat(toString(count()), ' ', toString(sum(cityHash64(* EXCEPT (hold))))) \
         FROM metka.hits WHERE path NOT LIKE '%{but}%' GROUP BY visitor"
    );
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    server.rows(&sql).iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
}
