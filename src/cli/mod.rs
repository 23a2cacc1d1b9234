//! The commands: one file each, all of the same shape: `XArgs` for the
//! arguments, `run` for the work.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. Results go to
//! standard output (one JSON object with `--json`), everything else to standard
//! error. A command that needs the running server asks it over the control
//! socket, and does the work itself where none runs.

mod addresses;
mod audit;
mod backup;
mod case;
mod check;
pub mod context;
mod demo;
mod disclose;
mod engine;
mod fraud;
mod incident;
mod keys;
mod migrate;
mod offline;
mod policy;
mod report;
mod restore;
mod retention;
mod serve;
mod settings;
mod site;
mod spool;
mod stats;
mod status;
mod storage;
mod subject;
mod token;
mod user;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use context::{Context, Outcome};

use crate::privacy::memory;

/// First-party web analytics: a pixel, a stats collector, and the site's privacy policy carried out.
#[derive(clap::Parser)]
#[command(name = "metka", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// The configuration, metka.toml; the defaults and METKA_* variables alone when not given
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory, instead of the configured one
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run everything: collector, shipper, web address, jobs, and the embedded engine
    Serve(serve::ServeArgs),
    /// Run the embedded ClickHouse alone and serve its HTTP interface
    Engine(engine::EngineArgs),
    /// Check configuration, keys, geo data and storage, and say each mistake
    Check(check::CheckArgs),
    /// Apply the schema to storage, and check its settings
    Migrate(migrate::MigrateArgs),
    /// Show what was received, stored, waiting and refused, by site
    Status(status::StatusArgs),
    /// Answer one stats question
    Stats(stats::StatsArgs),
    /// Read the spool, whether a server runs or not
    Spool(spool::SpoolArgs),
    /// Statistics of visitors' addresses, without the addresses
    Addresses(addresses::AddressesArgs),
    /// Made-up data of the demo
    Demo(demo::DemoArgs),
    /// People who sign in
    User(user::UserArgs),
    /// Tokens of programs
    Token(token::TokenArgs),
    /// Make a checked, encrypted copy of storage and spool
    Backup(backup::BackupArgs),
    /// Put a backup onto a bare data directory
    Restore(restore::RestoreArgs),
    /// The terms of stored data
    Retention(retention::RetentionArgs),
    /// The key ring
    Keys(keys::KeysArgs),
    /// The record of privileged looks, changes, exports and sign-ins
    Audit(audit::AuditArgs),
    /// Sites
    Site(site::SiteArgs),
    /// Requests of the people whose data this is
    Subject(subject::SubjectArgs),
    /// The published policy, clause by clause, with what can be seen of each now
    Policy(policy::PolicyArgs),
    /// Hand data out to somebody outside, with an entry in the log; and the log
    Disclose(disclose::DiscloseArgs),
    /// The trail of one visitor, for a stated purpose
    Case(case::CaseArgs),
    /// Data disclosed, lost, looked at or changed without right: whom it is about, and what is due
    Incident(incident::IncidentArgs),
    /// Whether a visitor is plausible, with the reasons
    Fraud(fraud::FraudArgs),
    /// Goals, funnels, segments, notes, shared links and reports of a site
    Settings(settings::SettingsArgs),
    /// Reports by mail
    Report(report::ReportArgs),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the command that these arguments name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows. A closed pipe is nobody's loss.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let default = match cli.command {
        Command::Serve(_) | Command::Engine(_) => "info",
        _ => "warn",
    };
    crate::log::start(default);
    if let Err(error) = memory::close(std::env::var(memory::DEBUG_VARIABLE).ok().as_deref()) {
        eprintln!("metka: the memory of this process cannot be closed to others: {error}");
        return ExitCode::FAILURE;
    }
    let context = Context { config_file: cli.config, data_dir: cli.data, json: cli.json };
    match dispatch(&cli.command, context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("metka: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(command: &Command, context: Context) -> Outcome {
    match command {
        Command::Serve(args) => serve::run(args, context),
        Command::Engine(args) => engine::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Migrate(args) => migrate::run(args, &context),
        Command::Status(args) => status::run(args, &context),
        Command::Stats(args) => stats::run(args, &context),
        Command::Spool(args) => spool::run(args, &context),
        Command::Addresses(args) => addresses::run(args, &context),
        Command::Demo(args) => demo::run(args, &context),
        Command::User(args) => user::run(args, &context),
        Command::Token(args) => token::run(args, &context),
        Command::Backup(args) => backup::run(args, &context),
        Command::Restore(args) => restore::run(args, &context),
        Command::Retention(args) => retention::run(args, &context),
        Command::Keys(args) => keys::run(args, &context),
        Command::Audit(args) => audit::run(args, &context),
        Command::Site(args) => site::run(args, &context),
        Command::Subject(args) => subject::run(args, &context),
        Command::Policy(args) => policy::run(args, &context),
        Command::Disclose(args) => disclose::run(args, &context),
        Command::Case(args) => case::run(args, &context),
        Command::Incident(args) => incident::run(args, &context),
        Command::Fraud(args) => fraud::run(args, &context),
        Command::Settings(args) => settings::run(args, &context),
        Command::Report(args) => report::run(args, &context),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together_and_every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            for below in command.get_subcommands() {
                assert!(below.get_about().is_some(), "{} says nothing", below.get_name());
                check(below);
            }
        }
        super::Cli::command().debug_assert();
        check(&super::Cli::command());
    }
}
