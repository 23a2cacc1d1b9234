//! The words, numbers and dates of a report, in Russian and in English.
//!
//! Numbers are grouped by a no-break space or by commas; of three plural forms Russian
//! has the one that its last two digits ask for.

use jiff::civil::Date;

use super::numbers::{Headline, ListOf, Metric};
use super::period::Period;
use crate::settings::Every;

/// In which a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Russian,
    English,
}

const NO_BREAK: char = '\u{a0}';
const MONTHS_RU: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];
const MONTHS_RU_ALONE: [&str; 12] = [
    "январь",
    "февраль",
    "март",
    "апрель",
    "май",
    "июнь",
    "июль",
    "август",
    "сентябрь",
    "октябрь",
    "ноябрь",
    "декабрь",
];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

// === impl Language ===

impl Language {
    /// Of a setting, which is one of two.
    pub fn of(name: &str) -> Language {
        if name == "en" { Language::English } else { Language::Russian }
    }

    pub const fn code(self) -> &'static str {
        match self {
            Language::Russian => "ru",
            Language::English => "en",
        }
    }

    fn pick<'a>(self, russian: &'a str, english: &'a str) -> &'a str {
        match self {
            Language::Russian => russian,
            Language::English => english,
        }
    }

    pub fn subject(self, site: &str, period: &Period) -> String {
        let when = self.period(period);
        match self {
            Language::Russian => format!("Посещения сайта {site}: {when}"),
            Language::English => format!("Visits to {site}: {when}"),
        }
    }

    /// The days of a period.
    pub fn period(self, period: &Period) -> String {
        let Period { every, first, last } = *period;
        match (every, self) {
            (Every::Day, _) => self.date(first),
            (Every::Week, Language::Russian) if first.month() == last.month() => {
                format!("{}–{}", first.day(), self.date(last))
            }
            (Every::Week, Language::English) if first.month() == last.month() => {
                format!("{} {}–{}, {}", month(&MONTHS_EN, first), first.day(), last.day(), last.year())
            }
            (Every::Week, _) => format!("{} – {}", self.date(first), self.date(last)),
            (Every::Month, Language::Russian) => {
                format!("{} {}{NO_BREAK}г.", month(&MONTHS_RU_ALONE, first), first.year())
            }
            (Every::Month, Language::English) => format!("{} {}", month(&MONTHS_EN, first), first.year()),
        }
    }

    pub fn date(self, day: Date) -> String {
        match self {
            Language::Russian => {
                format!("{}{NO_BREAK}{} {}{NO_BREAK}г.", day.day(), month(&MONTHS_RU, day), day.year())
            }
            Language::English => format!("{} {}, {}", month(&MONTHS_EN, day), day.day(), day.year()),
        }
    }

    /// A sentence with the three counts, where all are shown.
    pub fn summary(self, visitors: f64, visits: f64, pageviews: f64) -> String {
        let (people, visits, pages) = match self {
            Language::Russian => (
                self.counted(visitors, ["посетитель", "посетителя", "посетителей"]),
                self.counted(visits, ["визит", "визита", "визитов"]),
                self.counted(pageviews, ["просмотр страницы", "просмотра страниц", "просмотров страниц"]),
            ),
            Language::English => (
                self.counted(visitors, ["visitor", "visitors", "visitors"]),
                self.counted(visits, ["visit", "visits", "visits"]),
                self.counted(pageviews, ["page view", "page views", "page views"]),
            ),
        };
        format!("{people}, {visits}, {pages}.")
    }

    /// A number with the form of the word that it asks for: of one, of few, of many.
    pub fn counted(self, number: f64, [one, few, many]: [&str; 3]) -> String {
        let whole = number.max(0.0).round() as u64;
        let form = match self {
            Language::English if whole == 1 => one,
            Language::English => many,
            Language::Russian => match (whole % 10, whole % 100) {
                (_, 11..=14) => many,
                (1, _) => one,
                (2..=4, _) => few,
                _ => many,
            },
        };
        format!("{}{NO_BREAK}{form}", self.number(number))
    }

    /// `12 345` or `12,345`.
    pub fn number(self, number: f64) -> String {
        let digits = (number.max(0.0).round() as u64).to_string();
        let mark = match self {
            Language::Russian => NO_BREAK,
            Language::English => ',',
        };
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(mark);
            }
            text.push(digit);
        }
        text
    }

    /// A share of a hundred, with one place where it has one.
    fn percent(self, share: f64) -> String {
        let tenths = (share * 10.0).round() as i64;
        let point = self.pick(",", ".");
        let number = match tenths % 10 {
            0 => (tenths / 10).to_string(),
            rest => format!("{}{point}{rest}", tenths / 10),
        };
        format!("{number}{}", self.percent_sign())
    }

    fn percent_sign(self) -> &'static str {
        self.pick("\u{a0}%", "%")
    }

    fn duration(self, seconds: f64) -> String {
        let seconds = seconds.max(0.0).round() as u64;
        let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
        let [h, min, s] = match self {
            Language::Russian => ["ч", "мин", "с"],
            Language::English => ["h", "min", "s"],
        };
        match (hours, minutes) {
            (0, 0) => format!("{rest}{NO_BREAK}{s}"),
            (0, _) => format!("{minutes}{NO_BREAK}{min} {rest}{NO_BREAK}{s}"),
            _ => format!("{hours}{NO_BREAK}{h} {minutes}{NO_BREAK}{min}"),
        }
    }

    pub fn metric(self, metric: Metric) -> &'static str {
        match metric {
            Metric::Visitors => self.pick("Посетители", "Visitors"),
            Metric::Visits => self.pick("Визиты", "Visits"),
            Metric::Pageviews => self.pick("Просмотры страниц", "Page views"),
            Metric::BounceRate => self.pick("Показатель отказов", "Bounce rate"),
            Metric::VisitDuration => self.pick("Средняя длительность визита", "Average visit"),
        }
    }

    /// A number of the headline; a dash where it is withheld or of nothing.
    pub fn value(self, headline: &Headline) -> String {
        match (headline.now, headline.metric) {
            (None, _) => "—".to_owned(),
            (Some(value), Metric::BounceRate) => self.percent(value),
            (Some(value), Metric::VisitDuration) => self.duration(value),
            (Some(value), _) => self.number(value),
        }
    }

    /// How it differs from the period before; none where that cannot be said.
    pub fn change(self, headline: &Headline) -> Option<String> {
        let (now, before) = (headline.now?, headline.before?);
        let signed = |number: i64, unit: &str| match number {
            0 => format!("0{unit}"),
            1.. => format!("+{number}{unit}"),
            _ => format!("\u{2212}{}{unit}", number.unsigned_abs()),
        };
        if headline.metric == Metric::BounceRate {
            let unit = self.pick("\u{a0}п.\u{a0}п.", "\u{a0}pp");
            return Some(signed((now - before).round() as i64, unit));
        }
        (before > 0.0).then(|| signed(((now - before) * 100.0 / before).round() as i64, self.percent_sign()))
    }

    pub fn compared(self, every: Every) -> &'static str {
        match every {
            Every::Day => self
                .pick("Изменения — по сравнению с предыдущим днём.", "Changes are against the day before."),
            Every::Week => self.pick(
                "Изменения — по сравнению с предыдущей неделей.",
                "Changes are against the week before.",
            ),
            Every::Month => self.pick(
                "Изменения — по сравнению с предыдущим месяцем.",
                "Changes are against the month before.",
            ),
        }
    }

    pub fn list(self, of: ListOf) -> &'static str {
        match of {
            ListOf::Pages => self.pick("Страницы", "Pages"),
            ListOf::Sources => self.pick("Источники", "Sources"),
            ListOf::Cities => self.pick("Города", "Cities"),
            ListOf::Goals => self.pick("Цели", "Goals"),
        }
    }

    /// The name of a row: some are words of ours.
    pub fn row(self, of: ListOf, name: &str) -> String {
        match (of, name) {
            (_, "(other)") => self.pick("Прочее", "Other").to_owned(),
            (ListOf::Sources, "Direct / None") => self.pick("Прямые заходы", "Direct").to_owned(),
            (_, "" | "(not set)") => self.pick("Не определено", "Not known").to_owned(),
            (_, name) => name.to_owned(),
        }
    }

    pub fn nothing(self) -> &'static str {
        self.pick(
            "Посетителей за это время слишком мало, чтобы показать числа.",
            "There were too few visitors in this time to show numbers.",
        )
    }

    pub fn guarded(self, least: u64) -> String {
        match self {
            Language::Russian => {
                let group = self.counted(least as f64, ["посетителя", "посетителей", "посетителей"]);
                format!("Числа округлены; группы меньше {group} не показаны.")
            }
            Language::English => {
                format!("Numbers are rounded; groups of fewer than {least} visitors are not shown.")
            }
        }
    }

    pub fn more(self) -> &'static str {
        self.pick("Подробнее", "More")
    }

    pub fn why(self, site: &str, report: &str) -> String {
        match self {
            Language::Russian => {
                format!("Вы получили это письмо, потому что ваш адрес указан в отчёте {report} сайта {site}.")
            }
            Language::English => {
                format!(
                    "You got this mail because your address stands in the report {report} of the site {site}."
                )
            }
        }
    }
}

fn month(names: &[&'static str; 12], day: Date) -> &'static str {
    usize::try_from(day.month() - 1).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace(NO_BREAK, " ")
    }

    #[test]
    fn numbers_have_the_word_form_that_they_ask_for() {
        for (number, expected) in [
            (0, "0 посетителей"),
            (1, "1 посетитель"),
            (2, "2 посетителя"),
            (5, "5 посетителей"),
            (11, "11 посетителей"),
            (14, "14 посетителей"),
            (21, "21 посетитель"),
            (104, "104 посетителя"),
            (111, "111 посетителей"),
            (12_345, "12 345 посетителей"),
            (1_000_001, "1 000 001 посетитель"),
        ] {
            let text =
                Language::Russian.counted(f64::from(number), ["посетитель", "посетителя", "посетителей"]);
            assert_eq!(plain(&text), expected);
        }
        let english = Language::English.summary(1.0, 2.0, 12_345.0);
        assert_eq!(plain(&english), "1 visitor, 2 visits, 12,345 page views.");
        assert_eq!(
            plain(&Language::Russian.guarded(10)),
            "Числа округлены; группы меньше 10 посетителей не показаны."
        );
        assert_eq!(
            plain(&Language::Russian.guarded(21)),
            "Числа округлены; группы меньше 21 посетителя не показаны."
        );
    }

    #[test]
    fn values_and_changes_are_written_as_people_write_them() {
        let headline = |metric, now, before| Headline { metric, now, before };
        for (headline, russian, english) in [
            (headline(Metric::Visitors, Some(1080.0), Some(1000.0)), "1 080 +8 %", "1,080 +8%"),
            (headline(Metric::Visits, Some(50.0), Some(100.0)), "50 −50 %", "50 −50%"),
            (headline(Metric::Pageviews, Some(5.0), Some(0.0)), "5", "5"),
            (headline(Metric::Visitors, None, Some(20.0)), "—", "—"),
            (headline(Metric::BounceRate, Some(45.3), Some(47.0)), "45,3 % −2 п. п.", "45.3% −2 pp"),
            (headline(Metric::VisitDuration, Some(125.0), Some(125.0)), "2 мин 5 с 0 %", "2 min 5 s 0%"),
            (headline(Metric::VisitDuration, Some(7384.0), None), "2 ч 3 мин", "2 h 3 min"),
        ] {
            for (language, expected) in [(Language::Russian, russian), (Language::English, english)] {
                let change =
                    language.change(&headline).map_or_else(String::new, |change| format!(" {change}"));
                assert_eq!(plain(&format!("{}{change}", language.value(&headline))), expected);
            }
        }
    }

    #[test]
    fn periods_read_as_dates_do() {
        for (every, day, russian, english) in [
            (Every::Day, "2026-11-25", "25 ноября 2026 г.", "November 25, 2026"),
            (Every::Week, "2026-11-20", "16–22 ноября 2026 г.", "November 16–22, 2026"),
            (
                Every::Week,
                "2026-12-31",
                "28 декабря 2026 г. – 3 января 2027 г.",
                "December 28, 2026 – January 3, 2027",
            ),
            (Every::Month, "2026-05-09", "май 2026 г.", "May 2026"),
        ] {
            let period = Period::holding(every, day.parse().expect("a day"));
            assert_eq!(plain(&Language::Russian.period(&period)), russian);
            assert_eq!(plain(&Language::English.period(&period)), english);
        }
    }
}
