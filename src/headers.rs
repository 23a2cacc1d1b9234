//! The headers by which a browser protects whoever reads an answer: one table
//! for both addresses.
//!
//! In: the headers of an answer, and what the answer is ([`Kind`]); out: the same
//! with all that the kind carries, in the place of what another kind had set.
//!
//! | kind | may load and do | may be embedded by | `Referrer-Policy` |
//! |---|---|---|---|
//! | [`Kind::Embedded`]: pixel, script, answers to events | – | everybody: that is what they are for | – |
//! | [`Kind::Data`]: JSON, texts, style sheets, errors | nothing | own pages | `no-referrer` |
//! | [`Kind::Visitor`]: the visitor's page | its style sheet, its own forms | nobody | `same-origin`: the form's `Origin` depends on it |
//! | [`Kind::Own`]: dashboard, sign-in, `/debug/hit` | what comes from here; no string becomes code or markup | nobody | `same-origin` |
//! | [`Kind::Shared`]: the same page under a shared link, in no index of a search engine | the same | nobody | `no-referrer`: the address is the key |
//! | [`Kind::Demo`]: the demo clinic | the same, and the collector | nobody | the browser's default, as on an ordinary site |
//!
//! A page to be printed ([`protect_paper`]) is data that has one style, named by its
//! hash. What else is a document of any kind has no inline script or style, takes no
//! string where code could be ([Trusted Types], without a policy that could
//! make an exception), may use no device or sensor, and shares its window with
//! no other origin. [`secure`] adds HSTS where browsers come by https.
//!
//! [Trusted Types]: https://www.w3.org/TR/trusted-types/

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Embedded,
    Data,
    Visitor,
    Own,
    Shared,
    /// Its content policy names the collector, which is a setting: see [`protect_demo`].
    Demo,
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// No string becomes code or markup, and no policy makes an exception.
macro_rules! trusted_types {
    () => {
        "require-trusted-types-for 'script'; trusted-types 'none'"
    };
}

/// In nobody's frame, with no other base for its addresses.
macro_rules! unframed {
    () => {
        "frame-ancestors 'none'; base-uri 'none'"
    };
}

const NOTHING: &str =
    concat!("default-src 'none'; form-action 'none'; ", unframed!(), "; ", trusted_types!());

const OWN_FORMS: &str = concat!(
    "default-src 'none'; style-src 'self'; form-action 'self'; ",
    unframed!(),
    "; ",
    trusted_types!()
);

const OWN_FILES: &str = concat!(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; manifest-src 'self'; form-action 'self'; ",
    unframed!(),
    "; ",
    trusted_types!()
);

/// What browsers know and no page of ours uses; the clipboard, which is not in it,
/// takes what a person copies.
const NO_DEVICES: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), \
     encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), \
     usb=(), xr-spatial-tracking=()";

/// A year, the shortest that browsers' preload lists take. Names below are not
/// meant: they may be others' affair.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

type Line = (HeaderName, HeaderValue);

/// On the hit path, and no document: nothing that only documents obey.
static EMBEDDED: [Line; 2] =
    [line(X_CONTENT_TYPE_OPTIONS, "nosniff"), line(CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin")];
static DATA: [Line; 7] = document(NOTHING, "no-referrer");
static VISITOR: [Line; 7] = document(OWN_FORMS, "same-origin");
static OWN: [Line; 7] = document(OWN_FILES, "same-origin");
static SHARED: [Line; 7] = document(OWN_FILES, "no-referrer");
/// [`protect_demo`] puts another content policy in the place of this one.
static DEMO: [Line; 7] = document(NOTHING, "strict-origin-when-cross-origin");

const fn document(content: &'static str, referrer: &'static str) -> [Line; 7] {
    [
        line(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        line(CONTENT_SECURITY_POLICY, content),
        line(REFERRER_POLICY, referrer),
        line(PERMISSIONS_POLICY, NO_DEVICES),
        line(CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        line(CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        line(X_FRAME_OPTIONS, "DENY"),
    ]
}

const fn line(name: HeaderName, value: &'static str) -> Line {
    (name, HeaderValue::from_static(value))
}

/// Gives an answer what its kind carries.
pub fn protect(headers: &mut HeaderMap, kind: Kind) {
    let lines: &[Line] = match kind {
        Kind::Embedded => &EMBEDDED,
        Kind::Data => &DATA,
        Kind::Visitor => &VISITOR,
        Kind::Own => &OWN,
        Kind::Shared => &SHARED,
        Kind::Demo => &DEMO,
    };
    for (name, value) in lines {
        headers.insert(name, value.clone());
    }
    if kind == Kind::Shared {
        headers.insert(X_ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow"));
    }
}

/// Gives an answer of the demo what its kind carries, with the collector's origin
/// as the one other that its pages may talk to.
pub fn protect_demo(headers: &mut HeaderMap, collector: &str) {
    protect(headers, Kind::Demo);
    let policy = format!(
        concat!(
            "default-src 'none'; script-src 'self' {collector}; style-src 'self'; ",
            "img-src 'self' data: {collector}; connect-src 'self' {collector}; font-src 'self'; ",
            "form-action 'self'; ",
            unframed!(),
            "; ",
            trusted_types!()
        ),
        collector = collector
    );
    // An origin is made of letters, digits and dots: it always fits.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(NOTHING));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
}

/// Gives a page that is to be printed what data carries, and its one style, by the
/// hash of its text in base64.
pub fn protect_paper(headers: &mut HeaderMap, style: Option<&str>) {
    protect(headers, Kind::Data);
    let Some(style) = style else { return };
    let policy = format!(
        concat!(
            "default-src 'none'; style-src 'sha256-{}'; form-action 'none'; ",
            unframed!(),
            "; ",
            trusted_types!()
        ),
        style
    );
    // A hash in base64 always fits.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(NOTHING)),
    );
}

/// HSTS, for an address that browsers reach by https.
pub fn secure(headers: &mut HeaderMap) {
    headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
}
