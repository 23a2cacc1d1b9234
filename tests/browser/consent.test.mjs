// Consent, end to end in Chromium: what the collector sets in the browser, and what it stores, for each consent mode,
// word, signal and browser setting. Every test has a site, a browser context and rows of its own.
//
// Set: all cookies of the context with their attributes, and nothing in any storage of the page's or the collector's
// origin. Stored: the rows as the engine has them. Hashes are compared by who is equal to whom: the first one that a
// site's rows name is `a`, the next `b`, and so on.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, launchWith } from './support/browser.mjs';
import { serveClinic } from './support/clinic.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';
import { Visitor, profileWith, profileWithoutCookies } from './support/visitor.mjs';

// What Chromium says when it is not headless; as it is, it would rightly be taken for a robot. Given to the browser as a
// whole: what the driver sets for a page is not said by the beacon with which the page is left.
const CHROME = '--user-agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const GPC = join(import.meta.dirname, 'support/gpc');
const POLICY = '2024-04-01';
const SECRET = '0123456789abcdef0123456789abcdef';
/** How long a cookie lives, in seconds: 393 days. */
const COOKIE_AGE = 393 * 86_400;

/** The sites, one for each test, and what is set for them. */
const SITES = {
  implied: '',
  'implied-no': '',
  'optin-before': 'consent = "opt-in"',
  'optin-yes': 'consent = "opt-in"',
  'optin-no': 'consent = "opt-in"',
  'optin-withdrawn': 'consent = "opt-in"',
  cookieless: 'consent = "cookieless"',
  'gpc-no-id': '',
  'gpc-optin': 'consent = "opt-in"',
  'gpc-ignored': 'signals = "ignore"',
  'gpc-dropped': 'signals = "drop"',
  dnt: '',
  'opted-out': '',
  blocked: '',
  'third-party': '',
  private: '',
};

let metka, browser, secrets;
const clinics = [];

before(async () => {
  secrets = mkdtempSync(join(tmpdir(), 'metka-secret-'));
  writeFileSync(join(secrets, 'secret'), SECRET);
  const sites = Object.entries(SITES).map(
    ([id, settings]) => `[[site]]
id = "${id}"
hosts = ["127.0.0.1"]
policy_version = "${POLICY}"
user_key_secret_file = "${join(secrets, 'secret')}"
${settings}
`,
  );
  metka = await Metka.start({ site: 'clinic', more: sites.join('') });
  browser = await launch({ more: [CHROME] });
});
after(async () => {
  await browser?.close();
  for (const clinic of clinics) await clinic.close();
  const code = await metka?.stop();
  rmSync(secrets, { recursive: true, force: true });
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

/** A visitor of a site, in a context that the test made. */
class Walk {
  static async begin(site, context) {
    const walk = new Walk();
    walk.site = site;
    walk.context = context;
    const key = `client-17.${createHmac('sha256', SECRET).update(`${site}:client-17`).digest('hex')}`;
    walk.clinic = clinics.find(clinic => clinic.site === site);
    if (!walk.clinic) {
      walk.clinic = await serveClinic({ collector: metka.collector, site, attributes: `data-user-key="${key}"` });
      walk.clinic.site = site;
      clinics.push(walk.clinic);
    }
    walk.visitor = await Visitor.of(context, metka.collector);
    walk.page = walk.visitor.page;
    return walk;
  }

  /** Does something, and waits until its hit is answered. */
  async answered(kind, action) {
    const [answer] = await Promise.all([
      this.page.waitForResponse(answer => {
        const asked = answer.request();
        return asked.url() === `${metka.collector}/event` && JSON.parse(asked.postData()).some(hit => hit.k === kind);
      }),
      action(),
    ]);
    return answer;
  }

  open(path) {
    return this.answered('pageview', () => this.page.goto(`${this.clinic.url}/demo/${path}`));
  }

  say(choice) {
    return this.answered('consent', () => this.page.evaluate(choice => window.metka.consent(choice), choice));
  }

  /** Asserts that these cookies are set, `name` or `name=value`, and that nothing else is kept anywhere. */
  async holds(...expected) {
    const now = Date.now() / 1000;
    const cookies = await this.context.cookies();
    const found = cookies.map(({ name, value }) => (name === 'metka' ? name : `${name}=${value}`)).sort();
    assert.deepEqual(found, expected.toSorted());
    for (const { name, value, expires, ...attributes } of cookies) {
      const rest = { domain: '127.0.0.1', path: '/', httpOnly: true, secure: false, sameSite: 'Lax' };
      assert.deepEqual(attributes, rest, name);
      assert.ok(expires <= now + COOKIE_AGE && expires > now + COOKIE_AGE - 3600, `${name} lives until ${expires}`);
      if (name === 'metka') assert.match(value, /^v1\.\d+\.\d{8}\.[0-9a-f]{32}\.[0-9a-f]{32}$/);
    }
    assert.deepEqual(await this.#storage(), { local: 0, session: 0, cookie: '', databases: [], caches: [] });
  }

  #storage() {
    return this.page.evaluate(async () => ({
      local: localStorage.length,
      session: sessionStorage.length,
      cookie: document.cookie,
      databases: await indexedDB.databases(),
      caches: await caches.keys(),
    }));
  }

  /** Leaves. `refusals`: hits were refused on the way, which the browser's console says. */
  async end({ refusals = false } = {}) {
    await this.visitor.leave();
    assert.deepEqual(this.visitor.strange.filter(text => !(refusals && /status of 400/.test(text))), []);
    await this.close();
  }

  async close() {
    await this.context.close();
    // The last of the browser's processes may still be writing to it.
    if (this.profile) rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

const begin = async (site, options = {}) =>
  Walk.begin(site, await browser.newContext({ locale: 'ru-RU', ...options }));

const COUNT = 'count';
const WITHOUT_ID = 'without id';
const WHOLE = 'whole';

/**
 * Asserts a site's page views and words: each `[kind, path, visitor, minted, identity, consent, kept]`. What else a page
 * sends (ad blocks, engagement) follows it: it may name no other visitor, and is kept under the same consent no more.
 * `forgetful`: the browser takes no cookies, so what follows is given ones of its own.
 */
async function stored(site, expected, { forgetful = false } = {}) {
  const sql = `SELECT kind, path, toString(visitor), toString(minted), identity, consent, policy, user_key != 0, ip_key != 0, title != '',
       browser != '', os != '', language, engaged_ms > 0, timezone FROM metka.hits WHERE site = '${site}' ORDER BY time, batch, row`;
  // The beacon of the last page may still be on its way.
  const { counts, rows } = await until('as many rows as are counted', async () => {
    const counts = await metka.settled(site);
    const rows = await metka.rows(sql);
    return rows.length === counts.stored && { counts, rows };
  });
  const labels = new Map([['0', '-']]);
  const label = hash => labels.get(hash) ?? labels.set(hash, String.fromCharCode(96 + labels.size)).get(hash);
  const said = [];
  const followed = [];
  for (const [kind, path, visitor, minted, identity, consent, policy, key, ip, title, agent, os, language, engaged, zone] of rows) {
    assert.equal(policy, POLICY);
    // Only a page view says its title, and only engagement its time.
    const parts = [ip, agent, os, language !== '', zone !== '', title || kind !== 'pageview', engaged || kind !== 'engagement'].map(Boolean);
    const none = !ip && !agent && !os && language === '' && zone === '' && !title && !engaged && !key;
    const kept = none ? COUNT : parts.every(Boolean) ? (key ? WHOLE : WITHOUT_ID) : `${kind}: ${JSON.stringify(parts)}`;
    if (kind === 'pageview' || kind === 'consent')
      said.push([kind, path.replace('/demo/', ''), label(visitor), label(minted), identity, consent, kept]);
    else followed.push({ kind, path, visitor, minted, consent, kept });
  }
  assert.deepEqual(said, expected);
  for (const row of followed) {
    assert.ok(labels.has(row.visitor) && (labels.has(row.minted) || forgetful), `of another visitor: ${JSON.stringify(row)}`);
    assert.ok(expected.some(([, , , , , consent, kept]) => row.consent === consent && row.kept === kept), JSON.stringify(row));
  }
  console.log(`${site}: ${said.length} rows and ${followed.length} that follow, refused ${JSON.stringify(counts.refused)}`);
  return counts;
}

test('implied: the first answer sets the cookie, and the next page is of its visitor', async () => {
  const walk = await begin('implied');
  await walk.open('uslugi');
  await walk.holds('metka');
  await walk.open('vrachi');
  await walk.holds('metka');
  await walk.end();
  await stored('implied', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'b', '-', 'cookie', 'unstated', WHOLE],
  ]);
});

test('implied: after a no the cookie is gone, and only a count is kept', async () => {
  const walk = await begin('implied-no');
  await walk.open('uslugi');
  await walk.holds('metka');
  await walk.say(false);
  await walk.holds('metka_consent_implied-no=denied');
  await walk.open('vrachi');
  await walk.holds('metka_consent_implied-no=denied');
  await walk.end();
  await stored('implied-no', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['consent', 'uslugi', 'a', '-', 'cookieless', 'denied', COUNT],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'denied', COUNT],
  ]);
});

test('opt-in: before a word nothing is set and only a count is kept', async () => {
  const walk = await begin('optin-before');
  await walk.open('uslugi');
  await walk.holds();
  await walk.open('vrachi');
  await walk.holds();
  await walk.end();
  await stored('optin-before', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', COUNT],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'unstated', COUNT],
  ]);
});

test('opt-in: a yes sets the cookie and is remembered, also one to marketing', async () => {
  const walk = await begin('optin-yes');
  await walk.open('uslugi');
  await walk.say(true);
  await walk.holds('metka', 'metka_consent_optin-yes=granted');
  await walk.open('vrachi');
  await walk.say('marketing');
  await walk.holds('metka', 'metka_consent_optin-yes=marketing');
  await walk.open('zapis');
  await walk.holds('metka', 'metka_consent_optin-yes=marketing');
  await walk.end();
  await stored('optin-yes', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', COUNT],
    ['consent', 'uslugi', 'a', 'b', 'cookieless', 'granted', WHOLE],
    ['pageview', 'vrachi', 'b', '-', 'cookie', 'granted', WHOLE],
    ['consent', 'vrachi', 'b', '-', 'cookie', 'marketing', WHOLE],
    ['pageview', 'zapis', 'b', '-', 'cookie', 'marketing', WHOLE],
  ]);
});

test('opt-in: a no is remembered, and only a count is kept', async () => {
  const walk = await begin('optin-no');
  await walk.open('uslugi');
  await walk.say(false);
  await walk.holds('metka_consent_optin-no=denied');
  await walk.open('vrachi');
  await walk.holds('metka_consent_optin-no=denied');
  await walk.end();
  await stored('optin-no', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', COUNT],
    ['consent', 'uslugi', 'a', '-', 'cookieless', 'denied', COUNT],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'denied', COUNT],
  ]);
});

test('opt-in: a yes can be taken back', async () => {
  const walk = await begin('optin-withdrawn');
  await walk.open('uslugi');
  await walk.say(true);
  await walk.holds('metka', 'metka_consent_optin-withdrawn=granted');
  await walk.say(false);
  await walk.holds('metka_consent_optin-withdrawn=denied');
  await walk.open('vrachi');
  await walk.end();
  await stored('optin-withdrawn', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', COUNT],
    ['consent', 'uslugi', 'a', 'b', 'cookieless', 'granted', WHOLE],
    ['consent', 'uslugi', 'a', '-', 'cookieless', 'denied', COUNT],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'denied', COUNT],
  ]);
});

test('cookieless: nothing is ever set, whatever is said', async () => {
  const walk = await begin('cookieless');
  await walk.open('uslugi');
  await walk.say(true);
  await walk.holds();
  await walk.open('vrachi');
  await walk.holds();
  await walk.end();
  await stored('cookieless', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', WHOLE],
    ['consent', 'uslugi', 'a', '-', 'cookieless', 'granted', WHOLE],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'unstated', WHOLE],
  ]);
});

/** A browser with Global Privacy Control as people have it in Chromium: by an extension. */
async function withGpc(site) {
  const walk = await withProfile(site, profileWith({}), {
    ignored: ['--disable-extensions'],
    more: [`--load-extension=${GPC}`, `--disable-extensions-except=${GPC}`],
  });
  await walk.open('uslugi');
  assert.equal(await walk.page.evaluate(() => navigator.globalPrivacyControl), true);
  return walk;
}

test('Global Privacy Control, no-id: no cookie and no user key', async () => {
  const walk = await withGpc('gpc-no-id');
  await walk.holds();
  await walk.open('vrachi');
  await walk.holds();
  await walk.end();
  await stored('gpc-no-id', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', WITHOUT_ID],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'unstated', WITHOUT_ID],
  ]);
});

test('Global Privacy Control, opt-in: a yes holds for its page and sets nothing, a no is remembered', async () => {
  const walk = await withGpc('gpc-optin');
  await walk.say(true);
  await walk.holds();
  await walk.open('vrachi');
  await walk.say(false);
  await walk.holds('metka_consent_gpc-optin=denied');
  await walk.end();
  await stored('gpc-optin', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', COUNT],
    ['consent', 'uslugi', 'a', '-', 'cookieless', 'granted', WITHOUT_ID],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'unstated', COUNT],
    ['consent', 'vrachi', 'a', '-', 'cookieless', 'denied', COUNT],
  ]);
});

test('Global Privacy Control, ignored: as without it', async () => {
  const walk = await withGpc('gpc-ignored');
  await walk.open('vrachi');
  await walk.holds('metka');
  await walk.end();
  await stored('gpc-ignored', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'b', '-', 'cookie', 'unstated', WHOLE],
  ]);
});

test('Global Privacy Control, drop: nothing is set and nothing stored', async () => {
  const walk = await withGpc('gpc-dropped');
  const answer = await walk.say(true);
  assert.equal(answer.status(), 400);
  await walk.holds();
  const { received, refused } = await stored('gpc-dropped', []);
  assert.deepEqual(refused, { 'signal-dropped': received });
  assert.ok(received >= 2, `${received}`);
  await walk.close();
});

/** A browser with settings of its own; the profile goes with the walk. */
async function withProfile(site, profile, options = {}) {
  const { more = [], ...rest } = options;
  const context = await launchWith(profile, { locale: 'ru-RU', more: [CHROME, ...more], ...rest });
  const walk = await Walk.begin(site, context);
  walk.profile = profile;
  return walk;
}

test('Do Not Track, switched on in the browser, no-id: no cookie and no user key', async () => {
  const walk = await withProfile('dnt', profileWith({ enable_do_not_track: true }));
  await walk.open('uslugi');
  assert.equal(await walk.page.evaluate(() => navigator.doNotTrack), '1');
  await walk.holds();
  await walk.open('vrachi');
  await walk.holds();
  await walk.end();
  await stored('dnt', [
    ['pageview', 'uslugi', 'a', '-', 'cookieless', 'unstated', WITHOUT_ID],
    ['pageview', 'vrachi', 'a', '-', 'cookieless', 'unstated', WITHOUT_ID],
  ]);
});

test('opting out on the visitor\'s page ends it, and opting in begins anew', async () => {
  const walk = await begin('opted-out');
  const choose = async () => {
    await walk.page.goto(`${metka.collector}/privacy?s=opted-out`);
    await Promise.all([
      walk.page.waitForURL(url => url.pathname === '/privacy' && url.searchParams.has('said')),
      walk.page.click('form[action^="/privacy/opt-"] button'),
    ]);
  };
  await walk.open('uslugi');
  await walk.holds('metka');
  await choose();
  await walk.holds('metka_optout=1');
  const answer = await walk.open('vrachi');
  assert.equal(answer.status(), 400);
  await walk.say('marketing');
  await walk.open('zapis');
  await walk.holds('metka_optout=1');
  const { refused } = await metka.settled('opted-out');
  assert.ok(refused['opted-out'] >= 3, JSON.stringify(refused));
  await choose();
  await walk.holds();
  await walk.open('vrachi');
  await walk.holds('metka');
  await walk.end({ refusals: true });
  await stored('opted-out', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'a', 'c', 'cookieless', 'unstated', WHOLE],
  ]);
});

test('a browser that takes no cookies is one visitor by the day\'s hash, and none of its cookies comes back', async () => {
  const walk = await withProfile('blocked', profileWithoutCookies());
  await walk.open('uslugi');
  // Such a browser has no storage for pages either: reading it throws.
  assert.deepEqual(await walk.context.cookies(), []);
  await walk.open('vrachi');
  assert.deepEqual(await walk.context.cookies(), []);
  await walk.end();
  await stored('blocked', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'a', 'c', 'cookieless', 'unstated', WHOLE],
  ], { forgetful: true });
});

test('a browser that blocks third-party cookies keeps this one, which is the site\'s own', async () => {
  const walk = await withProfile('third-party', profileWith({ profile: { cookie_controls_mode: 1, block_third_party_cookies: true } }));
  await walk.open('uslugi');
  await walk.holds('metka');
  await walk.open('vrachi');
  await walk.end();
  await stored('third-party', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'b', '-', 'cookie', 'unstated', WHOLE],
  ]);
});

test('a private window begins with nothing, leaves nothing, and is not joined with the other one', async () => {
  const normal = await begin('private');
  await normal.open('uslugi');
  await normal.open('vrachi');
  await normal.holds('metka');
  const hidden = await begin('private');
  assert.deepEqual(await hidden.context.cookies(), []);
  await hidden.open('uslugi');
  await hidden.open('vrachi');
  await hidden.holds('metka');
  const values = await Promise.all([normal, hidden].map(async walk => (await walk.context.cookies())[0].value));
  assert.notEqual(values[0], values[1]);
  await hidden.end();
  const next = await begin('private');
  assert.deepEqual(await next.context.cookies(), []);
  await next.context.close();
  await normal.holds('metka');
  await normal.end();
  await stored('private', [
    ['pageview', 'uslugi', 'a', 'b', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'b', '-', 'cookie', 'unstated', WHOLE],
    ['pageview', 'uslugi', 'a', 'c', 'cookieless', 'unstated', WHOLE],
    ['pageview', 'vrachi', 'c', '-', 'cookie', 'unstated', WHOLE],
  ]);
});
