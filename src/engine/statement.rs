//! What the HTTP side must know of a statement before the engine parses it:
//! whether it inserts rows that follow, in which format it asks for its answer,
//! and whether it changes its session.
//!
//! In: the first bytes of a statement. Out: [`Kind`], by a lexer that knows
//! ClickHouse's comments, quotes, heredocs and brackets and nothing else; the
//! engine's parser has the last word on everything.
//!
//! Invariant: where the data of an INSERT begins is ClickHouse's rule: after
//! `FORMAT name`, blanks and at most one line end; after `VALUES`, at once.

/// What a statement is, as far as serving it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `INSERT … FORMAT name` or `INSERT … VALUES`: rows follow.
    Insert {
        /// The statement without `FORMAT name` or `VALUES`: `text[..head]`.
        head: usize,
        format: String,
        /// Where the rows begin.
        data: usize,
    },
    /// An INSERT without inline rows: from a SELECT, or cut before its rows were named.
    InsertOther {
        /// `SELECT`, `WITH`, `FROM INFILE`, `WATCH` was seen: no rows can follow.
        complete: bool,
    },
    /// `SET`, `USE`, `CREATE TEMPORARY TABLE`: acts on the session.
    Session,
    /// A statement that the library can answer in pieces.
    Select(Output),
    /// Everything else.
    Other(Output),
}

/// How a statement wants its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The name after `FORMAT`, when the statement names one.
    pub format: Option<String>,
    /// A word of the statement after which the pieces of the library's stream
    /// do not add up to the whole answer ([`WHOLE_WORDS`]).
    pub whole: bool,
}

/// Words that make an answer more than the sum of its pieces: totals and
/// extremes follow the rows in a block of their own, whose piece repeats the
/// format's header in the middle; the others change what a format puts around rows.
pub const WHOLE_WORDS: &[&str] = &[
    "totals",
    "extremes",
    "output_format_json_array_of_rows",
    "output_format_binary_encode_types_in_binary_format",
    "outfile",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A quoted identifier, a string, a number: one thing without meaning here.
    Thing,
    Open,
    Close,
    Semicolon,
    Other,
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

/// Whether another statement follows a semicolon; ClickHouse's HTTP interface
/// takes one statement.
pub fn has_second(text: &[u8]) -> bool {
    let mut lexer = Lexer { text, at: 0 };
    let (mut any, mut ended) = (false, false);
    while let Some((token, _)) = lexer.next() {
        match token {
            Token::Semicolon => ended = any,
            _ if ended => return true,
            _ => any = true,
        }
    }
    false
}

/// Whether there is no statement at all.
pub fn is_empty(text: &[u8]) -> bool {
    let mut lexer = Lexer { text, at: 0 };
    !std::iter::from_fn(|| lexer.next()).any(|(token, _)| token != Token::Semicolon)
}

/// Whether the statement calls the table function `input`, which would read
/// the rows from the standard input of the process.
pub fn calls_input(text: &[u8]) -> bool {
    let mut lexer = Lexer { text, at: 0 };
    let mut input = false;
    while let Some((token, _)) = lexer.next() {
        if input && token == Token::Open {
            return true;
        }
        input = matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("input"));
    }
    false
}

/// Classifies a statement by its text, or by a beginning of it.
pub fn classify(text: &[u8]) -> Kind {
    let mut lexer = Lexer { text, at: 0 };
    let mut first = None;
    while let Some((token, _)) = lexer.next() {
        match token {
            Token::Open | Token::Semicolon => {}
            Token::Word(word) => {
                first = Some(word.to_ascii_lowercase());
                break;
            }
            _ => break,
        }
    }
    match first.as_deref() {
        Some("insert") => classify_insert(lexer),
        Some("set" | "use") => Kind::Session,
        Some("create" | "replace") => {
            let mut rest = Lexer { text, at: lexer.at };
            let temporary = (0..3).any(|_| {
                matches!(rest.next(), Some((Token::Word(word), _)) if word.eq_ignore_ascii_case("temporary"))
            });
            if temporary { Kind::Session } else { Kind::Other(output(Lexer { text, at: 0 })) }
        }
        Some("select" | "with" | "from") => Kind::Select(output(Lexer { text, at: 0 })),
        _ => Kind::Other(output(Lexer { text, at: 0 })),
    }
}

fn classify_insert(mut lexer: Lexer<'_>) -> Kind {
    let mut depth = 0usize;
    // `INSERT INTO [TABLE] name`: the name itself may be any word, `format` too.
    let mut words = 0usize;
    while let Some((token, start)) = lexer.next() {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => {
                words += 1;
                let word = word.to_ascii_lowercase();
                match word.as_str() {
                    "into" | "table" | "function" => {}
                    "values" if words > 1 => {
                        return Kind::Insert { head: start, format: "Values".to_owned(), data: lexer.at };
                    }
                    "format" if words > 1 => {
                        let mut rest = Lexer { text: lexer.text, at: lexer.at };
                        match rest.next() {
                            // A name that touches the end may go on in what is not read yet.
                            Some((Token::Word(name), _)) if rest.at < rest.text.len() => {
                                if name.eq_ignore_ascii_case("values") {
                                    return Kind::Insert {
                                        head: start,
                                        format: "Values".to_owned(),
                                        data: rest.at,
                                    };
                                }
                                return Kind::Insert {
                                    head: start,
                                    format: name.to_owned(),
                                    data: data_start(rest.text, rest.at),
                                };
                            }
                            Some((Token::Word(name), _)) => {
                                return Kind::Insert { head: start, format: name.to_owned(), data: rest.at };
                            }
                            _ => {}
                        }
                    }
                    "select" | "with" | "infile" | "watch" if words > 1 => {
                        return Kind::InsertOther { complete: true };
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    Kind::InsertOther { complete: false }
}

/// Where rows begin after the format's name, which ends at `at`.
fn data_start(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

fn output(mut lexer: Lexer<'_>) -> Output {
    let mut output = Output::default();
    let mut depth = 0usize;
    let mut after_format = false;
    while let Some((token, _)) = lexer.next() {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            Token::Word(word) => {
                if WHOLE_WORDS.iter().any(|whole| word.eq_ignore_ascii_case(whole)) {
                    output.whole = true;
                }
                if depth == 0 && after_format {
                    // `SELECT format FROM …` is a column: a clause ends it. A
                    // later FORMAT wins, so that only the last one counts.
                    output.format = Some(word.to_owned());
                    after_format = false;
                    continue;
                }
                if depth == 0
                    && output.format.is_some()
                    && !word.eq_ignore_ascii_case("settings")
                    && !word.eq_ignore_ascii_case("format")
                {
                    output.format = None;
                }
                after_format = depth == 0 && word.eq_ignore_ascii_case("format");
                if depth == 0 && word.eq_ignore_ascii_case("settings") && output.format.is_some() {
                    // Nothing but settings follows `FORMAT name SETTINGS`.
                    while let Some((token, _)) = lexer.next() {
                        if let Token::Word(word) = token
                            && WHOLE_WORDS.iter().any(|whole| word.eq_ignore_ascii_case(whole))
                        {
                            output.whole = true;
                        }
                    }
                    return output;
                }
                continue;
            }
            Token::Semicolon => {}
            Token::Thing | Token::Other if depth == 0 => output.format = None,
            _ => {}
        }
        after_format = false;
    }
    output
}

// === impl Lexer ===

impl<'a> Lexer<'a> {
    /// The next token and where it starts; comments and blanks are skipped.
    fn next(&mut self) -> Option<(Token<'a>, usize)> {
        self.skip_blanks();
        let start = self.at;
        let byte = *self.text.get(start)?;
        self.at += 1;
        let token = match byte {
            b'(' | b'[' | b'{' => Token::Open,
            b')' | b']' | b'}' => Token::Close,
            b';' => Token::Semicolon,
            b'\'' | b'"' | b'`' => {
                self.skip_quoted(byte);
                Token::Thing
            }
            b'$' => {
                self.skip_heredoc(start);
                Token::Thing
            }
            b'0'..=b'9' => {
                self.skip_word();
                Token::Thing
            }
            _ if is_word(byte) => {
                self.skip_word();
                match std::str::from_utf8(&self.text[start..self.at]) {
                    Ok(word) => Token::Word(word),
                    Err(_) => Token::Thing,
                }
            }
            _ => Token::Other,
        };
        Some((token, start))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            match rest {
                [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => self.at += 1,
                [b'-', b'-', ..] | [b'#', b' ', ..] | [b'#', b'!', ..] => {
                    self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                [b'/', b'*', ..] => {
                    let end = rest[2..].windows(2).position(|pair| pair == b"*/");
                    self.at += end.map_or(rest.len(), |end| end + 4);
                }
                _ => return,
            }
        }
    }

    fn skip_quoted(&mut self, quote: u8) {
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            match *byte {
                b'\\' => self.at += 1,
                byte if byte == quote => {
                    if self.text.get(self.at) != Some(&quote) {
                        break;
                    }
                    self.at += 1;
                }
                _ => {}
            }
        }
        self.at = self.at.min(self.text.len());
    }

    /// `$tag$ … $tag$`; a lone `$` is one token.
    fn skip_heredoc(&mut self, start: usize) {
        let rest = &self.text[start + 1..];
        let Some(tag) = rest.iter().position(|byte| *byte == b'$') else { return };
        if !rest[..tag].iter().all(|byte| is_word(*byte)) {
            return;
        }
        let mark = &self.text[start..start + tag + 2];
        let body = start + mark.len();
        let end = self.text[body..].windows(mark.len()).position(|window| window == mark);
        self.at = end.map_or(self.text.len(), |end| body + end + mark.len());
    }

    fn skip_word(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| is_word(*byte)) {
            self.at += 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(text: &str) -> (String, String, String) {
        match classify(text.as_bytes()) {
            Kind::Insert { head, format, data } => {
                (text[..head].trim().to_owned(), format, text[data..].to_owned())
            }
            other => panic!("{text:?} is {other:?}"),
        }
    }

    #[test]
    fn an_insert_ends_where_its_rows_begin() {
        for (text, head, format, data) in [
            ("INSERT INTO t FORMAT CSV\n1,2", "INSERT INTO t", "CSV", "1,2"),
            ("INSERT INTO t FORMAT CSV  \r\n\n1", "INSERT INTO t", "CSV", "\n1"),
            ("insert into t(a, b) format RowBinary \u{1}", "insert into t(a, b)", "RowBinary", "\u{1}"),
            ("INSERT INTO t VALUES (1), (2)", "INSERT INTO t", "Values", " (1), (2)"),
            ("INSERT INTO t FORMAT Values (1)", "INSERT INTO t", "Values", " (1)"),
            (
                "/* c */ INSERT INTO `format` (`values`, \"select\") SETTINGS a=1 -- FORMAT X\n FORMAT Native\nx",
                "/* c */ INSERT INTO `format` (`values`, \"select\") SETTINGS a=1 -- FORMAT X",
                "Native",
                "x",
            ),
            (
                "INSERT INTO FUNCTION file('x FORMAT y', CSV) FORMAT TSV\n",
                "INSERT INTO FUNCTION file('x FORMAT y', CSV)",
                "TSV",
                "",
            ),
            ("INSERT INTO t FORMAT JSONEachRow", "INSERT INTO t", "JSONEachRow", ""),
        ] {
            assert_eq!(insert(text), (head.to_owned(), format.to_owned(), data.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn other_inserts_carry_no_rows() {
        assert_eq!(classify(b"INSERT INTO t SELECT 1"), Kind::InsertOther { complete: true });
        assert_eq!(classify(b"INSERT INTO t (a) WITH 1 AS x SELECT x"), Kind::InsertOther { complete: true });
        assert_eq!(classify(b"INSERT INTO t"), Kind::InsertOther { complete: false });
    }

    #[test]
    fn the_format_of_an_answer_is_the_last_clause() {
        for (text, format) in [
            ("SELECT 1", None),
            ("SELECT 1 FORMAT JSON", Some("JSON")),
            ("SELECT 1 format JSON SETTINGS max_threads = 1", Some("JSON")),
            ("SELECT 1 SETTINGS max_threads = 1 FORMAT JSON;", Some("JSON")),
            ("SELECT format FROM t", None),
            ("SELECT 'FORMAT JSON'", None),
            ("SELECT format AS x FROM (SELECT 1 FORMAT JSON)", None),
            ("SELECT 1 -- FORMAT JSON", None),
            ("SELECT 1 FORMAT /* x */ CSV -- done", Some("CSV")),
            ("SELECT $$ FORMAT JSON $$", None),
        ] {
            match classify(text.as_bytes()) {
                Kind::Select(output) => assert_eq!(output.format.as_deref(), format, "{text:?}"),
                other => panic!("{text:?} is {other:?}"),
            }
        }
    }

    #[test]
    fn answers_with_totals_go_whole() {
        let whole = |text: &str| match classify(text.as_bytes()) {
            Kind::Select(output) => output.whole,
            other => panic!("{text:?} is {other:?}"),
        };
        assert!(whole("SELECT a FROM t GROUP BY a WITH TOTALS"));
        assert!(whole("SELECT a FROM t FORMAT TSV SETTINGS extremes = 1"));
        assert!(!whole("SELECT 'WITH TOTALS'"));
    }

    #[test]
    fn statements_of_the_session_are_seen() {
        for text in
            ["SET a = 1", "use x", "CREATE TEMPORARY TABLE t (a Int8)", "CREATE OR REPLACE TEMPORARY TABLE t"]
        {
            assert_eq!(classify(text.as_bytes()), Kind::Session, "{text}");
        }
        assert!(matches!(classify(b"CREATE TABLE temporary (a Int8)"), Kind::Other(_) | Kind::Session));
        assert!(matches!(classify(b"SHOW TABLES FORMAT JSON"), Kind::Other(Output { format: Some(_), .. })));
    }

    #[test]
    fn a_second_statement_is_seen() {
        for (text, second) in [
            ("SELECT 1", false),
            ("SELECT 1; -- done", false),
            (";; SELECT ';'", false),
            ("DROP TABLE a; DROP TABLE b", true),
        ] {
            assert_eq!(has_second(text.as_bytes()), second, "{text}");
        }
        assert!(calls_input(b"INSERT INTO t SELECT * FROM input('a Int8') FORMAT CSV"));
        assert!(!calls_input(b"INSERT INTO t SELECT input FROM input"));
    }

    #[test]
    fn broken_text_is_survived() {
        for text in [
            "",
            "'",
            "INSERT INTO t FORMAT",
            "SELECT 'a\\",
            "/* open",
            "$x$ open",
            "((((",
            "INSERT",
            "\u{0}\u{1}",
        ] {
            classify(text.as_bytes());
        }
        classify(&[0xff, 0xfe, b'\'', b'\\']);
    }
}
