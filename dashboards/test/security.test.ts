/** The security page without its looks: places, forms, what is looked at among addresses, sentences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latestAlerts, ORDERS, type AddressAnswer, type Alert, type AddressRow, type CaseFile, type CaseHit, type CaseVisit, type Evidence } from '../src/api/security';
import { csvText } from '../src/model/export';
import { maySecure } from '../src/model/roles';
import { FormProblem } from '../src/officer/model/forms';
import { en as officeEn } from '../src/officer/words/en';
import {
  byTime,
  FIRST_LOOK,
  isTrouble,
  largest,
  linesOf,
  mapQuestion,
  narrowed,
  narrowings,
  numbersOf,
  onlyOf,
  seriesOf,
  shortened,
  tableQuestion,
  timeQuestion,
  widened,
} from '../src/security-page/model/addresses';
import { addressesOf, caseOf, minutesAway, told } from '../src/security-page/model/case';
import { barOf, checkOf, RULES, WAYS } from '../src/security-page/model/check';
import { readPlace, SECTIONS, writePlace } from '../src/security-page/model/place';
import { SECURITY } from '../src/security-page/words';
import { evidenceText, placeName } from '../src/security-page/words/evidence';
import { browserName, said } from '../src/security-page/words/said';
import { formWords } from '../src/settings-page/words';
import { en as commonEn } from '../src/words/en';
import { checkTable } from './tables';

const NOW = { today: '2026-11-26', time: '14:05', timezone: 'Europe/Moscow' };
const ENGLISH = formWords(SECURITY, 'en');
const RUSSIAN = formWords(SECURITY, 'ru');

/** `Intl` separates by spaces that do not break; the tests read easier without. */
const plain = (text: string) => text.replace(/[\u00a0\u202f\u2009]/g, ' ');

function refused(deed: () => unknown, field: string): void {
  assert.throws(deed, (error) => error instanceof FormProblem && error.field === field && error.key === 'form.empty');
}

const row = (more: Partial<AddressRow>): AddressRow => ({
  hits: 0,
  visitors: 0,
  refused: 0,
  limited: 0,
  marked: 0,
  errors: 0,
  marks: {},
  reasons: {},
  error_names: {},
  first: null,
  last: null,
  ...more,
});

const answer = (from: string, to: string, results: readonly AddressRow[]): AddressAnswer => ({
  date_range: [`${from}T00:00:00+03:00`, `${to}T23:59:59+03:00`],
  results,
  total_rows: results.length,
  totals: row({}),
  notes: [],
});

test('both languages say the same, and nothing that another table says', () => {
  checkTable('security', SECURITY, { ...commonEn, ...officeEn });
});

test('the page is for the roles security and owner', () => {
  const may = ['viewer', 'security', 'officer', 'owner'].filter((role) => maySecure({ login: 'x', role }));
  assert.deepEqual(may, ['security', 'owner']);
});

test('the address says the section, and nothing else is taken from it', () => {
  for (const section of SECTIONS) assert.equal(readPlace(writePlace(section)), section);
  for (const text of ['', '#', '#addresses/a1-4f3c', '#<script>']) assert.equal(readPlace(text), 'check', text);
});

test('a check is about exactly one of three, for a purpose', () => {
  const common = { site: 'clinic', purpose: 'payments', words: '' };
  assert.deepEqual(checkOf({ ...common, way: 'cookie', cookie: ' metka=v1.1.x; ', user: 'left', ip: 'left' }), {
    site_id: 'clinic',
    purpose: 'payments',
    cookie: 'v1.1.x',
  });
  assert.deepEqual(checkOf({ ...common, way: 'user', user: 'u-7', words: 'ticket\n 12 ' }), {
    site_id: 'clinic',
    purpose: 'payments',
    words: 'ticket 12',
    user: 'u-7',
  });
  assert.deepEqual(checkOf({ ...common, way: 'ip', ip: '192.0.2.7' }), {
    site_id: 'clinic',
    purpose: 'payments',
    ip: '192.0.2.7',
  });
  for (const way of WAYS) refused(() => checkOf({ ...common, way, [way]: '  ' }), way);
  refused(() => checkOf({ ...common, way: 'ip', ip: '192.0.2.7', purpose: 'marketing' }), 'purpose');
});

test('a case file is of one person, for a purpose and in words, by the clock of the site', () => {
  const typed = { site: 'clinic', who: 'cookie', cookie: 'metka=v1.1.x;', purpose: 'payments', words: ' ticket\n12 ', format: 'json' };
  const asked = { site: 'clinic', who: { cookie: 'v1.1.x' }, purpose: 'payments', words: 'ticket 12', limit: 1000, format: 'json', language: 'ru' };
  assert.deepEqual(caseOf(typed, 'Europe/Moscow', 'ru'), asked);
  // Minutes mean nothing without a moment.
  assert.deepEqual(caseOf({ ...typed, minutes: '30' }, 'Europe/Moscow', 'ru'), asked);
  assert.deepEqual(
    caseOf(
      { ...typed, basis: 'contract 7', from: '2026-11-01T00:00', to: '2026-11-02T00:00', around: '2026-11-01T14:05', minutes: '30', format: 'csv' },
      'Europe/Moscow',
      'en',
    ),
    {
      ...asked,
      basis: 'contract 7',
      from: '2026-11-01T00:00:00+03:00',
      to: '2026-11-02T00:00:00+03:00',
      around: '2026-11-01T14:05:00+03:00',
      minutes: 30,
      format: 'csv',
      language: 'en',
    },
  );
  for (const field of ['cookie', 'words']) refused(() => caseOf({ ...typed, [field]: ' ' }, 'UTC', 'en'), field);
  refused(() => caseOf({ ...typed, purpose: 'marketing' }, 'UTC', 'en'), 'purpose');
  refused(() => caseOf({ ...typed, who: 'nobody' }, 'UTC', 'en'), 'who');
  const range = { ...typed, from: '2026-11-02T00:00', to: '2026-11-01T00:00' };
  assert.throws(() => caseOf(range, 'UTC', 'en'), (error) => error instanceof FormProblem && error.key === 'form.order');
});

test('the visit of a moment, and the addresses of a visit that can be opened', () => {
  const file = (visit_at: CaseFile['visit_at']) => ({ visit_at }) as CaseFile;
  assert.deepEqual([null, { number: 1, away_ms: 0 }, { number: 1, away_ms: 600_000 }, { number: 1, away_ms: 5 }].map((at) => minutesAway(file(at))), [null, null, 10, 1]);
  const hit = (address: string) => ({ time: '', kind: 'pageview', address }) as CaseHit;
  const hex = '00112233445566778899aabbccddeeff';
  const visit = { trail: [hit(`${hex}-10`), hit(''), hit(`${hex}-10`), hit('203.0.113.7')] } as unknown as CaseVisit;
  assert.deepEqual(addressesOf(visit), [`a1-${hex}0000000a`]);
  assert.equal(told({ time: '', kind: 'event', name: 'paid', ad: '', signed_in: true }, 'name', 'ad', 'signed_in', 'none'), 'paid');
});

/** Stands for the server, which answers the oldest 500 after a number; what was asked after is returned. */
function serveAlerts(told: readonly Alert[], restarts: readonly number[] = []): readonly number[] {
  const asked: number[] = [];
  globalThis.fetch = async (address) => {
    const after = Number(new URL(String(address), 'http://127.0.0.1').searchParams.get('after'));
    asked.push(after);
    const restarted = restarts.includes(asked.length);
    const alerts = told.filter(({ number }) => restarted || number > after).slice(0, 500);
    const next = alerts.length === 500 ? alerts.at(-1)?.number : told.at(-1)?.number;
    return new Response(JSON.stringify({ alerts, next: next ?? 0, lost: false, restarted }));
  };
  return asked;
}

test('the latest alerts are found, however many came before', async () => {
  const told = (count: number): readonly Alert[] =>
    Array.from({ length: count }, (_, at) => ({ number: at + 1, at_ms: at, subject: String(at), score: 90, rules: [] }));
  const check = async (count: number, expected: readonly number[], rounds: readonly number[]) => {
    const asked = serveAlerts(told(count));
    const latest = await latestAlerts('clinic', 3);
    assert.deepEqual([latest.map(({ number }) => number), asked], [expected, rounds], String(count));
  };
  await check(0, [], [0]);
  await check(2, [1, 2], [0]);
  await check(499, [497, 498, 499], [0]);
  await check(500, [498, 499, 500], [0, 500]);
  await check(1001, [999, 1000, 1001], [0, 500, 1000]);
  // All that are kept take twenty answers; however fast new ones come, there is an end.
  for (const count of [10_000, 20_000]) {
    const asked = serveAlerts(told(count));
    await latestAlerts('clinic', 3);
    assert.equal(asked.length, 21, String(count));
  }
  // Nobody is there twice who is told of again after a restart.
  serveAlerts(told(501), [2]);
  assert.deepEqual((await latestAlerts('clinic', 1000)).map(({ number }) => number), told(501).map(({ number }) => number));
});

test('the bar shows the threshold apart from its ends, and a score beyond it', () => {
  assert.deepEqual(barOf(0, 80), { score: 0, threshold: (80 / 120) * 100 });
  assert.deepEqual(barOf(160, 80), { score: 100, threshold: 50 });
  assert.deepEqual(barOf(0, 0), { score: 0, threshold: 0 });
});

test('a click narrows to a row and looks one step finer', () => {
  const countries = { ...FIRST_LOOK, by: 'country' as const, rows: 1000 };
  const german = narrowed(countries, { country: 'DE' });
  assert.deepEqual([german.only, german.by, german.rows], [{ country: 'DE' }, 'network', 100]);
  const network = narrowed(german, { network: 'n1-1' });
  assert.deepEqual([network.only, network.by], [{ country: 'DE', network: 'n1-1' }, 'address']);
  // The server takes an address or a network.
  const address = narrowed(network, { address: 'a1-1' });
  assert.deepEqual([address.only, address.by], [{ country: 'DE', address: 'a1-1' }, 'address']);
  assert.deepEqual(narrowings(address), [['country', 'DE'], ['address', 'a1-1']]);
  assert.deepEqual(widened(address, 'country').only, { address: 'a1-1' });
  assert.equal(widened(address, 'country').by, 'country');
  // What is not known can be looked at too, where it can be asked for.
  assert.deepEqual(onlyOf('asn', row({ asn: 0 })), { asn: 0 });
  assert.deepEqual(onlyOf('country', row({ country: '' })), { country: '' });
  assert.equal(onlyOf('address', row({ address: null })), null);
  assert.equal(onlyOf('network', row({ network: null })), null);
});

test('each part of the page asks its own question about the same', () => {
  const look = { ...FIRST_LOOK, by: 'network' as const, order: 'refused' as const, only: { country: 'DE', asn: 64501 } };
  const asking = { site: 'clinic', purpose: 'payments' as const, now: NOW };
  const about = { site_id: 'clinic', purpose: 'payments', date_range: ['2026-11-20', '2026-11-26'], asn: 64501 };
  assert.deepEqual(tableQuestion(asking, look), { ...about, country: 'DE', by: 'network', order_by: 'refused', limit: 100 });
  // By time there is an order already.
  assert.deepEqual(timeQuestion(asking, look), { ...about, country: 'DE', by: 'time:day', limit: 1000 });
  assert.deepEqual(mapQuestion(asking, look), { ...about, by: 'country', order_by: 'refused', limit: 1000 });
  assert.equal(tableQuestion(asking, { ...look, period: 'all' }).date_range, 'all');
  assert.equal(byTime({ from: '2026-11-25', to: '2026-11-26' }), 'time:hour');
  assert.equal(byTime({ from: '2026-11-24', to: '2026-11-26' }), 'time:day');
  assert.equal(byTime(null), 'time:day');
  assert.deepEqual([isTrouble(look), isTrouble(FIRST_LOOK)], [true, false]);
  // Errors are shown where there are some, or where they are asked for.
  const none = answer('2026-11-24', '2026-11-27', []);
  const some = { ...none, totals: row({ errors: 1 }) };
  const shown = [numbersOf(none, FIRST_LOOK), numbersOf(some, FIRST_LOOK), numbersOf(none, { ...FIRST_LOOK, order: 'errors' })];
  assert.deepEqual(shown.map((numbers) => numbers.includes('errors')), [false, true, true]);
  assert.deepEqual(numbersOf(some, FIRST_LOOK), ORDERS);
});

test('every hour and day of the range is in the graph, and none that is to come has a number', () => {
  const days = seriesOf(answer('2026-11-24', '2026-11-27', [row({ time: '2026-11-25', hits: 7, refused: 2 })]), 'time:day', 'hits', NOW);
  assert.deepEqual(days, { labels: ['2026-11-24', '2026-11-25', '2026-11-26', '2026-11-27'], values: [0, 7, 0, null], current: 2 });
  const hours = seriesOf(answer('2026-11-26', '2026-11-26', [row({ time: '2026-11-26 13:00:00', refused: 2 })]), 'time:hour', 'refused', NOW);
  assert.equal(hours.labels.length, 24);
  assert.deepEqual(hours.values.slice(12, 17), [0, 2, 0, null, null]);
  assert.equal(hours.current, 14);
  const past = seriesOf(answer('2026-11-01', '2026-11-02', []), 'time:day', 'hits', NOW);
  assert.deepEqual([past.values, past.current], [[0, 0], -1]);
});

test('tokens are told apart, and the largest come first', () => {
  assert.equal(shortened('a1-4f3c2b1a0099887766554433221100ff'), 'a1-4f3c2b1a…');
  assert.equal(shortened('n1-443d5254'), 'n1-443d5254');
  assert.equal(shortened('n1-443d5254f956723d'), 'n1-443d5254…');
  assert.deepEqual(largest({ b: 2, a: 2, c: 9, d: 1 }, 3), [['c', 9], ['a', 2], ['b', 2]]);
});

test('a file has the columns of its rows, and no formula of a stranger', () => {
  const lines = linesOf([row({ asn: 64501, asn_name: '=1+1', hits: 3, first: '2026-11-20T08:12:44Z' })], 'asn');
  assert.equal(
    csvText(lines),
    '\ufeffasn,asn_name,hits,visitors,refused,limited,marked,errors,first,last\r\n64501,\'=1+1,3,0,0,0,0,0,2026-11-20T08:12:44Z,\r\n',
  );
  assert.deepEqual(linesOf([], 'address')[0]?.slice(0, 3), ['address', 'network', 'key_destroyed']);
});

/** Evidence as the server gives it, and what stands in the sentence. */
const EVIDENCE: readonly (readonly [rule: string, evidence: Evidence, english: RegExp, russian: RegExp])[] = [
  [
    'speed',
    {
      of: 'visitor',
      from: { country: 'RU', city: 'Moscow', at: '2026-11-26T09:00:00Z' },
      to: { country: 'US', city: 'Mountain View', at: '2026-11-26T09:20:00Z' },
      km: 9380,
      km_per_hour: 28140,
      threshold_km_per_hour: 1000,
      threshold_km: 800,
    },
    /^The visitor was in Moscow, Russia \(.*12:00\), then in Mountain View, United States \(.*12:20\): 9,380 km, at 28,140 km\/h.*from 800 km and 1,000 km\/h/,
    /^Посетитель: сначала Moscow, Россия .*9 380 км со скоростью 28 140 км\/ч/,
  ],
  [
    'time_zone',
    { time_zone: 'Asia/Kolkata', country: 'DE', minutes_from_utc: 330, minutes_of_country: [60, -210] },
    /Asia\/Kolkata, UTC\+05:30.*Germany, where it is UTC\+01:00, UTC−03:30/,
    /Asia\/Kolkata, UTC\+05:30\. Страна адреса — Германия, там UTC\+01:00/,
  ],
  ['language', { language: 'pt-BR', country: 'RU' }, /\(pt-BR\)\. The address is in Russia/, /\(pt-BR\)\. Страна адреса — Россия/],
  ['network', { kind: 'hosting' }, /rented servers/, /арендованные серверы/],
  [
    'many_countries',
    { of: 'user', countries: ['RU', 'DE', 'US'], threshold: 3 },
    /^The user came from 3 countries within two days: Russia, Germany, United States\..*3/,
    /^Пользователь: 3 страны за два дня — Россия, Германия, Соединенные Штаты/,
  ],
  ['crowded_address', { visitors: 255, or_more: true, threshold: 40 }, /^at least 255 visitors.*40/, /не менее 255.*40/],
  ['many_addresses', { of: 'visitor', addresses: 14, or_more: false, threshold: 14 }, /from 14 addresses/, /адресов за два дня — 14/],
  ['many_users', { users: 4, or_more: false, threshold: 4 }, /^4 users signed in/, /за два дня: 4/],
  [
    'burst',
    { pages: 61, in_the_ten_minutes_from: '2026-11-26T09:00:00Z', usual_on_this_site: 0, threshold: 60 },
    /^61 pages in the ten minutes from .*12:00\. What is usual on this site is not known yet\./,
    /^61 страница за десять минут с .*12:00\. Что обычно/,
  ],
  [
    'burst',
    { pages: 90, in_the_ten_minutes_from: '2026-11-26T09:00:00Z', usual_on_this_site: 20, threshold: 60 },
    /stay within 20 pages\..*60/,
    /не больше 20\..*60/,
  ],
  ['automation', { mark: 'headless', hits: 2, last: '2026-11-26T09:00:00Z' }, /^2 hits with a mark \(Browsers without a window\)/, /^2 обращения с пометкой/],
  ['cookie_forged', { cookie: "the cookie's signature is wrong" }, /signature is wrong\.$/, /его подпись неверна\.$/],
  [
    'cookie_replayed',
    { from: 'Chrome', to: 'Firefox', at: '2026-11-26T09:00:00Z', times: 5, more_than_one_address: true },
    /^Chrome became Firefox at .*12:00, 5 times, at more than one address\.$/,
    /Chrome сменился на Firefox: 5 раз, с разных адресов\.$/,
  ],
  [
    'browser_change',
    { from: 'Chrome', to: 'Firefox', at: '2026-11-26T09:00:00Z', times: 1, more_than_one_address: false },
    /1 time, at one address\.$/,
    /1 раз, с одного адреса\.$/,
  ],
  ['page_order', { what: 'a click on an ad block that was never shown', at: '2026-11-26T09:00:00Z' }, /ad block was clicked/, /рекламный блок/],
  [
    'page_order',
    { what: 'a page without the page before it', page: '/pay/done', before: '/pay', at: '2026-11-26T09:00:00Z' },
    /the page \/pay\/done was opened without \/pay before it/,
    /открыта страница \/pay\/done, а \/pay до неё — нет/,
  ],
];

test('the first hits of a case file are counted in words that fit any number', () => {
  const more = (count: number) => plain(RUSSIAN.t('case.more', { count, number: RUSSIAN.format.number(count) })).split(':')[0];
  assert.deepEqual([21, 22, 25, 1000].map(more), [
    'Показаны только первые 21 обращение',
    'Показаны только первые 22 обращения',
    'Показаны только первые 25 обращений',
    'Показаны только первые 1 000 обращений',
  ]);
});

test('every rule has its sentence in both languages, and none of its evidence is left out', () => {
  assert.deepEqual([...new Set(EVIDENCE.map(([rule]) => rule))], [...RULES]);
  for (const [rule, evidence, english, russian] of EVIDENCE) {
    for (const [words, expected] of [[ENGLISH, english], [RUSSIAN, russian]] as const) {
      const text = plain(evidenceText(words, { rule, points: 1, about: '', evidence }, 'Europe/Moscow'));
      assert.match(text, expected, rule);
      assert.doesNotMatch(text, /\{\w+\}|undefined|NaN/, rule);
      assert.ok(words.find(`rule.${rule}`) && words.find(`rule.${rule}_about`), rule);
    }
  }
  // A signal of one of a user's browsers.
  const browser = { kind: 'hosting', browser: { number: 1, of: 3, subject: '0123456789abcdef' } };
  for (const [words, expected] of [[ENGLISH, /Browser 1 of 3\.$/], [RUSSIAN, /Браузер 1 из 3\.$/]] as const) {
    assert.match(evidenceText(words, { rule: 'network', points: 1, about: '', evidence: browser }, 'UTC'), expected);
  }
  // A rule of a later server, and evidence that is not what it was.
  assert.equal(evidenceText(ENGLISH, { rule: 'new', points: 1, about: '', evidence: { a: 1 } }, 'UTC'), '{"a":1}');
  for (const [rule] of EVIDENCE) assert.ok(evidenceText(RUSSIAN, { rule, points: 1, about: '', evidence: {} }, 'UTC'), rule);
});

test('a place is as much as is known of it', () => {
  assert.equal(placeName(ENGLISH, 'RU', 'Moscow', 'Moscow'), 'Moscow, Russia');
  assert.equal(placeName(ENGLISH, 'RU', '', 'Tver Oblast'), 'Tver Oblast, Russia');
  assert.equal(placeName(ENGLISH, '', ''), '');
});

/** What ranges of addresses are for, but the public ones. */
const SCOPES = [
  'private',
  'loopback',
  'link-local',
  'shared',
  'documentation',
  'benchmarking',
  'multicast',
  'unspecified',
  'broadcast',
  'this-network',
  'unique-local',
  'protocol-assignment',
  'local-translation',
  'discard',
  'reserved',
];

test('what the server says is said in Russian, and as it came where it is not known', () => {
  const cases: [string, RegExp][] = [
    ['its weight is 0', /вес/],
    ['no hit of the visitor was seen', /посетителя не было/],
    ['no hit from the address was seen', /адреса не было/],
    ['the country is not known', /страна/],
    ['the site does not collect time zones (fields)', /fields/],
    ["the browser's time zone is not known", /пояс/],
    ["the browser's time zone is not one", /не существует/],
    ["the browser's language is not known", /язык/],
    ['no database of networks is configured (geo.files)', /geo\.files/],
    ['the cookie does not have the form v1.kid.day.id.mac', /форма/],
    ["the cookie's key is not in the key ring", /ключом/],
    ["the cookie's signature is wrong", /подпись/],
    ['the cookie is older than 13 months', /старше 13/],
    ['the cookie is from a day to come', /дата/],
    ['what was seen of visitors is not read from storage yet', /хранилища/],
    ['the 10000 addresses that come first are told apart: 12 hits and 3 refusals of others are in the totals only', /10 000.*12.*3/],
    ['addresses are shown as tokens; one address has another token in each month, whose key is its own', /обозначениями/],
    ['2 browsers were used with another user key too: of them only the hits with this one are meant', /В 2 браузерах/],
    ['hits without this cookie cannot be found by it: the salts that named their visitors are destroyed after two days', /два дня/],
    ['this site stores no addresses', /не хранит адреса/],
    ["this site stores networks: everybody of the address's network is meant", /хранит сети/],
    ['1 keys of addresses are destroyed: addresses of their months cannot be found', /ключей адресов: 1/],
    ['an address may have had several users, and ends with its term', /разные люди/],
    ['7 hits and 0 refusals have no address: it was not stored, or its term is over', /обращений — 7, отказов — 0/],
    ['2 keys of months are destroyed: nobody can read their addresses any more', /ключей: 2/],
    ["the network's addresses were looked for among the 10000 that come first: more may be its", /10 000/],
    ['this site stores the /24 or /48 of an address: a row of an address is of a whole network', /\/24/],
    ['this site stores no addresses: ask by asn, country or time', /не хранит адреса/],
    ['hits of blocked visitors are left out; refusals know no visitors, so theirs are not told apart', /заблокированных/],
    ['this site stores the first address of a /24 or /48', /первый адрес/],
    ['ip: expected an IPv4 or IPv6 address', /не IP-адрес/],
    ['the address is not one: expected IPv4 or IPv6', /не IP-адрес/],
    ['subject: expected 16 hex digits, as an alert has them', /16 цифр/],
    ['the user key is empty or longer than 128 bytes', /длиннее 128/],
    ['the user key is KEY.MAC, as the page sends it: give KEY alone', /до точки/],
    ["the cookie identifies nobody: the cookie's signature is wrong", /не найти: его подпись неверна/],
    ["the cookie's key 3 was destroyed on 2026-01-02: whether it is genuine cannot be told any more", /уничтожен/],
    ['words: expected one line of 1 to 400 bytes', /не длиннее 400/],
    ['from is not before to', /раньше конца/],
    ['from is not before to and now', /раньше конца/],
    ['more than 50 visitors were seen at this address in this time: name a shorter time', /больше 50/],
    ['this server remembers no visitors', /не помнит/],
    ...SCOPES.map((scope): [string, RegExp] => [scope, /^[а-я ]+$/]),
  ];
  for (const [text, expected] of cases) {
    assert.match(plain(said('ru', text)), expected, text);
    assert.equal(said('en', text), text);
  }
  assert.equal(said('ru', 'something new'), 'something new');
  assert.equal(browserName('ru', 'Chrome on Linux'), 'Chrome (Linux)');
  assert.equal(browserName('ru', 'curl'), 'curl');
  assert.equal(browserName('en', 'Chrome on Linux'), 'Chrome on Linux');
});
