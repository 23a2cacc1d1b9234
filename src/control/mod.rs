//! How commands reach a running server: HTTP on `control.sock` (0600) in the
//! data directory. Who may open the socket may do all of this, so it asks for
//! no password.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | what `metka status --json` prints |
//! | `POST /stats` | a stats question, as `/api/v2/query` answers it; with `"report":"funnel"` (`journeys`, `retention`, `live`) as those do; with `?as=viewer`, as a viewer gets it |
//! | `POST /addresses` | a question about addresses, as `/api/v1/addresses` answers it |
//! | `POST /addresses/open` | the address behind a token, as `/api/v1/addresses/open` opens it |
//! | `POST /reload` | configuration and geo data are read again: `{"changed":[…]}` |
//! | `POST /flush` | returns once storage has all that waited when it was asked |
//! | `POST /spool/replay` | `{"id": HEX or null}`: dead letters are sent again: `{"replayed":n,"dead":[…]}` |
//! | `POST /keys` | `{"master_key_file": FILE or null}`: the key ring is read again; or a master key that it is about to be wrapped under is |
//! | `POST /backup` | `{"to": DIR}`: makes a backup there and answers when it is checked |
//! | `POST /subject` | what is to be done about one person ([`crate::subject::job`]) |
//! | `POST /subject/batch` | whom to erase in one order ([`crate::subject::batch`]) |
//! | `POST /disclosure` | what is to be disclosed ([`crate::disclosure::Asked`]): the record and the text |
//! | `POST /fraud/check` | who is to be checked ([`crate::fraud::check`]) |
//! | `POST /case` | whose trail is to be opened ([`crate::case::Asked`]): `{"text": "…"}` in the form asked for |
//! | `POST /incident` | what is asked about incidents ([`crate::incident::Asked`]) |
//! | `POST /retention` | `{"dry_run": bool}`: the retention job runs, after one under way; its report ([`crate::retention::Report`]) |
//! | `POST /policy` | `{"site": ID or null}`: the policy's table, of all sites without one: `{"policy":[…]}` ([`crate::policy::Report`]) |
//! | `POST /report` | a report is sent by mail, or its letter shown ([`crate::report::Asked`]) |
//! | `POST /demo/remove` | `{"removed":n}` |
//!
//! What is privileged is written into the audit trail first, under the name of the
//! system's user at the other end, and is not done without.
//!
//! Errors are `{"error": text}` with a status of 400 for a wrong question and
//! 5xx for the rest.

pub mod client;
pub mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::addresses::Opening;
use crate::audit::{Action, Actor, Entry, legible};
use crate::config::Site;
use crate::count::SiteCounts;
use crate::guard::Asker;
use crate::query::Report;
use crate::query::filter::short;
use crate::report;
use crate::retention::Mode;
use crate::spool::Backlog;
use crate::subject::SubjectError;
use crate::subject::erase::MAX_ORDERS;
use crate::web::State;
use crate::web::answer::{self, Answer};
use crate::web::routes::MAX_BODY_BYTES;
use crate::web::running::{Archive, ArchiveError};

/// The socket's name in the data directory.
pub const SOCKET_NAME: &str = "control.sock";
/// How many commands are served at once.
const MAX_CONNECTIONS: usize = 16;
/// A batch: the most numbers of requests at their longest.
const MAX_BATCH_BYTES: usize = MAX_ORDERS * 16 + MAX_BODY_BYTES;
/// How long a command may take to say what it wants.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` resolves. Make the listener with [`socket::bind`].
pub async fn serve(
    state: Arc<State>,
    listener: std::os::unix::net::UnixListener,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            let place = connections.clone().acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(state.clone(), stream);
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(state: Arc<State>, stream: UnixStream) {
    let by = stream.peer_cred().map_or_else(|_| Actor::running(), |peer| Actor::user(peer.uid()));
    let service = service_fn(move |request| {
        let (state, by) = (state.clone(), by.clone());
        async move { Ok::<_, Infallible>(answer(&state, by, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the control socket broke");
    }
}

async fn answer(state: &Arc<State>, by: Actor, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let asking = by.clone();
    let note = |action: Action, detail: Option<String>| {
        let entry = Entry { detail, ..Entry::new(state.timestamp(), by, action) };
        async { state.note(entry).await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error)) }
    };
    let done = match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/status") => Ok(status(state)),
        (&Method::POST, "/stats") => match read(body).await {
            Ok(question) => match asker(parts.uri.query()) {
                Ok(asker) => stats(state, &question, asker).await,
                Err(error) => Err((StatusCode::BAD_REQUEST, error)),
            },
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/addresses") => match read(body).await {
            Ok(question) => addresses(state, &question, asking).await,
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/addresses/open") => match asked(body).await {
            Ok(opening) => open_address(state, opening, asking).await,
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/reload") => match note(Action::ConfigurationReloaded, None).await {
            Ok(()) => match state.running.reload() {
                Ok(changed) => Ok(json!({ "changed": changed })),
                Err(error) => Err((StatusCode::BAD_REQUEST, error)),
            },
            Err(refused) => Err(refused),
        },
        (&Method::POST, "/flush") => match state.running.flush().await {
            Ok(()) => Ok(json!({})),
            Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error)),
        },
        (&Method::POST, "/spool/replay") => match read(body).await {
            Ok(asked) => {
                replay(state, &asked, |detail| note(Action::DeadLettersReplayed, Some(detail))).await
            }
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/keys") => {
            match read(body).await.map(|body| body["master_key_file"].as_str().map(Into::into)) {
                Ok(file) => state
                    .running
                    .keys(file)
                    .map(|()| json!({}))
                    .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error)),
                Err(error) => Err((StatusCode::BAD_REQUEST, error)),
            }
        }
        (&Method::POST, "/backup") => {
            match read(body).await.map(|body| body["to"].as_str().map(str::to_owned)) {
                Ok(Some(to)) => match note(Action::BackupMade, Some(format!("to {}", legible(&to)))).await {
                    Ok(()) => state
                        .running
                        .backup(to.into())
                        .await
                        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error)),
                    Err(refused) => Err(refused),
                },
                Ok(None) => Err((StatusCode::BAD_REQUEST, "to: expected a directory".to_owned())),
                Err(error) => Err((StatusCode::BAD_REQUEST, error)),
            }
        }
        (&Method::POST, "/subject") => match asked(body).await {
            Ok(asked) => state.running.subject(asked, asking).await.map_err(not_done),
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/subject/batch") => {
            match read_within(body, MAX_BATCH_BYTES).await.and_then(|asked| {
                serde_json::from_value(asked).map_err(|error| format!("the batch cannot be read: {error}"))
            }) {
                Ok(batch) => state.running.subject_batch(batch, asking).await.map_err(not_done),
                Err(error) => Err((StatusCode::BAD_REQUEST, error)),
            }
        }
        (&Method::POST, "/disclosure") => match asked(body).await {
            Ok(asked) => {
                let done = state.running.disclose(asked, asking).await;
                done.map_err(|error| (status_of(error.is_of_the_question()), error.to_string()))
            }
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/fraud/check") => match asked(body).await {
            Ok(asked) => {
                let done = state.running.check(asked, asking).await;
                done.map_err(|error| (status_of(error.is_of_the_question()), error.to_string()))
            }
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/case") => match asked(body).await {
            Ok(asked) => {
                let done = state.running.case(asked, asking).await.map(|file| json!({ "text": file.text() }));
                done.map_err(|error| (status_of(error.is_of_the_question()), error.to_string()))
            }
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/incident") => match asked(body).await {
            Ok(asked) => {
                let done = state.running.incident(asked, asking).await;
                done.map_err(|error| (status_of(error.is_of_the_question()), error.to_string()))
            }
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/retention") => match read(body).await.map(|body| body["dry_run"].as_bool()) {
            Ok(Some(dry_run)) => {
                let (mode, noted) = match dry_run {
                    true => (Mode::DryRun, Ok(())),
                    false => (Mode::Remove, note(Action::RetentionRun, None).await),
                };
                match noted {
                    Ok(()) => state
                        .running
                        .retention(mode)
                        .await
                        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error)),
                    Err(refused) => Err(refused),
                }
            }
            Ok(None) => Err((StatusCode::BAD_REQUEST, "dry_run: expected true or false".to_owned())),
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/policy") => match read(body).await {
            Ok(asked) => policy(state, asked["site"].as_str()).await,
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/report") => match asked(body).await {
            Ok(asked) => report(state, &asked, asking).await,
            Err(error) => Err((StatusCode::BAD_REQUEST, error)),
        },
        (&Method::POST, "/demo/remove") => match state.archive() {
            Some(archive) => match note(Action::DemoRemoved, None).await {
                Ok(()) => {
                    archive.remove_demo().await.map(|removed| json!({ "removed": removed })).map_err(refused)
                }
                Err(refused) => Err(refused),
            },
            None => Err(not_ready()),
        },
        _ => Err((StatusCode::NOT_FOUND, "the running server does not know this command".to_owned())),
    };
    match done {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err((status, text)) => answer::error(status, text),
    }
}

/// What `metka status --json` prints.
pub fn status(state: &State) -> Value {
    let mut jobs = state.running.jobs();
    jobs["reports"] = state.reports.described();
    let geo = json!({ "databases": state.running.databases(state.timestamp()) });
    described(&state.counters.counts(), &state.running.backlog(), &json!(state.running.engine()), &jobs, &geo)
}

/// The one shape of a status, of a running server or of what it left behind.
pub fn described(
    sites: &std::collections::BTreeMap<String, SiteCounts>,
    backlog: &Backlog,
    engine: &Value,
    jobs: &Value,
    geo: &Value,
) -> Value {
    json!({ "sites": sites, "backlog": backlog, "engine": engine, "jobs": jobs, "geo": geo })
}

/// As whom a stats question is put: who may open the socket sees exact numbers.
fn asker(query: Option<&str>) -> Result<Asker, String> {
    match query {
        None => Ok(Asker::Exact),
        Some("as=viewer") => Ok(Asker::Guarded),
        Some(other) => Err(format!("{other:?}: expected as=viewer or nothing")),
    }
}

async fn stats(state: &State, question: &Value, asker: Asker) -> Result<Value, (StatusCode, String)> {
    let archive = state.archive().ok_or_else(not_ready)?;
    let config = state.config.load_full();
    ask(&**archive, &config, question, state.timestamp(), asker).await.map_err(refused)
}

async fn addresses(state: &State, question: &Value, by: Actor) -> Result<Value, (StatusCode, String)> {
    let site = configured(state, question["site_id"].as_str())?;
    state.archive().ok_or_else(not_ready)?;
    state.running.addresses(&site, question, by, state.timestamp()).await.map_err(refused)
}

async fn open_address(state: &State, opening: Opening, by: Actor) -> Result<Value, (StatusCode, String)> {
    let site = configured(state, Some(&opening.site_id))?;
    state.archive().ok_or_else(not_ready)?;
    let opened = state.running.open_address(site, opening, by).await;
    opened.map_err(|error| (status_of(error.is_of_the_question()), error.to_string()))
}

fn configured(state: &State, id: Option<&str>) -> Result<Site, (StatusCode, String)> {
    let site = id.and_then(|id| state.config.load().site(id).cloned());
    site.ok_or_else(|| (StatusCode::BAD_REQUEST, "site_id: expected the id of a configured site".to_owned()))
}

/// Puts a stats question about any configured site.
pub async fn ask(
    archive: &dyn Archive,
    config: &crate::config::Config,
    question: &Value,
    now: jiff::Timestamp,
    asker: Asker,
) -> Result<Value, ArchiveError> {
    let id = question.get("site_id").and_then(Value::as_str);
    let id =
        id.ok_or_else(|| ArchiveError::Question(vec!["#/site_id: expected the id of a site".to_owned()]))?;
    let site = config
        .site(id)
        .ok_or_else(|| ArchiveError::Question(vec![format!("#/site_id: no site {id:?} is configured")]))?;
    let Some(name) = question.get("report") else {
        return archive.query(site, question, now, asker, None).await;
    };
    let report = name.as_str().and_then(Report::parse).ok_or_else(|| {
        let names = Report::ALL.map(Report::name).join(", ");
        ArchiveError::Question(vec![format!("#/report: expected one of {names}, not {}", short(name))])
    })?;
    let mut question = question.clone();
    if let Some(object) = question.as_object_mut() {
        object.remove("report");
    }
    archive.report(report, site, &question, now, asker).await
}

async fn report(state: &State, asked: &report::Asked, by: Actor) -> Result<Value, (StatusCode, String)> {
    let archive = state.archive().ok_or_else(not_ready)?;
    // After one that the job is sending.
    let _one = state.reports.one.lock().await;
    let desk = report::Desk {
        config: state.config.load_full(),
        settings: state.settings.clone(),
        trail: state.trail.clone(),
        archive: &**archive,
    };
    let done = desk.send(asked, by, state.timestamp()).await;
    done.map_err(|error| (status_of(error.is_of_the_question()), error.to_string()))
}

async fn policy(state: &State, only: Option<&str>) -> Result<Value, (StatusCode, String)> {
    let config = state.config.load_full();
    if let Some(id) = only
        && config.site(id).is_none()
    {
        return Err((StatusCode::BAD_REQUEST, format!("site: no site {id:?} is configured")));
    }
    let mut reports = Vec::new();
    for site in config.sites.iter().filter(|site| only.is_none_or(|id| id == site.id)) {
        let report = state.running.policy(site.clone()).await;
        reports.push(report.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))?);
    }
    Ok(json!({ "policy": reports }))
}

async fn replay<N: Future<Output = Result<(), (StatusCode, String)>>>(
    state: &State,
    asked: &Value,
    note: impl FnOnce(String) -> N,
) -> Result<Value, (StatusCode, String)> {
    let only = match &asked["id"] {
        Value::Null => None,
        id => Some(id.as_str().and_then(dead_letter_id).ok_or_else(|| {
            (StatusCode::BAD_REQUEST, format!("{id} is not the id of a dead letter: 16 hex digits"))
        })?),
    };
    note(replayed(only)).await?;
    let done = state.running.replay(only).await.map_err(|error| (StatusCode::CONFLICT, error))?;
    Ok(json!(done))
}

/// What an entry of the audit trail says of a replay.
pub fn replayed(only: Option<u64>) -> String {
    only.map_or_else(|| "all".to_owned(), |id| format!("{id:016x}"))
}

/// A dead letter's id as it is written: 16 hex digits.
pub fn dead_letter_id(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn refused(error: ArchiveError) -> (StatusCode, String) {
    let status = match error {
        ArchiveError::Question(_) => StatusCode::BAD_REQUEST,
        ArchiveError::Limit(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ArchiveError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        ArchiveError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string())
}

fn not_ready() -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, "storage is not ready yet".to_owned())
}

/// Why something was not done to a person's data.
fn not_done(error: SubjectError) -> (StatusCode, String) {
    (status_of(error.is_of_the_question()), error.to_string())
}

/// Of an error about what was asked, or another.
fn status_of(of_the_question: bool) -> StatusCode {
    if of_the_question { StatusCode::BAD_REQUEST } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// What is asked, as the modules that do it know it.
async fn asked<T: serde::de::DeserializeOwned>(body: Incoming) -> Result<T, String> {
    let value = read(body).await?;
    serde_json::from_value(value).map_err(|error| format!("what is asked cannot be read: {error}"))
}

async fn read(body: Incoming) -> Result<Value, String> {
    read_within(body, MAX_BODY_BYTES).await
}

async fn read_within(body: Incoming, most: usize) -> Result<Value, String> {
    let bytes: Bytes = Limited::new(body, most)
        .collect()
        .await
        .map_err(|error| format!("the question could not be read: {error}"))?
        .to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| format!("the question is not JSON: {error}"))
}
