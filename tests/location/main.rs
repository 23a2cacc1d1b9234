//! What is told of an address: against another reader of the databases, in every
//! layout; how databases are merged, reloaded and grow old.
//!
//! `METKA_SOAK=1` asks for as many addresses as docs/location.md claims.

mod age;
mod layouts;
mod merge;
#[path = "../support/mmdb.rs"]
mod mmdb;
#[path = "../support/place.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared place")]
mod place;
#[path = "../support/random.rs"]
mod random;
mod reader;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use metka::config::Config;
use metka::enrich::Enricher;
use metka::privacy::address::ClientIp;
use metka::search::Search;
use mmdb::Value;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn config(files: &[PathBuf], datacentres: &[u32]) -> Config {
    let text = format!("[geo]\nfiles = {files:?}\n[enrich]\ndatacentre_networks = {datacentres:?}\n");
    Config::parse(&text, HashMap::new(), root()).expect("valid")
}

fn opened(files: &[PathBuf], datacentres: &[u32]) -> Enricher {
    Enricher::open(&config(files, datacentres), &Search::new(None, root())).expect("opens")
}

fn ip(text: &str) -> ClientIp {
    ClientIp::parse(text).expect("an address")
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// `{"en": …}` with the names of two other languages around it.
fn names(english: &str) -> Value {
    Value::Map(vec![
        ("de", text(&format!("{english} (de)"))),
        ("en", text(english)),
        ("ru", text("Название")),
    ])
}
