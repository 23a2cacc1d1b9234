//! The pieces of the library's stream become the bytes that ClickHouse would send.
//!
//! Each piece is a complete document in the answer's format. For formats that
//! are rows and nothing else, the pieces add up. For formats with a header
//! (names, types) every piece repeats it: it is taken off all but the first.
//! For all other formats (a frame around the rows, a footer with an index, a
//! count at the end) pieces do not add up, and the answer is fetched whole.
//!
//! Invariant: a piece that does not begin with the first piece's header is an
//! error, never data.

use super::exception::{Code, Exception};

/// How an answer in a format may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetching {
    /// In pieces, as they are.
    Pieces,
    /// In pieces, less the header of all but the first.
    PiecesWithHeader(Header),
    /// In one.
    Whole,
}

/// The header of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// So many lines, which hold no raw line end.
    Lines(u8),
    /// So many lines of CSV, in which quoted names may hold line ends.
    QuotedLines(u8),
    /// A count, then so many lists of strings with that many members, in LEB128 and bytes.
    Strings(u8),
}

/// Takes repeated headers off.
pub struct Trimmer {
    header: Header,
    first: Option<Vec<u8>>,
}

/// How to fetch an answer in `format`; names are case-sensitive, as ClickHouse's are not:
/// an unknown spelling is fetched whole, which is always right.
pub fn fetching(format: &str) -> Fetching {
    match format {
        "TabSeparated"
        | "TSV"
        | "TabSeparatedRaw"
        | "TSVRaw"
        | "Raw"
        | "CSV"
        | "JSONEachRow"
        | "NDJSON"
        | "JSONLines"
        | "JSONStringsEachRow"
        | "JSONCompactEachRow"
        | "JSONCompactStringsEachRow"
        | "TSKV"
        | "RowBinary"
        | "Native"
        | "MsgPack"
        | "Null" => Fetching::Pieces,
        "TabSeparatedWithNames"
        | "TSVWithNames"
        | "JSONCompactEachRowWithNames"
        | "JSONCompactStringsEachRowWithNames" => Fetching::PiecesWithHeader(Header::Lines(1)),
        "TabSeparatedWithNamesAndTypes"
        | "TSVWithNamesAndTypes"
        | "JSONCompactEachRowWithNamesAndTypes"
        | "JSONCompactStringsEachRowWithNamesAndTypes" => Fetching::PiecesWithHeader(Header::Lines(2)),
        "CSVWithNames" => Fetching::PiecesWithHeader(Header::QuotedLines(1)),
        "CSVWithNamesAndTypes" => Fetching::PiecesWithHeader(Header::QuotedLines(2)),
        "RowBinaryWithNames" => Fetching::PiecesWithHeader(Header::Strings(1)),
        "RowBinaryWithNamesAndTypes" => Fetching::PiecesWithHeader(Header::Strings(2)),
        _ => Fetching::Whole,
    }
}

/// The `Content-Type` that ClickHouse gives to a format.
pub fn content_type(format: &str) -> &'static str {
    match format {
        "CSVWithNames" | "CSVWithNamesAndTypes" => "text/csv; charset=UTF-8; header=present",
        "CSV" => "text/csv; charset=UTF-8; header=absent",
        "XML" => "application/xml; charset=UTF-8",
        "JSONEachRow"
        | "NDJSON"
        | "JSONLines"
        | "JSONStringsEachRow"
        | "JSONCompactEachRow"
        | "JSONCompactStringsEachRow"
        | "JSONEachRowWithProgress"
        | "JSONCompactEachRowWithNames"
        | "JSONCompactEachRowWithNamesAndTypes"
        | "JSONCompactStringsEachRowWithNames"
        | "JSONCompactStringsEachRowWithNamesAndTypes" => "application/x-ndjson; charset=UTF-8",
        _ if format.starts_with("JSON") => "application/json; charset=UTF-8",
        "Native" | "Parquet" | "Arrow" | "ArrowStream" | "ORC" | "Avro" | "MsgPack" => {
            "application/octet-stream"
        }
        _ if format.starts_with("RowBinary") => "application/octet-stream",
        _ if format.starts_with("TabSeparated") || format.starts_with("TSV") => {
            "text/tab-separated-values; charset=UTF-8"
        }
        _ => "text/plain; charset=UTF-8",
    }
}

// === impl Trimmer ===

impl Trimmer {
    pub fn new(header: Header) -> Trimmer {
        Trimmer { header, first: None }
    }

    /// How many bytes at the start of this piece are a repeated header.
    pub fn repeated(&mut self, piece: &[u8]) -> Result<usize, Exception> {
        match &self.first {
            None => {
                let length = self.header.length(piece).ok_or_else(|| {
                    Exception::new(
                        Code::UnknownException,
                        "the first piece of the answer has no whole header",
                    )
                })?;
                self.first = Some(piece[..length].to_vec());
                Ok(0)
            }
            Some(first) if piece.starts_with(first) => Ok(first.len()),
            Some(_) => Err(Exception::new(
                Code::UnknownException,
                "a piece of the answer lacks the header of the first",
            )),
        }
    }
}

// === impl Header ===

impl Header {
    fn length(self, piece: &[u8]) -> Option<usize> {
        match self {
            Header::Lines(lines) => line_end(piece, lines, None),
            Header::QuotedLines(lines) => line_end(piece, lines, Some(b'"')),
            Header::Strings(lists) => {
                let mut at = 0;
                let columns = number(piece, &mut at)?;
                for _ in 0..columns.checked_mul(u64::from(lists))? {
                    let length = usize::try_from(number(piece, &mut at)?).ok()?;
                    at = at.checked_add(length).filter(|at| *at <= piece.len())?;
                }
                Some(at)
            }
        }
    }
}

fn line_end(piece: &[u8], lines: u8, quote: Option<u8>) -> Option<usize> {
    let (mut left, mut quoted) = (lines, false);
    for (at, byte) in piece.iter().enumerate() {
        if Some(*byte) == quote {
            quoted = !quoted;
        } else if *byte == b'\n' && !quoted {
            left -= 1;
            if left == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Reads a LEB128 number.
fn number(piece: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *piece.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(format: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, Exception> {
        let Fetching::PiecesWithHeader(header) = fetching(format) else { panic!("{format} has no header") };
        let mut trimmer = Trimmer::new(header);
        let mut whole = Vec::new();
        for piece in pieces {
            whole.extend_from_slice(&piece[trimmer.repeated(piece)?..]);
        }
        Ok(whole)
    }

    #[test]
    fn repeated_headers_are_taken_off() {
        assert_eq!(
            joined("CSVWithNames", &[b"\"a\n\"\"b\"\n1\n", b"\"a\n\"\"b\"\n2\n"]).unwrap(),
            b"\"a\n\"\"b\"\n1\n2\n"
        );
        assert_eq!(
            joined("TSVWithNamesAndTypes", &[b"a\nInt8\n1\n", b"a\nInt8\n2\n"]).unwrap(),
            b"a\nInt8\n1\n2\n"
        );
        assert_eq!(
            joined("RowBinaryWithNamesAndTypes", &[b"\x01\x01a\x05UInt8\x01", b"\x01\x01a\x05UInt8\x02"])
                .unwrap(),
            b"\x01\x01a\x05UInt8\x01\x02"
        );
    }

    #[test]
    fn a_piece_without_the_header_is_an_error() {
        assert!(joined("TSVWithNames", &[b"a\n1\n", b"2\n"]).is_err());
        assert!(joined("RowBinaryWithNames", &[b"\x02\x01a"]).is_err());
        assert!(joined("RowBinaryWithNames", &[b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]).is_err());
    }
}
