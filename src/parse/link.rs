//! A web address, taken apart: scheme, host, path, query; what stands before the
//! host or after the query is dropped.
//!
//! In: text. Out: a [`Link`] as the URL standard reads it, by the crate `url`.
//! Nearly all addresses are already written as that would write them; [`plain`]
//! knows those by one look at each byte, and only cuts. It never says anything else
//! than the crate does, which a test asks of made-up addresses.

use std::borrow::Cow;

use url::Url;

use super::report::MAX_URL_BYTES;
use crate::event::MAX_HOST_BYTES;
use crate::reject::Reason;

/// An address of `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    pub scheme: &'static str,
    /// Lower case, ASCII (punycode), without port or final dot.
    pub host: Cow<'a, str>,
    /// Percent-encoded; begins with a slash.
    pub path: Cow<'a, str>,
    /// Percent-encoded.
    pub query: Cow<'a, str>,
}

/// Reads an address. A host that cannot be stored is a `bad-request`, like
/// everything that is no web address.
pub fn read(address: &str) -> Result<Link<'_>, Reason> {
    if address.len() > MAX_URL_BYTES {
        return Err(Reason::TooLarge);
    }
    if let Some(link) = plain(address) {
        return Ok(link);
    }
    standard(address)
}

/// The whole standard.
fn standard(address: &str) -> Result<Link<'_>, Reason> {
    // The parser would quietly drop tabs and line ends.
    if address.chars().any(char::is_control) {
        return Err(Reason::BadRequest);
    }
    let url = Url::parse(address).map_err(|_| Reason::BadRequest)?;
    let scheme = match url.scheme() {
        "http" => "http",
        "https" => "https",
        _ => return Err(Reason::BadRequest),
    };
    let host = url.host_str().ok_or(Reason::BadRequest)?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || host.len() > MAX_HOST_BYTES || !host.bytes().all(fits) {
        return Err(Reason::BadRequest);
    }
    Ok(Link {
        scheme,
        host: Cow::Owned(host.to_owned()),
        path: Cow::Owned(url.path().to_owned()),
        query: Cow::Owned(url.query().unwrap_or_default().to_owned()),
    })
}

/// The parts of an address that is written as the standard would write it, in
/// printable ASCII: a host of letters, digits, dots and dashes that can be neither
/// punycode nor a number; a path without dot segments. `None` for all others.
fn plain(address: &str) -> Option<Link<'_>> {
    let (scheme, rest) = match address.strip_prefix("https://") {
        Some(rest) => ("https", rest),
        None => ("http", address.strip_prefix("http://")?),
    };
    let bytes = rest.as_bytes();
    let is = |at: usize, part: u8| PARTS[usize::from(bytes[at])] & part != 0;
    let end_of = |from: usize, part: u8| (from..bytes.len()).find(|at| !is(*at, part)).unwrap_or(bytes.len());

    let host_end = end_of(0, HOST);
    let host = &rest[..host_end];
    let path_end = match bytes.get(host_end) {
        Some(b'/') => end_of(host_end, PATH),
        _ => host_end,
    };
    let path = &rest[host_end..path_end];
    let query_end = match bytes.get(path_end) {
        Some(b'?') => end_of(path_end + 1, QUERY),
        _ => path_end,
    };
    let query = rest.get(path_end + 1..query_end).unwrap_or_default();
    let ends = match bytes.get(query_end) {
        None => true,
        Some(b'#') => end_of(query_end + 1, QUERY | FRAGMENT) == bytes.len(),
        Some(_) => false,
    };
    if !ends || !is_plain_host(host) || has_dot_segment(path) {
        return None;
    }
    Some(Link {
        scheme,
        host: Cow::Borrowed(host),
        path: Cow::Borrowed(if path.is_empty() { "/" } else { path }),
        query: Cow::Borrowed(query),
    })
}

/// Whether the standard leaves a host of lower-case letters, digits, dots and
/// dashes as it is.
fn is_plain_host(host: &str) -> bool {
    let mut labels = host.split('.');
    // What ends in a number is an IPv4 address, or none.
    let last = labels.next_back().unwrap_or_default();
    !last.is_empty()
        && host.len() <= MAX_HOST_BYTES
        && last.bytes().all(|byte| byte.is_ascii_lowercase())
        && labels.all(|label| !label.is_empty() && !label.starts_with("xn--"))
}

/// Whether the path may hold a segment such as `..` or `.%2e`.
fn has_dot_segment(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'.' => bytes[at - 1] == b'/' || bytes[at - 1] == b'.',
        b'%' => bytes.get(at + 1) == Some(&b'2') && matches!(bytes.get(at + 2), Some(b'e' | b'E')),
        _ => false,
    })
}

/// Where a byte may stand and stays as it is.
const HOST: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;
const FRAGMENT: u8 = 8;

const PARTS: [u8; 256] = {
    let mut parts = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        parts[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' => HOST | PATH | QUERY,
            b'A'..=b'Z'
            | b'_'
            | b'~'
            | b'/'
            | b'%'
            | b'!'
            | b'$'
            | b'&'
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => PATH | QUERY,
            b'?' | b'[' | b']' | b'|' => QUERY,
            // Encoded, or left, as its place has it: dropped with the fragment.
            b'#' | b'\'' => FRAGMENT,
            _ => 0,
        };
        byte += 1;
    }
    parts
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_addresses_are_plain() {
        for address in [
            "https://clinic.example",
            "https://clinic.example/",
            "http://www.clinic-2.example/uslugi/uzi/?page=2&q=a%20b#top",
            "https://clinic.example/%D1%83%D1%81%D0%BB%D1%83%D0%B3%D0%B8/",
            "https://clinic.example/price.v2.pdf",
        ] {
            assert_eq!(plain(address), standard(address).ok(), "{address}");
            assert!(plain(address).is_some(), "{address}");
        }
        for address in [
            "https://Clinic.example/",
            "https://clinic.example:8443/",
            "https://u:p@clinic.example/",
            "https://192.0.2.1/",
            "https://xn--80apagcdp.xn--p1ai/",
            "https://clinic.example./",
            "https://clinic..example/",
            "https://clinic.example/a/../b",
            "https://clinic.example/a/%2E%2e/b",
            "https://clinic.example/a b",
            "https://clinic.example\\a",
            "https://клиника.рф/",
            "ftp://clinic.example/",
            "https://",
            "https:///a",
            "https://clinic.example/a\n",
        ] {
            assert_eq!(plain(address), None, "{address}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Pieces of which addresses and attempts to confuse them are made.
        #[test]
        fn plain_says_what_the_standard_says(
            scheme in prop_oneof![Just("https://"), Just("http://"), Just("HTTPS://"), Just("https:/"), Just("https:")],
            pieces in prop::collection::vec(prop_oneof![
                "[a-z0-9.-]{1,8}",
                "[ -~]{1,4}",
                "[/?#&=%:@.]{1,3}",
                Just("clinic.example/".to_owned()),
                Just("/..".to_owned()), Just("/.".to_owned()), Just("%2e".to_owned()), Just("%2E/".to_owned()),
                Just("xn--".to_owned()), Just(".0x7f".to_owned()), Just(".1".to_owned()),
                "\\PC{1,2}", any::<char>().prop_map(String::from),
            ], 0..8),
        ) {
            let address = format!("{scheme}{}", pieces.concat());
            if let Some(plain) = plain(&address) {
                prop_assert_eq!(Ok(plain), standard(&address), "{}", address);
            }
        }
    }
}
