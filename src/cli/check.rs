//! `metka check`

use super::context::{Context, Failure, Outcome};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct CheckArgs {}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// What is wrong with it, or else what was found.
    result: Result<String, String>,
}

pub fn run(_: &CheckArgs, context: &Context) -> Outcome {
    // Mistakes in the configuration end here, all named, with exit code 2.
    let config = context.config()?;
    let findings = [
        Finding { what: "configuration", result: Ok(format!("{} sites", config.sites.len())) },
        Finding { what: "people", result: people(context) },
    ];
    report(context, &findings)
}

fn report(context: &Context, findings: &[Finding]) -> Outcome {
    let wrong = findings.iter().filter(|finding| finding.result.is_err()).count();
    let described: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let (Ok(text) | Err(text)) = &finding.result;
            json!({ "what": finding.what, "ok": finding.result.is_ok(), "text": text })
        })
        .collect();
    let lines = findings.iter().map(|finding| match &finding.result {
        Ok(text) => format!("ok     {}: {text}", finding.what),
        Err(text) => format!("WRONG  {}: {text}", finding.what),
    });
    context.print(&json!({ "ok": wrong == 0, "findings": described }), lines)?;
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::failed("1 thing is wrong")),
        more => Err(Failure::failed(format_args!("{more} things are wrong"))),
    }
}

fn people(context: &Context) -> Result<String, String> {
    let people = context.people().map_err(|failure| failure.to_string())?;
    let roster = people.read().map_err(|error| error.to_string())?;
    Ok(format!("{} people, {} tokens", roster.people.len(), roster.tokens.len()))
}
