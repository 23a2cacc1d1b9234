//! Questions about numbers: `/api/v2/query`, funnels, journeys, retention, who is there now,
//! and the list of sites.
//!
//! A site that does not exist and one that the asker may not see get the same 401.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use super::State;
use super::answer::{self, Answer};
use super::role::Role;
use super::routes::Asked;
use super::running::{Answering, ArchiveError};
use crate::config::Site;
use crate::query::{self, Report};

/// How many questions are put to storage at once; more would only share its
/// memory and cores.
pub const MAX_QUERIES: usize = 8;
/// How long a question waits for its turn before it is sent away.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// How soon to come back when storage is away or busy.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a question got no numbers, as whoever asked is told.
pub(super) struct Refused {
    pub status: StatusCode,
    pub error: String,
}

pub async fn query(asked: Asked) -> Answer {
    let config = asked.state.config.load_full();
    let Some(id) = asked.body.get("site_id").and_then(Value::as_str) else {
        return answer::error(StatusCode::BAD_REQUEST, "#/site_id: expected the id of a site");
    };
    let Some(site) = config.site(id).filter(|site| asked.principal().may_see(&site.id)) else {
        return answer::unauthorized();
    };
    if query::asks_for_bots(&asked.body) && !asked.principal().role.includes(Role::Security) {
        return answer::error(
            StatusCode::FORBIDDEN,
            format_args!("#/include/bots: this needs the role {}", Role::Security),
        );
    }
    let Some(archive) = asked.state.archive() else { return not_ready() };
    let (now, asker) = (asked.state.timestamp(), asked.principal().role.asker());
    let question = archive.query(site, &asked.body, now, asker, None);
    match in_turn(&asked.state, question).await {
        Ok(value) => answer::table_or_json(&asked.headers, &value),
        Err(refused) => refused,
    }
}

pub async fn funnel(asked: Asked) -> Answer {
    if query::funnel::names_steps(&asked.body) && !asked.principal().role.sees_exact_numbers() {
        return answer::error(
            StatusCode::FORBIDDEN,
            format_args!("#/steps: a {} asks for a funnel that is kept", Role::Viewer),
        );
    }
    report(&asked, Report::Funnel, &asked.body).await
}

pub async fn journeys(asked: Asked) -> Answer {
    report(&asked, Report::Journeys, &asked.body).await
}

pub async fn retention(asked: Asked) -> Answer {
    report(&asked, Report::Retention, &asked.body).await
}

pub async fn live(asked: Asked) -> Answer {
    let Some(id) = asked.parameter("site_id") else {
        return answer::error(StatusCode::BAD_REQUEST, "site_id: expected the id of a site");
    };
    report(&asked, Report::Live, &json!({ "site_id": id })).await
}

/// Every question about whole visits comes by here, with who asks it in `asked`.
async fn report(asked: &Asked, report: Report, question: &Value) -> Answer {
    let config = asked.state.config.load_full();
    let Some(id) = question.get("site_id").and_then(Value::as_str) else {
        return answer::error(StatusCode::BAD_REQUEST, "#/site_id: expected the id of a site");
    };
    let Some(site) = config.site(id).filter(|site| asked.principal().may_see(&site.id)) else {
        return answer::unauthorized();
    };
    let Some(archive) = asked.state.archive() else { return not_ready() };
    let (now, asker) = (asked.state.timestamp(), asked.principal().role.asker());
    let question = archive.report(report, site, question, now, asker);
    match in_turn(&asked.state, question).await {
        Ok(value) => answer::table_or_json(&asked.headers, &value),
        Err(refused) => refused,
    }
}

pub async fn sites(asked: Asked) -> Answer {
    let config = asked.state.config.load_full();
    let attribution = asked.state.running.attribution();
    let described = |site: &Site| {
        json!({
            "id": site.id,
            "timezone": site.timezone,
            "hosts": site.hosts,
            "attribution": attribution,
            "collect_url": config.collect.public_url,
            "script_path": config.collect.script_path,
            "pixel_path": config.collect.pixel_path,
        })
    };
    let sites: Vec<Value> =
        config.sites.iter().filter(|site| asked.principal().may_see(&site.id)).map(described).collect();
    answer::json(StatusCode::OK, &Value::Array(sites))
}

/// Puts one question to storage: in turn, within the time, and measured.
pub(super) async fn in_turn<T>(
    state: &State,
    question: Answering<'_, Result<T, ArchiveError>>,
) -> Result<T, Answer> {
    let _turn = turns(state, 1).await.map_err(Refused::answer)?;
    put(state, question, QUERY_TIMEOUT).await.map_err(Refused::answer)
}

/// Waits until so many questions may be put to storage at once.
pub(super) async fn turns(state: &State, many: u32) -> Result<SemaphorePermit<'_>, Refused> {
    match tokio::time::timeout(QUEUE_TIMEOUT, state.queries.acquire_many(many)).await {
        Ok(Ok(turns)) => Ok(turns),
        _ => Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too many questions at once")),
    }
}

/// Puts one question to storage, whose turn it is: within the time, and measured.
pub(super) async fn put<T>(
    state: &State,
    question: Answering<'_, Result<T, ArchiveError>>,
    within: Duration,
) -> Result<T, Refused> {
    let begun = std::time::Instant::now();
    let found = tokio::time::timeout(within, question).await;
    let outcome = match &found {
        Ok(Ok(_)) => "ok",
        Ok(Err(ArchiveError::Question(_))) => "refused",
        Ok(Err(_)) => "failed",
        Err(_) => "timeout",
    };
    state.metrics.query(outcome, begun.elapsed());
    match found {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error @ ArchiveError::Question(_))) => Err(Refused::new(StatusCode::BAD_REQUEST, error)),
        Ok(Err(error @ ArchiveError::Limit(_))) => Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error)),
        Ok(Err(ArchiveError::Unavailable(reason))) => {
            tracing::warn!(reason, "storage was away for a question");
            Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "storage is away at the moment"))
        }
        Ok(Err(ArchiveError::Failed(reason))) => {
            tracing::error!(reason, "a question failed");
            Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the question could not be answered"))
        }
        Err(_) => Err(Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format_args!("the question took longer than {} seconds", QUERY_TIMEOUT.as_secs()),
        )),
    }
}

// === impl Refused ===

impl Refused {
    pub(super) fn new(status: StatusCode, error: impl std::fmt::Display) -> Refused {
        Refused { status, error: error.to_string() }
    }

    pub(super) fn answer(self) -> Answer {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => unavailable(&self.error),
            status => answer::error(status, self.error),
        }
    }
}

pub(super) fn not_ready() -> Answer {
    unavailable("storage is not ready yet")
}

fn unavailable(text: &str) -> Answer {
    answer::later(StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, text)
}
