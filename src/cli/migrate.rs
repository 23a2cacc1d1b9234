//! `metka migrate`

use serde_json::json;

use super::context::{Context, Outcome};
use super::storage;

#[derive(clap::Args)]
pub struct MigrateArgs {}

pub fn run(_: &MigrateArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let applied = context.block_on(async {
        let opened = storage::open(&config).await?;
        let applied = opened.storage.migrate().await;
        opened.close().await;
        applied.map_err(storage::failure)
    })?;
    let line = match applied.len() {
        0 => "nothing to apply, the schema is current".to_owned(),
        _ => format!("applied {}", applied.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    };
    context.print(&json!({ "applied": applied }), [line])
}
