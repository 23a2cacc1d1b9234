//! Which step is due when.
//!
//! In: the site, and when the incident was detected. Out: the clocks of its law:
//!
//! | law | step | term |
//! |---|---|---|
//! | 152-FZ art. 21(3.1) | `first_notice` to Roskomnadzor | 24 hours |
//! | 152-FZ art. 21(3.1) | `inquiry`: its result, to Roskomnadzor | 72 hours |
//! | GDPR art. 33(1), for sites with the preset `gdpr` or `cnil` | `notice_to_authority` | 72 hours |
//!
//! Hours run through nights and holidays, from the moment of detection. The law asks for
//! these steps where data reached somebody; here they run for every kind of incident, and
//! whoever finds that none is needed closes it and says why. `subjects_informed` has no
//! term in hours: clause 5.4 of the policy and art. 34 of the GDPR ask for it without
//! undue delay.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::register::{Incident, Register, State};
use crate::config::{Config, Site};
use crate::rights::numbered::NumberedError;
use crate::rights::terms::Law;

/// A clock is soon due when it has so many hours left: half of the shortest term.
pub const SOON_HOURS: i64 = 12;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What has to be done about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Step {
    /// Roskomnadzor is told that it happened
    FirstNotice,
    /// Roskomnadzor is told what the inquiry found
    Inquiry,
    /// The supervisory authority is told, under the GDPR
    NoticeToAuthority,
    /// The people whose data these are have been told
    SubjectsInformed,
}

/// One term that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    pub name: Step,
    pub hours: i64,
    /// Milliseconds since 1970, as all moments here.
    pub due: i64,
    pub done: Option<i64>,
    pub article: String,
}

/// The numbers of the open incidents that somebody must look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// All that are open.
    pub open: usize,
    pub overdue: Vec<String>,
    /// With [`SOON_HOURS`] or less left.
    pub due_soon: Vec<String>,
}

// === impl Step ===

impl Step {
    pub const fn name(self) -> &'static str {
        match self {
            Step::FirstNotice => "first_notice",
            Step::Inquiry => "inquiry",
            Step::NoticeToAuthority => "notice_to_authority",
            Step::SubjectsInformed => "subjects_informed",
        }
    }
}

// === impl Clock ===

impl Clock {
    /// Whether its term ended before the step was done; one that was not done by the
    /// closing ran until then.
    pub fn is_late(&self, closed: Option<i64>, now: i64) -> bool {
        self.done.or(closed).unwrap_or(now) > self.due
    }
}

/// The clocks of a new incident.
pub fn clocks(site: &Site, detected: i64) -> Vec<Clock> {
    let clock = |(name, hours, article): (Step, i64, &str)| Clock {
        name,
        hours,
        due: detected.saturating_add(hours * HOUR_MS),
        done: None,
        article: article.to_owned(),
    };
    match Law::of(site) {
        Law::Russian => {
            [(Step::FirstNotice, 24, "152-FZ art. 21(3.1)(1)"), (Step::Inquiry, 72, "152-FZ art. 21(3.1)(2)")]
                .map(clock)
                .to_vec()
        }
        Law::Gdpr => vec![clock((Step::NoticeToAuthority, 72, "GDPR art. 33(1)"))],
    }
}

/// What of the register of a data directory needs attention now.
pub fn attention(config: &Config, now: Timestamp) -> Result<Attention, NumberedError> {
    Ok(of(&Register::new(&config.data_dir).list()?, now.as_millisecond()))
}

fn of(incidents: &[Incident], now: i64) -> Attention {
    let mut attention = Attention::default();
    for incident in incidents.iter().filter(|incident| incident.state == State::Open) {
        attention.open += 1;
        let next = incident.clocks.iter().filter(|clock| clock.done.is_none()).map(|clock| clock.due).min();
        match next {
            Some(due) if now > due => attention.overdue.push(incident.number.clone()),
            Some(due) if due - now <= SOON_HOURS * HOUR_MS => {
                attention.due_soon.push(incident.number.clone())
            }
            _ => {}
        }
    }
    attention
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::register::sample;

    const DETECTED: i64 = 1_800_000_000_000;

    fn site(preset: &str) -> Site {
        let text = format!("[[site]]\nid='clinic'\nhosts=['clinic.example']\n{preset}\n");
        let dir = std::env::temp_dir();
        Config::parse(&text, [], &dir).expect("a configuration").sites.remove(0)
    }

    #[test]
    fn each_law_has_its_clocks() {
        for (preset, expected) in [
            ("", vec![(Step::FirstNotice, 24), (Step::Inquiry, 72)]),
            ("preset='ru-152fz'", vec![(Step::FirstNotice, 24), (Step::Inquiry, 72)]),
            ("preset='gdpr'", vec![(Step::NoticeToAuthority, 72)]),
            ("preset='cnil'", vec![(Step::NoticeToAuthority, 72)]),
        ] {
            let clocks = clocks(&site(preset), DETECTED);
            let found: Vec<(Step, i64)> = clocks.iter().map(|clock| (clock.name, clock.hours)).collect();
            assert_eq!(found, expected, "{preset}");
            for clock in clocks {
                assert_eq!(clock.due, DETECTED + clock.hours * 3_600_000);
                assert!(clock.article.contains("art. "), "{}", clock.article);
            }
        }
    }

    #[test]
    fn a_clock_is_late_when_its_term_ended_before_the_step_was_done() {
        let hour = HOUR_MS;
        for (done, closed, now, late, why) in [
            (None, None, 0, false, "just detected"),
            (None, None, 24 * hour, false, "to the last millisecond"),
            (None, None, 24 * hour + 1, true, "a millisecond too late"),
            (Some(24 * hour), None, 90 * hour, false, "done in time stays in time"),
            (Some(25 * hour), None, 90 * hour, true, "done late stays late"),
            (None, Some(3 * hour), 90 * hour, false, "closed before its end"),
            (None, Some(30 * hour), 90 * hour, true, "closed after its end"),
        ] {
            let mut clock = clocks(&site(""), DETECTED).remove(0);
            clock.done = done.map(|after| DETECTED + after);
            assert_eq!(clock.is_late(closed.map(|after| DETECTED + after), DETECTED + now), late, "{why}");
        }
    }

    #[test]
    fn what_is_overdue_or_soon_due_is_named_by_its_next_step() {
        let hour = HOUR_MS;
        // Which of first notice and inquiry are done; how long after the detection.
        for (done, after, overdue, soon) in [
            ([false, false], 11 * hour, 0, 0),
            ([false, false], 12 * hour, 0, 1),
            ([false, false], 24 * hour, 0, 1),
            ([false, false], 24 * hour + 1, 1, 0),
            ([true, false], 25 * hour, 0, 0),
            ([true, false], 60 * hour, 0, 1),
            ([true, false], 72 * hour + 1, 1, 0),
            ([false, true], 30 * hour, 1, 0),
            ([true, true], 200 * hour, 0, 0),
        ] {
            let mut incident = sample(clocks(&site(""), DETECTED));
            for (clock, done) in incident.clocks.iter_mut().zip(done) {
                clock.done = done.then_some(DETECTED);
            }
            let found = of(std::slice::from_ref(&incident), DETECTED + after);
            assert_eq!(
                (found.open, found.overdue.len(), found.due_soon.len()),
                (1, overdue, soon),
                "{done:?} {after}"
            );
            incident.close("nothing left".to_owned(), DETECTED).expect("closed");
            assert_eq!(of(&[incident], DETECTED + after), Attention::default());
        }
    }
}
