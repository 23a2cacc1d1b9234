//! A database of places in MaxMind's format: IPv4 addresses below 128.0.0.0 belong to
//! one network and country, the others to another. Written by the format's
//! specification (maxmind.github.io/MaxMind-DB).

/// A network and its country.
pub struct Place {
    pub asn: u32,
    pub name: &'static str,
    pub country: &'static str,
}

pub const LOW: Place = Place { asn: 64_500, name: "Lower Networks", country: "DE" };
pub const HIGH: Place = Place { asn: 64_501, name: "Higher Networks", country: "RU" };

/// Lengths from 29 on are in a byte of their own.
fn text(value: &str) -> Vec<u8> {
    let length = value.len() as u8;
    let head = if length < 29 { vec![0x40 | length] } else { vec![0x40 | 29, length - 29] };
    [&head, value.as_bytes()].concat()
}

/// Kinds beyond the seventh have a byte of their own.
fn number(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let head = if kind > 7 { vec![bytes.len() as u8, kind - 7] } else { vec![kind << 5 | bytes.len() as u8] };
    [head, bytes.to_vec()].concat()
}

fn u16(value: u16) -> Vec<u8> {
    number(5, &value.to_be_bytes())
}

fn u32(value: u32) -> Vec<u8> {
    number(6, &value.to_be_bytes())
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xe0 | entries.len() as u8];
    for (key, value) in entries {
        bytes.extend(text(key));
        bytes.extend(value);
    }
    bytes
}

fn record(place: &Place) -> Vec<u8> {
    map(&[
        ("autonomous_system_number", u32(place.asn)),
        ("autonomous_system_organization", text(place.name)),
        ("country_code", text(place.country)),
    ])
}

/// The file.
pub fn database() -> Vec<u8> {
    // One node of two records of 24 bits, each the place of its half in the data.
    let nodes = 1_u8;
    let (low, high) = (record(&LOW), record(&HIGH));
    let tree = [0, 0, nodes + 16, 0, 0, nodes + 16 + low.len() as u8];
    let metadata = map(&[
        ("node_count", u32(u32::from(nodes))),
        ("record_size", u16(24)),
        ("ip_version", u16(4)),
        ("database_type", text("Test-Places")),
        ("languages", vec![0, 4]),
        ("binary_format_major_version", u16(2)),
        ("binary_format_minor_version", u16(0)),
        ("build_epoch", number(9, &1_u64.to_be_bytes())),
        ("description", map(&[("en", text("for a test"))])),
    ]);
    [&tree[..], &[0; 16], &low, &high, b"\xab\xcd\xefMaxMind.com", &metadata].concat()
}
