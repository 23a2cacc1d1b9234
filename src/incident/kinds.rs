//! The kinds of data that an incident may touch: the columns of `hits` that the inventory
//! ([`crate::privacy::inventory`]) tells as a visitor's, in groups that people understand.
//!
//! A row counts for a kind if it really holds something of it: a text that is not empty,
//! a number that is not nothing. Every column of a visitor's is in exactly one kind.

use serde_json::{Value, json};

use super::register::Held;

/// One kind.
#[derive(Clone, Copy, Debug)]
pub struct DataKind {
    pub name: &'static str,
    pub russian: &'static str,
    pub english: &'static str,
    pub columns: &'static [&'static str],
    /// SQL: whether a row holds something of it.
    pub(super) holds: &'static str,
}

/// All kinds, what singles a person out first.
pub const KINDS: &[DataKind] = &[
    DataKind {
        name: "visitor",
        russian: "условный номер браузера (хеш cookie-файла или, без него, хеш на один день)",
        english: "a stand-in for the browser (a hash of its cookie or, without one, a hash of one day)",
        columns: &["visitor", "identity", "minted", "before"],
        holds: "visitor != 0",
    },
    DataKind {
        name: "user_key",
        russian: "условный номер учётной записи на сайте (хеш)",
        english: "a stand-in for the account on the site (a hash)",
        columns: &["user_key"],
        holds: "user_key != 0",
    },
    DataKind {
        name: "address",
        russian: "IP-адрес (зашифрованный)",
        english: "the IP address (encrypted)",
        columns: &["ip"],
        holds: "ip_key != 0",
    },
    DataKind {
        name: "place",
        russian: "примерное местоположение по IP-адресу: страна, регион, город, сеть",
        english: "the rough location of the IP address: country, region, city, network",
        columns: &["country", "region", "city", "asn", "network"],
        holds: "country != '' OR region != '' OR city != '' OR asn != 0 OR network != ''",
    },
    DataKind {
        name: "pages",
        russian: "время посещения и адреса просмотренных страниц",
        english: "the time of visits and the addresses of the pages that were viewed",
        columns: &["time", "kind", "host", "path", "query", "title"],
        holds: "host != '' OR path != ''",
    },
    DataKind {
        name: "source",
        russian: "откуда пришли на сайт: предыдущая страница, источник, рекламная кампания",
        english: "where visits came from: the page before, the source, the advertising campaign",
        columns: &[
            "referrer_host",
            "referrer_path",
            "source",
            "channel",
            "utm_source",
            "utm_medium",
            "utm_campaign",
            "utm_content",
            "utm_term",
        ],
        holds: "referrer_host != '' OR referrer_path != '' OR source != '' OR utm_source != '' OR utm_medium != '' \
                OR utm_campaign != '' OR utm_content != '' OR utm_term != ''",
    },
    DataKind {
        name: "browser",
        russian: "сведения о браузере и устройстве: вид, версия, язык, размер экрана, часовой пояс",
        english: "the browser and the device: family, version, language, screen size, time zone",
        columns: &[
            "browser",
            "browser_version",
            "os",
            "os_version",
            "device",
            "bot",
            "language",
            "screen",
            "timezone",
        ],
        holds: "browser != '' OR os != '' OR device != '' OR language != '' OR screen != '' OR timezone != ''",
    },
    DataKind {
        name: "ads",
        russian: "показы рекламных блоков и переходы по ним",
        english: "ad blocks that were shown and clicked",
        columns: &["ad"],
        holds: "ad != ''",
    },
    DataKind {
        name: "events",
        russian: "действия на страницах: события и их свойства, время просмотра, прокрутка",
        english: "what was done on the pages: events and their properties, time spent, scrolling",
        columns: &["name", "props", "engaged_ms", "scroll"],
        holds: "name != '' OR notEmpty(props) OR engaged_ms != 0 OR (scroll != 255 AND scroll != 0)",
    },
    DataKind {
        name: "consent",
        russian: "ответы о согласии, отметки о претензиях",
        english: "answers about consent, marks of claims",
        columns: &["consent", "hold"],
        holds: "consent != 'unstated' OR hold",
    },
];

/// A kind as it is told: what is kept, and its meaning.
pub(super) fn told(held: &Held) -> Value {
    let kind = of(held);
    json!({
        "name": held.name,
        "ru": kind.map_or(held.name.as_str(), |kind| kind.russian),
        "en": kind.map_or(held.name.as_str(), |kind| kind.english),
        "rows": held.rows,
    })
}

/// The kind of a record, which an older version may have written.
pub(super) fn of(held: &Held) -> Option<&'static DataKind> {
    KINDS.iter().find(|kind| kind.name == held.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::privacy::inventory::{self, Place};

    #[test]
    fn every_column_of_a_visitors_is_in_one_kind_and_nothing_else_is() {
        let told: Vec<&str> = KINDS.iter().flat_map(|kind| kind.columns).copied().collect();
        let set: BTreeSet<&str> = told.iter().copied().collect();
        assert_eq!(told.len(), set.len(), "no column is in two");
        let of_visitors: BTreeSet<&str> = inventory::of(Place::Table("hits"))
            .filter(|field| field.personal.is_of_a_visitor())
            .map(|field| field.name)
            .collect();
        assert_eq!(set, of_visitors);
    }

    #[test]
    fn a_kind_is_told_in_both_languages() {
        for kind in KINDS {
            let is_russian = kind.russian.chars().any(|letter| ('а'..='я').contains(&letter));
            assert!(kind.english.is_ascii() && is_russian, "{}", kind.name);
        }
        let held = Held { name: "of-a-later-version".to_owned(), rows: 1 };
        assert_eq!(told(&held)["ru"], "of-a-later-version");
    }
}
