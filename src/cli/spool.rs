//! `metka spool`

use serde_json::json;

use super::context::{Context, Failure, Outcome, moment, spool_dir, table};
use crate::spool;

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
}

pub fn run(args: &SpoolArgs, context: &Context) -> Outcome {
    match args.command {
        SpoolCommand::Verify => verify(context),
        SpoolCommand::Stat => stat(context),
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
    context.print(&json!(stat), lines)
}
