//! `/api/v1/policy?site_id=`: the policy's table of a site, as JSON, or with
//! `format=html&language=ru|en` as a page to be printed ([`crate::policy`]).

use http::StatusCode;
use serde_json::json;

use super::{failed, wrong};
use crate::policy::{Language, page};
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

pub async fn table(asked: Asked) -> Answer {
    let site = match asked.parameter("site_id").map(|id| asked.site(&id)) {
        Some(Ok(site)) => site,
        Some(Err(refused)) => return *refused,
        None => return *wrong("site_id: expected the id of a site"),
    };
    let language = match (asked.parameter("format").as_deref(), asked.parameter("language").as_deref()) {
        (None | Some("json"), _) => None,
        (Some("html"), None | Some("ru")) => Some(Language::Ru),
        (Some("html"), Some("en")) => Some(Language::En),
        (Some("html"), Some(_)) => return *wrong("language: expected ru or en"),
        (Some(_), _) => return *wrong("format: expected json or html"),
    };
    match (asked.state.running.policy(site).await, language) {
        (Ok(report), None) => answer::json(StatusCode::OK, &json!(report)),
        (Ok(report), Some(language)) => answer::paper(page::html(&report, language)),
        (Err(error), _) => *failed("the table of the policy", error),
    }
}
