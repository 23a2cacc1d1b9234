//! Everything started and stopped in order.

use crate::config::{Config, ConfigError};

/// What `metka serve` is asked to do.
pub struct Options {
    pub config: Config,
    /// Reads the configuration again, for a reload.
    pub read_config: Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
    pub demo: bool,
}

/// Runs until a signal ends it.
pub fn run(options: Options) -> anyhow::Result<()> {
    let _ = options;
    anyhow::bail!("not assembled yet")
}
