//! `/api/v1/addresses`: statistics of visitors' addresses without the addresses;
//! `/api/v1/addresses/open` opens one. Both are for a purpose, which is written into the audit
//! trail first ([`crate::addresses`]).

use http::StatusCode;
use serde_json::Value;

use super::answer::{self, Answer};
use super::officer::{failed, not_found, wrong};
use super::routes::Asked;
use super::stats;
use crate::addresses::{AddressError, Opening};

pub async fn ask(asked: Asked) -> Answer {
    let Some(id) = asked.body.get("site_id").and_then(Value::as_str) else {
        return *wrong("#/site_id: expected the id of a site");
    };
    let site = match asked.site(id) {
        Ok(site) => site,
        Err(refused) => return *refused,
    };
    if asked.state.archive().is_none() {
        return stats::not_ready();
    }
    let by = asked.principal().actor();
    let question = asked.state.running.addresses(&site, &asked.body, by, asked.state.timestamp());
    match stats::in_turn(&asked.state, question).await {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err(refused) => refused,
    }
}

pub async fn open(asked: Asked) -> Answer {
    let read = asked.read::<Opening>().and_then(|opening| Ok((asked.site(&opening.site_id)?, opening)));
    let (site, opening) = match read {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    if asked.state.archive().is_none() {
        return stats::not_ready();
    }
    match asked.state.running.open_address(site, opening, asked.principal().actor()).await {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err(error @ AddressError::Unseen) => *not_found(error),
        Err(error @ AddressError::Destroyed(_)) => answer::error(StatusCode::CONFLICT, error),
        Err(error @ AddressError::TooExpensive) => answer::error(StatusCode::UNPROCESSABLE_ENTITY, error),
        Err(AddressError::TooOften(wait)) => {
            answer::later(StatusCode::TOO_MANY_REQUESTS, wait, AddressError::TooOften(wait))
        }
        Err(error) if error.is_of_the_question() => *wrong(error),
        Err(AddressError::Storage(error)) if error.is_retryable() => {
            tracing::warn!(%error, "storage was away for the opening of an address");
            stats::not_ready()
        }
        Err(error) => *failed("what is held of addresses", error),
    }
}
