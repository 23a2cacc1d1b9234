//! Hostile HTTP against the built binary: what floods it, starves it, or tries to
//! make its memory grow; and that whoever behaves is served meanwhile.
//!
//! The server's storage is away, so that what is measured is the collector. Sizes
//! are those of continuous integration; `METKA_SOAK=1` selects the full ones.

#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "../support/pem.rs"]
mod pem;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
#[path = "../support/tls.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod tls;

mod frames;
mod many;
mod odd;
mod slow;
mod unread;

use server::Server;

const PAGE: &str = "/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F";
const NAME: &str = "stats.clinic.example";

/// Looks, one after the other, at which memory must be the same: a second.
const LOOKS_AT_REST: u32 = 50;

/// Starts a server on a directory of its own; `collect` is more of that section.
fn serve(collect: &str) -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!(
        "[collect]\nrate_limit_per_minute = 1000000000\nrate_limit_network_per_minute = 1000000000\n{collect}\n\
         [storage]\nurl = \"http://127.0.0.1:9\"\n[ship]\nbatch_rows = 10000\n\
         [[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\", \"*.clinic.example\"]\n"
    );
    std::fs::write(dir.path().join("metka.toml"), text).expect("written");
    (Server::start(dir.path(), &[]), dir)
}

/// What the server's process holds in memory, in bytes.
fn resident(server: &Server) -> i64 {
    let status = format!("/proc/{}/status", server.child.id());
    let status = std::fs::read_to_string(status).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kilobytes: i64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes << 10
}

/// The same when it has come to rest: what is loaded in the background is there,
/// and what a connection held is given back.
fn resident_at_rest(server: &Server) -> i64 {
    for _ in 0..20 {
        let reply = http::exchange(server.collect, &http::get("/health", &[]));
        // An address with TLS says nothing in the clear.
        assert!(matches!(reply.status, 0 | 200));
    }
    at_rest(server)
}

/// The same without asking the server anything.
fn at_rest(server: &Server) -> i64 {
    let (mut last, mut alike) = (resident(server), 0);
    server::wait_for("memory at rest", || {
        let now = resident(server);
        alike = if (now - last).abs() < 64 << 10 { alike + 1 } else { 0 };
        last = now;
        (alike == LOOKS_AT_REST).then_some(now)
    })
}

/// In MB, for people.
fn megabytes(bytes: i64) -> String {
    format!("{:.1} MB", bytes as f64 / (1 << 20) as f64)
}

/// The number for continuous integration, or the full one.
fn sized<T>(in_ci: T, in_soak: T) -> T {
    if std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1") { in_soak } else { in_ci }
}

/// A runtime for clients.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
