//! `metka retention`

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, spool_dir, table};
use super::storage;
use crate::audit::Action;
use crate::config::Config;
use crate::privacy::keys::KeyRing;
use crate::retention::others::others;
use crate::retention::{self, Job, Mode};
use crate::spool;
use crate::store::Storage;
use crate::subject::block;

#[derive(clap::Args)]
pub struct RetentionArgs {
    #[command(subcommand)]
    command: RetentionCommand,
}

#[derive(clap::Subcommand)]
enum RetentionCommand {
    /// Remove what is past its term, and say how much of each kind
    Run(RunArgs),
}

#[derive(clap::Args)]
struct RunArgs {
    /// Count what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &RetentionArgs, context: &Context) -> Outcome {
    let RetentionCommand::Run(args) = &args.command;
    let config = context.config()?;
    let report = context.block_on(async {
        match context.server(&config)? {
            Some(server) => {
                let asked = json!({ "dry_run": args.dry_run });
                Ok(server.call(Method::POST, "/retention", Some(&asked)).await?)
            }
            None => offline(context, config, if args.dry_run { Mode::DryRun } else { Mode::Remove }).await,
        }
    })?;
    context.print(&report, lines(&report))
}

/// Without a server: what one would have done first is done here.
async fn offline(context: &Context, config: Config, mode: Mode) -> Result<Value, Failure> {
    let dir = spool_dir(&config);
    let stat =
        if dir.is_dir() { spool::stat(&dir).map_err(Failure::failed)? } else { spool::SpoolStat::default() };
    let (keys, config) = (Arc::new(KeyRing::open(&config.keys)?), Arc::new(config));
    let opened = storage::open(&config).await?;
    let done = match prepared(context, &config, &opened.storage, mode).await {
        Ok(()) => {
            let job = Job {
                storage: opened.storage.clone(),
                others: others(&config, &keys),
                keys,
                config,
                waiting_since_ms: stat.spools.values().filter_map(|one| one.oldest_ms).min(),
            };
            retention::run(&job, jiff::Timestamp::now(), mode).await.map_err(Failure::failed)
        }
        Err(error) => Err(error),
    };
    opened.close().await;
    Ok(json!(done?))
}

/// Brings the tables up to this version and makes sure of who is held, and writes a run that removes
/// into the audit trail.
async fn prepared(context: &Context, config: &Config, storage: &Storage, mode: Mode) -> Outcome {
    storage.migrate().await.map_err(storage::failure)?;
    block::restore(config, storage).await.map_err(Failure::failed)?;
    match mode {
        Mode::DryRun => Ok(()),
        Mode::Remove => context.note(config, Action::RetentionRun, "without a server"),
    }
}

fn lines(report: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_u64().unwrap_or(0).to_string();
    let rows = report["kinds"].as_array().into_iter().flatten().map(|one| {
        let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
        let site = if one["site"] == "" { "-".to_owned() } else { text("site") };
        [site, text("kind"), number(&one["removed"]), number(&one["held_back"]), text("oldest_left")]
    });
    let is_dry = report["dry_run"] == true;
    let removed = if is_dry { "WOULD GO" } else { "REMOVED" };
    let mut lines = table(["SITE", "KIND", removed, "HELD BACK", "OLDEST LEFT"], rows.collect());
    let keys: Vec<String> = report["keys_destroyed"].as_array().into_iter().flatten().map(number).collect();
    lines.push(String::new());
    lines.push(format!(
        "address keys {}: {}",
        if is_dry { "to be destroyed" } else { "destroyed" },
        if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
    ));
    lines.push(format!("backups past their age: {}", number(&report["backups"])));
    lines.push(format!(
        "{} parts dropped, {:.1} s",
        number(&report["parts_dropped"]),
        report["seconds"].as_f64().unwrap_or(0.0)
    ));
    lines
}
