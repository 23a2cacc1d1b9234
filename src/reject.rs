//! Why a hit was refused: one closed list, used by the answer's `X-Metka`
//! header, the JSON of `/event`, the counters, the metrics and the tests.

use serde::Serialize;

/// The outcome of a hit that was not simply kept. Names are part of the
/// contract with the pages that embed the pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Reason {
    /// No `[[site]]` has this id.
    UnknownSite,
    /// The page is not on one of the site's hosts (policy clause 2.3).
    ForeignHost,
    /// The request cannot be read as a hit.
    BadRequest,
    /// A part is longer than its bound.
    TooLarge,
    /// The address or network sent more than its share, or all did to the site.
    RateLimited,
    /// The visitor has opted out.
    OptedOut,
    /// Sec-GPC or DNT is set and the site drops such hits.
    SignalDropped,
    /// The user key's MAC is wrong. The hit itself is kept, without the key:
    /// shown in the answer, not counted as refused.
    BadUserKey,
    /// The same visitor sent the same hit id within a day.
    Duplicate,
    /// The spool has reached its limit or the disk is full.
    Full,
    /// The hit could not be made durable.
    Unavailable,
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = 11;

    /// All reasons, in the order of their discriminants.
    pub const ALL: [Reason; Reason::COUNT] = [
        Reason::UnknownSite,
        Reason::ForeignHost,
        Reason::BadRequest,
        Reason::TooLarge,
        Reason::RateLimited,
        Reason::OptedOut,
        Reason::SignalDropped,
        Reason::BadUserKey,
        Reason::Duplicate,
        Reason::Full,
        Reason::Unavailable,
    ];

    /// The name in headers, answers, metrics and `metka status`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::UnknownSite => "unknown-site",
            Reason::ForeignHost => "foreign-host",
            Reason::BadRequest => "bad-request",
            Reason::TooLarge => "too-large",
            Reason::RateLimited => "rate-limited",
            Reason::OptedOut => "opted-out",
            Reason::SignalDropped => "signal-dropped",
            Reason::BadUserKey => "bad-user-key",
            Reason::Duplicate => "duplicate",
            Reason::Full => "full",
            Reason::Unavailable => "unavailable",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_index_and_serializes_as_its_name() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason}");
            let json = serde_json::to_value(reason).expect("a reason serializes");
            assert_eq!(json, reason.name());
        }
    }
}
