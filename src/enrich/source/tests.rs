use super::*;

/// Referrers as browsers send them, with what they are.
const REFERRERS: &[(&str, &str, &str)] = &[
    ("", "", "direct"),
    ("https://ya.ru/", "Yandex", "search"),
    ("https://yandex.ru/", "Yandex", "search"),
    ("https://www.yandex.ru/search/", "Yandex", "search"),
    ("https://m.yandex.ru/", "Yandex", "search"),
    ("https://yandex.kz/search/touch/", "Yandex", "search"),
    ("https://yandex.com.tr/", "Yandex", "search"),
    ("https://yandex.com/search/", "Yandex", "search"),
    ("https://www.google.com/", "Google", "search"),
    ("https://www.google.ru/", "Google", "search"),
    ("https://google.co.uk/url", "Google", "search"),
    ("https://www.google.com.ua/", "Google", "search"),
    ("https://images.google.de/", "Google", "search"),
    ("android-app://com.google.android.googlequicksearchbox/", "Google", "search"),
    ("https://go.mail.ru/search", "Mail.ru", "search"),
    ("https://nova.rambler.ru/search", "Rambler", "search"),
    ("https://www.bing.com/", "Bing", "search"),
    ("https://cn.bing.com/", "Bing", "search"),
    ("https://duckduckgo.com/", "DuckDuckGo", "search"),
    ("https://ru.search.yahoo.com/", "Yahoo!", "search"),
    ("https://www.baidu.com/link", "Baidu", "search"),
    ("https://www.ecosia.org/", "Ecosia", "search"),
    ("https://search.brave.com/", "Brave Search", "search"),
    ("https://www.qwant.com/", "Qwant", "search"),
    ("https://vk.com/", "VK", "social"),
    ("https://m.vk.com/", "VK", "social"),
    ("https://away.vk.com/away.php", "VK", "social"),
    ("https://vk.ru/club1", "VK", "social"),
    ("android-app://com.vkontakte.android/", "VK", "social"),
    ("https://vkvideo.ru/", "VK Video", "social"),
    ("https://ok.ru/", "Odnoklassniki", "social"),
    ("https://m.ok.ru/dk", "Odnoklassniki", "social"),
    ("https://dzen.ru/", "Dzen", "social"),
    ("https://zen.yandex.ru/media/x", "Dzen", "social"),
    ("https://my.mail.ru/mail/x/", "My World", "social"),
    ("https://l.facebook.com/", "Facebook", "social"),
    ("http://m.facebook.com/", "Facebook", "social"),
    ("https://l.instagram.com/", "Instagram", "social"),
    ("https://www.instagram.com/", "Instagram", "social"),
    ("android-app://com.instagram.android/", "Instagram", "social"),
    ("https://t.co/AbCdEf", "X", "social"),
    ("https://x.com/", "X", "social"),
    ("https://www.youtube.com/", "YouTube", "social"),
    ("https://m.youtube.com/watch", "YouTube", "social"),
    ("https://www.tiktok.com/", "TikTok", "social"),
    ("https://out.reddit.com/", "Reddit", "social"),
    ("https://www.linkedin.com/", "LinkedIn", "social"),
    ("https://ru.pinterest.com/", "Pinterest", "social"),
    ("https://www.pinterest.co.uk/", "Pinterest", "social"),
    ("https://rutube.ru/video/x/", "Rutube", "social"),
    ("https://pikabu.ru/story/x", "Pikabu", "social"),
    ("https://someone.livejournal.com/1.html", "LiveJournal", "social"),
    ("https://mail.yandex.ru/", "Yandex Mail", "mail"),
    ("https://e.mail.ru/inbox/", "Mail.ru", "mail"),
    ("https://touch.mail.ru/", "Mail.ru", "mail"),
    ("https://mail.rambler.ru/", "Rambler Mail", "mail"),
    ("https://mail.google.com/mail/u/0/", "Gmail", "mail"),
    ("android-app://com.google.android.gm/", "Gmail", "mail"),
    ("https://outlook.live.com/", "Outlook", "mail"),
    ("https://mail.yahoo.com/", "Yahoo! Mail", "mail"),
    ("https://t.me/", "Telegram", "messenger"),
    ("https://web.telegram.org/", "Telegram", "messenger"),
    ("android-app://org.telegram.messenger/", "Telegram", "messenger"),
    ("android-app://org.thunderdog.challegram/", "Telegram", "messenger"),
    ("https://web.whatsapp.com/", "WhatsApp", "messenger"),
    ("https://wa.me/79990000000", "WhatsApp", "messenger"),
    ("android-app://com.viber.voip/", "Viber", "messenger"),
    ("https://web.max.ru/", "MAX", "messenger"),
    ("https://discord.com/", "Discord", "messenger"),
    ("https://yabs.yandex.ru/count/x", "Yandex", "paid"),
    ("https://googleads.g.doubleclick.net/", "Google", "paid"),
    ("https://ads.vk.com/", "VK Ads", "paid"),
    ("https://2gis.ru/moscow/firm/1", "2GIS", "referral"),
    ("https://link.2gis.com/x", "2GIS", "referral"),
    ("https://2gis.kg/", "2GIS", "referral"),
    ("https://www.avito.ru/", "Avito", "referral"),
    ("https://m.avito.ru/", "Avito", "referral"),
    ("https://yandex.ru/maps/org/x/1", "Yandex Maps", "referral"),
    ("https://yandex.ru/maps", "Yandex Maps", "referral"),
    ("https://maps.yandex.ru/", "Yandex Maps", "referral"),
    ("android-app://ru.yandex.yandexmaps/", "Yandex Maps", "referral"),
    ("https://www.google.com/maps/place/x", "Google Maps", "referral"),
    ("https://uslugi.yandex.ru/", "Yandex Services", "referral"),
    ("https://prodoctorov.ru/moskva/", "ProDoctorov", "referral"),
    ("https://zoon.ru/msk/", "Zoon", "referral"),
    ("https://chatgpt.com/", "ChatGPT", "referral"),
    ("https://www.rambler.ru/", "Rambler", "referral"),
    ("https://mail.ru/", "Mail.ru", "referral"),
    ("https://ru.wikipedia.org/wiki/X", "Wikipedia", "referral"),
    ("https://www.blog.example/post", "blog.example", "referral"),
    ("https://blog.example/", "blog.example", "referral"),
    ("http://192.0.2.1/", "192.0.2.1", "referral"),
    ("https://google.evil.example/", "google.evil.example", "referral"),
    ("https://google.com.evil.example/", "google.com.evil.example", "referral"),
    ("https://notgoogle.com/", "notgoogle.com", "referral"),
    ("https://evilvk.com/", "evilvk.com", "referral"),
    ("https://ya.ru.example/", "ya.ru.example", "referral"),
    ("https://www.example/", "www.example", "referral"),
    ("https://clinic.example/prices", "", "internal"),
    ("https://shop.clinic.example/", "", "internal"),
];

/// `(referrer, utm_source, utm_medium, paid click, name, channel)`
const CAMPAIGNS: &[(&str, &str, &str, bool, &str, &str)] = &[
    ("https://yandex.ru/", "yandex", "cpc", false, "Yandex", "paid"),
    ("", "yandex", "", false, "Yandex", "search"),
    ("", "Yandex_Direct", "", false, "Yandex", "paid"),
    ("https://yandex.ru/", "", "", true, "Yandex", "paid"),
    ("https://www.google.com/", "", "", true, "Google", "paid"),
    ("", "", "", true, "Paid", "paid"),
    ("https://clinic.example/", "", "", true, "Paid", "paid"),
    ("", "vk", "paid_social", false, "VK", "paid"),
    ("", "vk", "social", false, "VK", "social"),
    ("", "tg", "post", false, "Telegram", "social"),
    ("", "telegram", "", false, "Telegram", "messenger"),
    ("", "newsletter", "e-mail", false, "newsletter", "mail"),
    ("", "spring", "Email", false, "spring", "mail"),
    ("", "Partner.Example", "referral", false, "partner.example", "referral"),
    ("", "flyer", "unheard-of", false, "flyer", "referral"),
    ("", "", "banner", false, "banner", "paid"),
    ("https://t.me/", "", "cpm", false, "Telegram", "paid"),
    ("https://clinic.example/", "ok", "smm", false, "Odnoklassniki", "social"),
    ("", "google", "organic", false, "Google", "search"),
    ("", "  ", " ", false, "", "direct"),
    ("https://blog.example/", "2gis", "", false, "2GIS", "referral"),
    ("", "yandex", "", true, "Yandex", "paid"),
    ("", "avito", "catalog", false, "Avito", "referral"),
];

fn referrer(text: &str) -> Referrer<'_> {
    let Some((_, rest)) = text.split_once("://") else { return Referrer::default() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Referrer { host: host.into(), path: format!("/{path}").into() }
}

fn site() -> Site {
    Site::with_defaults("clinic", &["clinic.example", "*.clinic.example"])
}

fn page() -> Page<'static> {
    Page { host: "clinic.example".into(), path: "/".into(), ..Page::default() }
}

#[test]
fn referrers_have_a_name_and_a_channel() {
    const { assert!(REFERRERS.len() >= 80) };
    let (site, page) = (site(), page());
    for (text, name, channel) in REFERRERS {
        let referrer = referrer(text);
        let source = classify(&referrer, &page, &site);
        assert_eq!((source.name.as_ref(), source.channel), (*name, *channel), "{text}");
    }
}

#[test]
fn campaigns_name_the_source_and_their_medium_the_channel() {
    for (from, source, medium, paid_click, name, channel) in CAMPAIGNS {
        let referrer = referrer(from);
        let utm = Utm { source: (*source).into(), medium: (*medium).into(), ..Utm::default() };
        let page = Page { utm, paid_click: *paid_click, ..page() };
        let found = classify(&referrer, &page, &site());
        assert_eq!(
            (found.name.as_ref(), found.channel),
            (*name, *channel),
            "{from} {source} {medium} {paid_click}"
        );
    }
}

#[test]
fn a_page_host_that_no_pattern_names_is_still_its_own_referrer() {
    let page = Page { host: "www.clinic.example".into(), ..Page::default() };
    let referrer = referrer("https://www.clinic.example/");
    assert_eq!(classify(&referrer, &page, &Site::with_defaults("x", &["other.example"])).channel, "internal");
}

#[test]
fn every_host_of_the_table_is_written_once_and_in_lower_case() {
    let mut seen = std::collections::BTreeSet::new();
    for host in table::hosts() {
        assert_eq!(host, host.to_ascii_lowercase());
        assert!(seen.insert(host), "{host} is in the table twice");
    }
}
