//! `metka audit`
//!
//! Both commands only read, beside a running server or without one, and write no
//! entry of their own: they look at staff and never at a visitor, a check must not
//! move the anchor that it prints, and a copy of the trail can be looked at as well.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::context::{Context, Failure, Outcome, table};
use crate::audit::{Action, Anchor, DIR_NAME, Filter, Listed, MAX_LISTED, Trail};
use crate::config::Config;
use crate::privacy::keys::KeyRing;

/// How many entries are listed when nothing is said.
const DEFAULT_LAST: u32 = 100;

#[derive(clap::Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(clap::Subcommand)]
enum AuditCommand {
    /// Prove that no entry was edited, moved, added or removed, and print the anchor to write down
    Verify(VerifyArgs),
    /// List entries; fails when the trail is damaged
    List(ListArgs),
}

#[derive(clap::Args)]
struct VerifyArgs {
    /// An anchor that was written down: the trail must still hold that entry
    #[arg(long, value_name = "NUMBER:MAC")]
    anchor: Option<Anchor>,
}

#[derive(clap::Args)]
struct ListArgs {
    /// From this day on, in UTC
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// To this day, in UTC, which is included
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// Only this action, such as sign_in
    #[arg(long)]
    action: Option<Action>,
    /// Only entries about this site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Only the last so many
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LAST,
          value_parser = clap::value_parser!(u32).range(1..=MAX_LISTED as i64))]
    last: u32,
}

pub fn run(args: &AuditArgs, context: &Context) -> Outcome {
    match &args.command {
        AuditCommand::Verify(args) => verify(args, context),
        AuditCommand::List(args) => list(args, context),
    }
}

fn verify(args: &VerifyArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let found = trail(&config, context)?.verify(args.anchor)?;
    let mut lines = vec![format!("ok: {} entries", found.entries)];
    for (name, seen) in [("first", found.first), ("last", found.last)] {
        lines.extend(seen.map(|seen| format!("{name:<6}  {}, number {}", seen.at, seen.number)));
    }
    lines.push(format!("anchor  {}", found.anchor));
    if found.torn_bytes > 0 {
        let torn = found.torn_bytes;
        lines.push(format!(
            "torn    {torn} bytes of an entry whose writing was interrupted; the next one says so"
        ));
    }
    context.print(&found.described(), lines)
}

fn list(args: &ListArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let beginning = |name: &str, day: Option<Date>, days: i64| match day {
        None => Ok(None),
        Some(day) => day
            .checked_add(days.days())
            .and_then(|day| day.to_zoned(TimeZone::UTC))
            .map(|day| Some(day.timestamp()))
            .map_err(|error| Failure::usage(format_args!("{name}: {error}"))),
    };
    let filter = Filter {
        from: beginning("--from", args.from, 0)?,
        to: beginning("--to", args.to, 1)?,
        action: args.action,
        site: args.site.clone(),
        last: args.last as usize,
    };
    let entries = trail(&config, context)?.list(&filter)?;
    let rows = entries.iter().map(row).collect();
    context.print(
        &json!({ "entries": entries }),
        table(["NUMBER", "AT", "WHO", "ACTION", "SITE", "ABOUT"], rows),
    )
}

fn row(listed: &Listed) -> [String; 6] {
    let entry = listed.entry();
    let mut about = Vec::new();
    about.extend(entry.subject.map(|subject| subject.as_str().to_owned()));
    about.extend(entry.purpose.map(|stated| match stated.words {
        Some(words) => format!("{}: {words}", stated.purpose),
        None => stated.purpose.to_string(),
    }));
    about.extend(entry.detail);
    if listed.cut() > 0 {
        about.push(format!("{} bytes of a torn entry were cut off before", listed.cut()));
    }
    [
        listed.number().to_string(),
        seconds(entry.at),
        entry.actor.to_string(),
        entry.action.to_string(),
        entry.site.unwrap_or_default(),
        about.join("; "),
    ]
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The trail, without making a key ring where there is none.
fn trail(config: &Config, context: &Context) -> Result<Trail, Failure> {
    if !KeyRing::exists(&config.keys.dir) {
        let (trail, keys) = (config.data_dir.join(DIR_NAME), config.keys.dir.display());
        return Err(Failure::failed(format_args!(
            "{}: there is no key ring in {keys}, without which nothing can be proven",
            trail.display()
        )));
    }
    context.trail(config)
}
