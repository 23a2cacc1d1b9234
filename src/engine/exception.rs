//! Exceptions as ClickHouse words them, and the HTTP status of each.
//!
//! In: the library's error text (`Code: 60. DB::Exception: … (UNKNOWN_TABLE)`)
//! or a code and a message of our own. Out: code, text and status as a
//! ClickHouse server sends them. The mapping from code to status is that of
//! ClickHouse's HTTP handler.

use http::StatusCode;

/// What went wrong with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    pub code: u16,
    /// `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`, without the version.
    pub text: String,
}

/// The codes that the HTTP side raises by itself, as ClickHouse numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadArguments,
    NotImplemented,
    SyntaxError,
    TooLargeSizeCompressed,
    ChecksumDoesntMatch,
    UnknownCompressionMethod,
    UnknownSetting,
    CannotAllocateMemory,
    TooManySimultaneousQueries,
    NetworkError,
    QueryIsTooLarge,
    Aborted,
    CannotDecompress,
    TooManyBytes,
    SessionNotFound,
    SessionIsLocked,
    InvalidSessionTimeout,
    AuthenticationFailed,
    UnknownException,
}

// === impl Code ===

impl Code {
    fn number_and_name(self) -> (u16, &'static str) {
        match self {
            Code::BadArguments => (36, "BAD_ARGUMENTS"),
            Code::TooLargeSizeCompressed => (39, "TOO_LARGE_SIZE_COMPRESSED"),
            Code::ChecksumDoesntMatch => (40, "CHECKSUM_DOESNT_MATCH"),
            Code::NotImplemented => (48, "NOT_IMPLEMENTED"),
            Code::SyntaxError => (62, "SYNTAX_ERROR"),
            Code::UnknownCompressionMethod => (89, "UNKNOWN_COMPRESSION_METHOD"),
            Code::UnknownSetting => (115, "UNKNOWN_SETTING"),
            Code::CannotAllocateMemory => (173, "CANNOT_ALLOCATE_MEMORY"),
            Code::TooManySimultaneousQueries => (202, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            Code::NetworkError => (210, "NETWORK_ERROR"),
            Code::QueryIsTooLarge => (229, "QUERY_IS_TOO_LARGE"),
            Code::Aborted => (236, "ABORTED"),
            Code::CannotDecompress => (271, "CANNOT_DECOMPRESS"),
            Code::TooManyBytes => (307, "TOO_MANY_BYTES"),
            Code::SessionNotFound => (372, "SESSION_NOT_FOUND"),
            Code::SessionIsLocked => (373, "SESSION_IS_LOCKED"),
            Code::InvalidSessionTimeout => (374, "INVALID_SESSION_TIMEOUT"),
            Code::AuthenticationFailed => (516, "AUTHENTICATION_FAILED"),
            Code::UnknownException => (1002, "UNKNOWN_EXCEPTION"),
        }
    }
}

// === impl Exception ===

impl Exception {
    /// An exception of the HTTP side.
    pub fn new(code: Code, message: impl std::fmt::Display) -> Exception {
        let (code, name) = code.number_and_name();
        Exception { code, text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }

    /// Reads the library's error text. The version at its end, which only some
    /// of the library's paths add, is taken off.
    pub fn from_engine(text: String) -> Exception {
        let mut text = text.trim_end();
        if let Some(start) = text.rfind(" (version ")
            && text.ends_with(')')
            && !text[start..].contains('\n')
        {
            text = &text[..start];
        }
        match text.strip_prefix("Code: ").and_then(|rest| rest.split_once('.')).map(|(code, _)| code.parse())
        {
            Some(Ok(code)) => Exception { code, text: text.to_owned() },
            _ => Exception::new(Code::UnknownException, text.trim_end_matches('.')),
        }
    }

    /// The library returned no result at all.
    pub fn without_answer() -> Exception {
        Exception::new(Code::UnknownException, "the engine gave no answer")
    }

    /// The library can stream only SELECTs and says so before it runs anything.
    pub fn is_not_streamable(&self) -> bool {
        self.code == 36 && self.text.contains("Streaming query is not supported for query")
    }

    /// The text as a server sends it, in one paragraph with its version.
    pub fn with_version(&self, version: &str) -> String {
        format!("{} (version {version} (official build))", self.text)
    }

    /// The HTTP status that ClickHouse gives to this code.
    pub fn status(&self) -> StatusCode {
        match self.code {
            194 => StatusCode::UNAUTHORIZED,
            192 | 193 | 497 | 516 => StatusCode::FORBIDDEN,
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168
            | 223 | 321 | 376 | 427 | 441 | 675 | 676 => StatusCode::BAD_REQUEST,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 139 | 152 | 336 => StatusCode::NOT_FOUND,
            229 => StatusCode::PAYLOAD_TOO_LARGE,
            48 => StatusCode::NOT_IMPLEMENTED,
            76 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
            381 => StatusCode::LENGTH_REQUIRED,
            159 => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_text_and_the_version_is_taken_off() {
        let read = |text: &str| Exception::from_engine(text.to_owned());
        assert_eq!(
            read("Code: 60. DB::Exception: Table default.x does not exist. (UNKNOWN_TABLE)"),
            Exception {
                code: 60,
                text: "Code: 60. DB::Exception: Table default.x does not exist. (UNKNOWN_TABLE)".into()
            }
        );
        let with = read("Code: 469. DB::Exception: violated. (VIOLATED_CONSTRAINT) (version 26.7.2.1)");
        assert_eq!(with.text, "Code: 469. DB::Exception: violated. (VIOLATED_CONSTRAINT)");
        assert_eq!(
            with.with_version("26.7.2.1"),
            "Code: 469. DB::Exception: violated. (VIOLATED_CONSTRAINT) (version 26.7.2.1 (official build))"
        );
        assert_eq!(read("out of luck").code, 1002);
        assert_eq!(read("Code: many. DB").code, 1002);
    }

    #[test]
    fn statuses_are_those_of_clickhouse() {
        for (code, status) in
            [(60, 404), (62, 400), (516, 403), (48, 501), (159, 408), (241, 500), (164, 500)]
        {
            assert_eq!(Exception { code, text: String::new() }.status().as_u16(), status, "code {code}");
        }
    }
}
