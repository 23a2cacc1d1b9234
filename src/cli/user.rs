//! `metka user`
//!
//! Each is written into the audit trail before it is done, also a look at the list.

use std::io::Read;

use serde_json::json;

use super::context::{Context, Failure, Outcome, command, moment, now, table};
use crate::audit::Action;
use crate::privacy::keys::KeyRing;
use crate::web::password;
use crate::web::role::Role;

#[derive(clap::Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(clap::Subcommand)]
enum UserCommand {
    /// Add a person who may sign in
    Add {
        login: String,
        /// What the person may do
        #[arg(long)]
        role: Role,
        /// Read the password from standard input (its first line)
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Give a person a new password; their sessions end
    Passwd {
        login: String,
        /// Read the password from standard input (its first line)
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Remove a person's second factor, which they have lost; their sessions end
    TotpRemove { login: String },
    /// List the people
    List,
    /// Remove a person; their sessions end
    Remove { login: String },
}

pub fn run(args: &UserArgs, context: &Context) -> Outcome {
    match &args.command {
        UserCommand::Add { login, role, .. } => add(context, login, *role),
        UserCommand::Passwd { login, .. } => passwd(context, login),
        UserCommand::TotpRemove { login } => totp_remove(context, login),
        UserCommand::List => list(context),
        UserCommand::Remove { login } => remove(context, login),
    }
}

fn add(context: &Context, login: &str, role: Role) -> Outcome {
    let people = context.people()?;
    let hash = read_password()?;
    let trail = context.trail(&context.config()?)?;
    people.change(|roster| {
        roster.add(login, role, Some(hash), now())?;
        let entry = command(Action::PersonAdded).detail(format!("login {login}, role {role}"));
        Ok(trail.append(&entry).map(drop)?)
    })?;
    context.print(&json!({ "login": login, "role": role }), [format!("{login} may sign in as {role}")])
}

fn passwd(context: &Context, login: &str) -> Outcome {
    let people = context.people()?;
    let hash = read_password()?;
    let trail = context.trail(&context.config()?)?;
    people.change(|roster| {
        roster.set_password(login, None, hash)?;
        let entry = command(Action::PasswordChanged).detail(format!("login {login}"));
        Ok(trail.append(&entry).map(drop)?)
    })?;
    context.print(&json!({ "login": login }), [format!("{login} has a new password")])
}

fn totp_remove(context: &Context, login: &str) -> Outcome {
    let people = context.people()?;
    let trail = context.trail(&context.config()?)?;
    people.change(|roster| {
        roster.remove_second_factor(login)?;
        let entry = command(Action::SecondFactorRemoved).detail(format!("login {login}"));
        Ok(trail.append(&entry).map(drop)?)
    })?;
    context.print(&json!({ "login": login }), [format!("{login} signs in without a second factor")])
}

fn list(context: &Context) -> Outcome {
    let config = context.config()?;
    // A look makes no key ring; without one there is nobody to look at.
    if KeyRing::exists(&config.keys.dir) {
        context.trail(&config)?.append(&command(Action::PeopleListed))?;
    }
    let roster = context.people()?.read()?;
    let people: Vec<_> = roster
        .people
        .iter()
        .map(|person| {
            json!({
                "login": person.login,
                "role": person.role,
                "created": person.created,
                "password": person.password.is_some(),
                "totp": person.has_second_factor(),
            })
        })
        .collect();
    let rows = roster
        .people
        .iter()
        .map(|person| [person.login.clone(), person.role.to_string(), moment(person.created)])
        .collect();
    context.print(&json!({ "people": people }), table(["LOGIN", "ROLE", "SINCE"], rows))
}

fn remove(context: &Context, login: &str) -> Outcome {
    let people = context.people()?;
    let trail = context.trail(&context.config()?)?;
    people.change(|roster| {
        roster.remove(login)?;
        let entry = command(Action::PersonRemoved).detail(format!("login {login}"));
        Ok(trail.append(&entry).map(drop)?)
    })?;
    context.print(&json!({ "login": login }), [format!("{login} is removed")])
}

fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    let limit = password::MAX_BYTES as u64 + 2;
    std::io::stdin()
        .take(limit)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format_args!("the password on standard input: {error}")))?;
    let line = text.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    password::hash(line).map_err(|error| match error {
        password::PasswordError::Short | password::PasswordError::Long => Failure::usage(error),
        other => Failure::failed(other),
    })
}
