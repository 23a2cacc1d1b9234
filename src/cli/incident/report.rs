//! `metka incident report`

use super::super::context::{Context, Outcome};
use super::super::subject;
use super::super::subject::identify::moment_of;
use super::{ask_one, show};
use crate::incident::{Asked, Kind, Report};

#[derive(clap::Args)]
pub struct ReportArgs {
    /// The site that it is about
    #[arg(long, value_name = "ID")]
    site: String,
    /// The hits that it is about: from this moment, RFC 3339, or a date with or without a time in the site's time zone
    #[arg(long, value_name = "TIME")]
    from: String,
    /// To before this one; what is still to come is left out
    #[arg(long, value_name = "TIME")]
    to: String,
    /// What happened to the data
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// What happened, in words, for the notice; contacts, addresses and document numbers are taken out
    #[arg(long, value_name = "TEXT")]
    what: String,
    /// When it was detected, from which the clocks run; now when not given
    #[arg(long, value_name = "TIME")]
    detected: Option<String>,
}

pub fn run(args: &ReportArgs, context: &Context) -> Outcome {
    let config = subject::config(context, &args.site)?;
    let site = config.chosen(Some(&args.site))?;
    let moment = |option, text: &str| moment_of(option, text, site).map(|moment| moment.to_string());
    let report = Report {
        site: site.id.clone(),
        kind: args.kind,
        from: moment("--from", &args.from)?,
        to: moment("--to", &args.to)?,
        detected: args.detected.as_deref().map(|text| moment("--detected", text)).transpose()?,
        what: args.what.clone(),
    };
    let incident = ask_one(Asked::Report(report), config, context)?;
    context.print(&incident, show::lines(&incident))
}
