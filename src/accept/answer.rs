//! Answers: the image, JSON, plain text, and what all of them carry.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONNECTION,
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE, VARY,
};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::{Settings, Shared};
use crate::headers::{Kind, protect};
use crate::identify::consent::{self, Answer as Cookies, OptOut};
use jiff::civil::Date;

/// What the collect address answers.
pub type Answer = Response<Full<Bytes>>;

/// The header that says what became of a hit.
pub const X_METKA: HeaderName = HeaderName::from_static("x-metka");

/// A transparent GIF89a of one pixel, 43 bytes.
pub const PIXEL: [u8; 43] = *b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\
    \x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// The headers of the image, whose hit was kept: copied, since that is quicker than
/// to put them together for each answer.
static PIXEL_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut answer = with_type(Kind::Embedded, StatusCode::OK, "image/gif", Bytes::from_static(&PIXEL));
    answer.headers_mut().insert(X_METKA, HeaderValue::from_static("ok"));
    answer.into_parts().0.headers
});

/// The image.
pub fn pixel(outcome: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(&PIXEL)));
    *answer.headers_mut() = PIXEL_HEADERS.clone();
    if outcome != "ok" {
        answer.headers_mut().insert(X_METKA, HeaderValue::from_static(outcome));
    }
    answer
}

/// JSON that is not stored by anybody on the way.
pub fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    with_type(Kind::Data, status, "application/json", Bytes::from(body.to_string()))
}

/// The same for the script, which sends from pages of other origins.
pub fn event_json(status: StatusCode, body: String) -> Answer {
    with_type(Kind::Embedded, status, "application/json", Bytes::from(body))
}

/// A file for pages of other origins; without a body yet.
pub fn embedded(content_type: &'static str) -> Answer {
    with_type(Kind::Embedded, StatusCode::OK, content_type, Bytes::new())
}

/// A sentence for a person.
pub fn text(status: StatusCode, body: &'static str) -> Answer {
    with_type(Kind::Data, status, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

/// A style sheet; not cached, since it belongs to the binary.
pub fn css(body: &'static str) -> Answer {
    with_type(Kind::Data, StatusCode::OK, "text/css; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

/// A page of the visitor.
pub fn html(status: StatusCode, body: String) -> Answer {
    with_type(Kind::Visitor, status, "text/html; charset=utf-8", Bytes::from(body))
}

/// 405, with what is allowed.
pub fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "this address takes other methods\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Asks the sender to come back after so many seconds.
pub fn retry_after(answer: &mut Answer, seconds: u32) {
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
}

/// Closes the connection after the answer, where what follows on it cannot be trusted.
pub fn close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Lets the page of this origin read the answer, with cookies.
pub fn allow_origin(answer: &mut Answer, origin: Option<&HeaderValue>) {
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Sets what the hits of the request decided. The visitor's cookie goes only
/// with a kept row that carries its hash.
pub fn set_cookies(
    answer: &mut Answer,
    cookies: &Cookies,
    shared: &Shared,
    settings: &Settings,
    today: Date,
) {
    if cookies.said.is_empty() && !cookies.forget && !cookies.minted_is_stored {
        return;
    }
    let mut lines: Vec<String> = cookies
        .said
        .iter()
        .map(|(site, state)| consent::consent_cookie(site, *state, settings.secure))
        .collect();
    if cookies.forget {
        lines.push(consent::forget_visitor(settings.cookie_name, settings.secure));
    } else if let Some(id) = cookies.minted.filter(|_| cookies.minted_is_stored) {
        let value = shared.keys.sign_cookie(id, today);
        lines.push(consent::visitor_cookie(settings.cookie_name, value, settings.secure));
    }
    for line in lines {
        if let Ok(value) = HeaderValue::from_str(&line) {
            answer.headers_mut().append(SET_COOKIE, value);
        }
    }
}

/// Tells the browser that it is opted out, as the page at `/privacy` does.
pub fn opt_out(answer: &mut Answer, settings: &Settings) {
    let lines = [
        consent::opt_out_cookie(OptOut::Set, settings.secure),
        consent::forget_visitor(settings.cookie_name, settings.secure),
    ];
    for line in lines {
        if let Ok(value) = HeaderValue::from_str(&line) {
            answer.headers_mut().append(SET_COOKIE, value);
        }
    }
}

fn with_type(kind: Kind, status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    protect(headers, kind);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixel_is_a_transparent_gif_of_43_bytes() {
        assert_eq!(PIXEL.len(), 43);
        assert!(PIXEL.starts_with(b"GIF89a\x01\x00\x01\x00") && PIXEL.ends_with(b";"));
        // The graphic control extension names colour 0 as transparent.
        assert_eq!(PIXEL[19..27], [0x21, 0xf9, 4, 1, 0, 0, 0, 0]);
    }
}
