//! The embedded engine, by the built binary: `metka engine` on a directory of
//! its own, spoken to as clients do.
//!
//! - `protocol`: ClickHouse's HTTP interface, byte by byte
//! - `client`: the Rust crate `clickhouse`, as the product uses it
//! - `process`: lock, library, secret, crash, end
//! - `supervisor`: the parent's side
//!
//! The Python and Node clients are in `tests/clients`.

mod client;
mod harness;
mod process;
mod protocol;
mod supervisor;
