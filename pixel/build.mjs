// Builds dist/pixel.js with its .gz and .br, and checks the budget.
// `node build.mjs --size` prints the size after gzip -9, in bytes, and nothing else.
import { build } from 'esbuild';
import { minify } from 'terser';
import { mkdirSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** The most that the script may weigh after gzip -9, in bytes. */
export const BUDGET = 1300;

const here = import.meta.dirname;

/** The built script as text. */
export async function script() {
  const bundled = await build({
    entryPoints: [`${here}/src/pixel.ts`],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2020',
    tsconfigRaw: { compilerOptions: { target: 'es2020', alwaysStrict: false } },
    charset: 'utf8',
    legalComments: 'none',
  });
  const minified = await minify(bundled.outputFiles[0].text, {
    ecma: 2020,
    compress: { passes: 4, unsafe_arrows: true, booleans_as_integers: false, hoist_props: true, keep_fargs: false },
    mangle: true,
    format: { comments: false, ascii_only: false },
  });
  return minified.code;
}

export const gzip = text => gzipSync(text, { level: 9 });

export const brotli = text =>
  brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length } });

if (process.argv[1] === import.meta.filename) {
  const text = await script();
  const packed = gzip(text);
  if (process.argv.includes('--size')) {
    console.log(packed.length);
  } else {
    mkdirSync(`${here}/dist`, { recursive: true });
    writeFileSync(`${here}/dist/pixel.js`, text);
    writeFileSync(`${here}/dist/pixel.js.gz`, packed);
    writeFileSync(`${here}/dist/pixel.js.br`, brotli(text));
    console.log(`pixel.js: ${text.length} bytes, ${packed.length} after gzip -9 (budget ${BUDGET}), ${brotli(text).length} after brotli`);
  }
  if (packed.length > BUDGET) {
    console.error(`pixel.js is ${packed.length - BUDGET} bytes above its budget of ${BUDGET} bytes`);
    process.exitCode = 1;
  }
}
