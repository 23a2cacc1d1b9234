// The officer's page, end to end in Chromium: a visitor's request from its registration to its answer, in Russian and in
// English, with the numbers of the dashboard beside it; the disclosure log, an incident, the trail, the policy, the second
// factor; and a viewer, who is refused.
//
// One visitor stays, so that a number is never zero. Each language has a visitor of its own, who is gone at its end.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
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
const PASSWORD = 'a long enough password 1';
const SECTIONS = ['overview', 'requests', 'disclosures', 'incidents', 'audit', 'policy', 'retention', 'account'];
const OVERVIEW = ['requests', 'incidents', 'policy', 'trail', 'retention', 'backup'];
/** Views of the visitor who stays, and of the one whose request it is. */
const STAYS = 1;
const VIEWS = 2;
/** The step of RFC 6238, in milliseconds. */
const STEP = 30_000;

/** What the page says in a language, where words matter. */
const WORDS = {
  ru: { due: /10 рабочих дней, ч\. 3 ст\. 14/, history: /уничтожено: \d+ запис/, by: 'А. Б., ответственный', left: /осталось/ },
  en: { due: /10 working days, 152-FZ art\. 14/, history: /erased: \d+ rows/, by: 'A. B., officer', left: /left/ },
};

let metka, clinic, browser;

before(async () => {
  mkdirSync(OUTPUT, { recursive: true });
  metka = await Metka.start({ site: SITE, more: '[operator]\nname = "Clinic LLC"\naddress = "1 Example Street"\n' });
  clinic = await serveClinic({ collector: metka.collector, site: SITE });
  browser = await launch();
  const { visitor } = await visit(['/demo/']);
  await visitor.context.close();
  for (const role of ['officer', 'viewer'])
    for (const language of Object.keys(WORDS))
      metka.run(['user', 'add', `${role}-${language}`, '--role', role, '--password-stdin'], `${PASSWORD}\n`);
});
after(async () => {
  await browser?.close();
  await clinic?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

/** Somebody looks at pages; returns the value of the cookie that they got. */
async function visit(paths) {
  const version = Number.parseInt(browser.version(), 10);
  const userAgent = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
  const context = await browser.newContext({ userAgent, locale: 'ru-RU', viewport: { width: 1280, height: 800 } });
  const visitor = await Visitor.of(context, metka.collector);
  let cookie;
  for (const path of paths) {
    await visitor.page.goto(`${clinic.url}${path}`);
    await visitor.viewed(path);
    // Who goes on before the first answer came gets another cookie there, by which the first hits are not found.
    cookie = await until('the cookie', async () =>
      (await context.cookies(metka.collector)).find(each => each.name === 'metka')?.value,
    );
  }
  await visitor.leave();
  await metka.settled(SITE);
  return { visitor, cookie };
}

/** Signs in at an address, in a browser of that language. */
async function signedIn(login, language, address) {
  const context = await browser.newContext({
    locale: language === 'ru' ? 'ru-RU' : 'en-US',
    viewport: { width: 1280, height: 900 },
    timezoneId: 'Europe/Moscow',
    acceptDownloads: true,
  });
  const visitor = await Visitor.of(context, metka.collector);
  const { page } = visitor;
  await page.goto(address);
  await enter(page, login);
  // The question of who is there, before signing in, is answered with 401: no fault.
  const faults = () => visitor.strange.filter(text => !/status of 401/.test(text));
  return { context, page, faults };
}

async function enter(page, login) {
  await page.fill('[name=login]', login);
  await page.fill('[name=password]', PASSWORD);
  await page.click('[data-form=password] button[type=submit]');
}

/** The place of the officer's page by its address, shown and loaded. */
async function open(page, place) {
  await page.goto(`${metka.web}/officer?site=${SITE}#${place}`);
  const [section, item = ''] = place.split('/');
  await page.locator(`[data-section=${section}][data-item="${item}"]`).waitFor();
  await loaded(page);
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

/** The page views that the dashboard shows, in a tab of its own. */
async function views(context) {
  const page = await context.newPage();
  await page.goto(`${metka.web}/?site=${SITE}&period=7d&compare=none`);
  const value = () => page.locator('[data-region=headline][data-state=ready] [data-metric=pageviews]').first().getAttribute('data-value');
  const found = Number(await value());
  await page.close();
  return found;
}

/** Does a job of the form, and returns the result's attributes. */
async function job(page, name, fill = async () => {}) {
  const form = page.locator('[data-form=job]');
  await form.locator(`[data-field=job] [data-option=${name}]`).click();
  await fill(form);
  await form.locator('button[type=submit]').click();
  if (name === 'erase') return undefined;
  const result = page.locator(`[data-result=${name}]`);
  const problem = await until(`${name} to be done, or not`, async () => {
    const text = await form.locator('[data-problem]').textContent();
    return text || ((await result.count()) === 1 && 'none');
  });
  assert.equal(problem, 'none');
  const rows = await result.locator('[data-result-rows]').getAttribute('data-result-rows');
  return { rows: Number(rows), result };
}

/** What is saved when this is done, as text, and its name. */
async function saved(page, deed) {
  const [download] = await Promise.all([page.waitForEvent('download'), deed()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), 'utf8') };
}

/** A moment as a field of a form takes it, by the site's clock, which is three hours ahead. */
const local = ms => new Date(ms + 3 * 3_600_000).toISOString().slice(0, 16);

/** The code of a secret, so many steps from now (RFC 6238). */
function code(secret, steps) {
  const bits = [...secret].map(letter => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map(byte => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / STEP) + steps));
  const mac = createHmac('sha1', key).update(counter).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, '0');
}

for (const [language, words] of Object.entries(WORDS)) {
  let officer, request;

  test(`an officer signs in and sees what needs attention (${language})`, async () => {
    officer = await signedIn(`officer-${language}`, language, `${metka.web}/officer?site=${SITE}`);
    const { page } = officer;
    await page.locator('[data-section=overview]').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), language);
    await loaded(page);
    const cards = await page.locator('[data-region^=overview-]').evaluateAll(all => all.map(each => each.dataset.region));
    assert.deepEqual(cards, OVERVIEW.map(name => `overview-${name}`));
  });

  test(`a request by cookie goes from its registration to its answer (${language})`, async () => {
    const { page, context, faults } = officer;
    const { visitor, cookie } = await visit(['/demo/', '/demo/uslugi']);
    await visitor.context.close();
    assert.equal(await views(context), STAYS + VIEWS);

    await page.click('[data-section-link=requests]');
    await page.click('[data-new-request]');
    const form = page.locator('[data-form=request]');
    await form.locator('[name=kind]').selectOption('access');
    await form.locator('[name=cookie]').fill(`metka=${cookie}`);
    await form.locator('[name=purpose]').fill('what is kept');
    await form.locator('button[type=submit]').click();
    const shown = page.locator('[data-request][data-request-state]');
    await shown.waitFor();
    request = await shown.getAttribute('data-request');
    assert.match(await page.locator('[data-card=request]').textContent(), words.due);
    const kept = await page.evaluate(() => [location.href, document.title, JSON.stringify({ ...localStorage, ...sessionStorage })].join());
    assert.ok(!kept.includes(cookie) && page.url().endsWith(`#requests/${request}`), kept);

    const found = await job(page, 'find');
    assert.ok(found.rows >= VIEWS, `${found.rows} rows`);
    assert.equal(await found.result.locator('[data-blocked]').getAttribute('data-blocked'), 'false');

    const file = await saved(page, async () => {
      const exported = await job(page, 'export', form => form.locator('[name=format]').selectOption('json'));
      assert.equal(exported.rows, found.rows);
    });
    assert.match(file.name, new RegExp(`^${request}-.*\\.json$`));
    assert.ok(JSON.parse(file.text), 'the export is JSON');
    assert.ok(file.text.includes('/demo/uslugi') && !file.text.includes(cookie));

    const blocked = await job(page, 'block');
    assert.equal(await blocked.result.locator('[data-blocked]').getAttribute('data-blocked'), 'true');
    assert.equal(await views(context), STAYS);
    await job(page, 'unblock');
    assert.equal(await views(context), STAYS + VIEWS);

    const rectified = await job(page, 'rectify', async form => {
      await form.locator('[name=field]').selectOption('city');
      await form.locator('[name=value]').fill('Tver');
    });
    assert.equal(rectified.rows, found.rows);
    assert.equal(await page.locator('[data-form=job] [name=value]').inputValue(), '');

    // An erasure says how many rows go, and does nothing before it is confirmed.
    await job(page, 'erase');
    const dialog = page.locator('[data-dialog=erase]');
    await dialog.waitFor();
    assert.equal(await dialog.locator('[data-rows]').getAttribute('data-rows'), String(found.rows));
    await dialog.locator('[name=by]').fill(words.by);
    await dialog.locator('button[type=submit]').click();
    assert.equal(await dialog.locator('[name=sure]').evaluate(box => box.validity.valueMissing), true);
    assert.equal(await views(context), STAYS + VIEWS);
    await page.screenshot({ path: join(OUTPUT, `officer-erase-${language}.png`) });
    await dialog.locator('[name=sure]').check();
    await dialog.locator('button[type=submit]').click();
    const act = page.locator('[data-result=erase] [data-act]');
    await act.waitFor();
    assert.equal(await dialog.count(), 0);
    assert.equal(await views(context), STAYS);

    const [paper] = await Promise.all([context.waitForEvent('page'), act.click()]);
    await paper.waitForLoadState();
    const text = await paper.locator('body').textContent();
    assert.ok(text.includes(request) && text.includes(words.by), text);
    await paper.close();
    await page.locator('[data-card=acts] [data-act]').waitFor();
    assert.match(await page.locator('[data-card=history]').textContent(), words.history);

    await page.click('[data-step=close]');
    await page.fill('[data-form=close] [name=answer]', 'answered in writing');
    await page.click('[data-form=close] button[type=submit]');
    await page.locator('[data-request-state=done]').waitFor();
    assert.equal(await page.locator('[data-card=steps]').count(), 0);
    assert.deepEqual(faults(), []);
  });

  test(`a disclosure is made, saved and in the log (${language})`, async () => {
    const { page, faults } = officer;
    await open(page, 'disclosures/new');
    const form = page.locator('[data-form=disclosure]');
    await form.locator('[name=recipient_kind]').selectOption('quality');
    await form.locator('[name=recipient]').fill('Quality LLC');
    await form.locator('[name=basis]').fill('clause 5.2, contract 7');
    await form.locator('[name=purpose]').fill('quality of calls');
    await form.locator('[data-field=scope] [data-option=range]').click();
    await form.locator('[name=range_from]').fill(local(Date.now() - 3_600_000));
    await form.locator('[name=range_to]').fill(local(Date.now() + 60_000));
    await form.locator('[name=format]').selectOption('csv');
    const file = await saved(page, () => form.locator('button[type=submit]').click());
    const number = await page.locator('[data-result=disclosure] [data-disclosure]').getAttribute('data-disclosure');
    assert.equal(file.name, `${number}.csv`);
    assert.ok(file.text.includes('/demo/') && !file.text.includes('/demo/uslugi'), file.text);
    await open(page, 'disclosures');
    assert.match(await page.locator(`[data-disclosure="${number}"]`).textContent(), /Quality LLC/);
    assert.deepEqual(faults(), []);
  });

  test(`an incident has clocks, a notice in both languages and a step that is done (${language})`, async () => {
    const { page, faults } = officer;
    await open(page, 'incidents/new');
    const form = page.locator('[data-form=incident]');
    await form.locator('[name=kind]').selectOption('disclosure');
    await form.locator('[name=from]').fill(local(Date.now() - 3_600_000));
    await form.locator('[name=to]').fill(local(Date.now() + 60_000));
    await form.locator('[name=what]').fill('a copy was left open');
    await form.locator('button[type=submit]').click();
    await page.locator('[data-incident-state=open]').waitFor();
    assert.match(await page.locator('[data-clock=first_notice]').textContent(), words.left);
    assert.equal(await page.locator('[data-count=visitors]').getAttribute('data-value'), '1');
    for (const each of ['ru', 'en']) {
      await page.click(`[data-notice=${each}]`);
      const notice = page.locator(`.notice-text[lang=${each}]`);
      assert.match(await notice.textContent(), each === 'ru' ? /[а-я]/ : /[a-z]/);
    }
    await page.click('[data-done=first_notice]');
    await page.locator('[data-clock=first_notice][data-clock-state=done]').waitFor();
    await page.fill('[data-form=match] [name=keys]', 'nobody-1\nnobody-2');
    await page.click('[data-form=match] button[type=submit]');
    await page.locator('[data-result=match][data-value="0"]').waitFor();
    assert.equal(await page.inputValue('[data-form=match] [name=keys]'), '');
    await page.fill('[data-form=close-incident] [name=result]', 'closed off');
    await page.click('[data-form=close-incident] button[type=submit]');
    await page.locator('[data-incident-state=closed]').waitFor();
    assert.deepEqual(faults(), []);
  });

  test(`the trail is proved, the policy shown, and a dry run removes nothing (${language})`, async () => {
    const { page, context, faults } = officer;
    await open(page, 'audit');
    await page.click('[data-verify]');
    assert.match(await page.locator('[data-verified=yes] [data-anchor]').getAttribute('data-anchor'), /^\d+:[0-9a-f]+$/);
    await page.locator('.office-main [name=action]').selectOption('subject_erased');
    await until('only erasures', async () => {
      const actions = await page.locator('[data-entry]').evaluateAll(all => all.map(each => each.dataset.action));
      return actions.length > 0 && actions.every(action => action === 'subject_erased');
    });
    assert.match(await page.locator('[data-entry]').first().textContent(), new RegExp(request));

    await open(page, 'policy');
    assert.ok((await page.locator('[data-clause]').count()) > 5);
    const table = await saved(page, () => page.click('[data-policy-save]'));
    assert.equal(JSON.parse(table.text).site, SITE);
    const [paper] = await Promise.all([context.waitForEvent('page'), page.click('[data-policy-page]')]);
    await paper.waitForLoadState();
    assert.equal(await paper.locator('html').getAttribute('lang'), language);
    await paper.close();

    await open(page, 'retention');
    await page.click('[data-dry-run]');
    await page.locator('[data-report=dry]').waitFor();
    assert.equal(await views(context), STAYS);
    assert.deepEqual(faults(), []);
  });

  test(`a second factor is set up, asked for and removed (${language})`, async () => {
    const { page } = officer;
    await open(page, 'account');
    await page.fill('[data-form=totp-begin] [name=current]', PASSWORD);
    await page.click('[data-form=totp-begin] button[type=submit]');
    const secret = (await page.locator('[data-secret-text]').textContent()).replaceAll(' ', '');
    assert.match(await page.locator('[data-otpauth]').getAttribute('href'), /^otpauth:\/\/totp\//);
    // The oldest code that is taken, so that later ones are left: it must not run out on its way.
    await until('a code with time left', () => Date.now() % STEP < STEP / 2, STEP);
    await page.fill('[data-form=totp-confirm] [name=code]', code(secret, -1));
    await page.click('[data-form=totp-confirm] button[type=submit]');
    await page.locator('[data-totp=true]').waitFor();

    await officer.context.close();
    officer = await signedIn(`officer-${language}`, language, `${metka.web}/officer`);
    await officer.page.locator('[name=totp]').fill(code(secret, 0));
    await officer.page.click('[data-form=password] button[type=submit]');
    await officer.page.locator('[data-section=overview]').waitFor();

    await open(officer.page, 'account');
    await officer.page.fill('[data-form=totp-remove] [name=current]', PASSWORD);
    await officer.page.fill('[data-form=totp-remove] [name=code]', code(secret, 1));
    await officer.page.click('[data-form=totp-remove] button[type=submit]');
    await officer.page.locator('[data-totp=false]').waitFor();
  });

  test(`every section fits a phone (${language})`, async () => {
    const { page, faults } = officer;
    await page.setViewportSize({ width: 390, height: 844 });
    for (const section of [...SECTIONS, `requests/${request}`]) {
      await open(page, section);
      await page.screenshot({ path: join(OUTPUT, `officer-${section.replace('/', '-')}-${language}.png`), fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${section} is ${overflow} pixels too wide`);
    }
    assert.deepEqual(faults(), []);
    await officer.context.close();
  });

  test(`a viewer is not offered the officer's page, and is refused there (${language})`, async () => {
    const { context, page, faults } = await signedIn(`viewer-${language}`, language, `${metka.web}/?site=${SITE}`);
    await page.click('.menu .popover-button');
    await page.locator('.menu .popover-panel').waitFor();
    assert.equal(await page.locator('[data-to-officer]').count(), 0);
    await page.click('[data-second-factor]');
    await page.locator('[data-dialog=second-factor] [data-form=totp-begin]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('[data-dialog=second-factor]').waitFor({ state: 'detached' });
    await page.goto(`${metka.web}/officer#audit`);
    await page.locator('[data-denied]').waitFor();
    assert.match(await page.locator('[data-denied]').textContent(), /officer/);
    assert.equal(await page.locator('[data-section]').count(), 0);
    assert.deepEqual(faults(), []);
    await context.close();
  });
}
