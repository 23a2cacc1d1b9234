//! The parameters of one HTTP request, sorted by what they are.
//!
//! In: method, URL and headers. Out: a [`Request`]: credentials, query text,
//! database, formats, query parameters, settings of the engine, and the
//! settings of the HTTP interface itself, which the engine must not see.
//!
//! Limits: a URL is at most 64 KiB (hyper's bound on a URI); at most
//! [`MAX_SETTINGS`] settings and [`MAX_PARAMETERS`] query parameters.

use http::request::Parts;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;

use super::codec::Coding;
use super::exception::{Code, Exception};
use super::library::Parameters;

/// More settings than any client sends; each is a word of one SET statement.
pub const MAX_SETTINGS: usize = 256;
/// A statement with more placeholders than this is made by mistake.
pub const MAX_PARAMETERS: usize = 4096;
/// ClickHouse's default for how long an idle session is kept, and its upper bound.
const SESSION_SECONDS: u64 = 60;
const MAX_SESSION_SECONDS: u64 = 3600;
/// The longest session id; a UUID has 36 bytes.
const MAX_SESSION_ID_BYTES: usize = 256;
/// Parameters of the HTTP interface that mean nothing here or are read elsewhere.
const IGNORED: &[&str] = &[
    "",
    "quota_key",
    "stacktrace",
    "buffer_size",
    "client_protocol_version",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "http_response_headers",
    "cancel_http_readonly_queries_on_client_close",
    "add_http_cors_header",
    "http_zlib_compression_level",
];

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub user: String,
    pub password: Vec<u8>,
    /// `query=` of the URL; the body follows it.
    pub query: String,
    pub database: Option<String>,
    pub default_format: Option<String>,
    pub query_id: Option<String>,
    pub parameters: Parameters,
    /// Settings of the engine for this statement only, in the order given.
    pub settings: Vec<(String, String)>,
    pub session: Option<Session>,
    pub wait_end_of_query: bool,
    /// The answer goes in native blocks.
    pub compress: bool,
    /// The body comes in native blocks.
    pub decompress: bool,
    pub body_coding: Option<Coding>,
    pub answer_coding: Option<Coding>,
    /// The boundary of a `multipart/form-data` body.
    pub boundary: Option<String>,
}

/// The session that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    pub seconds: u64,
    /// It must exist already.
    pub check: bool,
    pub close: bool,
}

// === impl Request ===

impl Request {
    /// Sorts the parameters of a request.
    pub fn read(parts: &Parts) -> Result<Request, Exception> {
        let header = |name: &str| text(&parts.headers, name);
        let mut request = Request {
            user: String::new(),
            password: Vec::new(),
            query: String::new(),
            database: header("x-clickhouse-database").filter(|name| !name.is_empty()),
            default_format: header("x-clickhouse-format").filter(|name| !name.is_empty()),
            query_id: header("x-clickhouse-query-id").filter(|id| !id.is_empty()),
            parameters: Vec::new(),
            settings: Vec::new(),
            session: None,
            wait_end_of_query: false,
            compress: false,
            decompress: false,
            body_coding: Coding::of_request(&header("content-encoding").unwrap_or_default())?,
            answer_coding: None,
            boundary: boundary(&parts.headers)?,
        };
        let mut http_compression = true;
        let mut session_id = None;
        let (mut seconds, mut check, mut close) = (SESSION_SECONDS, false, false);
        let (mut url_user, mut url_password) = (None, None);
        for (name, value) in pairs(parts.uri.query().unwrap_or_default()) {
            let text = || String::from_utf8_lossy(&value).into_owned();
            match name.as_str() {
                "query" => request.query.push_str(&utf8(&name, &value)?),
                "user" => url_user = Some(text()),
                "password" => url_password = Some(value),
                "database" => {
                    request.database = request.database.or_else(|| Some(text()).filter(|t| !t.is_empty()))
                }
                "default_format" => {
                    request.default_format =
                        request.default_format.or_else(|| Some(text()).filter(|t| !t.is_empty()));
                }
                "query_id" => request.query_id = Some(text()),
                "compress" => request.compress = flag(&name, &value)?,
                "decompress" => request.decompress = flag(&name, &value)?,
                "wait_end_of_query" | "http_wait_end_of_query" => {
                    request.wait_end_of_query |= flag(&name, &value)?
                }
                "enable_http_compression" => http_compression = flag(&name, &value)?,
                "session_id" => session_id = Some(text()),
                "session_timeout" => {
                    seconds = text()
                        .parse()
                        .ok()
                        .filter(|seconds| *seconds <= MAX_SESSION_SECONDS)
                        .ok_or_else(|| {
                            Exception::new(
                                Code::InvalidSessionTimeout,
                                format_args!(
                                    "Invalid session timeout: '{}', at most {MAX_SESSION_SECONDS} is allowed",
                                    text()
                                ),
                            )
                        })?;
                }
                "session_check" => check = flag(&name, &value)?,
                "close_session" => close = flag(&name, &value)?,
                "role" => {
                    return Err(Exception::new(
                        Code::NotImplemented,
                        "The embedded engine has no users and roles; the parameter 'role' is not supported",
                    ));
                }
                _ if IGNORED.contains(&name.as_str()) => {}
                _ => request.add(name, value)?,
            }
        }
        if let Some(id) = session_id.filter(|id| !id.is_empty()) {
            if id.len() > MAX_SESSION_ID_BYTES {
                return Err(Exception::new(
                    Code::BadArguments,
                    format_args!("session_id is longer than {MAX_SESSION_ID_BYTES} bytes"),
                ));
            }
            request.session = Some(Session { id, seconds, check, close });
        }
        if http_compression {
            request.answer_coding = Coding::choose(&header("accept-encoding").unwrap_or_default());
        }
        if parts.method == Method::GET && !request.settings.iter().any(|(name, _)| name == "readonly") {
            // As ClickHouse: a GET may read and may change settings, nothing else.
            request.settings.push(("readonly".to_owned(), "2".to_owned()));
        }
        request.read_credentials(&parts.headers, url_user, url_password)?;
        Ok(request)
    }

    /// Takes a query parameter or a setting, from the URL or from a form.
    pub fn add(&mut self, name: String, value: Vec<u8>) -> Result<(), Exception> {
        if let Some(parameter) = name.strip_prefix("param_") {
            if self.parameters.len() == MAX_PARAMETERS {
                return Err(Exception::new(
                    Code::BadArguments,
                    format_args!("more than {MAX_PARAMETERS} query parameters"),
                ));
            }
            if !self.parameters.iter().any(|(known, _)| known == parameter) {
                self.parameters.push((parameter.to_owned(), value));
            }
            return Ok(());
        }
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        {
            return Err(Exception::new(
                Code::UnknownSetting,
                format_args!("Unknown setting '{}'", name.escape_default()),
            ));
        }
        if self.settings.len() == MAX_SETTINGS {
            return Err(Exception::new(
                Code::BadArguments,
                format_args!("more than {MAX_SETTINGS} settings"),
            ));
        }
        let value = utf8(&name, &value)?;
        self.settings.push((name, value));
        Ok(())
    }

    /// The three ways of ClickHouse's handler, which may not be mixed.
    fn read_credentials(
        &mut self,
        headers: &HeaderMap,
        url_user: Option<String>,
        url_password: Option<Vec<u8>>,
    ) -> Result<(), Exception> {
        let refused = |message: &str| Exception::new(Code::AuthenticationFailed, message);
        let (user, key) = (text(headers, "x-clickhouse-user"), headers.get("x-clickhouse-key"));
        let basic = headers.get(header::AUTHORIZATION);
        let in_headers = user.is_some() || key.is_some();
        let in_url = url_user.is_some() || url_password.is_some();
        if usize::from(in_headers) + usize::from(basic.is_some()) + usize::from(in_url) > 1 {
            return Err(refused(
                "Invalid authentication: it is not allowed to use more than one of X-ClickHouse headers, Authorization header and URL parameters",
            ));
        }
        if let Some(basic) = basic {
            let decoded = basic
                .to_str()
                .ok()
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
                .and_then(|(_, encoded)| base64(encoded.trim()))
                .ok_or_else(|| {
                    refused("Invalid authentication: expected 'Basic' HTTP Authorization scheme")
                })?;
            let colon = decoded.iter().position(|byte| *byte == b':').unwrap_or(decoded.len());
            self.user = String::from_utf8_lossy(&decoded[..colon]).into_owned();
            self.password = decoded.get(colon + 1..).unwrap_or_default().to_vec();
        } else {
            self.user = user.or(url_user).unwrap_or_default();
            self.password = match key {
                Some(key) => key.as_bytes().to_vec(),
                None => url_password.unwrap_or_default(),
            };
        }
        if self.user.is_empty() {
            self.user = "default".to_owned();
        }
        Ok(())
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The boundary of a multipart form, when the body is one.
fn boundary(headers: &HeaderMap) -> Result<Option<String>, Exception> {
    let Some(content_type) = text(headers, "content-type") else { return Ok(None) };
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Ok(None);
    }
    let boundary = content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    });
    match boundary {
        Some(boundary) if !boundary.is_empty() => Ok(Some(boundary)),
        _ => Err(Exception::new(Code::BadArguments, "multipart/form-data without a boundary")),
    }
}

/// The decoded pairs of a URL's query.
fn pairs(query: &str) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
        (String::from_utf8_lossy(&decode(name)).into_owned(), decode(value))
    })
}

fn utf8(name: &str, value: &[u8]) -> Result<String, Exception> {
    String::from_utf8(value.to_vec()).map_err(|_| {
        Exception::new(Code::BadArguments, format_args!("the URL parameter '{name}' is not UTF-8"))
    })
}

fn flag(name: &str, value: &[u8]) -> Result<bool, Exception> {
    match value {
        b"1" | b"true" => Ok(true),
        b"0" | b"false" | b"" => Ok(false),
        _ => Err(Exception::new(
            Code::BadArguments,
            format_args!(
                "the URL parameter '{name}' is '{}', expected 0 or 1",
                String::from_utf8_lossy(value)
            ),
        )),
    }
}

/// Decodes base64 with the standard alphabet; `None` for anything else.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (text.len() % 4 != 1).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Request, Exception> {
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        Request::read(&builder.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn credentials_come_in_three_ways_and_never_in_two() {
        for (uri, headers) in [
            ("/?user=u&password=p%20w", &[][..]),
            ("/", &[("x-clickhouse-user", "u"), ("x-clickhouse-key", "p w")]),
            ("/", &[("authorization", "Basic dTpwIHc=")]),
        ] {
            let request = read("POST", uri, headers).unwrap();
            assert_eq!((request.user.as_str(), request.password.as_slice()), ("u", &b"p w"[..]), "{uri}");
        }
        assert_eq!(read("POST", "/", &[("x-clickhouse-key", "k")]).unwrap().user, "default");
        for (uri, headers) in [
            ("/?user=u", &[("authorization", "Basic dTpw")][..]),
            ("/", &[("authorization", "Basic dTpw"), ("x-clickhouse-key", "p")]),
            ("/", &[("authorization", "Bearer abc")]),
            ("/", &[("authorization", "Basic !!")]),
        ] {
            assert_eq!(read("POST", uri, headers).unwrap_err().code, 516, "{uri}");
        }
    }

    #[test]
    fn parameters_are_sorted_by_what_they_are() {
        let request = read(
            "POST",
            "/?query=SELECT+1&database=d&param_a=x%00y&max_threads=3&compress=1&session_id=s&wait_end_of_query=1",
            &[("accept-encoding", "gzip")],
        )
        .unwrap();
        assert_eq!(request.query, "SELECT 1");
        assert_eq!(request.database.as_deref(), Some("d"));
        assert_eq!(request.parameters, vec![("a".to_owned(), b"x\0y".to_vec())]);
        assert_eq!(request.settings, vec![("max_threads".to_owned(), "3".to_owned())]);
        assert!(request.compress && request.wait_end_of_query && !request.decompress);
        assert_eq!(request.session.unwrap().id, "s");
        assert_eq!(request.answer_coding, Some(Coding::Gzip));
    }

    #[test]
    fn a_get_only_reads() {
        assert_eq!(
            read("GET", "/?query=x", &[]).unwrap().settings,
            vec![("readonly".to_owned(), "2".to_owned())]
        );
        assert_eq!(
            read("GET", "/?readonly=1", &[]).unwrap().settings,
            vec![("readonly".to_owned(), "1".to_owned())]
        );
    }

    #[test]
    fn mistakes_have_their_codes() {
        for (uri, code) in [
            ("/?role=admin", 48),
            ("/?a'b=1", 115),
            ("/?compress=maybe", 36),
            ("/?session_timeout=99999&session_id=x", 374),
        ] {
            assert_eq!(read("POST", uri, &[]).unwrap_err().code, code, "{uri}");
        }
        assert_eq!(read("POST", "/", &[("content-encoding", "snappy")]).unwrap_err().code, 48);
    }
}
