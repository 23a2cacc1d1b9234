// Every page in Chromium under the policies that the binary sends: nothing is reported, and what would be an
// attack is refused. Reports are counted from the page's own event and from the console, where Chromium
// also says that it does not know a name in a header.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';

const PASSWORD = 'a long enough password 1';
/** A dashboard without a report is one whose panels are there. */
const PANELS = ['pages', 'sources', 'devices', 'events', 'ads'];
const REPORTED = /content.security.policy|trusted ?types?|trusted ?html|permissions.policy|cross-origin|violat|refused/i;

/** Months of visitors are made up and stored, on a machine that may be busy. */
const HISTORY = 180_000;

let metka, browser;
before(async () => {
  metka = await Metka.start({ site: 'clinic', demo: true });
  metka.run(['user', 'add', 'olga', '--role', 'owner', '--password-stdin'], `${PASSWORD}\n`);
  const token = metka.token();
  const month = { site_id: 'demo', metrics: ['pageviews'], date_range: '30d' };
  await until('the demo clinic\'s history', async () => (await metka.query(token, month))[0][0] > 0, HISTORY);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  const code = await metka?.stop();
  assert.equal(code, 0, `serve ended with ${code}\n${metka?.log}`);
});

/** A tab whose reports are kept. */
async function tab(options) {
  const context = await browser.newContext(options);
  const reports = [];
  await context.exposeFunction('metkaTestReport', text => reports.push(text));
  await context.addInitScript(() =>
    addEventListener('securitypolicyviolation', event =>
      globalThis.metkaTestReport(`${event.effectiveDirective} ${event.blockedURI} ${event.sample} on ${location.href}`),
    ),
  );
  context.on('console', message => REPORTED.test(message.text()) && reports.push(message.text()));
  context.on('weberror', error => reports.push(String(error.error())));
  return { context, page: await context.newPage(), reports };
}

async function signIn(page) {
  await page.goto(`${metka.web}/?site=demo&period=30d`);
  await page.fill('[name=login]', 'olga');
  await page.fill('[name=password]', PASSWORD);
  await page.click('[data-form=password] button[type=submit]');
  for (const panel of PANELS) await page.locator(`[data-panel=${panel}] [data-row]`).first().waitFor();
}

test('sign-in, dashboard and what one clicks in it report nothing', async () => {
  const { context, page, reports } = await tab({ viewport: { width: 1280, height: 900 } });
  await signIn(page);
  const svg = page.locator('svg').first();
  await svg.hover({ force: true });
  // Everything that can be clicked without leaving: menus, pickers, tabs, dialogs.
  let clicked = 0;
  for (const button of await page.locator('button:visible').all()) {
    if (!(await button.isVisible()) || !(await button.isEnabled())) continue;
    const name = (await button.textContent()) + (await button.getAttribute('aria-label'));
    if (/sign out|log out|выйти|выход/i.test(name)) continue;
    await button.click({ timeout: 5000 }).then(
      () => (clicked += 1),
      // Covered by what an earlier click opened.
      () => {},
    );
    await page.keyboard.press('Escape');
  }
  await page.goto(`${metka.web}/login`);
  await page.locator('main, form, [data-panel]').first().waitFor();
  assert.ok(clicked >= 10, `only ${clicked} buttons were clicked`);
  assert.deepEqual(reports, []);
  console.log(`${clicked} buttons of the dashboard clicked, 0 reports`);
  await context.close();
});

test('the other pages and files report nothing, opened as pages', async () => {
  const { context, page, reports } = await tab({});
  await signIn(page);
  const addresses = [
    ...['/debug/hit', '/openapi.json', '/nowhere', '/favicon.svg', '/health', '/api/v1/sites'].map(path => metka.web + path),
    ...['/', '/uslugi', '/ceny', '/vrachi', '/zapis', '/spa/', '/spa/lico', '/net-takoy', '/icon.svg', '/clinic.js'].map(path => metka.demo + path),
    ...['/privacy?s=clinic', '/privacy', '/nothing', '/health', '/pixel.js', '/pixel.gif?s=clinic', '/event'].map(path => metka.collector + path),
  ];
  for (const address of addresses) {
    const answer = await page.goto(address);
    assert.ok(answer.status() < 500, `${address}: ${answer.status()}`);
  }
  await page.goto(`${metka.demo}/spa/`);
  await page.click('#sections a[href$=ruki]');
  await page.locator('h2', { hasText: 'Руки' }).waitFor();
  await page.goto(`${metka.demo}/zapis`);
  await page.fill('[name=phone]', '+7 000 000-00-00');
  await page.click('#book');
  assert.deepEqual(reports, []);
  console.log(`${addresses.length} addresses opened as pages, 0 reports`);
  await context.close();
});

test('the form of the privacy page is sent under its policy', async () => {
  const { context, page, reports } = await tab({ locale: 'en-US' });
  await page.goto(`${metka.collector}/privacy?s=clinic`);
  await page.click('form[action="/privacy/opt-out"] button');
  await until('the cookie', async () => (await context.cookies()).some(({ name }) => name === 'metka_optout'));
  assert.deepEqual(reports, []);
  await context.close();
});

test('markup and code from strings are refused and reported, on every kind of page', async () => {
  const { context, page, reports } = await tab({});
  let refused = 0;
  for (const address of [`${metka.web}/`, `${metka.demo}/`, `${metka.collector}/privacy`, `${metka.web}/nowhere`]) {
    await page.goto(address);
    for (const attack of ['markup', 'handler', 'code', 'policy', 'inline', 'elsewhere']) {
      const before = reports.length;
      await page.evaluate(attack => {
        const script = document.createElement('script');
        const attacks = {
          markup: () => (document.documentElement.lastElementChild.innerHTML = '<b>bold</b>'),
          handler: () => document.documentElement.setAttribute('onclick', 'globalThis.attacked = true'),
          code: () => setTimeout('globalThis.attacked = true', 0),
          policy: () => trustedTypes.createPolicy('default', { createHTML: text => text }),
          inline: () => {
            script.append('globalThis.attacked = true');
            document.documentElement.append(script);
          },
          elsewhere: () => {
            script.src = 'https://evil.example/x.js';
            document.documentElement.append(script);
          },
        };
        try {
          attacks[attack]();
        } catch {
          // It is refused by an exception; the report says so, too.
        }
      }, attack);
      await until(`a report of ${attack} on ${address}`, () => reports.length > before);
      assert.equal(await page.evaluate(() => globalThis.attacked), undefined, `${attack} on ${address}`);
      refused += 1;
    }
  }
  console.log(`${refused} attacks refused and reported`);
  await context.close();
});

test('pages that isolate themselves and trust no strings may embed script and pixel', async () => {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader(
      'content-security-policy',
      `default-src 'none'; script-src ${metka.collector}; img-src data: ${metka.collector}; connect-src ${metka.collector}; require-trusted-types-for 'script'; trusted-types 'none'`,
    );
    response.end(
      `<!doctype html><link rel="icon" href="data:,"><script defer src="${metka.collector}/pixel.js" data-site="clinic"></script><img id="pixel" src="${metka.collector}/pixel.gif?s=clinic" alt="">`,
    );
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const { context, page, reports } = await tab({});
  const sent = page.waitForResponse(`${metka.collector}/event`);
  await page.goto(`http://localhost:${server.address().port}/`);
  assert.equal((await sent).status(), 202);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  assert.equal(await page.locator('#pixel').evaluate(image => image.naturalWidth), 1);
  assert.deepEqual(reports, []);
  await context.close();
  server.closeAllConnections();
  server.close();
});
