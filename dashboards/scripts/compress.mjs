/**
 * After `vite build`: writes a .br and a .gz beside every file of dist, checks
 * that index.html keeps the Content Security Policy (nothing inline), and
 * prints the size of the first load, which has a budget.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** The first load may weigh this much compressed, in bytes. */
const BUDGET_BYTES = 150_000;

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');

const sizes = new Map();
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || /\.(br|gz)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const plain = readFileSync(path);
  const brotli = brotliCompressSync(plain, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
    },
  });
  const gzip = gzipSync(plain, { level: 9 });
  writeFileSync(`${path}.br`, brotli);
  writeFileSync(`${path}.gz`, gzip);
  sizes.set(path.slice(dist.length), { plain: plain.length, brotli: brotli.length, gzip: gzip.length });
}

const html = readFileSync(join(dist, 'index.html'), 'utf8');
for (const inline of [/<script(?![^>]*\ssrc=)/i, /<style/i, /\sstyle=/i, /\son[a-z]+=/i, /javascript:/i]) {
  if (inline.test(html)) fail(`index.html has something inline: ${inline}`);
}
for (const [, address] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
  if (!address.startsWith('/assets/')) fail(`index.html refers to ${address}, which is not under /assets/`);
  if (!sizes.has(address)) fail(`index.html refers to ${address}, which is not in dist`);
}

const total = { plain: 0, brotli: 0, gzip: 0 };
for (const [name, size] of sizes) {
  console.log(`${name.padEnd(34)} ${line(size)}`);
  if (name !== '/index.html' && !html.includes(name)) continue;
  for (const kind of Object.keys(total)) total[kind] += size[kind];
}
console.log(`${'first load'.padEnd(34)} ${line(total)}  (budget ${BUDGET_BYTES} compressed)`);
if (total.gzip > BUDGET_BYTES) fail(`the first load is ${total.gzip} bytes gzipped, over ${BUDGET_BYTES}`);

function line({ plain, brotli, gzip }) {
  return `${String(plain).padStart(8)} plain ${String(brotli).padStart(7)} br ${String(gzip).padStart(7)} gz`;
}

function fail(text) {
  console.error(text);
  process.exit(1);
}
