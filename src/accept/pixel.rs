//! `GET` pixel path: one hit in the query, always answered with the image.

use http::header::{HeaderMap, REFERER};

use super::answer::{self, Answer};
use super::limits::MAX_URL_BYTES;
use super::route::{Context, Target};
use crate::identify::consent::Answer as Cookies;
use crate::parse;
use crate::pipeline;
use crate::reject::Reason;

/// Takes the hit in `target` and answers when it is durable.
pub async fn pixel(context: &Context<'_>, target: &Target, headers: &HeaderMap) -> Answer {
    let settings = context.shared.settings();
    let client = parse::client::client(context.peer, headers, &settings.config.collect);
    let request = pipeline::Request { client: &client, referer: referer(headers), now: context.now() };
    let mut cookies = Cookies::default();
    let report = if target.length > MAX_URL_BYTES {
        Err(Reason::TooLarge)
    } else {
        parse::query::parse(&target.query)
    };
    let outcome = match &report {
        Ok(report) => context.take(&settings, &request, &mut cookies, report),
        Err(reason) => Err(context.refuse_unread(&settings, &client.ip, *reason)),
    };
    let outcome = match outcome {
        Ok(taken) => {
            let (note, minted) = (taken.note, taken.minted);
            context.durable(&settings, &request, taken).await.map(|()| {
                cookies.minted_is_stored = minted;
                note
            })
        }
        Err(reason) => Err(reason),
    };
    let mut answer = answer::pixel(match outcome {
        Ok(None) => "ok",
        Ok(Some(reason)) | Err(reason) => reason.name(),
    });
    if outcome.is_ok() {
        answer::set_cookies(&mut answer, &cookies, context.shared, &settings, request.now);
    }
    answer
}

/// The `Referer` header, if it is text.
pub fn referer(headers: &HeaderMap) -> Option<&str> {
    headers.get(REFERER).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}
