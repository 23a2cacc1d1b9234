//! `metka keys`
//!
//! Every command works on `keys.dir` itself, beside a running server or without
//! one. A server on this data directory is told of a change and has followed when
//! the command ends; others that share the directory follow within seconds.
//!
//! Each change and each export is written into the audit trail first. Where a ring is
//! only made by the command, there is no key for the entry before: it is written after.

mod change;
mod share;

use std::io::Read;
use std::path::{Path, PathBuf};

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, table};
use crate::config::{Config, Keys};
use crate::privacy::keys::{self, KeyError, KeyInfo, KeyRing};

/// A passphrase is shorter.
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
    /// Make a new cookie key and a new address key for this month; what the old ones made stays valid
    Rotate(change::RotateArgs),
    /// Destroy one key for good: cookies it signed are refused, what it encrypted cannot be read any more
    Destroy(change::DestroyArgs),
    /// Store the keys under a new master key
    Rewrap(change::RewrapArgs),
    /// Take over the keys and the destructions of another key ring of the same site
    Sync(share::SyncArgs),
    /// Write the whole key ring to one file that only its passphrase opens
    Export(share::FileArgs),
    /// Put an exported key ring into a keys.dir that has none
    Import(share::FileArgs),
}

pub fn run(args: &KeysArgs, context: &Context) -> Outcome {
    match &args.command {
        KeysCommand::List => list(context),
        KeysCommand::Rotate(args) => change::rotate(args, context),
        KeysCommand::Destroy(args) => change::destroy(args, context),
        KeysCommand::Rewrap(args) => change::rewrap(args, context),
        KeysCommand::Sync(args) => share::sync(args, context),
        KeysCommand::Export(args) => share::export(&args.file, context),
        KeysCommand::Import(args) => share::import(&args.file, context),
    }
}

fn list(context: &Context) -> Outcome {
    let keys = keys::list(&context.config()?.keys)?;
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let now = Timestamp::now();
    let age = |key: &KeyInfo| days_since(&key.created, now);
    let described: Vec<Value> = keys
        .iter()
        .map(|key| {
            let mut value = json!(key);
            value["age_days"] = json!(age(key));
            value
        })
        .collect();
    let rows = keys
        .iter()
        .map(|key| {
            let days = age(key).map_or("-".to_owned(), |days| days.to_string());
            let [made, retired, destroyed] =
                [&key.created, &key.retired, &key.destroyed].map(|date| or_dash(date));
            [key.id.to_string(), key.purpose.to_string(), days, made, retired, destroyed]
        })
        .collect();
    let heads = ["ID", "PURPOSE", "DAYS", "MADE", "RETIRED", "DESTROYED"];
    context.print(&json!({ "keys": described }), table(heads, rows))
}

/// Whole days since a date in a ring.
pub(super) fn days_since(date: &str, now: Timestamp) -> Option<i64> {
    Some(now.duration_since(date.parse().ok()?).as_hours() / 24)
}

/// The ring of the configuration, which must be there.
fn open(keys: &Keys) -> Result<KeyRing, Failure> {
    if !KeyRing::exists(&keys.dir) {
        return Err(KeyError::NoRing(keys.dir.clone()).into());
    }
    Ok(KeyRing::open(keys)?)
}

/// Has a server on this data directory follow a change of the ring; or, with the
/// file of a master key, makes it ready for one.
fn tell_server(config: &Config, context: &Context, master_key_file: Option<&Path>) -> Result<(), Failure> {
    let told = context.block_on(async {
        let Some(server) = context.server(config)? else { return Ok(None) };
        Ok(Some(
            server.call(Method::POST, "/keys", Some(&json!({ "master_key_file": master_key_file }))).await,
        ))
    })?;
    match (told, master_key_file) {
        (None | Some(Ok(_)), _) => Ok(()),
        (Some(Err(error)), None) => Err(Failure::failed(format_args!(
            "the key ring is changed, but the running server could not follow: {error}"
        ))),
        (Some(Err(error)), Some(_)) => Err(Failure::failed(format_args!(
            "nothing was changed, since the running server could not follow: {error}; \
             stop it first, and start it with the new key"
        ))),
    }
}

fn passphrase() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_PASSPHRASE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the passphrase on standard input: {error}")))?;
    Ok(text.split('\n').next().unwrap_or_default().trim_end_matches('\r').to_owned())
}

/// A path of a command's arguments, as errors and a server name it.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::failed)
}
