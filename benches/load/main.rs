//! The load generator, and the servers that a hit's cost is compared with.
//!
//! ```text
//! cargo bench --bench load -- run [OPTIONS]       loads a server, prints and writes a report
//! cargo bench --bench load -- compare [OPTIONS]   nginx, bare hyper and Metka side by side
//! cargo bench --bench load -- allocations         how often a hit allocates
//! cargo bench --bench load -- instructions        how many instructions a hit takes
//! cargo bench --bench load -- idle [OPTIONS]      how much memory an idle connection takes
//! cargo bench --bench load -- sustained [OPTIONS] what a hit costs in the long run, storage included
//! ```
//!
//! In: a mix of requests ([`plan`]), a loop ([`client`]: closed, so that each
//! connection sends when it was answered, or open, at a rate that does not wait for
//! the server). Out: what was answered, how late, and what that cost the server in
//! CPU and memory ([`process`]); as text, JSON and a page with plots ([`report`]).
//!
//! - Without a target it starts the built binary on a directory of its own, and
//!   afterwards counts the rows in storage: as many as were answered, none twice.
//! - Latency in the open loop is counted from the moment at which a request was due,
//!   so that a server which stalls is charged for those that had to wait
//!   (coordinated omission).
//! - Cookies are valid ones, minted by the server under test before the clock
//!   starts. Every answer must say that its hits were kept.
//! - It loads this machine only, unless told otherwise: nobody's server by mistake.

mod allocations;
mod bare;
mod client;
#[path = "../../tests/support/collector.rs"]
#[expect(dead_code, reason = "each program uses its part of the shared collector")]
mod collector;
mod compare;
#[path = "../../tests/support/http.rs"]
#[expect(dead_code, reason = "each program uses its part of the shared client")]
mod http;
mod idle;
mod instructions;
mod options;
mod plan;
mod process;
mod report;
mod run;
#[path = "../../tests/support/server.rs"]
#[expect(dead_code, reason = "each program uses its part of the shared server")]
mod server;
mod sustained;

use clap::Parser;
use options::{Command, Options};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() -> std::process::ExitCode {
    // Cargo adds this to the arguments of every bench.
    let arguments = std::env::args().filter(|argument| argument != "--bench");
    let done = match Options::parse_from(arguments).command {
        Command::Run(options) => run::run(&options),
        Command::Compare(options) => compare::compare(&options),
        Command::Allocations(options) => allocations::allocations(&options),
        Command::Idle(options) => idle::idle(&options),
        Command::Sustained(options) => sustained::sustained(&options),
        Command::Instructions(options) => instructions::instructions(&options),
        Command::Counted(options) => instructions::counted(&options),
        Command::Bare => bare::bare(),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
