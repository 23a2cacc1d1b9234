//! The log of disclosures and the register of incidents, with the real binary and the
//! real engine.

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

use hmac::{Hmac, KeyInit, Mac};

use place::{Place, contains, files_below};
use server::{Server, wait_for};

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
const SECRET: &str = "a secret of the clinic's server";
/// All of time.
const EVER: [&str; 2] = ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"];

/// A browser.
struct Browser {
    cookie: String,
    user_key: Option<&'static str>,
    address: &'static str,
}

fn place() -> Place {
    let place = Place::with(CONFIG);
    std::fs::write(place.path().join("user-key.secret"), SECRET).expect("written");
    place
}

// === impl Browser ===

impl Browser {
    fn new(address: &'static str) -> Browser {
        Browser { cookie: String::new(), user_key: None, address }
    }

    /// One that signs in.
    fn of(user_key: &'static str, address: &'static str) -> Browser {
        Browser { user_key: Some(user_key), ..Browser::new(address) }
    }

    /// One page view on a site, answered as kept; takes the cookie that it is offered.
    fn view(&mut self, server: &Server, site: &str, path: &str) {
        let mut target = format!("/pixel.gif?s={site}&u=https://{site}.example{path}");
        // The other site has no secret for user keys.
        if let Some(key) = self.user_key.filter(|_| site == "clinic") {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
            mac.update(format!("{site}:{key}").as_bytes());
            let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            target.push_str(&format!("&uk={key}.{mac}"));
        }
        let headers = [("Cookie", self.cookie.as_str()), ("X-Forwarded-For", self.address)];
        let reply = http::exchange(server.collect, &http::get(&target, &headers));
        assert_eq!(reply.header("x-metka"), Some("ok"), "{path}");
        if let Some(cookie) = reply.cookie("metka") {
            self.cookie = cookie;
        }
    }

    /// The cookie's value.
    fn value(&self) -> &str {
        self.cookie.split_once('=').expect("it has a cookie").1
    }
}

/// Waits until storage has so many rows of a site.
fn stored(server: &Server, site: &str, rows: u64) {
    wait_for("storage to have the rows", || {
        let sql = format!("SELECT count() FROM metka.hits WHERE site = '{site}'");
        (server.rows(&sql)[0][0] == rows).then_some(())
    });
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
