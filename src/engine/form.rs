//! `multipart/form-data` bodies: a query and its parameters as fields.
//!
//! In: the whole body, at most [`MAX_FORM_BYTES`]. Out: its fields in order. A
//! field with a file name is an external table, which the engine cannot take:
//! exception 48.

use super::exception::{Code, Exception};

/// Parameters of one statement; clients put long lists of ids here.
pub const MAX_FORM_BYTES: usize = 16 << 20;
/// The most fields of one form.
const MAX_FIELDS: usize = 4096;

/// Splits a body into `(name, value)` fields.
pub fn fields(body: &[u8], boundary: &str) -> Result<Vec<(String, Vec<u8>)>, Exception> {
    let broken = |what: &str| Exception::new(Code::BadArguments, format_args!("multipart/form-data {what}"));
    let mark = format!("--{boundary}");
    let mut rest =
        body.strip_prefix(mark.as_bytes()).ok_or_else(|| broken("does not begin with its boundary"))?;
    let next_mark = format!("\r\n--{boundary}");
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        rest = rest.strip_prefix(b"\r\n").ok_or_else(|| broken("has no line end after its boundary"))?;
        let headers_end =
            find(rest, b"\r\n\r\n").ok_or_else(|| broken("has a field without an end of headers"))?;
        let headers = String::from_utf8_lossy(&rest[..headers_end]).into_owned();
        rest = &rest[headers_end + 4..];
        let end = find(rest, next_mark.as_bytes()).ok_or_else(|| broken("ends without its boundary"))?;
        let name = attribute(&headers, "name").ok_or_else(|| broken("has a field without a name"))?;
        if attribute(&headers, "filename").is_some() {
            return Err(Exception::new(
                Code::NotImplemented,
                format_args!("External tables are not supported by the embedded engine (field '{name}')"),
            ));
        }
        if fields.len() == MAX_FIELDS {
            return Err(broken("has too many fields"));
        }
        fields.push((name, rest[..end].to_vec()));
        rest = &rest[end + next_mark.len()..];
    }
}

/// An attribute of the field's `Content-Disposition`.
fn attribute(headers: &str, name: &str) -> Option<String> {
    headers
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(header, _)| header.trim().eq_ignore_ascii_case("content-disposition"))
        .flat_map(|(_, value)| value.split(';'))
        .filter_map(|part| part.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_sent() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--b\r\ncontent-disposition: form-data; name=param_x\r\n\r\n\r\n--b--\r\n";
        assert_eq!(
            fields(body, "b").unwrap(),
            vec![("query".to_owned(), b"SELECT 1".to_vec()), ("param_x".to_owned(), Vec::new())]
        );
        assert_eq!(fields(b"--b--\r\n", "b").unwrap(), vec![]);
    }

    #[test]
    fn broken_forms_and_files_are_refused() {
        let code = |body: &[u8]| fields(body, "b").unwrap_err().code;
        assert_eq!(code(b""), 36);
        assert_eq!(code(b"--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nSELECT"), 36);
        assert_eq!(code(b"--b\r\n\r\n\r\nx\r\n--b--"), 36);
        assert_eq!(
            code(b"--b\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--b--"),
            48
        );
    }
}
