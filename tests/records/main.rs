//! The log of disclosures and the register of incidents, with the real binary and the
//! real engine.

#[path = "../support/browser.rs"]
mod browser;
mod crash;
mod disclosures;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod incidents;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use browser::{Browser, SECRET, stored};
use place::{Place, contains, files_below};
use server::wait_for;

const CONFIG: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "1s"
[operator]
name = "Клиника «Пример»"
address = "Тверь, ул. Новая, 1"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
timezone = "Europe/Moscow"
contact = "+7 000 000-00-00"
user_key_secret_file = "user-key.secret"
[[site]]
id = "other"
hosts = ["other.example"]
preset = "gdpr"
"#;
/// All of time.
const EVER: [&str; 2] = ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"];

fn place() -> Place {
    let place = Place::with(CONFIG);
    std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
    place
}

/// Nothing that identifies somebody stands in the files of these directories. How many there are.
fn nothing_identifies(place: &Place, canaries: &[&str]) -> usize {
    let mut files = Vec::new();
    for directory in ["rights", "audit"] {
        files_below(&place.data().join(directory), &mut files);
    }
    for (path, bytes) in &files {
        for canary in canaries {
            assert!(!contains(bytes, canary.as_bytes()), "{canary} is in {}", path.display());
        }
    }
    files.len()
}

/// How many entries the audit trail has of an action.
fn entries(place: &Place, action: &str) -> usize {
    let listed = place.done(&["audit", "list", "--action", action], "");
    listed["entries"].as_array().expect("entries").len()
}
