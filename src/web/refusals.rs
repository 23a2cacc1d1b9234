//! `/api/v1/refusals`: how many hits of a site were refused, by hour and reason.
//! Neither addresses nor anything else that tells people apart comes out here, so a look leaves
//! no entry in the audit trail.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::answer::{self, Answer};
use super::routes::Asked;
use super::stats;

/// The longest range: 31 days of hours with all reasons are 8,184 rows.
const MAX_RANGE: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The range when nothing is said.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(24);

pub async fn refusals(asked: Asked) -> Answer {
    let config = asked.state.config.load_full();
    let Some(id) = asked.parameter("site_id") else {
        return answer::error(
            StatusCode::BAD_REQUEST,
            "site_id: expected the id of a site, or nothing for hits of no known site",
        );
    };
    let principal = asked.principal();
    let may_see = match id.as_str() {
        "" => principal.site.is_none(),
        id => config.site(id).is_some() && principal.may_see(id),
    };
    if !may_see {
        return answer::unauthorized();
    }
    let instant = |name: &str, default: Option<Timestamp>| match asked.parameter(name) {
        None => default,
        Some(text) => text.parse().ok(),
    };
    let to = instant("to", Some(asked.state.timestamp()));
    let from = instant("from", to.and_then(|to| to.checked_sub(DEFAULT_RANGE).ok()));
    let (Some(from), Some(to)) = (from, to) else {
        return answer::error(
            StatusCode::BAD_REQUEST,
            "from, to: expected instants such as 2026-11-25T21:00:00Z",
        );
    };
    let range = to.duration_since(from);
    if range.is_negative() || range > MAX_RANGE {
        return answer::error(StatusCode::BAD_REQUEST, "from, to: expected a range of at most 31 days");
    }
    let Some(archive) = asked.state.archive() else { return stats::not_ready() };
    match stats::in_turn(&asked.state, archive.refusals(&id, from, to)).await {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err(refused) => refused,
    }
}
