/**
 * What the server says in English — why a rule is silent, what limits an answer,
 * what is wrong with a question — in Russian. A table of patterns; a text that none
 * fits is shown as it came.
 */
import type { Language } from '../../words/language';

const NUMBER = new Intl.NumberFormat('ru');
const number = (digits: string | undefined): string => NUMBER.format(Number(digits ?? 0));

type Russian = string | ((found: RegExpExecArray) => string);

const SAID: readonly (readonly [RegExp, Russian])[] = [
  // Why a rule is silent.
  [/^its weight is 0$/, 'вес правила в настройках — 0'],
  [/^no hit of the visitor was seen$/, 'обращений этого посетителя не было'],
  [/^no browser of the user was seen within two days$/, 'за два дня браузеров этого пользователя не было'],
  [/^no cookie was given$/, 'cookie не указан'],
  [/^no hit from the address was seen$/, 'обращений с этого адреса не было'],
  [/^the country is not known$/, 'страна неизвестна'],
  [/^the site does not collect time zones \(fields\)$/, 'сайт не собирает часовые пояса (настройка fields)'],
  [/^the browser's time zone is not known$/, 'часовой пояс браузера неизвестен'],
  [/^the browser's time zone is not one$/, 'часовой пояс, который назвал браузер, не существует'],
  [/^the browser's language is not known$/, 'язык браузера неизвестен'],
  [/^no database of networks is configured \(geo\.files\)$/, 'база данных сетей не подключена (настройка geo.files)'],
  // What is wrong with a cookie.
  [/^the cookie does not have the form \S+$/, 'его форма не та, которую делает этот сервер'],
  [/^the cookie's key is not in the key ring$/, 'он подписан ключом, которого у этого сервера нет'],
  [/^the cookie's signature is wrong$/, 'его подпись неверна'],
  [/^the cookie is older than (\d+) months$/, ([, months]) => `он старше ${number(months)} мес.`],
  [/^the cookie is from a day to come$/, 'его дата ещё не наступила'],
  // What is wrong with a question.
  [/^ip: expected an IPv4 or IPv6 address$/, 'это не IP-адрес, нужен IPv4 или IPv6'],
  [/^the address is not one: expected IPv4 or IPv6$/, 'это не IP-адрес, нужен IPv4 или IPv6'],
  [/^subject: expected 16 hex digits, as an alert has them$/, 'хеш посетителя — это 16 цифр и букв от a до f'],
  [/^the user key is empty or longer than (\d+) bytes$/, ([, most]) => `ключ пользователя пуст или длиннее ${number(most)} байт`],
  [/^the user key is KEY\.MAC, as the page sends it: give KEY alone$/, 'ключ указан вместе с подписью: нужна только часть до точки'],
  [/^the cookie identifies nobody: (.+)$/, ([, why]) => `по этому cookie никого не найти: ${said('ru', why ?? '')}`],
  [
    /^the cookie's key \d+ was destroyed on .+: whether it is genuine cannot be told any more$/,
    'ключ, которым подписан этот cookie, уничтожен: его подлинность уже не проверить',
  ],
  [/^words: expected one line of 1 to (\d+) bytes$/, ([, most]) => `пояснение — одна строка не длиннее ${number(most)} байт`],
  [/^from is not before to(?: and now)?$/, 'начало должно быть раньше конца и раньше этой минуты'],
  [
    /^more than (\d+) visitors were seen at this address in this time: name a shorter time$/,
    ([, most]) => `с этого адреса за это время приходило больше ${number(most)} посетителей: укажите время короче`,
  ],
  [/^this server remembers no visitors$/, 'этот сервер не помнит посетителей'],
  // What an address is that the internet does not route.
  [/^(?:private|unique-local)$/, 'частная сеть'],
  [/^loopback$/, 'сам сервер'],
  [/^link-local$/, 'одна локальная сеть'],
  [/^shared$/, 'внутренняя сеть оператора связи'],
  [/^documentation$/, 'адрес для примеров'],
  [/^benchmarking$/, 'адрес для измерений'],
  [/^multicast$/, 'групповая рассылка'],
  [/^broadcast$/, 'рассылка всем'],
  [/^(?:unspecified|this-network)$/, 'адрес не задан'],
  [/^(?:protocol-assignment|local-translation|discard|reserved)$/, 'служебный диапазон'],
  // Notes of a check.
  [
    /^what was seen of visitors is not read from storage yet$/,
    'история посещений ещё не прочитана из хранилища: ответ пока неполный',
  ],
  [
    /^of the user's browsers only the latest (\d+) are looked at$/,
    ([, browsers]) => `Проверены только последние браузеры пользователя: ${number(browsers)}.`,
  ],
  // Notes of a case file.
  [
    /^addresses are shown as tokens; one address has another token in each month, whose key is its own$/,
    'Адреса показаны условными обозначениями. Каждый месяц у адреса другое обозначение.',
  ],
  [
    /^(\d+) browsers were used with another user key too: of them only the hits with this one are meant$/,
    ([, browsers]) =>
      `В ${number(browsers)} браузерах был и другой ключ пользователя: из них показаны только обращения с этим ключом.`,
  ],
  [
    /^hits without this cookie cannot be found by it: the salts that named their visitors are destroyed after two days$/,
    'Обращения без этого cookie по нему не найти: ключи, которыми обозначались такие посетители, уничтожаются через два дня.',
  ],
  [/^this site stores no addresses$/, 'Этот сайт не хранит адреса.'],
  [
    /^this site stores networks: everybody of the address's network is meant$/,
    'Этот сайт хранит сети: показаны все из сети этого адреса.',
  ],
  [
    /^(\d+) keys of addresses are destroyed: addresses of their months cannot be found$/,
    ([, keys]) => `Уничтожено ключей адресов: ${number(keys)}. Адреса этих месяцев найти нельзя.`,
  ],
  [
    /^an address may have had several users, and ends with its term$/,
    'С одного адреса могли приходить разные люди; срок хранения адреса ограничен.',
  ],
  // Notes of statistics.
  [
    /^the (\d+) addresses that come first are told apart: (\d+) hits and (\d+) refusals of others are in the totals only$/,
    ([, most, hits, refusals]) =>
      `По отдельности показаны первые ${number(most)} адресов. Остальные (обращений: ${number(hits)}, отказов: ${number(refusals)}) учтены только в итогах.`,
  ],
  [
    /^(\d+) hits and (\d+) refusals have no address: it was not stored, or its term is over$/,
    ([, hits, refusals]) =>
      `Без адреса: обращений — ${number(hits)}, отказов — ${number(refusals)}. Адрес не сохранялся, или срок его хранения истёк.`,
  ],
  [
    /^(\d+) keys of months are destroyed: nobody can read their addresses any more$/,
    ([, keys]) => `Уничтожено месячных ключей: ${number(keys)}. Адреса этих месяцев больше не прочесть никому.`,
  ],
  [
    /^the network's addresses were looked for among the (\d+) that come first: more may be its$/,
    ([, most]) => `Адреса сети искали среди первых ${number(most)}: их может быть больше.`,
  ],
  [
    /^this site stores the \/24 or \/48 of an address: a row of an address is of a whole network$/,
    'Этот сайт хранит только /24 или /48 адреса: строка адреса означает целую сеть.',
  ],
  [
    /^this site stores no addresses: ask by asn, country or time$/,
    'Этот сайт не хранит адреса: смотрите по операторам и странам.',
  ],
  [
    /^hits of blocked visitors are left out; refusals know no visitors, so theirs are not told apart$/,
    'Обращения заблокированных посетителей не учтены. Отказы не связаны с посетителями, поэтому их отказы здесь есть.',
  ],
  [
    /^this site stores the first address of a \/24 or \/48$/,
    'Этот сайт хранит первый адрес сети /24 или /48, а не адрес посетителя.',
  ],
];

export function said(language: Language, text: string): string {
  if (language === 'en') return text;
  for (const [pattern, russian] of SAID) {
    const found = pattern.exec(text);
    if (found) return typeof russian === 'string' ? russian : russian(found);
  }
  return text;
}

/** `Chrome on Linux` as it is written in Russian; what has no system is shown as it came. */
export function browserName(language: Language, text: string): string {
  return language === 'en' ? text : text.replace(/^(.+) on (.+)$/, '$1 ($2)');
}
