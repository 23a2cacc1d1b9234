//! `metka settings`: what a site keeps beside its numbers.
//!
//! Beside a running server or without one: both use the same files, under one lock.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, command};
use crate::audit::Actor;
use crate::config::Config;
use crate::demo;
use crate::settings::{Author, Change, Done, Store};

/// The longest file of changes, in bytes: a thousand of them.
const MAX_FILE_BYTES: u64 = 4 << 20;

#[derive(clap::Args)]
pub struct SettingsArgs {
    #[command(subcommand)]
    command: SettingsCommand,
}

#[derive(clap::Subcommand)]
enum SettingsCommand {
    /// Show goals, funnels, segments, notes, shared links and reports of a site, as JSON
    Show {
        #[arg(long, value_name = "ID")]
        site: String,
    },
    /// Make changes from a file: one as the API takes it, {"put":…} or {"remove":…}, or a list of them
    ///
    /// All of them are made, or none. The address of a new shared link is shown this once.
    Apply {
        /// The file; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[arg(long, value_name = "ID")]
        site: String,
    },
}

pub fn run(args: &SettingsArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    match &args.command {
        SettingsCommand::Show { site } => show(context, &config, site),
        SettingsCommand::Apply { file, site } => apply(context, &config, file, site),
    }
}

fn show(context: &Context, config: &Config, site: &str) -> Outcome {
    known(config, site)?;
    let settings = Store::new(&config.data_dir).read(site)?;
    let mut told = settings.told();
    told["links"] = json!(settings.told_links());
    told["reports"] = json!(settings.reports);
    let text = serde_json::to_string_pretty(&told).map_err(Failure::failed)?;
    context.print(&told, [text])
}

fn apply(context: &Context, config: &Config, file: &PathBuf, site: &str) -> Outcome {
    known(config, site)?;
    let changes = read(file)?;
    let trail = context.trail(config)?;
    let author = Author { name: Actor::running().to_string(), others: true };
    let now = jiff::Timestamp::now().as_millisecond();
    let store = Store::new(&config.data_dir);
    let made = store.change(site, &author, changes, now, |done| {
        let entry = command(crate::audit::Action::SettingsChanged);
        trail.append(&done.entry(entry.at, entry.actor, site)).map(drop)
    })?;
    let told = |done: &Done| {
        let url = done.secret.as_ref().map(|secret| format!("{}/share/{secret}", config.web.public_url));
        json!({ "kind": done.kind.name(), "id": done.id, "deed": done.deed.name(), "url": url })
    };
    let told: Vec<Value> = made.iter().map(told).collect();
    let lines: Vec<String> = told
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default();
            let line = format!("{} {} {} {}", text("kind"), text("id"), text("deed"), text("url"));
            line.trim_end().to_owned()
        })
        .collect();
    context.print(&json!({ "changes": told }), lines)
}

/// A mistyped site would have a file of its own that nobody reads.
fn known(config: &Config, site: &str) -> Result<(), Failure> {
    if site != demo::SITE {
        config.chosen(Some(site))?;
    }
    Ok(())
}

fn read(file: &PathBuf) -> Result<Vec<Change>, Failure> {
    let name = file.display();
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format_args!("{name}: {error}"));
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(MAX_FILE_BYTES + 1).read_to_string(&mut text),
        false => {
            std::fs::File::open(file).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        }
    };
    read.map_err(|error| wrong(&error))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong(&format_args!("longer than {MAX_FILE_BYTES} bytes")));
    }
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    list.into_iter()
        .enumerate()
        .map(|(index, one)| {
            serde_json::from_value(one).map_err(|error| wrong(&format_args!("change {}: {error}", index + 1)))
        })
        .collect()
}
