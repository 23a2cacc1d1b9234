//! Numbers: phones, payment cards, Russian documents, long ids.
//!
//! A candidate is a row of groups of digits, with at most [`MAX_GAP`] spaces,
//! dashes, dots, brackets or `+` between two. For each group as the first, the
//! longest row that is a known number wins. What is known:
//!
//! | kind | digits and groups |
//! |---|---|
//! | document | 9 to 16 digits after a word such as `passport`, `ИНН`, `СНИЛС`, `полис` |
//! | card | 14 to 19 digits that satisfy Luhn and begin as cards do, in one group or 4-4-4-4, 4-4-4-4-3, 4-6-5, 4-6-4, 8-8 |
//! | document | 4-4-4-4 and any 16 digits in one group that are no card (health insurance) |
//! | phone | 9 to 15 digits after `+`; 11 after `7` or `8` with a Russian or Kazakh area code; 10 as a Russian mobile number, with brackets, or grouped as numbers are; 12 with a neighbour's country code |
//! | document | SNILS with its check digits; a person's INN (12) with its check digits; a passport as `4510 123456` or `45 10 123456` |
//! | id | 14 digits or more in one group, unless they are a date and time; the two numbers of an analytics client |
//!
//! What is left: up to nine digits, dates, prices, bar codes and product numbers
//! of ten to thirteen digits, decimal fractions.

use super::view::View;
use super::{Kind, MIN_DIGITS};

/// The most groups of one number: a phone written as pairs has six.
const MAX_GROUPS: usize = 8;
/// The most digits kept of one: the longest card has 19.
const MAX_DIGITS: usize = 24;
/// The most characters between two groups: `) - `.
const MAX_GAP: usize = 4;
/// How many words before a number may say what it is: `паспорт, серия и номер`.
const MAX_WORDS: usize = 3;
/// The longest of these words that is looked at.
const MAX_WORD: usize = 12;
/// What says that a document's number follows.
const DOCUMENT_WORDS: [&str; 19] = [
    "passport",
    "pasport",
    "паспорт",
    "паспорта",
    "серия",
    "seriya",
    "inn",
    "инн",
    "snils",
    "снилс",
    "oms",
    "омс",
    "enp",
    "енп",
    "polis",
    "polisa",
    "полис",
    "полиса",
    "полису",
];
/// What may stand between that and the number.
const FILLING_WORDS: [&str; 8] = ["number", "num", "no", "nomer", "номер", "и", "рф", "rf"];
/// Country codes of neighbours whose numbers have twelve digits.
const NEIGHBOURS: [&str; 7] = ["375", "380", "992", "994", "995", "996", "998"];
/// Grouping of ten digits that makes them a phone if the first is one of `3489`.
const GROUPED_PHONES: [&[usize]; 3] = [&[3, 3, 2, 2], &[3, 2, 2, 3], &[4, 2, 2, 2]];
/// Grouping of payment cards.
const GROUPED_CARDS: [&[usize]; 5] = [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4], &[8, 8]];

/// The groups from some place on.
struct Row {
    groups: Vec<Group>,
    digits: String,
    /// Begins with `+`.
    plus: bool,
    /// Begins with a bracket, perhaps after `+`.
    bracket: bool,
}

#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

/// The first groups of a row.
struct Number<'a> {
    view: &'a View,
    groups: &'a [Group],
    sizes: Vec<usize>,
    digits: &'a str,
    plus: bool,
    bracket: bool,
}

pub fn mark(view: &mut View, name: &str) {
    let mut at = 0;
    while at < view.len() {
        if !begins(view, at) {
            at += 1;
            continue;
        }
        let row = Row::of(view, at);
        let Some(first) = row.groups.first().copied() else {
            at += 1;
            continue;
        };
        match row.longest(view, at, name) {
            Some((end, kind)) => {
                view.mark(at, end, kind);
                at = end;
            }
            None => at = first.end,
        }
    }
}

/// Whether a number may begin here: with a digit, `+` or a bracket.
fn begins(view: &View, at: usize) -> bool {
    match view.at(at) {
        '+' => matches!(view.at(at + 1), '0'..='9' | '('),
        '(' => view.at(at + 1).is_ascii_digit(),
        character => character.is_ascii_digit(),
    }
}

// === impl Row ===

impl Row {
    fn of(view: &View, start: usize) -> Row {
        let mut row = Row { groups: Vec::new(), digits: String::new(), plus: false, bracket: false };
        let mut at = start;
        row.plus = view.at(at) == '+';
        at += usize::from(row.plus);
        row.bracket = view.at(at) == '(';
        at += usize::from(row.bracket);
        while row.groups.len() < MAX_GROUPS && row.digits.len() < MAX_DIGITS {
            let end = (at..view.len()).find(|at| !view.at(*at).is_ascii_digit()).unwrap_or(view.len());
            if end == at {
                break;
            }
            row.groups.push(Group { start: at, end });
            row.digits.extend((at..end).map(|at| view.at(at)).take(MAX_DIGITS));
            at = end + gap(view, end);
        }
        row
    }

    /// The longest number that is known: its end and kind.
    fn longest(&self, view: &View, start: usize, name: &str) -> Option<(usize, Kind)> {
        if self.digits.len() < MIN_DIGITS {
            return None;
        }
        let after_word = is_after_document_word(view, start, name);
        (1..=self.groups.len()).rev().find_map(|count| {
            let groups = &self.groups[..count];
            let sizes: Vec<usize> = groups.iter().map(|group| group.end - group.start).collect();
            let digits = self.digits.get(..sizes.iter().sum::<usize>()).unwrap_or(&self.digits);
            let number = Number { view, groups, sizes, digits, plus: self.plus, bracket: self.bracket };
            Some((groups[count - 1].end, number.kind(start, after_word)?))
        })
    }
}

/// The length of what may stand between two groups; 0 if they do not belong together.
fn gap(view: &View, start: usize) -> usize {
    let is_gap = |character: char| " -().+_№".contains(character);
    let mut length = 0;
    while length <= MAX_GAP && is_gap(view.at(start + length)) {
        length += 1;
        // With a plus after a space another number begins.
        if view.at(start + length) == '+' && view.at(start + length - 1) == ' ' {
            return 0;
        }
    }
    let word = "номер";
    let is_word = (length > 0)
        && word
            .chars()
            .enumerate()
            .all(|(n, letter)| view.at(start + length + n).to_lowercase().eq(letter.to_lowercase()));
    if is_word {
        length += word.chars().count();
        let spaces = (0..MAX_GAP).take_while(|n| is_gap(view.at(start + length + n))).count();
        return length + spaces;
    }
    if length <= MAX_GAP { length } else { 0 }
}

/// Whether the words before a number, or the name of the text that begins with
/// it, say that it is a document's.
fn is_after_document_word(view: &View, start: usize, name: &str) -> bool {
    let mut before = view.backwards(start).chain([' ']).chain(name.chars().rev()).peekable();
    for _ in 0..MAX_WORDS {
        let mut skipped = 0;
        while before.next_if(|character| " -_:=,./#№+()[]\"".contains(*character)).is_some() {
            skipped += 1;
            if skipped > MAX_GAP {
                return false;
            }
        }
        let mut word = Vec::new();
        while let Some(letter) = before.next_if(|character| character.is_alphabetic()) {
            if word.len() == MAX_WORD {
                return false;
            }
            word.push(letter);
        }
        let word: String = word.iter().rev().flat_map(|letter| letter.to_lowercase()).collect();
        if DOCUMENT_WORDS.contains(&word.as_str()) {
            return true;
        }
        if !FILLING_WORDS.contains(&word.as_str()) {
            return false;
        }
    }
    false
}

// === impl Number ===

impl Number<'_> {
    fn kind(&self, start: usize, after_word: bool) -> Option<Kind> {
        let (count, single) = (self.sizes.iter().sum::<usize>(), self.groups.len() == 1);
        if after_word && (MIN_DIGITS..=16).contains(&count) {
            return Some(Kind::Document);
        }
        let (before, after) = (self.view.before(start), self.view.at(self.groups[self.groups.len() - 1].end));
        let stands_alone = !before.is_alphanumeric() && !after.is_alphanumeric();
        let is_trunk = self.is_trunk();
        // `id79120000000` and `order-4111111111111111x`: too long to be anything else.
        if !stands_alone && !(single && (is_trunk || count > 13)) {
            return None;
        }
        let is_card_shape = single || GROUPED_CARDS.contains(&self.sizes.as_slice());
        if is_card_shape && is_card(self.digits, count) {
            return Some(Kind::Card);
        }
        if self.sizes == [4, 4, 4, 4] {
            return Some(Kind::Document);
        }
        if self.plus && self.fits_country(count) || is_trunk || self.is_phone() {
            return Some(Kind::Phone);
        }
        if self.is_document() {
            return Some(Kind::Document);
        }
        if single && count > 13 && !is_moment(self.digits, count) && !self.is_fraction(start) {
            return Some(if count == 16 { Kind::Document } else { Kind::Id });
        }
        let is_client = matches!(self.sizes[..], [8..=10, 10]) && self.gap_before(1) == ".";
        is_client.then_some(Kind::Id)
    }

    /// Eleven digits that begin with 7 or 8 and an area code of Russia or Kazakhstan.
    fn is_trunk(&self) -> bool {
        let bytes = self.digits.as_bytes();
        if self.sizes.iter().sum::<usize>() != 11
            || !b"78".contains(&bytes[0])
            || !b"346789".contains(&bytes[1])
        {
            return false;
        }
        match self.sizes[..] {
            [11] => true,
            // Five digits of a town leave an odd number of its own: `1-23-45`.
            [1, 5 | 10, ..] => true,
            [1, 3 | 4, ref rest @ ..] => rest.iter().all(|size| *size > 1),
            [4 | 5, ref rest @ ..] => rest.iter().all(|size| *size > 1),
            _ => false,
        }
    }

    /// After `+`: as long as the country's numbers are where that is fixed, else
    /// up to E.164's fifteen digits.
    fn fits_country(&self, count: usize) -> bool {
        let is_fixed = |length: usize, codes: &[&str]| {
            codes.iter().any(|code| self.digits.starts_with(code)).then_some(count == length)
        };
        is_fixed(11, &["1", "7"])
            .or_else(|| is_fixed(12, &NEIGHBOURS))
            .unwrap_or((MIN_DIGITS..=15).contains(&count))
    }

    fn is_phone(&self) -> bool {
        let count: usize = self.sizes.iter().sum();
        let first = self.digits.as_bytes()[0];
        if count == 12 {
            return NEIGHBOURS.contains(&&self.digits[..3])
                && (self.sizes.len() == 1
                    || self.sizes[0] == 3 && self.sizes[1..].iter().all(|size| *size > 1));
        }
        if count != 10 {
            return false;
        }
        match self.sizes[..] {
            [10] => first == b'9',
            [3..=5, ..] if self.bracket => (b'2'..=b'9').contains(&first),
            [3, 3, 4] => (b'2'..=b'9').contains(&first),
            [3, 7] => first == b'9',
            ref sizes => GROUPED_PHONES.contains(&sizes) && b"3489".contains(&first),
        }
    }

    fn is_document(&self) -> bool {
        let joints = (1..self.groups.len()).map(|group| self.gap_before(group));
        match self.sizes[..] {
            [11] => is_snils(self.digits),
            [3, 3, 3, 2] => is_snils(self.digits),
            [12] => is_inn(self.digits),
            // With a dash alone it is as well the 123456th order of a year.
            [4, 6] => is_passport(self.digits) && self.gap_before(1).contains([' ', '+', '№', 'н', 'Н']),
            [2, 2, 6] => is_passport(self.digits) && joints.into_iter().all(|joint| !joint.contains('.')),
            _ => false,
        }
    }

    /// Whether these are the digits after the point of a number such as `0.30000000000000004`.
    fn is_fraction(&self, start: usize) -> bool {
        let mut before = self.view.backwards(start);
        if before.next() != Some('.') {
            return false;
        }
        let mut whole = before.skip_while(|character| character.is_ascii_digit());
        let digits =
            self.view.backwards(start).skip(1).take_while(|character| character.is_ascii_digit()).count();
        (1..=3).contains(&digits) && whole.next() != Some('.')
    }

    fn gap_before(&self, group: usize) -> String {
        (self.groups[group - 1].end..self.groups[group].start).map(|at| self.view.at(at)).collect()
    }
}

fn values(digits: &str) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + '_ {
    digits.as_bytes().iter().map(|digit| u32::from(digit - b'0'))
}

/// By length, first digits (ISO/IEC 7812: travel, banking, Mir) and Luhn's check.
fn is_card(digits: &str, count: usize) -> bool {
    let known = match count {
        14 => ["30", "36", "38", "39"].contains(&&digits[..2]),
        15 => ["34", "37"].contains(&&digits[..2]),
        16..=19 => (b'2'..=b'6').contains(&digits.as_bytes()[0]),
        _ => false,
    };
    known && passes_luhn(digits)
}

fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = values(digits)
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The sum of digits times 9, 8, … 1, modulo 101, is the last two digits.
fn is_snils(digits: &str) -> bool {
    let sum: u32 = values(&digits[..9]).zip((1..=9).rev()).map(|(digit, weight)| digit * weight).sum();
    let check = sum % 101 % 100;
    sum > 0 && values(&digits[9..]).fold(0, |number, digit| number * 10 + digit) == check
}

/// A person's: the last two of twelve digits are checks. An organization's ten
/// digits are public, and one number of ten in ten would pass for one.
fn is_inn(digits: &str) -> bool {
    const WEIGHTS: [u32; 11] = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];
    let check = |weights: &[u32]| {
        values(digits).zip(weights).map(|(digit, weight)| digit * weight).sum::<u32>() % 11 % 10
    };
    let last: Vec<u32> = values(&digits[10..]).collect();
    last == [check(&WEIGHTS[1..]), check(&WEIGHTS)] && digits.bytes().any(|digit| digit != b'0')
}

/// A region's code and the year of the form, 1997 to 2039.
fn is_passport(digits: &str) -> bool {
    let number = |from: usize| digits[from..from + 2].parse::<u32>().unwrap_or(0);
    number(0) > 0 && matches!(number(2), 0..=39 | 97..=99)
}

/// `yyyymmddhhmmss`, as archives and file names have it.
fn is_moment(digits: &str, count: usize) -> bool {
    let part = |from: usize, to: usize| digits[from..to].parse::<u32>().unwrap_or(u32::MAX);
    count == 14
        && (1900..2100).contains(&part(0, 4))
        && (1..=12).contains(&part(4, 6))
        && (1..=31).contains(&part(6, 8))
        && part(8, 10) < 24
        && part(10, 12) < 60
        && part(12, 14) < 60
}
