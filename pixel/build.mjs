// Builds dist/pixel.js with its .gz and .br, and checks the budget.
// `node build.mjs --size` prints the size after `gzip -9`, in bytes, and nothing else.
import { build } from 'esbuild';
import { minify } from 'terser';
import { mkdirSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** The most that the script may weigh after gzip -9, in bytes. */
export const BUDGET = 1300;

const here = import.meta.dirname;

/** The built script as text: one block statement, so that nothing but `metka` is global. */
export async function script() {
  const bundled = await build({
    entryPoints: [`${here}/src/pixel.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2020',
    tsconfigRaw: { compilerOptions: { target: 'es2020', alwaysStrict: false } },
  });
  // The compiler has checked what is constant; one keyword for all makes shorter declarations.
  const text = bundled.outputFiles[0].text.replace(/\bconst /g, 'let ');
  const minified = await minify(text, {
    ecma: 2020,
    toplevel: true,
    compress: {
      passes: 3,
      unsafe: true,
      pure_getters: true,
      unsafe_arrows: true,
      booleans_as_integers: true,
      keep_fargs: false,
    },
    format: { comments: false },
  });
  return minified.code;
}

export const gzip = text => gzipSync(text, { level: 9 });

/** What `gzip -9 pixel.js` writes, in bytes: the file's name is in its header, which `gzip` above leaves out. */
export const size = text => gzip(text).length + 'pixel.js\0'.length;

export const brotli = text =>
  brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length } });

if (process.argv[1] === import.meta.filename) {
  const text = await script();
  if (process.argv.includes('--size')) {
    console.log(size(text));
  } else {
    mkdirSync(`${here}/dist`, { recursive: true });
    writeFileSync(`${here}/dist/pixel.js`, text);
    writeFileSync(`${here}/dist/pixel.js.gz`, gzip(text));
    writeFileSync(`${here}/dist/pixel.js.br`, brotli(text));
    console.log(`pixel.js: ${text.length} bytes, ${size(text)} after gzip -9 (budget ${BUDGET}), ${brotli(text).length} after brotli`);
  }
  if (size(text) > BUDGET) {
    console.error(`pixel.js is ${size(text) - BUDGET} bytes above its budget of ${BUDGET} bytes`);
    process.exitCode = 1;
  }
}
