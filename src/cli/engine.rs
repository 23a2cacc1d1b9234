//! `metka engine`

use std::net::SocketAddr;
use std::path::PathBuf;

use super::context::{Context, Failure, Outcome};
use crate::engine::{self, EngineOptions, Listen};

#[derive(clap::Args)]
pub struct EngineArgs {
    /// A loopback address with a port (0 is any free one) instead of the Unix socket
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The ClickHouse library, instead of engine.library
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
    /// What all statements together may use, instead of engine.max_memory_bytes
    #[arg(long, value_name = "BYTES")]
    max_memory_bytes: Option<u64>,
    /// End when standard input does
    #[arg(long, hide = true)]
    parent_pipe: bool,
    /// Wait for an engine that still runs on the data directory
    #[arg(long, hide = true)]
    wait_for_lock: bool,
}

/// Runs until SIGTERM, SIGINT or the end of the parent's pipe.
pub fn run(args: &EngineArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    engine::run(EngineOptions {
        data_dir: config.data_dir,
        library: args.library.clone().or(config.engine.library),
        max_memory_bytes: args.max_memory_bytes.unwrap_or(config.engine.max_memory_bytes),
        listen: args.listen.map_or(Listen::Unix, Listen::Tcp),
        parent_pipe: args.parent_pipe,
        wait_for_lock: args.wait_for_lock,
    })
    .map_err(Failure::failed)
}
