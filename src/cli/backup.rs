//! `metka backup`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, moment, spool_dir};
use super::storage;
use crate::audit::{Action, legible};
use crate::backup::{self, BackupError};
use crate::config::Config;
use crate::count::Counters;
use crate::privacy::keys::KeyRing;
use crate::spool;

#[derive(clap::Args)]
pub struct BackupArgs {
    /// The directory for the archive, instead of backup.dir
    #[arg(long, value_name = "DIR", conflicts_with = "verify")]
    to: Option<PathBuf>,
    /// Make none: read this archive back and compare every file in it with its manifest
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
}

pub fn run(args: &BackupArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    match &args.verify {
        Some(file) => verify(&config, file, context),
        None => make(&config, args.to.as_deref(), context),
    }
}

/// An outside ClickHouse is not ours to copy.
pub(super) fn refuse_outside(config: &Config) -> Result<(), Failure> {
    if config.storage.url.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(
        "storage.url names a ClickHouse server: it is backed up and restored by its own BACKUP and RESTORE, \
         and erasures have to reach those copies (docs/backup.md)",
    ))
}

/// A backup's errors, as a command ends with them.
pub(super) fn failure(error: BackupError) -> Failure {
    Failure::failed(error)
}

fn make(config: &Config, to: Option<&Path>, context: &Context) -> Outcome {
    refuse_outside(config)?;
    backup::refuse_unfinished(&config.data_dir).map_err(failure)?;
    let to = match to {
        Some(dir) => std::path::absolute(dir).map_err(Failure::failed)?,
        None => config.backup.dir.clone(),
    };
    let made = context.block_on(async {
        match context.server(config)? {
            Some(server) => Ok(server.call(Method::POST, "/backup", Some(&json!({ "to": to }))).await?),
            None => offline(config, &to, context).await,
        }
    })?;
    let line = format!(
        "{}: {} rows, {} files, {} bytes, checked, under key {}",
        made["file"].as_str().unwrap_or_default(),
        made["rows"],
        made["files"],
        made["bytes"],
        made["key"]
    );
    context.print(&made, [line])
}

/// Opens spool and storage as a server would.
async fn offline(config: &Config, to: &Path, context: &Context) -> Result<Value, Failure> {
    let dir = spool_dir(config);
    if !dir.is_dir() {
        return Err(Failure::failed(format_args!(
            "{}: there is no spool, so nothing to back up",
            dir.display()
        )));
    }
    let options = spool::Options {
        dir,
        spools: 1,
        durability: config.collect.durability,
        seal_interval: config.ship.interval,
        batch_rows: config.ship.batch_rows,
        max_bytes: config.ship.spool_max_bytes,
    };
    let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
    let opened = spool::open(options, counters).map_err(Failure::failed)?;
    let keys = Arc::new(KeyRing::open(&config.keys).map_err(Failure::failed)?);
    let storage = storage::open(config).await?;
    let ready = storage.storage.migrate().await.map_err(storage::failure);
    let noted = ready.and_then(|_| {
        context.note(config, Action::BackupMade, format!("to {}", legible(&to.display().to_string())))
    });
    let made = match noted {
        Ok(()) => backup::make(config, keys, &storage.storage, &opened.outlet, to).await.map_err(failure),
        Err(error) => Err(error),
    };
    storage.close().await;
    opened.writers.into_iter().for_each(spool::Writer::close);
    Ok(json!(made?))
}

fn verify(config: &Config, file: &Path, context: &Context) -> Outcome {
    if !KeyRing::exists(&config.keys.dir) {
        return Err(failure(BackupError::NoRing(config.keys.dir.clone())));
    }
    let keys = KeyRing::open(&config.keys).map_err(Failure::failed)?;
    let checked = backup::check(file, &keys).map_err(failure)?;
    let (header, manifest) = (&checked.header, &checked.manifest);
    let value = json!({
        "file": file,
        "key": header.key,
        "made": manifest.made,
        "product": manifest.product,
        "rows": manifest.rows(),
        "files": manifest.files.len(),
        "tables": manifest.tables,
    });
    let line = format!(
        "{}: as it was written on {}: {} rows, {} files, under key {}",
        file.display(),
        moment(header.made_ms),
        manifest.rows(),
        manifest.files.len(),
        header.key
    );
    context.print(&value, [line])
}
