// The script alone: links, files, ad blocks.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { Recorder } from './support/recorder.mjs';
import { hide } from './support/tab.mjs';

let browser, recorder, context, page;

before(async () => {
  browser = await launch();
  recorder = await Recorder.start();
});
after(async () => {
  await browser.close();
  await recorder.stop();
});
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1000, height: 600 } });
  page = await context.newPage();
});
afterEach(() => context.close());

const open = async (body, more = {}) => {
  recorder.begin({ '/': body, ...more });
  await page.goto(recorder.site.url);
  await recorder.wait('pageview');
};
const block = (name, style = 'height:100px') => `<div data-metka-ad="${name}" style="${style}">${name}</div>`;
const ads = kind => recorder.of(kind).map(hit => hit.ad);

test('links to other hosts and files are events with host and path; inner links are not', async () => {
  const outside = recorder.site.url.replace('127.0.0.1', 'localhost');
  await open(
    `<a id="inner" href="/inner"><b>inner</b></a>
     <a id="out" href="${outside}/a/b?secret=1#x"><b>out</b></a>
     <a id="file" href="/files/price.PDF?v=2">file</a>
     <a id="named" href="/get?id=3" download="price.bin">named</a>
     <a id="mail" href="mailto:a@clinic.example">mail</a>
     <a id="nothing">nothing</a>
     <script>addEventListener('click', event => event.preventDefault())</script>`,
  );
  for (const id of ['inner', 'out', 'file', 'named', 'mail', 'nothing']) await page.click(`#${id}`);
  await page.click('#out', { button: 'middle' });
  await page.click('#out', { button: 'right' });
  await page.evaluate(() => window.metka('end'));
  await recorder.wait('end');
  const host = new URL(outside).host;
  const own = new URL(recorder.site.url).host;
  assert.deepEqual(
    recorder.of('event').map(hit => [hit.n, hit.p?.url]),
    [
      ['outbound', `${host}/a/b`],
      ['download', `${own}/files/price.PDF`],
      ['download', `${own}/get`],
      ['outbound', `${host}/a/b`],
      ['end', undefined],
    ],
  );
});

test('a link in the same tab is counted although the page is left', async () => {
  await open('<a id="out" href="/next">x</a>', { '/next': 'next' });
  const outside = recorder.site.url.replace('127.0.0.1', 'localhost');
  await page.evaluate(href => (document.getElementById('out').href = href), `${outside}/next`);
  await page.click('#out');
  const [event] = await recorder.wait('outbound');
  assert.equal(event.u, `${recorder.site.url}/`);
});

test('a block is rendered once, and seen after one second with half of it on screen', async () => {
  await open(`${block('top')}<div style="height:2000px"></div>${block('below')}`);
  await recorder.wait('ad_view', 2);
  assert.deepEqual(ads('ad_view'), ['top', 'below']);
  const before = await page.evaluate(() => performance.timeOrigin);
  await recorder.wait('ad_viewable');
  assert.ok(Date.now() - before >= 1000, 'a second has passed since the page began');
  assert.deepEqual(ads('ad_viewable'), ['top']);
  await page.evaluate(() => scrollTo(0, 5000));
  await recorder.wait('ad_viewable', 2);
  await page.evaluate(() => scrollTo(0, 0));
  await page.evaluate(() => document.body.insertAdjacentHTML('afterbegin', '<div data-metka-ad="marker" style="height:50px"></div>'));
  await recorder.wait('ad_viewable', 3);
  assert.deepEqual(ads('ad_viewable'), ['top', 'below', 'marker']);
  assert.deepEqual(ads('ad_view'), ['top', 'below', 'marker']);
});

test('less than half of a block, or less than a second, is not seen', async () => {
  await open(`${block('short-time')}<div style="height:460px"></div>${block('less-than-half', 'height:100px')}<div style="height:2000px"></div>`);
  await recorder.wait('ad_view', 2);
  // The first leaves the screen at once; the other shows a third of itself, then nothing.
  await page.evaluate(() => scrollTo(0, 1200));
  await page.evaluate(() => document.querySelector('[data-metka-ad=short-time]').scrollTop);
  await page.evaluate(() => {
    const marker = document.createElement('div');
    marker.dataset.metkaAd = 'marker';
    marker.style.cssText = 'position:fixed;top:0;width:50px;height:50px';
    document.body.append(marker);
  });
  await recorder.wait('ad_viewable');
  assert.deepEqual(ads('ad_viewable'), ['marker']);
});

test('a block that is half on screen is seen, one a little less is not', async () => {
  await open(`<div style="height:550px"></div><div style="display:flex">
      ${block('half', 'height:100px;width:100px;margin-top:-16px')}
      ${block('below-half', 'height:100px;width:100px;margin-top:20px')}</div>`);
  const marker = page.evaluate(() => {
    const marker = document.createElement('div');
    marker.dataset.metkaAd = 'marker';
    marker.style.cssText = 'position:fixed;top:0;width:50px;height:50px';
    document.body.append(marker);
  });
  await marker;
  await recorder.wait('ad_viewable', 2);
  assert.deepEqual(ads('ad_viewable').sort(), ['half', 'marker']);
});

test('a second in a hidden tab does not count', async () => {
  await open('<p>x</p>');
  await page.evaluate(() => {
    const made = document.createElement('div');
    made.dataset.metkaAd = 'hidden';
    made.style.cssText = 'width:50px;height:50px';
    document.body.append(made);
  });
  await recorder.wait('ad_view');
  await hide(page);
  // Longer than a second, by the page's own clock.
  await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 1500)));
  assert.deepEqual(ads('ad_viewable'), []);
  await hide(page, false);
  await recorder.wait('ad_viewable');
  assert.deepEqual(ads('ad_viewable'), ['hidden']);
});

test('a block that is not shown is not rendered; one that comes later is', async () => {
  await open(block('never', 'display:none'));
  await page.evaluate(() => {
    history.pushState(null, '', '/a');
    document.body.innerHTML = '<section><div data-metka-ad="later" style="height:80px"><a href="#x">ad</a></div></section>';
  });
  await recorder.wait('ad_view');
  await page.click('[data-metka-ad=later] a');
  await recorder.wait('ad_click');
  await recorder.wait('ad_viewable');
  assert.deepEqual([ads('ad_view'), ads('ad_click'), ads('ad_viewable')], [['later'], ['later'], ['later']]);
  for (const kind of ['ad_view', 'ad_click']) assert.equal(recorder.of(kind)[0].u, `${recorder.site.url}/a`, kind);
});
