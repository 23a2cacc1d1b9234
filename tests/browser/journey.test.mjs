// End to end: four visitors walk the demo clinic in Chromium, the real binary counts, and the numbers are
// read from the stats API and from the dashboard's page.
//
// The clinic's files are served here as the site `clinic`, which has no made-up history, so that every
// number is exact. The binary's own `/demo/` is looked at once, at the end.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { devices } from 'playwright-core';
import { launch, launchWith } from './support/browser.mjs';
import { serveClinic } from './support/clinic.mjs';
import { headline, marketersDay, rows as rowsOf, says, signIn } from './support/dashboard.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';
import { Visitor, profileWithoutCookies } from './support/visitor.mjs';

const SITE = 'clinic';
const OUTPUT = join(import.meta.dirname, '../output');
// What Chromium says when it is not headless; as it is, it would rightly be taken for a robot. A person's browser names
// its own version, and nothing else passes for one.
const chrome = version => `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
const ownVersion = () => Number.parseInt(browser.version(), 10);
const phone = () => {
  const pixel = devices['Pixel 7'];
  return { ...pixel, userAgent: pixel.userAgent.replace(/Chrome\/\d+/, `Chrome/${ownVersion()}`) };
};
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0';
const SAFARI = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15';
const PASSWORD = 'a long enough password 1';

let metka, clinic, browser, token, start;
const strange = [];

before(async () => {
  mkdirSync(OUTPUT, { recursive: true });
  start = new Date();
  metka = await Metka.start({ site: SITE, demo: true, more: '[enrich]\ncontradictions = "mark"\n' });
  token = metka.token();
  clinic = await serveClinic({ collector: metka.collector, site: SITE });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await clinic?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

const open = (visitor, path, options) => visitor.page.goto(`${clinic.url}${path}`, options);
const finish = async visitor => {
  await visitor.leave();
  await visitor.page.close();
  strange.push(...visitor.strange);
};
/** Two days, since the journey may cross midnight in the site's time zone. */
const days = () => [new Date(start.getTime() - 86_400_000), new Date(Date.now() + 86_400_000)].map(day => day.toISOString().slice(0, 10));
const ask = (metrics, dimensions = [], more = {}) =>
  metka.query(token, { site_id: SITE, metrics, dimensions, date_range: days(), ...more });

test('a desktop visitor comes from a search, clicks an ad, downloads the prices and books', async () => {
  const context = await browser.newContext({ userAgent: chrome(ownVersion()), locale: 'ru-RU', viewport: { width: 1280, height: 800 } });
  const visitor = await Visitor.of(context, metka.collector);
  await open(visitor, '/demo/', { referer: 'https://yandex.ru/search/?text=secret' });
  await visitor.viewed('/demo/');
  await visitor.see('banner-1', '/demo/');
  await visitor.page.click('[data-metka-ad=banner-1] a');
  await visitor.viewed('/demo/ceny');
  await visitor.see('banner-2', '/demo/ceny');
  // Some builds of Chromium show the file, some save it.
  const opened = Promise.any([
    visitor.page.waitForEvent('download'),
    visitor.page.waitForURL(/price\.pdf$/, { waitUntil: 'commit' }),
  ]);
  await visitor.page.click('#price-list');
  await visitor.happened('download');
  await opened;
  await open(visitor, '/demo/zapis');
  await visitor.page.selectOption('[name=usluga]', 'Пилинги');
  await visitor.page.fill('[name=phone]', '+7 000 000-00-00');
  await visitor.page.click('#book');
  const booked = await visitor.happened('zapis');
  assert.deepEqual(booked.p, { usluga: 'Пилинги', vrach: 'Любой' });
  assert.deepEqual((await context.cookies(metka.collector)).map(cookie => cookie.name), ['metka']);
  await finish(visitor);
  await context.close();
});

test('a visitor on a phone walks the single-page section, a missing page and a link to elsewhere', async () => {
  const context = await browser.newContext({ ...phone(), locale: 'ru-RU' });
  const visitor = await Visitor.of(context, metka.collector);
  await open(visitor, '/demo/spa/?utm_source=vk&utm_medium=cpc&utm_campaign=osen');
  await visitor.viewed('/demo/spa/');
  await visitor.page.tap('#sections a[href$=lico]');
  await visitor.viewed('/demo/spa/lico');
  await visitor.see('banner-3', '/demo/spa/lico');
  await visitor.page.tap('#sections a[href$=telo]');
  const body = await visitor.viewed('/demo/spa/telo');
  assert.equal(body.t, 'Тело — Подбор процедуры — Клиника «Пример»');
  await open(visitor, '/demo/vrachi');
  await visitor.viewed('/demo/vrachi');
  await open(visitor, '/demo/net-takoy');
  await visitor.happened('404');
  await visitor.page.tap('footer a[href*="example.org"]');
  const out = await visitor.happened('outbound');
  assert.deepEqual(out.p, { url: 'example.org/licenzii' });
  await visitor.page.waitForURL(/example\.org/);
  await finish(visitor);
  await context.close();
});

test('a visitor who refuses cookies is one visitor', async () => {
  const profile = profileWithoutCookies();
  const context = await launchWith(profile, { userAgent: FIREFOX, locale: 'en-US', viewport: { width: 1280, height: 720 } });
  const visitor = await Visitor.of(context, metka.collector);
  await open(visitor, '/demo/');
  await visitor.viewed('/demo/');
  await visitor.page.click('.menu a[href$=uslugi]');
  await visitor.viewed('/demo/uslugi');
  await visitor.page.click('.menu a[href$=vrachi]');
  await visitor.viewed('/demo/vrachi');
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual(visitor.sent.filter(hit => hit.k === 'ad_viewable'), []);
  await visitor.leave();
  strange.push(...visitor.strange);
  await context.close();
  rmSync(profile, { recursive: true, force: true });
});

test('a visitor without scripts is counted by the image alone', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, userAgent: SAFARI, locale: 'ru-RU' });
  const visitor = await Visitor.of(context, metka.collector);
  const image = context.waitForEvent('response', response => response.url().startsWith(`${metka.collector}/pixel.gif`));
  await open(visitor, '/demo/uslugi');
  const answer = await image;
  assert.equal(answer.headers()['x-metka'], 'ok');
  assert.equal(answer.headers()['content-type'], 'image/gif');
  assert.equal((await answer.body()).length, 43);
  assert.deepEqual(visitor.sent, []);
  await visitor.page.close();
  strange.push(...visitor.strange);
  await context.close();
});

test('a program that has Chromium pose as an older one is kept and marked', async () => {
  const context = await browser.newContext({ userAgent: chrome(ownVersion() - 20), locale: 'ru-RU' });
  const visitor = await Visitor.of(context, metka.collector);
  await open(visitor, '/demo/uslugi');
  await visitor.viewed('/demo/uslugi');
  await finish(visitor);
  assert.deepEqual(await context.cookies(metka.collector), []);
  await context.close();
  await until('the marked hit to arrive', async () =>
    (await ask(['pageviews'], ['event:mark'], { include: { bots: true } })).some(([mark, views]) => mark === 'contradiction' && views === 1),
  );
});

test('nothing was asked of other hosts, nothing failed', () => assert.deepEqual(strange, []));

test('the stats API has exactly what they did', async () => {
  const all = ['visitors', 'visits', 'pageviews', 'events', 'views_per_visit', 'bounce_rate', 'ad_views', 'ad_viewable', 'ad_clicks'];
  const expected = [[4, 4, 12, 16, 3, 25, 7, 3, 1]];
  let found;
  await until('the hits to arrive', async () => {
    found = await ask(all);
    return JSON.stringify(found) === JSON.stringify(expected);
  }).catch(() => assert.deepEqual(found, expected));

  const check = async (metrics, dimensions, expected, more) => {
    const sorted = rows => rows.map(row => JSON.stringify(row)).sort();
    assert.deepEqual(sorted(await ask(metrics, dimensions, more)), sorted(expected), dimensions.join());
  };
  await check(['visitors', 'pageviews'], ['event:page'], [
    ['/demo/', 2, 2],
    ['/demo/ceny', 1, 1],
    ['/demo/zapis', 1, 1],
    ['/demo/spa/', 1, 1],
    ['/demo/spa/lico', 1, 1],
    ['/demo/spa/telo', 1, 1],
    ['/demo/vrachi', 2, 2],
    ['/demo/net-takoy', 1, 1],
    ['/demo/uslugi', 2, 2],
  ]);
  await check(['visits'], ['visit:entry_page'], [['/demo/', 2], ['/demo/spa/', 1], ['/demo/uslugi', 1]]);
  await check(['visits'], ['visit:exit_page'], [['/demo/zapis', 1], ['/demo/net-takoy', 1], ['/demo/vrachi', 1], ['/demo/uslugi', 1]]);
  await check(['visitors'], ['visit:source'], [['Yandex', 1], ['VK', 1], ['Direct / None', 2]]);
  await check(['visitors'], ['visit:utm_campaign'], [['osen', 1], ['(not set)', 3]]);
  await check(['visitors'], ['visit:device'], [['desktop', 3], ['mobile', 1]]);
  await check(['visitors'], ['visit:browser'], [['Chrome', 2], ['Firefox', 1], ['Safari', 1]]);
  await check(['events', 'visitors'], ['event:name'], [
    ['pageview', 12, 4],
    ['zapis', 1, 1],
    ['download', 1, 1],
    ['outbound', 1, 1],
    ['404', 1, 1],
  ]);
  await check(['ad_views', 'ad_viewable', 'ad_clicks'], ['event:ad'], [
    ['banner-1', 3, 1, 1],
    ['banner-2', 3, 1, 0],
    ['banner-3', 1, 1, 0],
  ]);
  await check(['events'], ['event:props:usluga'], [['Пилинги', 1]], { filters: [['is', 'event:name', ['zapis']]] });
  await check(['pageviews'], [], [[2]], { filters: [['is', 'event:page', ['/demo/uslugi']]] });
});

test('received = stored + waiting + in flight + refused', async () => {
  const status = JSON.parse(metka.run(['status', '--json']));
  const { received, stored, waiting, in_flight, refused } = status.sites[SITE];
  const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
  assert.deepEqual({ waiting, in_flight, refused }, { waiting: 0, in_flight: 0, refused: {} });
  assert.equal(received, stored);
});

for (const [language, locale] of [
  ['ru', 'ru-RU'],
  ['en', 'en-US'],
])
  for (const [size, viewport] of [
    ['wide', { width: 1280, height: 900 }],
    ['phone', { width: 390, height: 844 }],
  ])
    test(`the dashboard shows the same numbers (${language}, ${size})`, async () => {
      const login = `viewer-${language}-${size}`;
      metka.run(['user', 'add', login, '--role', 'viewer', '--password-stdin'], `${PASSWORD}\n`);
      const context = await browser.newContext({ locale, viewport, timezoneId: 'Europe/Moscow' });
      const visitor = await Visitor.of(context, metka.collector);
      const { page } = visitor;
      const [from, to] = days();
      // The question of who is there, before signing in, is answered with 401: no fault.
      const faults = () => visitor.strange.filter(text => !/status of 401/.test(text));
      const look = `${metka.web}/?site=${SITE}&period=${from}..${to}&compare=none`;
      await page.goto(look);
      await page.locator('[data-form=password]').waitFor();
      await page.screenshot({ path: join(OUTPUT, `sign-in-${language}-${size}.png`) });
      await signIn(page, look, login, PASSWORD);
      const value = name => headline(page, name);
      await until('the headline', async () => (await value('visitors')) !== null);
      const numbers = { visitors: '4', visits: '4', pageviews: '12', views_per_visit: '3', bounce_rate: '25' };
      for (const [name, expected] of Object.entries(numbers)) assert.equal(await value(name), expected, name);
      assert.equal(await page.locator('html').getAttribute('lang'), language);

      const rows = (panel, columns) => rowsOf(page, panel, columns);
      const pages = await rows('pages', ['visitors']);
      assert.deepEqual([pages['/demo/'], pages['/demo/uslugi'], pages['/demo/vrachi'], pages['/demo/zapis']], [[2], [2], [2], [1]]);
      assert.deepEqual(await rows('sources', ['visitors']), { Yandex: [1], VK: [1], 'Direct / None': [2] });
      assert.deepEqual(await rows('devices', ['visitors']), { desktop: [3], mobile: [1] });
      const events = await rows('events', ['events']);
      assert.deepEqual(events, { zapis: [1], download: [1], outbound: [1], 404: [1] });
      const ads = await rows('ads', ['ad_views']);
      assert.deepEqual(ads, { 'banner-1': [3], 'banner-2': [3], 'banner-3': [1] });
      if (size === 'wide')
        assert.deepEqual(await rows('ads', ['ad_views', 'ad_viewable', 'ad_clicks']), { 'banner-1': [3, 1, 1], 'banner-2': [3, 1, 0], 'banner-3': [1, 1, 0] });
      await page.screenshot({ path: join(OUTPUT, `dashboard-${language}-${size}.png`), fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);

      await page.goto(`${look}&pages=entry`);
      assert.deepEqual(await rows('pages', ['visits']), { '/demo/': [2], '/demo/spa/': [1], '/demo/uslugi': [1] });
      await page.goto(`${look}&pages=exit`);
      assert.deepEqual(await rows('pages', ['visits']), { '/demo/zapis': [1], '/demo/net-takoy': [1], '/demo/vrachi': [1], '/demo/uslugi': [1] });
      assert.deepEqual(faults(), []);
      await context.close();
    });

for (const [language, locale, words] of [
  ['ru', 'ru-RU', { keys: 'Горячие клавиши', whole: /Этот месяц/, note: /меньше 10 человек/ }],
  ['en', 'en-US', { keys: 'Keyboard shortcuts', whole: /This month/, note: /fewer than 10 people/ }],
]) {
  test(`a marketer looks closer, filters, takes files along (${language})`, async () => {
    const login = `marketer-${language}`;
    metka.run(['user', 'add', login, '--role', 'owner', '--password-stdin'], `${PASSWORD}\n`);
    const context = await browser.newContext({ locale, viewport: { width: 1440, height: 900 }, timezoneId: 'Europe/Moscow' });
    const visitor = await Visitor.of(context, metka.collector);
    const [from, to] = days();
    await signIn(visitor.page, `${metka.web}/?site=${SITE}&period=${from}..${to}&compare=none`, login, PASSWORD);
    await until('the headline', async () => (await headline(visitor.page, 'visitors')) !== null);
    await marketersDay(visitor.page, words);
    await visitor.page.screenshot({ path: join(OUTPUT, `marketer-${language}.png`), fullPage: true });
    assert.deepEqual(visitor.strange.filter(text => !/status of 401/.test(text)), []);
    await context.close();
  });

  test(`a viewer of a guarded site is offered whole units, and told why numbers are round (${language})`, async () => {
    const login = `guarded-${language}`;
    metka.run(['user', 'add', login, '--role', 'viewer', '--password-stdin'], `${PASSWORD}\n`);
    const context = await browser.newContext({ locale, viewport: { width: 1440, height: 900 }, timezoneId: 'Europe/Moscow' });
    const visitor = await Visitor.of(context, metka.collector);
    const { page } = visitor;
    // The demo has months of made-up visits, and the guard as it is by default.
    await signIn(page, `${metka.web}/?site=demo&period=91d&f=contains,event:page,/`, login, PASSWORD);
    await page.locator('[data-region=headline][data-state=ready]').waitFor();
    assert.match(await page.locator('[data-guard]').textContent(), words.note);
    assert.match(await page.locator('.period-name').textContent(), words.whole);
    assert.equal(await page.locator('[data-filter]').count(), 0, 'what is typed is not asked');
    for (const name of ['visitors', 'visits', 'pageviews']) {
      const value = await headline(page, name);
      assert.ok(value === 'null' || Number(value) % 5 === 0, `${name} ${value}`);
    }
    await page.click('.period-popover .popover-button');
    const offered = await page.locator('[data-period-choice]').evaluateAll(all => all.map(each => each.dataset.periodChoice));
    assert.deepEqual(offered, ['today', 'yesterday', 'week', 'last-week', 'month', 'last-month']);
    await page.click('[data-period-choice=last-week]');
    await says(page, 'period', 'last-week');
    await page.locator('[data-region=headline][data-state=ready]').waitFor();
    await page.screenshot({ path: join(OUTPUT, `guarded-${language}.png`), fullPage: true });
    await page.click('[data-filter-add]');
    assert.equal(await page.locator('[data-operator-choice=contains]').count(), 0);
    await context.close();
  });
}

for (const [role, language, locale] of [
  ['security', 'ru', 'ru-RU'],
  ['owner', 'en', 'en-US'],
])
  test(`marked hits are counted when ${role} asks for them, and a link shows a viewer their own numbers (${language})`, async () => {
    const [from, to] = days();
    const look = `${metka.web}/?site=${SITE}&period=${from}..${to}&compare=none`;
    const signedIn = async (role, address) => {
      const login = `marks-${role}-${language}`;
      metka.run(['user', 'add', login, '--role', role, '--password-stdin'], `${PASSWORD}\n`);
      const context = await browser.newContext({ locale, viewport: { width: 1280, height: 900 }, timezoneId: 'Europe/Moscow' });
      const { page } = await Visitor.of(context, metka.collector);
      await signIn(page, address, login, PASSWORD);
      return page;
    };
    const shown = (page, views) =>
      until(`${views} page views`, async () => (await headline(page, 'pageviews')) === views);
    const page = await signedIn(role, look);
    await shown(page, '12');
    assert.equal(await page.locator('[data-panel=marks]').count(), 0);
    await page.check('[data-marked]');
    await shown(page, '13');
    const row = page.locator('[data-panel=marks] [data-row=contradiction]');
    await row.waitFor();
    assert.equal(await row.getAttribute('data-value'), '1');
    assert.match(await row.textContent(), language === 'ru' ? /Выдаёт себя/ : /Posing as/);
    await page.screenshot({ path: join(OUTPUT, `marks-${language}.png`), fullPage: true });
    const link = page.url();
    assert.match(link, /[?&]marked=1/);
    await page.uncheck('[data-marked]');
    await shown(page, '12');

    const viewer = await signedIn('viewer', link);
    await shown(viewer, '12');
    assert.equal(await viewer.locator('[data-marked]').count(), 0);
    assert.equal(await viewer.locator('[data-panel=marks]').count(), 0);
    for (const one of [page, viewer]) await one.context().close();
  });

test('the demo on the web address carries the real pixel', async () => {
  const context = await browser.newContext({ userAgent: chrome(ownVersion()), viewport: { width: 1280, height: 800 } });
  const visitor = await Visitor.of(context, metka.collector);
  await visitor.page.goto(`${metka.demo}/`);
  await visitor.viewed('/demo/');
  await visitor.page.click('.menu a[href="/demo/spa/"]');
  await visitor.viewed('/demo/spa/');
  await visitor.page.click('#sections a[href$=ruki]');
  await visitor.viewed('/demo/spa/ruki');
  await visitor.page.reload();
  await visitor.page.locator('h2', { hasText: 'Руки' }).waitFor();
  const missing = await visitor.page.goto(`${metka.demo}/net-takoy`);
  assert.equal(missing.status(), 404);
  await visitor.happened('404');
  await finish(visitor);
  assert.deepEqual(visitor.strange, []);
  await context.close();
  const { received, refused } = JSON.parse(metka.run(['status', '--json'])).sites.demo;
  assert.deepEqual(Object.values(refused).filter(count => count > 0), []);
  await until('every hit of the visit', () => JSON.parse(metka.run(['status', '--json'])).sites.demo.received >= visitor.sent.length).catch(() =>
    assert.equal(received, visitor.sent.length),
  );
});
