//! `/api/v1/refusals`: how many hits of a site were refused, by hour and reason.
//! Addresses do not come out here.

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
    let instant = |name: &str, default: Timestamp| match asked.parameter(name) {
        None => Ok(default),
        Some(text) => text.parse::<Timestamp>().map_err(|_| {
            answer::error(
                StatusCode::BAD_REQUEST,
                format_args!("{name}: expected an instant such as 2026-11-25T21:00:00Z"),
            )
        }),
    };
    let to = match instant("to", asked.state.timestamp()) {
        Ok(to) => to,
        Err(refused) => return refused,
    };
    let from = match instant("from", to.saturating_sub(DEFAULT_RANGE).unwrap_or(Timestamp::MIN)) {
        Ok(from) => from,
        Err(refused) => return refused,
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
