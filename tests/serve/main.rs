//! The whole server, as a process: started, hit, stopped, reloaded, read back.

mod demo;
mod forged;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod life;
mod secrets;
#[path = "../support/server.rs"]
mod server;
mod signals;
mod spoofed;

use std::path::Path;

/// One site, without limits that a single machine would run into.
const CONFIG: &str = r#"
[collect]
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "200ms"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;

fn configured() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    configure(dir.path(), CONFIG);
    dir
}

fn configure(dir: &Path, text: &str) {
    std::fs::write(dir.join("metka.toml"), text).expect("written");
}
