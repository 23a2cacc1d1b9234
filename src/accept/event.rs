//! `POST` event path: hits as JSON, one or several.
//!
//! | status | when |
//! |---|---|
//! | 202 | at least one hit was kept |
//! | 413 | the body, the array, or every hit is too large |
//! | 415 | the body is packed (`Content-Encoding`): it is not unpacked, so that none can explode |
//! | 429 | none was kept, and a limit was among the reasons |
//! | 503 | none was kept, and the spool was among the reasons |
//! | 400 | none was kept, for any other reason |
//!
//! The body is always `{"accepted":n,"refused":[{"index":i,"reason":"…"}]}`. A hit
//! that was kept without its user key counts as accepted, and is listed under
//! `"notes"` in the same form. A 415 also has an `"error"` in words. A body that cannot be told apart is one hit, of
//! no known site.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN,
};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde_json::json;
use tokio::time::timeout;

use super::Settings;
use super::answer::{self, Answer};
use super::limits::{MAX_BODY_BYTES, MAX_DISCARDED_BYTES, RETRY_LIMITED_SECONDS, RETRY_UNAVAILABLE_SECONDS};
use super::pixel::referer;
use super::route::Context;
use crate::config::Site;
use crate::identify::consent::Answer as Cookies;
use crate::identify::sites::SiteState;
use crate::parse;
use crate::pipeline;
use crate::reject::Reason;

/// Takes the hits in the body and answers when they are durable.
pub async fn event<B>(context: &Context<'_>, settings: &Settings, headers: &HeaderMap, body: B) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
{
    let body = match read(headers, body, context.shared.limits.body_read).await {
        Ok(body) => body,
        Err(Unread::Refused(reason)) => {
            // The body may be unread, so nothing after it can be told apart.
            return answer::close(refused_whole(context, settings, headers, reason));
        }
        Err(Unread::TooSlow) => {
            return answer::close(answer::text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"));
        }
        Err(Unread::Broken) => {
            return answer::close(answer::text(StatusCode::BAD_REQUEST, "the body ended early\n"));
        }
    };
    if is_packed(headers) {
        return refused_packed(context, settings, headers);
    }
    let parsed = if is_plain_or_json(headers) { parse::json::parse(&body) } else { Err(Reason::BadRequest) };
    let elements = match parsed {
        Ok(parsed) => parsed.elements,
        Err(reason) => return refused_whole(context, settings, headers, reason),
    };
    let client = parse::client::client(context.peer, headers, &settings.config.collect);
    let now = context.now();
    let request = pipeline::Request::new(&client, referer(headers), now);
    let mut cookies = Cookies::default();
    let mut named: Vec<&Arc<SiteState>> = Vec::new();
    let mut taken = Vec::with_capacity(elements.len());
    for element in &elements {
        taken.push(match element {
            Ok(report) => {
                if let Some(site) = settings.sites.get(&report.site)
                    && !named.iter().any(|known| std::ptr::eq(*known, site))
                {
                    named.push(site);
                }
                context.take(settings, &request, &mut cookies, report)
            }
            Err(reason) => Err(context.refuse_unread(settings, &client, *reason)),
        });
    }
    let mut tally = Tally::default();
    for (index, outcome) in taken.into_iter().enumerate() {
        let outcome = match outcome {
            Ok(taken) => context.durable(settings, taken.site, &client.ip, taken.ticket).await.map(|()| {
                cookies.minted_is_stored |= taken.minted;
                taken.note
            }),
            Err(reason) => Err(reason),
        };
        tally.add(index, outcome);
    }
    let mut answer = tally.answer();
    if cookies.opt_out {
        answer::opt_out(&mut answer, settings);
    } else if tally.accepted > 0 {
        context.renew(&cookies).await;
        answer::set_cookies(&mut answer, &cookies, context.shared, settings, request.today);
    }
    let origin =
        headers.get(ORIGIN).filter(|origin| named.iter().any(|site| is_own_origin(origin, &site.site)));
    answer::allow_origin(&mut answer, origin);
    answer
}

/// `OPTIONS`: what a page may send. The body that will name a site is not here
/// yet, so that the origin must belong to any of the sites.
pub fn preflight(settings: &Settings, headers: &HeaderMap) -> Answer {
    let origin = headers
        .get(ORIGIN)
        .filter(|origin| settings.sites.iter().any(|site| is_own_origin(origin, &site.site)));
    let mut answer = answer::embedded("text/plain");
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer::allow_origin(&mut answer, origin);
    let headers = answer.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    if origin.is_some() {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    answer
}

/// Why there is no body.
enum Unread {
    Refused(Reason),
    TooSlow,
    Broken,
}

/// What became of the hits.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: Vec<(usize, Reason)>,
    notes: Vec<(usize, Reason)>,
}

async fn read<B>(headers: &HeaderMap, mut body: B, within: Duration) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_DISCARDED_BYTES as u64) {
        return Err(Unread::Refused(Reason::TooLarge));
    }
    let reading = async {
        // Nearly every body comes in one piece, which is then not copied.
        let (mut whole, mut pieces) = (Bytes::new(), BytesMut::new());
        let mut length = 0_usize;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            length = length.saturating_add(data.remaining());
            if length > MAX_DISCARDED_BYTES {
                return Err(Unread::Refused(Reason::TooLarge));
            }
            if length > MAX_BODY_BYTES {
                (whole, pieces) = (Bytes::new(), BytesMut::new());
            } else if whole.is_empty() && pieces.is_empty() {
                whole = data;
            } else {
                pieces.extend_from_slice(&std::mem::take(&mut whole));
                pieces.extend_from_slice(&data);
            }
        }
        match length > MAX_BODY_BYTES {
            true => Err(Unread::Refused(Reason::TooLarge)),
            false if pieces.is_empty() => Ok(whole),
            false => Ok(pieces.freeze()),
        }
    };
    timeout(within, reading).await.unwrap_or(Err(Unread::TooSlow))
}

/// Whether a body of this type is looked at. Beacons send `text/plain`, or nothing.
fn is_plain_or_json(headers: &HeaderMap) -> bool {
    match headers.get(CONTENT_TYPE).map(|value| value.to_str()) {
        None => true,
        Some(Err(_)) => false,
        Some(Ok(value)) => {
            let kind = value.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/plain") || kind.eq_ignore_ascii_case("application/json")
        }
    }
}

/// Whether the sender packed the body, by any coding or several.
pub fn is_packed(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// What takes no packed bodies says so, and what it takes instead (RFC 9110, 15.5.16).
fn refused_packed(context: &Context<'_>, settings: &Settings, headers: &HeaderMap) -> Answer {
    let client = parse::client::client(context.peer, headers, &settings.config.collect);
    let reason = context.refuse_unread(settings, &client, Reason::BadRequest);
    let body = json!({
        "accepted": 0,
        "refused": [{"index": 0, "reason": reason.name()}],
        "error": "a body with Content-Encoding is not unpacked: send it as it is",
    });
    let mut answer = answer::event_json(StatusCode::UNSUPPORTED_MEDIA_TYPE, body.to_string());
    answer.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    answer::allow_origin(&mut answer, None);
    answer
}

fn refused_whole(context: &Context<'_>, settings: &Settings, headers: &HeaderMap, reason: Reason) -> Answer {
    let client = parse::client::client(context.peer, headers, &settings.config.collect);
    let mut tally = Tally::default();
    tally.add(0, Err(context.refuse_unread(settings, &client, reason)));
    let mut answer = tally.answer();
    // No site is named, so no origin may read this.
    answer::allow_origin(&mut answer, None);
    answer
}

/// Whether an `Origin` is one of the site's hosts.
pub fn is_own_origin(origin: &HeaderValue, site: &Site) -> bool {
    let link = origin.to_str().ok().and_then(|text| parse::link::read(text).ok());
    link.is_some_and(|link| site.has_host(&link.host))
}

/// `[{"index":i,"reason":"…"},…]`
fn write_list(text: &mut String, entries: &[(usize, Reason)]) {
    text.push('[');
    for (place, (index, reason)) in entries.iter().enumerate() {
        let separator = if place > 0 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{{\"index\":{index},\"reason\":\"{}\"}}", reason.name());
    }
    text.push(']');
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, index: usize, outcome: Result<Option<Reason>, Reason>) {
        match outcome {
            Ok(note) => {
                self.accepted += 1;
                self.notes.extend(note.map(|reason| (index, reason)));
            }
            Err(reason) => self.refused.push((index, reason)),
        }
    }

    fn answer(&self) -> Answer {
        // Numbers and names of reasons: nothing in it needs an escape.
        let mut body = format!("{{\"accepted\":{},\"refused\":", self.accepted);
        write_list(&mut body, &self.refused);
        if !self.notes.is_empty() {
            body.push_str(",\"notes\":");
            write_list(&mut body, &self.notes);
        }
        body.push('}');
        let status = self.status();
        let mut answer = answer::event_json(status, body);
        match status {
            StatusCode::TOO_MANY_REQUESTS => answer::retry_after(&mut answer, RETRY_LIMITED_SECONDS),
            StatusCode::SERVICE_UNAVAILABLE => answer::retry_after(&mut answer, RETRY_UNAVAILABLE_SECONDS),
            _ => {}
        }
        answer
    }

    fn status(&self) -> StatusCode {
        let any = |wanted: &[Reason]| self.refused.iter().any(|(_, reason)| wanted.contains(reason));
        let all_large = self.refused.iter().all(|(_, reason)| *reason == Reason::TooLarge);
        if self.accepted > 0 {
            StatusCode::ACCEPTED
        } else if any(&[Reason::Full, Reason::Unavailable]) {
            StatusCode::SERVICE_UNAVAILABLE
        } else if any(&[Reason::RateLimited]) {
            StatusCode::TOO_MANY_REQUESTS
        } else if all_large && !self.refused.is_empty() {
            StatusCode::PAYLOAD_TOO_LARGE
        } else {
            StatusCode::BAD_REQUEST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_the_sender_should_do() {
        use Reason::{BadRequest, Full, RateLimited, TooLarge, UnknownSite};
        for (outcomes, expected) in [
            (&[Ok(None), Err(Full)][..], 202),
            (&[Ok(Some(Reason::BadUserKey))], 202),
            (&[Err(BadRequest), Err(Full), Err(RateLimited)], 503),
            (&[Err(BadRequest), Err(RateLimited)], 429),
            (&[Err(TooLarge)], 413),
            (&[Err(TooLarge), Err(UnknownSite)], 400),
            (&[], 400),
        ] {
            let mut tally = Tally::default();
            for (index, outcome) in outcomes.iter().enumerate() {
                tally.add(index, *outcome);
            }
            let answer = tally.answer();
            assert_eq!(answer.status().as_u16(), expected, "{outcomes:?}");
            assert_eq!(answer.headers().contains_key("retry-after"), [429, 503].contains(&expected));
        }
    }

    #[test]
    fn origins_belong_to_the_site_by_their_host() {
        let site = Site::with_defaults("clinic", &["clinic.example", "*.clinic.example"]);
        for (origin, own) in [
            ("https://clinic.example", true),
            ("http://www.clinic.example:8443", true),
            ("https://clinic.example.evil.example", false),
            ("https://evilclinic.example", false),
            ("null", false),
            ("file://clinic.example", false),
            ("clinic.example", false),
            ("", false),
        ] {
            assert_eq!(is_own_origin(&HeaderValue::from_static(origin), &site), own, "{origin}");
        }
    }
}
