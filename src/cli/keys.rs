//! `metka keys`

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::{Context, Failure, Outcome, table};
use crate::privacy::keys::{KeyError, KeyRing};

/// A key ring is never longer, and a passphrase is shorter.
const MAX_EXPORT_BYTES: u64 = 8 << 20;
const MAX_PASSPHRASE_BYTES: u64 = 1024;

#[derive(clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(clap::Subcommand)]
enum KeysCommand {
    /// List the keys and how old they are; the keys themselves are never shown
    List,
    /// Write the whole key ring to one file that only its passphrase opens
    Export(FileArgs),
    /// Put an exported key ring into a keys.dir that has none
    Import(FileArgs),
}

#[derive(clap::Args)]
struct FileArgs {
    /// The exported key ring
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the passphrase from the first line of standard input
    #[arg(long, required = true)]
    passphrase_stdin: bool,
}

pub fn run(args: &KeysArgs, context: &Context) -> Outcome {
    match &args.command {
        KeysCommand::List => list(context),
        KeysCommand::Export(args) => export(&args.file, context),
        KeysCommand::Import(args) => import(&args.file, context),
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

fn export(file: &Path, context: &Context) -> Outcome {
    let dir = context.config()?.keys.dir;
    if !KeyRing::exists(&dir) {
        return Err(Failure::failed(format_args!("{}: no key ring", dir.display())));
    }
    let sealed = KeyRing::export(&dir, &passphrase()?).map_err(failure)?;
    let at = |error: std::io::Error| Failure::failed(format_args!("{}: {error}", file.display()));
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(at)?;
    out.write_all(&sealed).and_then(|()| out.sync_all()).map_err(at)?;
    context.print(
        &json!({ "file": file, "bytes": sealed.len() }),
        [format!("{}: the key ring, under the passphrase; keep it apart from the backups", file.display())],
    )
}

fn import(file: &Path, context: &Context) -> Outcome {
    let dir = context.config()?.keys.dir;
    if KeyRing::exists(&dir) {
        return Err(failure(KeyError::Exists(dir)));
    }
    let at = |error: std::io::Error| Failure::failed(format_args!("{}: {error}", file.display()));
    let mut sealed = Vec::new();
    let opened = std::fs::File::open(file).map_err(at)?;
    opened.take(MAX_EXPORT_BYTES).read_to_end(&mut sealed).map_err(at)?;
    let keys = KeyRing::import(&dir, &sealed, &passphrase()?)
        .map_err(|error| Failure::failed(format_args!("{}: {error}", file.display())))?;
    context.print(
        &json!({ "dir": dir, "keys": keys }),
        [format!("{}: {keys} keys were imported", dir.display())],
    )
}

fn failure(error: KeyError) -> Failure {
    match error {
        KeyError::ShortPassphrase => Failure::usage(error),
        other => Failure::failed(other),
    }
}

fn passphrase() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_PASSPHRASE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format_args!("the passphrase on standard input: {error}")))?;
    Ok(text.split('\n').next().unwrap_or_default().trim_end_matches('\r').to_owned())
}
