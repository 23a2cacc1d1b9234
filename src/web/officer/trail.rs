//! `/api/v1/audit` lists entries (`from`, `to`, `action`, `site_id`, `last`);
//! `/api/v1/audit/verify` proves them all and gives the anchor to write down.
//!
//! As the commands, both only read and write no entry of their own ([`crate::cli`]
//! says why).

use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::{failed, panicked, wrong};
use crate::audit::{Action, AuditError, Filter, MAX_LISTED};
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

/// How many entries are listed when nothing is said.
const DEFAULT_LAST: usize = 100;

pub async fn list(asked: Asked) -> Answer {
    let filter = match filter(&asked) {
        Ok(filter) => filter,
        Err(refused) => return *refused,
    };
    let listed = asked.state.on_disk(move |state| state.trail.list(&filter)).await;
    told(listed.map(|listed| listed.map(|entries| json!({ "entries": entries }))))
}

pub async fn verify(asked: Asked) -> Answer {
    let verified = asked.state.on_disk(|state| state.trail.verify(None)).await;
    told(verified.map(|verified| verified.map(|verified| verified.described())))
}

fn filter(asked: &Asked) -> Result<Filter, Box<Answer>> {
    let last = match asked.parameter("last") {
        None => DEFAULT_LAST,
        Some(text) => text
            .parse()
            .ok()
            .filter(|last| (1..=MAX_LISTED).contains(last))
            .ok_or_else(|| wrong(format_args!("last: expected a number from 1 to {MAX_LISTED}")))?,
    };
    let action = match asked.parameter("action").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse::<Action>().map_err(wrong)?),
    };
    Ok(Filter {
        from: day(asked, "from", 0)?,
        to: day(asked, "to", 1)?,
        action,
        site: asked.chosen_site()?,
        last,
    })
}

/// The beginning, in UTC, of the day so many days after the one that is named.
fn day(asked: &Asked, name: &str, days: i64) -> Result<Option<Timestamp>, Box<Answer>> {
    let Some(text) = asked.parameter(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let moment = |day: Date| day.checked_add(days.days()).and_then(|day| day.to_zoned(TimeZone::UTC));
    text.parse::<Date>()
        .and_then(moment)
        .map(|day| Some(day.timestamp()))
        .map_err(|_| wrong(format_args!("{name}: expected a day such as 2026-11-26")))
}

fn told(found: Option<Result<Value, AuditError>>) -> Answer {
    match found {
        None => *panicked(),
        Some(Ok(value)) => answer::json(StatusCode::OK, &value),
        Some(Err(error @ AuditError::Damaged { .. })) => {
            tracing::error!(%error, "the audit trail is damaged");
            answer::error(StatusCode::CONFLICT, error)
        }
        Some(Err(error)) => *failed("the audit trail", error),
    }
}
