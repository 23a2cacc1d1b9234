// The script alone, in Chromium, against a collector that records: pages, sending, leaving.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { until } from './support/poll.mjs';
import { Recorder } from './support/recorder.mjs';
import { hide } from './support/tab.mjs';

const HIT_ID = /^[0-9a-f]{16}$/;
const TALL = '<div style="height:3000px">tall</div>';

let browser, recorder, context, page;

before(async () => {
  // Pages must be able to come back from the browser's memory, as they do for people.
  browser = await launch({ ignored: ['--disable-back-forward-cache'] });
  recorder = await Recorder.start();
});
after(async () => {
  await browser.close();
  await recorder.stop();
});
beforeEach(async () => {
  context = await browser.newContext({ timezoneId: 'Europe/Moscow', viewport: { width: 1280, height: 720 } });
  page = await context.newPage();
});
afterEach(() => context.close());

const open = async (pages, path = Object.keys(pages)[0]) => {
  recorder.begin(pages);
  await page.goto(recorder.site.url + path);
};
const address = path => recorder.site.url + path;
const metka = (...values) => page.evaluate(values => window.metka(...values), values);

test('a page view has the fields of the contract and nothing else', async () => {
  recorder.begin({ '/': '<a id="go" href="/a?utm_source=vk&x=1#secret">go</a>', '/a': 'a' });
  await page.goto(address('/'));
  await page.click('#go');
  const [, view] = await recorder.wait('pageview', 2);
  const { i, ...rest } = view;
  assert.match(i, HIT_ID);
  assert.deepEqual(rest, {
    s: 'clinic',
    k: 'pageview',
    u: address('/a?utm_source=vk&x=1'),
    r: address('/'),
    t: '/a',
    w: 1280,
    z: 'Europe/Moscow',
  });
  const { method, url, headers } = recorder.requests[0];
  assert.deepEqual([method, url], ['POST', '/event']);
  assert.match(headers['content-type'], /^text\/plain/);
  assert.equal(new Set(recorder.hits.map(hit => hit.i)).size, recorder.hits.length);
});

test('the first answer has set the cookie before anything else is sent', async () => {
  let answer;
  recorder.begin({ '/': 'x' });
  recorder.plan = [new Promise(resolve => (answer = resolve))];
  await page.goto(address('/'));
  await recorder.wait('pageview');
  await metka('one');
  await metka('two');
  await page.evaluate(() => new Promise(resolve => setTimeout(resolve)));
  assert.equal(recorder.requests.length, 1);
  answer();
  await recorder.wait('two');
  assert.equal(recorder.requests.length, 2, 'what waited goes in one request');
  assert.match(recorder.requests[1].cookie, /metka=made-1/);
  assert.equal(recorder.minted, 1);
});

for (const [fault, plan] of [
  ['a 503', 503],
  ['a broken connection', 'break'],
]) {
  test(`${fault} is tried again once, with the same id`, async () => {
    recorder.begin({ '/': 'x' });
    // A broken connection may be tried again by the browser itself, so two in a row.
    recorder.plan = [plan];
    await page.goto(address('/'));
    await until('the second try', () => recorder.requests.length >= 2);
    await metka('later');
    await recorder.wait('later');
    const views = recorder.of('pageview');
    assert.ok(views.length >= 2);
    assert.equal(new Set(views.map(view => view.i)).size, 1);
  });
}

test('what fails twice is given up, and what comes later is sent', async () => {
  recorder.begin({ '/': 'x' });
  recorder.plan = [503, 503];
  await page.goto(address('/'));
  await recorder.wait('pageview', 2);
  await metka('later');
  await recorder.wait('later');
  assert.equal(recorder.of('pageview').length, 2);
});

test('a refusal is not tried again', async () => {
  recorder.begin({ '/': 'x' });
  recorder.plan = [400];
  await page.goto(address('/'));
  await recorder.wait('pageview');
  await metka('later');
  await recorder.wait('later');
  assert.equal(recorder.of('pageview').length, 1);
});

test('on leaving, all that waits goes at once as one beacon', async () => {
  let answer;
  recorder.begin({ '/': 'x', '/next': 'y' });
  recorder.plan = [new Promise(resolve => (answer = resolve))];
  await page.goto(address('/'));
  await recorder.wait('pageview');
  await metka('one');
  await metka('two');
  await page.goto(address('/next'));
  await recorder.wait('engagement');
  answer();
  const beacon = recorder.requests.find(request => request.hits.some(hit => hit.n === 'one'));
  assert.deepEqual(beacon.hits.map(hit => hit.n ?? hit.k), ['one', 'two', 'engagement']);
  assert.match(beacon.headers['content-type'], /^text\/plain/);
  assert.equal(beacon.headers['sec-fetch-mode'], 'no-cors');
  assert.equal(beacon.hits[2].u, address('/'));
});

test('a hit that waits for its second try is not lost on leaving', async () => {
  recorder.begin({ '/': 'x', '/next': 'y' });
  recorder.plan = [503];
  await page.goto(address('/'));
  await recorder.wait('pageview');
  // The answer has come when the script waits; a later request would show it.
  await page.evaluate(() => performance.getEntriesByType('resource').length);
  await page.waitForLoadState('networkidle');
  await page.goto(address('/next'));
  await until('the page view again', () => recorder.of('pageview').filter(view => view.u === address('/')).length === 2);
  const ids = recorder.of('pageview').filter(view => view.u === address('/')).map(view => view.i);
  assert.equal(new Set(ids).size, 1);
});

test('engaged time and depth are reported when the tab is hidden, as what is new since the last report', async () => {
  await open({ '/': TALL });
  await recorder.wait('pageview');
  await page.evaluate(() => scrollTo(0, 780));
  await until('the scroll', () => page.evaluate(() => scrollY === 780));
  await page.evaluate(() => new Promise(requestAnimationFrame));
  await page.evaluate(() => new Promise(requestAnimationFrame));
  await page.evaluate(() => scrollTo(0, 0));
  const before = await page.evaluate(() => performance.now());
  await hide(page);
  const [first] = await recorder.wait('engagement');
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  assert.equal(first.sd, Math.round((1500 / height) * 100));
  assert.ok(Number.isInteger(first.d) && first.d > 0 && first.d <= before + 1000, `${first.d}`);
  assert.equal(first.u, address('/'));
  // Hidden time does not count, and nothing new is not reported.
  await hide(page);
  await hide(page, false);
  const shown = await page.evaluate(() => performance.now());
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await until('the end of the page', () => page.evaluate(() => scrollY > 780));
  await page.evaluate(() => new Promise(requestAnimationFrame));
  await hide(page);
  const [, second] = await recorder.wait('engagement', 2);
  const now = await page.evaluate(() => performance.now());
  assert.ok(second.d <= now - shown + 1000, `${second.d}`);
  assert.equal(second.sd, 100);
  assert.equal(recorder.of('engagement').length, 2);
});

test('a single-page site is followed by path', async () => {
  await open({ '/': `<div id="x"></div>` });
  await recorder.wait('pageview');
  await page.evaluate(() => {
    history.pushState(null, '', '/a');
    document.title = 'page a';
  });
  let [, view] = await recorder.wait('pageview', 2);
  assert.deepEqual([view.u, view.r, view.t], [address('/a'), address('/'), 'page a']);
  const [left] = await recorder.wait('engagement');
  assert.equal(left.u, address('/'));
  // Neither a query nor a fragment nor the same path again is a page.
  await page.evaluate(() => {
    history.replaceState(null, '', '/a?filter=1');
    history.pushState(null, '', '/a?filter=2#part');
    history.pushState({ state: 1 }, '');
  });
  // A redirect in one go is one page.
  await page.evaluate(() => {
    history.pushState(null, '', '/b');
    history.replaceState(null, '', '/c');
  });
  [, , view] = await recorder.wait('pageview', 3);
  assert.deepEqual([view.u, view.r], [address('/c'), address('/a')]);
  await page.goBack();
  await page.goBack();
  await page.goBack();
  await until('the page before', () => recorder.of('pageview').at(-1).u.startsWith(address('/a')));
  assert.equal(recorder.of('pageview').length, 4);
});

test('an event right after a page change belongs to the new page', async () => {
  await open({ '/': 'x' });
  await recorder.wait('pageview');
  await page.evaluate(() => {
    history.pushState(null, '', '/a');
    window.metka('at-once');
  });
  const [event] = await recorder.wait('at-once');
  assert.equal(event.u, address('/a'));
  assert.deepEqual(recorder.hits.filter(hit => hit.k !== 'engagement').map(hit => hit.n ?? hit.k), ['pageview', 'pageview', 'at-once']);
});

test('a page that comes back from memory is viewed again', async () => {
  recorder.begin({ '/': 'first', '/next': 'second' });
  await page.goto(address('/'));
  await recorder.wait('pageview');
  await page.evaluate(() => (window.kept = true));
  await page.goto(address('/next'));
  await recorder.wait('pageview', 2);
  // The driver waits for a load that never comes, since nothing is loaded.
  await page.goBack({ waitUntil: 'commit' }).catch(() => {});
  const views = await recorder.wait('pageview', 3);
  assert.equal(await page.evaluate(() => window.kept), true, 'the page did not come from memory');
  assert.deepEqual(views.map(view => view.u), [address('/'), address('/next'), address('/')]);
});

test('a prerendered page sends nothing until it is shown', async () => {
  recorder.begin({ '/': '<a id="go" href="/next">go</a>', '/next': 'second' });
  await page.goto(address('/'));
  await recorder.wait('pageview');
  let asked = false;
  recorder.pages['/next'] = { get body() { asked = true; return 'second'; } };
  await page.evaluate(() => {
    const rules = document.createElement('script');
    rules.type = 'speculationrules';
    rules.textContent = JSON.stringify({ prerender: [{ source: 'list', urls: ['/next'] }] });
    document.head.append(rules);
  });
  await until('the prerendering', () => asked);
  await metka('marker');
  await recorder.wait('marker');
  assert.equal(recorder.of('pageview').length, 1);
  await page.click('#go');
  const [, view] = await recorder.wait('pageview', 2);
  assert.equal(view.u, address('/next'));
});

test('custom events, also those from before the script', async () => {
  const stub = '<script>window.metka=window.metka||function(){(metka.q=metka.q||[]).push(arguments)};metka("early",{props:{from:"stub"}})</script>';
  await open({ '/': { head: stub } });
  await recorder.wait('early');
  await metka('zapis', { props: { usluga: 'Пилинг', n: 2, ok: true } });
  const [event] = await recorder.wait('zapis');
  assert.deepEqual(event.p, { usluga: 'Пилинг', n: 2, ok: true });
  assert.deepEqual(recorder.hits.map(hit => hit.n ?? hit.k), ['pageview', 'early', 'zapis']);
  assert.deepEqual(recorder.hits[1].p, { from: 'stub' });
});

test('consent is sent, and goes with every later hit', async () => {
  await open({ '/': 'x' });
  await recorder.wait('pageview');
  for (const choice of [true, 'marketing', false]) await page.evaluate(choice => window.metka.consent(choice), choice);
  await metka('later');
  const [later] = await recorder.wait('later');
  assert.deepEqual(recorder.of('consent').map(hit => hit.c), ['granted', 'marketing', 'denied']);
  assert.equal(later.c, 'denied');
  assert.equal(recorder.hits[0].c, undefined);
});

test('a page marked as missing sends its status and path', async () => {
  await open({ '/gone?x=1': '', '/gone': { body: 'no such page', script: 'data-status="404"' } });
  const [event] = await recorder.wait('404');
  assert.deepEqual([event.k, event.p], ['event', { path: '/gone' }]);
  assert.equal(recorder.of('pageview').length, 1);
});

test('what the site does not collect is not sent', async () => {
  const outside = recorder.site.url.replace('127.0.0.1', 'localhost');
  await open({
    '/': {
      body: `<a id="out" href="${outside}/x" target="_blank">out</a><a id="file" href="/a.pdf" target="_blank">file</a>`,
      script: 'data-off="t w z d sd p outbound download"',
    },
  });
  await recorder.wait('pageview');
  for (const id of ['#out', '#file']) {
    const [tab] = await Promise.all([context.waitForEvent('page'), page.click(id)]);
    await tab.close();
  }
  await metka('later', { props: { a: 1 } });
  await recorder.wait('later');
  await hide(page);
  await recorder.wait('engagement');
  for (const hit of recorder.hits) for (const field of ['t', 'w', 'z', 'd', 'sd', 'p']) assert.ok(!(field in hit), `${hit.k} has ${field}`);
  assert.deepEqual(recorder.of('event').map(hit => hit.n), ['later']);
});

test('the user key of the tag goes with every hit, and the event address can be set', async () => {
  await open({ '/': { script: 'data-user-key="k1.abc" data-event="/elsewhere"' } });
  const [view] = await recorder.wait('pageview');
  assert.equal(view.uk, 'k1.abc');
  assert.equal(recorder.requests[0].url, '/elsewhere');
});

test('the script leaves nothing behind, and runs once', async () => {
  await open({ '/': { head: '<script>window.before=Object.keys(window)</script>' } });
  await recorder.wait('pageview');
  const added = await page.evaluate(() => Object.keys(window).filter(key => !window.before.includes(key) && key !== 'before'));
  assert.deepEqual(added, ['metka']);
  assert.equal(await page.evaluate(() => typeof page + typeof waiting + typeof record), 'undefinedundefinedundefined');
  assert.deepEqual(await page.evaluate(async () => [localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length]), [0, 0, '', 0]);
  assert.deepEqual((await context.cookies()).map(cookie => cookie.name), ['metka']);
  await page.addScriptTag({ url: `${recorder.collector.url}/pixel.js` });
  await metka('later');
  await recorder.wait('later');
  assert.equal(recorder.of('pageview').length, 1);
});
