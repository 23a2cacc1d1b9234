//! The tables of `docs/hygiene.md`, and what must hold for any text.

use proptest::prelude::*;

use super::super::text::is_unprintable;
use super::*;

/// Every shape that is documented, with what is stored of it.
fn shapes() -> Vec<(String, String)> {
    let text = include_str!("../../../docs/hygiene.md");
    let (_, tables) = text.split_once("## Shapes that go").expect("the table of shapes that go");
    let (gone, kept) = tables.split_once("## Shapes that stay").expect("the table of shapes that stay");
    let rows = |table: &str| -> Vec<Vec<String>> {
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        rows.map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().trim_matches('`').replace("\\|", "|")).collect()
        })
        .collect()
    };
    let gone = rows(gone).into_iter().map(|row| (row[0].clone(), row[1].clone()));
    let kept = rows(kept).into_iter().map(|row| (row[0].clone(), row[0].clone()));
    gone.chain(kept).collect()
}

#[test]
fn documented_shapes_go_or_stay_as_documented() {
    let shapes = shapes();
    let wrong: Vec<String> = shapes
        .iter()
        .filter(|(sent, stored)| scrub(sent) != stored.as_str())
        .map(|(sent, stored)| format!("{sent:?}: expected {stored:?}, found {:?}", scrub(sent)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = shapes.iter().filter(|(sent, stored)| sent == stored).count();
    println!("{} shapes: {} go, {kept} stay", shapes.len(), shapes.len() - kept);
    assert!(shapes.len() >= 150 && kept >= 75, "the tables were not read as a whole");
}

#[test]
fn a_shape_is_found_among_others_and_leaves_them_as_they_are() {
    let words = ["/uslugi/", "Запись на приём — ", "x=1&y=", "%D0%B0/", "«", "2024 · "];
    let mut tried = 0;
    for (sent, stored) in shapes().into_iter().filter(|(sent, stored)| sent != stored) {
        for word in words {
            // What is read as part of the number: a campaign's `y=` and `/` are not.
            let (text, expected) = (format!("{word}{sent}/"), format!("{word}{stored}/"));
            assert_eq!(scrub(&text), expected, "{text:?}");
            tried += 1;
        }
    }
    println!("{tried} texts");
    assert!(tried > 500);
}

#[test]
fn the_name_of_a_value_says_what_a_number_is() {
    for (name, value, expected) in [
        ("passport", "4510123456", "[document]"),
        ("passport_number", "4510 123456", "[document]"),
        ("Паспорт", "4510123456", "[document]"),
        ("user_inn", "7707083893", "[document]"),
        ("", "4510123456", "4510123456"),
        ("order", "4510123456", "4510123456"),
        ("passport", "заказ 4510123456", "заказ 4510123456"),
        ("passport", "45", "45"),
    ] {
        assert_eq!(scrub_named(name, value), expected, "{name} {value}");
    }
}

#[test]
fn a_find_that_the_cut_would_halve_is_taken_out_first() {
    for (shape, marker) in [("user@example.ru", "[email]"), ("4111 1111 1111 1111", "[card]")] {
        for before in 1..40 {
            let text = format!("{} {shape} and more", "x".repeat(before));
            let stored = kept("", &text, 30);
            let expected = format!("{} {marker} and more", "x".repeat(before));
            assert_eq!(stored, cut(&expected, 30).trim_end(), "{text}");
        }
    }
    // Beyond what is looked at, the beginning of an address is not left behind.
    for before in MAX_TEXT_BYTES - 20..MAX_TEXT_BYTES + 5 {
        let text = format!("{}/secret.name@example.ru", "x".repeat(before));
        assert!(!kept("", &text, usize::MAX).contains("secret"), "{before}");
    }
}

/// Texts in which there is something to find more often than by chance.
fn likely() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[0-9]{1,12}",
        3 => "[-+() ._/@№%=&\"]{1,3}",
        2 => "[a-zA-Z0-9_-]{1,24}",
        1 => "[0-9a-f]{8,20}",
        1 => proptest::sample::select(vec![
            "%40", "%2540", "%30", "%D0%B0", "%ff", "%", "паспорт ", "номер", "inn", "я", "＠", "７", "\u{200b}",
            "٨", "eyJ", "[email]", "[", "]", "user@example.ru", "+7 912 345-67-89", "4111111111111111",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// What must hold for any text.
fn check(text: &str) -> Result<(), TestCaseError> {
    let once = scrub(text).into_owned();
    let twice = scrub(&once);
    prop_assert_eq!(&twice, &once, "scrubbed twice");
    if is_plain(text) {
        let mut view = View::of(text);
        email::mark(&mut view);
        token::mark(&mut view);
        number::mark(&mut view, "passport");
        prop_assert_eq!(view.written(text), None, "a text that was taken for plain");
    }
    // What is left was there before, in its order.
    let mut left = vec![once.as_str()];
    for kind in [Kind::Email, Kind::Phone, Kind::Card, Kind::Document, Kind::Token, Kind::Id] {
        left = left.iter().flat_map(|part| part.split(kind.marker())).collect();
    }
    let mut rest = text;
    for part in left {
        let Some(at) = rest.find(part) else {
            return Err(TestCaseError::fail(format!("{part:?} of {once:?} was not in {text:?}")));
        };
        rest = &rest[at + part.len()..];
    }
    for bytes in [0, 1, 7, 32] {
        let short = kept("", text, bytes);
        prop_assert!(short.len() <= bytes && !short.chars().any(is_unprintable));
        prop_assert!(kept_path(text.into(), bytes).len() <= bytes);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if std::env::var_os("METKA_SOAK").is_some() { 200_000 } else { 3_000 }
    ))]

    #[test]
    fn what_is_passed_at_once_would_stay_as_it_is(text in "[ -~я]{0,18}") {
        if is_short_and_clean(&text) {
            prop_assert_eq!(scrub(&text), text.as_str());
            prop_assert_eq!(clean(&text), text.as_str());
        }
    }

    #[test]
    fn any_text_is_scrubbed_once_and_for_all(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_text_with_something_in_it_is_scrubbed_once_and_for_all(text in likely()) {
        check(&text)?;
    }

    #[test]
    fn an_address_is_found_wherever_it_stands(before in "[а-яa-z /=&?]{0,20}", after in "[ /&?,;]?[а-яa-z /]{0,9}", rounds in 0..4_usize) {
        let mut text = format!("{before}/canary@example.ru{}", if after.starts_with(|c: char| c.is_alphanumeric()) { "" } else { &after });
        for _ in 0..rounds {
            text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
        }
        let stored = scrub(&text);
        prop_assert!(stored.contains("[email]") && !stored.contains("canary"), "{} -> {}", text, stored);
    }
}
