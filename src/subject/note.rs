//! What could not be found of a person, and why: a closed list, each in Russian and in English.
//!
//! In a file and in an answer a note is its English text, so that they read as they always
//! did; what is read back from a file is looked up by it. [`Note::text`] is for pages that
//! people read.
//!
//! Invariant: a text is about how somebody was looked for, never about who they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::Language;

/// Stands for the number in a text.
const NUMBER: &str = "{}";

/// One note. What is counted is said with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Note {
    /// Said of a cookie.
    WithoutCookie,
    /// Said of a user key: browsers that several users share are left out.
    SharedBrowsers(u64),
    /// Said of a user key: the browsers that are meant are those of the past.
    OtherBrowsers,
    /// Said of an address.
    NoAddresses,
    Networks,
    DestroyedKeys(u64),
    SeveralUsers,
    /// Said of an erasure by an address.
    RefusedHits(u64),
    /// Said of a correction.
    DeadRows(u64),
    /// Said of a case file that has addresses.
    Tokens,
    /// Not of this list: another version of this program wrote it into a file.
    Other(String),
}

// === impl Note ===

impl Note {
    /// The list, with this number where one is said.
    pub fn all(number: u64) -> [Note; 10] {
        [
            Note::WithoutCookie,
            Note::SharedBrowsers(number),
            Note::OtherBrowsers,
            Note::NoAddresses,
            Note::Networks,
            Note::DestroyedKeys(number),
            Note::SeveralUsers,
            Note::RefusedHits(number),
            Note::DeadRows(number),
            Note::Tokens,
        ]
    }

    /// As people read it.
    pub fn text(&self, language: Language) -> String {
        let [russian, english] = self.words();
        let text = match language {
            Language::Ru => russian,
            Language::En => english,
        };
        match self.number() {
            Some(number) => text.replace(NUMBER, &number.to_string()),
            None => text.to_owned(),
        }
    }

    /// In Russian and in English.
    fn words(&self) -> [&str; 2] {
        match self {
            Note::WithoutCookie => [
                "обращения без этой cookie по ней не найти: соль, по которой различались их посетители, \
                 уничтожается через два дня",
                "hits without this cookie cannot be found by it: the salts that named their visitors \
                 are destroyed after two days",
            ],
            Note::SharedBrowsers(_) => [
                "браузеров, в которых встречался и другой ключ пользователя: {}; из их обращений учтены только те, \
                 что пришли с этим ключом",
                "{} browsers were used with another user key too: of them only the hits with this one are meant",
            ],
            Note::OtherBrowsers => [
                "будущие обращения с этим ключом пользователя в браузерах, где его ещё не было или где встречался \
                 и другой ключ, не охвачены: там действует то, что ответил посетитель",
                "hits to come with this user key in browsers in which it was not seen yet, or with another key too, \
                 are not covered: what the visitor said there counts",
            ],
            Note::NoAddresses => ["этот сайт не хранит адресов", "this site stores no addresses"],
            Note::Networks => [
                "этот сайт хранит только сети: имеются в виду все, кто был в сети этого адреса",
                "this site stores networks: everybody of the address's network is meant",
            ],
            Note::DestroyedKeys(_) => [
                "уничтоженных ключей адресов: {}; адреса за их месяцы не найти",
                "{} keys of addresses are destroyed: addresses of their months cannot be found",
            ],
            Note::SeveralUsers => [
                "одним адресом могли пользоваться несколько человек, и хранится он не дольше своего срока",
                "an address may have had several users, and ends with its term",
            ],
            Note::RefusedHits(_) => [
                "уничтожены и отвергнутые обращения с этого адреса: {}",
                "{} refused hits of the address are destroyed as well",
            ],
            Note::DeadRows(_) => [
                "строк, которые хранилище не приняло и которые отложены: {}; в них никого не искали — отправьте их \
                 снова и повторите запрос",
                "{} rows wait in dead letters, which nobody was looked up in: replay them and ask again",
            ],
            Note::Tokens => [
                "вместо адресов показаны условные обозначения; у одного адреса в каждом месяце своё, потому что ключ \
                 у каждого месяца свой",
                "addresses are shown as tokens; one address has another token in each month, whose key is its own",
            ],
            Note::Other(text) => [text, text],
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Note::SharedBrowsers(number)
            | Note::DestroyedKeys(number)
            | Note::RefusedHits(number)
            | Note::DeadRows(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::En))
    }
}

impl From<Note> for String {
    fn from(note: Note) -> String {
        note.to_string()
    }
}

impl From<String> for Note {
    fn from(text: String) -> Note {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = text[..digits].parse().unwrap_or_default();
        let known = Note::all(number).into_iter().find(|note| note.to_string() == text);
        known.unwrap_or(Note::Other(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_is_read_back_from_its_english_text_and_has_a_russian_one() {
        for number in [0, 1, 1_234_567] {
            for note in Note::all(number) {
                assert!(!matches!(note, Note::Other(_)), "{note}");
                let written = serde_json::to_value(&note).expect("it is written");
                assert_eq!(written, note.text(Language::En), "as in answers");
                assert_eq!(serde_json::from_value::<Note>(written).expect("it is read"), note);

                let russian = note.text(Language::Ru);
                let without_loanword = russian.replace("cookie", "");
                assert!(!without_loanword.contains(|c: char| c.is_ascii_alphabetic()), "{russian}");
                for text in [&russian, &note.to_string()] {
                    assert!(!text.contains(NUMBER), "{text}");
                    let has_number = text.contains(&number.to_string());
                    assert_eq!(has_number, note.number().is_some(), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_another_version_wrote_is_kept_word_for_word() {
        for text in
            ["", "7 moons were full: {} of them", "01 refused hits of the address are destroyed as well"]
        {
            let note = Note::from(text.to_owned());
            assert_eq!(note, Note::Other(text.to_owned()));
            assert_eq!((note.to_string(), note.text(Language::Ru)), (text.to_owned(), text.to_owned()));
        }
    }
}
