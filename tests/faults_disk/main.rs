//! Faults of the disk and of the clock, made under the real binary at the level
//! of its calls, and storage that is away for long.
//!
//! - [`disk`]: failed syncs, full disks, cut and interrupted writes
//! - [`order`]: what happens before an answer, read from a trace of system calls
//! - [`clock`]: a wall clock that jumps
//! - [`away`]: millions of hits without a ClickHouse, and the catching up
//!
//! Each fault is counted where it is made, and a test whose fault did not fire
//! has failed. `METKA_SOAK=1` selects the full sizes.

mod away;
mod clock;
mod disk;
mod engine;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod load;
mod order;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
mod shim;

use std::path::Path;
use std::process::Command;

/// The site of all these tests.
const SITE: &str = r#"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
timezone = "Europe/Berlin"
"#;

/// Asked on the machine itself: elsewhere it needs a token.
const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A configuration with these keys of `[collect]` and `[ship]`, and this storage
/// (empty: the server's own engine).
fn configure(dir: &Path, collect: &str, ship: &str, storage: &str) {
    let text = format!(
        "[collect]\nrate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n{collect}\n[ship]\n{ship}\n{storage}\n{SITE}"
    );
    std::fs::write(dir.join("metka.toml"), text).expect("written");
}

/// `metka serve` in a directory that has a configuration, not started yet.
fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
    command.args(["serve", "--config", "metka.toml"]);
    command
}

/// The full sizes are asked for.
fn soak() -> bool {
    std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1")
}
