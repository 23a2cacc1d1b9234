//! One statement, from its request to its answer, on a thread that may block.
//!
//! In: a [`Request`] and its body. Out: the response's head through a channel,
//! and its body piece by piece behind it.
//!
//! Invariants: an answer of status 200 that fails later says so in its body as
//! ClickHouse does (the block that `X-ClickHouse-Exception-Tag` announces) and
//! breaks its connection; the first piece is held until the second is there,
//! so that a statement that fails early has its own status.
//!
//! Limits: a statement's text is at most [`MAX_STATEMENT_BYTES`] (rows of an
//! INSERT do not count), an answer under `wait_end_of_query=1`
//! [`MAX_WAITED_BYTES`].

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use tokio::sync::oneshot;

use super::body::{self, AnswerBody, BodyReader, Breaker};
use super::codec::{BlockReader, BlockWriter, Sink, exception_of};
use super::exception::{Code, Exception};
use super::form;
use super::library::{Answer, Connection};
use super::pieces::{self, Fetching, Trimmer};
use super::request::Request;
use super::session::Sessions;
use super::statement::{self, Kind, Output};

/// Long lists of ids fit; a body without a statement does not fill the memory.
pub const MAX_STATEMENT_BYTES: usize = 16 << 20;
/// What is read before a statement is classified for the first time.
const FIRST_READ_BYTES: usize = 4 << 10;
/// Rows are given to the engine in pieces of this size.
const INSERT_PIECE_BYTES: usize = 256 << 10;
/// ClickHouse would spill such an answer to disk; here it is refused.
const MAX_WAITED_BYTES: usize = 256 << 20;
/// The format of an answer when neither request nor statement names one.
const DEFAULT_FORMAT: &str = "TabSeparated";

/// What all statements share.
pub struct Core {
    pub sessions: Sessions,
    /// `version()` of the engine.
    pub version: String,
    pub timezone: String,
    pub display_name: String,
}

/// One statement under way.
struct Statement<'a> {
    core: &'a Core,
    request: &'a Request,
    query_id: String,
    begun: Instant,
    breaker: Arc<Breaker>,
    head: Option<oneshot::Sender<Response<AnswerBody>>>,
    summary: Summary,
}

#[derive(Default)]
struct Summary {
    read: (u64, u64),
    written: (u64, u64),
    result: (u64, u64),
}

/// Runs a request's statement. Every path sends a head exactly once, unless
/// the client is gone.
pub fn run(
    core: &Core,
    mut request: Request,
    body: BodyReader,
    breaker: Arc<Breaker>,
    head: oneshot::Sender<Response<AnswerBody>>,
) {
    let query_id = request.query_id.clone().unwrap_or_else(random_id);
    let read = read_statement(&mut request, body);
    let mut statement = Statement {
        core,
        request: &request,
        query_id,
        begun: Instant::now(),
        breaker,
        head: Some(head),
        summary: Summary::default(),
    };
    let outcome = read.and_then(|read| statement.execute(read));
    if let Err(exception) = outcome {
        statement.fail(&exception);
    }
    if let Some(session) = request.session.as_ref().filter(|session| session.close) {
        core.sessions.close(session);
    }
}

/// An exception as a response by itself.
pub fn failure(exception: &Exception, version: &str, display_name: &str) -> Response<AnswerBody> {
    let mut text = exception.with_version(version);
    text.push('\n');
    Response::builder()
        .status(exception.status())
        .header(header::CONTENT_TYPE, "text/plain; charset=UTF-8")
        .header("X-ClickHouse-Server-Display-Name", display_name)
        .header("X-ClickHouse-Exception-Code", exception.code)
        .body(AnswerBody::ready(text))
        .expect("names and values are valid")
}

// === reading ===

/// A statement's text, what it is, and the rest of the body behind it.
struct Text {
    text: Vec<u8>,
    kind: Kind,
    rest: Box<dyn Read + Send>,
}

fn read_statement(request: &mut Request, body: BodyReader) -> Result<Text, Exception> {
    let mut rest: Box<dyn Read + Send> = match request.body_coding {
        Some(coding) => coding.reader(body)?,
        None => Box::new(body),
    };
    if request.decompress {
        rest = Box::new(BlockReader::new(rest));
    }
    if let Some(boundary) = request.boundary.clone() {
        let mut bytes = Vec::new();
        read_up_to(&mut rest, &mut bytes, form::MAX_FORM_BYTES + 1)?;
        if bytes.len() > form::MAX_FORM_BYTES {
            return Err(too_large(form::MAX_FORM_BYTES));
        }
        for (name, value) in form::fields(&bytes, &boundary)? {
            if name == "query" {
                request.query.push_str(&String::from_utf8_lossy(&value));
            } else {
                request.add(name, value)?;
            }
        }
        let text = std::mem::take(&mut request.query).into_bytes();
        return Ok(Text { kind: statement::classify(&text), text, rest: Box::new(std::io::empty()) });
    }
    let mut text = std::mem::take(&mut request.query).into_bytes();
    if !text.is_empty() {
        if let kind @ Kind::Insert { .. } = statement::classify(&text) {
            // The URL says it all: the body is rows from its first byte on.
            return Ok(Text { text, kind, rest });
        }
        text.push(b'\n');
    }
    let mut wanted = text.len() + FIRST_READ_BYTES;
    loop {
        let ended = read_up_to(&mut rest, &mut text, wanted)?;
        let kind = statement::classify(&text);
        // A name that ends with the bytes may go on in the next ones.
        let settled = matches!(&kind, Kind::Insert { data, .. } if *data < text.len());
        if ended || settled {
            return Ok(Text { text, kind, rest });
        }
        if text.len() > MAX_STATEMENT_BYTES {
            return Err(too_large(MAX_STATEMENT_BYTES));
        }
        wanted = text.len() * 2;
    }
}

/// Reads until `bytes` has `wanted` bytes; `true` at the end of the body.
fn read_up_to(rest: &mut impl Read, bytes: &mut Vec<u8>, wanted: usize) -> Result<bool, Exception> {
    let missing = wanted.saturating_sub(bytes.len());
    let read = rest.take(missing as u64).read_to_end(bytes).map_err(|error| exception_of(&error))?;
    Ok(read < missing)
}

fn too_large(limit: usize) -> Exception {
    Exception::new(
        Code::QueryIsTooLarge,
        format_args!(
            "the statement is larger than {limit} bytes; the rows of an INSERT come after FORMAT or VALUES"
        ),
    )
}

// === impl Statement ===

impl Statement<'_> {
    fn execute(&mut self, Text { text, kind, rest }: Text) -> Result<(), Exception> {
        let (core, request) = (self.core, self.request);
        let stateful = kind == Kind::Session;
        let reads_only = matches!(kind, Kind::Select(_));
        if let Kind::Insert { head, format, data } = kind {
            let lease = core.sessions.lease(request.session.as_ref(), stateful)?;
            let sql = utf8(&text[..head])?;
            let rows = text[data..].chain(rest);
            let answer = lease
                .with(request, reads_only, |connection| insert(connection, sql, &format, request, rows))?;
            self.summary.take(&answer);
            return self.finish(&format, Vec::new());
        }
        if statement::is_empty(&text) {
            return Err(Exception::new(Code::SyntaxError, "Syntax error: Empty query"));
        }
        if statement::has_second(&text) {
            return Err(Exception::new(Code::SyntaxError, "Syntax error (Multi-statements are not allowed)"));
        }
        let sql = utf8(&text)?;
        let default_format = request.default_format.as_deref();
        let lease = core.sessions.lease(request.session.as_ref(), stateful)?;
        let (output, streamable) = match kind {
            Kind::InsertOther { complete: false } => {
                let format = default_format.unwrap_or("Values");
                let answer = lease.with(request, reads_only, |connection| {
                    insert(
                        connection,
                        sql.trim_end().trim_end_matches(';'),
                        format,
                        request,
                        std::io::empty(),
                    )
                })?;
                self.summary.take(&answer);
                return self.finish(format, Vec::new());
            }
            Kind::InsertOther { .. } if statement::calls_input(&text) => {
                return Err(Exception::new(
                    Code::NotImplemented,
                    "The table function 'input' is not supported by the embedded engine",
                ));
            }
            Kind::Select(output) => (output, true),
            Kind::Other(output) => (output, false),
            Kind::Insert { .. } | Kind::InsertOther { .. } | Kind::Session => (Output::default(), false),
        };
        let format = output.format.as_deref().or(default_format).unwrap_or(DEFAULT_FORMAT).to_owned();
        let whole = output.whole
            || request.settings.iter().any(|(name, _)| statement::WHOLE_WORDS.contains(&name.as_str()));
        let fetching = match pieces::fetching(&format) {
            _ if whole || !streamable => Fetching::Whole,
            fetching => fetching,
        };
        lease.with(request, reads_only, |connection| match fetching {
            Fetching::Whole => self.answer_whole(connection, sql, &format),
            Fetching::Pieces | Fetching::PiecesWithHeader(_) => {
                let trimmer = match fetching {
                    Fetching::PiecesWithHeader(header) => Some(Trimmer::new(header)),
                    _ => None,
                };
                match self.answer_in_pieces(connection, sql, &format, trimmer) {
                    Err(exception) if exception.is_not_streamable() => {
                        self.answer_whole(connection, sql, &format)
                    }
                    outcome => outcome,
                }
            }
        })
    }

    fn answer_whole(
        &mut self,
        connection: &mut Connection,
        sql: &str,
        format: &str,
    ) -> Result<(), Exception> {
        let answer = connection.query(sql, format, &self.request.parameters)?;
        self.summary.take(&answer);
        self.finish(format, vec![Bytes::from_owner(answer)])
    }

    fn answer_in_pieces(
        &mut self,
        connection: &mut Connection,
        sql: &str,
        format: &str,
        mut trimmer: Option<Trimmer>,
    ) -> Result<(), Exception> {
        let mut rows = connection.stream(sql, format, &self.request.parameters)?;
        let mut held: Vec<Bytes> = Vec::new();
        let mut held_bytes = 0;
        let mut output: Option<Writer> = None;
        let outcome = loop {
            let piece = match rows.fetch() {
                Ok(None) => break Ok(()),
                Ok(Some(piece)) => self.summary.piece(piece, trimmer.as_mut()),
                Err(exception) => Err(exception),
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(exception) => break Err(exception),
            };
            if self.request.wait_end_of_query {
                held_bytes += piece.len();
                if held_bytes > MAX_WAITED_BYTES {
                    break Err(Exception::new(
                        Code::TooManyBytes,
                        format_args!(
                            "the answer is larger than {MAX_WAITED_BYTES} bytes, which wait_end_of_query=1 would hold; read it without"
                        ),
                    ));
                }
                held.push(piece);
                continue;
            }
            if output.is_none() {
                if held.is_empty() {
                    held.push(piece);
                    continue;
                }
                match self.start(format) {
                    Some(started) => output = Some(started),
                    None => return Ok(()),
                }
            }
            let Some(writer) = &mut output else { continue };
            for piece in held.drain(..).chain([piece]) {
                if writer.write(piece).is_err() {
                    // The client is gone; dropping `rows` cancels the statement.
                    return Ok(());
                }
            }
        };
        match (output, outcome) {
            (None, Ok(())) => self.finish(format, held),
            (None, Err(exception)) => Err(exception),
            (Some(writer), Ok(())) => {
                let _ = writer.finish();
                Ok(())
            }
            (Some(writer), Err(exception)) => {
                writer.fail(&exception.with_version(&self.core.version));
                Ok(())
            }
        }
    }

    /// Sends the head of an answer whose body follows piece by piece; `None`
    /// when the client is gone.
    fn start(&mut self, format: &str) -> Option<Writer> {
        let (writer, body) = body::outbound(Arc::clone(&self.breaker));
        let tag = random_tag();
        let response = self.response(format, &tag).body(body).expect("names and values are valid");
        self.head.take()?.send(response).ok()?;
        Writer::new(writer, self.request, tag).ok()
    }

    /// Sends an answer that is known in full.
    fn finish(&mut self, format: &str, pieces: Vec<Bytes>) -> Result<(), Exception> {
        if self.request.answer_coding.is_some() || self.request.compress || pieces.len() > 1 {
            let Some(mut writer) = self.start(format) else { return Ok(()) };
            for piece in pieces {
                if writer.write(piece).is_err() {
                    return Ok(());
                }
            }
            let _ = writer.finish();
            return Ok(());
        }
        let body = AnswerBody::ready(pieces.into_iter().next().unwrap_or_default());
        let response = self.response(format, &random_tag()).body(body).expect("names and values are valid");
        if let Some(head) = self.head.take() {
            let _ = head.send(response);
        }
        Ok(())
    }

    /// Sends an exception, when nothing else has been sent.
    fn fail(&mut self, exception: &Exception) {
        let Some(head) = self.head.take() else { return };
        let mut response = failure(exception, &self.core.version, &self.core.display_name);
        if let Ok(id) = self.query_id.parse() {
            response.headers_mut().insert("X-ClickHouse-Query-Id", id);
        }
        let _ = head.send(response);
    }

    fn response(&self, format: &str, tag: &str) -> http::response::Builder {
        let mut response = Response::builder()
            .status(StatusCode::OK)
            .header(header::CONTENT_TYPE, pieces::content_type(format))
            .header("X-ClickHouse-Server-Display-Name", &self.core.display_name)
            .header("X-ClickHouse-Timezone", &self.core.timezone)
            .header("X-ClickHouse-Exception-Tag", tag)
            .header("X-ClickHouse-Summary", self.summary.json(self.begun));
        // Both come from the client and may hold what a header cannot.
        for (name, value) in
            [("X-ClickHouse-Query-Id", self.query_id.as_str()), ("X-ClickHouse-Format", format)]
        {
            if let Ok(value) = http::HeaderValue::from_str(value) {
                response = response.header(name, value);
            }
        }
        match self.request.answer_coding {
            Some(coding) => response.header(header::CONTENT_ENCODING, coding.name()),
            None => response,
        }
    }
}

fn insert(
    connection: &mut Connection,
    sql: &str,
    format: &str,
    request: &Request,
    mut rows: impl Read,
) -> Result<Answer, Exception> {
    let mut insert = connection.insert(sql, format, &request.parameters)?;
    let mut buffer = vec![0; INSERT_PIECE_BYTES];
    loop {
        // An error here drops `insert`, which cancels it.
        match rows.read(&mut buffer).map_err(|error| exception_of(&error))? {
            0 => return insert.done(),
            read if insert.append(&buffer[..read]) => {}
            _ => return insert.done(),
        }
    }
}

// === impl Summary ===

impl Summary {
    fn take(&mut self, answer: &Answer) {
        let (read, written) = (answer.read(), answer.written());
        self.read = (self.read.0 + read.0, self.read.1 + read.1);
        self.written = (self.written.0 + written.0, self.written.1 + written.1);
        self.result = (self.result.0 + answer.rows(), self.result.1 + answer.as_ref().len() as u64);
    }

    /// Counts a piece and takes a repeated header off it.
    fn piece(&mut self, piece: Answer, trimmer: Option<&mut Trimmer>) -> Result<Bytes, Exception> {
        self.take(&piece);
        let repeated = trimmer.map_or(Ok(0), |trimmer| trimmer.repeated(piece.as_ref()))?;
        Ok(Bytes::from_owner(piece).slice(repeated..))
    }

    fn json(&self, begun: Instant) -> String {
        format!(
            concat!(
                r#"{{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}","#,
                r#""total_rows_to_read":"0","result_rows":"{}","result_bytes":"{}","elapsed_ns":"{}"}}"#
            ),
            self.read.0,
            self.read.1,
            self.written.0,
            self.written.1,
            self.result.0,
            self.result.1,
            begun.elapsed().as_nanos()
        )
    }
}

/// An answer's body through the encoders that the request asked for.
struct Writer {
    sink: Plain,
    broken: Arc<std::sync::atomic::AtomicBool>,
    tag: String,
}

enum Plain {
    /// Pieces go as they are.
    Direct(Box<body::BodyWriter>),
    Encoded(Box<dyn Sink + Send>),
}

impl Writer {
    fn new(writer: body::BodyWriter, request: &Request, tag: String) -> std::io::Result<Writer> {
        let broken = writer.break_at_end();
        let sink = match (request.answer_coding, request.compress) {
            (None, false) => Plain::Direct(Box::new(writer)),
            (Some(coding), false) => Plain::Encoded(coding.writer(Box::new(writer))?),
            (None, true) => Plain::Encoded(Box::new(BlockWriter::new(Box::new(writer)))),
            (Some(coding), true) => {
                Plain::Encoded(Box::new(BlockWriter::new(coding.writer(Box::new(writer))?)))
            }
        };
        Ok(Writer { sink, broken, tag })
    }

    fn write(&mut self, piece: Bytes) -> std::io::Result<()> {
        match &mut self.sink {
            Plain::Direct(writer) => writer.send(piece),
            Plain::Encoded(sink) => sink.write_all(&piece),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self.sink {
            Plain::Direct(writer) => writer.finish(),
            Plain::Encoded(sink) => sink.finish(),
        }
    }

    /// Ends the answer with an exception, in a block that clients look for,
    /// and breaks the connection for those that do not.
    fn fail(mut self, text: &str) {
        self.broken.store(true, Ordering::Release);
        if let Plain::Encoded(sink) = &mut self.sink
            && sink.flush().is_err()
        {
            return;
        }
        let tag = &self.tag;
        let block =
            format!("\r\n__exception__\r\n{tag}\r\n{text}\n{} {tag}\r\n__exception__\r\n", text.len() + 1);
        if self.write(Bytes::from(block)).is_ok() {
            let _ = self.finish();
        }
    }
}

fn utf8(text: &[u8]) -> Result<&str, Exception> {
    std::str::from_utf8(text).map_err(|error| {
        Exception::new(Code::SyntaxError, format_args!("the statement is not UTF-8: {error}"))
    })
}

/// A query id in the form of a UUID.
fn random_id() -> String {
    let bytes = random();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Sixteen letters that no data holds by chance.
fn random_tag() -> String {
    random().iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random bytes");
    bytes
}
