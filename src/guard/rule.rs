//! The rules of the guard, by name, and why an answer is refused.
//!
//! All hold always. A test may leave one out, to see that the attack it stands against
//! then succeeds.

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A set is 0 or at least k.
    Set,
    /// What a condition takes away is 0 or at least k.
    Complement,
    /// What is hidden together is at least k.
    Swallow,
    /// A value may be filtered by where its row is shown.
    Siblings,
    /// Where a condition changes nothing, the question without it must be answered.
    Equal,
    /// Where one of several values changes a set, it changes it by at least k.
    Values,
    /// Ranges are days, weeks or months.
    Range,
    /// Days, weeks and months are looked at together.
    Calendar,
    /// No free text.
    FreeText,
    /// Counts are rounded.
    Rounding,
    /// Counts other than visitors are withheld under k as well.
    Counts,
    /// Rates are made of what is shown.
    Rates,
    /// Order, pages and their number are of what is shown.
    Order,
}

/// The rules that hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    without: Option<Rule>,
}

/// Why there is no answer; as `meta.guard.refused` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Fewer than k visitors have it.
    SetTooSmall,
    /// Fewer than k visitors have all of it but one condition.
    ComplementTooSmall,
    /// More conditions or values than can be checked.
    TooManyFilters,
    /// A condition that is not a list of whole values.
    FreeText,
    /// Not a day, a week or a month; or buckets that do not fit into it.
    Range,
    /// Conditions joined in a way that cannot be checked.
    Combination,
}

// === impl Rule ===

impl Rule {
    pub const ALL: [Rule; 13] = [
        Rule::Set,
        Rule::Complement,
        Rule::Swallow,
        Rule::Siblings,
        Rule::Equal,
        Rule::Values,
        Rule::Range,
        Rule::Calendar,
        Rule::FreeText,
        Rule::Rounding,
        Rule::Counts,
        Rule::Rates,
        Rule::Order,
    ];
}

// === impl Rules ===

impl Rules {
    /// All but one; for tests of the guard.
    #[doc(hidden)]
    pub fn without(rule: Rule) -> Rules {
        Rules { without: Some(rule) }
    }

    pub(super) fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}

// === impl Refused ===

impl Refused {
    pub const fn name(self) -> &'static str {
        match self {
            Refused::SetTooSmall => "set_too_small",
            Refused::ComplementTooSmall => "complement_too_small",
            Refused::TooManyFilters => "too_many_filters",
            Refused::FreeText => "free_text",
            Refused::Range => "range",
            Refused::Combination => "combination",
        }
    }
}
