//! What the people are told (clause 5.4), and what they can do themselves (5.6), in
//! Russian and English.
//!
//! In: the incident, and of the configuration the operator, the site's contact, its
//! policy and the collector's own page. Out: text. It names nobody: times, kinds of data
//! and numbers of nobody in particular. A kind of data that no row holds is not named.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::register::Incident;
use super::{Kind, kinds};
use crate::config::{Config, Site};

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Both {
    pub ru: String,
    pub en: String,
}

/// The notice about an incident.
pub fn notice(incident: &Incident, config: &Config) -> Both {
    let site = config.site(&incident.site);
    let moment = |ms| moment(ms, site);
    let (from, to, detected) = (moment(incident.from), moment(incident.to), moment(incident.detected));
    let zone = site.map_or("UTC", |site| site.timezone.as_str());
    let host = site.and_then(|site| site.hosts.first()).map_or(incident.site.as_str(), String::as_str);
    let held = || incident.affected.kinds.iter().filter(|held| held.rows > 0).filter_map(kinds::of);
    let list = |words: Vec<&str>, nothing: &str| match words.is_empty() {
        true => format!("- {nothing}.\n"),
        false => words.iter().map(|word| format!("- {word}\n")).collect(),
    };
    let (russian, english) = happened(incident.kind);
    let advice = advice(incident.kind, config);
    let (operator, operator_en) = match config.operator.name.as_str() {
        "" => ("Оператор сайта", "The operator of the site"),
        name => (name, name),
    };
    let ru = format!(
        "Уведомление об инциденте с данными № {number}\n\n\
         {operator} сообщает: {russian}. Это касается посещений сайта {host} с {from} по {to} (часовой пояс {zone}). \
         Мы узнали об этом {detected}.\n\n\
         Что произошло: {what}\n\n\
         Какие данные затронуты:\n{kinds}\n\
         Имя, телефон и адрес электронной почты эта система не собирает, содержание cookie-файлов не хранит.\n\n\
         {advice}\n\n\
         {contact}",
        number = incident.number,
        what = incident.what,
        kinds = list(held().map(|kind| kind.russian).collect(), "за это время данных не сохранилось"),
        advice = advice.ru,
        contact = contact(site, config).ru,
    );
    let en = format!(
        "Notice of an incident with data, No. {number}\n\n\
         {operator_en} informs you: {english}. This is about visits to the site {host} from {from} to {to} (time zone \
         {zone}). We learnt of it on {detected}.\n\n\
         What happened: {what}\n\n\
         Which data are affected:\n{kinds}\n\
         This system does not collect names, telephone numbers or e-mail addresses, and does not keep the contents of cookies.\n\n\
         {advice}\n\n\
         {contact}",
        number = incident.number,
        what = incident.what,
        kinds = list(held().map(|kind| kind.english).collect(), "no data of that time are left"),
        advice = advice.en,
        contact = contact(site, config).en,
    );
    Both { ru, en }
}

/// What the user can do, so that both sides together keep the harm small.
pub fn advice(kind: Kind, config: &Config) -> Both {
    let page = format!("{}/privacy", config.collect.public_url.trim_end_matches('/'));
    let (ru, en) = match kind {
        Kind::Disclosure | Kind::Access => (
            format!(
                "Что можете сделать вы, чтобы вместе с нами уменьшить возможный вред:\n\
                 - на странице {page} посмотрите, что о вас хранится, и при желании попросите это удалить;\n\
                 - затем удалите в браузере cookie-файлы нашего сайта: прежний условный номер больше не будет с вами \
                 связан, и эта страница уже не узнает ваш браузер;\n\
                 - если у вас есть личный кабинет на сайте, смените пароль и завершите все другие сеансы;\n\
                 - не доверяйте звонкам, письмам и сообщениям, авторы которых ссылаются на ваши посещения сайта: \
                 не называйте им пароли, коды из СМС и данные карты, а перезвоните нам сами."
            ),
            format!(
                "What you can do, so that together we keep the harm small:\n\
                 - on the page {page} see what is kept about you, and have it deleted if you wish;\n\
                 - then delete the cookies of our site in your browser: the stand-in of before is yours no more, and \
                 that page does not know your browser again;\n\
                 - if you have an account on the site, change its password and end all other sessions;\n\
                 - do not trust calls, letters and messages that refer to your visits to the site: do not tell them \
                 passwords, codes from text messages or card numbers, and call us back yourself."
            ),
        ),
        Kind::Loss => (
            format!(
                "По нашим сведениям, эти данные никому не стали известны, и делать ничего не нужно. Если вы обращались к нам с запросом или \
                 претензией о данных за это время, сохраните свою переписку с нами: она поможет восстановить ход дела. \
                 Что о вас хранится теперь, видно на странице {page}."
            ),
            format!(
                "As far as we know these data did not become known to anybody, and there is nothing that you have to do. If you sent us a \
                 request or a claim about data of that time, keep your correspondence with us: it helps to restore the \
                 course of the matter. What is kept about you now is shown on the page {page}."
            ),
        ),
        Kind::Change => (
            format!(
                "Что можете сделать вы: на странице {page} посмотрите, что о вас хранится. Если что-то неверно, сообщите \
                 нам: мы исправим данные, а на время проверки заблокируем их."
            ),
            format!(
                "What you can do: on the page {page} see what is kept about you. If something is wrong, tell us: we \
                 correct the data, and block them for the time of the check."
            ),
        ),
    };
    Both { ru, en }
}

/// What happened, in words.
fn happened(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Disclosure => (
            "сведения о посещениях сайта стали доступны посторонним",
            "data about visits to the site became known to people they were not meant for",
        ),
        Kind::Loss => ("сведения о посещениях сайта утрачены", "data about visits to the site were lost"),
        Kind::Access => (
            "к сведениям о посещениях сайта получили доступ те, у кого нет на это права",
            "people without the right to do so gained access to data about visits to the site",
        ),
        Kind::Change => (
            "сведения о посещениях сайта были неправомерно изменены",
            "data about visits to the site were altered without right",
        ),
    }
}

/// Whom to ask.
fn contact(site: Option<&Site>, config: &Config) -> Both {
    let (mut ru, mut en) = (String::from("Вопросы и обращения"), String::from("Questions and requests"));
    match site.map(|site| site.contact.as_str()).filter(|contact| !contact.is_empty()) {
        Some(contact) => {
            ru.push_str(&format!(": {contact}."));
            en.push_str(&format!(": {contact}."));
        }
        None => {
            ru.push_str(" направляйте по адресу, указанному в политике сайта.");
            en.push_str(" go to the address that is named in the site's policy.");
        }
    }
    let operator = &config.operator;
    if !operator.name.is_empty() {
        let address =
            if operator.address.is_empty() { String::new() } else { format!(", {}", operator.address) };
        ru.push_str(&format!(" Оператор: {}{address}.", operator.name));
        en.push_str(&format!(" Operator: {}{address}.", operator.name));
    }
    if let Some(url) = site.map(|site| site.policy_url.as_str()).filter(|url| !url.is_empty()) {
        ru.push_str(&format!(" Политика: {url}"));
        en.push_str(&format!(" Policy: {url}"));
    }
    Both { ru, en }
}

/// A moment as people of the site read it.
fn moment(ms: i64, site: Option<&Site>) -> String {
    let zone = site.and_then(|site| TimeZone::get(&site.timezone).ok()).unwrap_or(TimeZone::UTC);
    let moment = Timestamp::from_millisecond(ms).unwrap_or_default();
    moment.to_zoned(zone).strftime("%d.%m.%Y %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::register::{Held, sample};

    const CONFIG: &str = "[collect]\npublic_url='https://stats.clinic.example'\n\
        [operator]\nname='Клиника «Пример»'\naddress='Тверь, ул. Новая, 1'\n\
        [[site]]\nid='clinic'\nhosts=['clinic.example']\ntimezone='Europe/Moscow'\ncontact='privacy@clinic.example'\n\
        policy_url='https://clinic.example/policy'\n";

    fn both(config: &str, kind: Kind) -> Both {
        let config = Config::parse(config, [], &std::env::temp_dir()).expect("a configuration");
        let mut incident = Incident { kind, ..sample(Vec::new()) };
        incident.affected.kinds =
            vec![Held { name: "pages".to_owned(), rows: 3 }, Held { name: "user_key".to_owned(), rows: 0 }];
        notice(&incident, &config)
    }

    #[test]
    fn a_notice_says_what_happened_which_data_what_to_do_and_whom_to_ask() {
        for kind in [Kind::Disclosure, Kind::Loss, Kind::Access, Kind::Change] {
            let both = both(CONFIG, kind);
            for part in [
                "I-2027-0001",
                "clinic.example",
                "a backup lay open",
                "Клиника «Пример»",
                "Тверь, ул. Новая, 1",
                "privacy@clinic.example",
                "https://clinic.example/policy",
                "https://stats.clinic.example/privacy",
                "21.09.2026 17:13",
                "Europe/Moscow",
            ] {
                assert!(both.ru.contains(part) && both.en.contains(part), "{part}: {}\n{}", both.ru, both.en);
            }
            assert!(both.ru.contains(happened(kind).0) && both.en.contains(happened(kind).1));
            assert!(
                both.ru.contains("адреса просмотренных страниц")
                    && both.en.contains("pages that were viewed")
            );
            assert!(
                !both.ru.contains("учётной записи") && !both.en.contains("for the account"),
                "no row holds it"
            );
        }
    }

    #[test]
    fn a_notice_can_do_without_what_is_not_configured() {
        let bare = "[[site]]\nid='other'\nhosts=['other.example']\n";
        let both = both(bare, Kind::Access);
        assert!(
            both.ru.starts_with("Уведомление") && both.ru.contains("Оператор сайта сообщает"),
            "{}",
            both.ru
        );
        assert!(both.ru.contains("указанному в политике") && both.en.contains("named in the site's policy"));
    }
}
