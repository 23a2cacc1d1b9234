//! `metka keys rotate`, `destroy`, `rewrap`

use std::path::PathBuf;

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::super::context::{Context, Failure, Outcome};
use super::{absolute, open, tell_server};
use crate::audit::{Action, legible};
use crate::privacy::keys::Purpose;

#[derive(clap::Args)]
pub struct RotateArgs {
    /// Only the key of this purpose
    #[arg(value_name = "PURPOSE")]
    only: Option<Rotated>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Rotated {
    /// The key that signs visitors' cookies; cookies under the old one are accepted for 13 months more
    Cookie,
    /// The key that encrypts this month's addresses; those under the old one can still be revealed
    Ip,
}

#[derive(clap::Args)]
pub struct DestroyArgs {
    #[arg(value_name = "PURPOSE")]
    purpose: Destroyable,
    /// As `metka keys list` shows it
    #[arg(value_name = "ID")]
    id: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Destroyable {
    /// A compromised cookie key: its cookies are refused and replaced at once
    Cookie,
    /// An address key: its addresses are unreadable in the table, the spool and every backup
    Ip,
    /// A backup's key: every copy of that backup is unreadable
    Backup,
}

#[derive(clap::Args)]
pub struct RewrapArgs {
    /// The file of the new master key, made if it is not there; without it, a random one takes the place of the old
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub fn rotate(args: &RotateArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let ring = open(&config.keys)?;
    let what = match args.only {
        Some(Rotated::Cookie) => "cookie",
        Some(Rotated::Ip) => "ip",
        None => "cookie and ip",
    };
    context.note(&config, Action::KeysRotated, what)?;
    let mut made = Vec::new();
    if args.only != Some(Rotated::Ip) {
        made.push((Purpose::Cookie, ring.rotate_cookie_key()?));
    }
    if args.only != Some(Rotated::Cookie) {
        // Rows count months in UTC.
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let month = today.year() as u32 * 12 + today.month() as u32;
        made.push((Purpose::Ip, ring.rotate_address_key(month)?));
    }
    tell_server(&config, context, None)?;
    let listed: Vec<_> = made.iter().map(|(purpose, id)| json!({ "purpose": purpose, "id": id })).collect();
    let lines = made.iter().map(|(purpose, id)| format!("{purpose}: key {id} is used from now on"));
    context.print(&json!({ "made": listed }), lines)
}

pub fn destroy(args: &DestroyArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let purpose = match args.purpose {
        Destroyable::Cookie => Purpose::Cookie,
        Destroyable::Ip => Purpose::Ip,
        Destroyable::Backup => Purpose::Backup,
    };
    let ring = open(&config.keys)?;
    // What is not there is not destroyed, and the ring says so.
    if ring.list().iter().any(|key| (key.purpose, key.id) == (purpose, args.id) && key.destroyed.is_empty()) {
        context.note(&config, Action::KeysDestroyed, format!("{purpose} {}", args.id))?;
    }
    let at = ring.destroy(purpose, args.id)?;
    tell_server(&config, context, None)?;
    let what = match args.purpose {
        Destroyable::Cookie => "cookies it signed are refused and replaced",
        Destroyable::Ip => "addresses under it cannot be read any more",
        Destroyable::Backup => "no copy of the backup can be read any more",
    };
    let id = args.id;
    context.print(
        &json!({ "purpose": purpose, "id": id, "destroyed": at }),
        [format!("{purpose}: key {id} was destroyed on {at}: {what}")],
    )
}

pub fn rewrap(args: &RewrapArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let to = args.to.as_deref().map(absolute).transpose()?;
    let ring = open(&config.keys)?;
    context.note(
        &config,
        Action::KeysRotated,
        match &to {
            Some(to) => format!("master key, to {}", legible(&to.display().to_string())),
            None => "master key".to_owned(),
        },
    )?;
    let file = ring.rewrap::<Failure>(to.as_deref(), |file| tell_server(&config, context, Some(file)))?;
    tell_server(&config, context, None)?;
    let place = config.keys.master.to_string();
    let is_elsewhere = place != file.display().to_string();
    let mut lines = vec![format!("the key ring is under the master key in {}", file.display())];
    if is_elsewhere {
        lines.push(format!("name it in the configuration before the next start, which reads {place} so far"));
    }
    context.print(&json!({ "master_key_file": file, "is_configured": !is_elsewhere }), lines)
}
