//! A command's side of the control socket.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::{SOCKET_NAME, socket};

/// The longest answer, in bytes: ten thousand rows of a stats question.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A running server.
pub struct Client {
    stream: tokio::net::UnixStream,
}

/// Why a running server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The connection broke.
    #[error("the running server did not answer: {0}")]
    Connection(String),
    /// It answered with this error.
    #[error("{1}")]
    Refused(StatusCode, String),
}

// === impl Client ===

impl Client {
    /// Connects to the server that runs on this data directory; `None` if none does.
    pub fn connect(data_dir: &Path) -> io::Result<Option<Client>> {
        let stream = match socket::connect(&data_dir.join(SOCKET_NAME)) {
            Ok(stream) => stream,
            // Nothing there, or what is left of a server that was killed.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        Ok(Some(Client { stream: tokio::net::UnixStream::from_std(stream)? }))
    }

    /// Asks one thing.
    pub async fn call(self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ControlError> {
        let broke = |error: &dyn std::fmt::Display| ControlError::Connection(error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.stream))
            .await
            .map_err(|error| broke(&error))?;
        let connection = tokio::spawn(connection);
        let bytes = body.map(|value| Bytes::from(value.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "control")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(bytes))
            .map_err(|error| broke(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| broke(&error))?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| broke(&error))?
            .to_bytes();
        connection.abort();
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| broke(&error))?;
        if status.is_success() {
            return Ok(value);
        }
        let text = value["error"].as_str().unwrap_or("the running server refused").to_owned();
        Err(ControlError::Refused(status, text))
    }
}
