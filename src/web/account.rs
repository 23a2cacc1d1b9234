//! Signing in and out, and the own account.
//!
//! `GET /api/v1/session` who am I · `POST` `{"login","password"}` or `{"code"}`
//! signs in, with `"totp"` where the account has a second factor
//! ([`super::second_factor`]) · `DELETE` signs out · `POST /api/v1/account` `{"login","password",
//! "current"?}` gives the own account a new login and password; `current` is
//! the old password where there is one. After a sign-in by code, `login` is null
//! and `needs_password` true until that is done.
//!
//! An unknown login and a wrong password get the same text after the same work: what the
//! trail is to tell of them is written beside the answer, not before it.
//!
//! A sign-in and a change of a password are written into the audit trail before they
//! happen, and do not happen without. A sign-out happens all the same: it only takes
//! rights away. What was typed as a login that does not exist is written nowhere,
//! since people type passwords there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::access::{self, Credential};
use super::answer::{self, Answer};
use super::attempts::Attempt;
use super::failures::{Due, Which};
use super::first::FIRST_LOGIN;
use super::password::PasswordError;
use super::people::{PeopleError, Person};
use super::role::Role;
use super::routes::Asked;
use crate::audit::{Action, Actor, Entry};
use crate::parse::client::client;

/// Stands for the login where a code was given: not one that anybody can have.
const CODE_LOGIN: &str = " code";
const CODE_ACCOUNT: &str = "the first sign-in code";
const WRONG: &str = "the login or the password is wrong";
const WRONG_TOTP: &str = "the code of the second factor is wrong or was used";
const NO_TOTP: &str = "this account needs a code of its second factor";
const WRONG_CODE: &str = "the sign-in code is wrong, used or older than 15 minutes";
/// How soon to come back when too many passwords are being checked.
const BUSY_WAIT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(untagged)]
enum SignIn {
    Code(ByCode),
    Password(ByPassword),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByCode {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByPassword {
    login: String,
    password: String,
    totp: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    login: Option<String>,
    password: String,
    current: Option<String>,
}

pub async fn who(asked: Asked) -> Answer {
    let principal = asked.principal();
    let complete = !matches!(principal.by, Credential::Session { complete: false, .. });
    let people = match asked.state.people.read() {
        Ok(people) => people,
        Err(error) => return Trouble::People(error).answer(),
    };
    let has_second_factor = people.person(&principal.name).is_some_and(Person::has_second_factor);
    let described = described(&principal.name, principal.role, complete, has_second_factor);
    answer::json(StatusCode::OK, &described)
}

pub async fn sign_in(asked: Asked) -> Answer {
    let Ok(sign_in) = serde_json::from_value::<SignIn>(asked.body.clone()) else {
        return answer::error(StatusCode::BAD_REQUEST, "expected {\"login\", \"password\"} or {\"code\"}");
    };
    let state = &asked.state;
    let source = source(state, asked.peer, &asked.headers);
    let login = match &sign_in {
        SignIn::Code(_) => CODE_LOGIN,
        SignIn::Password(by) => by.login.as_str(),
    };
    let begun = match &sign_in {
        SignIn::Code(_) => state.attempts.begin_by_code(&source),
        SignIn::Password(_) => state.attempts.begin(login, &source),
    };
    let attempt = match begun {
        Ok(attempt) => attempt,
        Err(wait) => {
            failed(state, login, &source);
            return too_many(wait);
        }
    };
    let found = match &sign_in {
        SignIn::Code(by) => {
            let code = by.code.clone();
            let redeem = move |state: &State| {
                let adding = || {
                    let entry = Entry::new(state.timestamp(), Actor::Visitor, Action::PersonAdded);
                    let text = format!("login {FIRST_LOGIN}, role owner, by the first sign-in code");
                    Ok(state.trail.append(&entry.detail(text)).map(drop)?)
                };
                state.first.redeem(&code, &state.people, state.now(), adding)
            };
            on_disk(state, redeem).await.and_then(|redeemed| redeemed.map_err(Trouble::People))
        }
        SignIn::Password(by) => by_password(state, &by.login, &by.password).await,
    };
    let person = match found {
        Ok(Some(person)) => person,
        Ok(None) => {
            failed(state, login, &source);
            tracing::info!(by_code = matches!(sign_in, SignIn::Code(_)), "a sign-in was refused");
            let text = if matches!(sign_in, SignIn::Code(_)) { WRONG_CODE } else { WRONG };
            return answer::error(StatusCode::UNAUTHORIZED, text);
        }
        Err(trouble) => {
            state.attempts.take_back(attempt);
            return trouble.answer();
        }
    };
    if let SignIn::Password(by) = &sign_in
        && person.has_second_factor()
    {
        let Some(code) = by.totp.clone().filter(|code| !code.is_empty()) else {
            state.attempts.take_back(attempt);
            return needs_totp(NO_TOTP);
        };
        match take_code(state, &person.login, code).await {
            Ok(true) => {}
            Ok(false) => {
                failed(state, login, &source);
                return needs_totp(WRONG_TOTP);
            }
            Err(trouble) => {
                state.attempts.take_back(attempt);
                return trouble.answer();
            }
        }
    }
    state.attempts.take_back(attempt);
    let by = Actor::Person(person.login.clone());
    let entry = Entry::new(state.timestamp(), by, Action::SignIn);
    let entry = if person.password.is_none() { entry.detail("by the first sign-in code") } else { entry };
    if let Err(error) = state.note(entry).await {
        return Trouble::Audit(error).answer();
    }
    begin(&asked, person).await
}

pub async fn sign_out(asked: Asked) -> Answer {
    let state = &asked.state;
    if let Some(id) = access::session_id(state, &asked.headers) {
        if let Some(session) = state.sessions.find(&id, state.now()) {
            let by = Actor::Person(session.login);
            if let Err(error) = state.note(Entry::new(state.timestamp(), by, Action::SignOut)).await {
                tracing::error!(error, "a sign-out is not in the audit trail");
            }
        }
        let ended = on_disk(state, move |state| state.sessions.end(&id, state.now())).await;
        if let Err(trouble) = ended.and_then(|ended| ended.map_err(Trouble::Sessions)) {
            return trouble.answer();
        }
    }
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    answer.headers_mut().insert(header::SET_COOKIE, access::ended_cookie(state));
    answer
}

pub async fn change(asked: Asked) -> Answer {
    let Ok(change) = serde_json::from_value::<Change>(asked.body.clone()) else {
        return answer::error(StatusCode::BAD_REQUEST, "expected {\"login\", \"password\", \"current\"}");
    };
    let state = &asked.state;
    let principal = asked.principal();
    if matches!(principal.by, Credential::Session { complete: true, .. }) {
        let current = change.current.as_deref().unwrap_or_default();
        match check_password(&asked, current).await {
            Ok(attempt) => state.attempts.take_back(attempt),
            Err(refused) => return *refused,
        }
    }
    let hashed = match state.passwords.hash(change.password.clone()).await {
        Ok(hashed) => hashed,
        Err(error) => return Trouble::Password(error).answer(),
    };
    let Change { login, .. } = change;
    let name = principal.name.clone();
    let changed = on_disk(state, move |state| {
        state.people.change(|roster| {
            let person = roster.set_password(&name, login.as_deref(), hashed)?.clone();
            let entry = Entry::new(state.timestamp(), Actor::Person(name.clone()), Action::PasswordChanged);
            state.trail.append(&entry.detail(format!("login {}", person.login)))?;
            Ok(person)
        })
    });
    match changed.await.and_then(|changed| changed.map_err(Trouble::People)) {
        // A new session besides: what was known of the old one is worth nothing.
        Ok(person) => begin(&asked, person).await,
        Err(trouble) => trouble.answer(),
    }
}

/// Refuses whoever does not know the password of the account that is signed in. The
/// attempt still counts: whoever has nothing more to compare takes it back.
pub(super) async fn check_password(asked: &Asked, password: &str) -> Result<Attempt, Box<Answer>> {
    let attempt = begin_attempt(asked).await?;
    let (state, name) = (&asked.state, &asked.principal().name);
    match by_password(state, name, password).await {
        Ok(Some(_)) => Ok(attempt),
        Ok(None) => {
            note_wrong(asked);
            Err(Box::new(answer::error(StatusCode::FORBIDDEN, "the current password is wrong")))
        }
        Err(trouble) => {
            state.attempts.take_back(attempt);
            Err(Box::new(trouble.answer()))
        }
    }
}

/// Counts an attempt at the password or a code of the account that is signed in, like a
/// sign-in; refuses whoever has made too many wrong ones.
pub(super) async fn begin_attempt(asked: &Asked) -> Result<Attempt, Box<Answer>> {
    let source = source(&asked.state, asked.peer, &asked.headers);
    match asked.state.attempts.begin(&asked.principal().name, &source) {
        Ok(attempt) => Ok(attempt),
        Err(wait) => {
            note_wrong(asked);
            Err(Box::new(too_many(wait)))
        }
    }
}

/// Has the trail tell of a wrong password or code of the account that is signed in.
pub(super) fn note_wrong(asked: &Asked) {
    let (state, name) = (&asked.state, &asked.principal().name);
    let source = source(state, asked.peer, &asked.headers);
    failed(state, name, &source);
}

/// Takes a code of an account's second factor, once.
pub(super) async fn take_code(state: &Arc<State>, login: &str, code: String) -> Result<bool, Trouble> {
    let (login, now) = (login.to_owned(), state.now());
    let taken =
        on_disk(state, move |state| state.people.change(|roster| roster.take_code(&login, &code, now)));
    match taken.await? {
        Ok(()) => Ok(true),
        Err(PeopleError::Code) => Ok(false),
        Err(error) => Err(Trouble::People(error)),
    }
}

fn needs_totp(text: &str) -> Answer {
    answer::json(StatusCode::UNAUTHORIZED, &json!({ "error": text, "needs": "totp" }))
}

async fn by_password(state: &State, login: &str, password: &str) -> Result<Option<Person>, Trouble> {
    let person = state.people.read().map_err(Trouble::People)?.person(login).cloned();
    let stored = person.as_ref().and_then(|person| person.password.clone());
    let fits = state.passwords.verify(password.to_owned(), stored).await.map_err(Trouble::Password)?;
    Ok(person.filter(|_| fits))
}

/// Counts a wrong sign-in for the audit trail, and writes it there if it is time. An
/// attempt that is refused anyway needs no entry to be refused.
fn failed(state: &Arc<State>, login: &str, source: &[u8]) {
    let is_known = state.people.read().is_ok_and(|people| people.person(login).is_some());
    let account = match (login, is_known) {
        (CODE_LOGIN, _) => CODE_ACCOUNT.to_owned(),
        (login, true) => format!("login {login}"),
        (_, false) => "a login that does not exist".to_owned(),
    };
    let due = state.failures.failed(state.attempts.mark(source), account, state.now());
    if let Some(due) = due {
        let state = state.clone();
        // Nobody waits for it: how long an answer takes must not tell which logins there are.
        drop(tokio::task::spawn_blocking(move || write(&state, due)));
    }
}

/// Writes what was counted of wrong sign-ins and not written yet.
pub(super) fn write_failures(state: &State, which: Which) {
    for due in state.failures.unwritten(which, state.now()) {
        write(state, due);
    }
}

fn write(state: &State, due: Due) {
    let entry = Entry::new(state.timestamp(), Actor::Visitor, Action::SignInFailed).detail(due.to_string());
    if let Err(error) = state.trail.append(&entry) {
        tracing::error!(%error, "wrong sign-ins are not in the audit trail");
    }
}

/// A new session; one that the request brought along ends.
pub(super) async fn begin(asked: &Asked, person: Person) -> Answer {
    let state = &asked.state;
    let old = access::session_id(state, &asked.headers);
    let described =
        described(&person.login, person.role, person.password.is_some(), person.has_second_factor());
    let begun = on_disk(state, move |state| {
        let now = state.now();
        if let Some(old) = old {
            state.sessions.end(&old, now)?;
        }
        state.sessions.begin(&person, now)
    });
    match begun.await.and_then(|begun| begun.map_err(Trouble::Sessions)) {
        Ok(id) => {
            let mut answer = answer::json(StatusCode::OK, &described);
            answer.headers_mut().insert(header::SET_COOKIE, access::session_cookie(state, &id));
            answer
        }
        Err(trouble) => trouble.answer(),
    }
}

pub(super) async fn on_disk<T: Send + 'static>(
    state: &Arc<State>,
    work: impl FnOnce(&State) -> T + Send + 'static,
) -> Result<T, Trouble> {
    state.on_disk(work).await.ok_or(Trouble::Panic)
}

/// The first owner has no login to show until one is chosen.
fn described(login: &str, role: Role, complete: bool, has_second_factor: bool) -> serde_json::Value {
    json!({
        "login": complete.then_some(login),
        "role": role.name(),
        "guarded": !role.sees_exact_numbers(),
        "needs_password": !complete,
        "totp": has_second_factor,
    })
}

fn too_many(wait: Duration) -> Answer {
    answer::later(StatusCode::TOO_MANY_REQUESTS, wait, "too many wrong sign-ins, try again later")
}

/// What stands for the sender in the limits: the address as the collector would
/// see it, of IPv6 the /64.
pub(super) fn source(state: &State, peer: IpAddr, headers: &HeaderMap) -> [u8; 9] {
    client(peer, headers, &state.config.load().collect).ip.prefix()
}

fn not_audited(error: impl std::fmt::Display) -> Answer {
    tracing::error!(%error, "refused, since it could not be written into the audit trail");
    answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the audit trail cannot be written")
}

/// Why neither yes nor no could be said.
pub(super) enum Trouble {
    People(PeopleError),
    Password(PasswordError),
    Sessions(std::io::Error),
    Audit(String),
    /// The work panicked; the panic itself is in the log.
    Panic,
}

// === impl Trouble ===

impl Trouble {
    pub(super) fn answer(self) -> Answer {
        match self {
            Trouble::Password(PasswordError::Busy) => {
                answer::later(StatusCode::SERVICE_UNAVAILABLE, BUSY_WAIT, PasswordError::Busy)
            }
            Trouble::Password(error @ (PasswordError::Short | PasswordError::Long)) => {
                answer::error(StatusCode::BAD_REQUEST, error)
            }
            Trouble::Password(PasswordError::Failed) => {
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, PasswordError::Failed)
            }
            Trouble::People(
                error @ (PeopleError::Name(_)
                | PeopleError::Exists(_)
                | PeopleError::SecondFactor(_)
                | PeopleError::NoSecondFactor(_)),
            ) => answer::error(StatusCode::BAD_REQUEST, error),
            Trouble::Sessions(error) => {
                tracing::error!(%error, "sessions could not be saved");
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the session could not be saved")
            }
            Trouble::Audit(error) => not_audited(error),
            Trouble::People(PeopleError::Audit(error)) => not_audited(error),
            Trouble::Panic => answer::error(StatusCode::INTERNAL_SERVER_ERROR, "an internal error"),
            Trouble::People(error) => {
                tracing::error!(%error, "people could not be read or changed");
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the list of people cannot be used")
            }
        }
    }
}
