// The dashboard beyond its main page, end to end in Chromium, in Russian and in English: an owner makes goals, a funnel,
// a segment, a note and a shared link, and sees what came of them; gives somebody an account and a program a token, and
// takes both away again; a guest comes by the link until it is removed; a viewer may what a viewer may.
//
// One visitor walks from the prices to the booking, so that goals and funnel have one conversion each.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
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
const SECTIONS = ['goals', 'funnels', 'segments', 'notes', 'links', 'reports', 'embed'];
const VIEWERS = ['goals', 'funnels', 'segments', 'notes', 'embed'];
const PANELS = ['goals', 'funnels', 'journeys', 'retention'];

/** What people call things in a language. */
const WORDS = {
  ru: { prices: 'Смотрели цены', booking: 'Открыли запись', funnel: 'Приём', segment: 'Без источника', note: 'Началась реклама', once: /один раз/, gone: /больше не действует/ },
  en: { prices: 'Saw the prices', booking: 'Opened the booking', funnel: 'Appointment', segment: 'No source', note: 'A campaign began', once: /only once/, gone: /no longer valid/ },
};

let metka, clinic, browser;

before(async () => {
  mkdirSync(OUTPUT, { recursive: true });
  metka = await Metka.start({ site: SITE });
  clinic = await serveClinic({ collector: metka.collector, site: SITE });
  browser = await launch();
  const version = Number.parseInt(browser.version(), 10);
  const userAgent = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
  const context = await browser.newContext({ userAgent, locale: 'ru-RU', viewport: { width: 1280, height: 800 } });
  const visitor = await Visitor.of(context, metka.collector);
  for (const path of ['/demo/', '/demo/ceny', '/demo/zapis']) {
    await visitor.page.goto(`${clinic.url}${path}`);
    await visitor.viewed(path);
    await until('the cookie', async () => (await context.cookies(metka.collector)).some(each => each.name === 'metka'));
  }
  await visitor.leave();
  await context.close();
  await metka.settled(SITE);
  for (const role of ['owner', 'viewer'])
    for (const language of Object.keys(WORDS))
      metka.run(['user', 'add', `${role}-${language}`, '--role', role, '--password-stdin'], `${PASSWORD}\n`);
});
after(async () => {
  await browser?.close();
  await clinic?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

/** A browser of a language, which notes what is strange. */
async function browserOf(language) {
  const context = await browser.newContext({
    locale: language === 'ru' ? 'ru-RU' : 'en-US',
    viewport: { width: 1280, height: 900 },
    timezoneId: 'Europe/Moscow',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const visitor = await Visitor.of(context, metka.collector);
  const { page } = visitor;
  // The question of who is there, before signing in, is answered with 401: no fault. So is a link that was removed.
  const faults = () => visitor.strange.filter(text => !/status of 401/.test(text));
  return { context, page, faults };
}

async function signedIn(login, language, address) {
  const here = await browserOf(language);
  await here.page.goto(address);
  await here.page.fill('[name=login]', login);
  await here.page.fill('[name=password]', PASSWORD);
  await here.page.click('[data-form=password] button[type=submit]');
  return here;
}

/** A section of the settings by its address, shown and loaded. */
async function open(page, place) {
  await page.goto(`${metka.web}/settings?site=${SITE}#${place}`);
  const [section, item = ''] = place.split('/');
  await page.locator(`[data-section=${section}][data-item="${item}"]`).waitFor();
  await page.locator('[data-region=settings][data-state=ready]').waitFor();
}

/** Fills the form of a thing and sends it; the list is there again. */
async function keep(page, name, fields, more = async () => {}) {
  const form = page.locator(`[data-form=${name}]`);
  for (const [field, value] of Object.entries(fields)) await form.locator(`[name=${field}]`).fill(value);
  await more(form);
  await form.locator('button[type=submit]').click();
}

/** The line of a thing in the list of its section. */
const line = (page, name) => page.locator('tr[data-row]', { hasText: name });

async function removed(page, name) {
  await line(page, name).locator('[data-remove]').click();
  const dialog = page.locator('[data-dialog=remove]');
  await dialog.waitFor();
  await dialog.locator('[data-confirmed]').click();
  await dialog.waitFor({ state: 'detached' });
  await line(page, name).waitFor({ state: 'detached' });
}

/** The panels beyond, once one has scrolled to them and all are answered. */
async function beyond(page, search = '') {
  await page.goto(`${metka.web}/?site=${SITE}&period=7d&compare=none${search}`);
  await page.locator('[data-region=headline][data-state=ready]').first().waitFor();
  await page.evaluate(() => document.querySelector('[data-beyond-door]')?.scrollIntoView());
  for (const panel of PANELS) {
    const state = () => page.locator(`[data-panel=${panel}]`).getAttribute('data-state');
    await until(`${panel} to be answered`, async () => ['ready', 'empty'].includes(await state()));
  }
}

const fits = async (page, what) => {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${what} is ${overflow} pixels too wide`);
};

for (const [language, words] of Object.entries(WORDS)) {
  let owner, address;

  test(`an owner is told how to begin, and makes goals and a funnel (${language})`, async () => {
    owner = await signedIn(`owner-${language}`, language, `${metka.web}/settings?site=${SITE}`);
    const { page, faults } = owner;
    await page.locator('[data-section=goals]').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), language);
    await beyond(page);
    for (const panel of ['goals', 'funnels'])
      assert.match(await page.locator(`[data-panel=${panel}] [data-first] a`).getAttribute('href'), /#goals\/new$/);

    await page.click('[data-panel=goals] [data-first] a');
    await keep(page, 'goal', { name: words.prices }, async form => {
      await form.locator('[data-option=page]').click();
      await form.locator('[name=value]').fill('/demo/ceny');
    });
    await line(page, words.prices).waitFor();
    await open(page, 'funnels');
    await page.locator('[data-need-goals]').waitFor();
    await open(page, 'goals/new');
    await keep(page, 'goal', { name: words.booking }, async form => {
      await form.locator('[data-option=page]').click();
      await form.locator('[name=value]').fill('/demo/zapis');
    });
    await line(page, words.booking).waitFor();

    // A name is of its own: the server says so, and the form stays as it is.
    await open(page, 'goals/new');
    await keep(page, 'goal', { name: words.booking, value: 'zapis' });
    await page.locator('[data-form=goal] [data-problem]:not(:empty)').waitFor();
    assert.equal(await page.locator('[data-form=goal] [name=value]').inputValue(), 'zapis');

    await open(page, 'funnels/new');
    await keep(page, 'funnel', { name: words.funnel }, async form => {
      await form.locator('[name=step]').selectOption({ label: words.booking });
      await form.locator('[data-add-step]').click();
      await form.locator('button[type=submit]').click();
      await page.locator('[data-form=funnel] [data-problem]:not(:empty)').waitFor();
      await form.locator('[data-add-step]').click();
      // By keyboard: the prices go first, and the button keeps the focus.
      const up = form.locator('[data-step]').nth(1).locator('[data-up]');
      await up.focus();
      await page.keyboard.press('Enter');
      assert.equal(await page.evaluate(() => document.activeElement?.matches('[data-up]')), true);
    });
    await line(page, words.funnel).waitFor();
    const steps = await line(page, words.funnel).locator('li').allTextContents();
    assert.deepEqual(steps, [words.prices, words.booking]);
    assert.deepEqual(faults().filter(text => !/status of 400/.test(text)), []);
  });

  test(`goals, funnel and journeys show the one visit, and a click filters (${language})`, async () => {
    const { page, faults } = owner;
    await beyond(page);
    for (const name of [words.prices, words.booking])
      assert.equal(await page.locator(`[data-panel=goals] [data-row="${name}"]`).getAttribute('data-value'), '1', name);
    const funnel = page.locator('[data-panel=funnels] [data-step]');
    assert.deepEqual(await funnel.evaluateAll(all => all.map(each => [each.dataset.step, each.dataset.value])), [
      [words.prices, '1'],
      [words.booking, '1'],
    ]);
    const journeys = page.locator('[data-panel=journeys]');
    assert.equal(await journeys.locator('[data-step="/demo/ceny /demo/zapis"]').getAttribute('data-value'), '1');
    await journeys.locator('[data-ends=entries] [data-page="/demo/"]').click();
    await journeys.locator('[data-journeys=around][data-page="/demo/"]').waitFor();
    assert.equal(await journeys.locator('[data-side=after] [data-row="/demo/ceny"]').getAttribute('data-value'), '1');
    await journeys.locator('[data-choice=table]').click();
    assert.ok((await journeys.locator('[data-journeys=table] tbody tr').count()) >= 2);
    await page.locator('[data-panel=retention] [data-cohorts] [data-week]').first().waitFor();

    await page.locator(`[data-panel=goals] [data-row="${words.prices}"] button`).click();
    await page.locator('[data-filter="event:goal"]').waitFor();
    assert.match(decodeURIComponent(page.url()), /f=is,event:goal,/);
    await page.screenshot({ path: join(OUTPUT, `beyond-${language}.png`), fullPage: true });
    assert.deepEqual(faults().filter(text => !/status of 400/.test(text)), []);
  });

  test(`filters are kept as a segment and a day gets a note, from the page itself (${language})`, async () => {
    const { page } = owner;
    await beyond(page, '&f=is,visit:channel,direct');
    await page.click('.keep:not(.keep-note) .popover-button');
    await page.fill('[data-form=segment] [name=name]', words.segment);
    await page.click('[data-form=segment] button[type=submit]');
    await page.locator('[data-segment][aria-pressed=true]', { hasText: words.segment }).waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement?.matches('.popover-button')), true);

    await page.click('.keep-note .popover-button');
    await page.fill('[data-form=note] [name=text]', words.note);
    await page.click('[data-form=note] button[type=submit]');
    await page.locator('[data-form=note] .keep-done:not(:empty)').waitFor();

    await open(page, 'notes');
    await removed(page, words.note);
    await open(page, 'segments');
    await line(page, words.segment).locator('[data-change]').click();
    await keep(page, 'segment', { name: `${words.segment} 2` });
    await removed(page, `${words.segment} 2`);
  });

  test(`a shared link is shown once, shows a narrowed page to anybody, and ends when it is removed (${language})`, async () => {
    const { page } = owner;
    await open(page, 'links/new');
    await keep(page, 'link', { name: words.funnel }, async form => {
      await form.locator('[data-add-filter]').click();
      await form.locator('[name=dimension-0]').selectOption('event:page');
      await form.locator('[name=value-0]').fill('/demo/ceny');
    });
    const once = page.locator('[data-once=link]');
    await once.waitFor();
    assert.match(await once.locator('h2').textContent(), words.once);
    address = await once.locator('[data-secret-text]').textContent();
    await once.locator('[data-copy]').click();
    assert.equal(await until('the copied address', () => page.evaluate(() => navigator.clipboard.readText())), address);
    await once.locator('[data-once-done]').click();
    await line(page, words.funnel).waitFor();
    assert.ok(!(await page.locator('body').textContent()).includes(address.split('/share/')[1]), 'the secret is shown once');

    const guest = await browserOf(language);
    const path = new URL(address).pathname;
    assert.match(path, /^\/share\/[\w-]+$/);
    await guest.page.goto(`${metka.web}${path}`);
    await guest.page.locator(`[data-shared=${SITE}]`).waitFor();
    await guest.page.locator(`[data-site=${SITE}]`).waitFor();
    await guest.page.click('.menu .popover-button');
    await guest.page.locator('.menu .popover-panel').waitFor();
    assert.equal(await guest.page.locator('.menu-who, [data-form=password], [data-own-hit-open], [data-second-factor], .menu-links a').count(), 0);
    assert.deepEqual(await guest.context.cookies(metka.web), []);
    await guest.page.setViewportSize({ width: 390, height: 844 });
    await fits(guest.page, 'the shared page');
    assert.deepEqual(guest.faults(), []);

    await removed(page, words.funnel);
    await guest.page.reload();
    await guest.page.locator('[data-link-gone]').waitFor();
    assert.match(await guest.page.locator('[data-link-gone] h1').textContent(), words.gone);
    await guest.context.close();
  });

  test(`reports need mail, the line to embed is there, and its hits have arrived (${language})`, async () => {
    const { page } = owner;
    await open(page, 'reports');
    await page.locator('[data-no-mail]').waitFor();
    assert.equal(await page.locator('[data-new=reports]').getAttribute('aria-disabled'), 'true');
    await open(page, 'embed');
    await page.locator('[data-check=arrived]').waitFor();
    assert.match(await page.locator('[data-card=script] code').textContent(), /data-site="clinic"/);
    await page.locator('[data-card=script] [data-copy]').click();
    await until('the copied line', async () => /pixel\.js/.test(await page.evaluate(() => navigator.clipboard.readText())));
  });

  test(`an account and a token are made, used and taken away (${language})`, async () => {
    const { page } = owner;
    const login = `temporary-${language}`;
    await page.goto(`${metka.web}/people#people/new`);
    await keep(page, 'person', { login }, async form => {
      await form.locator('[data-make-up]').click();
      await until('a password', async () => (await form.locator('[name=password]').inputValue()).length > 20);
    });
    const row = page.locator(`tr[data-row="${login}"]`);
    await row.waitFor();
    await row.locator('[data-change]').click();
    await page.locator('[data-form=change] [data-option=security]').click();
    await page.click('[data-form=change] button[type=submit]');
    await page.locator(`tr[data-row="${login}"][data-role=security]`).waitFor();
    await row.locator('[data-remove]').click();
    await page.locator('[data-dialog=remove] [data-confirmed]').click();
    await row.waitFor({ state: 'detached' });
    // Nobody takes their own rights away.
    assert.equal(await page.locator(`tr[data-row="owner-${language}"] button`).count(), 0);

    await page.goto(`${metka.web}/people#tokens/new`);
    await keep(page, 'token', { name: `script-${language}` });
    const once = page.locator('[data-once=token]');
    await once.waitFor();
    const token = await once.locator('[data-secret-text]').textContent();
    const status = async () =>
      (await fetch(`${metka.web}/api/v1/sites`, { headers: { authorization: `Bearer ${token}` } })).status;
    assert.equal(await status(), 200);
    await once.locator('[data-once-done]').click();
    await line(page, `script-${language}`).locator('[data-revoke]').click();
    await page.locator('[data-dialog=revoke] [data-confirmed]').click();
    await line(page, `script-${language}`).waitFor({ state: 'detached' });
    assert.equal(await status(), 401);
  });

  test(`every section fits a phone (${language})`, async () => {
    const { page } = owner;
    await page.setViewportSize({ width: 390, height: 844 });
    for (const section of [...SECTIONS, 'goals/new', 'funnels/new', 'links/new', 'notes/new']) {
      await open(page, section);
      await page.screenshot({ path: join(OUTPUT, `settings-${section.replace('/', '-')}-${language}.png`), fullPage: true });
      await fits(page, section);
    }
    for (const section of ['people', 'people/new', 'tokens', 'tokens/new', 'roles']) {
      await page.goto(`${metka.web}/people#${section}`);
      await page.locator(`[data-section=${section.split('/')[0]}]`).waitFor();
      await page.screenshot({ path: join(OUTPUT, `people-${section.replace('/', '-')}-${language}.png`), fullPage: true });
      await fits(page, section);
    }
    await beyond(page);
    await fits(page, 'the dashboard');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  test(`a goal that is a step stays, and all of it can be taken away (${language})`, async () => {
    const { page, context, faults } = owner;
    await open(page, 'goals');
    await line(page, words.prices).locator('[data-remove]').click();
    await line(page, words.prices).locator('[role=alert]').waitFor();
    assert.equal(await page.locator('[data-dialog]').count(), 0);
    await open(page, 'funnels');
    await removed(page, words.funnel);
    await open(page, 'goals');
    for (const name of [words.prices, words.booking]) await removed(page, name);
    await page.locator('[data-region=goals][data-state=empty]').waitFor();
    assert.deepEqual(faults().filter(text => !/status of 400/.test(text)), []);
    await context.close();
  });

  test(`a viewer keeps notes, and changes nothing else (${language})`, async () => {
    const { context, page, faults } = await signedIn(`viewer-${language}`, language, `${metka.web}/settings?site=${SITE}`);
    await page.locator('[data-section=goals]').waitFor();
    const sections = await page.locator('[data-section-link]').evaluateAll(all => all.map(each => each.dataset.sectionLink));
    assert.deepEqual(sections, VIEWERS);
    assert.equal(await page.locator('[data-new], [data-remove], [data-change]').count(), 0);
    assert.equal(await page.locator('[data-page-link=people], [data-page-link=officer]').count(), 0);
    await open(page, 'notes/new');
    await keep(page, 'note', { text: words.note });
    await removed(page, words.note);
    await page.goto(`${metka.web}/people`);
    await page.locator('[data-denied]').waitFor();
    assert.equal(await page.locator('[data-people]').count(), 0);
    assert.deepEqual(faults(), []);
    await context.close();
  });
}
