//! The closed table of sources: hosts, Android packages, campaign names.
//!
//! A host is looked up whole, then without its first label, and so on, so that
//! `m.vk.com` is found under `vk.com` and `mail.google.com` before Google.
//! Names that own their label under every country (`google.*`, `yandex.*`) are
//! in [`FAMILIES`]; what follows the label must look like a public suffix, so
//! that `google.evil.example` is not Google.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Channel;
use super::Channel::{Mail, Messenger, Paid, Referral, Search, Social};

pub(super) type Known = (&'static str, Channel);

/// Two words to whoever cuts a medium into words.
const E_MAIL: &[u8] = b"e-mail";
/// The most labels of a host that are tried: real hosts have at most six.
const MAX_LABELS: usize = 8;

/// One source: its name, its channel, its hosts and packages.
const SOURCES: &[(&str, Channel, &[&str])] = &[
    // Search engines.
    (
        "Yandex",
        Search,
        &[
            "ya.ru",
            "ru.yandex.searchplugin",
            "ru.yandex.searchplugin.beta",
            "com.yandex.browser",
            "com.yandex.browser.lite",
        ],
    ),
    (
        "Google",
        Search,
        &[
            "com.google.android.googlequicksearchbox",
            "com.android.chrome",
            "com.google.android.apps.searchlite",
        ],
    ),
    ("Mail.ru", Search, &["go.mail.ru"]),
    ("Rambler", Search, &["nova.rambler.ru", "r0.rambler.ru", "search.rambler.ru"]),
    ("Bing", Search, &["bing.com", "com.microsoft.bing"]),
    ("DuckDuckGo", Search, &["duckduckgo.com", "com.duckduckgo.mobile.android"]),
    ("Yahoo!", Search, &["search.yahoo.com", "search.yahoo.co.jp", "yahoo.com", "yahoo.co.jp"]),
    ("Baidu", Search, &["baidu.com"]),
    ("Sputnik", Search, &["sputnik.ru"]),
    ("Nigma", Search, &["nigma.ru"]),
    ("Ecosia", Search, &["ecosia.org"]),
    ("Startpage", Search, &["startpage.com"]),
    ("Qwant", Search, &["qwant.com"]),
    ("Brave Search", Search, &["search.brave.com"]),
    ("Kagi", Search, &["kagi.com"]),
    ("Naver", Search, &["search.naver.com", "naver.com"]),
    ("Seznam", Search, &["search.seznam.cz", "seznam.cz"]),
    ("Sogou", Search, &["sogou.com"]),
    ("AOL", Search, &["search.aol.com"]),
    ("Ask", Search, &["ask.com"]),
    ("Petal Search", Search, &["petalsearch.com"]),
    // Social networks and video.
    ("VK", Social, &["vk.com", "vk.ru", "vkontakte.ru", "vk.cc", "away.vk.com", "com.vkontakte.android"]),
    ("VK Video", Social, &["vkvideo.ru", "vk.video"]),
    ("Odnoklassniki", Social, &["ok.ru", "odnoklassniki.ru", "ru.ok.android"]),
    ("Dzen", Social, &["dzen.ru", "zen.yandex.ru", "zen.yandex.com", "zen.me", "ru.zen.android"]),
    ("My World", Social, &["my.mail.ru"]),
    ("Rutube", Social, &["rutube.ru", "ru.rutube.app"]),
    (
        "Facebook",
        Social,
        &[
            "facebook.com",
            "fb.com",
            "fb.me",
            "l.facebook.com",
            "lm.facebook.com",
            "com.facebook.katana",
            "com.facebook.lite",
        ],
    ),
    ("Instagram", Social, &["instagram.com", "l.instagram.com", "com.instagram.android"]),
    ("Threads", Social, &["threads.net", "threads.com"]),
    ("X", Social, &["twitter.com", "x.com", "t.co", "com.twitter.android"]),
    ("LinkedIn", Social, &["linkedin.com", "lnkd.in", "com.linkedin.android"]),
    ("YouTube", Social, &["youtube.com", "youtu.be", "youtube-nocookie.com", "com.google.android.youtube"]),
    ("TikTok", Social, &["tiktok.com", "com.zhiliaoapp.musically", "com.ss.android.ugc.trill"]),
    ("Reddit", Social, &["reddit.com", "redd.it", "out.reddit.com", "com.reddit.frontpage"]),
    ("LiveJournal", Social, &["livejournal.com"]),
    ("Pikabu", Social, &["pikabu.ru"]),
    ("Habr", Social, &["habr.com"]),
    ("TenChat", Social, &["tenchat.ru"]),
    ("Yappy", Social, &["yappy.media"]),
    ("Likee", Social, &["likee.video"]),
    ("Tumblr", Social, &["tumblr.com"]),
    ("Quora", Social, &["quora.com"]),
    ("Snapchat", Social, &["snapchat.com", "com.snapchat.android"]),
    ("Vimeo", Social, &["vimeo.com"]),
    ("Twitch", Social, &["twitch.tv"]),
    ("Mastodon", Social, &["mastodon.social", "org.joinmastodon.android"]),
    ("Bluesky", Social, &["bsky.app", "xyz.blueskyweb.app"]),
    ("Weibo", Social, &["weibo.com", "weibo.cn"]),
    ("Hacker News", Social, &["news.ycombinator.com"]),
    ("Yandex Q", Social, &["q.yandex.ru", "yandex.ru/q"]),
    // Mail.
    (
        "Yandex Mail",
        Mail,
        &[
            "mail.yandex.ru",
            "mail.yandex.com",
            "mail.yandex.kz",
            "mail.yandex.by",
            "mail.ya.ru",
            "ru.yandex.mail",
        ],
    ),
    (
        "Mail.ru",
        Mail,
        &[
            "e.mail.ru",
            "touch.mail.ru",
            "light.mail.ru",
            "m.mail.ru",
            "click.mail.ru",
            "octavius.mail.ru",
            "ru.mail.mailapp",
        ],
    ),
    ("Rambler Mail", Mail, &["mail.rambler.ru"]),
    ("Gmail", Mail, &["mail.google.com", "inbox.google.com", "com.google.android.gm"]),
    (
        "Outlook",
        Mail,
        &[
            "outlook.live.com",
            "outlook.office.com",
            "outlook.office365.com",
            "mail.live.com",
            "outlook.com",
            "com.microsoft.office.outlook",
        ],
    ),
    ("Yahoo! Mail", Mail, &["mail.yahoo.com", "com.yahoo.mobile.client.android.mail"]),
    ("iCloud Mail", Mail, &["icloud.com"]),
    ("Proton Mail", Mail, &["mail.proton.me", "mail.protonmail.com", "ch.protonmail.android"]),
    ("UniSender", Mail, &["unisender.com", "uni-sender.com"]),
    ("SendPulse", Mail, &["sendpulse.com", "stat-pulse.com"]),
    ("Mindbox", Mail, &["mindbox.ru"]),
    ("Mailchimp", Mail, &["mailchi.mp", "list-manage.com", "mailchimp.com"]),
    // Messengers.
    (
        "Telegram",
        Messenger,
        &[
            "t.me",
            "telegram.me",
            "telegram.org",
            "telegram.im",
            "web.telegram.org",
            "telegra.ph",
            "org.telegram.messenger",
            "org.telegram.messenger.web",
            "org.telegram.plus",
            "org.thunderdog.challegram",
        ],
    ),
    ("WhatsApp", Messenger, &["whatsapp.com", "wa.me", "com.whatsapp", "com.whatsapp.w4b"]),
    ("Viber", Messenger, &["viber.com", "com.viber.voip"]),
    ("MAX", Messenger, &["max.ru", "ru.oneme.app"]),
    ("VK Messenger", Messenger, &["web.vk.me", "vk.me", "com.vk.im"]),
    ("Discord", Messenger, &["discord.com", "discordapp.com", "com.discord"]),
    ("Slack", Messenger, &["slack.com", "com.slack"]),
    ("Skype", Messenger, &["skype.com", "com.skype.raider"]),
    ("Microsoft Teams", Messenger, &["teams.microsoft.com", "teams.live.com", "com.microsoft.teams"]),
    ("Messenger", Messenger, &["messenger.com", "l.messenger.com", "com.facebook.orca"]),
    ("Signal", Messenger, &["signal.org", "org.thoughtcrime.securesms"]),
    ("ICQ", Messenger, &["icq.com", "icq.im"]),
    ("LINE", Messenger, &["line.me", "jp.naver.line.android"]),
    ("WeChat", Messenger, &["wechat.com", "weixin.qq.com", "com.tencent.mm"]),
    // Advertising networks: a click from one is paid, whatever the address says.
    (
        "Yandex",
        Paid,
        &["yabs.yandex.ru", "an.yandex.ru", "direct.yandex.ru", "yandexadexchange.net", "yastatic.net"],
    ),
    (
        "Google",
        Paid,
        &[
            "googleads.g.doubleclick.net",
            "doubleclick.net",
            "googlesyndication.com",
            "googleadservices.com",
            "adclick.g.doubleclick.net",
        ],
    ),
    ("VK Ads", Paid, &["ads.vk.com", "ad.mail.ru", "target.my.com", "r.mail.ru"]),
    ("Between Exchange", Paid, &["betweendigital.com"]),
    ("Criteo", Paid, &["criteo.com"]),
    ("Taboola", Paid, &["taboola.com"]),
    // Maps, directories, marketplaces, reviews: a card with a link.
    (
        "2GIS",
        Referral,
        &["2gis.ru", "2gis.com", "2gis.kz", "2gis.ae", "2gis.uz", "link.2gis.com", "ru.dublgis.dgismobile"],
    ),
    ("Avito", Referral, &["avito.ru", "com.avito.android"]),
    (
        "Yandex Maps",
        Referral,
        &["maps.yandex.ru", "yandex.ru/maps", "yandex.com/maps", "yandex.ru/profile", "ru.yandex.yandexmaps"],
    ),
    ("Yandex Navigator", Referral, &["ru.yandex.yandexnavi"]),
    ("Yandex Services", Referral, &["uslugi.yandex.ru", "yandex.ru/uslugi"]),
    ("Yandex Market", Referral, &["market.yandex.ru"]),
    ("Yandex News", Referral, &["news.yandex.ru", "yandex.ru/news"]),
    ("Yandex Translate", Referral, &["translate.yandex.ru", "translated.turbopages.org"]),
    ("Yandex Turbo", Referral, &["turbopages.org"]),
    (
        "Yandex Metrica",
        Referral,
        &["metrika.yandex.ru", "metrica.yandex.com", "webvisor.com", "mtproxy.yandex.net"],
    ),
    ("Yandex Webmaster", Referral, &["webmaster.yandex.ru"]),
    ("Yandex Browser", Referral, &["browser.yandex.ru"]),
    (
        "Google Maps",
        Referral,
        &[
            "maps.google.com",
            "google.com/maps",
            "google.ru/maps",
            "maps.app.goo.gl",
            "com.google.android.apps.maps",
        ],
    ),
    ("Google News", Referral, &["news.google.com", "com.google.android.apps.magazines"]),
    ("Google Docs", Referral, &["docs.google.com", "drive.google.com"]),
    ("Google Translate", Referral, &["translate.google.com", "translate.google.ru", "translate.goog"]),
    ("Google Business", Referral, &["business.google.com", "business.site"]),
    ("Google Accounts", Referral, &["accounts.google.com"]),
    ("Zoon", Referral, &["zoon.ru"]),
    ("ProDoctorov", Referral, &["prodoctorov.ru"]),
    ("NaPopravku", Referral, &["napopravku.ru"]),
    ("SberHealth", Referral, &["docdoc.ru", "sberhealth.ru"]),
    ("Yell", Referral, &["yell.ru"]),
    ("Flamp", Referral, &["flamp.ru"]),
    ("Otzovik", Referral, &["otzovik.com"]),
    ("iRecommend", Referral, &["irecommend.ru"]),
    ("Spravker", Referral, &["spravker.ru"]),
    ("Orgpage", Referral, &["orgpage.ru"]),
    ("Profi", Referral, &["profi.ru"]),
    ("Mail.ru", Referral, &["mail.ru"]),
    ("Rambler", Referral, &["rambler.ru"]),
    ("VC.ru", Referral, &["vc.ru"]),
    ("Taplink", Referral, &["taplink.cc", "taplink.ws"]),
    ("Wikipedia", Referral, &["wikipedia.org"]),
    ("Booking", Referral, &["yclients.com", "dikidi.net", "dikidi.ru"]),
    ("GitHub", Referral, &["github.com"]),
    ("ChatGPT", Referral, &["chatgpt.com", "chat.openai.com", "com.openai.chatgpt"]),
    ("Perplexity", Referral, &["perplexity.ai"]),
    ("Gemini", Referral, &["gemini.google.com"]),
    ("Copilot", Referral, &["copilot.microsoft.com", "copilot.cloud.microsoft"]),
    ("Claude", Referral, &["claude.ai"]),
    ("DeepSeek", Referral, &["chat.deepseek.com"]),
    ("Alice", Referral, &["alice.yandex.ru", "a.ya.ru"]),
];

/// Labels that belong to one owner under every country's suffix.
const FAMILIES: &[(&str, Known)] = &[
    ("google", ("Google", Search)),
    ("yandex", ("Yandex", Search)),
    ("bing", ("Bing", Search)),
    ("pinterest", ("Pinterest", Social)),
    ("2gis", ("2GIS", Referral)),
];

/// Second-level suffixes under countries (`co.uk`, `com.tr`).
const SECOND_LEVEL: [&str; 5] = ["co", "com", "org", "net", "ne"];

/// Names that campaigns use in `utm_source`, lower case.
const CAMPAIGN_SOURCES: &[(&str, Known)] = &[
    ("yandex", ("Yandex", Search)),
    ("ya", ("Yandex", Search)),
    ("yandex.ru", ("Yandex", Search)),
    ("yandex_direct", ("Yandex", Paid)),
    ("yandex-direct", ("Yandex", Paid)),
    ("yandexdirect", ("Yandex", Paid)),
    ("yadirect", ("Yandex", Paid)),
    ("ya_direct", ("Yandex", Paid)),
    ("direct", ("Yandex", Paid)),
    ("yandex_maps", ("Yandex Maps", Referral)),
    ("yandex-maps", ("Yandex Maps", Referral)),
    ("yandexmaps", ("Yandex Maps", Referral)),
    ("yamaps", ("Yandex Maps", Referral)),
    ("dzen", ("Dzen", Social)),
    ("zen", ("Dzen", Social)),
    ("google", ("Google", Search)),
    ("google_ads", ("Google", Paid)),
    ("google-ads", ("Google", Paid)),
    ("googleads", ("Google", Paid)),
    ("adwords", ("Google", Paid)),
    ("google_maps", ("Google Maps", Referral)),
    ("bing", ("Bing", Search)),
    ("vk", ("VK", Social)),
    ("vkontakte", ("VK", Social)),
    ("vk.com", ("VK", Social)),
    ("vk_ads", ("VK Ads", Paid)),
    ("vk-ads", ("VK Ads", Paid)),
    ("vkads", ("VK Ads", Paid)),
    ("mytarget", ("VK Ads", Paid)),
    ("my_target", ("VK Ads", Paid)),
    ("ok", ("Odnoklassniki", Social)),
    ("odnoklassniki", ("Odnoklassniki", Social)),
    ("telegram", ("Telegram", Messenger)),
    ("tg", ("Telegram", Messenger)),
    ("t.me", ("Telegram", Messenger)),
    ("telegram_ads", ("Telegram", Paid)),
    ("tgads", ("Telegram", Paid)),
    ("whatsapp", ("WhatsApp", Messenger)),
    ("wa", ("WhatsApp", Messenger)),
    ("viber", ("Viber", Messenger)),
    ("max", ("MAX", Messenger)),
    ("instagram", ("Instagram", Social)),
    ("inst", ("Instagram", Social)),
    ("ig", ("Instagram", Social)),
    ("facebook", ("Facebook", Social)),
    ("fb", ("Facebook", Social)),
    ("youtube", ("YouTube", Social)),
    ("tiktok", ("TikTok", Social)),
    ("twitter", ("X", Social)),
    ("linkedin", ("LinkedIn", Social)),
    ("2gis", ("2GIS", Referral)),
    ("2gis.ru", ("2GIS", Referral)),
    ("avito", ("Avito", Referral)),
    ("zoon", ("Zoon", Referral)),
    ("chatgpt.com", ("ChatGPT", Referral)),
    ("email", ("email", Mail)),
    ("e-mail", ("email", Mail)),
    ("newsletter", ("newsletter", Mail)),
    ("mail", ("email", Mail)),
    ("mail.ru", ("Mail.ru", Referral)),
    ("unisender", ("UniSender", Mail)),
    ("sendpulse", ("SendPulse", Mail)),
    ("sms", ("sms", Messenger)),
];

/// Words of `utm_medium`. A medium is cut into words at what is no letter or
/// digit, so that `paid_social` and `cpc-search` are read too.
const MEDIA: &[(&str, Channel)] = &[
    ("cpc", Paid),
    ("ppc", Paid),
    ("cpm", Paid),
    ("cpa", Paid),
    ("cpv", Paid),
    ("cpp", Paid),
    ("cpo", Paid),
    ("paid", Paid),
    ("paidsearch", Paid),
    ("paidsocial", Paid),
    ("ads", Paid),
    ("ad", Paid),
    ("adv", Paid),
    ("banner", Paid),
    ("display", Paid),
    ("retargeting", Paid),
    ("remarketing", Paid),
    ("target", Paid),
    ("targeting", Paid),
    ("sem", Paid),
    ("context", Paid),
    ("tgb", Paid),
    ("promo", Paid),
    ("sponsored", Paid),
    ("email", Mail),
    ("mail", Mail),
    ("newsletter", Mail),
    ("mailing", Mail),
    ("rassylka", Mail),
    ("social", Social),
    ("smm", Social),
    ("socialmedia", Social),
    ("sm", Social),
    ("post", Social),
    ("stories", Social),
    ("messenger", Messenger),
    ("telegram", Messenger),
    ("whatsapp", Messenger),
    ("viber", Messenger),
    ("chat", Messenger),
    ("sms", Messenger),
    ("bot", Messenger),
    ("organic", Search),
    ("seo", Search),
    ("referral", Referral),
    ("affiliate", Referral),
    ("partner", Referral),
    ("partners", Referral),
    ("link", Referral),
    ("maps", Referral),
    ("catalog", Referral),
    ("qr", Referral),
    ("offline", Referral),
];

/// What the table knows under one host.
#[derive(Default)]
struct Entry {
    whole: Option<Known>,
    /// Services that have only a path: `yandex.ru/maps`.
    sections: Vec<(&'static str, Known)>,
}

static BY_HOST: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut table = HashMap::<_, Entry>::new();
    for (name, channel, hosts) in SOURCES {
        for host in *hosts {
            let known = (*name, *channel);
            match host.split_once('/') {
                Some((host, section)) => table.entry(host).or_default().sections.push((section, known)),
                None => table.entry(host).or_default().whole = Some(known),
            }
        }
    }
    table
});

static NAMES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let hosts = SOURCES.iter().map(|(name, _, _)| *name);
    let others = FAMILIES.iter().chain(CAMPAIGN_SOURCES).map(|(_, (name, _))| *name);
    hosts.chain(others).collect()
});

/// Whether a source's name is one of this table's own.
pub(super) fn is_name(name: &str) -> bool {
    NAMES.contains(name)
}

/// The source behind a referrer's host and path.
pub(super) fn of_referrer(host: &str, path: &str) -> Option<Known> {
    if host.is_empty() {
        return None;
    }
    let table = &*BY_HOST;
    let section = path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    let mut rest = host;
    for _ in 0..MAX_LABELS {
        if let Some(entry) = table.get(rest) {
            let service = entry.sections.iter().find(|(name, _)| *name == section);
            if let Some(known) = service.map(|(_, known)| *known).or(entry.whole) {
                return Some(known);
            }
        }
        match rest.split_once('.') {
            Some((label, suffix)) => {
                if is_public_suffix(suffix)
                    && let Some((_, known)) = FAMILIES.iter().find(|(family, _)| *family == label)
                {
                    return Some(*known);
                }
                rest = suffix;
            }
            None => return None,
        }
    }
    None
}

/// The source behind `utm_source`.
pub(super) fn of_campaign_source(source: &str) -> Option<Known> {
    CAMPAIGN_SOURCES.iter().find(|(name, _)| name.eq_ignore_ascii_case(source)).map(|(_, known)| *known)
}

/// The channel behind `utm_medium`; paid wins over what it is paid for.
pub(super) fn of_medium(medium: &str) -> Option<Channel> {
    let words = medium.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let has_mail = medium.as_bytes().windows(E_MAIL.len()).any(|part| part.eq_ignore_ascii_case(E_MAIL));
    let mut found = None;
    for word in words.chain(has_mail.then_some("email")) {
        if let Some((_, channel)) = MEDIA.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            if *channel == Paid {
                return Some(Paid);
            }
            found = found.or(Some(*channel));
        }
    }
    found
}

fn is_public_suffix(suffix: &str) -> bool {
    match suffix.split_once('.') {
        None => (2..=3).contains(&suffix.len()),
        Some((second, country)) => country.len() == 2 && SECOND_LEVEL.contains(&second),
    }
}

/// Every host of the table, for the test of its form.
#[cfg(test)]
pub(super) fn hosts() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().flat_map(|(_, _, hosts)| hosts.iter().copied())
}
