//! The collect address from outside: a table of hostile requests, each with its
//! answer, and what of them was stored; then drains, limits, cookies, consent.

#[path = "support/collector.rs"]
mod collector;
#[path = "support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "support/protection.rs"]
#[expect(dead_code, reason = "each test binary meets its part of the kinds")]
mod protection;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

#[path = "collect/consent.rs"]
mod consent;
#[path = "collect/headers.rs"]
mod headers;
#[path = "collect/hostile.rs"]
mod hostile;
#[path = "collect/visitors.rs"]
mod visitors;
#[path = "collect/wire.rs"]
mod wire;

/// The sites that the tests use.
pub const SITES: &str = r#"
[[site]]
id = "clinic"
hosts = ["clinic.example", "*.clinic.example"]
query_parameters = ["page"]
policy_version = "2024-04-01"
policy_url = "https://clinic.example/policy"
contact = "Privacy <privacy@clinic.example>"

[[site]]
id = "strict"
hosts = ["strict.example"]
preset = "ru-152fz"

[[site]]
id = "optin"
hosts = ["optin.example"]
consent = "opt-in"

[[site]]
id = "cookieless"
hosts = ["cookieless.example"]
consent = "cookieless"

[[site]]
id = "dropper"
hosts = ["dropper.example"]
signals = "drop"
"#;

/// One thread, so that the order of rows is the order of requests, and no rate limits.
pub fn unlimited() -> String {
    format!("[collect]\nthreads = 1\nrate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n{SITES}")
}
