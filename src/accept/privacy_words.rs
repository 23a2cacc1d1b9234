//! The words of the visitor's page, in Russian and English. Each sentence is true
//! of what the product does; where that depends on the site's settings, there is
//! a sentence for each.

/// The page's text in one language.
pub struct Words {
    pub language: &'static str,
    pub title: &'static str,
    pub intro: &'static str,
    pub always: &'static [&'static str],
    pub ip: [&'static str; 3],
    pub consent: [&'static str; 3],
    pub without_cookie: &'static str,
    /// Only where the site passes signed keys.
    pub user_key: &'static str,
    /// In the order of `Fields::NAMES`.
    pub fields: [&'static str; 8],
    pub kept: &'static str,
    pub days: &'static str,
    pub policy: &'static str,
    pub version: &'static str,
    pub contact: &'static str,
    pub counted: &'static str,
    pub opted_out: &'static str,
    pub opt_out: &'static str,
    pub opt_in: &'static str,
}

pub static RUSSIAN: Words = Words {
    language: "ru",
    title: "Статистика посещений и ваши данные",
    intro: "Этот адрес собирает статистику посещений сайта. При просмотре страницы или рекламного блока записываются:",
    always: &[
        "время обращения по часам сервера;",
        "адрес страницы и адрес страницы, с которой вы пришли, без лишних параметров;",
        "браузер, операционная система, вид устройства и язык — без самой строки браузера;",
        "страна, регион, город и сеть, определённые по IP-адресу;",
        "рекламный блок и название события, если они были.",
    ],
    ip: [
        "IP-адрес — только в зашифрованном виде.",
        "IP-адрес — без последней части и только в зашифрованном виде.",
        "IP-адрес не записывается.",
    ],
    consent: [
        "Чтобы узнать браузер при следующем посещении, ставится cookie; записывается только её необратимый отпечаток.",
        "До вашего согласия записываются только время, страница, рекламный блок или событие и вид источника. Остальное из этого списка и cookie — только после согласия; от cookie записывается её необратимый отпечаток.",
        "Cookie для узнавания не ставится.",
    ],
    without_cookie: "Без cookie посещения одного дня (и посещение, которое продолжается через полночь, вместе с днём после неё) различаются по необратимому отпечатку адреса и браузера, ключ которого меняется каждый день.",
    user_key: "Если вы вошли на сайт: необратимый отпечаток номера, который сайт передаёт вместо имени.",
    fields: [
        "Кроме того: заголовок страницы.",
        "Кроме того: класс ширины экрана.",
        "Кроме того: глубина прокрутки.",
        "Кроме того: время активного чтения.",
        "Кроме того: переходы на другие сайты.",
        "Кроме того: скачивания файлов.",
        "Кроме того: свойства событий.",
        "Кроме того: часовой пояс браузера.",
    ],
    kept: "Записи хранятся, дней:",
    days: "из них IP-адрес:",
    policy: "Политика конфиденциальности",
    version: "Редакция политики:",
    contact: "Вопросы и обращения:",
    counted: "Этот браузер учитывается в статистике.",
    opted_out: "Вы отказались: обращения этого браузера не записываются.",
    opt_out: "Не учитывать меня",
    opt_in: "Снова учитывать",
};

pub static ENGLISH: Words = Words {
    language: "en",
    title: "Visit statistics and your data",
    intro: "This address collects the site's visit statistics. When a page or an ad block is viewed, it records:",
    always: &[
        "the time, by the server's clock;",
        "the address of the page and of the page you came from, without needless parameters;",
        "browser, operating system, kind of device and language, but not the browser's own text;",
        "country, region, city and network, as looked up from the IP address;",
        "the ad block and the event's name, where there is one.",
    ],
    ip: [
        "The IP address, only in encrypted form.",
        "The IP address without its last part, and only in encrypted form.",
        "The IP address is not recorded.",
    ],
    consent: [
        "A cookie is set to know the browser again; only an irreversible hash of it is recorded.",
        "Before you consent, only the time, the page, the ad block or event and the kind of source are recorded. The rest of this list and a cookie come only after your consent; of the cookie, only an irreversible hash is recorded.",
        "No cookie is set to know you again.",
    ],
    without_cookie: "Without a cookie, visits of one day (and a visit that goes on over midnight, with the day after it) are told apart by an irreversible hash of address and browser, whose key changes every day.",
    user_key: "If you are signed in to the site: an irreversible hash of the number that the site passes in place of a name.",
    fields: [
        "Also: the page's title.",
        "Also: the class of your screen's width.",
        "Also: how far a page was scrolled.",
        "Also: how long a page was actively read.",
        "Also: links followed to other sites.",
        "Also: files downloaded.",
        "Also: properties of events.",
        "Also: the browser's time zone.",
    ],
    kept: "Records are kept for this many days:",
    days: "the IP address among them:",
    policy: "Privacy policy",
    version: "Version of the policy:",
    contact: "Questions and requests:",
    counted: "This browser is counted.",
    opted_out: "You have opted out: nothing is recorded about this browser's visits.",
    opt_out: "Do not count me",
    opt_in: "Count me again",
};
