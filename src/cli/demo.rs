//! `metka demo`

use http::Method;

use super::context::{Context, Failure, Outcome};

#[derive(clap::Args)]
pub struct DemoArgs {
    #[command(subcommand)]
    command: DemoCommand,
}

#[derive(clap::Subcommand)]
enum DemoCommand {
    /// Remove every made-up row from storage
    Remove,
}

pub fn run(args: &DemoArgs, context: &Context) -> Outcome {
    match args.command {
        DemoCommand::Remove => remove(context),
    }
}

fn remove(context: &Context) -> Outcome {
    let config = context.config()?;
    let answer = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/demo/remove", None).await?),
            None => Err(Failure::failed("no server runs on this data directory")),
        }
    })?;
    context.print(&answer, [format!("{} made-up rows removed", answer["removed"])])
}
