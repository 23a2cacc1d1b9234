//! `metka keys`

use serde_json::json;

use super::context::{Context, Failure, Outcome, table};
use crate::privacy::keys::KeyRing;

#[derive(clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(clap::Subcommand)]
enum KeysCommand {
    /// List the keys and how old they are; the keys themselves are never shown
    List,
}

pub fn run(args: &KeysArgs, context: &Context) -> Outcome {
    match args.command {
        KeysCommand::List => list(context),
    }
}

fn list(context: &Context) -> Outcome {
    let config = context.config()?;
    // Opening would make a ring; a list must not.
    let keys = if config.keys.dir.is_dir() {
        KeyRing::open(&config.keys.dir).map_err(Failure::failed)?.list()
    } else {
        Vec::new()
    };
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let rows = keys
        .iter()
        .map(|key| {
            let purpose = json!(key.purpose).as_str().unwrap_or_default().to_owned();
            [key.id.to_string(), purpose, key.created.clone(), or_dash(&key.retired), or_dash(&key.destroyed)]
        })
        .collect();
    context.print(&json!({ "keys": keys }), table(["ID", "PURPOSE", "MADE", "RETIRED", "DESTROYED"], rows))
}
