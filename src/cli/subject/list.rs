//! `metka subject list`

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::context::{Context, Outcome, table};
use super::desk;
use crate::rights::desk::DeskError;
use crate::rights::register::Filter;
use crate::rights::request::State;
use crate::rights::terms::Kind;

#[derive(clap::Args)]
pub struct ListArgs {
    /// Only those about this site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
    /// Only those of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only open ones whose term has ended
    #[arg(long)]
    overdue: bool,
}

pub fn run(args: &ListArgs, context: &Context) -> Outcome {
    let now = Timestamp::now();
    let filter = Filter {
        site: args.site.clone(),
        kind: args.kind,
        state: args.state,
        subject: None,
        overdue_at: args.overdue.then(|| now.as_millisecond()),
    };
    let requests = desk(context)?.register().list(&filter).map_err(DeskError::from)?;
    let values: Vec<Value> = requests.iter().map(|request| request.described(now.as_millisecond())).collect();
    let rows = requests
        .iter()
        .map(|request| {
            let late =
                if request.is_overdue(now.as_millisecond()) { "overdue" } else { request.state.name() };
            [
                request.number.clone(),
                request.site.clone(),
                request.kind.to_string(),
                late.to_owned(),
                request.next_due().unwrap_or_else(|| request.due()).date.to_string(),
                request.identified.name().to_owned(),
            ]
        })
        .collect();
    let heads = ["NUMBER", "SITE", "KIND", "STATE", "DUE", "IDENTIFIED BY"];
    context.print(&json!({ "requests": values }), table(heads, rows))
}
