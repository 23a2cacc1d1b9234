//! Addresses of pages and referrers.
//!
//! Kept of a page: host (lower case, punycode, without port or final dot), path,
//! the query parameters that the site lists, `utm_*` in their own fields. User
//! name, password, port and fragment are dropped; the click ids of paid
//! campaigns become one flag and their values are never stored.
//!
//! Paths are shown to people, so `%D0%B7` is decoded to `з`; but a sequence that
//! stands for `/ ? # %` or for something unprintable stays encoded, and a path
//! that does not decode to UTF-8 stays as it came. All texts are scrubbed
//! ([`super::hygiene`]), and the site's `path_rules` group paths that would tell
//! too much about who reads them: of its own pages, of links within it and of
//! properties that are paths, not of other sites'.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use url::form_urlencoded;

use super::text::{cut, is_unprintable};
use super::{hygiene, link};
use crate::config::Site;
use crate::event::{MAX_HOST_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_QUERY_BYTES, Page, Referrer};
use crate::reject::Reason;

/// Query parameters by which advertising systems mark a paid click: Google,
/// Yandex Direct, Meta, VK, Microsoft, myTarget, TikTok, LinkedIn, X, Yandex Market, Avito.
pub const PAID_CLICK_PARAMETERS: &[&str] = &[
    "gclid",
    "wbraid",
    "gbraid",
    "dclid",
    "yclid",
    "ysclid_ad",
    "fbclid",
    "vkclid",
    "ymclid",
    "rb_clickid",
    "msclkid",
    "mtclid",
    "ttclid",
    "li_fat_id",
    "twclid",
    "avclid",
];
/// The most query parameters looked at: a page address with more is made up.
const MAX_PARAMETERS: usize = 200;

/// Reads the address of a page of `site`. Whether its host is one of the
/// site's own is decided later.
pub fn page<'a>(address: &'a str, site: &Site) -> Result<Page<'a>, Reason> {
    let link = link::read(address)?;
    let mut page = Page { host: link.host, path: path(link.path), ..Page::default() };
    let mut query = String::new();
    for (key, value) in pairs(link.query).take(MAX_PARAMETERS) {
        let utm = match &*key {
            "utm_source" => Some(&mut page.utm.source),
            "utm_medium" => Some(&mut page.utm.medium),
            "utm_campaign" => Some(&mut page.utm.campaign),
            "utm_content" => Some(&mut page.utm.content),
            "utm_term" => Some(&mut page.utm.term),
            _ => None,
        };
        if let Some(field) = utm {
            // The first wins: a link builder appends its own to what was there.
            if field.is_empty() {
                *field = hygiene::kept_of(&key, value, MAX_NAME_BYTES);
            }
        } else if PAID_CLICK_PARAMETERS.contains(&&*key) {
            page.paid_click |= !value.is_empty();
        } else if site.query_parameters.iter().any(|kept| *kept == key) {
            append(&mut query, &key, &value);
        }
    }
    page.query = Cow::Owned(query);
    Ok(page)
}

/// Reads a referrer; what cannot be read, and the site's own pages, are empty.
pub fn referrer<'a>(address: &'a str, site: &Site) -> Result<Referrer<'a>, Reason> {
    let nothing = Ok(Referrer::default());
    if address.is_empty() {
        return nothing;
    }
    if let Some(rest) = address.strip_prefix("android-app://") {
        // Apps name themselves by package, as in `android-app://org.telegram.messenger/`.
        let package = rest.split('/').next().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._".contains(&byte);
        let known = package.len() <= MAX_HOST_BYTES && package.bytes().all(fits);
        return if known {
            Ok(Referrer { host: Cow::Owned(package.to_ascii_lowercase()), path: Cow::Borrowed("") })
        } else {
            nothing
        };
    }
    match link::read(address) {
        Ok(link) if site.has_host(&link.host) => nothing,
        Ok(link) => Ok(Referrer { host: link.host, path: path(link.path) }),
        Err(Reason::TooLarge) => Err(Reason::TooLarge),
        Err(_) => nothing,
    }
}

/// The target of an outbound link or a download: scheme, host and path only,
/// because queries carry names, tokens and searches. Empty if it is not a web
/// address. The script leaves the scheme out.
pub fn target(address: &str, site: &Site, bytes: usize) -> String {
    let has_scheme = address.contains("://");
    let is_bare = !has_scheme
        && address.split_once('/').is_some_and(|(host, _)| !host.is_empty() && !host.contains('@'));
    let whole = if is_bare { Cow::Owned(format!("https://{address}")) } else { Cow::Borrowed(address) };
    let Ok(link) = link::read(&whole) else { return String::new() };
    let mut path = path(link.path);
    if site.has_host(&link.host) {
        site.path_rules.apply(&mut path);
    }
    let (scheme, separator) = if has_scheme { (link.scheme, "://") } else { ("", "") };
    cut(&format!("{scheme}{separator}{}{path}", link.host), bytes).to_owned()
}

/// What is stored of a property's value that is a path of the site, as of the
/// page that was not found.
pub fn own_path(value: &str, site: &Site) -> Option<String> {
    let path = value.split(['?', '#']).next().filter(|path| path.starts_with('/'))?;
    let mut path = decode_path(path)?;
    site.path_rules.apply(&mut path).then(|| path.into_owned())
}

fn path(encoded: Cow<'_, str>) -> Cow<'_, str> {
    let decoded = match encoded {
        Cow::Borrowed(encoded) => decode_path(encoded).unwrap_or(Cow::Borrowed(encoded)),
        Cow::Owned(encoded) => match decode_path(&encoded) {
            Some(Cow::Owned(decoded)) => Cow::Owned(decoded),
            _ => Cow::Owned(encoded),
        },
    };
    hygiene::kept_path(if decoded.is_empty() { Cow::Borrowed("/") } else { decoded }, MAX_PATH_BYTES)
}

/// The parameters of a query.
fn pairs(query: Cow<'_, str>) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let (borrowed, owned) = match query {
        Cow::Borrowed(query) => (query, Vec::new()),
        Cow::Owned(query) => ("", form_urlencoded::parse(query.as_bytes()).into_owned().collect()),
    };
    let borrowed = borrowed.split('&').filter(|pair| !pair.is_empty()).flat_map(|pair| {
        // What holds nothing encoded is as it stands; the rest is the library's.
        let is_plain = !pair.bytes().any(|byte| matches!(byte, b'%' | b'+'));
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = is_plain.then_some((Cow::Borrowed(key), Cow::Borrowed(value)));
        plain.or_else(|| form_urlencoded::parse(pair.as_bytes()).next())
    });
    borrowed.chain(owned.into_iter().map(|(key, value)| (Cow::Owned(key), Cow::Owned(value))))
}

/// `None` if the path is not printable UTF-8 when decoded.
fn decode_path(encoded: &str) -> Option<Cow<'_, str>> {
    if !encoded.contains('%') {
        return Some(Cow::Borrowed(encoded));
    }
    let bytes = encoded.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let sequence = bytes.get(at..at + 3).filter(|sequence| sequence[0] == b'%');
        match sequence.and_then(|sequence| {
            percent_decode(sequence).next().filter(|_| sequence[1..].iter().all(u8::is_ascii_hexdigit))
        }) {
            Some(byte) if !b"/?#%".contains(&byte) && !byte.is_ascii_control() => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!decoded.chars().any(is_unprintable)).then_some(Cow::Owned(decoded))
}

fn append(query: &mut String, key: &str, value: &str) {
    let value = hygiene::kept(key, value, MAX_NAME_BYTES);
    let key = hygiene::kept("", key, MAX_NAME_BYTES);
    let separator = usize::from(!query.is_empty());
    if query.len() + separator + key.len() + 1 + value.len() > MAX_QUERY_BYTES {
        return;
    }
    if separator == 1 {
        query.push('&');
    }
    query.push_str(&key);
    query.push('=');
    // What would read as another parameter stays encoded.
    for character in value.chars() {
        match character {
            '&' | '=' | '#' | '%' => {
                let mut bytes = [0; 4];
                query.extend(percent_encoding::utf8_percent_encode(
                    character.encode_utf8(&mut bytes),
                    percent_encoding::NON_ALPHANUMERIC,
                ));
            }
            other => query.push(other),
        }
    }
    query.truncate(cut(query, MAX_QUERY_BYTES).len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn site() -> Site {
        let mut site = Site::with_defaults("clinic", &["clinic.example", "*.clinic.example"]);
        site.query_parameters = vec!["page".to_owned(), "q".to_owned()];
        site
    }

    #[test]
    fn pages_are_reduced_to_what_is_kept() {
        for (address, host, path, query) in [
            ("https://clinic.example", "clinic.example", "/", ""),
            ("HTTPS://USER:pw@Clinic.Example:8443/A?x=1#frag", "clinic.example", "/A", ""),
            ("https://clinic.example./", "clinic.example", "/", ""),
            ("https://клиника.рф/", "xn--80apagcdp.xn--p1ai", "/", ""),
            ("https://clinic.example/%D1%83%D1%81%D0%BB%D1%83%D0%B3%D0%B8", "clinic.example", "/услуги", ""),
            ("https://clinic.example/услуги", "clinic.example", "/услуги", ""),
            ("https://clinic.example/a%2Fb%3fc%25%20d", "clinic.example", "/a%2Fb%3fc%25 d", ""),
            ("https://clinic.example/%ff", "clinic.example", "/%ff", ""),
            ("https://clinic.example/%0A%00", "clinic.example", "/%0A%00", ""),
            ("https://clinic.example/%E2%80%AEx", "clinic.example", "/%E2%80%AEx", ""),
            ("https://clinic.example/%zz", "clinic.example", "/%zz", ""),
            (
                "https://clinic.example/?page=2&secret=1&q=a%26b&page=3",
                "clinic.example",
                "/",
                "page=2&q=a%26b&page=3",
            ),
            ("https://clinic.example/a/../b/./c", "clinic.example", "/b/c", ""),
            ("http://[2001:DB8::1]:80/", "[2001:db8::1]", "/", ""),
        ] {
            let page = page(address, &site()).expect(address);
            assert_eq!((&*page.host, &*page.path, &*page.query), (host, path, query), "{address}");
        }
    }

    #[test]
    fn campaigns_are_read_and_click_ids_become_a_flag() {
        let page = page(
            "https://clinic.example/?utm_source=yandex&utm_source=later&utm_medium=cpc&utm_campaign=%D0%92%D0%B5%D1%81%D0%BD%D0%B0&utm_term=a%00b&yclid=123",
            &site(),
        )
        .expect("valid");
        assert_eq!(
            (&*page.utm.source, &*page.utm.medium, &*page.utm.campaign, &*page.utm.term),
            ("yandex", "cpc", "Весна", "a b")
        );
        assert!(page.paid_click && page.query.is_empty());
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        let long = format!("https://clinic.example/{}", "a".repeat(super::super::report::MAX_URL_BYTES));
        for (address, reason) in [
            ("", Reason::BadRequest),
            ("/path", Reason::BadRequest),
            ("clinic.example", Reason::BadRequest),
            ("javascript:alert(1)", Reason::BadRequest),
            ("file:///etc/passwd", Reason::BadRequest),
            ("about:blank", Reason::BadRequest),
            ("data:text/html,x", Reason::BadRequest),
            ("https://", Reason::BadRequest),
            ("https://a b/", Reason::BadRequest),
            ("https://clinic.example/\n", Reason::BadRequest),
            ("https://clinic.example\u{0}/", Reason::BadRequest),
            ("https://clinic.example:99999/", Reason::BadRequest),
            ("https://exa<mple/", Reason::BadRequest),
            (&long, Reason::TooLarge),
        ] {
            assert_eq!(page(address, &site()).err(), Some(reason), "{address:.60}");
        }
    }

    #[test]
    fn referrers_of_the_site_itself_and_unreadable_ones_are_empty() {
        for (address, host, path) in [
            ("", "", ""),
            ("https://yandex.ru/search/?text=secret", "yandex.ru", "/search/"),
            ("https://www.clinic.example/a", "", ""),
            ("android-app://org.telegram.messenger/", "org.telegram.messenger", ""),
            ("android-app://<script>/", "", ""),
            ("not an address", "", ""),
            ("javascript:alert(1)", "", ""),
        ] {
            let referrer = referrer(address, &site()).expect(address);
            assert_eq!((&*referrer.host, &*referrer.path), (host, path), "{address}");
        }
    }

    #[test]
    fn link_targets_lose_their_queries() {
        for (address, expected) in [
            ("https://u:p@vk.com:443/clinic?token=1#x", "https://vk.com/clinic"),
            ("vk.com/clinic?token=1#x", "vk.com/clinic"),
            ("VK.com:443/clinic", "vk.com/clinic"),
            ("mailto:someone@clinic.example", ""),
            ("mailto:someone@clinic.example/x", ""),
            ("tel:+70000000000", ""),
            ("tel:7000", ""),
            ("javascript:alert(1)/x", ""),
            ("/files/price.pdf", ""),
            ("", ""),
        ] {
            assert_eq!(target(address, &site(), 256), expected, "{address}");
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_of_any_address_is_printable_and_bounded(rest in any::<String>()) {
            if let Ok(page) = page(&format!("https://clinic.example/{rest}"), &site()) {
                prop_assert!(page.path.starts_with('/') && page.path.len() <= MAX_PATH_BYTES);
                prop_assert!(page.query.len() <= MAX_QUERY_BYTES);
                prop_assert!(![page.path, page.query, page.utm.source].concat().chars().any(is_unprintable));
            }
        }

        #[test]
        fn no_address_panics(address in any::<String>()) {
            let _ = page(&address, &site());
            let _ = referrer(&address, &site());
            let _ = target(&address, &site(), 100);
            let _ = own_path(&address, &site());
        }
    }
}
