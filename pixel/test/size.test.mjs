// The built script as a file: its size, what it may not contain, and its packed forms.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { BUDGET, script, size } from '../build.mjs';

const dist = name => readFileSync(`${import.meta.dirname}/../dist/${name}`);

test('the script is within its budget', async () => {
  const bytes = size(await script());
  assert.ok(bytes <= BUDGET, `${bytes} bytes after gzip -9, the budget is ${BUDGET}`);
  assert.equal(BUDGET, 1300);
});

test('the script keeps nothing in the browser and loads nothing', async () => {
  const text = await script();
  for (const word of ['cookie', 'localStorage', 'sessionStorage', 'indexedDB', 'caches', 'eval', 'import', 'createElement', 'XMLHttpRequest'])
    assert.ok(!text.includes(word), `the script has ${word}`);
});

test('the built files are the script, plain and packed', async () => {
  const text = await script();
  assert.equal(dist('pixel.js').toString(), text);
  assert.equal(gunzipSync(dist('pixel.js.gz')).toString(), text);
  assert.equal(brotliDecompressSync(dist('pixel.js.br')).toString(), text);
});
