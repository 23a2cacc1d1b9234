//! The page to be printed is in one language, but for what the site itself gave a name.

use metka::mark::Mark;
use serde_json::{Value, json};

use crate::server::Server;
use crate::{ADDRESS, ANNAS_KEY, Asker, Browser, about, and, cells, execute, place, stored, text};

/// The classes of devices.
const DEVICES: &[&str] = &["desktop", "mobile", "tablet", "tv", "console", "other"];
/// The names that a column of storage may have, as storage says.
fn names(server: &Server, column: &str) -> Vec<String> {
    let sql = format!(
        "SELECT type FROM system.columns WHERE database = 'metka' AND table = 'hits' AND name = '{column}'"
    );
    let list = server.rows(&sql)[0][0].as_str().expect("a type").to_owned();
    let names: Vec<String> = list.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(names.len() > 1, "{column} is {list}");
    names
}

/// The texts of a page, without its markup; what stands in a list one by one.
fn texts(page: &str) -> Vec<&str> {
    let after = page.split('<').filter_map(|part| part.split_once('>'));
    after.flat_map(|(_, text)| text.split(", ")).map(str::trim).filter(|text| !text.is_empty()).collect()
}

#[test]
fn a_page_in_russian_has_no_name_of_storage_and_no_note_in_english() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ADDRESS);
    for page in 0..2 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
    }
    stored(&server, "clinic", 2);
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let lists = [
        ("kind", "kind", names(&server, "kind")),
        ("consent", "consent", names(&server, "consent")),
        ("identity", "identity", names(&server, "identity")),
        ("device", "device", owned(DEVICES)),
        ("bot", "mark", owned(&Mark::ALL.map(Mark::name))),
    ];
    // A hit of hers for each name of the longest list, which has each of the others' too.
    let most = lists.iter().map(|(_, _, names)| names.len()).max().unwrap_or_default();
    let columns: Vec<String> = lists
        .iter()
        .map(|(column, _, names)| format!("['{}'][1 + n % {}] AS {column}", names.join("', '"), names.len()))
        .collect();
    execute(
        &server,
        &format!(
            "INSERT INTO metka.hits SELECT * EXCEPT (n) REPLACE (batch + 1 + n AS batch, {}) \
             FROM (SELECT hits.*, n FROM metka.hits CROSS JOIN (SELECT number AS n FROM numbers({most})) AS made \
                   WHERE path = '/anna/1')",
            columns.join(", ")
        ),
    );
    stored(&server, "clinic", 2 + most as u64);

    let security = Asker::new(&server, "security", None);
    let by_cookie = about(json!({ "cookie": anna.value() }));
    let document = security.opened(&by_cookie);
    for (_, cell, names) in &lists {
        let found = cells(&document, cell);
        assert!(names.iter().all(|name| found.contains(name)), "programs have {cell} by name: {found:?}");
    }
    let notes: Vec<&str> =
        document["notes"].as_array().expect("notes").iter().filter_map(Value::as_str).collect();
    assert!(notes.len() == 2 && notes[1].contains("shown as tokens"), "{notes:?}");

    let page = |accepts: &str| {
        let reply =
            security.post("/api/v1/case", &and(by_cookie.clone(), json!({ "format": "html" })), accepts);
        assert_eq!(reply.status, 200, "{}", text(&reply));
        text(&reply)
    };
    let (russian, english) = (page("ru"), page("en"));
    let shown = texts(&russian);
    for (_, cell, names) in &lists {
        for name in names {
            assert!(!shown.contains(&name.as_str()), "{cell} {name} is on the page: {shown:?}");
        }
    }
    for words in [
        "Просмотр страницы",
        "Ошибка скрипта страницы",
        "О согласии не сказано",
        "Согласие дано",
        "и на рекламу",
        "По cookie-файлу",
        "Без cookie-файла",
        "Поисковый робот",
        "Слишком много новых посетителей с одного адреса",
        "Телефон",
        "Планшет",
    ] {
        assert!(shown.contains(&words), "{words}: {shown:?}");
    }
    for note in notes {
        assert!(english.contains(note) && !russian.contains(note), "{note}: {russian}");
    }
    assert!(russian.contains("вместо адресов показаны условные обозначения"), "{russian}");
    assert!(!russian.contains("lang=\"en\""), "{russian}");
    assert!(texts(&english).contains(&"Search crawler") && texts(&english).contains(&"Phone"), "{english}");
    assert!(!english.contains(|letter| ('а'..='я').contains(&letter)), "{english}");
    assert_eq!(server.terminate().0, Some(0));
}
