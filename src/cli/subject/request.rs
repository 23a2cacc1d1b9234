//! `metka subject request`

use jiff::Timestamp;

use super::super::context::{Context, Failure, Outcome};
use super::identify::IdentifyArgs;
use super::{actor, desk, identify, job, show};
use crate::audit::Actor;
use crate::rights::desk::{Received, receipt};
use crate::rights::request::IdentifiedBy;
use crate::rights::terms::Kind;
use crate::subject::{Who, identity};

#[derive(clap::Args)]
pub struct RequestArgs {
    /// The site that it is about
    #[arg(long, value_name = "ID")]
    site: String,
    /// What is asked
    #[arg(long, value_name = "KIND")]
    kind: Kind,
    /// The duty that a claim is about; the earlier date wins
    #[arg(long, value_name = "KIND")]
    about: Option<Kind>,
    #[command(flatten)]
    person: IdentifyArgs,
    /// When it was received: an RFC 3339 moment, or a date with or without a time in the site's time zone; now when not given
    #[arg(long, value_name = "TIME")]
    received: Option<String>,
    /// What for, in a few words; contacts, addresses and document numbers are taken out
    #[arg(long, value_name = "TEXT", default_value = "")]
    purpose: String,
}

pub fn run(args: &RequestArgs, context: &Context) -> Outcome {
    let config = super::config(context, &args.site)?;
    let site = config.chosen(Some(&args.site))?;
    if args.about.is_some() && (args.kind != Kind::Claim || args.about == Some(Kind::Claim)) {
        return Err(Failure::usage("--about: only a claim is about another kind of request"));
    }
    let now = Timestamp::now();
    let at = match &args.received {
        Some(text) => identify::moment_of("--received", text, site)?,
        None => now,
    };
    let purpose = args.person.without_values(&args.purpose);
    let (identified, subjects) = match args.person.who(site)? {
        None => (IdentifiedBy::Other, Vec::new()),
        // Rows hold addresses encrypted under the month's key: storage has to be asked.
        Some(who @ Who::Address { .. }) => (IdentifiedBy::Ip, job::found(&site.id, who, context)?),
        Some(who) => {
            let by = if matches!(who, Who::Cookie(_)) { IdentifiedBy::Cookie } else { IdentifiedBy::User };
            let subject = identity::hash_of(&identify::ring(&config)?, &site.id, &who)?;
            (by, subject.into_iter().map(Into::into).collect())
        }
    };
    let received = Received { kind: args.kind, about: args.about, identified, subjects, at, purpose };
    let trail = context.trail(&config)?;
    trail.append(&receipt(&site.id, &received, Actor::running(), now))?;
    let request = desk(context)?.receive(site, received, &actor(), now)?;
    show::print(context, &request, now)
}
