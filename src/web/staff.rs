//! `/api/v1/people`: who may sign in, and the tokens of programs, for owners.
//!
//! `GET` → `{"people":[{"login","role","totp"}],"tokens":[{"id","name","role","site","made","expires"}]}`.
//!
//! `POST` one of
//!
//! ```text
//! {"add":{"login","role","password"}}        → {"login","role"}
//! {"change":{"login","role"}}                → {"login","role"}
//! {"remove":{"login"}}                       → {}
//! {"token":{"name","role","site"?,"days"?}}  → {"token","id"}: the token is shown this once
//! {"revoke":{"id"}}                          → {}
//! ```
//!
//! The same as `metka user` and `metka token` do, by the same code ([`super::people`]):
//! a change takes effect at the next request of whoever it is about, and the last owner
//! who can sign in stays one. Each look and each change has its entry in the audit trail
//! first. A token that is bound to one site does none of it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Trouble;
use super::answer::{self, Answer};
use super::officer::{not_found, wrong};
use super::people::PeopleError;
use super::role::Role;
use super::routes::Asked;
use super::{State, account};
use crate::audit::{Action, Actor, Entry};

/// The longest life of a token that ends, in days, as of `metka token`.
const MAX_DAYS: u16 = 3650;
const DAY_MS: i64 = 86_400_000;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Asking {
    Add(Add),
    Change(NewRole),
    Remove(Remove),
    Token(Token),
    Revoke(Revoke),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    login: String,
    role: Role,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    login: String,
    role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    login: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    role: Role,
    site: Option<String>,
    days: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    id: String,
}

pub async fn list(asked: Asked) -> Answer {
    answered(listed(&asked).await)
}

pub async fn change(asked: Asked) -> Answer {
    answered(changed(&asked).await)
}

async fn listed(asked: &Asked) -> Result<Value, Box<Answer>> {
    asked.all_sites()?;
    let state = &asked.state;
    let entry = Entry::new(state.timestamp(), asked.principal().actor(), Action::PeopleListed);
    state.note(entry).await.map_err(|error| Box::new(Trouble::Audit(error).answer()))?;
    let roster = state.people.read().map_err(of_people)?;
    let people: Vec<Value> = roster
        .people
        .iter()
        .map(|person| {
            json!({ "login": person.login, "role": person.role, "totp": person.has_second_factor() })
        })
        .collect();
    let tokens: Vec<Value> = roster
        .tokens
        .iter()
        .map(|token| {
            json!({
                "id": token.id,
                "name": token.name,
                "role": token.role,
                "site": token.site,
                "made": token.created,
                "expires": token.expires,
            })
        })
        .collect();
    Ok(json!({ "people": people, "tokens": tokens }))
}

async fn changed(asked: &Asked) -> Result<Value, Box<Answer>> {
    asked.all_sites()?;
    let asking: Asking = asked.read()?;
    let actor = asked.principal().actor();
    match asking {
        Asking::Add(Add { login, role, password }) => {
            let hash = asked.state.passwords.hash(password).await;
            let hash = hash.map_err(|error| Box::new(Trouble::Password(error).answer()))?;
            made(asked, move |state| {
                state.people.change(|roster| {
                    roster.add(&login, role, Some(hash), state.now())?;
                    note(state, actor, Action::PersonAdded, format!("login {login}, role {role}"), None)?;
                    Ok(json!({ "login": login, "role": role }))
                })
            })
            .await
        }
        Asking::Change(NewRole { login, role }) => {
            made(asked, move |state| {
                state.people.change(|roster| {
                    let before = roster.set_role(&login, role)?;
                    let detail = format!("login {login}, role {role}, was {before}");
                    note(state, actor, Action::PersonChanged, detail, None)?;
                    Ok(json!({ "login": login, "role": role }))
                })
            })
            .await
        }
        Asking::Remove(Remove { login }) => {
            made(asked, move |state| {
                state.people.change(|roster| {
                    roster.remove(&login)?;
                    note(state, actor, Action::PersonRemoved, format!("login {login}"), None)?;
                    Ok(json!({}))
                })
            })
            .await
        }
        Asking::Token(Token { name, role, site, days }) => {
            if let Some(id) = &site {
                asked
                    .site(id)
                    .map_err(|_| wrong(format_args!("token.site: no site {id:?} is configured")))?;
            }
            if days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
                return Err(wrong(format_args!("token.days: expected 1 to {MAX_DAYS}")));
            }
            made(asked, move |state| {
                let now = state.now();
                let expires = days.map(|days| now + i64::from(days) * DAY_MS);
                state.people.change(|roster| {
                    let (id, secret) = roster.create_token(&name, role, site.clone(), expires, now)?;
                    let detail = format!("token {name} ({id}), role {role}");
                    note(state, actor, Action::TokenCreated, detail, site)?;
                    Ok(json!({ "token": secret, "id": id }))
                })
            })
            .await
        }
        Asking::Revoke(Revoke { id }) => {
            made(asked, move |state| {
                state.people.change(|roster| {
                    let token = roster.revoke_token(&id)?;
                    let detail = format!("token {} ({})", token.name, token.id);
                    note(state, actor, Action::TokenRevoked, detail, token.site)?;
                    Ok(json!({}))
                })
            })
            .await
        }
    }
}

async fn made(
    asked: &Asked,
    work: impl FnOnce(&State) -> Result<Value, PeopleError> + Send + 'static,
) -> Result<Value, Box<Answer>> {
    let done = account::on_disk(&asked.state, work).await;
    done.map_err(|trouble| Box::new(trouble.answer()))?.map_err(of_people)
}

/// The entry, under the lock of the people and before they are changed.
fn note(
    state: &State,
    actor: Actor,
    action: Action,
    detail: String,
    site: Option<String>,
) -> Result<(), PeopleError> {
    let entry = Entry { site, ..Entry::new(state.timestamp(), actor, action).detail(detail) };
    Ok(state.trail.append(&entry).map(drop)?)
}

fn answered(outcome: Result<Value, Box<Answer>>) -> Answer {
    match outcome {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err(refused) => *refused,
    }
}

fn of_people(error: PeopleError) -> Box<Answer> {
    match error {
        PeopleError::NoPerson(_) | PeopleError::NoToken(_) => not_found(error),
        PeopleError::LastOwner(_) | PeopleError::Many(..) => {
            Box::new(answer::error(StatusCode::CONFLICT, error))
        }
        PeopleError::ManyTokens(_) => wrong(error),
        error => Box::new(Trouble::People(error).answer()),
    }
}
