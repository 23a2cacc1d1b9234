//! `metka token`

use serde_json::json;

use super::context::{Context, Outcome, command, moment, now, table};
use crate::audit::{Action, Entry};
use crate::demo;
use crate::web::role::Role;

const DAY_MS: i64 = 86_400_000;

#[derive(clap::Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(clap::Subcommand)]
enum TokenCommand {
    /// Make a token for a program; it is shown once and cannot be shown again
    Create {
        /// What the token is for
        #[arg(long)]
        name: String,
        /// What the token may do
        #[arg(long)]
        role: Role,
        /// The only site it may ask about; all when not given
        #[arg(long, value_name = "ID")]
        site: Option<String>,
        /// It ends after so many days; never when not given
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: Option<u16>,
    },
    /// List the tokens, without their secrets
    List,
    /// End a token, by its id or name
    Revoke {
        #[arg(value_name = "ID|NAME")]
        token: String,
    },
}

pub fn run(args: &TokenArgs, context: &Context) -> Outcome {
    match &args.command {
        TokenCommand::Create { name, role, site, days } => create(context, name, *role, site.clone(), *days),
        TokenCommand::List => list(context),
        TokenCommand::Revoke { token } => revoke(context, token),
    }
}

fn create(context: &Context, name: &str, role: Role, site: Option<String>, days: Option<u16>) -> Outcome {
    let config = context.config()?;
    if let Some(id) = site.as_deref().filter(|id| *id != demo::SITE) {
        config.chosen(Some(id))?;
    }
    let now = now();
    let expires = days.map(|days| now + i64::from(days) * DAY_MS);
    let trail = context.trail(&config)?;
    let (id, secret) = context.people()?.change(|roster| {
        let (id, secret) = roster.create_token(name, role, site.clone(), expires, now)?;
        let entry = command(Action::TokenCreated).detail(format!("token {name} ({id}), role {role}"));
        trail.append(&Entry { site: site.clone(), ..entry })?;
        Ok((id, secret))
    })?;
    let described = json!({
        "token": secret, "id": id, "name": name, "role": role, "site": site, "expires": expires,
    });
    context.print(&described, [secret])
}

fn list(context: &Context) -> Outcome {
    let roster = context.people()?.read()?;
    let tokens: Vec<_> = roster
        .tokens
        .iter()
        .map(|token| {
            json!({
                "id": token.id,
                "name": token.name,
                "role": token.role,
                "site": token.site,
                "created": token.created,
                "expires": token.expires,
            })
        })
        .collect();
    let rows = roster
        .tokens
        .iter()
        .map(|token| {
            [
                token.id.clone(),
                token.name.clone(),
                token.role.to_string(),
                token.site.clone().unwrap_or_else(|| "all".to_owned()),
                moment(token.created),
                token.expires.map_or_else(|| "never".to_owned(), moment),
            ]
        })
        .collect();
    context.print(&json!({ "tokens": tokens }), table(["ID", "NAME", "ROLE", "SITE", "SINCE", "ENDS"], rows))
}

fn revoke(context: &Context, id_or_name: &str) -> Outcome {
    let trail = context.trail(&context.config()?)?;
    let token = context.people()?.change(|roster| {
        let token = roster.revoke_token(id_or_name)?;
        let entry = command(Action::TokenRevoked).detail(format!("token {} ({})", token.name, token.id));
        trail.append(&Entry { site: token.site.clone(), ..entry })?;
        Ok(token)
    })?;
    context.print(
        &json!({ "id": token.id, "name": token.name }),
        [format!("the token {} ({}) is revoked", token.id, token.name)],
    )
}
