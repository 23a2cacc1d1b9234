//! Who is one visitor and what is one visit, against a slow reference written
//! from the definition: random histories of browsers through real pipelines of two
//! collectors with one key ring, into the real engine, asked by the real questions.
//!
//! `METKA_SOAK=1` makes 10,000 histories, else as many as suit CI.

mod binaries;
mod collectors;
mod histories;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
#[path = "../support/random.rs"]
mod random;
mod reference;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared server")]
mod server;
#[path = "../support/storage.rs"]
mod storage;
mod world;
