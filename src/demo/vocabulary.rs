//! What the made-up clinic consists of: its pages, where people come from, what
//! they hold in their hands. All of it is invented; weights are relative.

use crate::event::Props;

/// A page of the clinic.
pub struct Page {
    pub path: String,
    pub title: String,
    /// The ad blocks on it.
    pub ads: &'static [&'static str],
}

/// Where a visit comes from.
pub struct Origin {
    pub source: String,
    pub channel: &'static str,
    pub referrer_host: String,
    pub referrer_path: String,
    /// `source medium campaign content term`
    pub utm: [&'static str; 5],
}

/// Where a person is.
pub struct Place {
    pub country: &'static str,
    pub region: String,
    pub city: String,
    pub asn: u32,
    pub network: String,
    pub timezone: &'static str,
}

/// What a person uses.
pub struct Device {
    pub device: &'static str,
    pub browser: &'static str,
    pub browser_version: String,
    pub os: &'static str,
    pub os_version: String,
    pub screen: &'static str,
}

/// A thing that a person does on a page.
pub struct Deed {
    pub name: &'static str,
    pub props: Props<'static>,
}

/// All of it, each with its weight.
pub struct Vocabulary {
    pub pages: Vec<(u32, Page)>,
    pub origins: Vec<(u32, Origin)>,
    pub places: Vec<(u32, Place)>,
    pub devices: Vec<(u32, Device)>,
    pub deeds: Vec<(u32, Deed)>,
    pub languages: Vec<(u32, &'static str)>,
}

// === impl Vocabulary ===

impl Vocabulary {
    /// A cosmetology clinic in Moscow and Yaroslavl.
    pub fn clinic() -> Vocabulary {
        Vocabulary {
            pages: pages(),
            origins: origins(),
            places: places(),
            devices: devices(),
            deeds: deeds(),
            languages: vec![(90, "ru"), (6, "en"), (1, "hy"), (1, "kk"), (1, "de")],
        }
    }
}

fn pages() -> Vec<(u32, Page)> {
    const BANNERS: &[&str] = &["banner-1", "banner-2"];
    const SIDE: &[&str] = &["banner-3"];
    const NONE: &[&str] = &[];
    [
        (260, "/", "Клиника косметологии", BANNERS),
        (120, "/ceny/", "Цены", SIDE),
        (90, "/uslugi/", "Услуги", SIDE),
        (110, "/uslugi/chistka-lica/", "Чистка лица", SIDE),
        (95, "/uslugi/biorevitalizaciya/", "Биоревитализация", SIDE),
        (90, "/uslugi/botulinoterapiya/", "Ботулинотерапия", SIDE),
        (75, "/uslugi/lazernaya-epilyaciya/", "Лазерная эпиляция", SIDE),
        (60, "/uslugi/konturnaya-plastika/", "Контурная пластика", SIDE),
        (45, "/uslugi/pilingi/", "Пилинги", SIDE),
        (40, "/uslugi/mezoterapiya/", "Мезотерапия", SIDE),
        (32, "/uslugi/plazmoterapiya/", "Плазмотерапия", SIDE),
        (28, "/uslugi/rf-lifting/", "RF-лифтинг", SIDE),
        (24, "/uslugi/massazh-lica/", "Массаж лица", SIDE),
        (20, "/uslugi/udalenie-papillom/", "Удаление папиллом", SIDE),
        (16, "/uslugi/fotoomolozhenie/", "Фотоомоложение", SIDE),
        (12, "/uslugi/trichologiya/", "Трихология", SIDE),
        (80, "/vrachi/", "Врачи", NONE),
        (34, "/vrachi/ivanova/", "Иванова А. А., врач-косметолог", NONE),
        (28, "/vrachi/petrova/", "Петрова Е. В., дерматолог", NONE),
        (20, "/vrachi/sidorov/", "Сидоров М. Н., врач-косметолог", NONE),
        (14, "/vrachi/kuznecova/", "Кузнецова О. И., трихолог", NONE),
        (110, "/zapis/", "Запись на приём", NONE),
        (85, "/akcii/", "Акции", BANNERS),
        (30, "/akcii/osen/", "Осенний уход: скидка 20 %", BANNERS),
        (22, "/akcii/pervyj-vizit/", "Первый визит", BANNERS),
        (75, "/kontakty/", "Контакты", NONE),
        (40, "/otzyvy/", "Отзывы", NONE),
        (30, "/o-klinike/", "О клинике", NONE),
        (12, "/o-klinike/licenzii/", "Лицензии", NONE),
        (25, "/blog/", "Блог", BANNERS),
        (36, "/blog/uhod-posle-pilinga/", "Уход после пилинга", BANNERS),
        (30, "/blog/kak-vybrat-kosmetologa/", "Как выбрать косметолога", BANNERS),
        (22, "/blog/spf-zimoj/", "Нужен ли SPF зимой", BANNERS),
        (6, "/404/", "Страница не найдена", NONE),
    ]
    .into_iter()
    .map(|(weight, path, title, ads)| {
        let title = if path == "/" {
            title.to_owned()
        } else {
            format!("{title} — Клиника косметологии")
        };
        // As the demo clinic's own pages are addressed, so that real and made-up views add up.
        let path = match path.trim_end_matches('/') {
            "" => "/demo/".to_owned(),
            path => format!("/demo{path}"),
        };
        (weight, Page { path, title, ads })
    })
    .collect()
}

fn origins() -> Vec<(u32, Origin)> {
    const NONE: [&str; 5] = [""; 5];
    const DIRECT_ADS: [&str; 5] = ["yandex", "cpc", "kosmetolog-moskva", "poisk-1", "косметолог рядом"];
    const DIRECT_BRAND: [&str; 5] = ["yandex", "cpc", "brand", "poisk-2", ""];
    const VK_ADS: [&str; 5] = ["vk", "social_cpc", "osen-2026", "video", ""];
    const TELEGRAM_POST: [&str; 5] = ["telegram", "post", "kanal-krasota", "", ""];
    const MAIL: [&str; 5] = ["newsletter", "email", "napominanie", "", ""];
    const QR: [&str; 5] = ["qr", "offline", "vizitka", "", ""];
    [
        (250, "", "direct", "", "", NONE),
        (300, "Yandex", "search", "yandex.ru", "", NONE),
        (95, "Google", "search", "www.google.com", "", NONE),
        (12, "Mail.ru", "search", "go.mail.ru", "/search", NONE),
        (5, "Rambler", "search", "nova.rambler.ru", "/search", NONE),
        (4, "Bing", "search", "www.bing.com", "", NONE),
        (110, "Yandex", "paid", "yandex.ru", "", DIRECT_ADS),
        (45, "Yandex", "paid", "yandex.ru", "", DIRECT_BRAND),
        (48, "VK", "social", "vk.com", "/away.php", NONE),
        (40, "VK", "paid", "vk.com", "", VK_ADS),
        (10, "OK", "social", "ok.ru", "", NONE),
        (18, "Dzen", "social", "dzen.ru", "", NONE),
        (42, "Telegram", "messenger", "t.me", "", NONE),
        (26, "Telegram", "messenger", "", "", TELEGRAM_POST),
        (8, "WhatsApp", "messenger", "l.wl.co", "", NONE),
        (52, "2GIS", "referral", "2gis.ru", "/moscow/firm", NONE),
        (30, "Yandex Maps", "referral", "yandex.ru", "/maps", NONE),
        (9, "Avito", "referral", "www.avito.ru", "", NONE),
        (22, "prodoctorov.example", "referral", "prodoctorov.example", "/moskva/", NONE),
        (14, "forum-krasoty.example", "referral", "forum-krasoty.example", "/topic/18", NONE),
        (16, "newsletter", "mail", "", "", MAIL),
        (10, "qr", "referral", "", "", QR),
    ]
    .into_iter()
    .map(|(weight, source, channel, host, path, utm)| {
        let origin = Origin {
            source: source.to_owned(),
            channel,
            referrer_host: host.to_owned(),
            referrer_path: path.to_owned(),
            utm,
        };
        (weight, origin)
    })
    .collect()
}

fn places() -> Vec<(u32, Place)> {
    [
        (420, "RU", "Moscow", "Moscow", 64_500, "Example Telecom", "Europe/Moscow"),
        (150, "RU", "Yaroslavl Oblast", "Yaroslavl", 64_501, "Volga Net", "Europe/Moscow"),
        (60, "RU", "Moscow Oblast", "Khimki", 64_500, "Example Telecom", "Europe/Moscow"),
        (45, "RU", "Moscow Oblast", "Mytishchi", 64_502, "Mobile Example", "Europe/Moscow"),
        (40, "RU", "Moscow Oblast", "Balashikha", 64_500, "Example Telecom", "Europe/Moscow"),
        (30, "RU", "Yaroslavl Oblast", "Rybinsk", 64_501, "Volga Net", "Europe/Moscow"),
        (42, "RU", "St.-Petersburg", "Saint Petersburg", 64_503, "Neva Example", "Europe/Moscow"),
        (14, "RU", "Kostroma Oblast", "Kostroma", 64_501, "Volga Net", "Europe/Moscow"),
        (14, "RU", "Ivanovo Oblast", "Ivanovo", 64_501, "Volga Net", "Europe/Moscow"),
        (14, "RU", "Vladimir Oblast", "Vladimir", 64_502, "Mobile Example", "Europe/Moscow"),
        (12, "RU", "Tver Oblast", "Tver", 64_502, "Mobile Example", "Europe/Moscow"),
        (10, "RU", "Tatarstan Republic", "Kazan", 64_502, "Mobile Example", "Europe/Moscow"),
        (10, "RU", "Sverdlovsk Oblast", "Yekaterinburg", 64_504, "Ural Example", "Asia/Yekaterinburg"),
        (9, "RU", "Krasnodar Krai", "Krasnodar", 64_502, "Mobile Example", "Europe/Moscow"),
        (8, "RU", "Novosibirsk Oblast", "Novosibirsk", 64_504, "Ural Example", "Asia/Novosibirsk"),
        (8, "RU", "Nizhny Novgorod Oblast", "Nizhniy Novgorod", 64_501, "Volga Net", "Europe/Moscow"),
        (7, "BY", "Minsk City", "Minsk", 64_505, "Minsk Example", "Europe/Minsk"),
        (5, "KZ", "Almaty", "Almaty", 64_506, "Steppe Example", "Asia/Almaty"),
        (4, "AM", "Yerevan", "Yerevan", 64_507, "Ararat Example", "Asia/Yerevan"),
        (4, "DE", "Land Berlin", "Berlin", 64_508, "Spree Example", "Europe/Berlin"),
        (3, "TR", "Istanbul", "Istanbul", 64_509, "Bosphorus Example", "Europe/Istanbul"),
        (3, "AE", "Dubai", "Dubai", 64_510, "Gulf Example", "Asia/Dubai"),
        (10, "RU", "", "", 64_502, "Mobile Example", "Europe/Moscow"),
    ]
    .into_iter()
    .map(|(weight, country, region, city, asn, network, timezone)| {
        let place = Place {
            country,
            region: region.to_owned(),
            city: city.to_owned(),
            asn,
            network: network.to_owned(),
            timezone,
        };
        (weight, place)
    })
    .collect()
}

fn devices() -> Vec<(u32, Device)> {
    [
        (210, "mobile", "Chrome Mobile", "141", "Android", "15", "1-479"),
        (120, "mobile", "Chrome Mobile", "140", "Android", "14", "1-479"),
        (180, "mobile", "Mobile Safari", "19", "iOS", "19", "1-479"),
        (70, "mobile", "Mobile Safari", "18", "iOS", "18", "1-479"),
        (95, "mobile", "Yandex Browser", "25", "Android", "14", "1-479"),
        (25, "mobile", "Samsung Internet", "28", "Android", "15", "1-479"),
        (75, "desktop", "Chrome", "141", "Windows", "11", "1920+"),
        (45, "desktop", "Chrome", "140", "Windows", "10", "1440-1919"),
        (90, "desktop", "Yandex Browser", "25", "Windows", "10", "1920+"),
        (18, "desktop", "Edge", "141", "Windows", "11", "1920+"),
        (16, "desktop", "Firefox", "143", "Windows", "10", "1440-1919"),
        (6, "desktop", "Firefox", "143", "Linux", "", "1920+"),
        (22, "desktop", "Safari", "19", "Mac OS X", "15", "1440-1919"),
        (14, "desktop", "Opera", "122", "Windows", "10", "1440-1919"),
        (12, "tablet", "Mobile Safari", "19", "iOS", "19", "768-1023"),
        (9, "tablet", "Chrome", "140", "Android", "14", "768-1023"),
        (2, "tv", "Yandex Browser", "25", "Android", "12", "1920+"),
    ]
    .into_iter()
    .map(|(weight, device, browser, version, os, os_version, screen)| {
        let device = Device {
            device,
            browser,
            browser_version: version.to_owned(),
            os,
            os_version: os_version.to_owned(),
            screen,
        };
        (weight, device)
    })
    .collect()
}

fn deeds() -> Vec<(u32, Deed)> {
    let props = |pairs: &[(&'static str, &'static str)]| {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    [
        (30, "zapis", props(&[("usluga", "Чистка лица"), ("filial", "Москва")])),
        (18, "zapis", props(&[("usluga", "Биоревитализация"), ("filial", "Москва")])),
        (14, "zapis", props(&[("usluga", "Лазерная эпиляция"), ("filial", "Ярославль")])),
        (40, "phone", props(&[])),
        (22, "whatsapp", props(&[])),
        (12, "outbound", props(&[("url", "https://2gis.example/firm/1")])),
        (10, "download", props(&[("url", "/files/prejskurant.pdf")])),
        (8, "calculator", props(&[("summa", "10000-20000")])),
    ]
    .into_iter()
    .map(|(weight, name, props)| (weight, Deed { name, props }))
    .collect()
}
