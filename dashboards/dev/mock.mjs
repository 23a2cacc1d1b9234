/**
 * A stand-in for the server, for work on the screens: the API's shapes with
 * made-up, repeatable numbers, and dist under a strict Content Security Policy.
 * Never part of the product, and no test of it: numbers here only look right.
 *
 *   node dev/mock.mjs [--port 8091] [--now 2026-03-18T11:40:00Z] [--signed-in] [--role viewer] [--slow 3000]
 *
 * The role viewer is guarded; `--slow` has every round of questions take so many milliseconds. Signs in with login `owner`, password `correct horse`, or the code `000000`.
 * With a second factor set up, the code is `123456`. The site `new` never had a
 * visit; a filter on the page `/broken` fails, one on the page `/few` is refused by the guard.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guarded } from './guard.mjs';
import { officer } from './officer.mjs';
import { goalRows, goalShare, LINK, settings } from './settings.mjs';

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const DAY_MS = 86_400_000;
const MAX_BODY = 1 << 20;

const SITES = [
  {
    id: 'clinic',
    timezone: 'Europe/Moscow',
    hosts: ['clinic.example'],
    attribution: [{ text: 'IP Geolocation by DB-IP', url: 'https://db-ip.com' }],
    collect_url: 'https://stats.clinic.example',
  },
  { id: 'new', timezone: 'Asia/Kolkata', hosts: ['new.example'], attribution: [] },
];

const OWN_HIT = {
  address: '198.51.100.24',
  peer: '192.0.2.10',
  peer_trusted: false,
  read_from: 'x-forwarded-for',
  after_proxy: null,
  warnings: ['x-forwarded-for came from 192.0.2.10, which is not in collect.trusted_proxies'],
  cookie_name: 'metka',
  cookie: 'absent',
  opted_out: false,
  gpc: true,
  dnt: false,
  language: 'ru',
  browser: 'Chrome',
  os: 'Linux',
  device: 'desktop',
  bot: '',
  country: 'RU',
  city: 'Yaroslavl',
  sites: [{ site: 'clinic', mode: 'implied', consent: 'unstated', identity: 'cookieless', mints: true, refused: null }],
};

const SHARES = {
  'event:page': {
    '/': 30,
    '/uslugi/terapiya': 14,
    '/vrachi': 12,
    '/ceny': 11,
    '/zapis': 9,
    '/kontakty': 7,
    '/uslugi/implantaciya-zubov-pod-klyuch-s-garantiey': 6,
    '/blog/kak-vybrat-stomatologa': 4,
    '/akcii': 3,
    '/o-klinike': 2,
    '/vrachi/ivanova': 1,
    '/blog/chistka': 1,
  },
  'visit:entry_page': {
    '/': 52,
    '/ceny': 17,
    '/uslugi/terapiya': 15,
    '/blog/kak-vybrat-stomatologa': 11,
    '/vrachi': 5,
  },
  'visit:exit_page': { '/zapis': 31, '/kontakty': 27, '/': 22, '/ceny': 14, '/vrachi': 6 },
  'visit:source': {
    Yandex: 38,
    'Direct / None': 24,
    Google: 14,
    VK: 7,
    Telegram: 6,
    '2GIS': 5,
    Dzen: 3,
    Avito: 1.5,
    'Mail.ru': 1,
    OK: 0.4,
    'otzyvy.example': 0.1,
  },
  'visit:channel': { search: 52, direct: 24, paid: 9, social: 7, messenger: 6, referral: 2 },
  'visit:referrer': {
    'yandex.ru': 38,
    '': 24,
    'google.com': 14,
    'vk.com/clinic': 7,
    't.me/clinic': 6,
    '2gis.ru/moscow/firm/70000001018271900': 5,
    'dzen.ru': 3,
  },
  'visit:utm_campaign': { '(not set)': 88, spring: 7, implant: 4, brand: 1 },
  'visit:utm_source': { '(not set)': 88, yandex: 9, vk: 3 },
  'visit:utm_medium': { '(not set)': 88, cpc: 9, social: 3 },
  'visit:utm_content': { '(not set)': 90, 'banner-240': 6, video: 4 },
  'visit:utm_term': { '(not set)': 91, 'стоматолог рядом': 6, 'имплантация цена': 3 },
  'visit:consent': { unstated: 64, granted: 17, marketing: 12, denied: 7 },
  'visit:language': { ru: 88, en: 6, be: 2, kk: 2, de: 1, hy: 1 },
  'visit:browser_version': { 148: 44, 147: 21, 146: 12, 140: 9, '': 14 },
  'visit:os_version': { 15: 38, 14: 24, 13: 17, 11: 12, '': 9 },
  'event:hostname': { 'clinic.example': 97, 'promo.clinic.example': 3 },
  'event:goal': { 'Запись': 60, 'Звонок': 25, 'Прайс-лист': 15 },
  'visit:country': {
    RU: 84, BY: 4, KZ: 3, DE: 2, AM: 1.6, UZ: 1.2, US: 0.9, GE: 0.7, IL: 0.6, TR: 0.5, RS: 0.4, CN: 0.3, AE: 0.2, CY: 0.2, '': 0.4,
  },
  'visit:region': {
    Moscow: 56,
    'Moscow Oblast': 19,
    'Yaroslavl Oblast': 9,
    'St.-Petersburg': 7,
    'Tver Oblast': 5,
    '': 4,
  },
  'visit:city': {
    Moscow: 56,
    Yaroslavl: 9,
    Khimki: 8,
    'Saint Petersburg': 7,
    Mytishchi: 6,
    Tver: 5,
    Podolsk: 5,
    '': 4,
  },
  'visit:device': { mobile: 63, desktop: 33, tablet: 3.5, tv: 0.5 },
  'visit:browser': {
    'Yandex Browser': 34,
    Chrome: 31,
    'Mobile Safari': 18,
    'Samsung Internet': 7,
    Firefox: 5,
    Opera: 3,
    Edge: 2,
  },
  'visit:os': { Android: 45, Windows: 27, iOS: 19, 'Mac OS X': 6, Linux: 3 },
  'visit:screen': { '1-479': 61, '1440-1919': 22, '1024-1439': 11, '1920+': 6 },
  'event:name': { pageview: 79, 'Outbound Link': 8, booking: 6, 'File Download': 4, call: 2, 404: 1 },
  'event:ad': { '': 60, 'banner-top': 20, 'banner-side': 13, 'popup-discount': 7 },
  'event:mark': { '(none)': 80, crawler: 11, crowd: 5, 'referrer-spam': 4 },
};

const SETTINGS = {
  goals: [
    { id: 'g1', name: 'Запись', kind: 'event', value: 'booking' },
    { id: 'g2', name: 'Звонок', kind: 'event', value: 'call' },
    { id: 'g3', name: 'Прайс-лист', kind: 'page', value: '/ceny' },
  ],
  funnels: [],
  segments: [{ id: 's4', name: 'Москва, телефон', filters: [['is', 'visit:city', ['Moscow']]], by: 'owner' }],
  notes: [],
  links: [],
  reports: [],
};

const LIVE = {
  visitors: 23,
  pages: [
    { name: '/', visitors: 11 },
    { name: '/uslugi/terapiya', visitors: 6 },
    { name: '/zapis', visitors: 4 },
    { name: '/vrachi/ivanova', visitors: 2 },
  ],
  sources: [
    { name: 'Yandex', visitors: 12 },
    { name: 'Direct / None', visitors: 6 },
    { name: 'VK', visitors: 3 },
    { name: 'Google', visitors: 2 },
  ],
};

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const port = Number(option('port', '8091'));
const fixed = option('now', '');
const now = () => (fixed === '' ? new Date() : new Date(fixed));
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const role = option('role', 'owner');
const slow = Number(option('slow', '0'));
const isGuarded = role === 'viewer';
const person = { login: 'owner', role, totp: false, guarded: isGuarded };
let session = process.argv.includes('--signed-in') ? person : null;

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock');
  try {
    await route(request, response, url);
  } catch (error) {
    answer(response, 400, { error: String(error.message) });
  }
}).listen(port, '127.0.0.1', function ready() {
  console.log(`http://127.0.0.1:${this.address().port}/`);
});

async function route(request, response, url) {
  const { method } = request;
  const { pathname } = url;
  if (pathname === '/debug/hit') return answer(response, 200, OWN_HIT);
  if (!pathname.startsWith('/api/')) return file(response, pathname);
  if (pathname === '/api/v1/session') {
    if (method === 'POST') {
      const body = await json(request);
      if (body.code === '000000') session = { login: null, role };
      else if (body.login === 'owner' && body.password === 'correct horse') {
        if (person.totp && body.totp === undefined) return answer(response, 401, { error: 'a code is needed', needs: 'totp' });
        if (person.totp && body.totp !== '123456') return answer(response, 401, { error: 'the code is wrong' });
        session = person;
      } else return answer(response, 401, { error: 'wrong login or password' });
    }
    if (method === 'DELETE') session = null;
    else if (!session) return answer(response, 401, { error: 'not signed in' });
    return answer(response, 200, session ?? {});
  }
  // A shared link is a viewer of one site, and needs no session.
  const link = request.headers['x-metka-link'];
  if (link === undefined ? !session : link !== LINK.secret) return answer(response, 401, { error: 'not signed in' });
  const principal = link === undefined ? session : { login: null, role: 'viewer', link: LINK };
  if (pathname === '/api/v1/account') {
    session = { login: (await json(request)).login, role: 'owner' };
    return answer(response, 200, session);
  }
  if (pathname === '/api/v2/query') {
    const found = answerTo(await json(request));
    if ((request.headers.accept ?? '').includes('text/csv')) return csv(response, found);
    return answer(response, found.status, found.answer ?? { error: found.error });
  }
  if (pathname === '/api/v2/queries') {
    const { site_id, queries } = await json(request);
    if (slow > 0) await new Promise((done) => setTimeout(done, slow));
    return answer(response, 200, { answers: queries.map((each) => answerTo({ site_id, ...each })) });
  }
  const body = method === 'POST' ? await json(request) : null;
  const office = officer(method, url, body, principal);
  if (office) return answer(response, ...office);
  const kept = settings(method, url, body, principal, request.headers.accept);
  if (kept) return answer(response, ...kept);
  if (pathname === '/api/v1/sites') return answer(response, 200, link === undefined ? SITES : SITES.slice(0, 1));
  if (pathname === '/api/v1/live') {
    const none = { visitors: 0, pages: [], sources: [] };
    return answer(response, 200, url.searchParams.get('site_id') === 'new' ? none : isGuarded ? guarded.live(LIVE) : LIVE);
  }
  return answer(response, 404, { error: `no such path ${pathname}` });
}

function file(response, pathname) {
  const path = ['/', '/login', '/officer', '/security', '/settings', '/people'].includes(pathname) || pathname.startsWith('/share/') ? '/index.html' : normalize(pathname);
  const place = join(dist, path);
  if (!place.startsWith(dist) || !existsSync(place) || extname(place) === '')
    return answer(response, 404, { error: 'not found' });
  response.writeHead(200, {
    'Content-Type': TYPES[extname(place)] ?? 'application/octet-stream',
    'Content-Security-Policy': CSP,
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(readFileSync(place));
}

/** One answer as `/api/v2/queries` has it. */
function answerTo(body) {
  try {
    const refused = isGuarded && guarded.refusal(body);
    if (refused) return { status: 200, answer: wrap(body, [], { guard: { k: 10, refused, merged_rows: 0 } }) };
    const found = compared(body, query(body));
    return { status: 200, answer: isGuarded ? guarded.answer(found) : found };
  } catch (error) {
    return { status: 400, error: String(error.message) };
  }
}

/** Adds what `include.comparisons` asks for. */
function compared(body, found) {
  const range = body.include?.comparisons?.date_range;
  if (!range) return found;
  const before = query({ ...body, date_range: range, pagination: undefined });
  const of = new Map(before.results.map((row) => [row.dimensions.join(), row.metrics]));
  const results = found.results.map((row) => {
    const metrics = of.get(row.dimensions.join()) ?? row.metrics.map(() => 0);
    const change = metrics.map((was, at) => (was ? Math.round(((row.metrics[at] - was) / was) * 100) : null));
    return { ...row, comparison: { metrics, change, dimensions: row.dimensions } };
  });
  return { ...found, results };
}

function csv(response, { status, answer: found, error }) {
  if (status !== 200) return answer(response, status, { error });
  const rows = [[...(found.query.dimensions ?? []), ...found.query.metrics]];
  for (const row of found.results) rows.push([...row.dimensions, ...row.metrics]);
  response.writeHead(200, { 'Content-Type': 'text/csv; charset=utf-8', 'Content-Disposition': 'attachment; filename="metka.csv"' });
  response.end(`\ufeff${rows.map((row) => row.join()).join('\r\n')}\r\n`);
}

function dayBefore(days) {
  return new Date(Date.parse(wall('Europe/Moscow').slice(0, 10)) - days * DAY_MS).toISOString().slice(0, 10);
}

function query(body) {
  const site = SITES.find((each) => each.id === body.site_id);
  if (!site) throw new Error(`#/site_id: Unknown site "${body.site_id}"`);
  const filters = body.filters ?? [];
  if (JSON.stringify(filters).includes('/broken')) throw new Error('#/filters/0: Invalid filter "/broken"');
  const range = days(body.date_range, site);
  const dimension = body.dimensions?.[0];
  const part = site.id === 'new' ? 0 : filters.reduce((all, filter) => all * shareOf(filter), 1);
  if (!dimension) return wrap(body, [{ dimensions: [], metrics: numbers(body.metrics, sum(range) * part, part) }]);
  if (dimension.startsWith('time:')) return series(body, range, dimension.slice(5), part);

  const total = sum(range) * part;
  if (dimension === 'event:goal') return wrap(body, goalRows(body, total));
  const shares = Object.entries(SHARES[dimension] ?? {}).filter(([value]) =>
    filters.every(([operator, name, values]) => name !== dimension || matches(operator, value, values)),
  );
  const weight = shares.reduce((all, [, share]) => all + share, 0);
  const rows = shares
    .map(([value, share]) => ({
      dimensions: [value],
      metrics: numbers(body.metrics, (total * share) / weight, hash(value)),
    }))
    .filter((row) => row.metrics[0] > 0)
    .sort((a, b) => b.metrics[0] - a.metrics[0]);
  const { limit = 10_000, offset = 0 } = body.pagination ?? {};
  return wrap(body, rows.slice(offset, offset + limit));
}

function matches(operator, value, values) {
  if (operator === 'is') return values.includes(value);
  if (operator === 'is_not') return !values.includes(value);
  const found = values.some((each) => value.toLowerCase().includes(each.toLowerCase()));
  return operator === 'contains' ? found : !found;
}

function shareOf([operator, dimension, values]) {
  if (dimension === 'segment') return 0.3;
  if (dimension === 'event:goal') return goalShare(values);
  const shares = Object.entries(SHARES[dimension] ?? {});
  const all = shares.reduce((sum, [, share]) => sum + share, 0);
  return (
    shares.filter(([value]) => matches(operator, value, values)).reduce((sum, [, share]) => sum + share, 0) / (all || 1)
  );
}

function series(body, range, interval, part) {
  const buckets = new Map();
  for (const day of range) {
    if (interval === 'hour') {
      for (let hour = 0; hour < 24; hour += 1) {
        const at = `${day} ${String(hour).padStart(2, '0')}:00:00`;
        buckets.set(at, visitorsAt(day, hour));
      }
    } else {
      const key = interval === 'day' ? day : interval === 'month' ? `${day.slice(0, 7)}-01` : monday(day, range[0]);
      buckets.set(key, (buckets.get(key) ?? 0) + sum([day]));
    }
  }
  const rows = [...buckets]
    .map(([at, visitors]) => ({ dimensions: [at], metrics: numbers(body.metrics, visitors * part, hash(at)) }))
    .filter((row) => row.metrics[0] > 0);
  return wrap(body, rows, { time_labels: [...buckets.keys()] });
}

function numbers(names, visitors, seed) {
  const jitter = 0.9 + 0.2 * (seed % 1);
  const people = Math.round(visitors);
  const visits = Math.round(visitors * 1.22);
  const views = Math.round(visitors * 1.22 * 2.63 * jitter);
  const known = {
    visitors: people,
    visits,
    pageviews: views,
    views_per_visit: visits ? Math.round((views / visits) * 100) / 100 : 0,
    bounce_rate: visits ? Math.round(41 * jitter) : 0,
    visit_duration: visits ? Math.round(154 * jitter) : 0,
    events: Math.round(views * 1.1),
    ad_views: Math.round(visitors * 1.9),
    ad_viewable: Math.round(visitors * 1.9 * 0.64 * jitter),
    ad_clicks: Math.round(visitors * 1.9 * 0.021 * jitter),
    ad_ctr: Math.round(2.1 * jitter * 10) / 10,
    scroll_depth: Math.round(58 * jitter),
    time_on_page: Math.round(47 * jitter),
    exit_rate: Math.round(36 * jitter),
    conversion_rate: Math.round(3.9 * jitter * 10) / 10,
    group_conversion_rate: Math.round(4.1 * jitter * 10) / 10,
  };
  return names.map((name) => {
    if (!(name in known)) throw new Error(`#/metrics/0: Invalid metric "${name}"`);
    return known[name];
  });
}

/** Weekly and yearly rhythm, slow growth, a little noise. */
function visitorsAt(day, hour) {
  const at = Date.parse(`${day}T00:00:00Z`) / DAY_MS;
  if (at < 20_150) return 0;
  const clock = wall(SITES[0].timezone);
  if (day > clock.slice(0, 10) || (day === clock.slice(0, 10) && hour > Number(clock.slice(11, 13)))) return 0;
  const weekday = (at + 3) % 7;
  const week = weekday >= 5 ? 0.62 : 1;
  const rhythm = Math.max(0.04, Math.sin(((hour - 6) / 19) * Math.PI)) ** 1.3;
  return 46 * week * (1 + (at - 20_150) / 900) * rhythm * (0.8 + 0.4 * hash(`${day}${hour}`)) || 1;
}

const days_known = new Map();

function sum(range) {
  let all = 0;
  for (const day of range) {
    // Today still grows.
    if (!days_known.has(day) || day >= wall(SITES[0].timezone).slice(0, 10)) {
      let visitors = 0;
      for (let hour = 0; hour < 24; hour += 1) visitors += Math.round(visitorsAt(day, hour));
      days_known.set(day, visitors);
    }
    all += days_known.get(day);
  }
  return all;
}

function days(range, site) {
  const today = wall(site.timezone).slice(0, 10);
  const [from, to] = range === 'all' ? ['2025-03-03', today] : range.map((each) => each.slice(0, 10));
  const all = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) all.push(new Date(at).toISOString().slice(0, 10));
  return all;
}

function monday(day, first) {
  const at = Date.parse(day) / DAY_MS;
  const found = new Date((at - ((at + 3) % 7)) * DAY_MS).toISOString().slice(0, 10);
  return found < first ? first : found;
}

let clock = { at: 0, zone: '', text: '' };

function wall(timezone) {
  if (Date.now() - clock.at < 1000 && clock.zone === timezone) return clock.text;
  clock = { at: Date.now(), zone: timezone, text: wallNow(timezone) };
  return clock.text;
}

function wallNow(timezone) {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'short' }).format(now());
}

function hash(text) {
  let value = 2_166_136_261;
  for (const char of String(text)) value = Math.imul(value ^ char.codePointAt(0), 16_777_619) >>> 0;
  return ((value >>> 8) % 1000) / 1000;
}

function wrap(body, results, meta = {}) {
  return { results, meta, query: body };
}

async function json(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > MAX_BODY) throw new Error('body too large');
  }
  return JSON.parse(text);
}

function answer(response, status, body) {
  const text = typeof body === 'string';
  response.writeHead(status, { 'Content-Type': text ? 'text/csv' : 'application/json' });
  response.end(status === 204 ? undefined : text ? body : JSON.stringify(body));
}
