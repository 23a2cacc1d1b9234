//! The PROXY protocol, versions 1 and 2 (haproxy's `proxy-protocol.txt`): a
//! header before the first request, by which a trusted proxy says who connected.
//!
//! Only from `collect.trusted_proxies`, and then it must be there. A connection
//! without it, or with a broken one, is closed: its hits would be the proxy's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Every version 2 header begins with these bytes.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest version 1 line, by the specification.
const MAX_LINE_BYTES: usize = 107;
/// The longest version 2 block taken: addresses and the usual extensions.
const MAX_BLOCK_BYTES: usize = 2048;

/// Reads the header. `None`: the proxy speaks for itself (a health check).
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<IpAddr>> {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return read_block(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(broken("no header"));
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == MAX_LINE_BYTES {
            return Err(broken("line too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| broken("line is not text"))?;
    parse_line(line.trim_end()).ok_or_else(|| broken("line"))
}

fn parse_line(line: &str) -> Option<Option<IpAddr>> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let source: IpAddr = words.next()?.parse().ok()?;
    let _destination: IpAddr = words.next()?.parse().ok()?;
    let _ports: (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = match family {
        "TCP4" => source.is_ipv4(),
        "TCP6" => source.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then_some(Some(source))
}

async fn read_block<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<IpAddr>> {
    let version_and_command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = usize::from(stream.read_u16().await?);
    if version_and_command >> 4 != 2 || length > MAX_BLOCK_BYTES {
        return Err(broken("version or length"));
    }
    let mut block = vec![0; length];
    stream.read_exact(&mut block).await?;
    match (version_and_command & 0x0F, family >> 4) {
        // LOCAL: the proxy itself.
        (0, _) | (1, 0) => Ok(None),
        (1, 1) => {
            let source: [u8; 4] = first(&block, 12)?;
            Ok(Some(Ipv4Addr::from(source).into()))
        }
        (1, 2) => {
            let source: [u8; 16] = first(&block, 36)?;
            Ok(Some(Ipv6Addr::from(source).into()))
        }
        _ => Err(broken("command or family")),
    }
}

fn first<const N: usize>(block: &[u8], needed: usize) -> io::Result<[u8; N]> {
    block
        .first_chunk::<N>()
        .filter(|_| block.len() >= needed)
        .copied()
        .ok_or_else(|| broken("addresses are cut short"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("proxy protocol: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<Option<&str>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let mut input = [bytes, b"GET"].concat();
        input.truncate(bytes.len() + 3);
        let mut reader = &input[..];
        let found = runtime.block_on(read(&mut reader)).ok();
        let expected = expected.map(|address| address.map(|text| text.parse().expect("address")));
        assert_eq!(found, expected, "{}", bytes.escape_ascii());
        if expected.is_some() {
            assert_eq!(reader, b"GET", "read past the header: {}", bytes.escape_ascii());
        }
    }

    fn block(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[command, family], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    #[test]
    fn version_1_lines_are_read_to_their_end_and_no_further() {
        check(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", Some(Some("192.0.2.1")));
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", Some(Some("2001:db8::1")));
        check(b"PROXY UNKNOWN\r\n", Some(None));
        check(b"PROXY UNKNOWN ffff:f...f:ffff 1 2 3\r\n", Some(None));
        for broken in [
            &b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 99999\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            b"GET /pixel.gif HTTP/1.1\r\n",
        ] {
            check(broken, None);
        }
        check([&b"PROXY TCP4 "[..], &[b'1'; 200]].concat().as_slice(), None);
    }

    #[test]
    fn version_2_blocks_are_read() {
        let four = [192, 0, 2, 1, 198, 51, 100, 1, 0, 80, 1, 187];
        check(&block(0x21, 0x11, &four), Some(Some("192.0.2.1")));
        check(&block(0x21, 0x11, &[&four[..], &[4, 0, 1, 0]].concat()), Some(Some("192.0.2.1")));
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        six[15] = 1;
        check(&block(0x21, 0x21, &six), Some(Some("2001:db8::1")));
        check(&block(0x20, 0x00, &[]), Some(None));
        check(&block(0x11, 0x11, &four), None);
        check(&block(0x22, 0x11, &four), None);
        check(&block(0x21, 0x11, &four[..8]), None);
        check(&block(0x21, 0x31, &[0; 216]), None);
        check(&block(0x21, 0x11, &[0; 3000]), None);
    }
}
