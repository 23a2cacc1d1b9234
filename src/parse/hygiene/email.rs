//! E-mail addresses: something, `@`, and something that is a host or could be one.
//!
//! Letters of any script. What is in the way of a domain without a dot
//! (`root@localhost`) goes too. Not addresses: `@name` (a channel), `logo@2x.png`
//! (a picture for fine screens), `package@4.17.21` (a version).

use super::Kind;
use super::view::View;

/// The longest quoted name before the `@`, by RFC 5321.
const MAX_QUOTED: usize = 64;

pub fn mark(view: &mut View) {
    let mut from = 0;
    while let Some(at) = (from..view.len()).find(|at| view.at(*at) == '@') {
        from = at + 1;
        let (start, mut end) = (local_start(view, at), domain_end(view, at));
        if start < at && is_domain(view, at + 1, end) {
            // `a@b@c`: which of them is the host is anyone's guess.
            while view.at(end) == '@' {
                end = domain_end(view, end);
            }
            view.mark(start, end, Kind::Email);
            from = end;
        }
    }
}

fn local_start(view: &View, at: usize) -> usize {
    if view.before(at) == '"' {
        let opening = (1..=MAX_QUOTED + 1).find(|back| at > *back && view.at(at - 1 - back) == '"');
        return opening.map_or(at, |back| at - 1 - back);
    }
    let mut start = at;
    while is_word(view.before(start)) || "._+-'~!$*^`{|}%".contains(view.before(start)) {
        start -= 1;
    }
    start
}

fn domain_end(view: &View, at: usize) -> usize {
    let mut end = at + 1;
    while is_word(view.at(end)) || ".-_".contains(view.at(end)) {
        end += 1;
    }
    while end > at + 1 && ".-_".contains(view.before(end)) {
        end -= 1;
    }
    end
}

fn is_domain(view: &View, start: usize, end: usize) -> bool {
    if view.at(start).is_alphabetic() {
        return true;
    }
    let domain: String = (start..end).map(|at| view.at(at)).collect();
    let labels: Vec<&str> = domain.split('.').collect();
    let is_number = |label: &&str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = (labels[0], labels[labels.len() - 1]);
    let is_density = first.strip_suffix('x').is_some_and(|number| is_number(&number));
    let is_name = labels.len() > 1 && last.chars().count() > 1 && last.chars().all(char::is_alphabetic);
    let is_address = labels.len() == 4 && labels.iter().all(is_number);
    (is_name && !is_density) || is_address
}

/// A letter, a digit, or an accent on one.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || ('\u{300}'..='\u{36F}').contains(&character)
}
