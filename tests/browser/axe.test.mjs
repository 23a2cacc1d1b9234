// Every page of ours before axe-core, by the rules of WCAG 2.0 to 2.2, A and AA: in Russian and English, light and dark,
// wide and on a phone, there is nothing to report. A new page is a line in PAGES.
//
// The demo clinic stands for a site that embeds the pixel, so it is looked at and reported, and fails nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const SITE = 'clinic';
/** A page of many questions is waited for so long, on a machine that may be busy. */
const BUSY = 120_000;
const PASSWORD = 'a long enough password 1';
const LANGUAGES = { ru: 'ru-RU', en: 'en-US' };
const LOOKS = ['light', 'dark'].flatMap(colorScheme => [
  { colorScheme, name: `${colorScheme}, wide`, size: { width: 1280, height: 900 } },
  { colorScheme, name: `${colorScheme}, phone`, size: { width: 390, height: 844 } },
]);

const dashboard = search => async page => {
  await page.goto(`${metka.web}/?site=${SITE}&period=7d${search}`);
  await loaded(page);
};
const office = place => async page => {
  await page.goto(`${metka.web}/officer?site=${SITE}#${place()}`);
  const [section, item = ''] = place().split('/');
  await page.locator(`[data-section=${section}][data-item="${item}"]`).waitFor();
  await loaded(page);
};
const kept = (path, place) => async page => {
  await page.goto(`${metka.web}${path}?site=${SITE}#${place}`);
  const [section, item = ''] = place.split('/');
  await page.locator(`[data-section=${section}][data-item="${item}"]`).waitFor();
  await loaded(page);
};
/** Statistics of addresses, which are shown once it is said what for. */
const addresses = async page => {
  await kept('/security', 'addresses')(page);
  await page.locator('[data-looking-for]').selectOption('support');
  await page.locator('[data-narrow]').first().waitFor();
  await loaded(page);
};
const privacy = path => async page => {
  await page.goto(metka.collector + path());
};
const web = path => async page => {
  await page.goto(metka.web + path());
};

/**
 * Who looks (nobody, a person with that login, a visitor with a cookie), and how the page is reached; `ours` is false for
 * what is only reported.
 */
const PAGES = [
  { name: 'sign-in', open: web(() => '/login') },
  { name: 'dashboard', who: 'owner', open: dashboard('') },
  { name: 'dashboard, filtered, other tabs', who: 'owner', open: dashboard('&compare=year&metric=bounce_rate&by=hour&pages=exit&sources=utm_campaign&places=city&devices=screen&f=is,event:page,/ceny') },
  { name: 'dashboard, marked hits', who: 'owner', open: dashboard('&marked=1') },
  { name: 'dashboard of a viewer', who: 'viewer', open: dashboard('') },
  {
    name: 'dashboard, a list with all rows',
    who: 'owner',
    open: async page => {
      await dashboard('&compare=none')(page);
      await page.locator('[data-panel=pages] [data-all]').click();
      await page.locator('[data-list][data-state=ready]').waitFor();
    },
  },
  {
    name: 'dashboard, the own hit',
    who: 'owner',
    open: async page => {
      await dashboard('')(page);
      await page.locator('[data-own-hit-open]').first().click({ timeout: 5000 }).catch(() => {});
    },
  },
  {
    name: 'a site without hits',
    who: 'owner',
    open: async page => {
      await page.goto(`${metka.web}/?site=empty`);
      await loaded(page);
    },
  },
  ...['overview', 'requests', 'requests/new', 'requests/person', 'disclosures', 'disclosures/new', 'incidents', 'incidents/new', 'audit', 'policy', 'retention', 'account'].map(place => ({
    name: `officer: ${place}`,
    who: 'owner',
    open: office(() => place),
  })),
  ...['goals', 'goals/new', 'funnels', 'funnels/new', 'segments', 'notes', 'links', 'links/new', 'reports', 'embed'].map(place => ({
    name: `settings: ${place}`,
    who: 'owner',
    open: kept('/settings', place),
  })),
  ...['check', 'case', 'addresses'].map(place => ({ name: `security: ${place}`, who: 'owner', open: kept('/security', place) })),
  {
    name: 'security: the answer of a check',
    who: 'owner',
    open: async page => {
      await kept('/security', 'check')(page);
      await page.fill('[name=cookie]', 'v1.1.20260101.forged');
      await page.click('[data-form=check] button[type=submit]');
      await page.locator('[data-result=check] [data-silences] summary').click();
    },
  },
  {
    name: 'security: a case file',
    who: 'owner',
    open: async page => {
      await kept('/security', 'case')(page);
      await page.fill('[name=cookie]', made.cookie);
      await page.fill('[name=words]', 'ticket 12');
      await page.click('[data-form=case] button[type=submit]');
      await page.locator('[data-result=case] [data-visit]').first().waitFor();
    },
  },
  {
    name: 'security: addresses, for a purpose',
    who: 'owner',
    open: addresses,
  },
  {
    name: 'security: an address that was opened',
    who: 'owner',
    open: async page => {
      await addresses(page);
      await page.locator('[data-narrow]').first().click();
      await page.locator('[data-only=address]').waitFor();
      await loaded(page);
      await page.locator('[data-open]').first().click();
      await page.fill('[data-dialog=open-address] [name=words]', 'ticket 12');
      await page.click('[data-dialog=open-address] button[type=submit]');
      await page.locator('[data-opened]').waitFor();
    },
  },
  { name: 'security of a viewer', who: 'viewer', open: web(() => `/security?site=${SITE}`) },
  ...['people', 'tokens'].map(place => ({ name: `people: ${place}`, who: 'owner', open: kept('/people', place) })),
  { name: 'officer: a request', who: 'owner', open: office(() => `requests/${made.request}`) },
  { name: 'officer: an incident', who: 'owner', open: office(() => `incidents/${made.incident}`) },
  { name: 'officer: a disclosure', who: 'owner', open: office(() => `disclosures/${made.disclosure}`) },
  { name: 'paper: the policy', who: 'owner', open: async (page, language) => web(() => `/api/v1/policy?site_id=${SITE}&format=html&language=${language}`)(page) },
  { name: 'paper: an act', who: 'owner', open: web(() => `/api/v1/acts/${made.act}`) },
  { name: 'what the collector sees', who: 'owner', open: web(() => '/debug/hit') },
  { name: 'privacy, without a cookie', open: privacy(() => `/privacy?s=${SITE}`) },
  { name: 'privacy, of which site', open: privacy(() => '/privacy') },
  { name: 'privacy', who: 'visitor', open: privacy(() => `/privacy?s=${SITE}`) },
  {
    name: 'privacy: what is kept',
    who: 'visitor',
    open: async page => {
      await page.goto(`${metka.collector}/privacy?s=${SITE}`);
      await page.click('form[action="/privacy/data"] button');
      await until('what is kept', async () => {
        if ((await page.locator('.hits').count()) === 1) return true;
        await page.reload();
        return false;
      });
      await page.locator('details summary').first().click();
    },
  },
  {
    name: 'privacy: a request',
    who: 'visitor',
    open: async page => {
      await page.goto(`${metka.collector}/privacy?s=${SITE}`);
      await page.locator('label[for=access]').click();
      await page.fill('#text', 'what is kept?');
      await page.click('form[action="/privacy/request"] button');
      await page.waitForURL(url => url.pathname.startsWith('/privacy/request/'));
    },
  },
  { name: 'privacy: an unknown request', open: privacy(() => '/privacy/request/2026-0001-AAAA') },
  {
    name: 'privacy: opted out',
    open: async page => {
      await page.goto(`${metka.collector}/privacy?s=${SITE}`);
      await page.click('form[action="/privacy/opt-out"] button');
      await page.waitForURL(url => url.searchParams.get('said') === 'opted-out');
    },
  },
  ...['/demo/', '/demo/uslugi', '/demo/ceny', '/demo/zapis', '/demo/spa/'].map(path => ({ name: path, ours: false, open: web(() => path) })),
];

let metka, browser, token;
/** Numbers of what was registered. */
const made = {};

before(async () => {
  metka = await Metka.start({
    site: SITE,
    demo: true,
    more: 'contact = "privacy@clinic.example"\npolicy_url = "https://clinic.example/policy"\n[[site]]\nid = "empty"\nhosts = ["empty.example"]\n[operator]\nname = "Clinic LLC"\naddress = "1 Example Street"\n',
  });
  for (const role of ['owner', 'viewer']) metka.run(['user', 'add', role, '--role', role, '--password-stdin'], `${PASSWORD}\n`);
  token = metka.token();
  browser = await launch();
  await history();
  await papers();
});
after(async () => {
  await browser?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

const agent = () =>
  `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${Number.parseInt(browser.version(), 10)}.0.0.0 Safari/537.36`;

const hit = more => ({ s: SITE, u: 'http://127.0.0.1/ceny', k: 'pageview', w: 1280, ...more });
/** Hits of the pages' kinds: so many pages that a panel has a list of all, and each breakdown has rows. */
const HITS = [
  ...Array.from({ length: 14 }, (_, at) => hit({ u: `http://127.0.0.1/page-${at}?utm_campaign=spring&utm_source=mail&utm_medium=letter`, r: 'https://yandex.ru/' })),
  hit({ k: 'event', n: 'signup', p: { kind: 'first' } }),
  hit({ k: 'ad_view', ad: 'banner-1' }),
  hit({ k: 'ad_viewable', ad: 'banner-1' }),
  hit({ k: 'ad_click', ad: 'banner-1' }),
];
const send = (request, hits) =>
  request.post(`${metka.collector}/event`, { timeout: BUSY, headers: { 'content-type': 'text/plain', 'user-agent': agent() }, data: JSON.stringify(hits) });

async function history() {
  const context = await browser.newContext({ userAgent: agent() });
  await send(context.request, [hit()]);
  await send(context.request, HITS);
  made.cookie = (await context.cookies(metka.collector)).find(each => each.name === 'metka').value;
  await metka.settled(SITE);
  await context.close();
}

async function posted(path, body) {
  const answer = await fetch(metka.web + path, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const text = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}

/** One of each thing that the officer's page shows. */
async function papers() {
  const [from, to] = [new Date(Date.now() - 3_600_000).toISOString(), new Date(Date.now() + 60_000).toISOString()];
  const who = { cookie: made.cookie };
  const request = await posted('/api/v1/requests', { site: SITE, kind: 'erase', who, purpose: 'to be forgotten' });
  const disclosure = await posted('/api/v1/disclosures', { site: SITE, recipient: 'Quality LLC', recipient_kind: 'quality', basis: 'clause 5.2', purpose: 'quality of calls', scope: { range: { from, to, fields: ['time', 'path'] } }, format: 'csv' });
  const incident = await posted('/api/v1/incidents', { site: SITE, kind: 'disclosure', from, to, what: 'a copy was left open' });
  const erased = await posted('/api/v1/subjects', { job: 'erase', site: SITE, who: { request: request.number }, purpose: 'to be forgotten', request: request.number, by: 'A. B., officer', wait: true });
  Object.assign(made, { request: request.number, disclosure: disclosure.disclosure.number, incident: incident.number, act: erased.act.number });
  assert.ok(Object.values(made).every(Boolean), JSON.stringify(Object.keys(made)));
  // The person of the request is gone; the dashboard is to have rows.
  await history();
}

/** Nothing is under way, and nothing failed: storage that is busy may ask to be asked again. */
const loaded = page =>
  until(
    'the page to be loaded',
    async () => {
      const states = await page.evaluate(() => [...document.querySelectorAll('[data-region], [data-tab-content], [data-list]')].map(part => part.dataset.state));
      if (states.includes('failed')) await page.reload();
      return states.length > 0 && !states.includes('loading') && !states.includes('failed');
    },
    BUSY,
  );

/** Somebody's browser in a language: a person signed in, or a visitor of the clinic with a cookie. */
async function someone(who, language) {
  const context = await browser.newContext({ locale: LANGUAGES[language], userAgent: agent(), reducedMotion: 'reduce' });
  context.setDefaultTimeout(BUSY);
  const page = await context.newPage();
  if (who === 'visitor') {
    await send(context.request, [hit()]);
    await send(context.request, HITS.slice(0, 3));
    await metka.settled(SITE);
  } else if (who) {
    await page.goto(`${metka.web}/login`);
    await page.fill('[name=login]', who);
    await page.fill('[name=password]', PASSWORD);
    await page.click('[data-form=password] button[type=submit]');
    await page.locator('[data-region=headline]').waitFor();
  }
  return page;
}

/** What axe finds in the page as it stands, a line for each element. */
async function found(page) {
  // A page that is looked at again has it already: it is half a megabyte to be read.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE);
  const { lines, applied } = await page.evaluate(async tags => {
    // Of rules that a page passes the name is enough: to write down each element that passes takes longer than to look at it.
    const { violations, passes } = await globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
    return {
      lines: violations.flatMap(({ id, impact, nodes }) =>
        nodes.map(({ target, html, failureSummary }) => `${id} (${impact}): ${target.join(' ')}: ${html.slice(0, 160)} | ${failureSummary.replace(/\s+/g, ' ').slice(0, 240)}`),
      ),
      applied: passes.map(({ id }) => id),
    };
  }, TAGS);
  // A page that is not there yet passes nothing.
  assert.ok(applied.length >= 2, `rules that axe applied to ${page.url()}: ${applied}`);
  return lines;
}

test('axe reports what is wrong with a page that is', async () => {
  const page = await (await browser.newContext()).newPage();
  await page.setContent('<html><head><title>wrong</title></head><body><img src="x"><p style="color:#ccc;background:#fff">faint</p><input><button></button></body></html>');
  const rules = new Set((await found(page)).map(line => line.split(' ')[0]));
  for (const rule of ['image-alt', 'color-contrast', 'label', 'button-name', 'html-has-lang']) assert.ok(rules.has(rule), rule);
  await page.context().close();
});

for (const language of Object.keys(LANGUAGES))
  test(`nothing is to report of any page (${language})`, async () => {
    const people = new Map();
    let runs = 0;
    const wrong = [];
    for (const { name, who, open, ours = true } of PAGES) {
      // Who opted out is another one afterwards.
      if (!people.has(who) || !who) people.set(who, await someone(who, language));
      const page = people.get(who);
      const before = wrong.length;
      await page.setViewportSize(LOOKS[0].size);
      await page.emulateMedia({ colorScheme: LOOKS[0].colorScheme });
      await open(page, language);
      // A paper is in the language of whoever signed it.
      if (ours && !/^paper|collector/.test(name)) assert.equal(await page.locator('html').getAttribute('lang'), language, name);
      for (const look of LOOKS) {
        await page.emulateMedia({ colorScheme: look.colorScheme });
        await page.setViewportSize(look.size);
        const lines = await found(page);
        runs += 1;
        lines.forEach(line => console.log(`${ours ? '' : 'not ours: '}${name}, ${look.name}: ${line}`));
        if (ours) wrong.push(...lines.map(line => `${name}, ${look.name}: ${line}`));
      }
      console.log(`${name}: ${wrong.length - before} violations in ${LOOKS.length} looks`);
      if (!who) await page.context().close();
    }
    for (const page of people.values()) await page.context().close();
    console.log(`${runs} looks at ${PAGES.length} pages, ${wrong.length} violations`);
    assert.deepEqual([...new Set(wrong)], []);
  });
