//! `metka subject`
//!
//! Works on the register of the data directory itself, beside a running server or
//! without one. What identifies a person is turned into keyed hashes here and is
//! written nowhere.

mod change;
pub(super) mod identify;
mod job;
mod list;
mod request;
mod show;

use super::context::{Context, Failure, Outcome};
use crate::config::Config;
use crate::demo;
use crate::rights::desk::{Desk, DeskError};

#[derive(clap::Args)]
pub struct SubjectArgs {
    #[command(subcommand)]
    command: SubjectCommand,
}

#[derive(clap::Subcommand)]
enum SubjectCommand {
    /// Register a person's request, and tell until when it must be done
    Request(request::RequestArgs),
    /// List the requests
    List(list::ListArgs),
    /// Show one request with its history
    Show(show::ShowArgs),
    /// Extend a request's term, of which the person is told with the reason
    Extend(change::ExtendArgs),
    /// Note that unlawful processing has stopped, which has a term of its own
    Stopped(change::StoppedArgs),
    /// Close a request with what the person was told
    Close(change::CloseArgs),
    /// Say what is held of a person
    Find(job::PersonArgs),
    /// Everything that is held of a person, with its meaning and source
    Export(job::ExportArgs),
    /// Take a person out of every number, at once; what is stored stays stored
    Block(job::PersonArgs),
    /// End a block: the person counts again, as before
    Unblock(job::PersonArgs),
    /// Keep what is stored of a person past every term, for a claim; the person counts as before
    Hold(job::PersonArgs),
    /// End a hold: the terms run again
    Release(job::PersonArgs),
    /// Correct or clear a stored field of a person's rows
    Rectify(job::RectifyArgs),
    /// End a person's consent to marketing, in what is stored and for hits to come
    WithdrawMarketing(job::PersonArgs),
    /// Refuse hits of a person's browsers from now on, and have them opted out
    OptOut(job::PersonArgs),
    /// Destroy what is held of a person, or of all that several requests are about, and write the acts
    Erase(job::EraseArgs),
}

pub fn run(args: &SubjectArgs, context: &Context) -> Outcome {
    match &args.command {
        SubjectCommand::Request(args) => request::run(args, context),
        SubjectCommand::List(args) => list::run(args, context),
        SubjectCommand::Show(args) => show::run(args, context),
        SubjectCommand::Extend(args) => change::extend(args, context),
        SubjectCommand::Stopped(args) => change::stopped(args, context),
        SubjectCommand::Close(args) => change::close(args, context),
        SubjectCommand::Find(args) => job::find(args, context),
        SubjectCommand::Export(args) => job::export(args, context),
        SubjectCommand::Block(args) => job::block(args, context),
        SubjectCommand::Unblock(args) => job::unblock(args, context),
        SubjectCommand::Hold(args) => job::hold(args, context),
        SubjectCommand::Release(args) => job::release(args, context),
        SubjectCommand::Rectify(args) => job::rectify(args, context),
        SubjectCommand::WithdrawMarketing(args) => job::withdraw_marketing(args, context),
        SubjectCommand::OptOut(args) => job::opt_out(args, context),
        SubjectCommand::Erase(args) => job::erase(args, context),
    }
}

/// The desk of the configuration.
fn desk(context: &Context) -> Result<Desk, Failure> {
    Ok(Desk::open(&context.config()?)?)
}

/// The configuration; with the demo clinic, if that is meant: only a server that was
/// started with it has it otherwise.
pub(super) fn config(context: &Context, site: &str) -> Result<Config, Failure> {
    let mut config = context.config()?;
    if site == demo::SITE && config.site(site).is_none() {
        demo::add_site(&mut config);
    }
    Ok(config)
}

/// Whoever runs the command, as a history names them.
fn actor() -> String {
    format!("command line, uid {}", rustix::process::getuid().as_raw())
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Failure {
        match &error {
            // The calendar is part of the configuration.
            DeskError::Calendar(_) | DeskError::Early(_) | DeskError::Zone(_) => Failure::usage(error),
            DeskError::Register(inner) if inner.is_about_the_question() => Failure::usage(error),
            DeskError::Register(_) | DeskError::Term(_) => Failure::failed(error),
        }
    }
}
