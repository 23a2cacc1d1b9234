//! A database of networks in MaxMind's format with two entries: every IPv4 address
//! below 128.0.0.0 belongs to one network, and no other to any. Written by the
//! format's specification (maxmind.github.io/MaxMind-DB).

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

/// The file, with the number of the network.
pub fn database(asn: u32) -> Vec<u8> {
    // One node of two records of 24 bits: left is the data's first byte, right is nothing.
    let nodes = 1_u8;
    let tree = [0, 0, nodes + 16, 0, 0, nodes];
    let data = map(&[
        ("autonomous_system_number", u32(asn)),
        ("autonomous_system_organization", text("Rented Servers")),
    ]);
    let metadata = map(&[
        ("node_count", u32(u32::from(nodes))),
        ("record_size", u16(24)),
        ("ip_version", u16(4)),
        ("database_type", text("Test-ASN")),
        ("languages", vec![0, 4]),
        ("binary_format_major_version", u16(2)),
        ("binary_format_minor_version", u16(0)),
        ("build_epoch", number(9, &1_u64.to_be_bytes())),
        ("description", map(&[("en", text("for a test"))])),
    ]);
    [&tree[..], &[0; 16], &data, b"\xab\xcd\xefMaxMind.com", &metadata].concat()
}
