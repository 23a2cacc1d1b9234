//! `metka incident`
//!
//! What needs storage is done by the running server, or here where none runs; what is
//! about the register alone is done on its file.

mod change;
mod people;
mod report;
mod show;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome};
use super::offline;
use crate::audit::Actor;
use crate::config::Config;
use crate::incident::{Asked, IncidentError};

#[derive(clap::Args)]
pub struct IncidentArgs {
    #[command(subcommand)]
    command: IncidentCommand,
}

#[derive(clap::Subcommand)]
enum IncidentCommand {
    /// Register an incident: counts whom and what it is about, and starts its clocks
    Report(report::ReportArgs),
    /// List the incidents
    List(show::ListArgs),
    /// Show one incident, or the notice about it
    Show(show::ShowArgs),
    /// Note that a step is done
    Done(change::DoneArgs),
    /// Close an incident with what came of it
    Close(change::CloseArgs),
    /// The keyed hashes of all who are affected
    Subjects(people::SubjectsArgs),
    /// Which of the clinic's own user keys are affected
    Match(people::MatchArgs),
}

pub fn run(args: &IncidentArgs, context: &Context) -> Outcome {
    match &args.command {
        IncidentCommand::Report(args) => report::run(args, context),
        IncidentCommand::List(args) => show::list(args, context),
        IncidentCommand::Show(args) => show::run(args, context),
        IncidentCommand::Done(args) => change::done(args, context),
        IncidentCommand::Close(args) => change::close(args, context),
        IncidentCommand::Subjects(args) => people::subjects(args, context),
        IncidentCommand::Match(args) => people::matched(args, context),
    }
}

/// Has the running server answer each, or answers them here.
fn ask(all: Vec<Asked>, config: Config, context: &Context) -> Result<Vec<Value>, Failure> {
    context.block_on(async {
        let mut answers = Vec::with_capacity(all.len());
        if context.server(&config)?.is_none() {
            return offline::with_office(config, async |office| {
                for asked in all {
                    answers.push(office.incident(asked, Actor::running(), Timestamp::now()).await?);
                }
                Ok::<_, IncidentError>(answers)
            })
            .await;
        }
        for asked in all {
            let server = context.server(&config)?;
            let server = server.ok_or_else(|| Failure::failed("the server that ran is gone"))?;
            answers.push(server.call(Method::POST, "/incident", Some(&json!(asked))).await?);
        }
        Ok(answers)
    })
}

/// The same for one question.
fn ask_one(asked: Asked, config: Config, context: &Context) -> Result<Value, Failure> {
    Ok(ask(vec![asked], config, context)?.pop().unwrap_or_default())
}
