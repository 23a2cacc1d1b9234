//! The second factor of the own account ([`super::totp`]).
//!
//! `POST /api/v1/account/totp` `{"current"}` gives `{"secret","uri"}`, which is not in
//! force before `…/confirm` `{"code"}` was given a code of it; `…/remove`
//! `{"current","code"}` ends it. Confirming and removing end the account's other
//! sessions, and stand in the audit trail before they happen.
//!
//! A wrong code counts as a wrong password does, on either route, and changes nothing on
//! the disk. One that is in force is not confirmed again: its codes are for signing in and
//! for removing it.
//!
//! Who has lost it asks whoever has a shell on the machine: `metka user totp-remove`.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::account::{Trouble, begin, begin_attempt, check_password, note_wrong, on_disk, take_code};
use super::answer::{self, Answer};
use super::attempts::Attempt;
use super::people::{PeopleError, Person, Roster};
use super::routes::Asked;
use crate::audit::{Action, Actor, Entry};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    current: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    current: String,
    code: String,
}

pub async fn offer(asked: Asked) -> Answer {
    let Ok(Offer { current }) = serde_json::from_value(asked.body.clone()) else {
        return answer::error(StatusCode::BAD_REQUEST, "expected {\"current\"}");
    };
    match check_password(&asked, &current).await {
        Ok(attempt) => asked.state.attempts.take_back(attempt),
        Err(refused) => return *refused,
    }
    let login = asked.principal().name.clone();
    let named = login.clone();
    let offered =
        on_disk(&asked.state, move |state| state.people.change(|roster| roster.offer_second_factor(&named)));
    match offered.await.and_then(|offered| offered.map_err(Trouble::People)) {
        Ok(factor) => {
            let uri = factor.uri(&login);
            answer::json(StatusCode::OK, &json!({ "secret": factor.secret, "uri": uri }))
        }
        Err(trouble) => trouble.answer(),
    }
}

pub async fn confirm(asked: Asked) -> Answer {
    let Ok(Confirm { code }) = serde_json::from_value(asked.body.clone()) else {
        return answer::error(StatusCode::BAD_REQUEST, "expected {\"code\"}");
    };
    let name = &asked.principal().name;
    match asked.state.people.read() {
        Ok(people) if people.person(name).is_some_and(Person::has_second_factor) => {
            return Trouble::People(PeopleError::SecondFactor(name.clone())).answer();
        }
        Ok(_) => {}
        Err(error) => return Trouble::People(error).answer(),
    }
    let attempt = match begin_attempt(&asked).await {
        Ok(attempt) => attempt,
        Err(refused) => return *refused,
    };
    match right_code(&asked, attempt, code).await {
        Ok(()) => change(&asked, Action::SecondFactorSet, Roster::confirm_second_factor).await,
        Err(refused) => *refused,
    }
}

pub async fn remove(asked: Asked) -> Answer {
    let Ok(Remove { current, code }) = serde_json::from_value(asked.body.clone()) else {
        return answer::error(StatusCode::BAD_REQUEST, "expected {\"current\", \"code\"}");
    };
    let attempt = match check_password(&asked, &current).await {
        Ok(attempt) => attempt,
        Err(refused) => return *refused,
    };
    match right_code(&asked, attempt, code).await {
        Ok(()) => change(&asked, Action::SecondFactorRemoved, Roster::remove_second_factor).await,
        Err(refused) => *refused,
    }
}

/// Takes a code, with which the attempt ends.
async fn right_code(asked: &Asked, attempt: Attempt, code: String) -> Result<(), Box<Answer>> {
    let taken = take_code(&asked.state, &asked.principal().name, code).await;
    if let Ok(false) = taken {
        note_wrong(asked);
        return Err(Box::new(answer::error(StatusCode::BAD_REQUEST, PeopleError::Code)));
    }
    asked.state.attempts.take_back(attempt);
    taken.map(drop).map_err(|trouble| Box::new(trouble.answer()))
}

/// Changes the account, and begins a session anew: the old ones end.
async fn change(
    asked: &Asked,
    action: Action,
    how: for<'a> fn(&'a mut Roster, &str) -> Result<&'a Person, PeopleError>,
) -> Answer {
    let login = asked.principal().name.clone();
    let changed = on_disk(&asked.state, move |state| {
        state.people.change(|roster| {
            let person = how(roster, &login)?.clone();
            let entry = Entry::new(state.timestamp(), Actor::Person(login.clone()), action);
            state.trail.append(&entry)?;
            Ok(person)
        })
    });
    match changed.await.and_then(|changed| changed.map_err(Trouble::People)) {
        Ok(person) => begin(asked, person).await,
        Err(trouble) => trouble.answer(),
    }
}
