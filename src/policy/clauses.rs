//! The clauses of the policy that the product carries out, in words of ours.

/// One clause.
pub(super) struct Words {
    pub id: &'static str,
    pub ru: &'static str,
    pub en: &'static str,
    pub does_ru: &'static str,
    pub does_en: &'static str,
}

const fn words(
    id: &'static str,
    [ru, en]: [&'static str; 2],
    [does_ru, does_en]: [&'static str; 2],
) -> Words {
    Words { id, ru, en, does_ru, does_en }
}

pub(super) static CLAUSES: &[Words] = &[
    words(
        "1.1.6, 1.1.7",
        [
            "cookie-файлы и IP-адреса — обрабатываемые данные",
            "cookies and IP addresses are data that is processed",
        ],
        [
            "от cookie хранится ключевой хеш, IP-адрес — только в зашифрованном виде, ключ меняется каждый месяц",
            "of a cookie a keyed hash is stored, an IP address only encrypted, under a key of its month",
        ],
    ),
    words(
        "2.1, 2.2",
        [
            "пользование сайтом означает согласие; кто не согласен, прекращает пользование",
            "using the site is consent; who does not agree stops using it",
        ],
        [
            "режим согласия сайта; отказ на странице /privacy; сигнал браузера Sec-GPC",
            "the site's consent mode; opting out on the page /privacy; the browser's signal Sec-GPC",
        ],
    ),
    words(
        "2.3",
        ["политика действует только для этого сайта", "the policy covers this site only"],
        [
            "обращения со страниц чужих сайтов отклоняются и считаются",
            "hits from pages of other hosts are refused and counted",
        ],
    ),
    words(
        "3.3",
        [
            "автоматически передаются IP-адрес, cookie, сведения о браузере, время, адрес страницы, реферер — и ничего больше",
            "IP address, cookie, browser, time, page address, referrer are transferred automatically, and nothing else",
        ],
        [
            "всё сверх этого перечня собирается, только если названо в fields",
            "anything beyond is collected only if the setting fields names it",
        ],
    ),
    words(
        "3.3.1",
        ["сайт работает и без cookie", "the site works without cookies"],
        [
            "без cookie посещения различаются по хешу, ключ которого уничтожается ежедневно",
            "without a cookie, visits are told apart by a hash whose key is destroyed daily",
        ],
    ),
    words(
        "3.3.2",
        [
            "статистика IP-адресов — для поиска технических проблем и проверки законности платежей",
            "statistics of IP addresses, to find technical problems and to check the lawfulness of payments",
        ],
        [
            "в статистике вместо адресов условные обозначения, она доступна роли security; каждый просмотр с его целью до этого записывается в журнал; адрес открывается по одному",
            "statistics tell addresses by tokens, to the role security; each look is in the trail first, with its purpose; one address is opened at a time",
        ],
    ),
    words(
        "3.4, 6.2.2",
        [
            "сведения хранятся надёжно, не раскрываются, не продаются и не публикуются",
            "information is stored safely and not disclosed, sold or published",
        ],
        [
            "вход по паролю и по токену, роли; защита малых чисел для роли viewer; страницы ничего не загружают с чужих сайтов",
            "sign-in by password and token, roles; the guard of small counts for viewers; pages load nothing from elsewhere",
        ],
    ),
    words(
        "4.1.4",
        [
            "определение местоположения для безопасности и предотвращения мошенничества",
            "location is determined for security and against fraud",
        ],
        [
            "страна, регион и город определяются при приёме и только приблизительно; проверка посетителя по именованным правилам, каждая записана в журнал с целью",
            "country, region and city are resolved at intake, and coarse only; a visitor is checked by named rules, each check in the trail with its purpose",
        ],
    ),
    words(
        "4.1.8, 4.1.9",
        [
            "подтверждение и оспаривание платежей, техническая поддержка",
            "payments are confirmed or contested; technical support",
        ],
        [
            "посещения одного лица открываются для названной цели, запись в журнале — до чтения; наружу — только через журнал передачи",
            "one visitor's trail is opened for a stated purpose, in the audit trail before it is read; outside by the disclosure log only",
        ],
    ),
    words(
        "4.1.10",
        ["реклама — только с согласия пользователя", "marketing only with the user's consent"],
        [
            "согласие на рекламу записывается отдельно; его отзыв действует сразу",
            "consent to marketing is recorded apart; withdrawing it has effect at once",
        ],
    ),
    words(
        "5.1",
        ["данные обрабатываются, пока этого требуют цели", "data is processed as long as its purposes need"],
        [
            "срок у каждой записи свой; ежедневное удаление с проверкой; ключи адресов уничтожаются",
            "each row has its own term; removed and verified daily; keys of addresses are destroyed",
        ],
    ),
    words(
        "5.2, 5.3",
        [
            "передача третьим лицам и государственным органам — только на законном основании",
            "transfer to third parties and state bodies on a legal basis only",
        ],
        [
            "журнал передачи: получатель, основание, цель, объём",
            "the disclosure log: recipient, basis, purpose, scope",
        ],
    ),
    words(
        "5.4, 5.6",
        [
            "пользователя уведомляют об утрате или разглашении данных и вместе с ним уменьшают вред",
            "the user is told of loss or disclosure, and losses are kept small together",
        ],
        [
            "инцидент: кого и что он затронул, текст уведомления, сроки 24 и 72 часа",
            "an incident: whom and what it affects, the notice, clocks of 24 and 72 hours",
        ],
    ),
    words(
        "5.5, 6.2.3",
        [
            "меры против неправомерного доступа, уничтожения, изменения, распространения",
            "measures against unlawful access, destruction, change, distribution",
        ],
        [
            "приём с записью на диск до ответа, шифрование адресов и резервных копий, журнал аудита с контролем целостности",
            "hits are on the disk before the answer, addresses and backups are encrypted, the audit trail proves itself",
        ],
    ),
    words(
        "6.1.2",
        ["пользователь уточняет свои данные", "the user corrects their data"],
        ["metka subject rectify, страница ответственного", "metka subject rectify, the officer's page"],
    ),
    words(
        "6.2.1",
        ["данные используются только для целей раздела 4", "data is used for the purposes of section 4 only"],
        [
            "каждый просмотр данных одного человека требует цели и записывается в журнал аудита",
            "each look at one person's data states a purpose and is in the audit trail",
        ],
    ),
    words(
        "6.2.4",
        [
            "спорные данные блокируются с момента обращения на время проверки",
            "disputed data is blocked from the request on, while it is checked",
        ],
        [
            "metka subject block: сразу ни в одном числе, но хранится; unblock возвращает те же числа",
            "metka subject block: at once in no number, still stored; unblock brings the same numbers back",
        ],
    ),
    words(
        "8.2",
        [
            "ответ на претензию — в течение 30 дней (закон может требовать раньше)",
            "a claim is answered within 30 days (law may be shorter)",
        ],
        [
            "реестр обращений со сроками по производственному календарю",
            "a register of requests with terms by the working calendar",
        ],
    ),
    words(
        "152-ФЗ 21",
        [
            "данные уничтожаются с актом и выгрузкой из журнала (приказ № 179)",
            "data is destroyed with an act and an export of the log (order 179)",
        ],
        [
            "metka subject erase; прерванное уничтожение доводится до конца при следующем запуске",
            "metka subject erase; an interrupted erasure is carried out at the next start",
        ],
    ),
    words(
        "9.1, 9.2",
        ["новая редакция действует с публикации", "a new version holds from its publication"],
        [
            "каждое обращение хранит редакцию, действовавшую в тот момент",
            "each hit carries the version in force at that moment",
        ],
    ),
    words(
        "9.3, 9.4",
        ["куда обращаться и где опубликована политика", "where to ask, and where the policy stands"],
        ["показывается на странице /privacy", "shown on the page /privacy"],
    ),
];
