//! `metka restore`

use std::path::{Path, PathBuf};

use serde_json::json;

use super::backup::{failure, refuse_outside};
use super::context::{Context, Failure, Outcome};
use super::storage;
use crate::audit::{Action, legible};
use crate::backup::restore::{self, Attempt, Restored};
use crate::config::Config;

#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(args: &RestoreArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    refuse_outside(&config)?;
    if context.block_on(async { context.server(&config) })?.is_some() {
        let data_dir = config.data_dir.display();
        return Err(Failure::failed(format_args!("{data_dir}: a server runs on this directory")));
    }
    let attempt = restore::begin(&config, &args.file).map_err(failure)?;
    let from = legible(&args.file.display().to_string());
    let noted = context.note(&config, Action::BackupRestored, format!("from {from}"));
    let restored = match noted.and_then(|()| context.block_on(work(&config, &attempt, &args.file))) {
        Ok(restored) => restored,
        Err(error) => {
            restore::undo(&config, attempt).map_err(failure)?;
            return Err(error);
        }
    };
    restore::finish(&config, attempt).map_err(failure)?;
    let lines = [
        format!("restored the backup of {}: {} rows in storage", restored.made, restored.rows),
        format!(
            "spool: {} batches were in storage already, {} were sent; {} rows wait in dead letters",
            restored.found_batches, restored.sent_batches, restored.dead_rows
        ),
        format!(
            "erasures: {} applied again, {} rows and {} refused hits deleted",
            restored.erasures, restored.erased_rows, restored.erased_refusals
        ),
    ];
    context.print(&json!(restored), lines)
}

async fn work(config: &Config, attempt: &Attempt, file: &Path) -> Result<Restored, Failure> {
    let unpacked = restore::unpack(config, attempt, file).map_err(failure)?;
    let storage = storage::open(config).await?;
    let restored = restore::load(config, &unpacked, &storage.storage).await;
    storage.close().await;
    restored.map_err(failure)
}
