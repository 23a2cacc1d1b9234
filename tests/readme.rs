//! The two READMEs say the same, and what they name is there.

use std::collections::BTreeMap;
use std::path::Path;

const ENGLISH: &str = include_str!("../README.md");
const RUSSIAN: &str = include_str!("../README.ru.md");
/// Folders whose files are named in the text.
const FOLDERS: [&str; 6] = ["benches/", "docs/", "schema/", "src/", "tests/", "fuzz/"];

/// What stands between two marks on one line.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().flat_map(move |line| {
        let parts = line.split(begin).skip(1);
        parts.filter_map(move |part| part.split_once(end)).map(|(inside, _)| inside)
    })
}

/// What is set as code.
fn code(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// Whole numbers without what languages put between digits: `1,300`, `1 300` and `28.0` are 1300 and 280.
fn numbers(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let is_digit = |place: Option<usize>| {
        place.and_then(|place| letters.get(place)).is_some_and(|letter: &char| letter.is_ascii_digit())
    };
    let joins = |place: usize| {
        " ,.".contains(letters[place]) && is_digit(place.checked_sub(1)) && is_digit(Some(place + 1))
    };
    let kept: String =
        (0..letters.len()).filter(|place| !joins(*place)).map(|place| letters[place]).collect();
    let found = kept.split(|letter: char| !letter.is_ascii_digit());
    found.filter(|digits| !digits.is_empty()).map(str::to_owned).collect()
}

/// In any order: languages have their own.
fn counted<T: Ord>(all: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counted = BTreeMap::new();
    all.into_iter().for_each(|one| *counted.entry(one).or_default() += 1);
    counted
}

fn rows(section: &str) -> Vec<&str> {
    section.lines().filter(|line| line.starts_with('|')).collect()
}

/// The address that a heading has on a page.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn both_languages_have_the_same_sections_rows_names_and_numbers() {
    let (english, russian): (Vec<&str>, Vec<&str>) =
        (ENGLISH.split("\n## ").collect(), RUSSIAN.split("\n## ").collect());
    assert_eq!(english.len(), russian.len(), "sections");
    let mut compared = 0;
    for (english, russian) in english.into_iter().zip(russian) {
        let heading = english.lines().next().unwrap_or_default();
        let (english, russian) = (rows(english), rows(russian));
        assert_eq!(english.len(), russian.len(), "rows of {heading:?}");
        for (english, russian) in english.into_iter().zip(russian) {
            assert_eq!(counted(code(english)), counted(code(russian)), "{english}\n{russian}");
            let links = |row| counted(between(row, "](", ")").collect::<Vec<_>>());
            assert_eq!(links(english), links(russian), "{english}\n{russian}");
            assert_eq!(counted(numbers(english)), counted(numbers(russian)), "{english}\n{russian}");
            compared += 1;
        }
    }
    assert!(compared > 50, "rows are found: {compared}");
}

#[test]
fn what_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for readme in [ENGLISH, RUSSIAN] {
        let links = between(readme, "](", ")").filter(|link| !link.contains("://"));
        let files =
            code(readme).into_iter().filter(|text| FOLDERS.iter().any(|folder| text.starts_with(folder)));
        let mut looked = 0;
        for named in links.chain(files) {
            // A command that begins like a file.
            let named = named.split(' ').next().unwrap_or_default();
            let (file, heading) = named.split_once('#').unwrap_or((named, ""));
            assert!(root.join(file).exists(), "{file} is named and is not there");
            if !heading.is_empty() {
                let page = std::fs::read_to_string(root.join(file)).expect("it is read");
                let headings = page.lines().filter(|line| line.starts_with('#'));
                let found = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(found.into_iter().any(|anchor| anchor == heading), "{named} is no heading");
            }
            looked += 1;
        }
        assert!(looked > 100, "names are found: {looked}");
    }
}

#[test]
fn numbers_are_compared_as_both_languages_write_them() {
    assert_eq!(numbers("1,300 bytes, 28.0 of 30"), numbers("1300 байт, 28,0 из 30"));
    assert_eq!(numbers("10 048 и 350 340"), ["10048", "350340"]);
    assert_eq!(numbers("14, 20, 21"), ["14", "20", "21"]);
}
