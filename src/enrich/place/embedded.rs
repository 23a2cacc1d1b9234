//! IPv4 addresses inside IPv6 ones: a client behind a tunnel or a translator is
//! where its IPv4 address is, since the IPv6 one is of no place.
//!
//! In: an address. Out: the address to look up, and how it was embedded. The
//! IPv4 address may be one that is not public: then there is nothing to look up.
//! `::ffff:a.b.c.d` is none of these, [`crate::privacy::address::ClientIp`] holds
//! it as IPv4. Translators with a prefix of their own (RFC 6052) cannot be told
//! from other IPv6.

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

/// How an IPv4 address was inside the IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Embedded {
    /// 2002::/16: the 32 bits after it (RFC 3056).
    #[serde(rename = "6to4")]
    SixToFour,
    /// 2001::/32: the last 32 bits, inverted (RFC 4380).
    #[serde(rename = "teredo")]
    Teredo,
    /// 64:ff9b::/96: the last 32 bits (RFC 6052).
    #[serde(rename = "nat64")]
    Nat64,
}

/// The address that tells where the client is.
pub(super) fn locatable(address: IpAddr) -> (IpAddr, Option<Embedded>) {
    let IpAddr::V6(v6) = address else { return (address, None) };
    let bits = v6.to_bits();
    let (v4, embedded) = match v6.segments() {
        [0x2002, ..] => ((bits >> 80) as u32, Embedded::SixToFour),
        [0x2001, 0, ..] => (!(bits as u32), Embedded::Teredo),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => (bits as u32, Embedded::Nat64),
        _ => return (address, None),
    };
    (IpAddr::V4(Ipv4Addr::from_bits(v4)), Some(embedded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv4_address_is_found_inside() {
        for (text, expected, embedded) in [
            ("2002:808:808::1", "8.8.8.8", Some(Embedded::SixToFour)),
            ("2002:c000:201:ffff:ffff:ffff:ffff:ffff", "192.0.2.1", Some(Embedded::SixToFour)),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45", Some(Embedded::Teredo)),
            ("2001::f7f7:f7f7", "8.8.8.8", Some(Embedded::Teredo)),
            ("64:ff9b::192.0.2.33", "192.0.2.33", Some(Embedded::Nat64)),
            ("64:ff9b::808:808", "8.8.8.8", Some(Embedded::Nat64)),
            ("64:ff9b:1::808:808", "64:ff9b:1::808:808", None),
            ("64:ff9b:0:0:0:1:808:808", "64:ff9b::1:808:808", None),
            ("2001:1::f7f7:f7f7", "2001:1::f7f7:f7f7", None),
            ("2003:808:808::1", "2003:808:808::1", None),
            ("8.8.8.8", "8.8.8.8", None),
        ] {
            let found = locatable(text.parse().expect("an address"));
            assert_eq!(found, (expected.parse().expect("an address"), embedded), "{text}");
        }
    }
}
