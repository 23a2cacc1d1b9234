// The dashboard's page, as its attributes tell of it (dashboards/README.md).
import assert from 'node:assert/strict';
import { until } from './poll.mjs';

/** Signs in at an address of the dashboard. */
export async function signIn(page, address, login, password) {
  await page.goto(address);
  await page.fill('[name=login]', login);
  await page.fill('[name=password]', password);
  await page.click('[data-form=password] button[type=submit]');
}

/** A headline number as the API gave it, or null while it is not there. */
export const headline = (page, name) => page.locator(`[data-metric=${name}]`).first().getAttribute('data-value');

/** Waits until a headline number has a value. */
export const reads = (page, name, value) =>
  until(`${name} to be ${value}`, async () => (await headline(page, name)) === value);

/** Waits until the address has, or has no longer, a parameter's value. */
export const says = (page, key, value) =>
  until(`${key}=${value} in the address`, () => new URL(page.url()).searchParams.get(key) === value);

/** The rows of a panel: the first value of each, and those of some columns. */
export async function rows(page, panel, columns, tab = '') {
  const area = page.locator(`[data-panel=${panel}] ${tab === '' ? '' : `[data-tab-content=${tab}]`}`);
  await area.locator('[data-row]').first().waitFor();
  return Object.fromEntries(
    await area.locator('[data-row]').evaluateAll(
      (rows, columns) =>
        rows.map(row => [
          row.dataset.row,
          columns.map(column => Number((row.querySelector(`[data-column=${column}]`) ?? row).dataset.value)),
        ]),
      columns,
    ),
  );
}

/** What a click has the browser save, as text with its marks. */
export async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  return { name: download.suggestedFilename(), text: Buffer.concat(parts).toString('utf8') };
}

/** The requests to the API that a page makes from now on: `POST /api/v2/queries`. */
export function requests(page) {
  const seen = [];
  page.on('request', request => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith('/api/')) seen.push(`${request.method()} ${pathname}`);
  });
  return seen;
}

/** A marketer's look at the journey of four people: each step leads to exact numbers. */
export async function marketersDay(page, words) {
  const seen = requests(page);
  await page.reload();
  await reads(page, 'visitors', '4');
  for (const panel of ['pages', 'sources', 'devices', 'events', 'ads']) await rows(page, panel, ['visitors']);
  await page.locator('[data-region=graph][data-state=ready]').waitFor();
  assert.deepEqual(seen.filter(each => each.startsWith('POST')), ['POST /api/v2/queries'], 'the page is one round of questions');

  // A click on a row filters everything, and the link restores it.
  await page.click('[data-panel=sources] [data-row=Yandex] button');
  await reads(page, 'visitors', '1');
  await says(page, 'f', 'is,visit:source,Yandex');
  await page.reload();
  await reads(page, 'visitors', '1');
  assert.equal(await page.locator('[data-filter="visit:source"]').count(), 1);

  // The filter is turned around in the editor, then given another value, then taken away.
  await page.click('[data-filter="visit:source"] .chip-text');
  await page.click('[data-operator-choice=is_not]');
  await page.click('[data-apply]');
  await reads(page, 'visitors', '3');
  await page.click('[data-filter="visit:source"] .chip-text');
  await page.click('[data-operator-choice=is]');
  await page.fill('[data-filter-editor] [name=value]', 'vk');
  await page.check('[data-choice=VK] input');
  await page.click('[data-apply]');
  await reads(page, 'visitors', '2');
  await page.keyboard.press('x');
  await reads(page, 'visitors', '4');
  assert.equal(await page.locator('[data-filter]').count(), 0);

  // A new filter: pages that contain a text.
  await page.click('[data-filter-add]');
  await page.selectOption('[name=dimension]', 'event:page');
  await page.click('[data-operator-choice=contains]');
  await page.fill('[data-filter-editor] [name=value]', '/spa/');
  await page.keyboard.press('Enter');
  await reads(page, 'pageviews', '3');
  await page.click('[data-filter="event:page"] .chip-remove');
  await reads(page, 'pageviews', '12');

  // The graph: another number, a closer look with the keyboard, and back.
  await page.keyboard.press('3');
  const graph = page.locator('[data-region=graph] table[data-series=pageviews]');
  await graph.waitFor({ state: 'attached' });
  const buckets = await graph.locator('[data-bucket]').evaluateAll(all => all.map(each => [each.dataset.bucket, each.dataset.value]));
  assert.equal(buckets.reduce((sum, [, value]) => sum + (Number(value) || 0), 0), 12);
  const before = new URL(page.url()).searchParams.get('period');
  await page.focus('.graph');
  await page.keyboard.press('ArrowRight');
  await page.locator('.tooltip').waitFor();
  await page.keyboard.press('Enter');
  await says(page, 'period', `${buckets[0][0]}..${buckets[0][0]}`);
  await page.locator('[data-region=graph][data-interval=hour][data-state=ready]').waitFor();
  await page.keyboard.press('Escape');
  await says(page, 'period', before);
  await graph.waitFor({ state: 'attached' });

  // Dragging over the first two days looks closer at them.
  const plot = await page.locator('.graph .u-over').boundingBox();
  await page.mouse.move(plot.x + 4, plot.y + 40);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * 0.3, plot.y + 50, { steps: 4 });
  await page.mouse.move(plot.x + plot.width * 0.55, plot.y + 50, { steps: 4 });
  await page.mouse.up();
  await says(page, 'period', `${buckets[0][0]}..${buckets[1][0]}`);
  await page.click('[data-back]');
  await says(page, 'period', before);

  // An ad block leads to the pages where it stands.
  await page.click('[data-panel=ads] [data-row=banner-1] button');
  const pages = await rows(page, 'ads', ['ad_views'], 'ad_page');
  assert.equal(Object.values(pages).reduce((sum, [views]) => sum + views, 0), 3);
  await page.keyboard.press('x');
  await reads(page, 'visitors', '4');

  // Versions are there once a browser is chosen.
  await page.click('[data-panel=devices] [data-tab=browser]');
  await page.click('[data-panel=devices] [data-row=Firefox] button');
  await page.locator('[data-panel=devices] [data-tab-content=browser_version]').waitFor();
  assert.deepEqual(await rows(page, 'devices', ['visitors'], 'browser_version'), { 140: [1] });
  await page.keyboard.press('x');
  await reads(page, 'visitors', '4');

  // Files: of a panel as the server writes it, of everything in one request.
  const file = await saved(page, async () => {
    await page.click('[data-panel=pages] [data-opens=export]');
    await page.click('[data-panel=pages] [data-export=csv]');
  });
  assert.match(file.name, /^metka-clinic-.*-page\.csv$/);
  assert.match(file.text, /^\ufeff/);
  assert.match(file.text, /\/demo\/ceny/);
  seen.length = 0;
  const all = await saved(page, async () => {
    await page.click('.menu .popover-button');
    await page.click('[data-act=export-csv]');
  });
  assert.deepEqual(seen.filter(each => each.startsWith('POST')), ['POST /api/v2/queries']);
  assert.match(all.text, /^\ufeffpart,dimension,value,metric,number\r\ntotals,,,visitors,4\r\n/);

  // Who is here now opens by a key; the list of keys too, and there they are switched off.
  await page.keyboard.press('l');
  await page.locator('[data-live-view]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('[data-live-view]').waitFor({ state: 'detached' });
  await page.keyboard.press('?');
  assert.equal(await page.locator('#keys-title').textContent(), words.keys);
  await page.uncheck('[data-keys-on]');
  await page.keyboard.press('Escape');
  await page.locator('[data-keys]').waitFor({ state: 'detached' });
  const address = page.url();
  await page.keyboard.press('t');
  await page.click('.menu .popover-button');
  await page.locator('[data-act=keys]').waitFor();
  assert.equal(page.url(), address, 'a key that is switched off does nothing');
  await page.keyboard.press('Escape');

  // The map has the world on it.
  assert.ok((await page.locator('[data-map] path').count()) > 150);
}
