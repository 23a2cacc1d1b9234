//! `metka subject show`, and how every command here prints a request.

use jiff::Timestamp;

use super::super::context::{Context, Outcome, moment};
use super::desk;
use crate::rights::request::Request;
use crate::rights::terms::Due;

#[derive(clap::Args)]
pub struct ShowArgs {
    /// Its number, such as 2026-0001
    #[arg(value_name = "NUMBER")]
    number: String,
}

pub fn run(args: &ShowArgs, context: &Context) -> Outcome {
    let request =
        desk(context)?.register().get(&args.number).map_err(crate::rights::desk::DeskError::from)?;
    print(context, &request, Timestamp::now())
}

pub fn print(context: &Context, request: &Request, now: Timestamp) -> Outcome {
    context.print(&request.described(now.as_millisecond()), lines(request, now))
}

fn lines(request: &Request, now: Timestamp) -> Vec<String> {
    let about = request.about.map(|about| format!(" about {about}")).unwrap_or_default();
    let state = request.state.name();
    let late = if request.is_overdue(now.as_millisecond()) { ", overdue" } else { "" };
    let mut lines = vec![
        format!("{}  {}{about}, site {}, {state}{late}", request.number, request.kind, request.site),
        format!("received    {}, identified by {}", moment(request.received), request.identified.name()),
    ];
    lines.extend(request.subjects.iter().map(|subject| format!("subject     {subject}")));
    if let Some(step) = &request.first_step {
        let done = step.done.map(|at| format!(", done {}", moment(at))).unwrap_or_default();
        lines.extend(due_lines(&step.what, &step.due).into_iter().map(|line| format!("{line}{done}")));
    }
    lines.extend(due_lines("due", &request.due));
    if let Some(extension) = &request.extension {
        lines.extend(due_lines("extended to", &extension.until));
        lines.push(format!("reason      {}", extension.reason));
    }
    for (name, text) in [("purpose", &request.purpose), ("answer", &request.answer)] {
        if !text.is_empty() {
            lines.push(format!("{name:<10}  {text}"));
        }
    }
    lines.extend(request.acts.iter().map(|act| format!("act         {act}")));
    let history = request.history.iter();
    lines.extend(history.map(|change| format!("{}  {} ({})", moment(change.at), change.what, change.who)));
    lines
}

fn due_lines(name: &str, due: &Due) -> Vec<String> {
    let counted = if due.counted_by.is_empty() { String::new() } else { format!("; {}", due.counted_by) };
    let mut lines = vec![format!(
        "{name:<10}  {}, to the end of the day: {} ({}{counted})",
        due.date, due.term, due.article
    )];
    lines.extend(due.holidays.warning().map(|warning| format!("            {warning}")));
    lines
}
