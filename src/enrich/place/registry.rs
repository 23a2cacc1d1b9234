//! Which range of the registries an address is in: public, or one of those that
//! are set apart (RFC 6890; IANA's registries of special-purpose addresses,
//! IPv4 and IPv6, of multicast, and of what is given out).
//!
//! In: an address. Out: a [`Scope`]. The first range of a table that holds the
//! address names it, so the smaller ones come first; IPv4 is public unless a
//! range says otherwise, IPv6 only in 2000::/3, of which alone the registries
//! give out.
//!
//! An IPv4 address inside an IPv6 one is `embedded`'s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

/// What a range of addresses is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The internet routes it.
    Public,
    /// A site's own network (RFC 1918).
    Private,
    /// The machine itself.
    Loopback,
    /// One cable or one radio cell (RFC 3927, RFC 4291).
    LinkLocal,
    /// Between a carrier and its customers (RFC 6598).
    Shared,
    /// For examples (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// For measuring network equipment (RFC 2544, RFC 5180).
    Benchmarking,
    Multicast,
    /// No address: 0.0.0.0, ::.
    Unspecified,
    /// 255.255.255.255.
    Broadcast,
    /// "This network": 0.0.0.0/8 (RFC 791).
    ThisNetwork,
    /// A site's own network (RFC 4193).
    UniqueLocal,
    /// For protocols of the IETF, of nobody (RFC 2928, RFC 6890).
    ProtocolAssignment,
    /// IPv4 behind a translator of the site's own (RFC 8215).
    LocalTranslation,
    /// Thrown away on purpose (RFC 6666).
    Discard,
    /// Set aside, given back, or not given out.
    Reserved,
}

/// A range of IPv4: its first address, the bits that all of it share, what it is for.
type RangeV4 = (u32, u32, Scope);
/// The same of IPv6.
type RangeV6 = (u128, u32, Scope);

const V4: [RangeV4; 18] = [
    (v4(0, 0, 0, 0), 32, Scope::Unspecified),
    (v4(0, 0, 0, 0), 8, Scope::ThisNetwork),
    (v4(10, 0, 0, 0), 8, Scope::Private),
    (v4(100, 64, 0, 0), 10, Scope::Shared),
    (v4(127, 0, 0, 0), 8, Scope::Loopback),
    (v4(169, 254, 0, 0), 16, Scope::LinkLocal),
    (v4(172, 16, 0, 0), 12, Scope::Private),
    (v4(192, 0, 0, 0), 24, Scope::ProtocolAssignment),
    (v4(192, 0, 2, 0), 24, Scope::Documentation),
    // Relays of 6to4, given back (RFC 7526).
    (v4(192, 88, 99, 0), 24, Scope::Reserved),
    (v4(192, 168, 0, 0), 16, Scope::Private),
    (v4(198, 18, 0, 0), 15, Scope::Benchmarking),
    (v4(198, 51, 100, 0), 24, Scope::Documentation),
    (v4(203, 0, 113, 0), 24, Scope::Documentation),
    (v4(255, 255, 255, 255), 32, Scope::Broadcast),
    (v4(240, 0, 0, 0), 4, Scope::Reserved),
    (v4(224, 0, 0, 0), 4, Scope::Multicast),
    (v4(0, 0, 0, 0), 0, Scope::Public),
];

const V6: [RangeV6; 19] = [
    // Relays of multicast (RFC 7450) and empty answers of AS112 (RFC 7535) are routed.
    (v6([0x2001, 3, 0, 0]), 32, Scope::Public),
    (v6([0x2001, 4, 0x112, 0]), 48, Scope::Public),
    (v6([0x2001, 2, 0, 0]), 48, Scope::Benchmarking),
    (v6([0x2001, 0, 0, 0]), 23, Scope::ProtocolAssignment),
    (v6([0x2001, 0xdb8, 0, 0]), 32, Scope::Documentation),
    (v6([0x3fff, 0, 0, 0]), 20, Scope::Documentation),
    (v6([0x2000, 0, 0, 0]), 3, Scope::Public),
    (0, 128, Scope::Unspecified),
    (1, 128, Scope::Loopback),
    (v6([0x64, 0xff9b, 1, 0]), 48, Scope::LocalTranslation),
    (v6([0x100, 0, 0, 0]), 64, Scope::Discard),
    (v6([0xfc00, 0, 0, 0]), 7, Scope::UniqueLocal),
    (v6([0xfe80, 0, 0, 0]), 10, Scope::LinkLocal),
    (v6([0xff00, 0, 0, 0]), 8, Scope::Multicast),
    // A site's own network until 2004 (RFC 3879), segments of routers (RFC 9602), IPv4 in
    // the last 32 bits (RFC 4291): all of them in what is not given out.
    (v6([0xfec0, 0, 0, 0]), 10, Scope::Reserved),
    (v6([0x5f00, 0, 0, 0]), 16, Scope::Reserved),
    (v6([0, 0, 0, 0]), 96, Scope::Reserved),
    (v6([0x64, 0xff9b, 0, 0]), 96, Scope::Reserved),
    (0, 0, Scope::Reserved),
];

/// By the first byte, whether part of it is set apart: most addresses need no further
/// look, and every hit asks.
const SET_APART: [bool; 256] = {
    let mut set_apart = [false; 256];
    let mut index = 0;
    while index < V4.len() {
        let (base, length, _) = V4[index];
        let first = (base >> 24) as usize;
        let mut byte = first;
        // The last range is the rest.
        while length > 0 && byte <= first + (0xff >> if length < 8 { length } else { 8 }) {
            set_apart[byte] = true;
            byte += 1;
        }
        index += 1;
    }
    set_apart
};

// === impl Scope ===

impl Scope {
    pub fn of(address: IpAddr) -> Scope {
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Scope {
    let bits = address.to_bits();
    if !SET_APART[(bits >> 24) as usize] {
        return Scope::Public;
    }
    let holds = |&&(base, length, _): &&RangeV4| length == 0 || (bits ^ base) >> (32 - length) == 0;
    V4.iter().find(holds).map_or(Scope::Public, |range| range.2)
}

fn of_v6(address: Ipv6Addr) -> Scope {
    let bits = address.to_bits();
    // As with IPv4: 2000::/3 but for the two groups in which ranges are set apart.
    let first = address.segments()[0];
    if first >> 13 == 1 && first != 0x2001 && first != 0x3fff {
        return Scope::Public;
    }
    let holds = |&&(base, length, _): &&RangeV6| length == 0 || (bits ^ base) >> (128 - length) == 0;
    V6.iter().find(holds).map_or(Scope::Reserved, |range| range.2)
}

const fn v4(first: u8, second: u8, third: u8, fourth: u8) -> u32 {
    u32::from_be_bytes([first, second, third, fourth])
}

/// By the first four groups.
const fn v6(groups: [u16; 4]) -> u128 {
    let [first, second, third, fourth] = groups;
    (first as u128) << 112 | (second as u128) << 96 | (third as u128) << 80 | (fourth as u128) << 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Scope) {
        assert_eq!(Scope::of(text.parse().expect("an address")), expected, "{text}");
    }

    #[test]
    fn the_short_way_is_right() {
        let mut ranges = V4.iter().filter(|(_, length, _)| *length > 0);
        assert!(ranges.all(|(base, ..)| SET_APART[(base >> 24) as usize]));
        let apart = SET_APART.iter().filter(|set_apart| **set_apart).count();
        // 0, 10, 100, 127, 169, 172, 192, 198, 203, and 224 to 255.
        assert_eq!(apart, 9 + 32);
        for (base, _, scope) in V6.iter().filter(|(base, ..)| base >> 125 == 1) {
            let first = (base >> 112) as u16;
            assert!(*scope == Scope::Public || first == 0x2001 || first == 0x3fff, "{first:x}");
        }
    }

    #[test]
    fn ranges_begin_and_end_where_the_registries_say() {
        use Scope::*;
        for (first, last, expected) in [
            ("0.0.0.1", "0.255.255.255", ThisNetwork),
            ("1.0.0.0", "9.255.255.255", Public),
            ("10.0.0.0", "10.255.255.255", Private),
            ("11.0.0.0", "100.63.255.255", Public),
            ("100.64.0.0", "100.127.255.255", Shared),
            ("100.128.0.0", "126.255.255.255", Public),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("128.0.0.0", "169.253.255.255", Public),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("169.255.0.0", "172.15.255.255", Public),
            ("172.16.0.0", "172.31.255.255", Private),
            ("172.32.0.0", "191.255.255.255", Public),
            ("192.0.0.0", "192.0.0.255", ProtocolAssignment),
            ("192.0.1.0", "192.0.1.255", Public),
            ("192.0.2.0", "192.0.2.255", Documentation),
            ("192.0.3.0", "192.88.98.255", Public),
            ("192.88.99.0", "192.88.99.255", Reserved),
            ("192.88.100.0", "192.167.255.255", Public),
            ("192.168.0.0", "192.168.255.255", Private),
            ("192.169.0.0", "198.17.255.255", Public),
            ("198.18.0.0", "198.19.255.255", Benchmarking),
            ("198.20.0.0", "198.51.99.255", Public),
            ("198.51.100.0", "198.51.100.255", Documentation),
            ("198.51.101.0", "203.0.112.255", Public),
            ("203.0.113.0", "203.0.113.255", Documentation),
            ("203.0.114.0", "223.255.255.255", Public),
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.254", Reserved),
            ("::2", "::ffff:ffff", Reserved),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", LocalTranslation),
            ("64:ff9b:2::", "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("100::", "100::ffff:ffff:ffff:ffff", Discard),
            ("100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:1::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", ProtocolAssignment),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Benchmarking),
            ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:5::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", ProtocolAssignment),
            ("2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("2001:db9::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", UniqueLocal),
            ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
        ] {
            check(first, expected);
            check(last, expected);
        }
        check("0.0.0.0", Unspecified);
        check("255.255.255.255", Broadcast);
        check("::", Unspecified);
        check("::1", Loopback);
    }
}
