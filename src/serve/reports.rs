//! Sends reports by mail when they are due ([`crate::report`]).
//!
//! A task of its own: hits, shipping and questions wait for none of it. What is due says
//! the settings of each site, so a restart neither skips nor repeats a period; what
//! failed is tried again later and later, and is told by `metka status`.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::Actor;
use crate::report::period::Period;
use crate::report::{self, Desk};
use crate::web::State;

/// How often it is looked whether a report is due.
const LOOK: Duration = Duration::from_secs(10);
/// As the audit trail names the job.
const ACTOR: &str = "reports";

/// Works until the runtime ends.
pub(super) async fn run(state: Arc<State>) {
    let mut due = tokio::time::interval(LOOK);
    loop {
        due.tick().await;
        send_due(&state).await;
    }
}

async fn send_due(state: &Arc<State>) {
    let config = state.config.load_full();
    let mut found = Vec::new();
    for site in &config.sites {
        let settings = match state.settings.read(&site.id) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::debug!(%error, site = site.id, "reports of a site cannot be looked for");
                continue;
            }
        };
        let Ok(zone) = report::zone(site) else { continue };
        let now = state.timestamp().to_zoned(zone);
        for one in &settings.reports {
            found.push((site.id.clone(), one.id.clone(), Period::due(one.every, one.sent, &now).is_some()));
        }
    }
    state.reports.keep(|site, report| found.iter().any(|(of, id, _)| of == site && id == report));
    // Without a mail server reports wait; without storage there is nothing to tell.
    let (Some(archive), true) = (state.archive(), config.mail.is_some()) else { return };
    for (site, id, _) in found.into_iter().filter(|(_, _, is_due)| *is_due) {
        if !state.reports.may_try(&site, &id, state.timestamp()) {
            continue;
        }
        let _one = state.reports.one.lock().await;
        let desk = Desk {
            config: config.clone(),
            settings: state.settings.clone(),
            trail: state.trail.clone(),
            archive: &**archive,
        };
        match desk.send_due(&site, &id, Actor::Job(ACTOR.to_owned()), state.timestamp()).await {
            // A command was quicker.
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(site, report = id, "a report is sent");
                state.reports.sent(&site, &id);
            }
            Err(error) => {
                tracing::warn!(%error, site, report = id, "a report could not be sent; it is tried again");
                state.reports.failed(&site, &id, error.to_string(), state.timestamp());
            }
        }
    }
}
