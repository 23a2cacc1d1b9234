//! `metka keys sync`, `export`, `import`

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::super::context::{Context, Failure, Outcome};
use super::{open, passphrase, tell_server};
use crate::audit::{Action, legible};
use crate::config::{Keys, MasterKeySource};
use crate::privacy::keys::{KeyError, KeyRing, OtherRing, Synced, named};

/// A key ring is never longer.
const MAX_EXPORT_BYTES: u64 = 8 << 20;

#[derive(clap::Args)]
pub struct SyncArgs {
    /// The directory of the other ring, or a file that `metka keys export` made
    #[arg(long, value_name = "DIR|FILE")]
    from: PathBuf,
    /// Read the passphrase of an exported file from the first line of standard input
    #[arg(long)]
    passphrase_stdin: bool,
    /// The master key of the other ring, when it is neither beside it nor this ring's own
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_stdin")]
    from_master_key_file: Option<PathBuf>,
    /// Where both have different keys under one id, replace this ring's: what is under it cannot be read here any more
    #[arg(long)]
    take_theirs: bool,
}

#[derive(clap::Args)]
pub struct FileArgs {
    /// The exported key ring
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Read the passphrase from the first line of standard input
    #[arg(long, required = true)]
    passphrase_stdin: bool,
}

pub fn sync(args: &SyncArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let other = other_ring(args, &config.keys)?;
    let dir = config.keys.dir.display();
    if !KeyRing::exists(&config.keys.dir) {
        let keys = KeyRing::found(&config.keys, other)?;
        context.note(
            &config,
            Action::KeysSynced,
            format!("made of {}", legible(&args.from.display().to_string())),
        )?;
        let done = Synced { added: keys, ..Synced::default() };
        return context.print(&json!(done), [format!("{dir}: made of the other ring, with {keys} keys")]);
    }
    let ring = open(&config.keys)?;
    let theirs = if args.take_theirs { ", taking theirs" } else { "" };
    let from = legible(&args.from.display().to_string());
    context.note(&config, Action::KeysSynced, format!("from {from}{theirs}"))?;
    let now = Timestamp::now();
    let today_of = |id: &str| Some(now.in_tz(&config.site(id)?.timezone).ok()?.date());
    let done = ring.sync(other, args.take_theirs, now, today_of)?;
    if done.is_change() {
        tell_server(&config, context, None)?;
    }
    let Synced { added, retired, destroyed, replaced, salts, noted, conflicts } = &done;
    let lines = [
        format!("{dir}: {added} keys added, {replaced} replaced, {retired} retired, {destroyed} destroyed"),
        format!("{salts} salts taken over, {noted} destructions noted"),
    ];
    context.print(&json!(done), lines)?;
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format_args!(
        "the rings differ in {}: this ring's were kept, the rest was taken over \
         (--take-theirs replaces them by the other ring's)",
        named(conflicts)
    )))
}

fn other_ring(args: &SyncArgs, own: &Keys) -> Result<OtherRing, Failure> {
    let from = super::absolute(&args.from)?;
    if !from.is_dir() {
        if !args.passphrase_stdin {
            let from = from.display();
            return Err(Failure::usage(format_args!(
                "{from}: an exported key ring needs --passphrase-stdin"
            )));
        }
        let sealed = read(&from)?;
        return OtherRing::exported(&sealed, &passphrase()?)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", from.display())));
    }
    let master = match &args.from_master_key_file {
        Some(file) => MasterKeySource::File(super::absolute(file)?),
        None => match MasterKeySource::beside(&from) {
            MasterKeySource::Beside(path) if !path.exists() => own.master.clone(),
            beside => beside,
        },
    };
    Ok(OtherRing::in_dir(&Keys { dir: from, master })?)
}

pub fn export(file: &Path, context: &Context) -> Outcome {
    let config = context.config()?;
    let keys = &config.keys;
    if !KeyRing::exists(&keys.dir) {
        return Err(KeyError::NoRing(keys.dir.clone()).into());
    }
    let sealed = KeyRing::export(keys, &passphrase()?)?;
    // Nothing has left this process yet.
    context.note(&config, Action::KeysExported, format!("to {}", legible(&file.display().to_string())))?;
    let at = |error: std::io::Error| Failure::failed(format_args!("{}: {error}", file.display()));
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(at)?;
    out.write_all(&sealed).and_then(|()| out.sync_all()).map_err(at)?;
    context.print(
        &json!({ "file": file, "bytes": sealed.len() }),
        [format!("{}: the key ring, under the passphrase; keep it apart from the backups", file.display())],
    )
}

pub fn import(file: &Path, context: &Context) -> Outcome {
    let config = context.config()?;
    let keys = &config.keys;
    if KeyRing::exists(&keys.dir) {
        return Err(KeyError::Exists(keys.dir.clone()).into());
    }
    let sealed = read(file)?;
    let count = KeyRing::import(keys, &sealed, &passphrase()?)
        .map_err(|error| Failure::failed(format_args!("{}: {error}", file.display())))?;
    context.note(
        &config,
        Action::KeysSynced,
        format!("imported from {}", legible(&file.display().to_string())),
    )?;
    context.print(
        &json!({ "dir": keys.dir, "keys": count }),
        [format!("{}: {count} keys were imported", keys.dir.display())],
    )
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let at = |error: std::io::Error| Failure::failed(format_args!("{}: {error}", file.display()));
    let mut sealed = Vec::new();
    let opened = std::fs::File::open(file).map_err(at)?;
    opened.take(MAX_EXPORT_BYTES).read_to_end(&mut sealed).map_err(at)?;
    Ok(sealed)
}
