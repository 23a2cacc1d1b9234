// Builds dist/pixel.js and dist/errors.js, each with its .gz and .br, and checks their budgets.
// `node build.mjs --size` prints the size of pixel.js after `gzip -9`, in bytes, and nothing else.
import { build } from 'esbuild';
import { minify } from 'terser';
import { mkdirSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** The scripts, and the most that each may weigh after gzip -9, in bytes. */
export const BUDGETS = { pixel: 1300, errors: 500 };

const here = import.meta.dirname;

/** A built script as text: one block statement, so that nothing but `metka` is global. */
export async function script(name) {
  const bundled = await build({
    entryPoints: [`${here}/src/${name}.ts`],
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

/** What `gzip -9 NAME.js` writes, in bytes: the file's name is in its header, which `gzip` above leaves out. */
export const size = (name, text) => gzip(text).length + `${name}.js\0`.length;

export const brotli = text =>
  brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length } });

if (process.argv[1] === import.meta.filename) {
  mkdirSync(`${here}/dist`, { recursive: true });
  for (const [name, budget] of Object.entries(BUDGETS)) {
    const text = await script(name);
    const bytes = size(name, text);
    if (!process.argv.includes('--size')) {
      writeFileSync(`${here}/dist/${name}.js`, text);
      writeFileSync(`${here}/dist/${name}.js.gz`, gzip(text));
      writeFileSync(`${here}/dist/${name}.js.br`, brotli(text));
      console.log(`${name}.js: ${text.length} bytes, ${bytes} after gzip -9 (budget ${budget}), ${brotli(text).length} after brotli`);
    } else if (name === 'pixel') {
      console.log(bytes);
    }
    if (bytes > budget) {
      console.error(`${name}.js is ${bytes - budget} bytes above its budget of ${budget} bytes`);
      process.exitCode = 1;
    }
  }
}
