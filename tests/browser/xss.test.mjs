// Stored texts stay texts: 500 payloads in every field that somebody outside can fill, and in what people write on our
// pages; then every page in Chromium, in Russian and English. No script runs, no dialog opens, no policy is violated, no
// element comes of a payload; and the payloads stand there as text, or this would prove nothing.
//
// The watch is tried first on pages that do take a payload for markup.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { COUNT, PAYLOADS, TRACES, look, watch } from './support/injection.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';

const SITE = 'clinic';
const PASSWORD = 'a long enough password 1';
/** So many requests are under way at once while the payloads are sent. */
const LANES = 8;
/** Thousands of hits are stored meanwhile, on a machine that may be busy. */
const HISTORY = 180_000;
/** Somebody may send anything; a page has this many lists with all rows, in pages of 100. */
const MOST_PAGES = 12;
/** Payloads that stand in filters of the address, in requests of visitors, in what officers write. */
const CHOSEN = [0, 3, 41, 82, 123, 164, 287, 369];
const LANGUAGES = { ru: 'ru-RU', en: 'en-US' };
/** Panels of the dashboard with their tabs, and the field of a hit that shows there. */
const LISTS = [
  ['pages', 'page'],
  ['pages', 'entry'],
  ['pages', 'exit'],
  ['sources', 'source'],
  ['sources', 'referrer'],
  ['sources', 'utm_campaign'],
  ['sources', 'utm_source'],
  ['sources', 'utm_medium'],
  ['events', 'event'],
  ['ads', 'ad'],
];
/** Those that hold what the collector makes of a text, so that it need not stand there. */
const DERIVED = [
  ['sources', 'channel'],
  ['places', 'country'],
  ['places', 'region'],
  ['places', 'city'],
  ['devices', 'device'],
  ['devices', 'browser'],
  ['devices', 'os'],
  ['devices', 'screen'],
];
/** What each question can be broken down by, for files and for the properties that have no panel. */
const DIMENSIONS = [
  'event:page', 'event:hostname', 'event:name', 'event:ad', 'event:props:kind', 'visit:entry_page', 'visit:exit_page', 'visit:source', 'visit:channel', 'visit:referrer',
  'visit:utm_source', 'visit:utm_medium', 'visit:utm_campaign', 'visit:utm_content', 'visit:utm_term', 'visit:browser', 'visit:browser_version',
  'visit:os', 'visit:os_version', 'visit:language', 'visit:screen',
];

let metka, browser, token, described;
/** Why hits were refused, with counts. */
const reasons = {};
/** Addresses of shared links. */
const shared = [];
/** Numbers of the payloads that were seen as text, by where. */
const seen = new Map();

before(async () => {
  metka = await Metka.start({
    site: SITE,
    collect: 'rate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n',
    more: 'contact = "privacy@clinic.example"\nfields = ["title", "width", "scroll", "engaged", "outbound", "downloads", "props", "timezone", "errors"]\n[operator]\nname = "Clinic LLC"\naddress = "1 Example Street"\n',
  });
  metka.run(['user', 'add', 'olga', '--role', 'owner', '--password-stdin'], `${PASSWORD}\n`);
  token = metka.token();
  described = await (await fetch(`${metka.web}/openapi.json`)).json();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

const agent = payload => `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${Number.parseInt(browser.version(), 10)}.0.0.0 Safari/537.36${payload}`;
/** A header holds no other letters. */
const ascii = payload => payload.replace(/[^\x20-\x7e]/g, '');
/** Each from a network of its own, so that each is a visitor. */
const address = index => `20.${index >> 8}.${index & 255}.7`;

/** All kinds of hits with the payload wherever a text can be. */
function hits(payload) {
  const coded = encodeURIComponent(payload);
  const utm = ['source', 'medium', 'campaign', 'content', 'term'].map(name => `utm_${name}=${coded}`).join('&');
  const page = `http://127.0.0.1/${coded}?${utm}`;
  const common = { s: SITE, u: page, r: `https://${encodeURIComponent(payload.slice(0, 20))}.example/${coded}?q=${coded}`, t: payload, w: 1280 };
  return [
    { ...common, k: 'pageview', r: `https://referrer.example/${coded}` },
    { ...common, k: 'event', n: payload, p: { kind: payload, [payload]: payload, href: `javascript:${payload}` } },
    { ...common, k: 'event', n: 'outbound', p: { url: payload } },
    { ...common, k: 'ad_view', ad: payload },
    { ...common, k: 'ad_viewable', ad: payload },
    { ...common, k: 'ad_click', ad: payload, p: { url: payload } },
    { ...common, k: 'engagement', d: 1000, sd: 50 },
    // A path of a script holds no spaces, nor what ends a path.
    { ...common, k: 'error', n: `TypeError /${payload.replace(/[^!-~]|[?#]/g, '').slice(0, 100)}:1` },
    // Where no text may be: the hit is refused, or a mark keeps it out.
    { ...common, k: payload, w: payload, d: payload, sd: payload, c: payload, uk: payload, i: payload },
  ];
}

async function send(payload, index) {
  const headers = {
    'content-type': 'text/plain',
    // Some are robots by it; the page that shows marked hits is of them.
    'user-agent': agent(index % 5 === 0 ? ` ${ascii(payload)}` : ''),
    'accept-language': ascii(payload),
    referer: `http://127.0.0.1/${encodeURIComponent(payload)}`,
    'x-forwarded-for': address(index),
    'sec-ch-ua-platform': ascii(payload),
  };
  const sent = await fetch(`${metka.collector}/event`, { method: 'POST', headers, body: JSON.stringify(hits(payload)) });
  const { accepted, refused } = await sent.json();
  const pixel = new URL('/pixel.gif', metka.collector);
  for (const [name, value] of Object.entries({ s: SITE, u: `http://127.0.0.1/pixel/${encodeURIComponent(payload)}`, t: payload, k: 'event', n: payload, w: payload })) pixel.searchParams.set(name, value);
  await (await fetch(pixel, { headers: { ...headers, accept: 'image/*' } })).arrayBuffer();
  refused.forEach(({ reason }) => (reasons[reason] = (reasons[reason] ?? 0) + 1));
  return accepted;
}

/** A browser looks at a page and sends payloads; returns its cookie. */
async function visit(context, numbers) {
  const send = data => context.request.post(`${metka.collector}/event`, { timeout: HISTORY, headers: { 'content-type': 'text/plain', 'user-agent': agent('') }, data: JSON.stringify(data) });
  await send([{ s: SITE, u: 'http://127.0.0.1/', k: 'pageview' }]);
  for (const number of numbers) await send(hits(PAYLOADS[number]));
  await metka.settled(SITE);
  return (await context.cookies(metka.collector)).find(each => each.name === 'metka').value;
}

/** A tab that is watched, signed in where a login is given. */
async function tab(language, { login } = {}) {
  const context = await browser.newContext({ locale: LANGUAGES[language], viewport: { width: 1280, height: 900 }, userAgent: agent('') });
  context.setDefaultTimeout(HISTORY);
  const noticed = await watch(context);
  const page = await context.newPage();
  if (login) {
    await page.goto(`${metka.web}/login`);
    await page.fill('[name=login]', login);
    await page.fill('[name=password]', PASSWORD);
    await page.click('[data-form=password] button[type=submit]');
    await page.locator('[data-region=headline]').waitFor();
  }
  // Asking who is there, and an address where there is nothing: what a page says of them is no fault.
  return { context, page, noticed };
}

/** The page is quiet, nothing of a payload became part of it, and so many stand in it as text. */
async function checked(page, where) {
  const { left, shown } = await look(page);
  assert.deepEqual(left, [], where);
  const known = seen.get(where) ?? new Set();
  shown.forEach(number => known.add(number));
  seen.set(where, known);
  return known.size;
}

/** Nothing is under way, and nothing failed: storage that is busy may ask to be asked again. */
const loaded = (page, least = 1) =>
  until(
    'the page to be loaded',
    async () => {
      const states = await page.evaluate(() => [...document.querySelectorAll('[data-region], [data-tab-content], [data-list]')].map(part => part.dataset.state));
      if (states.includes('failed')) await page.reload();
      return states.length >= least && !states.includes('loading') && !states.includes('failed');
    },
    HISTORY,
  );

const api = (method, path, body, headers = {}) =>
  fetch(`${metka.web}${path}`, { method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body) });

async function posted(path, body) {
  const answer = await api('POST', path, body);
  const text = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}

test('the watch notices what it is there for', async () => {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://x');
    response.setHeader('content-type', 'text/html; charset=utf-8');
    if (pathname === '/strict') response.setHeader('content-security-policy', "default-src 'none'");
    response.end(`<!doctype html><title>x</title><p>${searchParams.get('text')}</p>`);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const { context, page, noticed } = await tab('en');
  const show = (path, text) => page.goto(`${url}${path}?text=${encodeURIComponent(text)}`);
  await show('/open', PAYLOADS[3]);
  await until('a script to run', () => noticed.some(text => text.startsWith('script 3 ran')));
  assert.equal((await look(page)).left.length, 1);
  await show('/open', '<script>alert(1)</script>');
  await until('a dialog', () => noticed.some(text => text.startsWith('dialog 1')));
  await show('/strict', PAYLOADS[3]);
  await until('a report', () => noticed.some(text => text.startsWith('policy:')));
  // Of payloads that are markup something is left that is looked for; others would need code or an attribute around them.
  const leaving = await page.evaluate(
    ([payloads, traces]) => payloads.filter(payload => new DOMParser().parseFromString(`<p>${payload}</p>`, 'text/html').querySelector(`${traces}, script, p a[href^=javascript], form`)).length,
    [PAYLOADS, TRACES],
  );
  assert.ok(leaving >= COUNT / 2 && new Set(PAYLOADS).size === COUNT, `${leaving} payloads leave markup`);
  console.log(`${leaving} of ${COUNT} payloads are markup where they are taken for it`);
  await show('/open', PAYLOADS[3].replaceAll('<', '&lt;'));
  assert.deepEqual(await look(page), { left: [], shown: [3] });
  await context.close();
  server.closeAllConnections();
  server.close();
});

test('payloads are stored in every field of a hit', async () => {
  let kept = 0;
  const queue = [...PAYLOADS.entries()];
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      for (let next = queue.pop(); next; next = queue.pop()) {
        const accepted = await send(next[1], next[0]);
        kept += accepted;
      }
    }),
  );
  // The hit of no known kind is refused, and what is no address cannot be the page.
  assert.ok(kept >= COUNT * 6, `${kept} hits kept, refused ${JSON.stringify(reasons)}`);
  const counts = await metka.settled(SITE, HISTORY);
  const columns = ['path', 'title', 'referrer_path', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term', 'name', 'ad', 'toString(props)'];
  const [stored] = await metka.rows(`SELECT ${columns.map(name => `uniqExactIf(${name}, ${name} LIKE '%metkaXss%')`)} FROM metka.hits WHERE site = '${SITE}'`);
  console.log(`${kept} hits kept, refused ${JSON.stringify(counts.refused)}; payloads by column: ${columns.map((name, at) => `${name} ${stored[at]}`).join(', ')}`);
  // Some lose what the collector takes for numbers of people; most do not.
  columns.forEach((name, at) => assert.ok(Number(stored[at]) >= COUNT / 2, `${name}: ${stored[at]} payloads stored`));
});

test('what people write is stored: requests, disclosures, incidents, an act', async () => {
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const to = new Date(Date.now() + 60_000).toISOString();
  for (const number of CHOSEN) {
    const text = PAYLOADS[number];
    const request = await posted('/api/v1/requests', { site: SITE, kind: 'access', purpose: text });
    await posted(`/api/v1/requests/${request.number}`, { extend: { reason: text } });
    await posted(`/api/v1/requests/${request.number}`, { close: { answer: text, refused: true } });
    const disclosure = { site: SITE, recipient: text, recipient_kind: 'quality', basis: text, purpose: text, scope: { range: { from, to, fields: ['time', 'path'] } }, format: 'csv' };
    await posted('/api/v1/disclosures', disclosure);
    const incident = await posted('/api/v1/incidents', { site: SITE, kind: 'disclosure', from, to, what: text });
    await posted(`/api/v1/incidents/${incident.number}`, { close: { result: text } });
  }
  // What people keep beside the numbers.
  if (!described.paths['/api/v1/settings']) return;
  for (const number of CHOSEN) {
    // What does not print is refused there.
    const text = PAYLOADS[number].replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '').slice(0, 90).trim();
    const put = thing => posted('/api/v1/settings', { site_id: SITE, put: thing });
    const goal = await put({ goal: { name: text, kind: 'event', value: text } });
    const page = await put({ goal: { name: `${text} page`, kind: 'page', value: `/${text.replace(/[?#*\s]/g, '_')}` } });
    await put({ funnel: { name: text, steps: [goal.id, page.id] } });
    await put({ segment: { name: text, filters: [['is', 'visit:source', [text]]] } });
    await put({ note: { day: from.slice(0, 10), text } });
    shared.push((await put({ link: { name: text, expires: null, filters: [['is', 'visit:source', [text]]] } })).url);
  }
});

test('a visitor reads their own payloads, and sends more', async () => {
  for (const language of Object.keys(LANGUAGES)) {
    const { context, page, noticed } = await tab(language);
    await visit(context, CHOSEN);
    await page.goto(`${metka.collector}/privacy?s=${SITE}`);
    await checked(page, `privacy ${language}`);
    await page.click('form[action="/privacy/data"] button');
    await until('what is kept', async () => {
      if ((await page.locator('.hits').count()) === 1) return true;
      await page.reload();
      return false;
    });
    for (const summary of await page.locator('details summary').all()) await summary.click();
    assert.ok((await checked(page, `privacy data ${language}`)) >= CHOSEN.length / 2);
    for (const [kind, number] of [['block', CHOSEN[0]], ['access', CHOSEN[1]]]) {
      await page.goto(`${metka.collector}/privacy?s=${SITE}`);
      await page.locator(`label[for=${kind}]`).click();
      await page.fill('#text', PAYLOADS[number]);
      await page.click('form[action="/privacy/request"] button');
      await page.waitForURL(url => url.pathname.startsWith('/privacy/request/'));
      assert.ok((await checked(page, `privacy request ${language}`)) > 0);
      await page.reload();
    }
    // Texts of the address that pages of the collector speak of.
    for (const path of ['/privacy?s=TEXT', '/privacy?s=clinic&said=TEXT&lang=TEXT', '/privacy/request/TEXT', '/TEXT'])
      for (const number of CHOSEN) {
        await page.goto(metka.collector + path.replaceAll('TEXT', encodeURIComponent(PAYLOADS[number])));
        await checked(page, `collector ${path}`);
      }
    assert.deepEqual(noticed, []);
    await context.close();
  }
});

for (const language of Object.keys(LANGUAGES)) {
  test(`the dashboard shows all of them as text (${language})`, async () => {
    const { context, page, noticed } = await tab(language, { login: 'olga' });
    // The lists are of the same parts in each language: their first pages are enough the second time.
    const most = language === 'ru' ? MOST_PAGES : 1;
    await page.goto(`${metka.web}/?site=${SITE}&period=7d&compare=none`);
    await loaded(page);
    for (const [panel, id] of [...LISTS, ...DERIVED]) {
      const where = `dashboard ${panel} ${id} ${language}`;
      const tabs = id.startsWith('utm_') ? ['campaign', id] : [id];
      for (const tab of tabs) {
        const button = page.locator(`[data-panel=${panel}] [data-tab=${tab}]`);
        // A panel of one list has no tabs.
        if ((await button.count()) > 0) await button.last().click();
      }
      await page.locator(`[data-panel=${panel}] [data-tab-content=${id}]:not([data-state=loading])`).waitFor();
      await checked(page, where);
      const all = page.locator(`[data-panel=${panel}] [data-all]`);
      if ((await all.count()) === 0) continue;
      await all.click();
      const list = page.locator(`[data-list=${id}]`);
      for (let turn = 0; turn < most; turn += 1) {
        await page.locator(`[data-list=${id}][data-state=ready]`).waitFor();
        await checked(page, where);
        const more = list.locator('.dialog-foot button');
        if (turn + 1 === most || (await more.count()) === 0) break;
        const rows = await list.locator('[data-row]').count();
        await more.click();
        await until(`more than ${rows} rows of ${id}`, async () => (await list.locator('[data-row]').count()) > rows, HISTORY);
      }
      await page.keyboard.press('Escape');
      await list.waitFor({ state: 'detached' });
    }
    for (const [panel, id] of LISTS) {
      const number = seen.get(`dashboard ${panel} ${id} ${language}`).size;
      assert.ok(number >= (language === 'ru' ? COUNT / 2 : 50), `${number} payloads in ${panel} ${id}`);
    }
    // As filters of an address, and with marked hits.
    for (const [at, number] of CHOSEN.entries()) {
      const [dimension] = [['visit:source', 'event:page', 'visit:utm_campaign', 'event:name', 'event:ad'][at % 5]];
      const filter = ['is', dimension, PAYLOADS[number].replace(/[\\,]/g, '\\$&')].join(',');
      await page.goto(`${metka.web}/?site=${SITE}&period=7d&compare=none&marked=1&f=${encodeURIComponent(filter)}`);
      await loaded(page);
      await checked(page, `dashboard filtered ${language}`);
    }
    assert.ok(seen.get(`dashboard filtered ${language}`).size > CHOSEN.length / 2);
    // Texts of the address that it reads.
    for (const number of CHOSEN) {
      const text = encodeURIComponent(PAYLOADS[number]);
      await page.goto(`${metka.web}/?site=${text}&period=${text}&compare=${text}&metric=${text}&by=${text}&pages=${text}&f=${text}#${text}`);
      await page.locator('main, [data-form]').first().waitFor();
      await checked(page, `dashboard address ${language}`);
    }
    assert.deepEqual(noticed, []);
    await context.close();
  });

  test(`the officer's page and its papers show them as text (${language})`, async () => {
    const { context, page, noticed } = await tab(language, { login: 'olga' });
    const open = async place => {
      await page.goto(`${metka.web}/officer?site=${SITE}#${place}`);
      const [section, item = ''] = place.split('/');
      await page.locator(`[data-section=${section}][data-item="${item}"]`).waitFor();
      await loaded(page);
      return checked(page, `officer ${section} ${language}`);
    };
    for (const section of ['overview', 'requests', 'disclosures', 'incidents', 'audit', 'policy', 'retention', 'account']) await open(section);
    // What strangers sent is in the evidence of a check and in the names of places.
    for (const section of ['check', 'case', 'addresses']) {
      await page.goto(`${metka.web}/security?site=${SITE}#${section}`);
      await page.locator(`[data-section=${section}]`).waitFor();
      if (section === 'addresses') {
        await page.locator('[data-looking-for]').selectOption('support');
        await page.click('[data-trouble=errors]');
        await page.locator('[data-column=errors] .sheet-more').first().waitFor();
      }
      await loaded(page);
      await checked(page, `security ${section} ${language}`);
    }
    const { size: errors } = seen.get(`security addresses ${language}`);
    assert.ok(errors >= CHOSEN.length / 2, `${errors} payloads in the errors of scripts`);
    await page.goto(`${metka.web}/security?site=${SITE}#check`);
    for (const number of CHOSEN) {
      await page.fill('[name=cookie]', PAYLOADS[number]);
      await page.fill('[data-form=check] [name=words]', PAYLOADS[number].replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, ''));
      await page.click('[data-form=check] button[type=submit]');
      await page.locator('[data-signal=cookie_forged]').waitFor();
      await checked(page, `security check ${language}`);
      await page.reload();
    }
    // A case file has most of what was sent.
    const sender = await browser.newContext({ userAgent: agent('') });
    const cookie = await visit(sender, CHOSEN);
    await sender.close();
    await page.goto(`${metka.web}/security?site=${SITE}#case`);
    await page.fill('[name=cookie]', cookie);
    await page.fill('[data-form=case] [name=words]', 'ticket 12');
    await page.click('[data-form=case] button[type=submit]');
    await page.locator('[data-result=case] [data-visit]').first().waitFor();
    assert.ok((await checked(page, `security case file ${language}`)) >= CHOSEN.length / 2);
    const listed = async name => (await (await api('GET', `/api/v1/${name}?site_id=${SITE}`)).json())[name].map(each => each.number);
    for (const name of ['requests', 'disclosures', 'incidents']) for (const number of (await listed(name)).slice(0, 2 * CHOSEN.length)) await open(`${name}/${number}`);
    for (const section of ['requests', 'disclosures', 'incidents']) {
      const { size } = seen.get(`officer ${section} ${language}`);
      assert.ok(size >= CHOSEN.length / 2, `${size} payloads in ${section}`);
    }
    for (const path of [`/api/v1/policy?site_id=${SITE}&format=html&language=${language}`, '/debug/hit', `/api/v1/requests?site_id=${SITE}`, '/openapi.json', '/nowhere', '/demo/']) {
      await page.goto(metka.web + path);
      await checked(page, `web ${path}`);
    }
    // Every page that the server describes, those that are not named above with them; what a path leaves open is
    // filled where it is asked for: links here below, acts in a test of their own.
    const pages = Object.entries(described.paths)
      .filter(([path, { get }]) => !path.includes('{') && get?.responses['200']?.content?.['text/html'])
      .map(([path]) => path);
    assert.ok(pages.includes('/') && pages.includes('/officer') && pages.includes('/security'), pages.join());
    for (const path of pages) {
      await page.goto(`${metka.web}${path}?site=${SITE}`);
      await page.locator('main, form').first().waitFor();
      await loaded(page, 0);
      await checked(page, `web ${path} ${language}`);
    }
    for (const url of shared) {
      await page.goto(url);
      await loaded(page);
      await checked(page, `shared link ${language}`);
    }
    for (const number of CHOSEN) {
      await page.goto(`${metka.web}/api/v1/requests/${encodeURIComponent(PAYLOADS[number])}`);
      await checked(page, 'web error');
    }
    assert.deepEqual(noticed, []);
    await context.close();
  });
}

test('an act of destruction shows what the officer wrote as text', async () => {
  const { context, page, noticed } = await tab('ru', { login: 'olga' });
  const cookie = await visit(context, [CHOSEN[0]]);
  const request = await posted('/api/v1/requests', { site: SITE, kind: 'erase', who: { cookie }, purpose: PAYLOADS[3] });
  const erased = await posted('/api/v1/subjects', { job: 'erase', site: SITE, who: { request: request.number }, purpose: PAYLOADS[3], request: request.number, by: PAYLOADS[5], wait: true });
  const answer = await page.goto(`${metka.web}/api/v1/acts/${erased.act.number}`);
  assert.equal(answer.status(), 200);
  assert.ok((await checked(page, 'act')) > 0);
  assert.deepEqual(noticed, []);
  await context.close();
});

test('an answer opened as a page is a text, whatever it holds', async () => {
  const { context, page, noticed } = await tab('en', { login: 'olga' });
  let files = 0;
  for (const dimension of DIMENSIONS) {
    const question = { site_id: SITE, metrics: ['visitors'], date_range: 'day', dimensions: [dimension], pagination: { limit: 1000 } };
    const answer = await api('POST', '/api/v2/query', question);
    const text = await answer.text();
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    // As a browser would show it, with the headers that it came with.
    await page.route('**/as-a-page', route => route.fulfill({ status: 200, headers: Object.fromEntries(answer.headers), body: text }));
    await page.goto(`${metka.web}/as-a-page`);
    await checked(page, `json ${dimension}`);
    await page.unroute('**/as-a-page');
    if (!described.paths['/api/v2/queries']) continue;
    const file = await api('POST', '/api/v2/query', question, { accept: 'text/csv' });
    assert.match(file.headers.get('content-type'), /^text\/csv/);
    assert.match(file.headers.get('content-disposition'), /^attachment/);
    assert.equal(file.headers.get('x-content-type-options'), 'nosniff');
    const csv = (await file.text()).replace(/^\ufeff/, '');
    // A cell that a spreadsheet would take for a formula begins otherwise.
    assert.doesNotMatch(csv, /^"?[=+@\t\r-](?!\d)/m);
    await page.route('**/as-a-text', route => route.fulfill({ status: 200, headers: { ...Object.fromEntries(file.headers), 'content-type': 'text/plain; charset=utf-8', 'content-disposition': 'inline' }, body: csv }));
    await page.goto(`${metka.web}/as-a-text`);
    await checked(page, `csv ${dimension}`);
    await page.unroute('**/as-a-text');
    files += 1;
  }
  assert.ok(seen.get('json event:page').size >= COUNT / 2 && seen.get('json event:props:kind').size >= COUNT / 2);
  assert.deepEqual(noticed, []);
  const all = new Set([...seen.values()].flatMap(numbers => [...numbers]));
  const silent = PAYLOADS.map((_, number) => number).filter(number => !all.has(number));
  console.log(`${seen.size} places, ${files} CSV files; ${all.size} of ${COUNT} payloads seen as text, 0 ran, 0 reports`);
  assert.ok(silent.length <= COUNT / 10, `not seen anywhere: ${silent.map(number => PAYLOADS[number]).join('\n')}`);
  await context.close();
});
