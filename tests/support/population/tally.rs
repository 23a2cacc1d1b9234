//! What the rules said of a population.

use std::collections::BTreeMap;

use metka::config::Config;
use metka::fraud::memory::Memory;
use metka::fraud::rules::browsers::of_user;
use metka::fraud::rules::{Facts, TABLE, Verdict, ask};

use super::Person;

/// What became of a population.
pub struct Tally {
    pub honest: u64,
    /// Those over the threshold, by the kind of honest people that they are.
    pub honest_over: BTreeMap<&'static str, u64>,
    /// Those whom more than one rule brought there.
    pub honest_over_by_several: u64,
    /// The same of honest users of two devices, of whom there are as many, and of those who refuse cookies, of whom
    /// there are a tenth as many.
    pub users_over: BTreeMap<&'static str, u64>,
    pub users_over_by_several: u64,
    pub rules: Vec<Of>,
}

/// What a rule said of a population.
pub struct Of {
    pub name: &'static str,
    /// Frauds who do what the rule looks for.
    pub frauds: u64,
    /// Of them, those whom it found.
    pub found: u64,
    /// Honest people whom it fired at.
    pub honest: u64,
    /// Of the frauds that it found, those over the threshold.
    pub over: u64,
}

// === impl Of ===

impl Of {
    pub fn recall(&self) -> f64 {
        self.found as f64 / self.frauds.max(1) as f64
    }

    /// In this population.
    pub fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.honest).max(1) as f64
    }
}

// === impl Tally ===

impl Tally {
    /// Of so many honest people, before anybody was asked about.
    pub(super) fn of(honest: u64) -> Tally {
        Tally {
            honest,
            honest_over: BTreeMap::new(),
            honest_over_by_several: 0,
            users_over: BTreeMap::new(),
            users_over_by_several: 0,
            rules: TABLE
                .iter()
                .map(|rule| Of { name: rule.name, frauds: 0, found: 0, honest: 0, over: 0 })
                .collect(),
        }
    }

    pub(super) fn ask(
        &mut self,
        person: &Person,
        memory: &Memory,
        config: &Config,
        now: i64,
        networks: bool,
    ) {
        let visitor = memory.visitor(person.browser);
        let user = memory.user(person.user_key);
        let browsers = match (visitor, user) {
            (None, Some(user)) => of_user(memory, user, now),
            _ => Vec::new(),
        };
        let last = visitor.map(|visitor| visitor.visit.address);
        let said = ask(&Facts {
            config: &config.fraud,
            memory,
            now,
            visitor,
            user,
            browsers: &browsers,
            address: memory.address(last.unwrap_or(person.address)),
            network: None,
            knows_networks: networks,
            has_time_zones: true,
            cookie: person.cookie,
        });
        let score: u32 = said.iter().map(|said| said.points()).sum();
        let fired: Vec<&str> = said
            .iter()
            .filter(|said| matches!(said.verdict, Verdict::Fired(_)))
            .map(|said| said.rule.name)
            .collect();
        let is_over = score >= config.fraud.threshold;
        if person.labels.is_empty() && is_over {
            let (over, by_several) = match person.browser {
                0 => (&mut self.users_over, &mut self.users_over_by_several),
                _ => (&mut self.honest_over, &mut self.honest_over_by_several),
            };
            *over.entry(person.kind).or_default() += 1;
            *by_several += u64::from(fired.len() > 1);
        }
        for of in &mut self.rules {
            let has_fired = fired.contains(&of.name);
            if person.labels.contains(&of.name) {
                of.frauds += 1;
                of.found += u64::from(has_fired);
                of.over += u64::from(has_fired && is_over);
            } else if person.labels.is_empty() {
                of.honest += u64::from(has_fired);
            }
        }
    }
}
