/** What the page does beside showing numbers: one round of questions, keys, files, the map. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import world from 'virtual:world';
import { ApiError } from '../src/api/client';
import { ask, MAX_ROUND } from '../src/api/round';
import type { Query } from '../src/api/types';
import { watchWork } from '../src/api/work';
import { csvOf, csvText } from '../src/model/export';
import { KEY_GROUPS, shortcutOf } from '../src/model/shortcuts';
import { shadeOf } from '../src/panels/map';

const query = (metric: string, site_id = 'clinic'): Query => ({ site_id, metrics: [metric], date_range: 'all' });

/** Stands for the server: `answer` makes each outcome; what was sent is returned. */
function serve(answer: (query: Query) => unknown): { readonly bodies: { site_id: string; queries: Query[] }[] } {
  const bodies: { site_id: string; queries: Query[] }[] = [];
  globalThis.fetch = async (address, init) => {
    assert.equal(String(address), '/api/v2/queries');
    const body = JSON.parse(String(init?.body)) as { site_id: string; queries: Query[] };
    bodies.push(body);
    if (init?.signal?.aborted) throw new DOMException('aborted', 'AbortError');
    return new Response(JSON.stringify({ answers: body.queries.map(answer) }));
  };
  return { bodies };
}

const echo = (each: Query) => ({ status: 200, answer: { results: [], meta: {}, query: each.metrics[0] } });

test('the questions of one moment are one request, a question asked twice is sent once', async () => {
  const { bodies } = serve(echo);
  const answers = await Promise.all(['visitors', 'visits', 'visitors'].map((metric) => ask(query(metric))));
  assert.deepEqual(
    answers.map((each) => each.query),
    ['visitors', 'visits', 'visitors'],
  );
  assert.equal(bodies.length, 1);
  assert.equal(bodies[0]?.site_id, 'clinic');
  assert.deepEqual(
    bodies[0]?.queries.map((each) => each.metrics[0]),
    ['visitors', 'visits'],
  );
});

test('a failed question fails alone', async () => {
  serve((each) => (each.metrics[0] === 'visits' ? { status: 400, error: 'no such metric' } : echo(each)));
  const [one, other] = await Promise.allSettled([ask(query('visitors')), ask(query('visits'))]);
  assert.equal(one.status, 'fulfilled');
  assert.ok(other.status === 'rejected' && other.reason instanceof ApiError);
  assert.equal(other.reason.kind, 'refused');
  assert.equal(other.reason.detail, 'no such metric');
});

test('more questions than a request takes are several, and each site has its own', async () => {
  const { bodies } = serve(echo);
  const many = Array.from({ length: MAX_ROUND + 1 }, (_, at) => ask(query(`m${at}`)));
  await Promise.all([...many, ask(query('visitors', 'other'))]);
  assert.deepEqual(bodies.map((body) => [body.site_id, body.queries.length]).sort(), [
    ['clinic', 1],
    ['clinic', MAX_ROUND],
    ['other', 1],
  ]);
});

test('what nobody waits for any more is not asked', async () => {
  const { bodies } = serve(echo);
  const left = new AbortController();
  void ask(query('visits'), left.signal).catch(() => undefined);
  left.abort();
  await ask(query('visitors'));
  assert.deepEqual(
    bodies.map((body) => body.queries.map((each) => each.metrics[0])),
    [['visitors']],
  );
});

test('work is under way from the request to the answer', async () => {
  serve(echo);
  const seen: boolean[] = [];
  const leave = watchWork((since) => seen.push(since !== null));
  await ask(query('visitors'));
  leave();
  assert.deepEqual(seen, [false, true, false]);
});

test('keys are found by their place, alone, and each does one thing', () => {
  const press = (code: string, key: string, more = {}) =>
    shortcutOf({ code, key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more }, false);
  assert.deepEqual(press('KeyT', 'е'), { shortcut: 'today', nth: 0 });
  assert.deepEqual(press('Digit3', '3'), { shortcut: 'metric', nth: 2 });
  assert.deepEqual(press('Digit7', '?', { shiftKey: true }), { shortcut: 'help', nth: 0 });
  for (const held of ['ctrlKey', 'metaKey', 'altKey', 'shiftKey']) assert.equal(press('KeyT', 't', { [held]: true }), null, held);
  assert.equal(press('KeyQ', 'q'), null);
  const codes = KEY_GROUPS.flatMap((group) => group.keys.flatMap((key) => key.codes));
  assert.equal(new Set(codes).size, codes.length);
  const viewer = { code: 'KeyD', key: 'd', ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };
  assert.equal(shortcutOf(viewer, true), null);
});

test('a file cannot make a spreadsheet calculate', () => {
  const part = (value: string) => ({
    name: 'pages.page',
    query: { site_id: 'clinic', metrics: ['visitors'], date_range: 'all' as const, dimensions: ['event:page'] },
    answer: { results: [{ dimensions: [value], metrics: [7] }], meta: {}, query: {} },
  });
  assert.equal(
    csvOf([part('=1+1')]),
    "\ufeffpart,dimension,value,metric,number\r\npages.page,event:page,'=1+1,visitors,7\r\n",
  );
  // The texts of the server's own test, and what any CSV has to keep.
  for (const [text, expected] of [
    ['=1+1', "'=1+1"],
    ['+7 495', "'+7 495"],
    ['-5', "'-5"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', `"'\t'=1"`],
    ['\r=1', `"'\r'=1"`],
    ['\n=1', `"'\n'=1"`],
    ['  =1', `"  '=1"`],
    ['＝1', "'＝1"],
    ["a;=cmd|' /C calc'!A0", `"a;'=cmd|' /C calc'!A0"`],
    ['a","=1', `"a"",""'=1"`],
    ['a=1', 'a=1'],
    ['1-2', '1-2'],
    ['/ceny', '/ceny'],
    ['a,b', '"a,b"'],
    ['a;b', '"a;b"'],
    ['say "a"', '"say ""a"""'],
    ['two\nlines', '"two\nlines"'],
    ['a ', '"a "'],
    ['', ''],
  ] as const) {
    assert.equal(csvText([[text]]), `\ufeff${expected}\r\n`, JSON.stringify(text));
  }
  assert.equal(csvText([[-5]]), '\ufeff-5\r\n', 'a number stays one');
});

test('the map has the countries by their letters, each once, within its frame', () => {
  const codes = world.countries.map(([code]) => code).filter((code) => code !== '');
  assert.equal(new Set(codes).size, codes.length);
  for (const code of ['RU', 'BY', 'KZ', 'DE', 'US', 'CN', 'BR', 'ZA', 'AU', 'NZ']) assert.ok(codes.includes(code), code);
  assert.ok(!codes.includes('AQ'));
  for (const [code, shape] of world.countries) {
    assert.match(shape, /^(M-?\d+ -?\d+l[-\d ]+z)+$/, code);
    for (const [, x, y] of shape.matchAll(/M(-?\d+) (-?\d+)l/g)) {
      assert.ok(Number(x) >= 0 && Number(x) <= world.width && Number(y) >= 0 && Number(y) <= world.height, code);
    }
  }
});

test('the shade of a country grows with its people', () => {
  assert.equal(shadeOf(0, 100), 0);
  assert.equal(shadeOf(1, 100_000), 1);
  assert.equal(shadeOf(100, 100), 5);
  for (let value = 1; value < 100; value += 1) assert.ok(shadeOf(value, 100) <= shadeOf(value + 1, 100));
});
