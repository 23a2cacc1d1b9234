//! `metka disclose`
//!
//! The text goes into a file that only this user can read. It is written beside its
//! place and renamed, so that it is there whole or not at all; the record in the log is
//! on the disk before.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::context::{Context, Failure, Outcome, moment, table};
use super::offline;
use super::subject::identify::{IdentifyArgs, moment_of};
use crate::audit::Actor;
use crate::config::Site;
use crate::disclosure::log::Disclosed;
use crate::disclosure::{Asked, Disclosure, DisclosureError, Format, Log, RecipientKind, Scope};
use crate::rights::numbered::NumberedError;

/// What a file is called while it is written.
const UNFINISHED: &str = ".part";

#[derive(clap::Args)]
#[command(subcommand_negates_reqs = true, arg_required_else_help = true)]
pub struct DiscloseArgs {
    #[command(subcommand)]
    command: Option<DiscloseCommand>,
    #[command(flatten)]
    make: MakeArgs,
}

#[derive(clap::Subcommand)]
enum DiscloseCommand {
    /// List what was disclosed
    List(ListArgs),
    /// Show one disclosure
    Show(ShowArgs),
}

/// What is required is so where no other command is named.
#[derive(clap::Args)]
pub struct MakeArgs {
    /// The site that it is about
    #[arg(long, value_name = "ID", required = true)]
    site: Option<String>,
    /// Who gets it
    #[arg(long, value_name = "TEXT", required = true)]
    recipient: Option<String>,
    /// What they are; keyed hashes and addresses go to a state body or a court only
    #[arg(long, value_name = "KIND", required = true)]
    recipient_kind: Option<RecipientKind>,
    /// By which law, order or contract
    #[arg(long, value_name = "TEXT", required = true)]
    basis: Option<String>,
    /// What for
    #[arg(long, value_name = "TEXT", required = true)]
    purpose: Option<String>,
    #[command(flatten)]
    person: IdentifyArgs,
    /// The case file of the person: their trail in visits; --from and --to are its range
    #[arg(long, requires = "person")]
    case: bool,
    /// Instead of a person: hits from this moment
    #[arg(long, value_name = "TIME", requires_all = ["range_to", "fields"], conflicts_with = "person")]
    range_from: Option<String>,
    /// To before this one
    #[arg(long, value_name = "TIME", requires = "range_from")]
    range_to: Option<String>,
    /// The columns of hits that a range is disclosed with
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "range_from")]
    fields: Vec<String>,
    /// For programs, for a spreadsheet, or a case file to be printed
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
    /// Where it is written, for this user only
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    /// The number of the request in the register
    #[arg(long, value_name = "NUMBER")]
    request: Option<String>,
}

#[derive(clap::Args)]
pub struct ListArgs {
    /// Only those about this site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
}

#[derive(clap::Args)]
pub struct ShowArgs {
    /// Its number, such as D-2026-0001
    #[arg(value_name = "NUMBER")]
    number: String,
}

/// The place of a text that is to be handed out.
struct Out {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
}

pub fn run(args: &DiscloseArgs, context: &Context) -> Outcome {
    match &args.command {
        None => disclose(&args.make, context),
        Some(_) if args.make.site.is_some() => {
            Err(Failure::usage("either list or show, or what is to be disclosed: see metka disclose --help"))
        }
        Some(DiscloseCommand::List(args)) => list(args, context),
        Some(DiscloseCommand::Show(args)) => show(args, context),
    }
}

fn disclose(args: &MakeArgs, context: &Context) -> Outcome {
    let id = needed("--site", &args.site)?;
    let config = super::subject::config(context, id)?;
    let site = config.chosen(Some(id))?;
    let text =
        |option, text: &Option<String>| needed(option, text).map(|text| args.person.without_values(text));
    let path = needed("--out", &args.out)?;
    let asked = Asked {
        site: site.id.clone(),
        recipient: text("--recipient", &args.recipient)?,
        recipient_kind: *needed("--recipient-kind", &args.recipient_kind)?,
        basis: text("--basis", &args.basis)?,
        purpose: text("--purpose", &args.purpose)?,
        scope: args.scope(site)?,
        format: args.format,
        language: None,
        request: args.request.clone(),
    };
    // What cannot be written down in the end is not disclosed.
    let out = Out::create(path)?;
    let answered = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/disclosure", Some(&json!(asked))).await?),
            None => {
                offline::with_office(config, async |office| {
                    office.disclose(asked, Actor::running(), Timestamp::now()).await
                })
                .await
            }
        }
    });
    let answer = match answered {
        Ok(answer) => answer,
        Err(failure) => {
            out.withdraw();
            return Err(failure);
        }
    };
    out.finish(answer["text"].as_str().unwrap_or_default())?;
    let disclosure: Disclosure =
        serde_json::from_value(answer["disclosure"].clone()).map_err(Failure::failed)?;
    let file = path.display().to_string();
    let mut told = lines(&disclosure);
    told.push(format!("file        {file}"));
    context.print(&json!({ "disclosure": disclosure, "file": file }), told)
}

fn list(args: &ListArgs, context: &Context) -> Outcome {
    let log = Log::new(&context.config()?.data_dir);
    let all = log.list().map_err(DisclosureError::from)?;
    let all: Vec<Disclosure> =
        all.into_iter().filter(|one| args.site.as_ref().is_none_or(|site| *site == one.site)).collect();
    let rows = all.iter().map(|one| {
        [
            one.number.clone(),
            moment(one.at),
            one.site.clone(),
            one.recipient_kind.to_string(),
            one.rows.to_string(),
            one.visitors.to_string(),
            one.recipient.clone(),
        ]
    });
    let heads = ["NUMBER", "AT", "SITE", "KIND", "ROWS", "VISITORS", "RECIPIENT"];
    context.print(&json!({ "disclosures": all }), table(heads, rows.collect()))
}

fn show(args: &ShowArgs, context: &Context) -> Outcome {
    let found = Log::new(&context.config()?.data_dir).get(&args.number);
    let disclosure = found.map_err(|error| match error {
        NumberedError::NoNumber(number) => Failure::usage(format_args!("there is no disclosure {number:?}")),
        error => Failure::failed(error),
    })?;
    context.print(&json!(disclosure), lines(&disclosure))
}

fn lines(one: &Disclosure) -> Vec<String> {
    let mut lines = vec![
        format!("{}  {}, site {}", one.number, moment(one.at), one.site),
        format!("recipient   {} ({})", one.recipient, one.recipient_kind),
        format!("basis       {}", one.basis),
        format!("purpose     {}", one.purpose),
    ];
    match &one.scope {
        Disclosed::Person { subjects } => {
            lines.extend(subjects.iter().map(|subject| format!("subject     {subject}")));
        }
        Disclosed::Range { from, to } => {
            lines.push(format!("range       {} to {}", moment(*from), moment(*to)))
        }
        Disclosed::Case { subjects, from, to } => {
            lines.extend(subjects.iter().map(|subject| format!("subject     {subject}")));
            lines.push(format!("case file   {} to {}", moment(*from), moment(*to)));
        }
    }
    lines.push(format!("fields      {}", one.fields.join(",")));
    lines.push(format!("rows        {} of {} visitors, {}", one.rows, one.visitors, one.format.name()));
    lines.push(format!("sha256      {}", one.sha256));
    lines.push(format!("by          {}", one.who));
    lines.extend(one.request.iter().map(|number| format!("request     {number}")));
    lines
}

/// An option without which nothing is disclosed.
fn needed<'a, T>(option: &str, value: &'a Option<T>) -> Result<&'a T, Failure> {
    value.as_ref().ok_or_else(|| Failure::usage(format_args!("{option} is needed")))
}

// === impl MakeArgs ===

impl MakeArgs {
    fn scope(&self, site: &Site) -> Result<Scope, Failure> {
        if self.case
            && let (Some(who), [from, to]) = self.person.who_and_when(site)?
        {
            let [from, to] = [from, to].map(|moment| moment.map(|moment| moment.to_string()));
            return Ok(Scope::Case { who, from, to });
        }
        if let Some(who) = self.person.who(site)? {
            return Ok(Scope::Person(who));
        }
        let (Some(from), Some(to)) = (&self.range_from, &self.range_to) else {
            return Err(Failure::usage(
                "of whom is not said: give --cookie, --user, or --ip with --from and --to; or a range with \
                 --range-from, --range-to and --fields",
            ));
        };
        let (from, to) = (moment_of("--range-from", from, site)?, moment_of("--range-to", to, site)?);
        let fields = self.fields.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Scope::Range { from: from.to_string(), to: to.to_string(), fields })
    }
}

// === impl Out ===

impl Out {
    /// Refuses what is there already.
    fn create(path: &Path) -> Result<Out, Failure> {
        let named = |path: &Path, error: &dyn std::fmt::Display| {
            Failure::failed(format_args!("{}: {error}", path.display()))
        };
        if path.symlink_metadata().is_ok() {
            return Err(named(path, &"it is there already, and is not written over"));
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = file.map_err(|error| named(&unfinished, &error))?;
        Ok(Out { path: path.to_owned(), unfinished, file })
    }

    /// Nothing was handed out.
    fn withdraw(self) {
        // What cannot be removed is empty.
        let _ = std::fs::remove_file(&self.unfinished);
    }

    /// From the return on the text is there.
    fn finish(mut self, text: &str) -> Result<(), Failure> {
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| std::fs::rename(&self.unfinished, &self.path));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&self.unfinished);
            Failure::failed(format_args!(
                "{}: {error}; the log has the disclosure, which nobody got",
                self.path.display()
            ))
        })
    }
}
