//! The commands.

pub mod engine;

use std::process::ExitCode;

use clap::Parser;

/// A first-party analytics pixel and stats collector.
#[derive(Debug, Parser)]
#[command(name = "metka", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Engine(engine::EngineArgs),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Engine(args) => engine::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metka: {error:#}");
            let usage = error.downcast_ref::<crate::config::ConfigError>().is_some();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
