//! `metka serve`

use super::context::{Context, Failure, Outcome};
use crate::serve::{self, Options};

#[derive(clap::Args)]
pub struct ServeArgs {
    /// Add a demo clinic at /demo/ of the web address, with some months of made-up visitors
    #[arg(long)]
    demo: bool,
}

pub fn run(args: &ServeArgs, context: Context) -> Outcome {
    let config = context.config()?;
    if config.sites.is_empty() && !args.demo {
        return Err(Failure::usage(
            "no [[site]] is configured (metka.example.toml shows one; --demo brings its own)",
        ));
    }
    let read_config = Box::new(move || context.read_config());
    Ok(serve::run(Options { config, read_config, demo: args.demo })?)
}
