//! `metka subject extend`, `stopped` and `close`

use jiff::Timestamp;

use super::super::context::{Context, Failure, Outcome};
use super::{actor, desk, show};
use crate::audit::{Action, Actor};
use crate::rights::desk::{DeskError, changing};
use crate::rights::register::{self, Note};
use crate::rights::request::Request;

#[derive(clap::Args)]
pub struct ExtendArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
    /// Why, as the person was told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// By so many days, working ones where the law counts these; by all that it allows when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=366))]
    days: Option<u16>,
}

#[derive(clap::Args)]
pub struct StoppedArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
}

#[derive(clap::Args)]
pub struct CloseArgs {
    #[arg(value_name = "NUMBER")]
    number: String,
    /// What the person was told
    #[arg(long, value_name = "TEXT")]
    answer: String,
    /// The request was refused, and the answer says why
    #[arg(long)]
    refused: bool,
}

pub fn extend(args: &ExtendArgs, context: &Context) -> Outcome {
    let now = Timestamp::now();
    note(context, &args.number, Action::RequestChanged, "extended", now)?;
    let request = desk(context)?.extend(&args.number, &args.reason, args.days, &actor(), now)?;
    show::print(context, &request, now)
}

pub fn stopped(args: &StoppedArgs, context: &Context) -> Outcome {
    let what = "the processing has stopped";
    noted(context, &args.number, Action::RequestChanged, what, |register, note| {
        register.step_done(&args.number, note)
    })
}

pub fn close(args: &CloseArgs, context: &Context) -> Outcome {
    let (outcome, what) = if args.refused {
        (register::Outcome::Refused, "closed: refused")
    } else {
        (register::Outcome::Done, "closed: done")
    };
    noted(context, &args.number, Action::RequestClosed, what, |register, note| {
        register.close(&args.number, outcome, &args.answer, note)
    })
}

/// Writes into the audit trail what is about to be done to a request.
fn note(context: &Context, number: &str, action: Action, what: &str, now: Timestamp) -> Outcome {
    let request = desk(context)?.register().get(number).map_err(DeskError::from)?;
    let entry = changing(&request, action, what, Actor::running(), now)?;
    context.trail(&context.config()?)?.append(&entry)?;
    Ok(())
}

fn noted(
    context: &Context,
    number: &str,
    action: Action,
    what: &str,
    change: impl FnOnce(&register::Register, Note<'_>) -> Result<Request, register::RegisterError>,
) -> Outcome {
    let now = Timestamp::now();
    note(context, number, action, what, now)?;
    let note = Note { at: now.as_millisecond(), who: &actor(), what };
    let request = change(desk(context)?.register(), note).map_err(DeskError::from).map_err(Failure::from)?;
    show::print(context, &request, now)
}
