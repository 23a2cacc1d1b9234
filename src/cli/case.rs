//! `metka case`
//!
//! What it prints is about one person. Nothing of it goes outside: that is
//! `metka disclose --case`.

use std::io::Write;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome};
use super::offline;
use super::subject::identify::{IdentifyArgs, moment_of};
use crate::audit::{Actor, Purpose};
use crate::case::{Asked, CaseError, File, Format, PURPOSES};
use crate::policy::Language;
use crate::subject::Who;

#[derive(clap::Args)]
pub struct CaseArgs {
    /// The site that it is about
    #[arg(long, value_name = "ID")]
    site: String,
    /// Who is meant; --from and --to are also the range of the trail
    #[command(flatten)]
    person: IdentifyArgs,
    /// Whoever the register holds for this request
    #[arg(long, value_name = "NUMBER", conflicts_with = "person")]
    request: Option<String>,
    /// What for: fraud, payments, support, claim, security or state_body
    #[arg(long, value_name = "PURPOSE", value_parser = purpose)]
    purpose: Purpose,
    /// Why, in one line
    #[arg(long, value_name = "TEXT")]
    words: String,
    /// The number of a contract, a ticket, a claim
    #[arg(long, value_name = "TEXT")]
    basis: Option<String>,
    /// The moment of a payment: which visit was it in?
    #[arg(long, value_name = "TIME")]
    around: Option<String>,
    /// How many minutes from a visit that moment may be
    #[arg(long, value_name = "N", requires = "around")]
    minutes: Option<u32>,
    /// Leave out so many hits at the beginning
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
    /// Show so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// For programs, for a spreadsheet, or to be printed; lines to be read when not given
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The language of the page
    #[arg(long, value_enum, default_value = "ru")]
    language: Language,
}

pub fn run(args: &CaseArgs, context: &Context) -> Outcome {
    let config = super::subject::config(context, &args.site)?;
    let site = config.chosen(Some(&args.site))?;
    let (who, [from, to]) = args.person.who_and_when(site)?;
    let who = who.or_else(|| args.request.clone().map(Who::Request)).ok_or_else(|| {
        Failure::usage(
            "who is meant is not said: give --cookie, --user, --ip with --from and --to, or --request",
        )
    })?;
    let around = args.around.as_deref().map(|text| moment_of("--around", text, site)).transpose()?;
    let asked = Asked {
        site: site.id.clone(),
        who,
        from: from.map(|from| from.to_string()),
        to: to.map(|to| to.to_string()),
        purpose: args.purpose,
        words: args.person.without_values(&args.words),
        basis: args.basis.as_deref().map(|basis| args.person.without_values(basis)),
        around: around.map(|around| around.to_string()),
        minutes: args.minutes,
        offset: args.offset,
        limit: args.limit,
        format: args.format.unwrap_or_default(),
        language: Some(args.language),
    };
    let text = context.block_on(async {
        match context.server(&config)? {
            Some(server) => {
                let answer = server.call(Method::POST, "/case", Some(&json!(asked))).await?;
                Ok(answer["text"].as_str().unwrap_or_default().to_owned())
            }
            None => {
                offline::with_office(config, async |office| {
                    let file = office.case(asked, Actor::running(), Timestamp::now()).await?;
                    Ok::<_, CaseError>(file.text())
                })
                .await
            }
        }
    })?;
    match args.format {
        Some(Format::Csv | Format::Html) if context.json => context.print(&json!({ "text": text }), []),
        Some(Format::Csv | Format::Html) => {
            std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::failed)
        }
        format => {
            let document: Value = serde_json::from_str(&text).map_err(Failure::failed)?;
            match format {
                None => context.print(&document, File::lines(&document)),
                Some(_) => context.print(&document, [text]),
            }
        }
    }
}

/// A purpose of the trail's list for which case files are opened.
fn purpose(text: &str) -> Result<Purpose, String> {
    let purpose: Purpose =
        text.parse().map_err(|error: crate::audit::entry::UnknownWord| error.to_string())?;
    PURPOSES.contains(&purpose).then_some(purpose).ok_or_else(|| CaseError::Purpose(purpose).to_string())
}
