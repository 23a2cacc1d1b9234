//! Which rows of one table are hidden: arithmetic on counts of visitors.

use super::rule::{Rule, Rules};

/// Whether a group is there and smaller than k.
pub fn is_small(count: u64, k: u64) -> bool {
    0 < count && count < k
}

/// Whether two sets, one in the other, differ by some, but fewer than k.
pub fn differs_little(one: u64, other: u64, k: u64) -> bool {
    is_small(one.abs_diff(other), k)
}

/// Which of `counts`, parts of `total` that may overlap, are not shown.
///
/// Hidden are those that are small, and those without which the total is small. Then the
/// smallest of the others, until the hidden ones together are at least k and so is the
/// total less what is shown: else the rest could be had by a subtraction. Of two equal
/// ones the first goes first, so that the same table always hides the same rows.
pub fn hidden(counts: &[u64], total: u64, k: u64, rules: Rules) -> Vec<bool> {
    let mut hidden: Vec<bool> = counts
        .iter()
        .map(|count| {
            (rules.hold(Rule::Set) && is_small(*count, k))
                || (rules.hold(Rule::Complement) && differs_little(total, *count, k))
        })
        .collect();
    if !rules.hold(Rule::Swallow) {
        return hidden;
    }
    let mut order: Vec<usize> =
        (0..counts.len()).filter(|index| !hidden[*index] && counts[*index] > 0).collect();
    order.sort_by_key(|index| counts[*index]);
    let mut away: u64 =
        counts.iter().zip(&hidden).filter(|(_, hidden)| **hidden).map(|(count, _)| count).sum();
    let mut shown: u64 =
        counts.iter().zip(&hidden).filter(|(_, hidden)| !**hidden).map(|(count, _)| count).sum();
    for index in order {
        let rest = total.saturating_sub(shown);
        if !is_small(away, k) && !is_small(rest, k) {
            break;
        }
        hidden[index] = true;
        away += counts[index];
        shown -= counts[index];
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_cannot_be_had_by_a_subtraction() {
        for (counts, total, expected) in [
            (&[50, 40][..], 90, &[false, false][..]),
            // One small row takes the smallest other with it.
            (&[50, 40, 3], 93, &[false, true, true]),
            // Two that are small, and together are not.
            (&[50, 40, 6, 5], 101, &[false, false, true, true]),
            (&[50, 40, 3, 2], 95, &[false, true, true, true]),
            // All but a few have it.
            (&[95, 5], 100, &[true, true]),
            // Rows that overlap: nothing is left of the total.
            (&[100, 60], 100, &[false, false]),
            (&[100, 9], 100, &[true, true]),
            // Rows that do not cover the total, by a little.
            (&[50, 45], 99, &[false, true]),
            (&[50, 20], 99, &[false, false]),
            (&[0, 50], 50, &[false, false]),
            (&[3], 3, &[true]),
            (&[], 3, &[]),
            // Of equals the first.
            (&[20, 20, 3], 43, &[true, false, true]),
        ] {
            assert_eq!(hidden(counts, total, 10, Rules::default()), expected, "{counts:?} of {total}");
        }
    }

    #[test]
    fn without_a_threshold_nothing_is_hidden() {
        for k in [0, 1] {
            assert_eq!(hidden(&[1, 2, 3], 6, k, Rules::default()), [false; 3]);
        }
    }
}
