// The visitor's own page, end to end in Chromium: a visitor of the clinic sees what is kept, takes a copy along, asks for
// a block and an erasure, follows both, and opts out; in Russian and English, wide and on a phone, light and dark.
//
// The clinic's files are served here as the site `clinic`, so that nothing of the demo's history is in the numbers.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { serveClinic } from './support/clinic.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';
import { Visitor } from './support/visitor.mjs';

const SITE = 'clinic';
const OUTPUT = join(import.meta.dirname, '../output');
// What Chromium says when it is not headless; as it is, it would rightly be taken for a robot.
const agent = () =>
  `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${Number.parseInt(browser.version(), 10)}.0.0.0 Safari/537.36`;
/** What the page says, where the test looks for it. */
const WORDS = {
  ru: {
    title: 'Статистика посещений и ваши данные',
    rows: 'Записей',
    registered: 'Обращение зарегистрировано.',
    again: 'уже зарегистрировано',
    blocked: 'Данные заблокированы.',
    officer: 'Обращение ждёт оператора.',
    due: /Ответ не позднее\s*\d+\s[а-я]+ \d{4}\sг\. \(10\sрабочих дней\)/,
    out: 'Готово: обращения этого браузера больше не записываются.',
    nobody: 'никто не может узнать',
    unknown: 'Такого обращения нет',
  },
  en: {
    title: 'Visit statistics and your data',
    rows: 'Records',
    registered: 'The request is registered.',
    again: 'registered already',
    blocked: 'The data is blocked.',
    officer: 'The request waits for the operator.',
    due: /Answered by\s*\d+\s[A-Z][a-z]+ \d{4} \(10\sworking days\)/,
    out: "Done: nothing is recorded about this browser's visits any more.",
    nobody: 'nobody can tell',
    unknown: 'There is no such request',
  },
};

let metka, clinic, browser;

before(async () => {
  mkdirSync(OUTPUT, { recursive: true });
  metka = await Metka.start({
    site: SITE,
    more: 'contact = "privacy@clinic.example, +7 000 000-00-00"\npolicy_version = "2024-04-01"\npolicy_url = "https://clinic.example/policy"\n',
  });
  clinic = await serveClinic({ collector: metka.collector, site: SITE });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await clinic?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

/** Texts whose contrast to what is behind them is below what WCAG 2.2 AA asks of ordinary text. */
const faint = page =>
  page.evaluate(() => {
    const rgba = text => text.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map(value => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = element => {
      for (let at = element; at; at = at.parentElement) {
        const colour = rgba(getComputedStyle(at).backgroundColor);
        if (colour.length === 3 || colour[3] === 1) return colour;
      }
      return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
      const own = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
      if (!own || !element.checkVisibility()) continue;
      const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))].toSorted((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`${element.tagName} ${element.textContent.slice(0, 40)}`);
    }
    return found;
  });

/** How long a page is left alone before it is loaded again: an address may look sixty times an hour, and all tests are of one. */
const PAUSE = 1000;

/** Loads the page again until it is so: on a busy machine storage may be asked to come again, and a block take a moment. */
const again = (page, what, condition) =>
  until(what, async () => {
    if (await condition()) return true;
    await new Promise(resolve => setTimeout(resolve, PAUSE));
    await page.reload();
    return false;
  }).catch(async error => {
    throw new Error(`${error.message}; the page says: ${await page.locator('body').innerText()}`, { cause: error.cause });
  });

/** What every page of it must be, whatever it says. */
async function isWhole(page, language) {
  assert.equal(await page.locator('html').getAttribute('lang'), language);
  assert.equal(await page.locator('h1').count(), 1);
  assert.equal(await page.locator('main').count(), 1);
  assert.equal(await page.locator('script, [style], [onclick]').count(), 0);
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('input:not([type=hidden]), textarea, button, a, nav')].filter(
      element => !(element.labels?.length || element.textContent.trim() || element.getAttribute('aria-label')),
    ).length,
  );
  assert.equal(unnamed, 0, 'each field, button and link has a name');
  const levels = await page.locator('h1, h2, h3').evaluateAll(all => all.map(one => Number(one.tagName[1])));
  levels.forEach((level, at) => assert.ok(level <= (levels[at - 1] ?? 0) + 1, `headings ${levels}`));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);
  assert.deepEqual(await faint(page), []);
}

for (const [language, locale, size, viewport, colorScheme] of [
  ['ru', 'ru-RU', 'wide', { width: 1280, height: 900 }, 'light'],
  ['en', 'en-US', 'phone', { width: 390, height: 844 }, 'dark'],
  ['ru', 'ru-RU', 'phone', { width: 320, height: 640 }, 'dark'],
  ['en', 'en-US', 'wide', { width: 1280, height: 900 }, 'light'],
])
  test(`a visitor sees, takes along, asks, follows and opts out (${language}, ${size}, ${colorScheme})`, async () => {
    const words = WORDS[language];
    const context = await browser.newContext({ locale, viewport, colorScheme, userAgent: agent(), acceptDownloads: true });
    const visitor = await Visitor.of(context, metka.collector);
    const { page } = visitor;
    const shot = name => page.screenshot({ path: join(OUTPUT, `visitor-${name}-${language}-${size}-${colorScheme}.png`), fullPage: true });
    const said = () => page.locator('[role=status]').innerText();
    for (const path of ['/demo/', '/demo/uslugi', '/demo/vrachi']) {
      await page.goto(`${clinic.url}${path}`);
      await visitor.viewed(path);
      // Without it the next page would be another visitor's.
      await until('the cookie', async () => (await context.cookies(metka.collector)).some(({ name }) => name === 'metka'));
    }
    // A page that is asked for too early costs one of the looks that an address has.
    await metka.settled(SITE);
    await page.click('a[href*="/privacy"]');
    await page.waitForURL(url => url.pathname === '/privacy');
    assert.equal(await page.locator('h1').innerText(), words.title);
    await isWhole(page, language);
    await shot('page');

    await page.click('form[action="/privacy/data"] button');
    await page.waitForURL(url => url.pathname === '/privacy/data');
    const viewed = ['/demo/', '/demo/uslugi', '/demo/vrachi'].map(path => `127.0.0.1${path}`);
    await again(page, 'what is kept', async () => {
      const pages = await page.locator('.hits .page').allInnerTexts();
      return viewed.every(path => pages.includes(path));
    });
    const rows = Number(await page.locator('dt', { hasText: words.rows }).locator('+ dd').innerText());
    assert.ok(rows >= 3, `${rows} rows`);
    await isWhole(page, language);
    await page.locator('details summary').first().click();
    await shot('data');
    const taken = () => Promise.all([page.waitForEvent('download'), page.click('a[href*="format=json"]')]);
    const [download] = await taken();
    assert.match(download.suggestedFilename(), /^clinic-\d{4}-\d{2}-\d{2}\.json$/);
    const copy = JSON.parse(readFileSync(await download.path(), 'utf8'));
    assert.ok(copy.rows.length >= rows && copy.rows.every(row => row.host === '127.0.0.1'), `${copy.rows.length} rows in the copy`);

    // There and back again: the language goes along.
    const other = language === 'ru' ? 'en' : 'ru';
    await page.click('.back');
    await page.click(`nav a[lang=${other}]`);
    assert.equal(await page.locator('h1').innerText(), WORDS[other].title);
    await page.click('form[action="/privacy/data"] button');
    await again(page, 'what is kept', async () => (await page.locator('.hits').count()) === 1);
    await isWhole(page, other);
    await page.click('.back');
    assert.equal(await page.locator('h1').innerText(), WORDS[other].title);
    await page.click(`nav a[lang=${language}]`);

    await page.locator('label[for=block]').click();
    await page.fill('#text', 'the city is wrong, write to me@mail.example');
    await page.click('form[action="/privacy/request"] button');
    await page.waitForURL(url => url.pathname.startsWith('/privacy/request/'));
    assert.equal(await said(), words.registered);
    await again(page, 'the block', async () => (await page.locator('main').innerText()).includes(words.blocked));
    const facts = await page.locator('.facts').innerText();
    assert.ok(facts.includes('[email]') && !facts.includes('mail.example'), facts);
    await isWhole(page, language);
    await shot('request');
    const link = new URL(await page.locator('.ticket').getAttribute('href'), page.url()).href;
    const number = /\d{4}-\d{4}/.exec(link)[0];
    const elsewhere = await browser.newContext({ locale });
    const follower = await elsewhere.newPage();
    await follower.goto(link);
    assert.ok((await follower.locator('h1').innerText()).includes(number));
    const wrong = await follower.goto(`${link.slice(0, -1)}${link.endsWith('A') ? 'B' : 'A'}`);
    assert.equal(wrong.status(), 404);
    assert.equal(await follower.locator('h1').innerText(), words.unknown);
    await isWhole(follower, language);
    await elsewhere.close();

    await page.click('.back');
    assert.ok((await page.locator('.requests').innerText()).includes(number));
    await page.locator('label[for=erase]').click();
    await page.click('form[action="/privacy/request"] button');
    await page.waitForURL(url => url.pathname.startsWith('/privacy/request/'));
    const erasure = await page.locator('.facts').innerText();
    assert.match(erasure, words.due);
    assert.ok(erasure.includes(words.officer), erasure);
    await page.click('.back');
    await shot('page-with-requests');
    await page.locator('label[for=erase]').click();
    await page.click('form[action="/privacy/request"] button');
    assert.ok((await said()).includes(words.again));
    await page.click('.back');

    await page.click('form[action="/privacy/opt-out"] button');
    await page.waitForURL(url => url.searchParams.get('said') === 'opted-out');
    assert.equal(await said(), words.out);
    assert.ok((await page.locator('main').innerText()).includes(words.nobody));
    assert.deepEqual((await context.cookies(metka.collector)).map(({ name }) => name), ['metka_optout']);
    await isWhole(page, language);
    await shot('opted-out');
    const gone = await page.goto(`${metka.collector}/privacy/data?s=${SITE}`);
    assert.equal(gone.status(), 403);
    await isWhole(page, language);
    assert.deepEqual(visitor.strange.filter(text => !/status of (403|503)/.test(text)), []);
    await context.close();
  });

test('the pages work without scripts, and each field is reached by the keyboard', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: 'ru-RU', userAgent: agent() });
  const page = await context.newPage();
  const image = context.waitForEvent('response', response => response.url().startsWith(`${metka.collector}/pixel.gif`));
  await page.goto(`${clinic.url}/demo/uslugi`);
  assert.equal((await image).headers()['x-metka'], 'ok');
  await page.goto(`${metka.collector}/privacy?s=${SITE}`);
  await page.focus('#access');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  await page.keyboard.type('без скриптов');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL(url => url.pathname.startsWith('/privacy/request/'));
  const facts = await page.locator('.facts').innerText();
  assert.ok(facts.includes('Исправить неверное') && facts.includes('без скриптов'), facts);
  await context.close();
});
