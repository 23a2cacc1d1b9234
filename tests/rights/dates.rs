//! Due dates. Nothing here asks the product's calendar: the days off are written
//! out below, as the published calendars print them, and the reference walks days
//! with arithmetic of its own.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use metka::rights::calendar::Calendar;
use metka::rights::terms::{Due, Holidays, Kind, Law, Rule, Term, TermError, Terms};

/// Weekdays on which Russia does not work; 2028 as if nothing had been decreed.
const WEEKDAYS_OFF: &str = "
2023-01-02 2023-01-03 2023-01-04 2023-01-05 2023-01-06 2023-02-23 2023-02-24 2023-03-08 2023-05-01 2023-05-08
2023-05-09 2023-06-12 2023-11-06
2024-01-01 2024-01-02 2024-01-03 2024-01-04 2024-01-05 2024-01-08 2024-02-23 2024-03-08 2024-04-29 2024-04-30
2024-05-01 2024-05-09 2024-05-10 2024-06-12 2024-11-04 2024-12-30 2024-12-31
2025-01-01 2025-01-02 2025-01-03 2025-01-06 2025-01-07 2025-01-08 2025-05-01 2025-05-02 2025-05-08 2025-05-09
2025-06-12 2025-06-13 2025-11-03 2025-11-04 2025-12-31
2026-01-01 2026-01-02 2026-01-05 2026-01-06 2026-01-07 2026-01-08 2026-01-09 2026-02-23 2026-03-09 2026-05-01
2026-05-11 2026-06-12 2026-11-04 2026-12-31
2027-01-01 2027-01-04 2027-01-05 2027-01-06 2027-01-07 2027-01-08 2027-02-22 2027-02-23 2027-03-08 2027-05-03
2027-05-10 2027-06-14 2027-11-04 2027-11-05 2027-12-31
2028-01-03 2028-01-04 2028-01-05 2028-01-06 2028-01-07 2028-02-23 2028-03-08 2028-05-01 2028-05-09 2028-06-12
2028-11-06";
const WORKED_SATURDAYS: &str = "2024-04-27 2024-11-02 2024-12-28 2025-11-01 2027-02-20";
const LAST_KNOWN_YEAR: i32 = 2027;

/// Kind, when it came (Moscow), until when; worked out with a printed calendar in hand.
const BY_HAND: [(&str, &str, &str); 76] = [
    // An ordinary week, by each kind; the last minutes of a day and the first of the next.
    ("access", "2026-11-26 10:00", "2026-12-10"),
    ("access", "2026-11-26 23:30", "2026-12-10"),
    ("access", "2026-11-27 00:30", "2026-12-11"),
    ("rectify", "2026-11-26 23:30", "2026-12-07"),
    ("unblock", "2026-11-26 00:30", "2026-12-07"),
    ("stop", "2026-11-26 10:00", "2026-12-10"),
    ("erase", "2026-11-26 10:00", "2026-12-10"),
    ("withdraw", "2026-11-26 10:00", "2026-12-28"),
    ("claim", "2026-11-26 23:30", "2026-12-28"),
    ("claim", "2026-11-29 00:30", "2026-12-29"),
    ("block", "2026-11-26 23:30", "2026-11-26"),
    ("block", "2026-11-28 12:00", "2026-11-28"),
    ("marketing", "2026-12-31 23:30", "2026-12-31"),
    ("marketing", "2027-01-01 00:30", "2027-01-01"),
    // The turn of 2026: the 31st is off, and so are ten days after it.
    ("access", "2026-12-17 10:00", "2027-01-11"),
    ("access", "2026-12-30 23:30", "2027-01-22"),
    ("access", "2026-12-31 00:30", "2027-01-22"),
    ("access", "2027-01-10 23:30", "2027-01-22"),
    ("access", "2027-01-11 00:30", "2027-01-25"),
    ("rectify", "2026-12-22 10:00", "2027-01-11"),
    ("stop", "2026-12-29 10:00", "2027-01-21"),
    ("withdraw", "2026-12-01 10:00", "2027-01-11"),
    ("withdraw", "2026-12-01 23:30", "2027-01-11"),
    ("withdraw", "2026-12-12 00:30", "2027-01-11"),
    ("withdraw", "2026-12-13 00:30", "2027-01-12"),
    // 2024: a worked Saturday before four days off, and two more of them.
    ("access", "2024-04-19 10:00", "2024-05-07"),
    ("rectify", "2024-04-26 23:30", "2024-05-13"),
    ("rectify", "2024-04-27 00:30", "2024-05-14"),
    ("withdraw", "2024-03-30 10:00", "2024-05-02"),
    ("withdraw", "2024-03-28 10:00", "2024-04-27"),
    ("withdraw", "2024-10-03 10:00", "2024-11-02"),
    ("withdraw", "2024-10-04 10:00", "2024-11-05"),
    ("access", "2024-10-25 10:00", "2024-11-08"),
    ("access", "2024-12-16 10:00", "2024-12-28"),
    ("access", "2024-12-17 10:00", "2025-01-09"),
    ("withdraw", "2024-12-01 10:00", "2025-01-09"),
    ("withdraw", "2024-11-28 23:30", "2024-12-28"),
    ("withdraw", "2024-11-29 00:30", "2025-01-09"),
    // The leap day as an end, as a beginning, and on the way.
    ("withdraw", "2024-01-30 10:00", "2024-02-29"),
    ("withdraw", "2024-01-31 00:30", "2024-03-01"),
    ("claim", "2024-02-29 23:30", "2024-04-01"),
    ("rectify", "2024-02-20 10:00", "2024-03-01"),
    ("access", "2024-02-29 10:00", "2024-03-15"),
    ("block", "2024-02-29 23:30", "2024-02-29"),
    // 2025: days off moved from January and from holidays on weekends.
    ("access", "2025-04-24 10:00", "2025-05-14"),
    ("rectify", "2025-06-04 10:00", "2025-06-17"),
    ("rectify", "2025-10-27 10:00", "2025-11-06"),
    ("withdraw", "2025-10-02 10:00", "2025-11-01"),
    ("withdraw", "2025-10-04 10:00", "2025-11-05"),
    ("withdraw", "2025-01-24 10:00", "2025-02-24"),
    ("withdraw", "2025-02-06 10:00", "2025-03-10"),
    ("access", "2025-12-18 10:00", "2026-01-13"),
    ("withdraw", "2025-12-10 10:00", "2026-01-12"),
    ("withdraw", "2025-12-01 10:00", "2026-01-12"),
    // 2026: the Labour Code's own moves of March and May.
    ("rectify", "2026-02-27 10:00", "2026-03-11"),
    ("rectify", "2026-04-29 10:00", "2026-05-12"),
    ("withdraw", "2026-04-11 10:00", "2026-05-12"),
    ("access", "2026-06-05 10:00", "2026-06-22"),
    // 2027.
    ("rectify", "2027-02-15 10:00", "2027-02-25"),
    ("withdraw", "2027-01-21 10:00", "2027-02-20"),
    ("access", "2027-04-28 10:00", "2027-05-14"),
    ("withdraw", "2027-10-06 10:00", "2027-11-08"),
    // 2028, of which nothing is decreed.
    ("access", "2027-12-20 10:00", "2028-01-11"),
    ("withdraw", "2027-12-01 23:30", "2028-01-10"),
    ("access", "2028-02-15 10:00", "2028-03-01"),
    ("rectify", "2028-10-30 10:00", "2028-11-09"),
    // 2023.
    ("rectify", "2023-02-21 10:00", "2023-03-06"),
    ("rectify", "2023-04-28 10:00", "2023-05-12"),
    ("withdraw", "2023-10-05 10:00", "2023-11-07"),
    ("access", "2023-12-27 10:00", "2024-01-18"),
    // The ends of months.
    ("rectify", "2025-08-29 23:30", "2025-09-09"),
    ("rectify", "2025-08-31 23:30", "2025-09-09"),
    ("unblock", "2025-09-01 00:30", "2025-09-10"),
    ("erase", "2026-01-30 23:30", "2026-02-13"),
    ("erase", "2026-01-31 00:30", "2026-02-13"),
    ("erase", "2026-02-01 00:30", "2026-02-13"),
];

/// The days on which the reference has something come in: every sort of turn.
const RECEIVED: [&str; 30] = [
    "2023-01-09",
    "2023-02-22",
    "2023-04-30",
    "2023-06-09",
    "2023-10-31",
    "2023-12-29",
    "2024-01-31",
    "2024-02-28",
    "2024-02-29",
    "2024-04-26",
    "2024-04-27",
    "2024-05-08",
    "2024-10-31",
    "2024-12-27",
    "2024-12-28",
    "2024-12-31",
    "2025-01-31",
    "2025-02-21",
    "2025-04-30",
    "2025-06-11",
    "2025-10-31",
    "2025-11-01",
    "2025-12-30",
    "2026-03-06",
    "2026-05-08",
    "2026-12-25",
    "2027-02-19",
    "2027-04-30",
    "2027-12-30",
    "2028-02-29",
];

fn moscow() -> TimeZone {
    TimeZone::get("Europe/Moscow").expect("known")
}

/// `2026-11-26 23:30` there.
fn moment(text: &str, zone: &TimeZone) -> Timestamp {
    let civil: DateTime = text.parse().expect("a date with a time");
    civil.to_zoned(zone.clone()).expect("it exists").timestamp()
}

fn kind_named(name: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).expect("a kind")
}

fn due(kind: &str, received: &str) -> Due {
    let zone = moscow();
    Terms::default()
        .due((kind_named(kind), None), Law::Russian, moment(received, &zone), &zone, &Calendar::built_in())
        .expect("a date")
}

// === The reference: dates as (year, month, day), no calendar of anybody else. ===

type Day = (i32, u32, u32);

struct Reference {
    off: BTreeSet<Day>,
    worked: BTreeSet<Day>,
}

impl Reference {
    fn new() -> Reference {
        let days = |text: &str| text.split_whitespace().map(day).collect();
        Reference { off: days(WEEKDAYS_OFF), worked: days(WORKED_SATURDAYS) }
    }

    fn works(&self, day: Day) -> bool {
        self.worked.contains(&day) || !(weekday(day) >= 5 || self.off.contains(&day))
    }

    fn end(&self, kind: &str, received: Day) -> Day {
        let (working, count) = match kind {
            "block" | "marketing" => return received,
            "access" | "stop" | "erase" => (true, 10),
            "rectify" | "unblock" => (true, 7),
            "withdraw" | "claim" => (false, 30),
            other => panic!("{other} is no kind"),
        };
        let (mut day, mut counted) = (received, 0);
        while counted < count {
            day = after(day);
            if !working || self.works(day) {
                counted += 1;
            }
        }
        while !self.works(day) {
            day = after(day);
        }
        day
    }
}

fn day(text: &str) -> Day {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().expect("digits");
    (number(0..4) as i32, number(5..7), number(8..10))
}

fn after((year, month, day): Day) -> Day {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    match (day == days, month) {
        (false, _) => (year, month, day + 1),
        (true, 12) => (year + 1, 1, 1),
        (true, _) => (year, month + 1, 1),
    }
}

/// 0 is Monday (Sakamoto's method).
fn weekday((year, month, day): Day) -> i32 {
    let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month as usize - 1];
    let year = if month < 3 { year - 1 } else { year };
    let sunday_first = (year + year / 4 - year / 100 + year / 400 + shift + day as i32) % 7;
    (sunday_first + 6) % 7
}

fn written((year, month, day): Day) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

#[test]
fn due_dates_are_those_worked_out_by_hand() {
    let reference = Reference::new();
    let mut wrong = Vec::new();
    for (kind, received, expected) in BY_HAND {
        let found = due(kind, received).date.to_string();
        let walked = written(reference.end(kind, day(received)));
        if found != expected || walked != expected {
            wrong.push(format!("{kind} of {received}: {found}, the reference {walked}, by hand {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} dates by hand", BY_HAND.len());
}

#[test]
fn due_dates_are_those_of_a_reference_that_walks_days() {
    let reference = Reference::new();
    let (mut cases, mut wrong) = (0, Vec::new());
    for date in RECEIVED {
        for time in ["00:30", "12:00", "23:30"] {
            for kind in Kind::ALL {
                let received = format!("{date} {time}");
                let expected = written(reference.end(kind.name(), day(date)));
                let found = due(kind.name(), &received);
                cases += 1;
                if found.date.to_string() != expected {
                    wrong.push(format!("{kind} of {received}: {}, expected {expected}", found.date));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{cases} cases against the reference");
}

#[test]
fn every_day_of_six_years_is_worked_as_the_published_calendars_say() {
    let (reference, calendar) = (Reference::new(), Calendar::built_in());
    let (mut day, mut days) = ((2023, 1, 1), 0);
    while day != (2029, 1, 1) {
        let (year, month, of_month) = day;
        let date = jiff::civil::date(year as i16, month as i8, of_month as i8);
        assert_eq!(calendar.is_working_day(date), reference.works(day), "{date}");
        assert_eq!(calendar.knows(year as i16), year <= LAST_KNOWN_YEAR);
        (day, days) = (after(day), days + 1);
    }
    assert_eq!(days, 365 * 6 + 2);
}

#[test]
fn the_answer_names_term_article_and_what_the_calendar_knew() {
    for (kind, received, term, article, counted_by, holidays) in [
        (
            "access",
            "2026-11-26 10:00",
            "10 working days",
            "152-FZ art. 14(3), 20(1)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        (
            "rectify",
            "2026-11-26 10:00",
            "7 working days",
            "152-FZ art. 20(3)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        ("block", "2026-11-26 10:00", "at once", "152-FZ art. 21(1)", "", Holidays::Known),
        ("block", "2031-11-26 10:00", "at once", "152-FZ art. 21(1)", "", Holidays::Known),
        (
            "unblock",
            "2026-11-26 10:00",
            "7 working days",
            "152-FZ art. 21(2)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        (
            "stop",
            "2026-11-26 10:00",
            "10 working days",
            "152-FZ art. 21(3)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        (
            "withdraw",
            "2026-11-26 10:00",
            "30 days",
            "152-FZ art. 21(5)",
            "Civil Code art. 191, 193",
            Holidays::Known,
        ),
        (
            "withdraw",
            "2026-11-28 10:00",
            "30 days",
            "152-FZ art. 21(5)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        (
            "erase",
            "2026-11-26 10:00",
            "10 working days",
            "152-FZ art. 21(3), shorter than 21(5)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        ("marketing", "2026-11-26 10:00", "at once", "152-FZ art. 15(2)", "", Holidays::Known),
        ("claim", "2026-11-28 10:00", "30 days", "policy clause 8.2", "Civil Code art. 191", Holidays::Known),
        // A term that only reaches into a year of which no decree is known.
        (
            "access",
            "2027-12-20 10:00",
            "10 working days",
            "152-FZ art. 14(3), 20(1)",
            "Civil Code art. 191",
            Holidays::DecreeUnknown,
        ),
        (
            "access",
            "2027-12-13 10:00",
            "10 working days",
            "152-FZ art. 14(3), 20(1)",
            "Civil Code art. 191",
            Holidays::Known,
        ),
        (
            "withdraw",
            "2027-12-01 10:00",
            "30 days",
            "152-FZ art. 21(5)",
            "Civil Code art. 191, 193",
            Holidays::DecreeUnknown,
        ),
        (
            "rectify",
            "2031-06-02 10:00",
            "7 working days",
            "152-FZ art. 20(3)",
            "Civil Code art. 191",
            Holidays::DecreeUnknown,
        ),
    ] {
        let due = due(kind, received);
        assert_eq!(
            (due.term.as_str(), due.article.as_str(), due.counted_by.as_str(), due.holidays),
            (term, article, counted_by, holidays),
            "{kind} of {received}"
        );
        let end = moment(&format!("{} 23:59:59.999", due.date), &moscow());
        assert_eq!(due.ends, end.as_millisecond() + 1, "{kind} of {received} ends with the day");
    }
}

#[test]
fn unlawful_processing_stops_before_its_data_is_destroyed() {
    let (zone, calendar) = (moscow(), Calendar::built_in());
    for (asked, received, expected) in [
        ((Kind::Stop, None), "2026-11-26 10:00", Some("2026-12-01")),
        ((Kind::Stop, None), "2026-12-29 23:30", Some("2027-01-12")),
        ((Kind::Claim, Some(Kind::Stop)), "2024-04-25 10:00", Some("2024-05-02")),
        ((Kind::Erase, None), "2026-11-26 10:00", None),
    ] {
        let received = moment(received, &zone);
        let step =
            Terms::default().first_step(asked, Law::Russian, received, &zone, &calendar).expect("a date");
        assert_eq!(step.map(|due| due.date.to_string()).as_deref(), expected, "{asked:?}");
    }
}

#[test]
fn of_a_claim_s_term_and_the_law_s_the_earlier_wins() {
    let (zone, calendar) = (moscow(), Calendar::built_in());
    for (about, expected, article) in [
        (Kind::Access, "2026-12-10", "152-FZ art. 14(3), 20(1)"),
        (Kind::Block, "2026-11-26", "152-FZ art. 21(1)"),
        (Kind::Withdraw, "2026-12-28", "policy clause 8.2"),
    ] {
        let received = moment("2026-11-26 10:00", &zone);
        let asked = (Kind::Claim, Some(about));
        let due = Terms::default().due(asked, Law::Russian, received, &zone, &calendar).expect("a date");
        assert_eq!((due.date.to_string().as_str(), due.article.as_str()), (expected, article), "{about}");
    }
    for asked in [(Kind::Access, Some(Kind::Stop)), (Kind::Claim, Some(Kind::Claim))] {
        let found = Terms::default().due(asked, Law::Russian, Timestamp::UNIX_EPOCH, &zone, &calendar);
        assert_eq!(found, Err(TermError::About));
    }
}

#[test]
fn a_month_under_the_gdpr_ends_on_its_day_or_the_last_one_and_then_on_a_working_day() {
    let (zone, calendar) = (TimeZone::get("Europe/Paris").expect("known"), Calendar::built_in());
    for (received, expected, extended) in [
        ("2026-01-31 00:30", "2026-03-02", "2026-04-30"),
        ("2026-01-30 23:30", "2026-03-02", "2026-04-30"),
        ("2024-01-31 10:00", "2024-02-29", "2024-04-30"),
        ("2024-02-29 10:00", "2024-03-29", "2024-05-29"),
        ("2025-02-28 10:00", "2025-03-28", "2025-05-28"),
        ("2026-03-31 10:00", "2026-04-30", "2026-06-30"),
        ("2026-11-26 10:00", "2026-12-28", "2027-02-26"),
        ("2025-12-25 10:00", "2026-01-26", "2026-03-25"),
        ("2025-11-30 23:30", "2025-12-30", "2026-03-02"),
        ("2026-08-31 10:00", "2026-09-30", "2026-11-30"),
        // The new year is a holiday there, which is not known here.
        ("2026-12-01 10:00", "2027-01-01", "2027-03-01"),
    ] {
        let terms = Terms::default();
        let at = moment(received, &zone);
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Claim) {
            let due = terms.due((kind, None), Law::Gdpr, at, &zone, &calendar).expect("a date");
            assert_eq!(due.date.to_string(), expected, "{kind} of {received}");
            assert_eq!((due.term.as_str(), due.article.as_str()), ("1 month", "GDPR art. 12(3)"));
            assert_eq!(
                (due.counted_by.as_str(), due.holidays),
                ("Regulation 1182/71 art. 3", Holidays::WeekendsOnly)
            );
            let longer = terms.extended(kind, Law::Gdpr, at, &due, None, &zone, &calendar).expect("longer");
            assert_eq!(longer.date.to_string(), extended, "{kind} of {received}, extended");
            assert_eq!(longer.term, "1 month and 2 months");
        }
    }
    let at = moment("2026-11-26 10:00", &zone);
    let terms = Terms::default();
    let due = terms.due((Kind::Access, None), Law::Gdpr, at, &zone, &calendar).expect("a date");
    let longer = |days| terms.extended(Kind::Access, Law::Gdpr, at, &due, Some(days), &zone, &calendar);
    assert_eq!(longer(10).expect("within it").date.to_string(), "2027-01-07");
    assert_eq!(longer(60).expect("the last day").date.to_string(), "2027-02-26");
    assert!(matches!(longer(61), Err(TermError::TooLong { asked: 61, .. })));
    assert!(terms.extended(Kind::Claim, Law::Gdpr, at, &due, None, &zone, &calendar).is_err());
}

#[test]
fn only_an_answer_to_access_is_extended_and_by_five_working_days_at_most() {
    let (zone, calendar, terms) = (moscow(), Calendar::built_in(), Terms::default());
    for (received, days, expected) in [
        ("2026-11-26 10:00", None, Ok("2026-12-17")),
        ("2026-11-26 10:00", Some(2), Ok("2026-12-14")),
        ("2026-11-26 10:00", Some(5), Ok("2026-12-17")),
        ("2026-11-26 10:00", Some(6), Err("2026-12-17")),
        ("2026-12-17 10:00", None, Ok("2027-01-18")),
        ("2024-04-19 10:00", None, Ok("2024-05-16")),
        ("2024-12-16 10:00", None, Ok("2025-01-15")),
        ("2027-12-13 10:00", None, Ok("2028-01-11")),
    ] {
        let at = moment(received, &zone);
        let due = terms.due((Kind::Access, None), Law::Russian, at, &zone, &calendar).expect("a date");
        let longer = terms.extended(Kind::Access, Law::Russian, at, &due, days, &zone, &calendar);
        match (longer, expected) {
            (Ok(longer), Ok(expected)) => assert_eq!(longer.date.to_string(), expected, "{received}"),
            (Err(TermError::TooLong { limit, .. }), Err(expected)) => assert_eq!(limit.to_string(), expected),
            (found, expected) => panic!("{received}: {found:?}, expected {expected:?}"),
        }
    }
    // The first term was all in known years, the longer one is not.
    let at = moment("2027-12-13 10:00", &zone);
    let due = terms.due((Kind::Access, None), Law::Russian, at, &zone, &calendar).expect("a date");
    let longer =
        terms.extended(Kind::Access, Law::Russian, at, &due, None, &zone, &calendar).expect("longer");
    assert_eq!((due.holidays, longer.holidays), (Holidays::Known, Holidays::DecreeUnknown));
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Access) {
        let error = terms.extended(kind, Law::Russian, at, &due, None, &zone, &calendar).expect_err("none");
        assert!(error.to_string().contains("gives no longer term"), "{error}");
    }
}

#[test]
fn the_day_is_that_of_the_site_and_not_of_the_server() {
    let (calendar, terms) = (Calendar::built_in(), Terms::default());
    // Half past midnight of the 27th in Moscow, still the 26th in Kaliningrad.
    let at: Timestamp = "2026-11-26T21:30:00Z".parse().expect("a moment");
    for (zone, expected) in [
        ("Europe/Moscow", "2026-12-11"),
        ("Europe/Kaliningrad", "2026-12-10"),
        ("Asia/Vladivostok", "2026-12-11"),
        ("UTC", "2026-12-10"),
    ] {
        let zone = TimeZone::get(zone).expect("known");
        let due = terms.due((Kind::Access, None), Law::Russian, at, &zone, &calendar).expect("a date");
        assert_eq!(due.date.to_string(), expected, "{zone:?}");
    }
}

#[test]
fn the_operator_s_terms_win_and_the_answer_says_whose_they_are() {
    let (zone, calendar) = (moscow(), Calendar::built_in());
    let at = moment("2026-11-26 10:00", &zone);
    for (text, expected) in [
        ("5 working days", "2026-12-03"),
        ("1 working day", "2026-11-27"),
        ("9 days", "2026-12-07"),
        ("1 month", "2026-12-28"),
        ("at once", "2026-11-26"),
    ] {
        let mut terms = Terms::default();
        terms.set(Rule::Access, Term::parse(text).expect("a term"));
        let due = terms.due((Kind::Access, None), Law::Russian, at, &zone, &calendar).expect("a date");
        assert_eq!((due.date.to_string().as_str(), due.term.as_str()), (expected, text));
        assert_eq!(due.article, "152-FZ art. 14(3), 20(1); term set by the operator");
    }
    for wrong in [
        "",
        "ten days",
        "0 days",
        "+5 days",
        "3651 days",
        "1 year",
        "5 working",
        "121 months",
        "days 5",
        "1 2 days",
    ] {
        assert_eq!(Term::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_moment_that_no_date_follows_is_an_error() {
    let found = Terms::default().due(
        (Kind::Access, None),
        Law::Russian,
        Timestamp::MAX,
        &TimeZone::UTC,
        &Calendar::built_in(),
    );
    assert!(matches!(found, Err(TermError::Range(_))), "{found:?}");
}
