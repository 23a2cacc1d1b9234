//! What browsers are told, header by header, as it must arrive: written out here
//! once more, so that a change of the table is a change of this.

/// Every header that protects, and no other.
const NAMES: [&str; 8] = [
    "x-content-type-options",
    "content-security-policy",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "x-frame-options",
    "strict-transport-security",
];

const LOCKED: &str =
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const DEVICES: [&str; 20] = [
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
];

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    Embedded,
    Data,
    Visitor,
    Own,
    /// The same page under a shared link.
    Shared,
    /// With the collector's origin.
    Demo(&'a str),
}

/// Compares the protective headers of an answer with those of its kind.
pub fn compare(what: &str, kind: Kind, https: bool, found: impl Fn(&str) -> Option<String>) {
    let (content, referrer) = match kind {
        Kind::Embedded => (None, None),
        Kind::Data => (Some("default-src 'none'; form-action 'none'".to_owned()), Some("no-referrer")),
        Kind::Visitor => (
            Some("default-src 'none'; style-src 'self'; form-action 'self'".to_owned()),
            Some("same-origin"),
        ),
        Kind::Own | Kind::Shared => (
            Some(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                 connect-src 'self'; manifest-src 'self'; form-action 'self'"
                    .to_owned(),
            ),
            Some(if kind == Kind::Own { "same-origin" } else { "no-referrer" }),
        ),
        Kind::Demo(collector) => (
            Some(format!(
                "default-src 'none'; script-src 'self' {collector}; style-src 'self'; \
                 img-src 'self' data: {collector}; connect-src 'self' {collector}; font-src 'self'; \
                 form-action 'self'"
            )),
            Some("strict-origin-when-cross-origin"),
        ),
    };
    let document = content.is_some();
    for name in NAMES {
        let expected = match name {
            "x-content-type-options" => Some("nosniff".to_owned()),
            "content-security-policy" => content.as_ref().map(|content| format!("{content}; {LOCKED}")),
            "referrer-policy" => referrer.map(str::to_owned),
            "permissions-policy" => document.then(|| DEVICES.map(|device| format!("{device}=()")).join(", ")),
            "cross-origin-opener-policy" => document.then(|| "same-origin".to_owned()),
            "cross-origin-resource-policy" => {
                Some(if document { "same-origin" } else { "cross-origin" }.to_owned())
            }
            "x-frame-options" => document.then(|| "DENY".to_owned()),
            _ => https.then(|| "max-age=31536000".to_owned()),
        };
        assert_eq!(found(name), expected, "{what}: {name}");
    }
}
