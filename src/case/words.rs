//! What storage keeps by its name in a closed list, as people read it on the page to be
//! printed, in Russian and English.
//!
//! In: which cell of a hit ([`super::trail::CELLS`]), and what is stored in it. Out: words.
//! What is of no list (a path, an event's name, a browser, the code of a country), and a name
//! that this version does not know, is shown as it is stored.
//!
//! JSON and CSV have the names, for programs. Kinds of hits are called as on the visitor's
//! own page ([`crate::accept::privacy`]), whose words these are.

use crate::accept::privacy::hit_kind;
use crate::event::{ConsentState, IdentityKind};
use crate::mark::Mark;
use crate::policy::Language;

/// In Russian and in English.
type Both = [&'static str; 2];

/// The classes of devices, as the user agent's data has them.
const DEVICES: [(&str, Both); 6] = [
    ("desktop", ["Компьютер", "Desktop"]),
    ("mobile", ["Телефон", "Phone"]),
    ("tablet", ["Планшет", "Tablet"]),
    ("tv", ["Телевизор", "TV set"]),
    ("console", ["Приставка", "Games console"]),
    ("other", ["Другое устройство", "Other device"]),
];

/// What stands in a cell, in words.
pub(super) fn cell<'a>(name: &str, stored: &'a str, language: Language) -> &'a str {
    let both = match name {
        "kind" => return hit_kind(language, stored).unwrap_or(stored),
        "consent" => ConsentState::ALL.into_iter().find(|state| state.name() == stored).map(consent),
        "identity" => IdentityKind::ALL.into_iter().find(|kind| kind.name() == stored).map(identity),
        "mark" => Mark::parse(stored).map(mark),
        "device" => DEVICES.iter().find(|(known, _)| *known == stored).map(|(_, words)| *words),
        _ => None,
    };
    match (both, language) {
        (Some([russian, _]), Language::Ru) => russian,
        (Some([_, english]), Language::En) => english,
        (None, _) => stored,
    }
}

fn consent(state: ConsentState) -> Both {
    match state {
        ConsentState::Unstated => ["О согласии не сказано", "Consent not stated"],
        ConsentState::Granted => ["Согласие дано", "Consent given"],
        ConsentState::Denied => ["В согласии отказано", "Consent refused"],
        ConsentState::Marketing => ["Согласие дано, и на рекламу", "Consent given, marketing too"],
    }
}

fn identity(kind: IdentityKind) -> Both {
    match kind {
        IdentityKind::Cookieless => ["Без cookie-файла", "Without a cookie"],
        IdentityKind::Cookie => ["По cookie-файлу", "By the cookie"],
    }
}

/// Each says why the hit is in no number.
fn mark(mark: Mark) -> Both {
    match mark {
        Mark::Crawler => ["Поисковый робот", "Search crawler"],
        Mark::Automation => ["Мониторинг или тест", "Monitor or test driver"],
        Mark::Headless => ["Браузер без окна", "Browser without a window"],
        Mark::Library => ["Программа, а не браузер", "Program, not a browser"],
        Mark::Empty => ["Нет строки браузера", "No user agent"],
        Mark::Contradiction => ["Выдаёт себя за другую версию", "Poses as another version"],
        Mark::Impossible => ["Невозможные значения", "Values that cannot be"],
        Mark::ReferrerSpam => ["Ложный источник перехода", "Spam in the referrer"],
        Mark::Datacentre => ["Арендованный сервер", "Rented server"],
        Mark::Crowd => {
            ["Слишком много новых посетителей с одного адреса", "Too many new visitors at one address"]
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::event::Kind;

    /// Every name that storage has in a list: the cell, and what stands in it.
    pub fn names() -> Vec<(&'static str, &'static str)> {
        let kinds = Kind::ALL.map(|kind| ("kind", kind.name()));
        let consents = ConsentState::ALL.map(|state| ("consent", state.name()));
        let identities = IdentityKind::ALL.map(|kind| ("identity", kind.name()));
        let marks = Mark::ALL.map(|mark| ("mark", mark.name()));
        let devices = DEVICES.map(|(name, _)| ("device", name));
        let lists = kinds.into_iter().chain(consents).chain(identities);
        lists.chain(marks).chain(devices).collect()
    }

    #[test]
    fn every_name_of_a_list_has_words_of_its_own_in_both_languages() {
        for language in [Language::Ru, Language::En] {
            let mut seen = HashSet::new();
            for (column, name) in names() {
                let words = cell(column, name, language);
                assert_ne!(words, name, "{column}");
                assert!(seen.insert(words), "{words} is said twice");
                let is_russian = words.chars().any(|letter| ('а'..='я').contains(&letter));
                assert_eq!(is_russian, language == Language::Ru, "{words}");
            }
        }
    }

    #[test]
    fn what_is_of_no_list_is_shown_as_it_is_stored() {
        for (column, stored) in [
            ("path", "error"),
            ("name", "consent"),
            ("country", "RU"),
            ("kind", "telepathy"),
            ("consent", "perhaps"),
            ("identity", "face"),
            ("mark", "alien"),
            ("mark", ""),
            ("device", "toaster"),
        ] {
            assert_eq!(cell(column, stored, Language::Ru), stored, "{column}");
        }
    }

    #[test]
    fn the_lists_are_those_of_storage() {
        let schema = include_str!("../../schema/0001_hits.sql");
        let states =
            ConsentState::ALL.map(|state| format!("'{}' = {}", state.name(), state as i8)).join(", ");
        let kinds = IdentityKind::ALL.map(|kind| format!("'{}' = {}", kind.name(), kind as i8)).join(", ");
        for list in [states, kinds] {
            assert!(schema.contains(&format!("Enum8({list})")), "{list}");
        }
        assert_eq!(DEVICES.map(|(name, _)| name), crate::subject::rectify::DEVICES);
    }
}
