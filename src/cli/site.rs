//! `metka site`

use serde_json::{Value, json};

use super::context::{Context, Outcome, table};

#[derive(clap::Args)]
pub struct SiteArgs {
    #[command(subcommand)]
    command: SiteCommand,
}

#[derive(clap::Subcommand)]
enum SiteCommand {
    /// List the configured sites
    List,
}

pub fn run(args: &SiteArgs, context: &Context) -> Outcome {
    match args.command {
        SiteCommand::List => list(context),
    }
}

fn list(context: &Context) -> Outcome {
    let config = context.config()?;
    let sites: Vec<Value> = config
        .sites
        .iter()
        .map(|site| json!({ "id": site.id, "hosts": site.hosts, "timezone": site.timezone }))
        .collect();
    let rows = config
        .sites
        .iter()
        .map(|site| [site.id.clone(), site.timezone.clone(), site.hosts.join(" ")])
        .collect();
    context.print(&json!({ "sites": sites }), table(["SITE", "TIME ZONE", "HOSTS"], rows))
}
