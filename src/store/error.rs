//! What can go wrong between us and ClickHouse, and whether to try again.

use std::time::Duration;

/// ClickHouse's codes that say that the rows themselves are wrong: the same
/// batch will be refused for ever, so it becomes a dead letter. Everything else
/// (no memory, too many parts, a missing table, a wrong password) can be put
/// right by time or by the operator, and a batch waits for that.
/// Numbers from ClickHouse's `ErrorCodes.cpp`.
const DATA_FAULTS: &[u32] = &[
    6,   // CANNOT_PARSE_TEXT
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    32,  // ATTEMPT_TO_READ_AFTER_EOF
    33,  // CANNOT_READ_ALL_DATA
    69,  // ARGUMENT_OUT_OF_BOUND
    70,  // CANNOT_CONVERT_TYPE
    117, // INCORRECT_DATA
    128, // TOO_LARGE_ARRAY_SIZE
    131, // TOO_LARGE_STRING_SIZE
    469, // VIOLATED_CONSTRAINT
    691, // UNKNOWN_ELEMENT_OF_ENUM
];

/// A message is cut here: the rest is a stack of "while executing".
const MAX_MESSAGE_BYTES: usize = 600;

/// Why storage did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection, or it broke: the outcome of a write is unknown.
    #[error("storage cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time: the outcome of a write is unknown.
    #[error("storage did not answer within {} s", after.as_secs())]
    TimedOut { after: Duration },
    /// ClickHouse answered with an exception.
    #[error("storage refused with code {code}{}{message}", if message.is_empty() { "" } else { ": " })]
    Refused { code: u32, message: String },
    /// The answer is not what was asked for.
    #[error("the answer of storage cannot be read: {0}")]
    Unreadable(String),
    /// A migration that was applied before has since been changed.
    #[error("migration {number} was applied with another text than this version has")]
    ChangedMigration { number: u32 },
    /// The database was made by a newer version.
    #[error("the database has migration {number}, which this version does not know")]
    NewerDatabase { number: u32 },
    /// Settings on which the promises rest are wrong, one line each.
    #[error("wrong settings in storage:\n{}", .0.join("\n"))]
    Settings(Vec<String>),
}

// === impl StorageError ===

impl StorageError {
    /// Whether the same request can succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            StorageError::Unreachable(_) | StorageError::TimedOut { .. } | StorageError::Unreadable(_) => {
                true
            }
            StorageError::Refused { code, .. } => !DATA_FAULTS.contains(code),
            StorageError::ChangedMigration { .. }
            | StorageError::NewerDatabase { .. }
            | StorageError::Settings(_) => false,
        }
    }

    /// ClickHouse's code, if it answered with an exception.
    pub fn code(&self) -> Option<u32> {
        match self {
            StorageError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The error of an insert: without the text, which may quote the rows.
    pub(super) fn of_insert(error: clickhouse::error::Error) -> StorageError {
        StorageError::from(error).without_text()
    }

    /// Only what ClickHouse calls the error: its text may quote values.
    pub(super) fn without_text(self) -> StorageError {
        match self {
            StorageError::Refused { code, message } => {
                StorageError::Refused { code, message: name_of_error(&message).to_owned() }
            }
            other => other,
        }
    }
}

impl From<clickhouse::error::Error> for StorageError {
    fn from(error: clickhouse::error::Error) -> StorageError {
        use clickhouse::error::Error;
        match error {
            Error::BadResponse(text) => match code_of(&text) {
                Some(code) => StorageError::Refused { code, message: message_of(&text) },
                None => StorageError::Unreachable(cut(&text).to_owned()),
            },
            Error::Network(source) => {
                let mut text = source.to_string();
                let mut cause = source.source();
                while let Some(error) = cause {
                    text = format!("{text}: {error}");
                    cause = error.source();
                }
                StorageError::Unreachable(text)
            }
            Error::TimedOut => StorageError::TimedOut { after: super::INSERT_TIMEOUT },
            other => StorageError::Unreadable(other.to_string()),
        }
    }
}

/// `Code: 241. DB::Exception: …` → 241
fn code_of(text: &str) -> Option<u32> {
    let rest = text.split_once("Code: ")?.1;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// The text of the exception without its code and the version.
fn message_of(text: &str) -> String {
    // The embedded engine prefixes the exception twice.
    let mut text = text;
    while let Some(("", rest)) = text.split_once("Code: ")
        && let Some((_, rest)) = rest.split_once("DB::Exception: ")
    {
        text = rest;
    }
    let text = text.split(" (version ").next().unwrap_or(text);
    cut(text).trim_end().to_owned()
}

/// `… (MEMORY_LIMIT_EXCEEDED)` → `MEMORY_LIMIT_EXCEEDED`
fn name_of_error(message: &str) -> &str {
    let name = |(_, rest): (&str, &'_ str)| -> Option<usize> {
        let end = rest.find(')')?;
        let upper = rest[..end].bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        upper.then_some(end)
    };
    message.rsplit_once('(').and_then(|parts| name(parts).map(|end| &parts.1[..end])).unwrap_or("")
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> StorageError {
        clickhouse::error::Error::BadResponse(text.to_owned()).into()
    }

    #[test]
    fn an_exception_keeps_its_code_and_text_without_the_version() {
        let error = refused(
            "Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED) (version 26.7.2.1 (official build))",
        );
        assert_eq!(
            error.to_string(),
            "storage refused with code 241: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"
        );
        assert!(error.is_retryable());
    }

    #[test]
    fn an_insert_is_given_up_only_when_its_rows_are_wrong() {
        for (code, retryable) in
            [(33, false), (117, false), (60, true), (241, true), (252, true), (516, true)]
        {
            assert_eq!(
                refused(&format!("Code: {code}. DB::Exception: x")).is_retryable(),
                retryable,
                "{code}"
            );
        }
        assert!(refused("502 Bad Gateway").is_retryable());
    }

    #[test]
    fn the_error_of_an_insert_does_not_quote_rows() {
        let text =
            "Code: 117. DB::Exception: Cannot read 'Ivanova 192.0.2.1'. (INCORRECT_DATA) (version 26.7)";
        let error = StorageError::of_insert(clickhouse::error::Error::BadResponse(text.to_owned()));
        assert_eq!(error.to_string(), "storage refused with code 117: INCORRECT_DATA");
    }
}
