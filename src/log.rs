//! Logging: sentences with fields, to standard error.
//!
//! For a terminal as text, else as one JSON object for each line. `METKA_LOG`
//! chooses what is shown, in the usual form (`debug`, `metka::ship=trace,info`).
//! Nothing that is logged names a visitor: no address, user agent, cookie,
//! query string or body. A panic's message may quote the data that broke it, so
//! only its place is logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable that chooses what is shown.
pub const VARIABLE: &str = "METKA_LOG";

/// Sets up logging for this process. `default` is what is shown when
/// [`VARIABLE`] says nothing. A second call changes nothing.
pub fn start(default: &str) {
    let chosen = std::env::var(VARIABLE).unwrap_or_default();
    let filter = if chosen.is_empty() { EnvFilter::new(default) } else { EnvFilter::new(&chosen) };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    if set.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let thread = std::thread::current();
            tracing::error!(place, thread = thread.name().unwrap_or_default(), "a panic");
        }));
    }
}
