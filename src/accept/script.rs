//! `GET` script paths: the embedded scripts, packed where the browser takes them.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, VARY,
};
use http_body_util::Full;

use super::answer::{self, Answer};
use crate::assets::{self, Asset};

/// The script that counts.
pub const PIXEL: &str = "pixel/pixel.js";
/// The script that reports errors of the pages' other scripts.
pub const ERRORS: &str = "pixel/errors.js";

/// Browsers keep a script for a day, then ask whether it changed: an update
/// of the collector reaches every page within a day.
const CACHE: &str = "public, max-age=86400, must-revalidate";

/// One of the two, or 304 when the browser has it.
pub fn script(name: &str, headers: &HeaderMap) -> Answer {
    match assets::find(name) {
        Some(asset) => serve(asset, headers),
        None => answer::text(StatusCode::SERVICE_UNAVAILABLE, assets::NOT_BUILT),
    }
}

fn serve(asset: &'static Asset, headers: &HeaderMap) -> Answer {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == asset.etag
        })
    });
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (bytes, encoding) = asset.negotiate(accepted);
    let mut answer = answer::embedded(asset.content_type);
    let lines = answer.headers_mut();
    lines.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE));
    lines.insert(ETAG, HeaderValue::from_static(asset.etag));
    lines.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if known {
        lines.remove(CONTENT_TYPE);
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return answer;
    }
    if let Some(encoding) = encoding {
        lines.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    *answer.body_mut() = Full::new(Bytes::from_static(bytes));
    answer
}

#[cfg(test)]
mod tests {
    use hyper::body::Body;

    use super::*;

    static ASSET: Asset = Asset {
        path: "pixel/pixel.js",
        content_type: "text/javascript; charset=utf-8",
        plain: b"plain!",
        gzip: Some(b"gzip"),
        brotli: Some(b"br"),
        etag: "\"abc\"",
    };

    fn check(lines: &[(&'static str, &'static str)], status: u16, length: u64, encoding: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let answer = serve(&ASSET, &headers);
        let found = answer.headers().get("content-encoding").map(|value| value.to_str().expect("text"));
        assert_eq!(
            (answer.status().as_u16(), answer.body().size_hint().exact(), found),
            (status, Some(length), encoding),
            "{lines:?}"
        );
        assert_eq!(answer.headers()["vary"], "Accept-Encoding");
        assert_eq!(answer.headers()["etag"], "\"abc\"");
    }

    #[test]
    fn the_script_is_packed_and_revalidated() {
        check(&[], 200, 6, None);
        check(&[("accept-encoding", "gzip, deflate, br")], 200, 2, Some("br"));
        check(&[("accept-encoding", "gzip")], 200, 4, Some("gzip"));
        check(&[("if-none-match", "\"abc\"")], 304, 0, None);
        check(&[("if-none-match", "\"x\", W/\"abc\"")], 304, 0, None);
        check(&[("if-none-match", "*")], 304, 0, None);
        check(&[("if-none-match", "\"abd\"")], 200, 6, None);
    }
}
