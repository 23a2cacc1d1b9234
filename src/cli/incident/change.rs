//! `metka incident done` and `close`

use jiff::Timestamp;

use super::super::context::{Context, Outcome};
use super::show;
use crate::audit::Actor;
use crate::incident::{Change, Step, change_incident};

#[derive(clap::Args)]
pub struct DoneArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
    /// What is done
    #[arg(value_name = "STEP")]
    step: Step,
}

#[derive(clap::Args)]
pub struct CloseArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
    /// What came of it, in words
    #[arg(long, value_name = "TEXT")]
    result: String,
}

pub fn done(args: &DoneArgs, context: &Context) -> Outcome {
    changed(&args.number, Change::Done(args.step), context)
}

pub fn close(args: &CloseArgs, context: &Context) -> Outcome {
    changed(&args.number, Change::Close { result: args.result.clone() }, context)
}

fn changed(number: &str, change: Change, context: &Context) -> Outcome {
    let config = context.config()?;
    let trail = context.trail(&config)?;
    let now = Timestamp::now();
    let incident = change_incident(&config, &trail, number, change, Actor::running(), now)?;
    context.print(&incident, show::lines(&incident))
}
