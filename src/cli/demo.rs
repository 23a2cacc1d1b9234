//! `metka demo`

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, command};
use super::storage;
use crate::audit::Action;
use crate::config::Config;
use crate::serve::Questions;
use crate::web::running::Archive;

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
            None => {
                context.trail(&config)?.append(&command(Action::DemoRemoved))?;
                offline(&config).await
            }
        }
    })?;
    context.print(&answer, [format!("{} made-up rows removed", answer["removed"])])
}

async fn offline(config: &Config) -> Result<Value, Failure> {
    let opened = storage::open(config).await?;
    let removed = Questions::beside(opened.storage.clone(), config).remove_demo().await;
    opened.close().await;
    Ok(json!({ "removed": removed.map_err(Failure::failed)? }))
}
