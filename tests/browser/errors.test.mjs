// The script of errors in Chromium: what it tells of an error, what it never tells, and the way of it to the statistics.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { Metka } from './support/metka.mjs';
import { until } from './support/poll.mjs';
import { Recorder } from './support/recorder.mjs';
import { hide } from './support/tab.mjs';

/** Stands for what a script was about. */
const SECRET = 'anna@patient.example';
/** The bound of different errors of one page, and how many the test makes. */
const MOST = 10;
const MADE = 40;

let browser, recorder;

before(async () => {
  browser = await launch();
  recorder = await Recorder.start();
});
after(async () => {
  await browser?.close();
  await recorder?.stop();
});

/** Opens a page that has the script of errors, with scripts of the site's own. */
async function open({ head = '', body = '', files = {}, path = '/' }, collector) {
  recorder.begin({ [path]: { head, body, errors: true }, ...files });
  recorder.collectorOfPages = collector;
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(recorder.site.url + path);
  return { context, page };
}

const names = () => recorder.of('error').map(hit => hit.n);

test('an error is told by its class, its file and its line, whatever it says', async () => {
  const files = {
    '/js/clinic.js': `\n\nconst patient = null;\nsetTimeout(() => patient.name);\nsetTimeout(() => { throw new RangeError('${SECRET}') });\n`,
    '/js/odd.js': `class Own extends Error { name = 'Failure of ${SECRET}' }\nsetTimeout(() => { throw new Own('${SECRET}') });\n
      setTimeout(() => { throw '${SECRET}' });\nPromise.reject(new SyntaxError('${SECRET}'));\nPromise.reject('${SECRET}');`,
  };
  const head = Object.keys(files).map(file => `<script defer src="${file}?patient=${SECRET}"></script>`).join('');
  const { context } = await open({ head, files });
  const expected = ['TypeError /js/clinic.js:4', 'RangeError /js/clinic.js:5', 'Error /js/odd.js:2', 'Error /js/odd.js:4', 'SyntaxError', 'Error'];
  await recorder.wait('error', expected.length);
  assert.deepEqual(names().toSorted(), expected.toSorted());
  assert.equal(JSON.stringify(recorder.requests).includes(SECRET), false, 'what a script was about went with it');
  // They stand beside the page view, after it, with the visitor's one cookie.
  assert.equal(recorder.hits[0].k, 'pageview');
  assert.equal(recorder.minted, 1);
  for (const hit of recorder.of('error')) {
    assert.deepEqual(Object.keys(hit).toSorted(), ['i', 'k', 'n', 's', 'u', 'w', 'z']);
  }
  await context.close();
});

test('a loop of errors is told once, and many errors up to a bound', async () => {
  const failing = error => `let failed = 0; addEventListener('error', () => (failed += 1));\n` + Array.from({ length: MADE }, () => error).join('\n');
  const files = {
    '/loop.js': failing("setTimeout(() => { throw new TypeError('again') });").replaceAll('\n', ' '),
    '/many.js': failing('setTimeout(() => { throw new TypeError });'),
  };
  for (const [file, expected] of [
    ['/loop.js', ['TypeError /loop.js:1']],
    ['/many.js', Array.from({ length: MOST }, (_, at) => `TypeError /many.js:${at + 2}`)],
  ]) {
    const { context, page } = await open({ head: `<script defer src="${file}"></script>`, files });
    await page.waitForFunction(made => failed === made && window.metka?.hit, MADE);
    await recorder.wait('error', expected.length);
    await page.evaluate(() => window.metka('later'));
    await recorder.wait('later');
    assert.deepEqual(names(), expected);
    await context.close();
  }
});

test('errors of extensions are left out, and those of other hosts have neither class nor place', async () => {
  const elsewhere = recorder.site.url.replace('127.0.0.1', 'localhost');
  const { context, page } = await open({
    head: `<script defer src="${elsewhere}/far.js"></script>`,
    files: { '/far.js': `setTimeout(() => { throw new TypeError('${SECRET}') });` },
  });
  await recorder.wait('error');
  const tell = (filename, error = new TypeError('x')) =>
    page.evaluate(([filename, name]) => {
      const error = Object.assign(new Error('x'), { name });
      dispatchEvent(new ErrorEvent('error', { filename, lineno: 7, error }));
    }, [filename, error.name]);
  await tell('chrome-extension://abcdefghijklmnop/content.js');
  await tell('moz-extension://0f3a9c21/content.js');
  await tell('https://other.example/widget.js');
  await page.evaluate(() => window.metka('later'));
  await recorder.wait('later');
  assert.deepEqual(names(), ['Error', 'TypeError']);
  await context.close();
});

test('errors from before the tracking script wait for it, and a page without errors sends none', async () => {
  // The script of errors is first, and the other one comes late.
  recorder.begin({ '/late': { errors: true, head: '<script defer src="/broken.js"></script>' }, '/broken.js': 'nothing.here();' });
  const context = await browser.newContext();
  const page = await context.newPage();
  let release;
  const held = new Promise(resolve => (release = resolve));
  await page.route('**/pixel.js', async route => {
    await held;
    await route.continue();
  });
  const failed = page.waitForEvent('pageerror');
  const loaded = page.goto(`${recorder.site.url}/late`);
  await failed;
  assert.deepEqual(recorder.hits, []);
  release();
  await loaded;
  await recorder.wait('error');
  assert.deepEqual(names(), ['ReferenceError /broken.js:1']);
  await context.close();

  const { context: sound } = await open({ body: 'x' });
  await recorder.wait('pageview');
  const soundPage = sound.pages()[0];
  await hide(soundPage);
  await recorder.wait('engagement');
  assert.deepEqual(names(), []);
  await sound.close();
});

test('a site that asks for errors has them in its statistics of addresses; another one refuses them', async () => {
  const page = { head: '<script defer src="/js/clinic.js"></script>', files: { '/js/clinic.js': '\nnothing.here();' } };
  for (const [fields, told, reasons] of [
    ['fields = ["errors"]\n', ['ReferenceError /js/clinic.js:2'], {}],
    ['', [], { 'bad-request': 1 }],
  ]) {
    const metka = await Metka.start({ site: 'clinic', more: fields });
    try {
      const token = metka.token('security');
      const { context } = await open(page, metka.collector);
      const ask = async () => {
        const answer = await fetch(`${metka.web}/api/v1/addresses`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ site_id: 'clinic', date_range: 'day', by: 'country', order_by: 'errors', purpose: 'support' }),
        });
        assert.equal(answer.status, 200, await answer.clone().text());
        return (await answer.json()).totals;
      };
      const totals = await until('the hits and the refusal to be stored', async () => {
        const totals = await ask();
        return totals.hits === 1 + told.length && totals.refused === 1 - told.length && totals;
      }, 60_000);
      assert.deepEqual([totals.errors, totals.error_names, totals.reasons], [told.length, Object.fromEntries(told.map(name => [name, 1])), reasons]);
      await context.close();
    } finally {
      recorder.collectorOfPages = undefined;
      assert.equal(await metka.stop(), 0, metka.log);
    }
  }
});
