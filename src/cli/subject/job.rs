//! `metka subject find`, `export`, `block`, `unblock`, `hold`, `release`, `rectify`, `withdraw-marketing`,
//! `opt-out`, and `erase` of one person or of many requests

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::context::{Context, Failure, Outcome};
use super::super::offline;
use super::identify::{self, IdentifyArgs};
use crate::audit::Actor;
use crate::rights::request::Subject;
use crate::subject::Who;
use crate::subject::batch::Batch;
use crate::subject::erase::MAX_ORDERS;
use crate::subject::export::Format;
use crate::subject::job::{Asked, Job};

/// A file of numbers: the most of them at their longest, with a comfortable margin.
const MAX_NUMBERS_BYTES: u64 = MAX_ORDERS as u64 * 64;

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
    /// The number of the request in the register; given alone, whoever the register holds for it is meant
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
pub struct RectifyArgs {
    #[command(flatten)]
    about: PersonArgs,
    /// Which field: a column of hits such as city, or props.NAME
    #[arg(long, value_name = "NAME")]
    field: String,
    /// What is right; nothing ('') clears the field; - reads it from standard input, after the person's line if that is read from there too
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    value: String,
}

#[derive(clap::Args)]
pub struct EraseArgs {
    /// The site that it is about
    #[arg(long, value_name = "ID")]
    site: String,
    #[command(flatten)]
    person: IdentifyArgs,
    /// Why; a person's data is looked at and changed for a stated purpose only
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// The number of the request in the register; given without a person, whoever the register holds for it is meant; several are erased in one go
    #[arg(long, value_name = "NUMBER")]
    request: Vec<String>,
    /// Numbers of requests, one a line, all erased in one go; - reads them from standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["person", "request"])]
    requests_file: Option<PathBuf>,
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

pub fn hold(args: &PersonArgs, context: &Context) -> Outcome {
    let held = ask(args.asked(Job::Hold, context)?, context)?;
    context.print(&held, lines(&held))
}

pub fn release(args: &PersonArgs, context: &Context) -> Outcome {
    let held = ask(args.asked(Job::Release, context)?, context)?;
    context.print(&held, lines(&held))
}

pub fn withdraw_marketing(args: &PersonArgs, context: &Context) -> Outcome {
    let done = ask(args.asked(Job::WithdrawMarketing, context)?, context)?;
    context.print(&done, changed(&done, "rows were for marketing, and are not any more"))
}

pub fn opt_out(args: &PersonArgs, context: &Context) -> Outcome {
    let done = ask(args.asked(Job::OptOut, context)?, context)?;
    context.print(&done, changed(&done, "browsers are opted out, and told so with their next hit"))
}

pub fn rectify(args: &RectifyArgs, context: &Context) -> Outcome {
    let about = &args.about;
    let config = super::config(context, &about.site)?;
    let (who, [from, to]) = about.person.who_and_when(config.chosen(Some(&about.site))?)?;
    let who = who.or_else(|| about.request.clone().map(Who::Request)).ok_or_else(nobody)?;
    let job = Job::Rectify {
        field: args.field.clone(),
        value: identify::line_of("--value", &args.value)?,
        from: from.map(|from| from.to_string()),
        to: to.map(|to| to.to_string()),
    };
    let done = ask(about.asked_of(job, who), context)?;
    context.print(&done, changed(&done, "rows had another value, and have this one"))
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
    if args.requests_file.is_some() || (args.request.len() > 1 && !args.person.is_given()) {
        return erase_batch(args, context);
    }
    if args.request.len() > 1 {
        return Err(Failure::usage(
            "--request: one for a person who is named; several for those of the register",
        ));
    }
    let config = super::config(context, &args.site)?;
    let request = args.request.first().cloned();
    let who = args.person.who(config.chosen(Some(&args.site))?)?;
    let asked = Asked {
        job: Job::Erase,
        site: args.site.clone(),
        who: who.or_else(|| request.clone().map(Who::Request)).ok_or_else(nobody)?,
        purpose: args.person.without_values(&args.purpose),
        request,
        by: args.by.clone(),
        wait: !args.no_wait,
    };
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
        lines.push(damaged(files));
    }
    lines.extend(notes(&done["act"]));
    context.print(&done, lines)
}

fn erase_batch(args: &EraseArgs, context: &Context) -> Outcome {
    let requests = match &args.requests_file {
        Some(path) => numbers(path)?,
        None => args.request.clone(),
    };
    let batch = Batch {
        site: args.site.clone(),
        requests,
        purpose: args.purpose.clone(),
        by: args.by.clone(),
        wait: !args.no_wait,
    };
    let config = super::config(context, &batch.site)?;
    let done = context.block_on(async {
        match context.server(&config)? {
            Some(server) => {
                Ok::<_, Failure>(server.call(Method::POST, "/subject/batch", Some(&json!(batch))).await?)
            }
            None => {
                let batch = Batch { wait: true, ..batch };
                offline::with_office(config, async |office| {
                    office.answer_batch(batch, Actor::running(), Timestamp::now()).await
                })
                .await
            }
        }
    })?;
    let each: Vec<&Value> = done["requests"].as_array().into_iter().flatten().collect();
    let what = if done["accepted"] == true { "are being destroyed" } else { "destroyed" };
    let mut lines = vec![format!("{} rows {what}, for {} requests", done["rows"], each.len())];
    for one in each {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        lines.push(
            format!("{:<10} {} rows  {}", text("request"), one["rows"], text("act")).trim_end().to_owned(),
        );
    }
    if let Some(until) = done["backups_until"].as_str() {
        lines.push(format!("backups    end by {until}; a restored one is erased again"));
    }
    if let Some(files @ 1..) = done["files_set_aside"].as_u64() {
        lines.push(damaged(files));
    }
    context.print(&done, lines)
}

/// The numbers in a file, a line each.
fn numbers(path: &Path) -> Result<Vec<String>, Failure> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let wrong =
        |error: &dyn std::fmt::Display| Failure::usage(format_args!("--requests-file: {name}: {error}"));
    let input: Box<dyn Read> = match name.as_str() {
        "standard input" => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(path).map_err(|error| wrong(&error))?),
    };
    let mut text = String::new();
    input.take(MAX_NUMBERS_BYTES + 1).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    if text.len() as u64 > MAX_NUMBERS_BYTES {
        return Err(wrong(&format_args!("more than {MAX_NUMBERS_BYTES} bytes")));
    }
    let numbers: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match numbers.len() {
        0 => Err(wrong(&"there is no number in it")),
        1..=MAX_ORDERS => Ok(numbers),
        many => Err(wrong(&format_args!("{many} numbers, at most {MAX_ORDERS} are erased in one go"))),
    }
}

// === impl PersonArgs ===

impl PersonArgs {
    fn asked(&self, job: Job, context: &Context) -> Result<Asked, Failure> {
        let config = super::config(context, &self.site)?;
        // Whom the register holds for the request, where nobody else is named.
        let of_request = || self.request.clone().map(Who::Request);
        let who = self.person.who(config.chosen(Some(&self.site))?)?.or_else(of_request);
        Ok(self.asked_of(job, who.ok_or_else(nobody)?))
    }

    fn asked_of(&self, job: Job, who: Who) -> Asked {
        Asked {
            job,
            site: self.site.clone(),
            who,
            purpose: self.person.without_values(&self.purpose),
            request: self.request.clone(),
            by: None,
            wait: true,
        }
    }
}

fn nobody() -> Failure {
    Failure::usage(
        "who is meant is not said: give --cookie, --user, --ip with --from and --to, or --request alone",
    )
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
    let mut lines =
        vec![format!("{} rows, blocked: {}, on hold: {}", held["rows"], held["blocked"], held["hold"])];
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

/// How many rows or browsers, and of how many rows.
fn changed(done: &Value, what: &str) -> Vec<String> {
    let mut lines = vec![format!("{} {what}; {} rows are held", done["changed"], done["rows"])];
    lines.extend(notes(done));
    lines
}

fn damaged(files: u64) -> String {
    format!(
        "damaged    {files} files in spool/quarantine, in which nobody can be looked up: remove them by hand"
    )
}

fn notes(of: &Value) -> Vec<String> {
    let notes = of["notes"].as_array().into_iter().flatten();
    notes.map(|note| format!("note       {}", note.as_str().unwrap_or_default())).collect()
}
