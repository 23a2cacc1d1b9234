//! `metka subject find`, `export`, `block`, `unblock` and `erase`

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::context::{Context, Failure, Outcome};
use super::super::offline;
use super::identify::IdentifyArgs;
use crate::audit::Actor;
use crate::rights::request::Subject;
use crate::subject::Who;
use crate::subject::export::Format;
use crate::subject::job::{Asked, Job};

#[derive(clap::Args)]
pub struct PersonArgs {
    /// The site that it is about
    #[arg(long, value_name = "ID")]
    site: String,
    #[command(flatten)]
    person: IdentifyArgs,
    /// Why; a person's data is looked at and changed for a stated purpose only
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// The number of the request in the register
    #[arg(long, value_name = "NUMBER")]
    request: Option<String>,
}

#[derive(clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    about: PersonArgs,
    /// For programs, for a spreadsheet, or to be read
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
    /// Where it is written, for this user only; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct EraseArgs {
    #[command(flatten)]
    about: PersonArgs,
    /// Who answers for it, name and post; operator.official when not given
    #[arg(long, value_name = "TEXT")]
    by: Option<String>,
    /// Return when it cannot be forgotten any more, instead of when it is done and verified
    #[arg(long)]
    no_wait: bool,
}

pub fn find(args: &PersonArgs, context: &Context) -> Outcome {
    let held = ask(args.asked(Job::Find, context)?, context)?;
    context.print(&held, lines(&held))
}

pub fn block(args: &PersonArgs, context: &Context) -> Outcome {
    let held = ask(args.asked(Job::Block, context)?, context)?;
    context.print(&held, lines(&held))
}

pub fn unblock(args: &PersonArgs, context: &Context) -> Outcome {
    let held = ask(args.asked(Job::Unblock, context)?, context)?;
    context.print(&held, lines(&held))
}

pub fn export(args: &ExportArgs, context: &Context) -> Outcome {
    let answer = ask(args.about.asked(Job::Export(args.format), context)?, context)?;
    let text = answer["text"].as_str().unwrap_or_default();
    let Some(path) = &args.out else {
        if context.json && args.format != Format::Json {
            return context.print(&answer, []);
        }
        let mut out = std::io::stdout().lock();
        return out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(Failure::failed);
    };
    let mut file = std::fs::OpenOptions::new();
    file.write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
    let written = json!({ "rows": answer["rows"], "file": path.display().to_string() });
    context.print(&written, [format!("{} rows written to {}", answer["rows"], path.display())])
}

pub fn erase(args: &EraseArgs, context: &Context) -> Outcome {
    let mut asked = args.about.asked(Job::Erase, context)?;
    asked.by = args.by.clone();
    asked.wait = !args.no_wait;
    let done = ask(asked, context)?;
    let rows = done["rows"].as_u64().unwrap_or_default();
    if done["accepted"] == true {
        return context.print(&done, [format!("{rows} rows are being destroyed")]);
    }
    let mut lines = vec![format!("{rows} rows destroyed")];
    let files = done["files"].as_array().into_iter().flatten();
    lines.extend(files.map(|file| format!("act        {}", file.as_str().unwrap_or_default())));
    let until = done["act"]["backups_until"].as_str().unwrap_or_default();
    lines.push(format!("backups    end by {until}; a restored one is erased again"));
    if let Some(files @ 1..) = done["act"]["files_set_aside"].as_u64() {
        lines.push(format!(
            "damaged    {files} files in spool/quarantine, in which nobody can be looked up: remove them by hand"
        ));
    }
    lines.extend(notes(&done["act"]));
    context.print(&done, lines)
}

// === impl PersonArgs ===

impl PersonArgs {
    fn asked(&self, job: Job, context: &Context) -> Result<Asked, Failure> {
        let config = super::config(context, &self.site)?;
        let site = config.site(&self.site);
        let site = site
            .ok_or_else(|| Failure::usage(format_args!("--site: no site {:?} is configured", self.site)))?;
        let who = self.person.who(site)?.ok_or_else(|| {
            Failure::usage("who is meant is not said: give --cookie, --user, or --ip with --from and --to")
        })?;
        Ok(Asked {
            job,
            site: self.site.clone(),
            who,
            purpose: self.person.without_values(&self.purpose),
            request: self.request.clone(),
            by: None,
            wait: true,
        })
    }
}

/// Who was seen at an address, for the register.
pub fn found(site: &str, who: Who, context: &Context) -> Result<Vec<Subject>, Failure> {
    let asked = Asked {
        job: Job::Find,
        site: site.to_owned(),
        who,
        purpose: "to register a request".to_owned(),
        request: None,
        by: None,
        wait: true,
    };
    let held = ask(asked, context)?;
    serde_json::from_value(held["subjects"].clone()).map_err(Failure::failed)
}

/// Has the running server do it, or does it here.
pub fn ask(asked: Asked, context: &Context) -> Result<Value, Failure> {
    let config = super::config(context, &asked.site)?;
    context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/subject", Some(&json!(asked))).await?),
            None => {
                // Nobody would go on with it after the command's end.
                let asked = Asked { wait: true, ..asked };
                offline::with_office(config, async |office| {
                    office.answer(asked, Actor::running(), Timestamp::now()).await
                })
                .await
            }
        }
    })
}

fn lines(held: &Value) -> Vec<String> {
    let text = |name: &str| held[name].as_str().unwrap_or("-").to_owned();
    let mut lines = vec![format!("{} rows, blocked: {}", held["rows"], held["blocked"])];
    if held["first"].is_string() {
        lines.push(format!("first      {}", text("first")));
        lines.push(format!("last       {}", text("last")));
    }
    for subject in held["subjects"].as_array().into_iter().flatten() {
        let part = |name: &str| subject[name].as_str().unwrap_or_default().to_owned();
        lines.push(format!("{:<10} {}", part("kind"), part("hash")));
    }
    lines.extend(notes(held));
    lines
}

fn notes(of: &Value) -> Vec<String> {
    let notes = of["notes"].as_array().into_iter().flatten();
    notes.map(|note| format!("note       {}", note.as_str().unwrap_or_default())).collect()
}
