//! A question about addresses in the audit trail: who asked what, for which purpose.
//!
//! In: the JSON of a question, and who asks. Out: the entry `addresses_listed` on the disk, then the
//! answer. Each question has an entry of its own, also one that was asked before: whoever reads
//! the trail sees each look, and nothing has to be remembered for it.
//!
//! The entry says what rows are of, the time, the order, and of which kinds the question was narrowed.
//! It holds no token. Where one address or network is looked at alone, the subject is a keyed
//! hash of it: of an address that of its openings, of a network another than in its token.

use jiff::Timestamp;
use serde_json::Value;

use super::question::{Only, Question, parse};
use super::token::Stored;
use super::{AddressError, Desk};
use crate::audit::{Action, Actor, Entry, Subject};
use crate::config::Site;

// === impl Desk ===

impl Desk {
    /// Answers a question about one site for `by`, which the trail tells of first.
    pub async fn list(
        &self,
        site: &Site,
        asked: &Value,
        by: Actor,
        now: Timestamp,
    ) -> Result<Value, AddressError> {
        let question = parse(asked, site, now).map_err(AddressError::Question)?;
        let mut entry = Entry::new(now, by, Action::AddressesListed)
            .site(&site.id)
            .purpose(question.purpose, None)
            .detail(detail(&question));
        entry.subject = self.subject(site, &question.only);
        self.note(entry).await?;
        self.answer(site, question).await
    }

    /// The address or the network that is looked at alone.
    fn subject(&self, site: &Site, only: &Only) -> Option<Subject> {
        let of_address = |stored: Stored| match self.keys.reveal(stored.ip, stored.key) {
            Some(ip) => self.keys.address_mark(&site.id, &ip),
            // Nobody can read it any more: it is told apart by what is stored.
            None => self.keys.limiter_key(&[b"unreadable address", stored.form().as_bytes()]),
        };
        let of_network =
            |mark: u64| self.keys.limiter_key(&[b"network that was looked at", &mark.to_le_bytes()]);
        only.address.map(of_address).or(only.network.map(of_network)).map(Subject::hash)
    }
}

/// What was asked for, in a line.
fn detail(question: &Question) -> String {
    let [from, to] = question.range.shown();
    let from = if question.range.all { "the first" } else { from.as_str() };
    let mut detail = format!("by {}, {from} to {to}", question.by.name());
    if !question.by.is_of_time() {
        detail.push_str(&format!(", by the most {}", question.order.name()));
    }
    let Only { address, network, asn, country } = &question.only;
    let kinds = [
        ("address", address.is_some()),
        ("network", network.is_some()),
        ("asn", asn.is_some()),
        ("country", country.is_some()),
    ];
    for (kind, _) in kinds.into_iter().filter(|(_, is_given)| *is_given) {
        detail.push_str(&format!(", of one {kind}"));
    }
    detail.push_str(&format!(", {} rows from {}", question.limit, question.offset));
    detail
}
