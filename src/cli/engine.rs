//! `metka engine`: the embedded engine alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Config;
use crate::engine::{self, EngineOptions, Listen};

/// Run the embedded ClickHouse and serve its HTTP interface.
#[derive(Clone, Debug, clap::Args)]
pub struct EngineArgs {
    /// The configuration file.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The data directory.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// A loopback address with a port (0 is any free one) instead of the Unix socket.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// The ClickHouse library, instead of `engine.library`.
    #[arg(long)]
    pub library: Option<PathBuf>,
    /// What all statements together may use, instead of `engine.max_memory_bytes`.
    #[arg(long)]
    pub max_memory_bytes: Option<u64>,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub parent_pipe: bool,
    /// Wait for an engine that still runs on the data directory.
    #[arg(long, hide = true)]
    pub wait_for_lock: bool,
}

/// Runs until SIGTERM, SIGINT or the end of the parent's pipe.
pub fn run(args: EngineArgs) -> anyhow::Result<()> {
    let working_dir = std::env::current_dir()?;
    crate::log::start("warn");
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != crate::log::VARIABLE);
    let config = Config::load(args.config.as_deref(), args.data.as_deref(), environment, &working_dir)?;
    engine::run(EngineOptions {
        data_dir: config.data_dir,
        library: args.library.or(config.engine.library),
        max_memory_bytes: args.max_memory_bytes.unwrap_or(config.engine.max_memory_bytes),
        listen: args.listen.map_or(Listen::Unix, Listen::Tcp),
        parent_pipe: args.parent_pipe,
        wait_for_lock: args.wait_for_lock,
    })?;
    Ok(())
}
