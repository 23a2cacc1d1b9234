//! [`ClientIp`]: the one type that holds a visitor's address. It can be neither
//! printed nor serialized: there is no `Debug`, `Display`, `Hash` or `Serialize`.
//!
//! In: the socket's peer, or the text of a forwarding header. Out: prefixes for
//! keyed hashes, the address itself only inside [`ClientIp::lookup`], and, with
//! a key of the ring, its encrypted form ([`super::keys::KeyRing::protect`]).
//!
//! It does not decide which header is believed: that is `accept`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest text that can be an address with a port: a bracketed IPv6 with
/// an embedded IPv4, a colon and five digits, in quotes.
const MAX_TEXT_BYTES: usize = 64;
/// The first byte of a prefix: the family.
const TAG_V4: u8 = 4;
const TAG_V6: u8 = 6;

/// A client's address. IPv4 in IPv6 (`::ffff:a.b.c.d`) is held as IPv4.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(IpAddr);

// === impl ClientIp ===

impl ClientIp {
    pub fn new(address: IpAddr) -> ClientIp {
        ClientIp(address.to_canonical())
    }

    /// Reads one hop of a forwarding header: `192.0.2.1`, `192.0.2.1:80`,
    /// `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`, and the same in
    /// quotes as RFC 7239 writes them. `None` for `unknown`, obfuscated names
    /// (`_x`), zones (`fe80::1%eth0`) and everything else.
    pub fn parse(text: &str) -> Option<ClientIp> {
        let text = text.trim_matches([' ', '\t']);
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let text = match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => text,
        };
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
                return None;
            }
            return Some(ClientIp::new(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(ClientIp::new(address));
        }
        let (address, port) = text.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        Some(ClientIp::new(IpAddr::V4(address.parse::<Ipv4Addr>().ok()?)))
    }

    /// What tells visitors apart and what limits count: the whole IPv4 address,
    /// or the /64 of an IPv6 one, since a home has all of its /64.
    pub fn prefix(&self) -> [u8; 9] {
        self.cut(32, 64)
    }

    /// The network for the wider limit: /24 or /48.
    pub fn network_prefix(&self) -> [u8; 9] {
        self.cut(24, 48)
    }

    /// Lends the address, for geo and network databases and for comparison with
    /// trusted networks. What is made of it must not hold the address.
    pub fn lookup<R>(&self, reader: impl FnOnce(IpAddr) -> R) -> R {
        reader(self.0)
    }

    /// The address as ipcrypt takes it: IPv4 as `::ffff:a.b.c.d`.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    /// The first address of its /24 or /48.
    pub(super) fn truncated(self) -> ClientIp {
        ClientIp(match self.0 {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8))),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80))),
        })
    }

    fn cut(&self, v4_bits: u32, v6_bits: u32) -> [u8; 9] {
        let mut prefix = [0; 9];
        match self.0 {
            IpAddr::V4(v4) => {
                prefix[0] = TAG_V4;
                let kept = v4.to_bits() & (u32::MAX << (32 - v4_bits));
                prefix[1..5].copy_from_slice(&kept.to_be_bytes());
            }
            IpAddr::V6(v6) => {
                prefix[0] = TAG_V6;
                let kept = v6.to_bits() & (u128::MAX << (128 - v6_bits));
                prefix[1..].copy_from_slice(&kept.to_be_bytes()[..8]);
            }
        }
        prefix
    }
}

/// A port, or RFC 7239's obfuscated one.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => {
            text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let found = ClientIp::parse(text).map(|ip| ip.lookup(|address| address.to_string()));
        assert_eq!(found.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn hops_of_forwarding_headers_are_read_or_refused() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("192.0.2.1:65535", "192.0.2.1"),
            ("\"192.0.2.1:80\"", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:DB8::1]:_proxy\"", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ] {
            check(text, Some(expected));
        }
        for text in [
            "",
            " ",
            "unknown",
            "_hidden",
            "_",
            "-",
            "localhost",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.01",
            "0x7f.0.0.1",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:080000",
            "192.0.2.1:a",
            "192.0.2.1:+80",
            "192.0.2.1 80",
            "fe80::1%eth0",
            "[fe80::1%eth0]:80",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "[192.0.2.1]:80",
            "\"192.0.2.1",
            "192.0.2.1\"",
            "192.0.2.1,192.0.2.2",
            "\u{661}92.0.2.1",
            "2001:db8:0:0:0:0:0:0:1",
            "for=192.0.2.1",
        ] {
            check(text, None);
        }
        check(&"1".repeat(10_000), None);
    }

    #[test]
    fn prefixes_keep_what_they_promise() {
        let prefix = |text: &str| ClientIp::parse(text).expect("an address").prefix();
        let network = |text: &str| ClientIp::parse(text).expect("an address").network_prefix();
        assert_eq!(prefix("192.0.2.1"), [4, 192, 0, 2, 1, 0, 0, 0, 0]);
        assert_eq!(network("192.0.2.1"), [4, 192, 0, 2, 0, 0, 0, 0, 0]);
        assert_eq!(prefix("2001:db8:1:2:3::4"), [6, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 2]);
        assert_eq!(network("2001:db8:1:2:3::4"), [6, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0]);
        assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:1"));
    }

    #[test]
    fn truncation_keeps_the_network() {
        let truncated = |text: &str| {
            ClientIp::parse(text).expect("an address").truncated().lookup(|address| address.to_string())
        };
        assert_eq!(truncated("192.0.2.77"), "192.0.2.0");
        assert_eq!(truncated("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
    }
}
