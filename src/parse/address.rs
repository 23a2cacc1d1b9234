//! The visitor's address: the peer's, or what a trusted proxy says.
//!
//! Exactly one header is read (`collect.client_address`), and only if the peer
//! is one of `collect.trusted_proxies`. Each proxy appends the address that it
//! saw, so the list is walked from its right end over trusted proxies to the
//! first address that is not one: that hop was seen by a proxy we trust, and
//! whatever is left of it is hearsay. A hop that is no address (`unknown`, an
//! obfuscated name, rubbish) ends the walk at the proxy that reported it.
//!
//! The list is also read from its right end: an open quote or bytes that are no
//! text, sent by the visitor, stay to the left of what the proxies appended.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName};

use super::text::lossy;
use crate::config::{ClientAddress, Network};
use crate::privacy::address::ClientIp;

/// The most hops that are walked: chains of proxies have two or three.
pub const MAX_HOPS: usize = 32;
/// The header that most proxies set.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of whoever sent a request that came from `peer`. With the PROXY
/// protocol, `peer` is what its header said (see `accept::proxy`).
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    how: ClientAddress,
    trusted_proxies: &[Network],
) -> ClientIp {
    let client = ClientIp::new(peer);
    let header = match how {
        ClientAddress::XForwardedFor => X_FORWARDED_FOR,
        ClientAddress::Forwarded => FORWARDED,
        ClientAddress::ProxyProtocol | ClientAddress::Peer => return client,
    };
    if !is_trusted(&client, trusted_proxies) {
        return client;
    }
    let mut nearest = client;
    let mut hops = 0;
    // Several lines of one header are one list.
    for line in headers.get_all(header).iter().rev() {
        for hop in split_from_the_right(&lossy(line.as_bytes()), ',') {
            let address = match how {
                ClientAddress::Forwarded => forwarded_for(hop),
                _ => Some(hop),
            };
            let Some(address) = address.and_then(|text| ClientIp::parse(text.trim())) else { return nearest };
            nearest = address;
            hops += 1;
            if hops == MAX_HOPS || !is_trusted(&nearest, trusted_proxies) {
                return nearest;
            }
        }
    }
    nearest
}

/// Whether the address is that of a trusted proxy.
pub fn is_trusted(address: &ClientIp, trusted_proxies: &[Network]) -> bool {
    address.lookup(|address| trusted_proxies.iter().any(|network| network.contains(address)))
}

/// The parts of `text`, the last one first, between separators that are not
/// within quotes as seen from the right end.
fn split_from_the_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.rsplit(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

/// The `for` parameter of an element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<&str> {
    let mut found = None;
    for pair in split_from_the_right(element, ';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = value.trim();
            let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            if found.replace(bare).is_some() {
                return None;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(how: ClientAddress, peer: &str, lines: &[&str], expected: &str) {
        let trusted: Vec<Network> =
            ["127.0.0.1/32", "10.0.0.0/8", "::1"].iter().filter_map(|text| Network::parse(text)).collect();
        let mut headers = HeaderMap::new();
        // The header that is not configured is set too, and must be ignored.
        let (read, ignored) = match how {
            ClientAddress::Forwarded => (FORWARDED, X_FORWARDED_FOR),
            _ => (X_FORWARDED_FOR, FORWARDED),
        };
        headers.insert(ignored, HeaderValue::from_static("203.0.113.99"));
        headers.insert("x-real-ip", HeaderValue::from_static("203.0.113.98"));
        for line in lines {
            headers.append(&read, HeaderValue::from_str(line).expect("header"));
        }
        let found = client_address(peer.parse().expect("address"), &headers, how, &trusted);
        let expected: IpAddr = expected.parse().expect("address");
        assert!(
            found.lookup(|address| address == expected),
            "{peer} {lines:?}: found {}",
            found.lookup(|address| address.to_string())
        );
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_client() {
        use ClientAddress::XForwardedFor as Header;
        for (peer, lines, expected) in [
            ("127.0.0.1", &[][..], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["192.0.2.1, 10.1.1.1"], "192.0.2.1"),
            ("127.0.0.1", &["192.0.2.1", "10.1.1.1, 10.2.2.2"], "192.0.2.1"),
            ("127.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            ("192.0.2.9", &["198.51.100.7"], "192.0.2.9"),
            ("::1", &["2001:db8::5"], "2001:db8::5"),
            ("::ffff:127.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["[2001:db8::5]:443"], "2001:db8::5"),
            ("127.0.0.1", &["192.0.2.1:1234"], "192.0.2.1"),
            ("127.0.0.1", &["192.0.2.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1, unknown, 10.1.1.1"], "10.1.1.1"),
            ("127.0.0.1", &["192.0.2.1,"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["192.0.2.1, 999.1.1.1"], "127.0.0.1"),
            ("127.0.0.1", &["fe80::1%eth0"], "127.0.0.1"),
            ("127.0.0.1", &["\"198.51.100.7, 192.0.2.1"], "192.0.2.1"),
        ] {
            check(Header, peer, lines, expected);
        }
    }

    #[test]
    fn forwarded_elements_are_read_by_rfc_7239() {
        use ClientAddress::Forwarded as Header;
        for (peer, lines, expected) in [
            ("127.0.0.1", &["for=192.0.2.1"][..], "192.0.2.1"),
            ("127.0.0.1", &["For=\"[2001:db8:cafe::17]:4711\";proto=https;by=10.0.0.1"], "2001:db8:cafe::17"),
            ("127.0.0.1", &["for=198.51.100.7, for=192.0.2.1;host=\"a,b;for=x\""], "192.0.2.1"),
            ("127.0.0.1", &["for=192.0.2.1, for=10.0.0.3"], "192.0.2.1"),
            ("127.0.0.1", &["for=192.0.2.1, for=_hidden"], "127.0.0.1"),
            ("127.0.0.1", &["for=192.0.2.1, proto=http"], "127.0.0.1"),
            ("127.0.0.1", &["for=192.0.2.1;for=192.0.2.2"], "127.0.0.1"),
            ("192.0.2.9", &["for=198.51.100.7"], "192.0.2.9"),
            ("127.0.0.1", &["for=\"198.51.100.7, for=192.0.2.1"], "192.0.2.1"),
        ] {
            check(Header, peer, lines, expected);
        }
    }

    #[test]
    fn headers_are_ignored_where_the_peer_is_the_client() {
        check(ClientAddress::Peer, "127.0.0.1", &["192.0.2.1"], "127.0.0.1");
        check(ClientAddress::ProxyProtocol, "127.0.0.1", &["192.0.2.1"], "127.0.0.1");
    }
}
