//! `metka spool`

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, moment, spool_dir, table};
use super::storage;
use crate::audit::Action;
use crate::config::Config;
use crate::control::{dead_letter_id, replayed};
use crate::count::Counters;
use crate::serve::Inserts;
use crate::subject::kept;
use crate::{ship, spool};

#[derive(clap::Args)]
pub struct SpoolArgs {
    #[command(subcommand)]
    command: SpoolCommand,
}

#[derive(clap::Subcommand)]
enum SpoolCommand {
    /// Read every record and say what cannot be read back
    Verify,
    /// Show what the spool holds
    Stat,
    /// Send dead letters to storage again, once what it refused them for is mended
    Replay(ReplayArgs),
}

#[derive(clap::Args)]
struct ReplayArgs {
    /// Only this dead letter (16 hex digits, as `spool stat` lists them), instead of all
    #[arg(value_name = "ID")]
    id: Option<String>,
}

/// How long a replay without a server waits for storage.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(60);

pub fn run(args: &SpoolArgs, context: &Context) -> Outcome {
    match &args.command {
        SpoolCommand::Verify => verify(context),
        SpoolCommand::Stat => stat(context),
        SpoolCommand::Replay(args) => replay(args, context),
    }
}

fn verify(context: &Context) -> Outcome {
    let verdict = spool::verify(&spool_dir(&context.config()?)).map_err(Failure::failed)?;
    let mut lines = vec![format!(
        "{}: {} rows lost, {} bytes of a torn tail, the checkpoint is {}",
        if verdict.ok { "ok" } else { "DAMAGED" },
        verdict.lost_rows,
        verdict.torn_bytes,
        verdict.checkpoint,
    )];
    for (spool, damage) in &verdict.damage {
        lines.extend(damage.iter().map(|damage| format!("{spool}: {damage:?}")));
    }
    let ok = verdict.ok;
    context.print(&json!(verdict), lines)?;
    if ok { Ok(()) } else { Err(Failure::failed("the spool is damaged")) }
}

fn stat(context: &Context) -> Outcome {
    let stat = spool::stat(&spool_dir(&context.config()?)).map_err(Failure::failed)?;
    let rows = stat
        .spools
        .iter()
        .map(|(name, one)| {
            [
                name.clone(),
                one.segments.to_string(),
                one.bytes.to_string(),
                one.waiting_batches.to_string(),
                one.waiting_rows.to_string(),
                one.oldest_ms
                    .and_then(|oldest| i64::try_from(oldest).ok())
                    .map_or_else(|| "-".to_owned(), moment),
            ]
        })
        .collect();
    let mut lines = table(["SPOOL", "SEGMENTS", "BYTES", "BATCHES", "ROWS", "OLDEST"], rows);
    lines.push(format!("{} dead letters with {} rows", stat.dead_letters, stat.dead_rows));
    lines.extend(dead_letters(&json!(stat.dead)));
    context.print(&json!(stat), lines)
}

fn replay(args: &ReplayArgs, context: &Context) -> Outcome {
    if let Some(id) = args.id.as_deref().filter(|id| dead_letter_id(id).is_none()) {
        return Err(Failure::usage(format!("{id:?} is not the id of a dead letter: 16 hex digits")));
    }
    let config = context.config()?;
    let done = context.block_on(async {
        match context.server(&config)? {
            Some(server) => {
                Ok(server.call(Method::POST, "/spool/replay", Some(&json!({ "id": args.id }))).await?)
            }
            None => replay_offline(&config, args.id.as_deref().and_then(dead_letter_id), context).await,
        }
    })?;
    let dead = done["dead"].as_array().map_or(0, Vec::len);
    let mut lines = vec![format!("{} dead letters sent, {dead} remain", done["replayed"])];
    lines.extend(dead_letters(&done["dead"]));
    context.print(&done, lines)?;
    if dead == 0 { Ok(()) } else { Err(Failure::failed(format!("{dead} dead letters remain"))) }
}

/// Ships from the spool as a server would, until nothing waits.
async fn replay_offline(config: &Config, only: Option<u64>, context: &Context) -> Result<Value, Failure> {
    let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
    let options = spool::Options {
        dir: spool_dir(config),
        spools: 1,
        durability: config.collect.durability,
        seal_interval: config.ship.interval,
        batch_rows: config.ship.batch_rows,
        max_bytes: config.ship.spool_max_bytes,
    };
    if !options.dir.is_dir() {
        return Err(Failure::failed(format!("{}: there is no spool", options.dir.display())));
    }
    let opened = spool::open(options, counters).map_err(Failure::failed)?;
    opened.outlet.keep(kept::who(config));
    context.note(config, Action::DeadLettersReplayed, replayed(only))?;
    let replayed = opened.outlet.replay(only).map_err(Failure::failed)?;
    let storage = storage::open(config).await?;
    let outlet = opened.outlet.clone();
    let shipped = tokio::time::timeout(
        REPLAY_TIMEOUT,
        ship::run_once(outlet, Inserts(storage.storage.clone()), Arc::default()),
    )
    .await;
    storage.close().await;
    shipped.map_err(|_| {
        Failure::failed(format!("storage did not take all within {} s", REPLAY_TIMEOUT.as_secs()))
    })?;
    opened.writers.into_iter().for_each(spool::Writer::close);
    let dead = opened.outlet.dead_letters().map_err(Failure::failed)?;
    Ok(json!({ "replayed": replayed, "dead": dead }))
}

fn dead_letters(dead: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let damage = |letter: &Value| match letter["is_damaged"] == true {
        true => format!("{} or more rows lost", letter["lost_rows"]),
        false => "-".to_owned(),
    };
    let row = |letter: &Value| {
        [text(&letter["id"]), letter["rows"].to_string(), damage(letter), text(&letter["reason"])]
    };
    let rows: Vec<[String; 4]> = dead.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() { Vec::new() } else { table(["DEAD LETTER", "ROWS", "DAMAGE", "REASON"], rows) }
}
