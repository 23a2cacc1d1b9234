//! Revenue: in what money, and how an amount is shown.
//!
//! An event goal with a currency takes money: property [`PROPERTY`] of the event, a
//! decimal with at most 15 digits before the point and 4 after it. What is no such number
//! is not counted, neither in the sum nor in the average. Sums are exact decimals; the
//! average is the exact sum by the number of amounts, rounded half away from zero to
//! [`AVERAGE_DIGITS`] digits.
//!
//! ```text
//! {"value":1234.5,"currency":"RUB","short":"RUB 1.2K","long":"RUB 1,234.50"}
//! ```

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::settings::{Aim, Goal};

/// The property of an event that holds an amount.
pub const PROPERTY: &str = "revenue";
/// An amount, as an RE2 expression.
pub const AMOUNT: &str = "^-?[0-9]{1,15}([.][0-9]{1,4})?$";
/// Digits after the point of an amount.
pub const DIGITS: u32 = 4;
/// Digits after the point that storage gives of an average.
pub const DIVIDED_DIGITS: u32 = 8;
/// Digits after the point of an average as it is shown.
const AVERAGE_DIGITS: u32 = 2;
/// Digits after the point that are always shown in the long form.
const LONG_DIGITS: usize = 2;

/// In what money the revenue of a question is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Money {
    /// Each row in that of its goal, which is named by this dimension of the row.
    OfRows { dimension: usize, currencies: Vec<(String, String)> },
    /// All in one, of the goals that take it.
    One { currency: String, goals: Vec<Goal> },
    /// No goal of the question takes money.
    None,
    /// Its goals take several.
    Several,
}

// === impl Money ===

impl Money {
    /// A breakdown by goals has each goal's own.
    pub fn of_rows(dimension: usize, goals: &[Goal]) -> Money {
        let currencies: Vec<(String, String)> =
            goals.iter().filter_map(|goal| Some((goal.name.clone(), currency(goal)?.to_owned()))).collect();
        if currencies.is_empty() { Money::None } else { Money::OfRows { dimension, currencies } }
    }

    /// The one money of these goals.
    pub fn of_all(goals: &[Goal]) -> Money {
        let currencies: BTreeSet<&str> = goals.iter().filter_map(currency).collect();
        match currencies.into_iter().collect::<Vec<_>>().as_slice() {
            [] => Money::None,
            [one] => Money::One {
                currency: (*one).to_owned(),
                goals: goals.iter().filter(|goal| currency(goal).is_some()).cloned().collect(),
            },
            _ => Money::Several,
        }
    }

    /// The currency of one row of the answer.
    pub fn currency(&self, dimensions: &[Value]) -> Option<&str> {
        match self {
            Money::OfRows { dimension, currencies } => {
                let goal = dimensions.get(*dimension)?.as_str()?;
                currencies.iter().find(|(name, _)| name == goal).map(|(_, currency)| currency.as_str())
            }
            Money::One { currency, .. } => Some(currency),
            Money::None | Money::Several => None,
        }
    }

    /// Why there is no revenue in the whole answer: a code for programs, and words.
    pub fn warning(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Money::OfRows { .. } | Money::One { .. } => None,
            Money::None => Some((
                "no_revenue_goals_matching",
                "Revenue metrics are null as there are no matching revenue goals.",
            )),
            Money::Several => Some((
                "no_single_revenue_currency",
                "Revenue metrics are null as there are multiple currencies for the selected event:goals.",
            )),
        }
    }
}

fn currency(goal: &Goal) -> Option<&str> {
    match &goal.aim {
        Aim::Event { currency, .. } => currency.as_deref(),
        _ => None,
    }
}

/// A sum from storage: a decimal as text.
pub fn total(sum: &Value, currency: &str) -> Value {
    amount(sum).map_or(Value::Null, |units| shown(units, currency))
}

/// An average from storage, cut after [`DIVIDED_DIGITS`] digits, which cannot change how
/// it rounds.
pub fn average(divided: &Value, currency: &str) -> Value {
    let unit = 10_i128.pow(DIVIDED_DIGITS - AVERAGE_DIGITS);
    amount(divided).map_or(Value::Null, |units| {
        let half = unit / 2 * units.signum();
        shown((units + half) / unit * unit, currency)
    })
}

/// In units of the last of [`DIVIDED_DIGITS`].
fn amount(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = format!("{part:0<width$}", width = DIVIDED_DIGITS as usize);
    let part = part.get(..DIVIDED_DIGITS as usize)?;
    let units: i128 = format!("{whole}{part}").parse().ok()?;
    Some(if negative { -units } else { units })
}

fn shown(units: i128, currency: &str) -> Value {
    let sign = if units < 0 { "-" } else { "" };
    let one = 10_u128.pow(DIVIDED_DIGITS);
    let (whole, part) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let part = format!("{part:0width$}", width = DIVIDED_DIGITS as usize);
    let part = part.trim_end_matches('0');
    let plain = format!("{sign}{whole}.{part:0<1}");
    let value: f64 = plain.parse().unwrap_or_default();
    json!({
        "value": value,
        "currency": currency,
        "short": format!("{currency} {sign}{}", short(whole)),
        "long": format!("{currency} {sign}{}.{part:0<LONG_DIGITS$}", grouped(whole)),
    })
}

/// `1234567` → `1.2M`; cut, so that no sum looks larger than it is.
fn short(whole: u128) -> String {
    for (size, letter) in [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1000, "K")] {
        if whole >= size {
            return format!("{}.{}{letter}", whole / size, whole % size * 10 / size);
        }
    }
    whole.to_string()
}

/// `1234567` → `1,234,567`
fn grouped(whole: u128) -> String {
    let digits = whole.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_exactly() {
        for (sum, value, short, long) in [
            ("0", 0.0, "RUB 0", "RUB 0.00"),
            ("1234.5", 1234.5, "RUB 1.2K", "RUB 1,234.50"),
            ("-1234567.0009", -1_234_567.000_9, "RUB -1.2M", "RUB -1,234,567.0009"),
            ("999", 999.0, "RUB 999", "RUB 999.00"),
        ] {
            let expected = json!({"value": value, "currency": "RUB", "short": short, "long": long});
            assert_eq!(total(&json!(sum), "RUB"), expected, "{sum}");
        }
        assert_eq!(total(&Value::Null, "RUB"), Value::Null);
    }

    #[test]
    fn averages_round_half_away_from_zero() {
        for (divided, long) in [
            ("0.005", "RUB 0.01"),
            ("0.00499999", "RUB 0.00"),
            ("-2.505", "RUB -2.51"),
            ("33.33333333", "RUB 33.33"),
        ] {
            assert_eq!(average(&json!(divided), "RUB")["long"], long, "{divided}");
        }
    }
}
