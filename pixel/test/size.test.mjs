// The built scripts as files: their sizes, what they may not contain, and their packed forms.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { BUDGETS, script, size } from '../build.mjs';

const dist = name => readFileSync(`${import.meta.dirname}/../dist/${name}`);
const NAMES = Object.keys(BUDGETS);

test('each script is within its budget', async () => {
  assert.deepEqual(BUDGETS, { pixel: 1300, errors: 500 });
  for (const name of NAMES) {
    const bytes = size(name, await script(name));
    assert.ok(bytes <= BUDGETS[name], `${name}.js: ${bytes} bytes after gzip -9, the budget is ${BUDGETS[name]}`);
  }
});

test('no script keeps anything in the browser or loads anything', async () => {
  for (const name of NAMES) {
    const text = await script(name);
    for (const word of ['cookie', 'localStorage', 'sessionStorage', 'indexedDB', 'caches', 'eval', 'import', 'createElement', 'XMLHttpRequest'])
      assert.ok(!text.includes(word), `${name}.js has ${word}`);
  }
});

test('the script of errors reads neither messages nor stacks and sends nothing itself', async () => {
  const text = await script('errors');
  for (const word of ['message', 'stack', 'toString', 'fetch', 'sendBeacon', 'colno'])
    assert.ok(!text.includes(word), `errors.js has ${word}`);
});

test('the built files are the scripts, plain and packed', async () => {
  for (const name of NAMES) {
    const text = await script(name);
    assert.equal(dist(`${name}.js`).toString(), text);
    assert.equal(gunzipSync(dist(`${name}.js.gz`)).toString(), text);
    assert.equal(brotliDecompressSync(dist(`${name}.js.br`)).toString(), text);
  }
});
